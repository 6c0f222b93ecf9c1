package generate_test

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/generate"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// tree returns every file below dir.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		rel, _ := filepath.Rel(dir, p) // p is below dir
		out[filepath.ToSlash(rel)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWriteGolden(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write(t, filepath.Join(root, "CMakeLists.txt"), "")
	deps := filepath.Join(root, "deps")
	p := project(t, deps)
	written, err := generate.Write(p)
	if err != nil {
		t.Fatal(err)
	}
	got := tree(t, root)
	for _, w := range written {
		if _, ok := got[filepath.ToSlash(filepath.Join("deps", w))]; !ok {
			t.Errorf("Write says it wrote %s, which is not there", w)
		}
	}
	var b strings.Builder
	for _, file := range slices.Sorted(func(yield func(string) bool) {
		for k := range got {
			if !yield(k) {
				return
			}
		}
	}) {
		b.WriteString("-- " + file + " --\n" + strings.ReplaceAll(got[file], deps, "DEPS"))
	}
	golden(t, "tree.txt", b.String())

	// The same again, in any order of packages, changes no byte.
	slices.Reverse(p.Packages)
	if _, err := generate.Write(p); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, tree(t, root)); diff != "" {
		t.Errorf("a second Write differs (-first +second):\n%s", diff)
	}

	// What is no longer described goes; what is not ours stays.
	write(t, filepath.Join(deps, "cmake/mine.cmake"), "mine")
	p.Packages = []generate.Package{p.Packages[len(p.Packages)-1]}
	if written, err = generate.Write(p); err != nil {
		t.Fatal(err)
	}
	left := tree(t, deps)
	delete(left, ".clyde-generated")
	want := append(slices.DeleteFunc(written, func(s string) bool { return strings.HasPrefix(s, "../") }), "cmake/mine.cmake")
	if len(left) != len(want) || left["cmake/mine.cmake"] != "mine" {
		t.Errorf("after a smaller Write there are %d files; want %v", len(left), want)
	}
	if _, err := os.Stat(filepath.Join(deps, "cmake/log")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("an empty folder is left behind")
	}
}

// A list of earlier files that somebody edited deletes nothing but ours.
func TestWriteEditedList(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	deps := filepath.Join(root, "deps")
	write(t, filepath.Join(root, "precious"), "x")
	write(t, filepath.Join(deps, "@acme/base/include/base.h"), "x")
	write(t, filepath.Join(deps, "notes.txt"), "x")
	write(t, filepath.Join(deps, ".clyde-generated"), "../precious\n@acme/base/include/base.h\nnotes.txt\n/etc/passwd\ncmake/../notes.txt\ncmake/../../precious\n")
	if _, err := generate.Write(project(t, deps)); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"precious", "deps/@acme/base/include/base.h", "deps/notes.txt"} {
		if _, err := os.Stat(filepath.Join(root, f)); err != nil {
			t.Errorf("%s was removed", f)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		what   string
		change func(p *generate.Project)
	}{
		{"relative deps", func(p *generate.Project) { p.Deps = "deps" }},
		{"semicolon in deps", func(p *generate.Project) { p.Deps += ";x" }},
		{"newline in deps", func(p *generate.Project) { p.Deps += "\n" }},
		{"definition of two lines", func(p *generate.Project) { def(p, "A=1\n2") }},
		{"definition with an option", func(p *generate.Project) { def(p, "-fplugin=x.so") }},
		{"definition of a function", func(p *generate.Project) { def(p, "F(x)=x") }},
		{"empty definition", func(p *generate.Project) { def(p, "") }},
		{"long definition", func(p *generate.Project) { def(p, "A="+strings.Repeat("x", generate.MaxText-1)) }},
		{"bidi in a definition", func(p *generate.Project) { def(p, "A=\u202e") }},
		{"plug-in", func(p *generate.Project) { opt(p, "-fplugin=evil.so") }},
		{"linker plug-in", func(p *generate.Project) { opt(p, "-Wl,-plugin,evil.so") }},
		{"second linker option", func(p *generate.Project) { opt(p, "-Wl,--as-needed,-plugin,evil.so") }},
		{"response file", func(p *generate.Project) { opt(p, "@file") }},
		{"wrapper", func(p *generate.Project) { opt(p, "-wrapper") }},
		{"program search path", func(p *generate.Project) { opt(p, "-B.") }},
		{"specs", func(p *generate.Project) { opt(p, "-specs=x") }},
		{"option as library", func(p *generate.Project) { comp(p).LinkLibraries = []string{"-fplugin=x"} }},
		{"command as library", func(p *generate.Project) { comp(p).LinkLibraries = []string{"m $(id)"} }},
		{"library outside", func(p *generate.Project) { comp(p).Library = "../../evil.a" }},
		{"absolute library", func(p *generate.Project) { comp(p).Library = "/lib/evil.a" }},
		{"include outside", func(p *generate.Project) { comp(p).Includes = []string{"include/../.."} }},
		{"list as include", func(p *generate.Project) { comp(p).Includes = []string{"a;b"} }},
		{"feature", func(p *generate.Project) { comp(p).CompileFeatures = []string{"c++17)"} }},
		{"no such standard", func(p *generate.Project) { comp(p).CompileFeatures = []string{"c++19"} }},
		{"target", func(p *generate.Project) { comp(p).Targets = []string{"a b"} }},
		{"target of another", func(p *generate.Project) { comp(p).Targets = []string{"clyde::acme_other"} }},
		{"component name", func(p *generate.Project) { comp(p).Name = "a)b" }},
		{"no kind", func(p *generate.Project) { comp(p).Kind = "" }},
		{"no components", func(p *generate.Project) { p.Packages[0].Components = nil }},
		{"find name", func(p *generate.Project) { p.Packages[0].FindName = "../x" }},
		{"folder", func(p *generate.Project) { p.Packages[0].Dir = "../x" }},
		{"twice", func(p *generate.Project) { p.Packages = append(p.Packages, p.Packages[0]) }},
		{"missing requirement", func(p *generate.Project) { p.Packages = p.Packages[1:] }},
		{"unknown component", func(p *generate.Project) { comp(p).Requires = []string{":nothing"} }},
		{"itself", func(p *generate.Project) { comp(p).Requires = []string{":base"} }},
		{"foreign component", func(p *generate.Project) { comp(p).Requires = []string{"@acme/hdr:hdr"} }},
		{"circle", func(p *generate.Project) {
			last := &p.Packages[len(p.Packages)-1]
			last.Components[1].Requires = append(last.Components[1].Requires, ":extra+")
		}},
		{"circle of packages", func(p *generate.Project) {
			p.Packages[0].Requires = []clyde.Name{p.Packages[2].Name}
		}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			deps := filepath.Join(t.TempDir(), "deps")
			p := project(t, deps)
			tt.change(&p)
			_, err := generate.Write(p)
			if !errors.Is(err, clyde.ErrInvalid) {
				t.Errorf("Write = %v; want ErrInvalid", err)
			}
			if _, err := os.Stat(deps); err == nil {
				t.Error("something was written")
			}
		})
	}
}

