package resolve_test

import (
	"maps"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// This file says what a solution is, without any cleverness: it tries every
// choice of versions and trait values. The solver is compared with it.

// world is a choice: a version and trait values of each package in the graph.
// The project is the zero Name.
type world struct {
	root    *resolve.Candidate
	chosen  map[clyde.Name]*resolve.Candidate
	values  map[clyde.Name]map[string]string
	ignored func(clyde.Name) bool // packages whose requirement always holds; may be nil
}

func (w *world) candidate(n clyde.Name) *resolve.Candidate {
	if n.IsZero() {
		return w.root
	}
	return w.chosen[n]
}

func (w *world) names() []clyde.Name {
	return append([]clyde.Name{{}}, slices.SortedFunc(maps.Keys(w.chosen), func(a, b clyde.Name) int { return strings.Compare(a.String(), b.String()) })...)
}

func declared(c *resolve.Candidate, trait string) (clyde.Trait, bool) {
	for _, t := range c.Traits {
		if t.Name == trait {
			return t, true
		}
	}
	for _, q := range c.Requires {
		if q.Optional && q.Name.Base == trait {
			return clyde.Trait{Name: trait, Type: "bool", Default: "false"}, true
		}
	}
	return clyde.Trait{}, false
}

// active evaluates a requirement; value answers "" and false for an unknown.
func active(q *resolve.Requirement, value func(string) (string, bool)) clyde.Truth {
	is := func(name, want string) clyde.Truth {
		have, ok := value(name)
		if !ok {
			return clyde.Unknown
		}
		return clyde.TruthOf(have == want)
	}
	t := q.When.Eval(func(key, want string) clyde.Truth { return is(strings.TrimPrefix(key, "trait."), want) })
	if q.Optional {
		t = min(t, is(q.Name.Base, "true"))
	}
	return t
}

type ask struct {
	pkg          clyde.Name
	trait, value string
}

// valid reports whether the choice is a solution, but for what it leaves
// unfounded when founded is false.
func (w *world) valid(founded bool) bool {
	asked := map[ask]bool{}
	someone := map[[2]string]bool{}
	links := map[string]bool{}
	for _, n := range w.names() {
		c := w.candidate(n)
		for _, l := range c.Provides {
			if links[l] {
				return false
			}
			links[l] = true
		}
		for i := range c.Requires {
			q := &c.Requires[i]
			if w.ignored != nil && w.ignored(q.Name) {
				continue
			}
			if active(q, func(t string) (string, bool) { return w.values[n][t], true }) != clyde.True {
				continue
			}
			to := w.chosen[q.Name]
			if to == nil || !q.Range.Contains(to.Version) {
				return false
			}
			for t, v := range q.Traits {
				asked[ask{q.Name, t, v}] = true
				someone[[2]string{q.Name.String(), t}] = true
			}
		}
		for _, q := range c.Conflicts {
			if to := w.chosen[q.Name]; to != nil && q.Name != n && q.Range.Admits(to.Version) {
				return false
			}
		}
	}
	for a := range asked {
		d, ok := declared(w.chosen[a.pkg], a.trait)
		switch {
		case w.values[a.pkg][a.trait] != a.value, !ok,
			d.Type == "bool" && a.value != "true" && a.value != "false",
			d.Type == "enum" && !slices.Contains(d.Values, a.value):
			return false
		}
	}
	for _, n := range w.names() {
		for t, v := range w.values[n] {
			if d, _ := declared(w.candidate(n), t); !someone[[2]string{n.String(), t}] && v != d.Default {
				return false
			}
		}
	}
	return !founded || w.founded(someone)
}

// founded reports whether everything chosen is there for a reason that does not
// rest on itself.
func (w *world) founded(someone map[[2]string]bool) bool {
	reached := map[clyde.Name]bool{{}: true}
	sure := map[[2]string]bool{}
	for changed := true; changed; {
		changed = false
		for _, n := range w.names() {
			if !reached[n] {
				continue
			}
			c := w.candidate(n)
			for i := range c.Requires {
				q := &c.Requires[i]
				if w.ignored != nil && w.ignored(q.Name) {
					continue
				}
				if active(q, func(t string) (string, bool) {
					key := [2]string{n.String(), t}
					return w.values[n][t], !someone[key] || sure[key]
				}) != clyde.True {
					continue
				}
				if !reached[q.Name] {
					reached[q.Name], changed = true, true
				}
				for t := range q.Traits {
					if key := [2]string{q.Name.String(), t}; !sure[key] {
						sure[key], changed = true, true
					}
				}
			}
		}
	}
	return len(reached) == len(w.chosen)+1
}

// traitsOf lists the values to try of a candidate's traits.
func traitsOf(c *resolve.Candidate) map[string][]string {
	all := map[string][]string{}
	for _, t := range c.Traits {
		all[t.Name] = t.Values
		if t.Type == "bool" {
			all[t.Name] = []string{"true", "false"}
		}
	}
	for _, q := range c.Requires {
		if _, ok := all[q.Name.Base]; q.Optional && !ok {
			all[q.Name.Base] = []string{"true", "false"}
		}
	}
	return all
}

// brute returns a solution, or nil where there is none.
func brute(root *resolve.Candidate, src resolve.Memory, ignored func(clyde.Name) bool) *world {
	names := slices.SortedFunc(maps.Keys(src), func(a, b clyde.Name) int { return strings.Compare(a.String(), b.String()) })
	w := &world{root: root, chosen: map[clyde.Name]*resolve.Candidate{}, values: map[clyde.Name]map[string]string{}, ignored: ignored}
	var found *world
	var pick func(i int) bool
	var value func(open []ask) bool
	value = func(open []ask) bool {
		if len(open) == 0 {
			if !w.valid(true) {
				return false
			}
			found = w
			return true
		}
		a := open[0]
		for v := range strings.SplitSeq(a.value, " ") {
			w.values[a.pkg][a.trait] = v
			if value(open[1:]) {
				return true
			}
		}
		return false
	}
	pick = func(i int) bool {
		if i == len(names) {
			var open []ask
			for _, n := range w.names() {
				w.values[n] = map[string]string{}
				all := traitsOf(w.candidate(n))
				for _, t := range slices.Sorted(maps.Keys(all)) {
					open = append(open, ask{n, t, strings.Join(all[t], " ")})
				}
			}
			return value(open)
		}
		if ignored == nil || !ignored(names[i]) {
			for j := range src[names[i]] {
				if src[names[i]][j].Yanked != "" {
					continue
				}
				w.chosen[names[i]] = &src[names[i]][j]
				if pick(i + 1) {
					return true
				}
			}
		}
		delete(w.chosen, names[i])
		return pick(i + 1)
	}
	pick(0)
	return found
}

func worldOf(root *resolve.Candidate, sol *resolve.Solution) *world {
	w := &world{root: root, chosen: map[clyde.Name]*resolve.Candidate{}, values: map[clyde.Name]map[string]string{{}: sol.TraitValues}}
	for i := range sol.Packages {
		p := &sol.Packages[i]
		w.chosen[p.Name] = &p.Candidate
		w.values[p.Name] = p.TraitValues
	}
	return w
}
