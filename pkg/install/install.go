package install

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/filelock"
	"github.com/clydepm/clyde-registry/pkg/generate"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// fetchesAtOnce is how many packages are fetched and unpacked side by side.
// Ours: what the connections of one client carry.
const fetchesAtOnce = 4

// DepsFolder is where a project's packages go, below its root: where the Clyde
// client looks for them.
const DepsFolder = "deps"

// How says how a package came to be in the store.
type How string

// The ways.
const (
	Stored   How = "stored"   // it was there
	Headers  How = "headers"  // nothing had to be built
	Compiled How = "source"   // built from source
	Fetched  How = "prebuilt" // a binary that fits this machine
)

// Signed is what is known of a package's signatures, as a lock file keeps it;
// zero where nobody asked.
type Signed struct {
	By    string
	Level string
}

// Options says what to install, where, and how.
type Options struct {
	Project   string // root of the work tree; folders of local requirements count from here
	Deps      string // folder to fill; "" is DepsFolder in Project
	Lock      *resolve.Lock
	Platform  resolve.Platform
	Dev       bool   // with dev_requires
	NoBuild   bool   // nothing may be built from source
	BuildType string // "" is Release
	Jobs      int    // compilers at once; 0 is the number of processors
	Offline   bool   // nothing is fetched
	// AllowCollisions installs packages of which programs cannot link two.
	AllowCollisions bool
	Toolchain       Toolchain
	// CFlags and CXXFlags are what the user compiles C and C++ with besides, in
	// words: by them binaries are chosen, and what is built from source is built
	// with them, too.
	CFlags, CXXFlags []string

	// Origin says where a package of a registry is fetched from. Several
	// goroutines call it.
	Origin func(ctx context.Context, name clyde.Name, registry string) (Origin, error)
	// Check is asked about every package of a registry before anything of it
	// is used, and refuses with an error; "signed by" is remembered in Result.
	// Nil accepts all. Policy names what it asks for: another Policy asks anew.
	Check  func(ctx context.Context, name clyde.Name, p *resolve.LockedPackage) (Signed, error)
	Policy string
	// Prebuilt is asked for a binary before a package is built. Nil has none.
	Prebuilt Prebuilt
	// Generate writes the files of build systems once the packages are there,
	// and returns their slash paths below the deps folder.
	Generate func(generate.Project) (written []string, err error)

	// Begin is told of every transfer; nil is told nothing.
	Begin func(label string, total int64) (add func(delta int64), end func(ok bool))
	// Say is told what is going on, a line each, by several goroutines; nil:
	// silence.
	Say func(format string, args ...any)
	Log io.Writer // output of builds as it comes, one build at a time; nil: only to their logs

	maxTime time.Duration // MaxBuildTime, but in tests
	maxLog  int64         // MaxBuildLog, but in tests
}

// Result is what an installation did.
type Result struct {
	Deps     string    // folder, absolute
	Packages []Package // those that others need first
	Removed  []string  // packages that were there and are not needed any more
	Current  bool      // there was nothing to do
}

// Package is one package of a Result.
type Package struct {
	Name    clyde.Name
	Version clyde.Version
	Digest  string // of the manifest; "" of a local one
	Dir     string // slash path below Deps
	How     How
	Change  Change
	Signed  Signed
	Build   resolve.LockedBuild `json:",omitzero"` // the binary, where How once was Fetched
}

// Change says what happened to a package's folder.
type Change string

// The changes.
const (
	Kept    Change = "kept"
	Added   Change = "added"
	Updated Change = "updated"
)

type installer struct {
	o      *Options
	store  *Store
	byName map[clyde.Name]*pkg
	order  []*pkg // those that others need first
	signed map[clyde.Name]Signed
}

// Run makes the deps folder hold what the lock file says, for one platform, and
// nothing else that an earlier Run put there. It changes a package's folder
// whole or not at all; what fails leaves the others as they are, and running it
// again goes on from there. Errors about packages are *clyde.Error.
func Run(ctx context.Context, s *Store, o Options) (_ *Result, err error) {
	o.setDefaults()
	if err := noLinks(o.Deps); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(o.Deps, stateFolder), 0o755); err != nil {
		return nil, err
	}
	mine, err := filelock.Lock(ctx, filepath.Join(o.Deps, stateFolder, "lock"), false, func() { o.Say("waiting for another clyde that installs here") })
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, mine.Close()) }()
	release, err := s.use(ctx, func() { o.Say("waiting for a clyde that cleans the store") })
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, release()) }()

	in := &installer{o: &o, store: s, signed: map[clyde.Name]Signed{}}
	if err := in.graph(); err != nil {
		return nil, err
	}
	print := in.fingerprint()
	if res := in.current(print); res != nil {
		return res, nil
	}
	if err := in.fetch(ctx); err != nil {
		return nil, err
	}
	if err := in.buildAll(ctx); err != nil {
		return nil, err
	}
	if err := in.guard(); err != nil {
		return nil, err
	}
	return in.lay(print)
}

