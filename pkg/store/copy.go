package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

const (
	// copyRows is how many rows are written by one statement, and copyArgs how
	// many values it has at most: SQLite takes 32,766, Postgres 65,535.
	copyRows = 200
	copyArgs = 30_000
)

// notCopied are the tables that say something of one database alone.
var notCopied = []string{"stamp", "bucket"}

// column is what a column is on any engine.
type column struct {
	Type string // text, bigint, boolean or bytes
	Null bool
}

// schema returns the tables and their columns, without goose's, without views,
// and without the months of the audit log.
func (db *DB) schema(ctx context.Context) (map[string]map[string]column, error) {
	type found struct {
		table, name string
		column      column
	}
	all, err := list(ctx, db, func(s scanner) (f found, err error) {
		err = s.Scan(&f.table, &f.name, &f.column.Type, &f.column.Null)
		return f, err
	}, "Columns")
	if err != nil {
		return nil, err
	}
	tables := make(map[string]map[string]column)
	for _, f := range all {
		if tables[f.table] == nil {
			tables[f.table] = make(map[string]column)
		}
		tables[f.table][f.name] = f.column
	}
	return tables, nil
}

// Table is what Copy found in a table: how many rows, and a sum over them that
// does not depend on their order. Two tables with the same are equal.
type Table struct {
	Name string `json:"name"`
	Rows int64  `json:"rows"`
	Sum  string `json:"sum"` // SHA-256 of each row, added up, in hex
}

// rowSum adds up hashes of rows.
type rowSum struct {
	n   int64
	sum [4]uint64
}

func (s *rowSum) add(row []any) {
	h := sha256.New()
	for _, v := range row {
		addValue(h, v)
	}
	b := h.Sum(nil)
	for i := range s.sum {
		s.sum[i] += binary.BigEndian.Uint64(b[8*i:])
	}
	s.n++
}

func addValue(h hash.Hash, v any) {
	switch v := v.(type) {
	case *int64:
		field(h, fmt.Sprint(*v))
	case *bool:
		field(h, fmt.Sprint(*v))
	case *[]byte:
		field(h, string(*v))
	case *string:
		field(h, *v)
	}
}

func (s *rowSum) table(name string) Table {
	return Table{Name: name, Rows: s.n, Sum: fmt.Sprintf("%016x%016x%016x%016x", s.sum[0], s.sum[1], s.sum[2], s.sum[3])}
}

// copied is a table to copy: its name and columns, in order.
type copied struct {
	name    string
	columns []string
	types   []string
}

func (c copied) selects() string {
	return "SELECT " + strings.Join(c.columns, ", ") + " FROM " + c.name
}

// inserts is the statement that adds n rows.
func (c copied) inserts(n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "INSERT INTO %s (%s) VALUES ", c.name, strings.Join(c.columns, ", "))
	for i := range n * len(c.columns) {
		switch {
		case i == 0:
			b.WriteString("(")
		case i%len(c.columns) == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", i+1)
	}
	b.WriteString(")")
	return b.String()
}

// scan reads a row into values of the columns' types.
func (c copied) scan(s scanner) ([]any, error) {
	row := make([]any, len(c.columns))
	for i, t := range c.types {
		switch t {
		case "bigint":
			row[i] = new(int64)
		case "boolean":
			row[i] = new(bool)
		case "bytes":
			row[i] = new([]byte)
		default:
			row[i] = new(string)
		}
	}
	err := s.Scan(row...)
	return row, err
}

// tables lists what is to be copied of a database, by name.
func (db *DB) tables(ctx context.Context) (out []copied, err error) {
	schema, err := db.schema(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(schema)) {
		if slices.Contains(notCopied, name) {
			continue
		}
		c := copied{name: name, columns: slices.Sorted(maps.Keys(schema[name]))}
		for _, col := range c.columns {
			c.types = append(c.types, schema[name][col].Type)
		}
		out = append(out, c)
		if name != "audit_part" {
			continue
		}
		months, err := db.AuditMonths(ctx)
		if err != nil {
			return nil, err
		}
		for _, m := range months {
			if m.Dropped.IsZero() {
				out = append(out, copied{name: "audit_" + m.Month, columns: c.columns, types: c.types})
			}
		}
	}
	return out, nil
}

// patient lets the statements of a transaction take their time.
func (db *DB) patient(ctx context.Context, q querier) error {
	if !db.eng.shared() {
		return nil
	}
	_, err := q.ExecContext(ctx, "SET LOCAL statement_timeout = 0")
	return err
}

