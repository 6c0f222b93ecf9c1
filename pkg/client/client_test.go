package client_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

var zlib = clyde.Name{Namespace: "acme", Base: "zlib"}

// dial serves h and returns a client of it.
func dial(t *testing.T, h http.HandlerFunc) *client.Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	c, err := client.New(client.Options{BaseURL: srv.URL + "/", Token: "secret", UserAgent: "test/1"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, o := range []client.Options{
		{}, {BaseURL: "localhost:8080"}, {BaseURL: "ftp://x"}, {BaseURL: "https://"},
		{BaseURL: "https://u:p@x"}, {BaseURL: "https://x?a=b"}, {BaseURL: "https://x", Token: "a\nb"},
	} {
		if _, err := client.New(o); !errors.Is(err, clyde.ErrInvalid) {
			t.Errorf("New(%+v) = %v; want ErrInvalid", o, err)
		} else if strings.Contains(err.Error(), ":p@") {
			t.Errorf("New(%+v): the message shows the password: %v", o, err)
		}
	}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	rng, err := clyde.ParseRange(">=1 <2")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		want string // method and request URI
		call func(*client.Client) error
	}{
		{"GET /api/v1/packages/acme/zlib", func(c *client.Client) error { _, err := c.Package(ctx, zlib); return err }},
		{"GET /api/v1/packages/acme/zlib/versions/latest", func(c *client.Client) error { _, err := c.Release(ctx, zlib, ""); return err }},
		{"GET /api/v1/packages/acme/zlib/resolve?range=%3E%3D1+%3C2", func(c *client.Client) error { _, err := c.Resolve(ctx, zlib, rng); return err }},
		{"GET /api/v1/packages/acme/zlib/versions/1.0.0/files/a%20b/c%3Fd", func(c *client.Client) error {
			r, err := c.File(ctx, zlib, "1.0.0", "a b/c?d")
			if err == nil {
				_ = r.Close()
			}
			return err
		}},
		{"GET /api/v1/search?facets=true&license=MIT&license=Zlib&limit=5&q=a+b", func(c *client.Client) error {
			_, err := c.Search(ctx, client.SearchQuery{Text: "a b", License: []string{"MIT", "Zlib"}, Limit: 5, Facets: true})
			return err
		}},
		{"PATCH /api/v1/packages/acme/zlib/versions/1.0.0", func(c *client.Client) error {
			_, err := c.Yank(ctx, zlib, "1.0.0", client.YankRequest{Yanked: true, Reason: "broken"})
			return err
		}},
		{"PUT /api/v1/packages/acme/zlib/deprecation", func(c *client.Client) error {
			_, err := c.Deprecate(ctx, zlib, client.Deprecation{Message: "m"})
			return err
		}},
		{"DELETE /api/v1/namespaces/acme/keys?fingerprint=SHA256%3Aa%2Fb", func(c *client.Client) error { return c.RevokeKey(ctx, "acme", "SHA256:a/b") }},
		{"DELETE /api/v1/tokens/x", func(c *client.Client) error { return c.RevokeToken(ctx, "x") }},
		{"GET /healthz", func(c *client.Client) error {
			r, err := c.Do(ctx, "GET", "/healthz", nil, nil)
			if err == nil {
				_ = r.Body.Close()
			}
			return err
		}},
	} {
		t.Run(tt.want, func(t *testing.T) {
			t.Parallel()
			var got string
			c := dial(t, func(w http.ResponseWriter, r *http.Request) {
				got = r.Method + " " + r.URL.RequestURI()
				if r.Header.Get("Authorization") != "Bearer secret" || r.Header.Get("User-Agent") != "test/1" {
					t.Errorf("headers %v: token or user agent is missing", r.Header)
				}
				_, _ = io.WriteString(w, "{}")
			})
			if err := tt.call(c); err != nil || got != tt.want {
				t.Errorf("sent %s, %v; want %s", got, err, tt.want)
			}
		})
	}
}

