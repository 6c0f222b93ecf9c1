// Package generate writes, for packages that lie under a project's deps
// folder, what build systems read: CMake, pkg-config, CPS, Meson, Bazel and
// plain response files of compiler flags.
//
// It is pure but for reading what a package itself installed (its own CMake
// configuration and .pc files) and writing under the folder, plus one file
// beside it, CMakeUserPresets.json, where the project is one of CMake's.
//
// What a package says about itself is data of somebody else. Names are matched
// against a grammar, and everything else is quoted by the rules of the language
// it is written into; what some build system could take for a command, such as
// a link option that loads a plug-in, is refused.
package generate

import (
	"path"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// Kind is what a component is to those who use it.
type Kind string

// The kinds of components.
const (
	Archive   Kind = "archive"   // a static library
	Shared    Kind = "shared"    // a dynamic library, or its import library on Windows
	Interface Kind = "interface" // headers and requirements alone
	Tool      Kind = "tool"      // a program; nobody links it
)

// Project is what an installation put under a deps folder.
type Project struct {
	Deps     string           // the deps folder, absolute
	Platform resolve.Platform // what the packages were built for
	Packages []Package        // every one, in any order
}

// Package is one installed package.
type Package struct {
	Name                           clyde.Name
	Version                        clyde.Version
	Description, License, Homepage string
	Dir                            string       // slash path under Deps, "@acme/fmt"
	Direct                         bool         // required by the project itself
	Requires                       []clyde.Name // packages it links or includes, public ones and private ones
	Private                        []clyde.Name // those of Requires whose headers a consumer does not see
	Components                     []Component  // at least one

	// FindName is what find_package calls it, where that is neither the base
	// name in any case nor what its own CMake configuration says: "PNG" for
	// libpng. Empty where nothing is known.
	FindName string
}

// Component is one part of a package that can be used by itself.
type Component struct {
	Name            string   // as in exports.components; the package's base name where it declares none
	Kind            Kind     //
	Library         string   // slash path under Dir: "lib/libfmt.a"; "" for Interface. Of a Tool, the program; "" where there is none for this platform
	Includes        []string // slash paths under Dir, of folders that exist
	Definitions     []string // "FMT_HEADER_ONLY=1"
	CompileFeatures []string // "c++17", "c11", or CMake's spelling of them
	LinkLibraries   []string // of the system: "m", "pthread"
	LinkOptions     []string // "-Wl,--as-needed"; see linkOption for those allowed
	// Requires names ":other" of the same package, "@acme/fmt:fmt" or
	// "@acme/fmt" of another. A package of Package.Requires that no component
	// names is required by every component.
	Requires []string
	// Targets are further names of the CMake target: "PNG::PNG".
	Targets []string
}

// Write makes the files of every build system under p.Deps, all or none, the
// same bytes for the same project, and returns their paths as slash paths
// under p.Deps (the presets file beside it as "../CMakeUserPresets.json"). Files
// that an earlier Write made and this one does not are removed; no other file is
// touched. An ErrInvalid error says which package cannot be described.
func Write(p Project) (written []string, err error) {
	g, err := newGraph(p)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, add := range []func(*graph, map[string]string){
		addHeaders, addFlags, addPkgConfig, addCMake, addPresets, addCPS, addMeson, addWrap, addBazel,
	} {
		add(g, files)
	}
	return commit(p.Deps, files)
}

// id is what a package is called where a name has no "@" and "/":
// "acme_fmt". A namespace has no "_", so that no two packages share one.
func id(n clyde.Name) string { return n.Namespace + "_" + n.Base }

// componentSeparator stands between the id of a package and a component in
// the name of a file. Neither a name nor the start of a component has "--".
const componentSeparator = "--"

// short are the base names that one package alone has, and so may be used by
// themselves. The project's own requirements take precedence over what those
// require in turn.
func (g *graph) short() map[string]*pack {
	byBase := map[string][]*pack{}
	for _, k := range g.packs {
		if g.ids[k.Name.Base] == nil {
			byBase[k.Name.Base] = append(byBase[k.Name.Base], k)
		}
	}
	out := map[string]*pack{}
	for base, all := range byBase {
		if k := sole(all); k != nil {
			out[base] = k
		}
	}
	return out
}

// sole returns the only package, or the only direct one, of all; nil where
// that is not decided.
func sole(all []*pack) *pack {
	if len(all) == 1 {
		return all[0]
	}
	var found *pack
	for _, k := range all {
		if k.Direct && found != nil {
			return nil
		}
		if k.Direct {
			found = k
		}
	}
	return found
}

// under joins a path of a package to its folder, as a slash path under deps.
func (k *pack) under(p string) string { return path.Join(k.Dir, p) }
