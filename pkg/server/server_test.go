package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/clydepm/clyde-registry/config"
	"github.com/clydepm/clyde-registry/internal/tlstest"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

func testConfig(t *testing.T) config.Config {
	t.Helper()
	c := config.Default()
	c.Data.Dir = filepath.Join(t.TempDir(), "data")
	c.HTTP.Addr = "127.0.0.1:0"
	return c
}

// start runs a server until the test ends.
func start(t *testing.T, c config.Config, o Options) *Server {
	t.Helper()
	s, err := New(t.Context(), c, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, s.Close()); err != nil {
			t.Error(err)
		}
	})
	if err := s.waitIndexed(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// base is an address that works with certificates for 127.0.0.1, too.
func base(s *Server) string {
	_, port, _ := net.SplitHostPort(s.ln.Addr().String())
	scheme, _, _ := strings.Cut(s.PublicURL(), "://")
	return scheme + "://127.0.0.1:" + port
}

func get(t *testing.T, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return answer(t, c, req)
}

// answer sends a request and reads all that comes back.
func answer(t *testing.T, c *http.Client, req *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func TestFirstStart(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	s, err := New(t.Context(), c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	path, token, err := s.FirstToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(s.PublicURL(), "http://localhost:") {
		t.Errorf("public URL is %s", s.PublicURL())
	}
	b, err := os.ReadFile(path)
	if err != nil || strings.TrimSpace(string(b)) != token {
		t.Fatalf("admin-token holds %q, %v", b, err)
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("admin-token has mode %v, %v", st.Mode(), err)
	}
	if p, err := s.Accounts.Token(t.Context(), token); err != nil || !p.Admin {
		t.Errorf("the token stands for %v, %v", p, err)
	}
	if err := Health(t.Context(), t.TempDir()); !errors.Is(err, clyde.ErrUnavailable) {
		t.Errorf("the health of none: %v", err)
	}
	// Nobody else may have the directory meanwhile.
	if _, err := New(t.Context(), c, Options{}); !errors.Is(err, ErrLocked) {
		t.Errorf("a second server on one directory: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := start(t, c, Options{})
	if err := Health(t.Context(), c.Data.Dir); err != nil {
		t.Errorf("health: %v", err)
	}
	if path, token, err := again.FirstToken(t.Context()); path != "" || token != "" || err != nil {
		t.Errorf("second start made %q %q %v", path, token, err)
	}
	if p, err := again.Accounts.Token(t.Context(), token); err != nil || !p.Admin {
		t.Errorf("after a restart the token stands for %v, %v", p, err)
	}
}

// A data directory that was made beforehand, open to all, shows nobody what is
// private.
func TestOpenDataDir(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	if err := os.MkdirAll(filepath.Join(c.Data.Dir, "registry"), 0o755); err != nil {
		t.Fatal(err)
	}
	start(t, c, Options{})
	for _, name := range []string{"registry", "content", "clyde.db", "secret", "admin.sock"} {
		st, err := os.Stat(filepath.Join(c.Data.Dir, name))
		if err != nil || st.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v; want it closed to others", name, st.Mode(), err)
		}
	}
}

// TestAdminister runs commands beside a running server and without one: both
// ways must say the same.
func TestAdminister(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s, err := New(ctx, c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()

	var made Created
	spec := TokenCreate{Name: "ci", Allow: []string{"publish"}, Packages: []string{"@acme/*"}, Expires: "1h"}
	if err := Administer(t.Context(), c, "token.create", spec, &made, Options{}); err != nil {
		t.Fatal(err)
	}
	p, err := s.Accounts.Token(t.Context(), made.Secret)
	if err != nil || p.Admin || len(p.Scopes) != 1 {
		t.Fatalf("the new token stands for %+v, %v", p, err)
	}
	check := func(when string) {
		t.Helper()
		for _, tt := range []struct {
			name string
			args any
			kind error
			want string
		}{
			{"token.revoke", Named{"nobody"}, clyde.ErrNotFound, "there is no token nobody"},
			{"token.create", TokenCreate{Name: "x", Packages: []string{"@acme/*"}}, clyde.ErrInvalid, "at least one action"},
			{"token.create", TokenCreate{Name: "x", Allow: []string{"conquer"}, Packages: []string{"*"}}, clyde.ErrInvalid, "conquer"},
			{"token.create", TokenCreate{Name: "x", Admin: true, Expires: "-1h"}, clyde.ErrInvalid, "duration"},
			{"key.add", KeyAdd{Namespace: "acme", Name: "k", PEM: "no key"}, clyde.ErrInvalid, ""},
			{"key.add", KeyAdd{Namespace: "../x", Name: "k", PEM: "no key"}, clyde.ErrInvalid, ""},
			{"inbox.replay", Inbox{ID: 99}, clyde.ErrNotFound, "99"},
			{"access.set", Access{Package: "zlib"}, clyde.ErrInvalid, ""},
			{"fly", struct{}{}, clyde.ErrInvalid, "unknown"},
		} {
			err := Administer(t.Context(), c, tt.name, tt.args, nil, Options{})
			if !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %s %v: %v", when, tt.name, tt.args, err)
			}
		}
		var ts []store.Token
		if err := Administer(t.Context(), c, "token.list", struct{}{}, &ts, Options{}); err != nil || len(ts) != 1 {
			t.Errorf("%s: %d tokens, %v", when, len(ts), err)
		}
	}
	check("with a server")
	cancel()
	if err := errors.Join(<-done, s.Close()); err != nil {
		t.Fatal(err)
	}
	check("without")
	c.Data.Dir += "-elsewhere"
	if err := Administer(t.Context(), c, "token.list", struct{}{}, nil, Options{}); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("no data directory: %v", err)
	}
	if _, err := os.Stat(c.Data.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a command made a data directory: %v", err)
	}
}

func TestTLSAndMetrics(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	c.TLS.Cert, c.TLS.Key = tlstest.Files(t, "127.0.0.1")
	c.Metrics.Addr = "127.0.0.1:0"
	s := start(t, c, Options{})
	pool := x509.NewCertPool()
	authority, err := os.ReadFile(c.TLS.Cert)
	if err != nil {
		t.Fatal(err)
	}
	pool.AppendCertsFromPEM(authority)
	hc := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
	defer hc.CloseIdleConnections()
	resp, _ := get(t, hc, base(s)+"/healthz")
	if resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 {
		t.Errorf("healthz: %s %s", resp.Status, resp.Proto)
	}
	if resp.Header.Get("Strict-Transport-Security") == "" {
		t.Error("no Strict-Transport-Security over TLS")
	}
	if resp, _ := get(t, hc, base(s)+"/metrics"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("metrics on the public listener: %s", resp.Status)
	}
	resp, body := get(t, http.DefaultClient, "http://"+s.metrics.Addr().String()+"/metrics")
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	for _, want := range []string{`clyde_http_requests_total{method="GET",part="api",status="200"} 1`, "clyde_inbox_waiting 0", "clyde_packages 0", "go_goroutines"} {
		if !strings.Contains(body, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if resp, _ := get(t, http.DefaultClient, "http://"+s.metrics.Addr().String()+"/debug/pprof/"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("something else on the private listener: %s", resp.Status)
	}
}

func TestTrustedProxies(t *testing.T) {
	t.Parallel()
	c := config.Default()
	c.HTTP.TrustedProxies = []string{"10.0.0.0/8"}
	s := &Server{cfg: c}
	for _, tt := range []struct {
		name, peer, forwarded, proto string
		wantAddr, wantProto          string
	}{
		{"direct", "192.0.2.1:5", "", "", "192.0.2.1:5", ""},
		{"a stranger's claim", "192.0.2.1:5", "203.0.113.9", "https", "192.0.2.1:5", ""},
		{"by the proxy", "10.0.0.1:5", "203.0.113.9", "https", "203.0.113.9:0", "https"},
		{"a claim before the proxy", "10.0.0.1:5", "1.1.1.1, 203.0.113.9", "https", "203.0.113.9:0", "https"},
		{"two proxies", "10.0.0.1:5", "203.0.113.9, 10.0.0.2", "", "203.0.113.9:0", ""},
		{"garbage", "10.0.0.1:5", "nobody", "", "10.0.0.1:5", ""},
		{"IPv6", "10.0.0.1:5", "2001:db8::1", "", "[2001:db8::1]:0", ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = tt.peer
		if tt.forwarded != "" {
			r.Header.Set("X-Forwarded-For", tt.forwarded)
		}
		if tt.proto != "" {
			r.Header.Set("X-Forwarded-Proto", tt.proto)
		}
		s.trustProxies(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.RemoteAddr != tt.wantAddr || r.Header.Get("X-Forwarded-Proto") != tt.wantProto || r.Header.Get("X-Forwarded-For") != "" {
				t.Errorf("%s: %s %q", tt.name, r.RemoteAddr, r.Header)
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
	}
}

// words is a log that a running server writes to while a test reads it.
type words struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *words) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(b)
}

func (w *words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

func TestObserve(t *testing.T) {
	t.Parallel()
	var log words
	s := start(t, testConfig(t), Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	h := s.observe(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/panic" {
			panic("secret words")
		}
		_, _ = io.Copy(w, strings.NewReader("hello"))
	}))
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/panic", nil)
	r.Header.Set(RequestIDHeader, "chosen by the client")
	h.ServeHTTP(w, r)
	id := w.Header().Get(RequestIDHeader)
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "secret") || !strings.Contains(w.Body.String(), id) || id == "chosen by the client" {
		t.Errorf("a panic answered %d %q, id %q", w.Code, w.Body, id)
	}
	if !strings.Contains(log.String(), "secret words") || !strings.Contains(log.String(), id) {
		t.Errorf("a panic logged %q", log.String())
	}
	w = httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Body.String() != "hello" {
		t.Errorf("body %q", w.Body)
	}
}
