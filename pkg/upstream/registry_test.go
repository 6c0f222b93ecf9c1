package upstream_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/internal/registrytest"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/upstream"
)

var _ artifact.Source = (*upstream.Registry)(nil)

func open(t *testing.T, o upstream.Options) *upstream.Registry {
	t.Helper()
	o.Name, o.Plain = "main", true
	r, err := upstream.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Registries that others make are read alike, by our names for what is theirs.
func TestSource(t *testing.T) {
	t.Parallel()
	for name, serve := range map[string]func(*registrytest.Server) *registrytest.Server{
		"distribution":            func(s *registrytest.Server) *registrytest.Server { return s.Distribution(t) },
		"ggcr":                    func(s *registrytest.Server) *registrytest.Server { return s.GGCR(true) },
		"ggcr, without referrers": func(s *registrytest.Server) *registrytest.Server { return s.GGCR(false) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(registrytest.Listen(t))
			d := s.Push(t, "deep/acme/zlib", "acme/zlib", "1.2.0")
			s.Push(t, "deep/acme/zlib", "acme/zlib", "1.3.1")
			r, ctx := open(t, upstream.Options{Host: s.Host, Namespaces: []string{"deep/acme"}, Catalog: true}), t.Context()

			if tags, err := r.Tags(ctx, "acme/zlib", "", 0); err != nil || !slices.Equal(tags, []string{"1.2.0", "1.3.1"}) {
				t.Errorf("Tags = %q, %v", tags, err)
			}
			if tags, err := r.Tags(ctx, "acme/zlib", "1.2.0", 1); err != nil || !slices.Equal(tags, []string{"1.3.1"}) {
				t.Errorf("Tags after the first = %q, %v", tags, err)
			}
			if got, err := r.Resolve(ctx, "acme/zlib", "1.2.0"); err != nil || got.Digest != d {
				t.Errorf("Resolve = %+v, %v; want %s", got, err, d)
			}
			m, _, err := r.Manifest(ctx, "acme/zlib", d)
			if err != nil || digest.FromBytes(m) != d {
				t.Fatalf("Manifest = %s, %v", m, err)
			}
			p, err := artifact.ParseManifest(m)
			if err != nil {
				t.Fatal(err)
			}
			blob, err := r.Blob(ctx, "acme/zlib", p.Config)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(blob)
			if err := errors.Join(err, blob.Close()); err != nil || !bytes.Contains(b, []byte("1.2.0")) {
				t.Errorf("Blob = %q, %v", b, err)
			}
			if rs, err := r.Referrers(ctx, "acme/zlib", d); err != nil || len(rs) != 0 {
				t.Errorf("Referrers = %v, %v; want none", rs, err)
			}
			if all, err := r.Catalog(ctx, "", 10); err != nil || !slices.Contains(all, "deep/acme/zlib") {
				t.Errorf("Catalog = %q, %v", all, err)
			}
			if ok, err := r.Public(ctx, "acme/zlib", d); err != nil || !ok {
				t.Errorf("Public = %v, %v", ok, err)
			}

			// What is not there is so, and nothing else is.
			none := digest.FromString("none")
			if ok, err := r.Has(ctx, "acme/zlib", d); err != nil || !ok {
				t.Errorf("Has = %v, %v", ok, err)
			}
			if ok, err := r.Has(ctx, "acme/zlib", none); err != nil || ok {
				t.Errorf("Has what is not there = %v, %v", ok, err)
			}
			if _, err := r.Resolve(ctx, "acme/zlib", "9.9.9"); !errors.Is(err, clyde.ErrNotFound) {
				t.Errorf("Resolve what is not there: %v", err)
			}
			for _, status := range []int{http.StatusBadRequest, http.StatusForbidden, http.StatusUnauthorized} {
				s.Wrap(func(http.Handler) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
				})
				if ok, err := r.Has(ctx, "acme/zlib", d); err == nil {
					t.Errorf("Has, answered %d = %v and no error", status, ok)
				}
			}
		})
	}
}

// Repositories go by our names, whatever is before a namespace there.
func TestNames(t *testing.T) {
	t.Parallel()
	r := open(t, upstream.Options{Host: "registry.example", Namespaces: []string{"acme", "deep/path/umbrella"}})
	for _, tt := range []struct {
		path, repo string
		ok         bool
	}{
		{"acme/zlib", "acme/zlib", true},
		{"deep/path/umbrella/png", "umbrella/png", true},
		{"other/acme/zlib", "", false},
		{"umbrella/png", "", false},
	} {
		repo, ok := r.Repo(tt.path)
		if ok != tt.ok || ok && (repo != tt.repo || r.Path(repo) != tt.path) {
			t.Errorf("Repo(%s) = %s, %v; want %s, %v; Path = %s", tt.path, repo, ok, tt.repo, tt.ok, r.Path(repo))
		}
	}
	if _, ok := r.Binds("stranger"); ok {
		t.Error("it binds a namespace that is not its own")
	}
	set := upstream.NewSet(r)
	if set.ByName("main") != r || set.ByHost("registry.example") != r || set.ByName("x") != nil || (*upstream.Set)(nil).ByHost("x") != nil {
		t.Error("a set does not find its own, or finds others")
	}
}
