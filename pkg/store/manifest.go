package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func scanManifest(s scanner) (m Manifest, err error) {
	var pushed int64
	var annotations, refs []byte
	if err := s.Scan(&m.Repo, &m.Digest, &m.MediaType, &m.ArtifactType, &m.Size, &m.Subject,
		&pushed, &annotations, &refs); err != nil {
		return m, err
	}
	m.Pushed = fromMS(pushed)
	if err := json.Unmarshal(annotations, &m.Annotations); err != nil {
		return m, err
	}
	return m, json.Unmarshal(refs, &m.Refs)
}

func scanTag(s scanner) (t Tag, err error) {
	var updated int64
	err = s.Scan(&t.Repo, &t.Tag, &t.Digest, &t.MediaType, &t.Size, &updated)
	t.Updated = fromMS(updated)
	return t, err
}

// Commit records a stored manifest: manifest row, referrer row, tag row, the
// claim's commit and the inbox event, all or nothing, durable on return.
// Concurrent commits share a sync. A claim that belongs to another digest by
// now is clyde.ErrConflict and nothing is written. It returns the event's ID,
// 0 without an event.
func (db *DB) Commit(ctx context.Context, c Commit) (id int64, err error) {
	defer clyde.Wrap(&err, "store.Commit(%s, %s)", c.Manifest.Repo, c.Manifest.Digest)
	var tags []string
	if c.Tag != "" {
		tags = []string{c.Tag}
	}
	put, err := db.putManifest(c.Manifest, tags)
	if err != nil {
		return 0, err
	}
	if c.Hold != "" {
		defer db.held.forget()
	}
	err = db.write(ctx, durable, func(tx *tx) error {
		if c.VersionKey != "" {
			if err := db.commitClaim(tx, c); err != nil {
				return err
			}
		}
		if c.Hold != "" {
			if err := tx.exec("Hold", c.Manifest.Repo, c.Manifest.Digest, c.Hold, ms(db.now())); err != nil {
				return err
			}
		}
		if err := put(tx); err != nil {
			return err
		}
		if c.Event.Repo == "" {
			return nil
		}
		id, err = db.putEvent(tx, c.Event)
		return err
	})
	if err != nil {
		return 0, err
	}
	return id, nil
}

func (db *DB) commitClaim(tx *tx, c Commit) error {
	repo, digest := c.Manifest.Repo, c.Manifest.Digest
	held, err := scanClaim(tx.row("Claim", repo, c.VersionKey))
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	n, err := tx.affect("CommitClaim", repo, c.VersionKey, c.Tag, digest, c.Actor, ms(db.now()))
	if err != nil {
		return err
	}
	if n == 1 {
		if held.Committed.IsZero() {
			if err := db.addAudit(tx, c.Audit); err != nil {
				return err
			}
		}
		p := c.Publication
		if p.Account == 0 && p.Token == "" {
			return nil
		}
		p.Repo, p.VersionKey = repo, c.VersionKey
		if err := db.addPublication(tx, p); err != nil {
			return err
		}
		return db.usedPublisher(tx, p.Run)
	}
	return taken(held, digest)
}

