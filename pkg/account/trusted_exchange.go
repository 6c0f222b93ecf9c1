package account

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account/oidc"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// RunToken is what a CI run gets for its identity token.
type RunToken struct {
	Secret    string
	Package   clyde.Name
	Publisher string // its ID
	New       bool   // the package does not exist yet
	Expires   time.Time
	Run       Run
}

// Exchange gives a CI run a token of RunTokenLife for exactly one package. The
// zero name is the only package that the run may publish. Each identity token
// is good for one exchange.
//
// Errors besides those of oidc.Verifier are clyde.ErrDenied with codes
// issuer_unknown, event_refused, publisher_unknown, claim_mismatch (which says
// what differs), publisher_expired, publisher_overtaken or account_suspended,
// clyde.ErrInvalid with package_ambiguous, and clyde.ErrConflict with
// token_replayed.
func (t *Trusted) Exchange(ctx context.Context, raw string, name clyde.Name, from netip.Addr) (RunToken, error) {
	tok, iss, err := t.verify(ctx, raw)
	if err != nil {
		return RunToken{}, err
	}
	if err := checkEvent(iss.Kind, tok.Claims); err != nil {
		return RunToken{}, err
	}
	p, err := t.fit(ctx, iss, tok, name)
	if err != nil {
		return RunToken{}, err
	}
	exists, err := t.mayPublish(ctx, p)
	if err != nil {
		return RunToken{}, err
	}
	h := sha256.Sum256([]byte(tok.ID))
	// Twice the leeway: until no clock of ours takes the token for valid.
	if err := t.o.DB.UseJTI(ctx, iss.URL, h[:], tok.Expires.Add(2*oidc.Leeway)); err != nil {
		if e := clyde.AsError(err); e != nil && e.Code == "token_replayed" {
			return RunToken{}, e.Fix("Ask the CI for a new token for each exchange.")
		}
		return RunToken{}, err
	}
	return t.grant(ctx, iss, p, tok, exists, from)
}

func (t *Trusted) verify(ctx context.Context, raw string) (oidc.Token, TrustedIssuer, error) {
	url, err := oidc.Issuer(raw)
	if err != nil {
		return oidc.Token{}, TrustedIssuer{}, err
	}
	for _, i := range t.o.Issuers {
		if i.URL == url {
			tok, err := t.o.Verifier.Verify(ctx, raw, i.URL, i.Audience)
			return tok, i, err
		}
	}
	_, err = t.issuer(url)
	return oidc.Token{}, TrustedIssuer{}, err
}

// fit finds the publisher that the run is.
func (t *Trusted) fit(ctx context.Context, iss TrustedIssuer, tok oidc.Token, name clyde.Name) (Publisher, error) {
	if name == (clyde.Name{}) {
		return t.only(ctx, iss, tok)
	}
	all, err := t.publishers(ctx, name)
	if err != nil {
		return Publisher{}, err
	}
	set, err := t.o.DB.Setting(ctx, name.Repo())
	if err != nil {
		return Publisher{}, err
	}
	now := t.o.Now()
	var nearest *mismatch
	var of, expired Publisher
	for _, p := range all {
		if p.Spec.Issuer != iss.URL || p.Kind != iss.Kind {
			continue
		}
		m := p.match(tok.Claims)
		switch {
		case m == nil && p.expired(now):
			expired = p
		case m == nil:
			return p, nil
		case !p.expired(now) && (nearest == nil || m.passed > nearest.passed):
			nearest, of = m, p
		}
	}
	if expired.ID != "" {
		return Publisher{}, clyde.Errorf(clyde.ErrDenied, "the trusted publisher %s of %s waited for its package until %s", expired.ID, name, expired.Expires.UTC().Format(time.DateOnly)).
			WithCode("publisher_expired").Fix("Add it again: clyde trust add %s.", name)
	}
	// What is expected of runs elsewhere is nobody's business where the package
	// itself is not to be seen, or not there.
	hidden := set.Private || !of.Expires.IsZero()
	if nearest == nil || hidden && nearest.passed == 0 {
		return Publisher{}, clyde.Errorf(clyde.ErrDenied, "%s has no trusted publisher at %s that fits this run", name, iss.Name).
			WithCode("publisher_unknown").Fix("Add one: clyde trust add %s.", name)
	}
	got := fmt.Sprintf("%q", shorten(nearest.got))
	if nearest.missing {
		got = "missing"
	}
	return Publisher{}, clyde.Errorf(clyde.ErrDenied, "the run is not the trusted publisher %s of %s: its claim %s is %s; expected is %q", of.ID, name, nearest.claim, got, nearest.want).
		WithCode("claim_mismatch").Fix("Change the workflow, or the trusted publisher: clyde trust list %s.", name)
}

