package server

import (
	"net/http"

	"github.com/clydepm/clyde-registry/config"
	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/account/oidc"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// newTrusted returns what does trusted publishing on a registry that clients
// know as host.
func newTrusted(cfg config.TrustedPublishing, db *store.DB, host string, out *http.Client, o Options) (*account.Trusted, error) {
	t := account.TrustedOptions{
		DB: db, Audience: cfg.Audience, Now: o.Now,
		Verifier: oidc.New(oidc.Options{Now: o.Now, Insecure: cfg.Insecure, Client: out}),
	}
	if t.Audience == "" {
		t.Audience = host
	}
	if cfg.Lookup {
		t.Lookup = account.NewLookup(out)
	}
	for _, i := range cfg.Issuers {
		t.Issuers = append(t.Issuers, account.TrustedIssuer{Name: i.Name, URL: i.URL, Kind: i.Kind, Audience: i.Audience})
	}
	return account.NewTrusted(t)
}
