// Package s3driver keeps the registry's blobs on S3-compatible storage, through
// distribution's driver and in its layout. What a call stored is durable when it
// returns; so there is nothing to sync, and processes share a bucket as it is.
package s3driver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	s3 "github.com/distribution/distribution/v3/registry/storage/driver/s3-aws"
	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

const (
	// layout is where distribution keeps everything.
	layout = "/docker/registry/v2"

	// chunkSize is a part of an upload in bytes. S3 takes 10,000 parts of at least
	// 5 MiB: this is enough for blobs of 97 GiB, and held in memory twice an upload.
	chunkSize = 10 << 20

	// copySize is a part of a copy within the bucket, in bytes, copyAtOnce how many
	// are copied at a time, and copyWhole up to what size a blob is copied in one
	// request: distribution's defaults.
	copySize   = 32 << 20
	copyAtOnce = 100
	copyWhole  = 32 << 20
)

// Options say where the bucket is. Bucket and Region are required.
type Options struct {
	Endpoint  string // https://host[:port] of other storage than Amazon's
	Region    string
	Bucket    string
	Prefix    string // of all keys; "" is none
	AccessKey string // "" asks the environment, as Amazon's tools do
	SecretKey string
	PathStyle bool // the bucket is part of the path, not of the host
	Encrypt   bool // the storage encrypts what it keeps
}

// Driver is a storagedriver.StorageDriver on a bucket. Its methods may be called
// concurrently.
type Driver struct{ *s3.Driver }

// New opens the bucket. It asks for nothing: an error of the storage comes with
// the first call that meets it; see Check.
func New(ctx context.Context, o Options) (*Driver, error) {
	if o.Bucket == "" || o.Region == "" {
		return nil, errors.New("s3driver: Bucket and Region are required")
	}
	d, err := s3.New(ctx, s3.DriverParameters{
		AccessKey: o.AccessKey, SecretKey: o.SecretKey, Bucket: o.Bucket, Region: o.Region, RegionEndpoint: o.Endpoint,
		ForcePathStyle: o.PathStyle, Encrypt: o.Encrypt, Secure: true, V4Auth: true, RootDirectory: o.Prefix,
		ChunkSize: chunkSize, MultipartCopyChunkSize: copySize, MultipartCopyMaxConcurrency: copyAtOnce, MultipartCopyThresholdSize: copyWhole,
		StorageClass: "STANDARD", ObjectACL: "private", UserAgent: "clyde-registry",
	})
	if err != nil {
		return nil, fmt.Errorf("s3driver: %w", err)
	}
	return &Driver{d}, nil
}

// Check proves that the bucket is there and takes what is stored: it writes,
// reads and removes an object.
func (d *Driver) Check(ctx context.Context) error {
	const p = layout + "/_check"
	want := []byte("clyde-registry looks whether it can write here\n")
	if err := d.PutContent(ctx, p, want); err != nil {
		return fmt.Errorf("s3driver: write: %w", err)
	}
	got, err := d.GetContent(ctx, p)
	if err == nil && !bytes.Equal(got, want) {
		err = errors.New("other bytes came back")
	}
	if err != nil {
		return fmt.Errorf("s3driver: read: %w", err)
	}
	if err := d.Delete(ctx, p); err != nil {
		return fmt.Errorf("s3driver: delete: %w", err)
	}
	return nil
}

// Sync does nothing: what was stored is durable.
func (*Driver) Sync(context.Context) error { return nil }

// Flush does nothing, likewise.
func (*Driver) Flush(context.Context) error { return nil }

// Shed does nothing, likewise.
func (*Driver) Shed(context.Context) error { return nil }

// Close does nothing: connections end by themselves.
func (*Driver) Close() error { return nil }

func blobPath(d digest.Digest) string {
	hex := d.Encoded()
	return path.Join(layout, "blobs", d.Algorithm().String(), hex[:2], hex, "data")
}

// OpenBlob opens the content of a blob and returns its size in bytes. It does
// not ask which repositories hold the blob. The error is clyde.ErrNotFound when
// there is none.
func (d *Driver) OpenBlob(dgst digest.Digest) (io.ReadSeekCloser, int64, error) {
	if err := dgst.Validate(); err != nil {
		return nil, 0, clyde.Errorf(clyde.ErrInvalid, "digest %q is not valid", dgst).Because(err)
	}
	ctx := context.Background()
	p := blobPath(dgst)
	st, err := d.Stat(ctx, p)
	if missing(err) || err == nil && st.IsDir() {
		return nil, 0, clyde.Errorf(clyde.ErrNotFound, "blob %s does not exist", dgst).Because(err)
	}
	if err != nil {
		return nil, 0, err
	}
	return &object{d: d, path: p, size: st.Size()}, st.Size(), nil
}

// HasBlob reports whether a repository contains a blob: its _layers link names the digest.
func (d *Driver) HasBlob(repo string, dgst digest.Digest) (bool, error) {
	if err := dgst.Validate(); err != nil {
		return false, clyde.Errorf(clyde.ErrInvalid, "digest %q is not valid", dgst).Because(err)
	}
	b, err := d.GetContent(context.Background(), path.Join(layout, "repositories", repo, "_layers", dgst.Algorithm().String(), dgst.Encoded(), "link"))
	if missing(err) {
		return false, nil
	}
	return err == nil && string(bytes.TrimSpace(b)) == dgst.String(), err
}

// Writer returns a writer of a file; one that appends to a file that is not
// there begins it.
func (d *Driver) Writer(ctx context.Context, p string, appending bool) (storagedriver.FileWriter, error) {
	w, err := d.Driver.Writer(ctx, p, appending)
	if appending && missing(err) {
		return d.Driver.Writer(ctx, p, false)
	}
	return w, err
}

// RedirectURL returns an address that answers a GET or HEAD of a file for the
// next minutes without asking us.
func (d *Driver) RedirectURL(r *http.Request, p string) (string, error) {
	return d.Driver.RedirectURL(r, p)
}

func missing(err error) bool {
	_, ok := errors.AsType[storagedriver.PathNotFoundError](err)
	return ok
}

// object reads a blob from where it is told, asking for the bytes when the first
// of them is read.
type object struct {
	d    *Driver
	path string
	size int64
	off  int64
	body io.ReadCloser // at off; nil: nothing was asked for yet
}

func (o *object) Read(b []byte) (int, error) {
	if o.off >= o.size {
		return 0, io.EOF
	}
	if o.body == nil {
		var err error
		if o.body, err = o.d.Reader(context.Background(), o.path, o.off); err != nil {
			return 0, err
		}
	}
	n, err := o.body.Read(b)
	o.off += int64(n)
	if err == io.EOF && o.off < o.size {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (o *object) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += o.off
	case io.SeekEnd:
		offset += o.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning")
	}
	if offset == o.off {
		return offset, nil
	}
	o.off = offset
	return offset, o.Close()
}

func (o *object) Close() error {
	if o.body == nil {
		return nil
	}
	err := o.body.Close()
	o.body = nil
	return err
}
