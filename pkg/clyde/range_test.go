package clyde_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func TestRangeContains(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, contains, not string }{
		{"*", "0 1.2.3 2024-01-02 1.1.1w", "1.0.0-rc"},
		{"1.2.3", "1.2.3 1.2.3.0", "1.2.4 1.2.3.1 1.2.3a 1.2.3-rc"},
		{"=1.2.3", "1.2.3", "1.2.2"},
		{"1.2", "1.2 1.2.9 1.2.9.1 1.2.1w", "1.3 1.1.9 1.2.0-rc 1.3.0-rc"},
		{"=1.2", "1.2 1.2.9", "1.3"},
		{"1.2.*", "1.2 1.2.9", "1.3 1.2.0-rc"},
		{"1.2.3.*", "1.2.3 1.2.3.9", "1.2.4"},
		{"1.*", "1.0 1.9", "2 0.9"},
		{"^1.2.3", "1.2.3 1.9 1.2.3a 1.2.3.1", "1.2.2 2 2.0.0-rc 1.3.0-rc"},
		{"^0.2.3", "0.2.3 0.2.9", "0.3.0 0.2.2 0.3.0-a"},
		{"^0.0.3", "0.0.3 0.0.3.1", "0.0.4"},
		{"^0.0", "0.0 0.0.9", "0.1"},
		{"^0", "0.9", "1"},
		{"^1.2", "1.2 1.9", "2 1.1"},
		{"^1.2.3.4", "1.2.3.4 1.9", "1.2.3.3 2"},
		{"^0.0.0.4", "0.0.0.4 0.0.0.4.1", "0.0.0.5"},
		{"~1.2.3", "1.2.3 1.2.9", "1.3 1.2.2"},
		{"~1.2", "1.2 1.2.9", "1.3"},
		{"~1", "1 1.9", "2"},
		{"~1.2.3.4", "1.2.3.4 1.2.3.9", "1.2.4 1.2.3.3"},
		{"~1.1.1w", "1.1.1w 1.1.1x 1.1.2", "1.1.1v 1.2"},
		{">1.2", "1.3 2", "1.2 1.2.9 1.3.0-rc"},
		{">1.2.3", "1.2.4 1.2.3a", "1.2.3"},
		{">=1.2", "1.2 2", "1.1.9"},
		{"<1.2", "1.1.9", "1.2 1.2.0-rc"},
		{"<=1.2", "1.2.9", "1.3"},
		{"<=1.2.3", "1.2.3", "1.2.4 1.2.3a"},
		{">=1 <2", "1 1.9", "0.9 2 2.0.0-rc"},
		{">= 1  < 2", "1.5", "2"},
		{"<1 || >=2", "0.5 2", "1 1.9"},
		{"1.2.3 || 1.3.*", "1.2.3 1.3.9", "1.2.4"},
		{"^1.2.3-beta.2", "1.2.3-beta.2 1.2.3-beta.11 1.2.3 1.9", "1.2.3-beta.1 1.2.4-beta.3 2.0.0-a"},
		{"^1.2.3 || 2.0.0-rc", "2.0.0-rc", "2.0.0-rd 2"},
		{">1.2.3-a <1.3.0", "1.2.3-b 1.2.9", "1.3.0-a 1.2.9-a"},
		{">1.2 <1.3.0-b", "", "1.3.0-a 1.2.5"},
		{">=2024-01-02", "2024-01-02 2024-01-03 2024-01-02.1 2025.1", "2024-01-01 2024.1.1"},
		{"2024-01-02", "2024-01-02 2024-01-02.0", "2024.1.2 2024-01-02.1"},
	} {
		r, err := clyde.ParseRange(tt.in)
		if err != nil {
			t.Errorf("ParseRange(%q): %v", tt.in, err)
			continue
		}
		for v := range strings.FieldsSeq(tt.contains) {
			if !r.Contains(parse(t, v)) {
				t.Errorf("ParseRange(%q).Contains(%s) = false; want true", tt.in, v)
			}
		}
		for v := range strings.FieldsSeq(tt.not) {
			if r.Contains(parse(t, v)) {
				t.Errorf("ParseRange(%q).Contains(%s) = true; want false", tt.in, v)
			}
		}
	}
}

func TestParseRangeRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, says string }{
		{"", "write *"},
		{" ", "write *"},
		{">=1, <2", ">=1 <2"},
		{"^2024-01-02", "write >=2024-01-02"},
		{"~2024-01-02", "write >=2024-01-02"},
		{"1.x", "write 1.*"},
		{"^v1.2", "write ^1.2"},
		{"1.2.3+4", "write 1.2.3"},
		{"!=1.2", "is not a comparator"},
		{"=>1.2", "is not a comparator"},
		{"1.2 - 1.4", ">=1.2.0"},
		{">=", "no version follows"},
		{"||", "one side"},
		{"1 ||", "one side"},
		{">*", "write *"},
		{"latest", "not a version"},
		{"1.*.3", "not a version"},
		{strings.Repeat("1", clyde.MaxRangeLen+1), "the limit is"},
	} {
		_, err := clyde.ParseRange(tt.in)
		if !errors.Is(err, clyde.ErrInvalid) || !strings.Contains(wholeText(err), tt.says) {
			t.Errorf("ParseRange(%q): %v; want ErrInvalid that says %q", tt.in, err, tt.says)
		}
	}
	if r, err := clyde.ParseRange(strings.Repeat(" ", clyde.MaxRangeLen-1) + "1"); err != nil || r.String() != "1" {
		t.Errorf("ParseRange at the limit = %q, %v; want 1", r, err)
	}
}

// A caret contains its version and what is later, up to a bound: between two
// versions that it contains, it contains every release.
func TestRangesAreIntervals(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		at := drawVersion(t, "at")
		op := rapid.SampledFrom([]string{"^", "~", ">=", "="}).Draw(t, "op")
		r, err := clyde.ParseRange(op + at.String())
		if err != nil {
			if at.Kind() != clyde.KindDate {
				t.Fatalf("ParseRange(%s%s): %v", op, at, err)
			}
			return
		}
		if !r.Contains(at) {
			t.Errorf("%s does not contain %s", r, at)
		}
		v, w := drawVersion(t, "v"), drawVersion(t, "w")
		if r.Contains(w) && !v.IsPrerelease() && clyde.Compare(at, v) <= 0 && clyde.Compare(v, w) <= 0 && !r.Contains(v) {
			t.Errorf("%s contains %s and not %s", r, w, v)
		}
		if r.Contains(v) && clyde.Compare(v, at) < 0 {
			t.Errorf("%s contains %s", r, v)
		}
	})
}

// A prerelease is in a range only when one with its numbers is named.
func TestPrereleasesOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		at, v := drawVersion(t, "at"), drawVersion(t, "v")
		r, err := clyde.ParseRange(">=" + at.String())
		if err != nil {
			t.Fatal(err)
		}
		if r.Contains(v) && v.IsPrerelease() && !at.IsPrerelease() {
			t.Errorf("%s contains %s", r, v)
		}
	})
}

// A range that parses is its own text, trimmed; one side of || being enough,
// the union with itself and with * contains what it contains.
func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"*", "^1.2 || ~3.4.5.6", ">= 1 <2", "1.*", "2024-01-02", "^0.0.0", "=1.1.1w", "1.2.3-a"} {
		f.Add(s, "1.2.3")
	}
	f.Fuzz(func(t *testing.T, s, version string) {
		r, err := clyde.ParseRange(s)
		if err != nil {
			if !errors.Is(err, clyde.ErrInvalid) {
				t.Fatalf("ParseRange(%q): %v; want ErrInvalid", s, err)
			}
			return
		}
		again, err := clyde.ParseRange(r.String())
		if err != nil || !again.Equal(r) {
			t.Fatalf("ParseRange(%q).String() = %q, %v: not a round trip", s, r, err)
		}
		v, err := clyde.ParseVersion(version)
		if err != nil || len(s) > clyde.MaxRangeLen/2-8 {
			return
		}
		both, err := clyde.ParseRange(r.String() + " || " + r.String())
		if err != nil || both.Contains(v) != r.Contains(v) {
			t.Errorf("%q and its union with itself disagree about %s: %v", s, v, err)
		}
		if r.IsAny() && !v.IsPrerelease() && !r.Contains(v) {
			t.Errorf("%q is any and does not contain %s", s, v)
		}
	})
}

// Admits contains all that Contains does, and differs on prereleases alone.
func TestAdmits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		r, v string
		want bool
	}{
		{"^1.2.0", "1.3.0-beta", true},
		{"^1.2.0", "1.2.0-beta", false},
		{"^1.2.0", "2.0.0-beta", false},
		{"*", "1.0.0-beta", true},
	} {
		r, err := clyde.ParseRange(tt.r)
		if err != nil {
			t.Fatal(err)
		}
		v, err := clyde.ParseVersion(tt.v)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Admits(v); got != tt.want {
			t.Errorf("%s admits %s: %t; want %t", r, v, got, tt.want)
		}
	}
	if (clyde.Range{}).Admits(clyde.Version{}) {
		t.Error("the zero Range admits the zero Version")
	}
	rapid.Check(t, func(t *rapid.T) {
		at, v := drawVersion(t, "at"), drawVersion(t, "v")
		r, err := clyde.ParseRange(rapid.SampledFrom([]string{">=", "<", "<=", "="}).Draw(t, "op") + at.String())
		if err != nil {
			t.Fatal(err)
		}
		if r.Contains(v) != r.Admits(v) && (!v.IsPrerelease() || r.Contains(v)) {
			t.Errorf("%s: contains %s %t, admits %t", r, v, r.Contains(v), r.Admits(v))
		}
	})
}
