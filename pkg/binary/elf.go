package binary

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// machines maps what an ELF header says to the words of package.yaml.
var machines = map[elf.Machine]string{
	elf.EM_X86_64: "x86_64", elf.EM_386: "x86", elf.EM_AARCH64: "arm64", elf.EM_ARM: "arm", elf.EM_S390: "s390x", elf.EM_LOONGARCH: "loongarch64",
}

func elfArch(h elf.FileHeader) string {
	switch {
	case h.Machine == elf.EM_RISCV && h.Class == elf.ELFCLASS64:
		return "riscv64"
	case h.Machine == elf.EM_RISCV:
		return "riscv32"
	case h.Machine == elf.EM_PPC64 && h.Data == elf.ELFDATA2LSB:
		return "ppc64le"
	case h.Machine == elf.EM_PPC64:
		return "ppc64"
	case h.Machine == elf.EM_MIPS && h.Class == elf.ELFCLASS64:
		return "mips64"
	case h.Machine == elf.EM_MIPS:
		return "mips"
	}
	if a := machines[h.Machine]; a != "" {
		return a
	}
	return strings.ToLower(strings.TrimPrefix(h.Machine.String(), "EM_"))
}

// elf reads one object, library or program of size bytes.
func (m *meter) elf(r io.ReaderAt, size int64) error {
	e, err := elf.NewFile(r)
	if err != nil {
		return err
	}
	defer e.Close()
	for _, s := range e.Sections {
		// debug/elf unpacks what says that it is compressed; only what
		// debuggers read ever is.
		debug := strings.HasPrefix(s.Name, ".debug") || strings.HasPrefix(s.Name, ".zdebug")
		if !debug && (s.Flags&elf.SHF_COMPRESSED != 0 || s.Type != elf.SHT_NOBITS && s.Size > uint64(size)) {
			return fmt.Errorf("its section %.40q is larger than the file", s.Name)
		}
	}
	if err := agree(&m.f.Format, "elf", "the formats"); err != nil {
		return err
	}
	if err := agree(&m.f.Arch, elfArch(e.FileHeader), "the processors"); err != nil {
		return err
	}
	switch e.OSABI {
	case elf.ELFOSABI_FREEBSD:
		err = agree(&m.f.OS, "freebsd", "the systems")
	case elf.ELFOSABI_LINUX:
		err = agree(&m.f.OS, "linux", "the systems")
	}
	if err != nil {
		return err
	}
	if e.Type != elf.ET_REL {
		if err := m.sections(e, nil); err != nil {
			return err
		}
		return m.dynamic(e)
	}
	symbols, err := e.Symbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return err
	}
	if m.f.Kind == "" {
		m.f.Kind = Object
	}
	if err := m.sections(e, symbols); err != nil {
		return err
	}
	return m.elfSymbols(symbols, true)
}

func (m *meter) sections(e *elf.File, symbols []elf.Symbol) error {
	for _, s := range e.Sections {
		switch {
		case strings.HasPrefix(s.Name, ".gnu.lto_"):
			m.fat = true
		case s.Name == ".debug_info" || s.Name == ".zdebug_info":
			m.f.DebugInfo = true
		case s.Name == ".comment" && s.Type == elf.SHT_PROGBITS && s.Size <= 64<<10:
			b, err := s.Data()
			if err != nil {
				return err
			}
			m.comment(b)
		case e.Type == elf.ET_REL && (s.Type == elf.SHT_RELA || s.Type == elf.SHT_REL):
			if err := m.relocations(e, s, symbols); err != nil {
				return err
			}
		}
	}
	return nil
}

// comments are how compilers sign what they made.
var comments = []struct {
	family string
	re     *regexp.Regexp
}{
	{"clang", regexp.MustCompile(`clang version ([0-9]+(?:\.[0-9]+){0,3})`)},
	{"gcc", regexp.MustCompile(`^GCC: .* ([0-9]+(?:\.[0-9]+){1,3})`)},
}

func (m *meter) comment(b []byte) {
	for s := range strings.SplitSeq(string(b), "\x00") {
		for _, c := range comments {
			if v := c.re.FindStringSubmatch(s); v != nil && len(m.compilers) < 100 {
				m.compilers[c.family+" "+v[1]] = true
				break
			}
		}
	}
}

