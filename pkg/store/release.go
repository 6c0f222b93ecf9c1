package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// scanListed scans a row of Releases; more are the columns that follow.
func scanListed(s scanner, r *Release, more ...any) error {
	var published, at, checked int64
	var headers []byte
	var y Yank
	dest := append([]any{&r.Repo, &r.VersionKey, &r.Version, &r.Digest, &r.Size, &r.Source, &r.SourceType,
		&r.SourceSize, &r.Readme, &published, &r.Publisher, &r.Signed, &r.State, &headers,
		&y.Reason, &y.Text, &y.By, &at, &r.Downloads, &r.Upstream, &r.Signer, &checked}, more...)
	if err := s.Scan(dest...); err != nil {
		return err
	}
	r.Published, r.Checked = fromMS(published), fromMS(checked)
	if at != 0 {
		y.At = fromMS(at)
		r.Yank = &y
	}
	return json.Unmarshal(headers, &r.Headers)
}

func scanRelease(s scanner) (r Release, err error) {
	err = scanListed(s, &r)
	return r, err
}

func scanReleaseWhole(s scanner) (r Release, err error) {
	err = scanListed(s, &r, &r.Manifest, &r.ConfigYAML, &r.OCIManifest, &r.Report)
	return r, err
}

func scanRequirement(s scanner) (q Requirement, err error) {
	err = s.Scan(&q.Repo, &q.VersionKey, &q.Version, &q.Kind, &q.Target, &q.Range, &q.Optional, &q.Latest)
	return q, err
}

// feedDurability is durable for a write with a feed entry: whoever read its
// seq must never see that number given to another.
func feedDurability(c Change) durability { return durability(c.Type != "") }

// SaveRelease stores what Apply derived from one version, in one transaction
// with the package row it changes and, when change.Type is not "", the feed
// entry. It replaces the version's earlier row and requirements.
// Requirement.Latest is set from p.Latest. Yank and Downloads are kept
// elsewhere and ignored.
func (db *DB) SaveRelease(ctx context.Context, p Package, r Release, reqs []Requirement, change Change) (err error) {
	defer clyde.Wrap(&err, "store.SaveRelease(%s, %s)", r.Repo, r.VersionKey)
	headers, err := json.Marshal(r.Headers)
	if err != nil {
		return err
	}
	if r.Free {
		defer db.held.forget()
	}
	return db.write(ctx, feedDurability(change), func(tx *tx) error {
		err := counted(tx, r.Repo, func() error {
			if r.Free {
				if err := tx.exec("ReleaseHeld", r.Repo, r.Digest, ms(r.Published)); err != nil {
					return err
				}
			}
			return tx.exec("SaveRelease", r.Repo, r.VersionKey, r.Version, r.Digest, r.Size, r.Source, r.SourceType,
				r.SourceSize, r.Readme, ms(db.or(r.Published)), r.Publisher, r.Signed, r.State, string(headers),
				bytesOf(r.Manifest), bytesOf(r.ConfigYAML), bytesOf(r.OCIManifest), bytesOf(r.Report))
		})
		if err != nil {
			return err
		}
		if err := tx.exec("SaveShown", r.Repo, r.VersionKey, r.Upstream, r.Signer, ms(r.Checked)); err != nil {
			return err
		}
		if err := tx.exec("SaveStanding", r.Repo, r.VersionKey, r.Standing.Evidence, string(r.Standing.JSON)); err != nil {
			return err
		}
		if err := tx.exec("DropRequirements", r.Repo, r.VersionKey); err != nil {
			return err
		}
		for _, q := range reqs {
			if err := tx.exec("AddRequirement", r.Repo, r.VersionKey, q.Kind, q.Target, r.Version, q.Range,
				q.Optional, r.Version == p.Latest); err != nil {
				return err
			}
		}
		if err := db.savePackage(tx, p); err != nil {
			return err
		}
		return db.addChange(tx, change)
	})
}

