// Package diff says what changed between two texts and between two trees of
// files. It performs no I/O of its own, and its cost is bounded whatever it is
// given: where a shorter answer would take too long it gives a longer one.
package diff

import (
	"slices"
	"strings"
)

// maxTable bounds the cells of one table of the exact algorithm. A region of
// more, in which no line is unique, counts as replaced. Ours: a thousand lines
// against a thousand, 4 MB.
const maxTable = 1 << 20

// Op is what became of a line.
type Op byte

// What becomes of lines.
const (
	Same    Op = ' '
	Removed Op = '-'
	Added   Op = '+'
)

// Line is one line of a hunk.
type Line struct {
	Op       Op
	Old, New int    // numbers from 1; 0 where the line is not there
	Text     string // without its end
	NoEnd    bool   // a last line that has no end
}

// Hunk is lines that changed, and some around them.
type Hunk struct {
	Old, OldCount int // first line, from 1, and how many
	New, NewCount int
	Lines         []Line
}

// Result is what changed between two texts.
type Result struct {
	Hunks          []Hunk
	Added, Removed int // lines
}

// Lines compares two texts line by line, and keeps context lines around what
// changed. Lines end in "\n"; "\r\n" differs from it.
func Lines(old, new string, context int) Result {
	a, b := split(old), split(new)
	ids := map[string]int{}
	d := &differ{a: number(a, ids), b: number(b, ids), keepA: make([]bool, len(a)), keepB: make([]bool, len(b))}
	d.region(0, len(a), 0, len(b))
	return d.hunks(a, b, context)
}

// split cuts text into lines with their ends, so that a last line without one is
// another line than the same with it, as it is to patch.
func split(text string) []string {
	return slices.Collect(strings.Lines(text))
}

func number(lines []string, ids map[string]int) []int {
	out := make([]int, len(lines))
	for i, l := range lines {
		id, ok := ids[l]
		if !ok {
			id = len(ids)
			ids[l] = id
		}
		out[i] = id
	}
	return out
}

// differ marks the lines that both texts keep, in one order.
type differ struct {
	a, b         []int
	keepA, keepB []bool
}

// region compares a[i:j] with b[k:l]: equal ends first, then lines that are
// unique on both sides as anchors, and what is left exactly where it is small.
func (d *differ) region(i, j, k, l int) {
	for i < j && k < l && d.a[i] == d.b[k] {
		d.keepA[i], d.keepB[k] = true, true
		i, k = i+1, k+1
	}
	for i < j && k < l && d.a[j-1] == d.b[l-1] {
		j, l = j-1, l-1
		d.keepA[j], d.keepB[l] = true, true
	}
	if i == j || k == l {
		return
	}
	anchors := d.anchors(i, j, k, l)
	if len(anchors) == 0 {
		if (j-i+1)*(l-k+1) <= maxTable {
			d.exact(i, j, k, l)
		}
		return
	}
	for _, p := range anchors {
		if p.a < i || p.b < k {
			continue // kept already, as an end that is equal
		}
		d.region(i, p.a, k, p.b)
		d.keepA[p.a], d.keepB[p.b] = true, true
		i, k = p.a+1, p.b+1
	}
	d.region(i, j, k, l)
}

type pair struct{ a, b int }

// anchors are lines that both regions have exactly once, as many as keep their
// order on both sides.
func (d *differ) anchors(i, j, k, l int) []pair {
	type seen struct{ a, b, inA, inB int }
	at := make(map[int]seen, j-i)
	for n := i; n < j; n++ {
		s := at[d.a[n]]
		s.a, s.inA = n, s.inA+1
		at[d.a[n]] = s
	}
	for n := k; n < l; n++ {
		if s, ok := at[d.b[n]]; ok {
			s.b, s.inB = n, s.inB+1
			at[d.b[n]] = s
		}
	}
	var all []pair
	for n := i; n < j; n++ {
		if s := at[d.a[n]]; s.inA == 1 && s.inB == 1 {
			all = append(all, pair{n, s.b})
		}
	}
	return longest(all)
}

// longest is the longest run of pairs, which are in order of a, that are in
// order of b, too.
func longest(all []pair) []pair {
	if len(all) == 0 {
		return nil
	}
	ends := make([]int, 0, len(all)) // ends[n] is the pair with the least b that ends a run of n+1
	before := make([]int, len(all))
	for n, p := range all {
		at, _ := slices.BinarySearchFunc(ends, p.b, func(e, b int) int { return all[e].b - b })
		before[n] = -1
		if at > 0 {
			before[n] = ends[at-1]
		}
		if at == len(ends) {
			ends = append(ends, n)
		} else {
			ends[at] = n
		}
	}
	out := make([]pair, len(ends))
	for n, at := len(ends)-1, ends[len(ends)-1]; n >= 0; n, at = n-1, before[at] {
		out[n] = all[at]
	}
	return out
}

