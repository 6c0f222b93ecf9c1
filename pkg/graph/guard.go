package graph

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// MaxFindings is how many findings of one kind a report holds. Ours: whoever
// has read a hundred knows what is wrong.
const MaxFindings = 100

// Kinds of Collision.
const (
	LinkName   = "link_name"   // what provides says
	SOName     = "soname"      // the loader takes one of them for both
	HeaderPath = "header_path" // which one is included depends on the order of the flags
	Symbol     = "symbol"      // the linker takes one, or refuses
)

// Collision is packages that get into each other's way in one program.
type Collision struct {
	Kind     string   `json:"kind" enum:"link_name,soname,header_path,symbol"`
	Value    string   `json:"value" doc:"the first of what they share" example:"zlib.h"`
	More     int      `json:"more" doc:"how many others they share"`
	Packages []string `json:"packages" doc:"by name"`
	Text     string   `json:"text" doc:"a sentence"`
}

// Fatal reports whether programs go wrong by it, rather than might.
func (c *Collision) Fatal() bool { return c.Kind != HeaderPath }

// Duplicate is two packages that seem to be one upstream.
type Duplicate struct {
	Packages [2]string `json:"packages" doc:"the two, by name"`
	Evidence []string  `json:"evidence" doc:"sentences"`
}

// entryPoints may be defined by several libraries, of which a program links one
// on purpose: those of test frameworks.
var entryPoints = []string{"main", "wmain", "WinMain", "wWinMain", "DllMain", "_start", "_init", "_fini"}

// Collisions lists what the packages of the program share and may not, by kind,
// packages and value. The project itself counts.
func (g *Graph) Collisions() []Collision {
	linked := g.Linked()
	var all []*Package
	if !g.Root.Name.IsZero() {
		all = append(all, &g.Root)
	}
	for i := range g.Packages {
		if linked[i] {
			all = append(all, &g.Packages[i])
		}
	}
	out := []Collision{}
	for _, k := range []struct {
		kind string
		of   func(*Package) []string
		text string
	}{
		{LinkName, func(p *Package) []string { return p.Provides }, "provide the link name %s: only one of them can be in a program"},
		{SOName, func(p *Package) []string { return p.SONames }, "have a shared library %s: a program loads one of them for all"},
		{Symbol, g.own, "define %s: the linker takes one of them for all, or refuses"},
		{HeaderPath, func(p *Package) []string { return p.Headers }, "have a header <%s>: which one is included depends on the order of the flags"},
	} {
		out = append(out, collisions(all, k.kind, k.of, k.text)...)
	}
	return out
}

// own lists the symbols that are a package's own. A shared library has the
// archives in it that it was linked with: what it shares with those that it
// requires is theirs.
func (g *Graph) own(p *Package) []string {
	if p.Linkage != Shared || len(p.Symbols) == 0 {
		return p.Symbols
	}
	theirs := map[string]bool{}
	seen := map[clyde.Name]bool{}
	var visit func(edges []resolve.Edge)
	visit = func(edges []resolve.Edge) {
		for _, e := range edges {
			q := g.Find(e.Name)
			if q == nil || q == p || seen[e.Name] {
				continue
			}
			seen[e.Name] = true
			for _, s := range q.Symbols {
				theirs[s] = true
			}
			visit(q.Requires)
		}
	}
	visit(p.Requires)
	return slices.DeleteFunc(slices.Clone(p.Symbols), func(s string) bool { return theirs[s] })
}

func collisions(all []*Package, kind string, of func(*Package) []string, text string) []Collision {
	owners := map[string][]int{}
	for i, p := range all {
		for _, v := range of(p) {
			if at := owners[v]; (len(at) == 0 || at[len(at)-1] != i) && (kind != Symbol || !slices.Contains(entryPoints, v)) {
				owners[v] = append(at, i)
			}
		}
	}
	groups := map[string]*Collision{} // by who shares
	for _, v := range slices.Sorted(maps.Keys(owners)) {
		if len(owners[v]) < 2 {
			continue
		}
		names := make([]string, len(owners[v]))
		for i, k := range owners[v] {
			names[i] = all[k].Name.String()
		}
		slices.Sort(names)
		key := strings.Join(names, " ")
		if c := groups[key]; c != nil {
			c.More++
			continue
		}
		who := strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
		all := "all"
		if len(names) == 2 {
			all = "both"
		}
		groups[key] = &Collision{Kind: kind, Value: v, Packages: names, Text: who + " " + all + " " + fmt.Sprintf(text, v)}
	}
	var out []Collision
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		c := groups[key]
		if c.More > 0 {
			c.Text += fmt.Sprintf(", and so it is with %d more", c.More)
		}
		if out = append(out, *c); len(out) == MaxFindings {
			break
		}
	}
	return out
}

