package resolve

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Limits of clyde.lock. Ours: the size holds MaxPackages of ordinary packages,
// and a package has a build for each of the platforms there are.
const (
	MaxLockSize   = 16 << 20 // bytes
	MaxLockBuilds = 64       // of one package
	MaxLockText   = 1024     // bytes, of any one value
)

const lockHead = "# Written by clyde. Keep it in version control; do not edit it.\n"

var (
	plainRE  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._/:-]*[A-Za-z0-9]$`)
	digestRE = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	levelRE  = regexp.MustCompile(`^(?:signed|logged|provenance)$`)
	abiRE    = regexp.MustCompile(`^[0-9a-f]{16,64}$`)
)

// scalar writes a value as YAML has it: plain where that can mean nothing else.
func scalar(s string) string {
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		return strconv.Quote(s)
	}
	if plainRE.MatchString(s) {
		return s
	}
	return strconv.QuoteToASCII(s)
}

// Bytes returns the lock file: the same bytes for the same lock, one line a
// fact, so that a diff shows what changed.
func (l *Lock) Bytes() []byte {
	w := &lockWriter{}
	w.WriteString(lockHead)
	w.line(0, "version", strconv.Itoa(LockVersion))
	w.texts(0, "traits", l.Traits)
	if len(l.Overrides) > 0 {
		w.WriteString("overrides:\n")
		for _, n := range slices.SortedFunc(maps.Keys(l.Overrides), compareNames) {
			w.line(1, strconv.Quote(n.String()), strconv.Quote(l.Overrides[n].String()))
		}
	}
	for _, k := range []Kind{Runtime, Build, Dev} {
		w.edges(0, string(k), k, l.Requires)
	}
	if len(l.Packages) > 0 {
		w.WriteString("packages:\n")
	}
	for _, n := range l.Names() {
		p := l.Packages[n]
		fmt.Fprintf(w, "  %q:\n", n.String())
		if !p.Version.IsZero() {
			w.line(2, "version", strconv.Quote(p.Version.String()))
		}
		w.some(2, "registry", p.Registry)
		w.some(2, "digest", p.Digest)
		w.some(2, "checksum", p.Checksum)
		w.some(2, "local", p.Local)
		w.some(2, "git", p.Git)
		w.some(2, "license", p.License)
		w.texts(2, "traits", p.Traits)
		w.edges(2, "dependencies", Runtime, p.Dependencies)
		w.edges(2, "build_dependencies", Build, p.Dependencies)
		if len(p.Builds) > 0 {
			w.WriteString("    builds:\n")
		}
		for _, key := range slices.Sorted(maps.Keys(p.Builds)) {
			b := p.Builds[key]
			w.line(3, scalar(key), fmt.Sprintf("{abi_id: %q, digest: %q}", b.ABI, b.Digest))
		}
		w.some(2, "signed_by", p.SignedBy)
		w.some(2, "signed_level", p.SignedLevel)
	}
	return w.Bytes()
}

type lockWriter struct{ bytes.Buffer }

func (w *lockWriter) line(depth int, key, value string) {
	fmt.Fprintf(w, "%s%s: %s\n", strings.Repeat("  ", depth), key, value)
}

func (w *lockWriter) some(depth int, key, value string) {
	if value != "" {
		w.line(depth, key, scalar(value))
	}
}

func (w *lockWriter) texts(depth int, key string, m map[string]string) {
	if len(m) == 0 {
		return
	}
	fmt.Fprintf(w, "%s%s:\n", strings.Repeat("  ", depth), key)
	for _, k := range slices.Sorted(maps.Keys(m)) {
		w.line(depth+1, scalar(k), strconv.QuoteToASCII(m[k]))
	}
}

func (w *lockWriter) edges(depth int, key string, kind Kind, all []Edge) {
	begun := false
	for i := range all {
		e := &all[i]
		if e.Kind != kind {
			continue
		}
		if !begun {
			fmt.Fprintf(w, "%s%s:\n", strings.Repeat("  ", depth), key)
			begun = true
		}
		value := strconv.Quote(e.Range.String())
		var more []string
		if len(e.Traits) > 0 {
			var ts []string
			for _, k := range slices.Sorted(maps.Keys(e.Traits)) {
				ts = append(ts, scalar(k)+": "+strconv.QuoteToASCII(e.Traits[k]))
			}
			more = append(more, "traits: {"+strings.Join(ts, ", ")+"}")
		}
		if e.Visibility != "" && e.Visibility != "public" {
			more = append(more, "visibility: "+e.Visibility)
		}
		if e.Optional {
			more = append(more, "optional: true")
		}
		if !e.When.IsZero() {
			more = append(more, "when: "+strconv.QuoteToASCII(e.When.String()))
		}
		if len(more) > 0 {
			value = "{version: " + value + ", " + strings.Join(more, ", ") + "}"
		}
		w.line(depth+1, strconv.Quote(e.Name.String()), value)
	}
}

// HasConflict reports whether a lock file holds the marks of an unfinished
// merge.
func HasConflict(data []byte) bool {
	_, _, ok := SplitConflict(data)
	return ok
}

// SplitConflict takes a lock file with the marks of an unfinished merge apart
// into what either side had. Each parses where that side's did, so that
// resolving anew can prefer the versions of one.
func SplitConflict(data []byte) (ours, theirs []byte, ok bool) {
	const both, left, base, right = 0, 1, 2, 3
	at := both
	for line := range bytes.Lines(data) {
		switch {
		case bytes.HasPrefix(line, []byte("<<<<<<<")):
			at, ok = left, true
		case bytes.HasPrefix(line, []byte("|||||||")) && at == left:
			at = base
		case bytes.HasPrefix(line, []byte("=======")) && (at == left || at == base):
			at = right
		case bytes.HasPrefix(line, []byte(">>>>>>>")) && at == right:
			at = both
		default:
			if at == both || at == left {
				ours = append(ours, line...)
			}
			if at == both || at == right {
				theirs = append(theirs, line...)
			}
		}
	}
	return ours, theirs, ok
}

// ParseLock reads a lock file, strictly: an unknown key, a value that is not
// what it should be, a dependency that is not in the file, anything that YAML
// has beyond mappings and text, refuse the whole. Errors are of kind
// ErrInvalid with the code "lock_invalid", or ErrConflict with
// "lock_merge_conflict" where a merge was left unfinished.
func ParseLock(data []byte) (*Lock, error) {
	if len(data) > MaxLockSize {
		return nil, clyde.Errorf(clyde.ErrTooLarge, "clyde.lock is %d bytes long: the limit is %d", len(data), MaxLockSize).WithCode("lock_invalid")
	}
	if HasConflict(data) {
		return nil, clyde.Errorf(clyde.ErrConflict, "clyde.lock has the marks of an unfinished merge").WithCode("lock_merge_conflict").
			Fix("merge package.yaml, then run clyde install: it keeps the versions of your side and adds what the other requires")
	}
	p := &lockParser{l: &Lock{Packages: map[clyde.Name]*LockedPackage{}}}
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&doc); err != nil {
		return nil, p.bad(nil, "it is not YAML: %v", err)
	}
	if err := dec.Decode(&yaml.Node{}); err == nil {
		return nil, p.bad(nil, "it has a second document")
	}
	if len(doc.Content) != 1 {
		return nil, p.bad(nil, "it is empty")
	}
	if err := p.document(doc.Content[0]); err != nil {
		return nil, err
	}
	return p.l, nil
}

type lockParser struct {
	l     *Lock
	edges int
}

func (p *lockParser) bad(n *yaml.Node, format string, args ...any) error {
	at := ""
	if n != nil {
		at = fmt.Sprintf(" line %d:", n.Line)
	}
	return clyde.Errorf(clyde.ErrInvalid, "clyde.lock:%s %s", at, fmt.Sprintf(format, args...)).WithCode("lock_invalid").
		Fix("take it from version control, or delete it and run clyde install")
}

// keys maps what may stand in a mapping to what reads it.
type keys map[string]func(*yaml.Node) error

// mapping calls read for each entry, after it has seen that keys are text, and
// each once.
func (p *lockParser) mapping(n *yaml.Node, what string, read func(key, value *yaml.Node) error) error {
	if n.Kind != yaml.MappingNode || n.Tag != "!!map" || n.Anchor != "" {
		return p.bad(n, "%s is not a mapping", what)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if k.Kind != yaml.ScalarNode || k.Tag != "!!str" || k.Anchor != "" || seen[k.Value] {
			return p.bad(k, "%s has a key that is not text, or twice", what)
		}
		seen[k.Value] = true
		if err := read(k, n.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (p *lockParser) object(n *yaml.Node, what string, ks keys) error {
	return p.mapping(n, what, func(k, v *yaml.Node) error {
		read, ok := ks[k.Value]
		if !ok {
			return p.bad(k, "%s has the unknown key %q", what, k.Value)
		}
		return read(v)
	})
}

// text reads a string; other scalars are refused, since they were not written
// by us.
func (p *lockParser) text(n *yaml.Node) (string, error) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" || n.Anchor != "" || len(n.Value) > MaxLockText {
		return "", p.bad(n, "want text of at most %d bytes", MaxLockText)
	}
	return n.Value, nil
}

func (p *lockParser) to(s *string, form *regexp.Regexp) func(*yaml.Node) error {
	return func(n *yaml.Node) (err error) {
		if *s, err = p.text(n); err == nil && (*s == "" || form != nil && !form.MatchString(*s)) {
			err = p.bad(n, "%q is not what belongs there", *s)
		}
		return err
	}
}

func (p *lockParser) toTexts(m *map[string]string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		*m = map[string]string{}
		return p.mapping(n, "traits", func(k, v *yaml.Node) (err error) {
			if len(k.Value) > MaxLockText {
				return p.bad(k, "want a name of at most %d bytes", MaxLockText)
			}
			(*m)[k.Value], err = p.text(v)
			return err
		})
	}
}

func (p *lockParser) document(n *yaml.Node) error {
	version := false
	err := p.object(n, "the file", keys{
		"version": func(v *yaml.Node) error {
			version = v.Kind == yaml.ScalarNode && v.Tag == "!!int" && v.Value == strconv.Itoa(LockVersion)
			if !version {
				return p.bad(v, "its version is %q, and this program knows %d", v.Value, LockVersion)
			}
			return nil
		},
		"traits":         p.toTexts(&p.l.Traits),
		"overrides":      p.overrides,
		"requires":       p.toEdges(&p.l.Requires, Runtime),
		"build_requires": p.toEdges(&p.l.Requires, Build),
		"dev_requires":   p.toEdges(&p.l.Requires, Dev),
		"packages":       p.packages,
	})
	if err != nil {
		return err
	}
	if !version {
		return p.bad(n, "it has no version")
	}
	slices.SortStableFunc(p.l.Requires, compareEdges)
	for _, name := range append([]clyde.Name{{}}, p.l.Names()...) {
		for _, e := range p.l.Edges(name, Want{Dev: true}) {
			if p.l.Packages[e.Name] == nil {
				return p.bad(nil, "%s is required and not among the packages", e.Name)
			}
		}
	}
	return nil
}

func (p *lockParser) name(n *yaml.Node) (clyde.Name, error) {
	name, err := clyde.ParseName(n.Value)
	if err != nil && !strings.HasPrefix(n.Value, "@") && clyde.CheckBase(n.Value) == nil {
		return clyde.Name{Base: n.Value}, nil // from a folder, which needs no namespace
	}
	if err != nil {
		return name, p.bad(n, "%s", clyde.AsError(err).Msg)
	}
	return name, nil
}

func (p *lockParser) overrides(n *yaml.Node) error {
	p.l.Overrides = map[clyde.Name]clyde.Range{}
	return p.mapping(n, "overrides", func(k, v *yaml.Node) error {
		name, err := p.name(k)
		if err != nil {
			return err
		}
		r, err := p.rangeOf(v)
		p.l.Overrides[name] = r
		return err
	})
}

func (p *lockParser) rangeOf(n *yaml.Node) (clyde.Range, error) {
	s, err := p.text(n)
	if err != nil {
		return clyde.Range{}, err
	}
	if s == "*" {
		return clyde.Range{}, nil
	}
	r, err := clyde.ParseRange(s)
	if err != nil {
		return r, p.bad(n, "%s", clyde.AsError(err).Msg)
	}
	return r, nil
}

func (p *lockParser) toEdges(to *[]Edge, kind Kind) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		return p.mapping(n, string(kind), func(k, v *yaml.Node) error {
			if p.edges++; p.edges > MaxPackages*20 {
				return p.bad(k, "it has more than %d dependencies", MaxPackages*20)
			}
			name, err := p.name(k)
			if err != nil {
				return err
			}
			e := Edge{Name: name, Kind: kind}
			if v.Kind == yaml.ScalarNode {
				if e.Range, err = p.rangeOf(v); err == nil {
					*to = append(*to, e)
				}
				return err
			}
			err = p.object(v, "the dependency on "+name.String(), keys{
				"version":    func(v *yaml.Node) (err error) { e.Range, err = p.rangeOf(v); return err },
				"traits":     p.toTexts(&e.Traits),
				"visibility": p.to(&e.Visibility, regexp.MustCompile(`^(private|interface)$`)),
				"optional": func(v *yaml.Node) error {
					if e.Optional = v.Kind == yaml.ScalarNode && v.Tag == "!!bool" && v.Value == "true"; !e.Optional {
						return p.bad(v, "optional is true or left out")
					}
					return nil
				},
				"when": func(v *yaml.Node) error {
					s, err := p.text(v)
					if err != nil {
						return err
					}
					if e.When, err = clyde.ParseCondition(s); err != nil {
						return p.bad(v, "%s", clyde.AsError(err).Msg)
					}
					return nil
				},
			})
			if err == nil {
				*to = append(*to, e)
			}
			return err
		})
	}
}

func (p *lockParser) packages(n *yaml.Node) error {
	return p.mapping(n, "packages", func(k, v *yaml.Node) error {
		if len(p.l.Packages) >= MaxPackages {
			return p.bad(k, "it has more than %d packages", MaxPackages)
		}
		name, err := p.name(k)
		if err != nil {
			return err
		}
		q := &LockedPackage{}
		err = p.object(v, name.String(), keys{
			"version": func(v *yaml.Node) error {
				s, err := p.text(v)
				if err != nil {
					return err
				}
				if q.Version, err = clyde.ParseVersion(s); err != nil {
					return p.bad(v, "%s", clyde.AsError(err).Msg)
				}
				return nil
			},
			"registry":           p.to(&q.Registry, nil),
			"digest":             p.to(&q.Digest, digestRE),
			"checksum":           p.to(&q.Checksum, digestRE),
			"local":              p.to(&q.Local, nil),
			"git":                p.to(&q.Git, nil),
			"license":            p.to(&q.License, nil),
			"traits":             p.toTexts(&q.Traits),
			"dependencies":       p.toEdges(&q.Dependencies, Runtime),
			"build_dependencies": p.toEdges(&q.Dependencies, Build),
			"builds":             p.builds(q),
			"signed_by":          p.to(&q.SignedBy, nil),
			"signed_level":       p.to(&q.SignedLevel, levelRE),
		})
		if err != nil {
			return err
		}
		slices.SortStableFunc(q.Dependencies, compareEdges)
		fromRegistry := q.Local == "" && q.Git == ""
		switch {
		case q.Version.IsZero() && fromRegistry:
			return p.bad(k, "%s has no version", name)
		case fromRegistry != (q.Digest != ""):
			return p.bad(k, "%s needs a digest, or local or git in place of one", name)
		case fromRegistry && name.Namespace == "":
			return p.bad(k, "%s has no namespace", name)
		}
		p.l.Packages[name] = q
		return nil
	})
}

func (p *lockParser) builds(q *LockedPackage) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		q.Builds = map[string]LockedBuild{}
		return p.mapping(n, "builds", func(k, v *yaml.Node) error {
			if len(q.Builds) >= MaxLockBuilds || len(k.Value) > MaxLockText {
				return p.bad(k, "a package has at most %d builds", MaxLockBuilds)
			}
			var b LockedBuild
			err := p.object(v, "a build", keys{"abi_id": p.to(&b.ABI, abiRE), "digest": p.to(&b.Digest, digestRE)})
			if err == nil && (b.ABI == "" || b.Digest == "") {
				err = p.bad(v, "a build has an abi_id and a digest")
			}
			q.Builds[k.Value] = b
			return err
		})
	}
}
