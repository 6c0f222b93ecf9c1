package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// OpenTwo returns two connections to one empty database, as two processes have
// them. It closes them with the test.
type OpenTwo func(t *testing.T) [2]*store.DB

// RunReplicas checks that what one connection promises holds between two.
// Servers may be two on a shared database; on a file one serves, and commands
// run beside it.
func RunReplicas(t *testing.T, open OpenTwo, shared bool) {
	for _, tt := range []struct {
		name string
		run  func(*testing.T, [2]*store.DB)
	}{
		{"OneWinner", replicasOneWinner},
		{"LastOwner", replicasLastOwner},
		{"Audit", replicasAudit},
		{"Limits", func(t *testing.T, dbs [2]*store.DB) { replicasLimits(t, dbs, shared) }},
		{"Feed", replicasFeed},
		{"Inbox", replicasInbox},
		{"Once", replicasOnce},
		{"Counters", replicasCounters},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.run(t, open(t))
		})
	}
}

// atOnce runs fn n times at once, on the two in turn, and returns how many
// succeeded. Errors that are not of a kind in fine fail the test.
func atOnce(t *testing.T, dbs [2]*store.DB, n int, fn func(ctx context.Context, db *store.DB, i int) error, fine ...error) (won int) {
	t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() { errs[i] = fn(t.Context(), dbs[i%2], i) })
	}
	wg.Wait()
	for i, err := range errs {
		switch {
		case err == nil:
			won++
		case !slices.ContainsFunc(fine, func(kind error) bool { return errors.Is(err, kind) }):
			t.Errorf("call %d: %v", i, err)
		}
	}
	return won
}

// Fifty pushes of different content to one new version: one wins, and both see
// the same one.
func replicasOneWinner(t *testing.T, dbs [2]*store.DB) {
	won := atOnce(t, dbs, 50, func(ctx context.Context, db *store.DB, i int) error {
		c := store.Claim{Repo: "acme/race", VersionKey: "1.0.0", Version: "1.0.0", Digest: digest(i), Actor: "ada"}
		if err := db.Reserve(ctx, c, time.Minute); err != nil {
			return err
		}
		_, err := db.Commit(ctx, store.Commit{
			Manifest: manifest("acme/race", i), Tag: "1.0.0", VersionKey: "1.0.0", Actor: "ada", Event: push("acme/race", "1.0.0", i),
		})
		return err
	}, clyde.ErrConflict)
	a, b := get(dbs[0].Tag(t.Context(), "acme/race", "1.0.0"))(t), get(dbs[1].Tag(t.Context(), "acme/race", "1.0.0"))(t)
	if won != 1 || a.Digest != b.Digest {
		t.Errorf("%d won, and the tag is %s and %s; want one", won, a.Digest, b.Digest)
	}
}

// Two owners who each make the other a mere member at the same moment: one
// stays.
func replicasLastOwner(t *testing.T, dbs [2]*store.DB) {
	ctx := t.Context()
	people := [2]store.Account{person(t, dbs[0], "ada"), person(t, dbs[0], "bob")}
	for round := range 10 {
		org := get(dbs[0].AddOrg(ctx, store.Org{Name: fmt.Sprint("org", round)}, people[0].ID, store.AuditEntry{}))(t)
		must(t, dbs[0].SetMember(ctx, org.ID, people[1].ID, "owner", store.AuditEntry{}))
		atOnce(t, dbs, 2, func(ctx context.Context, db *store.DB, i int) error {
			if round%2 == 0 {
				return db.RemoveMember(ctx, org.ID, people[i].ID, store.AuditEntry{})
			}
			return db.SetMember(ctx, org.ID, people[i].ID, "member", store.AuditEntry{})
		}, clyde.ErrConflict)
		owners := 0
		for _, m := range get(dbs[0].Members(ctx, org.ID))(t) {
			if m.Role == "owner" {
				owners++
			}
		}
		if owners != 1 {
			t.Errorf("round %d: %d owners; want 1", round, owners)
		}
	}
}

