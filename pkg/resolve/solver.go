package resolve

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// The algorithm is PubGrub (Natalie Weizenbaum, 2018) over finite domains: what
// is known of each variable is the set of its values that are still possible,
// and an incompatibility is a list of sets that may not all hold at once.
//
// A variable is a package, whose values are its candidates, or a trait of a
// package, whose values are those that somebody asks for or that is the
// default. "Not chosen" is a value of both.

// variable is a package or a trait of one.
type variable struct {
	name    clyde.Name
	id      string
	trait   string    // "" for a package
	owner   int       // of a trait: its package
	known   *Versions // of a package; cands[i-1] is value i
	values  []string  // of a trait; values[i-1] is value i
	traits  []int     // of a package: its trait variables
	domain  set       // every value, absent included
	allowed set       // what is still possible; always meets domain
	chosen  int       // the value decided on, or 0
	trail   []int     // places in solver.trail, oldest first
	rules   []*incompat
	about   []*want        // whose ranges were turned into sets
	lists   map[string]set // ranges that are not a want's own, by how they are written
	groups  map[*want]*group
	refused set    // of a trait: values whose refusal is a rule already
	asks    []wish // of a trait: what somebody may ask for
	fights  int    // conflicts it took part in
}

// group is a want as this request sees it.
type group struct {
	*want
	set    set             // the versions that have it and may be chosen
	always bool            // its rule without any condition stands
	done   map[string]bool // conditions under which its rules stand
}

// assignment is one step of knowledge: own is the news, left what is possible
// of the variable after it.
type assignment struct {
	v         int
	own, left set
	level     int
	cause     *incompat // nil for a decision
}

type solver struct {
	u      *universe
	req    *Request
	root   *Versions
	vars   []*variable
	byID   map[string]int
	trail  []assignment
	level  int
	steps  *int
	budget int
	// links lists which variables provide a link name, with the versions.
	links map[string][]provider
	// waiting holds what conflicts with packages that nobody requires yet.
	waiting map[string][]declared
	// contested traits are those that somebody asks for after it was assumed
	// that nobody does; see nobodyAsks.
	contested map[string]bool
	assumed   map[string]bool
	restart   bool
	locked    map[string]*LockedPackage
	updating  map[string]bool
	prerel    map[string]bool
	overrides map[string]clyde.Range
	asked     map[string]map[string]string
}

// wish is a value of a trait, asked for where all of terms hold.
type wish struct {
	terms []term
	value int
}

type provider struct {
	v   int
	set set
}

type declared struct {
	v     int
	set   set
	req   *Requirement
	terms []term // on traits
}

func newSolver(u *universe, req *Request, contested map[string]bool, steps *int, budget int) *solver {
	s := &solver{
		u: u, req: req, byID: map[string]int{}, steps: steps, budget: budget,
		links: map[string][]provider{}, waiting: map[string][]declared{}, contested: contested, assumed: map[string]bool{},
		locked: map[string]*LockedPackage{}, updating: map[string]bool{}, prerel: map[string]bool{},
		overrides: map[string]clyde.Range{}, asked: map[string]map[string]string{},
	}
	if req.Lock != nil {
		for name, p := range req.Lock.Packages {
			s.locked[name.Identity()] = p
		}
	}
	for _, n := range req.Update {
		s.updating[n.Identity()] = true
	}
	for _, n := range req.Prereleases {
		s.prerel[n.Identity()] = true
	}
	for n, r := range req.Overrides {
		s.overrides[n.Identity()] = r
	}
	for n, t := range req.Traits {
		s.asked[n.Identity()] = t
	}
	return s
}

