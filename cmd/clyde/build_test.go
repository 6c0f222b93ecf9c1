package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/internal/toolchaintest"
	"github.com/clydepm/clyde-registry/pkg/binary"
)

// Debug symbols of what is linked leave it for a file of their own, which it
// names; archives, which nothing could lead back to theirs, keep them.
func TestToolchainsSplitDebug(t *testing.T) {
	t.Parallel()
	toolchaintest.Programs(t, "cc", "ar", "objcopy", "readelf")
	prefix, debug, src := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "a.c")
	if err := os.WriteFile(src, []byte("int seven(void) { return 7; }\nint main(void) { return seven() - 7; }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(prefix, "lib"), 0o700); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Dir = prefix
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	run("cc", "-g", "-fPIC", "-shared", "-o", "lib/liba.so", src)
	run("cc", "-g", "-o", "prog", src)
	run("cc", "-fPIC", "-shared", "-o", "lib/libplain.so", src)
	run("cc", "-g", "-c", "-o", "a.o", src)
	run("ar", "rcs", "lib/liba.a", "a.o")

	got, err := splitDebug(t.Context(), prefix, debug)
	if err != nil || got != debug {
		t.Fatalf("splitDebug = %q, %v; want %q", got, err, debug)
	}
	report, err := binary.MeasureFS(os.DirFS(prefix))
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]bool{}
	for _, f := range report.Files {
		left[f.Path] = f.DebugInfo
	}
	for path, want := range map[string]bool{"lib/liba.so": false, "prog": false, "lib/libplain.so": false, "lib/liba.a": true} {
		if have, ok := left[path]; !ok || have != want {
			t.Errorf("%s has debug symbols: %v; want %v", path, have, want)
		}
	}
	for _, path := range []string{"lib/liba.so", "prog"} {
		if out := run("readelf", "--debug-dump=info", filepath.Join(debug, path+".debug")); !strings.Contains(out, "seven") {
			t.Errorf("%s.debug does not describe seven()", path)
		}
		if out := run("readelf", "--string-dump=.gnu_debuglink", path); !strings.Contains(out, filepath.Base(path)+".debug") {
			t.Errorf("%s does not name its debug symbols:\n%s", path, out)
		}
	}
	if _, err := os.Stat(filepath.Join(debug, "lib/libplain.so.debug")); err == nil {
		t.Error("libplain.so had no debug symbols, and now has a file of them")
	}
	run("./prog")

	// Nothing to split is no folder.
	if got, err := splitDebug(t.Context(), t.TempDir(), debug); err != nil || got != "" {
		t.Errorf("splitDebug of nothing = %q, %v", got, err)
	}
}
