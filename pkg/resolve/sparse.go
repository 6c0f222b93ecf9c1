package resolve

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Limits of the sparse index. Ours: a line is smaller than the package.yaml it
// was made from, and MaxVersions of ordinary lines fit a file several times.
const (
	MaxIndexLine = 2 * clyde.MaxManifestSize // bytes
	MaxIndexSize = 32 << 20                  // bytes, all lines of a package
)

// indexSchema is the newest form of a line that this package understands. A
// line of a later one is a version that cannot be used, and says so.
const indexSchema = 1

// indexLine is a line of the sparse index: all that resolving needs to know of
// one version. Members are added, never changed; unknown ones are ignored.
type indexLine struct {
	Schema        int                    `json:"schema,omitempty"` // 0 means 1
	Name          string                 `json:"name"`
	Version       string                 `json:"version"`
	Digest        string                 `json:"digest"`
	Source        string                 `json:"source"` // digest of the archive
	Size          int64                  `json:"size"`
	Requires      map[string]string      `json:"requires,omitempty"`
	Optional      []string               `json:"optional,omitempty"` // those of Requires that count only where a trait says so
	Details       map[string]indexDetail `json:"details,omitempty"`  // of Requires
	BuildRequires map[string]string      `json:"build_requires,omitempty"`
	BuildDetails  map[string]indexDetail `json:"build_details,omitempty"`
	Conflicts     map[string]string      `json:"conflicts,omitempty"`
	Provides      []string               `json:"provides,omitempty"`
	Traits        []clyde.TraitView      `json:"traits,omitempty"`
	Supports      string                 `json:"supports,omitempty"`
	License       string                 `json:"license,omitempty"`
	Yanked        string                 `json:"yanked,omitempty"` // reason

	// Withdrawn says that administrators took the version away: quarantined,
	// removed or erased, and why. Such a line has nothing else and a schema that
	// programs which do not know of it leave alone.
	Withdrawn string `json:"withdrawn,omitempty"`
	Reason    string `json:"reason,omitempty"`
}

// indexDetail is what a requirement says beyond its range.
type indexDetail struct {
	Traits     map[string]string `json:"traits,omitempty"`
	When       string            `json:"when,omitempty"`
	Visibility string            `json:"visibility,omitempty"`
	Optional   bool              `json:"optional,omitempty"` // of BuildRequires
}