// querier is *sql.Conn or *sql.Tx.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// each calls fn for every row of a table.
func (c copied) each(ctx context.Context, q querier, fn func(row []any) error) (s rowSum, err error) {
	rows, err := q.QueryContext(ctx, c.selects())
	if err != nil {
		return s, err
	}
	defer func() { _ = rows.Close() }() // its error is rows.Err's
	for rows.Next() {
		row, err := c.scan(rows)
		if err != nil {
			return s, err
		}
		s.add(row)
		if fn != nil {
			if err := fn(row); err != nil {
				return s, err
			}
		}
	}
	return s, rows.Err()
}

// Copy fills a database that nobody has used yet with all that another holds:
// in one transaction, which reads what it wrote again and keeps nothing where
// that differs. Then the audit log's chain is verified. No server may run on
// either. A database that is not empty is clyde.ErrConflict.
func Copy(ctx context.Context, from, to *DB) (out []Table, err error) {
	defer clyde.Wrap(&err, "store.Copy")
	tables, err := from.tables(ctx)
	if err != nil {
		return nil, err
	}
	// All of it as it was at one moment.
	src, err := from.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: from.eng.snapshot()})
	if err != nil {
		return nil, from.eng.failed(err)
	}
	defer func() { _ = src.Rollback() }() // only read
	if err := from.patient(ctx, src); err != nil {
		return nil, err
	}
	sequences, err := list(ctx, from, scanSequence, "Sequences")
	if err != nil {
		return nil, err
	}
	was, err := from.VerifyAudit(ctx)
	if err != nil {
		return nil, err
	}
	err = to.writer.do(&request{ctx: ctx, d: durable, long: true, turn: make(chan bool, 1), fn: func(tx *tx) error {
		if err := errors.Join(to.patient(ctx, tx.w.conn), to.empty(ctx, tx)); err != nil {
			return err
		}
		for _, c := range tables {
			t, err := c.copy(ctx, src, tx)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			out = append(out, t)
		}
		for _, s := range sequences {
			if err := tx.exec("SetSequence", s.table, s.last); err != nil {
				return err
			}
		}
		return nil
	}})
	if err != nil {
		return nil, err
	}
	if now, err := to.VerifyAudit(ctx); err != nil || now != was {
		return nil, clyde.Errorf(clyde.ErrConflict, "the audit log of the copy is not that of the original: %s", cmp.Or(now.Broken, "it ends elsewhere")).Because(err)
	}
	return out, nil
}

// empty returns clyde.ErrConflict unless nothing was stored yet, and removes
// what opening a database stores.
func (db *DB) empty(ctx context.Context, tx *tx) error {
	tables, err := db.tables(ctx)
	if err != nil {
		return err
	}
	for _, c := range tables {
		if c.name == "meta" {
			continue
		}
		var some bool
		if err := tx.w.conn.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM "+c.name+")").Scan(&some); err != nil {
			return err
		}
		if some {
			return clyde.Errorf(clyde.ErrConflict, "the database is not empty: its table %s has rows", c.name).
				WithCode("database_not_empty").Fix("Make a new database, and name that.")
		}
	}
	return tx.w.rawOnce(ctx, "DELETE FROM meta")
}

// copy copies one table and compares.
func (c copied) copy(ctx context.Context, src querier, tx *tx) (t Table, err error) {
	if month, ok := strings.CutPrefix(c.name, "audit_2"); ok {
		if err := createAuditPart(tx, "2"+month); err != nil {
			return t, err
		}
	}
	most := max(1, min(copyRows, copyArgs/len(c.columns)))
	full := c.inserts(most)
	var args []any
	flush := func() error {
		if len(args) == 0 {
			return nil
		}
		stmt := full
		if n := len(args) / len(c.columns); n < most {
			stmt = c.inserts(n)
		}
		_, err := tx.w.conn.ExecContext(ctx, stmt, tx.w.eng.args(args)...)
		args = args[:0]
		return err
	}
	read, err := c.each(ctx, src, func(row []any) error {
		for _, v := range row {
			args = append(args, value(v))
		}
		if len(args) == most*len(c.columns) {
			return flush()
		}
		return nil
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		return t, err
	}
	written, err := c.each(ctx, tx.w.conn, nil)
	if err != nil {
		return t, err
	}
	if read != written {
		return t, clyde.Errorf(clyde.ErrConflict, "%d rows were read and %d are written, and they are not the same", read.n, written.n).
			Because(fmt.Errorf("%v and %v", read.sum, written.sum))
	}
	return written.table(c.name), nil
}

// value is what a scanned value is as an argument.
func value(v any) any {
	switch v := v.(type) {
	case *int64:
		return *v
	case *bool:
		return *v
	case *[]byte:
		return bytesOf(*v)
	}
	return *v.(*string) //nolint:forcetypeassert // scan makes no others
}

// sequence is where the numbers of a table go on.
type sequence struct {
	table string
	last  int64
}

func scanSequence(s scanner) (q sequence, err error) {
	err = s.Scan(&q.table, &q.last)
	return q, err
}
