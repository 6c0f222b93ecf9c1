package store

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// maxReason bounds the bytes kept of why an event failed. Ours: a sentence and
// some context, not a log.
const maxReason = 4 << 10

// States of an InboxItem.
const (
	stateWaiting = "waiting"
	stateDone    = "done"
	stateParked  = "parked"
)

func scanItem(s scanner) (it InboxItem, err error) {
	var received, updated int64
	ev := &it.Event
	err = s.Scan(&ev.ID, &ev.Source, &ev.Action, &ev.Repo, &ev.Tag, &ev.Digest, &ev.Actor, &received,
		&it.State, &it.Reason, &it.Attempts, &updated)
	ev.Received, it.Updated = fromMS(received), fromMS(updated)
	return it, err
}

func (db *DB) putEvent(tx *tx, ev clyde.Event) (id int64, err error) {
	err = tx.row("PutEvent", ev.Source, string(ev.Action), ev.Repo, ev.Tag, ev.Digest, ev.Actor,
		ms(db.or(ev.Received)), ms(db.now())).Scan(&id)
	tx.events = true
	return id, err
}

func (db *DB) putEventIf(tx *tx, ev clyde.Event) error {
	if ev.Repo == "" {
		return nil
	}
	_, err := db.putEvent(tx, ev)
	return err
}

// PutEvent stores an event that came from elsewhere and returns its ID. It is
// durable on return.
func (db *DB) PutEvent(ctx context.Context, ev clyde.Event) (id int64, err error) {
	defer clyde.Wrap(&err, "store.PutEvent(%s)", ev.Repo)
	err = db.write(ctx, durable, func(tx *tx) error {
		id, err = db.putEvent(tx, ev)
		return err
	})
	return id, err
}

// Inbox lists items by state ("" any), newest first, before the given ID (0: from the newest).
func (db *DB) Inbox(ctx context.Context, state string, before int64, n int) ([]InboxItem, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	if state == "" {
		return list(ctx, db, scanItem, "Inbox", before, n)
	}
	return list(ctx, db, scanItem, "InboxByState", state, before, n)
}

// InboxItem returns one item, or clyde.ErrNotFound.
func (db *DB) InboxItem(ctx context.Context, id int64) (InboxItem, error) {
	return one(db.row(ctx, "InboxItem", id), scanItem, "the inbox has no event %d", id)
}

