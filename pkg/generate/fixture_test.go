package generate_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/generate"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

func name(t testing.TB, s string) clyde.Name {
	t.Helper()
	n, err := clyde.ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func version(t testing.TB, s string) clyde.Version {
	t.Helper()
	v, err := clyde.ParseVersion(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// vicious are values of a definition that break out of careless quoting.
var vicious = []string{
	`plain`, `two words`, `a"b`, `a'b`, `a\b`, `a\\"b`, `$HOME`, `${HOME}`, `$(touch pwned)`, "`touch pwned`",
	`a;b`, `a);message(FATAL_ERROR x)`, `@X@`, `$<1:x>`, `$<TARGET_FILE:x>`, `a#b`, `a%b`, `a&b|c<d>e`, `]]`, `]==]`, `a,b`, `*`, `~`, `!x`, `$$`, `$ENV{HOME}`, `{x}`, `%PATH%`, `^`,
}

// project is a deps folder of packages of every kind, described and not built:
// see build.
func project(t testing.TB, deps string) generate.Project {
	t.Helper()
	n := func(s string) clyde.Name { return name(t, s) }
	hdr := generate.Component{
		Name: "hdr", Kind: generate.Interface, Includes: []string{"include"},
		CompileFeatures: []string{"c++17"}, Requires: nil,
	}
	for i, v := range vicious {
		hdr.Definitions = append(hdr.Definitions, definition(i, v))
	}
	return generate.Project{
		Deps:     deps,
		Platform: resolve.Platform{OS: "linux", Arch: "x86_64", Libc: "glibc", Compiler: "gcc"},
		Packages: []generate.Package{
			{
				Name: n("@acme/base"), Version: version(t, "1.2.3"), Dir: "@acme/base", License: "MIT",
				Description: "what \"others\" $stand on; # yes", Homepage: "https://example.org/base",
				Components: []generate.Component{{
					Name: "base", Kind: generate.Archive, Library: "lib/libbase.a", Includes: []string{"include"}, LinkLibraries: []string{"m"},
				}},
			},
			{
				Name: n("@other/base"), Version: version(t, "2024-01-02"), Dir: "@other/base",
				Components: []generate.Component{{
					Name: "base", Kind: generate.Archive, Library: "lib/libbase.a", Includes: []string{"include"},
				}},
			},
			{
				Name: n("@acme/log"), Version: version(t, "2.0.0"), Dir: "@acme/log", Direct: true,
				Requires: []clyde.Name{n("@acme/base"), n("@other/base")}, Private: []clyde.Name{n("@acme/base")},
				Components: []generate.Component{{
					Name: "log", Kind: generate.Archive, Library: "lib/liblog.a", Includes: []string{"include"},
					Definitions: []string{"LOG_LEVEL=3"}, LinkOptions: []string{"-pthread"},
				}},
			},
			{
				Name: n("@acme/inner"), Version: version(t, "1.0.0"), Dir: "@acme/inner",
				Components: []generate.Component{{Name: "inner", Kind: generate.Shared, Library: "lib/libinner.so", Includes: []string{"include"}}},
			},
			{
				Name: n("@acme/sha.pe"), Version: version(t, "3.1"), Dir: "@acme/sha.pe", Direct: true,
				Requires: []clyde.Name{n("@acme/inner"), n("@acme/base")}, Private: []clyde.Name{n("@acme/inner"), n("@acme/base")},
				Components: []generate.Component{{
					Name: "sha.pe", Kind: generate.Shared, Library: "lib/libshape.so", Includes: []string{"include"},
				}},
			},
			{
				Name: n("@acme/hdr"), Version: version(t, "0.1.0"), Dir: "@acme/hdr", Direct: true,
				Components: []generate.Component{hdr},
			},
			{
				Name: n("@acme/multi-part"), Version: version(t, "1.1.1w"), Dir: "@acme/multi-part", Direct: true, FindName: "MULTI",
				Requires: []clyde.Name{n("@acme/log")},
				Components: []generate.Component{
					{Name: "extra+", Kind: generate.Archive, Library: "lib/libextra+.a", Includes: []string{"include dir"}, Requires: []string{":core"}, Targets: []string{"Multi::Extra"}},
					{Name: "core", Kind: generate.Archive, Library: "lib/libcore.a", Includes: []string{"include dir"}, Requires: []string{"@acme/log:log"}, LinkLibraries: []string{"m"}},
					{Name: "say", Kind: generate.Tool, Library: "bin/say"},
				},
			},
		},
	}
}

// definition is the i-th vicious value as a string in C.
func definition(i int, v string) string {
	return "HDR_" + string(rune('A'+i/26)) + string(rune('A'+i%26)) + "=" + cString(v)
}

func cString(v string) string {
	s := `"`
	for _, r := range v {
		if r == '"' || r == '\\' || r == '?' {
			s += `\`
		}
		s += string(r)
	}
	return s + `"`
}

func write(t testing.TB, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
