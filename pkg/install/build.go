package install

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Bounds of building one package. Ours: several times what the largest
// libraries we know take on two cores.
const (
	MaxBuildTime = 2 * time.Hour
	MaxBuildLog  = 64 << 20 // bytes of output
)

// killDelay is how long what a cancelled build started may hold its output
// open before it is let go.
const killDelay = 5 * time.Second

// tailLines is how much of a failed build's output its error shows.
const tailLines = 20

// Build types, as CMake calls them.
const (
	Release        = "Release"
	Debug          = "Debug"
	RelWithDebInfo = "RelWithDebInfo"
	MinSizeRel     = "MinSizeRel"
)

// buildTypes is what the build types are to compilers and to Meson.
var buildTypes = map[string]struct{ flags, meson string }{
	Release:        {"-O2 -DNDEBUG", "release"},
	Debug:          {"-O0 -g", "debug"},
	RelWithDebInfo: {"-O2 -g -DNDEBUG", "debugoptimized"},
	MinSizeRel:     {"-Os -DNDEBUG", "minsize"},
}

// ErrBuild is the kind of a build that failed.
var ErrBuild = errors.New("build failed")

// builder builds one package in a scratch folder:
//
//	src/     a copy of the package's source, which it may write to
//	build/   for what builds outside of its source
//	prefix/  where it installs to
//	deps/    what it requires, as a project sees it
//	home/    HOME and TMPDIR
type builder struct {
	in      *installer
	p       *pkg
	needs   []*pkg // all that is linked with it, those that others need first
	scratch string
	src     string
	prefix  string
	log     *buildLog
	env     []string
	jobs    int
}

// compile builds p from source and moves what it installs to files.
func (in *installer) compile(ctx context.Context, p *pkg, jobs int, key, files string) (err error) {
	if in.o.NoBuild {
		return clyde.Errorf(ErrBuild, "%s would have to be built from source, and --no-build forbids it", p).WithCode("build_forbidden").
			Fix("run clyde install without --no-build").Fix("or ask its publisher for a build that fits this machine")
	}
	tree, err := in.tree(ctx, p)
	if err != nil {
		return err
	}
	b := &builder{in: in, p: p, needs: closure(p), jobs: jobs}
	if b.scratch, err = in.store.scratch("build"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.scratch)) }()
	b.src, b.prefix = filepath.Join(b.scratch, "src"), filepath.Join(b.scratch, "prefix")
	for _, dir := range []string{"src", "build", "prefix", "deps", "home"} {
		if err := os.Mkdir(filepath.Join(b.scratch, dir), 0o755); err != nil {
			return err
		}
	}
	if err := errors.Join(tree.copyTo(b.src), oneAge(b.src)); err != nil {
		return err
	}
	system, err := in.system(p, tree)
	if err != nil {
		return err
	}
	if b.log, err = openLog(in.store.path("logs", fmt.Sprintf("%s-%s-%s.log", p.name.Base, p.locked.Version, key[:8])), in.o.maxLog, in.o.Log); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.log.f.Close()) }()
	if err := b.environment(); err != nil {
		return err
	}
	in.o.Say("building %s with %s", p, system.name)
	ctx, cancel := context.WithTimeout(ctx, in.o.maxTime)
	defer cancel()
	if err := system.build(b, ctx); err != nil {
		return err
	}
	if err := b.finish(); err != nil {
		return err
	}
	return moveInto(b.prefix, files)
}

// oneAge makes all files of a source equally old. Archives carry no times, and
// of files in the order in which they were copied make would take some for newer
// than what was made of them: a shipped configure would be made again, by tools
// that are not there.
func oneAge(src string) error {
	now := time.Now()
	return filepath.WalkDir(src, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		return os.Chtimes(path, now, now)
	})
}

// closure is all that is linked with p, those that others need first.
func closure(p *pkg) []*pkg {
	var out []*pkg
	seen := map[*pkg]bool{p: true}
	var visit func(*pkg)
	visit = func(q *pkg) {
		for _, d := range q.deps {
			if !seen[d] {
				seen[d] = true
				visit(d)
				out = append(out, d)
			}
		}
	}
	visit(p)
	return out
}

