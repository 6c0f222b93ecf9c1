package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// listenAgain is how long Listen waits before it connects again.
const listenAgain = time.Second

// Listen keeps what Public knows, and wakes whoever waits for EventsReady and ChangesReady when another
// process that shares the database commits, until ctx ends. What was said while
// it had no connection is made up for: it wakes them when it has one. Where no
// other process serves, it only waits.
func (db *DB) Listen(ctx context.Context) error {
	e, ok := db.eng.(postgresEngine)
	if !ok {
		<-ctx.Done()
		return nil
	}
	for ctx.Err() == nil {
		_ = db.listen(ctx, e) // the next connection makes up for it; whoever waits asks of its own, too
		db.public.away(db.now())
		select {
		case <-ctx.Done():
		case <-time.After(listenAgain):
		}
	}
	return nil
}

// listen listens on one connection until it ends.
func (db *DB) listen(ctx context.Context, e postgresEngine) error {
	c, err := pgx.ConnectConfig(ctx, e.cfg.Copy())
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }() // nothing was written through it
	if _, err := c.Exec(ctx, "LISTEN "+notifyChannel); err != nil {
		return err
	}
	if err := db.loadPublic(ctx); err != nil {
		return err
	}
	db.signal(true, true)
	for {
		n, err := c.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		if err := db.heard(ctx, n.Payload); err != nil {
			return err
		}
	}
}

// heard takes in what another process said that it wrote; see tx.wrote.
func (db *DB) heard(ctx context.Context, payload string) error {
	var events, changes bool
	var repos []string
	for word := range strings.FieldsSeq(payload) {
		switch word {
		case wroteEvents:
			events = true
		case wroteChanges:
			changes = true
		case allPackages:
			return errHeardAll // connecting again reads everything
		default:
			repos = append(repos, word)
		}
	}
	if len(repos) > 0 {
		db.withdrawn.forget()
		db.held.forget()
	}
	db.signal(events, changes)
	return db.lookAgain(ctx, repos)
}

// errHeardAll says that every package may have been touched.
var errHeardAll = errors.New("every package was written")
