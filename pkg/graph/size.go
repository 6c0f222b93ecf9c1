package graph

import (
	"github.com/clydepm/clyde-registry/pkg/resolve"
	"slices"
)

// MaxWhole is up to how many packages of a graph Sizes tells what each needs
// with its own dependencies. Ours: it takes the square of the number.
const MaxWhole = 2_000

// Sizes is how large a graph is.
type Sizes struct {
	Total    int64         `json:"total" doc:"bytes of all source archives, each once"`
	Packages int           `json:"packages" doc:"how many"`
	Unknown  int           `json:"unknown" doc:"packages whose size is not known, and not in total"`
	Depth    int           `json:"depth" doc:"packages on the longest way down; a circle counts once"`
	Each     []PackageSize `json:"each" doc:"by name"`
}

// PackageSize is how large one package is.
type PackageSize struct {
	Name  string `json:"name" example:"@acme/zlib"`
	Own   int64  `json:"own" doc:"bytes of its source archive"`
	Whole int64  `json:"whole" doc:"bytes with everything that it needs, each once"`
	Needs int    `json:"needs" doc:"packages that it needs, those through others too"`
}

// Sizes adds up.
func (g *Graph) Sizes() Sizes {
	s := Sizes{Packages: len(g.Packages), Each: make([]PackageSize, len(g.Packages))}
	at := make(map[string]int, len(g.Packages))
	for i := range g.Packages {
		at[g.Packages[i].Name.Identity()] = i
	}
	below := func(edges []resolve.Edge) (out []int) {
		for _, e := range edges {
			if i, ok := at[e.Name.Identity()]; ok {
				out = append(out, i)
			}
		}
		return out
	}
	next := make([][]int, len(g.Packages))
	for i := range g.Packages {
		next[i] = below(g.Packages[i].Requires)
	}
	seen := make([]int, len(g.Packages)) // by whom last, counted from 1
	for i := range g.Packages {
		q := &g.Packages[i]
		s.Total += q.Size
		if q.Size == 0 {
			s.Unknown++
		}
		e := PackageSize{Name: q.Name.String(), Own: q.Size, Whole: q.Size}
		if len(g.Packages) <= MaxWhole {
			seen[i] = i + 1
			for queue := slices.Clone(next[i]); len(queue) > 0; {
				k := queue[0]
				queue = queue[1:]
				if seen[k] == i+1 {
					continue
				}
				seen[k] = i + 1
				e.Whole += g.Packages[k].Size
				e.Needs++
				queue = append(queue, next[k]...)
			}
		}
		s.Each[i] = e
	}
	s.Depth = depth(below(g.Root.Requires), next)
	return s
}

// depth is the length of the longest way down, which stops at what is on it.
func depth(from []int, next [][]int) int {
	known := make([]int, len(next))
	var down func(i int) int
	down = func(i int) int {
		if known[i] == 0 {
			known[i] = -1 // for whoever comes back here
			most := 0
			for _, k := range next[i] {
				most = max(most, down(k))
			}
			known[i] = most + 1
		}
		return known[i]
	}
	most := 0
	for _, i := range from {
		most = max(most, down(i))
	}
	return most
}
