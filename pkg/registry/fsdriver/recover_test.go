package fsdriver

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// noting notes which journals are removed and when their directory is synced.
type noting struct {
	FS
	notes []string
}

func (f *noting) Remove(name string) error {
	if base := filepath.Base(name); strings.HasPrefix(base, "journal-") {
		f.notes = append(f.notes, base)
	}
	return f.FS.Remove(name)
}

func (f *noting) SyncDir(name string) error {
	if filepath.Base(name) == ".clyde" {
		f.notes = append(f.notes, "sync")
	}
	return f.FS.SyncDir(name)
}

// TestRecoverKeepsOrder: of two journals the older is gone for good before the
// newer is touched. A crash that brought back only the older would bring back
// with it what the newer says is deleted.
func TestRecoverKeepsOrder(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	own := filepath.Join(root, ".clyde")
	const link = "/docker/registry/v2/repositories/acme/fmt/_manifests/tags/1/current/link"
	for n, ops := range map[uint64][]op{
		1: {{kind: opPut, path: link, data: []byte("x")}, {kind: opSeal}},
		2: {{kind: opDelete, path: link}},
	} {
		if err := os.MkdirAll(own, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(journalName(own, n), journalOf(n, ops...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files := &noting{FS: OS()}
	d, err := New(t.Context(), Options{Root: root, FS: files})
	if err != nil {
		t.Fatal(err)
	}
	notes := slices.Clone(files.notes)
	if _, err := d.Stat(t.Context(), link); err == nil {
		t.Error("a deleted file is back")
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	first := slices.Index(notes, "journal-1")
	if want := []string{"journal-1", "sync", "journal-2", "sync"}; first < 0 || !slices.Equal(notes[first:], want) {
		t.Errorf("journals were removed as %v; want %v", notes, want)
	}
}
