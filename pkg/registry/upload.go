package registry

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// query reads the query string alone: a form in the body is content, and what
// looks like `from` in it stays content.
func query(req *http.Request) (url.Values, error) {
	q, err := url.ParseQuery(req.URL.RawQuery)
	if err != nil {
		return nil, clyde.Errorf(clyde.ErrInvalid, "the query of the request cannot be read").WithCode("name_invalid")
	}
	return q, nil
}

// blobs returns distribution's blob store of a repository.
func (r *Registry) blobs(ctx context.Context, repo string) (distribution.BlobStore, error) {
	named, err := reference.WithName(repo)
	if err != nil {
		return nil, clyde.Errorf(clyde.ErrInvalid, "%.80q is not a repository", repo).WithCode("name_invalid").Because(err)
	}
	rp, err := r.ns.Repository(ctx, named)
	if err != nil {
		return nil, fmt.Errorf("registry: %s: %w", repo, err)
	}
	return rp.Blobs(ctx), nil
}

// beginUpload answers POST: a mount, a whole blob at once, or a new session.
func (r *Registry) beginUpload(w http.ResponseWriter, req *http.Request, c call) error {
	ctx := req.Context()
	q, err := query(req)
	if err != nil {
		return err
	}
	if mount := q.Get("mount"); mount != "" {
		d, err := parseDigest(mount)
		if err != nil {
			return err
		}
		ok, err := r.mount(ctx, c, q.Get("from"), d)
		if err != nil {
			return err
		}
		if ok {
			return blobCreated(w, c.repo, d)
		}
	}
	whole := digest.Digest("")
	if s := q.Get("digest"); s != "" {
		if whole, err = parseDigest(s); err != nil {
			return err
		}
	}
	began := r.now()
	c.ref = newUploadID(began)
	if err := r.sessions.begin(c.p, c.ref); err != nil {
		return err
	}
	if whole != "" {
		if r.takesWhole(req) {
			return r.finishWhole(w, req, c, began, whole, false)
		}
		bw, err := r.open(ctx, c, began)
		if err != nil {
			r.sessions.end(c.p, c.ref)
			return err
		}
		return r.finish(w, req, c, bw, whole, false)
	}
	r.pending.add(c.ref, began)
	r.uploadHeaders(w, c, 0)
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// mount links a blob of another repository. Only who may pull the source
// mounts from it, and only what it holds; anything else looks like absence, so
// that the client uploads.
func (r *Registry) mount(ctx context.Context, c call, from string, d digest.Digest) (bool, error) {
	// Who may begin packages anywhere pushes to a private one without seeing
	// it, and is not told what it holds.
	if ok, err := r.visible(ctx, c.p, c.repo); err != nil {
		return false, err
	} else if ok {
		r.renew(ctx, c.repo, d)
		if ok, err := r.disk.HasBlob(c.repo, d); ok || err != nil {
			return ok, err
		}
	}
	if from == "" || checkRepo(from) != nil {
		return false, nil
	}
	if ok, err := r.visible(ctx, c.p, from); err != nil || !ok {
		return false, err
	}
	r.renew(ctx, from, d) // else the bytes may be collected before the new link is seen
	if ok, err := r.disk.HasBlob(from, d); err != nil || !ok {
		return false, err
	}
	if r.blobAvailable(ctx, c.p, from, d) != nil {
		return false, nil // withdrawn there
	}
	f, _, err := r.disk.OpenBlob(d)
	if err != nil {
		return false, nil // linked there, but without its bytes: have them sent again
	}
	if err := f.Close(); err != nil {
		return false, err
	}
	return true, r.linkBlob(ctx, c.repo, d)
}

func blobCreated(w http.ResponseWriter, repo string, d digest.Digest) error {
	h := w.Header()
	h.Set("Location", "/v2/"+repo+"/blobs/"+d.String())
	h.Set("Docker-Content-Digest", d.String())
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusCreated)
	return nil
}

// uploadHeaders says where an upload of size bytes so far goes on.
func (r *Registry) uploadHeaders(w http.ResponseWriter, c call, size int64) {
	h := w.Header()
	h.Set("Location", "/v2/"+c.repo+"/blobs/uploads/"+c.ref+"?_state="+r.uploadState(c))
	h.Set("Docker-Upload-UUID", c.ref)
	h.Set("Range", fmt.Sprintf("0-%d", max(size-1, 0)))
	h.Set("OCI-Chunk-Min-Length", "1")
	h.Set("Content-Length", "0")
	h.Set("Cache-Control", "no-store")
}

