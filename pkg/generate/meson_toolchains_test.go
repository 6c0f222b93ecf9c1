package generate_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/clydepm/clyde-registry/internal/toolchaintest"
)

func TestToolchainsMeson(t *testing.T) {
	toolchaintest.Need(t)
	t.Parallel()
	for _, c := range compilers {
		t.Run(c.cxx, func(t *testing.T) {
			t.Parallel()
			root := filepath.Join(t.TempDir(), spaced)
			_, want := build(t, root)
			write(t, filepath.Join(root, "meson.build"), `project('demo', 'c', 'cpp', default_options: ['cpp_std=c++17'])
executable('main', 'main.cpp', dependencies: [
  dependency('hdr', version: '>=0.1'), dependency('multi-part'), dependency('acme_log'), dependency('sha.pe'),
])
`)
			sh(t, root, c.env(), "meson", "setup", "--native-file", "deps/clyde-native.ini", "build")
			sh(t, root, nil, "ninja", "-v", "-C", "build")
			runs(t, filepath.Join(root, "build/main"), want)
			// The same by the wrap, from a folder that was moved, without
			// pkg-config and without anything on the command line.
			moved := filepath.Join(t.TempDir(), odd)
			if err := os.CopyFS(moved, os.DirFS(root)); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(moved, "meson.build"), `project('demo', 'c', 'cpp', subproject_dir: 'deps/subprojects',
  default_options: ['cpp_std=c++17', 'force_fallback_for=clyde'])
executable('main', 'main.cpp', dependencies: [
  dependency('hdr', version: '>=0.1'), dependency('multi-part'), dependency('acme_log'), dependency('sha.pe'),
])
`)
			if err := os.RemoveAll(filepath.Join(moved, "build")); err != nil {
				t.Fatal(err)
			}
			sh(t, moved, append(c.env(), "PKG_CONFIG=/nonexistent"), "meson", "setup", "build")
			sh(t, moved, nil, "ninja", "-v", "-C", "build")
			runs(t, filepath.Join(moved, "build/main"), want)
		})
	}
}
