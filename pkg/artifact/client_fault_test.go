package artifact_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// cutBody is a request's body that is cut off after n bytes.
type cutBody struct {
	io.ReadCloser
	n int64
}

func (b *cutBody) Read(p []byte) (int, error) {
	if b.n == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.n)])
	b.n -= int64(n)
	return n, err
}

// nowhere takes an answer that nobody gets.
type nowhere struct{ h http.Header }

func (n nowhere) Header() http.Header         { return n.h }
func (n nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n nowhere) WriteHeader(int)             {}

// dropRequest has next see the first bytes of a request alone.
func dropRequest(r *http.Request, next http.Handler, after int64) {
	r.Body = &cutBody{r.Body, after}
	next.ServeHTTP(nowhere{http.Header{}}, r)
}

// cutWriter drops the connection after n bytes of a reply's body.
type cutWriter struct {
	http.ResponseWriter
	n int
}

func (w *cutWriter) Write(b []byte) (int, error) {
	if w.n < len(b) {
		_, _ = w.ResponseWriter.Write(b[:w.n])
		_ = http.NewResponseController(w.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	w.n -= len(b)
	return w.ResponseWriter.Write(b)
}

func isBlobGet(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/sha256:")
}

const large = artifact.MonolithicSize + 1<<20

func TestPushResumes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		chunk   int64
		restart bool
		drops   int64 // of PATCHes
	}{
		"dropped":                 {artifact.ChunkSize, false, 3},
		"restarted":               {artifact.ChunkSize, true, 1},
		"chunks":                  {2 << 20, false, 0},
		"chunks, some dropped":    {2 << 20, false, 4},
		"chunks, server restarts": {2 << 20, true, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c, _ := w.client()
			c.SetChunk(tt.chunk)
			p := packed(t, noise(large, 2), nil)
			// The config is there already: what happens to the archive's upload
			// does not depend on what else is under way when the server stops.
			config, err := p.Config.Open()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.PutBlob(t.Context(), "acme/zlib", p.Config.Descriptor, config); err != nil {
				t.Fatal(err)
			}
			var n atomic.Int64
			var received atomic.Int64
			w.before(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
				if r.Method == http.MethodPatch {
					received.Add(r.ContentLength)
					if n.Add(1) <= tt.drops {
						received.Add(1<<20 - r.ContentLength)
						dropRequest(r, next, 1<<20)
						if tt.restart {
							w.restart()
						}
						panic(http.ErrAbortHandler)
					}
				}
				next.ServeHTTP(rw, r)
			})
			progress, ended := watchProgress(t)
			if err := c.Push(t.Context(), "acme/zlib", p, []string{"1.0.0"}, progress); err != nil {
				t.Fatal(err)
			}
			if done, total := ended(); done != total || total < large {
				t.Errorf("progress ended at %d of %d", done, total)
			}
			if got := received.Load(); got != large {
				t.Errorf("%d bytes were sent; want %d, each once", got, large)
			}
			if got := w.requests("POST", "/uploads/"); got != 2 {
				t.Errorf("%d uploads were begun; want 2: the config's and the archive's", got)
			}
		})
	}
}

func TestPushStartsAgainWhenTheSessionIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var patches, commits atomic.Int64
	w.before(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		switch {
		case r.Method == http.MethodPatch && patches.Add(1) == 1:
			dropRequest(r, next, 1<<20)
			panic(http.ErrAbortHandler)
		case r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/uploads/"):
			http.Error(rw, `{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}`, http.StatusNotFound)
			return
		case r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/uploads/") && commits.Add(1) == 1:
			next.ServeHTTP(nowhere{http.Header{}}, r) // stored, and the reply is lost
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(rw, r)
	})
	c, _ := w.client()
	progress, ended := watchProgress(t)
	if err := c.Push(t.Context(), "acme/zlib", packed(t, noise(large, 3), nil), []string{"1.0.0"}, progress); err != nil {
		t.Fatal(err)
	}
	if done, total := ended(); done != total {
		t.Errorf("progress ended at %d of %d", done, total)
	}
}

