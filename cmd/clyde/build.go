package main

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/binary"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/compat"
	"github.com/clydepm/clyde-registry/pkg/generate"
	"github.com/clydepm/clyde-registry/pkg/install"
	"github.com/clydepm/clyde-registry/pkg/resolve"
	"github.com/clydepm/clyde-registry/pkg/toolchain"
)

// buildRun is one run of clyde build.
type buildRun struct {
	app       *app
	pack      packFlags
	prefix    string // what another tool installed
	output    string
	buildType string
	linkage   string
	traits    []string
	jobs      int
	publish   bool
	noDebug   bool

	parts []install.Part // what it was built with
	tools *toolchain.Toolchain
}

// builtJSON is what build prints with --json.
type builtJSON struct {
	Name      string        `json:"name"`
	Version   string        `json:"version"`
	Tag       string        `json:"tag"`
	ABIID     string        `json:"abi_id"`
	Digest    string        `json:"digest"`
	Size      int64         `json:"size"` // bytes, compressed
	Layout    string        `json:"layout,omitempty"`
	Published bool          `json:"published"`
	Facts     *compat.Facts `json:"facts"`
}

func newBuild(a *app) *cobra.Command {
	b := buildRun{app: a}
	cmd := &cobra.Command{
		Use:   "build [DIR]",
		Short: "Make a binary build of a package for this machine",
		Long: "Build the package in DIR (default: here) from the source that would be published, measure what its files\n" +
			"say of themselves, and write the build as an OCI image layout, or attach it to the published version with\n" +
			"--publish. --prefix packages what another tool installed there instead of building. Compilers and flags\n" +
			"are those of CC, CXX, CFLAGS and CXXFLAGS. What is measured is not declared: see docs/builds.md.",
		Example: "  clyde build\n  clyde build --publish\n  clyde build --prefix /tmp/install --linkage shared -o fastjson.build",
		Args:    wants(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return b.run(cmd.Context(), append(args, ".")[0])
		},
	}
	b.pack.register(cmd)
	f := cmd.Flags()
	f.StringVar(&b.prefix, "prefix", "", "package the files installed in this directory; build nothing")
	f.StringVarP(&b.output, "output", "o", "", "write the image layout into this new directory (default: NAME-TAG.build)")
	f.StringVar(&b.buildType, "build-type", compat.DefaultBuildType, "Release, RelWithDebInfo, MinSizeRel or Debug")
	f.StringVar(&b.linkage, "linkage", compat.Static, "what to build: static or shared")
	f.StringArrayVar(&b.traits, "trait", nil, "build with a trait other than its default: name=value; may be repeated")
	f.IntVar(&b.jobs, "jobs", runtime.NumCPU(), "compilers at once")
	f.BoolVar(&b.publish, "publish", false, "attach the build to the published version; nothing is written")
	f.BoolVar(&b.noDebug, "no-debug-symbols", false, "leave debug symbols out instead of shipping them in a layer of their own")
	return cmd
}

func (b *buildRun) run(ctx context.Context, dir string) (err error) {
	a := b.app
	w := wantFlags{linkage: b.linkage, traits: b.traits}
	want, err := w.want()
	if err != nil {
		return err
	}
	packed, err := a.packChecked(ctx, dir, b.pack)
	if err != nil {
		return err
	}
	defer packed.Close()
	config, err := readBlob(packed.Config)
	if err != nil {
		return err
	}
	m, ps := clyde.ParseManifest(config)
	if err := ps.Err("package.yaml"); err != nil {
		return err
	}
	if err := knowsTraits(m, want); err != nil {
		return err
	}
	traits := traitsOf(m, want)
	if b.prefix != "" {
		return b.finish(ctx, dir, b.prefix, packed, m, traits)
	}
	return b.make(ctx, dir, packed, m, traits, func(prefix string, parts []install.Part) error {
		b.parts = parts
		return b.finish(ctx, dir, prefix, packed, m, traits)
	})
}

// finish packages what is installed in prefix.
func (b *buildRun) finish(ctx context.Context, dir, prefix string, packed *artifact.Packed, m *clyde.Manifest, traits map[string]string) (err error) {
	a := b.app
	deps, err := b.deps(ctx, dir, m)
	if err != nil {
		return err
	}
	f, err := b.facts(ctx, prefix, m, packed.Layers[0].Descriptor.Digest.String(), traits, deps)
	if err != nil {
		return err
	}
	f.Builder = builder()
	o := artifact.BuildOptions{Name: packed.Name, Version: packed.Version, Subject: packed.Descriptor, Facts: f}
	if o.Epoch, err = sourceDateEpoch(); err != nil {
		return err
	}
	if b.prefix == "" && !b.noDebug {
		tmp, err := os.MkdirTemp("", "clyde-debug-*")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
		if o.Debug, err = splitDebug(ctx, prefix, tmp); err != nil {
			return err
		}
	}
	if b.publish {
		if o.Subject, err = a.subject(ctx, packed.Name, packed.Version.String(), f.SourceDigest); err != nil {
			return err
		}
	}
	build, err := artifact.PackBuild(ctx, prefix, o)
	if err != nil {
		return err
	}
	defer build.Close()
	tag := f.Tag(packed.Version.String())
	if b.publish {
		err = b.attach(ctx, build, tag)
		b.output = ""
	} else {
		b.output = cmp.Or(b.output, packed.Name.Base+"-"+tag+".build")
		err = writeLayout(b.output, build, tag)
	}
	if err != nil {
		return err
	}
	return a.showBuilt(build, f, tag, b.output)
}

