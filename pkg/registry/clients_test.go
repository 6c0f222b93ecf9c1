package registry_test

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/clydepm/clyde-registry/pkg/artifact"
)

// run runs a client in dir with a configuration of its own.
func run(t *testing.T, dir, bin string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), bin, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "DOCKER_CONFIG="+filepath.Join(dir, "docker"), "REGCTL_CONFIG="+filepath.Join(dir, "regctl.json"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(bin), strings.Join(args, " "), err, out)
	}
	return string(out)
}

// orasPush publishes two files as a package with the real oras.
func orasPush(t *testing.T, w *world, dir, ref string) {
	t.Helper()
	for f, content := range map[string]string{"package.yaml": "name: zlib\n", "src.tar.gz": "an archive", "sbom.json": "{}"} {
		if err := os.WriteFile(filepath.Join(dir, f), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, dir, tool(t, "oras"), "push", "--plain-http", ref, "-u", "x", "-p", w.admin,
		"--artifact-type", artifact.TypePackage, "--config", "package.yaml:"+artifact.TypeConfig,
		"--annotation", "org.opencontainers.image.created=2026-01-01T00:00:00Z", "src.tar.gz:"+artifact.TypeSourceGzip)
}

func TestClientsOras(t *testing.T) {
	t.Parallel()
	bin := tool(t, "oras")
	w, second := newWorld(t), newWorld(t)
	dir := t.TempDir()
	ref := w.host + "/acme/zlib:1.0.0"
	orasPush(t, w, dir, ref)
	orasPush(t, w, dir, ref) // the same again is success
	run(t, dir, bin, "login", "--plain-http", w.host, "-u", "x", "-p", w.admin)
	run(t, dir, bin, "login", "--plain-http", second.host, "-u", "x", "-p", second.admin)
	run(t, dir, bin, "attach", "--plain-http", ref, "--artifact-type", "test/sbom", "sbom.json:application/json")
	if out := run(t, dir, bin, "discover", "--plain-http", ref); !strings.Contains(out, "test/sbom") {
		t.Errorf("oras discover does not list what was attached:\n%s", out)
	}
	there, back := second.host+"/acme/zlib:1.0.0", w.host+"/acme/copy:1.0.0"
	run(t, dir, bin, "cp", "-r", "--from-plain-http", "--to-plain-http", ref, there)
	run(t, dir, bin, "cp", "-r", "--from-plain-http", "--to-plain-http", there, back)
	if out := run(t, dir, bin, "discover", "--plain-http", back); !strings.Contains(out, "test/sbom") {
		t.Errorf("the referrer did not survive two copies:\n%s", out)
	}
	run(t, dir, bin, "logout", second.host)
	to := filepath.Join(dir, "out")
	run(t, dir, bin, "pull", "--plain-http", there, "-o", to) // anonymous
	if b, err := os.ReadFile(filepath.Join(to, "src.tar.gz")); err != nil || string(b) != "an archive" {
		t.Errorf("pulled %q, %v", b, err)
	}
	if out := run(t, dir, bin, "repo", "tags", "--plain-http", second.host+"/acme/zlib"); strings.TrimSpace(out) != "1.0.0" {
		t.Errorf("tags = %q; want 1.0.0 alone: no fallback tags", out)
	}
}

func TestClientsCrane(t *testing.T) {
	t.Parallel()
	bin := tool(t, "crane")
	w, second := newWorld(t), newWorld(t)
	dir := t.TempDir()
	orasPush(t, w, dir, w.host+"/acme/zlib:1.0.0")
	ref := w.host + "/acme/zlib:1.0.0"
	if out := run(t, dir, bin, "manifest", "--insecure", ref); !strings.Contains(out, artifact.TypePackage) {
		t.Errorf("crane manifest = %s", out)
	}
	run(t, dir, bin, "auth", "login", second.host, "-u", "x", "-p", second.admin)
	run(t, dir, bin, "copy", "--insecure", ref, second.host+"/acme/zlib:1.0.0")
	d := strings.TrimSpace(run(t, dir, bin, "digest", "--insecure", ref))
	if got := strings.TrimSpace(run(t, dir, bin, "digest", "--insecure", second.host+"/acme/zlib:1.0.0")); got != d {
		t.Errorf("crane copy: digest %s; want %s", got, d)
	}
	run(t, dir, bin, "validate", "--insecure", "--remote", ref, "--fast")
}

func TestClientsRegctl(t *testing.T) {
	t.Parallel()
	bin := tool(t, "regctl")
	w := newWorld(t)
	dir := t.TempDir()
	ref := w.host + "/acme/zlib:1.0.0"
	orasPush(t, w, dir, ref)
	run(t, dir, bin, "registry", "set", "--tls", "disabled", "--skip-check", w.host)
	if out := run(t, dir, bin, "tag", "ls", w.host+"/acme/zlib"); strings.TrimSpace(out) != "1.0.0" {
		t.Errorf("regctl tag ls = %q", out)
	}
	run(t, dir, bin, "registry", "login", w.host, "-u", "x", "-p", w.admin)
	run(t, dir, bin, "artifact", "put", "--subject", ref, "--artifact-type", "test/note", "-f", "sbom.json")
	run(t, dir, bin, "image", "copy", "--referrers", ref, w.host+"/acme/copy:1.0.0")
	if out := run(t, dir, bin, "artifact", "list", w.host+"/acme/copy:1.0.0"); !strings.Contains(out, "test/note") {
		t.Errorf("the referrer was not copied:\n%s", out)
	}
}

// go-containerregistry needs no binary: crane, ko and cosign are made of it.
func TestGoContainerRegistry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.mustPublish("acme/zlib", "1.0.0", "a")
	_, layer, _ := pack("a")
	ref, err := name.ParseReference(w.host+"/acme/zlib:1.0.0", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ggcr.Get(ref, ggcr.WithContext(t.Context()), ggcr.WithAuth(authn.Anonymous))
	if err != nil || got.Digest.String() != d.Digest.String() {
		t.Fatalf("Get = %v, %v; want %s", got, err, d.Digest)
	}
	img, err := got.Image()
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("Layers = %v, %v", layers, err)
	}
	rc, err := layers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	if b, err := io.ReadAll(rc); err != nil || string(b) != string(layer) {
		t.Errorf("layer = %q, %v; want %q", b, err, layer)
	}
	to, err := name.ParseReference(w.host+"/acme/copy:1.0.0", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := ggcr.Push(to, img, ggcr.WithContext(t.Context()), ggcr.WithAuth(authn.Anonymous)); err == nil {
		t.Error("anonymous push succeeded")
	}
	if err := ggcr.Push(to, img, ggcr.WithContext(t.Context()), ggcr.WithAuth(&authn.Basic{Username: "x", Password: w.admin})); err != nil {
		t.Errorf("Push: %v", err)
	}
	if got := w.do(http.MethodGet, "/v2/acme/copy/manifests/"+d.Digest.String(), "", nil); got.status != 200 {
		t.Errorf("pushed copy = %d", got.status)
	}
}
