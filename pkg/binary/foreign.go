package binary

import (
	"bytes"
	"debug/macho"
	"debug/pe"
	"fmt"
	"io"
	"path"
	"strings"
)

var machoArch = map[macho.Cpu]string{macho.CpuAmd64: "x86_64", macho.CpuArm64: "arm64", macho.Cpu386: "x86", macho.CpuArm: "arm"}

// macho reads a file of macOS; of a universal one the first part alone counts,
// and its processors must not contradict.
func (m *meter) macho(head []byte, r io.ReaderAt) error {
	if bytes.HasPrefix(head, []byte{0xca, 0xfe, 0xba, 0xbe}) {
		fat, err := macho.NewFatFile(r)
		if err != nil {
			return errNone // a class file of Java begins the same
		}
		defer fat.Close()
		if len(fat.Arches) != 1 {
			return fmt.Errorf("it is for %d processors; a build is for one (lipo -thin)", len(fat.Arches))
		}
		return m.machoFile(fat.Arches[0].File)
	}
	f, err := macho.NewFile(r)
	if err != nil {
		return err
	}
	defer f.Close()
	return m.machoFile(f)
}

func (m *meter) machoFile(f *macho.File) error {
	if err := agree(&m.f.Format, "macho", "the formats"); err != nil {
		return err
	}
	if err := agree(&m.f.Arch, machoArch[f.Cpu], "the processors"); err != nil {
		return err
	}
	m.f.OS = "macos"
	if m.f.Kind == "" {
		switch f.Type {
		case macho.TypeDylib, macho.TypeBundle:
			m.f.Kind = Shared
		case macho.TypeExec:
			m.f.Kind = Executable
		default:
			m.f.Kind = Object
		}
	}
	for _, l := range f.Loads {
		m.load(f, l.Raw())
	}
	libs, err := f.ImportedLibraries()
	if err != nil {
		return err
	}
	if err := m.needs(libs); err != nil {
		return err
	}
	if f.Symtab == nil {
		return nil
	}
	// What is private to a finished file is every object's in the making of it.
	finished := f.Type != macho.TypeObj
	const undefined, external, privateExternal, debugging, weak = 0x0e, 0x01, 0x10, 0xe0, 0x80 // mach-o/nlist.h; the last of n_desc
	for _, s := range f.Symtab.Syms {
		if s.Type&debugging != 0 {
			continue
		}
		// Mach-O puts an underscore before every name.
		err := m.symbol(strings.TrimPrefix(s.Name, "_"), s.Type&undefined != 0, s.Type&external != 0 && !(finished && s.Type&privateExternal != 0), s.Desc&weak == 0)
		if err != nil {
			return err
		}
	}
	return nil
}

// load learns the least release of macOS and the name of a library.
func (m *meter) load(f *macho.File, raw []byte) {
	const buildVersion, versionMin, idDylib = 0x32, 0x24, 0x0d // mach-o/loader.h
	if len(raw) < 16 {
		return
	}
	at := 8
	switch f.ByteOrder.Uint32(raw) {
	case buildVersion:
		if f.ByteOrder.Uint32(raw[8:]) != 1 { // PLATFORM_MACOS
			m.f.OS = ""
		}
		at = 12
	case versionMin:
	case idDylib:
		if off := f.ByteOrder.Uint32(raw[8:]); int64(off) < int64(len(raw)) {
			name, _, _ := bytes.Cut(raw[off:], []byte{0})
			m.f.SOName = path.Base(string(name))
		}
		return
	default:
		return
	}
	v := f.ByteOrder.Uint32(raw[at:])
	raise(&m.f.OSMin, fmt.Sprintf("%d.%d", v>>16, v>>8&0xff))
}

var peArch = map[uint16]string{
	pe.IMAGE_FILE_MACHINE_AMD64: "x86_64", pe.IMAGE_FILE_MACHINE_I386: "x86", pe.IMAGE_FILE_MACHINE_ARM64: "arm64", pe.IMAGE_FILE_MACHINE_ARMNT: "arm",
}

// pe reads a program or a library of Windows.
func (m *meter) pe(r io.ReaderAt) error {
	f, err := pe.NewFile(r)
	if err != nil {
		return errNone // MZ begins other files too
	}
	defer f.Close()
	m.f.Kind = Executable
	if f.Characteristics&pe.IMAGE_FILE_DLL != 0 {
		m.f.Kind = Shared
	}
	if err := m.coffFile(f); err != nil {
		return err
	}
	libs, err := f.ImportedLibraries()
	if err != nil {
		return err
	}
	return m.needs(libs)
}

// coff reads an object of Windows, which has no magic but its processor.
func (m *meter) coff(head []byte, r io.ReaderAt) error {
	if len(head) < 2 || peArch[uint16(head[0])|uint16(head[1])<<8] == "" {
		return nil // a list, a note: no object
	}
	f, err := pe.NewFile(r)
	if err != nil {
		return nil // two bytes are little to go by
	}
	defer f.Close()
	return m.coffFile(f)
}

func (m *meter) coffFile(f *pe.File) error {
	if err := agree(&m.f.Format, "pe", "the formats"); err != nil {
		return err
	}
	m.f.OS = "windows"
	if err := agree(&m.f.Arch, peArch[f.Machine], "the processors"); err != nil {
		return err
	}
	const external = 2 // IMAGE_SYM_CLASS_EXTERNAL
	for _, s := range f.Symbols {
		if s.StorageClass != external {
			continue
		}
		// Of C++, what may be in several files is not told from the rest here.
		if err := m.symbol(s.Name, s.SectionNumber != 0, true, !strings.HasPrefix(s.Name, "?") && !strings.HasPrefix(s.Name, "_Z")); err != nil {
			return err
		}
	}
	return nil
}
