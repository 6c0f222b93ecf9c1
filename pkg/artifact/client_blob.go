package artifact

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Blob opens a blob. The reader goes on by itself after a dropped connection,
// and its last Read fails, without bytes, if they are not d's: an
// clyde.ErrUnverified error. It works until ctx ends.
func (c *Client) Blob(ctx context.Context, repo string, d ocispec.Descriptor) (io.ReadCloser, error) {
	b, err := c.newBlobReader(ctx, repo, d)
	if err != nil {
		return nil, err
	}
	for {
		err := b.open()
		if err == nil {
			return b, nil
		}
		if err := b.tries.again(ctx, err); err != nil {
			return nil, err
		}
	}
}

// blobReader reads a blob from off on, through as many replies as it takes.
type blobReader struct {
	ctx   context.Context // of all requests: Read has none
	c     *Client
	repo  string
	d     ocispec.Descriptor
	tries *tries
	hash  hash.Hash // of the bytes before off
	off   int64
	body  io.ReadCloser // nil between replies
	cut   error         // of the last body, to be mended by the next Read
	err   error         // what every further Read returns
}

func (c *Client) newBlobReader(ctx context.Context, repo string, d ocispec.Descriptor) (*blobReader, error) {
	if err := checkBlob(d); err != nil {
		return nil, err
	}
	return &blobReader{ctx: ctx, c: c, repo: repo, d: d, tries: c.newTries(), hash: d.Digest.Algorithm().Hash()}, nil
}

// open sends a request for the bytes from off on.
func (b *blobReader) open() error {
	at, err := b.c.in(b.repo, "/blobs/"+b.d.Digest.String())
	if err != nil {
		return err
	}
	q := request{method: http.MethodGet, url: at, scope: pull(b.repo)}
	ok := []int{http.StatusOK}
	if b.off > 0 {
		q.header = http.Header{"Range": {"bytes=" + strconv.FormatInt(b.off, 10) + "-"}}
		ok = append(ok, http.StatusPartialContent)
	}
	resp, err := b.c.once(b.ctx, q, ok...)
	if isStatus(err, http.StatusRequestedRangeNotSatisfiable) {
		return b.c.wrongBytes("a blob of another size than the %d bytes of %s", b.d.Size, b.d.Digest)
	}
	if err != nil {
		return err
	}
	if err := b.position(resp); err != nil {
		return errors.Join(err, resp.Body.Close())
	}
	b.body = resp.Body
	return nil
}

// position brings the body of a reply to off, and refuses one that cannot be
// this blob's.
func (b *blobReader) position(resp *http.Response) error {
	start, total := int64(0), resp.ContentLength
	if resp.StatusCode == http.StatusPartialContent {
		start, total = parseContentRange(resp.Header.Get("Content-Range"))
		if start != b.off {
			return &passing{err: clyde.Errorf(clyde.ErrUnavailable, "%s answered with other bytes than asked for", b.c.base.Host).WithCode("registry_refused")}
		}
	}
	if total >= 0 && total != b.d.Size {
		return b.c.wrongBytes("%d bytes for %s, which has %d", total, b.d.Digest, b.d.Size)
	}
	if start < b.off { // it does not know ranges: what we have comes once more
		if _, err := io.CopyN(io.Discard, resp.Body, b.off-start); err != nil {
			return b.dropped(err)
		}
	}
	return nil
}

// parseContentRange reads "bytes FIRST-LAST/TOTAL"; -1 stands for what is not
// known.
func parseContentRange(s string) (start, total int64) {
	span, all, ok := strings.Cut(strings.TrimPrefix(s, "bytes "), "/")
	first, _, ok2 := strings.Cut(span, "-")
	start, err := strconv.ParseInt(first, 10, 64)
	if !ok || !ok2 || err != nil {
		return -1, -1
	}
	if total, err = strconv.ParseInt(all, 10, 64); err != nil {
		total = -1
	}
	return start, total
}

// dropped is the error about a body that ended too early.
func (b *blobReader) dropped(err error) error {
	if err == io.EOF || err == nil {
		err = io.ErrUnexpectedEOF
	}
	return &passing{err: clyde.Errorf(clyde.ErrUnavailable, "%s dropped the connection in the middle of %s", b.c.base.Host, b.d.Digest).
		WithCode("registry_unreachable").Fix("check the network and try again").Because(err)}
}

func (b *blobReader) Read(p []byte) (int, error) {
	if len(p) == 0 || b.err != nil {
		return 0, b.err
	}
	for {
		if b.cut != nil {
			if err := b.tries.again(b.ctx, b.cut); err != nil {
				b.err = err
				return 0, err
			}
			b.cut = nil
		}
		n, err := b.read(p)
		switch {
		case err == nil || err == io.EOF:
			b.err = err
			return n, err
		case n > 0:
			b.tries.moved()
			b.cut = err
			return n, nil
		}
		b.cut = err
	}
}

// read is one Read of one body. It keeps the last bytes back until all have
// been verified.
func (b *blobReader) read(p []byte) (n int, err error) {
	if b.off < b.d.Size {
		if b.body == nil {
			if err := b.open(); err != nil {
				return 0, err
			}
		}
		n, err = b.body.Read(p[:min(int64(len(p)), b.d.Size-b.off)])
		b.hash.Write(p[:n])
		b.off += int64(n)
	}
	switch {
	case b.off == b.d.Size:
		if err := b.verify(); err != nil {
			return 0, err
		}
		return n, io.EOF
	case err != nil:
		_ = b.body.Close() // it has failed already
		b.body = nil
		if b.ctx.Err() != nil {
			return n, b.c.cancelled(b.ctx)
		}
		return n, b.dropped(err)
	}
	if n > 0 {
		b.tries.moved()
	}
	return n, nil
}

// verify refuses bytes that are not d's, and bytes after them.
func (b *blobReader) verify() error {
	if b.body != nil {
		var extra [1]byte
		if n, _ := io.ReadFull(b.body, extra[:]); n > 0 {
			return b.c.wrongBytes("more than the %d bytes of %s", b.d.Size, b.d.Digest)
		}
	}
	if got := fmt.Sprintf("%x", b.hash.Sum(nil)); got != b.d.Digest.Encoded() {
		return b.c.wrongBytes("bytes that are not %s", b.d.Digest)
	}
	return nil
}

func (b *blobReader) Close() error {
	if b.err == nil {
		b.err = clyde.Errorf(clyde.ErrInvalid, "the blob has been closed")
	}
	if b.body == nil {
		return nil
	}
	body := b.body
	b.body = nil
	return body.Close()
}
