package resolve_test

import (
	"slices"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/resolve"
	"github.com/clydepm/clyde-registry/pkg/resolve/resolvetest"
)

func newest(cs []resolve.Candidate) clyde.Version {
	return slices.MaxFunc(cs, func(a, b resolve.Candidate) int { return clyde.Compare(a.Version, b.Version) }).Version
}

// TestRealGraph: every port of vcpkg resolves, alone and with all its features,
// to the newest version of everything it reaches.
func TestRealGraph(t *testing.T) {
	t.Parallel()
	src, edges := resolvetest.Ports(t)
	var times []time.Duration
	most := 0
	for n, cs := range src {
		for _, full := range []bool{false, true} {
			if full && len(cs[0].Traits) == 0 {
				continue
			}
			q := resolve.Requirement{Name: n, Kind: resolve.Runtime, Traits: map[string]string{}}
			if full {
				for _, tr := range cs[0].Traits {
					q.Traits[tr.Name] = "true"
				}
			}
			began := time.Now()
			sol, err := resolve.Solve(t.Context(), src, resolve.Request{Root: resolve.Candidate{Requires: []resolve.Requirement{q}}})
			times = append(times, time.Since(began))
			if err != nil {
				t.Errorf("%s: %v", n, err)
				continue
			}
			most = max(most, len(sol.Packages))
			for _, p := range sol.Packages {
				if want := newest(src[p.Name]); !p.Version.Equal(want) {
					t.Errorf("%s: %s %s; want %s", n, p.Name, p.Version, want)
				}
			}
		}
	}
	slices.Sort(times)
	t.Logf("%d packages with %d edges, with and without features: p50 %v, p99 %v, worst %v; the largest graph has %d packages",
		len(src), edges, times[len(times)/2], times[len(times)*99/100], times[len(times)-1], most)
}

// BenchmarkSolve200 reports the 99th percentile over graphs of 200 packages:
// the target is 20 ms.
func BenchmarkSolve200(b *testing.B) {
	type graph struct {
		root resolve.Candidate
		src  resolve.Memory
	}
	var graphs []graph
	for seed := range uint64(8) { // few, so that collecting garbage is not what is measured
		root, src := resolvetest.Layered(seed, 200)
		graphs = append(graphs, graph{root, src})
	}
	var times []time.Duration
	var work []time.Duration // processor time, collecting garbage included: what it costs on a machine that does nothing else
	packages, steps, i := 0, 0, 0
	for b.Loop() {
		g := graphs[i%len(graphs)]
		began, cpu := time.Now(), processorTime()
		sol, err := resolve.Solve(b.Context(), g.src, resolve.Request{Root: g.root})
		times, work = append(times, time.Since(began)), append(work, processorTime()-cpu)
		if i++; err != nil {
			b.Fatal(err)
		}
		packages, steps = max(packages, len(sol.Packages)), max(steps, sol.Steps)
	}
	report := func(name string, times []time.Duration) {
		slices.Sort(times)
		b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, name+"p50-ms")
		b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, name+"p99-ms")
	}
	report("", times)
	report("cpu-", work)
	b.ReportMetric(float64(packages), "packages")
	b.ReportMetric(float64(steps), "steps-most")
}
