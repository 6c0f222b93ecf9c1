package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/content"
	"github.com/clydepm/clyde-registry/pkg/index"
	"github.com/clydepm/clyde-registry/pkg/recent"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Catalog answers questions about packages.
type Catalog struct {
	DB      *store.DB
	Engine  index.Engine
	Content *content.Store
	Host    string // registry host as clients write it: "localhost:8080"
	// Home returns the host of the registry that a namespace comes from and the
	// prefix of its repositories; host "" is our own. nil: all are ours.
	Home func(ctx context.Context, namespace string) (host, prefix string)
	// HomeName returns what events of the registry at a host have as their source.
	HomeName func(host string) string
	Log      *slog.Logger
	Now      func() time.Time
	// Blob returns the bytes of a blob of the registry, at most limit of them;
	// what is larger is clyde.ErrTooLarge.
	Blob func(ctx context.Context, repo string, d digest.Digest, limit int64) ([]byte, error)
	// Changed is told of a package whose owner changed something, so that the
	// search engine learns of it before the answer goes out.
	Changed func(ctx context.Context, repo string) error

	shelf   recent.Cache[*known] // by repository
	busy    chan struct{}        // one for each resolution under way
	started sync.Once            // makes both
}

// notFound is the one answer for what does not exist and for what the asker
// may not see.
func notFound(name clyde.Name) error {
	return clyde.Errorf(clyde.ErrNotFound, "package %s was not found", name).WithCode("package_unknown").
		Fix("Check the spelling, or search: clyde search %s.", name.Base)
}

// see returns the package if p may see it.
func (c *Catalog) see(ctx context.Context, p account.Principal, name clyde.Name) (store.Package, error) {
	row, err := c.DB.Package(ctx, name.Repo())
	if errors.Is(err, clyde.ErrNotFound) || err == nil && !c.visible(ctx, p, row) {
		return store.Package{}, notFound(name)
	}
	return row, err
}

func (c *Catalog) visible(ctx context.Context, p account.Principal, row store.Package) bool {
	if !account.Allowed(p, account.Pull, account.Resource{Repo: row.Repo, Private: row.Private}) {
		return false
	}
	if row.Versions > 0 || row.Latest != "" || account.SeesPending(p, row.Repo) {
		return true
	}
	waits, err := c.DB.AnyWaits(ctx, row.Repo)
	return err == nil && !waits // else there is nothing of it but what waits for signatures
}

// view is a package as it is shown, from its row alone.
func view(row store.Package) (Package, error) {
	var d index.Document
	if len(row.Doc) > 0 {
		var err error
		if d, err = index.DecodeDocument(row.Doc); err != nil {
			return Package{}, err
		}
	}
	return Package{
		Name: row.Name.String(), Namespace: row.Name.Namespace, Base: row.Name.Base, Latest: row.Latest,
		Description: d.Description, License: d.License, Language: d.Language, Kind: d.Kind, Standard: d.Standard,
		Keywords: list(d.Keywords), Categories: list(d.Categories), Platforms: list(d.Platforms),
		Signed: row.Signed, Private: row.Private, Deprecated: row.Deprecated, ReplacedBy: row.ReplacedBy,
		Versions: row.Versions, Downloads: row.Downloads, Created: row.Created, Updated: row.Updated,
	}, nil
}

// show is view for one principal: with the count of dependents, and without the
// name of a replacement that p may not see.
func (c *Catalog) show(ctx context.Context, p account.Principal, row store.Package) (Package, error) {
	out, err := view(row)
	if err != nil {
		return Package{}, err
	}
	if out.Dependents, err = c.DB.CountDependents(ctx, row.Repo); err != nil {
		return Package{}, err
	}
	if out.ReplacedBy == "" {
		return out, nil
	}
	other, err := clyde.ParseName(out.ReplacedBy)
	if err == nil {
		_, err = c.see(ctx, p, other)
	}
	if errors.Is(err, clyde.ErrNotFound) || errors.Is(err, clyde.ErrInvalid) {
		out.ReplacedBy, err = "", nil
	}
	return out, err
}

