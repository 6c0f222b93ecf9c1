package resolve

import (
	"maps"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Kind says which list of package.yaml a requirement stands in.
type Kind string

// The kinds of requirement.
const (
	Runtime Kind = "requires"
	Dev     Kind = "dev_requires"   // of the project alone
	Build   Kind = "build_requires" // tools that run on the building machine
)

// rank orders the kinds: what runs, what builds, what tests.
func (k Kind) rank() int {
	switch k {
	case Runtime:
		return 0
	case Build:
		return 1
	}
	return 2
}

// Requirement is one package that a candidate needs.
type Requirement struct {
	Name       clyde.Name
	Range      clyde.Range // zero: any release
	Kind       Kind
	Traits     map[string]string // values that it asks of the other's traits
	Visibility string            // public | private | interface; "" is public
	// Optional requirements count only where the trait of the other package's
	// base name is true: "@x/openssl" where the trait openssl is. A candidate
	// that does not declare that trait has it all the same, false by default.
	Optional bool
	When     clyde.Condition // on the platform and the candidate's own traits
	Local    string          // a folder that stands in for every version
	Git      string          // the same, from git
}

// Candidate is one version of a package, with all that resolving needs.
type Candidate struct {
	Version   clyde.Version
	Registry  string // host that it comes from; may be empty
	Digest    string // of the manifest
	Checksum  string // of the source archive
	Size      int64  // bytes of the source archive
	Requires  []Requirement
	Conflicts []Requirement // packages and ranges that may not stand beside it; Name, Range and When count
	Traits    []clyde.Trait
	Provides  []string // link names
	Supports  string   // expression over platforms
	License   string
	Yanked    string // why; empty where it is not
	Local     string // folder that it was read from, for a package outside any registry
	Git       string
	// Unusable, when set, says why this version cannot be used at all: "it has
	// a condition that this program cannot read".
	Unusable string
}

// trait returns the trait called name, that of an optional requirement
// included.
func (c *Candidate) trait(name string) (clyde.Trait, bool) {
	for _, t := range c.Traits {
		if t.Name == name {
			return t, true
		}
	}
	for i := range c.Requires {
		if c.Requires[i].Optional && c.Requires[i].Name.Base == name {
			return clyde.Trait{Name: name, Type: "bool", Default: "false"}, true
		}
	}
	return clyde.Trait{}, false
}

// defaultOf returns the value of a trait that nobody asks for.
func defaultOf(t clyde.Trait) string {
	switch {
	case t.Default != "":
		return t.Default
	case t.Type == "bool":
		return "false"
	case t.Type == "enum" && len(t.Values) > 0:
		return t.Values[0]
	}
	return ""
}

// accepts reports whether the candidate has a trait of that name and value.
func (c *Candidate) accepts(name, value string) bool {
	t, ok := c.trait(name)
	switch {
	case !ok:
		return value == "" // what a condition reads of a trait that is not declared
	case t.Type == "bool":
		return value == "true" || value == "false"
	case t.Type == "enum":
		return slices.Contains(t.Values, value)
	}
	return true
}

// traitNames lists all traits, those of optional requirements included, sorted.
func (c *Candidate) traitNames() []string {
	var names []string
	for _, t := range c.Traits {
		names = append(names, t.Name)
	}
	for i := range c.Requires {
		if c.Requires[i].Optional {
			names = append(names, c.Requires[i].Name.Base)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// conditional reports which traits decide whether r counts.
func (r *Requirement) conditional() []string {
	if r.When.IsZero() && !r.Optional {
		return nil
	}
	names := r.When.Traits()
	if r.Optional && !slices.Contains(names, r.Name.Base) {
		names = append(names, r.Name.Base)
		slices.Sort(names)
	}
	return names
}

// counts evaluates r for a platform (nil: any) under the traits that trait
// tells; it answers "" and false for one that is not known.
func (r *Requirement) counts(p *Platform, trait func(name string) (string, bool)) clyde.Truth {
	if r.When.IsZero() && !r.Optional {
		return clyde.True
	}
	truth := r.When.Eval(func(key, value string) clyde.Truth {
		if name, ok := strings.CutPrefix(key, "trait."); ok {
			v, known := trait(name)
			if !known {
				return clyde.Unknown
			}
			return clyde.TruthOf(v == value)
		}
		return p.is(key, value)
	})
	if r.Optional {
		v, known := trait(r.Name.Base)
		if !known {
			return min(truth, clyde.Unknown)
		}
		truth = min(truth, clyde.TruthOf(v == "true"))
	}
	return truth
}

// same reports whether two requirements mean the same, so that one rule serves
// all versions that have it.
func (r *Requirement) same(o *Requirement) bool {
	return r.Name == o.Name && r.Kind == o.Kind && r.Optional == o.Optional && r.Local == o.Local && r.Git == o.Git &&
		r.Range.Equal(o.Range) && r.When.String() == o.When.String() && maps.Equal(r.Traits, o.Traits)
}

// compareRequirements orders by kind, requires first, then name, then all else.
func compareRequirements(a, b Requirement) int {
	if d := a.Kind.rank() - b.Kind.rank(); d != 0 {
		return d
	}
	if d := compareNames(a.Name, b.Name); d != 0 {
		return d
	}
	if d := strings.Compare(a.Range.String(), b.Range.String()); d != 0 {
		return d
	}
	return strings.Compare(a.When.String(), b.When.String())
}

func compareNames(a, b clyde.Name) int {
	if d := strings.Compare(a.Namespace, b.Namespace); d != 0 {
		return d
	}
	return strings.Compare(a.Base, b.Base)
}

// FromManifest returns m as a candidate: the project to resolve for, or a
// package in a folder. An ErrInvalid error names a requirement without a
// namespace or a condition that cannot be read.
func FromManifest(m *clyde.Manifest) (Candidate, error) {
	c := Candidate{Version: m.Version, Traits: m.Traits, Provides: m.Provides, Supports: m.Supports, License: m.License}
	for _, list := range []struct {
		kind Kind
		from []clyde.Requirement
		to   *[]Requirement
	}{
		{Runtime, m.Requires, &c.Requires},
		{Build, m.BuildRequires, &c.Requires},
		{Dev, m.DevRequires, &c.Requires},
		{Runtime, m.Conflicts, &c.Conflicts},
	} {
		for _, q := range list.from {
			r := Requirement{Range: q.Range, Kind: list.kind, Traits: q.Traits, Visibility: q.Visibility, Optional: q.Optional, Local: q.Local, Git: q.Git}
			var err error
			if r.When, err = clyde.ParseCondition(q.When); err != nil {
				return Candidate{}, err
			}
			switch {
			case strings.HasPrefix(q.Name, "@"):
				if r.Name, err = clyde.ParseName(q.Name); err != nil {
					return Candidate{}, err
				}
			case q.Local != "" || q.Git != "":
				r.Name = clyde.Name{Base: q.Name}
			default:
				return Candidate{}, clyde.Errorf(clyde.ErrInvalid, "the requirement %q has no namespace, and no registry has packages without one", q.Name).
					WithCode("name_unqualified").Fix("write \"@NAMESPACE/%s\"; clyde search %s lists candidates", q.Name, q.Name)
			}
			*list.to = append(*list.to, r)
		}
	}
	slices.SortFunc(c.Requires, compareRequirements)
	slices.SortFunc(c.Conflicts, compareRequirements)
	return c, nil
}
