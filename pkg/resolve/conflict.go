package resolve

import "slices"

// term says that a variable's value is one of set.
type term struct {
	v   int
	set set
}

// incompat is a list of terms that may not all hold, at most one a variable,
// and why.
type incompat struct {
	terms []term
	cause cause
	a, b  *incompat // what it was derived from; nil for a fact
}

type causeKind int

const (
	derived     causeKind = iota
	isRoot                // the project itself is wanted
	requires              // the first term's package has req
	asks                  // the first term's package asks a value of a trait
	byRequest             // the request asks a value of a trait
	refuses               // the versions do not accept that value
	conflicts             // the first term's package declares it
	provides              // both provide a link name
	unsupported           // not on this platform
	unusable              // the candidate says why
	hasTrait              // a trait has some value
	assumption            // a trait that nobody asks for has its default
	blocked               // exactly these choices were tried
)

type cause struct {
	kind     causeKind
	req      *Requirement
	word     string // link name, or value of a trait
	trait    string
	override bool // the range is an override's
}

// satisfied returns the place in the trail where it was first known that v is
// within w, or -1 where that is so from the beginning.
func (s *solver) satisfied(v int, w set) int {
	x := s.vars[v]
	if x.domain.within(w) {
		return -1
	}
	i, _ := slices.BinarySearchFunc(x.trail, w, func(at int, w set) int {
		if s.trail[at].left.within(w) {
			return 0
		}
		return -1
	})
	return x.trail[i]
}

func (s *solver) levelOf(at int) int {
	if at < 0 {
		return 0
	}
	return s.trail[at].level
}

// resolve takes back as little as lets c stand and returns the rule that then
// leaves one conclusion; or, where nothing does, the rule that says so.
func (s *solver) resolve(c *incompat) (_ *incompat, failed bool) {
	fresh := false
	for {
		if len(c.terms) == 0 || len(c.terms) == 1 && c.terms[0].v == 0 {
			return c, true
		}
		// The last thing that made c hold, and the level at which the rest did.
		last, at, before := -1, -1, 0
		for i, t := range c.terms {
			p := s.satisfied(t.v, t.set)
			if p > at {
				if at >= 0 {
					before = max(before, s.levelOf(at))
				}
				last, at = i, p
			} else {
				before = max(before, s.levelOf(p))
			}
		}
		t := c.terms[last]
		a := s.trail[at]
		s.vars[a.v].fights++
		var rest set
		whole := true
		if a.cause != nil {
			rest = t.set.or(a.own.not())
			if whole = s.vars[t.v].domain.within(rest); !whole {
				before = max(before, s.levelOf(s.satisfied(t.v, rest)))
			}
		}
		if a.cause == nil || before < a.level {
			s.back(before)
			if fresh {
				s.add(c)
			}
			return c, false
		}
		d := &incompat{a: c, b: a.cause}
		for i, o := range c.terms {
			if i != last {
				d.terms = append(d.terms, o)
			}
		}
		for _, o := range a.cause.terms {
			if o.v != t.v {
				d.terms = join(d.terms, o)
			}
		}
		if !whole {
			d.terms = join(d.terms, term{t.v, rest})
		}
		d.terms = slices.DeleteFunc(d.terms, func(o term) bool { return s.vars[o.v].domain.within(o.set) })
		c, fresh = d, true
	}
}

// join adds a term; of two about one variable both must hold.
func join(terms []term, t term) []term {
	for i := range terms {
		if terms[i].v == t.v {
			terms[i].set = terms[i].set.and(t.set)
			return terms
		}
	}
	return append(terms, t)
}
