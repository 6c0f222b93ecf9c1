// Package examples_test checks the example libraries: that they can be
// published as they are, and that they compile and pass their own tests.
package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/internal/toolchaintest"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// libraries is every example, what depends on nothing first, as they are
// published.
var libraries = []struct{ dir, source, test string }{
	{dir: "tally", source: "src/tally.c", test: "test/test_tally.c"},
	{dir: "ward", test: "test/test_ward.cpp"},
	{dir: "ribbon", source: "src/ribbon.cpp", test: "test/test_ribbon.cpp"},
}

func TestPublishable(t *testing.T) {
	t.Parallel()
	for _, l := range libraries {
		data, err := os.ReadFile(filepath.Join(l.dir, "package.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		m, problems := clyde.ParseManifest(data)
		if len(problems) > 0 {
			t.Errorf("%s: %v", l.dir, problems)
			continue
		}
		if ps := m.CheckPublish(m.Name, m.Version.String()); len(ps) > 0 {
			t.Errorf("%s: %v", l.dir, ps)
		}
		p, err := artifact.Pack(t.Context(), l.dir, artifact.PackOptions{})
		if err != nil {
			t.Errorf("%s: %v", l.dir, err)
			continue
		}
		if len(p.Warnings) > 0 {
			t.Errorf("%s: warnings %q", l.dir, p.Warnings)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

// warnings is what the examples promise to compile without.
var warnings = []string{"-Wall", "-Wextra", "-Wpedantic", "-Werror"}

func TestToolchainsExamples(t *testing.T) {
	t.Parallel()
	toolchaintest.Programs(t, "cc", "c++")
	out := t.TempDir()
	includes := []string{}
	for _, l := range libraries {
		includes = append(includes, "-I"+filepath.Join(l.dir, "include"))
	}
	compile := func(args ...string) {
		t.Helper()
		name, std := "cc", "-std=c11"
		for _, a := range args {
			if strings.HasSuffix(a, ".cpp") {
				name, std = "c++", "-std=c++17"
			}
		}
		args = append(append(append([]string{std}, warnings...), includes...), args...)
		if b, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, b)
		}
	}
	objects := []string{}
	for _, l := range libraries {
		if l.source != "" {
			o := filepath.Join(out, l.dir+".o")
			compile("-c", filepath.Join(l.dir, filepath.FromSlash(l.source)), "-o", o)
			objects = append(objects, o)
		}
		bin := filepath.Join(out, "test_"+l.dir)
		compile(append([]string{filepath.Join(l.dir, filepath.FromSlash(l.test)), "-o", bin}, objects...)...)
		if b, err := exec.CommandContext(t.Context(), bin).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", bin, err, b)
		}
	}
}
