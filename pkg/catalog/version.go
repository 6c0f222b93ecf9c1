package catalog

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/resolve"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// sorted lists a package's versions, highest first.
func (c *Catalog) sorted(ctx context.Context, repo string) ([]store.Release, error) {
	rs, err := c.DB.Releases(ctx, repo)
	if err != nil {
		return nil, err
	}
	highestFirst(rs, func(r *store.Release) string { return r.Version })
	return rs, nil
}

// highestFirst sorts what has a version.
func highestFirst[T any](list []T, version func(*T) string) {
	versions := make(map[string]clyde.Version, len(list))
	for i := range list {
		text := version(&list[i])
		if v, err := clyde.ParseVersion(text); err == nil {
			versions[text] = v
		}
	}
	slices.SortFunc(list, func(a, b T) int { return clyde.Compare(versions[version(&b)], versions[version(&a)]) })
}

// Edition is a version in a list to choose from.
type Edition = store.Edition

// Editions lists the versions of a package that p may have, highest first: less
// of each than Versions, and faster.
func (c *Catalog) Editions(ctx context.Context, p account.Principal, name clyde.Name) ([]Edition, error) {
	row, err := c.see(ctx, p, name)
	if err != nil {
		return nil, err
	}
	all, err := c.DB.Editions(ctx, row.Repo)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(e Edition) bool {
		return withdrawn(e.State) || e.State == store.StatePending && !account.SeesPending(p, row.Repo)
	})
	highestFirst(all, func(e *Edition) string { return e.Version })
	return all, nil
}

// goneLine is the line of a version that is withdrawn. Its schema is one that
// readers which know of none leave out.
type goneLine struct {
	Schema    int    `json:"schema"`
	Name      string `json:"name"`
	Version   string `json:"version"`
	Digest    string `json:"digest"`    // which lock files name
	Withdrawn string `json:"withdrawn"` // quarantined | removed | erased
	Reason    string `json:"reason"`
}

// goneSchema is the schema of such a line.
const goneSchema = 2

// SparseIndex returns the package's index file: one JSON object a line, a line
// a version, first those that are withdrawn, then the others, each lowest first;
// the same bytes until something changes.
func (c *Catalog) SparseIndex(ctx context.Context, p account.Principal, name clyde.Name) ([]byte, error) {
	k, err := c.known(ctx, p, name)
	if err != nil {
		return nil, err
	}
	return k.index, nil
}

// makeIndex returns the index of a package from its releases.
func (c *Catalog) makeIndex(ctx context.Context, name clyde.Name, rs []store.Release) ([]byte, error) {
	manifests, err := c.DB.ReleaseManifests(ctx, name.Repo())
	if err != nil {
		return nil, err
	}
	gone, err := c.goneLines(ctx, name, rs)
	if err != nil {
		return nil, err
	}
	var (
		b     bytes.Buffer
		words resolve.Words
	)
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, l := range gone {
		if err := enc.Encode(l); err != nil {
			return nil, err
		}
	}
	for _, r := range slices.Backward(rs) {
		if r.State != "visible" {
			continue
		}
		line, err := indexLine(&words, name, r, manifests[r.VersionKey])
		if err != nil {
			return nil, err
		}
		b.Write(line)
	}
	return b.Bytes(), nil
}

// indexLine makes the line of a release from its manifest.
func indexLine(words *resolve.Words, name clyde.Name, r store.Release, manifest []byte) (_ []byte, err error) {
	defer clyde.Wrap(&err, "catalog.indexLine(%s, %s)", name, r.Version)
	var view clyde.ManifestView
	if err := json.Unmarshal(manifest, &view); err != nil {
		return nil, err
	}
	cand, err := words.FromView(&view)
	if err != nil {
		return nil, err
	}
	if cand.Version, err = clyde.ParseVersion(r.Version); err != nil {
		return nil, err
	}
	cand.Digest, cand.Checksum, cand.Size = r.Digest, r.Source, r.SourceSize
	if r.Yank != nil {
		cand.Yanked = r.Yank.Reason
	}
	return resolve.IndexLine(name, &cand)
}

// Dependencies lists what a version requires.
func (c *Catalog) Dependencies(ctx context.Context, p account.Principal, ref Ref) ([]Dependency, error) {
	r, err := c.row(ctx, p, ref)
	if err != nil {
		return nil, err
	}
	return c.dependencies(ctx, p, r)
}

func (c *Catalog) dependencies(ctx context.Context, p account.Principal, r store.Release) ([]Dependency, error) {
	reqs, err := c.DB.Requirements(ctx, r.Repo, r.VersionKey)
	if err != nil {
		return nil, err
	}
	repos := make([]string, len(reqs))
	for i, q := range reqs {
		repos[i] = q.Target
	}
	rows, err := c.DB.Hydrate(ctx, repos)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, row := range rows {
		known[row.Repo] = c.visible(ctx, p, row)
	}
	out := make([]Dependency, len(reqs))
	for i, q := range reqs {
		out[i] = Dependency{Name: "@" + q.Target, Range: q.Range, Kind: q.Kind, Optional: q.Optional, Known: known[q.Target]}
	}
	return out, nil
}