// environment sets what the build sees: nothing of the user's but PATH and what
// chooses compilers. Addresses of proxies that do not answer keep well-behaved
// tools from fetching what nobody locked.
func (b *builder) environment() error {
	deps := filepath.Join(b.scratch, "deps")
	var prefixes, pc, cpp, ld, bin []string
	for _, d := range b.needs {
		at := filepath.Join(deps, filepath.FromSlash(dirOf(d.name)))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(d.entry.Dir(), at); err != nil {
			return err
		}
		prefixes = append(prefixes, at)
		if d.entry.has("include") {
			cpp = append(cpp, "-I"+filepath.Join(at, "include"))
		}
		if d.entry.has("lib") {
			ld = append(ld, "-L"+filepath.Join(at, "lib"))
			if b.in.o.Platform.OS == "linux" && d.isShared() { // the run path in it leads nowhere while it is in the store
				ld = append(ld, "-Wl,-rpath-link,"+filepath.Join(at, "lib"))
			}
		}
		for _, dir := range []string{"lib/pkgconfig", "share/pkgconfig"} {
			if d.entry.has(dir) {
				pc = append(pc, filepath.Join(at, filepath.FromSlash(dir)))
			}
		}
	}
	for _, d := range slices.Concat(b.p.tools, b.needs) {
		if d.entry.has("bin") {
			bin = append(bin, filepath.Join(d.entry.Dir(), "bin"))
		}
	}
	// The package finds what it requires as a project does.
	if _, err := b.in.o.Generate(b.in.project(deps, b.needs, b.p)); err != nil {
		return err
	}
	prefixes, pc = append([]string{filepath.Join(deps, "cmake")}, prefixes...), append([]string{filepath.Join(deps, "lib", "pkgconfig")}, pc...)
	// Debug information and __FILE__ do not tell where the package was built.
	flags := []string{buildTypes[b.in.o.BuildType].flags, "-fPIC", "-ffile-prefix-map=" + b.scratch + "=/" + b.p.name.Base}
	home, list := filepath.Join(b.scratch, "home"), string(os.PathListSeparator)
	set := [][2]string{
		{"PATH", strings.Join(append(bin, os.Getenv("PATH")), list)},
		{"HOME", home}, {"TMPDIR", home}, {"TEMP", home}, {"TMP", home}, {"LC_ALL", "C.UTF-8"}, {"TZ", "UTC"},
		{"SOURCE_DATE_EPOCH", "0"}, {"ZERO_AR_DATE", "1"},
		{"CC", b.in.o.Toolchain.CC}, {"CXX", b.in.o.Toolchain.CXX}, {"AR", b.in.o.Toolchain.AR},
		{"CFLAGS", words(flags, b.in.o.CFlags)}, {"CXXFLAGS", words(flags, b.in.o.CXXFlags)}, {"CPPFLAGS", strings.Join(cpp, " ")}, {"LDFLAGS", strings.Join(ld, " ")},
		// For linkers that are given no run path: in LDFLAGS, make and the shell
		// would each read $ORIGIN in a way of their own.
		{"LD_RUN_PATH", strings.Join(b.rpath(), ":")},
		{"CMAKE_PREFIX_PATH", strings.Join(prefixes, list)}, {"PKG_CONFIG_PATH", strings.Join(pc, list)},
		{"http_proxy", noProxy}, {"https_proxy", noProxy}, {"HTTP_PROXY", noProxy}, {"HTTPS_PROXY", noProxy}, {"ALL_PROXY", noProxy},
	}
	for name, value := range b.p.locked.Traits {
		set = append(set, [2]string{traitVariable(name), value})
	}
	for _, s := range set {
		if s[1] != "" || s[0] == "LDFLAGS" {
			b.env = append(b.env, s[0]+"="+s[1])
		}
	}
	// Without these, Windows and macOS start no compiler.
	b.env = append(b.env, passed("SYSTEMROOT", "COMSPEC", "PATHEXT", "SDKROOT", "DEVELOPER_DIR", "MACOSX_DEPLOYMENT_TARGET")...)
	slices.Sort(b.env)
	return nil
}

