// Package resolvetest has graphs of packages to resolve: a real one, and made
// ones of a size.
package resolvetest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Ports reads the graph of vcpkg's ports as packages: versions that are none
// here are left out, features become traits with conditional requirements.
func Ports(t testing.TB) (src resolve.Memory, edges int) {
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
			c.Requires = append(c.Requires, resolve.Requirement{Name: name(to), Kind: kind, When: must(clyde.ParseCondition(when))})
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
			c.Version = must(clyde.ParseVersion("0"))
			cs = append(cs, c)
		}
		src[name(p.Name)] = cs
	}
	return src, edges
}

// Layered makes a graph of n packages with twenty versions each, in which every
// version requires three to five packages further down in narrow ranges, so
// that the newest of all do not fit together.
func Layered(seed uint64, n int) (root resolve.Candidate, src resolve.Memory) {
	r := rand.New(rand.NewPCG(seed, 1))
	src = resolve.Memory{}
	ranges := map[string]clyde.Range{}
	rangeOf := func(s string) clyde.Range {
		if _, ok := ranges[s]; !ok {
			ranges[s] = must(clyde.ParseRange(s))
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
			c := resolve.Candidate{Version: must(clyde.ParseVersion(fmt.Sprintf("%d.%d.0", 1+v/5, v%5)))}
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
