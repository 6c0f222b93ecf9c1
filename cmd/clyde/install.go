package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/generate"
	"github.com/clydepm/clyde-registry/pkg/install"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// installFlags is what clyde install was told.
type installFlags struct {
	locked, frozen, offline  bool
	noBuild, noDev, dryRun   bool
	fromSource, explain      bool
	verbose, collisions      bool
	deps, platform, buildTyp string
	jobs                     int
	who                      policyFlags
}

// installed is one package in what install prints as JSON.
type installed struct {
	Name      string `json:"name"`
	Version   string `json:"version"`
	Digest    string `json:"digest,omitempty"`
	Directory string `json:"directory,omitempty"` // below deps; none of what others were built with
	How       string `json:"how,omitempty"`       // stored | headers | source | prebuilt
	Build     string `json:"build,omitempty"`     // digest of the build that was taken
	Change    string `json:"change,omitempty"`    // kept | added | updated
	SignedBy  string `json:"signed_by,omitempty"` // when somebody must have
}

func newInstall(a *app) *cobra.Command {
	var f installFlags
	cmd := &cobra.Command{
		Use:   "install [DIRECTORY]",
		Short: "Put what a project requires into its deps folder",
		Long: "Choose versions for what package.yaml requires, write clyde.lock, fetch and check the packages, and put\n" +
			"them into deps/@NAMESPACE/NAME, with files for CMake, pkg-config, Meson, Bazel and plain compilers beside\n" +
			"them. Where a published build fits this machine it is taken, else the source is built; --explain says of\n" +
			"each build that was not taken why. What is locked stays as it is; see clyde update.\n" +
			"Fetched and built packages are kept in a store that all projects share; see clyde cache.\n" +
			"Building runs what a package says, with an environment without your secrets; --no-build forbids it.",
		Example: "  clyde install\n  clyde install --locked\n  clyde install --build-type Debug --jobs 4\n  clyde install --frozen --key acme.pub",
		Args:    wants(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			return a.install(cmd.Context(), dir, f)
		},
	}
	fl := cmd.Flags()
	fl.BoolVar(&f.locked, "locked", false, "fail if clyde.lock would have to change")
	fl.BoolVar(&f.frozen, "frozen", false, "the same, and ask registries for nothing but what digests name")
	fl.BoolVar(&f.offline, "offline", false, "use what is in the cache and the store, and no network")
	fl.BoolVar(&f.noBuild, "no-build", false, "fail rather than build anything from source")
	fl.BoolVar(&f.fromSource, "from-source", false, "build everything from source, even where a published build fits")
	fl.BoolVar(&f.explain, "explain", false, "say of every published build why it is taken or not")
	fl.BoolVar(&f.noDev, "no-dev", false, "leave out dev_requires")
	fl.BoolVar(&f.collisions, "allow-collisions", false, "install packages that define the same symbols or have the same shared library")
	fl.StringVar(&f.platform, "platform", "", "install for another platform: OS-ARCH[-LIBC[-COMPILER]], as in linux-arm64-glibc; nothing is built for it")
	fl.StringVar(&f.deps, "deps", "", "folder to install into (default: deps beside package.yaml)")
	fl.StringVar(&f.buildTyp, "build-type", install.Release, "Release or Debug")
	fl.IntVar(&f.jobs, "jobs", 0, "compilers to run at once (default: one for each processor)")
	fl.BoolVarP(&f.dryRun, "dry-run", "n", false, "say what would change, and change nothing")
	fl.BoolVarP(&f.verbose, "verbose", "v", false, "show the output of builds while they run")
	f.who.registerOnline(cmd)
	return cmd
}

func (f *installFlags) check() error {
	if f.buildTyp != install.Release && f.buildTyp != install.Debug {
		return usagef("--build-type %q is neither Release nor Debug", f.buildTyp)
	}
	if f.noBuild && f.fromSource {
		return usagef("--no-build and --from-source together leave nothing to install")
	}
	if f.jobs < 0 {
		return usagef("--jobs %d: at least one has to work", f.jobs)
	}
	return nil
}

