package install

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/generate"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// dirOf is the folder of a package below a deps folder: "@acme/fmt".
func dirOf(n clyde.Name) string { return "@" + n.Namespace + "/" + n.Base }

// project describes packages in a deps folder to the generators. What the
// project requires itself is direct; of a package that is being built, as of a
// project, that is what it requires.
func (in *installer) project(deps string, ps []*pkg, of *pkg) generate.Project {
	out := generate.Project{Deps: deps, Platform: in.o.Platform}
	for _, p := range ps {
		m := p.manifest
		g := generate.Package{
			Name: p.name, Version: p.locked.Version, Description: m.Description, License: m.License, Homepage: m.Homepage,
			Dir: dirOf(p.name), Direct: p.direct, Components: p.components(), FindName: cmakeFind(m),
		}
		for i, c := range g.Components {
			g.Components[i].Targets = cmakeTargets(m, c.Name)
		}
		if of != nil {
			g.Direct = slices.Contains(of.deps, p)
		}
		for _, e := range in.o.Lock.Edges(p.name, resolve.Want{Platform: &in.o.Platform, NoBuild: true}) {
			g.Requires = append(g.Requires, e.Name)
			if e.Visibility == "private" {
				g.Private = append(g.Private, e.Name)
			}
		}
		out.Packages = append(out.Packages, g)
	}
	return out
}

// What the key x-cmake of a package.yaml may say, as data for the generators:
//
//	x-cmake: {find: ZLIB, targets: {zlib: "ZLIB::ZLIB"}}
//
// Like every x- key it may hold anything; what has another shape says nothing.
// The generators refuse names that are none.

// cmakeFind is what find_package calls the package, "" where nothing is said.
func cmakeFind(m *clyde.Manifest) string {
	hints, _ := m.Extra["x-cmake"].(map[string]any)
	find, _ := hints["find"].(string)
	return find
}

// cmakeTargets lists further names of the CMake target of a component.
func cmakeTargets(m *clyde.Manifest, component string) []string {
	hints, _ := m.Extra["x-cmake"].(map[string]any)
	targets, _ := hints["targets"].(map[string]any)
	switch t := targets[component].(type) {
	case string:
		return []string{t}
	case []any:
		var out []string
		for _, v := range t {
			if s, ok := v.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// components lists what the package exports: as its package.yaml declares it,
// each with the library that was installed for it, else one for each library.
func (p *pkg) components() []generate.Component {
	libs := p.libraries()
	var out []generate.Component
	for _, name := range slices.Sorted(maps.Keys(p.manifest.Components)) {
		d := p.manifest.Components[name]
		c := generate.Component{
			Name: name, Definitions: d.Definitions, CompileFeatures: d.CompileFeatures, LinkLibraries: d.LinkLibraries, Requires: d.Requires,
		}
		lib, found := libs.named(name, p.name.Base, path.Base(d.Location))
		switch {
		case d.Type == "executable":
			c.Kind, c.Library = generate.Tool, p.program(name)
		case d.Type == "interface" || d.Type == "symbolic" || !found:
			c.Kind = generate.Interface
		default:
			c.Kind, c.Library = lib.kind, lib.path
		}
		for _, dir := range d.Includes {
			c.Includes = append(c.Includes, p.installedInclude(dir))
		}
		c.Includes = p.existing(c.Includes)
		out = append(out, c)
	}
	if len(out) > 0 {
		return out
	}
	base := generate.Component{
		Name: p.name.Base, Kind: generate.Interface, Includes: p.existing([]string{"include"}), CompileFeatures: features(p.manifest),
	}
	if len(libs) == 0 {
		return []generate.Component{base}
	}
	for _, l := range libs {
		c := base
		c.Kind, c.Library = l.kind, l.path
		if c.Name = l.stem; len(libs) == 1 {
			c.Name = p.name.Base
		}
		out = append(out, c)
	}
	return out
}

// features is what package.yaml's standard asks of compilers.
func features(m *clyde.Manifest) []string {
	var out []string
	if m.Standard.C != "" {
		out = append(out, "c_std_"+m.Standard.C)
	}
	if m.Standard.CXX != "" {
		out = append(out, "c++"+m.Standard.CXX)
	}
	return out
}

// installedInclude is where a header root of the source is once installed: what
// packages install lies under include, whatever it was called before.
func (p *pkg) installedInclude(dir string) string {
	dir = path.Clean(dir)
	if dir == "include" || strings.HasPrefix(dir, "include/") {
		return dir
	}
	return "include"
}

// existing drops folders that were not installed, and repetitions.
func (p *pkg) existing(dirs []string) []string {
	var out []string
	for _, d := range dirs {
		if p.entry.has(d) && !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out
}

// program returns the installed program of a component, "" for none.
func (p *pkg) program(name string) string {
	for _, ext := range []string{"", ".exe"} {
		if at := "bin/" + name + ext; p.entry.has(at) {
			return at
		}
	}
	return ""
}

// library is one that was installed.
type library struct {
	stem string // "fmt" of lib/libfmt.a
	path string
	kind generate.Kind
}

type libraryList []library

// libraryRE reads the name of a library that is linked by name: not
// libz.so.1.2.13, to which libz.so leads.
var libraryRE = regexp.MustCompile(`^(?:lib)?(.+?)\.(a|so|dylib|lib|dll\.a)$`)

// libraries lists what was installed in lib, one for each name: of a library
// that is there as an archive and shared, the one that the trait "shared" asks
// for.
func (p *pkg) libraries() libraryList {
	best := map[string]library{}
	for _, f := range p.entry.Files {
		if path.Dir(f.Path) != "lib" {
			continue
		}
		m := libraryRE.FindStringSubmatch(path.Base(f.Path))
		if m == nil {
			continue
		}
		l := library{stem: m[1], path: f.Path, kind: generate.Archive}
		if m[2] == "so" || m[2] == "dylib" || m[2] == "dll.a" {
			l.kind = generate.Shared
		}
		old, twice := best[l.stem]
		if want := p.wants(); !twice || old.kind != want && l.kind == want {
			best[l.stem] = l
		}
	}
	return slices.SortedFunc(maps.Values(best), func(a, b library) int { return strings.Compare(a.stem, b.stem) })
}

// wants is the kind of library that the package was asked for as.
func (p *pkg) wants() generate.Kind {
	if p.locked.Traits["shared"] == "true" {
		return generate.Shared
	}
	return generate.Archive
}

// named finds the library of a component: by the file that it names, by its
// own name, by the package's, or the only one there is.
func (ls libraryList) named(name, base, file string) (library, bool) {
	for _, l := range ls {
		if path.Base(l.path) == file {
			return l, true
		}
	}
	for _, want := range []string{name, base} {
		for _, l := range ls {
			if l.stem == want {
				return l, true
			}
		}
	}
	if len(ls) == 1 {
		return ls[0], true
	}
	return library{}, false
}
