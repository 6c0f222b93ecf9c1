package generate

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// addCMake writes, under cmake: for each package a file of imported targets
// (clyde/acme_fmt.cmake), what find_package and FetchContent find it by, and the
// toolchain file that sets them up, clyde.cmake.
//
// A package that installed its own CMake configuration is described by that:
// our targets only pass on to its.
func addCMake(g *graph, files map[string]string) {
	files["cmake/clyde/helpers.cmake"] = cmakeHelpers
	claims := map[string][]*pack{} // by what find_package asks, in lower case
	for _, k := range g.packs {
		names := []string{k.id, k.Name.Base, k.FindName}
		for _, c := range k.own.cmake {
			names = append(names, c.name)
		}
		for _, name := range names {
			name = strings.ToLower(name)
			if of := g.ids[name]; name != "" && (of == nil || of == k) && !slices.Contains(claims[name], k) {
				claims[name] = append(claims[name], k)
			}
		}
	}
	for _, k := range g.packs {
		base := strings.ToLower(k.Name.Base)
		files["cmake/clyde/"+k.id+".cmake"] = g.cmakeTargets(k, sole(claims[base]) == k)
	}
	// A file named in lower case answers find_package in any case.
	var names []string
	for name, all := range claims {
		stem := "cmake/" + name + "/" + name + "-config"
		if k := sole(all); k != nil {
			names = append(names, name)
			files[stem+".cmake"] = cmakeConfig(k, name)
			files[stem+"-version.cmake"] = cmakeVersion(k, name)
			files["cmake/fetch/"+name+"/CMakeLists.txt"] = cmakeFetch(k, name)
		} else {
			files[stem+".cmake"] = cmakeAmbiguous(all, name)
		}
	}
	slices.Sort(names)
	files["clyde.cmake"] = g.cmakeToolchain(names)
}

// cmakeText is a quoted argument of CMake that means s and nothing else.
func cmakeText(s string) string {
	return `"` + cmakeInner(s) + `"`
}

func cmakeInner(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, `@`, `\@`).Replace(s)
}

// cmakePath is a path under the deps folder, which each of our files finds
// from its own place.
func cmakePath(p string) string { return `"${clyde_deps}/` + cmakeInner(p) + `"` }

const cmakeHead = "# Written by clyde install; it is overwritten by the next.\n"

// cmakeHelpers is used by the generated files alone.
const cmakeHelpers = cmakeHead + `
# clyde_name(NAME TARGET...): a further name for targets, unless it is taken.
function(clyde_name name)
  if(NOT TARGET "${name}")
    add_library("${name}" INTERFACE IMPORTED GLOBAL)
    set_property(TARGET "${name}" PROPERTY INTERFACE_LINK_LIBRARIES ${ARGN})
  endif()
endfunction()

# clyde_features(TARGET FEATURE...): compile features of the languages that the
# project has enabled; CMake refuses those of others.
function(clyde_features target)
  get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
  foreach(feature IN LISTS ARGN)
    if((feature MATCHES "^cxx_" AND CXX IN_LIST languages) OR (feature MATCHES "^c_" AND C IN_LIST languages))
      set_property(TARGET "${target}" APPEND PROPERTY INTERFACE_COMPILE_FEATURES "${feature}")
    endif()
  endforeach()
endfunction()

# clyde_definitions(TARGET HEADER): definitions that CMake cannot pass on the
# command line: it drops those with "#" and runs lists with brackets together.
function(clyde_definitions target header)
  if(MSVC)
    set(option "/FI${header}")
  else()
    set(option "--include=${header}")
  endif()
  set_property(TARGET "${target}" APPEND PROPERTY INTERFACE_COMPILE_OPTIONS "$<$<COMPILE_LANGUAGE:C,CXX,OBJC,OBJCXX>:${option}>")
endfunction()

# clyde_share(NAME...): the named imported targets, made in this
# folder, can be used in all.
macro(clyde_share)
  set(clyde_wanted ${ARGN})
  get_property(clyde_imported DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(clyde_target IN LISTS clyde_imported)
    if(clyde_target IN_LIST clyde_wanted)
      set_property(TARGET "${clyde_target}" PROPERTY IMPORTED_GLOBAL TRUE)
    endif()
  endforeach()
endmacro()
`

