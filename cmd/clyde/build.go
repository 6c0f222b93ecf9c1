package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/binary"
	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/compat"
	"github.com/clydepm/clyde-registry/pkg/install"
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
	tmp, err := os.MkdirTemp("", "clyde-build-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	prefix := b.prefix
	if prefix == "" {
		prefix = filepath.Join(tmp, "prefix")
		if err := b.compile(ctx, dir, tmp, prefix, packed, m, want); err != nil {
			return err
		}
	}
	f, err := b.facts(ctx, dir, prefix, packed, m, want)
	if err != nil {
		return err
	}
	o := artifact.BuildOptions{Name: packed.Name, Version: packed.Version, Subject: packed.Descriptor, Facts: f}
	if o.Epoch, err = sourceDateEpoch(); err != nil {
		return err
	}
	if b.prefix == "" && !b.noDebug {
		if o.Debug, err = splitDebug(ctx, prefix, filepath.Join(tmp, "debug")); err != nil {
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
		err = a.attach(ctx, build, tag)
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

// compile builds the packed source, and nothing else of dir, into prefix.
func (b *buildRun) compile(ctx context.Context, dir, tmp, prefix string, packed *artifact.Packed, m *clyde.Manifest, want compat.Want) error {
	src, out := filepath.Join(tmp, "src"), filepath.Join(tmp, "out")
	for _, d := range []string{out, prefix} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return err
		}
	}
	source := packed.Layers[0]
	r, err := source.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := artifact.Unpack(r, source.Descriptor.MediaType, src, artifact.Limits{}); err != nil {
		return err
	}
	s := sourceBuild{m: m, src: src, out: out, prefix: prefix, buildType: b.buildType, shared: want.Linkage == compat.Shared, log: b.app.stderr, jobs: max(b.jobs, 1)}
	if deps, err := filepath.Abs(filepath.Join(dir, "deps")); err == nil {
		if info, err := os.Stat(deps); err == nil && info.IsDir() {
			s.deps = deps
		}
	}
	return s.run(ctx)
}

// facts says what the files in prefix are, as far as they tell, and how they
// were made.
func (b *buildRun) facts(ctx context.Context, dir, prefix string, packed *artifact.Packed, m *clyde.Manifest, want compat.Want) (*compat.Facts, error) {
	f := &compat.Facts{Schema: compat.Version, Language: cmp.Or(m.Language, compat.C), SourceDigest: packed.Layers[0].Descriptor.Digest.String(), Traits: map[string]string{}}
	for _, t := range m.Traits {
		f.Traits[t.Name] = t.Default
		if v, ok := want.Traits[t.Name]; ok {
			f.Traits[t.Name] = v
		}
		if t.ABI {
			f.ABITraits = append(f.ABITraits, t.Name)
		}
	}
	slices.Sort(f.ABITraits)
	f.Builder = builder()
	report, err := binary.MeasureFS(os.DirFS(prefix))
	if err != nil {
		return nil, err
	}
	if report.Linkage() == compat.Headers {
		f.OS, f.Arch, f.Linkage, f.PIC = compat.Any, compat.Any, compat.Headers, true
		return f, nil
	}
	t, err := toolchain.Compilers(ctx, toolchain.Options{})
	if err != nil {
		return nil, err
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
	if err := b.deps(dir, f); err != nil {
		return nil, err
	}
	return f, report.Check(f)
}

// deps lists what the lock file says the package was built with.
func (b *buildRun) deps(dir string, f *compat.Facts) error {
	p, err := b.app.project(dir)
	if err != nil || p.lock == nil {
		return err
	}
	for name, q := range p.lock.Packages {
		for _, r := range p.manifest.Requires {
			if r.Name == name.String() {
				f.Deps = append(f.Deps, compat.Dep{Name: r.Name, Version: q.Version.String()})
			}
		}
	}
	slices.SortFunc(f.Deps, func(x, y compat.Dep) int { return strings.Compare(x.Name, y.Name) })
	return nil
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

// subject finds the published version that a build is of, which must be of
// the same source.
func (a *app) subject(ctx context.Context, name clyde.Name, version, source string) (ocispec.Descriptor, error) {
	s, err := a.site(ctx)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if err := a.exchange(ctx, s, name); err != nil {
		return ocispec.Descriptor{}, err
	}
	oc, err := a.oci(s.at)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	d, err := oc.Resolve(ctx, s.at.repo(name), version)
	if errors.Is(err, clyde.ErrNotFound) {
		return d, clyde.Errorf(clyde.ErrNotFound, "%s %s is not published, and a build belongs to a version that is", name, version).WithCode("version_unknown").
			Fix("clyde publish")
	}
	if err != nil {
		return d, err
	}
	payload, _, err := oc.Manifest(ctx, s.at.repo(name), d.Digest)
	if err != nil {
		return d, err
	}
	m, err := artifact.ParsePackage(payload)
	if err != nil {
		return d, err
	}
	if have := m.Source.Digest.String(); have != source {
		return d, clyde.Errorf(clyde.ErrConflict, "the build is of the source %s; %s %s was published from %s", source, name, version, have).WithCode("source_differs").
			Fix("build from the tree that was published: clyde pull %s@%s", name, version).Fix("or raise version in package.yaml and publish that")
	}
	return ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}, nil
}

// attach pushes a build under its tag.
func (a *app) attach(ctx context.Context, build *artifact.Packed, tag string) error {
	s, err := a.site(ctx)
	if err != nil {
		return err
	}
	if err := a.needLogin(ctx, s); err != nil {
		return err
	}
	oc, err := a.oci(s.at)
	if err != nil {
		return err
	}
	err = a.push(ctx, oc, s.at.repo(build.Name), build, []string{tag})
	if err == nil && s.hasAPI {
		return a.until(ctx, tag, func(ctx context.Context, c *client.Client) (bool, error) {
			all, err := c.Builds(ctx, build.Name, build.Version.String())
			return slices.ContainsFunc(all, func(b client.Build) bool { return b.Digest == build.Descriptor.Digest.String() }), err
		})
	}
	if e := clyde.AsError(err); e != nil && (e.Code == "version_exists" || strings.Contains(e.Msg, "version_exists")) {
		return clyde.Errorf(clyde.ErrConflict, "%s", e.Msg).WithCode("version_exists").Because(err).
			Fix("nothing: there is a build for this kind of machine already (clyde builds %s)", build.Name)
	}
	return err
}

func (a *app) showBuilt(build *artifact.Packed, f *compat.Facts, tag, layout string) error {
	out := builtJSON{
		Name: build.Name.String(), Version: build.Version.String(), Tag: tag, ABIID: f.ABIID(), Digest: build.Descriptor.Digest.String(),
		Layout: layout, Published: layout == "", Facts: f,
	}
	for _, l := range build.Layers {
		out.Size += l.Descriptor.Size
	}
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
