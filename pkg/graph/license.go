package graph

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Limits of reading licences. Ours: real expressions have a handful of
// alternatives, and real graphs a handful of different expressions.
const (
	MaxAlternatives = 64     // of one expression; one with more is unknown
	MaxChoices      = 20_000 // combinations looked at; then the best so far is taken
)

// Policy is what somebody does not want in a program. An entry is an SPDX
// identifier, or a Class.
type Policy struct {
	Deny  []string // none of these
	Allow []string // where there are any, nothing else
}

// Licenses is what the licences of a graph come to.
type Licenses struct {
	Packages  []PackageLicense  `json:"packages" doc:"by name"`
	Summary   []LicenseCount    `json:"summary" doc:"packages under each licence, most first"`
	Conflicts []LicenseConflict `json:"conflicts" doc:"licences that exclude each other in one program"`
	Notices   []LicenseNotice   `json:"notices" doc:"what to look at or to do; not legal advice"`
}

// PackageLicense is the licence of one package.
type PackageLicense struct {
	Name    string `json:"name" example:"@acme/zlib"`
	Version string `json:"version" example:"1.3.1"`
	License string `json:"license" doc:"as the package says; empty where it says nothing" example:"Apache-2.0 OR MIT"`
	Chosen  string `json:"chosen,omitempty" doc:"of alternatives, the one that fits the others" example:"MIT"`
	Class   Class  `json:"class" doc:"what it asks of those who link to it" enum:"public-domain,permissive,weak-copyleft,library-copyleft,strong-copyleft,network-copyleft,restricted,proprietary,unknown"`
	Linked  bool   `json:"linked" doc:"part of the program; false: a tool, or for development only"`
}

// LicenseCount is how many packages are under one licence.
type LicenseCount struct {
	License  string `json:"license" example:"MIT"`
	Packages int    `json:"packages" doc:"how many"`
}

// LicenseConflict is two packages whose licences exclude each other.
type LicenseConflict struct {
	Rule     string    `json:"rule" doc:"which line of our table says so" example:"gpl2-apache2"`
	Packages [2]string `json:"packages" doc:"the first is under the licence that forbids it"`
	Licenses [2]string `json:"licenses" doc:"of the two packages, in that order"`
	Text     string    `json:"text" doc:"a sentence"`
	Source   string    `json:"source" doc:"who says so"`
}

// LicenseNotice is something that somebody has to look at or to do.
type LicenseNotice struct {
	Code    string `json:"code" doc:"what it is about" enum:"license_none,license_unknown,license_relink,license_files,license_whole,license_network,license_restricted,license_denied"`
	Package string `json:"package" doc:"whom it is about" example:"@acme/zlib"`
	Text    string `json:"text"`
	Source  string `json:"source,omitempty" doc:"where to read more"`
}

// Denied lists the notices that a Policy caused.
func (l *Licenses) Denied() []LicenseNotice {
	return slices.DeleteFunc(slices.Clone(l.Notices), func(n LicenseNotice) bool { return n.Code != "license_denied" })
}

// alternative is one way to take an expression: licences that hold together.
type alternative []atom

func (a alternative) String() string {
	parts := make([]string, len(a))
	for i := range a {
		parts[i] = a[i].String()
	}
	return strings.Join(parts, " AND ")
}

// class is that of the licence that asks for most.
func (a alternative) class() Class {
	if len(a) == 0 {
		return Unknown
	}
	return slices.MaxFunc(a, func(x, y atom) int { return cmp.Compare(x.class().rank(), y.class().rank()) }).class()
}

// ClassOfExpression returns what an expression asks for, where one may choose,
// the least; Unknown for what is none.
func ClassOfExpression(expr string) Class {
	if ways := alternatives(expr); len(ways) > 0 {
		return ways[0].class()
	}
	return Unknown
}

// alternatives lists the ways to take an expression, those that ask for least
// first; none where it is no expression, or has too many.
func alternatives(expr string) []alternative {
	l, err := clyde.ParseLicense(expr)
	if expr == "" || err != nil {
		return nil
	}
	out, ok := expand(l)
	if !ok {
		return nil
	}
	slices.SortStableFunc(out, func(a, b alternative) int { return cmp.Compare(a.class().rank(), b.class().rank()) })
	return out
}

func expand(l clyde.License) (out []alternative, ok bool) {
	switch l.Op {
	case clyde.LicenseOr:
		for _, t := range l.Terms {
			some, ok := expand(t)
			if out = append(out, some...); !ok || len(out) > MaxAlternatives {
				return nil, false
			}
		}
	case clyde.LicenseAnd:
		out = []alternative{nil}
		for _, t := range l.Terms {
			some, ok := expand(t)
			if !ok || len(out)*len(some) > MaxAlternatives {
				return nil, false
			}
			var joined []alternative
			for _, a := range out {
				for _, b := range some {
					joined = append(joined, slices.Concat(a, b))
				}
			}
			out = joined
		}
	default:
		for _, a := range readings(l) {
			out = append(out, alternative{a})
		}
	}
	return out, true
}

