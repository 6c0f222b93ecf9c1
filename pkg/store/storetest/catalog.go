package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
	"github.com/google/go-cmp/cmp"
)

func pkg(repo, latest string, versions int) store.Package {
	return store.Package{Repo: repo, Latest: latest, Doc: []byte(`{"n":1}`), Versions: versions, Signed: "unsigned"}
}

func release(repo, version string, i int) store.Release {
	return store.Release{
		Repo: repo, VersionKey: version, Version: version, Digest: digest(i), Size: int64(i),
		Manifest: []byte(`{"name":1}`), ConfigYAML: []byte("name: x\n"), OCIManifest: []byte("{}"), Report: []byte("[]"),
		Source: digest(2000 + i), SourceType: "application/gzip", SourceSize: 7, Readme: digest(3000 + i),
		Headers: []string{"zlib.h"}, Published: time.Date(2025, 1, 1, 0, 0, i, 0, time.UTC), Publisher: "ada",
		Signed: "unsigned", State: "visible", Upstream: "cci." + version, Checked: time.Date(2025, 1, 2, 0, 0, i, 0, time.UTC),
	}
}

// save stores version i of a package as its latest.
func save(t testing.TB, db *store.DB, repo, version string, i int, reqs ...store.Requirement) {
	t.Helper()
	must(t, db.SaveRelease(t.Context(), pkg(repo, version, i), release(repo, version, i), reqs, store.Change{}))
}

func testPackages(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	var repos []string
	for i := range 60 {
		repos = append(repos, fmt.Sprintf("acme/p%02d", i))
		save(t, db, repos[i], "1.0.0", 1)
	}
	want := pkg("acme/p07", "1.0.0", 1)
	want.Name, want.Created, want.Updated = clyde.Name{Namespace: "acme", Base: "p07"}, c.Now(), c.Now()
	if diff := cmp.Diff(want, get(db.Package(ctx, "acme/p07"))(t)); diff != "" {
		t.Errorf("Package (-want +got):\n%s", diff)
	}
	if _, err := db.Package(ctx, "acme/none"); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("Package of nothing = %v; want not found", err)
	}

	// Created stays as it was; Updated moves.
	created := c.Now()
	c.advance(time.Hour)
	must(t, db.SavePackage(ctx, pkg("acme/p07", "2.0.0", 2)))
	if got := get(db.Package(ctx, "acme/p07"))(t); !got.Created.Equal(created) || !got.Updated.Equal(c.Now()) || got.Latest != "2.0.0" {
		t.Errorf("Package after SavePackage = %+v", got)
	}

	// Hydrate answers in the order asked, whatever is missing, over many chunks.
	asked := []string{"acme/none", "acme/p59"}
	for i := range 59 {
		asked = append(asked, repos[58-i])
	}
	var got []string
	for _, p := range get(db.Hydrate(ctx, asked))(t) {
		got = append(got, p.Repo)
	}
	if diff := cmp.Diff(asked[1:], got); diff != "" {
		t.Errorf("Hydrate (-want +got):\n%s", diff)
	}
	if got := get(db.Hydrate(ctx, nil))(t); len(got) != 0 {
		t.Errorf("Hydrate(nil) = %v", got)
	}
	if got := get(db.Packages(ctx, "acme/p57", 9))(t); len(got) != 2 || got[0].Repo != "acme/p58" {
		t.Errorf("Packages after acme/p57 = %v", got)
	}
	must(t, db.SaveSetting(ctx, store.Setting{Repo: "acme/p58", Private: true}, store.Change{}, store.AuditEntry{}))
	if got := get(db.PublicPackages(ctx, 57, 9))(t); len(got) != 2 || got[0].Name.Base != "p57" || got[1].Name.Base != "p59" {
		t.Errorf("PublicPackages after 57 = %v; want p57 and p59", got)
	}

	save(t, db, "acme/foo_bar", "1.0.0", 1)
	save(t, db, "zeta/foo_bar", "1.0.0", 1)
	if p := get(db.PackageByIdentity(ctx, clyde.Name{Namespace: "acme", Base: "foo-bar"}.Identity()))(t); p.Repo != "acme/foo_bar" {
		t.Errorf("PackageByIdentity = %s; want acme/foo_bar", p.Repo)
	}
	if ps := get(db.PackagesByPrefix(ctx, "foo", 1))(t); len(ps) != 1 || !strings.HasPrefix(ps[0].Name.Base, "foo") {
		t.Errorf("PackagesByPrefix = %v; want one", ps)
	}
	if ps := get(db.PackagesByBase(ctx, "foo_bar"))(t); len(ps) != 2 {
		t.Errorf("PackagesByBase = %v; want two", ps)
	}
	for i := range 101 {
		must(t, db.SavePackage(ctx, pkg(fmt.Sprintf("ns%03d/same", i), "1.0.0", 1)))
	}
	if ps := get(db.PackagesByBase(ctx, "same"))(t); len(ps) != 100 || ps[99].Repo != "ns099/same" {
		t.Errorf("PackagesByBase = %d; want the first 100", len(ps))
	}
}

