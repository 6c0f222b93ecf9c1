package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// target is what an argument names: a package of the registry, or an OCI
// reference anywhere.
type target struct {
	name clyde.Name // zero for an OCI reference
	want string     // what follows the "@" of a name: a version or a range; may be empty
	rng  clyde.Range

	ref reference
}

// reference is an OCI reference: host/repository:tag or host/repository@digest.
type reference struct {
	at     address // its prefix is the whole repository
	tag    string
	digest digest.Digest // wins over tag
}

func (r reference) repo() string { return r.at.prefix }

// version is the tag or the digest.
func (r reference) version() string {
	if r.digest != "" {
		return r.digest.String()
	}
	return r.tag
}

func (r reference) String() string {
	s := r.at.host + "/" + r.at.prefix
	if r.digest != "" {
		return s + "@" + r.digest.String()
	}
	if r.tag != "" {
		return s + ":" + r.tag
	}
	return s
}

// name is the package that the repository holds: its last two components.
func (r reference) name() clyde.Name {
	parts := strings.Split(r.at.prefix, "/")
	if len(parts) < 2 {
		return clyde.Name{}
	}
	n, err := clyde.ParseName("@" + parts[len(parts)-2] + "/" + parts[len(parts)-1])
	if err != nil {
		return clyde.Name{}
	}
	return n
}

// shortName is the usage error about a name without its namespace, with the
// packages it may mean.
type shortName struct {
	*usageError
	candidates []client.Package
}

func (e shortName) Unwrap() error { return e.usageError }

// isHost reports whether the first component of a reference is a host: what
// docker takes for one, since a namespace has no dot and no colon.
func isHost(s string) bool {
	return strings.Contains(s, "://") || strings.ContainsAny(s, ".:") || s == "localhost"
}

// parseTarget reads NAME, NAME@RANGE, where NAME is @ns/name or ns/name, or an
// OCI reference, which begins with a host. A bare name is returned as a target
// with a Base alone.
func parseTarget(arg string) (target, error) {
	scheme, rest, ok := strings.Cut(arg, "://")
	if !ok {
		scheme, rest = "", arg
	}
	first, _, nested := strings.Cut(rest, "/")
	if scheme != "" || nested && !strings.HasPrefix(arg, "@") && isHost(first) {
		r, err := parseReference(arg)
		return target{ref: r}, err
	}
	full := strings.TrimPrefix(arg, "@")
	name, want, ranged := strings.Cut(full, "@")
	if ranged && want == "" {
		return target{}, usagef("%q: a version or a range must follow the last @", arg).fix("write @namespace/name@^1.2")
	}
	t := target{want: want}
	if want != "" {
		var err error
		if t.rng, err = clyde.ParseRange(want); err != nil {
			return target{}, err
		}
	}
	if !strings.Contains(name, "/") {
		if strings.HasPrefix(arg, "@") {
			return target{}, usagef("%q names a namespace and no package", arg).fix("write @%s/NAME", name)
		}
		if strings.Contains(name, ":") {
			return target{}, usagef("%q names no package", arg).fix("write @namespace/name@version, or host/namespace/name:tag")
		}
		if err := clyde.CheckBase(name); err != nil {
			return target{}, err
		}
		t.name.Base = name
		return t, nil
	}
	if base, tag, ok := strings.Cut(name, ":"); ok {
		return target{}, usagef("%q: a version follows an @, not a colon", arg).fix("write @%s@%s", base, tag)
	}
	var err error
	t.name, err = clyde.ParseName("@" + name)
	return t, err
}

// parseReference reads host/repository with a :tag or an @digest, or neither.
func parseReference(arg string) (reference, error) {
	var r reference
	s := arg
	if host, _, _ := strings.Cut(strings.TrimPrefix(s, "https://"), "/"); isGHCR(strings.ToLower(host)) {
		s = strings.TrimSuffix(s, ":") // as GitHub's pages and events write a package without a tag
	}
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		d, err := digest.Parse(s[at+1:])
		if err != nil {
			return r, usagef("%q: what follows the @ is no digest", arg).fix("write host/namespace/name:tag or host/namespace/name@sha256:…")
		}
		s, r.digest = s[:at], d
	}
	if slash := strings.LastIndexByte(s, '/'); slash >= 0 {
		if colon := strings.IndexByte(s[slash:], ':'); colon >= 0 {
			s, r.tag = s[:slash+colon], s[slash+colon+1:]
			if !validTag(r.tag) {
				return r, usagef("%q: %q is no tag", arg, r.tag)
			}
		}
	}
	var err error
	if r.at, err = parseAddress(s); err != nil {
		return r, err
	}
	if r.at.prefix == "" {
		return r, usagef("%q names a host and no repository", arg).fix("write %s/namespace/name:tag", r.at.host)
	}
	return r, nil
}

// validTag is the grammar of the OCI distribution specification.
func validTag(s string) bool {
	for i, c := range s {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
		if !letter && (i == 0 || c != '.' && c != '-') {
			return false
		}
	}
	return s != "" && len(s) <= 128
}

