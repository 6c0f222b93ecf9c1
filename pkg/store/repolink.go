package store

import (
	"context"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// RepoLink is a repository of source code that a package is published from.
type RepoLink struct {
	Namespace    string
	Base         string
	ID           string
	Repository   string // OWNER/NAME, as it was called when it was linked
	RepositoryID string // the provider's number of it
	OwnerID      string
	By           string
	Account      int64
	Created      time.Time
}

// TagRun is a tag of a linked repository on its way to be a version.
type TagRun struct {
	Link     string // RepoLink.ID
	Tag      string
	State    string // waiting | failed | done
	Attempt  int
	Reason   string // why it failed, or waits
	Fix      string
	Version  string // that was published
	Received time.Time
	Next     time.Time // of a waiting one: not before
	Ended    time.Time
}

func scanRepoLink(s scanner) (l RepoLink, err error) {
	var created int64
	err = s.Scan(&l.Namespace, &l.Base, &l.ID, &l.Repository, &l.RepositoryID, &l.OwnerID, &l.By, &l.Account, &created)
	l.Created = fromMS(created)
	return l, err
}

func scanTagRun(s scanner) (r TagRun, err error) {
	var received, next, ended int64
	err = s.Scan(&r.Link, &r.Tag, &r.State, &r.Attempt, &r.Reason, &r.Fix, &r.Version, &received, &next, &ended)
	r.Received, r.Next, r.Ended = fromMS(received), fromMS(next), fromMS(ended)
	return r, err
}

// SaveRepoLink links a package, in place of what it was linked to before.
func (db *DB) SaveRepoLink(ctx context.Context, l RepoLink, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.SaveRepoLink(%s/%s)", l.Namespace, l.Base)
	return db.audited(ctx, audit, func(tx *tx) error {
		return tx.exec("SaveRepoLink", l.Namespace, l.Base, l.ID, l.Repository, l.RepositoryID, l.OwnerID, l.By, l.Account, ms(db.or(l.Created)))
	})
}

// RepoLink returns what a package is linked to, or clyde.ErrNotFound.
func (db *DB) RepoLink(ctx context.Context, namespace, base string) (RepoLink, error) {
	return one(db.row(ctx, "RepoLink", namespace, base), scanRepoLink, "@%s/%s is linked to no repository", namespace, base)
}

// RepoLinkByID returns a link, or clyde.ErrNotFound.
func (db *DB) RepoLinkByID(ctx context.Context, id string) (RepoLink, error) {
	return one(db.row(ctx, "RepoLinkByID", id), scanRepoLink, "there is no linked repository %s", id)
}

// RemoveRepoLink ends a link, with what is known of its tags.
func (db *DB) RemoveRepoLink(ctx context.Context, l RepoLink, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.RemoveRepoLink(%s/%s)", l.Namespace, l.Base)
	return db.audited(ctx, audit, func(tx *tx) error {
		if err := tx.exec("RemoveTagRuns", l.ID); err != nil {
			return err
		}
		return tx.exec("RemoveRepoLink", l.Namespace, l.Base)
	})
}

// QueueTag has a tag published, unless it was.
func (db *DB) QueueTag(ctx context.Context, link, tag string, at time.Time) (err error) {
	defer clyde.Wrap(&err, "store.QueueTag(%s)", link)
	return db.write(ctx, durable, func(tx *tx) error { return tx.exec("QueueTag", link, tag, ms(at)) })
}

// ClaimTag takes a tag that is due, for as long as the lease; clyde.ErrNotFound
// where none is.
func (db *DB) ClaimTag(ctx context.Context, at time.Time, lease time.Duration) (r TagRun, err error) {
	if r, err = one(db.row(ctx, "DueTag", ms(at)), scanTagRun, "no tag is due"); err != nil {
		return r, err
	}
	taken := clyde.Errorf(clyde.ErrNotFound, "the tag is taken")
	err = db.write(ctx, durable, func(tx *tx) error {
		return mustAffect(tx, taken, "ClaimTag", r.Link, r.Tag, ms(r.Next), ms(at.Add(lease)))
	})
	r.Attempt++
	return r, err
}

// EndTag stores what became of a tag.
func (db *DB) EndTag(ctx context.Context, r TagRun) (err error) {
	defer clyde.Wrap(&err, "store.EndTag(%s)", r.Link)
	return db.write(ctx, durable, func(tx *tx) error {
		return tx.exec("EndTag", r.Link, r.Tag, r.State, r.Reason, r.Fix, r.Version, ms(r.Next), ms(r.Ended))
	})
}

// TagRuns lists the tags of a link, newest first, n at most.
func (db *DB) TagRuns(ctx context.Context, link string, n int) ([]TagRun, error) {
	return list(ctx, db, scanTagRun, "TagRuns", link, n)
}