func testSettings(t *testing.T, db *store.DB, _ *clock) {
	ctx := t.Context()
	save(t, db, "acme/zlib", "1.0.0", 1)
	if s := get(db.Setting(ctx, "acme/zlib"))(t); s != (store.Setting{Repo: "acme/zlib"}) {
		t.Errorf("Setting = %+v; want none", s)
	}
	want := store.Setting{Repo: "acme/zlib", Private: true, Deprecated: "use zlib-ng", ReplacedBy: "@acme/zlib-ng"}
	must(t, db.SaveSetting(ctx, want, store.Change{Type: "package.deprecated", Package: "@acme/zlib"},
		store.AuditEntry{Actor: "ada", Action: "package.deprecate", Resource: "@acme/zlib"}))
	if got := get(db.Setting(ctx, "acme/zlib"))(t); got != want {
		t.Errorf("Setting = %+v; want %+v", got, want)
	}
	p := get(db.Package(ctx, "acme/zlib"))(t)
	if !p.Private || p.Deprecated != want.Deprecated || p.ReplacedBy != want.ReplacedBy {
		t.Errorf("Package = %+v; want the setting joined", p)
	}
	// What the catalogue derives does not touch what the owner decided.
	save(t, db, "acme/zlib", "1.1.0", 2)
	if p := get(db.Package(ctx, "acme/zlib"))(t); !p.Private {
		t.Error("a release made the package public")
	}
	if n := len(get(db.Audit(ctx, 0, 9))(t)); n != 1 {
		t.Errorf("%d audit lines; want 1", n)
	}
	if n := len(get(db.Changes(ctx, 0, 9))(t)); n != 1 {
		t.Errorf("%d feed entries; want 1", n)
	}
}

