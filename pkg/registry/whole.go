package registry

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/distribution/distribution/v3"
	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/registry/fsdriver"
)

// maxWhole is the largest blob, in bytes, that is taken in one piece when it
// comes in one request: what the storage driver keeps in its journal. It then
// costs no files of an upload, which are six system calls and more for each
// blob of a small package.
const maxWhole = fsdriver.DefaultSmallFile

// maxWholeS3 is the same for a bucket, where an upload takes a dozen requests
// and this one. It is held in memory.
const maxWholeS3 = 4 << 20

// pendingUploads are the uploads of which nothing has been received: they are
// no files yet. The zero value is ready.
type pendingUploads struct {
	mu sync.Mutex
	m  map[string]time.Time // upload → begin
}

func (u *pendingUploads) add(id string, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.m == nil {
		u.m = map[string]time.Time{}
	}
	u.m[id] = at
}

func (u *pendingUploads) get(id string) (time.Time, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	at, ok := u.m[id]
	return at, ok
}

func (u *pendingUploads) remove(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.m, id)
}

// purge forgets what began before t and returns how many.
func (u *pendingUploads) purge(t time.Time) (n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for id, at := range u.m {
		if at.Before(t) {
			delete(u.m, id)
			n++
		}
	}
	return n
}

// newUploadID returns a UUID of version 7 (RFC 9562), which says in
// milliseconds when the upload began.
func newUploadID(now time.Time) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixMilli())<<16|uint64(b[6]&0x0f|0x70)<<8|uint64(b[7]))
	b[8] = b[8]&0x3f | 0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// uploadBegan is what newUploadID wrote; another version of UUID says nothing.
func uploadBegan(id string) (time.Time, bool) {
	if len(id) != 36 || id[14] != '7' {
		return time.Time{}, false
	}
	b, err := hex.DecodeString(id[:8] + id[9:13])
	if err != nil {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(append(make([]byte, 2, 8), b...)))), true
}

// untouched returns when an upload began that has received nothing. One that
// an earlier process began and that left no files is such an upload too: its
// signed address proves that it was begun.
func (r *Registry) untouched(c call) (time.Time, bool) {
	shared := r.o.Replica != "" // then another may have begun it, or gone on with it
	if at, ok := r.pending.get(c.ref); ok && !shared {
		return at, true
	}
	at, ok := uploadBegan(c.ref)
	if !ok || !shared && !at.Before(r.started) || r.now().Sub(at) > r.o.Limits.UploadAge {
		return time.Time{}, false
	}
	_, err := r.disk.Stat(context.Background(), repoPath(c.repo, "_uploads", c.ref))
	return at, notThere(err)
}

// open begins the files of an upload that has received nothing.
func (r *Registry) open(ctx context.Context, c call, began time.Time) (distribution.BlobWriter, error) {
	err := r.disk.PutContent(ctx, repoPath(c.repo, "_uploads", c.ref, "startedat"), []byte(began.UTC().Format(time.RFC3339)))
	if err != nil {
		return nil, fmt.Errorf("registry: begin upload: %w", err)
	}
	r.pending.remove(c.ref)
	return r.resume(ctx, c)
}

// resume opens the files of an upload.
func (r *Registry) resume(ctx context.Context, c call) (distribution.BlobWriter, error) {
	bs, err := r.blobs(ctx, c.repo)
	if err != nil {
		return nil, err
	}
	return bs.Resume(ctx, c.ref)
}

// takesWhole reports whether the body of a request is a blob for finishWhole.
func (r *Registry) takesWhole(req *http.Request) bool {
	whole := int64(maxWhole)
	if r.o.Bucket != nil {
		whole = maxWholeS3
	}
	return req.ContentLength >= 0 && req.ContentLength <= min(whole, r.o.Limits.MaxBlob)
}

// finishWhole takes a small blob that comes in one request, checks it against
// d and stores it. What came of one that was cut off is kept when the client
// knows where to resume it.
func (r *Registry) finishWhole(w http.ResponseWriter, req *http.Request, c call, began time.Time, d digest.Digest, resumable bool) error {
	ctx := context.WithoutCancel(req.Context())
	b := make([]byte, req.ContentLength)
	mr := &meteredReader{r: req.Body, spend: func(n int64) error { return r.sessions.spend(c.p, n) }}
	n, err := io.ReadFull(mr, b)
	if err != nil && mr.refused == nil {
		err = clyde.Errorf(clyde.ErrInvalid, "the upload was cut off").WithCode("upload_invalid").Because(err)
	} else if err != nil {
		err = mr.refused
	}
	switch {
	case err != nil && resumable && n > 0:
		return errors.Join(err, r.keep(ctx, c, began, b[:n]))
	case err != nil && resumable:
		r.pending.add(c.ref, began)
		return err
	}
	r.sessions.end(c.p, c.ref)
	r.pending.remove(c.ref)
	if err != nil {
		return err
	}
	if digest.FromBytes(b) != d {
		return wrongBytes(d)
	}
	defer r.locks.Lock("blob " + d.String())()
	// Bytes that are there are replaced: they may be damaged, or about to be
	// collected.
	if err := r.disk.PutContent(ctx, blobPath(d), b); err != nil {
		return fmt.Errorf("registry: store: %w", err)
	}
	if err := r.linkBlob(ctx, c.repo, d); err != nil {
		return err
	}
	return blobCreated(w, c.repo, d)
}

// keep stores the first bytes of an upload.
func (r *Registry) keep(ctx context.Context, c call, began time.Time, b []byte) error {
	bw, err := r.open(ctx, c, began)
	if err != nil {
		return err
	}
	_, err = bw.Write(b)
	return errors.Join(err, bw.Close())
}
