package graph_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/graph"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// linked returns the graph of a project that links to all.
func linked(all ...graph.Package) *graph.Graph {
	g := &graph.Graph{Packages: all}
	for _, p := range all {
		g.Root.Requires = append(g.Root.Requires, resolve.Edge{Name: p.Name, Kind: resolve.Runtime})
	}
	return g
}

func TestCollisions(t *testing.T) {
	t.Parallel()
	zlib := graph.Package{Name: name(t, "@aa/zlib"), Provides: []string{"z"}, SONames: []string{"libz.so.1"}, Headers: []string{"zconf.h", "zlib.h"}, Symbols: []string{"inflate", "main"}}
	other := graph.Package{Name: name(t, "@bb/zlib-ng"), Provides: []string{"z"}, SONames: []string{"libz.so.1"}, Headers: []string{"zconf.h", "zlib.h"}, Symbols: []string{"inflate", "main"}}
	third := graph.Package{Name: name(t, "@cc/png"), Headers: []string{"png.h", "zlib.h"}}
	want := []graph.Collision{
		{Kind: graph.LinkName, Value: "z", Packages: []string{"@aa/zlib", "@bb/zlib-ng"}, Text: "@aa/zlib and @bb/zlib-ng both provide the link name z: only one of them can be in a program"},
		{Kind: graph.SOName, Value: "libz.so.1", Packages: []string{"@aa/zlib", "@bb/zlib-ng"}, Text: "@aa/zlib and @bb/zlib-ng both have a shared library libz.so.1: a program loads one of them for all"},
		{Kind: graph.Symbol, Value: "inflate", Packages: []string{"@aa/zlib", "@bb/zlib-ng"}, Text: "@aa/zlib and @bb/zlib-ng both define inflate: the linker takes one of them for all, or refuses"},
		{Kind: graph.HeaderPath, Value: "zconf.h", Packages: []string{"@aa/zlib", "@bb/zlib-ng"}, Text: "@aa/zlib and @bb/zlib-ng both have a header <zconf.h>: which one is included depends on the order of the flags"},
		{Kind: graph.HeaderPath, Value: "zlib.h", Packages: []string{"@aa/zlib", "@bb/zlib-ng", "@cc/png"}, Text: "@aa/zlib, @bb/zlib-ng and @cc/png all have a header <zlib.h>: which one is included depends on the order of the flags"},
	}
	if diff := cmp.Diff(want, linked(zlib, other, third).Collisions()); diff != "" {
		t.Errorf("Collisions (-want +got):\n%s", diff)
	}
	// The same header of the same package, named twice, is no collision.
	zlib.Headers = append(zlib.Headers, "zlib.h")
	if got := linked(zlib).Collisions(); len(got) != 0 {
		t.Errorf("one package collides with itself: %+v", got)
	}
	tool := linked(zlib, other)
	tool.Root.Requires[1].Kind = resolve.Build
	if got := tool.Collisions(); len(got) != 0 {
		t.Errorf("a tool collides with a library: %+v", got)
	}
}

// TestSharedHolds: what a shared library has in it of archives that it requires is
// theirs, and no collision; what is in it of something else is.
func TestSharedHolds(t *testing.T) {
	t.Parallel()
	to := func(n string) []resolve.Edge { return []resolve.Edge{{Name: name(t, n), Kind: resolve.Runtime}} }
	zlib := graph.Package{Name: name(t, "@aa/zlib"), Symbols: []string{"crc32", "inflate"}}
	png := graph.Package{Name: name(t, "@aa/png"), Linkage: graph.Shared, Symbols: []string{"crc32", "inflate", "png_read"}, Requires: to("@aa/middle")}
	middle := graph.Package{Name: name(t, "@aa/middle"), Requires: to("@aa/zlib")}
	g := linked(middle, png, zlib)
	if got := g.Collisions(); len(got) != 0 {
		t.Errorf("Collisions = %+v; want none: the symbols are those of what it requires", got)
	}
	g.Find(png.Name).Requires = nil
	if got := g.Collisions(); len(got) != 1 || got[0].Kind != graph.Symbol || got[0].Value != "crc32" || got[0].More != 1 {
		t.Errorf("Collisions = %+v; want crc32 and one more", got)
	}
	g.Find(png.Name).Requires, g.Find(png.Name).Linkage = to("@aa/zlib"), graph.Static
	if got := g.Collisions(); len(got) != 1 {
		t.Errorf("Collisions = %+v; want one: an archive has no other archive in it", got)
	}
}

