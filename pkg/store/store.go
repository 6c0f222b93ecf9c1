package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// minReaders is the least number of reading connections; more processors get
// two each.
const minReaders = 4

// DB is the database. A process writes through one connection; readers have a
// pool of their own. Its methods may be called from many goroutines.
type DB struct {
	eng  engine
	temp string // directory to remove on Close, or ""
	now  func() time.Time

	read  *sql.DB
	stmts stmtCache // of read

	writeDB *sql.DB
	writer  *writer

	locks *sql.DB // nil: no other process serves

	eventsReady chan struct{}

	changesMu    sync.Mutex
	changesReady chan struct{}

	withdrawn fewRepos
	held      fewRepos
	public    publicRepos
	gate      gate // of readers

	close func() error // once
}

// Options says where the database is.
type Options struct {
	URL  string // postgres://…; "" is a file
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
		now:       o.Now,
		withdrawn: fewRepos{query: "ModeratedRepos"}, held: fewRepos{query: "HeldRepos"},
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
	if o.URL == "" && o.Path == "" {
		if db.temp, err = os.MkdirTemp("", "clyde-store-"); err != nil {
			return nil, err
		}
		o.Path = filepath.Join(db.temp, "clyde.db")
	}
	if db.eng, err = engineFor(o.URL, o.Path); err != nil {
		return nil, err
	}
	if db.writeDB, err = db.eng.openWriter(); err != nil {
		return nil, err
	}
	if err := migrate(ctx, db.eng, db.writeDB); err != nil {
		return nil, db.eng.failed(err)
	}
	if db.read, err = db.eng.openReaders(max(minReaders, 2*runtime.GOMAXPROCS(0))); err != nil {
		return nil, err
	}
	db.stmts = stmtCache{eng: db.eng, db: db.read, ran: o.Ran}
	if db.writer, err = newWriter(ctx, db.eng, db.writeDB, db.temp == ""); err != nil {
		return nil, err
	}
	db.locks = db.eng.openLocks(maxLocks)
	db.writer.wrote, db.writer.stmts.ran = db.signal, o.Ran
	return db, db.write(ctx, relaxed, func(tx *tx) error {
		return errors.Join(tx.exec("InitEpoch", newEpoch()), addLikenesses(tx), db.adoptAudit(tx))
	})
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
	if db.locks != nil {
		errs = append(errs, db.locks.Close())
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

// Shared reports whether other processes may serve from the same database.
func (db *DB) Shared() bool { return db.eng.shared() }

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
