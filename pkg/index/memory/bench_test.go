package memory_test

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/index"
	"github.com/clydepm/clyde-registry/pkg/index/indextest"
	"github.com/clydepm/clyde-registry/pkg/index/memory"
)

// filled returns an engine with n generated packages, the packages, how long it
// took, and the heap that the engine takes.
func filled(tb testing.TB, n int) (e *memory.Engine, docs []index.Document, took time.Duration, heap uint64) {
	tb.Helper()
	docs = slices.Collect(indextest.Generate(n, 1))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	e = memory.New(memory.Options{})
	start := time.Now()
	err := e.Rebuild(tb.Context(), func(yield func(index.Document, error) bool) {
		for _, d := range docs {
			if !yield(d, nil) {
				return
			}
		}
	})
	if err != nil {
		tb.Fatal(err)
	}
	took = time.Since(start)
	runtime.GC()
	runtime.ReadMemStats(&after)
	return e, docs, took, after.HeapAlloc - before.HeapAlloc
}

// BenchmarkSearch is what a visitor waits for: a page of 20 with every facet.
// Run it with -cpu 1.
func BenchmarkSearch(b *testing.B) {
	for _, n := range []int{3_700, 30_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			e, docs, took, heap := filled(b, n)
			var times []time.Duration
			var worst index.Query
			var most time.Duration
			b.ResetTimer()
			i := 0
			for q := range indextest.Queries(docs, 2) {
				if i == b.N {
					break
				}
				i++
				start := time.Now()
				if _, err := e.Search(b.Context(), q); err != nil {
					b.Fatal(err)
				}
				d := time.Since(start)
				times = append(times, d)
				if d > most {
					most, worst = d, q
				}
			}
			b.StopTimer()
			slices.Sort(times)
			at := func(p int) float64 { return float64(times[len(times)*p/1000].Microseconds()) / 1000 }
			b.ReportMetric(at(500), "p50-ms")
			b.ReportMetric(at(950), "p95-ms")
			b.ReportMetric(at(990), "p99-ms")
			b.ReportMetric(float64(heap)/(1<<20), "MB")
			b.ReportMetric(took.Seconds(), "rebuild-s")
			b.Logf("slowest: %v for %q %+v %s", most, worst.Text, worst.Filters, worst.Sort)
		})
	}
}

// BenchmarkPut is what a publish waits for, in a full index.
func BenchmarkPut(b *testing.B) {
	e, docs, _, _ := filled(b, 100_000)
	i := 0
	for b.Loop() {
		d := docs[i%len(docs)]
		if i%2 == 0 {
			d.Name = clyde.Name{Namespace: "fresh", Base: fmt.Sprintf("pkg%d", i)}
			d.Key = d.Name.Repo()
		}
		i++
		if err := e.Put(b.Context(), d); err != nil {
			b.Fatal(err)
		}
	}
}