// ClaimEvents leases up to n waiting events, oldest first, never two of one
// repository at once. Events of one repository come in the order they were
// stored: a later one waits until the earlier is done or parked. Attempts
// counts this one. A lease that passes without a word makes the event due again.
func (db *DB) ClaimEvents(ctx context.Context, n int, lease time.Duration) (items []InboxItem, err error) {
	defer clyde.Wrap(&err, "store.ClaimEvents")
	now := db.now()
	// Polling an empty inbox must not take the writer's turn.
	due, err := list(ctx, db, scanItem, "DueEvents", ms(now), 1)
	if err != nil || len(due) == 0 {
		return nil, err
	}
	err = db.write(ctx, relaxed, func(tx *tx) error {
		items, err = listTx(tx, scanItem, "DueEvents", ms(now), n)
		if err != nil {
			return err
		}
		for i := range items {
			if err := tx.exec("LeaseEvent", items[i].Event.ID, ms(now.Add(lease)), ms(now)); err != nil {
				return err
			}
			items[i].Attempts++
			items[i].Updated = fromMS(ms(now))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return items, nil
}

// EventDone ends an event. Ending one that has ended is no error.
func (db *DB) EventDone(ctx context.Context, id int64) error {
	return db.endEvent(ctx, id, stateDone, "", relaxed)
}

// EventRetry makes the event due again after d, and keeps the cause.
func (db *DB) EventRetry(ctx context.Context, id int64, d time.Duration, cause string) (err error) {
	defer clyde.Wrap(&err, "store.EventRetry(%d)", id)
	return db.write(ctx, relaxed, func(tx *tx) error {
		now := db.now()
		return tx.exec("RetryEvent", id, ms(now.Add(d)), clip(cause), ms(now))
	})
}

// EventPark keeps the event with the reason, out of the way of the next ones;
// EventReplay makes it waiting again.
func (db *DB) EventPark(ctx context.Context, id int64, reason string) error {
	return db.endEvent(ctx, id, stateParked, reason, durable)
}

// ParkEvent stores an event as parked from the start, with the reason, unless
// the same content of the same tag is parked already.
func (db *DB) ParkEvent(ctx context.Context, ev clyde.Event, reason string) (err error) {
	defer clyde.Wrap(&err, "store.ParkEvent(%s)", ev.Repo)
	return db.write(ctx, durable, func(tx *tx) error {
		return tx.exec("ParkNew", ev.Source, string(ev.Action), ev.Repo, ev.Tag, ev.Digest, ev.Actor,
			ms(db.or(ev.Received)), clip(reason), ms(db.now()))
	})
}

func (db *DB) endEvent(ctx context.Context, id int64, state, reason string, d durability) (err error) {
	defer clyde.Wrap(&err, "store.endEvent(%d, %s)", id, state)
	return db.write(ctx, d, func(tx *tx) error {
		it, err := one(tx.row("InboxItem", id), scanItem, "the inbox has no event %d", id)
		if err != nil {
			return err
		}
		n, err := tx.affect("EndEvent", id, state, clip(reason), ms(db.now()))
		if err != nil || n == 0 {
			return err
		}
		return promote(tx, it.Event.Repo)
	})
}

// promote lets the next event of the repository run, if none may already.
func promote(tx *tx, repo string) error {
	n, err := tx.affect("PromoteEvent", repo)
	tx.events = tx.events || n > 0
	return err
}

// EventReplay makes a parked event waiting again; clyde.ErrNotFound when there
// is no such event, clyde.ErrConflict when it is not parked.
func (db *DB) EventReplay(ctx context.Context, id int64) (err error) {
	defer clyde.Wrap(&err, "store.EventReplay(%d)", id)
	return db.write(ctx, durable, func(tx *tx) error {
		it, err := one(tx.row("InboxItem", id), scanItem, "the inbox has no event %d", id)
		if err != nil {
			return err
		}
		if it.State != stateParked {
			return clyde.Errorf(clyde.ErrConflict, "event %d is %s; only parked events can be replayed", id, it.State)
		}
		if err := tx.exec("ReplayEvent", id, ms(db.now())); err != nil {
			return err
		}
		return promote(tx, it.Event.Repo)
	})
}

// Waiting counts the events that wait or run.
func (db *DB) Waiting(ctx context.Context) (n int64, err error) {
	err = db.row(ctx, "CountWaiting").Scan(&n)
	return n, err
}

// Parked counts the events that could not be applied.
func (db *DB) Parked(ctx context.Context) (n int64, err error) {
	err = db.row(ctx, "CountParked").Scan(&n)
	return n, err
}

// OldestWaiting is when the event that has waited longest was received; zero
// where none waits.
func (db *DB) OldestWaiting(ctx context.Context) (time.Time, error) {
	var at int64
	switch err := db.row(ctx, "OldestWaiting").Scan(&at); {
	case errors.Is(err, sql.ErrNoRows):
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, err
	}
	return fromMS(at), nil
}

// PurgeEvents forgets events that were done before the given time and returns
// how many they were.
func (db *DB) PurgeEvents(ctx context.Context, before time.Time) (n int64, err error) {
	defer clyde.Wrap(&err, "store.PurgeEvents")
	err = db.write(ctx, relaxed, func(tx *tx) error {
		n, err = tx.affect("PurgeEvents", ms(before))
		return err
	})
	return n, err
}

func clip(s string) string {
	if len(s) > maxReason {
		return s[:maxReason]
	}
	return s
}
