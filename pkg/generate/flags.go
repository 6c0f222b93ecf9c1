package generate

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"
)

// addFlags writes response files for compilers called by hand or from a
// makefile: flags.txt has everything (c++ main.cpp @deps/flags.txt), the files
// under flags its parts. They hold one argument a line and absolute paths, so
// that they work from any folder, and nothing of a package that a shell or make
// would read as more than a word.
func addFlags(g *graph, files map[string]string) {
	direct := g.direct()
	seen := compileOrder(direct)
	var compile, link, libs []string
	for _, n := range seen {
		for _, dir := range n.Includes {
			compile = append(compile, "-I"+g.abs(n.pack.under(dir)))
		}
	}
	for _, n := range seen {
		plain, header := n.defines()
		compile = append(compile, plain...)
		if header {
			compile = append(compile, "--include="+g.abs(n.headerFile()))
		}
	}
	linked := linkOrder(direct)
	for _, n := range linked {
		if n.Library != "" {
			libs = append(libs, g.abs(n.pack.under(n.Library)))
		}
		link = append(link, n.LinkOptions...)
	}
	for _, n := range linked {
		for _, l := range n.LinkLibraries {
			libs = append(libs, "-l"+l)
		}
	}
	for _, dir := range g.runPath(direct) {
		link = append(link, "-Xlinker", "-rpath", "-Xlinker", dir)
	}
	if g.elf() && len(behind(direct)) > 0 {
		link = append(link, "-Xlinker", "--disable-new-dtags")
	}
	compile = unique(compile)
	c := append(dialect(seen, "c"), compile...)
	cxx := append(dialect(seen, "cxx"), compile...)
	files["flags/cflags"] = response(c)
	files["flags/cxxflags"] = response(cxx)
	files["flags/ldflags"] = response(link)
	files["flags/libs"] = response(libs)
	all := c
	if _, ok := highest(seen, "cxx"); ok {
		all = cxx
	}
	files["flags.txt"] = response(append(append(append([]string{}, all...), link...), libs...))
}

// abs is a slash path under deps as the system writes it.
func (g *graph) abs(p string) string { return filepath.Join(g.deps, filepath.FromSlash(p)) }

// elf reports whether programs find shared libraries as ELF systems do.
func (g *graph) elf() bool { return g.p.Platform.OS != "windows" && g.p.Platform.OS != "macos" }

// runPath is where the shared libraries lie that a program needs which uses
// start, as absolute folders. Windows looks beside the program instead.
func (g *graph) runPath(start []*node) []string {
	if g.p.Platform.OS == "windows" {
		return nil
	}
	var out []string
	for _, n := range runOrder(start) {
		if n.Kind == Shared {
			out = append(out, g.abs(n.pack.under(path.Dir(n.Library))))
		}
	}
	return unique(out)
}

// dialect is the option for the newest language standard that nodes ask for,
// with the extensions that compilers have on by default. What every compiler
// since 2016 does by itself is left out, since an option would lower it.
func dialect(nodes []*node, lang string) []string {
	year, ok := highest(nodes, lang)
	switch {
	case lang == "cxx" && ok && year >= 17:
		return []string{fmt.Sprintf("-std=gnu++%s", draft(lang, year))}
	case lang == "c" && ok && year >= 23:
		return []string{"-std=gnu" + draft(lang, year)}
	}
	return nil
}

// draft is how compilers that are some years old know a standard too.
func draft(lang string, year int) string {
	switch {
	case lang == "c" && year == 23:
		return "2x"
	case year == 20:
		return "2a"
	case year == 23:
		return "2b"
	case year == 26:
		return "2c"
	}
	return fmt.Sprint(year)
}

// response joins arguments, one a line, as GCC and Clang read them from a file
// given as @file: quotes and backslashes as in a shell, nothing else.
func response(args []string) string {
	var b strings.Builder
	for _, a := range args {
		if a == "" || strings.ContainsAny(a, " '\"\\\t") {
			a = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(a) + `"`
		}
		b.WriteString(a + "\n")
	}
	return b.String()
}
