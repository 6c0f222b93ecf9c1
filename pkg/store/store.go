package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/pressly/goose/v3"
	"modernc.org/sqlite" // and the driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// busyTimeout bounds the wait for a lock that another process holds on
	// the file. Ours: a checkpoint of a large log on a slow disk takes seconds.
	busyTimeout = 10 * time.Second

	// minReaders is the least number of reading connections; more processors
	// get two each. A reader is idle but for its page cache of readerCacheKiB.
	minReaders     = 4
	readerCacheKiB = 4 << 10
	writerCacheKiB = 16 << 10

	// maxWAL truncates the write-ahead log back to this many bytes once a
	// burst has been checkpointed.
	maxWAL = 64 << 20
)

//go:embed migrations/sqlite/*.sql
var migrations embed.FS

// DB is the database. One process writes through one connection; readers have
// a pool of their own. Its methods may be called from many goroutines.
type DB struct {
	path string
	temp string // directory to remove on Close, or ""
	now  func() time.Time

	read  *sql.DB
	stmts stmtCache // of read

	writeDB *sql.DB
	writer  *writer

	eventsReady chan struct{}

	changesMu    sync.Mutex
	changesReady chan struct{}

	withdrawn withdrawnRepos

	close func() error // once
}

// Options says where the database is.
type Options struct {
	Path string // SQLite file; "" is a private database that Close removes, for tests
	Now  func() time.Time

	// Ran is told of each statement that is about to run, by its name, with the
	// context of whoever asked; nil tells nobody. Tests count with it that two
	// answers cost the same.
	Ran func(ctx context.Context, statement string)
}

// Open opens the database and brings its schema up to date. A database written
// by a newer release is refused with clyde.ErrInvalid.
func Open(ctx context.Context, o Options) (_ *DB, err error) {
	defer clyde.Wrap(&err, "store.Open")
	db := &DB{
		path: o.Path, now: o.Now,
		eventsReady: make(chan struct{}, 1), changesReady: make(chan struct{}),
	}
	db.close = sync.OnceValue(db.closeAll)
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	if db.now == nil {
		db.now = time.Now
	}
	if db.path == "" {
		if db.temp, err = os.MkdirTemp("", "clyde-store-"); err != nil {
			return nil, err
		}
		db.path = filepath.Join(db.temp, "clyde.db")
	}
	if err := createPrivate(db.path); err != nil {
		return nil, err
	}
	if db.writeDB, err = sql.Open("sqlite", db.dsn(writerCacheKiB)); err != nil {
		return nil, err
	}
	db.writeDB.SetMaxOpenConns(1)
	if err := db.migrateAlone(ctx); err != nil {
		return nil, err
	}
	if db.read, err = sql.Open("sqlite", db.dsn(readerCacheKiB, "query_only(1)")); err != nil {
		return nil, err
	}
	readers := max(minReaders, 2*runtime.GOMAXPROCS(0))
	db.read.SetMaxOpenConns(readers)
	db.read.SetMaxIdleConns(readers)
	db.stmts.db, db.stmts.ran = db.read, o.Ran
	if db.writer, err = newWriter(ctx, db.writeDB, db.temp == ""); err != nil {
		return nil, err
	}
	db.writer.wrote, db.writer.stmts.ran = db.signal, o.Ran
	return db, db.write(ctx, relaxed, func(tx *tx) error {
		return errors.Join(tx.exec("InitEpoch", newEpoch()), addLikenesses(tx), db.adoptAudit(tx))
	})
}

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
func (db *DB) dsn(cacheKiB int, pragmas ...string) string {
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
	return "file:" + (&url.URL{Path: db.path}).EscapedPath() + "?" + q.Encode()
}

// migrateAlone is migrate, again while another process that opens the new file
// holds a lock: SQLite does not wait for the one that turns the log on.
func (db *DB) migrateAlone(ctx context.Context) error {
	for deadline := time.Now().Add(busyTimeout); ; {
		err := migrate(ctx, db.writeDB)
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

// migrate brings the schema up to date.
func migrate(ctx context.Context, db *sql.DB) error {
	p, err := newMigrations(db)
	if err != nil {
		return err
	}
	if err := checkVersion(ctx, p); err != nil {
		return err
	}
	if _, err = p.Up(ctx); err == nil {
		return nil
	}
	// Another process that opened the file at the same moment may have won.
	if pending, perr := p.HasPending(ctx); perr == nil && !pending {
		return nil
	}
	return err
}

func newMigrations(db *sql.DB) (*goose.Provider, error) {
	dir, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, db, dir, goose.WithLogger(goose.NopLogger()))
}

// checkVersion refuses a schema that this release does not know.
func checkVersion(ctx context.Context, p *goose.Provider) error {
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if current > target {
		return clyde.Errorf(clyde.ErrInvalid,
			"the database has schema version %d and this release knows versions up to %d", current, target).
			WithCode("database_too_new").
			Fix("run the release that wrote it, or a newer one")
	}
	return nil
}

// Close waits for writes in hand and in the queue; later ones are
// clyde.ErrUnavailable. Closing again does nothing and returns the same.
func (db *DB) Close() error { return db.close() }

func (db *DB) closeAll() error {
	var errs []error
	if db.writer != nil {
		errs = append(errs, db.writer.close())
	}
	if db.read != nil {
		errs = append(errs, db.stmts.close(), db.read.Close())
	}
	if db.writeDB != nil {
		// The last connection to close checkpoints and removes the log.
		errs = append(errs, db.writeDB.Close())
	}
	if db.temp != "" {
		errs = append(errs, os.RemoveAll(db.temp))
	}
	return errors.Join(errs...)
}

// Ping proves that the database answers.
func (db *DB) Ping(ctx context.Context) error {
	var one int
	return db.row(ctx, "Ping").Scan(&one)
}

// signal wakes whoever waits for what a committed transaction wrote.
func (db *DB) signal(events, changes bool) {
	if events {
		select {
		case db.eventsReady <- struct{}{}:
		default:
		}
	}
	if changes {
		db.changesMu.Lock()
		close(db.changesReady)
		db.changesReady = make(chan struct{})
		db.changesMu.Unlock()
	}
}

// EventsReady is signalled (capacity 1) after each commit that wrote an event.
func (db *DB) EventsReady() <-chan struct{} { return db.eventsReady }

// ChangesReady is closed and replaced when the feed grows.
func (db *DB) ChangesReady() <-chan struct{} {
	db.changesMu.Lock()
	defer db.changesMu.Unlock()
	return db.changesReady
}

// newEpoch names a history of the change feed.
func newEpoch() string { return rand.Text() }

// ms is t as it is stored; the zero time is 0.
func ms(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// fromMS is the inverse of ms, in UTC.
func fromMS(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}

// or returns t, or now when t is zero.
func (db *DB) or(t time.Time) time.Time {
	if t.IsZero() {
		return db.now()
	}
	return t
}

// packageName is how a repository is shown to people: "@acme/zlib".
func packageName(repo string) string { return "@" + repo }

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if runtime.GOOS == "windows" {
		err = nil // directories cannot be synced there, and need not be
	}
	return errors.Join(err, d.Close())
}
