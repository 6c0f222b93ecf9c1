package server

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/clydepm/clyde-registry/config"
	"github.com/clydepm/clyde-registry/pkg/account/signin"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/egress"
	"github.com/clydepm/clyde-registry/pkg/github"
	"github.com/clydepm/clyde-registry/pkg/linked"
)

// newEgress is the client of everything that the server asks over HTTP: keys of
// issuers, providers, repositories' numbers. What the operator wrote down is
// asked wherever it is; where an answer leads elsewhere, that is public.
func newEgress(cfg config.Config) (*http.Client, error) {
	o, err := egressOptions(cfg)
	if err != nil {
		return nil, err
	}
	o.Timeout = signin.Timeout
	return egress.New(o), nil
}

// newArchives is the same for archives of tags, which are larger and take
// longer.
func newArchives(cfg config.Config) (*http.Client, error) {
	o, err := egressOptions(cfg)
	if err != nil {
		return nil, err
	}
	o.Timeout, o.MaxBody = linked.FetchTimeout, artifact.MaxArchive
	return egress.New(o), nil
}

func egressOptions(cfg config.Config) (egress.Options, error) {
	networks, err := cfg.Egress.Prefixes()
	if err != nil {
		return egress.Options{}, err
	}
	o := egress.Options{Networks: networks, Plain: true}
	if cfg.Egress.Proxy != "" {
		if o.Proxy, err = url.Parse(cfg.Egress.Proxy); err != nil {
			return egress.Options{}, err
		}
	}
	named := []string{cfg.SignIn.GitHub.BaseURL, cfg.SignIn.GitHub.APIURL, cfg.API.SecretScanningKeys}
	for _, p := range cfg.SignIn.OIDC {
		named = append(named, p.Issuer)
	}
	for _, i := range cfg.TrustedPublishing.Issuers {
		named = append(named, i.URL)
	}
	for _, u := range cfg.Registries {
		named = append(named, u.Issuer)
	}
	for _, s := range named {
		if u, err := url.Parse(s); err == nil && u.Hostname() != "" {
			o.Hosts = append(o.Hosts, strings.ToLower(u.Hostname()))
		}
	}
	return o, nil
}

// githubAPI is the API of the one GitHub that is configured; "" is github.com's.
func githubAPI(cfg config.Config) string {
	g := cfg.SignIn.GitHub
	if g.APIURL == "" && g.BaseURL != "" && g.BaseURL != github.DefaultSite {
		return strings.TrimRight(g.BaseURL, "/") + "/api/v3"
	}
	return g.APIURL
}
