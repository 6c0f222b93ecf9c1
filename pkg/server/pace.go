package server

import (
	"io"
	"net/http"
	"time"
)

// How slowly an answer may be read. Ours: a download at 10 KB/s lives. The
// system tells of progress in steps of up to a third of its send buffer (4 MiB
// on Linux), so that a stall shorter than it takes to read those is none.
const (
	downloadStall   = 2 * time.Minute // without progress
	downloadChunk   = 256 << 10       // bytes, written under one deadline
	minDownloadRate = 4 << 10         // bytes per second, beyond downloadStall
)

// pace is how slowly an answer may be read.
type pace struct {
	stall time.Duration
	chunk int64 // bytes
	rate  int64 // bytes per second
}

var defaultPace = pace{stall: downloadStall, chunk: downloadChunk, rate: minDownloadRate}

// renewAfter is the age at which a deadline is set anew by a small write: each
// setting has its price.
const renewAfter = time.Second

// paced writes an answer in chunks, each under a deadline, so that whoever asks
// and does not read does not hold a connection for ever. Handlers may set
// deadlines of their own: until they take them away, those count.
type paced struct {
	http.ResponseWriter
	pace
	ctl *http.ResponseController
	at  time.Time // when the deadline was set
	own bool      // the handler's is in force
}

func (p pace) writer(w http.ResponseWriter) *paced {
	return &paced{ResponseWriter: w, pace: p, ctl: http.NewResponseController(w)}
}

// Unwrap is for http.ResponseController.
func (w *paced) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// SetWriteDeadline is for http.ResponseController.
func (w *paced) SetWriteDeadline(t time.Time) error {
	w.own, w.at = !t.IsZero(), time.Time{}
	return w.ctl.SetWriteDeadline(t)
}

// renew gives n bytes their time. A writer without deadlines (in tests) has none.
func (w *paced) renew(n int64) {
	if w.own {
		return
	}
	now := time.Now()
	if n < w.chunk && now.Sub(w.at) < renewAfter {
		return
	}
	w.at = now
	_ = w.ctl.SetWriteDeadline(now.Add(w.stall + time.Duration(w.chunk/w.rate)*time.Second))
}

// Write implements io.Writer.
func (w *paced) Write(b []byte) (int, error) {
	written := 0
	for {
		part := b[:min(int64(len(b)), w.chunk)]
		w.renew(int64(len(part)))
		n, err := w.ResponseWriter.Write(part)
		written += n
		b = b[len(part):]
		if err != nil || len(b) == 0 {
			return written, err
		}
	}
}

// ReadFrom keeps sendfile possible, which looks into an io.LimitedReader, but
// not into one inside another.
func (w *paced) ReadFrom(src io.Reader) (written int64, err error) {
	limit, ok := src.(*io.LimitedReader)
	if !ok {
		limit = &io.LimitedReader{R: src, N: 1<<63 - 1}
	}
	for limit.N > 0 {
		w.renew(w.chunk)
		part := &io.LimitedReader{R: limit.R, N: min(w.chunk, limit.N)}
		want := part.N
		n, err := io.Copy(w.ResponseWriter, part)
		written += n
		limit.N -= want - part.N
		if err != nil || part.N > 0 {
			return written, err
		}
	}
	return written, nil
}

// finish bounds what net/http still has to send when the handler is done.
func (w *paced) finish() {
	w.own, w.at = false, time.Time{}
	w.renew(0)
}
