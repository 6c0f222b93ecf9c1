package clyde

import "strings"

// nearest returns the candidate with the fewest edits from s, or "" where none
// is near enough to be what was meant: a third of its length, at least one. Of
// equals the first wins.
func nearest(s string, candidates []string) string {
	const maxLen = 64 // bytes; a longer word is no misspelling of ours
	if len(s) > maxLen {
		return ""
	}
	lower := strings.ToLower(s)
	best, at := "", 0
	for _, c := range candidates {
		limit := max(1, min(len(c), len(s))/3)
		if d := len(c) - len(s); d > limit || -d > limit {
			continue
		}
		if d := distance(lower, strings.ToLower(c)); d <= limit && (best == "" || d < at) {
			best, at = c, d
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of
// neighbours that turn a into b.
func distance(a, b string) int {
	before, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(b)]
}
