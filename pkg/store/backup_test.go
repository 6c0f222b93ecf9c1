package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// A backup made while four publishers work is one moment: whatever tag it has,
// its manifest, claim and event are there too.
func TestBackupWhileServing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := open(t, store.Options{Path: filepath.Join(dir, "clyde.db")})
	for i := range 50 {
		if err := publish(t.Context(), db, "acme/zlib", fmt.Sprintf("0.0.%d", i), i); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	during := make(chan struct{}, 1)
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				err := publish(ctx, db, fmt.Sprintf("acme/w%d", w), fmt.Sprintf("1.0.%d", i), i)
				if err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				select {
				case during <- struct{}{}:
				default:
				}
			}
		})
	}
	<-during
	path := filepath.Join(dir, "backup.db")
	err := db.Backup(t.Context(), path)
	cancel()
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Backup(t.Context(), path); !errors.Is(err, clyde.ErrConflict) {
		t.Errorf("Backup over a file = %v; want a conflict", err)
	}
	if err := store.Verify(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want -rw-------", st.Mode(), err)
	}
	for _, leftover := range []string{path + ".part", path + "-wal", path + "-journal"} {
		if _, err := os.Stat(leftover); err == nil {
			t.Errorf("%s was left", leftover)
		}
	}

	back := open(t, store.Options{Path: path})
	if err := back.Integrity(t.Context()); err != nil {
		t.Error(err)
	}
	was, _ := db.Epoch(t.Context())
	if is, err := back.Epoch(t.Context()); err != nil || is == was || is == "" {
		t.Errorf("epoch of the copy %q, %v; want another than %q", is, err, was)
	}
	events := make(map[string]bool)
	items, err := back.Inbox(t.Context(), "", 0, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range items {
		events[it.Event.Repo+":"+it.Event.Tag] = true
	}
	repos, err := back.Repos(t.Context(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, repo := range repos {
		tags, err := back.Tags(t.Context(), repo, "", 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		total += len(tags)
		for _, tag := range tags {
			c, err := back.Claim(t.Context(), repo, tag.Tag)
			if err != nil || c.Digest != tag.Digest || c.Committed.IsZero() || !events[repo+":"+tag.Tag] {
				t.Errorf("%s:%s: claim %+v, %v, event %v", repo, tag.Tag, c, err, events[repo+":"+tag.Tag])
			}
		}
	}
	if total < 50 || total != len(items) {
		t.Errorf("%d tags and %d events; want as many, at least 50", total, len(items))
	}
	// The copy goes on where it was.
	if err := publish(t.Context(), back, "acme/zlib", "9.0.0", 9000); err != nil {
		t.Error(err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	if err := store.Verify(ctx, filepath.Join(dir, "absent.db")); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("Verify of nothing = %v; want not found", err)
	}

	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := filepath.Join(dir, "good.db")
	db := open(t, store.Options{Path: filepath.Join(dir, "live.db")})
	for i := range 200 {
		if err := publish(ctx, db, "acme/zlib", fmt.Sprintf("0.0.%d", i), i); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Backup(ctx, good); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	torn := append([]byte(nil), b...)
	for i := len(torn) / 2; i < len(torn)/2+8192; i++ {
		torn[i] = 0xff
	}
	newer := write("newer.db", b)
	alter(t, newer, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)")
	foreign := write("foreign.db", nil)
	alter(t, foreign, "CREATE TABLE t (x)")
	for what, path := range map[string]string{
		"text":      write("text.db", []byte("this is no database, this is a sentence about one that is not there")),
		"torn":      write("torn.db", torn),
		"cut short": write("short.db", b[:len(b)/2]),
		"empty":     write("empty.db", nil),
		"foreign":   foreign,
		"newer":     newer,
	} {
		if err := store.Verify(ctx, path); !errors.Is(err, clyde.ErrInvalid) {
			t.Errorf("Verify(%s) = %v; want invalid", what, err)
		}
	}
	if _, err := store.Open(ctx, store.Options{Path: newer}); !errors.Is(err, clyde.ErrInvalid) {
		t.Errorf("Open of a newer schema = %v; want invalid", err)
	}
	if err := store.Verify(ctx, good); err != nil {
		t.Errorf("Verify of a sound one = %v", err)
	}
}

func alter(t *testing.T, path, stmt string) {
	t.Helper()
	c, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ExecContext(t.Context(), stmt); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

// A backup restored elsewhere has what the database had, and never lands on
// another database or between one and its log.
func TestRestore(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	db := open(t, store.Options{Path: filepath.Join(dir, "live.db")})
	if err := publish(ctx, db, "acme/zlib", "1.0.0", 1); err != nil {
		t.Fatal(err)
	}
	if err := db.AddAudit(ctx, store.AuditEntry{Action: "token.create"}); err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(dir, "backup.db")
	if err := db.Backup(ctx, backup); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal"} {
		path := filepath.Join(dir, "taken"+suffix+".db")
		if err := os.WriteFile(path+suffix, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := store.Restore(ctx, backup, path); !errors.Is(err, clyde.ErrConflict) {
			t.Errorf("Restore beside %q = %v; want a conflict", suffix, err)
		}
	}
	bad := filepath.Join(dir, "bad.db")
	if err := os.WriteFile(bad, []byte("no database at all, whatever its name says about it"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := store.Restore(ctx, bad, filepath.Join(dir, "new.db")); !errors.Is(err, clyde.ErrInvalid) {
		t.Errorf("Restore of a bad file = %v; want invalid", err)
	}
	epochs := make(map[string]bool)
	for _, name := range []string{"one.db", "two.db"} {
		path := filepath.Join(dir, name)
		if err := store.Restore(ctx, backup, path); err != nil {
			t.Fatal(err)
		}
		back := open(t, store.Options{Path: path})
		tag, err := back.Tag(ctx, "acme/zlib", "1.0.0")
		if err != nil || tag.Digest != manifest("", 1).Digest {
			t.Errorf("Tag = %+v, %v", tag, err)
		}
		if as, err := back.Audit(ctx, 0, 9); err != nil || len(as) != 1 {
			t.Errorf("Audit = %v, %v; want one line", as, err)
		}
		epoch, err := back.Epoch(ctx)
		if err != nil || epochs[epoch] {
			t.Errorf("epoch %q, %v; want a new one", epoch, err)
		}
		epochs[epoch] = true
	}
}
