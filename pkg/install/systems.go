package install

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/generate"
)

// system is one way to build.
type system struct {
	name  string
	build func(b *builder, ctx context.Context) error
}

var systems = map[string]system{
	"cmake":     {"cmake", (*builder).cmake},
	"meson":     {"meson", (*builder).meson},
	"autotools": {"autotools", (*builder).autotools},
	"make":      {"make", (*builder).make},
	"clyde":     {"clyde's own rules", (*builder).simple},
}

// headersOnly reports whether nothing of the package is compiled.
func (p *pkg) headersOnly() bool {
	return p.manifest.Build.System == "none" || p.manifest.Type == "header-only" || p.manifest.Type == "meta"
}

// system returns how a package is built: as it says, else by its sources, else
// by the files at its root.
func (in *installer) system(p *pkg, tree *Entry) (system, error) {
	name := p.manifest.Build.System
	if name == "" && len(p.manifest.Sources) > 0 {
		name = "clyde"
	}
	for _, sign := range [][2]string{
		{"CMakeLists.txt", "cmake"}, {"meson.build", "meson"}, {"configure", "autotools"}, {"configure.ac", "autotools"}, {"Makefile", "make"},
	} {
		if name == "" && tree.has(sign[0]) {
			name = sign[1]
		}
	}
	s, ok := systems[name]
	if !ok {
		return s, clyde.Errorf(clyde.ErrInvalid, "%s does not say how it is built", p).WithCode("build_system").
			Fix("ask its publisher for build.system in its package.yaml: cmake, meson, autotools, make, clyde, or none for headers alone")
	}
	return s, nil
}

// shared reports whether the package was asked for as a shared library.
func (b *builder) shared() bool { return b.p.asShared || b.p.locked.Traits["shared"] == "true" }

