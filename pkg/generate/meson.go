package generate

import (
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// addMeson writes a native file (meson setup --native-file
// deps/clyde-native.ini) that leads dependency() to our .pc files. Its path is
// absolute, since Meson 1.0 knows no name for where the file lies, and has no
// escapes: quotes are threefold where the path has one.
func addMeson(g *graph, files map[string]string) {
	deps := "'" + filepath.ToSlash(g.deps) + "'"
	if strings.Contains(g.deps, "'") {
		deps = "''" + deps + "''"
	}
	files["clyde-native.ini"] = cmakeHead + `
[built-in options]
pkg_config_path = [` + deps + ` / 'lib' / 'pkgconfig']
`
}

// mesonDir is the folder of a Meson project with subproject_dir:
// 'deps/subprojects'.
const mesonDir = "subprojects"

// addWrap writes a Meson wrap and the one subproject behind it, which gives
// dependency() every name that pkg-config knows, without that program and from
// wherever the deps folder lies. Each dependency is spelled out whole, with what
// it stands on: Meson puts archives between --start-group and --end-group.
func addWrap(g *graph, files map[string]string) {
	modules := g.modules()
	names := slices.Sorted(maps.Keys(modules))
	var b strings.Builder
	b.WriteString(cmakeHead + "project('clyde', meson_version: '>=0.56')\n\ndeps = meson.project_source_root() / '..' / '..'\n")
	for _, name := range names {
		m := modules[name]
		fmt.Fprintf(&b, "\nmeson.override_dependency(%s, declare_dependency(\n  version: %s,\n", mesonText(name), mesonText(m.pack.Version.String()))
		compile, link := g.mesonArgs(m.nodes)
		for _, args := range []struct {
			key    string
			values []string
		}{{"compile_args", compile}, {"link_args", link}} {
			if len(args.values) > 0 {
				fmt.Fprintf(&b, "  %s: [\n    %s,\n  ],\n", args.key, strings.Join(args.values, ",\n    "))
			}
		}
		b.WriteString("))\n")
	}
	files[mesonDir+"/clyde/meson.build"] = b.String()
	files[mesonDir+"/clyde.wrap"] = cmakeHead + "[wrap-file]\ndirectory = clyde\n\n[provide]\ndependency_names = " + strings.Join(names, ", ") + "\n"
}

// mesonArgs is what the compiler and the linker are told by who uses nodes, as
// expressions of Meson.
func (g *graph) mesonArgs(nodes []*node) (compile, link []string) {
	under := func(option, p string) string {
		if option == "" {
			return "deps / " + mesonText(p)
		}
		return mesonText(option) + " + deps / " + mesonText(p)
	}
	for _, n := range compileOrder(nodes) {
		for _, dir := range n.Includes {
			compile = append(compile, under("-I", n.pack.under(dir)))
		}
		plain, header := n.defines()
		for _, d := range plain {
			compile = append(compile, mesonText(d))
		}
		if header {
			compile = append(compile, under("--include=", n.headerFile()))
		}
	}
	linked := linkOrder(nodes)
	for _, n := range linked {
		if n.Library != "" {
			link = append(link, under("", n.pack.under(n.Library)))
		}
		for _, o := range n.LinkOptions {
			link = append(link, mesonText(o))
		}
	}
	for _, n := range linked {
		for _, l := range n.LinkLibraries {
			link = append(link, mesonText("-l"+l))
		}
	}
	if g.p.Platform.OS == "windows" {
		return unique(compile), unique(link)
	}
	for _, n := range runOrder(nodes) {
		if n.Kind == Shared {
			link = append(link, under("-Wl,-rpath,", n.pack.under(path.Dir(n.Library))))
		}
	}
	if g.elf() && len(behind(nodes)) > 0 {
		link = append(link, "'-Wl,--disable-new-dtags'")
	}
	return unique(compile), unique(link)
}

// mesonText is a string of Meson's, which knows escapes between single quotes.
func mesonText(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}
