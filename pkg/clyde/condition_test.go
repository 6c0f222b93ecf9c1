package clyde_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func TestCondition(t *testing.T) {
	t.Parallel()
	// Known: linux, x86_64 and tls=openssl; not known: libc and the trait odd.
	is := func(key, value string) clyde.Truth {
		switch key {
		case "", "os", "arch":
			return clyde.TruthOf(value == "linux" || value == "x86_64")
		case "trait.tls":
			return clyde.TruthOf(value == "openssl")
		case "trait.shared":
			return clyde.TruthOf(value == "true")
		}
		return clyde.Unknown
	}
	for _, tt := range []struct {
		in   string
		want clyde.Truth
	}{
		{"", clyde.True},
		{" linux ", clyde.True},
		{"windows", clyde.False},
		{"!windows", clyde.True},
		{"os=linux", clyde.True},
		{"os!=linux", clyde.False},
		{"trait.tls=openssl & linux", clyde.True},
		{"trait.tls = mbedtls", clyde.False},
		{"trait.shared", clyde.True},
		{"!trait.shared | macos", clyde.False},
		{"trait.odd", clyde.Unknown},
		{"!trait.odd", clyde.Unknown},
		{"trait.odd | linux", clyde.True},
		{"trait.odd & windows", clyde.False},
		{"windows | linux & x86", clyde.False},
		{"(windows | linux) & x86_64", clyde.True},
		{"libc=musl", clyde.Unknown},
	} {
		c, err := clyde.ParseCondition(tt.in)
		if err != nil {
			t.Errorf("ParseCondition(%q): %v", tt.in, err)
			continue
		}
		if got := c.Eval(is); got != tt.want {
			t.Errorf("Eval(%q) = %d; want %d", tt.in, got, tt.want)
		}
		if c.String() != strings.TrimSpace(tt.in) || c.IsZero() != (tt.in == "") {
			t.Errorf("ParseCondition(%q) is %q, zero %t", tt.in, c, c.IsZero())
		}
	}
	c, _ := clyde.ParseCondition("trait.b & !trait.a=x | trait.b!=y & linux")
	if got := c.Traits(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("Traits() = %v; want [a b]", got)
	}
}

func TestConditionRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{"tls", "trait.tls"},
		{"tls=openssl", "trait.tls"},
		{"linux &", "ends where"},
		{"| linux", "stands where"},
		{"(linux", "not closed"},
		{"linux)", "not expected"},
		{"linux windows", "join conditions"},
		{"os=", "no value"},
		{"os=|", "no value"},
		{"trait.", "not the name"},
		{"linux=true", "not a fact"},
		{strings.Repeat("(", clyde.MaxConditionLen+1), "the limit is"},
	} {
		_, err := clyde.ParseCondition(tt.in)
		if err == nil || !strings.Contains(wholeText(err), tt.want) {
			t.Errorf("ParseCondition(%q): %v; want a message with %q", tt.in, err, tt.want)
		}
	}
	at := strings.Repeat(" ", clyde.MaxConditionLen-len("linux")) + "linux"
	if _, err := clyde.ParseCondition(at); err != nil {
		t.Errorf("ParseCondition of %d bytes: %v", len(at), err)
	}
}

func TestConditionInManifest(t *testing.T) {
	t.Parallel()
	_, problems := clyde.ParseManifest([]byte("name: \"@acme/a\"\nrequires:\n  \"@acme/b\": {version: \"^1\", when: tls}\n"))
	if !slices.ContainsFunc(problems, func(p clyde.Problem) bool { return p.Code == "condition_invalid" && p.Line == 3 }) {
		t.Errorf("ParseManifest with a bad condition: %v; want condition_invalid on line 3", problems)
	}
}

// FuzzCondition: what parses prints as something that parses and means the
// same, and nothing makes the parser fail otherwise than by an error.
func FuzzCondition(f *testing.F) {
	for _, s := range []string{"linux", "trait.a=x & !(os=linux | trait.b)", "((", "a=!="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := clyde.ParseCondition(s)
		if err != nil {
			if clyde.AsError(err) == nil {
				t.Fatalf("ParseCondition(%q): %v is not an *Error", s, err)
			}
			return
		}
		d, err := clyde.ParseCondition(c.String())
		if err != nil {
			t.Fatalf("ParseCondition(%q) of what it printed: %v", c, err)
		}
		for _, known := range []clyde.Truth{clyde.False, clyde.Unknown, clyde.True} {
			is := func(string, string) clyde.Truth { return known }
			if c.Eval(is) != d.Eval(is) {
				t.Fatalf("%q means something else the second time", s)
			}
		}
	})
}