// cmakeStart sets clyde_deps in a file that lies up folders below deps.
func cmakeStart(up string) string {
	return cmakeHead + "cmake_policy(VERSION 3.16...3.31)\n" +
		"get_filename_component(clyde_deps \"${CMAKE_CURRENT_LIST_DIR}/" + up + "\" ABSOLUTE)\n" +
		"include(\"${clyde_deps}/cmake/clyde/helpers.cmake\")\n"
}

// target is the CMake name of a component.
func (n *node) target() string { return "clyde::" + n.pack.id + "::" + n.Name }

// cmakeTargets defines the targets of one package, and under its base name too
// where that means no other.
func (g *graph) cmakeTargets(k *pack, short bool) string {
	var b strings.Builder
	b.WriteString(cmakeStart("../.."))
	fmt.Fprintf(&b, "if(TARGET clyde::%s)\n  return()\nendif()\nadd_library(clyde::%s INTERFACE IMPORTED GLOBAL)\n", k.id, k.id)
	for _, dep := range g.packagesOf(k) {
		fmt.Fprintf(&b, "include(\"${clyde_deps}/cmake/clyde/%s.cmake\")\n", dep.id)
	}
	own := map[string]string{} // component → target of the package's own
	for _, n := range k.libraries() {
		if c, target, ok := k.own.target(n); ok {
			own[n.Name] = target
			fmt.Fprintf(&b, "if(NOT TARGET %s)\n%sendif()\n", target, cmakeOwn(k, c, "  "))
		}
	}
	for _, n := range k.nodes {
		if t := own[n.Name]; t != "" {
			fmt.Fprintf(&b, "\nclyde_name(%s %s)\n", n.target(), t)
		} else {
			b.WriteString("\n" + g.cmakeTarget(n))
		}
	}
	b.WriteString("\n")
	for _, n := range k.libraries() {
		fmt.Fprintf(&b, "set_property(TARGET clyde::%s APPEND PROPERTY INTERFACE_LINK_LIBRARIES %s)\n", k.id, n.target())
		for _, t := range n.Targets {
			fmt.Fprintf(&b, "clyde_name(%s %s)\n", t, n.target())
		}
		if short {
			fmt.Fprintf(&b, "clyde_name(clyde::%s::%s %s)\n", k.Name.Base, n.Name, n.target())
		}
	}
	if short {
		fmt.Fprintf(&b, "clyde_name(clyde::%s clyde::%s)\n", k.Name.Base, k.id)
	}
	return b.String()
}

// cmakeOwn includes a package's own configuration.
func cmakeOwn(k *pack, c ownCMake, indent string) string {
	var names []string
	for _, t := range c.targets {
		names = append(names, t.name)
	}
	s := indent + "include(" + cmakePath(k.under(c.config)) + ")\n"
	if len(names) > 0 {
		s += indent + "clyde_share(" + strings.Join(names, " ") + ")\n"
	}
	return s
}

// packagesOf are the other packages that components of k require, by id.
func (g *graph) packagesOf(k *pack) []*pack {
	var out []*pack
	for _, name := range k.Package.Requires {
		out = append(out, g.names[name])
	}
	slices.SortFunc(out, func(a, b *pack) int { return strings.Compare(a.id, b.id) })
	return slices.Compact(out)
}