func TestPushWithoutChunks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.before(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPatch {
			http.Error(rw, "no", http.StatusMethodNotAllowed)
			return
		}
		next.ServeHTTP(rw, r)
	})
	c, _ := w.client()
	if err := c.Push(t.Context(), "acme/zlib", packed(t, noise(large, 4), nil), []string{"1.0.0"}, nil); err != nil {
		t.Fatal(err)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		w := newWorld(t)
		var n atomic.Int64
		w.before(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Method == http.MethodPost && n.Add(1) == 1 {
				rw.Header().Set("Retry-After", "7")
				rw.WriteHeader(status)
				return
			}
			next.ServeHTTP(rw, r)
		})
		c, waited := w.client()
		if err := c.Push(t.Context(), "acme/zlib", packed(t, []byte("x"), nil), []string{"1.0.0"}, nil); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(waited.all, []time.Duration{7 * time.Second}) {
			t.Errorf("status %d: waited %v; want 7s", status, waited.all)
		}
		for _, tt := range []struct {
			after string
			tries int
		}{{"", artifact.MaxAttempts}, {"3600", 1}, {"60", 4}} { // three minutes of waiting, all together
			w.forget()
			w.before(func(rw http.ResponseWriter, _ *http.Request, _ http.Handler) {
				if tt.after != "" {
					rw.Header().Set("Retry-After", tt.after)
				}
				rw.WriteHeader(status)
			})
			_, _, err := c.Manifest(t.Context(), "acme/zlib", digest.FromString("x"))
			wantKind(t, fmt.Sprintf("Manifest with %d", status), err, clyde.ErrUnavailable)
			if got := w.requests("GET", ""); got != tt.tries {
				t.Errorf("status %d, Retry-After %q: %d requests; want %d", status, tt.after, got, tt.tries)
			}
		}
	}
}

// stored is a world with one large blob.
func stored(t *testing.T) (*world, *artifact.Client, ocispec.Descriptor, []byte) {
	t.Helper()
	w := newWorld(t)
	c, _ := w.client()
	layer := noise(3<<20, 5)
	p := packed(t, layer, nil)
	if err := c.Push(t.Context(), "acme/zlib", p, []string{"1.0.0"}, nil); err != nil {
		t.Fatal(err)
	}
	return w, c, p.Layers[0].Descriptor, layer
}

// read reads a blob through Blob and through FetchBlob, and fails unless both
// give want.
func read(t *testing.T, c *artifact.Client, d ocispec.Descriptor, want []byte) {
	t.Helper()
	rc, err := c.Blob(t.Context(), "acme/zlib", d)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(rc)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("Blob: %d bytes, %v; want %d", len(got), err, len(want))
	}
	if err := rc.Close(); err != nil {
		t.Error(err)
	}
	fetch(t, c, d, want)
}

func fetch(t *testing.T, c *artifact.Client, d ocispec.Descriptor, want []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "blob")
	var sum int64
	if err := c.FetchBlob(t.Context(), "acme/zlib", d, path, func(n int64) { sum += n }); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) || sum != d.Size {
		t.Errorf("FetchBlob: %d bytes, %v, progress %d; want %d", len(got), err, sum, len(want))
	}
	alone(t, path)
}

// alone fails unless path is the only file of its directory.
func alone(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 || entries[0].Name() != filepath.Base(path) {
		t.Errorf("beside %s: %v, %v", path, entries, err)
	}
}

func TestReadResumes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		restart, ignore, chunked bool
	}{"dropped": {}, "restarted": {restart: true}, "server ignores Range": {ignore: true}, "body ends early without saying so": {chunked: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, c, d, layer := stored(t)
			var n atomic.Int64
			w.before(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
				if !isBlobGet(r) {
					next.ServeHTTP(rw, r)
					return
				}
				if tt.ignore {
					r.Header.Del("Range")
				}
				switch k := n.Add(1); {
				case k%4 == 0:
					next.ServeHTTP(rw, r)
				case tt.chunked:
					_ = http.NewResponseController(rw).Flush()
					_, _ = rw.Write(layer[:k]) // whatever was asked for: a whole blob, ended early
				default:
					if tt.restart {
						w.restart()
					}
					next.ServeHTTP(&cutWriter{rw, 700_000}, r)
				}
			})
			if tt.chunked {
				// Such a server answers ranges with 200, too.
				read(t, c, d, layer)
				return
			}
			read(t, c, d, layer)
			if got := n.Load(); got != 8 {
				t.Errorf("%d requests; want 8", got)
			}
		})
	}
}