// passed returns those of the named variables that the user has set, as in an
// environment.
func passed(names ...string) []string {
	var out []string
	for _, name := range names {
		if v := os.Getenv(name); v != "" {
			out = append(out, name+"="+v)
		}
	}
	return out
}

func words(lists ...[]string) string { return strings.Join(slices.Concat(lists...), " ") }

// noProxy is an address where nothing listens: the discard port, which no
// system serves any more.
const noProxy = "http://127.0.0.1:9"

// traitVariable is what a trait is called in the environment of a build and
// among the options of CMake: CLYDE_TRAIT_TLS.
func traitVariable(trait string) string {
	return "CLYDE_TRAIT_" + strings.ToUpper(strings.Map(func(r rune) rune {
		if r == '-' || r == '.' {
			return '_'
		}
		return r
	}, trait))
}

// run runs one step of the build.
func (b *builder) run(ctx context.Context, dir, tool string, args ...string) error {
	path, err := lookTool(tool, b.p)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = dir, b.env, b.log, b.log, killDelay
	ownGroup(cmd)
	fmt.Fprintf(b.log, "$ %s\n", strings.Join(append([]string{tool}, args...), " "))
	err = cmd.Run()
	endGroup(cmd) // what it started does not outlive it
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return b.failed(fmt.Sprintf("%s took longer than %s", filepath.Base(tool), b.in.o.maxTime), err)
	case ctx.Err() != nil:
		return ctx.Err()
	case b.log.full():
		return b.failed(fmt.Sprintf("%s printed more than %d bytes", filepath.Base(tool), b.in.o.maxLog), err)
	}
	return b.failed(fmt.Sprintf("%s failed: %v", filepath.Base(tool), err), err)
}

// Failure is the cause of the error of a build that failed: errors.As finds it.
type Failure struct {
	Log  string   // path of the whole output
	Tail []string // its last lines
	Err  error    // of the step
}

func (f *Failure) Error() string { return fmt.Sprintf("%s: %v", f.Log, f.Err) }
func (f *Failure) Unwrap() error { return f.Err }

// failed is the error of a build, with the end of its output.
func (b *builder) failed(what string, cause error) error {
	return clyde.Errorf(ErrBuild, "%s could not be built: %s", b.p, what).WithCode("build_failed").
		Because(&Failure{Log: b.log.f.Name(), Tail: b.log.tail(), Err: cause}).Fix("read the whole log: %s", b.log.f.Name())
}

// lookTool finds a program, or says which package wants it and how to get it.
func lookTool(tool string, p *pkg) (string, error) {
	path, err := exec.LookPath(tool)
	if err == nil {
		return path, nil
	}
	e := clyde.Errorf(clyde.ErrNotFound, "%s is built with %s, which is not installed", p, tool).WithCode("tool_missing").Because(err)
	if pkg := debian[tool]; pkg != "" {
		_ = e.Fix("on Debian and Ubuntu: apt-get install %s", pkg)
	}
	return "", e.Fix("install %s and see that it is on PATH", cmp.Or(tool, "a compiler"))
}

// debian names the packages of the tools that builds want.
var debian = map[string]string{
	"cmake": "cmake", "meson": "meson", "ninja": "ninja-build", "make": "make", "autoreconf": "autoconf automake libtool",
	"sh": "dash", "pkg-config": "pkg-config",
}

// compiler returns the compiler of a language, or says that there is none.
func (b *builder) compiler(cxx bool) (string, error) {
	path, what, env := b.in.o.Toolchain.CC, "C", "CC"
	if cxx {
		path, what, env = b.in.o.Toolchain.CXX, "C++", "CXX"
	}
	if path == "" {
		return "", clyde.Errorf(clyde.ErrNotFound, "%s has to be built, and there is no %s compiler", b.p, what).WithCode("tool_missing").
			Fix("on Debian and Ubuntu: apt-get install g++").Fix("or name one: %s=PATH", env)
	}
	return path, nil
}

