package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Where a CI provider has an identity token for its runs.
const (
	idTokenURLVar   = "ACTIONS_ID_TOKEN_REQUEST_URL"   // GitHub, Forgejo: where to ask for one
	idTokenTokenVar = "ACTIONS_ID_TOKEN_REQUEST_TOKEN" // and what to ask with
	idTokenVar      = "CLYDE_ID_TOKEN"                 // GitLab: the token itself, by id_tokens in the job
)

// idTokenTimeout bounds the request for an identity token; GitHub takes well
// under a second.
const idTokenTimeout = 30 * time.Second

// trustedCI reports whether a CI provider vouches for this run.
func trustedCI() bool {
	return strings.TrimSpace(os.Getenv(idTokenVar)) != "" || os.Getenv(idTokenURLVar) != "" && os.Getenv(idTokenTokenVar) != ""
}

// exchange gets a token for one package from the registry in exchange for what
// the CI provider says of this run. It does nothing where there is a credential
// already, where no CI provider vouches for the run and where the registry does
// no trusted publishing.
func (a *app) exchange(ctx context.Context, s site, name clyde.Name) error {
	at, err := a.address()
	if err != nil {
		return err
	}
	have, err := a.credentialFor(ctx, at.host, true)
	if err != nil || have.secret != "" || !s.hasAPI || s.OIDC == nil || !trustedCI() {
		return err
	}
	if err := a.guard(at, "to come", "identity token"); err != nil {
		return err
	}
	c, err := a.api(ctx)
	if err != nil {
		return err
	}
	id, err := a.identityToken(ctx, c, s)
	if err != nil {
		return err
	}
	tok, err := c.Exchange(ctx, id, name)
	if err != nil {
		return err
	}
	a.exchanged = credential{secret: tok.Token, source: "trusted publishing"}
	a.say("this run is a trusted publisher of %s; its token is good until %s", clean(tok.Package), tok.Expires.UTC().Format(time.TimeOnly))
	return nil
}

// identityToken returns the CI provider's token for this run.
func (a *app) identityToken(ctx context.Context, c *client.Client, s site) (string, error) {
	if t := strings.TrimSpace(os.Getenv(idTokenVar)); t != "" {
		return t, nil
	}
	audience, err := audienceFor(ctx, c, s.OIDC.Audience)
	if err != nil {
		return "", err
	}
	return requestIDToken(ctx, os.Getenv(idTokenURLVar), os.Getenv(idTokenTokenVar), audience)
}

// audienceFor is the audience that the registry wants of this CI's tokens:
// where several issuers have others, that of the server which runs us.
func audienceFor(ctx context.Context, c *client.Client, fallback string) (string, error) {
	all, err := c.TrustedAudience(ctx)
	if err != nil {
		return "", err
	}
	server, err := url.Parse(os.Getenv("GITHUB_SERVER_URL"))
	if err != nil {
		return fallback, nil
	}
	for _, i := range all.Issuers {
		u, err := url.Parse(i.URL)
		if err == nil && i.Audience != "" && server.Host != "" &&
			(u.Host == server.Host || server.Host == "github.com" && u.Host == "token.actions.githubusercontent.com") {
			return i.Audience, nil
		}
	}
	return fallback, nil
}

// requestIDToken asks GitHub's and Forgejo's runners for a token.
func requestIDToken(ctx context.Context, address, bearer, audience string) (string, error) {
	fail := func(format string, args ...any) (string, error) {
		return "", clyde.Errorf(clyde.ErrUnavailable, "the CI gives no identity token: "+format, args...).WithCode("id_token_unavailable").
			Fix("give the job the permission id-token: write").Fix("set %s instead", tokenVar)
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return fail("%s is not an https address", idTokenURLVar)
	}
	q := u.Query()
	q.Set("audience", audience)
	u.RawQuery = q.Encode()
	ctx, cancel := context.WithTimeout(ctx, idTokenTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fail("%s is not an https address", idTokenURLVar)
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", userAgent())
	hc := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := hc.Do(req)
	if err != nil {
		return fail("it does not answer")
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fail("it answers %d", resp.StatusCode)
	}
	b, err := readAll(resp.Body, 4*maxSecret, "the identity token")
	if err != nil {
		return "", err
	}
	var out struct {
		Value string `json:"value"`
	}
	if err := json.Unmarshal(b, &out); err != nil || out.Value == "" {
		return fail("its answer holds none")
	}
	return out.Value, nil
}

// credentialFor is what host is shown: what this run was given for its
// identity, else what the environment or Docker's configuration hold.
func (a *app) credentialFor(ctx context.Context, host string, ours bool) (credential, error) {
	if ours && a.exchanged.secret != "" {
		return a.exchanged, nil
	}
	return credentialFor(ctx, host, ours)
}

// loginFixes adds what helps in CI to the advice of a failure.
func loginFixes(e *clyde.Error) *clyde.Error {
	switch {
	case os.Getenv("GITHUB_ACTIONS") == "true":
		return e.Fix("give the job the permission id-token: write, and make the workflow a trusted publisher: clyde trust add")
	case os.Getenv("GITLAB_CI") == "true":
		return e.Fix("give the job id_tokens with %s, and make the project a trusted publisher: clyde trust add", idTokenVar)
	}
	return e
}

// noTrust says in our words what a registry without trusted publishing answers.
func noTrust(err error) error {
	if e := clyde.AsError(err); e != nil && e.Code == "path_unknown" {
		return clyde.Errorf(clyde.ErrNotFound, "the registry does no trusted publishing").WithCode("trusted_publishing_off").Because(errors.Unwrap(err))
	}
	return err
}
