// Package binary measures what compiled files say of themselves: ELF, Mach-O
// and PE, and archives of their objects. What it reads is hostile: every size
// is bounded, and whatever cannot be read is an error, never a panic.
//
// What was measured fills the facts of a build (compat.Facts) where nobody
// declared them, and contradicts them where somebody declared otherwise.
package binary

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/compat"
)

// Limits. All are ours; the largest library we know, LLVM's, stays below each
// with its debug symbols stripped.
const (
	MaxFile       = 1 << 30   // bytes of one file
	MaxMembers    = 100_000   // members of one archive
	MaxSymbols    = 4_000_000 // symbols looked at in one file or archive
	MaxExports    = 200_000   // exported symbols kept of one file
	MaxAllExports = 1_000_000 // exported symbols kept of one build; of the files after that, none
	MaxName       = 16 << 10  // bytes of a symbol's name; longer ones are not looked at
	MaxNeeded     = 1_000     // libraries that one file needs
	MaxReloc      = 64 << 20  // bytes of one section of relocations; of longer ones nothing is concluded
)

// Kinds of file.
const (
	Object     = "object"
	Archive    = "archive"
	Shared     = "shared"
	Executable = "executable"
)

// File is what one file says of itself. What is empty or nil, it does not say.
type File struct {
	Path       string   // as given to Measure
	Size       int64    // bytes
	Format     string   // elf | macho | pe
	Kind       string   // Object | Archive | Shared | Executable
	OS         string   // as in compat.Facts
	OSMin      string   // macOS: least release
	Arch       string   // as in compat.Facts
	Libc       string   // glibc | musl
	Needed     []string // libraries, sorted
	SOName     string
	Glibc      string   // highest version needed, "2.34"
	GLIBCXX    string   // highest version needed of libstdc++, "3.4.30"
	CXXABI     string   // highest version needed of its ABI library, "1.3.13"
	Compilers  []string // sorted: "gcc 12.2.0", "clang 14.0.6"
	PIC        *bool
	CXX        bool   // has symbols of C++
	Stdlib     string // libstdc++ | libc++
	StdlibABI  string // cxx11 | old | 1 | 2; "" where it uses neither, or both
	Debug      bool   // containers of the library's debug mode
	Exceptions bool   // throws or lets through
	RTTI       *bool  // classes with virtual functions have type information
	Sanitizers []string
	LTO        string   // "" | fat | slim
	DebugInfo  bool     // has DWARF
	Exports    []string // defined and visible, sorted; at most MaxExports
	Strong     []string // those of Exports that no other file of a program may define, sorted: neither weak nor common
	Undefined  []string // of objects and archives: asked for and not there, sorted; at most MaxExports
}

// errNone means that a file is nothing that this package reads.
var errNone = errors.New("no object file")

// magics begin what Measure reads.
var magics = [][]byte{
	[]byte("\x7fELF"), []byte(arMagic), []byte(thinMagic), []byte("MZ"),
	{0xfe, 0xed, 0xfa, 0xce}, {0xfe, 0xed, 0xfa, 0xcf}, {0xce, 0xfa, 0xed, 0xfe}, {0xcf, 0xfa, 0xed, 0xfe}, {0xca, 0xfe, 0xba, 0xbe},
}

// HeadSize is how many bytes of a file Is needs.
const HeadSize = 8

// Is reports whether a file that begins with head may be one to measure.
func Is(head []byte) bool {
	return slices.ContainsFunc(magics, func(m []byte) bool { return bytes.HasPrefix(head, m) })
}

// Measure reads a file of size bytes. It returns nil, nil for what only looks
// like an object file from its first bytes, and an ErrInvalid error with code
// "binary_invalid" for one that breaks its format or a limit.
func Measure(path string, r io.ReaderAt, size int64) (f *File, err error) {
	defer func() {
		// debug/elf and its like promise nothing about hostile files.
		if p := recover(); p != nil {
			f, err = nil, invalid("%s cannot be read: %v", path, p)
		}
	}()
	if size > MaxFile {
		return nil, clyde.Errorf(clyde.ErrTooLarge, "%s is %d bytes; the limit is %d", path, size, int64(MaxFile)).WithCode("too_large")
	}
	head := make([]byte, HeadSize)
	n, err := r.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	f = &File{Path: path, Size: size}
	m := &meter{f: f, exports: map[string]bool{}, undefined: map[string]bool{}, needed: map[string]bool{}, compilers: map[string]bool{}, sanitizers: map[string]bool{}, classes: map[string]int{}}
	switch err := m.file(head[:n], r, size); {
	case errors.Is(err, errNone):
		return nil, nil
	case err != nil:
		return nil, invalid("%s cannot be read: %v", path, err)
	}
	m.finish()
	return f, nil
}

