package resolve_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// ports reads the graph of vcpkg's ports as packages: versions that are none
// here are left out, features become traits with conditional requirements.
func ports(t testing.TB) (src resolve.Memory, edges int) {
	t.Helper()
	shared := os.Getenv("CLYDE_SHARED")
	if shared == "" {
		shared = "../../../shared"
	}
	f, err := os.Open(filepath.Join(shared, "data/vcpkg-ports.jsonl"))
	if err != nil {
		t.Skip("the graph of vcpkg's ports is not here: set CLYDE_SHARED")
	}
	defer f.Close()
	src = resolve.Memory{}
	for lines := bufio.NewScanner(bufio.NewReaderSize(f, 1<<20)); lines.Scan(); {
		var p struct {
			Name, Version, Supports string
			Dependencies            []string
			Host                    []string `json:"host_dependencies"`
			Features                map[string]struct{ Dependencies []string }
			Versions                []string
		}
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		name := func(base string) clyde.Name { return clyde.Name{Namespace: "vcpkg", Base: base} }
		var c resolve.Candidate
		add := func(to string, kind resolve.Kind, when string) {
			c.Requires = append(c.Requires, resolve.Requirement{Name: name(to), Kind: kind, When: mustCondition(when)})
		}
		for _, d := range p.Dependencies {
			add(d, resolve.Runtime, "")
			edges++
		}
		for _, d := range p.Host {
			add(d, resolve.Build, "")
		}
		for feature, deps := range p.Features {
			c.Traits = append(c.Traits, clyde.Trait{Name: feature, Type: "bool"})
			for _, d := range deps.Dependencies {
				add(d, resolve.Runtime, "trait."+feature)
			}
		}
		seen := map[string]bool{}
		var cs []resolve.Candidate
		for _, s := range append([]string{p.Version}, p.Versions...) {
			v, err := clyde.ParseVersion(s)
			if err != nil || v.IsPrerelease() || seen[v.Canonical()] {
				continue
			}
			seen[v.Canonical()] = true
			c.Version = v
			cs = append(cs, c)
		}
		if len(cs) == 0 {
			c.Version = mustVersion("0")
			cs = append(cs, c)
		}
		src[name(p.Name)] = cs
	}
	return src, edges
}

func newest(cs []resolve.Candidate) clyde.Version {
	return slices.MaxFunc(cs, func(a, b resolve.Candidate) int { return clyde.Compare(a.Version, b.Version) }).Version
}

// TestRealGraph: every port of vcpkg resolves, alone and with all its features,
// to the newest version of everything it reaches.
func TestRealGraph(t *testing.T) {
	t.Parallel()
	src, edges := ports(t)
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

// layered makes a graph of n packages with twenty versions each, in which every
// version requires three to five packages further down in narrow ranges, so
// that the newest of all do not fit together.
func layered(seed uint64, n int) (root resolve.Candidate, src resolve.Memory) {
	r := rand.New(rand.NewPCG(seed, 1))
	src = resolve.Memory{}
	ranges := map[string]clyde.Range{}
	rangeOf := func(s string) clyde.Range {
		if _, ok := ranges[s]; !ok {
			ranges[s] = mustRange(s)
		}
		return ranges[s]
	}
	name := func(i int) clyde.Name { return clyde.Name{Namespace: "bench", Base: fmt.Sprintf("p%03d", i)} }
	need := func(i int) resolve.Requirement {
		major := 1 + r.IntN(4)
		return resolve.Requirement{Name: name(i), Kind: resolve.Runtime, Range: rangeOf(fmt.Sprintf(">=%d.%d <5", major, r.IntN(3)))}
	}
	for i := range n {
		for v := range 20 {
			c := resolve.Candidate{Version: mustVersion(fmt.Sprintf("%d.%d.0", 1+v/5, v%5))}
			for j := i + 1; j < min(n, i+6); j++ {
				if r.IntN(5) > 0 {
					q := need(j)
					if r.IntN(20) == 0 {
						q.Range = rangeOf(fmt.Sprintf("^%d", 1+r.IntN(4)))
					}
					c.Requires = append(c.Requires, q)
				}
			}
			src[name(i)] = append(src[name(i)], c)
		}
	}
	for i := range 10 {
		root.Requires = append(root.Requires, resolve.Requirement{Name: name(i), Kind: resolve.Runtime})
	}
	return root, src
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
		root, src := layered(seed, 200)
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
