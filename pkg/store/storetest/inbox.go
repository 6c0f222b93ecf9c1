package storetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// put stores events, one of each repository named, and returns their IDs.
func put(t testing.TB, db *store.DB, repos ...string) (ids []int64) {
	t.Helper()
	for i, r := range repos {
		ids = append(ids, get(db.PutEvent(t.Context(), push(r, "", i)))(t))
	}
	return ids
}

func claimIDs(t testing.TB, db *store.DB, n int) (ids []int64) {
	t.Helper()
	for _, it := range get(db.ClaimEvents(t.Context(), n, time.Minute))(t) {
		ids = append(ids, it.Event.ID)
	}
	return ids
}

func testInboxOrder(t *testing.T, db *store.DB, _ *clock) {
	ctx := t.Context()
	id := put(t, db, "a/x", "a/x", "a/y", "a/x", "a/z")
	want := func(what string, got []int64, want ...int64) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: claimed %v; want %v", what, got, want)
		}
	}
	want("two at most", claimIDs(t, db, 2), id[0], id[2])
	want("the rest", claimIDs(t, db, 9), id[4])
	want("all leased", claimIDs(t, db, 9))
	must(t, db.EventDone(ctx, id[2]))
	want("another repository's end", claimIDs(t, db, 9))
	must(t, db.EventDone(ctx, id[0]))
	want("the first's end", claimIDs(t, db, 9), id[1])
	must(t, db.EventDone(ctx, id[1]))
	must(t, db.EventDone(ctx, id[1])) // again is no error
	want("the second's end", claimIDs(t, db, 9), id[3])
	if err := db.EventDone(ctx, 1<<40); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("EventDone of nothing = %v; want not found", err)
	}
	if n := get(db.Waiting(ctx))(t); n != 2 {
		t.Errorf("Waiting = %d; want 2", n)
	}
}

func testInboxLease(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	id := put(t, db, "a/x", "a/x")
	claimIDs(t, db, 9)
	c.advance(time.Minute - time.Millisecond)
	if got := claimIDs(t, db, 9); len(got) != 0 {
		t.Errorf("claimed %v within the lease", got)
	}
	c.advance(time.Millisecond)
	items := get(db.ClaimEvents(ctx, 9, time.Minute))(t)
	if len(items) != 1 || items[0].Event.ID != id[0] || items[0].Attempts != 2 {
		t.Fatalf("after the lease claimed %+v; want event %d, attempt 2", items, id[0])
	}
	// A retry holds the repository's later events back, so that they stay in order.
	must(t, db.EventRetry(ctx, id[0], time.Hour, strings.Repeat("x", 1<<20)))
	c.advance(59 * time.Minute)
	if got := claimIDs(t, db, 9); len(got) != 0 {
		t.Errorf("claimed %v before the retry is due", got)
	}
	c.advance(time.Minute)
	if got := claimIDs(t, db, 9); !slices.Equal(got, id[:1]) {
		t.Errorf("claimed %v; want %v", got, id[:1])
	}
	if n := len(get(db.InboxItem(ctx, id[0]))(t).Reason); n != 4096 {
		t.Errorf("kept %d bytes of the cause; want 4096", n)
	}
}

