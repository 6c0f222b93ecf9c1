package catalog

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/graph"
	"github.com/clydepm/clyde-registry/pkg/resolve"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Limits of what depends on what. Ours: several times the largest graph of
// vcpkg, and every package there.
const (
	MaxWhole      = 2_000  // packages that a version needs
	MaxDependents = 10_000 // packages looked at to find dependents of dependents, and rows of one page of the filtered direct ones
)

// maxSymbols is how many symbols of all packages of a graph are compared. Ours:
// some tens of megabytes of names.
const maxSymbols = 500_000

// Whole returns a version with everything that it needs, as p would get it
// today. Requirements that cannot be met are the error that Resolve returns.
func (c *Catalog) Whole(ctx context.Context, p account.Principal, ref Ref) (Whole, error) {
	r, err := c.row(ctx, p, ref)
	if err != nil {
		return Whole{}, err
	}
	own := ref.Name.String()
	q := resolve.Query{
		Requires: map[string]resolve.Need{own: {Version: "=" + r.Version}},
		Lock:     map[string]resolve.Pin{own: {Version: r.Version}}, // or it would not be had where it is yanked
	}
	req, err := q.Request()
	if err != nil {
		return Whole{}, err
	}
	sol, err := c.solve(ctx, p, req)
	if err != nil {
		return Whole{}, err
	}
	// The version itself is the root, not one of what it needs.
	at := slices.IndexFunc(sol.Packages, func(q resolve.Package) bool { return q.Name == ref.Name })
	if at < 0 {
		return Whole{}, notFound(ref.Name)
	}
	root := sol.Packages[at]
	sol.Dependencies = root.Dependencies
	sol.Packages = slices.Delete(sol.Packages, at, at+1)

	answer, err := c.answer(ctx, p, sol)
	if err != nil {
		return Whole{}, err
	}
	g := graph.FromSolution(graph.Package{Name: root.Name, Version: root.Version, License: root.License, Size: root.Size, Provides: root.Provides}, sol)
	if err := c.measureAll(ctx, g); err != nil {
		return Whole{}, err
	}
	return Whole{
		Packages: answer.Packages, Direct: answer.Dependencies,
		Licenses: g.Licenses(graph.Policy{}), Sizes: g.Sizes(), Duplicates: g.Duplicates(), Collisions: g.Collisions(),
	}, nil
}

// measureAll adds to the packages of g what the index does not hold. A root
// without a version is a project, of which the registry knows nothing.
func (c *Catalog) measureAll(ctx context.Context, g *graph.Graph) error {
	if n := len(g.Packages); n > MaxWhole {
		return clyde.Errorf(clyde.ErrTooLarge, "%s needs %d packages: the limit is %d", g.Root.Name, n, MaxWhole).WithCode("graph_limit").
			Fix("look at it on your machine: clyde licenses, clyde tree")
	}
	room := maxSymbols
	if !g.Root.Version.IsZero() {
		if err := c.measure(ctx, &g.Root, &room); err != nil {
			return err
		}
	}
	for i := range g.Packages {
		if err := c.measure(ctx, &g.Packages[i], &room); err != nil {
			return err
		}
	}
	return nil
}

// measure adds to q what the index does not hold. Once as many symbols were
// looked at as there is room for, those of further packages are not.
func (c *Catalog) measure(ctx context.Context, q *graph.Package, room *int) (err error) {
	defer clyde.Wrap(&err, "catalog.measure(%s, %s)", q.Name, q.Version)
	headers, manifest, err := c.DB.ReleaseFacts(ctx, q.Name.Repo(), q.Version.Canonical())
	if err != nil {
		return err
	}
	var m clyde.ManifestView
	if err := json.Unmarshal(manifest, &m); err != nil {
		return err
	}
	q.Headers, q.Repository, q.LicenseFile = headers, m.Repository, m.LicenseFile
	if l := graph.TypeLinkage(m.Type); l != "" {
		q.Linkage = l
	}
	if m.ABI != nil && m.ABI.SOName != "" {
		q.SONames = []string{m.ABI.SOName}
	}
	measured, err := c.DB.BuildSONames(ctx, q.Name.Repo(), q.Version.Canonical())
	if err != nil {
		return err
	}
	q.SONames = append(q.SONames, measured...)
	slices.Sort(q.SONames)
	q.SONames = slices.Compact(q.SONames)
	if *room <= 0 || q.Linkage == graph.Program {
		return nil
	}
	l, err := c.DB.BuildSymbols(ctx, q.Name.Repo(), q.Version.Canonical())
	if err != nil || l == nil {
		return err
	}
	*room -= len(l.Symbols)
	if q.Symbols = l.Symbols; l.Shared {
		q.Linkage = graph.Shared
	}
	return nil
}

// Dependents lists packages whose latest version requires name, by name. What p
// may not see is left out, and so is what depends on name through it alone.
func (c *Catalog) Dependents(ctx context.Context, p account.Principal, name clyde.Name, q DependentsQuery) (Dependents, error) {
	row, err := c.see(ctx, p, name)
	if err != nil {
		return Dependents{}, err
	}
	admits, err := c.admits(ctx, p, name, q)
	if err != nil {
		return Dependents{}, err
	}
	q.Limit = max(q.Limit, 1)
	if q.Transitive {
		return c.above(ctx, p, row, q, admits)
	}
	return c.direct(ctx, p, row, q, admits)
}

