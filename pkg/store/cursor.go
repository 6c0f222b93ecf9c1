package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Cursor returns how far a reader of the audit log or of the feed has come, as
// SetCursor stored it; ok is false when it never did. It is our own.
func (db *DB) Cursor(ctx context.Context, reader string) (seq int64, ok bool, err error) {
	err = db.row(ctx, "Cursor", "cursor:"+reader).Scan(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return seq, err == nil, err
}

// SetCursor stores it. A power cut may undo it, so that the reader meets some
// entries again.
func (db *DB) SetCursor(ctx context.Context, reader string, seq int64) (err error) {
	defer clyde.Wrap(&err, "store.SetCursor(%s)", reader)
	return db.write(ctx, relaxed, func(tx *tx) error { return tx.exec("SetCursor", "cursor:"+reader, seq) })
}

// LastChange returns the seq of the newest feed entry, 0 when there is none.
func (db *DB) LastChange(ctx context.Context) (seq int64, err error) {
	err = db.row(ctx, "LastChange").Scan(&seq)
	return seq, err
}

// LastAudit returns the seq of the newest audit entry, 0 when there is none.
func (db *DB) LastAudit(ctx context.Context) (int64, error) {
	months, err := db.AuditMonths(ctx)
	if err != nil || len(months) == 0 {
		return 0, err
	}
	return months[0].Last, nil
}

// AuditAfter lists audit entries after seq that are in the database, in order,
// at most n.
func (db *DB) AuditAfter(ctx context.Context, seq int64, n int) (_ []AuditEntry, err error) {
	defer clyde.Wrap(&err, "store.AuditAfter(%d)", seq)
	months, err := db.AuditMonths(ctx)
	if err != nil {
		return nil, err
	}
	var out []AuditEntry
	for i := len(months) - 1; i >= 0 && len(out) < n; i-- {
		m := months[i]
		if !m.Dropped.IsZero() || m.Last <= seq {
			continue
		}
		es, err := list(ctx, db, scanAudit, auditOf("AuditRange", m.Month), seq, n-len(out))
		if err != nil {
			return nil, err
		}
		out = append(out, es...)
	}
	return out, nil
}
