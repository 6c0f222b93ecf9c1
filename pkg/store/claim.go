package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func scanClaim(s scanner) (c Claim, err error) {
	var lease, committed int64
	err = s.Scan(&c.Repo, &c.VersionKey, &c.Version, &c.Digest, &c.Actor, &lease, &committed)
	c.Lease, c.Committed = fromMS(lease), fromMS(committed)
	return c, err
}

// Reserve claims (repo, key) for digest until lease from now has passed. The
// same digest again is no error (and renews the lease while uncommitted).
// Another digest, while the claim is committed or its lease runs, is
// clyde.ErrConflict with code "version_exists" (committed) or
// "version_reserved" (a push in progress) and both digests in the message. An
// expired, uncommitted claim is taken over.
//
// It does not wait for the disk: after a power cut a reservation may be gone,
// which Commit mends.
func (db *DB) Reserve(ctx context.Context, c Claim, lease time.Duration) (err error) {
	defer clyde.Wrap(&err, "store.Reserve(%s, %s)", c.Repo, c.VersionKey)
	return db.write(ctx, relaxed, func(tx *tx) error {
		now := db.now()
		n, err := tx.affect("Reserve", c.Repo, c.VersionKey, c.Version, c.Digest, c.Actor, ms(now.Add(lease)), ms(now))
		if err != nil || n == 1 {
			return err
		}
		held, err := scanClaim(tx.row("Claim", c.Repo, c.VersionKey))
		if err != nil || held.Digest == c.Digest {
			return err
		}
		return taken(held, c.Digest)
	})
}

// taken says why digest cannot have the version, or the build, that held has.
func taken(held Claim, digest string) error {
	what, again := "version", "publish it under a new version"
	if strings.Contains(held.VersionKey, buildMark) {
		what, again = "build", "attach it to a new version, or build it for another platform"
	}
	if held.Committed.IsZero() {
		return clyde.Errorf(clyde.ErrConflict,
			"%s %s of %s is being published as %s; %s is other content",
			what, held.Version, packageName(held.Repo), held.Digest, digest).
			WithCode("version_reserved").
			Fix("wait for that push to end, then try again")
	}
	return clyde.Errorf(clyde.ErrConflict,
		"%s %s of %s is already published as %s; %s is other content, and a %s never changes",
		what, held.Version, packageName(held.Repo), held.Digest, digest, what).
		WithCode("version_exists").
		Fix("%s", again)
}

// Unreserve gives an uncommitted claim of that digest up. It is no error when
// there is none.
func (db *DB) Unreserve(ctx context.Context, repo, key, digest string) (err error) {
	defer clyde.Wrap(&err, "store.Unreserve(%s, %s)", repo, key)
	return db.write(ctx, relaxed, func(tx *tx) error {
		return tx.exec("Unreserve", repo, key, digest)
	})
}

// Claim returns the claim, or clyde.ErrNotFound.
func (db *DB) Claim(ctx context.Context, repo, key string) (Claim, error) {
	return one(db.row(ctx, "Claim", repo, key), scanClaim, "%s has no version %s", packageName(repo), key)
}

// Claims lists a repository's claims after the given version key, in the
// order of the keys' bytes, at most n.
func (db *DB) Claims(ctx context.Context, repo, after string, n int) ([]Claim, error) {
	return list(ctx, db, scanClaim, "Claims", repo, after, n)
}

// RestoreClaim puts a claim back unless one is there.
func (db *DB) RestoreClaim(ctx context.Context, c Claim) (err error) {
	defer clyde.Wrap(&err, "store.RestoreClaim(%s, %s)", c.Repo, c.VersionKey)
	return db.write(ctx, relaxed, func(tx *tx) error {
		return tx.exec("RestoreClaim", c.Repo, c.VersionKey, c.Version, c.Digest, c.Actor, ms(c.Lease), ms(c.Committed))
	})
}

// OtherSpelling returns the repository, other than repo, that holds a version
// or a running reservation under a name of the same clyde.Name.Identity, or "".
func (db *DB) OtherSpelling(ctx context.Context, repo string) (string, error) {
	other, err := scanString(db.row(ctx, "OtherSpelling", nameOf(repo).Identity(), repo, ms(db.now())))
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return other, err
}

// HasVersions reports whether a version of the package was ever published.
func (db *DB) HasVersions(ctx context.Context, repo string) (ok bool, err error) {
	err = db.row(ctx, "HasVersions", repo).Scan(&ok)
	return ok, err
}
