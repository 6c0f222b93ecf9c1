package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// abandonTimeout bounds telling a registry that an upload will not go on.
const abandonTimeout = 5 * time.Second

// upload is one blob on its way to a registry.
type upload struct {
	c     *Client
	repo  string
	b     Blob
	src   *replay
	reach func(off int64)

	at     *url.URL // the session; nil before there is one
	off    int64    // bytes that the registry has
	chunk  int64    // bytes of a PATCH
	unsure bool     // a request failed: ask how far it came
	whole  bool     // the registry takes no chunks, or they are not worth it

	disputed bool // the registry refused to go on where it said it stood
	resumed  bool // the session outlived a failure
}

// upload sends a blob unless the repository has it. reach is told how many
// bytes have been sent; it may be told less again after a failure.
func (c *Client) upload(ctx context.Context, repo string, b Blob, reach func(off int64)) (err error) {
	release, err := c.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	u := &upload{c: c, repo: repo, b: b, src: &replay{open: b.Open}, reach: reach, whole: b.Descriptor.Size <= MonolithicSize}
	defer func() {
		if cerr := u.src.close(); err == nil {
			err = cerr
		}
	}()
	t := c.newTries()
	for {
		before := u.off
		err := u.run(ctx)
		if err == nil {
			reach(b.Descriptor.Size)
			return nil
		}
		if serr := u.src.failed(); serr != nil {
			err = fmt.Errorf("read blob %s: %w", b.Descriptor.Digest, serr)
		}
		if u.off > before {
			t.moved()
		}
		if err := t.again(ctx, err); err != nil {
			if ctx.Err() == nil {
				u.abandon(ctx)
			}
			return err
		}
	}
}

// run goes from where the upload stands to its end, or to the first failure.
func (u *upload) run(ctx context.Context) error {
	if u.at != nil && (u.whole || u.unsure) {
		if u.whole {
			u.abandon(ctx) // what it holds is not known to be ours in full
		} else if err := u.ask(ctx); err != nil {
			return err
		}
	}
	if u.at == nil {
		there, err := u.c.hasBlob(ctx, u.repo, u.b.Descriptor.Digest.String())
		if err != nil || there {
			return err
		}
		if err := u.begin(ctx); err != nil {
			return err
		}
	}
	if u.whole {
		return u.commit(ctx, u.b.Descriptor.Size)
	}
	for u.off < u.b.Descriptor.Size {
		if err := u.patch(ctx); err != nil {
			return err
		}
	}
	return u.commit(ctx, 0)
}

// hasBlob reports whether the repository has the blob. A refusal counts as no:
// the upload that follows is refused with a sentence, which HEAD cannot have.
func (c *Client) hasBlob(ctx context.Context, repo, d string) (bool, error) {
	at, err := c.in(repo, "/blobs/"+d)
	if err != nil {
		return false, err
	}
	resp, err := c.once(ctx, request{method: http.MethodHead, url: at, scope: push(repo)}, http.StatusOK)
	if err == nil {
		return true, finish(resp)
	}
	if _, ok := errors.AsType[*passing](err); ok || !isRefusal(err) {
		return false, err
	}
	return false, nil
}

// isRefusal reports whether err is a registry's answer.
func isRefusal(err error) bool {
	_, ok := errors.AsType[statusError](err)
	return ok
}

// begin opens a session.
func (u *upload) begin(ctx context.Context) error {
	at, err := u.c.in(u.repo, "/blobs/uploads/")
	if err != nil {
		return err
	}
	resp, err := u.c.once(ctx, request{
		method: http.MethodPost, url: at, scope: push(u.repo),
		body: func() io.Reader { return http.NoBody }, // some registries want a Content-Length
	}, http.StatusAccepted)
	if err != nil {
		return err
	}
	defer func() { _ = finish(resp) }()
	u.off, u.unsure, u.disputed, u.resumed, u.chunk = 0, false, false, false, u.c.chunk
	if n, err := strconv.ParseInt(resp.Header.Get("OCI-Chunk-Min-Length"), 10, 64); err == nil {
		u.chunk = max(u.chunk, min(n, u.b.Descriptor.Size))
	}
	u.at = nil
	return u.move(resp)
}

