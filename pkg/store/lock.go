package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

const (
	// maxLocks bounds the locks that one process holds at once, each on a
	// connection of its own: more wait.
	maxLocks = 16

	// lockCheck is how often a holder looks whether its connection, and with it
	// the lock, is still there.
	lockCheck = 5 * time.Second
)

// Lock waits until no other process that shares the database holds the lock of
// that name, and takes it; unlock gives it back, and so does the end of the
// process. It does not keep goroutines of this process apart. Where no other
// process serves, it does nothing.
func (db *DB) Lock(ctx context.Context, name string) (unlock func(), err error) {
	defer clyde.Wrap(&err, "store.Lock(%s)", name)
	return db.await(ctx, "Lock", "Unlock", name)
}

// LockShared is Lock, but for others that hold it by LockShared.
func (db *DB) LockShared(ctx context.Context, name string) (unlock func(), err error) {
	defer clyde.Wrap(&err, "store.LockShared(%s)", name)
	return db.await(ctx, "LockShared", "UnlockShared", name)
}

func (db *DB) await(ctx context.Context, take, release, name string) (unlock func(), err error) {
	if !db.eng.shared() {
		return func() {}, nil
	}
	c, _, err := db.lock(ctx, take, name)
	if err != nil {
		return nil, err
	}
	return func() { unlockOn(c, release, name) }, nil
}

// Alone runs fn unless another process that shares the database is running it
// under the same name; ran says whether it did. Its context ends when the lock
// is lost. Where no other process serves, it always runs.
func (db *DB) Alone(ctx context.Context, name string, fn func(context.Context) error) (ran bool, err error) {
	defer clyde.Wrap(&err, "store.Alone(%s)", name)
	if !db.eng.shared() {
		return true, fn(ctx)
	}
	c, ok, err := db.lock(ctx, "TryLock", name)
	if err != nil || !ok {
		return false, err
	}
	defer unlockOn(c, "Unlock", name)
	ctx, cancel := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		defer cancel()
		for t := time.NewTicker(lockCheck); ; {
			select {
			case <-ctx.Done():
				t.Stop()
				return
			case <-t.C:
			}
			ping, done := db.eng.bound(ctx)
			err := c.PingContext(ping)
			done()
			if err != nil {
				t.Stop()
				return
			}
		}
	}()
	err = fn(ctx)
	cancel()
	<-watched
	return true, err
}

// lock runs a statement that takes the lock on a connection of its own.
func (db *DB) lock(ctx context.Context, statement, name string) (_ *sql.Conn, ok bool, err error) {
	ctx, done := db.eng.bound(ctx)
	defer done()
	c, err := db.locks.Conn(ctx)
	if err != nil {
		return nil, false, db.eng.failed(err)
	}
	err = c.QueryRowContext(ctx, query(db.eng, statement), "clyde:"+name).Scan(&ok)
	if err != nil || !ok {
		return nil, false, errors.Join(db.eng.failed(err), c.Close())
	}
	return c, true, nil
}

// unlockOn gives a lock back. A connection that cannot say so is closed, which
// gives it back too.
func unlockOn(c *sql.Conn, statement, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), connectTime)
	defer cancel()
	var ok bool
	err := c.QueryRowContext(ctx, query(postgresEngine{}, statement), "clyde:"+name).Scan(&ok)
	if err != nil || !ok {
		discard(c)
		return
	}
	_ = c.Close() // it goes back to the pool
}

// secretBytes of randomness are what a secret of Secret has.
const secretBytes = 32

// Secret returns a secret that every process on the database knows, made at the
// first call: 32 bytes.
func (db *DB) Secret(ctx context.Context, name string) (_ []byte, err error) {
	defer clyde.Wrap(&err, "store.Secret(%s)", name)
	fresh := make([]byte, secretBytes)
	_, _ = rand.Read(fresh) // never fails
	var secret string
	err = db.write(ctx, durable, func(tx *tx) error {
		if err := tx.exec("InitSecret", "secret:"+name, hex.EncodeToString(fresh)); err != nil {
			return err
		}
		return tx.row("Secret", "secret:"+name).Scan(&secret)
	})
	if err != nil {
		return nil, err
	}
	return hex.DecodeString(secret)
}
