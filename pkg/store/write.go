package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"hash/maphash"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// durability says what a write waits for.
type durability bool

const (
	relaxed durability = false // visible to all; a power cut may undo it
	durable durability = true  // on disk
)

// maxBatch bounds the writes that share one transaction, so that the first of
// a burst does not wait for all of it. Ours.
const maxBatch = 128

// errClosed is returned to writers that come after Close.
var errClosed = clyde.Errorf(clyde.ErrUnavailable, "the database is closed")

// writer is the one connection that writes, and the queue in front of it.
//
// There is no goroutine: the first caller to find nobody writing leads. It
// takes what waits, carries it out for everybody, and when more has come in
// meanwhile hands the lead to the first of those.
type writer struct {
	eng   engine
	db    *sql.DB
	conn  *sql.Conn // nil: lost, and made again by the next write
	stmts stmtCache
	wrote func(events, changes bool) // called after a commit
	// access counts the transactions that may have changed what accounts and
	// tokens may do; see DB.AccessVersion.
	access atomic.Uint64
	stamps stamps // of packages; see DB.PackageVersion
	sync   bool   // whether durable means anything; not for temporary databases
	level  string // what SQLite's connection is set to

	mu     sync.Mutex
	queue  []*request
	busy   bool // somebody leads
	closed bool
	idle   chan struct{} // closed when closed and nobody leads
}

// request is a write that waits.
type request struct {
	ctx  context.Context
	d    durability
	fn   func(*tx) error
	long bool // its transaction is not bounded by the engine; alone on the database
	err  error
	turn chan bool // true: lead; false: done, see err
}

func newWriter(ctx context.Context, e engine, db *sql.DB, sync bool) (*writer, error) {
	w := &writer{eng: e, db: db, sync: sync, idle: make(chan struct{}), stamps: stamps{seed: maphash.MakeSeed()}}
	w.stmts.eng = e
	return w, w.connect(ctx)
}

// connect makes the connection, unless there is one.
func (w *writer) connect(ctx context.Context) (err error) {
	if w.conn != nil {
		return nil
	}
	if w.conn, err = w.db.Conn(ctx); err != nil {
		w.conn = nil
		return w.eng.failed(err)
	}
	w.stmts.db = w.conn
	return nil
}

// disconnect gives up a connection of which it is not known what state it is
// in. A transaction that was open on it ends without effect.
func (w *writer) disconnect() {
	_ = w.stmts.close() // it is lost
	discard(w.conn)
	w.conn = nil
}

// discard closes a connection that the pool must not keep.
func discard(c *sql.Conn) {
	_ = c.Raw(func(any) error { return driver.ErrBadConn }) // that is the way to say so
	_ = c.Close()
}

// close waits for writes in hand and in the queue, and refuses later ones.
func (w *writer) close() error {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		if !w.busy {
			close(w.idle)
		}
	}
	w.mu.Unlock()
	<-w.idle
	if w.conn == nil {
		return nil
	}
	return errors.Join(w.stmts.close(), w.conn.Close())
}

// write runs fn in a transaction that it may share with other calls of write.
// When fn fails nothing of it remains. fn must only use tx. A context that
// ends while the call waits for its turn ends it; one that ends later does not.
func (db *DB) write(ctx context.Context, d durability, fn func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return db.writer.do(&request{ctx: ctx, d: d, fn: fn, turn: make(chan bool, 1)})
}

func (w *writer) do(r *request) error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return errClosed
	}
	w.queue = append(w.queue, r)
	lead := !w.busy
	w.busy = true
	w.mu.Unlock()
	if !lead {
		lead = <-r.turn
	}
	if !lead {
		return r.err
	}
	w.mu.Lock()
	n := min(len(w.queue), maxBatch)
	batch := append([]*request(nil), w.queue[:n]...)
	w.queue = append(w.queue[:0], w.queue[n:]...)
	w.mu.Unlock()

	// Writes without a sync go first, in a transaction of their own, and their
	// callers go on while the others wait for the disk.
	w.run(r, pick(batch, relaxed), relaxed)
	w.run(r, pick(batch, durable), durable)

	w.mu.Lock()
	switch {
	case len(w.queue) > 0:
		w.queue[0].turn <- true
	default:
		w.busy = false
		if w.closed {
			close(w.idle)
		}
	}
	w.mu.Unlock()
	return r.err
}

func pick(batch []*request, d durability) []*request {
	var out []*request
	for _, r := range batch {
		if r.d == d {
			out = append(out, r)
		}
	}
	return out
}

// run carries out the batch and tells everybody but the leader.
func (w *writer) run(leader *request, batch []*request, d durability) {
	if len(batch) == 0 {
		return
	}
	ctx := context.WithoutCancel(batch[0].ctx)
	if !batch[0].long {
		var done context.CancelFunc
		ctx, done = w.eng.bound(ctx)
		defer done()
	}
	t := &tx{w: w, ctx: ctx}
	err := w.transact(t, batch, d)
	if t.access {
		w.access.Add(1) // also after a failure, of which one cannot be sure
	}
	w.stamp(t)
	if err != nil {
		for _, r := range batch {
			if r.err == nil {
				r.err = err
			}
		}
	} else if t.events || t.changes {
		w.wrote(t.events, t.changes)
	}
	for _, r := range batch {
		if r != leader {
			r.turn <- false
		}
	}
}

