package store

import (
	"context"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func scanSession(s scanner) (v Session, err error) {
	var created, used, proved, expires int64
	err = s.Scan(&v.ID, &v.Hash, &v.Account, &created, &used, &proved, &expires, &v.Address, &v.Agent)
	v.Created, v.Used, v.Proved, v.Expires = fromMS(created), fromMS(used), fromMS(proved), fromMS(expires)
	return v, err
}

// AddSession stores a session, and forgets those that expired.
func (db *DB) AddSession(ctx context.Context, s Session, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.AddSession(%s)", s.ID)
	return db.audited(ctx, audit, func(tx *tx) error {
		if err := tx.exec("PurgeSessions", ms(db.now())); err != nil {
			return err
		}
		return tx.exec("AddSession", s.ID, s.Hash, s.Account, ms(db.or(s.Created)), ms(db.or(s.Used)), ms(s.Proved), ms(s.Expires), s.Address, s.Agent)
	})
}

// SessionByHash returns the session, expired ones too, or clyde.ErrNotFound.
func (db *DB) SessionByHash(ctx context.Context, hash []byte) (Session, error) {
	return one(db.row(ctx, "SessionByHash", hash), scanSession, "there is no such session")
}

// Sessions lists an account's sessions, newest first.
func (db *DB) Sessions(ctx context.Context, account int64) ([]Session, error) {
	return list(ctx, db, scanSession, "Sessions", account)
}

// RotateSession gives a session a new secret, and the time and place of the
// sign in that caused it. It is clyde.ErrNotFound when the session ended or
// another rotation came first.
func (db *DB) RotateSession(ctx context.Context, s Session, hash []byte, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.RotateSession(%s)", s.ID)
	return db.audited(ctx, audit, func(tx *tx) error {
		return mustAffect(tx, clyde.Errorf(clyde.ErrNotFound, "there is no such session"),
			"RotateSession", s.ID, s.Hash, hash, ms(db.or(s.Proved)), s.Address, s.Agent)
	})
}

// TouchSession sets Used and Address, cheaply. It never goes back.
func (db *DB) TouchSession(ctx context.Context, id string, at time.Time, address string) (err error) {
	defer clyde.Wrap(&err, "store.TouchSession(%s)", id)
	return db.write(ctx, relaxed, func(tx *tx) error { return tx.exec("TouchSession", id, ms(at), address) })
}

// DeleteSession ends one of an account's sessions.
func (db *DB) DeleteSession(ctx context.Context, account int64, id string, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.DeleteSession(%s)", id)
	return db.audited(ctx, audit, func(tx *tx) error {
		return mustAffect(tx, clyde.Errorf(clyde.ErrNotFound, "the account has no session %s", id), "DeleteSession", id, account)
	})
}

// DeleteSessions ends an account's sessions but the one named.
func (db *DB) DeleteSessions(ctx context.Context, account int64, but string, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.DeleteSessions(%d)", account)
	return db.audited(ctx, audit, func(tx *tx) error { return tx.exec("DeleteSessions", account, but) })
}

func scanDevice(s scanner) (d Device, err error) {
	var token, created, expires, polled int64
	err = s.Scan(&d.Hash, &d.UserCode, &d.TokenName, (*text)(&d.Scopes), &token, &d.State, &d.Account, &d.Address, &created, &expires, &polled)
	d.Token, d.Created, d.Expires, d.Polled = fromMS(token), fromMS(created), fromMS(expires), fromMS(polled)
	return d, err
}

// AddDevice stores a command line that waits, and forgets those that expired.
func (db *DB) AddDevice(ctx context.Context, d Device) (err error) {
	defer clyde.Wrap(&err, "store.AddDevice")
	return db.write(ctx, durable, func(tx *tx) error {
		if err := tx.exec("PurgeDevices", ms(db.now())); err != nil {
			return err
		}
		return tx.exec("AddDevice", d.Hash, d.UserCode, d.TokenName, string(d.Scopes), ms(d.Token), d.Address, ms(db.or(d.Created)), ms(d.Expires))
	})
}

// Device returns one by the hash of its device code, or clyde.ErrNotFound.
func (db *DB) Device(ctx context.Context, hash []byte) (Device, error) {
	return one(db.row(ctx, "Device", hash), scanDevice, "there is no such device code")
}

// DeviceByUserCode returns one by the code that a person types, or clyde.ErrNotFound.
func (db *DB) DeviceByUserCode(ctx context.Context, code string) (Device, error) {
	return one(db.row(ctx, "DeviceByUserCode", code), scanDevice, "no command line waits for the code %q", code)
}

// DecideDevice approves or denies a waiting one; clyde.ErrNotFound when it does
// not wait, or expired.
func (db *DB) DecideDevice(ctx context.Context, code, state string, account int64, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.DecideDevice")
	return db.audited(ctx, audit, func(tx *tx) error {
		return mustAffect(tx, clyde.Errorf(clyde.ErrNotFound, "no command line waits for the code %q", code),
			"DecideDevice", code, state, account, ms(db.now()))
	})
}

// PollDevice records that a command line asked.
func (db *DB) PollDevice(ctx context.Context, hash []byte, at time.Time) (err error) {
	defer clyde.Wrap(&err, "store.PollDevice")
	return db.write(ctx, relaxed, func(tx *tx) error { return tx.exec("PollDevice", hash, ms(at)) })
}

// FinishDevice stores the token of an approved command line, once.
// clyde.ErrNotFound when it is not approved, or has its token.
func (db *DB) FinishDevice(ctx context.Context, hash []byte, t Token, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.FinishDevice")
	return db.audited(ctx, audit, func(tx *tx) error {
		err := mustAffect(tx, clyde.Errorf(clyde.ErrNotFound, "there is no such device code"), "FinishDevice", hash, ms(db.now()))
		if err != nil {
			return err
		}
		return db.addToken(tx, t)
	})
}
