package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/graph"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

func newUpdate(a *app) *cobra.Command {
	d := &addition{app: a}
	cmd := &cobra.Command{
		Use:   "update [NAME...]",
		Short: "Choose newer versions",
		Long: "Let go of locked versions, of the packages that are named or of all, and write the newest that fit into\n" +
			"clyde.lock. package.yaml stays as it is: clyde outdated shows what its ranges hold back.",
		Example: "  clyde update\n  clyde update @acme/fmt --dry-run",
		Args:    wants(0, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := d.options()
			if err != nil {
				return err
			}
			p, err := a.project(d.dir)
			if err != nil {
				return err
			}
			if o.update, err = fullNames(args); err != nil {
				return err
			}
			for _, n := range o.update {
				if p.lock != nil && p.lock.Packages[n] == nil {
					return notLocked(n)
				}
			}
			o.updateAll = len(args) == 0
			res, err := p.resolve(cmd.Context(), o)
			if err != nil {
				return err
			}
			out := changed{Lock: lockChanges(p.lock, res.lock), DryRun: d.dryRun}
			if !d.dryRun {
				if err := p.writeLock(res.lock); err != nil {
					return err
				}
			}
			if a.json {
				return a.emit("change", out)
			}
			if len(out.Lock) == 0 {
				a.say("everything is the newest that fits")
			}
			a.sayChanges(out.Lock, d.dryRun)
			return nil
		},
	}
	d.dependencyFlags.register(cmd)
	cmd.Flags().BoolVar(&d.dryRun, "dry-run", false, "show what would change, and write nothing")
	cmd.Flags().StringSliceVar(&d.prereleases, "prerelease", nil, "let prereleases of this package count; may be given several times")
	return cmd
}

// notLocked is the failure about a package that is not in the lock file.
func notLocked(n clyde.Name) error {
	return clyde.Errorf(clyde.ErrNotFound, "%s is not in %s", n, lockName).WithCode("not_locked").Fix("clyde tree shows what is")
}

// outdatedJSON is a package that is behind.
type outdatedJSON struct {
	Name    string       `json:"name"`
	Locked  string       `json:"locked"`
	Fits    string       `json:"fits"`
	Newest  string       `json:"newest"`
	Direct  bool         `json:"direct"`
	Yanked  string       `json:"yanked,omitempty"`
	Gone    bool         `json:"gone,omitempty"`
	Holding []clyde.Name `json:"holding,omitempty"`
}

func newOutdated(a *app) *cobra.Command {
	var d dependencyFlags
	cmd := &cobra.Command{
		Use:   "outdated",
		Short: "List packages of which there are newer versions",
		Long: "List locked packages of which there are newer versions, or whose version was yanked. Columns in a pipe: name,\n" +
			"locked version, newest that fits (what clyde update chooses), newest, what keeps that from being chosen.",
		Args: wants(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			p, lock, err := a.locked(ctx, d)
			if err != nil {
				return err
			}
			src, err := a.index(d.offline)
			if err != nil {
				return err
			}
			defer src.Close()
			src.Prefetch(ctx, wanted(p.request(resolveOptions{}))...)
			all, err := lock.Outdated(ctx, src)
			if missing := src.Missing(); err != nil && len(missing) > 0 {
				return offlineError(missing)
			}
			if err != nil {
				return err
			}
			list := []outdatedJSON{}
			var rows [][]string
			for _, o := range all {
				if !o.Behind() {
					continue
				}
				j := outdatedJSON{o.Name.String(), o.Locked.String(), o.Fits.String(), o.Newest.String(), o.Direct, o.Yanked, o.Gone, nil}
				var why []string
				for _, n := range o.Holding {
					if n.IsZero() {
						n = p.manifest.Name
						why = append(why, "this project")
					} else {
						why = append(why, n.String())
					}
					j.Holding = append(j.Holding, n)
				}
				note := strings.Join(why, ", ")
				switch {
				case o.Yanked != "":
					note = strings.TrimSpace("yanked: " + o.Yanked + " " + note)
				case o.Gone:
					note = strings.TrimSpace("the locked version is gone " + note)
				}
				list = append(list, j)
				rows = append(rows, []string{j.Name, j.Locked, j.Fits, j.Newest, note})
			}
			if a.json {
				return a.emit("outdated", struct {
					Packages []outdatedJSON `json:"packages"`
				}{list})
			}
			if len(rows) == 0 {
				a.say("everything is the newest there is")
				return nil
			}
			return a.table([]column{{title: "PACKAGE"}, {title: "LOCKED"}, {title: "FITS"}, {title: "NEWEST"}, {title: "HELD BY", gives: true}}, rows)
		},
	}
	d.register(cmd)
	return cmd
}

