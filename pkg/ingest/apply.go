package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/content"
	"github.com/clydepm/clyde-registry/pkg/index"
	"github.com/clydepm/clyde-registry/pkg/keylock"
	"github.com/clydepm/clyde-registry/pkg/policy"
	"github.com/clydepm/clyde-registry/pkg/recent"
	"github.com/clydepm/clyde-registry/pkg/store"
	"github.com/clydepm/clyde-registry/pkg/upstream"
)

// Ingest applies events: it reads the registry again and makes database,
// content and search index say what is there.
type Ingest struct {
	DB      *store.DB
	Source  artifact.Source // *Sources where there are Upstreams
	Content *content.Store
	Engine  index.Engine
	// Stale, unless nil, is told which packages the engine has to hear of, in
	// place of the engine: somebody else feeds it, and may fail without holding
	// up what is published.
	Stale  func(repo string)
	Trusts *policy.Trusts // sigstores whose certificates count; nil: none
	Log    *slog.Logger
	Now    func() time.Time

	Upstreams *upstream.Set // registries of others; nil: none

	unpackaged recent.Cache[struct{}] // "repo@digest" of foreign manifests that are nothing of ours

	repos   keylock.Locks // held while a repository's rows are read and written again
	refresh keylock.Locks // held while a package is read and given to the engine; taken last
}

// Apply makes true what ev hints at. It is idempotent, and believes nothing but
// the registry. An error for which permanent holds will not go away by trying
// again.
func (in *Ingest) Apply(ctx context.Context, ev clyde.Event) error {
	_, err := in.apply(ctx, ev)
	return err
}

// apply is Apply; it reports whether a version or what its signatures amount to
// was written.
func (in *Ingest) apply(ctx context.Context, ev clyde.Event) (changed bool, err error) {
	defer clyde.Wrap(&err, "ingest.Apply(%s:%s@%s)", ev.Repo, ev.Tag, ev.Digest)
	// A publish through the API applies its own event beside the inbox: what
	// one has read the other must not overwrite.
	release, err := in.hold(ctx, ev.Repo)
	if err != nil {
		return false, err
	}
	defer release()
	from, ok, err := in.place(ctx, ev)
	if err != nil || !ok {
		return false, err
	}
	if ev.Action == clyde.ActionDelete {
		return in.applyDelete(ctx, from, ev)
	}
	if changed, err = in.applyPush(ctx, from, ev); err != nil {
		return changed, err
	}
	return changed, in.DB.Mended(ctx, ev.Repo, ev.Tag, ev.Digest)
}

