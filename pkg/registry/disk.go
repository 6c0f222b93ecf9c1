package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// disk is the storage below distribution. Paths are distribution's.
type disk interface {
	driver.StorageDriver
	// Sync makes everything written so far durable.
	Sync(ctx context.Context) error
	// OpenBlob opens a blob's file and says how large it is.
	OpenBlob(d digest.Digest) (*os.File, int64, error)
	// HasBlob reports whether repo links the blob.
	HasBlob(repo string, d digest.Digest) (bool, error)
	Close() error
}

// The layout of distribution's storage (its registry/storage/paths.go).
const layoutRoot = "/docker/registry/v2"

func blobPath(d digest.Digest) string {
	return path.Join(layoutRoot, "blobs", d.Algorithm().String(), d.Encoded()[:2], d.Encoded(), "data")
}

func repoPath(repo string, elem ...string) string {
	return path.Join(append([]string{layoutRoot, "repositories", repo}, elem...)...)
}

func layerLink(repo string, d digest.Digest) string {
	return repoPath(repo, "_layers", d.Algorithm().String(), d.Encoded(), "link")
}

func revisionLink(repo string, d digest.Digest) string {
	return repoPath(repo, "_manifests", "revisions", d.Algorithm().String(), d.Encoded(), "link")
}

func tagCurrentLink(repo, tag string) string {
	return repoPath(repo, "_manifests", "tags", tag, "current", "link")
}

func tagIndexLink(repo, tag string, d digest.Digest) string {
	return repoPath(repo, "_manifests", "tags", tag, "index", d.Algorithm().String(), d.Encoded(), "link")
}

// plainDisk is distribution's own filesystem driver, which syncs each file as
// it is written.
type plainDisk struct {
	driver.StorageDriver
	root string
}

func openDisk(_ context.Context, root string) (disk, error) {
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, err
	}
	return &plainDisk{StorageDriver: filesystem.New(filesystem.DriverParameters{RootDirectory: root, MaxThreads: 100}), root: root}, nil
}

func (d *plainDisk) Sync(context.Context) error { return nil }

func (d *plainDisk) Close() error { return nil }

func (d *plainDisk) OpenBlob(dg digest.Digest) (*os.File, int64, error) {
	f, err := os.Open(filepath.Join(d.root, filepath.FromSlash(blobPath(dg))))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, clyde.Errorf(clyde.ErrNotFound, "blob %s was not found", dg)
	}
	if err != nil {
		return nil, 0, err
	}
	st, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, st.Size(), nil
}

func (d *plainDisk) HasBlob(repo string, dg digest.Digest) (bool, error) {
	_, err := os.Stat(filepath.Join(d.root, filepath.FromSlash(layerLink(repo, dg))))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// putOnce writes a file whose content follows from its name, unless it is there.
func (r *Registry) putOnce(ctx context.Context, p string, content []byte) error {
	if st, err := r.disk.Stat(ctx, p); err == nil && st.Size() == int64(len(content)) {
		return nil
	}
	if err := r.disk.PutContent(ctx, p, content); err != nil {
		return fmt.Errorf("registry: store: %w", err)
	}
	return nil
}
