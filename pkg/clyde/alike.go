package clyde

import "strings"

// MinEditLen is the shortest name, in bytes, that one edit makes a look-alike
// of another. Ours: among shorter ones nearly every two are one edit apart.
const MinEditLen = 4

// What reads alike in common typefaces, single letters before pairs, so that
// "c1" and "cl" both become a d: "rn" is an m, "vv" a w.
var (
	letters = strings.NewReplacer("0", "o", "1", "l", "i", "l", "5", "s", "2", "z", "8", "b", "6", "b", "9", "g", "q", "g", "-", "", "_", "", ".", "")
	pairs   = strings.NewReplacer("rn", "m", "vv", "w", "cl", "d")
)

// Skeleton returns the form under which two names that look alike meet: "acme"
// and "acrne", "zlib" and "z1ib", "a-b" and "ab".
func Skeleton(s string) string { return pairs.Replace(letters.Replace(s)) }

// Alike reports whether one of two names could be taken for the other, and how:
// "looks the same as" or "is one edit from". A name is not its own look-alike.
func Alike(a, b string) (how string, alike bool) {
	if a == b {
		return "", false
	}
	if Skeleton(a) == Skeleton(b) {
		return "looks the same as", true
	}
	if min(len(a), len(b)) >= MinEditLen && oneEdit(a, b) {
		return "is one edit from", true
	}
	return "", false
}

// oneEdit reports whether one letter put in, left out, replaced or swapped with
// its neighbour makes b of a (optimal string alignment of one).
func oneEdit(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	switch len(b) - len(a) {
	case 0:
		return i == len(a) || a[i+1:] == b[i+1:] ||
			i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
	case 1:
		return a[i:] == b[i+1:]
	}
	return false
}

// LikenessForms returns keys of s such that two names that are Alike share one:
// its skeleton, and, for names of MinEditLen or more, itself and itself with
// each letter left out. At most len(s)+2 of them, some equal.
func LikenessForms(s string) []string {
	forms := []string{"=" + Skeleton(s)}
	if len(s) < MinEditLen {
		return forms
	}
	forms = append(forms, s)
	for i := range s {
		forms = append(forms, s[:i]+s[i+1:])
	}
	return forms
}
