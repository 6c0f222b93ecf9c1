package generate_test

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/generate"
)

// FuzzWrite states that whatever a package says, it is refused, or it is data
// in every file: JSON holds it exactly, and no file of a language that is
// executed has more commands for it than for a package that says nothing.
func FuzzWrite(f *testing.F) {
	for i, v := range vicious {
		f.Add(definition(i, v), "include", "-pthread", "m", "text "+v, "https://example.org/"+v)
		f.Add("A=1", v, v, v, v+"\nRequires: evil\n", v)
	}
	f.Add("A=1\n#include \"/etc/passwd\"", "include", "-Wl,-z,now", "m", "\r\nLibs: -evil", "\x00")
	f.Add(`A=\`, "a b", "-u", "stdc++", "\\", "#")
	f.Fuzz(func(t *testing.T, def, dir, option, lib, description, homepage string) {
		calm := hostile(t, "A=1", "include", "-pthread", "m", "text", "https://example.org")
		files := hostile(t, def, dir, option, lib, description, homepage)
		if files == nil {
			return
		}
		var doc struct {
			Description, Website string
			Components           map[string]struct {
				Definitions map[string]map[string]*string
				Includes    []string
			}
		}
		if err := json.Unmarshal([]byte(files["cps/acme_fmt.cps"]), &doc); err != nil {
			t.Fatalf("CPS: %v", err)
		}
		key, value, has := strings.Cut(def, "=")
		got, ok := doc.Components["fmt"].Definitions["*"][key]
		if !ok || (got != nil) != has || has && *got != value {
			t.Errorf("CPS has not the definition %q", def)
		}
		if doc.Components["fmt"].Includes[0] != "@prefix@/@acme/fmt/"+dir {
			t.Errorf("CPS has the include folder %q for %q", doc.Components["fmt"].Includes[0], dir)
		}
		// A line more is a command more: only the header, of which there is one
		// where the definition is not plain, may stand for a definition.
		for _, file := range []string{"cmake/clyde/acme_fmt.cmake", "clyde.cmake", "cmake/fmt/fmt-config.cmake", "lib/pkgconfig/acme_fmt.pc", "BUILD.bazel", "flags.txt", "clyde-native.ini", "subprojects/clyde/meson.build", "subprojects/clyde.wrap"} {
			if a, b := strings.Count(calm[file], "\n"), strings.Count(files[file], "\n"); a != b && b != a-1 {
				t.Errorf("%s has %d lines; with harmless text it has %d:\n%s", file, b, a, files[file])
			}
		}
		pc := files["lib/pkgconfig/acme_fmt.pc"]
		for line := range strings.Lines(pc) {
			for _, key := range []string{"Cflags:", "Libs:"} {
				if strings.HasPrefix(line, key) && strings.ContainsAny(strings.ReplaceAll(line, "${deps}", ""), "$`();&|<>\\'#") {
					t.Errorf("a shell would read more than words in %s", line)
				}
			}
		}
		if flags := files["flags.txt"]; strings.ContainsAny(flags, "$`();&|<>\\'#") {
			t.Errorf("a shell would read more than words in flags.txt:\n%s", flags)
		}
	})
}

// hostile describes a package that says these things about itself and returns
// what is written for it, or nil where it is refused.
func hostile(t *testing.T, def, dir, option, lib, description, homepage string) map[string]string {
	t.Helper()
	deps := filepath.Join(t.TempDir(), "deps")
	n := name(t, "@acme/fmt")
	_, err := generate.Write(generate.Project{Deps: deps, Packages: []generate.Package{{
		Name: n, Version: version(t, "1.0.0"), Dir: n.String(), Direct: true, Description: description, Homepage: homepage,
		Components: []generate.Component{{
			Name: "fmt", Kind: generate.Archive, Library: "lib/libfmt.a",
			Definitions: []string{def}, Includes: []string{dir}, LinkOptions: []string{option}, LinkLibraries: []string{lib},
		}},
	}}})
	if err != nil {
		if !errors.Is(err, clyde.ErrInvalid) {
			t.Fatalf("Write: %v; want ErrInvalid or nothing", err)
		}
		return nil
	}
	files := tree(t, deps)
	for file, text := range files { // the name of the folder is ours, and odd
		files[file] = strings.ReplaceAll(strings.ReplaceAll(text, deps, "DEPS"), strings.ReplaceAll(deps, "#", `\#`), "DEPS")
	}
	return files
}