// applyPush applies what was stored in a repository, which comes from a foreign
// registry where from is one.
func (in *Ingest) applyPush(ctx context.Context, from *upstream.Registry, ev clyde.Event) (changed bool, err error) {
	if subject := Refers(ev.Tag); subject != "" {
		return in.reverify(ctx, ev.Repo, subject, ev.Actor)
	}
	dgst := digest.Digest(ev.Digest)
	if ev.Tag != "" {
		d, err := in.Source.Resolve(ctx, ev.Repo, ev.Tag)
		if (errors.Is(err, clyde.ErrNotFound) || err == nil && ev.Digest != "" && d.Digest.String() != ev.Digest) && in.early(from, ev) {
			return false, clyde.Errorf(clyde.ErrUnavailable, "%s does not show %s:%s as it was told of yet", from.Host(), ev.Repo, ev.Tag).WithCode("tag_pending")
		}
		if errors.Is(err, clyde.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		dgst = d.Digest
	}
	payload, _, err := in.Source.Manifest(ctx, ev.Repo, dgst)
	if errors.Is(err, clyde.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	m, err := readManifest(Push{Repo: ev.Repo, Payload: payload})
	if err != nil {
		return false, err
	}
	switch {
	case m.ArtifactType == artifact.TypePackage && ev.Tag != "":
		return true, in.applyRelease(ctx, from, ev, dgst, payload, nil)
	case m.ArtifactType == artifact.TypeBuild && ev.Tag != "":
		return in.applyBuild(ctx, from, ev, dgst, payload)
	case m.Subject != nil:
		return in.reverify(ctx, ev.Repo, m.Subject.Digest.String(), ev.Actor)
	}
	return false, nil
}

// applyRelease saves one version and what follows from it. f is what its
// signatures amount to, nil where that is to be found out.
func (in *Ingest) applyRelease(ctx context.Context, from *upstream.Registry, ev clyde.Event, dgst digest.Digest, payload []byte, f *finding) error {
	if from != nil { // before anything can be seen of it, why it was refused among it
		if _, err := in.show(ctx, from, ev.Repo, dgst); err != nil {
			return err
		}
	}
	name, err := clyde.ParseRepo(ev.Repo)
	if err != nil {
		return err
	}
	pm, err := artifact.ParsePackage(payload)
	if err != nil {
		return err
	}
	config, err := readBlob(ctx, in.Source, ev.Repo, pm.Config, artifact.MaxConfig)
	if err != nil {
		return err
	}
	spec, err := clyde.Validate(config, clyde.ValidateOptions{Publish: true, Repo: name, Tag: ev.Tag})
	if err != nil {
		return err
	}
	key := spec.Version.Canonical()
	if from != nil {
		// What nobody could unpack must not take a version.
		if _, err := in.derive(ctx, ev.Repo, dgst, pm, spec); err != nil {
			return err
		}
	}
	if err := in.adopt(ctx, from, ev, key, dgst); err != nil {
		return err
	}
	claim, err := in.DB.Claim(ctx, ev.Repo, key)
	if err != nil {
		return err
	}
	state, err := in.withdrawn(ctx, ev.Repo, key)
	if err != nil || state == store.ModerationErased {
		return err
	}
	if claim.Digest != dgst.String() {
		return clyde.Errorf(clyde.ErrInvalid, "version %s of %s is %s; %s came later and is a conflict", ev.Tag, name, claim.Digest, dgst).WithCode("version_exists")
	}
	info, err := in.derive(ctx, ev.Repo, dgst, pm, spec)
	if err != nil {
		return err
	}
	if f == nil {
		if f, err = in.verify(ctx, name, ev.Tag, dgst, int64(len(payload))); err != nil {
			return err
		}
	}
	view, err := json.Marshal(spec.View())
	if err != nil {
		return err
	}
	r := store.Release{
		Repo: ev.Repo, VersionKey: key, Version: ev.Tag, Digest: dgst.String(), Manifest: view, ConfigYAML: config, OCIManifest: payload,
		Size: pm.Config.Size, Source: pm.Source.Digest.String(), SourceType: pm.Source.MediaType, SourceSize: pm.Source.Size,
		Headers: info.Headers, Published: claim.Committed, Publisher: claim.Actor, Signed: string(f.report.State), Report: f.reportJSON, State: "visible",
		Signer: f.report.Signer(), Checked: in.Now().UTC(), Upstream: spec.UpstreamVersion, Standing: f.stored,
	}
	held, err := in.release(ctx, &r, f.free)
	if err != nil {
		return err
	}
	for _, l := range pm.Layers {
		r.Size += l.Size
	}
	if pm.Readme != nil {
		r.Readme = pm.Readme.Digest.String()
	}
	reqs := requirements(r, spec)
	shown := r // joined when it is read; the row says what the registry holds
	if held {
		shown.State = store.StatePending
	}
	if state != "" {
		shown.State = state
	}
	p, err := in.packageRow(ctx, name, shown, spec, info)
	if err != nil {
		return err
	}
	var change store.Change
	// Asked of the feed, not of the row: after a reindex all rows are new.
	if ok, err := in.DB.Announced(ctx, name.String(), r.Version, r.Digest); err != nil {
		return err
	} else if !ok && !held {
		change = store.Change{Time: r.Published, Type: "version.published", Package: name.String(), Version: r.Version, Digest: r.Digest, Actor: claim.Actor}
	}
	targets, err := in.targets(ctx, ev.Repo)
	if err != nil {
		return err
	}
	if err := in.DB.SaveRelease(ctx, p, r, reqs, change); err != nil {
		return err
	}
	if r.Free {
		if err := in.announceBuilds(ctx, name, r); err != nil {
			return err
		}
	}
	return in.refreshAll(ctx, ev.Repo, targets)
}

// derive reads the source archive once: file list, headers, readme.
func (in *Ingest) derive(ctx context.Context, repo string, dgst digest.Digest, pm *artifact.PackageManifest, spec *clyde.Manifest) (*content.Info, error) {
	if info, err := in.Content.Info(ctx, dgst.String()); err == nil {
		return info, nil
	}
	o := content.DeriveOptions{
		MediaType: pm.Source.MediaType, Include: spec.Include, Readme: spec.Readme,
		BaseURL: "/packages/" + repo + "/" + spec.Version.String() + "/files/",
	}
	if pm.Readme != nil {
		b, err := readBlob(ctx, in.Source, repo, *pm.Readme, artifact.MaxReadme)
		if err != nil {
			return nil, err
		}
		o.ReadmeLayer = b
	}
	r, err := in.Source.Blob(ctx, repo, pm.Source)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return in.Content.Derive(ctx, dgst.String(), r, o)
}

// requirements lists the edges of one version, by kind and name.
func requirements(r store.Release, spec *clyde.Manifest) []store.Requirement {
	var out []store.Requirement
	for _, k := range []struct {
		kind string
		list []clyde.Requirement
	}{{"requires", spec.Requires}, {"dev_requires", spec.DevRequires}, {"build_requires", spec.BuildRequires}} {
		for _, q := range k.list {
			target, err := clyde.ParseName(q.Name)
			if err != nil {
				continue // refused at publish; nothing unqualified is stored
			}
			out = append(out, store.Requirement{
				Repo: r.Repo, VersionKey: r.VersionKey, Version: r.Version, Kind: k.kind, Target: target.Repo(), Range: q.Range.String(), Optional: q.Optional,
			})
		}
	}
	return out
}

// packageRow says what the package looks like once r is among its versions.
func (in *Ingest) packageRow(ctx context.Context, name clyde.Name, r store.Release, spec *clyde.Manifest, info *content.Info) (store.Package, error) {
	rs, err := in.DB.Releases(ctx, r.Repo)
	if err != nil {
		return store.Package{}, err
	}
	rs = slices.DeleteFunc(rs, func(o store.Release) bool { return o.VersionKey == r.VersionKey })
	rs = append(rs, r)
	p := store.Package{Repo: r.Repo, Name: name, Versions: countShown(rs), Created: r.Published, Updated: r.Published}
	for _, o := range rs {
		if o.Published.Before(p.Created) {
			p.Created = o.Published
		}
	}
	latest, ok := Latest(rs)
	if !ok {
		return p, nil
	}
	p.Latest, p.Signed, p.Updated = latest.Version, latest.Signed, latest.Published
	if latest.VersionKey != r.VersionKey {
		old, err := in.DB.Package(ctx, r.Repo)
		if err != nil {
			return store.Package{}, err
		}
		if old.Latest == latest.Version {
			p.Doc = old.Doc
			return p, nil
		}
		return p, in.redocument(ctx, &p, latest)
	}
	doc := document(name, r, spec, info)
	p.Doc = doc.Encode()
	return p, nil
}

// redocument fills p.Doc from a version that was saved before, the same bytes
// as when it was.
func (in *Ingest) redocument(ctx context.Context, p *store.Package, latest store.Release) error {
	full, err := in.DB.ReleaseByVersion(ctx, p.Repo, latest.VersionKey)
	if err != nil {
		return err
	}
	spec, err := clyde.Validate(full.ConfigYAML, clyde.ValidateOptions{Publish: true, Repo: p.Name, Tag: full.Version})
	if err != nil {
		return err
	}
	pm, err := artifact.ParsePackage(full.OCIManifest)
	if err != nil {
		return err
	}
	info, err := in.derive(ctx, p.Repo, digest.Digest(full.Digest), pm, spec)
	if err != nil {
		return err
	}
	doc := document(p.Name, full, spec, info)
	p.Doc = doc.Encode()
	return nil
}

// Latest picks the version shown first: the highest that is neither yanked nor
// a prerelease, else the highest not yanked, else the highest. Versions that are
// withdrawn, gone or in conflict are not shown.
func Latest(rs []store.Release) (store.Release, bool) {
	var best store.Release
	rank, found := -1, false
	var bestV clyde.Version
	for _, r := range rs {
		v, err := clyde.ParseVersion(r.Version)
		if err != nil || r.State != "visible" {
			continue
		}
		k := 2
		if v.IsPrerelease() {
			k = 1
		}
		if r.Yank != nil {
			k = 0
		}
		if !found || k > rank || k == rank && clyde.Compare(v, bestV) > 0 {
			best, bestV, rank, found = r, v, k, true
		}
	}
	return best, found
}
