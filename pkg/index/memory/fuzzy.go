package memory

import "math/bits"

// edits is how many typing mistakes a word of n letters may have (search
// policy: none below 4, one up to 7, two from 8).
func edits(n int) int {
	switch {
	case n < 4:
		return 0
	case n < 8:
		return 1
	}
	return 2
}

// sketch is a 64-bit summary of the letters of a word: which occur, and which
// occur twice. One edit changes at most two of its bits, so words whose
// sketches differ in more than 2k bits are more than k edits apart. It spares
// the comparison for nearly every word.
func sketch(w string) uint64 {
	var m uint64
	for i := range len(w) {
		c := w[i]
		var bit uint
		switch {
		case 'a' <= c && c <= 'z':
			bit = uint(c - 'a')
		case '0' <= c && c <= '9':
			m |= 1 << (52 + uint(c-'0'))
			continue
		default:
			continue
		}
		if m&(1<<bit) != 0 {
			bit += 26
		}
		m |= 1 << bit
	}
	return m
}

// near reports whether two sketches allow for k edits.
func near(a, b uint64, k int) bool { return bits.OnesCount64(a^b) <= 2*k }

// distance is the optimal string alignment distance of a and b (insertion,
// deletion, substitution, swap of neighbours), in bytes, or limit+1 when it is
// more than limit. Words are at most maxToken bytes, and names maxForm.
func distance(a, b string, limit int) int {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > limit || len(b) > maxForm {
		return limit + 1
	}
	for len(a) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	if len(a) == 0 {
		return len(b)
	}
	var rows [3][maxForm + 1]int8
	older, old, cur := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		old[j] = int8(j)
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = int8(i)
		least := cur[0]
		for j := 1; j <= len(b); j++ {
			d := old[j-1]
			if a[i-1] != b[j-1] {
				d++
			}
			d = min(d, old[j]+1, cur[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, older[j-2]+1)
			}
			cur[j] = d
			least = min(least, d)
		}
		if int(least) > limit {
			return limit + 1
		}
		older, old, cur = old, cur, older
	}
	return min(int(old[len(b)]), limit+1)
}