// cmakeTarget defines one component from its description.
func (g *graph) cmakeTarget(n *node) string {
	var b strings.Builder
	t := n.target()
	if n.Kind == Tool && n.Library == "" {
		return ""
	}
	if n.Kind == Tool {
		fmt.Fprintf(&b, "add_executable(%s IMPORTED GLOBAL)\n", t)
		fmt.Fprintf(&b, "set_property(TARGET %s PROPERTY IMPORTED_LOCATION %s)\n", t, cmakePath(n.pack.under(n.Library)))
		return b.String()
	}
	kind := map[Kind]string{Archive: "STATIC", Shared: "SHARED", Interface: "INTERFACE"}[n.Kind]
	location := "IMPORTED_LOCATION"
	if n.Kind == Shared && (strings.HasSuffix(n.Library, ".lib") || strings.HasSuffix(n.Library, ".dll.a")) {
		kind = "UNKNOWN" // an import library, whose DLL nobody named
	}
	fmt.Fprintf(&b, "add_library(%s %s IMPORTED GLOBAL)\n", t, kind)
	set := func(property, value string) {
		fmt.Fprintf(&b, "set_property(TARGET %s APPEND PROPERTY %s %s)\n", t, property, value)
	}
	if n.Library != "" {
		set(location, cmakePath(n.pack.under(n.Library)))
	}
	for _, dir := range n.Includes {
		set("INTERFACE_INCLUDE_DIRECTORIES", cmakePath(n.pack.under(dir)))
	}
	plain, header := n.defines()
	for _, d := range plain {
		set("INTERFACE_COMPILE_DEFINITIONS", strings.TrimPrefix(d, "-D"))
	}
	if header {
		fmt.Fprintf(&b, "clyde_definitions(%s %s)\n", t, cmakePath(n.headerFile()))
	}
	for _, f := range n.CompileFeatures {
		fmt.Fprintf(&b, "clyde_features(%s %s)\n", t, cmakeFeature(f))
	}
	for _, r := range n.public {
		set("INTERFACE_LINK_LIBRARIES", r.target())
	}
	for _, r := range n.private {
		if n.Kind != Shared {
			set("INTERFACE_LINK_LIBRARIES", fmt.Sprintf(`"$<LINK_ONLY:%s>"`, r.target()))
		}
	}
	for _, l := range n.LinkLibraries {
		if g.p.Platform.OS != "windows" {
			l = "-l" + l // never a target of the project that has that name
		}
		set("INTERFACE_LINK_LIBRARIES", l)
	}
	for _, o := range n.LinkOptions {
		set("INTERFACE_LINK_OPTIONS", o)
	}
	if n.Kind == Shared && g.elf() {
		for _, s := range behind([]*node{n}) {
			set("IMPORTED_LINK_DEPENDENT_LIBRARIES", s.target())
			set("INTERFACE_LINK_OPTIONS", `"LINKER:-rpath,${clyde_deps}/`+cmakeInner(s.pack.under(path.Dir(s.Library)))+`"`)
			set("INTERFACE_LINK_OPTIONS", `"LINKER:--disable-new-dtags"`)
		}
	}
	return b.String()
}

// cmakeFeature is CMake's name of a compile feature.
func cmakeFeature(f string) string {
	m := featureRE.FindStringSubmatch(f)
	switch {
	case m == nil:
		return f
	case m[1] == "89":
		return "c_std_90" // one language, two names
	case m[1] != "":
		return "c_std_" + m[1]
	case m[2] == "03":
		return "cxx_std_98" // what it corrected needs no other option
	}
	return "cxx_std_" + m[2]
}

// cmakeConfig is what find_package includes for one of the names of k.
func cmakeConfig(k *pack, name string) string {
	var b strings.Builder
	b.WriteString(cmakeStart("../.."))
	ownHere := false
	for _, c := range k.own.cmake {
		if strings.EqualFold(c.name, name) {
			ownHere = true
			b.WriteString(cmakeOwn(k, c, ""))
		}
	}
	fmt.Fprintf(&b, "include(\"${clyde_deps}/cmake/clyde/%s.cmake\")\n", k.id)
	if ownHere {
		return b.String()
	}
	var comps, dirs, libs []string
	for _, n := range k.nodes {
		comps = append(comps, n.Name)
	}
	for _, n := range k.libraries() {
		libs = append(libs, n.target())
		fmt.Fprintf(&b, "clyde_name(\"${CMAKE_FIND_PACKAGE_NAME}::%s\" %s)\n", n.Name, n.target())
		for _, dir := range n.Includes {
			dirs = append(dirs, cmakePath(k.under(dir)))
		}
	}
	if len(libs) > 0 {
		fmt.Fprintf(&b, "clyde_name(\"${CMAKE_FIND_PACKAGE_NAME}::${CMAKE_FIND_PACKAGE_NAME}\" clyde::%s)\n", k.id)
	}
	fmt.Fprintf(&b, "set(${CMAKE_FIND_PACKAGE_NAME}_INCLUDE_DIRS %s)\n", strings.Join(unique(dirs), " "))
	fmt.Fprintf(&b, "set(${CMAKE_FIND_PACKAGE_NAME}_LIBRARIES %s)\n", strings.Join(libs, " "))
	return b.String() + fmt.Sprintf(`set(clyde_components %s)
foreach(clyde_component IN LISTS ${CMAKE_FIND_PACKAGE_NAME}_FIND_COMPONENTS)
  if(clyde_component IN_LIST clyde_components)
    set(${CMAKE_FIND_PACKAGE_NAME}_${clyde_component}_FOUND TRUE)
  elseif(${CMAKE_FIND_PACKAGE_NAME}_FIND_REQUIRED_${clyde_component})
    set(${CMAKE_FIND_PACKAGE_NAME}_FOUND FALSE)
    set(${CMAKE_FIND_PACKAGE_NAME}_NOT_FOUND_MESSAGE "%s has no component ${clyde_component}; it has: %s")
  endif()
endforeach()
`, strings.Join(comps, " "), cmakeInner(k.Name.String()), strings.Join(comps, ", "))
}

