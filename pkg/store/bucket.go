package store

import (
	"context"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Spent is what one caller took of a limit that processes share.
type Spent struct {
	Kind, Caller string
	N            float64 // requests, or whatever the limit counts; less than 0 gives back
	PerSecond    float64 // that come back
	Burst        float64 // that there are at most
}

// micro is a part of a request in the table of buckets.
const micro = 1e6

// Spend takes what callers took from the buckets that processes on the database
// share, and returns what is left in each, in the order of spent: less than 0
// where more was taken by all of them than there was. Where no other process
// serves, it returns nil.
func (db *DB) Spend(ctx context.Context, spent []Spent) (left []float64, err error) {
	defer clyde.Wrap(&err, "store.Spend")
	if !db.eng.shared() || len(spent) == 0 {
		return nil, nil
	}
	now := ms(db.now())
	err = db.write(ctx, relaxed, func(tx *tx) error {
		left = make([]float64, len(spent)) // anew when it runs again
		for i, s := range spent {
			var n int64
			err := tx.row("SpendBucket", s.Kind, s.Caller, int64(s.Burst*micro), int64(s.N*micro), int64(s.PerSecond*micro), now).Scan(&n)
			if err != nil {
				return err
			}
			left[i] = float64(n) / micro
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return left, nil
}

// PurgeBuckets forgets callers who took nothing since t.
func (db *DB) PurgeBuckets(ctx context.Context, t time.Time) (err error) {
	defer clyde.Wrap(&err, "store.PurgeBuckets")
	if !db.eng.shared() {
		return nil
	}
	return db.write(ctx, relaxed, func(tx *tx) error { return tx.exec("PurgeBuckets", ms(t)) })
}
