package resolve

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// fightsPerRank is how many conflicts move a package one rank ahead of those
// that were required before it. Ours: deciding early what fights most keeps
// the proofs short, and five leaves ordinary graphs in the order of their
// requirements.
const fightsPerRank = 5

// decide makes one choice, or none where a rule that comes with it forbids it,
// and returns the variable to propagate from. What is required first is
// chosen first, so that the project's own requirements get the highest
// versions.
func (s *solver) decide(ctx context.Context) (next int, done bool, err error) {
	if err := s.step(ctx); err != nil {
		return 0, false, err
	}
	best, free := -1, []int(nil)
	for i, v := range s.vars {
		if v.chosen != 0 || v.allowed.has(absent) {
			continue
		}
		if v.trait != "" {
			if value := s.supported(v); value > 0 {
				return s.try(ctx, i, value)
			}
			free = append(free, i)
			continue
		}
		if best < 0 || v.fights/fightsPerRank > s.vars[best].fights/fightsPerRank {
			best = i
		}
	}
	if best >= 0 {
		return s.try(ctx, best, s.prefer(s.vars[best]))
	}
	for _, i := range free {
		v := s.vars[i]
		owner := s.vars[v.owner]
		if d := s.value(v, s.defaultOf(owner, owner.chosen, v.trait)); v.allowed.has(d) {
			return s.try(ctx, i, d)
		}
	}
	if len(free) > 0 {
		return s.nobodyAsks(free[0]), false, nil
	}
	return 0, true, nil
}

// prefer returns the locked version where it is possible, else the highest.
func (s *solver) prefer(v *variable) int {
	n := len(v.known.cands)
	first := v.allowed.next(1, n)
	if s.locked[v.id] != nil {
		for i := first; i > 0; i = v.allowed.next(i+1, n) {
			if s.isLocked(v.id, v.known.cands[i-1]) {
				return i
			}
		}
	}
	return first
}

// defaultOf is the default of a trait in the i-th version.
func (s *solver) defaultOf(owner *variable, i int, trait string) string {
	t, _ := owner.known.cands[i-1].trait(trait)
	return defaultOf(t)
}

// try adds the rules that come with a choice, and makes it unless one of them
// forbids it at once.
func (s *solver) try(ctx context.Context, i, value int) (int, bool, error) {
	var fresh []*incompat
	var err error
	v := s.vars[i]
	if v.trait == "" {
		fresh, err = s.requirements(ctx, i, value, -1, 0)
	} else {
		if r := s.refusal(i, value); r != nil {
			fresh = append(fresh, r)
		}
		if owner := s.vars[v.owner]; owner.chosen != 0 {
			var more []*incompat
			more, err = s.requirements(ctx, v.owner, owner.chosen, i, value)
			fresh = append(fresh, more...)
		}
	}
	if err != nil || s.restart {
		return 0, false, err
	}
	for _, c := range fresh {
		if s.forbids(c, i, value) {
			return i, false, nil
		}
	}
	s.choose(i, value)
	return i, false, nil
}

// forbids reports whether c rules out that variable i is value, as things are.
func (s *solver) forbids(c *incompat, i, value int) bool {
	about := false
	for _, t := range c.terms {
		if t.v == i {
			if !t.set.has(value) {
				return false
			}
			about = true
		} else if !s.vars[t.v].allowed.within(t.set) {
			return false
		}
	}
	return about
}

// counted tells whether this request looks at a requirement at all.
func (s *solver) counted(p int, q *Requirement) bool {
	switch q.Kind {
	case Dev:
		return p == 0 && s.req.Dev
	case Build:
		return !s.req.NoBuild
	}
	return true
}

