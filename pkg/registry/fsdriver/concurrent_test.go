package fsdriver_test

import (
	"maps"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/registry/fsdriver"
	"github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
)

// TestConcurrentPushes: pushes side by side, over several checkpoints, are in
// the tree after Close, where plain distribution finds them, and no journal is left.
func TestConcurrentPushes(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	d, err := fsdriver.New(t.Context(), fsdriver.Options{Root: root, SmallFile: 200, JournalSize: 20_000})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	promised := make([]map[string]string, 8)
	for w := range promised {
		promised[w] = map[string]string{}
		wg.Go(func() {
			for i := range 10 {
				files, err := push(d, w*100+i)
				if err != nil {
					t.Error(err)
					return
				}
				maps.Copy(promised[w], files)
			}
		})
	}
	wg.Wait()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(root, ".clyde", "*")); len(left) > 0 {
		t.Errorf("Close left %v", left)
	}
	plain := filesystem.New(filesystem.DriverParameters{RootDirectory: root, MaxThreads: 100})
	for _, files := range promised {
		for p, want := range files {
			if got, err := plain.GetContent(t.Context(), p); err != nil || string(got) != want {
				t.Errorf("plain distribution reads %s = %.40q, %v; want %.40q", p, got, err, want)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(root, "docker/registry/v2")); err != nil {
		t.Error(err)
	}
}

// BenchmarkPush is a push of small files, with one and with eight workers; it
// reports the syncs of each.
func BenchmarkPush(b *testing.B) {
	for _, workers := range []int{1, 8} {
		b.Run(map[int]string{1: "x1", 8: "x8"}[workers], func(b *testing.B) {
			files := &counted{FS: fsdriver.OS()}
			d, err := fsdriver.New(b.Context(), fsdriver.Options{Root: b.TempDir(), FS: files})
			if err != nil {
				b.Fatal(err)
			}
			files.syncs.Store(0)
			var n atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range workers {
				wg.Go(func() {
					for {
						i := n.Add(1)
						if i > int64(b.N) {
							return
						}
						if _, err := push(d, int(i)); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(files.syncs.Load())/float64(b.N), "syncs/push")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "push/s")
			if err := d.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// counted counts the syncs of an FS.
type counted struct {
	fsdriver.FS
	syncs atomic.Int64
}

type countedFile struct {
	fsdriver.File
	syncs *atomic.Int64
}

func (c *counted) OpenFile(name string, flag int, perm os.FileMode) (fsdriver.File, error) {
	f, err := c.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return countedFile{f, &c.syncs}, nil
}

func (c *counted) SyncDir(name string) error {
	c.syncs.Add(1)
	return c.FS.SyncDir(name)
}

func (f countedFile) Sync() error {
	f.syncs.Add(1)
	return f.File.Sync()
}
