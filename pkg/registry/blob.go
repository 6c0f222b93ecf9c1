package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

func blobUnknown(repo string, d digest.Digest) error {
	return clyde.Errorf(clyde.ErrNotFound, "%s has no blob %s", repo, d).WithCode("blob_unknown")
}

// OpenBlob opens a blob of the repository: its file, for sendfile, but for what
// was pushed a moment ago. It returns the blob, which the caller closes, and
// its size in bytes, or clyde.ErrNotFound where this repository does not hold
// this blob, whatever others hold.
func (r *Registry) OpenBlob(ctx context.Context, repo string, d digest.Digest) (io.ReadSeekCloser, int64, error) {
	if _, err := parseDigest(d.String()); err != nil {
		return nil, 0, err
	}
	if err := checkRepo(repo); err != nil {
		return nil, 0, err
	}
	ok, err := r.disk.HasBlob(repo, d)
	if err != nil {
		return nil, 0, fmt.Errorf("registry: blob: %w", err)
	}
	if !ok {
		return nil, 0, blobUnknown(repo, d)
	}
	f, size, err := r.disk.OpenBlob(d)
	if errors.Is(err, clyde.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		r.log.ErrorContext(ctx, "registry: a linked blob has no file", "repo", repo, "digest", d)
		return nil, 0, blobUnknown(repo, d)
	}
	return f, size, err
}

// Stat returns the size in bytes of a blob of the repository, or
// clyde.ErrNotFound.
func (r *Registry) Stat(ctx context.Context, repo string, d digest.Digest) (int64, error) {
	f, size, err := r.OpenBlob(ctx, repo, d)
	if err != nil {
		return 0, err
	}
	return size, f.Close()
}

func (r *Registry) getBlob(w http.ResponseWriter, req *http.Request, c call) error {
	d := digest.Digest(c.ref)
	if req.Method == http.MethodHead && !c.p.Anonymous() {
		r.renew(req.Context(), c.repo, d) // a push may count on the answer
	}
	f, size, err := r.OpenBlob(req.Context(), c.repo, d)
	if err != nil {
		return err
	}
	defer f.Close()
	if r.o.Redirect && req.Method == http.MethodGet {
		to, err := r.disk.RedirectURL(req, blobPath(d))
		if err != nil {
			return fmt.Errorf("registry: redirect: %w", err)
		}
		if to != "" {
			w.Header().Set("Cache-Control", "no-store") // the address ends before the bytes change
			w.Header().Set("Docker-Content-Digest", d.String())
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusTemporaryRedirect)
			return nil
		}
	}
	h := w.Header()
	r.cacheControl(h, req, true)
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", "attachment") // never a page of our origin
	h.Set("Docker-Content-Digest", d.String())
	h.Set("ETag", `"`+d.String()+`"`)
	h.Set("Accept-Ranges", "bytes")
	if req.Method == http.MethodHead && req.Header.Get("Range") == "" && req.Header.Get("If-None-Match") == "" {
		h.Set("Content-Length", strconv.FormatInt(size, 10))
		w.WriteHeader(http.StatusOK)
		return nil
	}
	http.ServeContent(w, req, "", time.Time{}, f)
	return nil
}

// deleteBlob unlinks a blob from the repository; its bytes stay for others.
func (r *Registry) deleteBlob(w http.ResponseWriter, req *http.Request, c call) error {
	ctx, d := req.Context(), digest.Digest(c.ref)
	if r.o.Accept != AcceptAny {
		return clyde.Errorf(clyde.ErrInvalid, "blobs of packages cannot be deleted").WithCode("method_not_allowed").Fix("Yank the version: clyde yank @%s VERSION.", c.repo)
	}
	switch ok, err := r.disk.HasBlob(c.repo, d); {
	case err != nil:
		return fmt.Errorf("registry: blob: %w", err)
	case !ok:
		return blobUnknown(c.repo, d)
	}
	errUsed := clyde.Errorf(clyde.ErrDenied, "a package of %s needs the blob", c.repo).WithCode("blob_in_use")
	err := r.eachManifest(ctx, c.repo, func(m store.Manifest) error {
		if m.ArtifactType == artifact.TypePackage && slices.Contains(m.Refs, d.String()) {
			return errUsed
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := r.disk.Delete(ctx, layerLink(c.repo, d)); err != nil {
		if _, ok := errors.AsType[driver.PathNotFoundError](err); ok {
			return blobUnknown(c.repo, d)
		}
		return err
	}
	return accepted(w)
}

// deleteManifest removes a tag or a manifest. Packages are only ever yanked:
// somebody's lock file names them. What refers to them is for administrators;
// everything else follows plain OCI rules.
func (r *Registry) deleteManifest(w http.ResponseWriter, req *http.Request, c call) error {
	ctx := req.Context()
	d, m, err := r.resolve(ctx, c.repo, c.ref)
	if err != nil {
		return err
	}
	switch {
	case m.artifactType == artifact.TypePackage:
		return clyde.Errorf(clyde.ErrDenied, "%s of %s is a published version, which is never deleted", c.ref, c.repo).
			WithCode("version_immutable").Fix("Yank it: clyde yank @%s VERSION.", c.repo)
	case r.o.Accept != AcceptAny:
		if err := account.RequireAdmin(c.p, "deleting what refers to a package"); err != nil {
			return err
		}
	}
	ctx = context.WithoutCancel(ctx)
	ev := clyde.Event{Source: "registry", Action: clyde.ActionDelete, Repo: c.repo, Actor: c.p.String(), Received: r.now().UTC()}
	if !isDigest(c.ref) {
		unlock, err := r.lockTag(ctx, c.repo, c.ref)
		if err != nil {
			return err
		}
		defer unlock()
		ev.Tag = c.ref
		if err := r.o.DB.DeleteTag(ctx, c.repo, c.ref, ev); err != nil {
			return orManifestUnknown(err, c)
		}
		r.removeLinks(ctx, repoPath(c.repo, "_manifests", "tags", c.ref))
		return accepted(w)
	}
	ev.Digest = d.String()
	var tags []string
	if err := r.eachTag(ctx, c.repo, func(t store.Tag) error {
		if t.Digest == d.String() {
			tags = append(tags, t.Tag)
		}
		return nil
	}); err != nil {
		return err
	}
	err = r.o.DB.DeleteManifest(ctx, c.repo, d.String(), ev)
	r.members.forget()
	if err != nil {
		return orManifestUnknown(err, c)
	}
	for _, tag := range tags {
		r.removeLinks(ctx, repoPath(c.repo, "_manifests", "tags", tag))
	}
	r.removeLinks(ctx, revisionLink(c.repo, d))
	return accepted(w)
}

func orManifestUnknown(err error, c call) error {
	if errors.Is(err, clyde.ErrNotFound) {
		return manifestUnknown(c.repo, c.ref)
	}
	return err
}

// removeLinks deletes a link after SQL has forgotten it. Failing leaves a file
// that only a rebuild would read, so it is logged and no more.
func (r *Registry) removeLinks(ctx context.Context, p string) {
	err := r.disk.Delete(ctx, p)
	if _, gone := errors.AsType[driver.PathNotFoundError](err); err != nil && !gone {
		r.log.ErrorContext(ctx, "registry: remove a link", "path", p, "err", err)
	}
}

func accepted(w http.ResponseWriter) error {
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusAccepted)
	return nil
}
