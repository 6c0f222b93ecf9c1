package api_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/clydepm/clyde-registry/config"
	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/api"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/server"
	"github.com/clydepm/clyde-registry/pkg/store"
)

var update = flag.Bool("update", false, "rewrite golden files")

// env is the API over a real registry, database and search index.
type env struct {
	t     *testing.T
	parts *server.Parts
	srv   *httptest.Server
	admin string // token
}

type keys struct{ p *server.Parts }

func (k keys) Keys(ctx context.Context, ns string) ([]store.Key, error) { return k.p.DB.Keys(ctx, ns) }
func (k keys) AddKey(ctx context.Context, by account.Principal, ns, name, pem string) (store.Key, error) {
	return k.p.AddKey(ctx, by, server.KeyAdd{Namespace: ns, Name: name, PEM: pem})
}

func (k keys) RevokeKey(ctx context.Context, by account.Principal, ns, fp string) error {
	return k.p.RevokeKey(ctx, by, server.KeyRevoke{Namespace: ns, Fingerprint: fp})
}

// start serves the API; with changes its options.
func start(t *testing.T, with func(*api.Options)) *env {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	url := "http://" + srv.Listener.Addr().String()
	cfg := config.Default()
	cfg.Data.Dir = t.TempDir()
	said := api.Options{PublicURL: url}
	if with != nil {
		with(&said)
	}
	parts, err := server.Open(t.Context(), cfg, said.PublicURL, server.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := api.Options{
		Catalog: parts.Catalog, Accounts: parts.Accounts, Keys: keys{parts}, Idempotent: parts.DB.Idempotent, PublicURL: url, Trusted: parts.Trusted, Moderator: parts.Moderator,
		Publish: func(ctx context.Context, p account.Principal, manifest []byte, archive io.Reader, mediaType string) (clyde.Name, string, error) {
			return parts.Ingest.Publish(ctx, parts.Registry, p, manifest, archive, mediaType)
		},
		Ready: func(context.Context) error { return nil },
	}
	if with != nil {
		with(&o)
	}
	h, err := api.New(o)
	if err != nil {
		t.Fatal(err)
	}
	srv.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "req-1")
		r.Header.Set("X-Request-Id", "req-1")
		h.ServeHTTP(w, r)
	})
	srv.Start()
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
		if err := parts.Close(); err != nil {
			t.Error(err)
		}
	})
	e := &env{t: t, parts: parts, srv: srv}
	e.admin = e.token(account.TokenSpec{Name: "admin", Admin: true})
	return e
}

func (e *env) token(spec account.TokenSpec) string {
	e.t.Helper()
	secret, _, err := e.parts.Accounts.Create(e.t.Context(), server.System, spec)
	if err != nil {
		e.t.Fatal(err)
	}
	return secret
}

// scoped makes a token for actions on a pattern.
func (e *env) scoped(name, pattern string, actions ...account.Action) string {
	e.t.Helper()
	return e.token(account.TokenSpec{Name: name, Scopes: []account.Scope{{Actions: actions, Pattern: pattern}}})
}

func (e *env) client(token string) *client.Client {
	e.t.Helper()
	c, err := client.New(client.Options{BaseURL: e.srv.URL, Token: token, HTTP: e.srv.Client()})
	if err != nil {
		e.t.Fatal(err)
	}
	return c
}

// answer is a whole reply.
type answer struct {
	*http.Response
	body []byte
}

// problem is the answer as a failure.
func (a answer) problem(t *testing.T) api.ProblemDetails {
	t.Helper()
	var p api.ProblemDetails
	if ct := a.Header.Get("Content-Type"); ct != "application/problem+json" {
		t.Fatalf("%s %s: Content-Type %q, body %s; want a problem document", a.Request.Method, a.Request.URL, ct, a.body)
	}
	if err := json.Unmarshal(a.body, &p); err != nil {
		t.Fatal(err)
	}
	if p.Status != a.StatusCode || p.Code == "" || p.Detail == "" || p.Title == "" || p.RequestID != "req-1" || !strings.HasPrefix(p.Type, "http") {
		t.Errorf("%s %s: problem %s of status %d is not whole", a.Request.Method, a.Request.URL, a.body, a.StatusCode)
	}
	return p
}

// do sends one request; headers are pairs. Redirects are not followed.
func (e *env) do(method, path string, body io.Reader, headers ...string) answer {
	e.t.Helper()
	req, err := http.NewRequestWithContext(e.t.Context(), method, e.srv.URL+path, body)
	if err != nil {
		e.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := e.srv.Client().Transport.RoundTrip(req)
	if err != nil {
		e.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return answer{resp, b}
}

func (e *env) get(path string, headers ...string) answer {
	e.t.Helper()
	return e.do("GET", path, nil, headers...)
}

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

// tarball packs files, pairs of path and content, in a directory.
func tarball(t *testing.T, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for i := 0; i+1 < len(files); i += 2 {
		h := &tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1])), Typeflag: tar.TypeReg, ModTime: time.Unix(0, 0)}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// manifest is a package.yaml; lines are added at its end.
func manifest(name, version string, lines ...string) string {
	return fmt.Sprintf("name: %q\nversion: %q\nlanguage: c\nlicense: Zlib\ndescription: About %s.\n", name, version, name) + strings.Join(lines, "\n")
}

var page = []string{"README.md", "# Hello\n", "include/hello.h", "#pragma once\n", "evil.html", "<script>alert(1)</script>\n", "logo.png", "\x89PNG\r\n\x1a\n\x00"}

// publish publishes one version as the administrator.
func (e *env) publish(name, version string, lines ...string) client.Release {
	e.t.Helper()
	r, err := e.client(e.admin).Publish(e.t.Context(), []byte(manifest(name, version, lines...)), bytes.NewReader(tarball(e.t, page...)), artifact.TypeSourceGzip, "")
	if err != nil {
		e.t.Fatal(err)
	}
	return r
}

// private makes a package one that only some may see.
func (e *env) private(name string) {
	e.t.Helper()
	n, err := clyde.ParseName(name)
	if err != nil {
		e.t.Fatal(err)
	}
	if err := e.parts.DB.SaveSetting(e.t.Context(), store.Setting{Repo: n.Repo(), Private: true}, store.Change{}, store.AuditEntry{}); err != nil {
		e.t.Fatal(err)
	}
	if err := e.parts.Ingest.Refresh(e.t.Context(), n.Repo()); err != nil {
		e.t.Fatal(err)
	}
}

// golden compares got with testdata/name, or rewrites it under -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got); go test ./pkg/api -update to accept:\n%s", file, diff)
	}
}
