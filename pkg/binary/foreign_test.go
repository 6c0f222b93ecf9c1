package binary_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/binary"
)

// What real tools make for macOS and Windows; testdata/foreign says how.
func TestMeasureForeign(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		want            binary.File // of these members, and empty ones are not looked at
		exports, absent []string
		undefined       []string
	}{
		"shape-arm64-macos.o": {binary.File{Format: "macho", Kind: binary.Object, OS: "macos", Arch: "arm64", OSMin: "12.3", CXX: true},
			[]string{"seven", "feeble", "_ZNK5shape4areaEv"}, []string{"_ZN12_GLOBAL__N_13hidEi", "other"}, []string{"other"}},
		"libshape-macho.a": {binary.File{Format: "macho", Kind: binary.Archive, OS: "macos", Arch: "x86_64", OSMin: "11.0", CXX: true},
			[]string{"seven", "eight", "_ZNK5shape4areaEv"}, []string{"other"}, []string{"other"}},
		"libshape.dylib": {binary.File{Format: "macho", Kind: binary.Shared, OS: "macos", Arch: "x86_64", OSMin: "11.0", SOName: "libshape.1.dylib", CXX: true},
			[]string{"seven", "feeble", "_ZNK5shape4areaEv"}, []string{"other"}, nil},
		"shape-static.lib": {binary.File{Format: "pe", Kind: binary.Archive, OS: "windows", Arch: "x86_64"}, []string{"seven", "eight"}, []string{"other"}, []string{"other"}},
		"shape.dll":        {binary.File{Format: "pe", Kind: binary.Shared, OS: "windows", Arch: "x86_64"}, nil, nil, nil},
		"prog.exe":         {binary.File{Format: "pe", Kind: binary.Executable, OS: "windows", Arch: "x86_64"}, nil, nil, nil},
		"shape.lib":        {binary.File{Format: "pe", Kind: binary.Archive, OS: "windows", Arch: "x86_64"}, nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := measure(t, filepath.Join("testdata", "foreign", name))
			if f == nil {
				t.Fatal("Measure takes it for no object file")
			}
			w := tt.want
			if f.Format != w.Format || f.Kind != w.Kind || f.OS != w.OS || f.Arch != w.Arch || f.OSMin != w.OSMin || f.SOName != w.SOName || w.CXX && !f.CXX {
				t.Errorf("Measure = %+v; want %+v", f, w)
			}
			for _, s := range tt.exports {
				if !slices.Contains(f.Exports, s) {
					t.Errorf("%s is not exported: %v", s, f.Exports)
				}
			}
			for _, s := range tt.absent {
				if slices.Contains(f.Exports, s) {
					t.Errorf("%s is exported", s)
				}
			}
			for _, s := range tt.undefined {
				if !slices.Contains(f.Undefined, s) {
					t.Errorf("%s is not asked for: %v", s, f.Undefined)
				}
			}
			if slices.Contains(f.Strong, "feeble") && f.Format == "macho" {
				t.Error("what is weak is strong")
			}
		})
	}
	// An object of Windows has no magic of its own: alone it is no library.
	b, err := os.ReadFile("testdata/foreign/shape-mingw.o")
	if err != nil {
		t.Fatal(err)
	}
	if binary.Is(b[:binary.HeadSize]) {
		t.Error("an object of Windows looks like something to measure")
	}
}
