package install

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/binary"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/generate"
	"github.com/clydepm/clyde-registry/pkg/graph"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// guard looks for packages that get into each other's way when they are
// linked, before anything is put into the deps folder: by what their libraries
// define and their folders hold, not by what they say. What makes programs go
// wrong is an ErrConflict error of the code "link_conflict", unless it is
// allowed; the rest is said.
func (in *installer) guard() error {
	g := &graph.Graph{}
	for _, p := range in.order {
		if !p.linked {
			continue
		}
		q, err := p.facts()
		if err != nil {
			return err
		}
		if q.Linkage == "" && p.wants() == generate.Shared {
			q.Linkage = graph.Shared
		}
		for _, d := range closure(p) {
			q.Requires = append(q.Requires, resolve.Edge{Name: d.name, Kind: resolve.Runtime})
		}
		g.Packages = append(g.Packages, q)
		g.Root.Requires = append(g.Root.Requires, resolve.Edge{Name: p.name, Kind: resolve.Runtime})
	}
	g.Sort()
	var fatal []string
	for _, c := range g.Collisions() {
		if c.Fatal() && !in.o.AllowCollisions {
			fatal = append(fatal, c.Text)
		} else {
			in.o.Say("warning: %s", c.Text)
		}
	}
	if len(fatal) == 0 {
		return nil
	}
	e := clyde.Errorf(clyde.ErrConflict, "%s", fatal[0]).WithCode("link_conflict")
	for _, more := range fatal[1:] {
		e.Msg += "; " + more
	}
	return e.Fix("keep one of them: clyde why NAME shows through what each is needed").
		Fix("clyde install --allow-collisions, if no program links both")
}

// facts is what an installed package brings into a program.
func (p *pkg) facts() (q graph.Package, err error) {
	defer clyde.Wrap(&err, "install.facts(%s)", p)
	q = graph.Package{Name: p.name, Version: p.locked.Version, Provides: p.manifest.Provides, Linkage: graph.TypeLinkage(p.manifest.Type)}
	var roots []string
	for _, c := range p.components() {
		for _, dir := range c.Includes {
			roots = append(roots, path.Clean(dir)+"/")
		}
		if c.Library == "" || c.Kind == "tool" {
			continue
		}
		f, err := measure(filepath.Join(p.entry.Dir(), filepath.FromSlash(c.Library)))
		if err != nil {
			return q, err
		}
		if f == nil {
			continue
		}
		if f.SOName != "" {
			q.SONames = append(q.SONames, f.SOName)
		}
		q.Symbols = append(q.Symbols, f.Strong...)
	}
	for _, f := range p.entry.Files {
		for _, root := range roots {
			if rest, ok := strings.CutPrefix(f.Path, root); ok && isHeader(rest) {
				q.Headers = append(q.Headers, rest)
			}
		}
	}
	for _, list := range []*[]string{&q.SONames, &q.Symbols, &q.Headers} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return q, nil
}

func isHeader(name string) bool {
	return slices.Contains([]string{".h", ".hh", ".hpp", ".hxx", ".h++", ".inl", ".ipp", ".tcc"}, path.Ext(name))
}

// measure looks at a library; nil is none that can be looked at.
func measure(file string) (*binary.File, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	m, err := binary.Measure(filepath.Base(file), f, info.Size())
	if errors.Is(err, clyde.ErrInvalid) || errors.Is(err, clyde.ErrTooLarge) {
		return nil, nil // the linker will say so, if it cannot read it either
	}
	return m, err
}
