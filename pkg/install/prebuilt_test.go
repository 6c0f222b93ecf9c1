package install_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/install"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// TestPrebuilt: a binary that fits is taken in place of building, and only
// where there is none does --no-build refuse.
func TestPrebuilt(t *testing.T) {
	t.Parallel()
	host := newRegistry(t)
	src := t.TempDir()
	for name, text := range map[string]string{
		"package.yaml": "schema: 1\nname: \"@demo/sum\"\nversion: \"1.0.0\"\nlanguage: c\nlicense: MIT\nsources: [\"*.c\"]\n",
		"LICENSE":      "Do what you like.\n", "sum.c": "int sum(int a, int b) { return a + b; }\n",
	} {
		if err := os.WriteFile(filepath.Join(src, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p, err := artifact.Pack(t.Context(), src, artifact.PackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	c := client(t, host)
	if err := c.Push(t.Context(), "demo/sum", p, []string{"1.0.0"}, nil); err != nil {
		t.Fatal(err)
	}
	lock := &resolve.Lock{
		Packages: map[clyde.Name]*resolve.LockedPackage{p.Name: {Version: p.Version, Registry: host, Digest: p.Descriptor.Digest.String()}},
		Requires: []resolve.Edge{{Name: p.Name, Kind: resolve.Runtime}},
	}
	s, err := install.OpenStore(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	o := options(host, lock, t.TempDir())
	o.NoBuild = true
	if _, err := install.Run(t.Context(), s, o); !errors.Is(err, install.ErrBuild) || !strings.Contains(err.Error(), "@demo/sum 1.0.0") {
		t.Fatalf("Run without a binary = %v; want that @demo/sum may not be built", err)
	}

	// The binary: an installed tree, packed as a build's layer is.
	tree := t.TempDir()
	for name, text := range map[string]string{"package.yaml": "name: \"@demo/sum\"\nversion: \"1.0.0\"\nlanguage: c\nsources: []\n", "lib/libsum.a": "!<arch>\n", "LICENSE": "x"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(tree, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(tree, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := artifact.Pack(t.Context(), tree, artifact.PackOptions{Zstd: true, Manifest: []byte("schema: 1\nname: \"@demo/sum\"\nversion: \"1.0.0\"\nlanguage: c\nlicense: MIT\nfiles: {include: [\"lib/\"]}\n")})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	layer := b.Layers[0].Descriptor
	r, err := b.Layers[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := c.PutBlob(t.Context(), "demo/sum", layer, r); err != nil {
		t.Fatal(err)
	}
	layer.MediaType = "application/vnd.clyde.build.install.v1.tar+zstd"
	o.Prebuilt = func(context.Context, install.Wanted) (*install.Binary, string, error) {
		return &install.Binary{Tree: layer}, "", nil
	}
	res, err := install.Run(t.Context(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	if how := res.Packages[0].How; how != install.Fetched {
		t.Errorf("How = %q; want %q", how, install.Fetched)
	}
	if _, err := os.Stat(filepath.Join(o.Project, "deps/@demo/sum/lib/libsum.a")); err != nil {
		t.Error(err)
	}

	if _, err := os.Stat(filepath.Join(o.Project, "deps/@demo/sum/package.yaml")); err != nil {
		t.Error(err)
	}

	// Another project takes it from the store, and nobody is asked.
	again := o
	again.Project, again.Offline = t.TempDir(), true
	again.Prebuilt = func(context.Context, install.Wanted) (*install.Binary, string, error) {
		t.Error("asked for a binary that the store has")
		return nil, "", nil
	}
	if res, err = install.Run(t.Context(), s, again); err != nil {
		t.Fatal(err)
	}
	if how := res.Packages[0].How; how != install.Stored {
		t.Errorf("How = %q; want %q", how, install.Stored)
	}

	// With other flags another binary may fit: the store's is not taken for it.
	again.CXXFlags, again.Project = []string{"-D_GLIBCXX_USE_CXX11_ABI=0"}, t.TempDir()
	if _, err := install.Run(t.Context(), s, again); err == nil {
		t.Error("Run with other flags takes the binary for the old ones")
	}

	// Bytes that are not those of the digest install nothing.
	layer.Digest = digest.FromString("something else")
	own := o
	own.Project = t.TempDir()
	empty, err := install.OpenStore(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := install.Run(t.Context(), empty, own); err == nil {
		t.Error("Run with a binary that does not exist succeeds")
	}
}
