package fsdriver_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/registry/fsdriver"
	"github.com/clydepm/clyde-registry/pkg/registry/fsdriver/crashfs"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/opencontainers/go-digest"
)

const (
	blobs = "/docker/registry/v2/blobs/sha256/"
	repos = "/docker/registry/v2/repositories/acme/"
)

func openSmall(files fsdriver.FS, linger int64) (*fsdriver.Driver, error) {
	return fsdriver.New(context.Background(), fsdriver.Options{Root: "/r", FS: files, SmallFile: 200, JournalSize: 2500, Linger: linger})
}

// push does what distribution does for a package with a small and a large
// blob, and returns the files that its acknowledgement promises.
func push(d *fsdriver.Driver, i int) (map[string]string, error) {
	ctx := context.Background()
	files := map[string]string{}
	repo := fmt.Sprintf("%sp%d/", repos, i%3)
	for n, content := range []string{fmt.Sprintf("config %d", i), fmt.Sprintf("layer %d %s", i, strings.Repeat("x", 300))} {
		hex := digest.FromString(content).Encoded()
		upload := fmt.Sprintf("%s_uploads/%d-%d", repo, i, n)
		if err := d.PutContent(ctx, upload+"/startedat", []byte("now")); err != nil {
			return nil, err
		}
		w, err := d.Writer(ctx, upload+"/data", false)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write([]byte(content)); err != nil {
			return nil, err
		}
		if err := w.Commit(ctx); err != nil {
			return nil, err
		}
		if err := w.Close(); err != nil {
			return nil, err
		}
		blob := blobs + hex[:2] + "/" + hex + "/data"
		if err := d.Move(ctx, upload+"/data", blob); err != nil {
			return nil, err
		}
		if err := d.Delete(ctx, upload); err != nil {
			return nil, err
		}
		link := repo + "_layers/sha256/" + hex + "/link"
		if err := d.PutContent(ctx, link, []byte("sha256:"+hex)); err != nil {
			return nil, err
		}
		files[blob], files[link] = content, "sha256:"+hex
	}
	manifest := fmt.Sprintf("manifest %d", i)
	hex := digest.FromString(manifest).Encoded()
	for _, f := range [][2]string{
		{blobs + hex[:2] + "/" + hex + "/data", manifest},
		{repo + "_manifests/revisions/sha256/" + hex + "/link", "sha256:" + hex},
		{repo + "_manifests/tags/" + fmt.Sprint(i) + "/current/link", "sha256:" + hex},
	} {
		if err := d.PutContent(ctx, f[0], []byte(f[1])); err != nil {
			return nil, err
		}
		files[f[0]] = f[1]
	}
	// The latest tag moves with every push: only the last is promised.
	if err := d.PutContent(ctx, repos+"latest/link", []byte("sha256:"+hex)); err != nil {
		return nil, err
	}
	return files, d.Sync(ctx)
}

// workload pushes and sometimes deletes until an error or the end, and adds to
// promised what was acknowledged and to gone what was acknowledged as deleted.
func workload(d *fsdriver.Driver, from, n int, promised map[string]string, gone map[string]bool) error {
	ctx := context.Background()
	for i := from; i < from+n; i++ {
		files, err := push(d, i)
		if err != nil {
			return err
		}
		maps.Copy(promised, files)
		if i%4 != 3 {
			continue
		}
		tag := fmt.Sprintf("%sp%d/_manifests/tags/%d", repos, i%3, i)
		link := tag + "/current/link"
		delete(promised, link) // neither here nor there until Sync
		if err := d.Delete(ctx, tag); err != nil {
			return err
		}
		if err := d.Sync(ctx); err != nil {
			return err
		}
		gone[link] = true
	}
	return d.Close()
}

