package downloads

import (
	"hash/maphash"
)

// maxSeen is how many pulls of a day are remembered, 8 bytes each and what a
// map needs besides: 20 MB. After that it begins anew, so that a busy day counts
// somewhat more, never less. Ours.
const maxSeen = 1 << 19

// once tells repetitions from first times within a day. It keeps hashes under
// a seed that is drawn anew each day and never leaves memory: nothing about
// whoever pulled can be had from them, by us neither.
type once struct {
	day  string
	seed maphash.Seed
	seen map[uint64]struct{}
	max  int
}

// repetition is what is the same when something is pulled again.
type repetition struct {
	address      string // or the /64 of it
	repo, digest string
	Source
}

// first reports whether r was not seen yet on day.
func (o *once) first(day string, r repetition) bool {
	if o.max == 0 {
		o.max = maxSeen
	}
	if o.day != day || len(o.seen) >= o.max {
		o.day, o.seed, o.seen = day, maphash.MakeSeed(), map[uint64]struct{}{}
	}
	h := maphash.Comparable(o.seed, r)
	if _, ok := o.seen[h]; ok {
		return false
	}
	o.seen[h] = struct{}{}
	return true
}
