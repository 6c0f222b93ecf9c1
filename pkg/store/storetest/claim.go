package storetest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
	"github.com/google/go-cmp/cmp"
)

func claim(i int) store.Claim {
	return store.Claim{Repo: "acme/zlib", VersionKey: "1.2.0", Version: "1.2", Digest: digest(i), Actor: "ada"}
}

func testReserve(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	if _, err := db.Claim(ctx, "acme/zlib", "1.2.0"); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("Claim of nothing = %v; want not found", err)
	}
	must(t, db.Reserve(ctx, claim(1), time.Minute))
	code(t, "Reserve of another", db.Reserve(ctx, claim(2), time.Minute), "version_reserved", digest(1), digest(2), "@acme/zlib", "1.2")

	// The same digest renews the lease, which holds up to its very end.
	c.advance(30 * time.Second)
	must(t, db.Reserve(ctx, claim(1), time.Minute))
	c.advance(time.Minute - time.Millisecond)
	code(t, "Reserve within the renewed lease", db.Reserve(ctx, claim(2), time.Minute), "version_reserved")
	c.advance(time.Millisecond)
	must(t, db.Reserve(ctx, claim(2), time.Minute))
	want := claim(2)
	want.Lease = c.Now().Add(time.Minute)
	if diff := cmp.Diff(want, get(db.Claim(ctx, "acme/zlib", "1.2.0"))(t)); diff != "" {
		t.Errorf("Claim (-want +got):\n%s", diff)
	}

	// Only the holder gives it up.
	must(t, db.Unreserve(ctx, "acme/zlib", "1.2.0", digest(1)))
	code(t, "Reserve after a stranger's Unreserve", db.Reserve(ctx, claim(1), time.Minute), "version_reserved")
	must(t, db.Unreserve(ctx, "acme/zlib", "1.2.0", digest(2)))
	must(t, db.Reserve(ctx, claim(1), time.Minute))
}

func testReserveAgainstCommit(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	// A commit whose lease has passed goes through while nobody took over.
	must(t, db.Reserve(ctx, claim(1), time.Minute))
	c.advance(time.Hour)
	commit(t, db, "acme/zlib", "1.2.0", 1)

	// From then on nothing moves it.
	c.advance(24 * time.Hour)
	code(t, "Reserve of a published version", db.Reserve(ctx, claim(2), time.Minute), "version_exists", digest(1), digest(2))
	must(t, db.Reserve(ctx, claim(1), time.Minute))
	must(t, db.Unreserve(ctx, "acme/zlib", "1.2.0", digest(1)))
	got := get(db.Claim(ctx, "acme/zlib", "1.2.0"))(t)
	if want := c.Now().Add(-24 * time.Hour); !got.Committed.Equal(want) || got.Digest != digest(1) {
		t.Errorf("Claim = %+v; want it committed at %v", got, want)
	}
}

// Fifty pushes of different content to one new version: one wins.
func testOneWinner(t *testing.T, db *store.DB, _ *clock) {
	ctx := t.Context()
	var wg sync.WaitGroup
	errs := make([]error, 50)
	for i := range errs {
		wg.Go(func() {
			if errs[i] = db.Reserve(ctx, claim(i+1), time.Minute); errs[i] == nil {
				_, errs[i] = db.Commit(ctx, store.Commit{Manifest: manifest("acme/zlib", i+1), Tag: "1.2", VersionKey: "1.2.0"})
			}
		})
	}
	wg.Wait()
	var winners []string
	for i, err := range errs {
		if err == nil {
			winners = append(winners, digest(i+1))
		} else if !errors.Is(err, clyde.ErrConflict) {
			t.Errorf("push %d = %v; want a conflict", i+1, err)
		}
	}
	tag := get(db.Tag(ctx, "acme/zlib", "1.2"))(t)
	if diff := cmp.Diff([]string{tag.Digest}, winners); diff != "" {
		t.Errorf("the tag's digest and the winners differ:\n%s", diff)
	}
}

// A push that lost its version meanwhile leaves no trace.
func testCommitAllOrNothing(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	must(t, db.Reserve(ctx, claim(1), time.Minute))
	c.advance(2 * time.Minute)
	must(t, db.Reserve(ctx, claim(2), time.Minute))
	_, err := db.Commit(ctx, store.Commit{
		Manifest: manifest("acme/zlib", 1), Tag: "1.2", VersionKey: "1.2.0", Event: push("acme/zlib", "1.2", 1),
		Audit: store.AuditEntry{Action: "version.published"},
	})
	code(t, "Commit after a takeover", err, "version_reserved", digest(1), digest(2))
	if _, err := db.Manifest(ctx, "acme/zlib", digest(1)); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("Manifest = %v; want not found", err)
	}
	if _, err := db.Tag(ctx, "acme/zlib", "1.2"); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("Tag = %v; want not found", err)
	}
	if items := get(db.Inbox(ctx, "", 0, 10))(t); len(items) != 0 {
		t.Errorf("Inbox = %v; want none", items)
	}
	if has := get(db.HasRepo(ctx, "acme/zlib"))(t); has {
		t.Error("HasRepo after a refused commit; want false")
	}
	if as := get(db.Audit(ctx, 0, 10))(t); len(as) != 0 {
		t.Errorf("Audit = %+v; want none", as)
	}
}

