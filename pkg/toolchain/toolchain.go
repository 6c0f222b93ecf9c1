// Package toolchain finds out what this machine is and how it compiles: the
// facts (compat.Host) by which a build is chosen. It runs the compiler, with
// arguments of its own alone, and never code of a package.
package toolchain

import (
	"bytes"
	"cmp"
	"context"
	"debug/elf"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/compat"
)

// patience is how long one call of a compiler may take. Ours: on a machine
// under load it answers in a tenth of it.
const patience = 10 * time.Second

// maxAnswer bounds what is read of a compiler's answer, in bytes; its
// predefined macros are 15 KiB.
const maxAnswer = 1 << 20

// Options says which compiler, and how it is used. The zero value takes CC,
// CXX, CFLAGS and CXXFLAGS of the environment, then cc and c++.
type Options struct {
	CC, CXX  string
	CFlags   []string // words, for cc
	CXXFlags []string // words, for c++
	Getenv   func(string) string
}

// Toolchain is a host with what only matters to whoever builds on it.
type Toolchain struct {
	Host     compat.Host
	Baseline string // least processor that the flags compile for
	CC, CXX  string // "" where there is none
}

// Detect returns the facts of this host by which builds are chosen: those of
// Compilers.
func Detect(ctx context.Context, o Options) (compat.Host, error) {
	t, err := Compilers(ctx, o)
	return t.Host, err
}

// Compilers describes this machine and its compilers. Without a C++ compiler the
// facts of C++ are empty; without any compiler those of compiling are, and
// what can be known without one is there all the same.
func Compilers(ctx context.Context, o Options) (t Toolchain, err error) {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	h := &t.Host
	*h = compat.Host{OS: osName(runtime.GOOS), Arch: archName(runtime.GOARCH), CPU: cpuLevel()}
	h.OSVersion = osVersion(ctx)
	cc := o.find(cmp.Or(o.CC, o.Getenv("CC")), "cc", "gcc", "clang")
	cxx := o.find(cmp.Or(o.CXX, o.Getenv("CXX")), "c++", "g++", "clang++")
	cflags := slices.Concat(strings.Fields(o.Getenv("CFLAGS")), o.CFlags)
	cxxflags := slices.Concat(strings.Fields(o.Getenv("CXXFLAGS")), o.CXXFlags)
	if c := cmp.Or(cxx, cc); c != "" {
		if err := describe(ctx, h, c); err != nil {
			return t, err
		}
	}
	if cc != "" {
		m, err := macros(ctx, cc, cflags, "c", "#include <limits.h>\n"+features)
		if err != nil {
			return t, err
		}
		h.CStd = standardOf(m["__STDC_VERSION__"], cStandards)
		libcOf(h, m)
		archOf(h, m)
		manners(h, m, cflags)
		t.Baseline = baseline(m)
	}
	if cxx != "" {
		m, err := macros(ctx, cxx, cxxflags, "c++", "#include <string>\n"+features)
		if err != nil {
			return t, err
		}
		h.CXXStd = standardOf(m["__cplusplus"], cxxStandards)
		libcOf(h, m)
		archOf(h, m)
		manners(h, m, cxxflags)
		t.Baseline = baseline(m)
		stdlibOf(ctx, h, m, cxx)
	}
	t.CC, t.CXX = cc, cxx
	return t, nil
}

// find returns the compiler asked for, or the first of the usual ones that
// there is.
func (o Options) find(asked string, usual ...string) string {
	if _, err := exec.LookPath(asked); err == nil {
		return asked
	}
	if f := strings.Fields(asked); len(f) > 0 { // "ccache gcc"
		return f[len(f)-1]
	}
	for _, c := range usual {
		if _, err := exec.LookPath(c); err == nil {
			return c
		}
	}
	return ""
}

// run asks a compiler something.
func run(ctx context.Context, stdin, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var out bytes.Buffer
	cmd.Stdout = &limited{w: &out, left: maxAnswer}
	if err := cmd.Run(); err != nil {
		return "", clyde.Errorf(clyde.ErrNotFound, "the compiler %s does not answer (%s)", program, strings.Join(args, " ")).
			WithCode("compiler_missing").Because(err).Fix("Install a compiler, or name one with CC and CXX.")
	}
	return strings.TrimSpace(out.String()), nil
}

// limited drops what is too much.
type limited struct {
	w    io.Writer
	left int
}

