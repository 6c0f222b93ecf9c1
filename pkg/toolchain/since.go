package toolchain

import (
	"context"
	"debug/elf"
	"path/filepath"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/binary"
	"github.com/clydepm/clyde-registry/pkg/compat"
)

// Since raises the versions that f needs of the C and the C++ library to those
// that its archives ask for. An archive names no versions: what it asks for is
// as old as the oldest version of that symbol in the libraries of this
// machine, since those keep all they ever had. libc++ has some symbols of the
// same names (std::runtime_error's are in no namespace of its own), and no
// versions.
func (t Toolchain) Since(ctx context.Context, r *binary.Report, f *compat.Facts) error {
	if t.Host.Libc.Family != "glibc" {
		return nil
	}
	since := map[string]map[string]string{}
	for prefix, libs := range map[string][]string{"GLIBC_": {"libc.so.6", "libm.so.6"}, "GLIBCXX_": {"libstdc++.so.6"}} {
		since[prefix] = map[string]string{}
		for _, lib := range libs {
			program := t.CC
			if program == "" {
				program = t.CXX
			}
			path, err := run(ctx, "", program, "-print-file-name="+lib)
			if err != nil {
				return err
			}
			if filepath.IsAbs(path) {
				oldest(path, prefix, since[prefix])
			}
		}
	}
	for _, m := range r.Files {
		if m.Kind != binary.Archive {
			continue
		}
		for _, name := range m.Undefined {
			raise(&f.Libc.Min, since["GLIBC_"][name])
			if f.CXXStdlib.Family == "libstdc++" {
				raise(&f.CXXStdlib.MinSymbolVersion, since["GLIBCXX_"][name])
			}
		}
	}
	return nil
}

func raise(have *string, v string) {
	if v != "" && (*have == "" || compat.CompareDotted(*have, v) < 0) {
		*have = v
	}
}

// oldest notes for every symbol of a library the oldest version it has.
func oldest(path, prefix string, since map[string]string) {
	e, err := elf.Open(path)
	if err != nil {
		return
	}
	defer e.Close()
	symbols, err := e.DynamicSymbols()
	if err != nil {
		return
	}
	for _, s := range symbols {
		v, ok := strings.CutPrefix(s.Version, prefix)
		if !ok || s.Section == elf.SHN_UNDEF || !dotted.MatchString(v) {
			continue
		}
		if was := since[s.Name]; was == "" || compat.CompareDotted(v, was) < 0 {
			since[s.Name] = v
		}
	}
}