func (o *Options) setDefaults() {
	if o.Deps == "" {
		o.Deps = filepath.Join(o.Project, DepsFolder)
	}
	if o.BuildType == "" {
		o.BuildType = Release
	}
	if o.Jobs <= 0 {
		o.Jobs = runtime.NumCPU()
	}
	if o.maxTime == 0 {
		o.maxTime = MaxBuildTime
	}
	if o.maxLog == 0 {
		o.maxLog = MaxBuildLog
	}
	if o.Begin == nil {
		o.Begin = func(string, int64) (func(int64), func(bool)) { return func(int64) {}, func(bool) {} }
	}
	if o.Say == nil {
		o.Say = func(string, ...any) {}
	}
	if o.Generate == nil {
		o.Generate = func(generate.Project) ([]string, error) { return nil, nil }
	}
}

func (in *installer) waiting(p *pkg) func() {
	return func() { in.o.Say("waiting for another clyde that has %s in hand", p) }
}

// graph finds what the project needs on its platform.
func (in *installer) graph() error {
	all := resolve.Want{Platform: &in.o.Platform, Dev: in.o.Dev}
	linked := all
	linked.NoBuild = true
	in.byName = map[clyde.Name]*pkg{}
	for _, n := range in.o.Lock.Needed(all) {
		p := &pkg{name: n, locked: in.o.Lock.Packages[n]}
		in.byName[n], in.order = p, append(in.order, p)
	}
	for _, n := range in.o.Lock.Needed(linked) {
		in.byName[n].linked = true
	}
	for _, e := range in.o.Lock.Edges(clyde.Name{}, linked) {
		in.byName[e.Name].direct = true
	}
	built := map[*pkg]bool{}
	for _, p := range in.order {
		for _, e := range in.o.Lock.Edges(p.name, all) {
			d := in.byName[e.Name]
			if !built[d] {
				return clyde.Errorf(clyde.ErrConflict, "%s and %s require each other, so that neither can be built first", p.name, d.name).WithCode("circle").
					Fix("ask their publishers to take what both need into a package of its own")
			}
			if e.Kind == resolve.Build {
				p.tools = append(p.tools, d)
			} else {
				p.deps = append(p.deps, d)
			}
		}
		built[p] = true
	}
	return nil
}

// fetch reads what every package says about itself, several at a time, and
// unpacks those that will not come out of the store.
func (in *installer) fetch(ctx context.Context) error {
	errs := make([]error, len(in.order))
	signed := make([]Signed, len(in.order))
	// One failure does not end the others, so that the error is the same each
	// time: that of the first in order.
	var all errgroup.Group
	all.SetLimit(fetchesAtOnce)
	for i, p := range in.order {
		all.Go(func() error {
			if in.o.Check != nil && p.locked.Local == "" {
				if signed[i], errs[i] = in.o.Check(ctx, p.name, p.locked); errs[i] != nil {
					return nil
				}
			}
			errs[i] = in.describe(ctx, p)
			return nil
		})
	}
	_ = all.Wait()
	if err := firstOf(ctx, errs); err != nil {
		return err
	}
	for i, p := range in.order {
		in.signed[p.name] = signed[i]
	}
	if err := in.preferBuilds(ctx); err != nil {
		return err
	}
	// Keys are known now: what is in the store needs no source.
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(fetchesAtOnce)
	for i, p := range in.order {
		if _, err := in.store.Entry(Built, in.key(p)); err == nil || p.prebuilt != nil {
			continue
		}
		g.Go(func() error {
			_, errs[i] = in.tree(gctx, p)
			return errs[i]
		})
	}
	_ = g.Wait()
	return firstOf(ctx, errs)
}

// firstOf returns the first error that is not the others' being given up.
func firstOf(ctx context.Context, errs []error) error {
	var given error
	for _, err := range errs {
		if err != nil && !(errors.Is(err, context.Canceled) && ctx.Err() == nil) {
			return err
		}
		given = errors.Join(given, err)
	}
	return given
}

// fingerprint covers everything that decides what the deps folder holds, and
// the presets beside it, but for the contents of local folders. Where it and the folders are as the last
// Run left them there is nothing to do. It is "" where that cannot be known.
func (in *installer) fingerprint() string {
	for _, p := range in.order {
		if p.locked.Local != "" {
			return ""
		}
	}
	type one struct {
		Name   clyde.Name
		Digest string
		Source string            // where from, and the archive: a lock file with another is looked at anew
		Traits map[string]string `json:",omitempty"` // one from a file has no empty maps
		Linked bool
		Direct bool
		Deps   []clyde.Name
	}
	doc := struct {
		Format                   int
		Platform                 resolve.Platform
		BuildType, Stamp, Policy string
		Flags                    []string
		FromSource               bool
		Presets                  bool
		Packages                 []one
	}{stateVersion, in.o.Platform, in.o.BuildType, in.o.Toolchain.Stamp, in.o.Policy, in.o.flags(), in.o.Prebuilt == nil, generate.PresetsWanted(in.o.Deps), nil}
	for _, p := range in.order {
		o := one{p.name, p.locked.Digest, p.locked.Registry + " " + p.locked.Checksum, p.locked.Traits, p.linked, p.direct, nil}
		for _, d := range slices.Concat(p.deps, p.tools) {
			o.Deps = append(o.Deps, d.name)
		}
		doc.Packages = append(doc.Packages, o)
	}
	return sumJSON(doc)
}

func sumJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // text and numbers always encode
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// keyFormat changes when the same inputs are built in another way.
const keyFormat = 1

// key names the built tree of a package by all that goes into it. Headers alone
// are the same for every compiler.
func (in *installer) key(p *pkg) string {
	if p.key != "" {
		return p.key
	}
	type dep struct{ Name, Key string }
	doc := struct {
		Format          int
		Name            clyde.Name
		Archive, Config string
		System          string
		Platform        resolve.Platform
		Toolchain       Toolchain
		BuildType       string
		Traits          map[string]string `json:",omitempty"`
		Flags           []string          `json:",omitempty"`
		SDK             []string          `json:",omitempty"`
		Deps            []dep
	}{Format: keyFormat, Name: p.name, Archive: p.archive.Digest.String(), Config: sumBytes(p.config), Traits: p.locked.Traits}
	switch {
	case p.headersOnly():
	case p.prebuilt != nil:
		doc.System = "prebuilt " + p.prebuilt.Tree.Digest.String()
	default:
		doc.System = p.manifest.Build.System
		doc.Platform, doc.Toolchain, doc.BuildType = in.o.Platform, in.o.Toolchain, in.o.BuildType
		doc.Flags, doc.SDK = in.o.flags(), passed("SDKROOT", "DEVELOPER_DIR", "MACOSX_DEPLOYMENT_TARGET")
		for _, d := range slices.Concat(p.deps, p.tools) {
			doc.Deps = append(doc.Deps, dep{d.name.String(), in.key(d)})
		}
	}
	p.key = sumJSON(doc)
	return p.key
}

// flags are all that the user compiles with, in one list; nil where there is
// nothing.
func (o *Options) flags() []string {
	if len(o.CFlags)+len(o.CXXFlags) == 0 {
		return nil
	}
	return slices.Concat(o.CFlags, []string{"c++:"}, o.CXXFlags)
}

func sumBytes(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// buildAll puts what the packages install into the store: those side by side
// that do not need each other, with as many compilers in all as Jobs says.
func (in *installer) buildAll(ctx context.Context) error {
	jobs := in.o.Jobs
	for _, level := range in.levels() {
		compiled := 0
		for _, p := range level {
			if _, err := in.store.Entry(Built, in.key(p)); err != nil && !p.headersOnly() && p.prebuilt == nil {
				compiled++
			}
		}
		each := max(1, jobs/max(1, compiled))
		errs := make([]error, len(level))
		g, gctx := errgroup.WithContext(ctx)
		if g.SetLimit(jobs); in.o.Log != nil {
			g.SetLimit(1) // whoever reads along reads one after the other
		}
		for i, p := range level {
			g.Go(func() error {
				if errs[i] = gctx.Err(); errs[i] == nil {
					errs[i] = in.build(gctx, p, each)
				}
				return errs[i]
			})
		}
		_ = g.Wait()
		if err := firstOf(ctx, errs); err != nil {
			return err
		}
	}
	return nil
}

// levels groups the packages so that each needs only those of groups before it.
func (in *installer) levels() [][]*pkg {
	var out [][]*pkg
	depth := map[*pkg]int{}
	for _, p := range in.order {
		d := 0
		for _, q := range slices.Concat(p.deps, p.tools) {
			d = max(d, depth[q]+1)
		}
		if depth[p] = d; d == len(out) {
			out = append(out, nil)
		}
		out[d] = append(out[d], p)
	}
	return out
}

// build puts the built tree of a package into the store, if it is not there.
func (in *installer) build(ctx context.Context, p *pkg, jobs int) (err error) {
	e := Entry{Kind: Built, Key: in.key(p), Label: p.String()}
	switch {
	case p.headersOnly():
	case p.prebuilt != nil:
		e.Label += " (prebuilt)"
	default:
		e.Label += " (" + in.o.BuildType + ", " + in.o.Toolchain.String() + ")"
	}
	p.how = Stored
	p.entry, _, err = in.store.made(ctx, e, in.waiting(p), func(files string) error {
		if p.headersOnly() {
			p.how = Headers
			return in.headers(ctx, p, files)
		}
		if p.prebuilt != nil {
			p.how = Fetched
			return in.unpackBuild(ctx, p, files)
		}
		p.how = Compiled
		return in.compile(ctx, p, jobs, e.Key, files)
	})
	if errors.Is(err, fs.ErrNotExist) && clyde.AsError(err) == nil {
		return damaged(p.String(), err.Error())
	}
	return err
}