func (l *limited) Write(b []byte) (int, error) {
	n := min(len(b), l.left)
	l.left -= n
	if _, err := l.w.Write(b[:n]); err != nil {
		return 0, err
	}
	return len(b), nil
}

var (
	gccVersion   = regexp.MustCompile(`(?m)^[0-9]+(?:\.[0-9]+)*$`)
	clangVersion = regexp.MustCompile(`(Apple )?clang version ([0-9]+(?:\.[0-9]+)*)`)
)

// describe learns what the compiler is and what it compiles for.
func describe(ctx context.Context, h *compat.Host, program string) error {
	banner, err := run(ctx, "", program, "--version")
	if err != nil {
		return err
	}
	if h.Compiler.Target, err = run(ctx, "", program, "-dumpmachine"); err != nil {
		return err
	}
	if m := clangVersion.FindStringSubmatch(banner); m != nil {
		h.Compiler.Family, h.Compiler.Version = "clang", m[2]
		if m[1] != "" {
			h.Compiler.Family = "apple-clang"
		}
		return nil
	}
	v, err := run(ctx, "", program, "-dumpfullversion", "-dumpversion")
	if err == nil && gccVersion.MatchString(v) {
		h.Compiler.Family, h.Compiler.Version = "gcc", v
	}
	return err
}

// macros returns what a compiler defines after reading source.
func macros(ctx context.Context, program string, flags []string, language, source string) (map[string]string, error) {
	out, err := run(ctx, source, program, append(slices.Clone(flags), "-x", language, "-dM", "-E", "-")...)
	if err != nil {
		return nil, err
	}
	m := map[string]string{}
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "#define "); ok {
			name, value, _ := strings.Cut(rest, " ")
			m[name] = value
		}
	}
	return m, nil
}

// standards are the values of __STDC_VERSION__ and __cplusplus, ascending;
// drafts in between count as the one before.
var (
	cStandards   = []standard{{199409, "90"}, {199901, "99"}, {201112, "11"}, {201710, "17"}, {202311, "23"}}
	cxxStandards = []standard{{199711, "98"}, {201103, "11"}, {201402, "14"}, {201703, "17"}, {202002, "20"}, {202302, "23"}}
)

type standard struct {
	from int
	name string
}

func standardOf(value string, list []standard) string {
	n := 0
	for _, c := range strings.TrimRight(value, "Ll") {
		if c < '0' || c > '9' || n > 1e7 {
			return ""
		}
		n = n*10 + int(c-'0')
	}
	out := ""
	for _, s := range list {
		if n >= s.from {
			out = s.name
		}
	}
	return out
}

// archOf corrects the processor by what the compiler compiles for.
func archOf(h *compat.Host, m map[string]string) {
	for _, a := range []struct{ macro, arch string }{
		{"__x86_64__", "x86_64"}, {"__i386__", "x86"}, {"__aarch64__", "arm64"}, {"__arm__", "arm"}, {"__s390x__", "s390x"}, {"__loongarch64", "loongarch64"},
	} {
		if _, ok := m[a.macro]; ok && h.Arch != a.arch {
			h.Arch, h.CPU = a.arch, ""
		}
	}
}

// libcOf learns the C library that headers are of.
func libcOf(h *compat.Host, m map[string]string) {
	if major, minor := m["__GLIBC__"], m["__GLIBC_MINOR__"]; major != "" && minor != "" {
		h.Libc = compat.HostLibc{Family: "glibc", Version: major + "." + minor}
		return
	}
	switch h.OS {
	case "linux":
		// musl defines nothing, on purpose; its loader has a name of its own.
		if loaders, _ := filepath.Glob("/lib/ld-musl-*.so.1"); len(loaders) > 0 {
			h.Libc.Family = "musl"
		}
	case "macos":
		h.Libc.Family = "darwin"
	}
}

// features defines for clang what gcc defines by itself.
const features = `
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#if __has_feature(hwaddress_sanitizer)
#define __SANITIZE_HWADDRESS__ 1
#endif
#if __has_feature(memory_sanitizer)
#define __SANITIZE_MEMORY__ 1
#endif
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif
`

// sanitizersByName are those of gcc and clang that are not checks for undefined
// behaviour; each of those has a name, too, and belongs to one run-time library.
var sanitizersByName = []string{
	"address", "kernel-address", "pointer-compare", "pointer-subtract", "hwaddress", "kernel-hwaddress", "thread", "leak", "memory", "kernel-memory",
	"dataflow", "fuzzer", "fuzzer-no-link", "realtime", "safe-stack", "shadow-call-stack", "cfi", "kcfi", "numerical", "type",
}

