package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
)

// keyRE is the part of an address that a provider has.
var keyRE = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

const (
	maxKey    = 39      // bytes of a provider's key: as of a namespace
	maxSecret = 4 << 10 // bytes of a client's secret in a file; ours: they have some dozens
)

// GitHubKey is the key of GitHub among the providers.
const GitHubKey = "github"

func (s SignIn) validateAllow(p *problems) {
	keys := []string{}
	if s.GitHub.ClientID != "" {
		keys = append(keys, GitHubKey)
	}
	for _, o := range s.OIDC {
		keys = append(keys, o.Key)
	}
	for _, k := range s.Allow.Providers {
		if !slices.Contains(keys, k) {
			p.add("signin.allow.providers: %q: is no provider of this configuration", k)
		}
	}
	for _, d := range s.Allow.EmailDomains {
		if !domainRE.MatchString(d) || d != strings.ToLower(d) {
			p.add("signin.allow.email_domains: %q: want a domain in lower case, such as acme.example", d)
		}
	}
	for _, o := range s.Allow.GitHubOrgs {
		if !keyRE.MatchString(o) {
			p.add("signin.allow.github_orgs: %q: want an organisation's login in lower case", o)
		}
	}
	if len(s.Allow.GitHubOrgs) > 0 && s.GitHub.ClientID == "" {
		p.add("signin.allow.github_orgs: needs signin.github")
	}
}

func (e Egress) validate(p *problems) {
	if _, err := e.Prefixes(); err != nil {
		*p = append(*p, err)
	}
	if e.Proxy == "" {
		return
	}
	u, err := url.Parse(e.Proxy)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		p.add("egress.proxy: want http://host:port")
	}
}

// Prefixes returns the networks that are allowed besides the public.
func (e Egress) Prefixes() ([]netip.Prefix, error) { return networks("egress.networks", e.Networks) }

func (s SignIn) validate(p *problems) {
	s.validateAllow(p)
	g := s.GitHub
	checkClient(p, "signin.github", g.ClientID, g.ClientSecret, g.ClientSecretFile, g != GitHub{})
	for _, u := range []struct{ key, u string }{{"signin.github.base_url", g.BaseURL}, {"signin.github.api_url", g.APIURL}} {
		if u.u != "" {
			checkProvider(p, u.key, u.u)
		}
	}
	keys := []string{GitHubKey}
	var issuers []string
	for i, o := range s.OIDC {
		at := fmt.Sprintf("signin.oidc[%d]", i)
		if len(o.Key) < 2 || len(o.Key) > maxKey || !keyRE.MatchString(o.Key) {
			p.add("%s.key: %q: want a-z and 0-9, with single - between them: it is part of an address", at, o.Key)
		} else if slices.Contains(keys, o.Key) {
			p.add("%s.key: %q is there twice", at, o.Key)
		}
		keys = append(keys, o.Key)
		checkProvider(p, at+".issuer", o.Issuer)
		if slices.Contains(issuers, o.Issuer) {
			p.add("%s.issuer: %q is there twice", at, o.Issuer)
		}
		issuers = append(issuers, o.Issuer)
		checkClient(p, at, o.ClientID, o.ClientSecret, o.ClientSecretFile, true)
	}
}

// checkClient checks what a provider gave us to tell who we are.
func checkClient(p *problems, at, id, secret, file string, wanted bool) {
	switch {
	case !wanted:
	case id == "":
		p.add("%s.client_id: is missing", at)
	case secret == "" && file == "":
		p.add("%s: needs client_secret or client_secret_file", at)
	case secret != "" && file != "":
		p.add("%s: use client_secret or client_secret_file, not both", at)
	}
}

// checkProvider wants https; http is for this machine.
func checkProvider(p *problems, key, s string) {
	u, err := url.Parse(s)
	ok := err == nil && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
	if ok && u.Scheme == "http" {
		a, err := netip.ParseAddr(u.Hostname())
		ok = u.Hostname() == "localhost" || err == nil && a.IsLoopback()
	} else {
		ok = ok && u.Scheme == "https"
	}
	if !ok {
		p.add("%s: %q: want https://host[:port][/path]", key, s)
	}
}

// Secret returns a client's secret from the setting or its file.
func Secret(value, file string) (_ string, err error) {
	if file == "" {
		return value, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", err
	}
	s := strings.TrimSpace(string(b))
	if len(b) > maxSecret || s == "" {
		return "", fmt.Errorf("%s: want one secret of at most %d bytes", cmp.Or(file, "file"), maxSecret)
	}
	return s, nil
}

// Redacted is c for people to read: without the secrets it holds.
func (c Config) Redacted() Config {
	hide := func(s *string) {
		if *s != "" {
			*s = "(hidden)"
		}
	}
	hide(&c.Database.URL) // it may hold a password
	hide(&c.SignIn.GitHub.ClientSecret)
	hide(&c.Mail.Password)
	c.SignIn.OIDC = slices.Clone(c.SignIn.OIDC)
	for i := range c.SignIn.OIDC {
		hide(&c.SignIn.OIDC[i].ClientSecret)
	}
	c.Registries = slices.Clone(c.Registries)
	for i := range c.Registries {
		hide(&c.Registries[i].Password)
		hide(&c.Registries[i].Secret)
	}
	return c
}