func (a *app) install(ctx context.Context, dir string, f installFlags) error {
	began := time.Now()
	if err := f.check(); err != nil {
		return err
	}
	j, err := a.judge(ctx, f.who)
	if err != nil {
		return err
	}
	p, err := a.project(dir)
	if err != nil {
		return err
	}
	store, err := a.store()
	if err != nil {
		return err
	}
	o := install.Options{
		Project: p.dir, Deps: f.deps, Dev: !f.noDev, NoBuild: f.noBuild, BuildType: f.buildTyp, Jobs: f.jobs, Offline: f.offline, AllowCollisions: f.collisions,
		Generate: generate.Write, Say: a.say,
	}
	if o.Deps == "" {
		o.Deps = filepath.Join(p.dir, install.DepsFolder)
	} else if o.Deps, err = filepath.Abs(o.Deps); err != nil {
		return err
	}
	if f.verbose {
		o.Log = a.stderr
	}
	if err := compileWith(ctx, store, &o); err != nil {
		return err
	}
	if err := setPlatform(&o, f.platform); err != nil {
		return err
	}
	res, err := p.resolve(ctx, resolveOptions{locked: f.locked, frozen: f.frozen, offline: f.offline})
	if err != nil {
		return err
	}
	o.Lock = res.lock
	if !f.frozen && !f.offline {
		defer a.yankedSince(ctx, res.lock)()
	}
	if f.dryRun {
		plan, err := install.Plan(o)
		if err != nil {
			return err
		}
		return a.showInstall(plan, res.changed, true, began)
	}
	if res.changed && !f.locked && !f.frozen {
		if err := p.writeLock(res.lock); err != nil {
			return err
		}
	}
	m := a.meters(ctx)
	at := &origins{a: a}
	o.Origin = at.find
	o.Begin = func(label string, total int64) (func(int64), func(bool)) {
		t := m.start(label, total)
		return t.add, t.end
	}
	if !f.fromSource {
		c := chooser{at: at, judge: j, tools: o.Toolchain, platform: o.Platform, foreign: f.platform != "", locked: f.locked || f.frozen, explain: f.explain}
		o.Prebuilt = c.find
	}
	if err := j.checks(ctx, &o, at); err != nil {
		return err
	}
	done, err := install.Run(ctx, store, o)
	m.wait()
	if failure, ok := errors.AsType[*install.Failure](err); ok && !f.verbose {
		for _, line := range failure.Tail {
			a.say("  %s", clean(line))
		}
	}
	if err != nil {
		return err
	}
	if f.explain {
		for _, p := range done.Packages {
			if p.How == install.Stored || done.Current {
				a.say("  %s %s is in the store; clyde builds %s@%s --explain judges its builds", p.Name, p.Version, p.Name, p.Version)
			}
		}
	}
	if !f.locked && !f.frozen && note(res.lock, done, o.Platform) {
		if err := p.writeLock(res.lock); err != nil {
			return err
		}
	}
	return a.showInstall(done, res.changed, false, began)
}

// compileWith takes the compilers and the flags that the environment names:
// those by which builds are chosen, and with which the rest is built.
func compileWith(ctx context.Context, s *install.Store, o *install.Options) (err error) {
	o.CFlags, o.CXXFlags = strings.Fields(os.Getenv("CFLAGS")), strings.Fields(os.Getenv("CXXFLAGS"))
	o.Toolchain, err = install.DetectToolchain(ctx, s)
	return err
}