func (m *meter) file(head []byte, r io.ReaderAt, size int64) error {
	switch {
	case bytes.HasPrefix(head, []byte(arMagic)):
		return m.archive(r, size)
	case bytes.HasPrefix(head, []byte(thinMagic)):
		return fmt.Errorf("it is a thin archive, whose members are elsewhere; make it without T")
	case bytes.HasPrefix(head, []byte("\x7fELF")):
		return m.elf(r, size)
	case bytes.HasPrefix(head, []byte("MZ")):
		return m.pe(r)
	}
	for _, magic := range magics[4:] {
		if bytes.HasPrefix(head, magic) {
			return m.macho(head, r)
		}
	}
	return errNone
}

func invalid(format string, args ...any) *clyde.Error {
	return clyde.Errorf(clyde.ErrInvalid, format, args...).WithCode("binary_invalid")
}

// meter gathers facts of one file, or of all members of one archive.
type meter struct {
	f          *File
	exports    map[string]bool // true: strong
	undefined  map[string]bool
	needed     map[string]bool
	compilers  map[string]bool
	sanitizers map[string]bool
	symbols    int
	notPIC     bool // some code is not
	picSeen    bool // some code was looked at
	slim, fat  bool
	cxx11, old bool
	abi1, abi2 bool
	std        bool           // symbols of std outside libc++'s namespace
	classes    map[string]int // classes with a vtable (1), with type information (2), or both (3)
}

func (m *meter) finish() {
	f := m.f
	for name, strong := range m.exports {
		if strong {
			f.Strong = append(f.Strong, name)
		}
	}
	slices.Sort(f.Strong)
	f.Needed, f.Compilers, f.Sanitizers, f.Exports = sorted(m.needed), sorted(m.compilers), sorted(m.sanitizers), sorted(m.exports)
	if f.Kind == Object || f.Kind == Archive {
		for name := range m.exports {
			delete(m.undefined, name)
		}
		f.Undefined = sorted(m.undefined)
	}
	if m.picSeen {
		pic := !m.notPIC
		f.PIC = &pic
	}
	switch {
	case m.slim:
		f.LTO = "slim"
	case m.fat:
		f.LTO = "fat"
	}
	if f.Stdlib == "" {
		switch libcxx := m.abi1 || m.abi2; {
		case libcxx && !m.std:
			f.Stdlib = "libc++"
		case m.std && !libcxx:
			f.Stdlib = "libstdc++"
		}
	}
	switch {
	case f.Stdlib == "libstdc++" && m.cxx11 != m.old:
		f.StdlibABI = "old"
		if m.cxx11 {
			f.StdlibABI = "cxx11"
		}
	case f.Stdlib == "libc++" && m.abi1 != m.abi2:
		f.StdlibABI = "1"
		if m.abi2 {
			f.StdlibABI = "2"
		}
	}
	with, without := false, false
	for _, c := range m.classes {
		with, without = with || c == 3, without || c == 1
	}
	if with || without {
		rtti := with
		f.RTTI = &rtti
	}
}

func sorted(m map[string]bool) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// raise makes *have the higher of two dotted versions.
func raise(have *string, v string) {
	if *have == "" || compat.CompareDotted(*have, v) < 0 {
		*have = v
	}
}

// agree sets *have to v, or reports that the members of one archive differ.
func agree(have *string, v, what string) error {
	if v == "" || *have == v {
		return nil
	}
	if *have != "" {
		return fmt.Errorf("its members are of %s %s and %s", what, *have, v)
	}
	*have = v
	return nil
}
