package generate

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// cmakeToolchain is clyde.cmake. It is read as CMAKE_TOOLCHAIN_FILE, or by
// include() before the first find_package.
//
// find_package is answered from the redirects folder that CMake 3.24 looks into
// before anything else, and by CMAKE_PREFIX_PATH before that version;
// FetchContent_MakeAvailable by FETCHCONTENT_SOURCE_DIR_<NAME>, unless the user
// set that. Neither takes the place of a dependency provider, of which a build
// can have one.
func (g *graph) cmakeToolchain(names []string) string {
	var prefixes, found strings.Builder
	for _, k := range g.packs {
		prefixes.WriteString("  " + cmakePath(k.Dir) + "\n")
	}
	for _, name := range names {
		found.WriteString("  " + name + "\n")
	}
	return cmakeHead + `#   cmake -DCMAKE_TOOLCHAIN_FILE=deps/clyde.cmake
# A toolchain file of your own is read first: -DCLYDE_CHAINLOAD_TOOLCHAIN_FILE=…

if(CLYDE_CHAINLOAD_TOOLCHAIN_FILE)
  get_filename_component(CLYDE_CHAINLOAD_TOOLCHAIN_FILE "${CLYDE_CHAINLOAD_TOOLCHAIN_FILE}" ABSOLUTE BASE_DIR "${CMAKE_SOURCE_DIR}")
  include("${CLYDE_CHAINLOAD_TOOLCHAIN_FILE}")
  list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES CLYDE_CHAINLOAD_TOOLCHAIN_FILE)
endif()

get_property(clyde_trying GLOBAL PROPERTY IN_TRY_COMPILE)
if(clyde_trying)
  return()
endif()

set(clyde_deps "${CMAKE_CURRENT_LIST_DIR}")
set(clyde_prefixes
  "${clyde_deps}/cmake"
` + prefixes.String() + `)
list(REMOVE_ITEM CMAKE_PREFIX_PATH ${clyde_prefixes})
list(INSERT CMAKE_PREFIX_PATH 0 ${clyde_prefixes})

# A toolchain that looks for packages below its own roots looks here too.
if(CMAKE_FIND_ROOT_PATH OR CMAKE_SYSROOT OR CMAKE_STAGING_PREFIX)
  list(REMOVE_ITEM CMAKE_FIND_ROOT_PATH "${clyde_deps}")
  list(APPEND CMAKE_FIND_ROOT_PATH "${clyde_deps}")
endif()

# What an earlier install offered and this one does not is fetched again.
get_cmake_property(clyde_cached CACHE_VARIABLES)
foreach(clyde_variable IN LISTS clyde_cached)
  if(clyde_variable MATCHES "^FETCHCONTENT_SOURCE_DIR_")
    string(FIND "${${clyde_variable}}" "${clyde_deps}/cmake/fetch/" clyde_at)
    if(clyde_at EQUAL 0 AND NOT EXISTS "${${clyde_variable}}")
      unset(${clyde_variable} CACHE)
    endif()
  endif()
endforeach()

foreach(clyde_name IN ITEMS
` + found.String() + `)
  string(TOUPPER "${clyde_name}" clyde_upper)
  if("${FETCHCONTENT_SOURCE_DIR_${clyde_upper}}" STREQUAL "") # FetchContent leaves it so when it has fetched
    set(FETCHCONTENT_SOURCE_DIR_${clyde_upper} "${clyde_deps}/cmake/fetch/${clyde_name}" CACHE PATH "Where FetchContent finds ${clyde_name}, instead of fetching it" FORCE)
  endif()
  if(CMAKE_FIND_PACKAGE_REDIRECTS_DIR)
    foreach(clyde_part IN ITEMS config config-version)
      file(WRITE "${CMAKE_FIND_PACKAGE_REDIRECTS_DIR}/${clyde_name}-${clyde_part}.cmake"
        "include([==[${clyde_deps}/cmake/${clyde_name}/${clyde_name}-${clyde_part}.cmake]==])\n")
    endforeach()
  endif()
endforeach()
`
}

// presetsFile lies beside the deps folder, where CMake reads it.
const presetsFile = "../CMakeUserPresets.json"

// presetName is what cmake --preset calls our settings.
const presetName = "clyde"

// maxPresets is the largest presets file of a project that is looked into, in
// bytes.
const maxPresets = 4 << 20

// presets is a presets file of CMake: version 4, which CMake 3.23 reads, is
// the first that can include another.
type presets struct {
	Version   int               `json:"version"`
	Vendor    map[string]string `json:"vendor,omitempty"`
	Include   []string          `json:"include,omitempty"`
	Configure []preset          `json:"configurePresets,omitempty"`
	Build     []buildPreset     `json:"buildPresets,omitempty"`
}

type preset struct {
	Name          string `json:"name"`
	DisplayName   string `json:"displayName,omitempty"`
	BinaryDir     string `json:"binaryDir,omitempty"`
	ToolchainFile string `json:"toolchainFile,omitempty"`
}

type buildPreset struct {
	Name      string `json:"name"`
	Configure string `json:"configurePreset"`
}

// addPresets writes clyde-presets.json and, where the project beside the deps
// folder is one of CMake's and has no such file of its own, the user presets
// that include it.
func addPresets(g *graph, files map[string]string) {
	files["clyde-presets.json"] = jsonText(presets{
		Version:   4,
		Configure: []preset{{presetName, "With the packages of clyde install", "${sourceDir}/build", "${fileDir}/clyde.cmake"}},
		Build:     []buildPreset{{presetName, presetName}},
	})
	if PresetsWanted(g.deps) {
		files[presetsFile] = jsonText(presets{
			Version: 4,
			Vendor:  map[string]string{presetName: "Written by " + mark},
			Include: []string{filepath.Base(g.deps) + "/clyde-presets.json"},
		})
	}
}

// PresetsWanted reports whether Write makes CMakeUserPresets.json beside a deps
// folder: the project there is one of CMake's, its user presets are absent or
// ours, and it has no preset of that name. The answer changes with the project's
// own files, and only with those.
func PresetsWanted(deps string) bool {
	root := filepath.Dir(deps)
	if _, err := os.Stat(filepath.Join(root, "CMakeLists.txt")); err != nil {
		return false
	}
	if user, ok := readPresets(filepath.Join(root, "CMakeUserPresets.json")); !ok || user.Version != 0 && !strings.Contains(user.Vendor[presetName], mark) {
		return false
	}
	project, ok := readPresets(filepath.Join(root, "CMakePresets.json"))
	return ok && !slices.ContainsFunc(project.Configure, func(p preset) bool { return p.Name == presetName })
}

// readPresets reads a presets file; ok is false where there is one that cannot
// be understood, and the zero value is returned where there is none.
func readPresets(file string) (p presets, ok bool) {
	info, err := os.Lstat(file)
	if os.IsNotExist(err) {
		return presets{}, true
	}
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxPresets {
		return presets{}, false
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return presets{}, false
	}
	var loose struct {
		Version   int
		Vendor    map[string]any
		Configure []struct{ Name string } `json:"configurePresets"`
	}
	if json.Unmarshal(b, &loose) != nil || loose.Version == 0 {
		return presets{}, false
	}
	p = presets{Version: loose.Version, Vendor: map[string]string{}}
	if s, is := loose.Vendor[presetName].(string); is {
		p.Vendor[presetName] = s
	}
	for _, c := range loose.Configure {
		p.Configure = append(p.Configure, preset{Name: c.Name})
	}
	return p, true
}
