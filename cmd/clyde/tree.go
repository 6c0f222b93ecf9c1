package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/clyde"
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

func newTree(a *app) *cobra.Command {
	var d dependencyFlags
	var depth int
	var noDev, noBuild, ascii bool
	cmd := &cobra.Command{
		Use:   "tree",
		Short: "Show what the project needs, and what that needs",
		Long: "Show what the project needs, and what that needs, from clyde.lock. What was shown once is not opened again and\n" +
			"ends in (*). Without a lock file that fits, versions are chosen as clyde install would.",
		Args: wants(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, lock, err := a.locked(cmd.Context(), d)
			if err != nil {
				return err
			}
			if a.json {
				return a.emit("tree", lockedGraph(p, lock))
			}
			title := strings.TrimSpace(p.manifest.Name.String() + " " + p.manifest.Version.String())
			text := lock.Tree(resolve.TreeOptions{Want: resolve.Want{Dev: !noDev, NoBuild: noBuild}, Title: title, Depth: depth, ASCII: ascii || !isTerminal(a.stdout)})
			for line := range strings.Lines(text) {
				if err := a.printf("%s\n", clean(strings.TrimRight(line, "\n"))); err != nil {
					return err
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
	return cmd
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
