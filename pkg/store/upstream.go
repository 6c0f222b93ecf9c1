package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// UpstreamNamespace is a namespace whose packages live in a registry that
// somebody else runs: our own.
type UpstreamNamespace struct {
	Namespace string
	Host      string // host[:port] of the registry
	Prefix    string // of its repositories, before namespace/name; usually ""
	Created   time.Time
}

// UpstreamRepo is a repository of such a registry that holds a package: our own.
type UpstreamRepo struct {
	Repo   string // "acme/zlib"
	Host   string
	Hidden bool // only our credentials can read it
	Seen   time.Time
}

// UpstreamSweep is where the sweep of a registry stands. Losing it costs a sweep.
type UpstreamSweep struct {
	Host     string
	Position string    // the last repository that was looked at; "" before the first
	Started  time.Time // zero: it does not run
	Finished time.Time // of the last whole one; zero: none
	Problem  string    // why the last one did not end, or ""
}

// maxUpstreamProblems bounds the answer of Problems. Ours: what a person reads.
const maxUpstreamProblems = 50

// belowNamespace are the bounds of the repositories of a namespace: "0" is the
// byte after "/".
func belowNamespace(ns string) (from, to string) { return ns + "/", ns + "0" }

func scanUpstreamNamespace(s scanner) (n UpstreamNamespace, err error) {
	var created int64
	err = s.Scan(&n.Namespace, &n.Host, &n.Prefix, &created)
	n.Created = fromMS(created)
	return n, err
}