func testInboxPark(t *testing.T, db *store.DB, _ *clock) {
	ctx := t.Context()
	id := put(t, db, "a/x", "a/x")
	claimIDs(t, db, 9)
	must(t, db.EventPark(ctx, id[0], "no such type"))
	parked := get(db.Inbox(ctx, "parked", 0, 10))(t)
	if len(parked) != 1 || parked[0].Reason != "no such type" || parked[0].Attempts != 1 {
		t.Errorf("parked = %+v; want the first with its reason", parked)
	}
	if got := claimIDs(t, db, 9); !slices.Equal(got, id[1:]) {
		t.Errorf("claimed %v; want %v: poison holds nobody up", got, id[1:])
	}
	// Replayed while a later one runs, it waits for its turn.
	must(t, db.EventReplay(ctx, id[0]))
	if err := db.EventReplay(ctx, id[0]); !errors.Is(err, clyde.ErrConflict) {
		t.Errorf("EventReplay of a waiting event = %v; want a conflict", err)
	}
	if got := claimIDs(t, db, 9); len(got) != 0 {
		t.Errorf("claimed %v beside another of its repository", got)
	}
	must(t, db.EventDone(ctx, id[1]))
	if got := claimIDs(t, db, 9); !slices.Equal(got, id[:1]) {
		t.Errorf("claimed %v; want the replayed %v", got, id[:1])
	}
	if it := get(db.InboxItem(ctx, id[0]))(t); it.Attempts != 1 || it.Reason != "" {
		t.Errorf("replayed = %+v; want a fresh start", it)
	}
}

func testInboxList(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	id := put(t, db, "a/x", "a/y", "a/z")
	items := get(db.Inbox(ctx, "", 0, 2))(t)
	items = append(items, get(db.Inbox(ctx, "", items[1].Event.ID, 2))(t)...)
	want := push("a/z", "", 2)
	want.ID, want.Received = id[2], c.Now()
	if diff := cmp.Diff(want, items[0].Event); diff != "" {
		t.Errorf("newest event (-want +got):\n%s", diff)
	}
	if len(items) != 3 || items[2].Event.ID != id[0] {
		t.Errorf("Inbox in pages = %+v; want three, newest first", items)
	}
	must(t, db.EventDone(ctx, id[1]))
	c.advance(time.Hour)
	if n := get(db.PurgeEvents(ctx, c.Now()))(t); n != 1 {
		t.Errorf("PurgeEvents = %d; want 1", n)
	}
	if n := len(get(db.Inbox(ctx, "", 0, 9))(t)); n != 2 {
		t.Errorf("%d items left; want 2", n)
	}
}

// Whatever happens, one event of a repository runs at a time, none is lost,
// and they begin in the order stored but for those that were parked.
func testInboxProperty(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		running := make(map[string]int64) // by repository
		ended := make(map[int64]bool)
		last := make(map[string]int64) // newest begun, by repository
		stored := 0
		claim := func() {
			items, err := db.ClaimEvents(ctx, rapid.IntRange(1, 4).Draw(rt, "n"), 24*time.Hour)
			must(t, err)
			for _, it := range items {
				ev := it.Event
				if other, ok := running[ev.Repo]; ok {
					rt.Fatalf("event %d of %s runs beside %d", ev.ID, ev.Repo, other)
				}
				if ended[ev.ID] || ev.ID < last[ev.Repo] {
					rt.Fatalf("event %d of %s came after %d", ev.ID, ev.Repo, last[ev.Repo])
				}
				running[ev.Repo], last[ev.Repo] = ev.ID, ev.ID
			}
		}
		end := func(how int) {
			for _, repo := range slices.Sorted(maps.Keys(running)) {
				id := running[repo]
				delete(running, repo)
				switch how {
				case 0:
					must(t, db.EventRetry(ctx, id, 0, "again"))
					return
				case 1:
					must(t, db.EventPark(ctx, id, "poison"))
				default:
					must(t, db.EventDone(ctx, id))
				}
				ended[id] = true
				return
			}
		}
		for range rapid.IntRange(1, 20).Draw(rt, "steps") {
			switch rapid.IntRange(0, 2).Draw(rt, "step") {
			case 0:
				put(t, db, fmt.Sprintf("r%d/%d", round, rapid.IntRange(0, 2).Draw(rt, "repo")))
				stored++
			case 1:
				claim()
			case 2:
				end(rapid.IntRange(0, 3).Draw(rt, "how"))
			}
		}
		for len(ended) < stored {
			before := len(ended)
			claim()
			for len(running) > 0 {
				end(3)
			}
			if len(ended) == before {
				rt.Fatalf("%d of %d events never came", stored-before, stored)
			}
		}
		c.advance(time.Second)
	})
}