// SaveVerification updates what v says of a release and, when p is not nil,
// the package row; clyde.ErrNotFound when there is no such release.
func (db *DB) SaveVerification(ctx context.Context, repo, key string, v Verification, p *Package, change Change) (err error) {
	defer clyde.Wrap(&err, "store.SaveVerification(%s, %s)", repo, key)
	return db.write(ctx, feedDurability(change), func(tx *tx) error {
		n, err := tx.affect("SetVerification", repo, key, v.Signed, bytesOf(v.Report))
		if err != nil {
			return err
		}
		if n == 0 {
			return noVersion(repo, key)
		}
		if err := tx.exec("SetChecked", repo, key, v.Signer, ms(v.Checked)); err != nil {
			return err
		}
		if err := tx.exec("SaveStanding", repo, key, v.Standing.Evidence, string(v.Standing.JSON)); err != nil {
			return err
		}
		if p != nil {
			if err := db.savePackage(tx, *p); err != nil {
				return err
			}
		}
		return db.addChange(tx, change)
	})
}

// SetChecked notes that the signatures of a release were looked at and amount
// to what is known of it.
func (db *DB) SetChecked(ctx context.Context, repo, key, signer string, at time.Time) (err error) {
	defer clyde.Wrap(&err, "store.SetChecked(%s, %s)", repo, key)
	return db.write(ctx, relaxed, func(tx *tx) error {
		return tx.exec("SetChecked", repo, key, signer, ms(at))
	})
}

// SetReleaseState sets Release.State; clyde.ErrNotFound when there is no such release.
func (db *DB) SetReleaseState(ctx context.Context, repo, key, state string, change Change) (err error) {
	defer clyde.Wrap(&err, "store.SetReleaseState(%s, %s)", repo, key)
	return db.write(ctx, feedDurability(change), func(tx *tx) error {
		err := counted(tx, repo, func() error {
			n, err := tx.affect("SetReleaseState", repo, key, state)
			if err == nil && n == 0 {
				return noVersion(repo, key)
			}
			return err
		})
		if err != nil {
			return err
		}
		return db.addChange(tx, change)
	})
}

func noVersion(repo, key string) error {
	return clyde.Errorf(clyde.ErrNotFound, "%s has no version %s", packageName(repo), key)
}

// Releases lists a package's versions without the big columns (Manifest,
// ConfigYAML, OCIManifest, Report), newest published first.
func (db *DB) Releases(ctx context.Context, repo string) ([]Release, error) {
	return list(ctx, db, scanRelease, "Releases", repo)
}

// Edition is what a list of versions to choose from says of one.
type Edition struct {
	Version   string
	Published time.Time
	State     string // as Release.State
	Yanked    string // reason; "" when not yanked
}

// Editions lists the versions of a package, in no order.
func (db *DB) Editions(ctx context.Context, repo string) ([]Edition, error) {
	return list(ctx, db, func(s scanner) (e Edition, err error) {
		var ms int64
		err = s.Scan(&e.Version, &ms, &e.State, &e.Yanked)
		e.Published = fromMS(ms)
		return e, err
	}, "ReleaseEditions", repo)
}

// ReleaseByVersion returns one version whole, or clyde.ErrNotFound.
func (db *DB) ReleaseByVersion(ctx context.Context, repo, key string) (Release, error) {
	return one(db.row(ctx, "ReleaseByVersion", repo, key), scanReleaseWhole,
		"%s has no version %s", packageName(repo), key)
}

// ReleaseByDigest returns the release of that manifest, or clyde.ErrNotFound.
func (db *DB) ReleaseByDigest(ctx context.Context, repo, digest string) (Release, error) {
	return one(db.row(ctx, "ReleaseByDigest", repo, digest), scanReleaseWhole,
		"%s has no version with digest %s", packageName(repo), digest)
}

