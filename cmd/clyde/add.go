package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// addition is one run of clyde add or clyde remove.
type addition struct {
	dependencyFlags

	app        *app
	dev, build bool
	traits     []string
	dryRun     bool
	noLock     bool
}

// changed is what clyde add, remove and update print under --json.
type changed struct {
	Requires []requiredJSON `json:"requires,omitempty"` // as package.yaml has them now
	Removed  []string       `json:"removed,omitempty"`
	Lock     []lockChange   `json:"lock"`
	DryRun   bool           `json:"dry_run"`
}

type requiredJSON struct {
	Name  string `json:"name"`
	Range string `json:"range"`
	List  string `json:"list"`
}

func (d *addition) register(cmd *cobra.Command) {
	d.dependencyFlags.register(cmd)
	f := cmd.Flags()
	f.BoolVar(&d.dev, "dev", false, "in dev_requires: what developing the project needs")
	f.BoolVar(&d.build, "build", false, "in build_requires: tools that run on the building machine")
	f.BoolVar(&d.dryRun, "dry-run", false, "show what would change, and write nothing")
	f.BoolVar(&d.noLock, "no-lock", false, "change package.yaml alone")
}

// list is the list of package.yaml that the flags name.
func (d *addition) list() (string, error) {
	switch {
	case d.dev && d.build:
		return "", usagef("--dev and --build are two different lists")
	case d.dev:
		return string(resolve.Dev), nil
	case d.build:
		return string(resolve.Build), nil
	}
	return string(resolve.Runtime), nil
}

func newAdd(a *app) *cobra.Command {
	d := &addition{app: a}
	cmd := &cobra.Command{
		Use:   "add NAME[@RANGE]...",
		Short: "Require packages",
		Long: "Write packages into requires of package.yaml, whose comments and order stay, and the versions that are\n" +
			"chosen into clyde.lock. Without a range it is ^ and the latest version. A package that is required already\n" +
			"gets the new range.",
		Example: "  clyde add @acme/fmt\n  clyde add '@acme/curl@^8' --trait tls=mbedtls\n  clyde add --dev @acme/doctest",
		Args:    wants(1, -1), ValidArgsFunction: a.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error { return d.add(cmd.Context(), args) },
	}
	d.register(cmd)
	cmd.Flags().StringArrayVar(&d.traits, "trait", nil, "ask NAME=VALUE of the package's traits; may be given several times")
	return cmd
}

func (d *addition) add(ctx context.Context, args []string) error {
	list, err := d.list()
	if err != nil {
		return err
	}
	o, err := d.options()
	if err != nil {
		return err
	}
	traits, err := pairs(d.traits)
	if err != nil {
		return err
	}
	p, err := d.app.project(d.dir)
	if err != nil {
		return err
	}
	out := changed{DryRun: d.dryRun}
	for _, arg := range args {
		r, err := d.requirement(ctx, p, arg, traits, o)
		if err != nil {
			return err
		}
		if p.data, err = clyde.SetRequirement(p.data, list, r); err != nil {
			return err
		}
		out.Requires = append(out.Requires, requiredJSON{r.Name, r.Range.String(), list})
	}
	return d.finish(ctx, p, o, out)
}

// pairs reads NAME=VALUE.
func pairs(args []string) (map[string]string, error) {
	m := map[string]string{}
	for _, s := range args {
		k, v, ok := strings.Cut(s, "=")
		if !ok || k == "" {
			return nil, usagef("--trait %q: want NAME=VALUE", s)
		}
		m[k] = v
	}
	return m, nil
}

// requirement reads an argument of clyde add. One without a range gets the
// newest version that is not withdrawn.
func (d *addition) requirement(ctx context.Context, p *project, arg string, traits map[string]string, o resolveOptions) (clyde.Requirement, error) {
	r := clyde.Requirement{Traits: traits}
	t, err := parseTarget(arg)
	if err == nil && t.ref.at.host != "" {
		err = usagef("%q is an OCI reference; packages are required by name", arg).fix("write @namespace/name, and bind its namespace: clyde config set %sNAMESPACE ADDRESS", bindingPrefix)
	}
	if err == nil {
		err = d.app.qualified(ctx, t)
	}
	if err != nil {
		return r, err
	}
	if t.name == p.manifest.Name {
		return r, usagef("%s is the project itself", t.name)
	}
	r.Name, r.Range = t.name.String(), t.rng
	src, err := d.app.index(o.offline)
	if err != nil {
		return r, err
	}
	defer src.Close()
	cs, err := src.Versions(ctx, t.name)
	if errors.Is(err, clyde.ErrNotFound) {
		return r, d.app.didYouMean(ctx, t.name, err, o)
	}
	if err != nil {
		return r, err
	}
	newest, ok := newestOf(cs, t.rng)
	switch {
	case !ok && t.want != "":
		e := clyde.Errorf(errNoVersion, "no version of %s is in %q", t.name, t.want).WithCode("no_version")
		if v, ok := newestOf(cs, clyde.Range{}); ok {
			e.Msg += fmt.Sprintf("; the newest is %s", v)
		}
		return r, e.Fix("clyde versions %s", t.name)
	case !ok:
		return r, clyde.Errorf(errNoVersion, "%s has no version that can be required: all are yanked, or prereleases", t.name).WithCode("no_version").
			Fix("clyde versions %s, and write the range after an @", t.name)
	case t.want == "":
		if r.Range, err = clyde.ParseRange("^" + newest.String()); err != nil { // a date, which has no caret
			r.Range, err = clyde.ParseRange(">=" + newest.String())
		}
	}
	return r, err
}