func TestProblem(t *testing.T) {
	t.Parallel()
	c := dial(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(422)
		_, _ = io.WriteString(w, `{"status":422,"detail":"bad\u001b[31m thing","code":"invalid_package","fixes":["mend it"],`+
			`"errors":[{"code":"unknown_key","pointer":"/nmae","line":3,"column":1,"detail":"unknown key","near":"name"}]}`)
	})
	_, err := c.Package(t.Context(), zlib)
	want := &clyde.Error{
		Kind: clyde.ErrInvalid, Code: "invalid_package", Msg: "bad[31m thing", Fixes: []string{"mend it"},
		Problems: clyde.Problems{{Code: "unknown_key", Pointer: "/nmae", Line: 3, Column: 1, Msg: "unknown key", Near: "name"}},
	}
	if got := clyde.AsError(err); !reflect.DeepEqual(got, want) {
		t.Errorf("error %#v; want %#v", got, want)
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	for status, kind := range map[int]error{
		400: clyde.ErrInvalid, 401: clyde.ErrUnauthenticated, 403: clyde.ErrDenied, 404: clyde.ErrNotFound, 409: clyde.ErrConflict,
		412: clyde.ErrConflict, 413: clyde.ErrTooLarge, 422: clyde.ErrInvalid, 501: clyde.ErrUnavailable, 418: clyde.ErrInvalid,
	} {
		c := dial(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", status) })
		_, err := c.Package(t.Context(), zlib)
		if e := clyde.AsError(err); e == nil || e.Kind != kind || len(e.Fixes) == 0 {
			t.Errorf("status %d without a problem document: %v; want kind %v and a fix", status, err, kind)
		}
	}
}

func TestNotARegistry(t *testing.T) {
	t.Parallel()
	c := dial(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>hello") })
	if _, err := c.Package(t.Context(), zlib); !errors.Is(err, clyde.ErrUnavailable) {
		t.Errorf("a page instead of JSON: %v; want ErrUnavailable", err)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	c, err := client.New(client.Options{BaseURL: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Yank(t.Context(), zlib, "1.0.0", client.YankRequest{}); !errors.Is(err, clyde.ErrUnavailable) {
		t.Errorf("nobody listens: %v; want ErrUnavailable", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Package(ctx, zlib); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v; want context.Canceled", err)
	}
}

func TestTokenStaysHome(t *testing.T) {
	t.Parallel()
	var leaked atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		leaked.Store(r.Header.Get("Authorization") != "")
		_, _ = io.WriteString(w, "{}")
	}))
	defer other.Close()
	// The same host name with another port is another host.
	c := dial(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL+"/x", http.StatusFound) })
	if _, err := c.Package(t.Context(), zlib); err != nil {
		t.Fatal(err)
	}
	if leaked.Load() {
		t.Error("a redirect carried the token to another host")
	}
	for _, path := range []string{other.URL + "/x", "//" + strings.TrimPrefix(other.URL, "http://") + "/x"} {
		if _, err := c.Do(t.Context(), "GET", path, nil, nil); !errors.Is(err, clyde.ErrInvalid) {
			t.Errorf("Do(%q) = %v; want ErrInvalid", path, err)
		}
	}
}

// script answers each request with the next status, all with Retry-After: 7.
type script struct {
	statuses []int
	n        int
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	status := s.statuses[min(s.n, len(s.statuses)-1)]
	s.n++
	if status == 0 {
		return nil, errors.New("connection reset")
	}
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Request: r,
		Header: http.Header{"Retry-After": {"7"}}, Body: io.NopCloser(strings.NewReader("{}")),
	}, nil
}

