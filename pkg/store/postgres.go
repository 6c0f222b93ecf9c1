package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

const (
	// minPostgres is the oldest server that is tried: 15.
	minPostgres = 150000

	// statementTime bounds one read, or one transaction that writes. Ours: the
	// longest, a walk for the search index, takes a second; whoever waits longer
	// waits for a server that has gone.
	statementTime = 15 * time.Second

	// connectTime bounds the making of a connection.
	connectTime = 5 * time.Second

	// idleWriter is after how long the server ends a transaction of a process
	// that says nothing any more, so that others may write. Ours: more than
	// statementTime, so that this end gives up first.
	idleWriter = 20 * time.Second

	// Keys of advisory locks, which are numbers: "clyde" in bytes, and which.
	lockWriting   = 0x636c796465 << 8
	lockMigrating = lockWriting + 1

	// notifyChannel is what processes tell each other of commits over.
	notifyChannel = "clyde"
)

// postgresEngine is a database on a Postgres server, which several processes
// may use. One of them writes at a time: a transaction takes an advisory lock
// before its first statement and has it until it ends. So what one connection
// gives on a file holds across processes: the feed's order is the order of
// commits, the audit log is one chain, an organisation keeps an owner.
type postgresEngine struct{ cfg *pgx.ConnConfig }

func newPostgres(url string) (engine, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		// Its words may hold the password.
		return nil, clyde.Errorf(clyde.ErrInvalid, "the database's address cannot be read").
			Fix("Write it as postgres://user@host:5432/name?sslmode=verify-full.")
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectTime
	}
	for k, v := range map[string]string{
		"application_name":  "clyde-registry",
		"TimeZone":          "UTC",
		"client_encoding":   "UTF8",
		"statement_timeout": strconv.FormatInt(statementTime.Milliseconds(), 10),
	} {
		if _, given := cfg.RuntimeParams[k]; !given {
			cfg.RuntimeParams[k] = v
		}
	}
	return postgresEngine{cfg: cfg}, nil
}

func (postgresEngine) name() string           { return "postgres" }
func (postgresEngine) dialect() goose.Dialect { return goose.DialectPostgres }

// pool opens connections that have params besides everybody's.
func (e postgresEngine) pool(params map[string]string, n int) *sql.DB {
	cfg := e.cfg.Copy()
	maps.Copy(cfg.RuntimeParams, params)
	db := stdlib.OpenDB(*cfg)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db
}

func (e postgresEngine) openWriter() (*sql.DB, error) {
	// A migration has a second connection, which holds the lock on it.
	return e.pool(map[string]string{
		"idle_in_transaction_session_timeout": strconv.FormatInt(idleWriter.Milliseconds(), 10),
	}, 2), nil
}

func (e postgresEngine) openReaders(n int) (*sql.DB, error) {
	return e.pool(map[string]string{"default_transaction_read_only": "on"}, n), nil
}

func (e postgresEngine) openLocks(n int) *sql.DB { return e.pool(nil, n) }

func (e postgresEngine) alone(ctx context.Context, db *sql.DB, fn func() error) (err error) {
	c, err := db.Conn(ctx)
	if err != nil {
		return clyde.Errorf(clyde.ErrUnavailable, "the database cannot be reached at %s", e.place()).
			Fix("Check that Postgres runs there and takes connections, and database.url.").Because(err)
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	var version int
	if err := c.QueryRowContext(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		return err
	}
	if version < minPostgres {
		return clyde.Errorf(clyde.ErrInvalid, "the server is Postgres %d and the oldest that is supported is %d", version/10000, minPostgres/10000)
	}
	// Whoever waits for another process's migrations waits as long as they take.
	if _, err := c.ExecContext(ctx, fmt.Sprintf("SET statement_timeout = 0; SELECT pg_advisory_lock(%d)", int64(lockMigrating))); err != nil {
		return err
	}
	defer func() {
		_, uerr := c.ExecContext(context.WithoutCancel(ctx), fmt.Sprintf("SELECT pg_advisory_unlock(%d); RESET statement_timeout", int64(lockMigrating)))
		err = errors.Join(err, uerr)
	}()
	return fn()
}

// place is where the server is, for people: never the password.
func (e postgresEngine) place() string {
	if strings.HasPrefix(e.cfg.Host, "/") {
		return e.cfg.Host
	}
	return net.JoinHostPort(e.cfg.Host, strconv.Itoa(int(e.cfg.Port)))
}

// begin waits for its turn among all processes. A relaxed write does not wait
// for the disk; Postgres's log, like SQLite's, is a prefix of history after a
// crash.
func (postgresEngine) begin(ctx context.Context, w *writer, d durability) error {
	set := ""
	if d == relaxed {
		set = "SET LOCAL synchronous_commit = off; "
	}
	_, err := w.conn.ExecContext(ctx, fmt.Sprintf("BEGIN; %sSELECT pg_advisory_xact_lock(%d)", set, int64(lockWriting)))
	return err
}

// erasing has nothing to ask of Postgres: what is deleted is gone from its
// pages with the next vacuum, and from its log with the next checkpoints.
func (postgresEngine) erasing(*tx, bool) error { return nil }

func (postgresEngine) snapshot() sql.IsolationLevel { return sql.LevelRepeatableRead }

func (postgresEngine) shared() bool { return true }

func (postgresEngine) notify(t *tx) error {
	what := t.wrote()
	if what == "" {
		return nil
	}
	_, err := t.w.conn.ExecContext(t.ctx, "SELECT pg_notify($1, $2)", notifyChannel, what)
	return err
}

func (postgresEngine) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, statementTime)
}

// args makes text of what is no text to Postgres: bytes that are no UTF-8, and
// the byte 0. Nothing that we store has either; what strangers ask for may, and
// is then not found.
func (postgresEngine) args(args []any) []any {
	for i, a := range args {
		if s, ok := a.(string); ok {
			args[i] = cleanText(s)
		}
	}
	return args
}

// cleanText replaces what Postgres does not take in text.
func cleanText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// failed tells apart what the server says of a statement and that there is no
// server to say anything.
func (e postgresEngine) failed(err error) error {
	if !e.lost(err) {
		return err
	}
	return errUnreachable(err)
}

func errUnreachable(cause error) error {
	return clyde.Errorf(clyde.ErrUnavailable, "the database cannot be reached; try again in a moment").
		WithCode("database_unavailable").Because(cause)
}

func (postgresEngine) lost(err error) bool {
	switch {
	case err == nil, errors.Is(err, sql.ErrNoRows), errors.Is(err, context.Canceled), errors.Is(err, clyde.ErrUnavailable):
		return false
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		// Classes: connection exceptions, too many connections, and operator
		// intervention (shut down, crashed, starting), but for a statement that
		// took too long, after which the connection is as good as before.
		return strings.HasPrefix(pg.Code, "08") || strings.HasPrefix(pg.Code, "53") ||
			strings.HasPrefix(pg.Code, "57") && pg.Code != "57014"
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, context.DeadlineExceeded) ||
		pgconn.SafeToRetry(err) || pgconn.Timeout(err) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
