package signin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/account"
)

// orgPages bounds how many pages of a hundred organisations are read. Ours:
// a cookie holds no more than one page.
const orgPages = 2

// bounded cuts off answers that are longer than maxAnswer.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{http.MaxBytesReader(nil, resp.Body, maxAnswer), resp.Body}
	return resp, nil
}

// get decodes one JSON answer of a provider; token may be "".
func (s *SignIn) get(ctx context.Context, url, token string, v any) error {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "clyde-registry")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Accept", "application/vnd.github+json")
		r.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return statusError(resp.StatusCode)
	}
	return json.NewDecoder(resp.Body).Decode(v)
}

type statusError int

func (e statusError) Error() string { return fmt.Sprintf("answered %d", int(e)) }

// gitHubUser asks GitHub who a token stands for. The number is what counts: a
// login may be given to somebody else.
func (s *SignIn) gitHubUser(ctx context.Context, p Provider, token string, why Purpose) (x account.ExternalIdentity, verified []string, err error) {
	var u struct {
		ID     int64  `json:"id"`
		Login  string `json:"login"`
		Name   string `json:"name"`
		Avatar string `json:"avatar_url"`
		Type   string `json:"type"`
	}
	if err := s.get(ctx, p.APIURL+"/user", token, &u); err != nil {
		return x, nil, unreachable(p, err)
	}
	if u.ID <= 0 || u.Login == "" || u.Type != "" && u.Type != "User" {
		return x, nil, failed("%s did not say who you are", p.Name)
	}
	x = account.ExternalIdentity{Issuer: p.Issuer, Subject: strconv.FormatInt(u.ID, 10), Login: u.Login, Name: u.Name, Avatar: u.Avatar}
	if why == ToClaim {
		_, verified, err = s.gitHubOrgs(ctx, p, token)
		return x, append([]string{u.Login}, verified...), err
	}
	if s.o.Orgs && why == ToSignIn {
		if x.Orgs, _, err = s.gitHubOrgs(ctx, p, token); err != nil {
			return x, nil, err
		}
	}
	var mails []struct {
		Email    string `json:"email"`
		Primary  bool   `json:"primary"`
		Verified bool   `json:"verified"`
	}
	// An address is for notices; who keeps it to themselves signs in without.
	if err := s.get(ctx, p.APIURL+"/user/emails", token, &mails); err != nil && !errors.As(err, new(statusError)) {
		return x, nil, unreachable(p, err)
	}
	for _, m := range mails {
		if m.Primary && m.Verified {
			x.Email, x.EmailVerified = m.Email, true
		}
	}
	return x, nil, nil
}

// gitHubOrgs lists the organisations that a person is an active member of, and
// those that they administer.
func (s *SignIn) gitHubOrgs(ctx context.Context, p Provider, token string) (member, admin []string, err error) {
	for page := 1; page <= orgPages; page++ {
		var ms []struct {
			State string `json:"state"`
			Role  string `json:"role"`
			Org   struct {
				Login string `json:"login"`
			} `json:"organization"`
		}
		if err := s.get(ctx, fmt.Sprintf("%s/user/memberships/orgs?state=active&per_page=100&page=%d", p.APIURL, page), token, &ms); err != nil {
			return nil, nil, unreachable(p, err)
		}
		for _, m := range ms {
			if m.State != "active" || m.Org.Login == "" {
				continue
			}
			member = append(member, strings.ToLower(m.Org.Login))
			if m.Role == "admin" {
				admin = append(admin, strings.ToLower(m.Org.Login))
			}
		}
		if len(ms) < 100 {
			break
		}
	}
	return member, admin, nil
}
