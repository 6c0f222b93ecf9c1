// Package toolchaintest says which tests need real compilers and build systems.
package toolchaintest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// programs are what .ci/run installs for these tests.
var programs = []string{"gcc", "g++", "cc", "c++", "ar", "clang", "clang++", "cmake", "ninja", "make", "meson", "pkg-config", "autoreconf", "automake", "libtoolize", "nm"}

// Need skips a test that make test/toolchains does not run, and fails it there
// where anything is missing: a program, or a second C++ standard library.
func Need(t testing.TB) {
	t.Helper()
	if os.Getenv("CLYDE_TEST_TOOLCHAINS") == "" {
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
