package main

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// commons is the namespace of packages whose record names none.
const commons = "pkgs"

// Limits of the package format (docs/package-format.md).
const (
	maxDescription = 300 // characters
	maxKeywords    = 10
	maxNamespace   = 39 // bytes
)

// change is one normalisation: what a record says, and what is published.
type change struct {
	Kind     string // "version", "license", … : the rule
	Package  string // "@pkgs/zlib"
	From, To string
}

// release is one version to publish.
type release struct {
	Name     clyde.Name
	Version  string
	Manifest []byte // package.yaml
	Archive  []byte // .tar.gz
}

// converter turns records into releases. It knows all of them, since a record
// names its dependencies without their namespaces.
type converter struct {
	names   map[string]clyde.Name // by record name and by alias
	changes []change
	packer  packer
}

// newConverter decides on the name of every package.
func newConverter(records []record) *converter {
	c := &converter{names: map[string]clyde.Name{}}
	taken := map[string]bool{}
	for _, r := range records {
		n := clyde.Name{Namespace: namespace(r.Scope), Base: base(r.Name)}
		for i := 2; taken[n.Identity()]; i++ { // my-lib and my_lib are one name
			n.Base = fmt.Sprintf("%s-%d", base(r.Name), i)
		}
		taken[n.Identity()] = true
		c.names[r.Name] = n
		if r.Scope != "" && n.Namespace != r.Scope {
			c.note("namespace", n, r.Scope, n.Namespace)
		}
		if n.Base != r.Name {
			c.note("name", n, r.Name, n.Base)
		}
	}
	for _, r := range records {
		for _, a := range r.Aliases {
			if _, ok := c.names[a]; !ok {
				c.names[a] = c.names[r.Name]
			}
		}
	}
	return c
}

func (c *converter) note(kind string, n clyde.Name, from, to string) {
	c.changes = append(c.changes, change{kind, n.String(), from, to})
}

// release makes the release of a record, and checks it as the registry will.
func (c *converter) release(r record) (release, error) {
	n := c.names[r.Name]
	m := manifest{
		Schema: 1, Name: n.String(), Language: "cpp", Homepage: c.homepage(n, r.Homepage),
	}
	m.Version, m.Upstream = c.version(n, r)
	if r.Language == "C" {
		m.Language = "c"
	}
	m.Type = c.kind(n, r.Type)
	m.Description = c.description(n, r.Description)
	m.License = c.license(n, r.License)
	m.Keywords = c.keywords(n, r.Keywords)
	m.Supports = strings.Join(r.Platforms, " | ")
	m.Requires = c.requires(n, r.Dependencies)
	data, err := yaml.Marshal(m)
	if err != nil {
		return release{}, err
	}
	if _, err := clyde.Validate(data, clyde.ValidateOptions{Publish: true}); err != nil {
		return release{}, fmt.Errorf("%s: %w", n, err)
	}
	archive, err := c.packer.pack(r, m, data)
	return release{Name: n, Version: m.Version, Manifest: data, Archive: archive}, err
}

// manifest is the part of package.yaml that is written here.
type manifest struct {
	Schema      int               `yaml:"schema"`
	Name        string            `yaml:"name"`
	Version     string            `yaml:"version"`
	Upstream    string            `yaml:"upstream_version,omitempty"`
	Type        string            `yaml:"type"`
	Language    string            `yaml:"language"`
	Description string            `yaml:"description,omitempty"`
	License     string            `yaml:"license,omitempty"`
	Homepage    string            `yaml:"homepage,omitempty"`
	Keywords    []string          `yaml:"keywords,omitempty"`
	Supports    string            `yaml:"supports,omitempty"`
	Requires    map[string]string `yaml:"requires,omitempty"`
}

var notLower = regexp.MustCompile(`[^a-z0-9]+`)

// slug is s in lower case, with sep for everything that is no letter or digit.
func slug(s, sep string) string {
	return strings.Trim(notLower.ReplaceAllString(strings.ToLower(s), sep), sep)
}

// namespace: what the grammar refuses becomes a hyphen; one letter alone gets
// "-org"; 39 bytes at most.
func namespace(scope string) string {
	s := slug(cmp.Or(scope, commons), "-")
	if len(s) > maxNamespace {
		s = strings.TrimRight(s[:maxNamespace], "-")
	}
	if clyde.CheckNamespace(s) != nil {
		s += "-org"
	}
	return s
}

// base: what the grammar refuses becomes a hyphen; what is reserved gets "lib"
// before it.
func base(name string) string {
	if clyde.CheckBase(name) == nil {
		return name
	}
	s := slug(name, "-")
	if clyde.CheckBase(s) != nil {
		s = "lib" + s
	}
	return s
}

