// Package registrytest runs registries of others in the process of a test, and
// pushes packages to them.
package registrytest

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // what it runs on
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"
	"github.com/sirupsen/logrus"

	"github.com/clydepm/clyde-registry/pkg/artifact"
)

// Server is a registry that listens. It answers 503 until it serves something.
type Server struct {
	Host     string // host:port
	Requests atomic.Int64

	mu      sync.Mutex
	handler http.Handler
	wrap    func(http.Handler) http.Handler
}

// Listen starts a server without a registry, so that its address is known
// beforehand. It ends with the test.
func Listen(t testing.TB) *Server {
	t.Helper()
	s := &Server{}
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.Requests.Add(1)
		s.mu.Lock()
		next, wrap := s.handler, s.wrap
		s.mu.Unlock()
		if next == nil {
			http.Error(w, "it serves nothing", http.StatusServiceUnavailable)
			return
		}
		if wrap != nil {
			next = wrap(next)
		}
		next.ServeHTTP(w, r)
	}))
	t.Cleanup(h.Close)
	s.Host = strings.TrimPrefix(h.URL, "http://")
	return s
}

// Wrap puts something in front of the registry, from now on; nil takes it away.
func (s *Server) Wrap(f func(http.Handler) http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrap = f
}

func (s *Server) serve(h http.Handler) *Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handler = h
	return s
}

var quiet = sync.OnceFunc(func() {
	logrus.SetOutput(io.Discard)
	logrus.SetLevel(logrus.PanicLevel)
})

// Distribution serves a stand-alone distribution, as its own program would run
// it, that tells those endpoints what happens: pairs of an address and the value
// of the field Authorization.
func (s *Server) Distribution(t testing.TB, endpoints ...string) *Server {
	t.Helper()
	quiet()
	c := &configuration.Configuration{Storage: configuration.Storage{
		"filesystem":  {"rootdirectory": t.TempDir(), "maxthreads": 100},
		"delete":      {"enabled": true},
		"maintenance": {"uploadpurging": map[any]any{"enabled": false}},
	}}
	c.HTTP.Secret, c.HTTP.RelativeURLs, c.Catalog.MaxEntries = "a secret of this test", true, 50
	for i := 0; i+1 < len(endpoints); i += 2 {
		c.Notifications.Endpoints = append(c.Notifications.Endpoints, configuration.Endpoint{
			Name: fmt.Sprint("endpoint", i), URL: endpoints[i], Headers: http.Header{"Authorization": {endpoints[i+1]}},
			Timeout: 5 * time.Second, Threshold: 3, Backoff: 100 * time.Millisecond,
		})
	}
	ctx, cancel := context.WithCancel(context.Background())
	app := handlers.NewApp(ctx, c)
	t.Cleanup(func() {
		if err := app.Shutdown(); err != nil {
			t.Error(err)
		}
		cancel()
	})
	return s.serve(app)
}

// GGCR serves the registry of go-containerregistry, in memory.
func (s *Server) GGCR(referrers bool) *Server {
	return s.serve(ggcr.New(ggcr.WithReferrersSupport(referrers), ggcr.Logger(log.New(io.Discard, "", 0))))
}

// Client is a client of the registry.
func (s *Server) Client(t testing.TB) *artifact.Client {
	t.Helper()
	c, err := artifact.NewClient(artifact.ClientOptions{Host: s.Host, Plain: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// YAML is a package.yaml of "acme/zlib"; more are further lines of it.
func YAML(repo, version string, more ...string) string {
	return fmt.Sprintf("name: \"@%s\"\nversion: %q\ndescription: The %s library.\nlicense: MIT\n%s\n", repo, version, repo, strings.Join(more, "\n"))
}

// Pack packs "acme/zlib" at a version; more are further lines of its package.yaml.
// It is closed with the test.
func Pack(t testing.TB, repo, version string, more ...string) *artifact.Packed {
	t.Helper()
	dir := t.TempDir()
	_, base, _ := strings.Cut(repo, "/")
	for name, text := range map[string]string{
		"package.yaml": YAML(repo, version, more...), "README.md": "# " + repo + "\n\nReads " + version + ".\n",
		"include/" + base + ".h": "int " + strings.ReplaceAll(base, "-", "_") + "(void);\n",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p, err := artifact.Pack(t.Context(), dir, artifact.PackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// Push packs and pushes "acme/zlib" at a version to a repository of the registry,
// "" for the one of its name, and returns its digest.
func (s *Server) Push(t testing.TB, path, repo, version string, more ...string) digest.Digest {
	t.Helper()
	if path == "" {
		path = repo
	}
	p := Pack(t, repo, version, more...)
	if err := s.Client(t).Push(t.Context(), path, p, []string{version}, nil); err != nil {
		t.Fatal(err)
	}
	return p.Descriptor.Digest
}

// Delete deletes a manifest, as its owner would.
func (s *Server) Delete(t testing.TB, path string, d digest.Digest) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, "http://"+s.Host+"/v2/"+path+"/manifests/"+d.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := new(http.Client).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Fatalf("DELETE %s: %s", d, resp.Status)
	}
}
