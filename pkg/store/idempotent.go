package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// IdempotencyAge is how long a reply is kept for a request that comes again.
// Ours: longer than any client retries.
const IdempotencyAge = 24 * time.Hour

// Idempotent returns the stored reply of (principal, key) and true, or stores
// reply when there is none and returns it and false. With reply nil it only
// looks. Replies older than IdempotencyAge are forgotten.
func (db *DB) Idempotent(ctx context.Context, principal, key string, reply []byte) (stored []byte, found bool, err error) {
	defer clyde.Wrap(&err, "store.Idempotent")
	oldest := ms(db.now().Add(-IdempotencyAge))
	err = db.row(ctx, "Idempotency", principal, key, oldest).Scan(&stored)
	switch {
	case err == nil:
		return stored, true, nil
	case !errors.Is(err, sql.ErrNoRows):
		return nil, false, err
	case reply == nil:
		return nil, false, nil
	}
	err = db.write(ctx, durable, func(tx *tx) error {
		if err := tx.exec("PurgeIdempotency", oldest); err != nil {
			return err
		}
		err := tx.row("Idempotency", principal, key, oldest).Scan(&stored)
		if err == nil {
			found = true
			return nil
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		stored = reply
		return tx.exec("AddIdempotency", principal, key, reply, ms(db.now()))
	})
	if err != nil {
		return nil, false, err
	}
	return stored, found, nil
}
