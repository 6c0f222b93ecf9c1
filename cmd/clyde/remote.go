package main

import (
	"context"
	"slices"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// api returns a client of the registry's REST API, with the credentials there
// are for it.
func (a *app) api(ctx context.Context) (*client.Client, error) {
	at, err := a.address()
	if err != nil {
		return nil, err
	}
	cred, err := a.credentialFor(ctx, at.host, true)
	if err != nil {
		return nil, err
	}
	return a.apiWith(at, cred)
}

func (a *app) apiWith(at address, cred credential) (*client.Client, error) {
	if err := a.guard(at, cred.secret, "token"); err != nil {
		return nil, err
	}
	o := client.Options{BaseURL: at.url(), Token: cred.secret, UserAgent: userAgent()}
	if cred.secret != "" {
		o.Prove = func(ctx context.Context, refusal error) (string, error) { return a.prove(ctx, at, cred, refusal) }
	}
	return client.New(o)
}

// guard refuses to send a secret in the open. With --plain-http it says so,
// once, and lets it go.
func (a *app) guard(at address, secret, what string) error {
	if secret == "" || at.private() {
		return nil
	}
	if !a.plainHTTP {
		return clyde.Errorf(clyde.ErrDenied, "%s is plain HTTP: whoever is on the way would read the %s", at.url(), what).
			WithCode("plain_http").Fix("use https://%s", at.host).Fix("--plain-http, where nobody is on the way")
	}
	a.mu.Lock()
	again := a.warned
	a.warned = true
	a.mu.Unlock()
	if !again {
		a.say("%s %s is plain HTTP: whoever is on the way reads the %s", a.paint(a.stderr, yellow, "warning:"), at.url(), what)
	}
	return nil
}

// isVouched reports whether our registry says that its repositories are on
// host: then our token is meant for it, too.
func (a *app) isVouched(host string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.vouched == host
}

// private reports whether what is sent to the address stays unread on the way.
func (r address) private() bool {
	return r.scheme == "https" || isLoopback(hostOnly(r.host))
}

// site is what the registry says about itself: where its pages and its OCI
// repositories are.
type site struct {
	client.WellKnown

	at     address // of the OCI repositories
	hasAPI bool    // false: any OCI registry
}

// of returns where the OCI repositories of a namespace are: with the others, or
// in the registry that it comes from.
func (s site) of(namespace string) (address, error) {
	other, ok := s.OCI.Namespaces[namespace]
	if !ok {
		return s.at, nil
	}
	at, err := parseAddress(other)
	if err == nil && at.scheme == "http" && s.at.scheme == "https" {
		err = clyde.Errorf(clyde.ErrInvalid, "%s names %q as the registry of @%s, which is no https address", s.at.host, other, namespace).WithCode("registry_invalid")
	}
	return at, err
}

// site asks the registry, once, where things are. One without our API is fine:
// its repositories are where the address says.
func (a *app) site(ctx context.Context) (site, error) {
	a.asking.Lock()
	defer a.asking.Unlock()
	if a.asked != nil {
		return *a.asked, nil
	}
	s, err := a.askSite(ctx)
	if err == nil {
		a.asked = &s
	}
	return s, err
}

func (a *app) askSite(ctx context.Context) (site, error) {
	at, err := a.address()
	if err != nil {
		return site{}, err
	}
	if isGHCR(at.host) {
		return site{at: at}, nil
	}
	c, err := a.api(ctx)
	if err != nil {
		return site{}, err
	}
	wk, err := c.WellKnown(ctx)
	if noAPI(err) {
		return site{at: at}, nil
	}
	if err != nil {
		return site{}, err
	}
	s := site{WellKnown: wk, at: at, hasAPI: true}
	// Through a tunnel, or in a test, the registry is where the user says.
	if wk.OCI.Host != "" && !isLoopback(hostOnly(at.host)) {
		if s.at, err = parseAddress(at.scheme + "://" + wk.OCI.Host); err != nil {
			return site{}, err
		}
		s.at.prefix = at.prefix
		a.mu.Lock()
		a.vouched = s.at.host
		a.mu.Unlock()
	}
	if s.at.prefix == "" && wk.OCI.Prefix != "" {
		with, err := parseAddress(s.at.url() + "/" + wk.OCI.Prefix)
		if err != nil {
			return site{}, err
		}
		s.at = with
	}
	return s, nil
}

// noAPI reports whether err, of asking for the well-known document, means that
// the host answers and is no registry of ours: it refuses without a problem
// document, or shows a page. A gateway's 502 means nothing of the kind.
func noAPI(err error) bool {
	e := clyde.AsError(err)
	if e == nil || e.Code != "registry_failed" {
		return false
	}
	if slices.Contains([]error{clyde.ErrNotFound, clyde.ErrUnauthenticated, clyde.ErrDenied, clyde.ErrInvalid}, e.Kind) {
		return true
	}
	return e.Err != nil // a success that could not be read
}

// oci returns a client of the OCI registry at an address, with the credentials
// there are for its host.
func (a *app) oci(at address) (*artifact.Client, error) {
	own, err := a.address()
	if err != nil {
		return nil, err
	}
	return artifact.NewClient(artifact.ClientOptions{
		Host: at.host, Plain: at.scheme == "http", UserAgent: userAgent(),
		Credential: func(ctx context.Context) (string, string, error) {
			c, err := a.credentialFor(ctx, at.host, at.host == own.host || a.isVouched(at.host))
			if err == nil {
				err = a.guard(at, c.secret, "token")
			}
			if err != nil {
				return "", "", err
			}
			return c.user, c.secret, nil
		},
	})
}