// make builds the packed source, and nothing else of dir, as installing it
// would, with what the lock file says, and the user's flags.
func (b *buildRun) make(ctx context.Context, dir string, packed *artifact.Packed, m *clyde.Manifest, traits map[string]string, use func(prefix string, parts []install.Part) error) error {
	a := b.app
	store, err := a.store()
	if err != nil {
		return err
	}
	o := install.Options{BuildType: b.buildType, Jobs: b.jobs, Generate: generate.Write, Say: a.say, Origin: (&origins{a: a}).find, Log: a.stderr}
	if err := compileWith(ctx, store, &o); err != nil {
		return err
	}
	o.Platform = o.Toolchain.Platform()
	if len(m.Requires)+len(m.BuildRequires) > 0 {
		p, err := a.project(dir)
		if err != nil {
			return err
		}
		res, err := p.resolve(ctx, resolveOptions{})
		if err != nil {
			return err
		}
		o.Project, o.Lock = p.dir, res.lock
	}
	return install.Make(ctx, store, o, install.Made{Packed: packed, Traits: traits, Shared: b.linkage == compat.Shared}, use)
}

// knowsTraits refuses a trait that the package does not have: the build would be
// another than was asked for.
func knowsTraits(m *clyde.Manifest, want compat.Want) error {
	for _, name := range slices.Sorted(maps.Keys(want.Traits)) {
		if slices.ContainsFunc(m.Traits, func(t clyde.Trait) bool { return t.Name == name }) {
			continue
		}
		e := usagef("%s has no trait %s", m.Name, name)
		if name == "shared" {
			e = e.fix("--linkage shared builds a shared library")
		}
		return e.fix("declare it under traits in package.yaml, and publish a version that has it")
	}
	return nil
}

// traitsOf returns every trait with its value: the one asked for, else its
// default.
func traitsOf(m *clyde.Manifest, want compat.Want) map[string]string {
	all := map[string]string{}
	for _, t := range m.Traits {
		all[t.Name] = cmp.Or(want.Traits[t.Name], t.Default)
	}
	return all
}

// facts says what the files in prefix are, as far as they tell, and how they
// were made.
func (b *buildRun) facts(ctx context.Context, prefix string, m *clyde.Manifest, source string, traits map[string]string, deps []compat.Dep) (*compat.Facts, error) {
	f := &compat.Facts{Schema: compat.Version, Language: cmp.Or(m.Language, compat.C), SourceDigest: source, Traits: traits, Deps: deps}
	for _, t := range m.Traits {
		if t.ABI {
			f.ABITraits = append(f.ABITraits, t.Name)
		}
	}
	slices.Sort(f.ABITraits)
	report, err := binary.MeasureFS(os.DirFS(prefix))
	if err != nil {
		return nil, err
	}
	if report.Linkage() == compat.Headers {
		f.OS, f.Arch, f.Linkage, f.PIC = compat.Any, compat.Any, compat.Headers, true
		return f, nil
	}
	t := b.tools
	if t == nil {
		found, err := toolchain.Compilers(ctx, toolchain.Options{})
		if err != nil {
			return nil, err
		}
		t, b.tools = &found, &found
	}
	h := t.Host
	f.OS, f.Arch, f.CPUBaseline, f.Libc.Family, f.Compiler, f.BuildType = h.OS, h.Arch, t.Baseline, h.Libc.Family, h.Compiler, b.buildType
	f.Sanitizers, f.ABIDefines, f.CStd = h.Sanitizers, h.ABIDefines, m.Standard.C
	if f.Language == compat.CPP {
		f.CXXStdlib = compat.CXXStdlib{Family: h.CXXStdlib.Family, ABI: h.CXXStdlib.ABI}
		f.Exceptions, f.RTTI, f.StdlibDebug, f.CXXStd = h.Exceptions, h.RTTI, h.StdlibDebug, m.Standard.CXX
	}
	f.Flags = slices.Concat(strings.Fields(os.Getenv("CFLAGS")), strings.Fields(os.Getenv("CXXFLAGS")), m.Build.Args)
	if err := t.Since(ctx, report, f); err != nil {
		return nil, err
	}
	report.Fill(f)
	return f, report.Check(f)
}

