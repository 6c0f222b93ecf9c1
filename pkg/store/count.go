package store

import (
	"context"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// AddCounts adds raw pulls, many at once, without a sync of its own. All or
// nothing.
func (db *DB) AddCounts(ctx context.Context, counts []Count) (err error) {
	defer clyde.Wrap(&err, "store.AddCounts")
	if len(counts) == 0 {
		return nil
	}
	return db.write(ctx, relaxed, func(tx *tx) error {
		for _, c := range counts {
			if err := tx.exec("AddCount", c.Repo, c.Day, c.Version, c.Count); err != nil {
				return err
			}
			if err := tx.exec("AddTotal", c.Repo, c.Version, c.Count); err != nil {
				return err
			}
			if err := tx.exec("AddTotal", c.Repo, "", c.Count); err != nil {
				return err
			}
		}
		return nil
	})
}

// Counts lists a package's raw pulls between two days, inclusive, by day and version.
func (db *DB) Counts(ctx context.Context, repo, from, to string) ([]Count, error) {
	return list(ctx, db, func(s scanner) (c Count, err error) {
		err = s.Scan(&c.Repo, &c.Version, &c.Day, &c.Count)
		return c, err
	}, "Counts", repo, from, to)
}
