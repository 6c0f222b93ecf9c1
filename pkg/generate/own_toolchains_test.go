package generate_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/internal/toolchaintest"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/generate"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// ownBody is a library that installs its own configuration, as most that are
// built with CMake do, here with an upper-case name, a component of another
// name, and a dependency found by find_dependency.
const ownBody = `cmake_minimum_required(VERSION 3.16)
project(PKG VERSION 4.5.6 LANGUAGES CXX)
include(CMakePackageConfigHelpers)
DEPEND
add_library(PKG STATIC lib.cpp)
target_include_directories(PKG PUBLIC $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}> $<INSTALL_INTERFACE:include>)
target_compile_definitions(PKG PUBLIC FROM_OWN_CONFIG=1)
LINK
install(TARGETS PKG EXPORT PKG-targets ARCHIVE DESTINATION lib)
install(FILES PKG.hpp DESTINATION include)
install(EXPORT PKG-targets NAMESPACE PKG:: DESTINATION lib/cmake/PKG)
file(WRITE ${CMAKE_BINARY_DIR}/in "@PACKAGE_INIT@\ninclude(CMakeFindDependencyMacro)\nFINDDEP\ninclude(\"\${CMAKE_CURRENT_LIST_DIR}/PKG-targets.cmake\")\nset(PKG_EXTRA yes)\ncheck_required_components(PKG)\n")
configure_package_config_file(${CMAKE_BINARY_DIR}/in PKGConfig.cmake INSTALL_DESTINATION lib/cmake/PKG)
write_basic_package_version_file(PKGConfigVersion.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${CMAKE_BINARY_DIR}/PKGConfig.cmake ${CMAKE_BINARY_DIR}/PKGConfigVersion.cmake DESTINATION lib/cmake/PKG)
file(WRITE ${CMAKE_BINARY_DIR}/libPKG.pc "prefix=${CMAKE_INSTALL_PREFIX}\nName: libPKG\nDescription: x\nVersion: 4.5.6\nLibs: -L\${prefix}/lib -lPKG\n")
install(FILES ${CMAKE_BINARY_DIR}/libPKG.pc DESTINATION lib/pkgconfig)
`

