package generate_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/internal/toolchaintest"
	"github.com/clydepm/clyde-registry/pkg/generate"
)

// compiler is a C and a C++ compiler of one family.
type compiler struct{ cc, cxx string }

var compilers = []compiler{{"gcc", "g++"}, {"clang", "clang++"}}

// env is the environment of a build with c.
func (c compiler) env() []string { return []string{"CC=" + c.cc, "CXX=" + c.cxx} }

// sh runs a program in dir and returns what it prints.
func sh(t *testing.T, dir string, env []string, args ...string) string {
	t.Helper()
	out, err := try(t, dir, env, args...)
	if err != nil {
		t.Fatalf("%q: %v\n%s", args, err, out)
	}
	return out
}

func try(t *testing.T, dir string, env []string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir = dir
	// Nothing of the user's own settings, which Meson takes even when empty.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		key, _, _ := strings.Cut(v, "=")
		return strings.HasPrefix(key, "PKG_CONFIG") || strings.HasPrefix(key, "CMAKE") || strings.HasSuffix(key, "FLAGS")
	})
	cmd.Env = append(append(cmd.Env, "LC_ALL=C"), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// sources are those of the packages of project.
var sources = map[string]string{
	"@acme/base/include/base.h":            "#define ACME_BASE_H 1\nint base_value(void);\n",
	"@acme/base/base.c":                    "#include <math.h>\nint base_value(void) { volatile double x = 16; return (int)sqrt(x); }\n",
	"@other/base/include/base.h":           "#ifdef __cplusplus\nextern \"C\"\n#endif\nint other_value(void);\n",
	"@other/base/base.c":                   "int other_value(void) { return 10; }\n",
	"@acme/log/include/log.h":              "#include <base.h>\n#if LOG_LEVEL != 3\n#error LOG_LEVEL\n#endif\n#ifdef __cplusplus\nextern \"C\"\n#endif\nint log_value(void);\n",
	"@acme/log/log.c":                      "int base_value(void); int other_value(void);\nint log_value(void) { return base_value() + other_value(); }\n",
	"@acme/inner/include/inner.h":          "int inner_value(void);\n",
	"@acme/inner/inner.c":                  "int inner_value(void) { return 100; }\n",
	"@acme/sha.pe/include/shape.h":         "#ifdef __cplusplus\nextern \"C\"\n#endif\nint shape_value(void);\n",
	"@acme/sha.pe/shape.c":                 "int inner_value(void); int base_value(void);\nint shape_value(void) { return inner_value() + base_value(); }\n",
	"@acme/multi-part/include dir/core.h":  "#ifdef __cplusplus\nextern \"C\"\n#endif\nint core_value(void);\n",
	"@acme/multi-part/core.c":              "int log_value(void);\nint core_value(void) { return 1000 + log_value(); }\n",
	"@acme/multi-part/include dir/extra.h": "int extra_value();\n",
	"@acme/multi-part/extra.cpp":           "#include \"include dir/core.h\"\n#include <string>\nint extra_value() { return core_value() + (int)std::string(\"extra\").size(); }\n",
	"@acme/multi-part/say.c":               "#include <stdio.h>\nint main(void) { puts(\"int said = 7;\"); return 0; }\n",
}

// mainSource is a program on everything that the project requires.
func mainSource() (source, want string) {
	var b, w strings.Builder
	b.WriteString("#include <hdr.hpp>\n#include <core.h>\n#include <extra.h>\n#include <log.h>\n#include <shape.h>\n#include <cstdio>\n" +
		"#ifdef ACME_BASE_H\n#error a private header is seen\n#endif\nint main() {\n")
	for _, v := range []string{"log_value", "other_value", "shape_value", "extra_value"} {
		fmt.Fprintf(&b, "  std::printf(\"%%d\\n\", %s());\n", v)
	}
	w.WriteString("14\n10\n104\n1019\n")
	b.WriteString("  std::printf(\"%d\\n\", (int)hdr_text.size());\n")
	w.WriteString("3\n")
	for i, v := range vicious {
		macro, _, _ := strings.Cut(definition(i, v), "=")
		fmt.Fprintf(&b, "  std::puts(%s);\n", macro)
		w.WriteString(v + "\n")
	}
	b.WriteString("}\n")
	return b.String(), w.String()
}

// build compiles the packages of project under root/deps and describes them.
func build(t *testing.T, root string) (deps, want string) {
	t.Helper()
	deps = filepath.Join(root, "deps")
	for file, text := range sources {
		write(t, filepath.Join(deps, file), text)
	}
	write(t, filepath.Join(deps, "@acme/hdr/include/hdr.hpp"), "#include <string_view>\ninline constexpr std::string_view hdr_text = \"abc\";\n")
	for _, dir := range []string{"@acme/base/lib", "@other/base/lib", "@acme/log/lib", "@acme/inner/lib", "@acme/sha.pe/lib", "@acme/multi-part/lib", "@acme/multi-part/bin"} {
		if err := os.MkdirAll(filepath.Join(deps, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range []struct{ dir, source, lib string }{
		{"@acme/base", "base.c", "libbase.a"}, {"@other/base", "base.c", "libbase.a"}, {"@acme/log", "log.c", "liblog.a"},
		{"@acme/multi-part", "core.c", "libcore.a"}, {"@acme/multi-part", "extra.cpp", "libextra+.a"},
	} {
		dir := filepath.Join(deps, a.dir)
		sh(t, dir, nil, "g++", "-fPIC", "-c", "-x", map[bool]string{true: "c", false: "c++"}[strings.HasSuffix(a.source, ".c")], a.source, "-o", a.source+".o")
		sh(t, dir, nil, "ar", "rcs", "lib/"+a.lib, a.source+".o")
	}
	sh(t, filepath.Join(deps, "@acme/inner"), nil, "gcc", "-shared", "-fPIC", "-Wl,-soname,libinner.so", "inner.c", "-o", "lib/libinner.so")
	sh(t, filepath.Join(deps, "@acme/sha.pe"), nil, "gcc", "-shared", "-fPIC", "-Wl,-soname,libshape.so", "-Wl,--exclude-libs,ALL", "shape.c",
		"../base/lib/libbase.a", "../inner/lib/libinner.so", "-lm", "-o", "lib/libshape.so")
	sh(t, filepath.Join(deps, "@acme/multi-part"), nil, "gcc", "say.c", "-o", "bin/say")
	if _, err := generate.Write(project(t, deps)); err != nil {
		t.Fatal(err)
	}
	source, want := mainSource()
	write(t, filepath.Join(root, "main.cpp"), source)
	return deps, want
}

// odd is a folder whose name breaks careless quoting.
const odd = `my 'odd' $HOME folder`

// spaced is as odd as pkg-config bears: what it prints cannot have "$".
const spaced = `my 'odd' folder`

// oddest has what makefiles and CMake cannot have in a path.
const oddest = `my 'odd' $HOME \folder #`

// runs runs the program and compares what it prints.
func runs(t *testing.T, program, want string) {
	t.Helper()
	if got := sh(t, filepath.Dir(program), []string{"LD_LIBRARY_PATH="}, program); got != want {
		t.Errorf("%s prints\n%s\nwant\n%s", filepath.Base(program), got, want)
	}
}

func TestToolchainsFlags(t *testing.T) {
	toolchaintest.Need(t)
	t.Parallel()
	root := filepath.Join(t.TempDir(), oddest)
	deps, want := build(t, root)
	for _, c := range compilers {
		t.Run(c.cxx, func(t *testing.T) {
			dir := t.TempDir()
			sh(t, dir, nil, c.cxx, filepath.Join(root, "main.cpp"), "@"+deps+"/flags.txt", "-o", "main")
			runs(t, filepath.Join(dir, "main"), want)
			sh(t, dir, nil, c.cxx, "@"+deps+"/flags/cxxflags", "-c", filepath.Join(root, "main.cpp"), "-o", "main.o")
			sh(t, dir, nil, c.cxx, "main.o", "@"+deps+"/flags/ldflags", "@"+deps+"/flags/libs", "-o", "parts")
			runs(t, filepath.Join(dir, "parts"), want)
			// A program in C has no use for what C++ asks for.
			write(t, filepath.Join(dir, "c.c"), "#include <log.h>\nint main(void) { return log_value() != 14; }\n")
			sh(t, dir, nil, c.cc, "-Werror", "@"+deps+"/flags/cflags", "-c", "c.c")
		})
	}
}

func TestToolchainsPkgConfig(t *testing.T) {
	toolchaintest.Need(t)
	t.Parallel()
	for _, folder := range []string{"plain", spaced} {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			root := filepath.Join(t.TempDir(), folder)
			deps, want := build(t, root)
			if folder == "plain" { // and may be moved
				moved := filepath.Join(t.TempDir(), "moved")
				if err := os.Rename(deps, moved); err != nil {
					t.Fatal(err)
				}
				deps = moved
			}
			pkgConfig(t, root, deps, want)
		})
	}
}

func pkgConfig(t *testing.T, root, deps, want string) {
	env := []string{"PKG_CONFIG_PATH=" + deps + "/lib/pkgconfig"}
	for _, c := range compilers {
		for _, mode := range []string{"", "--static"} {
			t.Run(c.cxx+mode, func(t *testing.T) {
				dir := t.TempDir()
				source, _ := mainSource()
				write(t, filepath.Join(dir, "main.cpp"), source)
				sh(t, dir, env, "sh", "-c", "flags=$(pkg-config "+mode+" --cflags --libs hdr multi-part sha.pe log) && eval \""+c.cxx+" -std=c++17 main.cpp $flags -o main\"")
				runs(t, filepath.Join(dir, "main"), want)
			})
		}
	}
	if out := sh(t, root, env, "pkg-config", "--modversion", "log", "acme_log", "acme_multi-part--core", "other_base"); out != "2.0.0\n2.0.0\n1.1.1w\n2024-01-02\n" {
		t.Errorf("--modversion = %s", out)
	}
	if out, err := try(t, root, env, "pkg-config", "--exists", "base"); err == nil {
		t.Errorf("base is found though two packages are called so: %s", out)
	}
	all, err := filepath.Glob(filepath.Join(deps, "lib/pkgconfig/*.pc"))
	if err != nil || len(all) == 0 {
		t.Fatal("no .pc files", err)
	}
	for _, pc := range all {
		sh(t, root, env, "pkg-config", "--validate", strings.TrimSuffix(filepath.Base(pc), ".pc"))
	}
	if _, err := os.Stat(filepath.Join(root, "pwned")); err == nil {
		t.Error("a definition was run")
	}
}