// list makes an absent list an empty one: JSON readers want [].
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// Package returns one package with its latest release.
func (c *Catalog) Package(ctx context.Context, p account.Principal, name clyde.Name) (Package, error) {
	row, err := c.see(ctx, p, name)
	if err != nil {
		return Package{}, err
	}
	out, err := c.show(ctx, p, row)
	if err != nil {
		return Package{}, err
	}
	if out.Pulls, err = c.totals(ctx, row.Repo, ""); err != nil {
		return Package{}, err
	}
	if out.Pending, err = c.pending(ctx, p, row.Repo); err != nil {
		return Package{}, err
	}
	if row.Latest == "" {
		if m, err := c.DB.Withdrawn(ctx, row.Repo, ""); err != nil || m == nil {
			return out, err
		} else {
			return Package{}, account.Withdrawn(*m)
		}
	}
	r, err := c.Release(ctx, p, Ref{Name: name, Version: row.Latest})
	if err != nil {
		return Package{}, err
	}
	var links struct{ Homepage, Repository, Documentation string }
	if err := json.Unmarshal(r.Manifest, &links); err != nil {
		return Package{}, err
	}
	out.Homepage, out.Repository, out.Docs, out.LatestInfo = links.Homepage, links.Repository, links.Documentation, &r
	return out, nil
}

// home returns the host of the registry that a repository of ours is in, and
// what it is called there.
func (c *Catalog) home(ctx context.Context, repo string) (host, path string) {
	if c.Home != nil {
		ns, _, _ := strings.Cut(repo, "/")
		if host, prefix := c.Home(ctx, ns); host != "" {
			return host, strings.TrimPrefix(prefix+"/"+repo, "/")
		}
	}
	return c.Host, repo
}

// reference is how an OCI client names a manifest.
func (c *Catalog) reference(ctx context.Context, repo, digest string) string {
	host, path := c.home(ctx, repo)
	return host + "/" + path + "@" + digest
}

// release is a version as it is shown, from its row alone.
func (c *Catalog) release(ctx context.Context, name clyde.Name, r store.Release) Release {
	return Release{
		Name: name.String(), Version: r.Version, Digest: r.Digest, Reference: c.reference(ctx, r.Repo, r.Digest), Size: r.Size,
		SourceDigest: r.Source, SourceType: r.SourceType, SourceSize: r.SourceSize, Published: r.Published, Publisher: r.Publisher,
		Signed: r.Signed, Yanked: r.Yank, State: r.State, Downloads: r.Downloads, Headers: r.Headers,
		PURL: PURL(name, r.Version), Manifest: r.Manifest,
		UpstreamVersion: r.Upstream, Signer: r.Signer,
	}
}

// totals are the pulls of a version, or with "" of the package.
func (c *Catalog) totals(ctx context.Context, repo, version string) (*store.Totals, error) {
	t, err := c.DB.Totals(ctx, repo, version)
	return &t, err
}

// PURL is the package URL of one version (purl-spec, type "clyde").
func PURL(name clyde.Name, version string) string {
	return "pkg:clyde/" + name.Repo() + "@" + version
}