// run returns nil when everything is decided, or the incompatibility that says
// that nothing can be.
func (s *solver) run(ctx context.Context) (*incompat, error) {
	root := req2root(s.req)
	s.root = root
	s.vars = append(s.vars, &variable{
		name: s.req.Name, id: rootID, known: root, domain: upTo(1), allowed: upTo(1),
	})
	s.byID[rootID] = 0
	if !s.req.Name.IsZero() {
		s.byID[s.req.Name.Identity()] = 0 // who requires the project means this folder
	}
	s.standing(0)
	for _, t := range slices.Sorted(maps.Keys(s.req.RootTraits)) {
		s.ask(0, []term{{0, single(1)}}, t, s.req.RootTraits[t], cause{kind: byRequest})
	}
	s.add(&incompat{terms: []term{{0, single(absent)}}, cause: cause{kind: isRoot}})
	at := 0
	for {
		if failure, err := s.propagate(ctx, at); failure != nil || err != nil {
			return failure, err
		}
		next, done, err := s.decide(ctx)
		if err != nil || done || s.restart {
			return nil, err
		}
		at = next
	}
}

const rootID = "" // no package has it: identities hold a slash

func req2root(req *Request) *Versions {
	c := req.Root
	if c.Version.IsZero() {
		c.Version, _ = clyde.ParseVersion("0")
	}
	return &Versions{name: req.Name, cands: []*Candidate{&c}, mark: new(mark)}
}

func (s *solver) step(ctx context.Context) error {
	*s.steps++
	if *s.steps > s.budget {
		return clyde.Errorf(clyde.ErrTooLarge, "resolving took more than %d steps", s.budget).WithCode("resolve_limit").
			Fix("narrow the ranges of what you require, or lock what already works")
	}
	if *s.steps%256 == 0 {
		return ctx.Err()
	}
	return nil
}

// variable of a package, loaded before, by its identity.
func (s *solver) pkg(id string) int {
	if i, ok := s.byID[id]; ok {
		return i
	}
	k := s.u.pkgs[id]
	v := &variable{name: k.name, id: id, known: k, domain: s.domain(id, k)}
	v.allowed = v.domain
	i := len(s.vars)
	s.vars = append(s.vars, v)
	s.byID[id] = i
	s.standing(i)
	return i
}

// domain is what may be chosen of a package at all: yanked versions only where
// they are locked.
func (s *solver) domain(id string, k *Versions) set {
	b := newBuilder(len(k.cands))
	b.add(absent)
	for i := range k.cands {
		if k.cands[i].Yanked == "" || s.isLocked(id, k.cands[i]) {
			b.add(i + 1)
		}
	}
	return b.set()
}

func (s *solver) isLocked(id string, c *Candidate) bool {
	l := s.locked[id]
	return l != nil && !s.req.UpdateAll && !s.updating[id] && l.Version.Equal(c.Version)
}

// standing adds the rules that hold of a package whatever is chosen.
func (s *solver) standing(i int) {
	v := s.vars[i]
	n := len(v.known.cands)
	away, odd := newBuilder(n), newBuilder(n)
	links := map[string]*builder{}
	for j := range v.known.cands {
		c := v.known.cands[j]
		if !v.domain.has(j + 1) {
			continue
		}
		if c.Unusable != "" {
			odd.add(j + 1)
		} else if !s.req.Platform.supported(c.Supports) {
			away.add(j + 1)
		}
		for _, l := range c.Provides {
			if links[l] == nil {
				links[l] = newBuilder(n)
			}
			links[l].add(j + 1)
		}
	}
	if w := away.set(); w.count(n) > 0 {
		s.add(&incompat{terms: []term{{i, w}}, cause: cause{kind: unsupported}})
	}
	if w := odd.set(); w.count(n) > 0 {
		s.add(&incompat{terms: []term{{i, w}}, cause: cause{kind: unusable}})
	}
	for _, l := range slices.Sorted(maps.Keys(links)) {
		w := links[l].set()
		for _, other := range s.links[l] {
			if other.v != i {
				s.add(&incompat{terms: []term{{other.v, other.set}, {i, w}}, cause: cause{kind: provides, word: l}})
			}
		}
		s.links[l] = append(s.links[l], provider{i, w})
	}
	traits := s.asked[v.id]
	for _, t := range slices.Sorted(maps.Keys(traits)) {
		s.ask(i, []term{{i, single(absent).not().and(v.domain)}}, t, traits[t], cause{kind: byRequest})
	}
	for _, w := range s.waiting[v.id] {
		s.conflict(w.v, w.set, i, w.req, w.terms)
	}
	delete(s.waiting, v.id)
}