func testReleases(t *testing.T, db *store.DB, _ *clock) {
	ctx := t.Context()
	for i, v := range []string{"1.0.0", "2.0.0", "1.0.1"} {
		save(t, db, "acme/zlib", v, i+1)
	}
	var got []string
	for _, r := range get(db.Releases(ctx, "acme/zlib"))(t) {
		got = append(got, r.Version)
		if r.Manifest != nil || r.ConfigYAML != nil || r.OCIManifest != nil || r.Report != nil {
			t.Errorf("Releases carries the big columns of %s", r.Version)
		}
	}
	if diff := cmp.Diff([]string{"1.0.1", "2.0.0", "1.0.0"}, got); diff != "" {
		t.Errorf("Releases (-want +got):\n%s", diff)
	}
	for _, r := range []store.Release{
		get(db.ReleaseByVersion(ctx, "acme/zlib", "2.0.0"))(t), get(db.ReleaseByDigest(ctx, "acme/zlib", digest(2)))(t),
	} {
		if diff := cmp.Diff(release("acme/zlib", "2.0.0", 2), r); diff != "" {
			t.Errorf("release (-want +got):\n%s", diff)
		}
	}
	if _, err := db.ReleaseByDigest(ctx, "acme/other", digest(2)); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("ReleaseByDigest in another repository = %v; want not found", err)
	}

	p := pkg("acme/zlib", "2.0.0", 3)
	p.Signed = "verified"
	at := time.Date(2025, 2, 1, 0, 0, 0, 0, time.UTC)
	must(t, db.SaveVerification(ctx, "acme/zlib", "2.0.0", store.Verification{Signed: "verified", Report: []byte(`[1]`), Signer: "ci (SHA256:x)", Checked: at}, &p, store.Change{Type: "signature.added"}))
	r := get(db.ReleaseByVersion(ctx, "acme/zlib", "2.0.0"))(t)
	if r.Signed != "verified" || string(r.Report) != "[1]" || get(db.Package(ctx, "acme/zlib"))(t).Signed != "verified" {
		t.Errorf("after SaveVerification: %+v", r)
	}
	// A list shows who verified, though it does not read the report.
	if r := get(db.Releases(ctx, "acme/zlib"))(t)[1]; r.Signer != "ci (SHA256:x)" || !r.Checked.Equal(at) || r.Upstream != "cci.2.0.0" {
		t.Errorf("listed after SaveVerification: %+v", r)
	}
	must(t, db.SetChecked(ctx, "acme/zlib", "2.0.0", "ci (SHA256:x)", at.Add(time.Hour)))
	if r := get(db.ReleaseByVersion(ctx, "acme/zlib", "2.0.0"))(t); !r.Checked.Equal(at.Add(time.Hour)) || r.Signer != "ci (SHA256:x)" {
		t.Errorf("after SetChecked: %+v", r)
	}
	if err := db.SaveVerification(ctx, "acme/zlib", "9.0.0", store.Verification{Signed: "verified"}, &p, store.Change{Type: "x"}); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("SaveVerification of nothing = %v; want not found", err)
	}
	if err := db.SetReleaseState(ctx, "acme/zlib", "9.0.0", "gone", store.Change{Type: "x"}); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("SetReleaseState of nothing = %v; want not found", err)
	}
	if n := len(get(db.Changes(ctx, 0, 9))(t)); n != 1 {
		t.Errorf("%d feed entries; want 1: a refused write leaves none", n)
	}
}