// check reads everything: promised files are whole, deleted ones are gone,
// every blob is what its name says and every link leads to a blob.
func check(t *testing.T, d *fsdriver.Driver, promised map[string]string, gone map[string]bool) {
	t.Helper()
	ctx := context.Background()
	for p, want := range promised {
		if got, err := d.GetContent(ctx, p); err != nil || string(got) != want {
			t.Fatalf("acknowledged %s = %.40q, %v; want %.40q", p, got, err, want)
		}
	}
	for p := range gone {
		if _, err := d.Stat(ctx, p); err == nil {
			t.Fatalf("deleted %s is back", p)
		}
	}
	err := d.Walk(ctx, "/", func(fi storagedriver.FileInfo) error {
		p := fi.Path()
		if fi.IsDir() || strings.Contains(p, "_uploads") {
			return nil
		}
		b, err := d.GetContent(ctx, p)
		if err != nil {
			return err
		}
		switch {
		case strings.HasSuffix(p, "/data"):
			if hex := strings.Split(p, "/")[7]; digest.FromBytes(b).Encoded() != hex {
				t.Errorf("half-visible blob %s: %.40q", p, b)
			}
		case strings.HasSuffix(p, "/link"):
			dgst, err := digest.Parse(string(b))
			if err != nil {
				t.Errorf("half-visible link %s: %q", p, b)
				return nil
			}
			hex := dgst.Encoded()
			if _, err := d.Stat(ctx, blobs+hex[:2]+"/"+hex+"/data"); err != nil {
				t.Errorf("link %s leads nowhere: %v", p, err)
			}
		}
		return nil
	})
	if err != nil && len(promised) > 0 {
		t.Fatal(err)
	}
}

// TestCrashPoints stops the machine at more than 1,000 points of a workload with
// checkpoints, with nothing unsynced surviving and with a random part of it
// surviving, a second time during recovery or soon after, and looks whether what
// was acknowledged is there and nothing is half there.
func TestCrashPoints(t *testing.T) {
	t.Parallel()
	const pushes = 12
	points := 0
	for variant := range uint64(4) {
		// Files go to the tree at once, or when a checkpoint wants them there.
		linger := []int64{1, fsdriver.DefaultLinger}[variant%2]
		whole := crashfs.New(-1, nil)
		d, err := openSmall(whole, linger)
		if err != nil {
			t.Fatal(err)
		}
		if err := workload(d, 0, pushes, map[string]string{}, map[string]bool{}); err != nil {
			t.Fatal(err)
		}
		t.Logf("variant %d: %d operations a run", variant, whole.Ops())
		for at := int(variant % 3); at < whole.Ops(); at += 3 { // a third each keeps the test to a few seconds
			points++
			var rng *rand.Rand
			if variant > 0 {
				rng = rand.New(rand.NewPCG(variant, uint64(at)))
			}
			promised, gone := map[string]string{}, map[string]bool{}
			disk := crashfs.New(at, rng)
			if d, err := openSmall(disk, linger); err == nil {
				_ = workload(d, 0, pushes, promised, gone)
				_ = d.Close()
			}
			disk = disk.Crash(at % 97)
			if d, err := openSmall(disk, linger); err == nil {
				_ = workload(d, 100, 2, promised, gone)
				_ = d.Close()
			}
			disk = disk.Crash(-1)
			d, err := openSmall(disk, linger)
			if err != nil {
				t.Fatalf("variant %d, crash at %d: open: %v", variant, at, err)
			}
			check(t, d, promised, gone)
			if t.Failed() {
				t.Fatalf("variant %d, crash at operation %d of %d", variant, at, whole.Ops())
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if points < 1000 {
		t.Errorf("%d crash points; want at least 1000", points)
	}
	t.Logf("%d crash points", points)
}

// TestSyncsPerPush: a push of small files costs one sync.
func TestSyncsPerPush(t *testing.T) {
	t.Parallel()
	disk := crashfs.New(-1, nil)
	d, err := fsdriver.New(t.Context(), fsdriver.Options{Root: "/r", FS: disk})
	if err != nil {
		t.Fatal(err)
	}
	before := disk.Syncs()
	for i := range 50 {
		if _, err := push(d, i); err != nil {
			t.Fatal(err)
		}
	}
	if got := disk.Syncs() - before; got > 50 {
		t.Errorf("50 pushes cost %d syncs; want one each", got)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}
