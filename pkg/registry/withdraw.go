package registry

import (
	"context"
	"errors"
	"slices"

	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/ingest"
	"github.com/clydepm/clyde-registry/pkg/store"
)

var _ ingest.Eraser = (*Registry)(nil)

// available returns clyde.ErrGone where an administrator withdrew the manifest,
// what it refers to, or the package; and what is said of one that is not there
// where it waits for signatures, but to its publishers. Only requests are asked:
// the indexer and the sweep read what is kept.
func (r *Registry) available(ctx context.Context, p account.Principal, repo, digest string) error {
	m, err := r.o.DB.Withdrawn(ctx, repo, digest)
	if err != nil {
		return err
	}
	if m != nil {
		return account.Withdrawn(*m)
	}
	h, err := r.o.DB.Waits(ctx, repo, digest)
	if err != nil || h == nil || account.SeesPending(p, repo) {
		return err
	}
	return waiting(p, manifestUnknown(repo, digest))
}

// waiting is the answer about what waits for signatures to who may not see it:
// absent, but to who showed no credentials 401, or no OCI client would show
// those that its publisher has.
func waiting(p account.Principal, absent error) error {
	if p.Anonymous() {
		return clyde.Errorf(clyde.ErrUnauthenticated, "it does not exist, or needs a token").WithCode("token_required").
			Fix("Check the name, or sign in: clyde login, or docker login with a token as the password.")
	}
	return absent
}

// refAvailable is available for what ref means: a digest, a tag, or a tag that
// names what it refers to.
func (r *Registry) refAvailable(ctx context.Context, p account.Principal, repo, ref string) error {
	if subject := ingest.Refers(ref); subject != "" {
		return r.available(ctx, p, repo, subject)
	}
	if isDigest(ref) {
		return r.available(ctx, p, repo, ref)
	}
	// The tag of an erased version is gone, and its claim says what it was.
	v, err := clyde.ParseVersion(ref)
	if err != nil {
		return r.available(ctx, p, repo, "")
	}
	m, err := r.o.DB.Moderation(ctx, repo, v.Canonical())
	switch {
	case err == nil:
		return account.Withdrawn(m)
	case !errors.Is(err, clyde.ErrNotFound):
		return err
	}
	if ok, err := r.o.DB.AnyWaits(ctx, repo); err != nil || !ok {
		return err
	}
	d, _, err := r.resolve(ctx, repo, ref)
	if err != nil {
		return err
	}
	err = r.available(ctx, p, repo, d.String())
	if errors.Is(err, clyde.ErrNotFound) && !errors.Is(err, clyde.ErrGone) {
		return manifestUnknown(repo, ref) // the digest is nobody's business
	}
	return err
}

// blobAvailable is available for a blob: one that a version names which is not
// withdrawn stays readable.
func (r *Registry) blobAvailable(ctx context.Context, p account.Principal, repo string, d digest.Digest) error {
	m, err := r.o.DB.WithdrawnBlob(ctx, repo, d.String())
	if err != nil {
		return err
	}
	if m != nil {
		return account.Withdrawn(*m)
	}
	h, err := r.o.DB.BlobWaits(ctx, repo, d.String())
	if err != nil || h == nil || account.SeesPending(p, repo) {
		return err
	}
	return waiting(p, blobUnknown(repo, d))
}

// shownTags returns at most n tags after last of what p can have.
func (r *Registry) shownTags(ctx context.Context, p account.Principal, repo, last string, n int) ([]string, error) {
	out := []string{}
	for len(out) < n {
		tags, err := r.o.DB.Tags(ctx, repo, last, n)
		if err != nil {
			return nil, err
		}
		for _, t := range tags {
			last = t.Tag
			d := t.Digest
			if subject := ingest.Refers(t.Tag); subject != "" {
				d = subject
			}
			switch err := r.available(ctx, p, repo, d); {
			case err == nil:
				out = append(out, t.Tag)
			case !errors.Is(err, clyde.ErrGone) && !errors.Is(err, clyde.ErrNotFound) && !errors.Is(err, clyde.ErrUnauthenticated):
				return nil, err
			}
		}
		if len(tags) < n {
			break
		}
	}
	return out[:min(n, len(out))], nil
}

