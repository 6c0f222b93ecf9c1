package toolchain_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/internal/toolchaintest"
	"github.com/clydepm/clyde-registry/pkg/binary"
	"github.com/clydepm/clyde-registry/pkg/compat"
	"github.com/clydepm/clyde-registry/pkg/toolchain"
)

const truthHeader = `
#pragma once
#include <string>
#include <vector>
struct shape { virtual ~shape(); virtual int area() const; };
std::string greet(const std::string &who, std::vector<std::string> &seen);
shape *make();
`

// It asks for what libstdc++ and libc++ both have under one name.
const truthLibrary = `
#include "shape.h"
#include <stdexcept>
std::runtime_error *trouble() { return new std::runtime_error("trouble"); }
shape::~shape() {}
int shape::area() const { return 3; }
shape *make() { return new shape; }
std::string greet(const std::string &who, std::vector<std::string> &seen) {
	seen.push_back(who);
	return "hello " + who + " " + std::to_string(seen.size());
}
`

// The program takes strings and containers across the border, derives from a
// class of the library, and asks for its type where it can.
const truthProgram = `
#include "shape.h"
#include <cstdio>
struct square : shape { int area() const override { return 4; } };
int main() {
	std::vector<std::string> seen{"a", "b"};
	std::string s = greet("a name that is too long for the small buffer", seen);
	shape *p = make();
	square q;
	int n = p->area() + q.area();
	delete p;
#ifdef __GXX_RTTI
	shape &r = q;
	n += dynamic_cast<square *>(&r) != nullptr;
#else
	n += 1;
#endif
	std::printf("%s %zu %d\n", s.c_str(), seen.size(), n);
	return s == "hello a name that is too long for the small buffer 3" && seen.size() == 3 && n == 8 ? 0 : 1;
}
`

// way is how one side is compiled.
type way struct {
	name, cxx string
	flags     []string
}

// clash names pairs of ways that cannot be linked or cannot run: what the
// rules must refuse because it is so, rather than out of caution.
var clash = [][2]string{
	{"gcc", "gcc-old-abi"}, {"gcc-old-abi", "gcc"}, {"clang", "clang-libc++"}, {"clang-libc++", "clang"}, {"gcc", "clang-libc++"},
	{"gcc-no-rtti", "gcc"}, {"gcc-asan", "gcc"}, {"gcc-debug", "gcc"}, {"gcc", "gcc-debug"},
}

