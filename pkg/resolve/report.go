package resolve

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Outdated is what there is beyond the locked version of a package.
type Outdated struct {
	Name    clyde.Name
	Locked  clyde.Version
	Fits    clyde.Version // the newest that everything in the lock allows; what clyde update may choose
	Newest  clyde.Version // the newest release at all
	Yanked  string        // why the locked version was withdrawn; "" where it was not
	Gone    bool          // the source does not have the locked version any more
	Direct  bool          // the project itself requires it
	Holding []clyde.Name  // who keeps Newest from being chosen
}

// Behind reports whether there is anything to tell.
func (o *Outdated) Behind() bool {
	return o.Gone || o.Yanked != "" || clyde.Compare(o.Newest, o.Locked) > 0
}

// Outdated compares a lock with what exists, for every package that comes from
// a registry, by name. Prereleases count where the locked version is one.
func (l *Lock) Outdated(ctx context.Context, src Source) ([]Outdated, error) {
	u := newUniverse(src)
	var names []clyde.Name
	for _, n := range l.Names() {
		if p := l.Packages[n]; p.Local == "" && p.Git == "" {
			names = append(names, n)
		}
	}
	if err := u.load(ctx, names...); err != nil {
		return nil, err
	}
	users := l.users()
	var all []Outdated
	for _, n := range names {
		p := l.Packages[n]
		o := Outdated{Name: n, Locked: p.Version, Fits: p.Version, Newest: p.Version, Gone: true}
		k := u.pkgs[n.Identity()]
		for i := range k.cands {
			c := k.cands[i]
			if c.Version.Equal(p.Version) {
				o.Gone, o.Yanked = false, c.Yanked
			}
			if c.Yanked != "" || c.Version.IsPrerelease() && !p.Version.IsPrerelease() || clyde.Compare(c.Version, p.Version) <= 0 {
				continue
			}
			if clyde.Compare(c.Version, o.Newest) > 0 {
				o.Newest = c.Version
			}
			if clyde.Compare(c.Version, o.Fits) > 0 && l.allow(users[n], n, c.Version) {
				o.Fits = c.Version
			}
		}
		for _, who := range users[n] {
			o.Direct = o.Direct || who.IsZero()
			if clyde.Compare(o.Newest, o.Fits) > 0 && !l.allow([]clyde.Name{who}, n, o.Newest) {
				o.Holding = append(o.Holding, who)
			}
		}
		all = append(all, o)
	}
	return all, nil
}

// users lists who requires each package; the zero Name is the project.
func (l *Lock) users() map[clyde.Name][]clyde.Name {
	users := map[clyde.Name][]clyde.Name{}
	for _, n := range append([]clyde.Name{{}}, l.Names()...) {
		for _, e := range l.Edges(n, Want{Dev: true}) {
			if us := users[e.Name]; len(us) == 0 || us[len(us)-1] != n {
				users[e.Name] = append(us, n)
			}
		}
	}
	return users
}

// allow reports whether what users require of n holds for v.
func (l *Lock) allow(users []clyde.Name, n clyde.Name, v clyde.Version) bool {
	if r, ok := l.Overrides[n]; ok {
		return r.Contains(v)
	}
	for _, who := range users {
		for _, e := range l.Edges(who, Want{Dev: true}) {
			if e.Name == n && !e.Range.Contains(v) {
				return false
			}
		}
	}
	return true
}

// Step is one package on a path, and what the one before asks of it.
type Step struct {
	Name    clyde.Name
	Version clyde.Version
	Range   clyde.Range
	Kind    Kind
	When    clyde.Condition
}

