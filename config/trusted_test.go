package config_test

import (
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/config"
)

func TestTrustedPublishing(t *testing.T) {
	t.Parallel()
	issuer := func(edit func(*config.TrustedIssuer)) func(*config.TrustedPublishing) {
		return func(c *config.TrustedPublishing) {
			i := config.TrustedIssuer{Name: "codeberg", URL: "https://codeberg.org/api/actions", Kind: "forgejo"}
			edit(&i)
			c.Issuers = append(c.Issuers, i)
		}
	}
	for name, tt := range map[string]struct {
		edit func(*config.TrustedPublishing)
		want string // in the error; "": none
	}{
		"defaults":          {func(*config.TrustedPublishing) {}, ""},
		"nobody":            {func(c *config.TrustedPublishing) { c.Issuers = nil }, ""},
		"one more":          {issuer(func(*config.TrustedIssuer) {}), ""},
		"own audience":      {issuer(func(i *config.TrustedIssuer) { i.Audience = "clyde" }), ""},
		"no name":           {issuer(func(i *config.TrustedIssuer) { i.Name = "" }), "issuers[2].name"},
		"name in capitals":  {issuer(func(i *config.TrustedIssuer) { i.Name = "Codeberg" }), "issuers[2].name"},
		"name twice":        {issuer(func(i *config.TrustedIssuer) { i.Name = "github" }), `"github" is there twice`},
		"no address":        {issuer(func(i *config.TrustedIssuer) { i.URL = "" }), "issuers[2].url"},
		"plain HTTP":        {issuer(func(i *config.TrustedIssuer) { i.URL = "http://ci.example.org" }), "issuers[2].url"},
		"plain HTTP here":   {issuer(func(i *config.TrustedIssuer) { i.URL = "http://127.0.0.1:1" }), "trusted_publishing.insecure"},
		"address twice":     {issuer(func(i *config.TrustedIssuer) { i.URL = "https://gitlab.com" }), "is there twice"},
		"unknown kind":      {issuer(func(i *config.TrustedIssuer) { i.Kind = "jenkins" }), "issuers[2].kind"},
		"audience of words": {issuer(func(i *config.TrustedIssuer) { i.Audience = "a b" }), "issuers[2].audience"},
		"audience too long": {func(c *config.TrustedPublishing) { c.Audience = strings.Repeat("a", 256) }, "trusted_publishing.audience"},
		"plain HTTP allowed": {func(c *config.TrustedPublishing) {
			c.Insecure = true
			issuer(func(i *config.TrustedIssuer) { i.URL = "http://127.0.0.1:1" })(c)
		}, ""},
	} {
		c := config.Default()
		tt.edit(&c.TrustedPublishing)
		err := c.Validate()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v; want %q", name, err, tt.want)
		}
	}
}