// Duplicates lists packages that seem to be one upstream, by name: those of two
// namespaces that have one repository, one link name, or one base name and a
// header in common.
func (g *Graph) Duplicates() []Duplicate {
	groups := map[string][]int{}
	for i := range g.Packages {
		p := &g.Packages[i]
		for _, key := range clues(p) {
			groups[key] = append(groups[key], i)
		}
	}
	pairs := map[[2]int]bool{}
	for _, members := range groups {
		// A hub that everybody names says nothing.
		if len(members) > maxClue {
			continue
		}
		for x, i := range members {
			for _, k := range members[x+1:] {
				if g.Packages[i].Name.Namespace != g.Packages[k].Name.Namespace {
					pairs[[2]int{i, k}] = true
				}
			}
		}
	}
	out := []Duplicate{}
	order := slices.SortedFunc(maps.Keys(pairs), func(a, b [2]int) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	for _, pair := range order {
		a, b := &g.Packages[pair[0]], &g.Packages[pair[1]]
		if why := evidence(a, b); len(why) > 0 && len(out) < MaxFindings {
			out = append(out, Duplicate{[2]string{a.Name.String(), b.Name.String()}, why})
		}
	}
	return out
}

// maxClue is how many packages may share what makes two of them duplicates.
// Ours: more is a monorepo, or a word that everybody uses.
const maxClue = 50

// clues is by what a package may be another's duplicate.
func clues(p *Package) []string {
	keys := []string{"name " + baseIdentity(p)}
	if r := sameRepository(p.Repository); r != "" {
		keys = append(keys, "repository "+r)
	}
	for _, s := range p.Provides {
		keys = append(keys, "provides "+s)
	}
	return keys
}

func baseIdentity(p *Package) string {
	id := p.Name.Identity()
	return id[strings.LastIndexByte(id, '/')+1:]
}

// evidence says why two packages seem to be one.
func evidence(a, b *Package) (why []string) {
	if r := sameRepository(a.Repository); r != "" && r == sameRepository(b.Repository) {
		why = append(why, "both name the repository "+r)
	}
	if s := shared(a.Provides, b.Provides); len(s) > 0 {
		why = append(why, "both provide the link name "+s[0])
	}
	headers := shared(a.Headers, b.Headers)
	if len(headers) > 0 && (len(why) > 0 || baseIdentity(a) == baseIdentity(b)) {
		if baseIdentity(a) == baseIdentity(b) {
			why = append(why, "both are called "+a.Name.Base)
		}
		why = append(why, fmt.Sprintf("they share %d of %d and %d headers, <%s> among them", len(headers), len(a.Headers), len(b.Headers), headers[0]))
	}
	return why
}

// shared lists what is in both, sorted.
func shared(a, b []string) []string {
	in := make(map[string]bool, len(a))
	for _, s := range a {
		in[s] = true
	}
	var out []string
	for _, s := range b {
		if in[s] {
			out = append(out, s)
			in[s] = false
		}
	}
	slices.Sort(out)
	return out
}

// sameRepository is an address without what does not tell two repositories
// apart: "github.com/madler/zlib".
func sameRepository(address string) string {
	u, err := url.Parse(strings.TrimPrefix(address, "git+"))
	if err != nil || u.Host == "" {
		return ""
	}
	path := strings.ToLower(strings.TrimSuffix(strings.Trim(u.Path, "/"), ".git"))
	if path == "" {
		return ""
	}
	return strings.TrimPrefix(strings.ToLower(u.Host), "www.") + "/" + path
}
