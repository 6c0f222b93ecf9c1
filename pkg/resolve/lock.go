package resolve

import (
	"maps"
	"slices"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// LockVersion is the version of the format that this package writes, and the
// only one that it reads.
const LockVersion = 2

// Lock is a clyde.lock: what a project was resolved to, for all platforms.
type Lock struct {
	Traits    map[string]string          // values of the project's own traits
	Overrides map[clyde.Name]clyde.Range // that it was resolved with
	Requires  []Edge                     // of the project, all kinds, by kind and name
	Packages  map[clyde.Name]*LockedPackage
}

// LockedPackage is one package of a lock file. Builds and who signed
// are for those who fetch; see NewLock.
type LockedPackage struct {
	Version      clyde.Version
	Registry     string // host
	Digest       string // of the manifest: what is fetched
	Checksum     string // of the source archive
	License      string
	Local        string                 // folder, in place of a registry
	Git          string                 // repository, in place of a registry
	Traits       map[string]string      // all of them, defaults too
	Dependencies []Edge                 // by kind and name
	Builds       map[string]LockedBuild // by platform
	SignedBy     string                 // who signed it, as verification names them, and so must again
	SignedLevel  string                 // what their signatures proved
}

// LockedBuild is a prebuilt binary for one platform.
type LockedBuild struct {
	ABI    string // abi_id
	Digest string // of the build's manifest
}

// NewLock returns the lock of a solution that was found with those overrides.
// What prev knows of builds stays where the digest does, and who signed a
// package stays with its name: the next version is to be by the same. prev may be
// nil.
func NewLock(sol *Solution, overrides map[clyde.Name]clyde.Range, prev *Lock) *Lock {
	l := &Lock{
		Traits: maps.Clone(sol.TraitValues), Overrides: maps.Clone(overrides), Requires: slices.Clone(sol.Dependencies),
		Packages: make(map[clyde.Name]*LockedPackage, len(sol.Packages)),
	}
	for i := range sol.Packages {
		p := &sol.Packages[i]
		q := &LockedPackage{
			Version: p.Version, Registry: p.Registry, Digest: p.Digest, Checksum: p.Checksum, License: p.License,
			Local: p.Local, Git: p.Git, Traits: p.TraitValues, Dependencies: p.Dependencies,
		}
		if prev != nil {
			if old := prev.Packages[p.Name]; old != nil && old.Digest == q.Digest && q.Digest != "" {
				q.Builds = old.Builds
			}
			if old := prev.Packages[p.Name]; old != nil && q.Digest != "" {
				q.SignedBy, q.SignedLevel = old.SignedBy, old.SignedLevel
			}
		}
		l.Packages[p.Name] = q
	}
	return l
}

// Names lists the packages, sorted.
func (l *Lock) Names() []clyde.Name {
	return slices.SortedFunc(maps.Keys(l.Packages), compareNames)
}

// Stale says why the lock is not of this request any more, or returns nil: what
// --locked and --frozen ask. It compares what the project requires, its traits
// and its overrides; it needs no source.
func (l *Lock) Stale(req Request) *clyde.Error {
	traits := map[string]string{}
	for _, name := range req.Root.traitNames() {
		t, _ := req.Root.trait(name)
		traits[name] = defaultOf(t)
	}
	maps.Copy(traits, req.RootTraits)
	stale := func(format string, args ...any) *clyde.Error {
		return clyde.Errorf(clyde.ErrConflict, "clyde.lock is out of date: "+format, args...).WithCode("lock_stale").Fix("run clyde install without --locked and commit the new lock file")
	}
	if !maps.Equal(traits, l.Traits) && len(traits)+len(l.Traits) > 0 {
		return stale("the project's traits changed")
	}
	if !maps.EqualFunc(req.Overrides, l.Overrides, clyde.Range.Equal) {
		return stale("the overrides changed")
	}
	left := slices.Clone(l.Requires)
	for i := range req.Root.Requires {
		q := &req.Root.Requires[i]
		if q.Kind == Dev && !req.Dev || q.Kind == Build && req.NoBuild ||
			q.counts(req.Platform, func(t string) (string, bool) { return traits[t], true }) == clyde.False {
			continue
		}
		at := slices.IndexFunc(left, func(e Edge) bool { return e.Name.Identity() == q.Name.Identity() && e.Kind == q.Kind })
		if at < 0 {
			return stale("%s was added", q.Name)
		}
		e := left[at]
		if !e.Range.Equal(q.Range) || e.When.String() != q.When.String() || !maps.Equal(e.Traits, q.Traits) {
			return stale("the requirement of %s changed", q.Name)
		}
		left = slices.Delete(left, at, at+1)
	}
	for _, e := range left {
		if e.Kind == Dev && !req.Dev || e.Kind == Build && req.NoBuild {
			continue
		}
		return stale("%s is not required any more", e.Name)
	}
	return nil
}

// Want chooses part of a lock.
type Want struct {
	Platform *Platform // nil: all of them
	Dev      bool      // what dev_requires of the project need, too
	NoBuild  bool      // not what build_requires need
}

// follow reports whether an edge of a package with these traits counts.
func (w Want) follow(e *Edge, traits map[string]string) bool {
	q := Requirement{When: e.When}
	if e.Kind == Dev && !w.Dev || e.Kind == Build && w.NoBuild {
		return false
	}
	return q.counts(w.Platform, func(t string) (string, bool) { return traits[t], true }) != clyde.False
}

// Edges returns the requirements of a package that count as w says, by kind and
// name; the zero Name is the project.
func (l *Lock) Edges(n clyde.Name, w Want) []Edge {
	all, traits := l.Requires, l.Traits
	if !n.IsZero() {
		p := l.Packages[n]
		if p == nil {
			return nil
		}
		all, traits = p.Dependencies, p.Traits
	}
	var some []Edge
	for i := range all {
		if w.follow(&all[i], traits) {
			some = append(some, all[i])
		}
	}
	return some
}

// Needed lists the packages that the project needs as w says, those first that
// others need: an order to build in, where there is no circle.
func (l *Lock) Needed(w Want) []clyde.Name {
	var order []clyde.Name
	seen := map[clyde.Name]bool{}
	var visit func(clyde.Name)
	visit = func(n clyde.Name) {
		if seen[n] {
			return
		}
		seen[n] = true
		for _, e := range l.Edges(n, w) {
			visit(e.Name)
		}
		if !n.IsZero() && l.Packages[n] != nil {
			order = append(order, n)
		}
	}
	visit(clyde.Name{})
	return order
}
