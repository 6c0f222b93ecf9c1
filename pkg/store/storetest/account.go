package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func testFeed(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	ready := db.ChangesReady()
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			repo := fmt.Sprintf("acme/p%d", i)
			if err := db.SaveRelease(ctx, pkg(repo, "1.0.0", 1), release(repo, "1.0.0", 1), nil,
				store.Change{Type: "version.published", Package: "@" + repo, Version: "1.0.0", Digest: digest(1), Actor: "ada"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	select {
	case <-ready:
	default:
		t.Error("ChangesReady was not closed")
	}
	cs := get(db.Changes(ctx, 0, 100))(t)
	for i, ch := range cs {
		if ch.Seq != int64(i+1) || !ch.Time.Equal(c.Now()) {
			t.Errorf("entry %d = %+v", i, ch)
		}
	}
	if len(cs) != 20 {
		t.Fatalf("%d entries; want 20", len(cs))
	}
	if diff := cmp.Diff(cs[5:8], get(db.Changes(ctx, 5, 3))(t)); diff != "" {
		t.Errorf("a page (-want +got):\n%s", diff)
	}
	first := get(db.Epoch(ctx))(t)
	must(t, db.RenewEpoch(ctx))
	if second := get(db.Epoch(ctx))(t); first == "" || second == "" || first == second {
		t.Errorf("epochs %q and %q; want two", first, second)
	}
}

func testTokens(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	want := store.Token{
		ID: "t1", Hash: []byte{1, 0, 255}, Prefix: "clyde_ab", Name: "ci", Admin: true, Scopes: []byte(`["publish"]`),
		Created: c.Now(), Expires: c.Now().Add(time.Hour),
	}
	must(t, db.AddToken(ctx, want, store.AuditEntry{Actor: "ada", Action: "token.create", Resource: "t1"}))
	if diff := cmp.Diff(want, get(db.TokenByHash(ctx, want.Hash))(t)); diff != "" {
		t.Errorf("TokenByHash (-want +got):\n%s", diff)
	}
	if _, err := db.TokenByHash(ctx, []byte{1}); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("TokenByHash of another = %v; want not found", err)
	}
	same := want
	same.ID = "t2"
	if err := db.AddToken(ctx, same, store.AuditEntry{Action: "token.create"}); err == nil {
		t.Error("two tokens with one hash")
	}
	c.advance(time.Minute)
	must(t, db.TouchToken(ctx, "t1", c.Now()))
	must(t, db.TouchToken(ctx, "t1", c.Now().Add(-time.Second)))
	must(t, db.RevokeToken(ctx, "t1", store.AuditEntry{Action: "token.revoke"}))
	want.LastUsed, want.Revoked = c.Now(), c.Now()
	c.advance(time.Minute)
	must(t, db.RevokeToken(ctx, "t1", store.AuditEntry{Action: "token.revoke"}))
	if diff := cmp.Diff([]store.Token{want}, get(db.Tokens(ctx))(t)); diff != "" {
		t.Errorf("Tokens (-want +got):\n%s", diff)
	}
	if err := db.RevokeToken(ctx, "t9", store.AuditEntry{Action: "token.revoke"}); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("RevokeToken of nothing = %v; want not found", err)
	}
	if n := len(get(db.Audit(ctx, 0, 9))(t)); n != 3 {
		t.Errorf("%d audit lines; want 3", n)
	}
}

func testKeys(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	want := store.Key{Namespace: "acme", Name: "release", PEM: "PEM", Fingerprint: "SHA256:aa", By: "ada", Created: c.Now()}
	must(t, db.AddKey(ctx, want, store.AuditEntry{Action: "key.add"}))
	must(t, db.RevokeKey(ctx, "acme", "SHA256:aa", store.AuditEntry{Action: "key.revoke"}))
	want.Revoked = c.Now()
	if diff := cmp.Diff([]store.Key{want}, get(db.Keys(ctx, "acme"))(t)); diff != "" {
		t.Errorf("Keys (-want +got):\n%s", diff)
	}
	if err := db.RevokeKey(ctx, "zeta", "SHA256:aa", store.AuditEntry{Action: "key.revoke"}); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("RevokeKey in another namespace = %v; want not found", err)
	}
	want.Revoked = time.Time{}
	must(t, db.AddKey(ctx, want, store.AuditEntry{Action: "key.add"}))
	if diff := cmp.Diff([]store.Key{want}, get(db.Keys(ctx, "acme"))(t)); diff != "" {
		t.Errorf("Keys after adding it again (-want +got):\n%s", diff)
	}
}

func testNamespaces(t *testing.T, db *store.DB, _ *clock) {
	ctx := t.Context()
	if get(db.HasNamespace(ctx, "acme"))(t) {
		t.Error("HasNamespace before AddNamespace")
	}
	must(t, db.AddNamespace(ctx, "acme", "ada"))
	must(t, db.AddNamespace(ctx, "acme", "bob"))
	if !get(db.HasNamespace(ctx, "acme"))(t) {
		t.Error("no namespace after AddNamespace")
	}
}

