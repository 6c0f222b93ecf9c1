package generate

import (
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// pcDir is where the .pc files lie, under deps.
const pcDir = "lib/pkgconfig"

// addPkgConfig writes a .pc file for each package and component, and thin ones
// under the names that people know: the base name, and those of the .pc files
// that the package itself installed.
//
// What an archive keeps private stands in its Libs: it has to be linked
// whatever the caller thinks, while Requires.private would show the headers
// too.
func addPkgConfig(g *graph, files map[string]string) {
	for name, m := range g.modules() {
		if m.own {
			files[pcFile(name)] = g.pc(m.nodes[0])
			continue
		}
		var names []string
		for _, n := range m.nodes {
			names = append(names, g.pcName(n))
		}
		files[pcFile(name)] = g.pcThin(m.pack, name, names)
	}
}

// module is what a name stands for that people ask pkg-config or Meson for.
type module struct {
	pack  *pack
	nodes []*node
	own   bool // it is the one component itself, under its own name
}

// modules are all such names.
func (g *graph) modules() map[string]module {
	out := map[string]module{}
	claims := map[string][]module{}
	for _, k := range g.packs {
		libs := k.libraries()
		if len(libs) == 0 {
			continue
		}
		for _, n := range libs {
			out[g.pcName(n)] = module{k, []*node{n}, true}
		}
		if len(libs) > 1 {
			out[k.id] = module{pack: k, nodes: libs}
		}
		if !slices.ContainsFunc(k.own.pc, func(o ownPC) bool { return o.name == k.Name.Base }) {
			claims[k.Name.Base] = append(claims[k.Name.Base], module{pack: k, nodes: libs})
		}
		for _, o := range k.own.pc {
			claims[o.name] = append(claims[o.name], module{pack: k, nodes: ownNodes(libs, o)})
		}
	}
	for name, all := range claims {
		if m, ok := soleClaim(all); ok {
			if _, taken := out[name]; !taken {
				out[name] = m
			}
		}
	}
	return out
}

// soleClaim returns what a name stands for that several packages want.
func soleClaim(all []module) (module, bool) {
	packs := make([]*pack, len(all))
	for i, m := range all {
		packs[i] = m.pack
	}
	i := slices.Index(packs, sole(packs))
	if i < 0 {
		return module{}, false
	}
	return all[i], true
}

func pcFile(name string) string { return pcDir + "/" + name + ".pc" }

// pcName is the module of a component, which is the package's where it is its
// only one.
func (g *graph) pcName(n *node) string {
	if len(n.pack.libraries()) == 1 {
		return n.pack.id
	}
	return n.id
}

// ownNodes are the components that stand for a .pc file of the package itself:
// those whose libraries it links, else all.
func ownNodes(libs []*node, o ownPC) []*node {
	var out []*node
	for _, n := range libs {
		if n.Library != "" && slices.Contains(o.libs, linkName(n.Library)) {
			out = append(out, n)
		}
	}
	if out == nil {
		return libs
	}
	return out
}

// linkName is what follows -l for a library: "fmt" for "lib/libfmt.so.10".
func linkName(file string) string {
	base, _, _ := strings.Cut(path.Base(file), ".")
	return strings.TrimPrefix(base, "lib")
}

// plainFolder is a path that pkg-config hands on as it is. pkgconf escapes
// spaces in ${pcfiledir} and nothing else, and freedesktop's pkg-config escapes
// nothing.
var plainFolder = regexp.MustCompile(`^[A-Za-z0-9_./+@:=,~-]+$`)

// pcHead is what every .pc file begins with. The deps folder is named by where
// the file lies, so that it can be moved; it is named outright where its path
// needs quoting.
func (g *graph) pcHead(k *pack, name string) string {
	var b strings.Builder
	deps := "${pcfiledir}/../.."
	if !plainFolder.MatchString(g.deps) {
		deps = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", "$$", "#", `\#`).Replace(filepath.ToSlash(g.deps))
	}
	fmt.Fprintf(&b, "deps=%s\nprefix=${deps}/%s\n\n", deps, k.Dir)
	fmt.Fprintf(&b, "Name: %s\nDescription: %s\n", name, pcText(cmpText(k.Description, k.Name.String())))
	if k.Homepage != "" {
		fmt.Fprintf(&b, "URL: %s\n", pcText(k.Homepage))
	}
	fmt.Fprintf(&b, "Version: %s\n", k.Version)
	return b.String()
}

func cmpText(a, b string) string {
	if strings.TrimSpace(a) == "" {
		return b
	}
	return a
}

func (g *graph) pcThin(k *pack, name string, requires []string) string {
	return g.pcHead(k, name) + "Requires: " + strings.Join(requires, " ") + "\n"
}

// pc is the module of one component.
func (g *graph) pc(n *node) string {
	var cflags, libs, system, requires []string
	for _, dir := range n.Includes {
		cflags = append(cflags, pcArg("-I", n.pack.under(dir)))
	}
	plain, header := n.defines()
	if cflags = append(cflags, plain...); header {
		cflags = append(cflags, pcArg("--include=", n.headerFile()))
	}
	for _, t := range n.public {
		requires = append(requires, g.pcName(t))
	}
	linked := []*node{n}
	if n.Kind != Shared {
		linked = append(linked, linkOrder(n.private)...)
	}
	for _, t := range linked {
		system = append(system, t.LinkOptions...)
		if t.Library != "" {
			libs = append(libs, pcArg("", t.pack.under(t.Library)))
		}
		for _, l := range t.LinkLibraries {
			system = append(system, "-l"+l)
		}
	}
	if g.p.Platform.OS != "windows" {
		run := slices.DeleteFunc(append([]*node{n}, runOrder(n.private)...), func(t *node) bool { return t.Kind != Shared })
		for _, t := range run {
			libs = append(libs, pcArg("-Wl,-rpath,", t.pack.under(path.Dir(t.Library))))
		}
		if g.elf() && len(behind([]*node{n})) > 0 {
			system = append(system, "-Wl,--disable-new-dtags")
		}
	}
	s := g.pcHead(n.pack, g.pcName(n))
	if len(requires) > 0 {
		s += "Requires: " + strings.Join(requires, " ") + "\n"
	}
	if len(cflags) > 0 {
		s += "Cflags: " + strings.Join(unique(cflags), " ") + "\n"
	}
	if libs = append(g.pcApart(unique(libs)), unique(system)...); len(libs) > 0 {
		s += "Libs: " + strings.Join(libs, " ") + "\n"
	}
	return s
}

// pcApart puts an option that changes nothing after each path with spaces:
// pkgconf 1.8 takes two arguments that are neither -l nor -L for one, and
// then does not escape its spaces.
func (g *graph) pcApart(args []string) []string {
	var out []string
	for _, a := range args {
		out = append(out, a)
		if !plainFolder.MatchString(g.deps) || strings.Contains(a, " ") {
			out = append(out, `"-L${deps}/lib"`)
		}
	}
	return out
}

// pcArg is an option with a path under deps, which check has kept plain.
func pcArg(option, p string) string { return `"` + option + "${deps}/" + p + `"` }

// pcText is a value that is not split into arguments. pkg-config expands $ and
// takes # for a comment.
func pcText(s string) string {
	return strings.NewReplacer("$", "$$", "#", `\#`).Replace(oneLine(s))
}

// oneLine is text of a package without what would end a line or hide in it.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return !printable(string(r)) || r == ' ' || r == '\\' }), " ")
}
