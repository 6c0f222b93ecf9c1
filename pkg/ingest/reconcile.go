package ingest

import (
	"context"
	"errors"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// sweepPage is how many names of a listing are asked for at a time.
const sweepPage = 100

// Report says what a sweep found.
type Report struct {
	Repositories int `json:"repositories"`
	Tags         int `json:"tags"`
	Applied      int `json:"applied"` // versions or signatures that the catalogue did not know
	Failed       int `json:"failed"`  // tags that could not be applied; the reasons are in the inbox
}

// Reconcile walks every repository and tag of the registry and applies what
// the catalogue does not know. It removes nothing: an empty or failed listing
// is no evidence.
func (in *Ingest) Reconcile(ctx context.Context) (Report, error) {
	var rep Report
	for last := ""; ; {
		repos, err := in.Source.Repositories(ctx, last, sweepPage)
		if err != nil {
			return rep, err
		}
		for _, repo := range repos {
			last = repo
			rep.Repositories++
			if err := in.reconcileRepo(ctx, repo, &rep); err != nil {
				return rep, err
			}
		}
		if len(repos) < sweepPage {
			return rep, nil
		}
	}
}

func (in *Ingest) reconcileRepo(ctx context.Context, repo string, rep *Report) error {
	for last := ""; ; {
		tags, err := in.Source.Tags(ctx, repo, last, sweepPage)
		if err != nil {
			return err
		}
		for _, tag := range tags {
			last = tag
			rep.Tags++
			if err := in.reconcileTag(ctx, repo, tag, rep); err != nil {
				return err
			}
		}
		if len(tags) < sweepPage {
			break
		}
	}
	return in.resettle(ctx, repo)
}

// resettle mends a package row that does not follow from its releases.
func (in *Ingest) resettle(ctx context.Context, repo string) error {
	release, err := in.hold(ctx, repo)
	if err != nil {
		return err
	}
	defer release()
	targets, err := in.targets(ctx, repo)
	if err != nil {
		return err
	}
	changed, err := in.settle(ctx, repo)
	if errors.Is(err, clyde.ErrNotFound) {
		return nil // nothing of it is a package
	}
	if err != nil || !changed {
		return err
	}
	return in.refreshAll(ctx, repo, targets)
}

// reconcileTag applies one tag unless the catalogue agrees with it already.
// What cannot be applied is parked in the inbox, so that its publisher can
// read why; what may be later, waits there for another attempt. Neither ends
// the sweep.
func (in *Ingest) reconcileTag(ctx context.Context, repo, tag string, rep *Report) error {
	if Refers(tag) != "" {
		return nil // what it refers to is looked at as a whole
	}
	d, err := in.Source.Resolve(ctx, repo, tag)
	if errors.Is(err, clyde.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	ev := clyde.Event{Source: "sweep", Action: clyde.ActionPush, Repo: repo, Tag: tag, Digest: d.Digest.String(), Received: in.Now().UTC()}
	known, err := in.known(ctx, ev)
	if err != nil {
		return err
	}
	var changed bool
	if known {
		changed, err = in.reverifyLocked(ctx, repo, ev.Digest)
	} else {
		changed, err = in.applySafely(ctx, ev)
	}
	switch {
	case err == nil:
		if changed {
			rep.Applied++
		}
		return nil
	case ctx.Err() != nil:
		return err
	}
	rep.Failed++
	in.Log.WarnContext(ctx, "ingest: sweep", "repo", repo, "tag", tag, "err", err)
	if permanent(err) {
		return in.DB.ParkEvent(ctx, ev, reason(err))
	}
	_, err = in.DB.PutEvent(ctx, ev)
	return err
}

// known reports whether the catalogue has everything of the version: its row,
// and what was derived from its archive, which no backup holds.
func (in *Ingest) known(ctx context.Context, ev clyde.Event) (bool, error) {
	if _, err := in.DB.Build(ctx, ev.Repo, ev.Digest); !errors.Is(err, clyde.ErrNotFound) {
		return err == nil, err
	}
	r, err := in.DB.ReleaseByDigest(ctx, ev.Repo, ev.Digest)
	if errors.Is(err, clyde.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if _, err := in.Content.Info(ctx, r.Digest); err != nil {
		return false, nil // derived again, whatever ails it
	}
	return true, nil
}

// Walker lists what storage holds, without the database.
type Walker interface {
	Walk(ctx context.Context, fn func(repo string, m store.Manifest, tags []string) error) error
	Forget()
}

// Reindex drops what was derived and rebuilds it from storage: manifests,
// tags, referrers, packages, releases, signatures, search index. What only the
// database knows (claims, tokens, keys, yanks, counts, audit) stays; a version
// whose claim is lost gets a new one, and one whose tag was never committed
// stays invisible.
func (in *Ingest) Reindex(ctx context.Context, w Walker) (Report, error) {
	if err := in.DB.DropDerived(ctx); err != nil {
		return Report{}, err
	}
	w.Forget()
	err := w.Walk(ctx, func(repo string, m store.Manifest, tags []string) error {
		if gone, err := in.erased(ctx, repo, m); err != nil || gone {
			return err
		}
		var keep []string
		for _, tag := range tags {
			ok, err := in.restoreClaim(ctx, repo, tag, m)
			if err != nil {
				return err
			}
			if ok {
				keep = append(keep, tag)
			}
		}
		return in.DB.RestoreManifest(ctx, m, keep)
	})
	if err != nil {
		return Report{}, err
	}
	w.Forget()
	rep, err := in.Reconcile(ctx)
	if err != nil {
		return rep, err
	}
	return rep, in.RebuildIndex(ctx)
}

// restoreClaim reports whether the tag stands: that of a version, or of a
// build, does when its claim is committed for this digest.
func (in *Ingest) restoreClaim(ctx context.Context, repo, tag string, m store.Manifest) (bool, error) {
	key, ok := buildKey(tag)
	ok = ok && artifact.IsBuild(m.ArtifactType)
	if v, err := clyde.ParseVersion(tag); err == nil && m.ArtifactType == artifact.TypePackage {
		key, ok = v.Canonical(), true
	}
	if !ok {
		return true, nil
	}
	c, err := in.DB.Claim(ctx, repo, key)
	switch {
	case errors.Is(err, clyde.ErrNotFound):
		c = store.Claim{Repo: repo, VersionKey: key, Version: tag, Digest: m.Digest, Committed: m.Pushed}
		return true, in.DB.RestoreClaim(ctx, c)
	case err != nil:
		return false, err
	}
	return !c.Committed.IsZero() && c.Digest == m.Digest, nil
}