// Why returns how a package came into the lock: for every package that requires
// it, the shortest path from the project through that one, shortest paths
// first. An ErrNotFound error says that it is not in the lock.
func (l *Lock) Why(name clyde.Name, w Want) ([][]Step, error) {
	if l.Packages[name] == nil {
		return nil, clyde.Errorf(clyde.ErrNotFound, "%s is not in clyde.lock", name).WithCode("not_locked").Fix("clyde tree shows what is")
	}
	// Breadth first; a package is reached by its shortest path, ties by name.
	type reached struct {
		from clyde.Name
		step Step
	}
	came := map[clyde.Name]reached{}
	queue := []clyde.Name{{}}
	seen := map[clyde.Name]bool{{}: true}
	type arrival struct {
		from clyde.Name
		step Step
	}
	var ends []arrival
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		for _, e := range l.Edges(n, w) {
			p := l.Packages[e.Name]
			if p == nil {
				continue
			}
			step := Step{e.Name, p.Version, e.Range, e.Kind, e.When}
			if e.Name == name {
				ends = append(ends, arrival{n, step})
			}
			if !seen[e.Name] {
				seen[e.Name] = true
				came[e.Name] = reached{n, step}
				queue = append(queue, e.Name)
			}
		}
	}
	var paths [][]Step
	for _, end := range ends {
		path := []Step{end.step}
		through := false
		for n := end.from; !n.IsZero(); n = came[n].from {
			through = through || n == name // a circle back to the package explains nothing
			path = append([]Step{came[n].step}, path...)
		}
		if !through {
			paths = append(paths, path)
		}
	}
	if len(paths) == 0 {
		return nil, clyde.Errorf(clyde.ErrNotFound, "%s is in clyde.lock, and nothing needs it here", name).WithCode("not_needed").
			Fix("other platforms or kinds of requirement may: ask without --platform, and with --dev")
	}
	return paths, nil
}

// WhyText renders paths as lines of text.
func WhyText(paths [][]Step) string {
	var b strings.Builder
	for i, path := range paths {
		if i > 0 {
			b.WriteByte('\n')
		}
		for depth, s := range path {
			fmt.Fprintf(&b, "%s%s %s  %s%s\n", strings.Repeat("  ", depth), s.Name, s.Version, s.Range, remark(s.Kind, s.When))
		}
	}
	return b.String()
}

func remark(k Kind, when clyde.Condition) string {
	s := ""
	switch k {
	case Dev:
		s = "  [dev]"
	case Build:
		s = "  [build]"
	}
	if !when.IsZero() {
		s += "  when " + when.String()
	}
	return s
}

// TreeOptions says what Tree shows.
type TreeOptions struct {
	Want
	Title string // first line
	Depth int    // levels; 0 means all
	ASCII bool   // no line-drawing characters
	// Note returns what to say of a package behind its version; nil: nothing.
	Note func(clyde.Name) string
}

// Tree renders a lock as a tree. What was shown once is not opened again and
// ends in (*), so the text is at most as long as the graph.
func (l *Lock) Tree(o TreeOptions) string {
	t := treeWriter{l: l, o: o, shown: map[clyde.Name]bool{}, marks: [4]string{"├── ", "└── ", "│   ", "    "}}
	if o.ASCII {
		t.marks = [4]string{"|-- ", "`-- ", "|   ", "    "}
	}
	t.b.WriteString(o.Title + "\n")
	t.children(clyde.Name{}, "", 1)
	return t.b.String()
}

type treeWriter struct {
	l     *Lock
	o     TreeOptions
	b     strings.Builder
	shown map[clyde.Name]bool
	marks [4]string
}

func (t *treeWriter) children(n clyde.Name, indent string, depth int) {
	edges := t.l.Edges(n, t.o.Want)
	for i := range edges {
		e := &edges[i]
		p := t.l.Packages[e.Name]
		if p == nil {
			continue
		}
		mark, below := t.marks[0], t.marks[2]
		if i == len(edges)-1 {
			mark, below = t.marks[1], t.marks[3]
		}
		fmt.Fprintf(&t.b, "%s%s%s %s", indent, mark, e.Name, p.Version)
		if p.Local != "" {
			t.b.WriteString("  from " + p.Local)
		}
		if t.o.Note != nil {
			if note := t.o.Note(e.Name); note != "" {
				t.b.WriteString("  " + note)
			}
		}
		t.b.WriteString(remark(e.Kind, e.When))
		more := len(t.l.Edges(e.Name, t.o.Want)) > 0
		switch {
		case more && t.shown[e.Name]:
			t.b.WriteString(" (*)\n")
		case more && t.o.Depth > 0 && depth >= t.o.Depth:
			t.b.WriteString(" …\n")
		default:
			t.b.WriteByte('\n')
			t.shown[e.Name] = true
			t.children(e.Name, indent+below, depth+1)
		}
	}
}

// IsUnsatisfiable reports whether err says that a request cannot be met, and
// returns why.
func IsUnsatisfiable(err error) (*Failure, bool) {
	f, ok := errors.AsType[*Failure](err)
	return f, ok
}
