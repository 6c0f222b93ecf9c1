package store_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
	"github.com/clydepm/clyde-registry/pkg/store/storetest"
)

func open(t testing.TB, o store.Options) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func manifest(repo string, i int) store.Manifest {
	return store.Manifest{Repo: repo, Digest: fmt.Sprintf("sha256:%064x", i), MediaType: "application/vnd.oci.image.manifest.v1+json", Size: 512}
}

// publish does what a push does: reserve, then commit.
func publish(ctx context.Context, db *store.DB, repo, version string, i int) error {
	m := manifest(repo, i)
	c := store.Claim{Repo: repo, VersionKey: version, Version: version, Digest: m.Digest, Actor: "ada"}
	if err := db.Reserve(ctx, c, time.Minute); err != nil {
		return err
	}
	_, err := db.Commit(ctx, store.Commit{
		Manifest: m, Tag: version, VersionKey: version, Actor: "ada",
		Event: clyde.Event{Source: "registry", Action: clyde.ActionPush, Repo: repo, Tag: version, Digest: m.Digest},
	})
	return err
}

func BenchmarkPublish(b *testing.B) {
	for _, workers := range []int{1, 8} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			db := open(b, store.Options{Path: filepath.Join(b.TempDir(), "clyde.db")})
			var wg sync.WaitGroup
			next := make(chan int, b.N)
			for i := range b.N {
				next <- i
			}
			close(next)
			b.ResetTimer()
			for range workers {
				wg.Go(func() {
					for i := range next {
						if err := publish(b.Context(), db, fmt.Sprintf("acme/p%d", i), "1.0.0", i); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "publishes/s")
		})
	}
}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, now func() time.Time) *store.DB {
		return open(t, store.Options{Now: now})
	})
}

func TestReplicas(t *testing.T) {
	t.Parallel()
	storetest.RunReplicas(t, func(t *testing.T) [2]*store.DB {
		path := filepath.Join(t.TempDir(), "clyde.db")
		return [2]*store.DB{open(t, store.Options{Path: path}), open(t, store.Options{Path: path})}
	}, false)
}