// uploadState binds an upload to its repository and to who began it, without
// anything to remember, so that it holds across restarts.
func (r *Registry) uploadState(c call) string {
	m := hmac.New(sha256.New, r.o.Secret)
	fmt.Fprintf(m, "upload\x00%s\x00%s\x00%s", c.repo, c.ref, c.p.ID)
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// serveUpload answers requests about one upload: where it stands, the next
// chunk, the end, and giving up.
func (r *Registry) serveUpload(w http.ResponseWriter, req *http.Request, c call) error {
	ctx := req.Context()
	q, err := query(req)
	if err != nil {
		return err
	}
	unknown := clyde.Errorf(clyde.ErrNotFound, "there is no such upload, or it has expired").WithCode("upload_unknown")
	if !hmac.Equal([]byte(q.Get("_state")), []byte(r.uploadState(c))) {
		return unknown
	}
	defer r.locks.Lock("upload " + c.ref)() // one writer of a file
	var bw distribution.BlobWriter
	if began, ok := r.untouched(c); ok {
		if done, err := r.serveUntouched(w, req, c, began); done || err != nil {
			return err
		}
		bw, err = r.open(ctx, c, began)
	} else {
		bw, err = r.resume(ctx, c)
	}
	if errors.Is(err, distribution.ErrBlobUploadUnknown) {
		r.sessions.end(c.p, c.ref)
		return unknown
	}
	if err != nil {
		return fmt.Errorf("registry: resume upload: %w", err)
	}
	switch req.Method {
	case http.MethodGet, http.MethodHead:
		r.uploadHeaders(w, c, bw.Size())
		w.WriteHeader(http.StatusNoContent)
		return bw.Close()
	case http.MethodDelete:
		r.sessions.end(c.p, c.ref)
		if err := bw.Cancel(ctx); err != nil {
			return fmt.Errorf("registry: cancel upload: %w", err)
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if err := r.sessions.begin(c.p, c.ref); err != nil {
		return errors.Join(err, bw.Close())
	}
	if err := checkRange(req, bw.Size()); err != nil {
		r.uploadHeaders(w, c, bw.Size())
		return errors.Join(err, bw.Close())
	}
	if req.Method == http.MethodPut {
		d, err := parseDigest(q.Get("digest"))
		if err != nil {
			return errors.Join(err, bw.Close())
		}
		return r.finish(w, req, c, bw, d, true)
	}
	if _, err := r.receive(bw, req.Body, c.p, req.ContentLength); err != nil {
		return r.leave(ctx, c, bw, err, true)
	}
	if err := bw.Close(); err != nil {
		return fmt.Errorf("registry: receive: %w", err)
	}
	r.uploadHeaders(w, c, bw.Size())
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// serveUntouched answers requests about an upload that has received nothing,
// but for those that need its files, and reports whether it did.
func (r *Registry) serveUntouched(w http.ResponseWriter, req *http.Request, c call, began time.Time) (done bool, err error) {
	switch req.Method {
	case http.MethodGet, http.MethodHead:
		r.uploadHeaders(w, c, 0)
		w.WriteHeader(http.StatusNoContent)
		return true, nil
	case http.MethodDelete:
		r.sessions.end(c.p, c.ref)
		r.pending.remove(c.ref)
		w.WriteHeader(http.StatusNoContent)
		return true, nil
	}
	if err := r.sessions.begin(c.p, c.ref); err != nil {
		return true, err
	}
	if err := checkRange(req, 0); err != nil {
		r.uploadHeaders(w, c, 0)
		return true, err
	}
	if req.Method != http.MethodPut || !r.takesWhole(req) {
		return false, nil
	}
	q, err := query(req)
	if err != nil {
		return true, err
	}
	d, err := parseDigest(q.Get("digest"))
	if err != nil {
		return true, err
	}
	return true, r.finishWhole(w, req, c, began, d, true)
}

// checkRange refuses a chunk that does not begin where the last one ended.
func checkRange(req *http.Request, size int64) error {
	v := req.Header.Get("Content-Range")
	if v == "" {
		return nil
	}
	first, last, ok := strings.Cut(strings.TrimPrefix(v, "bytes "), "-")
	last, _, _ = strings.Cut(last, "/")
	a, err1 := strconv.ParseInt(first, 10, 64)
	b, err2 := strconv.ParseInt(last, 10, 64)
	switch {
	case !ok || err1 != nil || err2 != nil:
		return clyde.Errorf(clyde.ErrInvalid, "Content-Range %.80q cannot be read: want FIRST-LAST", v).WithCode("upload_invalid")
	case a != size || b < a:
		return clyde.Errorf(clyde.ErrInvalid, "the upload has %d bytes, and the chunk begins at %d", size, a).WithCode("range_invalid")
	case req.ContentLength >= 0 && b-a+1 != req.ContentLength:
		return clyde.Errorf(clyde.ErrInvalid, "Content-Range names %d bytes and Content-Length %d", b-a+1, req.ContentLength).WithCode("size_invalid")
	}
	return nil
}

// finish takes the rest of a blob, checks it against d and stores it. An
// upload that was cut off is kept when the client knows where to resume it.
func (r *Registry) finish(w http.ResponseWriter, req *http.Request, c call, bw distribution.BlobWriter, d digest.Digest, resumable bool) error {
	ctx := req.Context()
	if _, err := r.receive(bw, req.Body, c.p, req.ContentLength); err != nil {
		return r.leave(ctx, c, bw, err, resumable)
	}
	if err := r.commitBlob(ctx, bw, d); err != nil {
		r.sessions.end(c.p, c.ref)
		return err
	}
	r.sessions.end(c.p, c.ref)
	return blobCreated(w, c.repo, d)
}

// leave ends a request that failed with err: what may go on stays, what is too
// large or has no address goes.
func (r *Registry) leave(ctx context.Context, c call, bw distribution.BlobWriter, err error, resumable bool) error {
	if resumable && !errors.Is(err, clyde.ErrTooLarge) {
		return errors.Join(err, bw.Close())
	}
	r.sessions.end(c.p, c.ref)
	return errors.Join(err, bw.Cancel(context.WithoutCancel(ctx)))
}

func (r *Registry) commitBlob(ctx context.Context, bw distribution.BlobWriter, d digest.Digest) error {
	ctx = context.WithoutCancel(ctx)
	defer r.locks.Lock("blob " + d.String())()
	defer r.replaced.add(blobPath(d))()
	_, err := bw.Commit(ctx, ocispec.Descriptor{Digest: d})
	if err == nil {
		return nil
	}
	if cerr := bw.Cancel(ctx); cerr != nil {
		r.log.WarnContext(ctx, "registry: remove a refused upload", "err", cerr)
	}
	if _, ok := errors.AsType[distribution.ErrBlobInvalidDigest](err); ok {
		return wrongBytes(d)
	}
	return fmt.Errorf("registry: store blob: %w", err)
}

func wrongBytes(d digest.Digest) error {
	return clyde.Errorf(clyde.ErrInvalid, "the bytes received are not those of %s", d).WithCode("digest_invalid")
}

// receive copies what the client sends, within the limits, counting as it
// streams: a length that the client states is a hint. What was received before
// an error stays, to be resumed.
func (r *Registry) receive(bw distribution.BlobWriter, body io.Reader, p account.Principal, length int64) (int64, error) {
	room := r.o.Limits.MaxBlob - bw.Size()
	tooLarge := clyde.Errorf(clyde.ErrTooLarge, "the blob is larger than %d bytes", r.o.Limits.MaxBlob).WithCode("too_large")
	if length > room {
		return 0, tooLarge
	}
	mr := &meteredReader{r: io.LimitReader(body, room+1), spend: func(n int64) error { return r.sessions.spend(p, n) }}
	n, err := r.copy(bw, mr, length)
	switch {
	case mr.refused != nil:
		return n, mr.refused
	case mr.err != nil:
		return n, clyde.Errorf(clyde.ErrInvalid, "the upload was cut off").WithCode("upload_invalid").Because(mr.err)
	case err != nil:
		return n, fmt.Errorf("registry: receive: %w", err)
	case n > room:
		return n, tooLarge
	}
	return n, nil
}

// copyBuffer is how much of a large blob is read at once, in bytes. Distribution
// takes 32 KiB, and each piece costs a system call on either side.
const copyBuffer = 512 << 10

// copy copies a body of the given length, -1 if unknown, by a buffer that is used again.
func (r *Registry) copy(bw distribution.BlobWriter, body io.Reader, length int64) (n int64, err error) {
	if length >= 0 && length < copyBuffer {
		return bw.ReadFrom(body)
	}
	b, ok := r.buffers.Get().(*[copyBuffer]byte)
	if !ok {
		b = new([copyBuffer]byte)
	}
	defer r.buffers.Put(b)
	// Neither side may take the copy over with a buffer of its own.
	return io.CopyBuffer(struct{ io.Writer }{bw}, struct{ io.Reader }{body}, b[:])
}

// meteredReader charges for what is read.
type meteredReader struct {
	r       io.Reader
	spend   func(n int64) error
	refused error // by spend
	err     error // of r, other than io.EOF
}

func (m *meteredReader) Read(b []byte) (int, error) {
	n, err := m.r.Read(b)
	if err != nil && err != io.EOF {
		m.err = err
	}
	if n > 0 {
		if m.refused = m.spend(int64(n)); m.refused != nil {
			return 0, m.refused
		}
	}
	return n, err
}
