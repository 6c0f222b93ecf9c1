package main

import (
	"cmp"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// address is where a registry is: "ghcr.io/acme" or "http://localhost:8080".
type address struct {
	scheme string // http | https
	host   string // host, or host:port
	prefix string // of repositories, without slashes at its ends; may be empty
}

// parseAddress reads an address with or without its scheme. Without one it is
// http on this machine and https elsewhere.
func parseAddress(s string) (address, error) {
	bad := func(why string) (address, error) {
		return address{}, clyde.Errorf(clyde.ErrInvalid, "registry address %q: %s", s, why).WithCode("registry_address").
			Fix("write it like %s, https://registry.example or ghcr.io/acme", defaultRegistry)
	}
	raw := s
	if !strings.Contains(s, "://") {
		raw = "//" + s
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "":
		return bad("it names no host")
	case u.User != nil:
		return address{}, clyde.Errorf(clyde.ErrInvalid, "the registry address has a user or password in it").WithCode("registry_address").
			Fix("leave it out and run clyde login")
	case u.RawQuery != "" || u.Fragment != "":
		return bad("leave out what follows ? and #")
	}
	a := address{scheme: u.Scheme, host: strings.ToLower(u.Host), prefix: strings.Trim(u.Path, "/")}
	if isGHCR(a.host) {
		a.prefix = strings.ToLower(a.prefix) // owners are written as they like, and repositories in lower case alone
	}
	switch a.scheme {
	case "":
		if a.scheme = "https"; isLoopback(u.Hostname()) {
			a.scheme = "http"
		}
	case "http", "https":
	default:
		return bad("the scheme must be http or https")
	}
	for part := range strings.SplitSeq(a.prefix, "/") {
		if a.prefix != "" && clyde.CheckBase(part) != nil {
			return bad("its path can be no repository")
		}
	}
	return a, nil
}

// isLoopback reports whether host is this machine.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// address returns the registry to talk to: flag, environment, file, default. A
// bad one is a usage error: the file was checked when it was read.
func (a *app) address() (address, error) {
	at, err := parseAddress(cmp.Or(a.registryFlag, os.Getenv("CLYDE_REGISTRY"), a.settings.Registry, defaultRegistry))
	if e := clyde.AsError(err); e != nil {
		return at, &usageError{msg: e.Msg, fixes: e.Fixes}
	}
	return at, err
}

// url is the root of the server.
func (r address) url() string { return r.scheme + "://" + r.host }

func (r address) String() string {
	if r.prefix == "" {
		return r.url()
	}
	return r.url() + "/" + r.prefix
}

// repo is the repository of a package below r. A prefix that ends in the
// namespace, as on GHCR, is not followed by it again.
func (r address) repo(n clyde.Name) string {
	switch {
	case r.prefix == "":
		return n.Repo()
	case r.prefix == n.Namespace || strings.HasSuffix(r.prefix, "/"+n.Namespace):
		return r.prefix + "/" + n.Base
	}
	return r.prefix + "/" + n.Repo()
}

// namespace is the one that packages without one go to: the end of the prefix.
func (r address) namespace() string {
	return r.prefix[strings.LastIndexByte(r.prefix, '/')+1:]
}
