package store

import (
	"context"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func scanToken(s scanner) (t Token, err error) {
	var created, expires, used, revoked int64
	err = s.Scan(&t.ID, &t.Hash, &t.Prefix, &t.Name, &t.Admin, &t.Scopes, &created, &expires, &used, &revoked,
		&t.Account, (*text)(&t.Networks), (*text)(&t.Run))
	t.Created, t.Expires, t.LastUsed, t.Revoked = fromMS(created), fromMS(expires), fromMS(used), fromMS(revoked)
	return t, err
}

// AddToken stores a token, with an audit line.
func (db *DB) AddToken(ctx context.Context, t Token, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.AddToken(%s)", t.ID)
	return db.write(ctx, durable, func(tx *tx) error {
		if err := db.addToken(tx, t); err != nil {
			return err
		}
		return db.addAudit(tx, audit)
	})
}

func (db *DB) addToken(tx *tx, t Token) error {
	return tx.exec("AddToken", t.ID, t.Hash, t.Prefix, t.Name, t.Admin, bytesOf(t.Scopes),
		ms(db.or(t.Created)), ms(t.Expires), ms(t.LastUsed), ms(t.Revoked), t.Account, string(t.Networks), string(t.Run))
}

// Token returns a token by its ID, or clyde.ErrNotFound.
func (db *DB) Token(ctx context.Context, id string) (Token, error) {
	return one(db.row(ctx, "Token", id), scanToken, "there is no token %s", id)
}

// TokensOf lists an account's tokens, newest first.
func (db *DB) TokensOf(ctx context.Context, account int64) ([]Token, error) {
	return list(ctx, db, scanToken, "TokensOf", account)
}

// PurgeRunTokens forgets the tokens of CI runs that expired by then.
func (db *DB) PurgeRunTokens(ctx context.Context, by time.Time) (err error) {
	defer clyde.Wrap(&err, "store.PurgeRunTokens")
	return db.write(ctx, relaxed, func(tx *tx) error { return tx.exec("PurgeRunTokens", ms(by)) })
}

// text scans a column of text into bytes; "" is nil.
type text []byte

// Scan implements sql.Scanner.
func (t *text) Scan(v any) error {
	*t = nil
	switch v := v.(type) {
	case string:
		if v != "" {
			*t = text(v)
		}
	case []byte:
		*t = append(*t, v...)
	}
	return nil
}

// TokenByHash returns the token, revoked and expired ones too, or clyde.ErrNotFound.
func (db *DB) TokenByHash(ctx context.Context, hash []byte) (Token, error) {
	return one(db.row(ctx, "TokenByHash", hash), scanToken, "there is no such token")
}

// Tokens lists every token, newest first.
func (db *DB) Tokens(ctx context.Context) ([]Token, error) {
	return list(ctx, db, scanToken, "Tokens")
}

// RevokeToken revokes by ID, with an audit line; clyde.ErrNotFound when there
// is none. Revoking again keeps the first time.
func (db *DB) RevokeToken(ctx context.Context, id string, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.RevokeToken(%s)", id)
	return db.write(ctx, durable, func(tx *tx) error {
		n, err := tx.affect("RevokeToken", id, ms(db.now()))
		if err != nil {
			return err
		}
		if n == 0 {
			return clyde.Errorf(clyde.ErrNotFound, "there is no token %s", id)
		}
		return db.addAudit(tx, audit)
	})
}

// TouchToken sets LastUsed, cheaply (no sync). It never goes back.
func (db *DB) TouchToken(ctx context.Context, id string, at time.Time) (err error) {
	defer clyde.Wrap(&err, "store.TouchToken(%s)", id)
	return db.write(ctx, relaxed, func(tx *tx) error { return tx.exec("TouchToken", id, ms(at)) })
}