func TestDuplicates(t *testing.T) {
	t.Parallel()
	a := graph.Package{Name: name(t, "@aa/fmt"), Repository: "https://github.com/fmtlib/fmt", Headers: []string{"fmt/core.h", "fmt/format.h"}}
	b := graph.Package{Name: name(t, "@bb/fmt"), Repository: "git+https://www.github.com/FmtLib/fmt.git/", Headers: []string{"fmt/core.h"}}
	c := graph.Package{Name: name(t, "@aa/fmt-extra"), Repository: "https://github.com/fmtlib/fmt"} // the same owner's
	d := graph.Package{Name: name(t, "@dd/fmt")}                                                    // a name is no proof
	e := graph.Package{Name: name(t, "@ee/zng"), Provides: []string{"z"}}
	f := graph.Package{Name: name(t, "@ff/zlib"), Provides: []string{"z"}}
	want := []graph.Duplicate{
		{Packages: [2]string{"@aa/fmt", "@bb/fmt"}, Evidence: []string{"both name the repository github.com/fmtlib/fmt", "both are called fmt", "they share 1 of 2 and 1 headers, <fmt/core.h> among them"}},
		{Packages: [2]string{"@aa/fmt-extra", "@bb/fmt"}, Evidence: []string{"both name the repository github.com/fmtlib/fmt"}},
		{Packages: [2]string{"@ee/zng", "@ff/zlib"}, Evidence: []string{"both provide the link name z"}},
	}
	if diff := cmp.Diff(want, linked(a, c, b, d, e, f).Duplicates()); diff != "" {
		t.Errorf("Duplicates (-want +got):\n%s", diff)
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	to := func(n string) resolve.Edge { return resolve.Edge{Name: name(t, n), Kind: resolve.Runtime} }
	g := &graph.Graph{
		Root: graph.Package{Requires: []resolve.Edge{to("@aa/a"), to("@aa/b")}},
		Packages: []graph.Package{
			{Name: name(t, "@aa/a"), Size: 1, Requires: []resolve.Edge{to("@aa/b"), to("@aa/c")}},
			{Name: name(t, "@aa/b"), Size: 10, Requires: []resolve.Edge{to("@aa/c")}},
			{Name: name(t, "@aa/c"), Size: 100, Requires: []resolve.Edge{to("@aa/d")}},
			{Name: name(t, "@aa/d"), Requires: []resolve.Edge{to("@aa/c")}}, // a circle
		},
	}
	want := graph.Sizes{Total: 111, Packages: 4, Unknown: 1, Depth: 4, Each: []graph.PackageSize{
		{Name: "@aa/a", Own: 1, Whole: 111, Needs: 3}, {Name: "@aa/b", Own: 10, Whole: 110, Needs: 2},
		{Name: "@aa/c", Own: 100, Whole: 100, Needs: 1}, {Name: "@aa/d", Whole: 100, Needs: 1},
	}}
	if diff := cmp.Diff(want, g.Sizes()); diff != "" {
		t.Errorf("Sizes (-want +got):\n%s", diff)
	}
}

func TestFromLock(t *testing.T) {
	t.Parallel()
	lib, tool := name(t, "@aa/lib"), name(t, "@aa/tool")
	l := &resolve.Lock{
		Requires: []resolve.Edge{{Name: tool, Kind: resolve.Build}, {Name: lib, Kind: resolve.Runtime}},
		Packages: map[clyde.Name]*resolve.LockedPackage{
			lib:  {License: "MIT", Traits: map[string]string{"shared": "true"}},
			tool: {License: "Zlib"},
		},
	}
	g := graph.FromLock(graph.Package{}, l, resolve.Want{})
	if len(g.Packages) != 2 || g.Find(lib).Linkage != graph.Shared || g.Find(name(t, "@aa/none")) != nil {
		t.Errorf("FromLock = %+v", g)
	}
	if diff := cmp.Diff([]bool{true, false}, g.Linked()); diff != "" {
		t.Errorf("Linked (-want +got):\n%s", diff)
	}
	if g = graph.FromLock(graph.Package{}, l, resolve.Want{NoBuild: true}); len(g.Packages) != 1 {
		t.Errorf("without tools: %+v", g.Packages)
	}
}
