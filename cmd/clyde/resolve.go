package main

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/compat"
	"github.com/clydepm/clyde-registry/pkg/resolve"
	"github.com/clydepm/clyde-registry/pkg/toolchain"
)

// dependencyFlags are those of commands that resolve a project.
type dependencyFlags struct {
	dir, via                string
	locked, frozen, offline bool
	prereleases             []string
}

// where registers the flag for the project's folder.
func (d *dependencyFlags) where(cmd *cobra.Command) {
	cmd.Flags().StringVar(&d.dir, "dir", ".", "folder of the project")
}

// register registers what commands that may ask a registry share.
func (d *dependencyFlags) register(cmd *cobra.Command) {
	d.where(cmd)
	cmd.Flags().BoolVar(&d.offline, "offline", false, "ask no registry: answer from the cache alone")
}

// pinned registers --locked and --frozen.
func (d *dependencyFlags) pinned(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&d.locked, "locked", false, "fail where clyde.lock would have to change")
	f.BoolVar(&d.frozen, "frozen", false, "the same, and ask no registry")
}

// options reads the flags.
func (d *dependencyFlags) options() (resolveOptions, error) {
	o := resolveOptions{locked: d.locked, frozen: d.frozen, offline: d.offline || d.frozen, via: d.via}
	if d.via != "" && d.via != viaIndex && d.via != viaServer {
		return o, usagef("--via %s: want %s or %s", d.via, viaIndex, viaServer)
	}
	if d.via == viaServer && o.offline {
		return o, usagef("--via %s asks a registry, and --offline asks none", viaServer)
	}
	var err error
	o.prereleases, err = fullNames(d.prereleases)
	return o, err
}

// fullNames reads names of packages as arguments give them.
func fullNames(args []string) ([]clyde.Name, error) {
	var names []clyde.Name
	for _, s := range args {
		n, err := clyde.ParseName("@" + strings.TrimPrefix(s, "@"))
		if err != nil {
			return nil, err
		}
		names = append(names, n)
	}
	return names, nil
}

func newResolve(a *app) *cobra.Command {
	var (
		d       dependencyFlags
		explain bool
	)
	cmd := &cobra.Command{
		Use:   "resolve [NAME[@RANGE]...]",
		Short: "Show which versions would be chosen",
		Long: "Show which versions of which packages the project needs, or the packages that are named, and write\n" +
			"nothing. Columns in a pipe: name, version, license, registry, digest. --via server has the registry choose,\n" +
			"in one request; both ways choose alike. The registry is told what this machine and its compiler are, as\n" +
			"far as builds depend on it, and the last column is then how well a build of the package fits, or source.",
		Example: "  clyde resolve\n  clyde resolve '@acme/fmt@^10' @acme/zlib --json",
		Args:    wants(0, -1), ValidArgsFunction: a.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := d.options()
			if err != nil {
				return err
			}
			if explain && o.via != viaServer {
				return usagef("--explain is about what the registry says of builds").fix("add --via %s, or ask clyde builds NAME --explain", viaServer)
			}
			var sol *resolve.Solution
			if len(args) > 0 {
				sol, err = a.resolveNamed(cmd.Context(), args, o)
			} else {
				sol, err = a.resolveProject(cmd.Context(), d.dir, o)
			}
			if err != nil {
				return err
			}
			if a.json {
				return a.emit("resolve", sol.Answer())
			}
			columns := []column{{title: "PACKAGE"}, {title: "VERSION"}, {title: "LICENSE", gives: true}, {title: "FROM", gives: true}, {title: "DIGEST", gives: true}}
			if o.via == viaServer {
				columns = append(columns, column{title: "BUILD"})
			}
			var rows [][]string
			for _, p := range sol.Packages {
				rows = append(rows, []string{p.Name.String(), p.Version.String(), p.License, from(p.Registry, p.Local), p.Digest, buildText(p.Build)}[:len(columns)])
				for _, w := range p.WhyNot {
					if explain {
						a.say("%s: not %s: %s", p.Name, w.Digest, clean(w.Why))
					}
				}
			}
			return a.table(columns, rows)
		},
	}
	d.register(cmd)
	cmd.Flags().StringVar(&d.via, "via", viaIndex, "who chooses: index (this machine, from the sparse index) or server")
	cmd.Flags().BoolVar(&explain, "explain", false, "with --via server: say of each build that does not fit this machine why")
	cmd.Flags().StringSliceVar(&d.prereleases, "prerelease", nil, "let prereleases of this package count; may be given several times")
	return cmd
}

// buildText says how well a build fits, or that there is none.
func buildText(b *resolve.BuildView) string {
	if b == nil {
		return "source"
	}
	return b.Class
}

// from names where a package is from.
func from(registry, local string) string {
	if local != "" {
		return "local:" + local
	}
	return registry
}

func (a *app) resolveProject(ctx context.Context, dir string, o resolveOptions) (*resolve.Solution, error) {
	p, err := a.project(dir)
	if err != nil {
		return nil, err
	}
	return a.solve(ctx, p.request(o), o, p.local)
}

