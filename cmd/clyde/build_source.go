package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/install"
)

// sourceBuild builds the source of a package into a prefix.
type sourceBuild struct {
	m         *clyde.Manifest
	src, out  string // source, and the folder to build in
	prefix    string // to install to
	deps      string // what it requires, as clyde install lays it; "" without
	buildType string
	shared    bool
	log       io.Writer
	jobs      int
}

// run builds by build.system, or by what the source looks like.
func (b *sourceBuild) run(ctx context.Context) error {
	system := b.m.Build.System
	has := func(name string) bool { _, err := os.Stat(filepath.Join(b.src, name)); return err == nil }
	switch {
	case system != "" && system != "none":
	case b.m.Type == "header-only" || system == "none":
		return b.headers()
	case has("CMakeLists.txt"):
		system = "cmake"
	case has("meson.build"):
		system = "meson"
	default:
		system = "clyde"
	}
	switch j := "-j" + strconv.Itoa(b.jobs); system {
	case "cmake":
		args := []string{"-S", b.src, "-B", b.out, "-DCMAKE_INSTALL_PREFIX=" + b.prefix, "-DCMAKE_INSTALL_LIBDIR=lib", "-DCMAKE_BUILD_TYPE=" + b.buildType,
			"-DCMAKE_POSITION_INDEPENDENT_CODE=ON", "-DBUILD_TESTING=OFF", "-DBUILD_SHARED_LIBS=" + strings.ToUpper(strconv.FormatBool(b.shared))}
		if b.deps != "" {
			args = append(args, "-DCMAKE_PREFIX_PATH="+b.deps)
		}
		return b.all(ctx, b.src, append([]string{"cmake"}, append(args, b.m.Build.Args...)...),
			[]string{"cmake", "--build", b.out, j}, []string{"cmake", "--install", b.out})
	case "meson":
		kind := map[bool]string{false: "static", true: "shared"}[b.shared]
		return b.all(ctx, b.src, append([]string{"meson", "setup", b.out, b.src, "--prefix=" + b.prefix, "--libdir=lib", "--default-library=" + kind, "-Db_staticpic=true"}, b.m.Build.Args...),
			[]string{"meson", "compile", "-C", b.out, j}, []string{"meson", "install", "-C", b.out})
	case "autotools":
		return b.all(ctx, b.src, append([]string{"./configure", "--prefix=" + b.prefix, "--libdir=" + filepath.Join(b.prefix, "lib")}, b.m.Build.Args...),
			[]string{"make", j}, []string{"make", "install"})
	case "make":
		return b.all(ctx, b.src, append([]string{"make", j, "PREFIX=" + b.prefix, "prefix=" + b.prefix}, b.m.Build.Args...),
			append([]string{"make", "install", "PREFIX=" + b.prefix, "prefix=" + b.prefix}, b.m.Build.Args...))
	}
	return b.simple(ctx)
}

// all runs commands one after the other in dir.
func (b *sourceBuild) all(ctx context.Context, dir string, commands ...[]string) error {
	for _, c := range commands {
		cmd := exec.CommandContext(ctx, c[0], c[1:]...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = dir, b.log, b.log
		if strings.HasPrefix(c[0], "./") {
			cmd.Path = filepath.Join(dir, c[0])
		}
		if _, err := fmt.Fprintf(b.log, "+ %s\n", strings.Join(c, " ")); err != nil {
			return err
		}
		if err := cmd.Run(); err != nil {
			return clyde.Errorf(install.ErrBuild, "%s failed", c[0]).WithCode("build_failed").Because(err).
				Fix("read its output above, or build it yourself and package what it installed: clyde build --prefix DIR")
		}
	}
	return nil
}

// headers copies the include folders.
func (b *sourceBuild) headers() error {
	for _, dir := range b.m.Include {
		from := filepath.Join(b.src, filepath.FromSlash(dir))
		if info, err := os.Stat(from); err != nil || !info.IsDir() {
			continue
		}
		if err := os.CopyFS(filepath.Join(b.prefix, "include"), os.DirFS(from)); err != nil {
			return err
		}
	}
	return nil
}

// simple compiles the files that sources names and puts them into one archive.
func (b *sourceBuild) simple(ctx context.Context) error {
	if b.shared {
		return usagef("the simple rules make archives: --linkage shared needs a build.system")
	}
	named, err := artifact.ParseGlobs(b.m.Sources)
	if err != nil {
		return err
	}
	var objects []string
	err = filepath.WalkDir(b.src, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(b.src, path)
		if err != nil || !compiles(path) || !named.Match(filepath.ToSlash(rel)) {
			return err
		}
		cc, keys := os.Getenv("CC"), []string{"gcc", "clang"}
		if ext := filepath.Ext(path); ext != ".c" {
			cc, keys = os.Getenv("CXX"), []string{"gxx", "clangxx"}
			if cc == "" {
				cc = "c++"
			}
		}
		if cc == "" {
			cc = "cc"
		}
		object := filepath.Join(b.out, fmt.Sprintf("%03d-%s.o", len(objects), filepath.Base(path)))
		args := []string{cc, "-c", "-fPIC", "-O2", path, "-o", object}
		if b.buildType == "Debug" {
			args[3] = "-g"
		}
		for _, dir := range append([]string{"."}, b.m.Include...) {
			args = append(args, "-I"+filepath.Join(b.src, filepath.FromSlash(dir)))
		}
		key := keys[0]
		if strings.Contains(filepath.Base(cc), "clang") {
			key = keys[1]
		}
		args = append(args, b.m.CFlags[key]...)
		objects = append(objects, object)
		return b.all(ctx, b.src, args)
	})
	if err != nil {
		return err
	}
	if len(objects) == 0 {
		return clyde.Errorf(install.ErrBuild, "there is nothing to compile: no file is among the sources of package.yaml").WithCode("build_failed").
			Fix("add sources, or build.system").Fix("clyde build --prefix DIR packages what another tool installed in DIR")
	}
	if err := os.MkdirAll(filepath.Join(b.prefix, "lib"), 0o755); err != nil {
		return err
	}
	archive := filepath.Join(b.prefix, "lib", "lib"+b.m.Name.Base+".a")
	if err := b.all(ctx, b.out, append([]string{"ar", "rcsD", archive}, objects...)); err != nil {
		return err
	}
	return b.headers()
}

// compiles reports whether a file is one to compile.
func compiles(path string) bool {
	switch filepath.Ext(path) {
	case ".c", ".cc", ".cpp", ".cxx":
		return true
	}
	return false
}