// begin starts a transaction, on a new connection where the old one turns out
// to be gone: the server may have been started again since the last write.
func (w *writer) begin(ctx context.Context, d durability) error {
	for again := w.conn != nil; ; again = false {
		if err := w.connect(ctx); err != nil {
			return err
		}
		err := w.eng.begin(ctx, w, d)
		if err == nil {
			return nil
		}
		if w.eng.lost(err) {
			w.disconnect()
			if again && ctx.Err() == nil {
				continue
			}
		}
		return clyde.Errorf(clyde.ErrUnavailable, "the database is busy; try again in a moment").Because(err)
	}
}

// transact runs every request under a savepoint and commits. Its own error is
// that of the transaction: nothing was written, or, where the connection was
// lost while it committed, perhaps all.
func (w *writer) transact(t *tx, batch []*request, d durability) (err error) {
	if err := w.begin(t.ctx, d); err != nil {
		return err
	}
	defer func() {
		if err == nil {
			return
		}
		// SQLite has already rolled back after some failures, which makes this
		// one fail, harmlessly.
		rerr := w.raw(t.ctx, "ROLLBACK")
		if w.eng.lost(err) || w.eng.lost(rerr) {
			w.disconnect()
		}
		err = w.eng.failed(err)
	}()
	written := 0
	for _, r := range batch {
		if r.err = r.ctx.Err(); r.err != nil {
			continue
		}
		if err := w.raw(t.ctx, "SAVEPOINT one"); err != nil {
			return err
		}
		if r.err = call(r.fn, t); r.err == nil {
			written++
		} else if err := w.raw(t.ctx, "ROLLBACK TO one"); err != nil {
			return err
		}
		if err := w.raw(t.ctx, "RELEASE one"); err != nil {
			return err
		}
	}
	if written == 0 {
		// A failed request's error is its own; there is nothing to keep.
		return w.raw(t.ctx, "ROLLBACK")
	}
	if w.eng.shared() {
		if err := t.stampAll(); err != nil {
			return err
		}
		if err := w.eng.notify(t); err != nil {
			return err
		}
	}
	return w.raw(t.ctx, "COMMIT")
}

// call runs fn; a panic fails that request and not its neighbours.
func call(fn func(*tx) error, t *tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("store: panic: %v\n%s", p, debug.Stack())
		}
	}()
	return fn(t)
}

// raw runs a statement that controls the transaction.
func (w *writer) raw(ctx context.Context, stmt string) error {
	w.stmts.mu.Lock()
	s, ok := w.stmts.m[stmt]
	w.stmts.mu.Unlock()
	if !ok {
		var err error
		if s, err = w.conn.PrepareContext(ctx, stmt); err != nil {
			return err
		}
		w.stmts.mu.Lock()
		if w.stmts.m == nil {
			w.stmts.m = make(map[string]*sql.Stmt)
		}
		w.stmts.m[stmt] = s
		w.stmts.mu.Unlock()
	}
	_, err := s.ExecContext(ctx)
	return err
}

// tx is what a write may use. Rows must be read to their end before the next
// statement runs: there is one connection.
type tx struct {
	w   *writer
	ctx context.Context // of the transaction, not of a caller

	events, changes bool // what was written, for signal
	access          bool // whether accessTables may have been written

	touched    []string // repositories of which packageTables may have been written
	touchedAll bool
}

// maxNotice bounds what tx.wrote says, in bytes: Postgres takes 7,999.
const maxNotice = 7000

// wrote says in words for other processes what the transaction wrote, "" for
// nothing that they wait for: wroteEvents, wroteChanges, and the repositories
// of which packages were written, or allPackages.
func (t *tx) wrote() string {
	repos := slices.Compact(t.touched) // stampAll sorted them
	if t.touchedAll || len(strings.Join(repos, " ")) > maxNotice {
		repos = []string{allPackages}
	}
	w := slices.Clone(repos)
	if t.events {
		w = append(w, wroteEvents)
	}
	if t.changes {
		w = append(w, wroteChanges)
	}
	return strings.Join(w, " ")
}

// Words of tx.wrote.
const (
	wroteEvents  = "events"
	wroteChanges = "changes"
)

// stmt returns a statement that answers rows, to be run in this transaction.
func (t *tx) stmt(name string) (*sql.Stmt, error) {
	t.access = t.access || changesAccess()[name]
	t.touch(name, nil)
	return t.w.stmts.get(t.ctx, name)
}

// exec runs a statement.
func (t *tx) exec(name string, args ...any) error {
	_, err := t.affect(name, args...)
	return err
}

// affect runs a statement and returns how many rows it changed.
func (t *tx) affect(name string, args ...any) (int64, error) {
	s, err := t.w.stmts.get(t.ctx, name)
	if err != nil {
		return 0, err
	}
	t.touch(name, args)
	res, err := s.ExecContext(t.ctx, t.w.eng.args(args)...)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, t.w.eng.failed(err))
	}
	n, err := res.RowsAffected()
	t.access = t.access || (n > 0 || err != nil) && changesAccess()[name]
	return n, err
}

// row runs a query of at most one row.
func (t *tx) row(name string, args ...any) row {
	s, err := t.stmt(name)
	if err != nil {
		return row{err: err}
	}
	return row{row: s.QueryRowContext(t.ctx, t.w.eng.args(args)...), eng: t.w.eng}
}

// listTx is list inside a transaction.
func listTx[T any](t *tx, scan func(scanner) (T, error), name string, args ...any) ([]T, error) {
	s, err := t.stmt(name)
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(t.ctx, t.w.eng.args(args)...)
	out, err := collect(rows, err, scan)
	return out, t.w.eng.failed(err)
}
