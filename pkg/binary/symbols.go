package binary

import (
	"fmt"
	"regexp"
	"strings"
)

// symbol looks at one name. defined means that this file has it, visible that
// others can link to it, strong that no other file of a program may define it.
func (m *meter) symbol(name string, defined, visible, strong bool) error {
	if m.symbols++; m.symbols > MaxSymbols {
		return fmt.Errorf("it has more than %d symbols", MaxSymbols)
	}
	if name == "" || len(name) > MaxName {
		return nil
	}
	if defined && visible && len(m.exports) < MaxExports {
		m.exports[name] = m.exports[name] || strong
	}
	if !defined && len(m.undefined) < MaxExports {
		m.undefined[name] = true
	}
	m.runtime(name)
	if !strings.HasPrefix(name, "_Z") && !strings.HasPrefix(name, "__Z") {
		return nil
	}
	m.f.CXX = true
	m.stdlib(name)
	if defined {
		if c, ok := strings.CutPrefix(name, "_ZTV"); ok && !strings.HasPrefix(c, "S") {
			m.classes[c] |= 1
		} else if c, ok := strings.CutPrefix(name, "_ZTI"); ok {
			m.classes[c] |= 2
		}
	}
	return nil
}

// sanitizerCalls are the calls that instrumented code makes.
var sanitizerCalls = []struct{ prefix, name string }{
	{"__asan_", "address"}, {"__hwasan_", "hwaddress"}, {"__msan_", "memory"}, {"__tsan_", "thread"}, {"__ubsan_handle_", "undefined"},
}

// glibcSince says since when the GNU C library has what objects ask of it by
// name alone: an archive carries no versions. Only names that compilers and
// headers put in without being asked, from its release notes.
var glibcSince = []struct{ prefix, version string }{
	{"__isoc23_", "2.38"}, {"__libc_single_threaded", "2.32"}, {"fcntl64", "2.28"}, {"__fdelt_chk", "2.15"}, {"__explicit_bzero_chk", "2.25"},
}

func (m *meter) runtime(name string) {
	if !strings.HasPrefix(name, "_") && name != "fcntl64" {
		return
	}
	switch name {
	case "__gxx_personality_v0", "__cxa_throw":
		m.f.Exceptions = true
		return
	case "__gnu_lto_slim":
		m.slim = true
		return
	}
	for _, s := range sanitizerCalls {
		if strings.HasPrefix(name, s.prefix) {
			m.sanitizers[s.name] = true
		}
	}
	if m.f.Format == "elf" && (m.f.Kind == Object || m.f.Kind == Archive) {
		for _, s := range glibcSince {
			if strings.HasPrefix(name, s.prefix) {
				raise(&m.f.Glibc, s.version)
			}
		}
	}
}

// oldString matches std::string of before C++11 as a parameter or a class:
// Ss is its abbreviation in the Itanium C++ ABI, 5.1.8.
var oldString = regexp.MustCompile(`^_ZNK?Ss|E(?:RK?|PK?)?Ss(?:$|[a-zRPS])`)

// stdlib learns from the mangled name whose library it is compiled against.
func (m *meter) stdlib(name string) {
	switch {
	case strings.Contains(name, "St3__1"), strings.Contains(name, "St6__ndk1"):
		m.abi1 = true
	case strings.Contains(name, "St3__2"):
		m.abi2 = true
	case strings.Contains(name, "St7__cxx11"):
		m.std, m.cxx11 = true, true
	case oldString.MatchString(name):
		m.std, m.old = true, true
	case strings.HasPrefix(name, "_ZNSt6vector"), strings.HasPrefix(name, "_ZSt4cout"), strings.HasPrefix(name, "_ZSt4cerr"),
		strings.HasPrefix(name, "_ZSt20__throw"), strings.HasPrefix(name, "_ZSt17__throw"), strings.HasPrefix(name, "_ZSt19__throw"),
		strings.HasPrefix(name, "_ZNSo"), strings.HasPrefix(name, "_ZSt16__ostream"):
		m.std = true
	}
	if strings.Contains(name, "St7__debug") || strings.Contains(name, "N11__gnu_debug") {
		m.f.Debug = true
	}
}