// The same push again changes nothing but that it is looked at again.
func testCommitAgain(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	first := commit(t, db, "acme/zlib", "1.2.0", 1)
	was := get(db.Claim(ctx, "acme/zlib", "1.2.0"))(t)
	c.advance(time.Hour)
	second := commit(t, db, "acme/zlib", "1.2.0", 1)
	if second <= first {
		t.Errorf("event IDs %d, %d; want them to grow", first, second)
	}
	if diff := cmp.Diff(was, get(db.Claim(ctx, "acme/zlib", "1.2.0"))(t)); diff != "" {
		t.Errorf("the claim changed:\n%s", diff)
	}
	if ms := get(db.Manifests(ctx, "acme/zlib", "", 10))(t); len(ms) != 1 {
		t.Errorf("%d manifests; want 1", len(ms))
	}
	if got := get(db.Claims(ctx, "acme/zlib", "", 10))(t); len(got) != 1 || got[0] != was {
		t.Errorf("Claims = %v; want the one", got)
	}
	if as := get(db.Audit(ctx, 0, 10))(t); len(as) != 1 || as[0].Action != "version.published" {
		t.Errorf("Audit = %+v; want the one publication", as)
	}
	select {
	case <-db.EventsReady():
	default:
		t.Error("EventsReady was not signalled")
	}
}

func testOtherSpelling(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	other := func(repo string) string { return get(db.OtherSpelling(ctx, repo))(t) }
	if got := other("acme/fast-json"); got != "" || get(db.HasVersions(ctx, "acme/fast_json"))(t) {
		t.Errorf("nothing is claimed, and %q is", got)
	}
	cl := store.Claim{Repo: "acme/fast_json", VersionKey: "1.0.0", Version: "1.0.0", Digest: digest(1), Actor: "ada"}
	must(t, db.Reserve(ctx, cl, time.Minute))
	for repo, want := range map[string]string{
		"acme/fast-json": "acme/fast_json", "acme/fast.json": "acme/fast_json",
		"acme/fast_json": "", "acme/fastjson": "", "acm/fast-json": "", "acme-fast/json": "",
	} {
		if got := other(repo); got != want {
			t.Errorf("OtherSpelling(%s) = %q; want %q", repo, got, want)
		}
	}
	if get(db.HasVersions(ctx, "acme/fast_json"))(t) {
		t.Error("a reservation is no version")
	}
	c.advance(time.Minute)
	if got := other("acme/fast-json"); got != "" {
		t.Errorf("a reservation that ended still keeps %q", got)
	}
	commit(t, db, "acme/fast_json", "1.0.0", 1)
	c.advance(24 * time.Hour)
	if got := other("acme/fast-json"); got != "acme/fast_json" || !get(db.HasVersions(ctx, "acme/fast_json"))(t) {
		t.Errorf("a published version does not keep its name: %q", got)
	}
}

func testAnnounced(t *testing.T, db *store.DB, _ *clock) {
	ctx := t.Context()
	add := func(c store.Change) {
		must(t, db.SaveSetting(ctx, store.Setting{Repo: "acme/zlib"}, c, store.AuditEntry{}))
	}
	add(store.Change{Type: "version.yanked", Package: "@acme/zlib", Version: "1.0.0", Digest: digest(1)})
	if get(db.Announced(ctx, "@acme/zlib", "1.0.0", digest(1)))(t) {
		t.Error("a yank announces nothing")
	}
	add(store.Change{Type: "version.published", Package: "@acme/zlib", Version: "1.0.0", Digest: digest(1)})
	for _, tt := range []struct {
		pkg, version, digest string
		want                 bool
	}{
		{"@acme/zlib", "1.0.0", digest(1), true},
		{"@acme/zlib", "1.0.0", digest(2), false},
		{"@acme/zlib", "1.0.1", digest(1), false},
		{"@acme/zlib2", "1.0.0", digest(1), false},
	} {
		if got := get(db.Announced(ctx, tt.pkg, tt.version, tt.digest))(t); got != tt.want {
			t.Errorf("Announced(%s, %s) = %t", tt.pkg, tt.version, got)
		}
	}
}

func testParkEvent(t *testing.T, db *store.DB, _ *clock) {
	ctx := t.Context()
	ev := clyde.Event{Source: "sweep", Action: clyde.ActionPush, Repo: "acme/zlib", Tag: "1.0.0", Digest: digest(1)}
	must(t, db.ParkEvent(ctx, ev, "bad"))
	must(t, db.ParkEvent(ctx, ev, "still bad"))
	items := get(db.Inbox(ctx, "", 0, 9))(t)
	if len(items) != 1 || items[0].State != "parked" || items[0].Reason != "bad" {
		t.Fatalf("inbox = %+v; want it parked once", items)
	}
	if got := get(db.ClaimEvents(ctx, 9, time.Minute))(t); len(got) != 0 {
		t.Errorf("claimed %+v", got)
	}
	ev.Digest = digest(2)
	must(t, db.ParkEvent(ctx, ev, "worse"))
	if n := len(get(db.Inbox(ctx, "parked", 0, 9))(t)); n != 2 {
		t.Errorf("%d parked; want 2: other content is another event", n)
	}
	must(t, db.EventReplay(ctx, items[0].Event.ID))
	if got := get(db.ClaimEvents(ctx, 9, time.Minute))(t); len(got) != 1 {
		t.Errorf("claimed %+v; want the one replayed", got)
	}
}
