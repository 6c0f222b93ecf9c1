package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func openInternal(t *testing.T, o Options) *DB {
	t.Helper()
	db, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// hold occupies the writer, so that the writes which follow share a batch,
// until the returned function is called.
func hold(t *testing.T, db *DB) (release func()) {
	t.Helper()
	in, out := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		err := db.write(context.Background(), relaxed, func(*tx) error { close(in); <-out; return nil })
		if err != nil {
			t.Error(err)
		}
	})
	<-in
	return func() { close(out); wg.Wait() }
}

// queued waits until n writes wait.
func queued(t *testing.T, db *DB, n int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		db.writer.mu.Lock()
		// The one that holds the writer has been taken out of the queue.
		got := len(db.writer.queue)
		db.writer.mu.Unlock()
		if got == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d writes wait; want %d", got, n)
		}
		runtime.Gosched()
	}
}

// Writes that share a transaction fail each on its own: by error, by panic, by
// a context that ended while they waited.
func TestBatchFailsApart(t *testing.T) {
	t.Parallel()
	db := openInternal(t, Options{})
	release := hold(t, db)
	gone, cancel := context.WithCancel(t.Context())
	boom := errors.New("boom")
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		ctx := t.Context()
		if i == 5 {
			ctx = gone
		}
		wg.Go(func() {
			errs[i] = db.write(ctx, durable, func(tx *tx) error {
				if err := tx.exec("AddNamespace", fmt.Sprintf("n%d", i), "ada", 1); err != nil {
					return err
				}
				switch i {
				case 3:
					return boom
				case 4:
					panic("ouch")
				}
				return nil
			})
		})
	}
	queued(t, db, len(errs))
	cancel()
	release()
	wg.Wait()
	for i, err := range errs {
		has, herr := db.HasNamespace(t.Context(), fmt.Sprintf("n%d", i))
		if herr != nil {
			t.Fatal(herr)
		}
		want := i < 3 || i > 5
		if has != want || (err == nil) != want {
			t.Errorf("write %d: kept %v, %v; want kept %v", i, has, err, want)
		}
	}
	if !errors.Is(errs[3], boom) || !errors.Is(errs[5], context.Canceled) || !strings.Contains(errs[4].Error(), "ouch") {
		t.Errorf("errors %v, %v, %v; want boom, a panic, canceled", errs[3], errs[4], errs[5])
	}
}

// The durable and the relaxed part of one batch are both carried out, and more
// writes than one batch holds are too.
func TestManyWrites(t *testing.T) {
	t.Parallel()
	db := openInternal(t, Options{Path: filepath.Join(t.TempDir(), "clyde.db")})
	release := hold(t, db)
	const n = 3*maxBatch + 1
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			err := db.write(t.Context(), durability(i%3 == 0), func(tx *tx) error {
				return tx.exec("AddNamespace", fmt.Sprintf("n%d", i), "ada", 1)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	queued(t, db, n)
	release()
	wg.Wait()
	var got int
	if err := db.read.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM namespace").Scan(&got); err != nil || got != n {
		t.Errorf("%d rows, %v; want %d", got, err, n)
	}
}

func TestCloseWaitsAndRefuses(t *testing.T) {
	t.Parallel()
	db, err := Open(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	release := hold(t, db)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := db.AddNamespace(context.Background(), "acme", "ada"); err != nil {
			t.Errorf("a write queued before Close: %v", err)
		}
	})
	queued(t, db, 1)
	closed := make(chan error)
	go func() { closed <- db.Close() }()
	for {
		db.writer.mu.Lock()
		done := db.writer.closed
		db.writer.mu.Unlock()
		if done {
			break
		}
		runtime.Gosched()
	}
	release()
	wg.Wait()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if err := db.RenewEpoch(t.Context()); !errors.Is(err, clyde.ErrUnavailable) {
		t.Errorf("a write after Close = %v; want unavailable", err)
	}
	if err := db.Close(); err != nil {
		t.Errorf("Close again = %v", err)
	}
}

// The release before a migration must run on the schema after it.
func TestMigrationsOnlyAdd(t *testing.T) {
	t.Parallel()
	err := fs.WalkDir(migrations, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := migrations.ReadFile(path)
		for line := range strings.Lines(string(b)) {
			line, _, _ = strings.Cut(strings.ToUpper(line), " -- ")
			for _, word := range []string{"DROP TABLE", "DROP COLUMN", "RENAME", "ALTER COLUMN", "ADD CONSTRAINT", "+GOOSE DOWN"} {
				if strings.Contains(line, word) {
					t.Errorf("%s: %s: the release before could not go on beside it", path, line)
				}
			}
			// That release writes rows without the column.
			if strings.Contains(line, "ADD COLUMN") && strings.Contains(line, "NOT NULL") && !strings.Contains(line, "DEFAULT") {
				t.Errorf("%s: %s: a new column needs a default", path, line)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// The log and the feed cannot be rewritten, not even by us.
func TestAppendOnly(t *testing.T) {
	t.Parallel()
	appendOnly(t, openInternal(t, Options{}))
}

func appendOnly(t *testing.T, db *DB) {
	t.Helper()
	err := db.write(t.Context(), durable, func(tx *tx) error {
		return db.record(tx, Change{Type: "x"}, AuditEntry{Action: "x"})
	})
	if err != nil {
		t.Fatal(err)
	}
	months, err := db.AuditMonths(t.Context())
	if err != nil || len(months) == 0 {
		t.Fatal(months, err)
	}
	month := "audit_" + months[0].Month
	for _, stmt := range []string{
		"UPDATE " + month + " SET actor = 'eve'", "DELETE FROM " + month,
		"UPDATE change SET actor = 'eve'", "DELETE FROM change",
	} {
		if _, err := db.writer.conn.ExecContext(t.Context(), stmt); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s = %v; want a refusal", stmt, err)
		}
	}
}

// Settings that durability and two processes rest on.
func TestPragmas(t *testing.T) {
	t.Parallel()
	db := openInternal(t, Options{Path: filepath.Join(t.TempDir(), "a b%c?.db")})
	if err := db.RenewEpoch(t.Context()); err != nil { // a durable write sets the connection to FULL
		t.Fatal(err)
	}
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "10000",
	} {
		var got string
		if err := db.writer.conn.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %s, %v; want %s", pragma, got, err, want)
		}
	}
	if _, err := db.read.ExecContext(t.Context(), "DELETE FROM claim"); err == nil {
		t.Error("a reader's connection writes")
	}
}