// Erase removes the bytes of a manifest, of everything that refers to it, and
// of every blob of theirs that no other manifest names. record makes the
// database forget the manifests before a file is touched; what is left of the
// files after a crash is removed by erasing again.
//
// No manifest is stored meanwhile: it could name a blob that is about to go.
func (r *Registry) Erase(ctx context.Context, repo, dgst string, record func(ctx context.Context, manifests []string) error) (err error) {
	defer clyde.Wrap(&err, "registry.Erase(%s, %s)", repo, dgst)
	subject, err := parseDigest(dgst)
	if err != nil {
		return err
	}
	if err := checkRepo(repo); err != nil {
		return err
	}
	// Half an erasure is worse than one that outlives whoever asked for it.
	ctx = context.WithoutCancel(ctx)
	unlock, err := r.still(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	// What was pushed a moment ago is in memory and in a journal until then.
	if err := r.disk.Flush(ctx); err != nil {
		return err
	}
	all, err := r.doomed(ctx, repo, subject)
	if err != nil {
		return err
	}
	digests := make([]string, len(all))
	for i, m := range all {
		digests[i] = m.Digest
	}
	if err := record(ctx, digests); err != nil {
		return err
	}
	r.members.forget()
	tags, err := r.tagFiles(ctx, repo)
	if err != nil {
		return err
	}
	// Manifests last, and the version's very last: they say what else there is.
	for _, m := range all {
		for _, ref := range m.Refs {
			if err := r.eraseBlob(ctx, repo, digest.Digest(ref)); err != nil {
				return err
			}
		}
	}
	for _, m := range slices.Backward(all) {
		d := digest.Digest(m.Digest)
		for _, tag := range tags[d] {
			if err := r.drop(ctx, repoPath(repo, "_manifests", "tags", tag)); err != nil {
				return err
			}
		}
		if err := r.drop(ctx, revisionLink(repo, d)); err != nil {
			return err
		}
		r.bodies.drop(d)
		if err := r.eraseBlob(ctx, repo, d); err != nil {
			return err
		}
	}
	return r.disk.Shed(ctx)
}

// doomed lists the manifest and what refers to it, by subject or by tag, as the
// storage has them, the manifest first. One whose bytes are gone is listed by
// its digest.
func (r *Registry) doomed(ctx context.Context, repo string, subject digest.Digest) ([]store.Manifest, error) {
	tags, err := r.tagFiles(ctx, repo)
	if err != nil {
		return nil, err
	}
	digests, err := r.revisions(ctx, repo)
	if err != nil {
		return nil, err
	}
	out := []store.Manifest{{Repo: repo, Digest: subject.String()}}
	for _, d := range digests {
		m, err := r.readRevision(ctx, repo, d)
		if err != nil {
			r.log.WarnContext(ctx, "registry: erase: manifest cannot be read", "repo", repo, "digest", d, "err", err)
			continue
		}
		refers := m.Subject == subject.String() || slices.ContainsFunc(tags[d], func(tag string) bool { return ingest.Refers(tag) == subject.String() })
		switch {
		case d == subject:
			out[0] = m
		case refers:
			out = append(out, m)
		}
	}
	return out, nil
}

// eraseBlob unlinks a blob that no manifest of the repository names any more,
// and removes its bytes when none of any repository does.
func (r *Registry) eraseBlob(ctx context.Context, repo string, d digest.Digest) error {
	repos, err := r.o.DB.BlobRepos(ctx, d.String())
	if err != nil || slices.Contains(repos, repo) {
		return err
	}
	if err := r.drop(ctx, layerLink(repo, d)); err != nil || len(repos) > 0 {
		return err
	}
	return r.drop(ctx, blobPath(d))
}

// drop deletes a file or a directory that may not be there.
func (r *Registry) drop(ctx context.Context, p string) error {
	err := r.disk.Delete(ctx, p)
	if _, gone := errors.AsType[driver.PathNotFoundError](err); gone {
		return nil
	}
	return err
}
