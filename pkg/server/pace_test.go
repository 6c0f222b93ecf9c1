package server

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
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

// The same over TCP, with shorter limits: sendfile heeds the deadline, what is
// kept alive is not hurt by the one before, and a handler's own deadline counts.
func TestPaceTCP(t *testing.T) {
	t.Parallel()
	const size = 32 << 20
	file := filepath.Join(t.TempDir(), "blob")
	if err := os.WriteFile(file, bytes.Repeat([]byte("x"), size), 0o600); err != nil {
		t.Fatal(err)
	}
	ended := make(chan time.Duration, 8)
	p := pace{stall: 500 * time.Millisecond, chunk: 64 << 10, rate: 1 << 30}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: patient(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		if r.URL.Path == "/own" {
			_ = http.NewResponseController(w).SetWriteDeadline(began.Add(-time.Second))
			if _, err := w.Write(make([]byte, 1<<20)); err == nil {
				t.Error("wrote after the handler's own deadline")
			}
			panic(http.ErrAbortHandler)
		}
		http.ServeFile(w, r, file)
		ended <- time.Since(began)
	}), p)}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close() })
	dial := func() (net.Conn, *bufio.Reader) {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.(*net.TCPConn).SetReadBuffer(32 << 10)
		return c, bufio.NewReader(c)
	}
	ask := func(c net.Conn, path string) {
		if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	// Twice on one connection, with a pause as long as a stall in between.
	c, br := dial()
	for range 2 {
		ask(c, "/")
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		// Slow but moving: longer than a stall on the whole, never so at once.
		n, err := io.Copy(slowly{io.Discard, time.NewTicker(3 * time.Millisecond)}, io.LimitReader(resp.Body, 16<<20))
		if err != nil {
			t.Fatal(err)
		}
		m, err := io.Copy(io.Discard, resp.Body)
		if err != nil || n+m != size {
			t.Fatalf("%d bytes, %v; want %d", n+m, err, size)
		}
		if took := <-ended; took < p.stall {
			t.Errorf("took %v; want more than a stall of %v, or this shows nothing", took, p.stall)
		}
		<-time.After(p.stall + 100*time.Millisecond)
	}
	c, _ = dial()
	ask(c, "/")
	if took := <-ended; took < p.stall || took > 20*p.stall {
		t.Errorf("who does not read is cut off after %v; want about %v", took, p.stall)
	}
	c, br = dial()
	ask(c, "/own")
	if b, err := io.ReadAll(br); strings.HasPrefix(string(b), "HTTP/1.1 200") {
		t.Errorf("the handler's own deadline is not heeded: %d bytes, %v", len(b), err)
	}
}

// slowly writes a piece at each tick.
type slowly struct {
	io.Writer
	*time.Ticker
}

func (s slowly) Write(b []byte) (int, error) {
	<-s.C
	return s.Writer.Write(b)
}
