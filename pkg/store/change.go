package store

import (
	"context"
	"math"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func scanChange(s scanner) (c Change, err error) {
	var at int64
	err = s.Scan(&c.Seq, &at, &c.Type, &c.Package, &c.Version, &c.Digest, &c.Actor)
	c.Time = fromMS(at)
	return c, err
}

func scanAudit(s scanner) (a AuditEntry, err error) {
	var at int64
	err = s.Scan(&a.Seq, &at, &a.Actor, &a.Action, &a.Resource, &a.Detail)
	a.Time = fromMS(at)
	return a, err
}

// addChange appends to the feed unless Type is "". Seq follows commit order
// because one connection writes.
func (db *DB) addChange(tx *tx, c Change) error {
	if c.Type == "" {
		return nil
	}
	tx.changes = true
	return tx.exec("AddChange", ms(db.or(c.Time)), c.Type, c.Package, c.Version, c.Digest, c.Actor)
}

// addAudit appends to the log unless Action is "".
func (db *DB) addAudit(tx *tx, a AuditEntry) error {
	if a.Action == "" {
		return nil
	}
	if a.Detail == "" {
		a.Detail = "{}"
	}
	return tx.exec("AddAudit", ms(db.or(a.Time)), a.Actor, a.Action, a.Resource, a.Detail)
}

func (db *DB) record(tx *tx, c Change, a AuditEntry) error {
	if err := db.addChange(tx, c); err != nil {
		return err
	}
	return db.addAudit(tx, a)
}

// Changes lists feed entries after seq, in order, at most n.
func (db *DB) Changes(ctx context.Context, after int64, n int) ([]Change, error) {
	return list(ctx, db, scanChange, "Changes", after, n)
}

// Announced reports whether the feed has the entry "version.published" for that
// content of a version.
func (db *DB) Announced(ctx context.Context, pkg, version, digest string) (ok bool, err error) {
	err = db.row(ctx, "Announced", pkg, version, digest).Scan(&ok)
	return ok, err
}

// Epoch identifies this history of the feed; a rebuild or a restore changes it.
func (db *DB) Epoch(ctx context.Context) (string, error) {
	return scanString(db.row(ctx, "Epoch"))
}

// RenewEpoch begins a new history of the feed: readers of the old one start
// over. Whoever restores a backup calls it.
func (db *DB) RenewEpoch(ctx context.Context) (err error) {
	defer clyde.Wrap(&err, "store.RenewEpoch")
	return db.write(ctx, durable, func(tx *tx) error { return tx.exec("SetEpoch", newEpoch()) })
}

// Audit lists audit entries, newest first, before seq (0: newest).
func (db *DB) Audit(ctx context.Context, before int64, n int) ([]AuditEntry, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	return list(ctx, db, scanAudit, "Audit", before, n)
}

// AddAudit appends one line, durably. The database itself refuses to change
// or remove one.
func (db *DB) AddAudit(ctx context.Context, a AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.AddAudit(%s)", a.Action)
	return db.write(ctx, durable, func(tx *tx) error { return db.addAudit(tx, a) })
}
