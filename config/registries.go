package config

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Upstream is a registry that somebody else runs, whose packages are indexed
// here (docs/sidecar.md).
type Upstream struct {
	Name       string   `yaml:"name" json:"name"`             // its part of addresses: POST /api/v1/events/NAME
	URL        string   `yaml:"url" json:"url"`               // https://host[:port]; http where the registry has nothing else
	Namespaces []string `yaml:"namespaces" json:"namespaces"` // bound to it: acme, deeper/path/acme, or * for all that are free
	// Repositories are looked at where the registry has no catalog: acme/zlib.
	Repositories []string `yaml:"repositories" json:"repositories"`
	Catalog      string   `yaml:"catalog" json:"catalog"` // auto | never: whether the registry is asked for all its repositories

	Username     string `yaml:"username" json:"username"`           // empty: only what everybody may read
	Password     string `yaml:"password" json:"password"`           //
	PasswordFile string `yaml:"password_file" json:"password_file"` // read at start, in place of password
	// VisibleTo says who sees what only the credentials can read: everyone, or
	// logins of accounts here. Empty: nobody who was not granted it here.
	VisibleTo []string `yaml:"visible_to" json:"visible_to"`

	Events     string `yaml:"events" json:"events"`           // what its notifications look like, one of UpstreamEvents; empty: it sends none
	Auth       string `yaml:"auth" json:"auth"`               // hmac | header | path | oidc; empty: the best that the kind of events can
	Header     string `yaml:"header" json:"header"`           // that auth: header compares; empty: Authorization
	Secret     string `yaml:"secret" json:"secret"`           // of hmac, header and path
	SecretFile string `yaml:"secret_file" json:"secret_file"` // read at start, in place of secret
	Issuer     string `yaml:"issuer" json:"issuer"`           // of oidc; empty: https://accounts.google.com
	Audience   string `yaml:"audience" json:"audience"`       // of oidc; empty: the address of the endpoint
	Email      string `yaml:"email" json:"email"`             // of oidc: the service account that pushes

	SweepEvery        time.Duration `yaml:"sweep_every" json:"sweep_every"`                 // 0: DefaultSweep
	RequestsPerSecond float64       `yaml:"requests_per_second" json:"requests_per_second"` // 0: DefaultUpstreamRate
}

// Defaults of an Upstream, ours: a sweep finds what notifications lost within
// minutes, at a rate that registries of others bear.
const (
	DefaultSweep        = 10 * time.Minute
	DefaultUpstreamRate = 50.0

	minSweep        = 10 * time.Second
	minEventSecret  = 16 // bytes; ours: what is guessed by trying is longer than this
	maxUpstreamName = 39 // bytes: as of a namespace
)

// UpstreamEvents are the kinds of notifications, with how each can prove where
// it comes from, the best first. "path" is a secret part of the address.
var UpstreamEvents = map[string][]string{
	"distribution": {"header", "path"},
	"harbor":       {"header", "path"},
	"zot":          {"header", "path"},
	"acr":          {"header", "path"},
	"ecr":          {"header", "path"},
	"github":       {"hmac"},
	"gitea":        {"hmac"},
	"quay":         {"path"},
	"dockerhub":    {"path"},
	"gar":          {"oidc"},
}

// reservedUpstreams are what events from elsewhere are called.
var reservedUpstreams = []string{"registry", "sweep", "api"}

// headerRE is the grammar of header names (RFC 9110, token), without what no
// proxy passes on.
var headerRE = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

// secretPathRE is what a part of an address may be without being written in two ways.
var secretPathRE = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// How returns how notifications prove where they come from.
func (u Upstream) How() string {
	if u.Auth != "" || len(UpstreamEvents[u.Events]) == 0 {
		return u.Auth
	}
	return UpstreamEvents[u.Events][0]
}

// validateUpstreams checks the registries. What depends on a file is checked
// when that is read.
func (c Config) validateUpstreams(p *problems) {
	var names, hosts []string
	bound := map[string]string{}
	for i, u := range c.Registries {
		at := fmt.Sprintf("registries[%d]", i)
		switch {
		case len(u.Name) > maxUpstreamName || !keyRE.MatchString(u.Name):
			p.add("%s.name: %q: want a-z and 0-9, with single - between them: it is part of an address", at, u.Name)
		case slices.Contains(reservedUpstreams, u.Name):
			p.add("%s.name: %q means something else; choose another", at, u.Name)
		case slices.Contains(names, u.Name):
			p.add("%s.name: %q is there twice", at, u.Name)
		}
		names = append(names, u.Name)
		host := u.Host()
		if host == "" {
			p.add("%s.url: %q: want https://host[:port], without a path", at, u.URL)
		} else if slices.Contains(hosts, host) {
			p.add("%s.url: %q is there twice; give one registry all its namespaces", at, host)
		}
		hosts = append(hosts, host)
		u.validateNames(p, at, bound)
		u.validateEvents(p, at)
		if u.SweepEvery != 0 && u.SweepEvery < minSweep {
			p.add("%s.sweep_every: %s: want at least %s", at, u.SweepEvery, minSweep)
		}
		if !(u.RequestsPerSecond >= 0) || u.RequestsPerSecond > 10_000 { // not a number compares with nothing
			p.add("%s.requests_per_second: %v: want a number up to 10000", at, u.RequestsPerSecond)
		}
	}
}

