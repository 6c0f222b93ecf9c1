package fsdriver_test

import (
	"context"
	"flag"
	"os"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/registry/fsdriver"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/testsuites"
	"github.com/opencontainers/go-digest"
)

func open(t testing.TB, root string, files fsdriver.FS) *fsdriver.Driver {
	t.Helper()
	d, err := fsdriver.New(t.Context(), fsdriver.Options{Root: root, FS: files})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return d
}

// TestMain sets -short: distribution's suite streams 5 GB and more without it.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.short", "true"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// TestSuite is distribution's own suite for storage drivers, in its short form.
// Not parallel: the suite wants the root to itself and is heavy.
func TestSuite(t *testing.T) {
	d := open(t, t.TempDir(), nil)
	testsuites.Driver(t, func() (storagedriver.StorageDriver, error) { return d, nil }, true)
}

// TestReopen: what was synced is there after a process that never closed, and
// Close leaves a tree without a journal.
func TestReopen(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	ctx := context.Background()
	first, err := fsdriver.New(ctx, fsdriver.Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	content := []byte("content")
	dgst := digest.FromBytes(content)
	p := "/docker/registry/v2/blobs/sha256/" + dgst.Encoded()[:2] + "/" + dgst.Encoded() + "/data"
	link := "/docker/registry/v2/repositories/acme/zlib/_layers/sha256/" + dgst.Encoded() + "/link"
	for path, b := range map[string][]byte{p: content, link: []byte(dgst)} {
		if err := first.PutContent(ctx, path, b); err != nil {
			t.Fatal(err)
		}
	}
	if f, size, err := first.OpenBlob(dgst); err != nil || size != int64(len(content)) {
		t.Errorf("OpenBlob before Sync: %d bytes, %v", size, err)
	} else {
		f.Close()
	}
	second := open(t, root, nil) // the first is abandoned, as by kill -9
	if ok, err := second.HasBlob("acme/zlib", dgst); !ok || err != nil {
		t.Errorf("HasBlob = %v, %v; want true", ok, err)
	}
	if ok, err := second.HasBlob("acme/../acme/zlib", dgst); ok || err != nil {
		t.Errorf("HasBlob of a path with dots = %v, %v; want false", ok, err)
	}
	if got, err := second.GetContent(ctx, p); string(got) != string(content) {
		t.Errorf("GetContent = %q, %v", got, err)
	}
}

func TestPathsOutside(t *testing.T) {
	t.Parallel()
	d := open(t, t.TempDir(), nil)
	for _, p := range []string{"/../x", "/a/../../x", "/.clyde/journal-1", "/a/./b", "/.CLYDE/x"} {
		if err := d.PutContent(t.Context(), p, []byte("x")); err == nil {
			t.Errorf("PutContent(%q) succeeded", p)
		}
		if _, err := d.GetContent(t.Context(), p); err == nil {
			t.Errorf("GetContent(%q) succeeded", p)
		}
	}
}
