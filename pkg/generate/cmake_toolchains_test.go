package generate_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/internal/toolchaintest"
)

// cmakeProject writes a project of CMake into root, which build has filled.
func cmakeProject(t *testing.T, root, body string) {
	t.Helper()
	write(t, filepath.Join(root, "CMakeLists.txt"), "cmake_minimum_required(VERSION 3.16)\nproject(demo LANGUAGES C CXX)\n"+body)
}

const finds = `find_package(HDR 0.1 REQUIRED)
find_package(multi-part REQUIRED COMPONENTS core)
find_package(acme_log 1...<3 CONFIG REQUIRED)
find_package(sha.pe REQUIRED)
add_executable(main main.cpp)
target_link_libraries(main PRIVATE HDR::HDR multi-part::multi-part clyde::acme_log sha.pe::sha.pe)
`

const fetches = `include(FetchContent)
FetchContent_Declare(hdr GIT_REPOSITORY https://example.invalid/hdr.git GIT_TAG v1)
FetchContent_Declare(Multi GIT_REPOSITORY https://example.invalid/multi.git GIT_TAG v1)
FetchContent_Declare(log GIT_REPOSITORY https://example.invalid/log.git GIT_TAG v1 OVERRIDE_FIND_PACKAGE)
FetchContent_Declare(sha.pe GIT_REPOSITORY https://example.invalid/shape.git GIT_TAG v1 FIND_PACKAGE_ARGS)
FetchContent_MakeAvailable(hdr Multi sha.pe)
find_package(log REQUIRED)
if(NOT EXISTS "${hdr_SOURCE_DIR}/include/hdr.hpp")
  message(FATAL_ERROR "hdr_SOURCE_DIR is ${hdr_SOURCE_DIR}")
endif()
add_executable(main main.cpp)
target_link_libraries(main PRIVATE hdr MULTI::core Multi::Extra log::log sha.pe)
`

func TestToolchainsCMake(t *testing.T) {
	toolchaintest.Need(t)
	t.Parallel()
	for _, tt := range []struct {
		name, folder, body string
		c                  compiler
		args               []string
	}{
		{"find", odd, finds, compilers[0], []string{"-GNinja", "-DCMAKE_TOOLCHAIN_FILE=deps/clyde.cmake"}},
		{"find-make", spaced, finds, compilers[1], []string{"-GUnix Makefiles", "-DCMAKE_TOOLCHAIN_FILE=deps/clyde.cmake"}},
		{"prefix", spaced, finds, compilers[0], []string{"-GNinja", "-DCMAKE_PREFIX_PATH=deps/cmake"}},
		{"fetch", odd, fetches, compilers[1], []string{"-GNinja", "-DCMAKE_TOOLCHAIN_FILE=deps/clyde.cmake", "-DFETCHCONTENT_SOURCE_DIR_HDR="}},
		{"include", "plain", "include(deps/clyde.cmake)\n" + finds, compilers[0], []string{"-GNinja"}},
		{"chain", spaced, finds + "if(NOT MINE)\n  message(FATAL_ERROR \"the chained toolchain is not read\")\nendif()\n", compilers[1],
			[]string{"-GNinja", "-DCMAKE_TOOLCHAIN_FILE=deps/clyde.cmake", "-DCLYDE_CHAINLOAD_TOOLCHAIN_FILE=mine.cmake"}},
		{"preset", odd, finds, compilers[0], []string{"--preset", "clyde", "-GNinja"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root := filepath.Join(t.TempDir(), tt.folder)
			cmakeProject(t, root, tt.body)
			deps, want := build(t, root)
			write(t, filepath.Join(root, "mine.cmake"), "set(MINE 1)\nset(CMAKE_FIND_ROOT_PATH /nowhere)\nset(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)\nset(CMAKE_CXX_FLAGS_INIT -DMINE)\n")
			args := append([]string{"cmake"}, tt.args...)
			if tt.args[0] != "--preset" {
				args = append(args, "-S", ".", "-B", "build")
			}
			out := sh(t, root, tt.c.env(), args...)
			if strings.Contains(strings.ToLower(out), "warning") {
				t.Errorf("cmake warns:\n%s", out)
			}
			// Again, after the install before this one offered more.
			if out = sh(t, root, nil, "cmake", "-DFETCHCONTENT_SOURCE_DIR_GONE="+deps+"/cmake/fetch/gone", "-LA", "build"); strings.Contains(out, "fetch/gone") {
				t.Error("FetchContent would look for what is no longer installed")
			}
			sh(t, root, nil, "cmake", "--build", "build", "--verbose")
			runs(t, filepath.Join(root, "build/main"), want)
			if _, err := os.Stat(filepath.Join(root, "build/pwned")); err == nil {
				t.Error("a definition was run")
			}
		})
	}
}
