package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// audited runs fn and appends the audit line in one durable transaction.
func (db *DB) audited(ctx context.Context, audit AuditEntry, fn func(*tx) error) error {
	return db.write(ctx, durable, func(tx *tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return db.addAudit(tx, audit)
	})
}

// mustAffect is affect that says what is missing when no row was changed.
func mustAffect(tx *tx, missing error, name string, args ...any) error {
	n, err := tx.affect(name, args...)
	if err == nil && n == 0 {
		return missing
	}
	return err
}

func scanAccount(s scanner) (a Account, err error) {
	var suspended, created int64
	err = s.Scan(&a.ID, &a.Login, &a.Name, &a.Email, &a.Avatar, &a.Admin, &suspended, &a.SuspendedWhy, &a.Password, &created)
	a.Suspended, a.Created = fromMS(suspended), fromMS(created)
	return a, err
}

func scanIdentity(s scanner) (i Identity, err error) {
	var created, used int64
	err = s.Scan(&i.Issuer, &i.Subject, &i.Account, &i.Login, &created, &used)
	i.Created, i.Used = fromMS(created), fromMS(used)
	return i, err
}

func noAccount(id int64) error { return clyde.Errorf(clyde.ErrNotFound, "there is no account %d", id) }

// AddAccount makes an account, with the identity it is bound to unless that is
// nil, and returns it with its ID. A login that is taken is clyde.ErrConflict
// with code "login_taken"; an identity that is bound already, "identity_taken".
func (db *DB) AddAccount(ctx context.Context, a Account, id *Identity, audit AuditEntry) (_ Account, err error) {
	defer clyde.Wrap(&err, "store.AddAccount(%s)", a.Login)
	a.Created = fromMS(ms(db.or(a.Created)))
	err = db.audited(ctx, audit, func(tx *tx) error {
		err := tx.row("AddAccount", a.Login, a.Name, a.Email, a.Avatar, a.Admin, a.Password, ms(a.Created)).Scan(&a.ID)
		if errors.Is(err, sql.ErrNoRows) {
			return clyde.Errorf(clyde.ErrConflict, "the login %s is taken", a.Login).WithCode("login_taken").Fix("Choose another.")
		}
		if err != nil || id == nil {
			return err
		}
		return addIdentity(tx, *id, a.ID, a.Created)
	})
	return a, err
}

func addIdentity(tx *tx, i Identity, account int64, at time.Time) error {
	taken := clyde.Errorf(clyde.ErrConflict, "%s at %s signs in to an account already", i.Login, i.Issuer).WithCode("identity_taken")
	return mustAffect(tx, taken, "AddIdentity", i.Issuer, i.Subject, account, i.Login, ms(at))
}

// AddIdentity lets one more identity sign in to an account.
func (db *DB) AddIdentity(ctx context.Context, i Identity, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.AddIdentity(%s)", i.Issuer)
	return db.audited(ctx, audit, func(tx *tx) error { return addIdentity(tx, i, i.Account, db.or(i.Created)) })
}

// RemoveIdentity ends that an identity signs in to the account.
func (db *DB) RemoveIdentity(ctx context.Context, i Identity, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.RemoveIdentity(%s)", i.Issuer)
	return db.audited(ctx, audit, func(tx *tx) error {
		return mustAffect(tx, clyde.Errorf(clyde.ErrNotFound, "the account has no such identity"), "RemoveIdentity", i.Issuer, i.Subject, i.Account)
	})
}

// Identity finds whom the provider's subject signs in as, or clyde.ErrNotFound.
func (db *DB) Identity(ctx context.Context, issuer, subject string) (Identity, error) {
	return one(db.row(ctx, "Identity", issuer, subject), scanIdentity, "nobody signs in with that identity")
}

// Identities lists how an account signs in.
func (db *DB) Identities(ctx context.Context, account int64) ([]Identity, error) {
	return list(ctx, db, scanIdentity, "Identities", account)
}

// TouchIdentity records a sign in and the login there, cheaply.
func (db *DB) TouchIdentity(ctx context.Context, issuer, subject, login string, at time.Time) (err error) {
	defer clyde.Wrap(&err, "store.TouchIdentity(%s)", issuer)
	return db.write(ctx, relaxed, func(tx *tx) error { return tx.exec("TouchIdentity", issuer, subject, login, ms(at)) })
}

// Account returns an account, or clyde.ErrNotFound.
func (db *DB) Account(ctx context.Context, id int64) (Account, error) {
	return one(db.row(ctx, "Account", id), scanAccount, "there is no account %d", id)
}

// AccountByLogin returns an account, or clyde.ErrNotFound.
func (db *DB) AccountByLogin(ctx context.Context, login string) (Account, error) {
	return one(db.row(ctx, "AccountByLogin", login), scanAccount, "there is no account %q", login)
}

// Accounts lists accounts after a login, by login, at most n.
func (db *DB) Accounts(ctx context.Context, after string, n int) ([]Account, error) {
	return list(ctx, db, scanAccount, "Accounts", after, n)
}

// SaveProfile sets the name, address of mail and picture of the account a.ID.
func (db *DB) SaveProfile(ctx context.Context, a Account, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.SaveProfile(%d)", a.ID)
	return db.audited(ctx, audit, func(tx *tx) error {
		return mustAffect(tx, noAccount(a.ID), "SaveProfile", a.ID, a.Name, a.Email, a.Avatar)
	})
}

// SetPassword sets a password's PHC string, "" for none, and ends every
// session but keep.
func (db *DB) SetPassword(ctx context.Context, account int64, phc, keep string, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.SetPassword(%d)", account)
	return db.audited(ctx, audit, func(tx *tx) error {
		if err := mustAffect(tx, noAccount(account), "SetPassword", account, phc); err != nil {
			return err
		}
		return tx.exec("DeleteSessions", account, keep)
	})
}

// SetAdmin makes an account an administrator, or ends that, and ends its sessions.
func (db *DB) SetAdmin(ctx context.Context, account int64, admin bool, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.SetAdmin(%d)", account)
	return db.audited(ctx, audit, func(tx *tx) error {
		if err := mustAffect(tx, noAccount(account), "SetAccountAdmin", account, admin); err != nil {
			return err
		}
		return tx.exec("DeleteSessions", account, "")
	})
}

// Suspend suspends an account from at, or, with at zero, lifts that. It ends
// the account's sessions; its tokens stay, and are refused while it lasts.
func (db *DB) Suspend(ctx context.Context, account int64, at time.Time, why string, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.Suspend(%d)", account)
	return db.audited(ctx, audit, func(tx *tx) error {
		if err := mustAffect(tx, noAccount(account), "SuspendAccount", account, ms(at), why); err != nil {
			return err
		}
		return tx.exec("DeleteSessions", account, "")
	})
}