func choose(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

func (b *builder) cmake(ctx context.Context) error {
	build := filepath.Join(b.scratch, "build")
	args := []string{
		"-S", b.src, "-B", build, "--no-warn-unused-cli",
		"-DCMAKE_INSTALL_PREFIX=" + b.prefix, "-DCMAKE_INSTALL_LIBDIR=lib", "-DCMAKE_BUILD_TYPE=" + b.in.o.BuildType,
		"-DBUILD_SHARED_LIBS=" + choose(b.shared(), "ON", "OFF"), "-DCMAKE_POSITION_INDEPENDENT_CODE=ON", "-DBUILD_TESTING=OFF",
		"-DCMAKE_INSTALL_RPATH=" + strings.Join(b.rpath(), ";"),
		// What the user has installed elsewhere is no part of the lock file, and
		// nothing is fetched while building.
		"-DCMAKE_FIND_USE_PACKAGE_REGISTRY=OFF", "-DCMAKE_EXPORT_PACKAGE_REGISTRY=OFF", "-DFETCHCONTENT_FULLY_DISCONNECTED=ON",
		// CMake 4 refuses projects that were written for CMake 3.4 and before.
		"-DCMAKE_POLICY_VERSION_MINIMUM=3.5",
	}
	if _, err := exec.LookPath("ninja"); err == nil {
		args = append(args, "-G", "Ninja")
	}
	for _, t := range b.traitNames() {
		args = append(args, "-D"+traitVariable(t)+"="+b.p.locked.Traits[t])
	}
	if err := b.run(ctx, build, "cmake", append(args, b.p.manifest.Build.Args...)...); err != nil {
		return err
	}
	if err := b.run(ctx, build, "cmake", "--build", build, "--config", b.in.o.BuildType, "--parallel", strconv.Itoa(b.jobs)); err != nil {
		return err
	}
	return b.run(ctx, build, "cmake", "--install", build, "--config", b.in.o.BuildType)
}

func (b *builder) traitNames() []string {
	var names []string
	for t := range b.p.locked.Traits {
		names = append(names, t)
	}
	slices.Sort(names)
	return names
}

// rpath is where shared libraries and programs of the package find what they
// need, from where they lie in a deps folder.
func (b *builder) rpath() []string {
	here := choose(b.in.o.Platform.OS == "macos", "@loader_path", "$ORIGIN")
	out := []string{here, here + "/../lib"}
	for _, d := range b.needs {
		if d.isShared() {
			out = append(out, here+"/../../../"+dirOf(d.name)+"/lib")
		}
	}
	return out
}

func (b *builder) rpathFlags() []string {
	var out []string
	for _, dir := range b.rpath() {
		out = append(out, "-Wl,-rpath,"+dir)
	}
	return out
}

// isShared reports whether a built package has a shared library.
func (p *pkg) isShared() bool {
	return slices.ContainsFunc(p.components(), func(c generate.Component) bool { return c.Kind == generate.Shared })
}

func (b *builder) meson(ctx context.Context) error {
	build := filepath.Join(b.scratch, "build")
	args := []string{
		"setup", build, b.src, "--prefix=" + b.prefix, "--libdir=lib", "--wrap-mode=nodownload",
		"--buildtype=" + buildTypes[b.in.o.BuildType].meson,
		"--default-library=" + choose(b.shared(), "shared", "static"), "-Db_staticpic=true",
		"--cmake-prefix-path=" + strings.Join(filepath.SplitList(b.lookup("CMAKE_PREFIX_PATH")), ","),
	}
	// Meson takes the run paths of its own away when it installs, and keeps those
	// that were asked for; no shell sees $ORIGIN.
	for i, v := range b.env {
		if strings.HasPrefix(v, "LDFLAGS=") {
			b.env[i] = strings.Join(append([]string{v}, b.rpathFlags()...), " ")
		}
	}
	if err := b.run(ctx, b.src, "meson", append(args, b.p.manifest.Build.Args...)...); err != nil {
		return err
	}
	if err := b.run(ctx, b.src, "meson", "compile", "-C", build, "-j", strconv.Itoa(b.jobs)); err != nil {
		return err
	}
	return b.run(ctx, b.src, "meson", "install", "-C", build, "--no-rebuild")
}

// lookup returns a variable of the build's environment.
func (b *builder) lookup(name string) string {
	for _, v := range b.env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

func (b *builder) autotools(ctx context.Context) error {
	configure := filepath.Join(b.src, "configure")
	if _, err := os.Stat(configure); err != nil {
		if err := b.run(ctx, b.src, "autoreconf", "-fi"); err != nil {
			return err
		}
	}
	build := filepath.Join(b.scratch, "build")
	args := []string{configure, "--prefix=" + b.prefix, "--libdir=" + filepath.Join(b.prefix, "lib")}
	// One that was written by hand, as zlib's is, knows fewer options.
	if isAutoconf(configure) {
		args = append(args, "--with-pic", choose(b.shared(), "--enable-shared", "--disable-shared"), choose(b.shared(), "--disable-static", "--enable-static"))
	}
	if err := b.run(ctx, build, "sh", append(args, b.p.manifest.Build.Args...)...); err != nil {
		return err
	}
	if err := b.run(ctx, build, "make", "-j"+strconv.Itoa(b.jobs)); err != nil {
		return err
	}
	return b.run(ctx, build, "make", "install")
}

// isAutoconf reports whether a configure script was made by autoconf, which
// says so at its beginning.
func isAutoconf(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, 4<<10))
	return err == nil && bytes.Contains(head, []byte("Autoconf"))
}

// make builds in the source folder, with the variables that makefiles without a
// configure script read.
func (b *builder) make(ctx context.Context) error {
	args := []string{"PREFIX=" + b.prefix, "prefix=" + b.prefix, "BUILD_SHARED=" + choose(b.shared(), "yes", "no"), "BUILD_STATIC=" + choose(b.shared(), "no", "yes")}
	args = append(args, b.p.manifest.Build.Args...)
	if err := b.run(ctx, b.src, "make", append([]string{"-j" + strconv.Itoa(b.jobs)}, args...)...); err != nil {
		return err
	}
	return b.run(ctx, b.src, "make", append([]string{"install"}, args...)...)
}
