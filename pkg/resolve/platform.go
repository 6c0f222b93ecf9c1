package resolve

import (
	"slices"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Platform is what conditions and supports expressions ask about. An empty
// field is not known, and neither true nor false of it.
type Platform struct {
	OS       string `json:"os,omitempty" example:"linux"`     // linux, macos, windows, freebsd, …
	Arch     string `json:"arch,omitempty" example:"x86_64"`  // x86_64, arm64, …
	Libc     string `json:"libc,omitempty" example:"glibc"`   // glibc, musl, …
	Compiler string `json:"compiler,omitempty" example:"gcc"` // gcc, clang, msvc, mingw
}

// String returns what is known, joined by hyphens: "linux-x86_64-glibc".
func (p Platform) String() string {
	s := ""
	for _, f := range []string{p.OS, p.Arch, p.Libc, p.Compiler} {
		if f != "" && s != "" {
			s += "-"
		}
		s += f
	}
	return s
}

var (
	systems = []string{
		"aix", "android", "bare-metal", "emscripten", "freebsd", "haiku", "ios", "linux", "macos", "netbsd",
		"openbsd", "qnx", "solaris", "tvos", "uwp", "visionos", "watchos", "windows", "xbox",
	}
	machines = []string{
		"arm", "arm64", "loongarch64", "mips", "mips64", "ppc64", "ppc64le", "riscv32", "riscv64", "s390x",
		"wasm32", "wasm64", "x86", "x86_64",
	}
	compilers = []string{"clang", "gcc", "mingw", "msvc"}
	notPosix  = []string{"windows", "uwp", "xbox", "bare-metal"}
)

// spelling folds the names that stand for one machine or system.
func spelling(s string) string {
	switch s {
	case "x64", "amd64":
		return "x86_64"
	case "aarch64":
		return "arm64"
	case "osx", "darwin":
		return "macos"
	case "i386", "i686":
		return "x86"
	}
	return s
}

func equal(have, want string) clyde.Truth {
	if have == "" {
		return clyde.Unknown
	}
	return clyde.TruthOf(spelling(have) == spelling(want))
}

func among(have string, list []string) clyde.Truth {
	if have == "" {
		return clyde.Unknown
	}
	return clyde.TruthOf(slices.Contains(list, spelling(have)))
}

// is answers an atom of a condition. Nothing is known of a nil platform.
func (p *Platform) is(key, value string) clyde.Truth {
	if p == nil {
		return clyde.Unknown
	}
	switch key {
	case "os":
		return equal(p.OS, value)
	case "arch":
		return equal(p.Arch, value)
	case "libc":
		return equal(p.Libc, value)
	case "compiler":
		return equal(p.Compiler, value)
	}
	switch name := spelling(value); {
	case slices.Contains(systems, name):
		return equal(p.OS, name)
	case slices.Contains(machines, name):
		return equal(p.Arch, name)
	case slices.Contains(compilers, name):
		return equal(p.Compiler, name)
	case name == "musl":
		return equal(p.Libc, name)
	case name == "bsd":
		return among(p.OS, []string{"freebsd", "netbsd", "openbsd"})
	case name == "posix":
		return -among(p.OS, notPosix)
	case name == "wasm":
		return among(p.Arch, []string{"wasm32", "wasm64"})
	}
	return clyde.Unknown
}

// supported evaluates a supports expression. What is not known of the platform
// does not rule it out.
func (p *Platform) supported(expr string) bool {
	if p == nil || expr == "" {
		return true
	}
	// Two readings, unknown as true and as false: where both say no, it is no.
	// An expression may negate, so neither alone is enough.
	for _, unknown := range []bool{true, false} {
		ok, err := clyde.Supports(expr, func(id string) bool {
			t := p.is("", id)
			return t == clyde.True || t == clyde.Unknown && unknown
		})
		if ok || err != nil {
			return true
		}
	}
	return false
}