// refuses returns why the policy does not want an alternative, or "".
func (p Policy) refuses(a alternative) string {
	for _, x := range a {
		for _, id := range []string{x.id, string(x.class())} {
			if slices.Contains(p.Deny, id) {
				return id + " is denied"
			}
		}
		if len(p.Allow) > 0 && !slices.Contains(p.Allow, x.id) && !slices.Contains(p.Allow, string(x.class())) {
			return x.String() + " is not allowed"
		}
	}
	return ""
}

// Check refuses a policy with an entry that is neither an identifier nor a
// class: a misspelt one would let everything pass. "-or-later" counts as the
// version alone, and so do the deprecated names of the same.
func (p *Policy) Check() error {
	for _, list := range []*[]string{&p.Deny, &p.Allow} {
		var out []string
		for _, s := range *list {
			if slices.Contains(Classes, Class(s)) {
				out = append(out, s)
				continue
			}
			l, err := clyde.ParseLicense(s)
			if err == nil && l.Op != "" {
				err = clyde.Errorf(clyde.ErrInvalid, "%q joins licences: name one at a time", s).WithCode("license_invalid")
			}
			if err != nil {
				return clyde.AsError(err).Fix("name a class instead: %s", joinClasses())
			}
			for _, a := range readings(l) {
				out = append(out, a.id)
			}
		}
		*list = out
	}
	return nil
}

func joinClasses() string {
	names := make([]string, len(Classes))
	for i, c := range Classes {
		names[i] = string(c)
	}
	return strings.Join(names, ", ")
}

// expression is one licence expression of the program, and how it is taken.
type expression struct {
	text   string
	ways   []alternative
	chosen int
}

// Licenses chooses among alternatives so that as little as possible excludes
// each other or is refused by p, and reports what is left. p has been checked.
func (g *Graph) Licenses(p Policy) Licenses {
	linked := g.Linked()
	var exprs []*expression
	byText := map[string]*expression{}
	take := func(text string) *expression {
		if e := byText[text]; e != nil {
			return e
		}
		e := &expression{text: text, ways: alternatives(text)}
		byText[text] = e
		if len(e.ways) > 0 {
			exprs = append(exprs, e)
		}
		return e
	}
	take(g.Root.License)
	for i := range g.Packages {
		if linked[i] {
			take(g.Packages[i].License)
		}
	}
	choose(exprs, p)
	for i := range g.Packages { // tools: nothing but the policy is asked of them
		if e := byText[g.Packages[i].License]; e == nil {
			e = &expression{text: g.Packages[i].License, ways: alternatives(g.Packages[i].License)}
			choose([]*expression{e}, p)
			byText[e.text] = e
		}
	}
	out := Licenses{Packages: make([]PackageLicense, len(g.Packages)), Summary: []LicenseCount{}, Conflicts: []LicenseConflict{}, Notices: []LicenseNotice{}}
	counts := map[string]int{}
	for i := range g.Packages {
		q := &g.Packages[i]
		e := byText[q.License]
		pl := PackageLicense{Name: q.Name.String(), Version: q.Version.String(), License: q.License, Class: Unknown, Linked: linked[i]}
		if len(e.ways) > 0 {
			way := e.ways[e.chosen]
			pl.Class = way.class()
			if len(e.ways) > 1 {
				pl.Chosen = way.String()
			}
		}
		out.Packages[i] = pl
		counts[cmp.Or(q.License, "none")]++
		out.Notices = append(out.Notices, g.notices(q, e, linked[i], p)...)
	}
	for _, text := range slices.Sorted(maps.Keys(counts)) {
		out.Summary = append(out.Summary, LicenseCount{text, counts[text]})
	}
	slices.SortStableFunc(out.Summary, func(a, b LicenseCount) int { return cmp.Compare(b.Packages, a.Packages) })
	out.Conflicts = append(out.Conflicts, g.conflicts(linked, byText)...)
	return out
}

