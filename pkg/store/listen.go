package store

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// listenAgain is how long Listen waits before it connects again.
const listenAgain = time.Second

// Listen wakes whoever waits for EventsReady and ChangesReady when another
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
		_ = db.listen(ctx, e) // the next connection makes up for it; what it is about is asked for now and then anyway
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
	db.signal(true, true)
	for {
		n, err := c.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		db.signal(strings.Contains(n.Payload, wroteEvents), strings.Contains(n.Payload, wroteChanges))
	}
}
