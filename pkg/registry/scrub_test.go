package registry_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/registry"
)

// spoil changes a byte of a blob's file, or removes it.
func (w *world) spoil(root string, d digest.Digest, remove bool) {
	w.t.Helper()
	if err := w.r.Flush(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	p := filepath.Join(root, "docker/registry/v2/blobs/sha256", d.Encoded()[:2], d.Encoded(), "data")
	if remove {
		if err := os.Remove(p); err != nil {
			w.t.Fatal(err)
		}
		return
	}
	b, err := os.ReadFile(p)
	if err != nil {
		w.t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(p, b, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) scrub(o registry.ScrubOptions) registry.Scrub {
	w.t.Helper()
	o.Rate = -1
	s, err := w.r.Scrub(w.t.Context(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// A damaged layer and a lost manifest are reported with what they hit, and the
// same push heals both.
func TestScrubHealedByPush(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	w := newWorld(t, func(o *registry.Options) { o.Root = root })
	_, layer, manifest := pack("x")
	w.mustPublish("acme/zlib", "1.0.0", "x")
	w.mustPublish("acme/zlib", "1.0.1", "y")
	if s := w.scrub(registry.ScrubOptions{}); len(s.Damages) != 0 || s.Blobs != 6 {
		t.Fatalf("whole: %+v; want 6 blobs, no damage", s)
	}
	bad, lost := digest.FromBytes(layer), digest.FromBytes(manifest)
	w.spoil(root, bad, false)
	if s := w.scrub(registry.ScrubOptions{DryRun: true}); len(s.Damages) != 1 || s.Damages[0].Problem != registry.DamageBytes || s.Damages[0].Aside != "" {
		t.Fatalf("dry run: %+v; want one damaged blob, left where it is", s.Damages)
	}
	w.spoil(root, lost, true)
	w.r.ForgetBodies()
	s := w.scrub(registry.ScrubOptions{})
	if len(s.Damages) != 2 || s.Open() != 2 {
		t.Fatalf("%+v; want two damages", s.Damages)
	}
	for _, d := range s.Damages {
		want := map[string]string{bad.String(): registry.DamageBytes, lost.String(): registry.DamageMissing}[d.Digest]
		if d.Problem != want || len(d.Hits) != 1 || d.Hits[0].Manifest != lost.String() || len(d.Hits[0].Tags) != 1 || d.Hits[0].Tags[0] != "1.0.0" {
			t.Errorf("%+v; want it %s, and to hit 1.0.0", d, want)
		}
	}
	for _, p := range []string{"/v2/acme/zlib/blobs/" + bad.String(), "/v2/acme/zlib/manifests/1.0.0"} {
		if r := w.do(http.MethodHead, p, w.admin, nil); r.status != http.StatusNotFound {
			t.Errorf("HEAD %s: %d; want 404, so that it is pushed again", p, r.status)
		}
	}
	w.mustPublish("acme/zlib", "1.0.0", "x")
	if s := w.scrub(registry.ScrubOptions{}); len(s.Damages) != 0 || s.Blobs != 6 {
		t.Errorf("healed: %+v; want no damage", s)
	}
	if !w.has("acme/zlib", layer) {
		t.Error("the layer is not what was pushed")
	}
}

// mirror has blobs and manifests by digest.
type mirror map[digest.Digest][]byte

func (m mirror) Blob(_ context.Context, _ string, d ocispec.Descriptor) (io.ReadCloser, error) {
	b, ok := m[d.Digest]
	if !ok || int64(len(b)) != d.Size {
		return nil, os.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

func (m mirror) Manifest(_ context.Context, _ string, d digest.Digest) ([]byte, string, error) {
	if b, ok := m[d]; ok {
		return b, ocispec.MediaTypeImageManifest, nil
	}
	return nil, "", os.ErrNotExist
}

func TestScrubHealedByMirror(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	config, layer, manifest := pack("x")
	other := digest.FromBytes(config)
	m := mirror{digest.FromBytes(layer): layer, digest.FromBytes(manifest): manifest, other: bytes.ToUpper(config)}
	w := newWorld(t, func(o *registry.Options) { o.Root, o.Mirror = root, m })
	w.mustPublish("acme/zlib", "1.0.0", "x")
	for d := range m {
		w.spoil(root, d, false)
	}
	w.r.ForgetBodies()
	s := w.scrub(registry.ScrubOptions{})
	if len(s.Damages) != 3 || s.Healed != 2 {
		t.Fatalf("%+v; want three damages, two healed", s.Damages)
	}
	if s = w.scrub(registry.ScrubOptions{}); len(s.Damages) != 1 || s.Damages[0].Digest != other.String() || s.Damages[0].Problem != registry.DamageMissing {
		t.Errorf("%+v; want the config missing, of which the mirror has other bytes", s.Damages)
	}
	if !w.has("acme/zlib", layer) || w.has("acme/zlib", config) {
		t.Error("want the layer healed, and not the config")
	}
	if r := w.do(http.MethodGet, "/v2/acme/zlib/manifests/1.0.0", w.admin, nil); r.body != string(manifest) {
		t.Errorf("manifest: %d %s", r.status, r.body)
	}
}

// The rate bounds how fast blobs are read.
func TestScrubRate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.upload("acme/zlib", bytes.Repeat([]byte("x"), 100_000)); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if _, err := w.r.Scrub(t.Context(), registry.ScrubOptions{Rate: 500_000}); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 190*time.Millisecond {
		t.Errorf("100 kB at 500 kB/s took %s", took)
	}
}