// finish makes the installed tree one that can lie anywhere: files that name
// the scratch folder name themselves instead, or go.
func (b *builder) finish() error {
	if lib64 := filepath.Join(b.prefix, "lib64"); isDir(lib64) && !isDir(filepath.Join(b.prefix, "lib")) {
		if err := os.Rename(lib64, filepath.Join(b.prefix, "lib")); err != nil {
			return err
		}
	}
	if left, err := os.ReadDir(b.prefix); err != nil || len(left) == 0 {
		return errors.Join(err, b.failed("it installed nothing", nil))
	}
	err := filepath.WalkDir(b.prefix, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if filepath.Ext(path) == ".la" { // names absolute paths, and nobody needs it
			return os.Remove(path)
		}
		return b.relocate(path)
	})
	if err != nil {
		return err
	}
	return b.p.describeIn(b.prefix, b.src)
}

// maxText is the largest file, in bytes, that may be one of CMake or
// pkg-config. Ours: they are kilobytes.
const maxText = 4 << 20

// relocate replaces the scratch prefix in the files of CMake and pkg-config by
// what they call their own folder.
func (b *builder) relocate(path string) error {
	var own string
	switch filepath.Ext(path) {
	case ".pc":
		own = "${pcfiledir}"
	case ".cmake":
		own = "${CMAKE_CURRENT_LIST_DIR}"
	default:
		return nil
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() > maxText {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	up, err := filepath.Rel(filepath.Dir(path), b.prefix)
	if err != nil {
		return err
	}
	moved := bytes.ReplaceAll(text, []byte(filepath.ToSlash(b.prefix)), []byte(own+"/"+filepath.ToSlash(up)))
	deps := filepath.ToSlash(filepath.Join(b.scratch, "deps"))
	moved = bytes.ReplaceAll(moved, []byte(deps), []byte(own+"/"+filepath.ToSlash(up)+"/../.."))
	if bytes.Equal(moved, text) {
		return nil
	}
	if err := os.Chmod(path, info.Mode()|0o200); err != nil {
		return err
	}
	return os.WriteFile(path, moved, info.Mode())
}

// describeIn puts beside what a package installed what it says about itself:
// package.yaml, and where its source is there, its licences under
// share/licenses.
func (p *pkg) describeIn(prefix, src string) error {
	if err := os.WriteFile(filepath.Join(prefix, "package.yaml"), p.config, 0o644); err != nil {
		return err
	}
	if src == "" {
		return nil
	}
	entries, err := os.ReadDir(src)
	if err != nil {
		return err
	}
	to := filepath.Join(prefix, "share", "licenses", p.name.Base)
	for _, e := range entries {
		if !e.Type().IsRegular() || !artifact.IsLicense(e.Name()) {
			continue
		}
		if err := errors.Join(os.MkdirAll(to, 0o755), copyFile(filepath.Join(src, e.Name()), filepath.Join(to, e.Name()))); err != nil {
			return err
		}
	}
	return nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func copyFile(from, to string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Close())
}

// moveInto moves everything in from to the folder to.
func moveInto(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Rename(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// buildLog is the output of a build: in a file, and where somebody wants to see
// it, there.
type buildLog struct {
	mu   sync.Mutex
	f    *os.File
	also io.Writer
	n    int64
	max  int64  // bytes
	last []byte // the end of what was written
}

func openLog(path string, limit int64, also io.Writer) (*buildLog, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &buildLog{f: f, max: limit, also: also}, nil
}

// maxTail bounds what tail looks at, in bytes: twenty long lines.
const maxTail = 16 << 10

var errLogFull = errors.New("too much output")

// Write fails once there is too much, which ends the build.
func (l *buildLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n += int64(len(p)); l.n > l.max {
		return 0, errLogFull
	}
	if l.last = append(l.last, p...); len(l.last) > maxTail {
		l.last = slices.Clone(l.last[len(l.last)-maxTail:])
	}
	if l.also != nil {
		if _, err := l.also.Write(p); err != nil {
			return 0, err
		}
	}
	return l.f.Write(p)
}

func (l *buildLog) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n > l.max
}

func (l *buildLog) tail() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(l.last)), "\n")
	return lines[max(0, len(lines)-tailLines):]
}
