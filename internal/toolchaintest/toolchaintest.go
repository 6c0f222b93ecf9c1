// Package toolchaintest says which tests need programs that make test does
// without. They are skipped where one is missing, but never in the target of the
// Makefile that is for them: there it fails them.
package toolchaintest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// programs are what .ci/run installs for these tests.
var programs = []string{"gcc", "g++", "cc", "c++", "ar", "clang", "clang++", "cmake", "ninja", "make", "meson", "pkg-config", "autoreconf", "automake", "libtoolize", "nm"}

// target is set by the targets of the Makefile whose tests have what they need.
const (
	targetToolchains = "CLYDE_TEST_TOOLCHAINS" // compilers and build systems
	targetTools      = "CLYDE_TEST_TOOLS"      // what .ci/tool builds
)

// Programs skips a test where one of the programs is not in PATH, and fails it in
// its target. The test's name begins with that of a target.
func Programs(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			missing(t, "%s is missing", name)
		}
	}
}

// Tools returns the folder of programs that .ci/tool built: CLYDE_TOOLS, by
// default the one that make fills. Where one of the names is not in it, Tools
// skips a test, and fails it in its target: test/clients, test/sigstore, test/s3.
func Tools(t testing.TB, names ...string) string {
	t.Helper()
	dir := os.Getenv("CLYDE_TOOLS")
	if home, err := os.UserHomeDir(); dir == "" && err == nil {
		dir = filepath.Join(home, ".cache", "clyde-tools", "bin")
	}
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			missing(t, "%s is not in %s: make tools builds it", name, dir)
		}
	}
	return dir
}

func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv(targetToolchains) != "" || os.Getenv(targetTools) != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// Need skips a test that make test/toolchains does not run, and fails it there
// where anything is missing: a program, or a second C++ standard library.
func Need(t testing.TB) {
	t.Helper()
	if os.Getenv(targetToolchains) == "" {
		t.Skip("needs compilers and build systems; make test/toolchains runs it")
	}
	const mend = "apt-get install g++ clang libc++-dev libc++abi-dev cmake ninja-build make meson pkg-config autoconf automake libtool"
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			t.Fatalf("%s is missing: %s", name, mend)
		}
	}
	source := filepath.Join(t.TempDir(), "main.cpp")
	if err := os.WriteFile(source, []byte("#include <string>\nint main() { return std::string().size(); }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "clang++", "-stdlib=libc++", "-o", source+".out", source)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("libc++ is missing: %s\n%s", mend, out)
	}
}