func TestRetries(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		statuses []int
		n        int
		took     time.Duration
		want     error
	}{
		{"once", []int{200}, 1, 0, nil},
		{"told when", []int{429, 503, 200}, 3, 14 * time.Second, nil},
		{"broken", []int{0, 200}, 2, 250 * time.Millisecond, nil},
		{"gives up", []int{503}, client.MaxAttempts, 21 * time.Second, clyde.ErrUnavailable},
		{"not that", []int{404, 200}, 1, 0, clyde.ErrNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{statuses: tt.statuses}
				c, err := client.New(client.Options{BaseURL: "http://registry.test", HTTP: &http.Client{Transport: s}})
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				_, err = c.Package(t.Context(), zlib)
				if !errors.Is(err, tt.want) || s.n != tt.n || time.Since(start) != tt.took {
					t.Errorf("%v after %d requests and %v; want %v, %d, %v", err, s.n, time.Since(start), tt.want, tt.n, tt.took)
				}
				s.n = 0
				if _, err := c.Yank(t.Context(), zlib, "1", client.YankRequest{}); s.n != 1 {
					t.Errorf("a PATCH was sent %d times (%v); want once", s.n, err)
				}
			})
		})
	}
}

func TestPublish(t *testing.T) {
	t.Parallel()
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		form, err := r.MultipartReader()
		if err != nil {
			t.Error(err)
			return
		}
		var got []string
		for {
			p, err := form.NextPart()
			if err == io.EOF {
				break
			}
			if err != nil {
				return // the upload broke off
			}
			b, err := io.ReadAll(p)
			if err != nil {
				return
			}
			got = append(got, p.FormName(), p.Header.Get("Content-Type"), string(b))
		}
		if diff := cmp.Diff([]string{"package.yaml", "application/yaml", "name: x", "archive", "a/b", "bytes"}, got); diff != "" {
			t.Errorf("parts (-want +got):\n%s", diff)
		}
		if r.Header.Get("Idempotency-Key") != "k" {
			t.Error("the key is missing")
		}
		w.WriteHeader(201)
		_, _ = io.WriteString(w, `{"version":"1.0.0"}`)
	})
	r, err := c.Publish(t.Context(), []byte("name: x"), strings.NewReader("bytes"), "a/b", "k")
	if err != nil || r.Version != "1.0.0" {
		t.Errorf("Publish = %+v, %v; want version 1.0.0", r, err)
	}
	broken := errors.New("disk is gone")
	if _, err := c.Publish(t.Context(), nil, io.MultiReader(strings.NewReader("x"), failing{broken}), "a/b", ""); !errors.Is(err, broken) {
		t.Errorf("Publish of an unreadable archive = %v; want %v", err, broken)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestChanges(t *testing.T) {
	t.Parallel()
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Clyde-Epoch", "e1")
		switch r.URL.Query().Get("since") {
		case "0":
			w.Header().Set("Clyde-Last-Seq", "3")
			_, _ = io.WriteString(w, `{"seq":1,"type":"a"}`+"\n"+`{"seq":3,"type":"b"}`+"\n")
		case "3": // nothing the asker may see, but the feed goes on
			w.Header().Set("Clyde-Last-Seq", "9")
		default:
			w.Header().Set("Clyde-Last-Seq", r.URL.Query().Get("since"))
		}
	})
	var got []int64
	for ch, err := range c.Changes(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, ch.Seq)
	}
	if diff := cmp.Diff([]int64{1, 3}, got); diff != "" {
		t.Errorf("sequence (-want +got):\n%s", diff)
	}
}

func TestChangesBeginAnew(t *testing.T) {
	t.Parallel()
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		since := r.URL.Query().Get("since")
		w.Header().Set("Clyde-Epoch", "e"+since)
		w.Header().Set("Clyde-Last-Seq", "5")
	})
	for ch, err := range c.Changes(t.Context(), 0) {
		if e := clyde.AsError(err); e == nil || e.Code != "epoch_changed" {
			t.Errorf("%+v, %v; want an epoch_changed error", ch, err)
		}
	}
}
