package fsdriver_test

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/registry/fsdriver"
)

// stubborn refuses to remove journals until it is told to give in.
type stubborn struct {
	fsdriver.FS
	given   atomic.Bool
	refused atomic.Int64
}

func (f *stubborn) Remove(name string) error {
	if strings.HasPrefix(filepath.Base(name), "journal-") && !f.given.Load() {
		f.refused.Add(1)
		return errors.New("the disk is sulking")
	}
	return f.FS.Remove(name)
}

// words counts the lines logged.
type words struct{ n atomic.Int64 }

func (w *words) Write(b []byte) (int, error) {
	w.n.Add(1)
	return len(b), nil
}

// TestFailedCheckpoint: a checkpoint that fails is said, refuses no push, and
// is done again when the journal has grown on.
func TestFailedCheckpoint(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	files := &stubborn{FS: fsdriver.OS()}
	log := &words{}
	d, err := fsdriver.New(t.Context(), fsdriver.Options{
		Root: root, FS: files, SmallFile: 200, JournalSize: 20_000, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	until := func(what string, done func() bool) {
		t.Helper()
		for ; !done(); n++ {
			if n > 5000 {
				t.Fatalf("after %d pushes: %s", n, what)
			}
			if _, err := push(d, n); err != nil {
				t.Fatal(err)
			}
		}
	}
	until("no second attempt", func() bool { return files.refused.Load() >= 2 && log.n.Load() >= 2 })
	files.given.Store(true)
	// Two journals at most: the one in use and one that is being checkpointed.
	until("the journal that was kept is still there", func() bool {
		left, err := filepath.Glob(filepath.Join(root, ".clyde", "journal-*1"))
		return err == nil && len(left) == 0
	})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(root, ".clyde", "*")); len(left) > 0 {
		t.Errorf("Close left %v", left)
	}
}
