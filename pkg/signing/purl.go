package signing

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// purlPrefix starts the package URL of every package of ours
// (https://github.com/package-url/purl-spec: scheme "pkg", type "clyde").
const purlPrefix = "pkg:clyde/"

// PURL returns the package URL that a signature names: "pkg:clyde/acme/zlib@1.3.1",
// or without "@…" when version is empty. It is "" for the zero Name.
func PURL(name clyde.Name, version string) string {
	if name.IsZero() {
		return ""
	}
	p := purlPrefix + escapePURL(name.Namespace) + "/" + escapePURL(name.Base)
	if version != "" {
		p += "@" + escapePURL(version)
	}
	return p
}

// PURL returns the package URL of s.
func (s Subject) PURL() string { return PURL(s.Name, s.Version) }

// escapePURL percent-encodes all but the bytes that the specification keeps:
// unlike url.PathEscape, it encodes "+" and "@".
func escapePURL(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// parsePURL reads what PURL wrote. It accepts no qualifiers and no subpath: a
// signature that adds conditions we do not know is not about this package.
func parsePURL(s string) (name clyde.Name, version string, ok bool) {
	rest, ok := strings.CutPrefix(s, purlPrefix)
	if !ok {
		return clyde.Name{}, "", false
	}
	path, version, versioned := strings.Cut(rest, "@")
	namespace, base, ok := strings.Cut(path, "/")
	if !ok || versioned && version == "" || strings.ContainsAny(rest, "?#") {
		return clyde.Name{}, "", false
	}
	for _, part := range []*string{&namespace, &base, &version} {
		u, err := url.PathUnescape(*part)
		// Only the canonical spelling: two spellings of one name never meet.
		if err != nil || escapePURL(u) != *part {
			return clyde.Name{}, "", false
		}
		*part = u
	}
	if namespace == "" || base == "" || strings.Contains(base, "/") || strings.Contains(namespace, "/") {
		return clyde.Name{}, "", false
	}
	return clyde.Name{Namespace: namespace, Base: base}, version, true
}

// namedBy checks what a signature calls its subject against s. Names that are
// no package URL of ours (cosign leaves them empty, others put a repository
// there) say nothing about the package, and pass.
func (s Subject) namedBy(name string) error {
	if s.Name.IsZero() || !strings.HasPrefix(name, purlPrefix) {
		return nil
	}
	n, v, ok := parsePURL(name)
	switch {
	case !ok:
		return fmt.Errorf("it names %q, which is no package URL", clip(name))
	case n.Identity() != s.Name.Identity(), v != "" && s.Version != "" && v != s.Version:
		return fmt.Errorf("it was made for %s, not for %s", clip(name), s.PURL())
	}
	return nil
}

// inRepository checks the repository that a legacy signature was made in, with
// its registry's host: "localhost:8080/acme/zlib", possibly with a tag or a
// digest. A copy in another registry, under another prefix, keeps its last two
// components. cosign does not compare it, so a signature moves there freely.
func (s Subject) inRepository(ref string) error {
	if s.Name.IsZero() || ref == "" {
		return nil
	}
	path, _, _ := strings.Cut(ref, "@")
	if i := strings.LastIndexByte(path, ':'); i > strings.LastIndexByte(path, '/') {
		path = path[:i]
	}
	if path == s.Repo || strings.HasSuffix(path, "/"+s.Repo) {
		return nil
	}
	parts := strings.Split(path, "/")
	if len(parts) >= 2 {
		n := clyde.Name{Namespace: parts[len(parts)-2], Base: parts[len(parts)-1]}
		if n.Identity() == s.Name.Identity() {
			return nil
		}
	}
	return fmt.Errorf("it was made for %s, not for %s", clip(ref), s.Name)
}

// clip bounds a stranger's text that goes into a reason.
func clip(s string) string {
	const most = 200 // bytes
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "�")
}
