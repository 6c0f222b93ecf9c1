package catalog_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/compat"
	"github.com/clydepm/clyde-registry/pkg/resolve"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// attach stores a build as Apply would.
func attach(t *testing.T, w *world, pkg, version string, f compat.Facts) (digest string) {
	t.Helper()
	f.Schema, f.Language, f.OS, f.Arch, f.Linkage, f.PIC = compat.Version, compat.C, "linux", "x86_64", compat.Static, true
	f.SourceDigest = "sha256:" + strings.Repeat("0", 64)
	b, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	digest = "sha256:" + f.ABIID()
	v, err := clyde.ParseVersion(version)
	if err != nil {
		t.Fatal(err)
	}
	row := store.Build{
		Repo: name(pkg).Repo(), Digest: digest, VersionKey: v.Canonical(), Tag: f.Tag(version), ABIID: f.ABIID(), OS: f.OS, Arch: f.Arch,
		Tree: digest, TreeSize: 1, Actor: "token:x", Facts: b,
	}
	if err := w.db.SaveBuild(t.Context(), row, store.Change{}); err != nil {
		t.Fatal(err)
	}
	return digest
}

// TestResolveForHost: of each package the build that fits, made with what was
// chosen of its dependencies; of the others the first fact that failed.
func TestResolveForHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish("@acme/low", "1.0.0")
	w.publish("@acme/top", "1.0.0", requires("@acme/low", "^1"))
	glibc := func(v string) compat.Libc { return compat.Libc{Family: "glibc", Min: v} }
	fits := attach(t, w, "@acme/low", "1.0.0", compat.Facts{Libc: glibc("2.31")})
	musl := attach(t, w, "@acme/low", "1.0.0", compat.Facts{Libc: compat.Libc{Family: "musl"}})
	made := func(with string) compat.Facts {
		return compat.Facts{Libc: glibc("2.31"), Deps: []compat.Dep{{Name: "@acme/low", Version: "1.0.0", ABIID: strings.TrimPrefix(with, "sha256:")}}}
	}
	with, without := attach(t, w, "@acme/top", "1.0.0", made(fits)), attach(t, w, "@acme/top", "1.0.0", made(musl))

	q := resolve.Query{Requires: map[string]resolve.Need{"@acme/top": {}}}
	plain, err := w.Resolve(t.Context(), nobody, q)
	if err != nil || plain.Packages[0].Build != nil || plain.Packages[0].WhyNot != nil {
		t.Fatalf("without a host: %+v, %v", plain.Packages, err)
	}
	q.Host = &compat.Host{OS: "linux", Arch: "x86_64", Libc: compat.HostLibc{Family: "glibc", Version: "2.36"}}
	got, err := w.Resolve(t.Context(), nobody, q)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct{ build, loser, fact string }{{fits, musl, "libc.family"}, {with, without, "deps"}} {
		p := got.Packages[i]
		if p.Build == nil || p.Build.Digest != want.build || p.Build.Platform != "linux-x86_64" || "sha256:"+p.Build.ABIID != want.build {
			t.Errorf("%s: build %+v; want %s", p.Name, p.Build, want.build)
		}
		if len(p.WhyNot) != 1 || p.WhyNot[0].Digest != want.loser || p.WhyNot[0].Fact != want.fact || p.WhyNot[0].Why == "" {
			t.Errorf("%s: why not %+v; want %s of %s", p.Name, p.WhyNot, want.fact, want.loser)
		}
	}
	// An older machine: none fits, and that is no error.
	q.Host.Libc.Version = "2.17"
	if got, err = w.Resolve(t.Context(), nobody, q); err != nil || got.Packages[0].Build != nil || len(got.Packages[0].WhyNot) != 2 {
		t.Errorf("an older machine: %+v, %v", got.Packages, err)
	}
}

// TestWhyNotIsBounded: an answer does not list every build that does not fit.
func TestWhyNotIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish("@acme/low", "1.0.0")
	for i := range resolve.MaxWhyNot + 1 {
		attach(t, w, "@acme/low", "1.0.0", compat.Facts{Libc: compat.Libc{Family: "musl"}, ABIDefines: map[string]string{"N": fmt.Sprint(i)}})
	}
	got, err := w.Resolve(t.Context(), nobody, resolve.Query{Requires: map[string]resolve.Need{"@acme/low": {}}, Host: &compat.Host{OS: "linux", Arch: "arm64"}})
	if err != nil || len(got.Packages[0].WhyNot) != resolve.MaxWhyNot {
		t.Errorf("%d reasons, %v; want %d", len(got.Packages[0].WhyNot), err, resolve.MaxWhyNot)
	}
	all, err := w.Builds(t.Context(), nobody, catalog.Ref{Name: name("@acme/low")})
	if err != nil || len(all) != resolve.MaxWhyNot+1 {
		t.Errorf("%d builds, %v", len(all), err)
	}
}