// Host is the registry's host[:port] in lower case, "" where the URL is none.
func (u Upstream) Host() string {
	v, err := url.Parse(u.URL)
	if err != nil || v.Scheme != "https" && v.Scheme != "http" || v.Hostname() == "" || v.User != nil || u.URL != v.Scheme+"://"+v.Host {
		return ""
	}
	return strings.ToLower(v.Host)
}

// repositoryRE is the grammar of repositories in the distribution specification.
var repositoryRE = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)

func (u Upstream) validateNames(p *problems, at string, bound map[string]string) {
	if len(u.Namespaces) == 0 {
		p.add("%s.namespaces: name those that come from this registry, or * for all that come from nowhere else", at)
	}
	for _, ns := range u.Namespaces {
		if ns != "*" && !repositoryRE.MatchString(ns) {
			p.add("%s.namespaces: %q: want acme, deeper/path/acme, or *", at, ns)
			continue
		}
		last := ns[strings.LastIndexByte(ns, '/')+1:]
		if other, ok := bound[last]; ok {
			p.add("%s.namespaces: %q is at %s already", at, ns, other)
		}
		bound[last] = u.Name
	}
	for _, r := range u.Repositories {
		if !repositoryRE.MatchString(r) {
			p.add("%s.repositories: %q: want a repository such as acme/zlib", at, r)
		}
	}
	if u.Catalog != "" {
		checkOneOf(p, at+".catalog", u.Catalog, "auto", "never")
	}
	if (u.Username == "") != (u.Password == "" && u.PasswordFile == "") {
		p.add("%s: username and password belong together", at)
	}
	if u.Password != "" && u.PasswordFile != "" {
		p.add("%s: use password or password_file, not both", at)
	}
	for _, who := range u.VisibleTo {
		if who == "" || who == "everyone" && len(u.VisibleTo) > 1 {
			p.add("%s.visible_to: want everyone, or logins", at)
		}
	}
}

func (u Upstream) validateEvents(p *problems, at string) {
	if u.Events == "" {
		if u.Auth != "" || u.Secret != "" || u.SecretFile != "" || u.Email != "" {
			p.add("%s.events: is empty, so that no notification is taken", at)
		}
		return
	}
	ways, ok := UpstreamEvents[u.Events]
	if !ok {
		p.add("%s.events: %q: want one of acr, distribution, dockerhub, ecr, gar, gitea, github, harbor, quay, zot", at, u.Events)
		return
	}
	how := u.How()
	if !slices.Contains(ways, how) {
		p.add("%s.auth: %q: notifications of %s can prove where they come from by %s", at, how, u.Events, strings.Join(ways, " or "))
		return
	}
	if u.Header != "" && (how != "header" || !headerRE.MatchString(u.Header)) {
		p.add("%s.header: %q: want the name of a header, with auth: header", at, u.Header)
	}
	switch {
	case how == "oidc":
		if u.Email == "" {
			p.add("%s.email: name the service account whose tokens come with notifications", at)
		}
		if u.Issuer != "" {
			checkProvider(p, at+".issuer", u.Issuer)
		}
		checkAudience(p, at+".audience", u.Audience)
	case u.Secret != "" && u.SecretFile != "":
		p.add("%s: use secret or secret_file, not both", at)
	case u.Secret == "" && u.SecretFile == "":
		p.add("%s: needs secret or secret_file", at)
	case u.Secret != "":
		if err := CheckEventSecret(how, u.Secret); err != nil {
			p.add("%s.secret: %w", at, err)
		}
	}
}

// CheckEventSecret returns what is wrong with a secret for a way of proving
// where notifications come from.
func CheckEventSecret(how, secret string) error {
	if len(secret) < minEventSecret {
		return fmt.Errorf("want at least %d bytes; openssl rand -hex 24 makes one", minEventSecret)
	}
	if how == "path" && !secretPathRE.MatchString(secret) {
		return fmt.Errorf("it is part of an address: want A-Z, a-z, 0-9, - and _")
	}
	return nil
}