// move takes the address at which the upload goes on. Only its path and query
// count: behind a proxy, registries are often wrong about scheme and port.
func (u *upload) move(resp *http.Response) error {
	location := resp.Header.Get("Location")
	if location == "" && u.at != nil {
		return nil
	}
	at, err := resp.Request.URL.Parse(location)
	if err != nil || location == "" || !strings.EqualFold(at.Hostname(), u.c.base.Hostname()) || at.User != nil {
		u.at = nil
		return clyde.Errorf(clyde.ErrUnavailable, "%s sends the upload to an address that is not its own", u.c.base.Host).WithCode("redirect_refused")
	}
	at.Scheme, at.Host, at.Fragment = u.c.base.Scheme, u.c.base.Host, ""
	u.at = at
	return nil
}

// patch sends the next chunk.
func (u *upload) patch(ctx context.Context) error {
	n := min(u.chunk, u.b.Descriptor.Size-u.off)
	from := u.off
	resp, err := u.c.once(ctx, request{
		method: http.MethodPatch, url: u.at, scope: push(u.repo), length: n,
		header: http.Header{
			"Content-Type":  {"application/octet-stream"},
			"Content-Range": {strconv.FormatInt(from, 10) + "-" + strconv.FormatInt(from+n-1, 10)},
		},
		body: func() io.Reader { return u.src.section(from, n, u.reach) },
	}, http.StatusAccepted, http.StatusNoContent, http.StatusCreated)
	if err != nil {
		u.unsure = true
		switch {
		case isStatus(err, http.StatusNotFound, http.StatusGone):
			return u.lost(err)
		case isStatus(err, http.StatusRequestedRangeNotSatisfiable) && from > 0:
			u.disputed = true
			return &passing{err: clyde.AsError(err), stated: true} // we disagree on how far it came: ask
		case from == 0 && isStatus(err, http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotImplemented, http.StatusRequestedRangeNotSatisfiable, http.StatusLengthRequired):
			u.whole = true // no chunks here: in one piece then
			return &passing{err: clyde.AsError(err), stated: true}
		}
		return err
	}
	defer func() { _ = finish(resp) }()
	u.off = from + n
	if has, ok := parseHas(resp.Header.Get("Range")); ok && has < u.off && has >= from {
		u.off = has
	}
	return u.move(resp)
}

// lost starts again at once: the session is gone, because it was finished with
// its reply lost on the way, or because it expired.
func (u *upload) lost(err error) error {
	u.at = nil
	return &passing{err: clyde.AsError(err), stated: true}
}

// parseHas reads how many bytes an upload has from a Range header. "0-0" is
// what registries say of none; none of our chunks ends there.
func parseHas(s string) (int64, bool) {
	first, last, ok := strings.Cut(strings.TrimPrefix(s, "bytes="), "-")
	n, err := strconv.ParseInt(last, 10, 64)
	if !ok || first != "0" || err != nil || n < 0 {
		return 0, false
	}
	if n == 0 {
		return 0, true
	}
	return n + 1, true
}

// ask learns how far the upload came.
func (u *upload) ask(ctx context.Context) error {
	resp, err := u.c.once(ctx, request{method: http.MethodGet, url: u.at, scope: push(u.repo)}, http.StatusNoContent, http.StatusOK, http.StatusAccepted)
	if err != nil {
		if _, ok := errors.AsType[*passing](err); !ok && isRefusal(err) {
			u.at = nil // gone, or not to be asked: run begins anew
			return nil
		}
		return err
	}
	defer func() { _ = finish(resp) }()
	has, ok := parseHas(resp.Header.Get("Range"))
	if !ok || has > u.b.Descriptor.Size || u.disputed && has == u.off {
		u.abandon(ctx)
		return nil
	}
	u.off, u.unsure, u.disputed, u.resumed = has, false, false, true
	return u.move(resp)
}

