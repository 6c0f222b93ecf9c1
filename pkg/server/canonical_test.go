package server

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// One spelling of a path is served; the others are refused, not redirected.
func TestPathsHaveOneReading(t *testing.T) {
	t.Parallel()
	s := start(t, testConfig(t), Options{})
	for path, want := range map[string]int{
		"//v2/":                             400,
		"/v2//":                             400,
		"//v2/acme/zlib/manifests/1.0.0":    400,
		"/./v2/":                            400,
		"/x/../v2/":                         400,
		"/v2/../api/v1/search":              400,
		"/%2e%2e/v2/":                       400,
		"/api/v1/../v1/search":              400,
		"/api/v1//search":                   400,
		"/api/v1/packages/acme%2fzlib":      400,
		"/api/v1/packages/acme%2F..%2fx":    400,
		"/api/v1/packages/acme%5czlib/x":    400,
		"/packages/acme/zlib%00":            400,
		"/packages/acme/../other/x":         400,
		"//example.org/":                    400,
		"/packages//acme/zlib":              400,
		"/.well-known/clyde//registry.json": 400,
		"/healthz/..":                       400,
		"/":                                 200,
		"/v2/":                              401,
		"/search?q=a//b/../c":               200,
		"/api/v1/search?q=%2e%2e%2f":        200,
		"/.well-known/clyde/registry.json":  200,
	} {
		conn, err := net.Dial("tcp", s.ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(path, err)
		}
		if resp.StatusCode != want || resp.Header.Get("Location") != "" {
			t.Errorf("GET %s: %d, to %q; want %d", path, resp.StatusCode, resp.Header.Get("Location"), want)
		}
		_ = resp.Body.Close()
		_ = conn.Close()
	}
}

// errorCount counts what is logged as an error.
type errorCount struct {
	slog.Handler
	n atomic.Int64
}

func (c *errorCount) Enabled(context.Context, slog.Level) bool { return true }
func (c *errorCount) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		c.n.Add(1)
	}
	return nil
}
func (c *errorCount) WithAttrs([]slog.Attr) slog.Handler { return c }
func (c *errorCount) WithGroup(string) slog.Handler      { return c }

// Not being ready yet is an answer, no failure: probes ask every second.
func TestNotReadyIsQuiet(t *testing.T) {
	t.Parallel()
	var errs errorCount
	s, err := New(t.Context(), testConfig(t), Options{Log: slog.New(&errs)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	rec := httptest.NewRecorder()
	s.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/readyz", strings.NewReader("")))
	if rec.Code != http.StatusServiceUnavailable || errs.n.Load() != 0 {
		t.Errorf("/readyz before the index is there: %d and %d errors in the log; want 503 and none", rec.Code, errs.n.Load())
	}
}
