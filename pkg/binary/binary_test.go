package binary_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/clydepm/clyde-registry/internal/toolchaintest"
	"github.com/clydepm/clyde-registry/pkg/binary"
)

func measure(t *testing.T, path string) *binary.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	m, err := binary.Measure(filepath.Base(path), f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const source = `
#include <string>
#include <vector>
#include <stdexcept>
struct shape { virtual ~shape(); virtual int area() const; };
shape::~shape() {}
int shape::area() const { return 3; }
int counter;
std::string greet(const std::string &who, std::vector<int> v) {
	if (who.empty()) throw std::runtime_error("nobody");
	counter += v.at(0);
	return "hello " + who;
}
`

// build compiles source with args and returns the file that was made.
func build(t *testing.T, name string, args ...string) string {
	t.Helper()
	toolchaintest.Programs(t, "g++")
	dir := t.TempDir()
	src, out := filepath.Join(dir, "shape.cpp"), filepath.Join(dir, name)
	if err := os.WriteFile(src, []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	object := out
	archive := filepath.Ext(name) == ".a"
	if archive {
		object = filepath.Join(dir, "a-rather-long-name-of-a-member.o")
		args = append(args, "-c")
	}
	cmd := exec.CommandContext(t.Context(), "g++", append(args, "-o", object, src)...)
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	if archive {
		if b, err := exec.CommandContext(t.Context(), "ar", "rcs", out, object).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
	}
	return out
}

func TestToolchainsMeasureGCC(t *testing.T) {
	t.Parallel()
	shared := measure(t, build(t, "libshape.so", "-shared", "-fPIC", "-Wl,-soname,libshape.so.1"))
	if shared.Kind != binary.Shared || shared.SOName != "libshape.so.1" || shared.Libc != "glibc" || shared.OS != "linux" ||
		!slices.Contains(shared.Needed, "libstdc++.so.6") || shared.GLIBCXX == "" || shared.Glibc == "" || shared.Stdlib != "libstdc++" ||
		shared.StdlibABI != "cxx11" || !shared.Exceptions || shared.RTTI == nil || !*shared.RTTI || len(shared.Compilers) == 0 {
		t.Errorf("a shared library: %+v", shared)
	}
	if !slices.Contains(shared.Exports, "_ZNK5shape4areaEv") {
		t.Errorf("exports: %v", shared.Exports)
	}
	for _, name := range shared.Strong {
		if !slices.Contains(shared.Exports, name) {
			t.Errorf("%s is strong and not exported", name)
		}
	}
	if !slices.Contains(shared.Strong, "_ZNK5shape4areaEv") {
		t.Errorf("strong: %v", shared.Strong)
	}
	// What a shared library hides, a program with the archive has all the same.
	hidden := measure(t, build(t, "libhidden.so", "-shared", "-fPIC", "-fvisibility=hidden"))
	if slices.Contains(hidden.Exports, "_ZNK5shape4areaEv") {
		t.Errorf("exports of a library that hides them: %v", hidden.Exports)
	}
	if of := measure(t, build(t, "libhidden.a", "-fPIC", "-fvisibility=hidden")); !slices.Contains(of.Strong, "_ZNK5shape4areaEv") {
		t.Errorf("strong symbols of an archive of the same: %v", of.Strong)
	}
	archive := measure(t, build(t, "libshape.a", "-fPIC"))
	if archive.Kind != binary.Archive || archive.PIC == nil || !*archive.PIC || archive.StdlibABI != "cxx11" || archive.LTO != "" || archive.DebugInfo {
		t.Errorf("an archive: %+v", archive)
	}
	for name, tt := range map[string]struct {
		args []string
		ok   func(*binary.File) bool
	}{
		"not PIC":    {[]string{"-fno-pic", "-fno-pie"}, func(f *binary.File) bool { return f.PIC != nil && !*f.PIC }},
		"PIE alone":  {[]string{"-fPIE"}, func(f *binary.File) bool { return f.PIC != nil && !*f.PIC }},
		"old ABI":    {[]string{"-fPIC", "-D_GLIBCXX_USE_CXX11_ABI=0"}, func(f *binary.File) bool { return f.StdlibABI == "old" }},
		"address":    {[]string{"-fsanitize=address"}, func(f *binary.File) bool { return slices.Equal(f.Sanitizers, []string{"address"}) }},
		"undefined":  {[]string{"-fsanitize=undefined"}, func(f *binary.File) bool { return slices.Contains(f.Sanitizers, "undefined") }},
		"thread":     {[]string{"-fsanitize=thread"}, func(f *binary.File) bool { return slices.Equal(f.Sanitizers, []string{"thread"}) }},
		"debug mode": {[]string{"-D_GLIBCXX_DEBUG"}, func(f *binary.File) bool { return f.Debug }},
		"no rtti":    {[]string{"-fno-rtti"}, func(f *binary.File) bool { return f.RTTI != nil && !*f.RTTI }},
		"slim":       {[]string{"-flto"}, func(f *binary.File) bool { return f.LTO == "slim" }},
		"fat":        {[]string{"-flto", "-ffat-lto-objects"}, func(f *binary.File) bool { return f.LTO == "fat" }},
		"debug info": {[]string{"-g"}, func(f *binary.File) bool { return f.DebugInfo }},
	} {
		if f := measure(t, build(t, "libshape.a", tt.args...)); !tt.ok(f) {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func FuzzMeasure(f *testing.F) {
	f.Add([]byte("!<arch>\n"))
	f.Add([]byte("!<arch>\na.o/            0           0     0     644     4         `\n\x7fELF"))
	f.Add([]byte("\x7fELF\x02\x01\x01"))
	f.Add([]byte("MZ"))
	f.Add([]byte{0xcf, 0xfa, 0xed, 0xfe, 7, 0, 0, 1})
	if self, err := os.ReadFile("/usr/lib/x86_64-linux-gnu/crt1.o"); err == nil {
		f.Add(self)
	}
	real, err := filepath.Glob("testdata/foreign/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range real {
		if b, err := os.ReadFile(path); err == nil {
			f.Add(b)
		}
	}
	// Whatever comes in, there is an error or a file, never a panic that gets
	// out, and what is listed stays within the limits.
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := binary.Measure("x", bytes.NewReader(b), int64(len(b)))
		if m != nil && (err != nil || len(m.Exports) > binary.MaxExports || len(m.Needed) > binary.MaxNeeded) {
			t.Errorf("Measure = %+v, %v", m, err)
		}
	})
}
