package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// build is the i-th build of version 1.2 of acme/zlib.
func build(i int, system, arch string, at time.Time) store.Build {
	part := fmt.Sprintf("%016x", i)
	return store.Build{
		Repo: "acme/zlib", Digest: digest(i), VersionKey: "1.2.0", Tag: "1.2_" + part, ABIID: part, OS: system, Arch: arch,
		Tree: digest(1000 + i), TreeSize: int64(i), Attached: at, Actor: "ada", Facts: []byte(`{"schema":1}`),
	}
}

func testBuilds(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	at := c.Now().Truncate(time.Millisecond)
	late, early := build(1, "linux", "x86_64", at.Add(time.Second)), build(2, "linux", "arm64", at)
	late.Debug, late.DebugSize = digest(7), 7
	headers, other, next := build(3, "any", "any", at), build(4, "macos", "arm64", at), build(5, "windows", "x86_64", at)
	other.Repo, next.VersionKey = "acme/zlib-ng", "1.3.0"
	for _, b := range []store.Build{late, early, headers, other, next} {
		must(t, db.SaveBuild(ctx, b, store.Change{}))
	}
	late.Actor = "bob" // the same again replaces
	must(t, db.SaveBuild(ctx, late, store.Change{Time: at, Type: "build.added", Package: "@acme/zlib", Version: "1.2", Digest: late.Digest, Actor: "bob"}))

	// Of one version, the oldest first, however they came.
	builds := get(db.Builds(ctx, "acme/zlib", "1.2.0"))(t)
	if diff := cmp.Diff([]store.Build{early, headers, late}, builds, cmpopts.EquateApproxTime(0)); diff != "" {
		t.Errorf("Builds (-want +got):\n%s", diff)
	}
	if got := get(db.Build(ctx, "acme/zlib", late.Digest))(t); got.Actor != "bob" || got.Debug != late.Debug {
		t.Errorf("Build = %+v", got)
	}
	for repo, d := range map[string]string{"acme/zlib": digest(99), "acme/none": late.Digest} {
		if _, err := db.Build(ctx, repo, d); !errors.Is(err, clyde.ErrNotFound) {
			t.Errorf("Build(%s, %s): %v; want not found", repo, d, err)
		}
	}
	for key, want := range map[string][]string{
		"1.2.0": {"any", "linux", "linux-arm64", "linux-x86_64"}, "1.3.0": {"windows", "windows-x86_64"}, "1.4.0": nil,
	} {
		if got := get(db.BuildPlatforms(ctx, "acme/zlib", key))(t); !slices.Equal(got, want) {
			t.Errorf("BuildPlatforms(%s) = %v; want %v", key, got, want)
		}
	}
	for _, tt := range []struct {
		after, last string
		want        int
	}{{"", "acme/zlib", 4}, {"acme/zlib", "acme/zlib-ng", 1}, {"", "z", 5}, {"acme/zlib-ng", "z", 0}} {
		if got := get(db.BuildsBetween(ctx, tt.after, tt.last))(t); len(got) != tt.want {
			t.Errorf("BuildsBetween(%q, %q): %d; want %d", tt.after, tt.last, len(got), tt.want)
		}
	}
	for d, want := range map[string]bool{late.Digest: true, early.Digest: false} {
		if got := get(db.BuildAnnounced(ctx, "@acme/zlib", d))(t); got != want {
			t.Errorf("BuildAnnounced(%s) = %v; want %v", d, got, want)
		}
	}
	// What was measured: SONAMEs of all builds, symbols of one with archives.
	links := func(b store.Build, shared bool, sonames, symbols []string) {
		must(t, db.SaveBuildLinks(ctx, store.BuildLinks{Repo: b.Repo, Digest: b.Digest, VersionKey: b.VersionKey, Shared: shared, SONames: sonames, Symbols: symbols}))
	}
	links(late, true, []string{"libz.so.1"}, []string{"crc32", "deflate"})
	links(early, false, nil, []string{"first"})
	links(early, false, nil, []string{"deflate"}) // replaces
	links(other, true, []string{"libz-ng.so.2"}, nil)
	if got := get(db.BuildSONames(ctx, "acme/zlib", "1.2.0"))(t); !slices.Equal(got, []string{"libz.so.1"}) {
		t.Errorf("BuildSONames = %v", got)
	}
	if got := get(db.BuildSymbols(ctx, "acme/zlib", "1.2.0"))(t); got == nil || got.Shared || !slices.Equal(got.Symbols, []string{"deflate"}) {
		t.Errorf("BuildSymbols = %+v; want those of the archive", got)
	}
	if got := get(db.BuildSymbols(ctx, "acme/zlib", "1.3.0"))(t); got != nil {
		t.Errorf("BuildSymbols of what was not measured = %+v", got)
	}
	summary := map[string]store.LinkSummary{
		late.Digest:  {Digest: late.Digest, Shared: true, SONames: []string{"libz.so.1"}, Symbols: 2},
		early.Digest: {Digest: early.Digest, SONames: []string{}, Symbols: 1},
	}
	if diff := cmp.Diff(summary, get(db.LinksOfBuilds(ctx, "acme/zlib", "1.2.0"))(t)); diff != "" {
		t.Errorf("LinksOfBuilds (-want +got):\n%s", diff)
	}
	if !get(db.HasBuildLinks(ctx, "acme/zlib", late.Digest))(t) || get(db.HasBuildLinks(ctx, "acme/zlib", headers.Digest))(t) {
		t.Error("HasBuildLinks does not tell what was measured from what was not")
	}
	must(t, db.DropDerived(ctx))
	if get(db.HasBuildLinks(ctx, "acme/zlib", late.Digest))(t) {
		t.Error("what was measured is there after DropDerived")
	}
	if got := get(db.Builds(ctx, "acme/zlib", "1.2.0"))(t); len(got) != 0 {
		t.Errorf("%d builds after DropDerived", len(got))
	}
}