// commit ends the upload, with its last n bytes: all or none.
func (u *upload) commit(ctx context.Context, n int64) error {
	at := *u.at
	if at.RawQuery != "" {
		at.RawQuery += "&"
	}
	at.RawQuery += "digest=" + url.QueryEscape(u.b.Descriptor.Digest.String())
	resp, err := u.c.once(ctx, request{
		method: http.MethodPut, url: &at, scope: push(u.repo), length: n,
		header: http.Header{"Content-Type": {"application/octet-stream"}},
		body:   func() io.Reader { return u.src.section(0, n, u.reach) },
	}, http.StatusCreated, http.StatusOK, http.StatusNoContent)
	if err != nil {
		u.unsure = true
		if isStatus(err, http.StatusNotFound, http.StatusGone) || u.resumed && isStatus(err, http.StatusBadRequest) {
			return u.lost(err) // a registry that crashed may have kept damaged bytes
		}
		return err
	}
	return finish(resp)
}

// abandon gives the session back, if the registry still listens.
func (u *upload) abandon(ctx context.Context) {
	if u.at == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, abandonTimeout)
	defer cancel()
	if resp, err := u.c.once(ctx, request{method: http.MethodDelete, url: u.at, scope: push(u.repo)}, http.StatusNoContent, http.StatusOK, http.StatusAccepted); err == nil {
		_ = finish(resp) // it expires by itself otherwise
	}
	u.at = nil
}

// replay reads a blob from any offset, again and again. The transport may
// still hold the body of a request that has failed: each body ends when the
// next one begins.
type replay struct {
	open func() (io.ReadCloser, error)

	mu  sync.Mutex
	rc  io.ReadCloser
	pos int64
	cur *section
	err error // of the blob itself
}

// section is n bytes from an offset, told to reach as they are read.
func (r *replay) section(from, n int64, reach func(off int64)) io.Reader {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cur = &section{r: r, off: from, end: from + n, reach: reach}
	return r.cur
}

func (r *replay) failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

func (r *replay) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cur = nil
	if r.rc == nil {
		return nil
	}
	rc := r.rc
	r.rc = nil
	return rc.Close()
}

// seek brings the blob to off.
func (r *replay) seek(off int64) error {
	if r.rc != nil && r.pos == off {
		return nil
	}
	if s, ok := r.rc.(io.Seeker); ok {
		if _, err := s.Seek(off, io.SeekStart); err == nil {
			r.pos = off
			return nil
		}
	}
	if r.rc != nil {
		rc := r.rc
		r.rc = nil
		if err := rc.Close(); err != nil {
			return err
		}
	}
	rc, err := r.open()
	if err != nil {
		return err
	}
	r.rc, r.pos = rc, 0
	if s, ok := rc.(io.Seeker); ok && off > 0 {
		_, err = s.Seek(off, io.SeekStart)
	} else {
		_, err = io.CopyN(io.Discard, rc, off)
	}
	r.pos = off
	return err
}

type section struct {
	r        *replay
	off, end int64
	reach    func(off int64)
}

var errReplaced = errors.New("the request has ended")

func (s *section) Read(b []byte) (int, error) {
	r := s.r
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.cur != s:
		return 0, errReplaced
	case s.off == s.end:
		return 0, io.EOF
	}
	if err := r.seek(s.off); err != nil {
		r.err = err
		return 0, err
	}
	n, err := r.rc.Read(b[:min(int64(len(b)), s.end-s.off)])
	s.off += int64(n)
	r.pos += int64(n)
	if err == io.EOF && s.off < s.end {
		err = io.ErrUnexpectedEOF
	}
	if err != nil && err != io.EOF {
		r.err = err
		return n, err
	}
	s.reach(s.off)
	if s.off == s.end {
		return n, io.EOF
	}
	return n, nil
}
