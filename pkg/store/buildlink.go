package store

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// BuildLinks is what linkers and loaders find in one build, measured from its
// files: derived.
type BuildLinks struct {
	Repo       string
	Digest     string // of the build's manifest
	VersionKey string
	Shared     bool     // Symbols are those of shared libraries, for want of archives
	SONames    []string // of shared libraries, sorted
	Symbols    []string // that no other file of a program may define, sorted
}

func scanBuildLinks(s scanner) (l BuildLinks, err error) {
	var sonames, symbols []byte
	if err := s.Scan(&l.Repo, &l.Digest, &l.VersionKey, &l.Shared, &sonames, &symbols); err != nil {
		return l, err
	}
	if err := json.Unmarshal(sonames, &l.SONames); err != nil {
		return l, err
	}
	return l, json.Unmarshal(symbols, &l.Symbols)
}

// SaveBuildLinks stores what was measured of a build, in place of what was.
func (db *DB) SaveBuildLinks(ctx context.Context, l BuildLinks) (err error) {
	defer clyde.Wrap(&err, "store.SaveBuildLinks(%s, %s)", l.Repo, l.Digest)
	sonames, err := json.Marshal(append([]string{}, l.SONames...))
	if err != nil {
		return err
	}
	symbols, err := json.Marshal(append([]string{}, l.Symbols...))
	if err != nil {
		return err
	}
	return db.write(ctx, relaxed, func(tx *tx) error {
		return tx.exec("SaveBuildLinks", l.Repo, l.Digest, l.VersionKey, l.Shared, string(sonames), string(symbols))
	})
}

// HasBuildLinks reports whether a build was measured.
func (db *DB) HasBuildLinks(ctx context.Context, repo, digest string) (ok bool, err error) {
	err = db.row(ctx, "HasBuildLinks", repo, digest).Scan(&ok)
	return ok, err
}

// BuildSONames lists the SONAMEs in the builds of a version, each once, in
// order.
func (db *DB) BuildSONames(ctx context.Context, repo, key string) ([]string, error) {
	lists, err := list(ctx, db, func(s scanner) (names []string, err error) {
		var text []byte
		if err := s.Scan(&text); err != nil {
			return nil, err
		}
		return names, json.Unmarshal(text, &names)
	}, "BuildSONames", repo, key)
	all := slices.Concat(lists...)
	slices.Sort(all)
	return slices.Compact(all), err
}

// BuildSymbols returns what was measured of one build of a version, of archives
// where it has such a build; nil where none was measured.
func (db *DB) BuildSymbols(ctx context.Context, repo, key string) (*BuildLinks, error) {
	ls, err := list(ctx, db, scanBuildLinks, "BuildSymbols", repo, key)
	if err != nil || len(ls) == 0 {
		return nil, err
	}
	return &ls[0], nil
}

// LinkSummary is what was measured of one build, with its symbols counted.
type LinkSummary struct {
	Digest  string   // of the build's manifest
	Shared  bool     // as in BuildLinks
	SONames []string // sorted
	Symbols int
}

// LinksOfBuilds returns what was measured of the builds of a version, by digest.
// A build that was not measured yet is not in it.
func (db *DB) LinksOfBuilds(ctx context.Context, repo, key string) (map[string]LinkSummary, error) {
	all, err := list(ctx, db, func(s scanner) (l LinkSummary, err error) {
		var sonames []byte
		if err := s.Scan(&l.Digest, &l.Shared, &sonames, &l.Symbols); err != nil {
			return l, err
		}
		return l, json.Unmarshal(sonames, &l.SONames)
	}, "LinksOfBuilds", repo, key)
	out := make(map[string]LinkSummary, len(all))
	for _, l := range all {
		out[l.Digest] = l
	}
	return out, err
}
