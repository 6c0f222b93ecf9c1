package registry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/registry"
)

// withGrace sets how long what nothing names is kept.
func withGrace(d time.Duration) option { return func(o *registry.Options) { o.Grace = d } }

// has reports whether a blob of the repository can be had whole.
func (w *world) has(repo string, b []byte) bool {
	r := w.do(http.MethodGet, "/v2/"+repo+"/blobs/"+digest.FromBytes(b).String(), w.admin, nil)
	return r.status == http.StatusOK && r.body == string(b)
}

// upload sends a blob as clients do: only where HEAD does not find it.
func (w *world) upload(repo string, b []byte) error {
	d := digest.FromBytes(b).String()
	if w.do(http.MethodHead, "/v2/"+repo+"/blobs/"+d, w.admin, nil).status == http.StatusOK {
		return nil
	}
	if r := w.do(http.MethodPost, "/v2/"+repo+"/blobs/uploads/?digest="+d, w.admin, bytes.NewReader(b), "Content-Type", "application/octet-stream"); r.status != http.StatusCreated {
		return fmt.Errorf("upload: %d %s", r.status, r.body)
	}
	return nil
}

func (w *world) collect(dry bool) registry.Collection {
	w.t.Helper()
	c, err := w.r.Collect(w.t.Context(), dry)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// age makes everything in the storage look as if it had been there for d.
func (w *world) age(root string, d time.Duration) {
	w.t.Helper()
	if err := w.r.Flush(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	then := time.Now().Add(-d)
	err := filepath.Walk(filepath.Join(root, "docker"), func(p string, fi os.FileInfo, err error) error {
		if err != nil || fi.IsDir() {
			return err
		}
		return os.Chtimes(p, then, then)
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestCollect(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	w := newWorld(t, withGrace(time.Hour), func(o *registry.Options) { o.Root = root })
	const repo, other = "acme/zlib", "acme/fmt"
	_, layer, _ := pack("kept")
	w.mustPublish(repo, "1.0.0", "kept")
	sig := w.mustPublish(repo, "sig", "signature") // nothing but the database knows what it is for
	old, large, shared := []byte("nobody names it"), bytes.Repeat([]byte("x"), 1<<20), []byte("told to somebody")
	for _, b := range [][]byte{old, large, shared} {
		if err := w.upload(repo, b); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.upload(other, layer); err != nil { // named by another repository only
		t.Fatal(err)
	}
	if c := w.collect(false); c.Removed != 0 || c.Links != 0 || c.Young != 7 {
		t.Errorf("within the grace: %+v; want nothing removed, 3 blobs and 4 links young", c)
	}
	w.age(root, 2*time.Hour)
	if r := w.do(http.MethodHead, "/v2/"+repo+"/blobs/"+digest.FromBytes(shared).String(), w.admin, nil); r.status != http.StatusOK {
		t.Fatal(r.status)
	}
	dry := w.collect(true)
	if dry.Removed != 2 || dry.Links != 3 || dry.Freed != int64(len(old)+len(large)) || !w.has(repo, old) {
		t.Errorf("dry run: %+v; want 2 blobs and 3 links, all still there", dry)
	}
	c := w.collect(false)
	if c.Removed != dry.Removed || c.Links != dry.Links || c.Freed != dry.Freed || c.Young != 2 {
		t.Errorf("after the grace: %+v; want what the dry run said", c)
	}
	if w.has(repo, old) || w.has(repo, large) || w.has(other, layer) {
		t.Error("garbage is still there")
	}
	if !w.has(repo, layer) || !w.has(repo, shared) {
		t.Error("a blob of a package, or one that somebody counts on, is gone")
	}
	if r := w.do(http.MethodGet, "/v2/"+repo+"/manifests/"+sig.Digest.String(), w.admin, nil); r.status != http.StatusOK {
		t.Errorf("the signature: %d", r.status)
	}
	// What was removed can be pushed again.
	if err := w.upload(repo, large); err != nil || !w.has(repo, large) {
		t.Errorf("pushed again: %v", err)
	}
	if c := w.collect(false); c.Removed != 0 || c.Links != 0 {
		t.Errorf("once more: %+v; want nothing", c)
	}
}

// A manifest that only the files know keeps what it names: the database may
// have been restored from an older backup.
func TestCollectKeepsWhatTheFilesName(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	w := newWorld(t, withGrace(time.Nanosecond), func(o *registry.Options) { o.Root = root })
	d := w.mustPublish("acme/zlib", "1.0.0", "forgotten")
	_, layer, _ := pack("forgotten")
	if err := w.db.DropDerived(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := w.collect(false); c.Removed != 0 || c.Links != 0 || c.Unknown != 1 {
		t.Errorf("%+v; want nothing removed, one unknown", c)
	}
	if err := w.r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, b := range []digest.Digest{d.Digest, digest.FromBytes(layer)} {
		if _, err := os.Stat(filepath.Join(root, "docker/registry/v2/blobs/sha256", b.Encoded()[:2], b.Encoded(), "data")); err != nil {
			t.Error(err)
		}
	}
}

// Pushes beside collections back to back: whatever was answered 201 is there.
// With a grace that has passed before it began, a push may be told that a blob
// is gone, and sends it again. CLYDE_TEST_GC_PUSHES=10000 makes it long.
func TestCollectBesidePushes(t *testing.T) {
	t.Parallel()
	pushes := 120
	if s := os.Getenv("CLYDE_TEST_GC_PUSHES"); s != "" {
		pushes, _ = strconv.Atoi(s)
	}
	root := t.TempDir()
	w := newWorld(t, withGrace(time.Nanosecond), func(o *registry.Options) { o.Root = root })
	pushBesideCollections(t, w, pushes, true)
}

// The same where what lies about is older than the grace, and the grace is
// longer than a push takes: no push is told that a blob is gone.
func TestCollectDisturbsNoPush(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	w := newWorld(t, withGrace(time.Hour), func(o *registry.Options) { o.Root = root })
	const lying = 64 // blobs that pushes below come back to
	for i := range lying {
		config, layer, _ := pack(fmt.Sprint(i))
		for _, b := range [][]byte{config, layer} {
			if err := w.upload("acme/p0", b); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.age(root, 2*time.Hour)
	pushBesideCollections(t, w, lying, false)
}

// pushBesideCollections publishes versions from four clients while collections
// run, and looks for every one afterwards.
func pushBesideCollections(t *testing.T, w *world, pushes int, again bool) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var collections, removed, retried atomic.Int64
	var collector sync.WaitGroup
	collector.Go(func() {
		for ctx.Err() == nil {
			c, err := w.r.Collect(ctx, false)
			if err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
			collections.Add(1)
			removed.Add(int64(c.Removed))
		}
	})
	const clients = 4
	var wg sync.WaitGroup
	type pushed struct{ repo, tag, salt string }
	done := make(chan pushed, pushes)
	var next atomic.Int64
	for n := range clients {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(n)))
			for i := next.Add(1) - 1; i < int64(pushes); i = next.Add(1) - 1 {
				p := pushed{fmt.Sprintf("acme/p%d", i%3), fmt.Sprintf("1.0.%d", i), fmt.Sprint(i)}
				if !again {
					p.repo = "acme/p0"
				}
				config, layer, manifest := pack(p.salt)
				for try := 0; ; try++ {
					if err := errors.Join(w.upload(p.repo, config), w.upload(p.repo, layer)); err != nil {
						t.Error(err)
						return
					}
					if again && rnd.IntN(4) == 0 { // somebody else sends what nobody will name
						if err := w.upload(p.repo, fmt.Appendf(nil, "garbage %d %d", n, i)); err != nil {
							t.Error(err)
							return
						}
					}
					status, err := w.put("/v2/"+p.repo+"/manifests/"+p.tag, w.admin, manifest)
					if err != nil {
						t.Error(err)
						return
					}
					if status == http.StatusCreated {
						done <- p
						break
					}
					if !again || status != http.StatusBadRequest || try == 1000 {
						t.Errorf("push %d: status %d", i, status)
						return
					}
					retried.Add(1)
				}
			}
		})
	}
	wg.Wait()
	stop()
	collector.Wait()
	close(done)
	w.collect(false)
	acknowledged, lost := 0, 0
	for p := range done {
		acknowledged++
		config, layer, manifest := pack(p.salt)
		r := w.do(http.MethodGet, "/v2/"+p.repo+"/manifests/"+p.tag, w.admin, nil)
		if r.status != http.StatusOK || r.body != string(manifest) || !w.has(p.repo, config) || !w.has(p.repo, layer) {
			lost++
		}
	}
	t.Logf("%d pushes acknowledged, %d lost; %d times a blob had to be sent again; %d collections removed %d blobs", acknowledged, lost, retried.Load(), collections.Load(), removed.Load())
	if lost > 0 || acknowledged != pushes {
		t.Errorf("%d of %d pushes acknowledged, %d lost; want all, and none", acknowledged, pushes, lost)
	}
}
