package generate

import (
	"fmt"
	"slices"
	"strings"
)

// addBazel writes a Bazel module of the packages: //deps:acme_fmt in the
// project's own workspace, or @clyde_deps//:acme_fmt by local_path_override. The
// files stand in the deps folder itself, since a Bazel package reaches only
// files below it.
func addBazel(g *graph, files map[string]string) {
	files["MODULE.bazel"] = cmakeHead + "module(name = \"clyde_deps\")\n\nbazel_dep(name = \"rules_cc\", version = \"0.0.17\")\n"
	var b strings.Builder
	b.WriteString(cmakeHead + `load("@rules_cc//cc:defs.bzl", "cc_import", "cc_library")

package(default_visibility = ["//visibility:public"])
`)
	for _, k := range g.packs {
		for _, n := range k.libraries() {
			b.WriteString(g.bazelComponent(n))
		}
		if libs := k.libraries(); len(libs) > 0 {
			b.WriteString(bazelGroup(k.id, libs))
		}
	}
	short := g.short()
	for _, base := range sortedKeys(short) {
		if libs := short[base].libraries(); len(libs) > 0 {
			b.WriteString(bazelGroup(base, libs))
		}
	}
	files["BUILD.bazel"] = b.String()
}

// bazelGroup is a name for all components of a package.
func bazelGroup(name string, libs []*node) string {
	return bazelRule("cc_library", name, []bazelAttr{{"deps", bazelLabels(libs)}})
}

// bazelComponent is the import of a library and, under the component's id, a
// cc_library with its headers and requirements.
func (g *graph) bazelComponent(n *node) string {
	var hdrs, includes, defines, opts []string
	for _, dir := range n.Includes {
		hdrs = append(hdrs, starlark(n.pack.under(dir)+"/**"))
		includes = append(includes, starlark(n.pack.under(dir)))
	}
	for _, d := range n.Definitions {
		defines = append(defines, starlark(bazelShell(d)))
	}
	for _, o := range n.LinkOptions {
		opts = append(opts, starlark(bazelShell(o)))
	}
	for _, l := range n.LinkLibraries {
		opts = append(opts, starlark("-l"+l))
	}
	deps := bazelLabels(n.public)
	s := ""
	if n.Library != "" {
		attr := map[Kind]string{Archive: "static_library", Shared: "shared_library"}[n.Kind]
		s = fmt.Sprintf("\ncc_import(\n    name = %s,\n    %s = %s,\n    visibility = [\"//visibility:private\"],\n)\n",
			starlark(n.id+"--import"), attr, starlark(":"+n.pack.under(n.Library)))
		deps = append([]string{starlark(":" + n.id + "--import")}, deps...)
	}
	attrs := []bazelAttr{
		{"defines", defines}, {"includes", includes}, {"linkopts", opts},
		{"deps", deps}, {"implementation_deps", bazelLabels(n.private)},
	}
	if len(hdrs) > 0 {
		attrs = append([]bazelAttr{{"hdrs = glob", hdrs}}, attrs...)
	}
	return s + bazelRule("cc_library", n.id, attrs)
}

type bazelAttr struct {
	name   string
	values []string // Starlark expressions
}

func bazelRule(rule, name string, attrs []bazelAttr) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s(\n    name = %s,\n", rule, starlark(name))
	for _, a := range attrs {
		if len(a.values) == 0 {
			continue
		}
		open, closing := " = [", "]"
		if strings.HasSuffix(a.name, "glob") {
			open, closing = "([", "])"
		}
		fmt.Fprintf(&b, "    %s%s\n", a.name, open)
		for _, v := range a.values {
			fmt.Fprintf(&b, "        %s,\n", v)
		}
		fmt.Fprintf(&b, "    %s,\n", closing)
	}
	return b.String() + ")\n"
}

func bazelLabels(nodes []*node) []string {
	var out []string
	for _, n := range nodes {
		out = append(out, starlark(":"+n.id))
	}
	return out
}

// starlark is a string literal.
func starlark(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// bazelShell is a value of an attribute that Bazel expands ($ names a Make
// variable) and then splits as a shell would.
func bazelShell(s string) string {
	s = strings.ReplaceAll(s, "$", "$$")
	if strings.ContainsAny(s, " '\"\\") {
		s = "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