// newestOf returns the highest version in r that is neither yanked nor
// unusable.
func newestOf(cs []resolve.Candidate, r clyde.Range) (clyde.Version, bool) {
	var vs []clyde.Version
	for _, c := range cs {
		if c.Yanked == "" && c.Unusable == "" {
			vs = append(vs, c.Version)
		}
	}
	if !r.IsZero() {
		return r.Newest(vs)
	}
	vs = slices.DeleteFunc(vs, clyde.Version.IsPrerelease)
	if len(vs) == 0 {
		return clyde.Version{}, false
	}
	return slices.MaxFunc(vs, clyde.Compare), true
}

// didYouMean adds names that are nearly this one, as the registry knows them, to
// the failure of a package that is not there.
func (a *app) didYouMean(ctx context.Context, name clyde.Name, err error, o resolveOptions) error {
	e := clyde.AsError(err)
	if o.offline || a.settings.Registries[name.Namespace] != "" {
		return err
	}
	c, cerr := a.api(ctx)
	if cerr != nil {
		return err
	}
	var near []string
	if found, err := c.Suggest(ctx, name.String()); err == nil {
		for _, s := range found {
			near = append(near, s.Name)
		}
	}
	if found, err := c.Candidates(ctx, name.Base); err == nil {
		for _, p := range found {
			near = append(near, p.Name)
		}
	}
	seen := map[string]bool{name.String(): true}
	for _, n := range near {
		if !seen[n] && len(seen) <= 3 {
			seen[n] = true
			e.Fix("did you mean %s?", n)
		}
	}
	return e.Fix("clyde search %s", name.Base)
}

// finish resolves the project as it was edited, and writes both files, or
// neither.
func (d *addition) finish(ctx context.Context, p *project, o resolveOptions, out changed) error {
	if err := p.parse(); err != nil {
		return err
	}
	old := p.lock
	if !d.noLock {
		res, err := p.resolve(ctx, o)
		if err != nil {
			return err
		}
		out.Lock = lockChanges(old, res.lock)
		if !d.dryRun {
			if err := p.writeBoth(res.lock); err != nil {
				return err
			}
		}
	} else if !d.dryRun {
		if err := writeWhole(p.path, p.data, 0o644); err != nil {
			return err
		}
	}
	a := d.app
	if a.json {
		if out.Lock == nil {
			out.Lock = []lockChange{}
		}
		return a.emit("change", out)
	}
	for _, r := range out.Requires {
		a.say("%s: %s %s", r.List, r.Name, r.Range)
	}
	for _, n := range out.Removed {
		a.say("%s is not required any more", n)
	}
	a.sayChanges(out.Lock, d.dryRun)
	return nil
}

// writeBoth writes the lock file and then package.yaml: a crash between the two
// leaves a lock file that is out of date, and says so.
func (p *project) writeBoth(l *resolve.Lock) error {
	if err := p.writeLock(l); err != nil {
		return err
	}
	return writeWhole(p.path, p.data, 0o644)
}

// sayChanges tells what became of the lock file.
func (a *app) sayChanges(changes []lockChange, dryRun bool) {
	for _, c := range changes {
		a.say("  %s", c)
	}
	switch {
	case dryRun:
		a.say("nothing was written: --dry-run")
	case len(changes) > 0:
		a.say("wrote %s: %s changed", lockName, plural(len(changes), "package"))
	}
}

func newRemove(a *app) *cobra.Command {
	d := &addition{app: a}
	cmd := &cobra.Command{
		Use:     "remove NAME...",
		Short:   "Require packages no longer",
		Long:    "Take packages out of requires of package.yaml, whose comments and order stay, and what nothing needs any more\nout of clyde.lock.",
		Example: "  clyde remove @acme/fmt\n  clyde remove --dev @acme/doctest",
		Args:    wants(1, -1),
		RunE:    func(cmd *cobra.Command, args []string) error { return d.remove(cmd.Context(), args) },
	}
	d.register(cmd)
	return cmd
}

func (d *addition) remove(ctx context.Context, args []string) error {
	list, err := d.list()
	if err != nil {
		return err
	}
	o, err := d.options()
	if err != nil {
		return err
	}
	p, err := d.app.project(d.dir)
	if err != nil {
		return err
	}
	names, err := fullNames(args)
	if err != nil {
		return err
	}
	out := changed{DryRun: d.dryRun}
	for _, n := range names {
		data, err := clyde.RemoveRequirement(p.data, list, n.String())
		if errors.Is(err, clyde.ErrNotFound) {
			return p.notRequired(n, list, err)
		}
		if err != nil {
			return err
		}
		p.data = data
		out.Removed = append(out.Removed, n.String())
	}
	return d.finish(ctx, p, o, out)
}

// notRequired says where a package is required that is not in a list.
func (p *project) notRequired(n clyde.Name, list string, err error) error {
	e := clyde.AsError(err)
	flags := map[resolve.Kind]string{resolve.Dev: " --dev", resolve.Build: " --build", resolve.Runtime: ""}
	for _, q := range p.root.Requires {
		if q.Name == n && string(q.Kind) != list {
			return e.Fix("clyde remove%s %s: it is in %s", flags[q.Kind], n, q.Kind)
		}
	}
	var have []string
	for _, q := range p.root.Requires {
		have = append(have, q.Name.String())
	}
	if len(have) == 0 {
		return e
	}
	return e.Fix("the project requires %s", strings.Join(have[:min(len(have), maxCandidates)], ", "))
}
