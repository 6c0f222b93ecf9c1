package server

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// readSlowly asks for an answer over a connection in memory and takes the answer at
// rate bytes a second, a second's worth at a time, up to most bytes; then it
// only waits. It returns how much came and when the server was done.
func readSlowly(t *testing.T, h http.HandlerFunc, rate, most int) (int, time.Duration) {
	t.Helper()
	l := oneConn{make(chan net.Conn, 1), make(chan struct{})}
	done := make(chan time.Duration, 1)
	began := time.Now()
	srv := &http.Server{Handler: patient(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h(w, r)
		done <- time.Since(began)
	}), defaultPace)}
	go func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()
	client, server := net.Pipe()
	l.conns <- server
	go func() { _, _ = io.WriteString(client, "GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n") }()
	got := 0
	for got < most {
		n, err := io.ReadFull(client, make([]byte, min(rate, most-got)))
		got += n
		if err != nil {
			break
		}
		<-time.After(time.Second) // in the bubble: a moment of no length
	}
	took := <-done
	if err := errors.Join(client.Close(), srv.Close()); err != nil {
		t.Error(err)
	}
	return got, took
}

// A slow reader gets all of it; one that stops, or takes a byte now and then,
// is cut off. The real limits, in time that is not.
func TestPaceLimits(t *testing.T) {
	t.Parallel()
	const size = 8 << 20
	file := filepath.Join(t.TempDir(), "blob")
	if err := os.WriteFile(file, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	sendFile := func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) }
	write := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, size)) }
	const cut = downloadStall + downloadChunk/minDownloadRate*time.Second
	for _, tt := range []struct {
		name        string
		h           http.HandlerFunc
		rate, most  int
		whole       bool
		least, upTo time.Duration
	}{
		{"10 KB/s", sendFile, 10_000, size, true, size / 10_000 * time.Second, 2 * size / 10_000 * time.Second},
		{"10 KB/s of one write", write, 10_000, size, true, size / 10_000 * time.Second, 2 * size / 10_000 * time.Second},
		{"stops", sendFile, 1 << 20, 3 << 20, false, downloadStall, cut + 10*time.Second},
		{"stops in one write", write, 1 << 20, 3 << 20, false, downloadStall, cut + 10*time.Second},
		{"reads nothing", write, 1, 0, false, downloadStall, cut + time.Second},
		{"100 bytes a second", sendFile, 100, size, false, downloadStall, cut + time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				got, took := readSlowly(t, tt.h, tt.rate, tt.most)
				if whole := got >= size-1; whole != tt.whole || took < tt.least || took > tt.upTo {
					t.Errorf("%d bytes in %v; want all: %v, within %v to %v", got, took, tt.whole, tt.least, tt.upTo)
				}
			})
		})
	}
}

// What is kept alive is not hurt by the deadline of the answer before.
func TestPaceKeepsAlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := oneConn{make(chan net.Conn, 1), make(chan struct{})}
		srv := &http.Server{Handler: patient(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }), defaultPace)}
		go func() { _ = srv.Serve(l) }()
		client, server := net.Pipe()
		l.conns <- server
		br := bufio.NewReader(client)
		for range 3 {
			if _, err := io.WriteString(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(br, nil)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "hello" {
				t.Fatalf("%q, %v", b, err)
			}
			<-time.After(2 * (downloadStall + downloadChunk/minDownloadRate*time.Second)) // in the bubble
		}
		if err := errors.Join(client.Close(), srv.Close()); err != nil {
			t.Error(err)
		}
	})
}

// Over TCP sendfile heeds the deadlines, which every chunk gets anew, and a
// handler's own counts.
func TestPaceTCP(t *testing.T) {
	t.Parallel()
	const size = 32 << 20
	file := filepath.Join(t.TempDir(), "blob")
	if err := os.WriteFile(file, bytes.Repeat([]byte("x"), size), 0o600); err != nil {
		t.Fatal(err)
	}
	// serve returns an answer of a server with that pace, and what sees the end of it.
	serve := func(p pace, h http.HandlerFunc) (*bufio.Reader, <-chan *deadlines) {
		ended := make(chan *deadlines, 1)
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			d := &deadlines{ResponseWriter: w}
			defer func() { ended <- d }()
			patient(h, p).ServeHTTP(d, r)
		}))
		t.Cleanup(srv.Close)
		c, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.(*net.TCPConn).SetReadBuffer(32 << 10)
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		return bufio.NewReader(c), ended
	}
	send := func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) }

	p := pace{stall: time.Hour, chunk: 64 << 10, rate: 1 << 30}
	br, ended := serve(p, send)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != size {
		t.Fatalf("%d bytes, %v; want %d", n, err, size)
	}
	d := <-ended
	if len(d.left) < size/(64<<10) || d.kernel < size/(64<<10) {
		t.Errorf("%d deadlines and %d chunks by the kernel; want one for each of %d", len(d.left), d.kernel, size/(64<<10))
	}
	for _, left := range d.left {
		if left < p.stall-time.Minute || left > p.stall {
			t.Errorf("a deadline in %v; want %v", left, p.stall)
		}
	}

	p.stall = 500 * time.Millisecond
	began := time.Now()
	_, ended = serve(p, send) // and nobody reads
	<-ended
	if took := time.Since(began); took < p.stall {
		t.Errorf("who does not read is cut off after %v; want %v at least", took, p.stall)
	}

	p.stall = time.Hour
	br, ended = serve(p, func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(-time.Second))
		if _, err := w.Write(make([]byte, 1<<20)); err == nil {
			t.Error("wrote after the handler's own deadline")
		}
		panic(http.ErrAbortHandler)
	})
	<-ended
	if b, err := io.ReadAll(br); strings.HasPrefix(string(b), "HTTP/1.1 200") {
		t.Errorf("the handler's own deadline is not heeded: %d bytes, %v", len(b), err)
	}
}

// deadlines remembers how far away each was that the answer was given.
type deadlines struct {
	http.ResponseWriter
	left   []time.Duration
	kernel int // times that something was handed over to be sent by the system
}

func (d *deadlines) Unwrap() http.ResponseWriter { return d.ResponseWriter }

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.left = append(d.left, time.Until(t))
	return http.NewResponseController(d.ResponseWriter).SetWriteDeadline(t)
}

func (d *deadlines) ReadFrom(r io.Reader) (int64, error) {
	d.kernel++
	return d.ResponseWriter.(io.ReaderFrom).ReadFrom(r)
}
