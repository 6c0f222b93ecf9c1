package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// countedBatch names the number of the last batch of whoever counts: "" is the
// one process of a file.
func countedBatch(counter string) string {
	if counter == "" {
		return "counted_batch"
	}
	return "counted_batch:" + counter
}

// AddCounts adds pulls, many at once, and notes the number of their batch:
// batches of one counter are added in order, and one that was added already
// adds nothing, so that it can be tried again by who does not know. Batch 0 has
// no number. All or nothing.
func (db *DB) AddCounts(ctx context.Context, counter string, batch int64, counts []Count) (err error) {
	defer clyde.Wrap(&err, "store.AddCounts")
	if len(counts) == 0 {
		return nil
	}
	return db.write(ctx, durable, func(tx *tx) error {
		if batch > 0 {
			var last int64
			if err := tx.row("CountedBatch", countedBatch(counter)).Scan(&last); err != nil && !errors.Is(err, sql.ErrNoRows) {
				return err
			}
			if batch <= last {
				return nil
			}
			if err := tx.exec("SetCountedBatch", countedBatch(counter), batch); err != nil {
				return err
			}
		}
		for _, c := range counts {
			if err := tx.exec("AddCount", c.Repo, c.Day, c.Version, c.Kind, c.Client, c.Platform, c.Count, c.Raw); err != nil {
				return err
			}
			var people, ci, robot int64
			switch c.Kind {
			case CI:
				ci = c.Count
			case Robot:
				robot = c.Count
			default:
				people = c.Count
			}
			for _, version := range []string{c.Version, ""} {
				if err := tx.exec("AddTotal", c.Repo, version, people, ci, robot, c.Raw); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// CountedBatch is the number of a counter's last batch that was added, 0 for none.
func (db *DB) CountedBatch(ctx context.Context, counter string) (n int64, err error) {
	err = db.row(ctx, "CountedBatch", countedBatch(counter)).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return n, err
}

// Counts lists a package's pulls between two days, inclusive, grouped and in
// the order of CountBy's fields. A month that was rolled up counts whole where
// the range touches it.
func (db *DB) Counts(ctx context.Context, repo, from, to string, by CountBy) ([]Count, error) {
	return list(ctx, db, func(s scanner) (c Count, err error) {
		c.Repo = repo
		err = s.Scan(&c.Day, &c.Version, &c.Kind, &c.Client, &c.Platform, &c.Count, &c.Raw)
		return c, err
	}, "Counts", repo, from, to, by.Day, by.Version, by.Kind, by.Client, by.Platform, by.Only)
}

// Totals are all pulls of a version, or with "" of the package.
func (db *DB) Totals(ctx context.Context, repo, version string) (t Totals, err error) {
	err = db.row(ctx, "Totals", repo, version).Scan(&t.People, &t.CI, &t.Robots, &t.Raw)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return t, err
}

// RollUpCounts makes months of the days before one, a day at a time. It returns
// how many days there were.
func (db *DB) RollUpCounts(ctx context.Context, before string) (days int, err error) {
	defer clyde.Wrap(&err, "store.RollUpCounts(%s)", before)
	for {
		var day string
		err := db.row(ctx, "OldestDay").Scan(&day)
		if errors.Is(err, sql.ErrNoRows) || err == nil && day >= before {
			return days, nil
		}
		if err != nil {
			return days, err
		}
		err = db.write(ctx, durable, func(tx *tx) error {
			if err := tx.exec("RollUpDay", day); err != nil {
				return err
			}
			return tx.exec("DropDay", day)
		})
		if err != nil {
			return days, err
		}
		days++
	}
}