// sanitizesUndefined says whether flags ask for the sanitizer that gcc tells
// nobody of.
func sanitizesUndefined(flags []string) (yes bool) {
	for _, f := range flags {
		if list, ok := strings.CutPrefix(f, "-fsanitize="); ok {
			yes = yes || slices.ContainsFunc(strings.Split(list, ","), func(name string) bool {
				return !slices.Contains(sanitizersByName, name) && !strings.HasPrefix(name, "cfi-")
			})
		}
		if list, ok := strings.CutPrefix(f, "-fno-sanitize="); ok {
			off := strings.Split(list, ",")
			yes = yes && !slices.Contains(off, "undefined") && !slices.Contains(off, "all")
		}
	}
	return yes
}

// manners learns how the flags make the compiler compile.
func manners(h *compat.Host, m map[string]string, flags []string) {
	var sanitizers []string
	for _, s := range []struct{ macro, name string }{
		{"__SANITIZE_ADDRESS__", "address"}, {"__SANITIZE_HWADDRESS__", "hwaddress"}, {"__SANITIZE_MEMORY__", "memory"}, {"__SANITIZE_THREAD__", "thread"},
	} {
		if _, ok := m[s.macro]; ok {
			sanitizers = append(sanitizers, s.name)
		}
	}
	if sanitizesUndefined(flags) {
		sanitizers = append(sanitizers, "undefined")
	}
	if len(sanitizers) > 0 {
		h.Sanitizers = sanitizers
	}
	if _, ok := m["_GLIBCXX_DEBUG"]; ok {
		h.StdlibDebug = "_GLIBCXX_DEBUG"
	}
	if v, ok := m["_TIME_BITS"]; ok {
		h.ABIDefines = map[string]string{"_TIME_BITS": v}
	}
	if _, cpp := m["__cplusplus"]; cpp {
		_, exceptions := m["__EXCEPTIONS"]
		_, rtti := m["__GXX_RTTI"]
		h.Exceptions, h.RTTI = &exceptions, &rtti
	}
}

// stdlibOf learns which C++ library the compiler uses, and how new the one is
// that programs will run with.
func stdlibOf(ctx context.Context, h *compat.Host, m map[string]string, program string) {
	if v, ok := m["_LIBCPP_VERSION"]; ok && v != "" {
		h.CXXStdlib.Family, h.CXXStdlib.ABI = "libc++", cmp.Or(m["_LIBCPP_ABI_VERSION"], "1")
		return
	}
	if _, ok := m["__GLIBCXX__"]; !ok {
		return
	}
	h.CXXStdlib.Family, h.CXXStdlib.ABI = "libstdc++", "old"
	if v := m["_GLIBCXX_USE_CXX11_ABI"]; v == "1" {
		h.CXXStdlib.ABI = "cxx11"
	}
	// Where the compiler has none it prints the name alone, and the system's
	// loader knows better than we do.
	path, err := run(ctx, "", program, "-print-file-name=libstdc++.so.6")
	if err == nil && filepath.IsAbs(path) {
		h.CXXStdlib.SymbolVersion = newestSymbol(path, "GLIBCXX_")
	}
}

var dotted = regexp.MustCompile(`^[0-9]+(?:\.[0-9]+)+$`)

// newestSymbol returns the highest version that a shared library defines.
func newestSymbol(path, prefix string) string {
	f, err := elf.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	versions, err := f.DynamicVersions()
	if err != nil {
		return ""
	}
	best := ""
	for _, v := range versions {
		s, ok := strings.CutPrefix(v.Name, prefix)
		if ok && dotted.MatchString(s) && (best == "" || compat.CompareDotted(best, s) < 0) {
			best = s
		}
	}
	return best
}

func osName(goos string) string {
	if goos == "darwin" {
		return "macos"
	}
	return goos
}

func archName(goarch string) string {
	switch goarch {
	case "amd64":
		return "x86_64"
	case "386":
		return "x86"
	case "loong64":
		return "loongarch64"
	}
	return goarch
}

// osVersion is the release of macOS; elsewhere nothing is matched by it.
func osVersion(ctx context.Context) string {
	if runtime.GOOS != "darwin" {
		return ""
	}
	v, err := run(ctx, "", "sw_vers", "-productVersion")
	if err != nil {
		return ""
	}
	return v
}
