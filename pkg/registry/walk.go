package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Walk calls fn for every manifest that the storage holds, with the tags that
// point at it there, repository by repository in byte order: what reindex
// rebuilds the derived tables from. It reads files only, never the database. A
// manifest whose bytes are damaged or gone is logged and left out.
func (r *Registry) Walk(ctx context.Context, fn func(repo string, m store.Manifest, tags []string) error) error {
	en, ok := r.ns.(distribution.RepositoryEnumerator)
	if !ok {
		return errors.New("registry: distribution cannot list its repositories")
	}
	var repos []string
	err := en.Enumerate(ctx, func(repo string) error {
		repos = append(repos, repo)
		return nil
	})
	if err := unlessAbsent(err); err != nil {
		return fmt.Errorf("registry: walk: %w", err)
	}
	slices.Sort(repos)
	for _, repo := range repos {
		if err := r.walkRepo(ctx, repo, fn); err != nil {
			return err
		}
	}
	return nil
}

func unlessAbsent(err error) error {
	if _, ok := errors.AsType[driver.PathNotFoundError](err); ok {
		return nil
	}
	return err
}

func (r *Registry) walkRepo(ctx context.Context, repo string, fn func(string, store.Manifest, []string) error) error {
	tags, err := r.tagFiles(ctx, repo)
	if err != nil {
		return fmt.Errorf("registry: walk %s: %w", repo, err)
	}
	digests, err := r.revisions(ctx, repo)
	if err != nil {
		return fmt.Errorf("registry: walk %s: %w", repo, err)
	}
	for _, d := range digests {
		m, err := r.readRevision(ctx, repo, d)
		if err != nil {
			r.log.ErrorContext(ctx, "registry: walk: manifest left out", "repo", repo, "digest", d, "err", err)
			continue
		}
		if err := fn(repo, m, tags[d]); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// tagFiles reads what the tag links say: digest → tags, sorted.
func (r *Registry) tagFiles(ctx context.Context, repo string) (map[digest.Digest][]string, error) {
	dirs, err := r.disk.List(ctx, repoPath(repo, "_manifests", "tags"))
	if err := unlessAbsent(err); err != nil {
		return nil, err
	}
	slices.Sort(dirs)
	out := map[digest.Digest][]string{}
	for _, dir := range dirs {
		tag := path.Base(dir)
		b, err := r.disk.GetContent(ctx, tagCurrentLink(repo, tag))
		if err != nil {
			if err := unlessAbsent(err); err != nil {
				return nil, err
			}
			continue // a push that died before its tag was written
		}
		d := digest.Digest(strings.TrimSpace(string(b)))
		out[d] = append(out[d], tag)
	}
	return out, nil
}

// revisions lists the manifests that the repository links, sorted.
func (r *Registry) revisions(ctx context.Context, repo string) ([]digest.Digest, error) {
	dirs, err := r.disk.List(ctx, repoPath(repo, "_manifests", "revisions", digest.SHA256.String()))
	if err := unlessAbsent(err); err != nil {
		return nil, err
	}
	var out []digest.Digest
	for _, dir := range dirs {
		d := digest.NewDigestFromEncoded(digest.SHA256, path.Base(dir))
		if d.Validate() != nil {
			continue
		}
		if _, err := r.disk.Stat(ctx, revisionLink(repo, d)); err != nil {
			continue // deleted: the directory stays, the link is gone
		}
		out = append(out, d)
	}
	slices.Sort(out)
	return out, nil
}

func (r *Registry) readRevision(ctx context.Context, repo string, d digest.Digest) (store.Manifest, error) {
	st, err := r.disk.Stat(ctx, revisionLink(repo, d))
	if err != nil {
		return store.Manifest{}, err
	}
	f, _, err := r.disk.OpenBlob(d)
	if err != nil {
		return store.Manifest{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, artifact.MaxManifest+1))
	if err != nil {
		return store.Manifest{}, err
	}
	if digest.FromBytes(b) != d {
		return store.Manifest{}, errors.New("its bytes are damaged")
	}
	mediaType, err := manifestType("", b)
	if err != nil {
		return store.Manifest{}, err
	}
	m, err := describe(repo, mediaType, b)
	m.Pushed = st.ModTime().UTC()
	return m, err
}

// eachManifest calls fn with the row of every manifest the repository links.
func (r *Registry) eachManifest(ctx context.Context, repo string, fn func(store.Manifest) error) error {
	digests, err := r.revisions(ctx, repo)
	if err != nil {
		return err
	}
	for _, d := range digests {
		m, err := r.readRevision(ctx, repo, d)
		if err != nil {
			return err
		}
		if err := fn(m); err != nil {
			return err
		}
	}
	return nil
}