// requirements returns the new rules that hold where package p is its i-th
// version, as far as the traits that they depend on are decided; trait x is
// taken to be value.
func (s *solver) requirements(ctx context.Context, p, i, x, value int) ([]*incompat, error) {
	v := s.vars[p]
	none := func(string) (string, bool) { return "", false }
	trait := func(name string) (string, bool) {
		at := s.traitAt(p, name)
		switch {
		case at < 0:
			return "", false
		case at == x:
			return s.vars[at].values[value-1], true
		case s.vars[at].chosen != 0:
			return s.vars[at].values[s.vars[at].chosen-1], true
		}
		return "", false
	}
	type pending struct {
		g     *group
		terms []term
		key   string
	}
	var asked []pending
	var names []clyde.Name
	var fresh []*incompat
	look := func(wants []*want) {
		for _, w := range wants {
			q := w.req
			if !s.counted(p, q) {
				continue
			}
			truth := q.counts(s.req.Platform, none)
			if truth == clyde.False {
				continue
			}
			g := s.group(v, w)
			next := pending{g: g, terms: []term{{p, g.set}}}
			if cond := q.conditional(); truth == clyde.Unknown && len(cond) > 0 {
				open := false
				for _, name := range cond {
					t := s.traitOf(p, name)
					if !g.done["has "+name] {
						g.mark("has " + name)
						fresh = append(fresh, &incompat{terms: []term{{p, g.set}, {t, single(absent)}}, cause: cause{kind: hasTrait, trait: name}})
					}
					have, known := trait(name)
					if !known {
						open = true
						continue
					}
					next.terms = join(next.terms, term{t, single(s.value(s.vars[t], have))})
					next.key += name + "=" + have + "\n"
				}
				if open || q.counts(s.req.Platform, trait) == clyde.False {
					continue
				}
			}
			if next.key == "" && g.always || g.done[next.key] {
				continue
			}
			if next.key == "" {
				g.always = true
			} else {
				g.mark(next.key)
			}
			asked = append(asked, next)
			if _, ok := s.byID[w.id]; !ok && !w.conflict {
				names = append(names, q.Name)
			}
		}
	}
	n := v.known.needs(i)
	look(n.requires)
	look(n.conflicts)
	if err := s.u.load(ctx, names...); err != nil {
		return nil, err
	}
	for _, w := range asked {
		if w.g.conflict {
			if q, ok := s.byID[w.g.id]; ok {
				fresh = append(fresh, s.conflictRule(p, w.g.set, q, w.g.req, w.terms[1:]))
			} else {
				s.waiting[w.g.id] = append(s.waiting[w.g.id], declared{p, w.g.set, w.g.req, w.terms[1:]})
			}
			continue
		}
		fresh = append(fresh, s.requirement(w.g.want, w.terms)...)
	}
	fresh = slices.DeleteFunc(fresh, func(c *incompat) bool { return c == nil })
	for _, c := range fresh {
		s.add(c)
	}
	return fresh, nil
}

// group returns a want of v as this request sees it.
func (s *solver) group(v *variable, w *want) *group {
	g := v.groups[w]
	if g == nil {
		g = &group{want: w, set: w.set.and(v.domain)}
		put(&v.groups, w, g)
	}
	return g
}

func (g *group) mark(key string) {
	if g.done == nil {
		g.done = map[string]bool{}
	}
	g.done[key] = true
}

// requirement returns the rules of w where all of terms hold.
func (s *solver) requirement(w *want, terms []term) []*incompat {
	q := w.req
	to := s.pkg(w.id)
	in, override := s.versions(s.vars[to], w)
	c := &incompat{cause: cause{kind: requires, req: q, override: override}}
	c.terms = join(append(make([]term, 0, len(terms)+1), terms...), term{to, in.not()})
	fresh := append(make([]*incompat, 0, 1+len(q.Traits)), c)
	if !c.terms[0].set.meets(s.vars[c.terms[0].v].domain) {
		fresh = nil // a package that requires itself, and meets it
	}
	for _, t := range slices.Sorted(maps.Keys(q.Traits)) {
		fresh = append(fresh, s.askRule(to, terms, t, q.Traits[t], cause{kind: asks, req: q}))
	}
	return fresh
}

// conflict adds the rule that versions set of v may not stand beside q's range
// of variable to.
func (s *solver) conflict(v int, w set, to int, q *Requirement, terms []term) {
	if c := s.conflictRule(v, w, to, q, terms); c != nil {
		s.add(c)
	}
}

func (s *solver) conflictRule(v int, w set, to int, q *Requirement, terms []term) *incompat {
	if v == to {
		return nil
	}
	target := s.vars[to]
	b := newBuilder(len(target.known.cands))
	for i := range target.known.cands {
		if q.Range.Admits(target.known.cands[i].Version) {
			b.add(i + 1)
		}
	}
	in := b.set()
	if in.count(len(target.known.cands)) == 0 {
		return nil
	}
	return &incompat{terms: append([]term{{v, w}, {to, in}}, terms...), cause: cause{kind: conflicts, req: q}}
}

// traitAt returns the variable of a trait of package p, or -1.
func (s *solver) traitAt(p int, name string) int {
	for _, t := range s.vars[p].traits {
		if s.vars[t].trait == name {
			return t
		}
	}
	return -1
}

// traitOf returns the variable of a trait of package p.
func (s *solver) traitOf(p int, name string) int {
	if t := s.traitAt(p, name); t >= 0 {
		return t
	}
	all := set{}.not()
	t := len(s.vars)
	s.vars = append(s.vars, &variable{name: s.vars[p].name, id: traitID(s.vars[p].id, name), trait: name, owner: p, domain: all, allowed: all})
	s.vars[p].traits = append(s.vars[p].traits, t)
	return t
}