// setPlatform is the platform of the compiler, or the one asked for.
func setPlatform(o *install.Options, asked string) error {
	o.Platform = o.Toolchain.Platform()
	if asked == "" {
		return nil
	}
	parts := strings.Split(asked, "-")
	if len(parts) < 2 || len(parts) > 4 || slices.Contains(parts, "") {
		return usagef("--platform %q is not OS-ARCH[-LIBC[-COMPILER]]", asked).fix("write it like %s", o.Platform)
	}
	other := resolve.Platform{OS: parts[0], Arch: parts[1]}
	if len(parts) > 2 {
		other.Libc = parts[2]
	}
	if len(parts) > 3 {
		other.Compiler = parts[3]
	}
	// The compiler here builds for its own platform.
	if other.OS != o.Platform.OS || other.Arch != o.Platform.Arch || other.Libc != "" && other.Libc != o.Platform.Libc {
		o.NoBuild = true
	}
	o.Platform = other
	return nil
}

// note notes in the lock who signed what was checked, and which builds were taken
// on a platform for which it names none; it reports whether that is news.
func note(l *resolve.Lock, done *install.Result, on resolve.Platform) (news bool) {
	for _, p := range done.Packages {
		q := l.Packages[p.Name]
		if q == nil {
			continue
		}
		if p.Signed.By != "" && (q.SignedBy != p.Signed.By || q.SignedLevel != p.Signed.Level) {
			q.SignedBy, q.SignedLevel, news = p.Signed.By, p.Signed.Level, true
		}
		if _, there := q.Builds[on.String()]; there || p.Build.Digest == "" || len(q.Builds) == resolve.MaxLockBuilds {
			continue
		}
		if q.Builds == nil {
			q.Builds = map[string]resolve.LockedBuild{}
		}
		q.Builds[on.String()], news = p.Build, true
	}
	return news
}

func (a *app) showInstall(r *install.Result, locked, dry bool, began time.Time) error {
	if a.json {
		out := struct {
			Deps     string      `json:"deps"`
			DryRun   bool        `json:"dry_run,omitempty"`
			Lock     string      `json:"lock"` // kept | changed
			Packages []installed `json:"packages"`
			Removed  []string    `json:"removed"`
		}{Deps: filepath.ToSlash(r.Deps), DryRun: dry, Lock: "kept", Packages: []installed{}, Removed: slices.Concat([]string{}, r.Removed)}
		if locked {
			out.Lock = "changed"
		}
		for _, p := range r.Packages {
			out.Packages = append(out.Packages, installed{p.Name.String(), p.Version.String(), p.Digest, p.Dir, string(p.How), p.Build.Digest, string(p.Change), p.Signed.By})
		}
		return a.emit("install", out)
	}
	changed := len(r.Removed)
	for _, p := range r.Packages {
		sign := map[install.Change]string{install.Added: "+", install.Updated: "~"}[p.Change]
		if sign == "" {
			continue
		}
		changed++
		how := map[install.How]string{install.Compiled: "built from source", install.Headers: "headers", install.Fetched: "prebuilt", install.Stored: "from the store"}[p.How]
		if err := a.printf("%s\n", strings.TrimSpace(fmt.Sprintf("%s %s %s  %s", sign, p.Name, p.Version, how))); err != nil {
			return err
		}
	}
	for _, name := range r.Removed {
		if err := a.printf("- %s\n", clean(name)); err != nil {
			return err
		}
	}
	n := plural(len(r.Packages), "package")
	switch {
	case dry:
		a.say("%s; nothing was changed", n)
	case changed == 0:
		a.say("%s in %s, all up to date; %s", n, r.Deps, round(time.Since(began)))
	default:
		a.say("%s in %s, %d changed; %s", n, r.Deps, changed, round(time.Since(began)))
	}
	return nil
}

// origins finds the registries that a lock file names.
type origins struct {
	a *app

	mu    sync.Mutex
	known map[string]origin // by what lock files call them, and namespace
}

type origin struct {
	at     address
	client *artifact.Client
}

// find returns where a package of a registry, as the lock file calls it, is
// fetched from: the one in use, the one that its namespace is bound to, or any
// other by its name. Whatever comes from there is named by its digest.
func (o *origins) find(ctx context.Context, name clyde.Name, registry string) (install.Origin, error) {
	at, err := o.locate(ctx, name, registry)
	return install.Origin{Client: at.client, Repo: at.at.repo(name)}, err
}

