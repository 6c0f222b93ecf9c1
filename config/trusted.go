package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// TrustedPublishing says whose CI runs may publish by their identity.
type TrustedPublishing struct {
	Audience string          `yaml:"audience"` // of identity tokens; empty: the public host
	Lookup   bool            `yaml:"lookup"`   // ask a provider for the numbers of a repository that somebody trusts
	Insecure bool            `yaml:"insecure"` // issuers on this machine may speak plain HTTP; for tests
	Issuers  []TrustedIssuer `yaml:"issuers"`
}

// TrustedIssuer is an OIDC issuer. It is asked for its keys when somebody
// presents one of its tokens, and never before.
type TrustedIssuer struct {
	Name     string `yaml:"name" json:"name"`         // as people write it: "github"
	URL      string `yaml:"url" json:"url"`           // exactly as its tokens say (iss)
	Kind     string `yaml:"kind" json:"kind"`         // github | gitlab | forgejo | generic
	Audience string `yaml:"audience" json:"audience"` // of its tokens; empty: trusted_publishing.audience
}

// TrustedKinds are the kinds of issuer, by what their claims mean.
var TrustedKinds = []string{"github", "gitlab", "forgejo", "generic"}

const maxAudience = 255 // bytes; ours: a host name's bound

var nameRE = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,38}$`)

// defaultTrusted accepts the runs of GitHub and GitLab, each for the
// packages whose owners trust them.
func defaultTrusted() TrustedPublishing {
	return TrustedPublishing{
		Lookup: true,
		Issuers: []TrustedIssuer{
			{Name: "github", URL: "https://token.actions.githubusercontent.com", Kind: "github"},
			{Name: "gitlab", URL: "https://gitlab.com", Kind: "gitlab"},
		},
	}
}

func (t TrustedPublishing) validate(p *problems) {
	checkAudience(p, "trusted_publishing.audience", t.Audience)
	var names, urls []string
	for i, iss := range t.Issuers {
		at := fmt.Sprintf("trusted_publishing.issuers[%d]", i)
		names = checkName(p, at, iss.Name, names)
		checkProvider(p, at+".url", iss.URL)
		if strings.HasPrefix(iss.URL, "http:") && !t.Insecure {
			p.add("%s.url: %q: want https, or set trusted_publishing.insecure for tests", at, iss.URL)
		}
		if slices.Contains(urls, iss.URL) {
			p.add("%s.url: %q is there twice", at, iss.URL)
		}
		urls = append(urls, iss.URL)
		checkOneOf(p, at+".kind", iss.Kind, TrustedKinds...)
		checkAudience(p, at+".audience", iss.Audience)
	}
}

// checkName checks the name of one of a list against the rules and those before
// it, and returns these with it.
func checkName(p *problems, at, name string, before []string) []string {
	if !nameRE.MatchString(name) {
		p.add("%s.name: %q: want 1 to 39 of a-z, 0-9, - and ., beginning with none of the last two", at, name)
	} else if slices.Contains(before, name) {
		p.add("%s.name: %q is there twice", at, name)
	}
	return append(before, name)
}

func checkAudience(p *problems, key, s string) {
	if len(s) > maxAudience || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		p.add("%s: %q: want at most %d printable ASCII characters without spaces", key, s, maxAudience)
	}
}