// relocations finds out whether code can be put into a shared library: on
// x86-64, code that is position-independent has neither 32-bit addresses nor
// direct references to data that others may replace.
func (m *meter) relocations(e *elf.File, s *elf.Section, symbols []elf.Symbol) error {
	if e.Machine != elf.EM_X86_64 || s.Type != elf.SHT_RELA || int(s.Info) >= len(e.Sections) || s.Size > MaxReloc {
		return nil
	}
	if e.Sections[s.Info].Flags&elf.SHF_EXECINSTR == 0 {
		return nil
	}
	b, err := s.Data()
	if err != nil {
		return err
	}
	m.picSeen = true
	for ; len(b) >= 24; b = b[24:] {
		info := binary.LittleEndian.Uint64(b[8:])
		switch elf.R_X86_64(info & 0xffffffff) {
		case elf.R_X86_64_32, elf.R_X86_64_32S:
			m.notPIC = true
		case elf.R_X86_64_PC32:
			i := int(info>>32) - 1 // Symbols leaves out the first
			if i < 0 || i >= len(symbols) {
				continue
			}
			sym := symbols[i]
			if elf.ST_BIND(sym.Info) != elf.STB_LOCAL && elf.ST_VISIBILITY(sym.Other) == elf.STV_DEFAULT && elf.ST_TYPE(sym.Info) == elf.STT_OBJECT {
				m.notPIC = true
			}
		}
	}
	return nil
}

// elfSymbols looks at symbols: of objects, all of which are linked into one
// file, or of a finished file, which keeps to itself what is hidden.
func (m *meter) elfSymbols(symbols []elf.Symbol, objects bool) error {
	for _, s := range symbols {
		bind, hidden := elf.ST_BIND(s.Info), elf.ST_VISIBILITY(s.Other) == elf.STV_HIDDEN || elf.ST_VISIBILITY(s.Other) == elf.STV_INTERNAL
		visible := bind != elf.STB_LOCAL && (objects || !hidden)
		if err := m.symbol(s.Name, s.Section != elf.SHN_UNDEF, visible, bind == elf.STB_GLOBAL && s.Section != elf.SHN_COMMON); err != nil {
			return err
		}
	}
	return nil
}

// dynamic reads a library or a program.
func (m *meter) dynamic(e *elf.File) error {
	m.f.Kind = Executable
	program, dyn := false, false
	for _, p := range e.Progs {
		program, dyn = program || p.Type == elf.PT_INTERP, dyn || p.Type == elf.PT_DYNAMIC
	}
	if names, err := e.DynString(elf.DT_SONAME); err == nil && len(names) > 0 {
		m.f.SOName = names[0]
	}
	if e.Type == elf.ET_DYN && (m.f.SOName != "" || !program) {
		m.f.Kind = Shared
	}
	if !dyn {
		return nil // linked statically: it needs nothing
	}
	libs, err := e.ImportedLibraries()
	if err != nil {
		return err
	}
	if err := m.needs(libs); err != nil {
		return err
	}
	// A library that asks nobody for a version has no table of them.
	if e.SectionByType(elf.SHT_GNU_VERSYM) != nil {
		versions, err := e.DynamicVersionNeeds()
		if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
			return err
		}
		for _, v := range versions {
			for _, d := range v.Needs {
				m.version(d.Dep)
			}
		}
	}
	symbols, err := e.DynamicSymbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return err
	}
	return m.elfSymbols(symbols, false)
}

func (m *meter) needs(libs []string) error {
	for _, l := range libs {
		if len(m.needed) >= MaxNeeded {
			return fmt.Errorf("it needs more than %d libraries", MaxNeeded)
		}
		m.needed[l] = true
		switch {
		case l == "libc.so.6":
			m.f.OS, m.f.Libc = "linux", "glibc"
		case strings.HasPrefix(l, "libc.musl-"):
			m.f.OS, m.f.Libc = "linux", "musl"
		case strings.HasPrefix(l, "libstdc++.so"):
			m.f.Stdlib = "libstdc++"
		case strings.HasPrefix(l, "libc++.so"), strings.HasSuffix(l, "/libc++.1.dylib"):
			m.f.Stdlib = "libc++"
		}
	}
	return nil
}

var symbolVersion = regexp.MustCompile(`^(GLIBC|GLIBCXX|CXXABI)_([0-9]+(?:\.[0-9]+){1,3})$`)

func (m *meter) version(s string) {
	if s == "GLIBC_ABI_DT_RELR" {
		raise(&m.f.Glibc, "2.36") // packed relocations, which older loaders do not know
	}
	v := symbolVersion.FindStringSubmatch(s)
	if v == nil {
		return
	}
	raise(map[string]*string{"GLIBC": &m.f.Glibc, "GLIBCXX": &m.f.GLIBCXX, "CXXABI": &m.f.CXXABI}[v[1]], v[2])
}