func TestFetchGoesOnLater(t *testing.T) {
	t.Parallel()
	w, c, d, layer := stored(t)
	var ranges []string
	var mu sync.Mutex
	down := true
	w.before(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		mu.Lock()
		defer mu.Unlock()
		ranges = append(ranges, r.Header.Get("Range"))
		switch {
		case down && len(ranges) > 1:
			panic(http.ErrAbortHandler)
		case down:
			next.ServeHTTP(&cutWriter{rw, 1 << 20}, r)
		default:
			next.ServeHTTP(rw, r)
		}
	})
	path := filepath.Join(t.TempDir(), "blob")
	err := c.FetchBlob(t.Context(), "acme/zlib", d, path, nil)
	wantKind(t, "FetchBlob from a server that went away", err, clyde.ErrUnavailable)
	info, err := os.Stat(path + ".part")
	if err != nil || info.Size() != 1<<20 {
		t.Fatalf("part: %v, %v; want 1 MiB", info, err)
	}
	mu.Lock()
	down, ranges = false, nil
	mu.Unlock()
	var sum int64
	if err := c.FetchBlob(t.Context(), "acme/zlib", d, path, func(n int64) { sum += n }); err != nil || sum != d.Size {
		t.Fatalf("FetchBlob = %v, progress %d", err, sum)
	}
	alone(t, path)
	if !slices.Equal(ranges, []string{"bytes=1048576-"}) {
		t.Errorf("asked for %q; want the rest alone", ranges)
	}
	// What is there already is left alone, and a bad part is made good.
	if err := c.FetchBlob(t.Context(), "acme/zlib", d, path, nil); err != nil || len(ranges) != 1 {
		t.Errorf("FetchBlob again = %v with %d requests; want none", err, len(ranges)-1)
	}
	for name, part := range map[string][]byte{"wrong": noise(1000, 9), "too long": noise(4<<20, 9), "wrong and whole": noise(3<<20, 9), "whole": layer} {
		path := filepath.Join(t.TempDir(), "blob")
		if err := os.WriteFile(path+".part", part, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := c.FetchBlob(t.Context(), "acme/zlib", d, path, nil); err != nil {
			t.Errorf("FetchBlob onto a part that is %s = %v", name, err)
			continue
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, layer) {
			t.Errorf("FetchBlob onto a part that is %s: other bytes, %v", name, err)
		}
		alone(t, path)
	}
}

func TestFetchAtOnce(t *testing.T) {
	t.Parallel()
	w, _, d, layer := stored(t)
	path := filepath.Join(t.TempDir(), "blob")
	var wg sync.WaitGroup
	for range 8 {
		c, _ := w.client()
		wg.Go(func() {
			if err := c.FetchBlob(t.Context(), "acme/zlib", d, path, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, layer) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	alone(t, path)
}

func TestWrongBytes(t *testing.T) {
	t.Parallel()
	w, c, d, layer := stored(t)
	for name, body := range map[string][]byte{
		"other bytes": noise(3<<20, 6), "one more": append(slices.Clone(layer), 0), "fewer": layer[:100], "none": {},
	} {
		w.before(func(rw http.ResponseWriter, _ *http.Request, _ http.Handler) {
			rw.Header().Set("Content-Length", fmt.Sprint(len(body)))
			_, _ = rw.Write(body)
		})
		path := filepath.Join(t.TempDir(), "blob")
		err := c.FetchBlob(t.Context(), "acme/zlib", d, path, nil)
		wantKind(t, "FetchBlob: "+name, err, clyde.ErrUnverified)
		if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 0 {
			t.Errorf("%s left %v, %v", name, entries, err)
		}
		rc, err := c.Blob(t.Context(), "acme/zlib", d)
		if err == nil {
			var b []byte
			if b, err = io.ReadAll(rc); len(b) == len(layer) {
				t.Errorf("%s: Blob gave all bytes before it failed", name)
			}
			_ = rc.Close()
		}
		wantKind(t, "Blob: "+name, err, clyde.ErrUnverified)
		_, _, err = c.Manifest(t.Context(), "acme/zlib", digest.FromString("x"))
		wantKind(t, "Manifest: "+name, err, clyde.ErrUnverified)
	}
}

func TestBlobGivesUp(t *testing.T) {
	t.Parallel()
	w, c, d, _ := stored(t)
	var n atomic.Int64
	w.before(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		n.Add(1)
		next.ServeHTTP(&cutWriter{rw, 10}, r)
	})
	rc, err := c.Blob(t.Context(), "acme/zlib", d)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(io.Discard, rc)
	wantKind(t, "a server that drops every ten bytes", err, clyde.ErrUnavailable)
	if got := n.Load(); got > artifact.MaxTransferAttempts {
		t.Errorf("%d requests; want at most %d", got, artifact.MaxTransferAttempts)
	}
	if err := rc.Close(); err != nil {
		t.Error(err)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	w, c, d, _ := stored(t)
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	w.before(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		cancel(cause)
		<-r.Context().Done() // until the client hangs up
	})
	err := c.Push(ctx, "acme/zlib", packed(t, noise(large, 7), nil), []string{"2.0.0"}, nil)
	wantKind(t, "Push", err, cause)
	err = c.FetchBlob(ctx, "acme/zlib", d, filepath.Join(t.TempDir(), "blob"), nil)
	wantKind(t, "FetchBlob", err, cause)
	_, err = c.Blob(ctx, "acme/zlib", d)
	wantKind(t, "Blob", err, cause)
}
