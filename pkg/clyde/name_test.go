package clyde_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func TestParseName(t *testing.T) {
	t.Parallel()
	a39, b64 := strings.Repeat("a", clyde.MaxNamespaceLen), strings.Repeat("b", clyde.MaxBaseLen)
	for _, tt := range []struct {
		in   string
		want clyde.Name
		says string // in the message or a fix, when it is refused
	}{
		{in: "@acme/z-lib", want: clyde.Name{Namespace: "acme", Base: "z-lib"}},
		{in: "@ab/a.b_c-d", want: clyde.Name{Namespace: "ab", Base: "a.b_c-d"}},
		{in: "@" + a39 + "/" + b64, want: clyde.Name{Namespace: a39, Base: b64}},
		{in: "@acme/console", want: clyde.Name{Namespace: "acme", Base: "console"}},
		{in: "@acme/com0", want: clyde.Name{Namespace: "acme", Base: "com0"}},
		{in: "@" + a39 + "a/x", says: "40 bytes"},
		{in: "@acme/" + b64 + "b", says: "65 bytes"},
		{in: "@a/x", says: "limits are 2 and 39"},
		{in: "", says: "@namespace/name"},
		{in: "zlib", says: "@namespace/name"},
		{in: "acme/zlib", says: "write @acme/zlib"},
		{in: "@acme", says: "@namespace/name"},
		{in: "@acme/", says: "empty"},
		{in: "@/x", says: "empty"},
		{in: "@acme/Zlib", says: "write zlib"},
		{in: "@Acme/zlib", says: "write acme"},
		{in: "@ac.me/zlib", says: "use a-z"},
		{in: "@acme/a--b", says: "use a-z"},
		{in: "@acme/a/b", says: "use a-z"},
		{in: "@acme/con", says: "Windows"},
		{in: "@acme/aux.h", says: "Windows"},
		{in: "@nul/x", says: "Windows"},
		{in: "@acme/LPT1", says: "write lpt1"},
		{in: "@acme/\u212Aelvin", says: "use a-z"}, // a Kelvin sign folds to k
		{in: "@acme/a\x00b", says: `\x00`},
	} {
		got, err := clyde.ParseName(tt.in)
		if got != tt.want || (err == nil) != (tt.says == "") {
			t.Errorf("ParseName(%q) = %v, %v; want %v", tt.in, got, err, tt.want)
		} else if err != nil && (!errors.Is(err, clyde.ErrInvalid) || !strings.Contains(wholeText(err), tt.says)) {
			t.Errorf("ParseName(%q): %s; want ErrInvalid that says %q", tt.in, wholeText(err), tt.says)
		}
	}
}

// wholeText is an error's message with its fixes.
func wholeText(err error) string {
	e := clyde.AsError(err)
	if e == nil {
		return err.Error()
	}
	return e.Msg + "; " + strings.Join(e.Fixes, "; ")
}

func ExampleParseName() {
	n, err := clyde.ParseName("@acme/zlib")
	fmt.Println(n, n.Repo(), err)
	// Output: @acme/zlib acme/zlib <nil>
}

// A name that parses is its own text, and its repository parses to it.
func FuzzParseName(f *testing.F) {
	for _, s := range []string{"zlib", "@acme/zlib", "@/", "@ab/a__b", "\x00", "@con/x", "@ab/A"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := clyde.ParseName(s)
		if err != nil {
			if !errors.Is(err, clyde.ErrInvalid) || !n.IsZero() {
				t.Fatalf("ParseName(%q) = %v, %v; want zero and ErrInvalid", s, n, err)
			}
			return
		}
		back, err := clyde.ParseRepo(n.Repo())
		if n.String() != s || err != nil || back != n {
			t.Errorf("ParseName(%q) = %v, whose repository gives %v, %v", s, n, back, err)
		}
		if len("v2/"+n.Repo()) > 255 || strings.ToLower(n.Repo()) != n.Repo() {
			t.Errorf("ParseName(%q): %q cannot be an OCI repository", s, n.Repo())
		}
	})
}
