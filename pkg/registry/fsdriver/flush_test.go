package fsdriver_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/registry/fsdriver"
)

// Whoever copies the directory after Flush has what was stored before it.
func TestFlushFillsTheTree(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	d, err := fsdriver.New(t.Context(), fsdriver.Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	if err := d.PutContent(t.Context(), "/a/link", []byte("x")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, "a", "link")
	if _, err := os.Stat(file); err == nil {
		t.Fatal("a small file is in the tree before it is durable")
	}
	if err := d.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "x" {
		t.Errorf("the tree has %q, %v", b, err)
	}
}
