package resolve

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Request is what to resolve.
type Request struct {
	Name       clyde.Name // of the project; zero where it has none
	Root       Candidate  // the project: what it requires, declares and conflicts with
	RootTraits map[string]string
	Dev        bool // with dev_requires of the project
	NoBuild    bool // without build_requires
	// Platform is the one to resolve for. Nil means all of them: whatever some
	// platform needs is resolved, and the conditions stay in the lock file.
	Platform *Platform
	// Traits are values asked of packages wherever they occur.
	Traits map[clyde.Name]map[string]string
	// Overrides replace what anybody requires of a package.
	Overrides      map[clyde.Name]clyde.Range
	Prereleases    []clyde.Name // packages of which prereleases count in any range
	AllPrereleases bool
	Lock           *Lock // versions to stay with where possible; may be nil
	Update         []clyde.Name
	UpdateAll      bool // as if all packages were in Update
	// MaxSteps bounds the choices and conflicts; 0 means the constant. Time is
	// bounded by the context.
	MaxSteps int
	// NoSuggestions leaves out the attempts to mend a failure.
	NoSuggestions bool
}

// Edge is a requirement that counts in a solution.
type Edge struct {
	Name       clyde.Name
	Kind       Kind
	Range      clyde.Range
	When       clyde.Condition // holds on some platforms only, where not zero
	Traits     map[string]string
	Visibility string
	Optional   bool
}

// Package is one package of a solution.
type Package struct {
	Name clyde.Name
	Candidate
	TraitValues  map[string]string // of every trait that the version declares or that was asked for
	Dependencies []Edge            // by kind and name

	// What a server that was told the host says besides; Solve leaves it empty.
	Signed string
	Build  *BuildView
	WhyNot []WhyNot
}

// Solution is one version of every package needed.
type Solution struct {
	Name         clyde.Name
	TraitValues  map[string]string // of the project
	Dependencies []Edge            // of the project
	Packages     []Package         // by name
	Steps        int               // choices and conflicts it took
}

// Solve chooses a version of every package that the request needs, the highest
// that fit, those required first having the first choice. The same request
// against the same source gives the same solution.
//
// A request that cannot be met is an ErrConflict error with the code
// "unsatisfiable" whose cause is a *Failure. A limit that was reached is an
// ErrTooLarge error with the code "resolve_limit"; a version that the lock
// names with another digest than the source is an ErrConflict error with the
// code "digest_changed". Errors of the source are returned as they are.
func Solve(ctx context.Context, src Source, req Request) (*Solution, error) {
	return solve(ctx, newUniverse(src), &req)
}

func solve(ctx context.Context, u *universe, req *Request) (*Solution, error) {
	s, failure, err := attempt(ctx, u, req)
	switch {
	case err != nil:
		return nil, err
	case failure != nil:
		e := s.unsatisfiable(failure)
		if !req.NoSuggestions {
			suggest(ctx, u, req, e)
		}
		return nil, e
	}
	return s.solution()
}

// attempt runs the solver until it no longer relies on an assumption that
// turned out wrong; each trait makes it start again at most once.
func attempt(ctx context.Context, u *universe, req *Request) (*solver, *incompat, error) {
	contested := map[string]bool{}
	steps, budget := 0, req.MaxSteps
	if budget == 0 {
		budget = MaxSteps
	}
	for {
		s := newSolver(u, req, contested, &steps, budget)
		failure, err := s.run(ctx)
		if err != nil {
			return nil, nil, err
		}
		again := s.restart
		if failure != nil && !again {
			if used := s.assumptions(failure); len(used) > 0 {
				if err := u.closure(ctx); err != nil {
					return nil, nil, err
				}
				for _, a := range used {
					if id := traitID(a[0], a[1]); !contested[id] && u.asksFor(a[0], a[1]) {
						contested[id] = true
						again = true
					}
				}
			}
		}
		if !again {
			return s, failure, nil
		}
	}
}

// solution reads off what was chosen.
func (s *solver) solution() (*Solution, error) {
	sol := &Solution{Name: s.req.Name, Steps: *s.steps}
	for i, v := range s.vars {
		if v.trait != "" || v.chosen == 0 {
			continue
		}
		c := v.known.cands[v.chosen-1]
		traits := map[string]string{}
		for _, t := range v.traits {
			if x := s.vars[t]; x.chosen != 0 {
				traits[x.trait] = x.values[x.chosen-1]
			}
		}
		for _, name := range c.traitNames() {
			if _, ok := traits[name]; !ok {
				t, _ := c.trait(name)
				traits[name] = defaultOf(t)
			}
		}
		edges := s.edges(i, c, traits)
		if i == 0 {
			sol.TraitValues, sol.Dependencies = traits, edges
			continue
		}
		if l := s.locked[v.id]; l != nil && l.Version.Equal(c.Version) && l.Digest != "" && c.Digest != "" && l.Digest != c.Digest {
			return nil, clyde.Errorf(clyde.ErrConflict, "%s %s is not what was locked: the lock file says %s and the registry %s", v.name, c.Version, l.Digest, c.Digest).
				WithCode("digest_changed").Fix("find out why: a version never changes in an honest registry; then clyde update %s", v.name)
		}
		sol.Packages = append(sol.Packages, Package{Name: v.name, Candidate: *c, TraitValues: traits, Dependencies: edges})
	}
	slices.SortFunc(sol.Packages, func(a, b Package) int { return compareNames(a.Name, b.Name) })
	return sol, nil
}

func (s *solver) edges(i int, c *Candidate, traits map[string]string) []Edge {
	edges := make([]Edge, 0, len(c.Requires))
	wants := s.vars[i].known.needs(s.vars[i].chosen).requires
	for j := range c.Requires {
		q := &c.Requires[j]
		if !s.counted(i, q) || q.counts(s.req.Platform, func(name string) (string, bool) { return traits[name], true }) == clyde.False {
			continue
		}
		edges = append(edges, Edge{
			Name: s.vars[s.pkg(wants[j].id)].name, Kind: q.Kind, Range: q.Range, When: q.When,
			Traits: maps.Clone(q.Traits), Visibility: q.Visibility, Optional: q.Optional,
		})
	}
	slices.SortStableFunc(edges, compareEdges)
	return edges
}

func compareEdges(a, b Edge) int {
	if d := a.Kind.rank() - b.Kind.rank(); d != 0 {
		return d
	}
	if d := compareNames(a.Name, b.Name); d != 0 {
		return d
	}
	return strings.Compare(a.When.String(), b.When.String())
}
