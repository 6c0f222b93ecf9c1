package resolve

import "math/bits"

// set is a set of small numbers. In a package's domain 0 stands for "not
// chosen" and i for the i-th candidate, highest version first; so a term that
// PubGrub calls negative is a set that holds 0, and intersection, union and
// complement need no cases. Sets are values: no operation changes its operands.
type set struct {
	lo   uint64   // 0 to 63, enough for most packages without another word
	hi   []uint64 // from 64 on
	rest bool     // whether everything beyond hi is in the set
}

const absent = 0 // the number that means "not chosen"

func fill(rest bool) uint64 {
	if rest {
		return ^uint64(0)
	}
	return 0
}

func (s set) word(i int) uint64 {
	switch {
	case i == 0:
		return s.lo
	case i-1 < len(s.hi):
		return s.hi[i-1]
	}
	return fill(s.rest)
}

func combine(a, b set, op func(x, y uint64) uint64) set {
	r := set{lo: op(a.lo, b.lo), rest: op(fill(a.rest), fill(b.rest))&1 == 1}
	n := max(len(a.hi), len(b.hi))
	for n > 0 && op(a.word(n), b.word(n)) == fill(r.rest) {
		n--
	}
	if n > 0 {
		r.hi = make([]uint64, n)
		for i := range r.hi {
			r.hi[i] = op(a.word(i+1), b.word(i+1))
		}
	}
	return r
}

func (s set) and(t set) set {
	if len(s.hi) == 0 && len(t.hi) == 0 {
		return set{lo: s.lo & t.lo, rest: s.rest && t.rest}
	}
	return combine(s, t, func(x, y uint64) uint64 { return x & y })
}

func (s set) or(t set) set {
	if len(s.hi) == 0 && len(t.hi) == 0 {
		return set{lo: s.lo | t.lo, rest: s.rest || t.rest}
	}
	return combine(s, t, func(x, y uint64) uint64 { return x | y })
}

func (s set) not() set {
	if len(s.hi) == 0 {
		return set{lo: ^s.lo, rest: !s.rest}
	}
	return combine(s, set{}, func(x, _ uint64) uint64 { return ^x })
}

// within reports whether every number of s is in t.
func (s set) within(t set) bool {
	if s.lo&^t.lo != 0 || s.rest && !t.rest {
		return false
	}
	for i := 1; i <= max(len(s.hi), len(t.hi)); i++ {
		if s.word(i)&^t.word(i) != 0 {
			return false
		}
	}
	return true
}

// meets reports whether s and t have a number in common.
func (s set) meets(t set) bool {
	if s.lo&t.lo != 0 || s.rest && t.rest {
		return true
	}
	for i := 1; i <= max(len(s.hi), len(t.hi)); i++ {
		if s.word(i)&t.word(i) != 0 {
			return true
		}
	}
	return false
}

func (s set) has(i int) bool { return s.word(i/64)>>(i%64)&1 == 1 }

func single(i int) set {
	if i < 64 {
		return set{lo: 1 << i}
	}
	hi := make([]uint64, i/64)
	hi[i/64-1] = 1 << (i % 64)
	return set{hi: hi}
}

// upTo returns 0 to n, n included.
func upTo(n int) set {
	if n < 63 {
		return set{lo: 1<<(n+1) - 1}
	}
	b := newBuilder(n)
	for i := range n + 1 {
		b.add(i)
	}
	return b.set()
}

// next returns the least number of s from i to most, or -1.
func (s set) next(i, most int) int {
	for i <= most {
		w := s.word(i/64) >> (i % 64)
		if w != 0 {
			if i += bits.TrailingZeros64(w); i <= most {
				return i
			}
			return -1
		}
		i = (i/64 + 1) * 64
	}
	return -1
}

// count returns how many of the numbers from 1 to most are in s.
func (s set) count(most int) int {
	n := 0
	for i := s.next(1, most); i >= 0; i = s.next(i+1, most) {
		n++
	}
	return n
}

// builder makes a set of numbers up to a bound.
type builder struct{ words []uint64 }

func newBuilder(most int) *builder { return &builder{make([]uint64, most/64+1)} }

func (b *builder) add(i int) { b.words[i/64] |= 1 << (i % 64) }

func (b *builder) set() set {
	n := len(b.words)
	for n > 1 && b.words[n-1] == 0 {
		n--
	}
	s := set{lo: b.words[0]}
	if n > 1 {
		s.hi = b.words[1:n]
	}
	return s
}