// ReleaseManifests returns Release.Manifest of every version of a package, by version
// key: what the index of a package is made from.
func (db *DB) ReleaseManifests(ctx context.Context, repo string) (map[string][]byte, error) {
	type row struct {
		key      string
		manifest []byte
	}
	rows, err := list(ctx, db, func(s scanner) (r row, err error) {
		err = s.Scan(&r.key, &r.manifest)
		return r, err
	}, "ReleaseManifests", repo)
	if err != nil {
		return nil, err
	}
	out := make(map[string][]byte, len(rows))
	for _, r := range rows {
		out[r.key] = r.manifest
	}
	return out, nil
}

// Requirements lists what a version requires.
func (db *DB) Requirements(ctx context.Context, repo, key string) ([]Requirement, error) {
	return list(ctx, db, scanRequirement, "Requirements", repo, key)
}

// Dependents lists packages whose latest version requires repo (kind
// "requires"), by repo, after the given one, at most n. Private ones are among
// them: what the asker may see is for the caller to decide.
func (db *DB) Dependents(ctx context.Context, repo, after string, n int) ([]Requirement, error) {
	return list(ctx, db, scanRequirement, "Dependents", repo, after, n)
}

// DependentsOfAll lists packages whose latest version requires one of the
// targets (kind "requires"), at most n, as Dependents does.
func (db *DB) DependentsOfAll(ctx context.Context, targets []string, n int) (out []Requirement, err error) {
	defer clyde.Wrap(&err, "store.DependentsOfAll")
	for rest := targets; len(rest) > 0 && len(out) < n; {
		args := make([]any, hydrateChunk, hydrateChunk+1)
		for i := range args {
			args[i] = ""
			if i < len(rest) {
				args[i] = rest[i]
			}
		}
		rest = rest[min(len(rest), hydrateChunk):]
		some, err := list(ctx, db, scanRequirement, "DependentsOfAll", append(args, n-len(out))...)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

// ReleaseFacts returns Release.Headers and Release.Manifest of one version, or
// clyde.ErrNotFound.
func (db *DB) ReleaseFacts(ctx context.Context, repo, key string) (headers []string, manifest []byte, err error) {
	var text []byte
	err = db.row(ctx, "ReleaseFacts", repo, key).Scan(&text, &manifest)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil, noVersion(repo, key)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("store.ReleaseFacts(%s, %s): %w", repo, key, err)
	}
	return headers, manifest, json.Unmarshal(text, &headers)
}

// DependentCounts is CountDependents of every package that has any, by repo:
// for rebuilding the search index, not for a request.
func (db *DB) DependentCounts(ctx context.Context) (map[string]int, error) {
	type count struct {
		target string
		n      int
	}
	cs, err := list(ctx, db, func(s scanner) (c count, err error) {
		err = s.Scan(&c.target, &c.n)
		return c, err
	}, "DependentCounts")
	if err != nil {
		return nil, err
	}
	out := make(map[string]int, len(cs))
	for _, c := range cs {
		out[c.target] = c.n
	}
	return out, nil
}

// CountDependents counts public packages whose latest version requires repo.
func (db *DB) CountDependents(ctx context.Context, repo string) (n int, err error) {
	err = db.row(ctx, "CountDependents", repo).Scan(&n)
	return n, err
}

// SetYank yanks (or with y nil unyanks) a version, with feed entry and audit
// line; clyde.ErrNotFound when there is no such version.
func (db *DB) SetYank(ctx context.Context, repo, key string, y *Yank, change Change, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.SetYank(%s, %s)", repo, key)
	return db.write(ctx, durable, func(tx *tx) error {
		var ok bool
		if err := tx.row("HasRelease", repo, key).Scan(&ok); err != nil {
			return err
		}
		if !ok {
			return noVersion(repo, key)
		}
		var err error
		if y == nil {
			err = tx.exec("Unyank", repo, key)
		} else {
			err = tx.exec("SetYank", repo, key, y.Reason, y.Text, y.By, ms(db.or(y.At)))
		}
		if err != nil {
			return err
		}
		return db.record(tx, change, audit)
	})
}