// exact finds the longest common subsequence of two small regions.
func (d *differ) exact(i, j, k, l int) {
	n, m := j-i, l-k
	table := make([]uint32, (n+1)*(m+1)) // of what is left from there on
	for x := n - 1; x >= 0; x-- {
		for y := m - 1; y >= 0; y-- {
			at := x*(m+1) + y
			if d.a[i+x] == d.b[k+y] {
				table[at] = table[at+m+2] + 1
			} else {
				table[at] = max(table[at+1], table[at+m+1])
			}
		}
	}
	for x, y := 0, 0; x < n && y < m; {
		at := x*(m+1) + y
		switch {
		case d.a[i+x] == d.b[k+y]:
			d.keepA[i+x], d.keepB[k+y] = true, true
			x, y = x+1, y+1
		case table[at+m+1] >= table[at+1]:
			x++
		default:
			y++
		}
	}
}

// hunks collects what changed: in each place what is removed, then what is
// added.
func (d *differ) hunks(a, b []string, context int) (r Result) {
	var all []Line
	var changed []int
	for i, k := 0, 0; i < len(a) || k < len(b); {
		switch {
		case i < len(a) && !d.keepA[i]:
			r.Removed++
			changed = append(changed, len(all))
			all = append(all, line(Removed, i+1, 0, a[i]))
			i++
		case k < len(b) && !d.keepB[k]:
			r.Added++
			changed = append(changed, len(all))
			all = append(all, line(Added, 0, k+1, b[k]))
			k++
		default:
			all = append(all, line(Same, i+1, k+1, b[k]))
			i, k = i+1, k+1
		}
	}
	for n := 0; n < len(changed); {
		from := max(0, changed[n]-context)
		to := changed[n] + 1
		for n++; n < len(changed) && changed[n]-to <= 2*context; n++ {
			to = changed[n] + 1
		}
		to = min(len(all), to+context)
		r.Hunks = append(r.Hunks, hunk(all[from:to]))
	}
	return r
}

func line(op Op, old, new int, text string) Line {
	text, ended := strings.CutSuffix(text, "\n")
	return Line{Op: op, Old: old, New: new, Text: text, NoEnd: !ended}
}

func hunk(lines []Line) Hunk {
	h := Hunk{Lines: lines}
	for _, l := range lines {
		if l.Op != Added {
			if h.OldCount++; h.OldCount == 1 {
				h.Old = l.Old
			}
		}
		if l.Op != Removed {
			if h.NewCount++; h.NewCount == 1 {
				h.New = l.New
			}
		}
	}
	return h
}

// Row is two lines side by side; either may be missing.
type Row struct{ Old, New *Line }

// Rows puts the lines of a hunk side by side: what is removed beside what is
// added in its place.
func (h Hunk) Rows() (rows []Row) {
	for i := 0; i < len(h.Lines); {
		if h.Lines[i].Op == Same {
			rows = append(rows, Row{&h.Lines[i], &h.Lines[i]})
			i++
			continue
		}
		gone := i
		for i < len(h.Lines) && h.Lines[i].Op == Removed {
			i++
		}
		come := i
		for i < len(h.Lines) && h.Lines[i].Op == Added {
			i++
		}
		for n := range max(come-gone, i-come) {
			var r Row
			if gone+n < come {
				r.Old = &h.Lines[gone+n]
			}
			if come+n < i {
				r.New = &h.Lines[come+n]
			}
			rows = append(rows, r)
		}
	}
	return rows
}

// Inside returns how many bytes two lines have in common at their starts and
// at their ends, whole runes each, so that what lies between is what changed.
func Inside(old, new string) (start, end int) {
	for start < len(old) && start < len(new) && old[start] == new[start] {
		start++
	}
	for start > 0 && start < len(old) && old[start]&0xc0 == 0x80 || start > 0 && start < len(new) && new[start]&0xc0 == 0x80 {
		start--
	}
	for end < len(old)-start && end < len(new)-start && old[len(old)-1-end] == new[len(new)-1-end] {
		end++
	}
	for end > 0 && old[len(old)-end]&0xc0 == 0x80 {
		end--
	}
	return start, end
}
