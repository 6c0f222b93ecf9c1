package memory_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/index"
	"github.com/clydepm/clyde-registry/pkg/index/indextest"
	"github.com/clydepm/clyde-registry/pkg/index/memory"
)

// yielding yields docs from slices that it overwrites afterwards, then err
// unless that is nil.
func yielding(docs []index.Document, err error) iter.Seq2[index.Document, error] {
	return func(yield func(index.Document, error) bool) {
		for _, d := range docs {
			d.Keywords, d.Headers = slices.Clone(d.Keywords), slices.Clone(d.Headers)
			if !yield(d, nil) {
				return
			}
			clear(d.Keywords)
			clear(d.Headers)
		}
		if err != nil {
			yield(index.Document{}, err)
		}
	}
}

// same compares what two engines answer to n queries.
func same(t *testing.T, a, b index.Engine, docs []index.Document, n int) {
	t.Helper()
	for q := range indextest.Queries(docs, 11) {
		if n--; n < 0 {
			return
		}
		x, err := a.Search(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		y, err := b.Search(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(x) != fmt.Sprint(y) {
			t.Fatalf("Search(%+v) differs:\n%v\n%v", q, x, y)
		}
	}
}

// TestRebuildIsPut loads the same documents, some of them twice and some
// private, by Rebuild and by Put.
func TestRebuildIsPut(t *testing.T) {
	t.Parallel()
	docs := slices.Collect(indextest.Generate(1000, 3))
	for i := range docs {
		docs[i].Private = i%9 == 0
	}
	for i := range 40 {
		d := docs[i*7]
		d.Description = "another description, of the second " + d.Name.Base
		docs = append(docs, d)
	}
	loaded, put := memory.New(patient), memory.New(patient)
	if err := loaded.Rebuild(t.Context(), yielding(docs, nil)); err != nil {
		t.Fatal(err)
	}
	for _, d := range docs {
		if err := put.Put(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	if loaded.Len() != 1000 || put.Len() != 1000 {
		t.Fatalf("Len() = %d by Rebuild, %d by Put; want 1000", loaded.Len(), put.Len())
	}
	same(t, loaded, put, docs, 300)
}

// TestRebuildFails gives up in the middle, and nothing has changed.
func TestRebuildFails(t *testing.T) {
	t.Parallel()
	docs := slices.Collect(indextest.Generate(700, 4))
	e := memory.New(patient)
	if err := e.Put(t.Context(), docs[0]); err != nil {
		t.Fatal(err)
	}
	cause := errors.New("disk gone")
	if err := e.Rebuild(t.Context(), yielding(docs, cause)); !errors.Is(err, cause) {
		t.Errorf("Rebuild = %v; want %v", err, cause)
	}
	if err := e.Rebuild(t.Context(), yielding(append(docs, index.Document{}), nil)); !errors.Is(err, clyde.ErrInvalid) {
		t.Errorf("Rebuild with a document without a key = %v; want ErrInvalid", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Rebuild(ctx, yielding(docs, nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("Rebuild, canceled = %v", err)
	}
	if e.Len() != 1 {
		t.Errorf("Len() after failed rebuilds = %d; want 1", e.Len())
	}
}

// TestReplacedManyTimes replaces documents until the columns have been
// compacted several times.
func TestReplacedManyTimes(t *testing.T) {
	t.Parallel()
	docs := slices.Collect(indextest.Generate(200, 6))
	for i := range docs {
		docs[i].Keywords = append(docs[i].Keywords, "k1", "k2", fmt.Sprint("k", i%5))
		docs[i].Categories = []string{fmt.Sprint("c", i%3)}
	}
	busy, calm := memory.New(patient), memory.New(patient)
	if err := calm.Rebuild(t.Context(), yielding(docs, nil)); err != nil {
		t.Fatal(err)
	}
	for range 12 {
		if err := busy.Put(t.Context(), docs...); err != nil {
			t.Fatal(err)
		}
	}
	same(t, busy, calm, docs, 200)
}