// locked returns the project and its lock: the file where it says it all, else
// what it would say.
func (a *app) locked(ctx context.Context, d dependencyFlags) (*project, *resolve.Lock, error) {
	o, err := d.options()
	if err != nil {
		return nil, nil, err
	}
	p, err := a.project(d.dir)
	if err != nil {
		return nil, nil, err
	}
	res, err := p.resolve(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	return p, res.lock, nil
}

// treeJSON is what clyde tree prints: the same form as clyde resolve, and what
// was asked for besides.
type treeJSON struct {
	resolve.Answer
	Sizes      *graph.Sizes      `json:"sizes,omitempty"`
	Licenses   *graph.Licenses   `json:"licenses,omitempty"`
	Duplicates []graph.Duplicate `json:"duplicates,omitempty"` // packages that seem to be one upstream
	Collisions []graph.Collision `json:"collisions,omitempty"`
}

func newTree(a *app) *cobra.Command {
	var d dependencyFlags
	var depth int
	var noDev, noBuild, ascii, sizes, licenses, collide bool
	cmd := &cobra.Command{
		Use:   "tree",
		Short: "Show what the project needs, and what that needs",
		Long: "Show what the project needs, and what that needs, from clyde.lock. What was shown once is not opened again and\n" +
			"ends in (*). Without a lock file that fits, versions are chosen as clyde install would. Sizes are of source\n" +
			"archives, and come from the index of the registries: of each package alone and with all that it needs, each\n" +
			"once; packages that seem to be one upstream are then named too. With --collisions the registry says which have\n" +
			"one link name, shared library, symbol or header path, by what it measured of their builds.",
		Example: "  clyde tree --licenses\n  clyde tree --sizes --no-dev --json",
		Args:    wants(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, lock, err := a.locked(cmd.Context(), d)
			if err != nil {
				return err
			}
			want := resolve.Want{Dev: !noDev, NoBuild: noBuild}
			g := p.graph(lock, want)
			out := treeJSON{Answer: lockedGraph(p, lock)}
			if sizes {
				if err := a.measure(cmd.Context(), g, d.offline || d.frozen); err != nil {
					return err
				}
				all := g.Sizes()
				out.Sizes, out.Duplicates = &all, g.Duplicates()
				for i := range out.Packages {
					if n, err := clyde.ParseName(out.Packages[i].Name); err == nil && g.Find(n) != nil {
						out.Packages[i].Size = g.Find(n).Size
					}
				}
			}
			if collide {
				if d.offline || d.frozen {
					return usagef("--collisions asks the registry, which --offline and --frozen forbid")
				}
				if out.Collisions, err = a.collisions(cmd.Context(), g, lock); err != nil {
					return err
				}
			}
			if licenses {
				all := g.Licenses(graph.Policy{})
				out.Licenses = &all
			}
			if a.json {
				return a.emit("tree", out)
			}
			title := strings.TrimSpace(p.manifest.Name.String() + " " + p.manifest.Version.String())
			text := lock.Tree(resolve.TreeOptions{Want: want, Title: title, Depth: depth, ASCII: ascii || !isTerminal(a.stdout), Note: out.note(lock, licenses)})
			for line := range strings.Lines(text) {
				if err := a.printf("%s\n", clean(strings.TrimRight(line, "\n"))); err != nil {
					return err
				}
			}
			if s := out.Sizes; s != nil {
				a.say("%s in %s, each counted once", size(s.Total), plural(s.Packages, "package"))
			}
			for _, dup := range out.Duplicates {
				a.say("%s %s and %s seem to be one: %s", a.paint(a.stderr, yellow, "note:"), dup.Packages[0], dup.Packages[1], clean(strings.Join(dup.Evidence, "; ")))
			}
			for _, c := range out.Collisions {
				a.say("%s %s", a.paint(a.stderr, red, "collision:"), clean(c.Text))
			}
			if out.Licenses != nil {
				for _, c := range out.Licenses.Conflicts {
					a.say("%s %s (%s)", a.paint(a.stderr, red, "conflict:"), clean(c.Text), c.Source)
				}
			}
			return nil
		},
	}
	d.register(cmd)
	d.pinned(cmd)
	f := cmd.Flags()
	f.IntVar(&depth, "depth", 0, "levels to show; 0 is all")
	f.BoolVar(&noDev, "no-dev", false, "leave out what dev_requires need")
	f.BoolVar(&noBuild, "no-build", false, "leave out what build_requires need")
	f.BoolVar(&ascii, "ascii", false, "draw without line-drawing characters, as in a pipe")
	f.BoolVar(&sizes, "sizes", false, "show how large each package is, alone and with what it needs")
	f.BoolVar(&collide, "collisions", false, "ask the registry which packages get into each other's way when they are linked")
	f.BoolVar(&licenses, "licenses", false, "show the licence of each package, and which exclude each other")
	return cmd
}

// note returns what stands behind the version of a package in the tree.
func (t *treeJSON) note(lock *resolve.Lock, licenses bool) func(clyde.Name) string {
	bytes := map[string]string{}
	if t.Sizes != nil {
		for _, s := range t.Sizes.Each {
			switch {
			case s.Own == 0:
			case s.Needs == 0:
				bytes[s.Name] = size(s.Own)
			default:
				bytes[s.Name] = size(s.Own) + ", " + size(s.Whole) + " with " + plural(s.Needs, "other package")
			}
		}
	}
	return func(n clyde.Name) string {
		var parts []string
		if p := lock.Packages[n]; licenses && p != nil && p.License != "" {
			parts = append(parts, p.License)
		}
		if s := bytes[n.String()]; s != "" {
			parts = append(parts, s)
		}
		return strings.Join(parts, "  ")
	}
}

// measure adds to the packages of a graph what the index says and the lock file
// does not: sizes and link names.
func (a *app) measure(ctx context.Context, g *graph.Graph, offline bool) error {
	src, err := a.index(offline)
	if err != nil {
		return err
	}
	defer src.Close()
	var names []clyde.Name
	for i := range g.Packages {
		if p := &g.Packages[i]; p.Local == "" && p.Git == "" {
			names = append(names, p.Name)
		}
	}
	src.Prefetch(ctx, names...)
	for _, n := range names {
		p := g.Find(n)
		all, err := src.Versions(ctx, n)
		if missing := src.Missing(); err != nil && len(missing) > 0 {
			return offlineError(missing)
		}
		if err != nil {
			return err
		}
		for i := range all {
			if all[i].Version.Equal(p.Version) {
				p.Size, p.Provides = all[i].Size, all[i].Provides
			}
		}
	}
	return nil
}

// collisions asks the registry what of the linked packages of g gets into each
// other's way. It is told names and versions, and chooses none; packages that
// are from elsewhere it does not know, and they are said to be left out.
func (a *app) collisions(ctx context.Context, g *graph.Graph, lock *resolve.Lock) ([]graph.Collision, error) {
	q := resolve.Query{Requires: map[string]resolve.Need{}, Lock: map[string]resolve.Pin{}, Overrides: map[string]string{}, Collisions: true}
	for n, r := range lock.Overrides {
		q.Overrides[n.String()] = r.String()
	}
	linked, elsewhere := g.Linked(), 0
	for i := range g.Packages {
		p := &g.Packages[i]
		if _, bound := a.settings.Registries[p.Name.Namespace]; !linked[i] || bound || p.Local != "" || p.Git != "" {
			if linked[i] {
				elsewhere++
			}
			continue
		}
		n, v := p.Name.String(), p.Version.String()
		q.Requires[n], q.Lock[n] = resolve.Need{Version: "=" + v}, resolve.Pin{Version: v}
	}
	if elsewhere > 0 {
		a.say("note: %s from elsewhere left out of the comparison", plural(elsewhere, "package"))
	}
	if len(q.Requires) == 0 {
		return nil, nil
	}
	c, err := a.api(ctx)
	if err != nil {
		return nil, err
	}
	answer, err := c.Solve(ctx, q)
	return answer.Collisions, err
}

// lockedGraph is a lock as JSON: the same form as clyde resolve.
func lockedGraph(p *project, lock *resolve.Lock) resolve.Answer {
	sol := resolve.Solution{Name: p.manifest.Name, TraitValues: lock.Traits, Dependencies: lock.Requires}
	for _, n := range lock.Names() {
		q := lock.Packages[n]
		sol.Packages = append(sol.Packages, resolve.Package{
			Name: n, TraitValues: q.Traits, Dependencies: q.Dependencies,
			Candidate: resolve.Candidate{Version: q.Version, Registry: q.Registry, Digest: q.Digest, Checksum: q.Checksum, License: q.License, Local: q.Local},
		})
	}
	return sol.Answer()
}

// bareName refuses a name without its namespace, with what it may mean.
func bareName(base string, lock *resolve.Lock) error {
	e := usagef("%q has no namespace", base)
	for _, n := range lock.Names() {
		if n.Base == strings.TrimPrefix(base, "@") {
			e = e.fix("clyde why %s", n)
		}
	}
	if len(e.fixes) == 0 {
		e = e.fix("write @namespace/%s; clyde tree shows what is in %s", strings.TrimPrefix(base, "@"), lockName)
	}
	return e
}

// stepJSON is one package on a path of clyde why.
type stepJSON struct {
	Name    string       `json:"name"`
	Version string       `json:"version"`
	Range   string       `json:"range"`
	Kind    resolve.Kind `json:"kind"`
	When    string       `json:"when,omitempty"`
}

func newWhy(a *app) *cobra.Command {
	var d dependencyFlags
	cmd := &cobra.Command{
		Use:     "why NAME",
		Short:   "Show through which packages one is needed",
		Long:    "Show, for every package that requires the one named, the shortest path to it from the project.",
		Example: "  clyde why @acme/zlib",
		Args:    wants(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, lock, err := a.locked(cmd.Context(), d)
			if err != nil {
				return err
			}
			if !strings.Contains(args[0], "/") {
				return bareName(args[0], lock)
			}
			names, err := fullNames(args)
			if err != nil {
				return err
			}
			paths, err := lock.Why(names[0], resolve.Want{Dev: true})
			if err != nil {
				return err
			}
			if !a.json {
				return a.printf("%s", resolve.WhyText(paths))
			}
			out := struct {
				Name  string       `json:"name"`
				Paths [][]stepJSON `json:"paths"`
			}{Name: names[0].String(), Paths: [][]stepJSON{}}
			for _, path := range paths {
				var steps []stepJSON
				for _, s := range path {
					steps = append(steps, stepJSON{s.Name.String(), s.Version.String(), s.Range.String(), s.Kind, s.When.String()})
				}
				out.Paths = append(out.Paths, steps)
			}
			return a.emit("why", out)
		},
	}
	d.register(cmd)
	d.pinned(cmd)
	return cmd
}
