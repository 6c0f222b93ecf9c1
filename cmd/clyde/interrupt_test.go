package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestInterruptedPull: a pull that is interrupted exits with 130, leaves
// nothing but what it has fetched, and the next one asks for the rest alone.
func TestInterruptedPull(t *testing.T) {
	// Not parallel: it sets the environment and the working directory.
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", dir)
	t.Setenv("DOCKER_CONFIG", dir)
	_, home, token, stop, err := startServer(filepath.Join(dir, "data"), "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	blob := make([]byte, 4<<20) // enough not to fit into the sockets' buffers
	_, _ = rand.Read(blob)
	write(t, "lib/package.yaml", []byte("name: \"@acme/big\"\nversion: \"1.0.0\"\ndescription: Large\nlicense: MIT\n"))
	write(t, "lib/blob.bin", blob)
	t.Setenv("CLYDE_REGISTRY", home)
	t.Setenv("CLYDE_TOKEN", token)
	runClyde(t, t.Context(), exitOK, "publish", "lib")
	t.Setenv("CLYDE_TOKEN", "")

	ctx, interrupt := context.WithCancel(t.Context())
	target, err := url.Parse(home)
	if err != nil {
		t.Fatal(err)
	}
	var ranges []string // of each request for the archive
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.FlushInterval = -1
	proxy.ModifyResponse = func(r *http.Response) error {
		if !strings.Contains(r.Request.URL.Path, "/blobs/") || r.ContentLength < 1<<20 {
			return nil
		}
		ranges = append(ranges, r.Request.Header.Get("Range"))
		if len(ranges) == 1 {
			r.Body = &halting{ReadCloser: r.Body, left: 2 << 20, at: func() {
				waitFor(t, func() bool {
					parts, _ := filepath.Glob(".clyde-*")
					for _, p := range parts {
						if info, err := os.Stat(p); err == nil && info.Size() > 0 {
							return true
						}
					}
					return false
				})
				interrupt()
			}}
		}
		return nil
	}
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) {} // the client has gone
	front := httptest.NewServer(proxy)
	defer front.Close()
	t.Setenv("CLYDE_REGISTRY", front.URL)

	_, stderr := runClyde(t, ctx, exitInterrupted, "pull", "acme/big")
	if !strings.Contains(stderr, "clyde: interrupted") {
		t.Errorf("an interrupted pull says %q", stderr)
	}
	if _, err := os.Stat("big-1.0.0"); err == nil {
		t.Error("an interrupted pull left its directory")
	}
	runClyde(t, t.Context(), exitOK, "pull", "acme/big")
	if got, err := os.ReadFile("big-1.0.0/blob.bin"); err != nil || !bytes.Equal(got, blob) {
		t.Errorf("the resumed pull gives %d bytes, %v", len(got), err)
	}
	if len(ranges) != 2 || !strings.HasPrefix(ranges[1], "bytes=") {
		t.Errorf("requests for the archive had the ranges %q; want the second one to go on", ranges)
	}
	if left, _ := filepath.Glob(".clyde-*"); len(left) > 0 {
		t.Errorf("a finished pull left %q", left)
	}
}

// halting calls at, once, after left bytes, and then gives no more.
type halting struct {
	io.ReadCloser
	left int
	at   func()
}

func (h *halting) Read(p []byte) (int, error) {
	if h.left == 0 {
		h.at()
		return 0, io.ErrUnexpectedEOF
	}
	n, err := h.ReadCloser.Read(p[:min(len(p), h.left)])
	h.left -= n
	return n, err
}

// runClyde runs the program in this process and returns what it printed.
func runClyde(t *testing.T, ctx context.Context, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errOut bytes.Buffer
	if got := run(ctx, args, strings.NewReader(""), &out, &errOut); got != want {
		t.Fatalf("clyde %s: exit status %d; want %d\n%s%s", strings.Join(args, " "), got, want, out.String(), errOut.String())
	}
	return out.String(), errOut.String()
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// patience bounds what a test waits for; only a failure reaches it.
const patience = time.Minute

// waitFor polls until ok.
func waitFor(t *testing.T, ok func() bool) {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Errorf("nothing happened within %s", patience)
			return
		case <-tick.C:
		}
	}
}