// admits returns what tells whether a range counts, or nil where all do.
func (c *Catalog) admits(ctx context.Context, p account.Principal, name clyde.Name, q DependentsQuery) (func(string) bool, error) {
	var versions []clyde.Version
	switch {
	case q.Version != "" && q.Range != "":
		return nil, clyde.Errorf(clyde.ErrInvalid, "version and range exclude each other").WithCode("query_invalid").Fix("ask for one of them")
	case q.Version != "":
		v, err := clyde.ParseVersion(q.Version)
		if err != nil {
			return nil, err
		}
		versions = []clyde.Version{v}
	case q.Range != "":
		r, err := clyde.ParseRange(q.Range)
		if err != nil {
			return nil, err
		}
		k, err := c.known(ctx, p, name)
		if err != nil {
			return nil, err
		}
		if k.unread != nil {
			return nil, k.unread
		}
		for i := range k.cands {
			if r.Contains(k.cands[i].Version) {
				versions = append(versions, k.cands[i].Version)
			}
		}
	default:
		return nil, nil
	}
	return func(text string) bool { return contains(text, versions...) }, nil
}

// contains reports whether a range admits one of the versions.
func contains(text string, versions ...clyde.Version) bool {
	r, err := clyde.ParseRange(text)
	return text == "" || err == nil && slices.ContainsFunc(versions, r.Contains)
}

// direct is one page of those that require row themselves.
func (c *Catalog) direct(ctx context.Context, p account.Principal, row store.Package, q DependentsQuery, admits func(string) bool) (out Dependents, err error) {
	// Many at a time, so that those between that are not shown do not cost a
	// query each.
	const chunk = 100
	cursor := q.After
	last := "" // that p may see: no cursor names another
	for read := 0; read < MaxDependents || last == ""; read += chunk {
		reqs, err := c.DB.Dependents(ctx, row.Repo, cursor, chunk)
		if err != nil {
			return Dependents{}, err
		}
		shown, err := c.shown(ctx, p, reqs)
		if err != nil {
			return Dependents{}, err
		}
		for _, r := range reqs {
			cursor = r.Repo
			if _, ok := shown[r.Repo]; !ok {
				continue
			}
			if admits == nil || admits(r.Range) {
				if len(out.Items) == q.Limit {
					out.Next = last
					return out, nil
				}
				out.Items = append(out.Items, Dependent{Name: "@" + r.Repo, Version: r.Version, Range: r.Range})
			}
			last = r.Repo
		}
		if len(reqs) < chunk {
			return out, nil
		}
	}
	out.Next = last // the page is short, and the next goes on from here
	return out, nil
}

// shown returns those of the packages in reqs that p may see.
func (c *Catalog) shown(ctx context.Context, p account.Principal, reqs []store.Requirement) (map[string]store.Package, error) {
	repos := make([]string, len(reqs))
	for i, r := range reqs {
		repos[i] = r.Repo
	}
	slices.Sort(repos)
	rows, err := c.DB.Hydrate(ctx, slices.Compact(repos))
	if err != nil {
		return nil, err
	}
	out := make(map[string]store.Package, len(rows))
	for _, r := range rows {
		if c.visible(ctx, p, r) {
			out[r.Repo] = r
		}
	}
	return out, nil
}

// above is one page of those that need row, however many steps away: by way of
// packages that p may see, each in its latest version, whose requirements admit
// the latest version of the next.
func (c *Catalog) above(ctx context.Context, p account.Principal, row store.Package, q DependentsQuery, admits func(string) bool) (Dependents, error) {
	found := map[string]Dependent{}
	seen := map[string]bool{row.Repo: true}
	latest := map[string]clyde.Version{}
	var out Dependents
	level := []string{row.Repo}
	for depth := 1; len(level) > 0; depth++ {
		left := MaxDependents - len(seen) + 1
		reqs, err := c.DB.DependentsOfAll(ctx, level, left)
		if err != nil {
			return Dependents{}, err
		}
		out.Truncated = len(reqs) == left
		shown, err := c.shown(ctx, p, reqs)
		if err != nil {
			return Dependents{}, err
		}
		level = nil
		for _, r := range reqs {
			at, ok := shown[r.Repo]
			fits := admits == nil || admits(r.Range)
			if depth > 1 {
				fits = contains(r.Range, latest[r.Target])
			}
			if !ok || !fits || seen[r.Repo] {
				continue
			}
			d := Dependent{Name: "@" + r.Repo, Version: r.Version, Range: r.Range, Depth: depth}
			if depth > 1 {
				d.Via = "@" + r.Target
			}
			found[r.Repo], seen[r.Repo] = d, true
			if latest[r.Repo], err = clyde.ParseVersion(at.Latest); err == nil {
				level = append(level, r.Repo)
			}
		}
		slices.Sort(level)
		if out.Truncated {
			break
		}
	}
	for _, repo := range sortedAfter(found, q.After) {
		if len(out.Items) == q.Limit {
			out.Next = out.Items[q.Limit-1].Name[len("@"):]
			break
		}
		out.Items = append(out.Items, found[repo])
	}
	return out, nil
}

// sortedAfter lists the keys behind one, in order.
func sortedAfter(m map[string]Dependent, after string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		if k > after {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}