// What the rules call compatible links and runs, with whatever compilers,
// standards, libraries and linkage; what is known to clash does not, and the
// rules say so.
func TestToolchainsAgreeWithRules(t *testing.T) {
	t.Parallel()
	toolchaintest.Need(t)
	ways := []way{
		{"gcc", "g++", nil}, {"gcc-14", "g++", []string{"-std=c++14", "-O0"}}, {"gcc-20", "g++", []string{"-std=c++20", "-O3", "-g"}},
		{"gcc-lto", "g++", []string{"-flto", "-ffat-lto-objects"}},
		{"gcc-no-rtti", "g++", []string{"-fno-rtti"}}, {"gcc-no-exceptions", "g++", []string{"-fno-exceptions"}},
		{"gcc-old-abi", "g++", []string{"-D_GLIBCXX_USE_CXX11_ABI=0"}}, {"gcc-debug", "g++", []string{"-D_GLIBCXX_DEBUG"}},
		{"gcc-asan", "g++", []string{"-fsanitize=address"}}, {"gcc-ubsan", "g++", []string{"-fsanitize=undefined"}},
		{"clang", "clang++", nil}, {"clang-20", "clang++", []string{"-std=c++20", "-O2"}}, {"clang-libc++", "clang++", []string{"-stdlib=libc++"}},
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "shape.h"), truthHeader)
	write(t, filepath.Join(dir, "shape.cpp"), truthLibrary)
	write(t, filepath.Join(dir, "main.cpp"), truthProgram)
	tools := map[string]toolchain.Toolchain{}
	for _, w := range ways {
		tools[w.name] = w.toolchain(t)
		w.run(t, append(slices.Clone(w.flags), "-fPIC", "-c", "-o", filepath.Join(dir, w.name+".lib.o"), filepath.Join(dir, "shape.cpp"))...)
		w.run(t, append(slices.Clone(w.flags), "-c", "-o", filepath.Join(dir, w.name+".main.o"), filepath.Join(dir, "main.cpp"))...)
	}
	type outcome struct{ fits, runs bool }
	seen := map[[2]string]outcome{}
	fits, clashes := 0, 0
	for _, lib := range ways {
		for _, linkage := range []string{compat.Static, compat.Shared} {
			prefix := filepath.Join(dir, lib.name+"-"+linkage)
			facts := lib.build(t, tools[lib.name], dir, prefix, linkage)
			for _, user := range ways {
				h := tools[user.name].Host
				v := compat.Match(h, compat.Want{Linkage: linkage, BuildType: "Release"}, []compat.Candidate{{Digest: "sha256:x", Facts: facts}})[0]
				out, err := user.link(t, dir, prefix)
				runs := err == nil
				if user.name == lib.name && !v.Fits() {
					t.Errorf("%s (%s) does not fit who built it: %+v", lib.name, linkage, v)
				}
				if v.Fits() {
					fits++
					if !runs {
						t.Errorf("%s (%s) with %s: the rules say it fits, and it does not link or run: %v\n%s", lib.name, linkage, user.name, err, out)
					}
				} else if user.name == lib.name {
					t.Errorf("%s (%s): it does not fit where it was made: %s", lib.name, linkage, v.Why)
				}
				pair := [2]string{lib.name, user.name}
				o := seen[pair]
				seen[pair] = outcome{o.fits || v.Fits(), o.runs || runs}
			}
		}
	}
	for _, c := range clash {
		o, ok := seen[c]
		if !ok {
			continue
		}
		clashes++
		if o.fits {
			t.Errorf("%s with %s: the rules say it fits", c[0], c[1])
		}
		if o.runs {
			t.Errorf("%s with %s links and runs, and was thought to clash", c[0], c[1])
		}
	}
	t.Logf("%d ways, %d pairs fit and ran, %d clashed as they must", len(ways), fits, clashes)
	if fits == 0 || clashes == 0 {
		t.Error("nothing was compared")
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (w way) toolchain(t *testing.T) toolchain.Toolchain {
	t.Helper()
	tc, err := toolchain.Compilers(t.Context(), toolchain.Options{CXX: w.cxx, CC: strings.NewReplacer("g++", "gcc", "clang++", "clang").Replace(w.cxx), CXXFlags: w.flags, Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	return tc
}

// build makes the library as w does, and its facts as clyde build does.
func (w way) build(t *testing.T, tc toolchain.Toolchain, dir, prefix, linkage string) *compat.Facts {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(prefix, "lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	object := filepath.Join(dir, w.name+".lib.o")
	if linkage == compat.Shared {
		w.run(t, append(slices.Clone(w.flags), "-shared", "-o", filepath.Join(prefix, "lib", "libshape.so"), object)...)
	} else if out, err := exec.CommandContext(t.Context(), "ar", "rcs", filepath.Join(prefix, "lib", "libshape.a"), object).CombinedOutput(); err != nil {
		t.Fatalf("ar: %v %s", err, out)
	}
	report, err := binary.MeasureFS(os.DirFS(prefix))
	if err != nil {
		t.Fatal(err)
	}
	h := tc.Host
	f := &compat.Facts{
		Schema: compat.Version, Language: compat.CPP, OS: h.OS, Arch: h.Arch, CPUBaseline: tc.Baseline, Libc: compat.Libc{Family: h.Libc.Family}, Compiler: h.Compiler,
		CXXStdlib: compat.CXXStdlib{Family: h.CXXStdlib.Family, ABI: h.CXXStdlib.ABI}, CXXStd: "11", Exceptions: h.Exceptions, RTTI: h.RTTI, StdlibDebug: h.StdlibDebug,
		Sanitizers: h.Sanitizers, BuildType: "Release", SourceDigest: "sha256:" + strings.Repeat("0", 64),
	}
	if err := tc.Since(t.Context(), report, f); err != nil {
		t.Fatal(err)
	}
	report.Fill(f)
	if err := report.Check(f); err != nil {
		t.Errorf("%s, %s: what was measured contradicts itself: %v", w.name, linkage, err)
	}
	if err := f.Check(); err != nil {
		t.Errorf("%s, %s: %v", w.name, linkage, err)
	}
	return f
}

func (w way) run(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), w.cxx, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", w.cxx, args, err, out)
	}
}

// link makes the program as w does with the library in prefix, and runs it.
func (w way) link(t *testing.T, dir, prefix string) (string, error) {
	t.Helper()
	program := fmt.Sprintf("%s-%s", prefix, w.name)
	lib := filepath.Join(prefix, "lib")
	args := append(slices.Clone(w.flags), "-o", program, filepath.Join(dir, w.name+".main.o"), "-L"+lib, "-Wl,-rpath,"+lib, "-lshape")
	if out, err := exec.CommandContext(t.Context(), w.cxx, args...).CombinedOutput(); err != nil {
		return string(out), err
	}
	out, err := exec.CommandContext(t.Context(), program).CombinedOutput()
	return string(out), err
}
