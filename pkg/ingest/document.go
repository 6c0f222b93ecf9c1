package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/content"
	"github.com/clydepm/clyde-registry/pkg/index"
	"github.com/clydepm/clyde-registry/pkg/markdown"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// document is what the search engine learns from the latest version. Counts
// and settings, which change without a publish, are added by complete.
func document(p store.Package, r store.Release, spec *clyde.Manifest, info *content.Info) index.Document {
	d := index.Document{
		Key: p.Repo, Name: p.Name, Version: r.Version, UpstreamVersion: spec.UpstreamVersion, Description: spec.Description,
		Keywords: spec.Keywords, Categories: spec.Categories, License: spec.License, Language: spec.Language, Kind: spec.Type,
		Headers: info.Headers, Readme: markdown.PlainText([]byte(info.Readme)), Signed: r.Signed, Created: p.Created, Updated: p.Updated,
		Standard: standard(spec), Platforms: platforms(spec.Supports),
	}
	for _, q := range spec.Requires {
		if n, err := clyde.ParseName(q.Name); err == nil {
			d.Dependencies = append(d.Dependencies, n.Repo())
		}
	}
	for _, n := range spec.Replaces {
		d.Aliases = append(d.Aliases, n)
	}
	return d
}

func standard(spec *clyde.Manifest) string {
	switch {
	case spec.Standard.CXX != "":
		return "c++" + spec.Standard.CXX
	case spec.Standard.C != "":
		return "c" + spec.Standard.C
	}
	return ""
}

// platformNames are the words of a supports expression that name an operating
// system.
var platformNames = []string{"android", "freebsd", "ios", "linux", "macos", "wasm", "windows"}

// platforms lists the operating systems that an expression names without
// negation. It is for finding, not for deciding what builds where.
func platforms(supports string) []string {
	var out []string
	for _, name := range platformNames {
		i := strings.Index(supports, name)
		if i >= 0 && !strings.HasSuffix(strings.TrimSpace(supports[:i]), "!") {
			out = append(out, name)
		}
	}
	return out
}

// complete adds to a stored document what changes without a publish.
func (in *Ingest) complete(ctx context.Context, p store.Package) (index.Document, error) {
	var d index.Document
	if err := json.Unmarshal(p.Doc, &d); err != nil {
		return d, err
	}
	n, err := in.DB.CountDependents(ctx, p.Repo)
	if err != nil {
		return d, err
	}
	d.Dependents, d.Downloads, d.Private, d.Deprecated, d.Signed = n, p.Downloads, p.Private, p.Deprecated != "", p.Signed
	return d, nil
}

// Refresh makes the search engine say what the database says of one package.
func (in *Ingest) Refresh(ctx context.Context, repo string) error {
	p, err := in.DB.Package(ctx, repo)
	if errors.Is(err, clyde.ErrNotFound) || err == nil && len(p.Doc) == 0 {
		return in.Engine.Delete(ctx, repo)
	}
	if err != nil {
		return err
	}
	d, err := in.complete(ctx, p)
	if err != nil {
		return err
	}
	return in.Engine.Put(ctx, d)
}

// refreshTargets updates the dependents' count of what a version requires.
func (in *Ingest) refreshTargets(ctx context.Context, reqs []store.Requirement) error {
	var done []string
	for _, q := range reqs {
		if q.Kind != "requires" || slices.Contains(done, q.Target) {
			continue
		}
		done = append(done, q.Target)
		if err := in.Refresh(ctx, q.Target); err != nil {
			return err
		}
	}
	return nil
}

// Relatest recomputes which version is shown first, after a yank.
func (in *Ingest) Relatest(ctx context.Context, repo string) error {
	p, err := in.DB.Package(ctx, repo)
	if err != nil {
		return err
	}
	rs, err := in.DB.Releases(ctx, repo)
	if err != nil {
		return err
	}
	latest, ok := Latest(rs)
	if ok && latest.Version != p.Latest {
		p.Latest, p.Signed, p.Updated = latest.Version, latest.Signed, latest.Published
		if err := in.redocument(ctx, &p, latest); err != nil {
			return err
		}
		if err := in.DB.SavePackage(ctx, p); err != nil {
			return err
		}
	}
	return in.Refresh(ctx, repo)
}

// rebuildPage is how many packages are read from the database at a time.
const rebuildPage = 1000

// Documents yields every package as the search engine should know it.
func (in *Ingest) Documents(ctx context.Context) iter.Seq2[index.Document, error] {
	return func(yield func(index.Document, error) bool) {
		after := ""
		for {
			ps, err := in.DB.Packages(ctx, after, rebuildPage)
			if err != nil {
				yield(index.Document{}, err)
				return
			}
			for _, p := range ps {
				after = p.Repo
				if len(p.Doc) == 0 {
					continue
				}
				d, err := in.complete(ctx, p)
				if !yield(d, err) || err != nil {
					return
				}
			}
			if len(ps) < rebuildPage {
				return
			}
		}
	}
}

// RebuildIndex feeds every package to the search engine, which goes on
// answering from what it had until the new one is whole.
func (in *Ingest) RebuildIndex(ctx context.Context) error {
	return in.Engine.Rebuild(ctx, in.Documents(ctx))
}
