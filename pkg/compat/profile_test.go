package compat_test

import (
	"testing"

	"github.com/clydepm/clyde-registry/pkg/compat"
)

// What the profile of a build says of a machine is what Match says of the build.
func TestProfileSaysWhatMatchSays(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*compat.Facts, *compat.Host){
		"same":         func(*compat.Facts, *compat.Host) {},
		"libc too old": func(f *compat.Facts, _ *compat.Host) { f.Libc.Min = "9.9" },
		"musl":         func(f *compat.Facts, _ *compat.Host) { f.Libc.Family = "musl" },
		"other system": func(_ *compat.Facts, h *compat.Host) { h.OS = "macos" },
		"any": func(f *compat.Facts, _ *compat.Host) {
			*f = compat.Facts{OS: compat.Any, Arch: compat.Any, Linkage: compat.Headers}
		},
		"slim lto":      func(f *compat.Facts, _ *compat.Host) { f.LTO, f.Compiler.Version = "slim", "1.0" },
		"other gcc":     func(f *compat.Facts, _ *compat.Host) { f.Compiler.Version = "1.0" },
		"unknown host":  func(_ *compat.Facts, h *compat.Host) { *h = compat.Host{} },
		"debug":         func(f *compat.Facts, _ *compat.Host) { f.BuildType = "Debug" },
		"no exceptions": func(f *compat.Facts, _ *compat.Host) { off := false; f.Exceptions = &off },
	} {
		f, h := library(), machine()
		change(f, &h)
		want := compat.Match(h, compat.Want{AnyLinkage: true}, []compat.Candidate{{Facts: f}})[0]
		if got := h.Suits(f.Profile()); got != want.Fits() {
			t.Errorf("%s: the profile suits: %v; Match: %v (%s)", name, got, want.Fits(), want.Why)
		}
	}
	if machine().Suits("no profile") {
		t.Error("what is no profile suits")
	}
	a, b := library(), library()
	b.SourceDigest, b.Deps, b.Flags, b.Compiler.Version = "", nil, []string{"-O3"}, "1.0"
	if a.Profile() != b.Profile() {
		t.Errorf("two packages built alike have two profiles:\n%s\n%s", a.Profile(), b.Profile())
	}
}