func testCounts(t *testing.T, db *store.DB, _ *clock) {
	ctx := t.Context()
	save(t, db, "acme/zlib", "1.0.0", 1)
	save(t, db, "acme/zlib", "2.0.0", 2)
	count := func(v, day, kind, client string, n int64) store.Count {
		return store.Count{Repo: "acme/zlib", Version: v, Day: day, Kind: kind, Client: client, Platform: "linux-x86_64", Count: n, Raw: 2 * n}
	}
	must(t, db.AddCounts(ctx, "", 1, []store.Count{
		count("1.0.0", "2026-01-01", store.People, "clyde", 3), count("2.0.0", "2026-01-01", store.People, "oras", 1),
		count("1.0.0", "2026-01-03", store.People, "clyde", 5), count("1.0.0", "2026-01-03", store.CI, "clyde", 7),
		count("1.0.0", "2026-01-03", store.Robot, "other", 11),
	}))
	second := []store.Count{count("1.0.0", "2026-01-01", store.People, "clyde", 2)}
	for range 3 { // a batch counts once, however often it is tried
		must(t, db.AddCounts(ctx, "", 2, second))
	}
	must(t, db.AddCounts(ctx, "", 1, second))
	if n := get(db.CountedBatch(ctx, ""))(t); n != 2 {
		t.Errorf("CountedBatch() = %d; want 2", n)
	}
	all := store.CountBy{Day: true, Version: true, Kind: true, Client: true, Platform: true}
	want := []store.Count{count("1.0.0", "2026-01-01", store.People, "clyde", 5), count("2.0.0", "2026-01-01", store.People, "oras", 1)}
	if diff := cmp.Diff(want, get(db.Counts(ctx, "acme/zlib", "2026-01-01", "2026-01-02", all))(t)); diff != "" {
		t.Errorf("Counts (-want +got):\n%s", diff)
	}
	kinds := []store.Count{
		{Repo: "acme/zlib", Kind: "ci", Count: 7, Raw: 14}, {Repo: "acme/zlib", Kind: "people", Count: 11, Raw: 22}, {Repo: "acme/zlib", Kind: "robot", Count: 11, Raw: 22},
	}
	if diff := cmp.Diff(kinds, get(db.Counts(ctx, "acme/zlib", "2026-01-01", "2026-01-31", store.CountBy{Kind: true}))(t)); diff != "" {
		t.Errorf("Counts by kind (-want +got):\n%s", diff)
	}
	if got := get(db.Counts(ctx, "acme/zlib", "2026-01-01", "2026-01-31", store.CountBy{Only: store.CI}))(t); len(got) != 1 || got[0].Count != 7 {
		t.Errorf("Counts of CI = %+v; want 7", got)
	}
	if p := get(db.Package(ctx, "acme/zlib"))(t); p.Downloads != 11 {
		t.Errorf("Package.Downloads = %d; want those of people, 11", p.Downloads)
	}
	if r := get(db.ReleaseByVersion(ctx, "acme/zlib", "1.0.0"))(t); r.Downloads != 10 {
		t.Errorf("Release.Downloads = %d; want 10", r.Downloads)
	}
	totals := store.Totals{People: 11, CI: 7, Robots: 11, Raw: 58}
	if got := get(db.Totals(ctx, "acme/zlib", ""))(t); got != totals {
		t.Errorf("Totals = %+v; want %+v", got, totals)
	}

	// Rolled up, a month has the same sums, and its days are gone.
	if n := get(db.RollUpCounts(ctx, "2026-01-03"))(t); n != 1 {
		t.Errorf("rolled up %d days; want 1", n)
	}
	if n := get(db.RollUpCounts(ctx, "2026-02-01"))(t); n != 1 {
		t.Errorf("rolled up %d days; want 1", n)
	}
	for i := range kinds {
		kinds[i].Day = "2026-01"
	}
	for _, days := range [][2]string{{"2026-01-01", "2026-01-31"}, {"2026-01-20", "2026-02-03"}, {"2025-12-31", "2026-01-01"}} {
		if diff := cmp.Diff(kinds, get(db.Counts(ctx, "acme/zlib", days[0], days[1], store.CountBy{Day: true, Kind: true}))(t)); diff != "" {
			t.Errorf("Counts %v after rolling up (-want +got):\n%s", days, diff)
		}
	}
	for _, days := range [][2]string{{"2026-02-01", "2026-02-28"}, {"2025-12-01", "2025-12-31"}} {
		if got := get(db.Counts(ctx, "acme/zlib", days[0], days[1], all))(t); len(got) != 0 {
			t.Errorf("Counts %v = %+v; want none", days, got)
		}
	}
	if got := get(db.Totals(ctx, "acme/zlib", ""))(t); got != totals {
		t.Errorf("Totals after rolling up = %+v; want %+v", got, totals)
	}
}

