package store

import (
	"context"
	"database/sql"
	"embed"
	"io/fs"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*/*.sql
var migrations embed.FS

// engine is what one database does its own way; everything else is the same
// statements on both. Errors of the database pass through failed once, at the
// place that ran the statement.
type engine interface {
	// name is that of its folders: migrations/NAME and query/NAME.
	name() string
	dialect() goose.Dialect

	// openWriter and openReaders return pools; the writer's has one connection
	// that writes.
	openWriter() (*sql.DB, error)
	openReaders(n int) (*sql.DB, error)

	// openLocks returns a pool of n connections that hold locks, nil where no
	// other process serves.
	openLocks(n int) *sql.DB

	// alone runs fn, which migrates db, while no other process does.
	alone(ctx context.Context, db *sql.DB, fn func() error) error

	// begin starts a transaction on the writer's connection and returns when
	// nobody else writes until it ends, in this process or another.
	begin(ctx context.Context, w *writer, d durability) error

	// erasing says that what is deleted from here on must not stay readable
	// in the files, or that this has ended.
	erasing(t *tx, on bool) error

	// shared reports whether other processes serve from the same database, so
	// that what is cached here may become wrong by what they write.
	shared() bool

	// snapshot is the isolation that shows one moment to all statements of a
	// transaction that only reads.
	snapshot() sql.IsolationLevel

	// notify tells other processes, when the transaction is committed, what it
	// wrote.
	notify(t *tx) error

	// bound limits how long one statement, or one transaction, may take.
	bound(ctx context.Context) (context.Context, context.CancelFunc)

	// args are arguments as the database takes them.
	args(args []any) []any

	// failed is err, clyde.ErrUnavailable when the database cannot be reached.
	failed(err error) error

	// lost reports whether a connection may be of no use after err.
	lost(err error) bool
}

// migrate brings the schema up to date.
func migrate(ctx context.Context, e engine, db *sql.DB) error {
	return e.alone(ctx, db, func() error {
		p, err := newMigrations(e, db)
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
	})
}

// newMigrations reads the migrations of an engine. Each file is one statement to
// goose, which the database takes apart: it is faster at it, and knows what a
// trigger is.
func newMigrations(e engine, db *sql.DB) (*goose.Provider, error) {
	dir, err := fs.Sub(migrations, "migrations/"+e.name())
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(e.dialect(), db, dir, goose.WithLogger(goose.NopLogger()))
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

// engineFor returns the engine of the database that url names, or of the file
// at path when url is "".
func engineFor(url, path string) (engine, error) {
	if url == "" {
		return sqliteEngine{path: path}, nil
	}
	if !IsPostgres(url) {
		return nil, clyde.Errorf(clyde.ErrInvalid, "the database's address does not begin with postgres://").
			Fix("Write postgres://user@host/name, or leave it empty for a file.")
	}
	return newPostgres(url)
}

// IsPostgres reports whether an address names a Postgres database.
func IsPostgres(url string) bool {
	return strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://")
}
