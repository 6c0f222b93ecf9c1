package resolve

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Versions are all versions of one package, made ready for Solve. They never
// change, and what was once worked out about them serves every resolution that
// is given the same: a Keeper keeps them.
type Versions struct {
	name  clyde.Name
	cands []*Candidate // highest version first; never changed
	why   string       // of a package that does not exist: the source's sentence
	mark  *mark        // tells these from others of the same package

	mu     sync.Mutex
	wants  []needs // by version; empty until one is asked for
	places map[about][]place
}

// mark is an identity that keeps nothing else alive.
type mark struct{ _ byte }

// needs are what one version requires and conflicts with, in its own order.
type needs struct {
	requires, conflicts []*want
	ready               bool // no place is nil
}

// about is what a want is found by.
type about struct {
	name     clyde.Name
	conflict bool // it is declared in conflicts
}

// place is where a version says something.
type place struct{ version, at int }

// want is a requirement that versions of a package have in common.
type want struct {
	req      *Requirement
	conflict bool
	id       string // identity of the package that it is about
	set      set    // the versions that have it
	found    atomic.Pointer[found]
}

// found is what a want's range holds of the versions with a mark: the last
// answer, which is right as long as these are asked about.
type found struct {
	of *mark
	in set
}

// Prepare makes versions of a package ready, in any order. More than
// MaxVersions are an ErrTooLarge error of the code "resolve_limit"; a version
// without a number and one that is there twice, ErrInvalid errors of the code
// "index_invalid".
func Prepare(name clyde.Name, cs []Candidate) (*Versions, error) {
	if len(cs) > MaxVersions {
		return nil, clyde.Errorf(clyde.ErrTooLarge, "%s has %d versions: the limit is %d", name, len(cs), MaxVersions).WithCode("resolve_limit")
	}
	// Pointers are cheap to sort; indexes list the lowest version first.
	k := &Versions{name: name, cands: make([]*Candidate, len(cs)), mark: new(mark)}
	for i := range cs {
		k.cands[len(cs)-1-i] = &cs[i]
	}
	slices.SortStableFunc(k.cands, func(a, b *Candidate) int { return clyde.Compare(b.Version, a.Version) })
	for i, c := range k.cands {
		if c.Version.IsZero() && c.Local == "" && c.Git == "" {
			return nil, clyde.Errorf(clyde.ErrInvalid, "the index of %s lists a version without a number", name).WithCode("index_invalid")
		}
		if i > 0 && c.Version.Equal(k.cands[i-1].Version) {
			return nil, clyde.Errorf(clyde.ErrInvalid, "the index of %s lists version %s twice", name, c.Version).WithCode("index_invalid")
		}
	}
	return k, nil
}

// needs returns what the i-th version requires and conflicts with.
func (k *Versions) needs(i int) *needs {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.wants == nil {
		k.list()
	}
	n := &k.wants[i-1]
	if !n.ready {
		k.fill(n.requires, k.cands[i-1].Requires, false)
		k.fill(n.conflicts, k.cands[i-1].Conflicts, true)
		n.ready = true
	}
	return n
}

// list notes where each package is spoken of.
func (k *Versions) list() {
	k.wants, k.places = make([]needs, len(k.cands)), map[about][]place{}
	for i, c := range k.cands {
		k.wants[i] = needs{requires: make([]*want, len(c.Requires)), conflicts: make([]*want, len(c.Conflicts))}
		for at := range c.Requires {
			a := about{c.Requires[at].Name, false}
			k.places[a] = append(k.places[a], place{i, at})
		}
		for at := range c.Conflicts {
			a := about{c.Conflicts[at].Name, true}
			k.places[a] = append(k.places[a], place{i, at})
		}
	}
}

// fill makes the wants of one version, and puts each where another version says
// the same.
func (k *Versions) fill(wants []*want, list []Requirement, conflict bool) {
	for at := range list {
		if wants[at] != nil {
			continue
		}
		q := &list[at]
		w := &want{req: q, conflict: conflict, id: q.Name.Identity()}
		b := newBuilder(len(k.cands))
		for _, p := range k.places[about{q.Name, conflict}] {
			theirs, of := k.cands[p.version].Requires, k.wants[p.version].requires
			if conflict {
				theirs, of = k.cands[p.version].Conflicts, k.wants[p.version].conflicts
			}
			if of[p.at] == nil && theirs[p.at].same(q) {
				of[p.at] = w
				b.add(p.version + 1)
			}
		}
		w.set = b.set()
		wants[at] = w
	}
}

// holds returns the versions that a range holds, yanked ones too.
func (k *Versions) holds(r clyde.Range) set {
	b := newBuilder(len(k.cands))
	for i, c := range k.cands {
		if r.Contains(c.Version) || c.Local != "" || c.Git != "" {
			b.add(i + 1)
		}
	}
	return b.set()
}

// nearly returns the prereleases of versions that a range holds.
func (k *Versions) nearly(r clyde.Range) set {
	b := newBuilder(len(k.cands))
	for i, c := range k.cands {
		if nearly(r, c.Version) {
			b.add(i + 1)
		}
	}
	return b.set()
}

// in returns what the want's own range holds of its package's versions.
func (w *want) in(k *Versions) set {
	if f := w.found.Load(); f != nil && f.of == k.mark {
		return f.in
	}
	f := &found{k.mark, k.holds(w.req.Range)}
	w.found.Store(f)
	return f.in
}