// packageArg reads an argument that must name a package of the registry in
// full. A bare name is refused with the packages it may mean.
func (a *app) packageArg(ctx context.Context, arg string) (target, error) {
	t, err := parseTarget(arg)
	if err != nil {
		return t, err
	}
	if t.ref.at.host != "" {
		return t, usagef("%q is an OCI reference; this command wants a package's name", arg).fix("write @namespace/name, and the registry after --registry")
	}
	return t, a.qualified(ctx, t)
}

// maxCandidates is how many packages a bare name is answered with.
const maxCandidates = 8

// qualified refuses a bare name. Nothing is installed or shown by one, even
// where a single package has it: tomorrow there may be two.
func (a *app) qualified(ctx context.Context, t target) error {
	if t.ref.at.host != "" || t.name.Namespace != "" {
		return nil
	}
	base := t.name.Base
	at, err := a.address()
	if err != nil {
		return err
	}
	// Where the address ends in a namespace, as on GHCR, the user has said it.
	if ns := at.namespace(); ns != "" && clyde.CheckNamespace(ns) == nil {
		return usagef("%q has no namespace", base).fix("write @%s/%s", ns, base)
	}
	c, err := a.api(ctx)
	if err != nil {
		return err
	}
	found, err := c.Candidates(ctx, base)
	if err != nil && !errors.Is(err, clyde.ErrNotFound) {
		return err
	}
	if len(found) == 0 {
		return clyde.Errorf(clyde.ErrNotFound, "no package is called %q", base).WithCode("package_unknown").Fix("clyde search %s", base)
	}
	e := shortName{usagef("%q is a short name, and nothing goes by one; write the name in full", base), found}
	if len(found) > 1 {
		e.msg = fmt.Sprintf("%q is short for %s; say which one you mean", base, plural(len(found), "package"))
	}
	for _, p := range found[:min(len(found), maxCandidates)] {
		why := ""
		if p.Description != "" {
			why = "  (" + p.Description + ")"
		}
		e.fix("%s%s", p.Name, why)
	}
	if len(found) > maxCandidates {
		e.fix("clyde search %s", base)
	}
	return e
}

// exactVersion reads NAME@VERSION where both are needed.
func (a *app) exactVersion(ctx context.Context, arg string) (clyde.Name, clyde.Version, error) {
	t, err := a.packageArg(ctx, arg)
	if err != nil {
		return clyde.Name{}, clyde.Version{}, err
	}
	if t.want == "" {
		return t.name, clyde.Version{}, usagef("%q: which version?", arg).fix("write %s@VERSION; clyde versions %s lists them", t.name, t.name)
	}
	v, err := clyde.ParseVersion(t.want)
	if err != nil {
		return t.name, v, usagef("%q is not one version", t.want).fix("clyde versions %s", t.name)
	}
	return t.name, v, nil
}

// release returns the release that t asks for: the one version it names,
// yanked or not, else the newest in its range.
func (a *app) release(ctx context.Context, c *client.Client, t target) (client.Release, error) {
	if t.want == "" {
		r, err := c.Release(ctx, t.name, "latest")
		return r, err
	}
	if v, err := clyde.ParseVersion(t.want); err == nil {
		r, err := c.Release(ctx, t.name, v.String())
		// "1.2" is the version 1.2.0 and, where that does not exist, a range.
		if err == nil || !errors.Is(err, clyde.ErrNotFound) {
			return r, err
		}
	}
	r, err := c.Resolve(ctx, t.name, t.rng)
	if err != nil && errors.Is(err, clyde.ErrNotFound) {
		return r, a.noVersion(ctx, c, t, err)
	}
	return r, err
}

// noVersion tells a package that is not there from one without such a version.
func (a *app) noVersion(ctx context.Context, c *client.Client, t target, cause error) error {
	all, err := c.Versions(ctx, t.name)
	if err != nil || len(all) == 0 {
		return cause
	}
	var have []string
	for _, r := range all[:min(len(all), maxCandidates)] {
		s := r.Version
		switch {
		case r.State == statePending:
			s += " (pending)"
		case r.Yanked != nil:
			s += " (yanked)"
		}
		have = append(have, s)
	}
	kind := errNoVersion
	if _, err := clyde.ParseVersion(t.want); err == nil {
		kind = clyde.ErrNotFound
	}
	return clyde.Errorf(kind, "no version of %s is in %q; there are %s", t.name, t.want, strings.Join(have, ", ")).
		WithCode("no_version").Fix("clyde versions %s", t.name).Because(cause)
}

// completeNames completes names of packages by asking the registry.
func (a *app) completeNames(cmd *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	const none = cobra.ShellCompDirectiveNoFileComp
	if a.prepare(cmd) != nil {
		return nil, none
	}
	c, err := a.api(cmd.Context())
	if err != nil {
		return nil, none
	}
	found, err := c.Suggest(cmd.Context(), toComplete)
	if err != nil {
		return nil, none
	}
	var out []string
	for _, s := range found {
		if n, err := clyde.ParseName(s.Name); err == nil {
			out = append(out, fmt.Sprintf("%s\t%s", n, clean(s.Description)))
		}
	}
	return out, none
}

// hostOnly is the host without its port.
func hostOnly(hostport string) string {
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		return h
	}
	return hostport
}

// inRange reports whether a version, as a registry writes it, is in rng.
func inRange(rng clyde.Range, version string) bool {
	v, err := clyde.ParseVersion(version)
	return err == nil && rng.Contains(v)
}
