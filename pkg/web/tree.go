package web

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// Limits of what the page of dependencies shows. Ours: whoever reads more wants
// the API.
const (
	maxBranches = 400 // lines of the tree
	maxDrawn    = 60  // packages in the picture
)

// branch is one line of the tree of dependencies.
type branch struct {
	resolve.PackageView
	Range string
	Kind  string // "" is what is linked
	When  string
	Again bool // it was opened before
	Whole int64
	Below []*branch
}

// wholePart is what the page says of everything that a version needs.
type wholePart struct {
	catalog.Whole
	Tree    []*branch
	Cut     bool // the tree has more lines than are shown
	Picture *picture
	Failure []string // why it cannot be had
}

// whole asks for everything that a version needs. That it cannot be had, or is
// too large to be looked at, is something that the page says.
func (s *Web) whole(r request, ref catalog.Ref) (*wholePart, error) {
	w, err := s.o.Catalog.Whole(r.Context(), r.who, ref)
	if err != nil {
		if f, ok := resolve.IsUnsatisfiable(err); ok {
			return &wholePart{Failure: f.Lines}, nil
		}
		if e := clyde.AsError(err); e.Code != "" {
			return &wholePart{Failure: []string{e.Msg}}, nil
		}
		return nil, err
	}
	if len(w.Packages) == 0 {
		return nil, nil
	}
	p := &wholePart{Whole: w}
	g := newGrove(&w)
	p.Tree = g.grow(w.Direct)
	p.Cut = g.left < 0
	if len(w.Packages) <= maxDrawn {
		p.Picture = draw(ref, &w)
	}
	return p, nil
}

// grove makes the tree: what was opened once is not opened again.
type grove struct {
	by     map[string]resolve.PackageView
	whole  map[string]int64
	opened map[string]bool
	left   int
}

func newGrove(w *catalog.Whole) *grove {
	g := &grove{by: map[string]resolve.PackageView{}, whole: map[string]int64{}, opened: map[string]bool{}, left: maxBranches}
	for _, p := range w.Packages {
		g.by[p.Name] = p
	}
	for _, e := range w.Sizes.Each {
		g.whole[e.Name] = e.Whole
	}
	return g
}

func (g *grove) grow(edges []resolve.EdgeView) (out []*branch) {
	for _, e := range edges {
		p, ok := g.by[e.Name]
		if !ok {
			continue
		}
		if g.left--; g.left < 0 {
			return out
		}
		b := &branch{PackageView: p, Range: e.Range, When: e.When, Whole: g.whole[e.Name], Again: g.opened[e.Name] && len(p.Dependencies) > 0}
		if e.Kind != resolve.Runtime {
			b.Kind = string(e.Kind)
		}
		out = append(out, b)
		if !g.opened[e.Name] {
			g.opened[e.Name] = true
			b.Below = g.grow(p.Dependencies)
		}
	}
	return out
}

// Measures of the picture, in its own units, which are pixels unless it is made
// smaller.
const (
	boxWidth, boxHeight = 190, 34
	gapAcross, gapDown  = 60, 14
	margin              = 8
	maxLabel            = 26 // letters of a name that fit a box
)

// picture is a graph that is drawn in columns, each package in the one after
// the last that requires it.
type picture struct {
	Width, Height int
	Boxes         []box
	Lines         []string // paths
}

type box struct {
	X, Y, Width, Height    int
	TextX, NameY, VersionY int
	Name, Label, Version   string
	Root                   bool
}

