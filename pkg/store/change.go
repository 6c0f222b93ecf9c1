package store

import (
	"context"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func scanChange(s scanner) (c Change, err error) {
	var at int64
	err = s.Scan(&c.Seq, &at, &c.Type, &c.Package, &c.Version, &c.Digest, &c.Actor)
	c.Time = fromMS(at)
	return c, err
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
