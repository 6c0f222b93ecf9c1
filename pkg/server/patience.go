package server

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/clydepm/clyde-registry/pkg/api"
)

// drainPatience is how long the rest of a body that nobody read is waited for
// once the answer is ready: net/http reads it before the answer goes out, and
// has no limit of its own. Ours: a sender in good faith is writing already.
const drainPatience = 2 * time.Second

// patient bounds how long a client may take over the body of a request, and
// over reading the answer, so that one who announces a body and sends none, or
// asks and does not read, does not hold a connection for ever. Whoever reads a
// body under deadlines of their own may: they hold until the next read through
// here.
func patient(next http.Handler, p pace) http.Handler {
	return http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		w := p.writer(answer)
		defer w.finish()
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		b := &body{ReadCloser: r.Body, ctl: http.NewResponseController(w), start: time.Now()}
		b.own = part(r.URL.Path) == "api" // has limits of its own for each kind of body
		b.deadline(b.start.Add(api.UploadIdle))
		defer func() {
			if !b.ended {
				b.deadline(time.Now().Add(drainPatience))
			}
		}()
		r.Body = b
		next.ServeHTTP(w, r)
	})
}

// body is the body of a request that must keep coming: a pause of
// api.UploadIdle ends it, and after api.UploadGrace an average below
// api.MinUploadRate.
type body struct {
	io.ReadCloser
	ctl   *http.ResponseController
	start time.Time
	read  int64
	own   bool // its reader sets deadlines
	ended bool
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if !b.own {
		b.deadline(b.next(time.Now()))
	}
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	if errors.Is(err, io.EOF) && !b.ended {
		b.ended = true
		// A deadline that is left on the connection would end the request.
		b.deadline(time.Time{})
	}
	return n, err
}

// next is when the bytes that are waited for at now must have come.
func (b *body) next(now time.Time) time.Time {
	idle := now.Add(api.UploadIdle)
	if end := b.start.Add(api.UploadGrace + time.Duration(b.read/api.MinUploadRate)*time.Second); end.Before(idle) {
		return end
	}
	return idle
}

// deadline is for the connection; a writer without any (in tests) has none.
func (b *body) deadline(t time.Time) { _ = b.ctl.SetReadDeadline(t) }