// IndexLine returns a version's line of the sparse index, newline included: the
// same bytes for the same candidate. dev_requires are not in it, since nobody
// but the project itself needs them.
func IndexLine(name clyde.Name, c *Candidate) ([]byte, error) {
	l := indexLine{
		Name: name.String(), Version: c.Version.String(), Digest: c.Digest, Source: c.Checksum, Size: c.Size,
		Provides: c.Provides, Supports: c.Supports, License: c.License, Yanked: c.Yanked,
	}
	for i := range c.Requires {
		q := &c.Requires[i]
		n := q.Name.String()
		d := indexDetail{Traits: q.Traits, When: q.When.String(), Visibility: q.Visibility}
		if d.Visibility == "public" {
			d.Visibility = ""
		}
		plain := len(d.Traits) == 0 && d.When == "" && d.Visibility == ""
		switch q.Kind {
		case Runtime:
			put(&l.Requires, n, q.Range.String())
			if q.Optional {
				l.Optional = append(l.Optional, n)
			}
			if !plain {
				put(&l.Details, n, d)
			}
		case Build:
			put(&l.BuildRequires, n, q.Range.String())
			if d.Optional = q.Optional; !plain || d.Optional {
				put(&l.BuildDetails, n, d)
			}
		}
	}
	slices.Sort(l.Optional)
	for _, q := range c.Conflicts {
		put(&l.Conflicts, q.Name.String(), q.Range.String())
	}
	for _, t := range c.Traits {
		t.Description = "" // for people, who read it elsewhere
		l.Traits = append(l.Traits, clyde.TraitView(t))
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(l); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func put[K comparable, V any](m *map[K]V, key K, value V) {
	if *m == nil {
		*m = map[K]V{}
	}
	(*m)[key] = value
}

// FromView returns a published package.yaml as a candidate; the caller adds
// what the manifest does not hold: Registry, Digest, Checksum, Size, Yanked. A
// condition that cannot be read makes it Unusable.
func FromView(v *clyde.ManifestView) (Candidate, error) { return new(Words).FromView(v) }

// Words remembers names and ranges that were read, which the versions of one
// package mostly have in common: each is parsed once, and what is equal is one
// string, which makes comparing quick. The zero value is ready. It is for one
// goroutine.
type Words struct {
	names  map[string]clyde.Name
	ranges map[string]clyde.Range
}

// name is clyde.ParseName.
func (w *Words) name(s string) (clyde.Name, error) {
	if n, ok := w.names[s]; ok {
		return n, nil
	}
	n, err := clyde.ParseName(s)
	if err == nil {
		put(&w.names, s, n)
	}
	return n, err
}

// rangeOf is clyde.ParseRange, but for the words for any release.
func (w *Words) rangeOf(s string) (clyde.Range, error) {
	if s == "" || s == "*" {
		return clyde.Range{}, nil
	}
	if r, ok := w.ranges[s]; ok {
		return r, nil
	}
	r, err := clyde.ParseRange(s)
	if err == nil {
		put(&w.ranges, s, r)
	}
	return r, err
}

// FromView is the function of that name, for one of several versions.
func (w *Words) FromView(v *clyde.ManifestView) (Candidate, error) {
	version, err := clyde.ParseVersion(v.Version)
	if err != nil {
		return Candidate{}, err
	}
	c := Candidate{Version: version, Provides: v.Provides, Supports: v.Supports, License: v.License}
	for _, t := range v.Traits {
		c.Traits = append(c.Traits, clyde.Trait(t))
	}
	for _, list := range []struct {
		kind Kind
		from []clyde.RequirementView
		to   *[]Requirement
	}{{Runtime, v.Requires, &c.Requires}, {Build, v.BuildRequires, &c.Requires}, {Dev, v.DevRequires, &c.Requires}, {Runtime, v.Conflicts, &c.Conflicts}} {
		for _, q := range list.from {
			err := c.require(w, list.to, list.kind, q.Name, q.Range, q.Optional, indexDetail{Traits: q.Traits, When: q.When, Visibility: q.Visibility})
			if err != nil {
				return Candidate{}, err
			}
		}
	}
	return c, nil
}

// require adds a requirement as it is written.
func (c *Candidate) require(w *Words, to *[]Requirement, kind Kind, name, rng string, optional bool, d indexDetail) error {
	q := Requirement{Kind: kind, Traits: d.Traits, Optional: optional || d.Optional, Visibility: d.Visibility}
	var err error
	if q.Name, err = w.name(name); err != nil {
		return err
	}
	if q.Range, err = w.rangeOf(rng); err != nil {
		return err
	}
	if q.When, err = clyde.ParseCondition(d.When); err != nil {
		c.Unusable = "its requirement of " + name + " has a condition that this program does not understand"
	}
	*to = append(*to, q)
	return nil
}

// ParseIndex reads the sparse index of a package, as served at
// /index/NAMESPACE/NAME.ndjson by registry, a host. Lines of another package,
// more than the limits, or anything that is not what it should be refuse the
// whole with an ErrInvalid error of the code "index_invalid". An empty index is
// a package without versions.
func ParseIndex(name clyde.Name, registry string, data []byte) ([]Candidate, error) {
	bad := func(line int, format string, args ...any) error {
		e := clyde.Errorf(clyde.ErrInvalid, format, args...)
		return clyde.Errorf(clyde.ErrInvalid, "the index of %s, line %d: %s", name, line, e.Msg).WithCode("index_invalid")
	}
	if len(data) > MaxIndexSize {
		return nil, clyde.Errorf(clyde.ErrTooLarge, "the index of %s is %d bytes long: the limit is %d", name, len(data), MaxIndexSize).WithCode("index_invalid")
	}
	var (
		all   []Candidate
		words Words
	)
	n := 0
	for text := range bytes.Lines(data) {
		n++
		text = bytes.TrimRight(text, "\r\n")
		switch {
		case len(text) == 0:
			continue
		case len(text) > MaxIndexLine:
			return nil, bad(n, "it is %d bytes long: the limit is %d", len(text), MaxIndexLine)
		case len(all) == MaxVersions:
			return nil, bad(n, "more than %d versions", MaxVersions)
		}
		var l indexLine
		if err := json.Unmarshal(text, &l); err != nil {
			return nil, bad(n, "it is not JSON of the expected form")
		}
		if l.Name != name.String() {
			return nil, bad(n, "it is about another package")
		}
		c, err := l.candidate(&words)
		if err != nil {
			e := clyde.AsError(err)
			return nil, bad(n, "%s", e.Msg)
		}
		c.Registry = registry
		all = append(all, c)
	}
	return all, nil
}

func (l *indexLine) candidate(w *Words) (Candidate, error) {
	version, err := clyde.ParseVersion(l.Version)
	if err != nil {
		return Candidate{}, err
	}
	c := Candidate{
		Version: version, Digest: l.Digest, Checksum: l.Source, Size: l.Size, Provides: l.Provides,
		Supports: l.Supports, License: l.License, Yanked: l.Yanked,
	}
	if l.Withdrawn != "" {
		c.Unusable = "it is " + plain(l.Withdrawn) + " in the registry: " + plain(l.Reason)
		return c, nil
	}
	if l.Schema > indexSchema {
		c.Unusable = "it needs a newer version of this program"
		return c, nil
	}
	if !digestRE.MatchString(l.Digest) || l.Source != "" && !digestRE.MatchString(l.Source) {
		return Candidate{}, clyde.Errorf(clyde.ErrInvalid, "version %s has no sha256 digest", version)
	}
	if count := len(l.Requires) + len(l.BuildRequires) + len(l.Conflicts); count > clyde.MaxRequirements {
		return Candidate{}, clyde.Errorf(clyde.ErrInvalid, "version %s has %d requirements: the limit is %d", version, count, clyde.MaxRequirements)
	}
	for _, t := range l.Traits {
		c.Traits = append(c.Traits, clyde.Trait(t))
	}
	for _, list := range []struct {
		kind    Kind
		from    map[string]string
		details map[string]indexDetail
		to      *[]Requirement
	}{{Runtime, l.Requires, l.Details, &c.Requires}, {Build, l.BuildRequires, l.BuildDetails, &c.Requires}, {Runtime, l.Conflicts, nil, &c.Conflicts}} {
		for _, name := range slices.Sorted(maps.Keys(list.from)) {
			optional := list.kind == Runtime && slices.Contains(l.Optional, name)
			if err := c.require(w, list.to, list.kind, name, list.from[name], optional, list.details[name]); err != nil {
				return Candidate{}, err
			}
		}
	}
	if c.Supports != "" {
		if _, err := clyde.Supports(c.Supports, func(string) bool { return true }); err != nil {
			c.Unusable = "its supports expression, " + strings.TrimSpace(c.Supports) + ", cannot be understood"
		}
	}
	return c, nil
}

// plain is what a registry wrote, cut to a line for a terminal.
func plain(s string) string {
	const most = 500 // bytes, as the registry's own limit
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s[:min(len(s), most)], ""))
}