// deps lists what the package was built with. Of what was built for this, the
// binary interface is that of a build made of it here and now; of a package
// that another tool installed it is what the lock file says, where it does.
func (b *buildRun) deps(ctx context.Context, dir string, m *clyde.Manifest) ([]compat.Dep, error) {
	known := map[clyde.Name]compat.Dep{}
	for _, p := range b.parts {
		f, err := b.facts(ctx, p.Dir, p.Manifest, p.Source, traitsOf(p.Manifest, compat.Want{Traits: p.Traits}), pick(p.Requires, known))
		if err != nil {
			return nil, err
		}
		d := compat.Dep{Name: p.Name.String(), Version: p.Version.String()}
		if f.Linkage != compat.Headers {
			d.ABIID = f.ABIID()
		}
		known[p.Name] = d
	}
	if b.prefix != "" && len(m.Requires) > 0 {
		p, err := b.app.project(dir)
		if err != nil || p.lock == nil {
			return nil, err
		}
		t, err := toolchain.Compilers(ctx, toolchain.Options{})
		if err != nil {
			return nil, err
		}
		here := resolve.Platform{OS: t.Host.OS, Arch: t.Host.Arch, Libc: t.Host.Libc.Family, Compiler: t.Host.Compiler.Family}
		for name, q := range p.lock.Packages {
			known[name] = compat.Dep{Name: name.String(), Version: q.Version.String(), ABIID: q.Builds[here.String()].ABI}
		}
	}
	var direct []clyde.Name
	for _, r := range m.Requires {
		for name := range known {
			if r.Name == name.String() {
				direct = append(direct, name)
			}
		}
	}
	return pick(direct, known), nil
}

// pick returns those of known that are named, by name.
func pick(names []clyde.Name, known map[clyde.Name]compat.Dep) []compat.Dep {
	var out []compat.Dep
	for _, n := range names {
		if d, ok := known[n]; ok {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(x, y compat.Dep) int { return strings.Compare(x.Name, y.Name) })
	return out
}

// builder says who builds, by what CI providers say of themselves.
func builder() compat.Builder {
	b := compat.Builder{ID: "clyde/" + thisBuild().Version}
	if server, repo := os.Getenv("GITHUB_SERVER_URL"), os.Getenv("GITHUB_REPOSITORY"); server != "" && repo != "" {
		b.Repository, b.Revision = server+"/"+repo, os.Getenv("GITHUB_SHA")
		b.Run = b.Repository + "/actions/runs/" + os.Getenv("GITHUB_RUN_ID")
	} else if url := os.Getenv("CI_PROJECT_URL"); url != "" {
		b.Repository, b.Revision, b.Run = url, os.Getenv("CI_COMMIT_SHA"), os.Getenv("CI_JOB_URL")
	}
	return b
}

// splitDebug moves the debug symbols of libraries and programs in prefix to
// the same paths below debug, with ".debug" behind, and returns debug; "" where
// there is nothing to move or nothing to move it with. Archives keep theirs.
func splitDebug(ctx context.Context, prefix, debug string) (string, error) {
	report, err := binary.MeasureFS(os.DirFS(prefix))
	if err != nil {
		return "", err
	}
	objcopy, err := exec.LookPath("objcopy")
	if err != nil {
		return "", nil
	}
	found := ""
	for _, m := range report.Files {
		if !m.DebugInfo || m.Format != "elf" || m.Kind != binary.Shared && m.Kind != binary.Executable {
			continue
		}
		from, to := filepath.Join(prefix, filepath.FromSlash(m.Path)), filepath.Join(debug, filepath.FromSlash(m.Path)+".debug")
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return "", err
		}
		for _, args := range [][]string{{"--only-keep-debug", from, to}, {"--strip-debug", "--add-gnu-debuglink=" + to, from}} {
			if out, err := exec.CommandContext(ctx, objcopy, args...).CombinedOutput(); err != nil {
				return "", clyde.Errorf(install.ErrBuild, "objcopy cannot split the debug symbols of %s: %s", m.Path, clean(string(out))).WithCode("build_failed").
					Because(err).Fix("clyde build --no-debug-symbols")
			}
		}
		found = debug
	}
	return found, nil
}

func describeBuild(build *artifact.Packed, f *compat.Facts, tag string) builtJSON {
	out := builtJSON{Name: build.Name.String(), Version: build.Version.String(), Tag: tag, ABIID: f.ABIID(), Digest: build.Descriptor.Digest.String(), Facts: f}
	for _, l := range build.Layers {
		out.Size += l.Descriptor.Size
	}
	return out
}

func (a *app) showBuilt(build *artifact.Packed, f *compat.Facts, tag, layout string) error {
	out := describeBuild(build, f, tag)
	out.Layout, out.Published = layout, layout == ""
	if a.json {
		return a.emit("build", out)
	}
	verb := "built"
	if out.Published {
		verb = "attached"
	}
	a.say("%s %s %s for %s", verb, out.Name, out.Version, clean(strings.Join([]string{f.OS, f.Arch, f.Linkage}, " ")))
	rows := [][2]string{{"tag", tag}, {"abi_id", out.ABIID}, {"digest", out.Digest}, {"size", size(out.Size)}}
	if f.Libc.Min != "" {
		rows = append(rows, [2]string{"needs", f.Libc.Family + " " + f.Libc.Min})
	}
	if layout != "" {
		rows = append(rows, [2]string{"layout", layout})
	}
	return a.keyValues(rows)
}