var dateRE = regexp.MustCompile(`(?:^|\D)((?:19|20)\d\d)[-.]?([01]\d)[-.]?([0-3]\d)(?:\D|$)`)

// version returns the version to publish and, where that is not what the record
// says, what it says. In this order: the version itself; without a "v" in front
// and without "+build"; the date in it; 0.0.N, N being how many versions the
// record lists.
func (c *converter) version(n clyde.Name, r record) (version, upstream string) {
	plain := func(s string) bool {
		_, err := clyde.ParseVersion(s)
		return err == nil && !strings.Contains(s, "+")
	}
	v := r.Version
	if plain(v) {
		return v, ""
	}
	bare, _, _ := strings.Cut(strings.TrimLeft(v, "vV"), "+")
	switch date := dateRE.FindStringSubmatch(v); {
	case plain(bare):
		version = bare
	case date != nil && validDate(date[1:]):
		version = strings.Join(date[1:], "-")
	default:
		version = fmt.Sprintf("0.0.%d", max(1, len(r.Versions)))
	}
	c.note("version", n, v, version)
	return version, v
}

func validDate(ymd []string) bool {
	_, err := time.Parse(time.DateOnly, strings.Join(ymd, "-"))
	return err == nil
}

// kinds translates other managers' words for what a package is.
var kinds = map[string]string{
	"": "library", "library": "library", "static-library": "library", "shared-library": "library",
	"header-library": "header-only", "application": "application", "build-scripts": "tool",
}

func (c *converter) kind(n clyde.Name, s string) string {
	k, ok := kinds[s]
	if !ok {
		k = "library"
	}
	if s != "" && k != s {
		c.note("type", n, s, k)
	}
	return k
}

// description: one line, cut at the last word that fits.
func (c *converter) description(n clyde.Name, s string) string {
	d := strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if utf8.RuneCountInString(d) > maxDescription {
		r := []rune(d)[:maxDescription-1]
		cut := string(r)
		if i := strings.LastIndexByte(cut, ' '); i > 0 {
			cut = cut[:i]
		}
		d = strings.TrimRight(cut, " ,;:") + "…"
	}
	if d != s {
		c.note("description", n, fmt.Sprintf("%d characters", utf8.RuneCountInString(s)), fmt.Sprintf("%d characters on one line", utf8.RuneCountInString(d)))
	}
	return d
}

var notRef = regexp.MustCompile(`[^A-Za-z0-9.-]+`)

// license: an SPDX expression as it is; anything else becomes one LicenseRef.
func (c *converter) license(n clyde.Name, s string) string {
	if s == "" || clyde.CheckLicense(s) == nil {
		return s
	}
	ref := "LicenseRef-" + strings.Trim(notRef.ReplaceAllString(s, "-"), "-")
	if len(ref) > 64 {
		ref = strings.TrimRight(ref[:64], "-.")
	}
	c.note("license", n, s, ref)
	return ref
}

var keywordRE = regexp.MustCompile(`^[a-z0-9][a-z0-9+#-]{0,23}$`)

// keywords: split at commas, lower case, hyphens for blanks, underscores and
// dots; what still breaks the grammar is left out, and what comes after the
// tenth.
func (c *converter) keywords(n clyde.Name, list []string) []string {
	var out []string
	for _, entry := range list {
		for k := range strings.SplitSeq(entry, ",") {
			k = strings.ToLower(strings.TrimSpace(k))
			k = strings.Trim(strings.Map(func(r rune) rune {
				switch {
				case r == ' ' || r == '_' || r == '.' || r == '/':
					return '-'
				case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '+' || r == '#' || r == '-':
					return r
				}
				return -1
			}, k), "-#+ ")
			// "c++" and "c#" are words; a sign alone is none.
			if rest := strings.TrimSpace(strings.ToLower(entry)); keywordRE.MatchString(rest) {
				k = rest
			}
			if keywordRE.MatchString(k) && !slices.Contains(out, k) {
				out = append(out, k)
			}
		}
	}
	if len(out) > maxKeywords {
		out = out[:maxKeywords]
	}
	if !slices.Equal(out, list) && len(list) > 0 {
		c.note("keywords", n, strings.Join(list, ", "), strings.Join(out, ", "))
	}
	return out
}

func (c *converter) homepage(n clyde.Name, s string) string {
	u, err := url.Parse(s)
	if s == "" || err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" {
		return s
	}
	c.note("homepage", n, s, "")
	return ""
}

// requires: any version, since records name none; what is not in the file is
// left out.
func (c *converter) requires(n clyde.Name, deps []string) map[string]string {
	out := map[string]string{}
	for _, d := range deps {
		dep, ok := c.names[d]
		switch {
		case !ok:
			c.note("dependency", n, d, "")
		case dep != n:
			out[dep.String()] = "*"
		}
	}
	return out
}
