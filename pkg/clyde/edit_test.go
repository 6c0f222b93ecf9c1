package clyde

import (
	"errors"
	"strings"
	"testing"
)

func requirement(t testing.TB, name, rng string, traits map[string]string) Requirement {
	t.Helper()
	r, err := ParseRange(rng)
	if err != nil {
		t.Fatal(err)
	}
	return Requirement{Name: name, Range: r, Traits: traits}
}

const editHead = "# the project\nname: app # its name\nversion: \"1.0.0\"\n"

func TestSetRequirement(t *testing.T) {
	t.Parallel()
	fmtv := requirement(t, "@acme/fmt", "^10.2", nil)
	for _, tt := range []struct {
		name, in, want string
		r              Requirement
	}{
		{"no list", "", "requires:\n  \"@acme/fmt\": \"^10.2\"\n", fmtv},
		{"empty braces", "requires: {} # none yet\nlicense: MIT\n", "requires: # none yet\n  \"@acme/fmt\": \"^10.2\"\nlicense: MIT\n", fmtv},
		{"sorted", "requires:\n  # json\n  \"@acme/a\": ^1 # why\n  # the last\n  \"@z/z\": \"^2\"\n", "requires:\n  # json\n  \"@acme/a\": ^1 # why\n  \"@acme/fmt\": \"^10.2\"\n  # the last\n  \"@z/z\": \"^2\"\n", fmtv},
		{"first", "requires:\n    \"@z/z\": \"^2\"\n", "requires:\n    \"@acme/fmt\": \"^10.2\"\n    \"@z/z\": \"^2\"\n", fmtv},
		{"not sorted", "requires:\n  \"@z/z\": ^2\n  \"@b/b\": ^1\nlicense: MIT\n", "requires:\n  \"@z/z\": ^2\n  \"@b/b\": ^1\n  \"@acme/fmt\": \"^10.2\"\nlicense: MIT\n", fmtv},
		{"there", "requires:\n  \"@acme/fmt\": ^9 # old\n", "requires:\n  \"@acme/fmt\": \"^10.2\" # old\n", fmtv},
		{"there in quotes", "requires: {'@acme/fmt': '>=9 <10', \"@b/b\": ^1}\n", "requires: {'@acme/fmt': \"^10.2\", \"@b/b\": ^1}\n", fmtv},
		{"there as a mapping", "requires:\n  \"@acme/fmt\":\n    traits: {shared: \"true\"}\n    version: ^9\n", "requires:\n  \"@acme/fmt\":\n    traits: {shared: \"true\"}\n    version: \"^10.2\"\n", fmtv},
		{"in braces", "requires: { \"@b/b\": \"^1\" }\n", "requires: { \"@b/b\": \"^1\", \"@acme/fmt\": \"^10.2\" }\n", fmtv},
		{"with traits", "requires: {}\n", "requires:\n  \"@acme/fmt\": {version: \"^10.2\", traits: {shared: \"true\", tls: \"ssl\"}}\n", requirement(t, "@acme/fmt", "^10.2", map[string]string{"tls": "ssl", "shared": "true"})},
		{"no end of line", "license: MIT", "license: MIT\nrequires:\n  \"@acme/fmt\": \"^10.2\"\n", fmtv},
		{"carriage returns", "license: MIT\r\nrequires:\r\n  \"@b/b\": ^1\r\n", "license: MIT\r\nrequires:\r\n  \"@acme/fmt\": \"^10.2\"\r\n  \"@b/b\": ^1\r\n", fmtv},
	} {
		got, err := SetRequirement([]byte(editHead+tt.in), "requires", tt.r)
		if err != nil || string(got) != editHead+tt.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", tt.name, err, got, editHead+tt.want)
		}
	}
	for name, in := range map[string]string{
		"wrong":          "requires: [",
		"one line":       "{name: app}",
		"comment inside": editHead + "requires: {\"@b/b\": \"^1\", # } b\n  \"@c/c\": \"^1\"}\n",
		"block scalar":   editHead + "requires:\n  \"@acme/fmt\": >-\n    ^9\n",
	} {
		if got, err := SetRequirement([]byte(in), "requires", fmtv); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
	}
}

func TestRemoveRequirement(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{"one of two", "requires:\n  # b\n  \"@b/b\": ^1\n  \"@acme/fmt\": ^9 # gone, too\n", "requires:\n  # b\n  \"@b/b\": ^1\n"},
		{"the only one", "requires: # what it needs\n  \"@acme/fmt\": ^9\nlicense: MIT\n", "requires: {} # what it needs\nlicense: MIT\n"},
		{"a mapping", "requires:\n  \"@acme/fmt\":\n    version: ^9\n    traits: {shared: \"true\"}\n  \"@b/b\": ^1\n", "requires:\n  \"@b/b\": ^1\n"},
		{"first in braces", "requires: {\"@acme/fmt\": \"^9\", \"@b/b\": ^1}\n", "requires: {\"@b/b\": ^1}\n"},
		{"last in braces", "requires: {\"@b/b\": ^1, \"@acme/fmt\": {version: \"^9\"}}\n", "requires: {\"@b/b\": ^1}\n"},
		{"only in braces", "requires: {\"@acme/fmt\": ^9}\n", "requires: {}\n"},
	} {
		got, err := RemoveRequirement([]byte(editHead+tt.in), "requires", "@acme/fmt")
		if err != nil || string(got) != editHead+tt.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", tt.name, err, got, editHead+tt.want)
		}
	}
	if _, err := RemoveRequirement([]byte(editHead), "requires", "@acme/fmt"); !errors.Is(err, ErrNotFound) {
		t.Errorf("of no list: %v", err)
	}
}

// FuzzSetRequirement: whatever a package.yaml looks like, an edit that succeeds
// adds the requirement and nothing else, and taking it out again gives the same
// meaning.
func FuzzSetRequirement(f *testing.F) {
	for _, s := range []string{"", "requires: {}\n", "requires:\n  \"@b/b\": ^1 # x\n", "requires: {\"@b/b\": '^1', }\n", "requires:\n\n\n  '@z/z': {version: ^1}\n# end"} {
		f.Add(editHead+s, "@acme/fmt")
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		if _, err := ParseName(name); err != nil || !strings.HasPrefix(name, "@") {
			return
		}
		before, problems := ParseManifest([]byte(text))
		if len(problems.Errors()) > 0 {
			return
		}
		out, err := SetRequirement([]byte(text), "requires", requirement(t, name, "^10.2", nil))
		if err != nil {
			return
		}
		after, problems := ParseManifest(out)
		if len(problems.Errors()) > 0 {
			t.Fatalf("%q became %q: %v", text, out, problems)
		}
		had := false
		for _, q := range before.Requires {
			had = had || q.Name == name
		}
		want := len(before.Requires)
		if !had {
			want++
		}
		if len(after.Requires) != want {
			t.Fatalf("%q became %q", text, out)
		}
		if again, err := RemoveRequirement(out, "requires", name); err == nil {
			if m, problems := ParseManifest(again); len(problems.Errors()) > 0 || len(m.Requires) != want-1 {
				t.Fatalf("%q became %q became %q: %v", text, out, again, problems)
			}
		}
	})
}
