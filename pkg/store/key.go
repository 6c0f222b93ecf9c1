package store

import (
	"context"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func scanKey(s scanner) (k Key, err error) {
	var created, revoked int64
	err = s.Scan(&k.Namespace, &k.Name, &k.PEM, &k.Fingerprint, &k.By, &created, &revoked)
	k.Created, k.Revoked = fromMS(created), fromMS(revoked)
	return k, err
}

// AddKey registers a public key, with an audit line. The same key again
// replaces its row, and puts a revoked one in force.
func (db *DB) AddKey(ctx context.Context, k Key, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.AddKey(%s)", k.Namespace)
	return db.write(ctx, durable, func(tx *tx) error {
		err := tx.exec("AddKey", k.Namespace, k.Fingerprint, k.Name, k.PEM, k.By, ms(db.or(k.Created)), ms(k.Revoked))
		if err != nil {
			return err
		}
		return db.addAudit(tx, audit)
	})
}

// Keys lists a namespace's keys, revoked ones too, oldest first.
func (db *DB) Keys(ctx context.Context, namespace string) ([]Key, error) {
	return list(ctx, db, scanKey, "Keys", namespace)
}

// RevokeKey revokes a key by fingerprint, with an audit line;
// clyde.ErrNotFound when there is none.
func (db *DB) RevokeKey(ctx context.Context, namespace, fingerprint string, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.RevokeKey(%s)", namespace)
	return db.write(ctx, durable, func(tx *tx) error {
		n, err := tx.affect("RevokeKey", namespace, fingerprint, ms(db.now()))
		if err != nil {
			return err
		}
		if n == 0 {
			return clyde.Errorf(clyde.ErrNotFound, "namespace @%s has no key %s", namespace, fingerprint)
		}
		return db.addAudit(tx, audit)
	})
}

// AddNamespace makes a namespace exist; again is no error.
func (db *DB) AddNamespace(ctx context.Context, name, by string) (err error) {
	defer clyde.Wrap(&err, "store.AddNamespace(%s)", name)
	// Each push asks; all but the first find it and write nothing.
	if ok, err := db.HasNamespace(ctx, name); err != nil || ok {
		return err
	}
	return db.write(ctx, durable, func(tx *tx) error {
		return db.addNamespace(tx, name, by)
	})
}

// HasNamespace reports whether it exists.
func (db *DB) HasNamespace(ctx context.Context, name string) (ok bool, err error) {
	err = db.row(ctx, "HasNamespace", name).Scan(&ok)
	return ok, err
}
