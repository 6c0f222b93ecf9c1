package fsdriver

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/opencontainers/go-digest"
)

// OpenBlob opens the content of a blob and returns its size in bytes. It is an
// *os.File, and so good for sendfile, once the blob is in the tree. It does not
// ask which repositories hold the blob. The error is clyde.ErrNotFound when
// there is none.
func (d *Driver) OpenBlob(dgst digest.Digest) (io.ReadSeekCloser, int64, error) {
	if err := dgst.Validate(); err != nil {
		return nil, 0, clyde.Errorf(clyde.ErrInvalid, "digest %q is not valid", dgst).Because(err)
	}
	p := blobPath(dgst)
	if e := d.disk.lookup(p); e != nil {
		return inMemory{bytes.NewReader(e.data)}, int64(len(e.data)), nil
	}
	f, err := d.disk.files.OpenFile(d.disk.full(p), os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, clyde.Errorf(clyde.ErrNotFound, "blob %s does not exist", dgst).Because(err)
	}
	if err != nil {
		return nil, 0, err
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	if real, ok := f.(osFile); ok {
		return real.File, fi.Size(), nil
	}
	return f, fi.Size(), nil
}

// inMemory is a blob that is not in the tree yet.
type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// HasBlob reports whether a repository contains a blob: its _layers link names the digest.
func (d *Driver) HasBlob(repo string, dgst digest.Digest) (bool, error) {
	return d.hasLink(repo, "_layers", dgst)
}

// HasManifest reports whether a repository contains a manifest: its revision link names the digest.
func (d *Driver) HasManifest(repo string, dgst digest.Digest) (bool, error) {
	return d.hasLink(repo, "_manifests/revisions", dgst)
}

func (d *Driver) hasLink(repo, kind string, dgst digest.Digest) (bool, error) {
	if err := dgst.Validate(); err != nil {
		return false, clyde.Errorf(clyde.ErrInvalid, "digest %q is not valid", dgst).Because(err)
	}
	p := path.Join(layout, "repositories", repo, kind, dgst.Algorithm().String(), dgst.Encoded(), "link")
	if !storagedriver.PathRegexp.MatchString("/"+repo) || checkPath("/"+repo) != nil {
		return false, nil
	}
	content, err := d.disk.GetContent(context.Background(), p)
	if _, missing := errors.AsType[storagedriver.PathNotFoundError](err); missing {
		return false, nil
	}
	return err == nil && string(bytes.TrimSpace(content)) == dgst.String(), err
}

// ReadManifest returns a manifest of a repository, or clyde.ErrNotFound.
func (d *Driver) ReadManifest(repo string, dgst digest.Digest) ([]byte, error) {
	ok, err := d.HasManifest(repo, dgst)
	if err != nil {
		return nil, err
	}
	if ok {
		var b []byte
		b, err = d.disk.GetContent(context.Background(), blobPath(dgst))
		if err == nil {
			return b, nil
		}
		if _, missing := errors.AsType[storagedriver.PathNotFoundError](err); !missing {
			return nil, err
		}
	}
	return nil, clyde.Errorf(clyde.ErrNotFound, "manifest %s does not exist in %s", dgst, repo).Because(err)
}
