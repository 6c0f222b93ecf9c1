package clyde_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func TestParseVersion(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in, canonical string
		kind          clyde.VersionKind
	}{
		{"1.2.3", "1.2.3", clyde.KindSemVer},
		{"1.2.3-rc.1", "1.2.3-rc.1", clyde.KindSemVer},
		{"1.2", "1.2.0", clyde.KindDotted},
		{"7", "7.0.0", clyde.KindDotted},
		{"26.02", "26.2.0", clyde.KindDotted},
		{"5.2.10.0", "5.2.10", clyde.KindDotted},
		{"1.2.3.4.5.6", "1.2.3.4.5.6", clyde.KindDotted},
		{"2024-01-02", "2024-01-02", clyde.KindDate},
		{"2024-01-02.0", "2024-01-02", clyde.KindDate},
		{"2024-01-02.03-1", "2024-01-02.3-1", clyde.KindDate},
		{"1.1.1w", "1.1.1w", clyde.KindLetter},
		{"2007f", "2007.0.0f", clyde.KindLetter},
		{"0.9.8zh-beta", "0.9.8zh-beta", clyde.KindLetter},
	} {
		v, err := clyde.ParseVersion(tt.in)
		if err != nil || v.Canonical() != tt.canonical || v.Kind() != tt.kind || v.String() != tt.in {
			t.Errorf("ParseVersion(%q) = %q, %s, %v; want %q, %s", tt.in, v.Canonical(), v.Kind(), err, tt.canonical, tt.kind)
		}
	}
	for _, in := range []string{
		"", "v1.2.3", "V1", "1.2.3+build", "cci.20210621", "1..2", ".1", "1.", "1.2.3.4.5.6.7", "1.0rc", "1.0rc1",
		"1.2.3-", "1.2.3-a..b", "1.2.3-01", "1.2.3-a_b", "2024-1-2", "2024-13-01", "2023-02-29", "2022-10", "1.1.1W", "1.2.3 ", "١.٢",
	} {
		if v, err := clyde.ParseVersion(in); !errors.Is(err, clyde.ErrInvalid) || !v.IsZero() {
			t.Errorf("ParseVersion(%q) = %q, %v; want zero, ErrInvalid", in, v, err)
		}
	}
}

func TestVersionLength(t *testing.T) {
	t.Parallel()
	fits := strings.Repeat("1", clyde.MaxVersionLen)
	if _, err := clyde.ParseVersion(fits); err != nil {
		t.Errorf("ParseVersion of %d bytes: %v; want none", len(fits), err)
	}
	if _, err := clyde.ParseVersion(fits + "1"); !errors.Is(err, clyde.ErrInvalid) {
		t.Errorf("ParseVersion of %d bytes: %v; want ErrInvalid", len(fits)+1, err)
	}
}

// ordered lists versions in ascending order, equals joined by a space.
var ordered = []string{
	"0", "0.0.1-0", "0.0.1", "0.9.8-alpha", "0.9.8 0.9.8.0 00.9.08", "0.9.8z", "0.9.8za", "0.9.8zh", "0.9.8.1",
	"1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1 1.0 1.0.0 1.0.0.0.0.0",
	"1.1.1", "1.1.1a-1", "1.1.1a", "1.1.1w", "1.1.2", "1.2 1.2.0", "1.10", "26.2 26.02",
	"2007a", "2007f", "2007.1", "2024.1.1", "2024.1.2", "2024-01-02 2024-01-02.0", "2024-01-02.1", "2024.1.3", "2024-01-10",
	"20240102", "99999999999999999998", "99999999999999999999",
}

func TestCompareKnownOrder(t *testing.T) {
	t.Parallel()
	for i, a := range ordered {
		for j, b := range ordered {
			for as := range strings.FieldsSeq(a) {
				for bs := range strings.FieldsSeq(b) {
					if got, want := clyde.Compare(parse(t, as), parse(t, bs)), cmp.Compare(i, j); got != want {
						t.Errorf("Compare(%s, %s) = %d; want %d", as, bs, got, want)
					}
				}
			}
		}
	}
}

func parse(t interface {
	Helper()
	Fatalf(string, ...any)
}, s string,
) clyde.Version {
	t.Helper()
	v, err := clyde.ParseVersion(s)
	if err != nil {
		t.Fatalf("ParseVersion(%q): %v", s, err)
	}
	return v
}