func draw(ref catalog.Ref, w *catalog.Whole) *picture {
	root := ref.Name.String()
	next := map[string][]resolve.EdgeView{root: w.Direct}
	for _, p := range w.Packages {
		next[p.Name] = p.Dependencies
	}
	column := columns(root, next, len(w.Packages))
	names := []string{root}
	version := map[string]string{root: ref.Version}
	for _, p := range w.Packages {
		names = append(names, p.Name)
		version[p.Name] = p.Version
	}
	pic := &picture{}
	filled := map[int]int{}
	at := map[string]box{}
	for _, n := range names {
		c := column[n]
		x, y := margin+c*(boxWidth+gapAcross), margin+filled[c]*(boxHeight+gapDown)
		filled[c]++
		label := n
		if rs := []rune(label); len(rs) > maxLabel {
			label = string(rs[:maxLabel-1]) + "…"
		}
		b := box{X: x, Y: y, Width: boxWidth, Height: boxHeight, TextX: x + 10, NameY: y + 15, VersionY: y + 28, Name: n, Label: label, Version: version[n], Root: n == root}
		at[n] = b
		pic.Boxes = append(pic.Boxes, b)
		pic.Width, pic.Height = max(pic.Width, x+boxWidth+margin), max(pic.Height, y+boxHeight+margin)
	}
	for _, n := range names {
		from := at[n]
		for _, e := range next[n] {
			to, ok := at[e.Name]
			if !ok {
				continue
			}
			x1, y1, x2, y2 := from.X+boxWidth, from.Y+boxHeight/2, to.X, to.Y+boxHeight/2
			pic.Lines = append(pic.Lines, fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x1, y1, x1+gapAcross/2, y1, x2-gapAcross/2, y2, x2, y2))
		}
	}
	slices.Sort(pic.Lines)
	pic.Lines = slices.Compact(pic.Lines)
	return pic
}

// columns puts every package to the right of what requires it, as far as there
// is no circle: none stands further right than there are packages.
func columns(root string, next map[string][]resolve.EdgeView, n int) map[string]int {
	at := map[string]int{root: 0}
	onWay := map[string]bool{}
	var visit func(name string, c int)
	steps := (n + 1) * (n + 1) // a graph of many ways is drawn less well, not slowly
	visit = func(name string, c int) {
		if steps--; steps < 0 || onWay[name] {
			return
		}
		if have, ok := at[name]; ok && have >= c && name != root {
			return
		}
		at[name] = max(at[name], c)
		onWay[name] = true
		for _, e := range next[name] {
			visit(e.Name, c+1)
		}
		onWay[name] = false
	}
	visit(root, 0)
	return at
}

// dependentsLimit is how many dependents one page lists.
const dependentsLimit = 50

type dependentsPage struct {
	head
	Items      []catalog.Dependent
	Next       string // cursor
	Later      bool   // not the first page
	Transitive bool
	Truncated  bool
	Version    string // those that admit it alone
	Range      string // those that admit a version in it alone
	Problem    string // what is wrong with the range
}

// Address is that of this list with another choice of direct and transitive, or
// from a cursor on.
func (p dependentsPage) Address(transitive bool, cursor string) string {
	v := url.Values{}
	for name, value := range map[string]string{"version": p.Version, "range": p.Range, "cursor": cursor} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if transitive {
		v.Set("transitive", "1")
	}
	at := packageURL(p.Package.Name, "", "dependents")
	if q := v.Encode(); q != "" {
		at += "?" + q
	}
	return at
}

func (s *Web) dependents(w http.ResponseWriter, r request) error {
	h, ref, done, err := s.head(w, r, "dependents")
	if done || err != nil {
		return err
	}
	get := r.URL.Query().Get
	p := dependentsPage{head: h, Later: get("cursor") != "", Transitive: get("transitive") != "", Version: get("version"), Range: strings.TrimSpace(clip(get("range")))}
	p.Title += " dependents"
	if _, err := clyde.ParseRange(p.Range); p.Range != "" && err != nil {
		p.Problem = clyde.AsError(err).Msg
		return s.render(w, r, http.StatusUnprocessableEntity, "dependents.html", p)
	}
	found, err := s.o.Catalog.Dependents(r.Context(), r.who, ref.Name, catalog.DependentsQuery{
		Version: p.Version, Range: p.Range, Transitive: p.Transitive, After: get("cursor"), Limit: dependentsLimit,
	})
	if err != nil {
		return err
	}
	p.Items, p.Next, p.Truncated = found.Items, found.Next, found.Truncated
	return s.render(w, r, http.StatusOK, "dependents.html", p)
}
