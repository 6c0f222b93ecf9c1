package store_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/clydepm/clyde-registry/internal/postgrestest"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// lived is a database with something in it: two months of the log, numbers that
// were given and are gone, and more rows than one statement copies.
func lived(t *testing.T, o store.Options) *store.DB {
	t.Helper()
	now := time.Date(2026, 1, 30, 0, 0, 0, 0, time.UTC)
	o.Now = func() time.Time { return now }
	db := open(t, o)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ada, err := db.AddAccount(ctx, store.Account{Login: "ada", Name: "Ada Ł \x01"}, nil, store.AuditEntry{Action: "account.create"})
	must(err)
	org, err := db.AddOrg(ctx, store.Org{Name: "acme"}, ada.ID, store.AuditEntry{Action: "org.create"})
	must(err)
	must(db.ClaimNamespace(ctx, "acme", store.Owner{Kind: store.OwnerOrg, ID: org.ID}, "ada", false, store.AuditEntry{Action: "namespace.claim"}))
	for i := range 300 {
		must(publish(ctx, db, "acme/zlib", fmt.Sprintf("1.0.%d", i), i+1))
	}
	must(db.SaveRelease(ctx, store.Package{Repo: "acme/zlib", Latest: "1.0.0", Doc: []byte{0, 255, 1}}, store.Release{Repo: "acme/zlib", VersionKey: "1.0.0", Version: "1.0.0", State: "visible"}, nil, store.Change{Type: "version.published", Package: "@acme/zlib"}))
	must(db.AddToken(ctx, store.Token{ID: "t1", Hash: []byte{0, 1, 254}, Account: ada.ID}, store.AuditEntry{Action: "token.create", Detail: `{"name":"x"}`}))
	for {
		items, err := db.ClaimEvents(ctx, 100, time.Minute)
		must(err)
		if len(items) == 0 {
			break
		}
		for _, it := range items {
			must(db.EventDone(ctx, it.Event.ID))
		}
	}
	now = now.AddDate(0, 1, 0)
	if _, err := db.PurgeEvents(ctx, now); err != nil {
		t.Fatal(err)
	}
	must(db.SetYank(ctx, "acme/zlib", "1.0.0", &store.Yank{Reason: "broken"}, store.Change{Type: "version.yanked", Package: "@acme/zlib"}, store.AuditEntry{Action: "version.yank", Resource: "@acme/zlib"}))
	return db
}

// A database moves from one engine to the other and back: all of it, and what
// comes after goes on where it stopped.
func TestPostgresCopy(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	file := lived(t, store.Options{Path: filepath.Join(t.TempDir(), "clyde.db")})
	ctx := t.Context()
	url := server.Database(t)
	there := open(t, store.Options{URL: url})
	moved, err := store.Copy(ctx, file, there)
	if err != nil {
		t.Fatal(err)
	}
	back := open(t, store.Options{Path: filepath.Join(t.TempDir(), "back.db")})
	again, err := store.Copy(ctx, there, back)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(moved, again); d != "" {
		t.Errorf("there and back (-there +back):\n%s", d)
	}
	rows := map[string]int64{}
	for _, m := range moved {
		rows[m.Name] = m.Rows
	}
	if rows["claim"] != 300 || rows["audit_202601"] != 4 || rows["audit_202603"] != 1 || rows["inbox"] != 0 || rows["change"] != 2 {
		t.Errorf("moved %v", rows)
	}
	for name, db := range map[string]*store.DB{"file": file, "postgres": there, "back": back} {
		r, err := db.VerifyAudit(ctx)
		if err != nil || r.Broken != "" || r.Entries != 5 {
			t.Errorf("%s: audit %+v, %v", name, r, err)
		}
		id, err := db.PutEvent(ctx, clyde.Event{Repo: "acme/zlib"})
		if err != nil || id != 301 {
			t.Errorf("%s: the next event is %d, %v; want 301, since numbers are not given twice", name, id, err)
		}
		if a, err := db.AddAccount(ctx, store.Account{Login: "bob"}, nil, store.AuditEntry{Action: "account.create"}); err != nil || a.ID != 2 {
			t.Errorf("%s: the next account is %d, %v; want 2", name, a.ID, err)
		}
	}
	for what, to := range map[string]*store.DB{"postgres": there, "sqlite": back} {
		if _, err := store.Copy(ctx, file, to); !errors.Is(err, clyde.ErrConflict) || clyde.AsError(err).Code != "database_not_empty" {
			t.Errorf("a copy onto a %s that is not empty: %v", what, err)
		}
	}
}