// drawVersion draws from all kinds, with few numbers, so that versions meet.
func drawVersion(t *rapid.T, label string) clyde.Version {
	num := `(0|1|2|02|10|2024)`
	pre := `(-(0|1|10|a|B|a-b|rc)(\.(0|2|11|a|z)){0,2})?`
	return parse(t, rapid.OneOf(
		rapid.StringMatching(num+`(\.`+num+`){0,5}`+pre),
		rapid.StringMatching(num+`(\.`+num+`){0,3}[a-cz]`+pre),
		rapid.StringMatching(`2024-(01|02|10)-(01|02|10)(\.(0|1|2))?`+pre),
	).Filter(func(s string) bool { _, err := clyde.ParseVersion(s); return err == nil }).Draw(t, label))
}

func TestOneTotalOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawVersion(t, "a"), drawVersion(t, "b"), drawVersion(t, "c")
		ab, bc, ac := clyde.Compare(a, b), clyde.Compare(b, c), clyde.Compare(a, c)
		if clyde.Compare(b, a) != -ab || clyde.Compare(a, a) != 0 {
			t.Errorf("Compare(%s, %s) = %d is not antisymmetric", a, b, ab)
		}
		if ab <= 0 && bc <= 0 && ac > 0 {
			t.Errorf("%s <= %s <= %s, and %s > %s", a, b, c, a, c)
		}
		if (ab == 0) != (a.Canonical() == b.Canonical()) {
			t.Errorf("Compare(%s, %s) = %d, canonical %s and %s", a, b, ab, a.Canonical(), b.Canonical())
		}
		if got := cmp.Compare(a.SortKey(), b.SortKey()); got != ab {
			t.Errorf("sort keys of %s and %s compare as %d; want %d", a, b, got, ab)
		}
	})
}

// Numbers of any length compare as numbers do.
func TestCompareNumbers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		gen := rapid.StringMatching(`[0-9]{1,36}`)
		a, b := gen.Draw(t, "a"), gen.Draw(t, "b")
		x, _ := new(big.Int).SetString(a, 10)
		y, _ := new(big.Int).SetString(b, 10)
		if got, want := clyde.Compare(parse(t, "1."+a), parse(t, "1."+b)), x.Cmp(y); got != want {
			t.Errorf("Compare(1.%s, 1.%s) = %d; want %d", a, b, got, want)
		}
	})
}

// A version that parses fits an OCI tag, equals its canonical form, and its
// canonical form is its own.
func FuzzParseVersion(f *testing.F) {
	for _, s := range ordered {
		for v := range strings.FieldsSeq(s) {
			f.Add(v)
		}
	}
	f.Add("v1.2.3")
	f.Add("1.2.3+4")
	f.Add("cci.20200101")
	tag := regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,110}$`)
	f.Fuzz(func(t *testing.T, s string) {
		v, err := clyde.ParseVersion(s)
		if err != nil {
			if !errors.Is(err, clyde.ErrInvalid) || s != "" && len(clyde.AsError(err).Fixes) == 0 {
				t.Fatalf("ParseVersion(%q): %v; want ErrInvalid with a fix", s, err)
			}
			return
		}
		if v.String() != s || !tag.MatchString(s) {
			t.Errorf("ParseVersion(%q) = %q, which is no tag or not as written", s, v)
		}
		// A canonical form may be longer than what was written: 1a is 1.0.0a.
		if c := v.Canonical(); len(c) <= clyde.MaxVersionLen {
			if w := parse(t, c); !w.Equal(v) || w.Canonical() != c {
				t.Errorf("ParseVersion(%q).Canonical() = %q, which is %q", s, c, w.Canonical())
			}
		}
	})
}

func TestRealVersions(t *testing.T) {
	t.Parallel()
	f, err := os.Open("../../../shared/data/packages.jsonl")
	if shared := os.Getenv("CLYDE_SHARED"); shared != "" {
		f, err = os.Open(filepath.Join(shared, "data/packages.jsonl"))
	}
	if err != nil {
		t.Skip("the data set of real packages is not here: set CLYDE_SHARED")
	}
	defer f.Close()
	parsed, refused := 0, 0
	for dec := json.NewDecoder(f); ; {
		var p struct{ Versions []string }
		if err := dec.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for _, s := range p.Versions {
			if _, err := clyde.ParseVersion(s); err == nil {
				parsed++
			} else if refused++; !strings.Contains(wholeText(err), "upstream_version") {
				t.Errorf("ParseVersion(%q): %s; want a message that names upstream_version", s, wholeText(err))
			}
		}
	}
	t.Logf("%d versions of real packages parse, %d go into upstream_version", parsed, refused)
}
