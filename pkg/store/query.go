package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

//go:embed query/*.sql query/*/*.sql
var queryFiles embed.FS

// queries are the statements of every engine by name.
var queries = sync.OnceValue(func() map[string]string { return readQueries("query/*.sql") })

// only are the statements that one engine alone has, by its name and theirs.
var only = sync.OnceValue(func() map[string]map[string]string {
	return map[string]map[string]string{
		sqliteEngine{}.name():   readQueries("query/sqlite/*.sql"),
		postgresEngine{}.name(): readQueries("query/postgres/*.sql"),
	}
})

func readQueries(pattern string) map[string]string {
	m := make(map[string]string)
	files, err := fs.Glob(queryFiles, pattern)
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for _, f := range files {
		b, err := queryFiles.ReadFile(f)
		if err != nil {
			panic(err) // embedded
		}
		for name, text := range parseQueries(string(b)) {
			if _, ok := m[name]; ok {
				panic("store: two queries are named " + name)
			}
			m[name] = text
		}
	}
	return m
}

// parseQueries splits a file at its "-- name: X" lines. Comments are left out,
// so that they cost nothing at run time.
func parseQueries(file string) map[string]string {
	m := make(map[string]string)
	name := ""
	for line := range strings.Lines(file) {
		if n, ok := strings.CutPrefix(line, "-- name: "); ok {
			name = strings.TrimSpace(n)
			continue
		}
		if name == "" || strings.HasPrefix(line, "--") {
			continue
		}
		m[name] += line
	}
	for n, text := range m {
		m[n] = strings.TrimSuffix(strings.TrimSpace(text), ";")
	}
	return m
}

// query returns the statement of that name, or of one that auditOf made; an
// unknown name is a bug that the first call of the method finds.
func query(e engine, name string) string {
	name, month, partition := strings.Cut(name, "@")
	q, ok := only()[e.name()][name]
	if !ok {
		q, ok = queries()[name]
	}
	if partition {
		q = strings.ReplaceAll(q, "audit_part", "audit_"+month)
	}
	if !ok {
		panic("store: no query is named " + name)
	}
	return q
}

// preparer is *sql.DB for readers and *sql.Conn for the writer.
type preparer interface {
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

// stmtCache prepares each statement once.
type stmtCache struct {
	eng engine
	db  preparer
	ran func(ctx context.Context, name string) // Options.Ran
	mu  sync.Mutex
	m   map[string]*sql.Stmt
}

func (c *stmtCache) get(ctx context.Context, name string) (*sql.Stmt, error) {
	if c.ran != nil {
		c.ran(ctx, name)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, ok := c.m[name]; ok {
		return s, nil
	}
	// The statement outlives the caller that happens to need it first.
	ctx, done := c.eng.bound(context.WithoutCancel(ctx))
	defer done()
	s, err := c.db.PrepareContext(ctx, query(c.eng, name))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, c.eng.failed(err))
	}
	if c.m == nil {
		c.m = make(map[string]*sql.Stmt)
	}
	c.m[name] = s
	return s, nil
}

func (c *stmtCache) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, s := range c.m {
		errs = append(errs, s.Close())
	}
	c.m = nil
	return errors.Join(errs...)
}

// scanner is *sql.Row or *sql.Rows.
type scanner interface {
	Scan(dest ...any) error
}

// row is a *sql.Row that also carries the failure to prepare.
type row struct {
	row   *sql.Row
	err   error
	eng   engine
	gate  *gate              // of readers; nil in a transaction
	asked func() error       // whether whoever asked still waits
	done  context.CancelFunc // nil: nothing to release
}

func (r row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	if r.done != nil {
		defer r.done()
	}
	err := r.row.Scan(dest...)
	if r.asked != nil && r.asked() != nil {
		return err // whoever asked did not wait, which says nothing of the database
	}
	return r.gate.saw(r.eng.failed(err))
}

// row runs a query of at most one row on a reader.
func (db *DB) row(ctx context.Context, name string, args ...any) row {
	s, err := db.reader(ctx, name)
	if err != nil {
		return row{err: err}
	}
	asked := ctx.Err
	ctx, done := db.eng.bound(ctx)
	return row{row: s.QueryRowContext(ctx, db.eng.args(args)...), eng: db.eng, gate: &db.gate, asked: asked, done: done}
}

// list runs a query on a reader and scans every row.
func list[T any](ctx context.Context, db *DB, scan func(scanner) (T, error), name string, args ...any) ([]T, error) {
	s, err := db.reader(ctx, name)
	if err != nil {
		return nil, err
	}
	bound, done := db.eng.bound(ctx)
	defer done()
	rows, err := s.QueryContext(bound, db.eng.args(args)...)
	out, err := collect(rows, err, scan)
	if ctx.Err() != nil {
		return out, err // whoever asked did not wait, which says nothing of the database
	}
	return out, db.gate.saw(db.eng.failed(err))
}

// reader returns a statement for a reader, or clyde.ErrUnavailable at once where
// the database could not be reached a moment ago.
func (db *DB) reader(ctx context.Context, name string) (*sql.Stmt, error) {
	if err := db.gate.open(); err != nil {
		return nil, err
	}
	s, err := db.stmts.get(ctx, name)
	return s, db.gate.saw(err)
}

// shutFor is how long readers do not try again after they could not reach the
// database, so that not each of them waits for an answer that does not come.
const shutFor = time.Second

// gate is shut for a moment after the database could not be reached. A nil gate
// is always open.
type gate struct{ until atomic.Int64 } // Unix nanoseconds

func (g *gate) open() error {
	if u := g.until.Load(); u != 0 && time.Now().UnixNano() < u {
		return errUnreachable(nil)
	}
	return nil
}

// saw returns err, and shuts the gate where it says that there is no database.
func (g *gate) saw(err error) error {
	if g != nil && err != nil && errors.Is(err, clyde.ErrUnavailable) {
		g.until.Store(time.Now().Add(shutFor).UnixNano())
	}
	return err
}

func collect[T any](rows *sql.Rows, err error, scan func(scanner) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // its error is rows.Err's
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// one scans a row and says what is missing when there is none.
func one[T any](r scanner, scan func(scanner) (T, error), missing string, args ...any) (T, error) {
	v, err := scan(r)
	if errors.Is(err, sql.ErrNoRows) {
		return v, clyde.Errorf(clyde.ErrNotFound, missing, args...)
	}
	return v, err
}

func scanString(s scanner) (v string, err error) {
	err = s.Scan(&v)
	return v, err
}