func testAudit(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	for i := range 5 {
		must(t, db.AddAudit(ctx, store.AuditEntry{Actor: "ada", Action: "token.create", Resource: fmt.Sprint(i)}))
	}
	want := []store.AuditEntry{
		{Seq: 4, Time: c.Now(), Actor: "ada", Action: "token.create", Resource: "3", Detail: "{}"},
		{Seq: 3, Time: c.Now(), Actor: "ada", Action: "token.create", Resource: "2", Detail: "{}"},
	}
	got := get(db.Audit(ctx, 5, 2))(t)
	for i := range got {
		if i > 0 && got[i-1].Prev != got[i].Hash || len(got[i].Hash) != 64 {
			t.Errorf("entry %d is not chained to the one before: %+v", got[i].Seq, got)
		}
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(store.AuditEntry{}, "Prev", "Hash")); diff != "" {
		t.Errorf("Audit (-want +got):\n%s", diff)
	}
	if n := len(get(db.Audit(ctx, 0, 9))(t)); n != 5 {
		t.Errorf("%d lines; want 5", n)
	}
}

func testIdempotent(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	ask := func(principal string, reply []byte, want string, found bool) {
		t.Helper()
		got, ok, err := db.Idempotent(ctx, principal, "k", reply)
		if err != nil || string(got) != want || ok != found {
			t.Errorf("Idempotent(%s, %s) = %s, %v, %v; want %s, %v", principal, reply, got, ok, err, want, found)
		}
	}
	ask("ada", nil, "", false)
	ask("ada", []byte("one"), "one", false)
	ask("ada", []byte("two"), "one", true)
	ask("ada", nil, "one", true)
	ask("bob", []byte("two"), "two", false)
	c.advance(store.IdempotencyAge - time.Millisecond)
	ask("ada", nil, "one", true)
	c.advance(time.Millisecond)
	ask("ada", nil, "", false)
	ask("ada", []byte("three"), "three", false)
}

// What is derived goes and comes back; what is ours stays.
func testDerived(t *testing.T, db *store.DB, _ *clock) {
	ctx := t.Context()
	commit(t, db, "acme/zlib", "1.0.0", 1)
	save(t, db, "acme/zlib", "1.0.0", 1, store.Requirement{Kind: "requires", Target: "acme/x"})
	must(t, db.AddNamespace(ctx, "acme", "ada"))
	must(t, db.AddCounts(ctx, "", 0, []store.Count{{Repo: "acme/zlib", Version: "1.0.0", Day: "2026-01-01", Kind: store.People, Count: 4}}))
	must(t, db.SetYank(ctx, "acme/zlib", "1.0.0", &store.Yank{Reason: "broken"}, store.Change{Type: "version.yanked"}, store.AuditEntry{Action: "version.yank"}))
	before := get(db.ReleaseByVersion(ctx, "acme/zlib", "1.0.0"))(t)
	claim, epoch := get(db.Claim(ctx, "acme/zlib", "1.0.0"))(t), get(db.Epoch(ctx))(t)

	must(t, db.DropDerived(ctx))
	for what, err := range map[string]error{
		"Manifest": get2(db.Manifest(ctx, "acme/zlib", digest(1))), "Tag": get2(db.Tag(ctx, "acme/zlib", "1.0.0")),
		"Package": get2(db.Package(ctx, "acme/zlib")), "ReleaseByVersion": get2(db.ReleaseByVersion(ctx, "acme/zlib", "1.0.0")),
	} {
		if !errors.Is(err, clyde.ErrNotFound) {
			t.Errorf("%s after DropDerived = %v; want not found", what, err)
		}
	}
	if get(db.Epoch(ctx))(t) == epoch {
		t.Error("the epoch outlived DropDerived")
	}
	if !get(db.HasRepo(ctx, "acme/zlib"))(t) {
		t.Error("HasRepo forgot a repository with a published version")
	}
	must(t, db.RestoreManifest(ctx, manifest("acme/zlib", 1), []string{"1.0.0"}))
	other := claim
	other.Digest = digest(9)
	must(t, db.RestoreClaim(ctx, other))
	if got := get(db.Claim(ctx, "acme/zlib", "1.0.0"))(t); got != claim {
		t.Errorf("Claim = %+v; want %+v: a claim that is there stays", got, claim)
	}
	save(t, db, "acme/zlib", "1.0.0", 1, store.Requirement{Kind: "requires", Target: "acme/x"})
	if diff := cmp.Diff(before, get(db.ReleaseByVersion(ctx, "acme/zlib", "1.0.0"))(t)); diff != "" {
		t.Errorf("release after the rebuild (-before +after):\n%s", diff)
	}
	if tag := get(db.Tag(ctx, "acme/zlib", "1.0.0"))(t); tag.Digest != digest(1) {
		t.Errorf("Tag = %+v", tag)
	}
	if n := len(get(db.Changes(ctx, 0, 9))(t)); n != 1 {
		t.Errorf("%d feed entries; want the 1 there was", n)
	}
}
