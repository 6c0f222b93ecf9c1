package config_test

import (
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/config"
)

// Who may sign in, and whom the server asks, is refused whole where it cannot
// mean anything.
func TestSignIn(t *testing.T) {
	t.Parallel()
	acme := config.OIDCProvider{Key: "acme", Issuer: "https://sso.acme.example", ClientID: "clyde", ClientSecret: "x"}
	for name, tt := range map[string]struct {
		edit func(*config.Config)
		want string
	}{
		"provider":      {func(c *config.Config) { c.SignIn.OIDC = []config.OIDCProvider{acme} }, ""},
		"twice":         {func(c *config.Config) { c.SignIn.OIDC = []config.OIDCProvider{acme, acme} }, "signin.oidc[1].key"},
		"key of GitHub": {func(c *config.Config) { p := acme; p.Key = "github"; c.SignIn.OIDC = []config.OIDCProvider{p} }, "is there twice"},
		"key":           {func(c *config.Config) { p := acme; p.Key = "Acme/.."; c.SignIn.OIDC = []config.OIDCProvider{p} }, "signin.oidc[0].key"},
		"longest key": {func(c *config.Config) {
			p := acme
			p.Key = strings.Repeat("a", 39)
			c.SignIn.OIDC = []config.OIDCProvider{p}
		}, ""},
		"key too long": {func(c *config.Config) {
			p := acme
			p.Key = strings.Repeat("a", 40)
			c.SignIn.OIDC = []config.OIDCProvider{p}
		}, "signin.oidc[0].key"},
		"plain issuer": {func(c *config.Config) {
			p := acme
			p.Issuer = "http://sso.acme.example"
			c.SignIn.OIDC = []config.OIDCProvider{p}
		}, "issuer"},
		"plain issuer, here": {func(c *config.Config) {
			p := acme
			p.Issuer = "http://127.0.0.1:1"
			c.SignIn.OIDC = []config.OIDCProvider{p}
		}, ""},
		"no secret":     {func(c *config.Config) { p := acme; p.ClientSecret = ""; c.SignIn.OIDC = []config.OIDCProvider{p} }, "client_secret"},
		"two secrets":   {func(c *config.Config) { p := acme; p.ClientSecretFile = "f"; c.SignIn.OIDC = []config.OIDCProvider{p} }, "not both"},
		"GitHub, no id": {func(c *config.Config) { c.SignIn.GitHub.ClientSecret = "x" }, "signin.github.client_id"},
		"GitHub Enterprise": {func(c *config.Config) {
			c.SignIn.GitHub = config.GitHub{ClientID: "a", ClientSecret: "b", BaseURL: "https://github.acme.example"}
		}, ""},
		"GitHub at a query": {func(c *config.Config) {
			c.SignIn.GitHub = config.GitHub{ClientID: "a", ClientSecret: "b", BaseURL: "https://x?y"}
		}, "signin.github.base_url"},
		"allowed provider": {func(c *config.Config) {
			c.SignIn.OIDC = []config.OIDCProvider{acme}
			c.SignIn.Allow.Providers = []string{"acme"}
		}, ""},
		"allowed, but not there": {func(c *config.Config) { c.SignIn.Allow.Providers = []string{"acme"} }, "signin.allow.providers"},
		"domain":                 {func(c *config.Config) { c.SignIn.Allow.EmailDomains = []string{"acme.example"} }, ""},
		"domain with an @":       {func(c *config.Config) { c.SignIn.Allow.EmailDomains = []string{"@acme.example"} }, "signin.allow.email_domains"},
		"domain in capitals":     {func(c *config.Config) { c.SignIn.Allow.EmailDomains = []string{"Acme.example"} }, "signin.allow.email_domains"},
		"orgs without GitHub":    {func(c *config.Config) { c.SignIn.Allow.GitHubOrgs = []string{"acme"} }, "needs signin.github"},
		"orgs": {func(c *config.Config) {
			c.SignIn.GitHub = config.GitHub{ClientID: "a", ClientSecret: "b"}
			c.SignIn.Allow.GitHubOrgs = []string{"acme"}
		}, ""},
		"networks":        {func(c *config.Config) { c.Egress.Networks = []string{"10.0.0.0/8", "fd00::1"} }, ""},
		"network":         {func(c *config.Config) { c.Egress.Networks = []string{"intranet"} }, "egress.networks"},
		"all of IPv4":     {func(c *config.Config) { c.Egress.Networks = []string{"::ffff:0:0/95"} }, "egress.networks"},
		"proxy":           {func(c *config.Config) { c.Egress.Proxy = "http://proxy.acme.example:3128" }, ""},
		"proxy by a path": {func(c *config.Config) { c.Egress.Proxy = "http://proxy/x" }, "egress.proxy"},
		"proxy, no host":  {func(c *config.Config) { c.Egress.Proxy = "proxy:3128" }, "egress.proxy"},
	} {
		c := config.Default()
		tt.edit(&c)
		err := c.Validate()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", name, err, tt.want)
		}
	}
}