// A package that installed its own CMake configuration is used by it, whoever
// asks: the project, another package, FetchContent.
func TestToolchainsOwnConfig(t *testing.T) {
	toolchaintest.Need(t)
	t.Parallel()
	root := filepath.Join(t.TempDir(), odd)
	deps := filepath.Join(root, "deps")
	one := strings.NewReplacer("PKG", "Fmt", "DEPEND", "", "LINK", "", "FINDDEP", "").Replace(ownBody)
	two := strings.NewReplacer("PKG", "SpdLog", "DEPEND", "find_package(Fmt 4 CONFIG REQUIRED)", "LINK", "target_link_libraries(SpdLog PUBLIC Fmt::Fmt)", "FINDDEP", "find_dependency(Fmt 4 CONFIG)").Replace(ownBody)
	p := generate.Project{Deps: deps, Platform: resolve.Platform{OS: "linux"}}
	if _, err := generate.Write(p); err != nil {
		t.Fatal(err)
	}
	for _, lib := range []struct{ name, base, body, code string }{
		{"Fmt", "fmt-lib", one, "#include \"Fmt.hpp\"\nint fmt() { return 5; }\n"},
		{"SpdLog", "spdlog", two, "#include \"SpdLog.hpp\"\nint spdlog() { return fmt() + 1; }\n"},
	} {
		src := filepath.Join(t.TempDir(), lib.name)
		write(t, filepath.Join(src, "CMakeLists.txt"), lib.body)
		write(t, filepath.Join(src, "lib.cpp"), lib.code)
		header := "#pragma once\nint " + strings.ToLower(lib.name) + "();\n"
		if lib.name == "SpdLog" {
			header += "#include <Fmt.hpp>\n"
		}
		write(t, filepath.Join(src, lib.name+".hpp"), header)
		n := name(t, "@acme/"+lib.base)
		k := generate.Package{Name: n, Version: version(t, "4.5.6"), Dir: n.String(), Direct: true,
			Components: []generate.Component{{Name: lib.base, Kind: generate.Archive, Library: "lib/lib" + lib.name + ".a", Includes: []string{"include"}}}}
		if lib.name == "SpdLog" {
			k.Requires = []clyde.Name{name(t, "@acme/fmt-lib")}
		}
		// As an installation does: built with what is there already.
		sh(t, src, nil, "cmake", "-GNinja", "-B", "build", "-DCMAKE_INSTALL_PREFIX="+filepath.Join(deps, k.Dir), "-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_TOOLCHAIN_FILE="+deps+"/clyde.cmake")
		sh(t, src, nil, "cmake", "--build", "build", "--target", "install")
		p.Packages = append(p.Packages, k)
		if _, err := generate.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	const use = "#include <SpdLog.hpp>\n#include <cstdio>\n#ifndef FROM_OWN_CONFIG\n#error\n#endif\nint main() { std::printf(\"%d\\n\", spdlog()); }\n"
	const useFlags = "#include <SpdLog.hpp>\n#include <cstdio>\nint main() { std::printf(\"%d\\n\", spdlog()); }\n"
	for _, tt := range []struct{ name, body string }{
		{"find", "find_package(SpdLog 4.1 REQUIRED)\nif(NOT SpdLog_EXTRA STREQUAL yes OR NOT SpdLog_VERSION VERSION_EQUAL 4.5.6)\n  message(FATAL_ERROR \"not its own configuration\")\nendif()\nLIBS(SpdLog::SpdLog)\n"},
		{"module", "find_package(SpdLog MODULE REQUIRED)\nadd_subdirectory(sub)\nLIBS(clyde::acme_spdlog)\n"},
		{"clyde", "find_package(acme_spdlog REQUIRED)\nLIBS(clyde::acme_spdlog)\n"},
		{"fetch", "include(FetchContent)\nFetchContent_Declare(spdlog GIT_REPOSITORY https://example.invalid/x.git)\nFetchContent_MakeAvailable(spdlog)\nLIBS(SpdLog::SpdLog)\n"},
		{"override", "include(FetchContent)\nFetchContent_Declare(SpdLog GIT_REPOSITORY https://example.invalid/x.git OVERRIDE_FIND_PACKAGE)\nadd_subdirectory(sub)\nfind_package(SpdLog REQUIRED)\nLIBS(SpdLog::SpdLog)\n"},
		{"too new", "find_package(SpdLog 5 QUIET)\nif(SpdLog_FOUND)\n  message(FATAL_ERROR \"4.5.6 is not 5\")\nendif()\nfind_package(SpdLog 4 REQUIRED)\nLIBS(SpdLog::SpdLog)\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "x")
			write(t, filepath.Join(dir, "main.cpp"), use)
			write(t, filepath.Join(dir, "sub/CMakeLists.txt"), "find_package(SpdLog REQUIRED)\nadd_executable(sub ../main.cpp)\ntarget_link_libraries(sub PRIVATE SpdLog::SpdLog)\n")
			cmakeProject(t, dir, strings.NewReplacer("LIBS(", "add_executable(main main.cpp)\ntarget_link_libraries(main PRIVATE ").Replace(tt.body))
			sh(t, dir, nil, "cmake", "-GNinja", "-B", "build", "-DCMAKE_TOOLCHAIN_FILE="+deps+"/clyde.cmake")
			sh(t, dir, nil, "cmake", "--build", "build")
			runs(t, filepath.Join(dir, "build/main"), "6\n")
		})
	}
	t.Run("pkg-config", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "main.cpp"), useFlags)
		flat := filepath.Join(t.TempDir(), "deps")
		if err := os.CopyFS(flat, os.DirFS(deps)); err != nil {
			t.Fatal(err)
		}
		p := p
		p.Deps = flat
		if _, err := generate.Write(p); err != nil {
			t.Fatal(err)
		}
		sh(t, dir, []string{"PKG_CONFIG_PATH=" + flat + "/lib/pkgconfig"}, "sh", "-c", "g++ main.cpp $(pkg-config --cflags --libs libSpdLog) -o main")
		runs(t, filepath.Join(dir, "main"), "6\n")
	})
}

// Two packages of one name: each by its own, and neither by the short one.
func TestToolchainsTwoOfOneName(t *testing.T) {
	toolchaintest.Need(t)
	t.Parallel()
	root := filepath.Join(t.TempDir(), "plain")
	deps, _ := build(t, root)
	cmakeProject(t, root, `find_package(base QUIET)
if(base_FOUND)
  message(FATAL_ERROR "base is either")
endif()
find_package(acme_base REQUIRED)
find_package(other_base REQUIRED)
add_executable(one one.c)
target_link_libraries(one PRIVATE clyde::acme_base)
add_executable(two two.c)
target_link_libraries(two PRIVATE clyde::other_base)
`)
	write(t, filepath.Join(root, "one.c"), "#include <base.h>\nint main(void) { return base_value() != 4; }\n")
	write(t, filepath.Join(root, "two.c"), "#include <base.h>\nint main(void) { return other_value() != 10; }\n")
	sh(t, root, nil, "cmake", "-GNinja", "-B", "build", "-DCMAKE_TOOLCHAIN_FILE="+deps+"/clyde.cmake")
	sh(t, root, nil, "cmake", "--build", "build")
	runs(t, filepath.Join(root, "build/one"), "")
	runs(t, filepath.Join(root, "build/two"), "")
	write(t, filepath.Join(root, "fails/CMakeLists.txt"), "cmake_minimum_required(VERSION 3.16)\nproject(x LANGUAGES C)\nfind_package(base REQUIRED)\n")
	out, err := try(t, root, nil, "cmake", "-GNinja", "-S", "fails", "-B", "fails/build", "-DCMAKE_TOOLCHAIN_FILE="+deps+"/clyde.cmake")
	if err == nil || !strings.Contains(out, "find_package(acme_base)") {
		t.Errorf("find_package(base) does not say what to write instead:\n%s", out)
	}
}

