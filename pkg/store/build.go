package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Build is the catalogue's row about one binary build of a version: derived.
type Build struct {
	Repo       string
	Digest     string // of the build's manifest
	VersionKey string // of the version that it is a build of
	Tag        string // "1.2.0_0123456789abcdef"
	ABIID      string
	OS, Arch   string
	Tree       string // digest of the layer that is installed
	TreeSize   int64  // its compressed bytes
	Debug      string // digest of the layer of debug symbols, or ""
	DebugSize  int64
	Attached   time.Time // Claim.Committed
	Actor      string    // Claim.Actor
	Facts      []byte    // build.json, byte for byte
}

// BuildPolicy is what a namespace says about builds of its packages: our own.
type BuildPolicy struct {
	Namespace string
	Days      int // in which builds may follow their version; Always for ever
	// Rebuilders may attach builds besides whoever published the version:
	// Publication.Identity of each.
	Rebuilders []string
}

const (
	// DefaultBuildDays is how long after its version a build is accepted,
	// where the namespace says nothing. From the package format.
	DefaultBuildDays = 14
	// Always is BuildPolicy.Days without an end.
	Always = -1
)

// buildMark stands between a version's key and the rest of a build's key.
const buildMark = "_"

// BuildKey is the key of the claim of a build: that of its version, and the
// part of its tag behind the mark.
func BuildKey(versionKey, part string) string { return versionKey + buildMark + part }

// Identity is what counts as the same publisher: the trusted publisher of a CI
// run, whose tokens differ each time, else the account, else the token.
func (p Publication) Identity() string {
	var run struct{ Publisher string }
	if json.Unmarshal(p.Run, &run) == nil && run.Publisher != "" {
		return "publisher:" + run.Publisher
	}
	if p.Account != 0 {
		return fmt.Sprint("account:", p.Account)
	}
	return "token:" + p.Token
}

func scanBuild(s scanner) (b Build, err error) {
	var attached int64
	err = s.Scan(&b.Repo, &b.Digest, &b.VersionKey, &b.Tag, &b.ABIID, &b.OS, &b.Arch, &b.Tree, &b.TreeSize,
		&b.Debug, &b.DebugSize, &attached, &b.Actor, &b.Facts)
	b.Attached = fromMS(attached)
	return b, err
}

// SaveBuild stores what Apply derived from one build, with the feed entry
// when change.Type is not "". It replaces the row of the same digest.
func (db *DB) SaveBuild(ctx context.Context, b Build, change Change) (err error) {
	defer clyde.Wrap(&err, "store.SaveBuild(%s, %s)", b.Repo, b.Digest)
	return db.write(ctx, feedDurability(change), func(tx *tx) error {
		err := tx.exec("SaveBuild", b.Repo, b.Digest, b.VersionKey, b.Tag, b.ABIID, b.OS, b.Arch, b.Tree, b.TreeSize,
			b.Debug, b.DebugSize, ms(db.or(b.Attached)), b.Actor, bytesOf(b.Facts))
		if err != nil {
			return err
		}
		return db.addChange(tx, change)
	})
}

// Builds lists the builds of a version, oldest first.
func (db *DB) Builds(ctx context.Context, repo, key string) ([]Build, error) {
	return list(ctx, db, scanBuild, "Builds", repo, key)
}

// BuildsBetween lists the builds of all versions of the packages behind after,
// up to and with last: those of one page of Packages.
func (db *DB) BuildsBetween(ctx context.Context, after, last string) ([]Build, error) {
	return list(ctx, db, scanBuild, "BuildsBetween", after, last)
}

// Build returns the build with that manifest, or clyde.ErrNotFound.
func (db *DB) Build(ctx context.Context, repo, digest string) (Build, error) {
	return one(db.row(ctx, "Build", repo, digest), scanBuild, "%s has no build %s", packageName(repo), digest)
}

// CountBuilds counts the builds of a version, those that are being pushed
// included.
func (db *DB) CountBuilds(ctx context.Context, repo, key string) (n int, err error) {
	from := key + buildMark
	err = db.row(ctx, "CountBuilds", repo, from, from+"\x7f").Scan(&n)
	return n, err
}

// BuildPlatforms lists what a version has builds for: "linux" and
// "linux-x86_64", each once, in order.
func (db *DB) BuildPlatforms(ctx context.Context, repo, key string) ([]string, error) {
	rows, err := list(ctx, db, func(s scanner) (b Build, err error) {
		err = s.Scan(&b.OS, &b.Arch)
		return b, err
	}, "BuildPlatforms", repo, key)
	return Platforms(rows), err
}

// Platforms lists what builds are for: "linux" and "linux-x86_64", each once, in
// order.
func Platforms(builds []Build) []string {
	var out []string
	for _, b := range builds {
		out = append(out, b.OS)
		if b.Arch != b.OS {
			out = append(out, b.OS+"-"+b.Arch)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// BuildAnnounced reports whether the feed has the entry "build.added" for it.
func (db *DB) BuildAnnounced(ctx context.Context, pkg, digest string) (ok bool, err error) {
	err = db.row(ctx, "BuildAnnounced", pkg, digest).Scan(&ok)
	return ok, err
}

// BuildPolicy returns what a namespace says about builds, or the default.
func (db *DB) BuildPolicy(ctx context.Context, namespace string) (p BuildPolicy, err error) {
	defer clyde.Wrap(&err, "store.BuildPolicy(%s)", namespace)
	var rebuilders []byte
	err = db.row(ctx, "BuildPolicy", namespace).Scan(&p.Namespace, &p.Days, &rebuilders)
	if errors.Is(err, sql.ErrNoRows) {
		return BuildPolicy{Namespace: namespace, Days: DefaultBuildDays}, nil
	}
	if err != nil {
		return p, err
	}
	return p, json.Unmarshal(rebuilders, &p.Rebuilders)
}

// SetBuildPolicy stores what a namespace says about builds.
func (db *DB) SetBuildPolicy(ctx context.Context, p BuildPolicy, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.SetBuildPolicy(%s)", p.Namespace)
	rebuilders, err := json.Marshal(append([]string{}, p.Rebuilders...))
	if err != nil {
		return err
	}
	return db.audited(ctx, audit, func(tx *tx) error {
		return tx.exec("SetBuildPolicy", p.Namespace, p.Days, string(rebuilders))
	})
}