// BindNamespace makes a namespace come from one foreign registry, and exist.
// Again is no error. One that comes from another registry, or has versions or
// an owner here, is clyde.ErrConflict with code "namespace_bound".
func (db *DB) BindNamespace(ctx context.Context, n UpstreamNamespace, by string) (err error) {
	defer clyde.Wrap(&err, "store.BindNamespace(%s)", n.Namespace)
	if was, err := db.UpstreamNamespace(ctx, n.Namespace); err == nil && was.Host == n.Host {
		return nil // the usual case, without the writer's turn
	}
	return db.write(ctx, durable, func(tx *tx) error {
		was, err := scanUpstreamNamespace(tx.row("UpstreamNamespace", n.Namespace))
		switch {
		case err == nil && was.Host == n.Host:
			return nil
		case err == nil:
			return bound(n.Namespace, was.Host, n.Host)
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		from, to := belowNamespace(n.Namespace)
		var used bool
		if err := tx.row("NamespaceHasVersions", from, to).Scan(&used); err != nil {
			return err
		}
		own, err := scanNamespace(tx.row("Namespace", n.Namespace))
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if used || err == nil && own.Owner.Kind != OwnerNone {
			return bound(n.Namespace, "this registry", n.Host)
		}
		if err := db.addNamespace(tx, n.Namespace, by); err != nil {
			return err
		}
		return tx.exec("BindNamespace", n.Namespace, n.Host, n.Prefix, ms(db.or(n.Created)))
	})
}

func bound(ns, home, other string) error {
	return clyde.Errorf(clyde.ErrConflict, "the namespace @%s comes from %s, and from nowhere else; what %s has under that name is not taken", ns, home, other).
		WithCode("namespace_bound").Fix("Use another namespace at %s, or have an administrator bind @%s there.", other, ns)
}

// UpstreamNamespace returns where a namespace comes from, or clyde.ErrNotFound
// for one that does not come from elsewhere.
func (db *DB) UpstreamNamespace(ctx context.Context, ns string) (UpstreamNamespace, error) {
	return one(db.row(ctx, "UpstreamNamespace", ns), scanUpstreamNamespace, "the namespace @%s comes from no other registry", ns)
}

// UpstreamNamespaces lists all of them, by name.
func (db *DB) UpstreamNamespaces(ctx context.Context) ([]UpstreamNamespace, error) {
	return list(ctx, db, scanUpstreamNamespace, "UpstreamNamespaces")
}

// NamespaceIsPublic reports whether a version in the namespace can be seen by
// everybody.
func (db *DB) NamespaceIsPublic(ctx context.Context, ns string) (ok bool, err error) {
	from, to := belowNamespace(ns)
	err = db.row(ctx, "NamespaceIsPublic", from, to).Scan(&ok)
	return ok, err
}

func scanUpstreamRepo(s scanner) (r UpstreamRepo, err error) {
	var seen int64
	err = s.Scan(&r.Repo, &r.Host, &r.Hidden, &seen)
	r.Seen = fromMS(seen)
	return r, err
}

// UpstreamRepo returns what is known of a foreign repository, or clyde.ErrNotFound.
func (db *DB) UpstreamRepo(ctx context.Context, repo string) (UpstreamRepo, error) {
	return one(db.row(ctx, "UpstreamRepo", repo), scanUpstreamRepo, "%s is no repository of another registry", repo)
}

// UpstreamRepos lists the known repositories of a registry after the given one,
// at most n.
func (db *DB) UpstreamRepos(ctx context.Context, host, after string, n int) ([]UpstreamRepo, error) {
	return list(ctx, db, scanUpstreamRepo, "UpstreamRepos", host, after, n)
}

// SaveUpstreamRepo stores r and lets its package be seen by everybody, or not:
// what is hidden becomes private, and what was private only because it was
// hidden becomes public. It reports whether that changed.
func (db *DB) SaveUpstreamRepo(ctx context.Context, r UpstreamRepo) (changed bool, err error) {
	defer clyde.Wrap(&err, "store.SaveUpstreamRepo(%s)", r.Repo)
	err = db.write(ctx, durable, func(tx *tx) error {
		was, err := scanUpstreamRepo(tx.row("UpstreamRepo", r.Repo))
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err := tx.exec("SaveUpstreamRepo", r.Repo, r.Host, r.Hidden, ms(db.or(r.Seen))); err != nil {
			return err
		}
		if !r.Hidden && !was.Hidden {
			return nil // what its owner decided here stays
		}
		set, err := scanSetting(tx.row("Setting", r.Repo))
		if errors.Is(err, sql.ErrNoRows) {
			set, err = Setting{Repo: r.Repo}, nil
		}
		if err != nil || set.Private == r.Hidden {
			return err
		}
		changed = true
		err = counted(tx, r.Repo, func() error {
			return tx.exec("SaveSetting", r.Repo, r.Hidden, set.Deprecated, set.ReplacedBy)
		})
		if err != nil {
			return err
		}
		return db.record(tx, Change{}, AuditEntry{
			Time: db.now(), Actor: "registry:" + r.Host, Action: "package.access", Resource: "@" + r.Repo,
			Detail: fmt.Sprintf(`{"private":%t,"by":"registry"}`, r.Hidden),
		})
	})
	return changed, err
}

// NoteMissing notes that a registry answered at that time that a version's digest
// is gone, and returns when it did so first.
func (db *DB) NoteMissing(ctx context.Context, repo, key, digest string, at time.Time) (first time.Time, err error) {
	defer clyde.Wrap(&err, "store.NoteMissing(%s, %s)", repo, key)
	err = db.write(ctx, relaxed, func(tx *tx) error {
		if err := tx.exec("NoteMissing", repo, key, digest, ms(at)); err != nil {
			return err
		}
		var since int64
		err := tx.row("Missing", repo, key, digest).Scan(&since)
		first = fromMS(since)
		return err
	})
	return first, err
}

// ForgetMissing takes NoteMissing back: the digest is there.
func (db *DB) ForgetMissing(ctx context.Context, repo, key string) (err error) {
	defer clyde.Wrap(&err, "store.ForgetMissing(%s, %s)", repo, key)
	return db.write(ctx, relaxed, func(tx *tx) error { return tx.exec("ForgetMissing", repo, key) })
}

func scanUpstreamSweep(s scanner) (w UpstreamSweep, err error) {
	var started, finished int64
	err = s.Scan(&w.Host, &w.Position, &started, &finished, &w.Problem)
	w.Started, w.Finished = fromMS(started), fromMS(finished)
	return w, err
}

// UpstreamSweep returns where the sweep of a registry stands; zero but for Host
// before the first.
func (db *DB) UpstreamSweep(ctx context.Context, host string) (UpstreamSweep, error) {
	w, err := scanUpstreamSweep(db.row(ctx, "UpstreamSweep", host))
	if errors.Is(err, sql.ErrNoRows) {
		return UpstreamSweep{Host: host}, nil
	}
	return w, err
}

// SaveUpstreamSweep stores it.
func (db *DB) SaveUpstreamSweep(ctx context.Context, w UpstreamSweep) (err error) {
	defer clyde.Wrap(&err, "store.SaveUpstreamSweep(%s)", w.Host)
	return db.write(ctx, relaxed, func(tx *tx) error {
		return tx.exec("SaveUpstreamSweep", w.Host, w.Position, ms(w.Started), ms(w.Finished), clip(w.Problem))
	})
}

// PutDelivery stores what one notification reports; it is durable on return. A
// notification whose identifier ("" has none) the endpoint has delivered before
// stores nothing and reports false. An event that an equal one waits for already
// is left out: whoever works on that one reads what this one is about.
func (db *DB) PutDelivery(ctx context.Context, endpoint, id string, evs []clyde.Event) (fresh bool, err error) {
	defer clyde.Wrap(&err, "store.PutDelivery(%s, %s)", endpoint, id)
	err = db.write(ctx, durable, func(tx *tx) error {
		fresh = true
		if id != "" {
			n, err := tx.affect("AddDelivery", endpoint, id, ms(db.now()))
			if err != nil || n == 0 {
				fresh = false
				return err
			}
		}
		for _, ev := range evs {
			var same bool
			if err := tx.row("SameWaiting", ev.Repo, ev.Source, string(ev.Action), ev.Tag, ev.Digest).Scan(&same); err != nil {
				return err
			}
			if same {
				continue
			}
			if _, err := db.putEvent(tx, ev); err != nil {
				return err
			}
		}
		return nil
	})
	return fresh, err
}

// PurgeDeliveries forgets identifiers received before the given time.
func (db *DB) PurgeDeliveries(ctx context.Context, before time.Time) (n int64, err error) {
	defer clyde.Wrap(&err, "store.PurgeDeliveries")
	err = db.write(ctx, relaxed, func(tx *tx) error {
		n, err = tx.affect("PurgeDeliveries", ms(before))
		return err
	})
	return n, err
}

// Problems lists what could not be taken of a repository, newest first.
func (db *DB) Problems(ctx context.Context, repo string) ([]InboxItem, error) {
	return list(ctx, db, scanItem, "ParkedOf", repo, maxUpstreamProblems)
}

// Mended forgets what was parked about a tag, or with tag "" about a digest, once
// that has been applied.
func (db *DB) Mended(ctx context.Context, repo, tag, digest string) (err error) {
	defer clyde.Wrap(&err, "store.Mended(%s:%s)", repo, tag)
	ps, err := db.Problems(ctx, repo)
	if err != nil || len(ps) == 0 {
		return err // without the writer's turn
	}
	return db.write(ctx, relaxed, func(tx *tx) error { return tx.exec("DropParked", repo, tag, digest) })
}
