package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path"
	"sync"

	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/registry/fsdriver"
	"github.com/clydepm/clyde-registry/pkg/registry/s3driver"
)

// disk is the storage below distribution. Paths are distribution's.
type disk interface {
	driver.StorageDriver
	// Sync makes everything written so far durable.
	Sync(ctx context.Context) error
	// Flush also writes it to its place, for those who read the directory.
	Flush(ctx context.Context) error
	// Shed is Sync, and what was deleted is in no file any more.
	Shed(ctx context.Context) error
	// OpenBlob opens a blob and says how large it is.
	OpenBlob(d digest.Digest) (io.ReadSeekCloser, int64, error)
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

// openDisk opens the storage driver of ours: distribution's layout, with few
// syncs, shared by whoever waits for one.
func openDisk(ctx context.Context, root, name string, log *slog.Logger) (disk, error) {
	return fsdriver.New(ctx, fsdriver.Options{Root: root, Name: name, Log: log})
}

// openBucket opens a bucket, and proves that it can be used.
func openBucket(ctx context.Context, o s3driver.Options) (disk, error) {
	d, err := s3driver.New(ctx, o)
	if err == nil {
		err = d.Check(ctx)
	}
	if err != nil {
		return nil, clyde.Errorf(clyde.ErrUnavailable, "the bucket %s cannot be used", o.Bucket).
			Fix("Check storage.s3: endpoint, region, bucket, and that its key may read, write, list and delete.").Because(err)
	}
	return d, nil
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

// linkBlob makes a blob one of the repository, with a grace of its own.
func (r *Registry) linkBlob(ctx context.Context, repo string, d digest.Digest) error {
	if err := r.disk.PutContent(ctx, layerLink(repo, d), []byte(d.String())); err != nil {
		return fmt.Errorf("registry: store: %w", err)
	}
	return nil
}

// paths is a set of paths, each with how often it was added. The zero value is
// ready.
type paths struct {
	mu sync.Mutex
	m  map[string]int
}

func (s *paths) add(p string) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = map[string]int{}
	}
	s.m[p]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.m[p]--; s.m[p] == 0 {
			delete(s.m, p)
		}
	}
}

func (s *paths) has(p string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m[p] > 0
}

// replacing is what distribution is given. It keeps the bytes of a blob that is
// uploaded again as they are, damaged or about to be collected; so it is not
// told that they are there.
type replacing struct {
	disk
	replaced *paths
}

// Stat describes a file, unless it is about to be replaced.
func (s replacing) Stat(ctx context.Context, p string) (driver.FileInfo, error) {
	if s.replaced.has(p) {
		return nil, driver.PathNotFoundError{Path: p}
	}
	return s.disk.Stat(ctx, p)
}

// notThere reports whether err says that a path does not exist.
func notThere(err error) bool {
	_, ok := errors.AsType[driver.PathNotFoundError](err)
	return ok
}
