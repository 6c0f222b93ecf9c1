package fsdriver_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

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

// What nobody asks for by Flush waits in memory, up to Linger bytes.
func TestLinger(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	d, err := fsdriver.New(t.Context(), fsdriver.Options{Root: root, Linger: 10})
	if err != nil {
		t.Fatal(err)
	}
	put := func(p, content string) {
		t.Helper()
		if err := d.PutContent(t.Context(), p, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if err := d.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	put("/a/link", "ten bytes.")
	if _, err := os.Stat(filepath.Join(root, "a", "link")); err == nil {
		t.Error("ten bytes of ten went to the tree at once")
	}
	put("/b/link", "!")
	for deadline := time.Now().Add(time.Minute); ; runtime.Gosched() {
		if b, err := os.ReadFile(filepath.Join(root, "b", "link")); err == nil && string(b) == "!" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("more than Linger stays in memory")
		}
	}
	put("/c/link", "c")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b", "c"} {
		if _, err := os.Stat(filepath.Join(root, name, "link")); err != nil {
			t.Errorf("after Close: %v", err)
		}
	}
}
