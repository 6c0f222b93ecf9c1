package clyde_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func TestAlike(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		want string
	}{
		{"acme", "acme", ""},
		{"acme", "acrne", "looks the same as"},
		{"zlib", "z1ib", "looks the same as"},
		{"boost", "b00st", "looks the same as"},
		{"a-b", "ab", "looks the same as"},
		{"nlohmann", "nlohrnann", "looks the same as"},
		{"google", "gogole", "is one edit from"},
		{"google", "gooogle", "is one edit from"},
		{"google", "gogle", "is one edit from"},
		{"google", "moogle", "is one edit from"},
		{"google", "googel", "is one edit from"},
		{"google", "goolgee", ""},
		{"abc", "abd", ""}, // too short to say
		{"abcd", "abc", ""},
		{"abcd", "abce", "is one edit from"},
		{"fmtlib", "fmt", ""},
	} {
		for _, p := range [][2]string{{tt.a, tt.b}, {tt.b, tt.a}} {
			if how, ok := clyde.Alike(p[0], p[1]); how != tt.want || ok != (tt.want != "") {
				t.Errorf("Alike(%q, %q) = %q, %v; want %q", p[0], p[1], how, ok, tt.want)
			}
		}
	}
}

// What is alike is found by its forms.
func TestLikenessForms(t *testing.T) {
	t.Parallel()
	name := rapid.StringMatching(`[abrn01il-]{2,7}`)
	rapid.Check(t, func(rt *rapid.T) {
		a, b := name.Draw(rt, "a"), name.Draw(rt, "b")
		if _, alike := clyde.Alike(a, b); !alike {
			return
		}
		fa := clyde.LikenessForms(a)
		if !slices.ContainsFunc(clyde.LikenessForms(b), func(f string) bool { return slices.Contains(fa, f) }) {
			rt.Fatalf("%q and %q are alike and share no form", a, b)
		}
	})
}
