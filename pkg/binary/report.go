package binary

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/compat"
)

// Report is what all files of one build say together.
type Report struct {
	Files []File // sorted by path

	Shared, Archives, Executables int

	exports int
}

// Add takes a file in; nil is none. Objects that are no library of their own
// (crt0.o) count for the facts, not for the linkage.
func (r *Report) Add(f *File) {
	if f == nil {
		return
	}
	if r.exports += len(f.Exports) + len(f.Undefined); r.exports > MaxAllExports {
		f.Exports, f.Strong, f.Undefined = nil, nil, nil
	}
	at, _ := slices.BinarySearchFunc(r.Files, f.Path, func(m File, path string) int { return cmp.Compare(m.Path, path) })
	r.Files = slices.Insert(r.Files, at, *f)
	switch f.Kind {
	case Shared:
		r.Shared++
	case Archive:
		r.Archives++
	case Executable:
		r.Executables++
	}
}

// Linkage is that of a build with these files.
func (r *Report) Linkage() string {
	switch {
	case r.Shared > 0 && r.Archives > 0:
		return compat.Both
	case r.Shared > 0:
		return compat.Shared
	case r.Archives > 0:
		return compat.Static
	case r.Executables > 0:
		return compat.Executable
	}
	return compat.Headers
}

// highest returns the highest version that one file names.
func (r *Report) highest(get func(File) string) (version, path string) {
	for _, f := range r.Files {
		if v := get(f); v != "" && (version == "" || compat.CompareDotted(version, v) < 0) {
			version, path = v, f.Path
		}
	}
	return version, path
}

// Check refuses declared facts that a file contradicts, with the first one
// found: an ErrInvalid error with code "facts_contradicted". What no file says
// is believed.
func (r *Report) Check(f *compat.Facts) error {
	if have := r.Linkage(); have != f.Linkage && !(f.Linkage == compat.Executable && have == compat.Headers) {
		return contradict("linkage", f.Linkage, have, "the files of the build")
	}
	for i := range r.Files {
		if err := r.Files[i].check(f); err != nil {
			return err
		}
	}
	return nil
}

func contradict(fact, declared, measured, by string) error {
	return clyde.Errorf(clyde.ErrInvalid, "build.json says %s is %s; %s says it is %s", fact, cmp.Or(declared, "none"), by, measured).
		WithCode("facts_contradicted").Fix("Measure the build instead of declaring it: clyde build does.")
}

// check compares what one file says with what was declared.
func (m *File) check(f *compat.Facts) error {
	same := []struct{ fact, declared, measured string }{
		{"os", f.OS, m.OS},
		{"arch", f.Arch, m.Arch},
		{"libc.family", f.Libc.Family, m.Libc},
	}
	linked := m.Kind != Executable // to whom nobody links
	if linked && m.CXX && f.Language == compat.CPP {
		same = append(same, []struct{ fact, declared, measured string }{
			{"cxx_stdlib.family", f.CXXStdlib.Family, m.Stdlib},
			{"cxx_stdlib.abi", f.CXXStdlib.ABI, m.StdlibABI},
		}...)
	}
	for _, s := range same {
		if s.measured != "" && s.declared != s.measured {
			return contradict(s.fact, s.declared, s.measured, m.Path)
		}
	}
	least := []struct{ fact, declared, measured string }{
		{"os_min", f.OSMin, m.OSMin},
		{"libc.min", f.Libc.Min, m.Glibc},
		{"cxx_stdlib.min_symbol_version", f.CXXStdlib.MinSymbolVersion, m.GLIBCXX},
	}
	for _, l := range least {
		if l.measured != "" && (l.declared == "" || compat.CompareDotted(l.declared, l.measured) < 0) {
			return contradict(l.fact, l.declared, "at least "+l.measured, m.Path)
		}
	}
	return m.checkManners(f, linked)
}

// checkManners compares how it was compiled.
func (m *File) checkManners(f *compat.Facts, linked bool) error {
	for _, s := range m.Sanitizers {
		if !slices.Contains(f.Sanitizers, s) {
			return contradict("sanitizers", strings.Join(f.Sanitizers, ", "), s, m.Path)
		}
	}
	if !linked {
		return nil
	}
	switch {
	case m.Debug && f.StdlibDebug == "":
		return contradict("stdlib_debug", "", "_GLIBCXX_DEBUG", m.Path)
	case m.CXX && f.Language == compat.CPP && m.Exceptions && f.Exceptions != nil && !*f.Exceptions:
		return contradict("exceptions", "false", "true", m.Path)
	case m.RTTI != nil && f.Language == compat.CPP && *m.RTTI != (f.RTTI == nil || *f.RTTI):
		return contradict("rtti", fmt.Sprint(!*m.RTTI), fmt.Sprint(*m.RTTI), m.Path)
	case m.Kind == Archive && m.PIC != nil && !*m.PIC && f.PIC:
		return contradict("pic", "true", "false", m.Path)
	case m.LTO == "slim" && f.LTO != "slim":
		return contradict("lto", f.LTO, "slim", m.Path)
	}
	return nil
}

// Fill completes facts from what was measured: members that are empty get what
// the files say. Linkage, versions needed, sanitizers, PIC and LTO are always
// those measured.
func (r *Report) Fill(f *compat.Facts) {
	f.Linkage = r.Linkage()
	set := func(dst *string, get func(File) string) {
		for _, m := range r.Files {
			if *dst == "" {
				*dst = get(m)
			}
		}
	}
	set(&f.OS, func(m File) string { return m.OS })
	set(&f.Arch, func(m File) string { return m.Arch })
	set(&f.Libc.Family, func(m File) string { return m.Libc })
	atLeast := func(dst *string, get func(File) string) {
		if v, _ := r.highest(get); v != "" {
			raise(dst, v)
		}
	}
	atLeast(&f.OSMin, func(m File) string { return m.OSMin })
	atLeast(&f.Libc.Min, func(m File) string { return m.Glibc })
	sanitizers, pic := map[string]bool{}, true
	for _, m := range r.Files {
		for _, s := range m.Sanitizers {
			sanitizers[s] = true
		}
		pic = pic && (m.Kind != Archive || m.PIC == nil || *m.PIC)
		if m.LTO == "slim" || f.LTO == "" {
			f.LTO = m.LTO
		}
		if m.Debug && f.StdlibDebug == "" {
			f.StdlibDebug = "_GLIBCXX_DEBUG"
		}
	}
	f.Sanitizers, f.PIC = sorted(sanitizers), pic
	if f.Language == compat.CPP {
		atLeast(&f.CXXStdlib.MinSymbolVersion, func(m File) string { return m.GLIBCXX })
		set(&f.CXXStdlib.Family, func(m File) string { return m.Stdlib })
		set(&f.CXXStdlib.ABI, func(m File) string { return m.StdlibABI })
		for _, m := range r.Files {
			if m.RTTI != nil && f.RTTI == nil && !*m.RTTI {
				f.RTTI = m.RTTI
			}
		}
	}
	set(&f.Compiler.Family, func(m File) string { return m.compiler(0) })
	set(&f.Compiler.Version, func(m File) string { return m.compiler(1) })
}

// compiler returns the family (0) or version (1) of the compiler that signed
// last by name: clang's programs carry gcc's signature too, of the start files.
func (m File) compiler(part int) string {
	for _, c := range m.Compilers {
		if family, version, ok := strings.Cut(c, " "); ok {
			return []string{family, version}[part]
		}
	}
	return ""
}