// cmakeVersion answers whether the version is the one asked for. The package's
// own file does where it has one; else what is installed will do for any lower
// version, since ranges were decided when the project was resolved.
func cmakeVersion(k *pack, name string) string {
	for _, c := range k.own.cmake {
		if strings.EqualFold(c.name, name) && c.version != "" {
			return cmakeStart("../..") + "include(" + cmakePath(k.under(c.version)) + ")\n"
		}
	}
	return cmakeHead + `set(PACKAGE_VERSION ` + cmakeText(dotted(k.Version)) + `)
set(PACKAGE_VERSION_COMPATIBLE TRUE)
if(PACKAGE_FIND_VERSION_RANGE)
  if(PACKAGE_VERSION VERSION_LESS PACKAGE_FIND_VERSION_MIN
     OR (PACKAGE_FIND_VERSION_RANGE_MAX STREQUAL "INCLUDE" AND PACKAGE_VERSION VERSION_GREATER PACKAGE_FIND_VERSION_MAX)
     OR (PACKAGE_FIND_VERSION_RANGE_MAX STREQUAL "EXCLUDE" AND NOT PACKAGE_VERSION VERSION_LESS PACKAGE_FIND_VERSION_MAX))
    set(PACKAGE_VERSION_COMPATIBLE FALSE)
  endif()
elseif(PACKAGE_VERSION VERSION_LESS PACKAGE_FIND_VERSION)
  set(PACKAGE_VERSION_COMPATIBLE FALSE)
elseif(PACKAGE_VERSION VERSION_EQUAL PACKAGE_FIND_VERSION)
  set(PACKAGE_VERSION_EXACT TRUE)
endif()
`
}

// dotted is a version in the numbers that CMake can order: dates with dots.
func dotted(v clyde.Version) string {
	if v.Kind() == clyde.KindDate {
		return strings.ReplaceAll(v.String(), "-", ".")
	}
	return v.String()
}

// cmakeAmbiguous answers find_package for a name that several packages have.
func cmakeAmbiguous(all []*pack, name string) string {
	var says []string
	for _, k := range all {
		says = append(says, fmt.Sprintf("find_package(%s) for %s", k.id, k.Name))
	}
	return cmakeHead + "set(${CMAKE_FIND_PACKAGE_NAME}_FOUND FALSE)\n" +
		"set(${CMAKE_FIND_PACKAGE_NAME}_NOT_FOUND_MESSAGE " + cmakeText("Several packages are called "+name+": say "+strings.Join(says, ", or ")+".") + ")\n"
}

// cmakeFetch stands for the source tree that FetchContent would have fetched:
// it offers the targets that the tree would have built.
func cmakeFetch(k *pack, name string) string {
	var b strings.Builder
	b.WriteString(cmakeStart("../../.."))
	for _, c := range k.own.cmake {
		if strings.EqualFold(c.name, name) {
			b.WriteString("set(CMAKE_FIND_PACKAGE_NAME " + c.name + ")\n" + cmakeOwn(k, c, ""))
		}
	}
	fmt.Fprintf(&b, "include(\"${clyde_deps}/cmake/clyde/%s.cmake\")\n", k.id)
	plain := []string{name, k.Name.Base}
	if k.FindName != "" {
		plain = append(plain, k.FindName)
	}
	for _, n := range k.libraries() {
		for _, space := range unique(plain) {
			fmt.Fprintf(&b, "clyde_name(%s::%s %s)\n", space, n.Name, n.target())
		}
		fmt.Fprintf(&b, "clyde_name(%s %s)\n", n.Name, n.target())
	}
	for _, p := range unique(plain) {
		fmt.Fprintf(&b, "clyde_name(%s::%s clyde::%s)\nclyde_name(%s clyde::%s)\n", p, p, k.id, p, k.id)
	}
	fmt.Fprintf(&b, "set(%s_SOURCE_DIR %s PARENT_SCOPE)\n", name, cmakePath(k.Dir))
	return b.String()
}
