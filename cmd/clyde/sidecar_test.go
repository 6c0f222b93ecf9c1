package main

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/config"
	"github.com/clydepm/clyde-registry/internal/registrytest"
)

// sidecarSoon is how long a sweep of two repositories may take on a machine that
// is busy with other tests.
const sidecarSoon = time.Minute

// Beside a distribution that somebody else runs, packages are resolved by the
// sidecar and come from that registry; what it could not take is told by info.
func TestInstallThroughSidecar(t *testing.T) {
	t.Parallel()
	reg := registrytest.Listen(t).Distribution(t)
	const headers = "build: {system: none}"
	reg.Push(t, "", "acme/util", "1.0.0", headers)
	reg.Push(t, "", "acme/lib", "1.2.0", headers, "requires:\n  \"@acme/util\": ^1.0")
	reg.Push(t, "acme/other", "acme/fmt", "1.0.0") // its name is not its repository's
	var blobs atomic.Int64                         // that were fetched from the registry
	reg.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
				blobs.Add(1)
			}
			next.ServeHTTP(w, r)
		})
	})
	_, url, _, stop, err := startServer(filepath.Join(t.TempDir(), "server"), "", "", func(c *config.Config) {
		c.Roles = config.SidecarRoles
		c.Registries = []config.Upstream{{Name: "main", URL: "http://" + reg.Host, Namespaces: []string{"acme"}, RequestsPerSecond: 1000, SweepEvery: time.Hour}}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})

	work := t.TempDir()
	clyde := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "clyde", args...)
		cmd.Dir = work
		cmd.Env = append(os.Environ(), "HOME="+work, "XDG_CONFIG_HOME="+filepath.Join(work, ".config"), "DOCKER_CONFIG="+filepath.Join(work, ".docker"),
			"CLYDE_REGISTRY="+url, "CLYDE_STORE="+filepath.Join(work, "store"), "NO_COLOR=1")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	// soon waits until the sweep has brought what a command shows.
	soon := func(want string, args ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), sidecarSoon)
		defer cancel()
		for tick := time.NewTicker(100 * time.Millisecond); ; {
			out, _ := clyde(args...)
			if strings.Contains(out, want) {
				tick.Stop()
				return
			}
			select {
			case <-ctx.Done():
				t.Fatalf("clyde %s says %q; want %q", strings.Join(args, " "), out, want)
			case <-tick.C:
			}
		}
	}
	soon("1.2.0", "info", "@acme/lib")
	soon("1.0.0", "info", "@acme/util")
	soon("acme/fmt", "info", "@acme/other", "--problems")

	app := "name: \"@demo/app\"\nversion: 1.0.0\ndescription: An application.\nlicense: MIT\nrequires:\n  \"@acme/lib\": ^1.0\n"
	if err := os.MkdirAll(filepath.Join(work, "app"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(work, "app", "package.yaml"), []byte(app), 0o600); err != nil {
		t.Fatal(err)
	}
	before := blobs.Load()
	out, err := clyde("install", "app")
	if err != nil || !strings.Contains(out, "+ @acme/lib 1.2.0") || !strings.Contains(out, "+ @acme/util 1.0.0") {
		t.Fatalf("clyde install = %v\n%s", err, out)
	}
	for _, file := range []string{"lib/include/lib.h", "util/include/util.h"} {
		if _, err := os.Stat(filepath.Join(work, "app", "deps", "@acme", file)); err != nil {
			t.Error(err)
		}
	}
	if n := blobs.Load() - before; n < 2 {
		t.Errorf("%d blobs came from the registry; want those of two packages", n)
	}
	if out, err := clyde("install", "app", "--frozen"); err != nil {
		t.Errorf("clyde install --frozen = %v\n%s", err, out)
	}
}
