package clyde_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func TestQualify(t *testing.T) {
	t.Parallel()
	names := map[string]clyde.Name{"zlib": {Namespace: "acme", Base: "zlib"}, "fmt": {Namespace: "other", Base: "fmt"}}
	const head = "name: \"@me/x\"\nversion: \"1.0.0\"\n"
	for _, tt := range []struct{ name, in, want string }{
		{"plain, with comments", "# why\nrequires:\n  zlib: ^1.2 # not 1.1\n  \"@a1/b\": ^1\n  # and\n  fmt:   {version: ^10}\n",
			"# why\nrequires:\n  \"@acme/zlib\": ^1.2 # not 1.1\n  \"@a1/b\": ^1\n  # and\n  \"@other/fmt\":   {version: ^10}\n"},
		{"quoted, in one line", "requires: {'zlib': ^1, \"fmt\": ^10, zstd: ^1}\n", "requires: {\"@acme/zlib\": ^1, \"@other/fmt\": ^10, zstd: ^1}\n"},
		{"every list", "requires: {zlib: ^1}\ndev_requires: {zlib: ^1}\nbuild_requires: {zlib: ^1}\nconflicts: {zlib: ^1}\n",
			"requires: {\"@acme/zlib\": ^1}\ndev_requires: {\"@acme/zlib\": ^1}\nbuild_requires: {\"@acme/zlib\": ^1}\nconflicts: {\"@acme/zlib\": ^1}\n"},
		{"nowhere else", "description: zlib\nkeywords: [zlib]\nrequires: {fmt: ^10}\n", "description: zlib\nkeywords: [zlib]\nrequires: {\"@other/fmt\": ^10}\n"},
		{"after a wide character", "requires: {\"@a1/b\": {version: ^1, traits: {aa: \"ß\"}}, zlib: ^1}\r\n", "requires: {\"@a1/b\": {version: ^1, traits: {aa: \"ß\"}}, \"@acme/zlib\": ^1}\r\n"},
		{"nothing to do", "requires: {}\n", "requires: {}\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := clyde.Qualify([]byte(head+tt.in), names)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(head+tt.want, string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for _, in := range []string{
		"requires: {zlib: ^1, \"@acme/zlib\": ^1}\n", // both spellings
		"requires: {\"zl\\u0069b\": ^1}\n",           // no text to put it in the place of
		"requires: [\n",
	} {
		if got, err := clyde.Qualify([]byte(head+in), names); !errors.Is(err, clyde.ErrInvalid) {
			t.Errorf("Qualify(%q) = %q, %v; want invalid", in, got, err)
		}
	}
	marked := "\ufeffrequires: {zlib: ^1}\n" + head
	if got, err := clyde.Qualify([]byte(marked), names); err != nil || string(got) != "\ufeffrequires: {\"@acme/zlib\": ^1}\n"+head {
		t.Errorf("with a byte order mark: %q, %v", got, err)
	}
	m, _ := clyde.ParseManifest([]byte(head + "requires: {zlib: ^1, fmt: ^1, \"@a1/b\": ^1}\nconflicts: {zlib: ^1, curl: ^1}\n"))
	if got, want := m.Unqualified(), []string{"curl", "fmt", "zlib"}; !slices.Equal(got, want) {
		t.Errorf("Unqualified() = %q; want %q", got, want)
	}
}

// What is qualified parses, has no such name left, and means the same.
func FuzzQualify(f *testing.F) {
	f.Add("name: \"@me/x\"\nversion: \"1.0.0\"\nrequires: {zlib: ^1, 'fmt': ^2}\n")
	f.Add("requires:\n  zlib: {version: ^1} # x\nconflicts: {\n \"zlib\": \"1\"}\n")
	f.Fuzz(func(t *testing.T, doc string) {
		before, _ := clyde.ParseManifest([]byte(doc))
		names := map[string]clyde.Name{}
		for _, n := range before.Unqualified() {
			names[n] = clyde.Name{Namespace: "acme", Base: n}
		}
		out, err := clyde.Qualify([]byte(doc), names)
		if err != nil {
			return
		}
		after, _ := clyde.ParseManifest(out)
		if left := after.Unqualified(); len(left) > 0 {
			t.Errorf("%q leaves %q", out, left)
		}
		for i, r := range before.Requires {
			want := r.Name
			if n, ok := names[r.Name]; ok {
				want = n.String()
			}
			if !slices.ContainsFunc(after.Requires, func(a clyde.Requirement) bool { return a.Name == want && a.Range.String() == r.Range.String() }) {
				t.Errorf("%q: requirement %d, %s %s, is gone", out, i, want, r.Range)
			}
		}
	})
}
