package artifact

import (
	"io/fs"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// FuzzIgnore: whatever the patterns are, one more that names a path, with all
// of its characters escaped, leaves it out, and its opposite takes it in again.
func FuzzIgnore(f *testing.F) {
	f.Add("*.o\n!keep.o\n/build/", "src/a.o")
	f.Add("[!a-z]\\*\n**/x/**", "a[b]*?/c d")
	f.Add("#\n\\#\r\n!", "é\u0301")
	f.Add("[+-9]", "a/b")
	f.Fuzz(func(t *testing.T, text, p string) {
		rules, err := parseIgnore(text)
		if err != nil {
			if e := clyde.AsError(err); e == nil || e.Code == "" {
				t.Fatalf("parseIgnore(%q) = %v; want an error with a code", text, err)
			}
			return
		}
		rules.match(p, true)
		if !fs.ValidPath(p) || p == "." || !utf8.ValidString(p) || strings.ContainsAny(p, "\r\n") || strings.HasSuffix(p, " ") || strings.HasSuffix(p, "\t") || len(p) > 1000 {
			return
		}
		var escaped strings.Builder
		escaped.WriteString("/")
		for _, r := range p {
			if r < utf8.RuneSelf && r != '/' {
				escaped.WriteByte('\\')
			}
			escaped.WriteRune(r)
		}
		for _, tt := range []struct {
			line string
			want bool
		}{{escaped.String(), true}, {"!" + escaped.String(), false}} {
			more, err := parseIgnore(tt.line)
			if err != nil {
				t.Fatalf("parseIgnore(%q) = %v", tt.line, err)
			}
			rules = append(rules, more...)
			if ignored, decided := rules.match(p, false); ignored != tt.want || !decided {
				t.Fatalf("with %q, %q is ignored: %v, decided: %v; want %v", tt.line, p, ignored, decided, tt.want)
			}
			// What "*" matches never has a slash in it.
			if strings.Contains(p, "/") {
				star, err := parseIgnore("/*")
				if err != nil {
					t.Fatal(err)
				}
				if ignored, _ := star.match(p, false); ignored {
					t.Fatalf("/* matches %q", p)
				}
			}
		}
	})
}

// FuzzGlobClass: a class never matches a slash, and matches one character.
func FuzzGlobClass(f *testing.F) {
	for _, s := range []string{"[a-z]", "[!a]", "[]]", "[+-9]", `[\]]`, "[^/]", "[à-ü]", "[[:alpha:]]"} {
		f.Add(s, "a")
	}
	f.Fuzz(func(t *testing.T, s, p string) {
		if !strings.HasPrefix(s, "[") {
			return
		}
		n, _ := globClass(s)
		if n == 0 {
			return
		}
		re, err := globRegexp(s[:n], "")
		if err != nil {
			t.Fatalf("globRegexp(%q) = %v", s[:n], err)
		}
		if re.MatchString("/") {
			t.Errorf("%q matches a slash", s[:n])
		}
		if re.MatchString(p) && utf8.RuneCountInString(p) != 1 {
			t.Errorf("%q matches %q; want one character", s[:n], p)
		}
	})
}
