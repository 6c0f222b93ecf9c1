package resolve_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

func mustVersion(s string) clyde.Version {
	v, err := clyde.ParseVersion(s)
	if err != nil {
		panic(err)
	}
	return v
}

func mustRange(s string) clyde.Range {
	r, err := clyde.ParseRange(s)
	if err != nil {
		panic(err)
	}
	return r
}

func mustName(s string) clyde.Name {
	n, err := clyde.ParseName(s)
	if err != nil {
		panic(err)
	}
	return n
}

func mustCondition(s string) clyde.Condition {
	c, err := clyde.ParseCondition(s)
	if err != nil {
		panic(err)
	}
	return c
}

// text writes a universe down, for failures of tests.
func text(root *resolve.Candidate, src resolve.Memory) string {
	var b strings.Builder
	one := func(name string, c *resolve.Candidate) {
		fmt.Fprintf(&b, "%s %s yanked=%q provides=%v\n", name, c.Version, c.Yanked, c.Provides)
		for _, t := range c.Traits {
			fmt.Fprintf(&b, "    trait %s %s=%s of %v\n", t.Name, t.Type, t.Default, t.Values)
		}
		for _, q := range c.Requires {
			fmt.Fprintf(&b, "    requires %s %s traits=%v optional=%t when=%q\n", q.Name, q.Range, q.Traits, q.Optional, q.When)
		}
		for _, q := range c.Conflicts {
			fmt.Fprintf(&b, "    conflicts %s %s\n", q.Name, q.Range)
		}
	}
	one("project", root)
	for n, cs := range src {
		for i := range cs {
			one(n.String(), &cs[i])
		}
	}
	return b.String()
}

var letters = []string{"a", "b", "c", "d"}

func drawRange(t *rapid.T) clyde.Range {
	return mustRange(rapid.SampledFrom([]string{"*", "1", "2", "3", ">=2", "<=2", "1.0.0 || 3.0.0", "^1.0.0", "9"}).Draw(t, "range"))
}

func drawRequirement(t *rapid.T, full bool) resolve.Requirement {
	q := resolve.Requirement{Name: clyde.Name{Namespace: "ns", Base: rapid.SampledFrom(letters).Draw(t, "name")}, Kind: resolve.Runtime, Range: drawRange(t)}
	if !full {
		return q
	}
	switch rapid.IntRange(0, 5).Draw(t, "asks") {
	case 0:
		q.Traits = map[string]string{"t": rapid.SampledFrom([]string{"true", "false"}).Draw(t, "t")}
	case 1:
		q.Traits = map[string]string{"m": rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "m")}
	}
	switch rapid.IntRange(0, 5).Draw(t, "when") {
	case 0:
		q.When = mustCondition(rapid.SampledFrom([]string{"trait.t", "!trait.t", "trait.m=x", "trait.m=y", "trait.t | trait.m=y", "trait.t & trait.m!=x"}).Draw(t, "condition"))
	case 1:
		q.Optional = true
	}
	return q
}

func drawCandidate(t *rapid.T, version string, full bool) resolve.Candidate {
	c := resolve.Candidate{Version: mustVersion(version)}
	seen := map[string]bool{}
	for range rapid.IntRange(0, 3).Draw(t, "requires") {
		q := drawRequirement(t, full)
		if !seen[q.Name.Base] {
			c.Requires = append(c.Requires, q)
		}
		seen[q.Name.Base] = true
	}
	if !full {
		return c
	}
	if rapid.IntRange(0, 5).Draw(t, "conflict") == 0 {
		c.Conflicts = append(c.Conflicts, drawRequirement(t, false))
	}
	if rapid.IntRange(0, 5).Draw(t, "provides") == 0 {
		c.Provides = []string{"z"}
	}
	if rapid.IntRange(0, 9).Draw(t, "yanked") == 0 {
		c.Yanked = "broken"
	}
	if rapid.Bool().Draw(t, "has t") {
		c.Traits = append(c.Traits, clyde.Trait{Name: "t", Type: "bool", Default: rapid.SampledFrom([]string{"true", "false"}).Draw(t, "default t")})
	}
	if rapid.IntRange(0, 3).Draw(t, "has m") == 0 {
		c.Traits = append(c.Traits, clyde.Trait{Name: "m", Type: "enum", Values: []string{"x", "y"}, Default: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "default m")})
	}
	return c
}

func drawUniverse(t *rapid.T, full bool) (root resolve.Candidate, src resolve.Memory) {
	src = resolve.Memory{}
	for _, l := range letters[:rapid.IntRange(2, 4).Draw(t, "packages")] {
		var cs []resolve.Candidate
		for v := range rapid.IntRange(0, 3).Draw(t, "versions") {
			cs = append(cs, drawCandidate(t, fmt.Sprintf("%d.0.0", v+1), full))
		}
		src[clyde.Name{Namespace: "ns", Base: l}] = cs
	}
	root = drawCandidate(t, "1.0.0", full)
	root.Yanked = ""
	return root, src
}

var compareSolutions = cmp.Options{
	cmp.Comparer(func(a, b clyde.Version) bool { return a.String() == b.String() }),
	cmp.Comparer(func(a, b clyde.Range) bool { return a.Equal(b) }),
	cmp.Comparer(func(a, b clyde.Condition) bool { return a.String() == b.String() }),
	cmpopts.EquateEmpty(),
}

// TestAgainstBruteForce: the solver finds a solution exactly where there is
// one; what it finds is one; no package of it could be higher with all else
// unchanged; and it finds the same again, whatever the order of the input.
func TestAgainstBruteForce(t *testing.T) {
	t.Parallel()
	for _, full := range []bool{false, true} {
		t.Run(fmt.Sprintf("full=%t", full), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				root, src := drawUniverse(t, full)
				req := resolve.Request{Root: root, NoSuggestions: true}
				sol, err := resolve.Solve(t.Context(), src, req)
				want := brute(&root, src, nil)
				if (err == nil) != (want != nil) {
					t.Fatalf("Solve: %v; brute force finds a solution: %t\n%s", err, want != nil, text(&root, src))
				}
				if err != nil {
					if e := clyde.AsError(err); e == nil || e.Code != "unsatisfiable" {
						t.Fatalf("Solve: %v; want unsatisfiable", err)
					}
					return
				}
				w := worldOf(&root, sol)
				if !w.valid(true) {
					t.Fatalf("Solve: %v is no solution\n%s", w, text(&root, src))
				}
				for n, c := range w.chosen {
					for i := range src[n] {
						if higher := &src[n][i]; clyde.Compare(higher.Version, c.Version) > 0 && higher.Yanked == "" {
							w.chosen[n] = higher
							if w.valid(false) && slices.Equal(traitNames(higher), traitNames(c)) {
								t.Fatalf("Solve: %s %s; %s would do as well\n%s", n, c.Version, higher.Version, text(&root, src))
							}
							w.chosen[n] = c
						}
					}
				}
				turned := resolve.Memory{}
				for n, cs := range src {
					turned[n] = slices.Clone(cs)
					slices.Reverse(turned[n])
				}
				again, err := resolve.Solve(t.Context(), turned, req)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(sol, again, compareSolutions); d != "" {
					t.Fatalf("Solve differs the second time:\n%s", d)
				}
			})
		})
	}
}

func traitNames(c *resolve.Candidate) []string {
	var names []string
	for n := range traitsOf(c) {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
