// Package graph tells what a whole graph of packages amounts to, beside the
// versions that resolving chose: which licences meet in one program and which
// of them exclude each other, how large it is, which packages are one upstream
// twice, and which would get into each other's way when they are linked.
//
// It is pure: what is known of the packages comes in, reports go out, the same
// for the same graph.
package graph

import (
	"cmp"
	"slices"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// Linkage says how others link to a package. "" is not known.
type Linkage string

// The linkages.
const (
	Static  Linkage = "static"
	Shared  Linkage = "shared"
	Headers Linkage = "headers" // nothing is linked
	Program Linkage = "program" // runs beside, and is no part of what uses it
)

// Package is one package of a graph and what is known of it. Whatever is empty
// is not known, or there is none of it.
type Package struct {
	Name        clyde.Name
	Version     clyde.Version
	Registry    string // host
	Digest      string // of the manifest
	Checksum    string // of the source archive
	License     string // SPDX expression
	LicenseFile string // where there is no expression
	Size        int64  // bytes of the source archive; 0 is not known
	Repository  string // address of the project's own
	Linkage     Linkage
	Local, Git  string   // in place of a registry
	Provides    []string // link names
	Headers     []string // as they are included: "zlib.h"
	SONames     []string // of shared libraries
	Symbols     []string // that only one file of a program may define
	Requires    []resolve.Edge
}

// Graph is a project, or a package, with everything that it needs.
type Graph struct {
	Root     Package   // what needs the others; its name may be zero
	Packages []Package // by name
}

// FromSolution returns the graph of a solution for root.
func FromSolution(root Package, sol *resolve.Solution) *Graph {
	g := &Graph{Root: root, Packages: make([]Package, len(sol.Packages))}
	g.Root.Requires = sol.Dependencies
	for i := range sol.Packages {
		p := &sol.Packages[i]
		g.Packages[i] = Package{
			Name: p.Name, Version: p.Version, Registry: p.Registry, Digest: p.Digest, Checksum: p.Checksum, License: p.License, Size: p.Size,
			Local: p.Local, Git: p.Git, Provides: p.Provides, Linkage: linkageOf(p.TraitValues), Requires: p.Dependencies,
		}
	}
	return g
}

// FromLock returns the graph of a lock file for root, or of the part of it that
// w wants.
func FromLock(root Package, l *resolve.Lock, w resolve.Want) *Graph {
	names := l.Needed(w)
	slices.SortFunc(names, compareNames)
	g := &Graph{Root: root, Packages: make([]Package, len(names))}
	g.Root.Requires = l.Edges(clyde.Name{}, w)
	for i, n := range names {
		p := l.Packages[n]
		g.Packages[i] = Package{
			Name: n, Version: p.Version, Registry: p.Registry, Digest: p.Digest, Checksum: p.Checksum, License: p.License,
			Local: p.Local, Git: p.Git, Linkage: linkageOf(p.Traits), Requires: l.Edges(n, w),
		}
	}
	return g
}

// linkageOf reads the trait by which packages choose.
func linkageOf(traits map[string]string) Linkage {
	switch traits["shared"] {
	case "true":
		return Shared
	case "false":
		return Static
	}
	return ""
}

// TypeLinkage is how packages of a type of package.yaml are linked, where the
// type says it.
func TypeLinkage(kind string) Linkage {
	switch kind {
	case "header-only":
		return Headers
	case "application", "tool":
		return Program
	}
	return ""
}

func compareNames(a, b clyde.Name) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Base, b.Base))
}

// Sort puts Packages in order, for whoever made them.
func (g *Graph) Sort() {
	slices.SortFunc(g.Packages, func(a, b Package) int { return compareNames(a.Name, b.Name) })
}

// Find returns the package of that name, or nil.
func (g *Graph) Find(n clyde.Name) *Package {
	i, ok := slices.BinarySearchFunc(g.Packages, n, func(p Package, n clyde.Name) int { return compareNames(p.Name, n) })
	if !ok {
		return nil
	}
	return &g.Packages[i]
}

// Linked reports for each of Packages whether it becomes part of the program:
// reached through requires alone, and not by way of a program.
func (g *Graph) Linked() []bool {
	in := make([]bool, len(g.Packages))
	var visit func(edges []resolve.Edge)
	visit = func(edges []resolve.Edge) {
		for _, e := range edges {
			i, ok := slices.BinarySearchFunc(g.Packages, e.Name, func(p Package, n clyde.Name) int { return compareNames(p.Name, n) })
			if e.Kind != resolve.Runtime || !ok || in[i] || g.Packages[i].Linkage == Program {
				continue
			}
			in[i] = true
			visit(g.Packages[i].Requires)
		}
	}
	visit(g.Root.Requires)
	return in
}