// row finds the version that ref names.
func (c *Catalog) row(ctx context.Context, p account.Principal, ref Ref) (store.Release, error) {
	pkg, err := c.see(ctx, p, ref.Name)
	if errors.Is(err, clyde.ErrNotFound) {
		return store.Release{}, c.tombstone(ctx, p, ref, err)
	}
	if err != nil {
		return store.Release{}, err
	}
	version := ref.Version
	if version == "" || version == "latest" {
		if version = pkg.Latest; version == "" {
			if waiting, err := c.pending(ctx, p, pkg.Repo); err != nil {
				return store.Release{}, err
			} else if len(waiting) > 0 {
				return c.row(ctx, p, Ref{Name: ref.Name, Version: waiting[0]})
			}
			if m, err := c.DB.Withdrawn(ctx, pkg.Repo, ""); err != nil {
				return store.Release{}, err
			} else if m != nil {
				return store.Release{}, account.Withdrawn(*m)
			}
			return store.Release{}, clyde.Errorf(clyde.ErrNotFound, "%s has no version left", ref.Name).WithCode("version_unknown")
		}
	}
	v, err := clyde.ParseVersion(version)
	if err != nil {
		return store.Release{}, err
	}
	r, err := c.DB.ReleaseByVersion(ctx, pkg.Repo, v.Canonical())
	if errors.Is(err, clyde.ErrNotFound) || err == nil && r.State == store.StatePending && !account.SeesPending(p, pkg.Repo) {
		return store.Release{}, c.tombstone(ctx, p, ref, clyde.Errorf(clyde.ErrNotFound, "%s has no version %s; the latest is %s", ref.Name, version, pkg.Latest).
			WithCode("version_unknown").Fix("List the versions: clyde versions %s.", ref.Name))
	}
	if err == nil && withdrawn(r.State) {
		err = c.tombstone(ctx, p, ref, notFound(ref.Name))
	}
	return r, err
}

// Release returns one version whole.
func (c *Catalog) Release(ctx context.Context, p account.Principal, ref Ref) (Release, error) {
	r, err := c.row(ctx, p, ref)
	if err != nil {
		return Release{}, err
	}
	out := c.release(ctx, ref.Name, r)
	if out.PublishedBy, err = c.publishedBy(ctx, r); err != nil {
		return Release{}, err
	}
	if out.Pulls, err = c.totals(ctx, r.Repo, r.Version); err != nil {
		return Release{}, err
	}
	if err := c.stand(ctx, &out, r); err != nil {
		return Release{}, err
	}
	out.Requires, err = c.dependencies(ctx, p, r)
	return out, err
}

// Versions lists a package's versions, highest first.
func (c *Catalog) Versions(ctx context.Context, p account.Principal, name clyde.Name) ([]Release, error) {
	row, err := c.see(ctx, p, name)
	if err != nil {
		return nil, err
	}
	rs, err := c.sorted(ctx, row.Repo)
	if err != nil {
		return nil, err
	}
	out := make([]Release, 0, len(rs))
	for _, r := range rs {
		if r.State != store.StatePending || account.SeesPending(p, row.Repo) {
			out = append(out, c.release(ctx, name, r))
		}
	}
	return c.withdrawals(ctx, name, out)
}

// Pick returns the highest version in r that is not yanked.
func (c *Catalog) Pick(ctx context.Context, p account.Principal, name clyde.Name, r clyde.Range) (Release, error) {
	row, err := c.see(ctx, p, name)
	if err != nil {
		return Release{}, err
	}
	rs, err := c.sorted(ctx, row.Repo)
	if err != nil {
		return Release{}, err
	}
	yanked, gone := "", ""
	for _, o := range rs {
		v, err := clyde.ParseVersion(o.Version)
		if err != nil || !r.Contains(v) {
			continue
		}
		if o.State != "visible" {
			if gone == "" && withdrawn(o.State) {
				gone = o.Version + " would fit but is " + o.State
			}
			continue
		}
		if o.Yank == nil {
			return c.Release(ctx, p, Ref{Name: name, Version: o.Version})
		}
		if yanked == "" {
			yanked = o.Version
		}
	}
	e := clyde.Errorf(clyde.ErrNotFound, "%s has no version in the range %s; the latest is %s", name, r, row.Latest).WithCode("version_unknown")
	if yanked != "" {
		e.Msg += "; " + yanked + " would fit but was yanked"
		e.Fix("Ask for %s by its exact version if you must have it.", yanked)
	}
	if gone != "" {
		e.Msg += "; " + gone
	}
	return Release{}, e.Fix("List the versions: clyde versions %s.", name)
}

// Manifest returns package.yaml byte for byte.
func (c *Catalog) Manifest(ctx context.Context, p account.Principal, ref Ref) ([]byte, error) {
	r, err := c.row(ctx, p, ref)
	return r.ConfigYAML, err
}
