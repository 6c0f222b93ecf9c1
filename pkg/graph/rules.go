package graph

import (
	"embed"
	"slices"
	"strings"
	"sync"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Class is what a licence asks of those who link to what is under it.
type Class string

// The classes, from what asks for least.
const (
	PublicDomain    Class = "public-domain"
	Permissive      Class = "permissive"
	WeakCopyleft    Class = "weak-copyleft"    // changed files stay under it
	LibraryCopyleft Class = "library-copyleft" // and users must be able to replace the library
	StrongCopyleft  Class = "strong-copyleft"  // the program is under it as a whole
	NetworkCopyleft Class = "network-copyleft" // and those who use it over a network get its source
	Restricted      Class = "restricted"       // forbids some uses
	Proprietary     Class = "proprietary"      // says so in its name: LicenseRef-Proprietary
	Unknown         Class = "unknown"          // nobody said, or a text of somebody's own, or our table does not know it
)

// Classes lists all of them, from what asks for least.
var Classes = []Class{PublicDomain, Permissive, WeakCopyleft, LibraryCopyleft, StrongCopyleft, NetworkCopyleft, Restricted, Proprietary, Unknown}

func (c Class) rank() int { return slices.Index(Classes, c) }

//go:embed data
var data embed.FS

// conflict is one line of conflicts.tsv.
type conflict struct {
	id          string
	left, right []string
	source, why string
}

// tables are the files of data.
type tables struct {
	class     map[string]Class
	source    map[string]string // of the class, by licence
	conflicts []conflict
	effects   map[string]string // of exceptions
}

// linkingEffect is the effect of exceptions that let what is linked be.
const linkingEffect = "linking"

var rules = sync.OnceValue(func() *tables {
	t := &tables{class: map[string]Class{}, source: map[string]string{}, effects: map[string]string{}}
	for _, f := range rows("licenses") {
		t.class[f[0]], t.source[f[0]] = Class(f[1]), f[2]
	}
	for _, f := range rows("conflicts") {
		t.conflicts = append(t.conflicts, conflict{f[0], strings.Fields(f[1]), strings.Fields(f[2]), f[3], f[4]})
	}
	for _, f := range rows("exceptions") {
		t.effects[f[0]] = f[1]
	}
	return t
})

// rows reads a table that is part of the program; a test reads it too.
func rows(name string) [][]string {
	b, err := data.ReadFile("data/" + name + ".tsv")
	if err != nil {
		panic("graph: " + err.Error())
	}
	var out [][]string
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSuffix(line, "\n"); line != "" && line[0] != '#' {
			out = append(out, strings.Split(line, "\t"))
		}
	}
	return out
}

// ClassOf returns the class of one SPDX identifier.
func ClassOf(id string) Class {
	if own := strings.ToLower(id); strings.Contains(own, "licenseref-") && (strings.Contains(own, "proprietary") || strings.Contains(own, "commercial")) {
		return Proprietary
	}
	if c, ok := rules().class[id]; ok {
		return c
	}
	return Unknown
}

// atom is one licence of an alternative.
type atom struct{ id, exception string }

func (a atom) String() string {
	if a.exception != "" {
		return a.id + " WITH " + a.exception
	}
	return a.id
}

// class is ClassOf, with what the exception changes.
func (a atom) class() Class {
	c := ClassOf(a.id)
	if rules().effects[a.exception] == linkingEffect && (c == LibraryCopyleft || c == StrongCopyleft || c == NetworkCopyleft) {
		return WeakCopyleft
	}
	return c
}

// matches reports whether one side of a rule means a.
func (a atom) matches(side []string, rule string) bool {
	effect := rules().effects[a.exception]
	if effect == rule || effect == linkingEffect {
		return false
	}
	return slices.Contains(side, a.id) || slices.Contains(side, "@"+string(a.class()))
}

// clash returns the rule by which two licences exclude each other in one
// program, or nil, and whether a is the right side of it.
func clash(a, b atom) (rule *conflict, turned bool) {
	for i := range rules().conflicts {
		c := &rules().conflicts[i]
		if a.matches(c.left, c.id) && b.matches(c.right, c.id) {
			return c, false
		}
		if b.matches(c.left, c.id) && a.matches(c.right, c.id) {
			return c, true
		}
	}
	return nil, false
}

// later lists what "or any later version" of a licence may be read as, the
// version itself first.
var later = map[string][]string{
	"GPL-1.0":  {"GPL-1.0-only", "GPL-2.0-only", "GPL-3.0-only"},
	"GPL-2.0":  {"GPL-2.0-only", "GPL-3.0-only"},
	"GPL-3.0":  {"GPL-3.0-only"},
	"LGPL-2.0": {"LGPL-2.0-only", "LGPL-2.1-only", "LGPL-3.0-only"},
	"LGPL-2.1": {"LGPL-2.1-only", "LGPL-3.0-only"},
	"LGPL-3.0": {"LGPL-3.0-only"},
	"AGPL-1.0": {"AGPL-1.0-only", "AGPL-3.0-only"},
	"AGPL-3.0": {"AGPL-3.0-only"},
}

// oldForms are deprecated identifiers that hold an exception.
var oldForms = map[string]atom{
	"GPL-2.0-with-GCC-exception":       {"GPL-2.0-only", "GCC-exception-2.0"},
	"GPL-3.0-with-GCC-exception":       {"GPL-3.0-only", "GCC-exception-3.1"},
	"GPL-2.0-with-classpath-exception": {"GPL-2.0-only", "Classpath-exception-2.0"},
	"eCos-2.0":                         {"GPL-2.0-only", "eCos-exception-2.0"},
	"wxWindows":                        {"LGPL-2.0-only", "WxWindows-exception-3.1"},
}

// readings lists what one licence of an expression may be taken as.
func readings(l clyde.License) []atom {
	if a, ok := oldForms[l.ID]; ok {
		return []atom{a}
	}
	base, orLater := strings.CutSuffix(strings.TrimSuffix(l.ID, "+"), "-or-later")
	orLater = orLater || l.OrLater || strings.HasSuffix(l.ID, "+")
	base = strings.TrimSuffix(base, "-only")
	versions, known := later[base]
	if !known {
		return []atom{{l.ID, l.Exception}}
	}
	if !orLater {
		versions = versions[:1]
	}
	out := make([]atom, len(versions))
	for i, v := range versions {
		out[i] = atom{v, l.Exception}
	}
	return out
}