// starlark reads BUILD.bazel, which is Python as far as it goes, and prints
// the rules and, split as Bazel does, the definitions of one.
const starlark = `import ast, json, shlex, sys
rules, defines = [], {}
for node in ast.parse(open(sys.argv[1]).read()).body:
    call = node.value
    assert isinstance(node, ast.Expr) and isinstance(call, ast.Call) and isinstance(call.func, ast.Name), ast.dump(node)
    attrs = {}
    for k in call.keywords:
        v = k.value
        if isinstance(v, ast.Call):
            assert v.func.id == 'glob', v.func.id
            v = v.args[0]
        attrs[k.arg] = ast.literal_eval(v)
    rules.append([call.func.id, attrs.get('name', '')])
    for d in attrs.get('defines', []):
        assert '$' not in d.replace('$$', ''), d
        one, = shlex.split(d.replace('$$', '$'))
        defines[one.split('=')[0]] = one
json.dump({'rules': rules, 'defines': defines}, sys.stdout)
`

func TestToolchainsBazelSyntax(t *testing.T) {
	toolchaintest.Need(t)
	t.Parallel()
	deps := filepath.Join(t.TempDir(), "deps")
	if _, err := generate.Write(project(t, deps)); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Rules   [][2]string
		Defines map[string]string
	}
	if err := json.Unmarshal([]byte(sh(t, deps, nil, "python3", "-c", starlark, "BUILD.bazel")), &got); err != nil {
		t.Fatal(err)
	}
	for i, v := range vicious {
		d := definition(i, v)
		if key, _, _ := strings.Cut(d, "="); got.Defines[key] != d {
			t.Errorf("Bazel defines %q; want %q", got.Defines[key], d)
		}
	}
	for _, r := range got.Rules {
		switch r[0] {
		case "load", "package", "cc_import", "cc_library":
		default:
			t.Errorf("BUILD.bazel calls %s", r[0])
		}
	}
	sh(t, deps, nil, "python3", "-c", strings.ReplaceAll(starlark, "BUILD", "MODULE"), "MODULE.bazel")
}

// Two archives that keep a third private each have it behind them, and a
// program in C may use what C++ is asked of.
func TestToolchainsDiamond(t *testing.T) {
	toolchaintest.Need(t)
	t.Parallel()
	root := t.TempDir()
	deps := filepath.Join(root, "deps")
	p := generate.Project{Deps: deps, Platform: resolve.Platform{OS: "linux"}}
	for _, lib := range []struct{ base, code string }{
		{"low", "int low(void) { return 1; }\nint low2(void);\n"},
		{"left", "int low(void);\nint left(void) { return low(); }\n"},
		{"right", "int low(void);\nint right(void) { return low(); }\n"},
	} {
		n := name(t, "@acme/"+lib.base)
		dir := filepath.Join(deps, n.String())
		write(t, filepath.Join(dir, "x.c"), lib.code)
		write(t, filepath.Join(dir, "lib/.keep"), "")
		sh(t, dir, nil, "gcc", "-c", "x.c")
		sh(t, dir, nil, "ar", "rcs", "lib/lib"+lib.base+".a", "x.o")
		k := generate.Package{Name: n, Version: version(t, "1.0.0"), Dir: n.String(), Components: []generate.Component{
			{Name: lib.base, Kind: generate.Archive, Library: "lib/lib" + lib.base + ".a", CompileFeatures: []string{"c11", "c++17"}},
		}}
		if lib.base != "low" {
			k.Direct, k.Requires, k.Private = true, []clyde.Name{name(t, "@acme/low")}, []clyde.Name{name(t, "@acme/low")}
		}
		p.Packages = append(p.Packages, k)
	}
	if _, err := generate.Write(p); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "main.c"), "int left(void); int right(void);\nint main(void) { return left() + right() - 2; }\n")
	env := []string{"PKG_CONFIG_PATH=" + deps + "/lib/pkgconfig"}
	for _, order := range []string{"left right", "right left", "left", "right"} {
		code := "main.c"
		if !strings.Contains(order, " ") {
			code = order + ".c"
			write(t, filepath.Join(root, code), "int "+order+"(void);\nint main(void) { return "+order+"() - 1; }\n")
		}
		sh(t, root, env, "sh", "-c", "gcc "+code+" $(pkg-config --libs "+order+") -o main")
		runs(t, filepath.Join(root, "main"), "")
	}
	write(t, filepath.Join(root, "CMakeLists.txt"), "cmake_minimum_required(VERSION 3.16)\nproject(demo LANGUAGES C)\nfind_package(right REQUIRED)\nfind_package(left REQUIRED)\nadd_executable(app main.c)\ntarget_link_libraries(app PRIVATE right::right left::left)\n")
	sh(t, root, nil, "cmake", "-GNinja", "-B", "build", "-DCMAKE_TOOLCHAIN_FILE=deps/clyde.cmake")
	sh(t, root, nil, "cmake", "--build", "build")
	runs(t, filepath.Join(root, "build/app"), "")
}
