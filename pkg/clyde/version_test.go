package clyde_test

import (
	"errors"
	"testing"

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