// versions turns the range of a want into the versions of v that it holds.
func (s *solver) versions(v *variable, w *want) (r set, override bool) {
	r0 := w.req.Range
	o, override := s.overrides[v.id]
	pre := s.req.AllPrereleases || s.prerel[v.id]
	switch {
	case w.req.Local != "" || w.req.Git != "" || v.id == rootID:
		return v.domain.and(single(absent).not()), override
	case override:
		r0 = o
	case !pre:
		v.about = append(v.about, w)
		return w.in(v.known).and(v.domain), false
	}
	text := r0.String()
	if r, ok := v.lists[text]; ok {
		return r, override
	}
	r = v.known.holds(r0)
	if pre {
		r = r.or(v.known.nearly(r0))
	}
	r = r.and(v.domain)
	put(&v.lists, text, r)
	return r, override
}

// nearly reports whether v is a prerelease of a version in r: what a request
// for prereleases means by a range that names none.
func nearly(r clyde.Range, v clyde.Version) bool {
	if !v.IsPrerelease() {
		return false
	}
	release, err := clyde.ParseVersion(strings.TrimSuffix(v.String(), "-"+v.Prerelease()))
	return err == nil && r.Contains(release)
}

// add makes an incompatibility known to the variables in it.
func (s *solver) add(c *incompat) {
	for _, t := range c.terms {
		if v := s.vars[t.v]; !v.domain.within(t.set) { // else it holds in any case
			v.rules = append(v.rules, c)
		}
	}
}

// relation tells whether c is violated (-2), cannot be any more (-1), or has
// several open terms (-3); otherwise it returns the one term that is open.
func (s *solver) relation(c *incompat) int {
	open := -2
	for i := range c.terms {
		t := &c.terms[i]
		allowed := s.vars[t.v].allowed
		switch {
		case !allowed.meets(t.set):
			return -1
		case allowed.within(t.set):
		case open >= 0:
			open = -3
		case open == -2:
			open = i
		}
	}
	return open
}

// propagate draws every conclusion from what is known of variable at.
func (s *solver) propagate(ctx context.Context, at int) (*incompat, error) {
	queue := []int{at}
	queued := map[int]bool{at: true}
	for len(queue) > 0 {
		v := queue[0]
		queue = queue[1:]
		delete(queued, v)
		rules := s.vars[v].rules
		for i := len(rules) - 1; i >= 0; i-- {
			c := rules[i]
			open := s.relation(c)
			if open == -2 {
				if err := s.step(ctx); err != nil {
					return nil, err
				}
				learned, failed := s.resolve(c)
				if failed {
					return learned, nil
				}
				open = s.relation(learned)
				c = learned
				queue, queued = queue[:0], map[int]bool{}
				i = 0 // what follows is another state of affairs
			}
			if open < 0 {
				continue
			}
			t := c.terms[open]
			s.learn(t.v, t.set.not(), c)
			if !queued[t.v] {
				queue = append(queue, t.v)
				queued[t.v] = true
			}
		}
	}
	return nil, nil
}

// learn narrows a variable.
func (s *solver) learn(v int, own set, c *incompat) {
	x := s.vars[v]
	x.allowed = x.allowed.and(own)
	x.trail = append(x.trail, len(s.trail))
	s.trail = append(s.trail, assignment{v: v, own: own, left: x.allowed, level: s.level, cause: c})
}

func (s *solver) choose(v, value int) {
	s.level++
	s.learn(v, single(value), nil)
	s.vars[v].chosen = value
}

// back forgets everything above level.
func (s *solver) back(level int) {
	for len(s.trail) > 0 && s.trail[len(s.trail)-1].level > level {
		a := s.trail[len(s.trail)-1]
		s.trail = s.trail[:len(s.trail)-1]
		x := s.vars[a.v]
		x.trail = x.trail[:len(x.trail)-1]
		if a.cause == nil {
			x.chosen = 0
		}
		x.allowed = x.domain
		if n := len(x.trail); n > 0 {
			x.allowed = s.trail[x.trail[n-1]].left
		}
	}
	s.level = level
}