// What both take of a limit is taken from one bucket, which fills again. A file
// keeps none: who serves counts in memory.
func replicasLimits(t *testing.T, dbs [2]*store.DB, shared bool) {
	const n, each, burst = 40, 2.0, 100.0
	s := store.Spent{Kind: "new-package", Caller: "account ada", N: each, PerSecond: 1e-3, Burst: burst}
	if !shared {
		if left := get(dbs[0].Spend(t.Context(), []store.Spent{s}))(t); left != nil {
			t.Errorf("left %v; want nothing kept", left)
		}
		return
	}
	atOnce(t, dbs, n, func(ctx context.Context, db *store.DB, _ int) error {
		_, err := db.Spend(ctx, []store.Spent{s})
		return err
	})
	left := get(dbs[1].Spend(t.Context(), []store.Spent{{Kind: s.Kind, Caller: s.Caller, PerSecond: s.PerSecond, Burst: burst}, {Kind: s.Kind, Caller: "account bob", N: 1, PerSecond: 1, Burst: 5}}))(t)
	if len(left) != 2 || left[0] < burst-n*each || left[0] > burst-n*each+1 || left[1] != 4 {
		t.Errorf("left %v; want %v and 4", left, burst-n*each)
	}
	s.N = 500
	if left := get(dbs[0].Spend(t.Context(), []store.Spent{s}))(t); left[0] != -burst {
		t.Errorf("left %v after 500 more; want %v, no more is owed", left, -burst)
	}
	must(t, dbs[0].PurgeBuckets(t.Context(), time.Now().Add(time.Hour)))
	s.N = 0
	if left := get(dbs[1].Spend(t.Context(), []store.Spent{s}))(t); left[0] != burst {
		t.Errorf("left %v after they were forgotten; want %v", left, burst)
	}
}

// Entries that both append are one chain.
func replicasAudit(t *testing.T, dbs [2]*store.DB) {
	const n = 100
	atOnce(t, dbs, n, func(ctx context.Context, db *store.DB, i int) error {
		return db.AddAudit(ctx, store.AuditEntry{Actor: fmt.Sprintf("a\x00\xff%d", i), Action: "x"})
	})
	r := get(dbs[1].VerifyAudit(t.Context()))(t)
	if r.Broken != "" || r.Entries != n {
		t.Errorf("VerifyAudit = %+v; want %d entries", r, n)
	}
}

// Whoever reads the feed while both write it misses nothing: a number is never
// seen before a smaller one.
func replicasFeed(t *testing.T, dbs [2]*store.DB) {
	const n = 100
	ctx := t.Context()
	written := make(chan struct{})
	var seen []int64
	var wg sync.WaitGroup
	wg.Go(func() {
		for last := false; ; {
			after := int64(0)
			if len(seen) > 0 {
				after = seen[len(seen)-1]
			}
			cs, err := dbs[1].Changes(ctx, after, 7)
			if err != nil {
				t.Error(err)
				return
			}
			for _, c := range cs {
				seen = append(seen, c.Seq)
			}
			if len(cs) > 0 {
				continue
			}
			if last {
				return
			}
			select {
			case <-written:
				last = true
			default:
			}
		}
	})
	atOnce(t, dbs, n, func(ctx context.Context, db *store.DB, i int) error {
		return db.SaveSetting(ctx, store.Setting{Repo: fmt.Sprint("acme/p", i)}, store.Change{Type: "package.setting", Package: fmt.Sprint("@acme/p", i)}, store.AuditEntry{})
	})
	close(written)
	wg.Wait()
	if len(seen) != n {
		t.Errorf("the reader saw %d entries; want %d", len(seen), n)
	}
}

