package store

import (
	"context"
	"errors"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func scanPublication(s scanner) (p Publication, err error) {
	var created int64
	err = s.Scan(&p.Repo, &p.VersionKey, &p.Account, &p.Login, &p.Token, (*text)(&p.Run), &created)
	p.Created = fromMS(created)
	return p, err
}

// AddPublication records who published a release. The first record stands.
func (db *DB) AddPublication(ctx context.Context, p Publication) (err error) {
	defer clyde.Wrap(&err, "store.AddPublication(%s, %s)", p.Repo, p.VersionKey)
	return db.write(ctx, durable, func(tx *tx) error { return db.addPublication(tx, p) })
}

func (db *DB) addPublication(tx *tx, p Publication) error {
	return tx.exec("AddPublication", p.Repo, p.VersionKey, p.Account, p.Token, string(p.Run), ms(db.or(p.Created)))
}

// Publication returns who published a release, or clyde.ErrNotFound.
func (db *DB) Publication(ctx context.Context, repo, key string) (Publication, error) {
	return one(db.row(ctx, "Publication", repo, key), scanPublication, "it is not known who published %s of %s", key, packageName(repo))
}

// Publications lists who published the releases of a package.
func (db *DB) Publications(ctx context.Context, repo string) ([]Publication, error) {
	return list(ctx, db, scanPublication, "Publications", repo)
}

func scanModeration(s scanner) (m Moderation, err error) {
	var at int64
	err = s.Scan(&m.Repo, &m.VersionKey, &m.State, &m.Reason, &m.By, &at)
	m.At = fromMS(at)
	return m, err
}

// SetModeration withdraws a version, or a package, with feed entry and audit
// line. What was erased stays so: clyde.ErrConflict with code "erased".
func (db *DB) SetModeration(ctx context.Context, m Moderation, change Change, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.SetModeration(%s, %s)", m.Repo, m.VersionKey)
	defer db.withdrawn.forget()
	return db.write(ctx, durable, func(tx *tx) error {
		err := counted(tx, m.Repo, func() error { return db.setModeration(tx, m) })
		if err != nil {
			return err
		}
		return db.record(tx, change, audit)
	})
}

func (db *DB) setModeration(tx *tx, m Moderation) error {
	return mustAffect(tx, clyde.Errorf(clyde.ErrConflict, "%s was erased, which stays", packageName(m.Repo)).WithCode("erased"),
		"SetModeration", m.Repo, m.VersionKey, m.State, m.Reason, m.By, ms(db.or(m.At)))
}

// ClearModeration releases a version, or a package; clyde.ErrNotFound when it
// is not withdrawn, or was erased.
func (db *DB) ClearModeration(ctx context.Context, repo, key string, change Change, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.ClearModeration(%s, %s)", repo, key)
	defer db.withdrawn.forget()
	return db.write(ctx, durable, func(tx *tx) error {
		err := counted(tx, repo, func() error {
			return mustAffect(tx, clyde.Errorf(clyde.ErrNotFound, "%s is not withdrawn, or was erased", packageName(repo)).WithCode("not_withdrawn"),
				"ClearModeration", repo, key)
		})
		if err != nil {
			return err
		}
		return db.record(tx, change, audit)
	})
}

// Erase leaves a tombstone where a version was: m, whose state is
// ModerationErased. The version's row goes, and so do the rows and tags of the
// manifests given; its claim stays, so that the version is never used again.
func (db *DB) Erase(ctx context.Context, m Moderation, digests []string, change Change, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.Erase(%s, %s)", m.Repo, m.VersionKey)
	defer db.withdrawn.forget()
	return db.write(ctx, durable, func(tx *tx) (err error) {
		// This is done to make something disappear.
		if err := tx.w.eng.erasing(tx, true); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, tx.w.eng.erasing(tx, false)) }()
		err = counted(tx, m.Repo, func() error {
			if err := db.setModeration(tx, m); err != nil {
				return err
			}
			if err := tx.exec("DropRequirements", m.Repo, m.VersionKey); err != nil {
				return err
			}
			if err := tx.exec("EraseBuilds", m.Repo, m.VersionKey); err != nil {
				return err
			}
			for _, name := range []string{"EraseBuildLinks", "EraseShown", "EraseStanding"} {
				if err := tx.exec(name, m.Repo, m.VersionKey); err != nil {
					return err
				}
			}
			return tx.exec("EraseRelease", m.Repo, m.VersionKey)
		})
		if err != nil {
			return err
		}
		for _, d := range digests {
			if err := tx.exec("EraseHeld", m.Repo, d); err != nil {
				return err
			}
			n, err := tx.affect("DeleteManifest", m.Repo, d)
			if err != nil {
				return err
			}
			if n > 0 {
				if err := tx.exec("UncountManifest", m.Repo); err != nil {
					return err
				}
			}
			if err := tx.exec("DeleteTagsOf", m.Repo, d); err != nil {
				return err
			}
		}
		return db.record(tx, change, audit)
	})
}

// Moderation returns what withdraws a version: its own, else its package's, or
// clyde.ErrNotFound.
func (db *DB) Moderation(ctx context.Context, repo, key string) (Moderation, error) {
	return one(db.row(ctx, "Moderation", repo, key), scanModeration, "%s is not withdrawn", packageName(repo))
}

// Moderations lists what is withdrawn of a package, the package as a whole first.
func (db *DB) Moderations(ctx context.Context, repo string) ([]Moderation, error) {
	return list(ctx, db, scanModeration, "Moderations", repo)
}

// ModerationList lists all that is withdrawn after a package's version, at most n.
func (db *DB) ModerationList(ctx context.Context, afterRepo, afterKey string, n int) ([]Moderation, error) {
	return list(ctx, db, scanModeration, "ModerationList", afterRepo, afterKey, n)
}

func scanReport(s scanner) (r Report, err error) {
	var created, decided int64
	err = s.Scan(&r.ID, &r.Repo, &r.Version, &r.Kind, &r.Text, &r.Account, &r.By, &r.State, &r.DecidedBy, &r.Decision, &created, &decided)
	r.Created, r.Decided = fromMS(created), fromMS(decided)
	return r, err
}

// AddReport stores what a user reports; its state is ReportOpen.
func (db *DB) AddReport(ctx context.Context, r Report, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.AddReport(%s)", r.Repo)
	return db.audited(ctx, audit, func(tx *tx) error {
		return tx.exec("AddReport", r.ID, r.Repo, r.Version, r.Kind, r.Text, r.Account, r.By, ms(db.or(r.Created)))
	})
}

// Report returns a report, or clyde.ErrNotFound.
func (db *DB) Report(ctx context.Context, id string) (Report, error) {
	return one(db.row(ctx, "Report", id), scanReport, "there is no report %s", id)
}

// Reports lists reports in a state, newest first, at most n.
func (db *DB) Reports(ctx context.Context, state string, n int) ([]Report, error) {
	return list(ctx, db, scanReport, "Reports", state, n)
}

// DecideReport closes an open report; clyde.ErrNotFound when it is not open.
func (db *DB) DecideReport(ctx context.Context, id, by, decision string, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.DecideReport(%s)", id)
	return db.audited(ctx, audit, func(tx *tx) error {
		return mustAffect(tx, clyde.Errorf(clyde.ErrNotFound, "no report %s is open", id), "DecideReport", id, by, decision, ms(db.now()))
	})
}