// resolveNamed resolves packages that no project requires.
func (a *app) resolveNamed(ctx context.Context, args []string, o resolveOptions) (*resolve.Solution, error) {
	req := resolve.Request{Prereleases: o.prereleases}
	for _, arg := range args {
		t, err := a.packageArg(ctx, arg)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(req.Root.Requires, func(q resolve.Requirement) bool { return q.Name == t.name }) {
			return nil, usagef("%s is named twice", t.name)
		}
		req.Root.Requires = append(req.Root.Requires, resolve.Requirement{Name: t.name, Range: t.rng, Kind: resolve.Runtime})
	}
	return a.solve(ctx, req, o, nil)
}

// solveThere has the registry choose.
func (a *app) solveThere(ctx context.Context, req resolve.Request, local resolve.Memory) (*resolve.Solution, error) {
	if len(local) > 0 {
		return nil, usagef("the registry cannot see the folder that %s is required from", firstName(local)).fix("leave out --via %s", viaServer)
	}
	for _, q := range req.Root.Requires {
		if at, ok := a.settings.Registries[q.Name.Namespace]; ok {
			return nil, usagef("@%s comes from %s, and one registry does not choose for another", q.Name.Namespace, at).fix("leave out --via %s", viaServer)
		}
	}
	c, err := a.api(ctx)
	if err != nil {
		return nil, err
	}
	q := req.Query()
	host, err := toolchain.Detect(ctx, toolchain.Options{})
	if err != nil {
		return nil, err
	}
	// What installing would ask of a build.
	q.Host, q.Want = &host, &resolve.Wish{Linkage: compat.Static, PIC: true}
	answer, err := c.Solve(ctx, q)
	if noResolve(err) {
		return nil, clyde.Errorf(clyde.ErrUnavailable, "%s does not choose versions", c.URL()).WithCode("resolve_unsupported").Fix("leave out --via %s", viaServer).Because(err)
	}
	if err != nil {
		return nil, err
	}
	for _, p := range answer.Packages {
		n, err := clyde.ParseName(p.Name)
		if err != nil {
			return nil, err
		}
		if at, ok := a.settings.Registries[n.Namespace]; ok {
			return nil, clyde.Errorf(clyde.ErrConflict, "%s chose %s, and @%s comes from %s", c.URL(), n, n.Namespace, at).WithCode("registry_changed").Fix("leave out --via %s", viaServer)
		}
	}
	sol, err := answer.Solution(req.Name)
	if err != nil {
		return nil, err
	}
	if s := resolve.NewLock(sol, req.Overrides, nil).Stale(req); s != nil {
		return nil, clyde.Errorf(clyde.ErrInvalid, "the registry answered another question than it was asked: %s", s.Msg).WithCode("answer_invalid")
	}
	return sol, nil
}

// noResolve reports whether err means that the server has no such address.
func noResolve(err error) bool {
	e := clyde.AsError(err)
	return errors.Is(err, clyde.ErrNotFound) && (e.Code == "path_unknown" || e.Code == "registry_failed")
}

func firstName(m resolve.Memory) clyde.Name {
	var all []clyde.Name
	for n := range m {
		all = append(all, n)
	}
	return slices.MinFunc(all, func(a, b clyde.Name) int { return strings.Compare(a.String(), b.String()) })
}

// lockChange is one package that is another now.
type lockChange struct {
	Name string `json:"name"`
	From string `json:"from,omitempty"` // version; absent where the package is new
	To   string `json:"to,omitempty"`   // version; absent where it is gone
}

func (c lockChange) String() string {
	switch {
	case c.From == "":
		return "+ " + c.Name + " " + c.To
	case c.To == "":
		return "- " + c.Name + " " + c.From
	}
	return "~ " + c.Name + " " + c.From + " → " + c.To
}

// lockChanges compares two locks, by name; old may be nil.
func lockChanges(old, now *resolve.Lock) []lockChange {
	out := []lockChange{}
	if old == nil {
		old = &resolve.Lock{}
	}
	names := append(old.Names(), now.Names()...)
	slices.SortFunc(names, func(a, b clyde.Name) int { return strings.Compare(a.String(), b.String()) })
	for _, n := range slices.Compact(names) {
		c := lockChange{Name: n.String()}
		if p := old.Packages[n]; p != nil {
			c.From = p.Version.String()
		}
		if p := now.Packages[n]; p != nil {
			c.To = p.Version.String()
		}
		if c.From != c.To {
			out = append(out, c)
		}
	}
	return out
}

// proofLines is how much of a proof is printed, so that it and its fixes fit one
// screen of 24 lines.
const proofLines = 16

// proofText is why requirements exclude each other, a line each, the first being
// that they do.
func proofText(f *resolve.Failure, msg string) []string {
	head, _, _ := strings.Cut(msg, "\n")
	lines := []string{head}
	for i, l := range f.Lines {
		if i == proofLines && len(f.Lines) > proofLines+1 {
			return append(lines, "  … "+plural(len(f.Lines)-i, "more step")+"; --json has them all")
		}
		lines = append(lines, "  "+strconv.Itoa(i+1)+". "+l)
	}
	return lines
}
