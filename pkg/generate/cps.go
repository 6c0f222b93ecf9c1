package generate

import (
	"regexp"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// cpsVersion is the version of the Common Package Specification that the files
// follow; CMake 4 and cps-config read it.
const cpsVersion = "0.13.0"

// simpleRE is a version of the specification's schema "simple".
var simpleRE = regexp.MustCompile(`^[0-9]+(\.[0-9]+)*(-[A-Za-z0-9.-]+)?$`)

// addCPS writes a description of each package in the Common Package
// Specification, and under its base name one that passes on to it.
func addCPS(g *graph, files map[string]string) {
	for _, k := range g.packs {
		files["cps/"+k.id+".cps"] = jsonText(g.cps(k))
	}
	for base, k := range g.short() {
		names := map[string]any{}
		for _, n := range k.libraries() {
			names[n.Name] = map[string]any{"type": "interface", "requires": []string{k.id + ":" + n.Name}}
		}
		doc := cpsHead(k, base)
		doc["requires"] = map[string]any{k.id: map[string]any{}}
		doc["components"] = names
		files["cps/"+base+".cps"] = jsonText(doc)
	}
}

func cpsHead(k *pack, name string) map[string]any {
	doc := map[string]any{
		"cps_version": cpsVersion,
		"name":        name,
		"version":     k.Version.String(),
		"cps_path":    "@prefix@/cps",
	}
	if !simpleRE.MatchString(k.Version.String()) || k.Version.Kind() == clyde.KindDate {
		doc["version_schema"] = "custom"
	}
	for key, value := range map[string]string{"description": k.Description, "license": k.License, "website": k.Homepage} {
		if value != "" {
			doc[key] = value
		}
	}
	var all []string
	for _, n := range k.libraries() {
		all = append(all, n.Name)
	}
	if len(all) > 0 {
		doc["default_components"] = all
	}
	return doc
}

func (g *graph) cps(k *pack) map[string]any {
	doc := cpsHead(k, k.id)
	requires := map[string]any{}
	components := map[string]any{}
	for _, n := range k.nodes {
		kind := map[Kind]string{Archive: "archive", Shared: "dylib", Interface: "interface", Tool: "executable"}[n.Kind]
		c := map[string]any{"type": kind}
		if n.Library != "" {
			c["location"] = cpsPath(k.under(n.Library))
		}
		if len(n.Includes) > 0 {
			var dirs []string
			for _, dir := range n.Includes {
				dirs = append(dirs, cpsPath(k.under(dir)))
			}
			c["includes"] = dirs
		}
		if len(n.Definitions) > 0 {
			defs := map[string]any{}
			for _, d := range n.Definitions {
				name, value, has := strings.Cut(d, "=")
				if defs[name] = value; !has {
					defs[name] = nil
				}
			}
			c["definitions"] = map[string]any{"*": defs}
		}
		if f := cpsFeatures(n); len(f) > 0 {
			c["compile_features"] = f
		}
		if len(n.LinkLibraries) > 0 {
			c["link_libraries"] = n.LinkLibraries
		}
		if len(n.LinkOptions) > 0 {
			c["link_flags"] = n.LinkOptions
		}
		key := map[Kind]string{Shared: "dyld_requires"}[n.Kind]
		if key == "" {
			key = "link_requires"
		}
		for key, to := range map[string][]*node{"requires": n.public, key: n.private} {
			var names []string
			for _, t := range to {
				prefix := ""
				if t.pack != k {
					prefix = t.pack.id
					requires[prefix] = map[string]any{}
				}
				names = append(names, prefix+":"+t.Name)
			}
			if names != nil {
				c[key] = names
			}
		}
		components[n.Name] = c
	}
	if len(requires) > 0 {
		doc["requires"] = requires
	}
	doc["components"] = components
	return doc
}

// cpsPath is a path below the prefix, which is the deps folder.
func cpsPath(p string) string { return "@prefix@/" + p }

// cpsFeatures are the language standards of a component as the specification
// spells them.
func cpsFeatures(n *node) []string {
	var out []string
	for _, f := range n.CompileFeatures {
		if lang, year, ok := strings.Cut(cmakeFeature(f), "_std_"); ok {
			out = append(out, lang+year)
		}
	}
	return unique(out)
}