func (o *origins) locate(ctx context.Context, name clyde.Name, registry string) (origin, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := registry + " " + name.Namespace
	if at, ok := o.known[key]; ok {
		return at, nil
	}
	at, err := o.address(ctx, name, registry)
	if err != nil {
		return origin{}, err
	}
	c, err := o.a.oci(at)
	if err != nil {
		return origin{}, err
	}
	if o.known == nil {
		o.known = map[string]origin{}
	}
	o.known[key] = origin{at, c}
	return o.known[key], nil
}

func (o *origins) address(ctx context.Context, name clyde.Name, registry string) (address, error) {
	own, err := o.a.address()
	if err != nil {
		return own, err
	}
	if own.host == registry {
		s, err := o.a.site(ctx)
		return s.at, err
	}
	if bound := o.a.settings.Registries[name.Namespace]; bound != "" {
		at, err := parseAddress(bound)
		if err == nil && at.host == registry {
			return at, nil
		}
	}
	if s, err := o.a.site(ctx); err == nil {
		if at, err := s.of(name.Namespace); err != nil || at.host == registry {
			return at, err
		}
		if s.at.host == registry {
			return s.at, nil
		}
	}
	return parseAddress(registry)
}

// checks has an install ask j about every package, where there is something to
// ask: a policy, or what the lock file remembers. Without a network there is
// nobody to ask the latter, and nothing new to install.
func (j *judge) checks(ctx context.Context, o *install.Options, at *origins) (err error) {
	if j.policy != nil {
		o.Check = at.checker(j)
		o.Policy, err = policyText(ctx, j.who)
		return err
	}
	var known []string
	for _, name := range o.Lock.Names() {
		if p := o.Lock.Packages[name]; p.SignedBy != "" {
			known = append(known, name.String()+" "+p.SignedBy+" "+p.SignedLevel)
		}
	}
	switch {
	case len(known) == 0 && j.who.minAge <= 0:
	case o.Offline:
		j.app.say("%s signatures are not looked at again without a network", j.app.paint(j.app.stderr, yellow, "note:"))
	default:
		o.Check, o.Policy = at.checker(j), strings.Join(append(known, j.who.minAge.String()), "\n")
	}
	return nil
}

// checker returns a check that a package is signed as a policy, or its lock
// file, says.
func (o *origins) checker(j *judge) func(context.Context, clyde.Name, *resolve.LockedPackage) (install.Signed, error) {
	return func(ctx context.Context, name clyde.Name, p *resolve.LockedPackage) (install.Signed, error) {
		before := remembered(p)
		if j.policy == nil && before == nil && j.who.minAge <= 0 {
			return install.Signed{}, nil
		}
		at, err := o.locate(ctx, name, p.Registry)
		if err != nil {
			return install.Signed{}, err
		}
		l := located{at: at.at, repo: at.at.repo(name), name: name, version: p.Version.String()}
		if err := l.describe(ctx, at.client, p.Digest); err != nil {
			return install.Signed{}, err
		}
		d, err := j.admit(ctx, l, before)
		if err != nil || d == nil || len(d.Signers) == 0 {
			return install.Signed{}, err
		}
		return install.Signed{By: strings.Join(d.Signers, signersSep), Level: string(d.Level)}, nil
	}
}

// policyText tells one policy from another: what was checked under one is
// checked again under the next. It is empty where there is none.
func policyText(ctx context.Context, f policyFlags) (string, error) {
	text := []string{f.identity, f.issuer}
	if f.minAge > 0 {
		text = append(text, f.minAge.String())
	}
	if path := policyPath(f); path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return "", missing(path, err)
		}
		text = append(text, string(b))
	}
	keys, err := publicKeys(ctx, f.keys)
	for _, k := range keys {
		text = append(text, k.Fingerprint)
	}
	return strings.Trim(strings.Join(text, "\n"), "\n"), err
}
