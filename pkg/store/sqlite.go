package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/filelock"
	"github.com/pressly/goose/v3"
	"modernc.org/sqlite" // and the driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// busyTimeout bounds the wait for a lock that another process holds on
	// the file. Ours: a checkpoint of a large log on a slow disk takes seconds.
	busyTimeout = 10 * time.Second

	// A connection is idle but for its page cache.
	readerCacheKiB = 4 << 10
	writerCacheKiB = 16 << 10

	// maxWAL truncates the write-ahead log back to this many bytes once a
	// burst has been checkpointed.
	maxWAL = 64 << 20
)

// sqliteEngine is a database in one file.
type sqliteEngine struct{ path string }

func (sqliteEngine) name() string           { return "sqlite" }
func (sqliteEngine) dialect() goose.Dialect { return goose.DialectSQLite3 }

func (e sqliteEngine) openWriter() (*sql.DB, error) {
	if err := createPrivate(e.path); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", e.dsn(writerCacheKiB))
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}

func (e sqliteEngine) openReaders(n int) (*sql.DB, error) {
	db, err := sql.Open("sqlite", e.dsn(readerCacheKiB, "query_only(1)"))
	if err == nil {
		db.SetMaxOpenConns(n)
		db.SetMaxIdleConns(n)
	}
	return db, err
}

func (sqliteEngine) openLocks(int) *sql.DB { return nil }

// createPrivate makes an empty file that only its owner reads, because the
// database holds hashes of secrets; SQLite gives its log the same mode. The
// directory entry is synced, which SQLite leaves to whoever creates the file.
func createPrivate(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// dsn addresses the file with the settings every connection has.
func (e sqliteEngine) dsn(cacheKiB int, pragmas ...string) string {
	q := url.Values{"_txlock": {"immediate"}}
	for _, p := range append([]string{
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
		"journal_mode(WAL)",
		"synchronous(FULL)",
		"foreign_keys(1)",
		"temp_store(MEMORY)",
		fmt.Sprintf("cache_size(-%d)", cacheKiB),
		fmt.Sprintf("journal_size_limit(%d)", maxWAL),
	}, pragmas...) {
		q.Add("_pragma", p)
	}
	return "file:" + (&url.URL{Path: e.path}).EscapedPath() + "?" + q.Encode()
}

// alone holds a lock beside the file, not on it, where SQLite has its own:
// closing one would give back the other (fcntl(2)). Programs that know nothing
// of it may still be busy with the file, and SQLite does not wait for one that
// turns the log on; fn is run again while that is so.
func (e sqliteEngine) alone(ctx context.Context, _ *sql.DB, fn func() error) error {
	lock, err := filelock.Lock(ctx, e.path+".lock", false, nil)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("lock %s: %w", e.path, err)
	}
	if err == nil {
		defer lock.Close()
	}
	for deadline := time.Now().Add(busyTimeout); ; {
		err := fn()
		var busy *sqlite.Error
		if !errors.As(err, &busy) || busy.Code()&0xff != sqlite3.SQLITE_BUSY || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (sqliteEngine) begin(ctx context.Context, w *writer, d durability) error {
	level := "PRAGMA synchronous = NORMAL"
	switch {
	case !w.sync:
		level = "PRAGMA synchronous = OFF"
	case d == durable:
		level = "PRAGMA synchronous = FULL"
	}
	if w.level != level {
		if err := w.raw(ctx, level); err != nil {
			return err
		}
		w.level = level
	}
	return w.raw(ctx, "BEGIN IMMEDIATE")
}

// erasing makes SQLite write over what it deletes, which else stays in the file
// until something takes its place.
func (sqliteEngine) erasing(t *tx, on bool) error {
	if on {
		return t.w.raw(t.ctx, "PRAGMA secure_delete = ON")
	}
	return t.w.raw(t.ctx, "PRAGMA secure_delete = OFF")
}

func (sqliteEngine) snapshot() sql.IsolationLevel { return sql.LevelDefault }

func (sqliteEngine) shared() bool     { return false }
func (sqliteEngine) notify(*tx) error { return nil }

func (sqliteEngine) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return ctx, func() {}
}

func (sqliteEngine) args(args []any) []any  { return args }
func (sqliteEngine) failed(err error) error { return err }
func (sqliteEngine) lost(error) bool        { return false }

// onlyFile refuses what only a database in one file can do.
func (db *DB) onlyFile(what string) error {
	if _, ok := db.eng.(sqliteEngine); ok {
		return nil
	}
	return clyde.Errorf(clyde.ErrInvalid, "%s is for a database in a file, and this one is Postgres", what).
		WithCode("database_is_postgres").
		Fix("Use Postgres's own: pg_dump and pg_restore, and a copy of the blobs; docs/postgres.md says how.")
}