func testRequirements(t *testing.T, db *store.DB, _ *clock) {
	ctx := t.Context()
	zlib := func(kind string) store.Requirement {
		return store.Requirement{Kind: kind, Target: "acme/zlib", Range: "^1.2", Optional: kind == "dev_requires"}
	}
	save(t, db, "acme/png", "1.0.0", 1, zlib("requires"), zlib("dev_requires"))
	save(t, db, "acme/curl", "1.0.0", 1, zlib("requires"))
	save(t, db, "acme/test", "1.0.0", 1, zlib("dev_requires"))
	want := []store.Requirement{
		{Repo: "acme/png", VersionKey: "1.0.0", Version: "1.0.0", Kind: "dev_requires", Target: "acme/zlib", Range: "^1.2", Optional: true, Latest: true},
		{Repo: "acme/png", VersionKey: "1.0.0", Version: "1.0.0", Kind: "requires", Target: "acme/zlib", Range: "^1.2", Latest: true},
	}
	if diff := cmp.Diff(want, get(db.Requirements(ctx, "acme/png", "1.0.0"))(t)); diff != "" {
		t.Errorf("Requirements (-want +got):\n%s", diff)
	}
	dependents := func(after string, n int) (out []string) {
		for _, q := range get(db.Dependents(ctx, "acme/zlib", after, n))(t) {
			out = append(out, q.Repo)
		}
		return out
	}
	if diff := cmp.Diff([]string{"acme/curl", "acme/png"}, dependents("", 9)); diff != "" {
		t.Errorf("Dependents (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"acme/png"}, dependents("acme/curl", 1)); diff != "" {
		t.Errorf("Dependents, second page (-want +got):\n%s", diff)
	}
	// A latest version that needs it no more takes the package off the list;
	// making the old one the latest again puts it back.
	save(t, db, "acme/png", "2.0.0", 2)
	if diff := cmp.Diff([]string{"acme/curl"}, dependents("", 9)); diff != "" {
		t.Errorf("Dependents after png 2.0.0 (-want +got):\n%s", diff)
	}
	must(t, db.SavePackage(ctx, pkg("acme/png", "1.0.0", 2)))
	if n := get(db.CountDependents(ctx, "acme/zlib"))(t); n != 2 {
		t.Errorf("CountDependents = %d; want 2", n)
	}
	must(t, db.SaveSetting(ctx, store.Setting{Repo: "acme/curl", Private: true}, store.Change{}, store.AuditEntry{}))
	if n := get(db.CountDependents(ctx, "acme/zlib"))(t); n != 1 {
		t.Errorf("CountDependents without the private one = %d; want 1", n)
	}
	all := get(db.DependentCounts(ctx))(t)
	for repo, n := range all {
		if want := get(db.CountDependents(ctx, repo))(t); n != want || n == 0 {
			t.Errorf("DependentCounts says %d of %s, CountDependents %d", n, repo, want)
		}
	}
	if all["acme/zlib"] != 1 {
		t.Errorf("DependentCounts = %v; want 1 of acme/zlib", all)
	}
}

func testYank(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	save(t, db, "acme/zlib", "1.0.0", 1)
	y := store.Yank{Reason: "security", Text: "overflow", By: "ada", At: c.Now()}
	must(t, db.SetYank(ctx, "acme/zlib", "1.0.0", &y, store.Change{Type: "version.yanked"}, store.AuditEntry{Action: "version.yank"}))
	for _, r := range append(get(db.Releases(ctx, "acme/zlib"))(t), get(db.ReleaseByVersion(ctx, "acme/zlib", "1.0.0"))(t)) {
		if diff := cmp.Diff(&y, r.Yank); diff != "" {
			t.Errorf("Yank (-want +got):\n%s", diff)
		}
	}
	must(t, db.SetYank(ctx, "acme/zlib", "1.0.0", nil, store.Change{Type: "version.unyanked"}, store.AuditEntry{Action: "version.unyank"}))
	if r := get(db.ReleaseByVersion(ctx, "acme/zlib", "1.0.0"))(t); r.Yank != nil {
		t.Errorf("Yank after unyank = %v; want nil", r.Yank)
	}
	err := db.SetYank(ctx, "acme/zlib", "9.0.0", &y, store.Change{Type: "version.yanked"}, store.AuditEntry{Action: "version.yank"})
	if !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("SetYank of nothing = %v; want not found", err)
	}
	if cs, as := get(db.Changes(ctx, 0, 9))(t), get(db.Audit(ctx, 0, 9))(t); len(cs) != 2 || len(as) != 2 {
		t.Errorf("%d feed entries and %d audit lines; want 2 and 2", len(cs), len(as))
	}
}

func testStats(t *testing.T, db *store.DB, _ *clock) {
	ctx := t.Context()
	want := func(what string, packages, releases int64) {
		t.Helper()
		p, r, err := db.Stats(ctx)
		must(t, err)
		if p != packages || r != releases {
			t.Errorf("%s: Stats = %d, %d; want %d, %d", what, p, r, packages, releases)
		}
	}
	want("empty", 0, 0)
	save(t, db, "acme/a", "1.0.0", 1)
	save(t, db, "acme/a", "2.0.0", 2)
	save(t, db, "acme/b", "1.0.0", 1)
	save(t, db, "acme/b", "1.0.0", 1)
	want("saved, one twice", 2, 3)
	must(t, db.SetReleaseState(ctx, "acme/b", "1.0.0", "gone", store.Change{}))
	want("gone", 1, 2)
	must(t, db.SaveSetting(ctx, store.Setting{Repo: "acme/a", Private: true}, store.Change{}, store.AuditEntry{}))
	want("private", 0, 0)
	save(t, db, "acme/a", "3.0.0", 3)
	want("a private one grows", 0, 0)
	must(t, db.SaveSetting(ctx, store.Setting{Repo: "acme/a"}, store.Change{}, store.AuditEntry{}))
	want("public again", 1, 3)
	must(t, db.DropDerived(ctx))
	want("dropped", 0, 0)
}