// choose sets chosen of every expression: the combination with the fewest
// conflicts and refusals, and among those the one that asks for least.
func choose(exprs []*expression, p Policy) {
	best, cost := make([]int, len(exprs)), -1
	now := make([]int, len(exprs))
	left := MaxChoices
	var try func(i, so int)
	try = func(i, so int) {
		if left--; left < 0 && cost >= 0 || cost >= 0 && so >= cost {
			return
		}
		if i == len(exprs) {
			cost = so
			copy(best, now)
			return
		}
		for k, way := range exprs[i].ways {
			add := 0
			if p.refuses(way) != "" {
				add++
			}
			for j := range i {
				if rule, _, _ := clashing(way, exprs[j].ways[now[j]]); rule != nil {
					add++
				}
			}
			now[i] = k
			try(i+1, so+add)
			if cost == 0 {
				return
			}
		}
	}
	try(0, 0)
	for i, e := range exprs {
		e.chosen = best[i]
	}
}

// clashing returns the first rule that two alternatives break, with the licence
// that forbids it first.
func clashing(a, b alternative) (rule *conflict, forbids, forbidden atom) {
	for _, x := range a {
		for _, y := range b {
			if c, turned := clash(x, y); c != nil && !turned {
				return c, x, y
			} else if c != nil {
				return c, y, x
			}
		}
	}
	return nil, atom{}, atom{}
}

// conflicts lists the pairs of packages of the program that exclude each other.
func (g *Graph) conflicts(linked []bool, byText map[string]*expression) []LicenseConflict {
	type member struct {
		name string
		way  alternative
	}
	var all []member
	if e := byText[g.Root.License]; len(e.ways) > 0 {
		name := "the project"
		if !g.Root.Name.IsZero() {
			name = g.Root.Name.String()
		}
		all = append(all, member{name, e.ways[e.chosen]})
	}
	for i := range g.Packages {
		if e := byText[g.Packages[i].License]; linked[i] && len(e.ways) > 0 {
			all = append(all, member{g.Packages[i].Name.String(), e.ways[e.chosen]})
		}
	}
	var out []LicenseConflict
	for i, a := range all {
		for _, b := range all[i+1:] {
			rule, forbids, forbidden := clashing(a.way, b.way)
			if rule == nil {
				continue
			}
			first, second := a.name, b.name
			if !slices.Contains(a.way, forbids) || !slices.Contains(b.way, forbidden) {
				first, second = second, first
			}
			out = append(out, LicenseConflict{
				Rule: rule.id, Packages: [2]string{first, second}, Licenses: [2]string{forbids.String(), forbidden.String()},
				Text:   fmt.Sprintf("%s is under %s, which excludes %s of %s: %s", first, forbids, forbidden, second, rule.why),
				Source: rule.source,
			})
			if len(out) == MaxFindings {
				return out
			}
		}
	}
	return out
}

// notices says what somebody has to do about one package.
func (g *Graph) notices(q *Package, e *expression, linked bool, p Policy) (out []LicenseNotice) {
	add := func(code, source, format string, args ...any) {
		out = append(out, LicenseNotice{Code: code, Package: q.Name.String(), Text: q.Name.String() + " " + fmt.Sprintf(format, args...), Source: source})
	}
	var way alternative
	switch {
	case len(e.ways) > 0:
		way = e.ways[e.chosen]
	case q.License != "":
		add("license_unknown", "", "has the licence %q, which cannot be read: read it yourself", q.License)
	case q.LicenseFile != "":
		add("license_unknown", "", "has its licence in %s alone: read it there", q.LicenseFile)
	default:
		add("license_none", "https://choosealicense.com/no-permission/", "has no licence: nobody may use it without asking its authors")
	}
	if why := p.refuses(way); why != "" {
		add("license_denied", "", "is under %s: %s", way, why)
	} else if len(way) == 0 && (slices.Contains(p.Deny, string(Unknown)) || len(p.Allow) > 0 && !slices.Contains(p.Allow, string(Unknown))) {
		add("license_denied", "", "is under a licence that is not known, which is not allowed")
	}
	if !linked {
		return out
	}
	for _, a := range way {
		source := rules().source[a.id]
		switch a.class() {
		case WeakCopyleft:
			add("license_files", source, "is under %s: pass on the source of its files that you change", a)
		case LibraryCopyleft:
			switch q.Linkage {
			case Shared, Headers:
				add("license_files", source, "is under %s: pass on the source of the library as you changed it", a)
			default:
				add("license_relink", source, "is under %s: link it as a shared library, or give your users what they need to link the program anew", a)
			}
		case StrongCopyleft:
			add("license_whole", source, "is under %s: whoever gets the program gets all of its source, under that licence", a)
		case NetworkCopyleft:
			add("license_network", source, "is under %s: whoever uses the program over a network, too, gets all of its source", a)
		case Restricted:
			add("license_restricted", source, "is under %s, which forbids some uses: read it", a)
		case Proprietary, Unknown:
			add("license_unknown", "", "is under %s, which has no entry in our table: read it", a)
		}
	}
	return out
}