func comp(p *generate.Project) *generate.Component { return &p.Packages[0].Components[0] }
func def(p *generate.Project, s string)            { comp(p).Definitions = []string{s} }
func opt(p *generate.Project, s string)            { comp(p).LinkOptions = []string{s} }

// golden compares got with testdata/name, or rewrites it under -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		write(t, file, got)
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got); go test ./pkg/generate -update to accept:\n%s", file, diff)
	}
}

// The presets file of a project is written only where nobody else's is lost.
func TestWritePresets(t *testing.T) {
	t.Parallel()
	const ours = `{"version": 4, "vendor": {"clyde": "Written by clyde install"}, "include": ["old.json"]}`
	for _, tt := range []struct {
		what, lists, user, project string
		want                       bool
	}{
		{"no project of CMake's", "", "", "", false},
		{"none yet", "x", "", "", true},
		{"ours", "x", ours, "", true},
		{"theirs", "x", `{"version": 3}`, "", false},
		{"their vendor", "x", `{"version": 4, "vendor": {"clyde": {"a": 1}}}`, "", false},
		{"unreadable", "x", `{"version": `, "", false},
		{"presets of the project", "x", "", `{"version": 3, "configurePresets": [{"name": "dev"}]}`, true},
		{"a preset of that name", "x", "", `{"version": 3, "configurePresets": [{"name": "clyde"}]}`, false},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			for file, text := range map[string]string{"CMakeLists.txt": tt.lists, "CMakeUserPresets.json": tt.user, "CMakePresets.json": tt.project} {
				if text != "" {
					write(t, filepath.Join(root, file), text)
				}
			}
			written, err := generate.Write(project(t, filepath.Join(root, "deps")))
			if err != nil {
				t.Fatal(err)
			}
			if got := slices.Contains(written, "../CMakeUserPresets.json"); got != tt.want {
				t.Errorf("Write wrote the presets: %v; want %v", got, tt.want)
			}
			b, err := os.ReadFile(filepath.Join(root, "CMakeUserPresets.json"))
			if got := strings.Contains(string(b), "deps/clyde-presets.json"); got != tt.want {
				t.Errorf("the presets file includes ours: %v (%v); want %v", got, err, tt.want)
			}
			if !tt.want && string(b) != tt.user {
				t.Errorf("the user's file is now %s", b)
			}
		})
	}
}