// Twenty runners attach to one version at once: of those with a tag of their own
// none is lost, and of those that contend for one exactly one wins.
func testBuildsAtOnce(t *testing.T, db *store.DB, _ *clock) {
	ctx := t.Context()
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		won  = map[string][]string{} // digests by key
		each = 10
	)
	for i := range 2 * each {
		wg.Go(func() {
			part := fmt.Sprintf("%016x", min(i, each)) // the second half wants one and the same
			key := store.BuildKey("1.2.0", part)
			err := db.Reserve(ctx, store.Claim{Repo: "acme/zlib", VersionKey: key, Version: "1.2_" + part, Digest: digest(i), Actor: "ada"}, time.Minute)
			if errors.Is(err, clyde.ErrConflict) && i >= each {
				return
			}
			if err == nil {
				err = db.SaveBuild(ctx, build(i, "linux", "x86_64", time.Time{}), store.Change{Type: "build.added", Package: "@acme/zlib", Version: "1.2", Digest: digest(i)})
			}
			if err != nil {
				t.Errorf("runner %d: %v", i, err)
			}
			mu.Lock()
			defer mu.Unlock()
			won[key] = append(won[key], digest(i))
		})
	}
	wg.Wait()
	for key, digests := range won {
		if len(digests) != 1 {
			t.Errorf("%s has the winners %v", key, digests)
		}
	}
	builds, claims := get(db.Builds(ctx, "acme/zlib", "1.2.0"))(t), get(db.CountBuilds(ctx, "acme/zlib", "1.2.0"))(t)
	if len(builds) != each+1 || claims != each+1 {
		t.Errorf("%d builds and %d claims; want %d of each", len(builds), claims, each+1)
	}
	if n := get(db.CountBuilds(ctx, "acme/zlib", "1.2"))(t); n != 0 {
		t.Errorf("another version has %d builds", n)
	}
	if cs := get(db.Changes(ctx, 0, 100))(t); len(cs) != each+1 {
		t.Errorf("the feed has %d entries; want %d", len(cs), each+1)
	}
}

func testBuildPolicy(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	if p := get(db.BuildPolicy(ctx, "acme"))(t); p.Days != store.DefaultBuildDays || len(p.Rebuilders) != 0 || p.Namespace != "acme" {
		t.Errorf("at first: %+v", p)
	}
	must(t, db.ClaimNamespace(ctx, "acme", store.Owner{Kind: store.OwnerAccount, ID: 1}, "ada", false, store.AuditEntry{Time: c.Now(), Action: "namespace.claim"}))
	want := store.BuildPolicy{Namespace: "acme", Days: store.Always, Rebuilders: []string{"account:7", "token:ci"}}
	for _, days := range []int{3, store.Always} { // the second replaces the first
		p := want
		p.Days = days
		must(t, db.SetBuildPolicy(ctx, p, store.AuditEntry{Time: c.Now(), Action: "namespace.builds", Resource: "@acme"}))
	}
	if diff := cmp.Diff(want, get(db.BuildPolicy(ctx, "acme"))(t)); diff != "" {
		t.Errorf("BuildPolicy (-want +got):\n%s", diff)
	}
	// It is our own, and it is its owner's.
	must(t, db.DropDerived(ctx))
	if p := get(db.BuildPolicy(ctx, "acme"))(t); p.Days != store.Always {
		t.Errorf("after DropDerived: %+v", p)
	}
	must(t, db.SetNamespaceOwner(ctx, "acme", store.Owner{Kind: store.OwnerOrg, ID: 2}, store.AuditEntry{Time: c.Now(), Action: "transfer.accept"}))
	if p := get(db.BuildPolicy(ctx, "acme"))(t); p.Days != store.DefaultBuildDays || len(p.Rebuilders) != 0 {
		t.Errorf("with another owner: %+v", p)
	}
}
