package generate

import (
	"cmp"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// graph is a checked project with what its components mean to each other.
type graph struct {
	deps  string // absolute
	p     Project
	packs []*pack // by name
	names map[clyde.Name]*pack
	ids   map[string]*pack // no other package may use these for itself
}

// pack is a package and its components, by name.
type pack struct {
	*Package
	id    string // "acme_fmt"
	nodes []*node
	own   own // what it installed for CMake and pkg-config itself
}

// node is one component. Its requirements are sorted by id.
type node struct {
	*Component
	pack    *pack
	id      string  // "acme_fmt--core"
	public  []*node // their headers are seen by consumers too
	private []*node // linked by consumers of an archive, and not seen
	std     map[string]int
}

// libraries are the components that can be linked or included.
func (k *pack) libraries() []*node {
	return slices.DeleteFunc(slices.Clone(k.nodes), func(n *node) bool { return n.Kind == Tool })
}

// newGraph checks p and connects its components. It never changes p.
func newGraph(p Project) (*graph, error) {
	if err := check(p); err != nil {
		return nil, err
	}
	g := &graph{deps: p.Deps, p: p, names: map[clyde.Name]*pack{}, ids: map[string]*pack{}}
	for i := range p.Packages {
		src := &p.Packages[i]
		k := &pack{Package: src, id: id(src.Name)}
		for j := range src.Components {
			c := &src.Components[j]
			k.nodes = append(k.nodes, &node{Component: c, pack: k, id: k.id + componentSeparator + c.Name, std: standards(c.CompileFeatures)})
		}
		slices.SortFunc(k.nodes, func(a, b *node) int { return cmp.Compare(a.Name, b.Name) })
		g.packs = append(g.packs, k)
		g.names[src.Name], g.ids[k.id] = k, k
	}
	slices.SortFunc(g.packs, func(a, b *pack) int { return cmp.Compare(a.id, b.id) })
	for _, k := range g.packs {
		if err := g.connect(k); err != nil {
			return nil, err
		}
	}
	if err := g.acyclic(); err != nil {
		return nil, err
	}
	for _, k := range g.packs {
		var err error
		if k.own, err = scan(p.Deps, k); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// connect resolves what the components of k require.
func (g *graph) connect(k *pack) error {
	named := map[*pack]bool{}
	for _, n := range k.nodes {
		for _, r := range n.Requires {
			to, err := g.find(k, n, r)
			if err != nil {
				return err
			}
			for _, t := range to {
				named[t.pack] = true
				n.require(t)
			}
		}
	}
	for _, name := range k.Package.Requires {
		dep := g.names[name]
		if dep == nil {
			return clyde.Errorf(clyde.ErrInvalid, "%s requires %s, which is not installed", k.Name, name).WithCode("requirement_missing").
				Fix("run clyde install again")
		}
		if named[dep] {
			continue
		}
		for _, n := range k.libraries() {
			for _, t := range dep.libraries() {
				n.require(t)
			}
		}
	}
	for _, n := range k.nodes {
		for _, list := range []*[]*node{&n.public, &n.private} {
			slices.SortFunc(*list, func(a, b *node) int { return cmp.Compare(a.id, b.id) })
			*list = slices.Compact(*list)
		}
	}
	return nil
}

func (n *node) require(t *node) {
	if t.pack != n.pack && slices.Contains(n.pack.Private, t.pack.Name) {
		n.private = append(n.private, t)
	} else {
		n.public = append(n.public, t)
	}
}

// find returns the components that text names in the requirements of a
// component of k.
func (g *graph) find(k *pack, n *node, text string) ([]*node, error) {
	bad := func(why string) error {
		return clyde.Errorf(clyde.ErrInvalid, "component %s of %s requires %s, %s", n.Name, k.Name, quoted(text), why).WithCode("component_invalid").
			Fix("tell its publisher; exports.components in its package.yaml is wrong")
	}
	pkg, comp, both := strings.Cut(text, ":")
	to := k
	if pkg != "" {
		to = nil
		for _, r := range k.Package.Requires {
			if r.String() == pkg || r.Base == pkg {
				to = g.names[r]
			}
		}
		if to == nil {
			return nil, bad("which is not one of its requirements")
		}
	}
	if !both {
		if to == k {
			return nil, bad("which is itself")
		}
		return to.libraries(), nil
	}
	for _, t := range to.nodes {
		if t.Name == comp && t.Kind != Tool && t != n {
			return []*node{t}, nil
		}
	}
	return nil, bad("and there is no such component to link")
}

// acyclic refuses components that require each other in a circle, which no
// linker order satisfies.
func (g *graph) acyclic() error {
	const open, done = 1, 2
	state := map[*node]int{}
	var visit func(n *node) error
	visit = func(n *node) error {
		switch state[n] {
		case done:
			return nil
		case open:
			return clyde.Errorf(clyde.ErrInvalid, "component %s of %s requires itself through others", n.Name, n.pack.Name).WithCode("component_cycle").
				Fix("tell its publisher; components must not require each other in a circle")
		}
		state[n] = open
		for _, to := range [][]*node{n.public, n.private} {
			for _, t := range to {
				if err := visit(t); err != nil {
					return err
				}
			}
		}
		state[n] = done
		return nil
	}
	for _, k := range g.packs {
		for _, n := range k.nodes {
			if err := visit(n); err != nil {
				return err
			}
		}
	}
	return nil
}

// order returns what is reached from start over next, start included, each
// once, and each before what it reaches: the order in which a linker wants
// archives.
func order(start []*node, next func(*node) []*node) []*node {
	seen := map[*node]bool{}
	var out []*node
	var visit func(n *node)
	visit = func(n *node) {
		if seen[n] {
			return
		}
		seen[n] = true
		for _, t := range slices.Backward(next(n)) {
			visit(t)
		}
		out = append(out, n)
	}
	for _, n := range slices.Backward(start) {
		visit(n)
	}
	slices.Reverse(out)
	return out
}

// compileOrder are the components whose headers and definitions somebody sees
// who uses start.
func compileOrder(start []*node) []*node {
	return order(start, func(n *node) []*node { return n.public })
}

// linkOrder are the components that somebody links who uses start. What a
// shared library keeps private it has linked itself.
func linkOrder(start []*node) []*node {
	return order(start, func(n *node) []*node {
		if n.Kind == Shared {
			return n.public
		}
		return slices.Concat(n.public, n.private)
	})
}

// runOrder are the components that must be found when a program runs that uses
// start.
func runOrder(start []*node) []*node {
	return order(start, func(n *node) []*node { return slices.Concat(n.public, n.private) })
}

// behind are the shared libraries that shared libraries among nodes need and
// keep private: the linker does not get them, and must find them.
func behind(nodes []*node) []*node {
	linked := map[*node]bool{}
	for _, n := range linkOrder(nodes) {
		linked[n] = true
	}
	return slices.DeleteFunc(runOrder(nodes), func(n *node) bool { return n.Kind != Shared || linked[n] })
}

// direct are the library components of what the project itself requires.
func (g *graph) direct() []*node {
	var out []*node
	for _, k := range g.packs {
		if k.Direct {
			out = append(out, k.libraries()...)
		}
	}
	return out
}