// putManifest encodes outside the transaction, which others wait for.
func (db *DB) putManifest(m Manifest, tags []string) (func(*tx) error, error) {
	annotations, err := json.Marshal(m.Annotations)
	if err != nil {
		return nil, err
	}
	refs, err := json.Marshal(m.Refs)
	if err != nil {
		return nil, err
	}
	return func(tx *tx) error {
		pushed := ms(db.or(m.Pushed))
		n, err := tx.affect("AddManifest", m.Repo, m.Digest, m.MediaType, m.ArtifactType, m.Size, m.Subject,
			pushed, string(annotations), string(refs))
		if err != nil {
			return err
		}
		if n == 1 {
			if err := tx.exec("CountManifest", m.Repo); err != nil {
				return err
			}
		}
		for _, t := range tags {
			if err := tx.exec("PutTag", m.Repo, t, m.Digest, m.MediaType, m.Size, ms(db.now())); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// Manifest returns the manifest's row, or clyde.ErrNotFound.
func (db *DB) Manifest(ctx context.Context, repo, digest string) (Manifest, error) {
	return one(db.row(ctx, "Manifest", repo, digest), scanManifest, "%s has no manifest %s", repo, digest)
}

// Manifests lists a repository's manifests by digest, after the given one, at most n.
func (db *DB) Manifests(ctx context.Context, repo, after string, n int) ([]Manifest, error) {
	return list(ctx, db, scanManifest, "Manifests", repo, after, n)
}

// ManifestsSince lists what was pushed at t or later, in any repository.
func (db *DB) ManifestsSince(ctx context.Context, t time.Time) ([]Manifest, error) {
	return list(ctx, db, scanManifest, "ManifestsSince", ms(t))
}

// Tag returns what the tag means, or clyde.ErrNotFound.
func (db *DB) Tag(ctx context.Context, repo, tag string) (Tag, error) {
	return one(db.row(ctx, "Tag", repo, tag), scanTag, "%s has no tag %s", repo, tag)
}

// Tags lists tags after the given one in lexical order, at most n.
func (db *DB) Tags(ctx context.Context, repo, after string, n int) ([]Tag, error) {
	return list(ctx, db, scanTag, "Tags", repo, after, n)
}

// Referrers lists manifests whose subject is digest, by digest, after the
// given one, at most n; artifactType "" means any.
func (db *DB) Referrers(ctx context.Context, repo, subject, artifactType, after string, n int) ([]Manifest, error) {
	if artifactType == "" {
		return list(ctx, db, scanManifest, "Referrers", repo, subject, after, n)
	}
	return list(ctx, db, scanManifest, "ReferrersByType", repo, subject, artifactType, after, n)
}

// Repos lists repositories that hold a manifest, after the given one, at most n.
func (db *DB) Repos(ctx context.Context, after string, n int) ([]string, error) {
	return list(ctx, db, scanString, "Repos", after, n)
}

// HasRepo reports whether the repository holds or held a manifest.
func (db *DB) HasRepo(ctx context.Context, repo string) (ok bool, err error) {
	err = db.row(ctx, "HasRepo", repo).Scan(&ok)
	return ok, err
}

// DeleteTag removes the tag and writes ev unless its Repo is "";
// clyde.ErrNotFound when absent.
func (db *DB) DeleteTag(ctx context.Context, repo, tag string, ev clyde.Event) (err error) {
	defer clyde.Wrap(&err, "store.DeleteTag(%s, %s)", repo, tag)
	return db.write(ctx, durable, func(tx *tx) error {
		n, err := tx.affect("DeleteTag", repo, tag)
		if err != nil {
			return err
		}
		if n == 0 {
			return clyde.Errorf(clyde.ErrNotFound, "%s has no tag %s", repo, tag)
		}
		return db.putEventIf(tx, ev)
	})
}

// DeleteManifest removes the manifest, its tags and its referrer row, and
// writes ev unless its Repo is ""; clyde.ErrNotFound when absent.
func (db *DB) DeleteManifest(ctx context.Context, repo, digest string, ev clyde.Event) (err error) {
	defer clyde.Wrap(&err, "store.DeleteManifest(%s, %s)", repo, digest)
	return db.write(ctx, durable, func(tx *tx) error {
		n, err := tx.affect("DeleteManifest", repo, digest)
		if err != nil {
			return err
		}
		if n == 0 {
			return clyde.Errorf(clyde.ErrNotFound, "%s has no manifest %s", repo, digest)
		}
		if err := tx.exec("UncountManifest", repo); err != nil {
			return err
		}
		if err := tx.exec("DeleteTagsOf", repo, digest); err != nil {
			return err
		}
		return db.putEventIf(tx, ev)
	})
}

// RestoreManifest puts back what reindex read from storage: manifest, referrer and tag rows, no event.
func (db *DB) RestoreManifest(ctx context.Context, m Manifest, tags []string) (err error) {
	defer clyde.Wrap(&err, "store.RestoreManifest(%s, %s)", m.Repo, m.Digest)
	put, err := db.putManifest(m, tags)
	if err != nil {
		return err
	}
	return db.write(ctx, relaxed, put)
}