func traitID(id, trait string) string { return id + " " + trait }

// value returns the number of a trait's value.
func (s *solver) value(v *variable, text string) int {
	if i := slices.Index(v.values, text); i >= 0 {
		return i + 1
	}
	v.values = append(v.values, text)
	return len(v.values)
}

// ask adds the rule that a trait of package p has a value where terms hold.
func (s *solver) ask(p int, terms []term, trait, value string, why cause) {
	s.add(s.askRule(p, terms, trait, value, why))
}

func (s *solver) askRule(p int, terms []term, trait, value string, why cause) *incompat {
	t := s.traitOf(p, trait)
	v := s.vars[t]
	if s.assumed[v.id] && !s.contested[v.id] {
		s.contested[v.id] = true
		s.restart = true
	}
	why.trait, why.word = trait, value
	n := s.value(v, value)
	v.asks = append(v.asks, wish{terms, n})
	return &incompat{terms: join(slices.Clone(terms), term{t, single(n).not()}), cause: why}
}

// supported returns the value of a trait that something in the graph asks for,
// or 0 where nothing does.
func (s *solver) supported(v *variable) int {
	for _, w := range v.asks {
		if v.allowed.has(w.value) && !slices.ContainsFunc(w.terms, func(t term) bool { return !s.vars[t.v].allowed.within(t.set) }) {
			return w.value
		}
	}
	return 0
}

// refusal returns the rule that some versions of a trait's package do not
// accept a value, where it is new and there are such versions.
func (s *solver) refusal(t, value int) *incompat {
	v := s.vars[t]
	if v.refused.has(value) {
		return nil
	}
	v.refused = v.refused.or(single(value))
	owner := s.vars[v.owner]
	b := newBuilder(len(owner.known.cands))
	for i := range owner.known.cands {
		if !owner.known.cands[i].accepts(v.trait, v.values[value-1]) {
			b.add(i + 1)
		}
	}
	w := b.set()
	if w.count(len(owner.known.cands)) == 0 {
		return nil
	}
	c := &incompat{terms: []term{{v.owner, w}, {t, single(value)}}, cause: cause{kind: refuses, trait: v.trait, word: v.values[value-1]}}
	s.add(c)
	return c
}

// nobodyAsks deals with a trait whose default is ruled out and of which nobody
// asks another value. The solver never changes a trait by itself: it assumes
// that nobody will, so that the default is all there is. Where somebody turns
// out to, the trait is contested and the attempt begins again; then only the
// very choices at hand are ruled out, which is true in any case.
func (s *solver) nobodyAsks(t int) int {
	v := s.vars[t]
	owner := s.vars[v.owner]
	d := s.defaultOf(owner, owner.chosen, v.trait)
	if s.contested[v.id] {
		// That the default is ruled out is known from other rules, which thus
		// become part of the proof.
		c := &incompat{terms: []term{{t, single(s.value(v, d)).not()}}, cause: cause{kind: blocked, trait: v.trait}}
		at := 0
		for i, o := range s.vars {
			if o.chosen != 0 {
				c.terms = append(c.terms, term{i, single(o.chosen)})
				at = i
			}
		}
		s.add(c)
		return at
	}
	s.assumed[v.id] = true
	b := newBuilder(len(owner.known.cands))
	for i := range owner.known.cands {
		if have, ok := owner.known.cands[i].trait(v.trait); i+1 == owner.chosen || ok && defaultOf(have) == d {
			b.add(i + 1)
		}
	}
	s.add(&incompat{
		terms: []term{{v.owner, b.set()}, {t, single(s.value(v, d)).not()}},
		cause: cause{kind: assumption, trait: v.trait, word: d},
	})
	return t
}

// leaves collects the facts that a rule was derived from.
func leaves(c *incompat, visit func(*incompat)) {
	seen := map[*incompat]bool{}
	stack := []*incompat{c}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[n] {
			continue
		}
		seen[n] = true
		if n.a == nil {
			visit(n)
			continue
		}
		stack = append(stack, n.b, n.a)
	}
}

// assumptions lists the traits of which the proof of failure says that nobody
// asks for them, by variable, as "identity trait".
func (s *solver) assumptions(failure *incompat) [][2]string {
	var found [][2]string
	leaves(failure, func(c *incompat) {
		if c.cause.kind == assumption {
			found = append(found, [2]string{s.vars[c.terms[0].v].id, c.cause.trait})
		}
	})
	slices.SortFunc(found, func(a, b [2]string) int { return strings.Compare(a[0]+" "+a[1], b[0]+" "+b[1]) })
	return slices.Compact(found)
}