// Each event is claimed by one of them, those of a repository in their order.
func replicasInbox(t *testing.T, dbs [2]*store.DB) {
	const repos, each = 20, 5
	ctx := t.Context()
	atOnce(t, dbs, repos*each, func(ctx context.Context, db *store.DB, i int) error {
		_, err := db.PutEvent(ctx, push(fmt.Sprint("acme/p", i%repos), "1.0.0", i))
		return err
	})
	var mu sync.Mutex
	last, done := map[string]int64{}, 0
	var wg sync.WaitGroup
	for _, db := range dbs {
		wg.Go(func() {
			for {
				items, err := db.ClaimEvents(ctx, 8, time.Hour)
				if err != nil {
					t.Error(err)
					return
				}
				if len(items) == 0 {
					n, err := db.Waiting(ctx)
					if err != nil || n == 0 {
						return
					}
					continue // the other has them
				}
				for _, it := range items {
					mu.Lock()
					if it.Event.ID <= last[it.Event.Repo] || it.Attempts != 1 {
						t.Errorf("event %d of %s was claimed after %d, attempt %d", it.Event.ID, it.Event.Repo, last[it.Event.Repo], it.Attempts)
					}
					last[it.Event.Repo] = it.Event.ID
					done++
					mu.Unlock()
					if err := db.EventDone(ctx, it.Event.ID); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	if done != repos*each {
		t.Errorf("%d events were done; want %d", done, repos*each)
	}
}

// What may happen once happens once.
func replicasOnce(t *testing.T, dbs [2]*store.DB) {
	ctx := t.Context()
	ada := person(t, dbs[0], "ada")
	must(t, dbs[0].AddInvitation(ctx, store.Invitation{ID: "i1", Pattern: "acme/*", Role: "publisher", Account: ada.ID, Expires: time.Now().Add(24 * time.Hour * 365 * 10)}, store.AuditEntry{}))
	for what, fn := range map[string]func(ctx context.Context, db *store.DB, i int) error{
		"an identity token": func(ctx context.Context, db *store.DB, _ int) error {
			return db.UseJTI(ctx, "https://ci", []byte("jti"), time.Now().Add(24*time.Hour*365*10))
		},
		"a namespace": func(ctx context.Context, db *store.DB, _ int) error {
			return db.ClaimNamespace(ctx, "acme", store.Owner{Kind: store.OwnerAccount, ID: ada.ID}, "ada", false, store.AuditEntry{Action: "x"})
		},
		"a login": func(ctx context.Context, db *store.DB, _ int) error {
			_, err := db.AddAccount(ctx, store.Account{Login: "eve"}, nil, store.AuditEntry{})
			return err
		},
		"an invitation": func(ctx context.Context, db *store.DB, _ int) error {
			return db.AcceptInvitation(ctx, store.Invitation{ID: "i1", Pattern: "acme/*", Role: "publisher", Account: ada.ID}, store.AuditEntry{})
		},
	} {
		if won := atOnce(t, dbs, 20, fn, clyde.ErrConflict, clyde.ErrNotFound); won != 1 {
			t.Errorf("%s was had %d times; want once", what, won)
		}
	}
	if gs := get(dbs[1].Grants(ctx, "acme"))(t); len(gs) != 1 {
		t.Errorf("grants %+v; want one", gs)
	}
	var mu sync.Mutex
	replies := map[string]int{}
	atOnce(t, dbs, 20, func(ctx context.Context, db *store.DB, i int) error {
		stored, _, err := db.Idempotent(ctx, "ada", "key", fmt.Append(nil, "reply ", i))
		mu.Lock()
		defer mu.Unlock()
		replies[string(stored)]++
		return err
	})
	if len(replies) != 1 {
		t.Errorf("one key was answered in %d ways: %v", len(replies), replies)
	}
}

// Totals that are read, compared and written again are right.
func replicasCounters(t *testing.T, dbs [2]*store.DB) {
	const n = 40
	atOnce(t, dbs, n, func(ctx context.Context, db *store.DB, i int) error {
		v := fmt.Sprintf("%d.0.0", i/4)
		return db.SaveRelease(ctx, pkg(fmt.Sprint("acme/p", i%4), v, 1), release(fmt.Sprint("acme/p", i%4), v, i), nil, store.Change{})
	})
	packages, releases, err := dbs[1].Stats(t.Context())
	if err != nil || packages != 4 || releases != n {
		t.Errorf("Stats = %d, %d, %v; want 4, %d", packages, releases, err, n)
	}
}
