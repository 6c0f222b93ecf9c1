package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

const (
	// hydrateChunk is the number of placeholders in the query Hydrate: a page
	// of results. Longer lists take several queries.
	hydrateChunk = 25

	// maxSameBase bounds the answer of PackagesByBase. Ours: candidates for a
	// person to choose from.
	maxSameBase = 100
)

// Names of counters.
const (
	countPackages = "packages"
	countReleases = "releases"
)

func nameOf(repo string) clyde.Name {
	ns, base, _ := strings.Cut(repo, "/")
	return clyde.Name{Namespace: ns, Base: base}
}

func scanPackage(s scanner) (p Package, err error) {
	var created, updated int64
	err = s.Scan(&p.Repo, &p.Latest, &p.Doc, &created, &updated, &p.Versions,
		&p.Private, &p.Signed, &p.Downloads, &p.Deprecated, &p.ReplacedBy)
	p.Name, p.Created, p.Updated = nameOf(p.Repo), fromMS(created), fromMS(updated)
	return p, err
}

// savePackage writes the columns of the package's own row. A zero Created keeps
// the one stored, or is now; a zero Updated is now.
func (db *DB) savePackage(tx *tx, p Package) error {
	created := ms(p.Created)
	if created == 0 {
		err := tx.row("PackageCreated", p.Repo).Scan(&created)
		if errors.Is(err, sql.ErrNoRows) {
			created = ms(db.now())
		} else if err != nil {
			return err
		}
	}
	n := nameOf(p.Repo)
	err := tx.exec("SavePackage", p.Repo, n.Base, n.Identity(), p.Latest, created,
		ms(db.or(p.Updated)), p.Versions, p.Signed, bytesOf(p.Doc))
	if err != nil {
		return err
	}
	return tx.exec("MarkLatest", p.Repo, p.Latest)
}

// SavePackage replaces the package row alone (its Doc, Latest, Versions).
// Private, Deprecated, ReplacedBy and Downloads are kept elsewhere and ignored.
func (db *DB) SavePackage(ctx context.Context, p Package) (err error) {
	defer clyde.Wrap(&err, "store.SavePackage(%s)", p.Repo)
	return db.write(ctx, relaxed, func(tx *tx) error { return db.savePackage(tx, p) })
}

// Package returns one package, or clyde.ErrNotFound.
func (db *DB) Package(ctx context.Context, repo string) (Package, error) {
	return one(db.row(ctx, "Package", repo), scanPackage, "there is no package %s", packageName(repo))
}

// PackageByIdentity finds the package whose clyde.Name.Identity is id, or clyde.ErrNotFound.
func (db *DB) PackageByIdentity(ctx context.Context, id string) (Package, error) {
	return one(db.row(ctx, "PackageByIdentity", id), scanPackage, "there is no package %s", packageName(id))
}

// Hydrate returns the rows of those repos that exist, in the order asked.
func (db *DB) Hydrate(ctx context.Context, repos []string) (_ []Package, err error) {
	defer clyde.Wrap(&err, "store.Hydrate")
	found := make(map[string]Package, len(repos))
	for rest := repos; len(rest) > 0; {
		n := min(len(rest), hydrateChunk)
		args := make([]any, hydrateChunk)
		for i := range args {
			args[i] = ""
			if i < n {
				args[i] = rest[i]
			}
		}
		rest = rest[n:]
		ps, err := list(ctx, db, scanPackage, "Hydrate", args...)
		if err != nil {
			return nil, err
		}
		for _, p := range ps {
			found[p.Repo] = p
		}
	}
	out := make([]Package, 0, len(found))
	for _, r := range repos {
		if p, ok := found[r]; ok {
			out = append(out, p)
		}
	}
	return out, nil
}

// Packages lists packages after the given repo, at most n: for rebuilding the index and for browsing.
func (db *DB) Packages(ctx context.Context, after string, n int) ([]Package, error) {
	return list(ctx, db, scanPackage, "Packages", after, n)
}

// Listed is a package in a list of all: no more than where it is and how old.
type Listed struct {
	Name    clyde.Name
	Updated time.Time
}

// PublicPackages lists packages that are not private and have a version, by
// repo: at most n, after the first skip.
func (db *DB) PublicPackages(ctx context.Context, skip, n int) ([]Listed, error) {
	return list(ctx, db, func(s scanner) (l Listed, err error) {
		var (
			repo    string
			updated int64
		)
		err = s.Scan(&repo, &updated)
		l.Name, l.Updated = nameOf(repo), fromMS(updated)
		return l, err
	}, "PublicPackages", n, skip)
}

// PackagesByBase lists the packages of that bare name, by repo, at most 100.
func (db *DB) PackagesByBase(ctx context.Context, base string) ([]Package, error) {
	return list(ctx, db, scanPackage, "PackagesByBase", base, maxSameBase)
}

// PackagesByPrefix lists the packages whose bare name begins with prefix, by
// that name: at most n.
func (db *DB) PackagesByPrefix(ctx context.Context, prefix string, n int) ([]Package, error) {
	const last = "~" // behind every character of a name
	return list(ctx, db, scanPackage, "PackagesByPrefix", prefix, prefix+last, n)
}

func scanSetting(s scanner) (v Setting, err error) {
	err = s.Scan(&v.Repo, &v.Private, &v.Deprecated, &v.ReplacedBy)
	return v, err
}

// Setting returns the package's setting, zero but for Repo when none was made.
func (db *DB) Setting(ctx context.Context, repo string) (Setting, error) {
	v, err := scanSetting(db.row(ctx, "Setting", repo))
	if errors.Is(err, sql.ErrNoRows) {
		return Setting{Repo: repo}, nil
	}
	return v, err
}

// SaveSetting stores it, with feed entry and audit line.
func (db *DB) SaveSetting(ctx context.Context, s Setting, change Change, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.SaveSetting(%s)", s.Repo)
	return db.write(ctx, durable, func(tx *tx) error {
		err := counted(tx, s.Repo, func() error {
			return tx.exec("SaveSetting", s.Repo, s.Private, s.Deprecated, s.ReplacedBy)
		})
		if err != nil {
			return err
		}
		return db.record(tx, change, audit)
	})
}

// counted runs fn, which may change how many visible releases the package
// has, and keeps the public totals true.
func counted(tx *tx, repo string, fn func() error) error {
	var before, after int64
	if err := tx.row("VisibleReleases", repo).Scan(&before); err != nil {
		return err
	}
	if err := fn(); err != nil {
		return err
	}
	if err := tx.row("VisibleReleases", repo).Scan(&after); err != nil || after == before {
		return err
	}
	if err := tx.exec("AddCounter", countReleases, after-before); err != nil {
		return err
	}
	if packages := min(after, 1) - min(before, 1); packages != 0 {
		return tx.exec("AddCounter", countPackages, packages)
	}
	return nil
}

// Stats are the true counts shown on the home page: public packages that have
// a visible version, and those versions.
func (db *DB) Stats(ctx context.Context) (packages, releases int64, err error) {
	type counter struct {
		name  string
		value int64
	}
	cs, err := list(ctx, db, func(s scanner) (c counter, err error) {
		err = s.Scan(&c.name, &c.value)
		return c, err
	}, "Counters")
	for _, c := range cs {
		switch c.name {
		case countPackages:
			packages = c.value
		case countReleases:
			releases = c.value
		}
	}
	return packages, releases, err
}

// bytesOf is b, never NULL.
func bytesOf(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