// only finds the one package that the run may publish.
func (t *Trusted) only(ctx context.Context, iss TrustedIssuer, tok oidc.Token) (Publisher, error) {
	rows, err := t.o.DB.PublishersByIssuer(ctx, iss.URL)
	if err != nil {
		return Publisher{}, err
	}
	// Most rows are of other repositories: told by their text before they are read.
	var hint []byte
	if id, ok := tok.Claims.Text(map[string]string{KindGitHub: "repository_id", KindGitLab: "project_id"}[iss.Kind]); ok {
		hint = fmt.Appendf(nil, `"repository_id":%q`, id)
	}
	var found []Publisher
	for _, r := range rows {
		if !bytes.Contains(r.Claims, hint) {
			continue
		}
		p, err := publisher(r)
		if err != nil {
			return Publisher{}, err
		}
		if p.Kind == iss.Kind && !p.expired(t.o.Now()) && p.match(tok.Claims) == nil && (len(found) == 0 || found[len(found)-1].Package != p.Package) {
			found = append(found, p)
		}
	}
	switch {
	case len(found) == 0:
		return Publisher{}, clyde.Errorf(clyde.ErrDenied, "the run is no trusted publisher of any package here").WithCode("publisher_unknown").
			Fix("Name the package, which says what differs.").Fix("Add a trusted publisher: clyde trust add.")
	case len(found) > 1:
		var names []string
		for _, p := range found[:min(len(found), maxExchangeNames)] {
			names = append(names, p.Package.String())
		}
		return Publisher{}, clyde.Errorf(clyde.ErrInvalid, "the run may publish %d packages, and a token is for one: %s", len(found), strings.Join(names, ", ")).
			WithCode("package_ambiguous").Fix("Name the package.")
	}
	return found[0], nil
}

// mayPublish checks what may have changed since the publisher was added.
func (t *Trusted) mayPublish(ctx context.Context, p Publisher) (exists bool, err error) {
	exists, err = t.o.DB.HasVersions(ctx, p.Package.Repo())
	if err != nil {
		return false, err
	}
	if exists && !p.Expires.IsZero() {
		// It reserved nothing: who may make a package may not take over another's.
		return true, clyde.Errorf(clyde.ErrDenied, "%s was published by somebody else while the trusted publisher %s waited for it", p.Package, p.ID).
			WithCode("publisher_overtaken").Fix("Ask whoever manages %s to add the trusted publisher again.", p.Package)
	}
	ns, err := t.o.DB.Namespace(ctx, p.Package.Namespace)
	if errors.Is(err, clyde.ErrNotFound) || err == nil && ns.Owner.Kind != store.OwnerAccount {
		return exists, nil
	}
	if err != nil {
		return exists, err
	}
	a, err := t.o.DB.Account(ctx, ns.Owner.ID)
	if err == nil && !a.Suspended.IsZero() {
		err = clyde.Errorf(clyde.ErrDenied, "the account that @%s belongs to is suspended", p.Package.Namespace).WithCode("account_suspended")
	}
	return exists, err
}

func (t *Trusted) grant(ctx context.Context, iss TrustedIssuer, p Publisher, tok oidc.Token, exists bool, from netip.Addr) (RunToken, error) {
	now := t.o.Now().UTC()
	run := runOf(iss, p, tok)
	actions := []Action{Publish}
	if !exists {
		actions = []Action{PublishNew, Publish} // what is signed before it is tagged is pushed twice
	}
	scopes, err := json.Marshal([]Scope{{Actions: actions, Pattern: p.Package.String()}})
	if err != nil {
		return RunToken{}, err
	}
	runJSON, err := json.Marshal(run)
	if err != nil {
		return RunToken{}, err
	}
	secret := NewToken()
	hash := hashToken(secret)
	row := store.Token{
		ID: strings.ToLower(encoding.EncodeToString(hash[:10])), Hash: hash, Prefix: secret[:len(TokenPrefix)+6], Name: run.called(),
		Scopes: scopes, Created: now, Expires: now.Add(RunTokenLife), Run: runJSON,
	}
	audit := t.audit(Principal{ID: row.ID, Name: row.Name, Addr: from}, "publisher.exchange", p.Package)
	audit.Detail = string(runJSON)
	if err := t.o.DB.AddToken(ctx, row, audit); err != nil {
		return RunToken{}, err
	}
	// Housekeeping: expired ones that stay cost room, no right.
	_ = t.o.DB.PurgeRunTokens(ctx, now.Add(-keepRunTokens))
	return RunToken{Secret: secret, Package: p.Package, Publisher: p.ID, New: !exists, Expires: row.Expires, Run: *run}, nil
}
