package ingest

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/compat"
	"github.com/clydepm/clyde-registry/pkg/content"
	"github.com/clydepm/clyde-registry/pkg/graph"
	"github.com/clydepm/clyde-registry/pkg/index"
	"github.com/clydepm/clyde-registry/pkg/markdown"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// document is what the search engine learns from the latest version, and from
// nothing else, so that it is the same whenever it is made. The rest is added
// by complete.
func document(name clyde.Name, r store.Release, spec *clyde.Manifest, info *content.Info) index.Document {
	d := index.Document{
		Key: r.Repo, Name: name, Version: r.Version, UpstreamVersion: spec.UpstreamVersion, Description: spec.Description,
		Keywords: spec.Keywords, Categories: spec.Categories, License: spec.License, Language: spec.Language, Kind: spec.Type,
		Headers: info.Headers, Readme: markdown.PlainText([]byte(info.Readme)),
		Standard: standard(spec), Platforms: platforms(spec.Supports),
	}
	if spec.License != "" {
		d.LicenseGroup = string(graph.ClassOfExpression(spec.License))
	}
	for _, q := range spec.Requires {
		if n, err := clyde.ParseName(q.Name); err == nil {
			d.Dependencies = append(d.Dependencies, n.Repo())
		}
	}
	d.Aliases = append(d.Aliases, spec.Replaces...)
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

// complete adds to a stored document what changes without it. Of the builds
// those of the latest version count.
func complete(p store.Package, dependents int, builds []store.Build) (index.Document, error) {
	d, err := index.DecodeDocument(p.Doc)
	if err != nil {
		return d, err
	}
	d.Created, d.Updated = p.Created, p.Updated
	d.Dependents, d.Downloads, d.Private, d.Deprecated, d.Signed = dependents, p.Downloads, p.Private, p.Deprecated != "", p.Signed
	latest, err := clyde.ParseVersion(p.Latest)
	if err != nil {
		return d, err
	}
	builds = slices.DeleteFunc(slices.Clone(builds), func(b store.Build) bool { return b.VersionKey != latest.Canonical() })
	if len(builds) == 0 {
		return d, nil
	}
	d.Builds = append([]string{index.Built}, store.Platforms(builds)...)
	for _, b := range builds {
		f, err := compat.Parse(b.Facts)
		if err != nil {
			return d, err
		}
		d.Profiles = append(d.Profiles, f.Profile())
	}
	return d, nil
}

// Refresh makes the search engine say what the database says of one package.
func (in *Ingest) Refresh(ctx context.Context, repo string) error {
	if in.Stale != nil {
		in.Stale(repo)
		return nil
	}
	// Two at once would race to give the engine what each has read.
	defer in.refresh.Lock(repo)()
	d, ok, err := in.current(ctx, repo)
	if err != nil {
		return err
	}
	if !ok {
		return in.Engine.Delete(ctx, repo)
	}
	return in.Engine.Put(ctx, d)
}

// current is a package as the search engine should know it now; ok is false for
// what nobody finds.
func (in *Ingest) current(ctx context.Context, repo string) (d index.Document, ok bool, err error) {
	p, err := in.DB.Package(ctx, repo)
	if errors.Is(err, clyde.ErrNotFound) || err == nil && len(p.Doc) == 0 {
		return d, false, nil
	}
	if err != nil {
		return d, false, err
	}
	n, err := in.DB.CountDependents(ctx, repo)
	if err != nil {
		return d, false, err
	}
	latest, err := clyde.ParseVersion(p.Latest)
	if err != nil {
		return d, false, err
	}
	builds, err := in.DB.Builds(ctx, repo, latest.Canonical())
	if err != nil {
		return d, false, err
	}
	d, err = complete(p, n, builds)
	return d, err == nil, err
}

// Feed makes the search engine say what the database says of packages, and of
// what they require. It is for the one who feeds an engine where Stale is set.
func (in *Ingest) Feed(ctx context.Context, repos []string) error {
	all := slices.Clone(repos)
	for _, r := range repos {
		targets, err := in.targets(ctx, r)
		if err != nil {
			return err
		}
		all = append(all, targets...)
	}
	slices.Sort(all)
	var (
		docs []index.Document
		gone []string
	)
	for _, r := range slices.Compact(all) {
		d, ok, err := in.current(ctx, r)
		if err != nil {
			return err
		}
		if ok {
			docs = append(docs, d)
		} else {
			gone = append(gone, r)
		}
	}
	if err := in.Engine.Put(ctx, docs...); err != nil {
		return err
	}
	return in.Engine.Delete(ctx, gone...)
}

// targets lists what the package's latest version requires: the packages
// whose count of dependents it is part of.
func (in *Ingest) targets(ctx context.Context, repo string) ([]string, error) {
	p, err := in.DB.Package(ctx, repo)
	if errors.Is(err, clyde.ErrNotFound) || err == nil && p.Latest == "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	v, err := clyde.ParseVersion(p.Latest)
	if err != nil {
		return nil, err
	}
	reqs, err := in.DB.Requirements(ctx, repo, v.Canonical())
	if err != nil {
		return nil, err
	}
	var out []string
	for _, q := range reqs {
		if q.Kind == "requires" {
			out = append(out, q.Target)
		}
	}
	return out, nil
}

// refreshAll refreshes the package, what it requires now, and what it required
// before.
func (in *Ingest) refreshAll(ctx context.Context, repo string, before []string) error {
	now, err := in.targets(ctx, repo)
	if err != nil {
		return err
	}
	all := append(before, now...)
	slices.Sort(all)
	for _, t := range append([]string{repo}, slices.Compact(all)...) {
		if err := in.Refresh(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// hold keeps a package for the caller, in this process and the others on the
// database, until release.
func (in *Ingest) hold(ctx context.Context, repo string) (release func(), err error) {
	here := in.repos.Lock(repo)
	everywhere, err := in.DB.Lock(ctx, "repo:"+repo)
	if err != nil {
		here()
		return nil, err
	}
	return func() { everywhere(); here() }, nil
}

// Relatest makes package row and search engine true again after something
// besides a publish changed: a yank, the access, a deprecation.
func (in *Ingest) Relatest(ctx context.Context, repo string) error {
	release, err := in.hold(ctx, repo)
	if err != nil {
		return err
	}
	defer release()
	targets, err := in.targets(ctx, repo)
	if err != nil {
		return err
	}
	if _, err := in.settle(ctx, repo); err != nil {
		return err
	}
	return in.refreshAll(ctx, repo, targets)
}

// settle computes the package row from its releases and reports whether the
// one stored was another. The caller holds the repository.
func (in *Ingest) settle(ctx context.Context, repo string) (bool, error) {
	p, err := in.DB.Package(ctx, repo)
	if err != nil {
		return false, err
	}
	rs, err := in.DB.Releases(ctx, repo)
	if err != nil {
		return false, err
	}
	latest, ok := Latest(rs)
	shown := countShown(rs)
	if !ok {
		if p.Latest == "" && len(p.Doc) == 0 && shown == p.Versions {
			return false, nil
		}
		// Nothing of it is shown any more, so nobody finds it either.
		p.Latest, p.Signed, p.Doc, p.Versions = "", "", nil, shown
		return true, in.DB.SavePackage(ctx, p)
	}
	if latest.Version == p.Latest && latest.Signed == p.Signed && shown == p.Versions && len(p.Doc) > 0 {
		return false, nil
	}
	p.Latest, p.Signed, p.Updated, p.Versions = latest.Version, latest.Signed, latest.Published, shown
	if err := in.redocument(ctx, &p, latest); err != nil {
		return false, err
	}
	return true, in.DB.SavePackage(ctx, p)
}

// rebuildPage is how many packages are read from the database at a time.
const rebuildPage = 1000

// Documents yields every package as the search engine should know it.
func (in *Ingest) Documents(ctx context.Context) iter.Seq2[index.Document, error] {
	return func(yield func(index.Document, error) bool) {
		// One query for all: what changes while this runs is put by Refresh,
		// which the engine keeps.
		dependents, err := in.DB.DependentCounts(ctx)
		if err != nil {
			yield(index.Document{}, err)
			return
		}
		after := ""
		for {
			ps, err := in.DB.Packages(ctx, after, rebuildPage)
			if err != nil {
				yield(index.Document{}, err)
				return
			}
			builds, err := in.pageBuilds(ctx, after, ps)
			if err != nil {
				yield(index.Document{}, err)
				return
			}
			for _, p := range ps {
				after = p.Repo
				if len(p.Doc) == 0 {
					continue
				}
				d, err := complete(p, dependents[p.Repo], builds[p.Repo])
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

// pageBuilds returns the builds of a page of packages, by repository.
func (in *Ingest) pageBuilds(ctx context.Context, after string, page []store.Package) (map[string][]store.Build, error) {
	if len(page) == 0 {
		return nil, nil
	}
	builds, err := in.DB.BuildsBetween(ctx, after, page[len(page)-1].Repo)
	if err != nil {
		return nil, err
	}
	out := map[string][]store.Build{}
	for _, b := range builds {
		out[b.Repo] = append(out[b.Repo], b)
	}
	return out, nil
}

// RebuildIndex feeds every package to the search engine, which goes on
// answering from what it had until the new one is whole.
func (in *Ingest) RebuildIndex(ctx context.Context) error {
	return in.Engine.Rebuild(ctx, in.Documents(ctx))
}

// Follow makes the search engine say what the database says of a package that
// another process wrote, and of what it requires.
func (in *Ingest) Follow(ctx context.Context, repo string) error {
	return in.refreshAll(ctx, repo, nil)
}
