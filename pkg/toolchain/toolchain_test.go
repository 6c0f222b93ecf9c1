package toolchain_test

import (
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/internal/toolchaintest"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/toolchain"
)

func TestToolchainsDetect(t *testing.T) {
	t.Parallel()
	toolchaintest.Programs(t, "gcc", "g++")
	plain, err := toolchain.Detect(t.Context(), toolchain.Options{CC: "gcc", CXX: "g++", Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	if plain.OS == "" || plain.Arch == "" || plain.Libc.Family == "" || plain.Compiler.Family != "gcc" || plain.Compiler.Version == "" || plain.Compiler.Target == "" ||
		plain.CXXStdlib.Family != "libstdc++" || plain.CXXStdlib.ABI != "cxx11" || plain.CXXStdlib.SymbolVersion == "" || plain.CStd == "" || plain.CXXStd == "" ||
		plain.Exceptions == nil || !*plain.Exceptions || plain.RTTI == nil || !*plain.RTTI {
		t.Errorf("Detect = %+v", plain)
	}
	odd, err := toolchain.Detect(t.Context(), toolchain.Options{CC: "gcc", CXX: "g++", Getenv: func(name string) string {
		return map[string]string{"CXXFLAGS": "-std=c++14 -fno-rtti -D_GLIBCXX_USE_CXX11_ABI=0 -fsanitize=address -D_GLIBCXX_DEBUG"}[name]
	}})
	if err != nil {
		t.Fatal(err)
	}
	if odd.CXXStd != "14" || odd.CXXStdlib.ABI != "old" || len(odd.Sanitizers) != 1 || odd.StdlibDebug == "" || *odd.RTTI || !*odd.Exceptions {
		t.Errorf("Detect = %+v", odd)
	}
	_, err = toolchain.Detect(t.Context(), toolchain.Options{CC: "no-such-compiler", Getenv: func(string) string { return "" }, CXX: "no-such-compiler"})
	if e := clyde.AsError(err); e == nil || e.Code != "compiler_missing" {
		t.Errorf("without a compiler: %v", err)
	}
}

// Every compiler says what its sanitizers are, or the flags say it for it.
func TestToolchainsSanitizers(t *testing.T) {
	t.Parallel()
	toolchaintest.Need(t)
	for _, tt := range []struct{ cc, cxx, flags, want string }{
		{"gcc", "g++", "", ""},
		{"gcc", "g++", "-fsanitize=address", "address"},
		{"gcc", "g++", "-fsanitize=thread", "thread"},
		{"gcc", "g++", "-fsanitize=address,undefined", "address undefined"},
		{"gcc", "g++", "-fsanitize=undefined -fno-sanitize=undefined", ""},
		{"gcc", "g++", "-fsanitize=undefined -fno-sanitize=all", ""},
		{"gcc", "g++", "-fno-sanitize=all -fsanitize=undefined", "undefined"},
		{"gcc", "g++", "-fsanitize=undefined -fno-sanitize=vptr", "undefined"},
		{"gcc", "g++", "-fsanitize=signed-integer-overflow", "undefined"},
		{"gcc", "g++", "-fsanitize=leak", ""},
		{"clang", "clang++", "", ""},
		{"clang", "clang++", "-fsanitize=undefined,address", "address undefined"},
		{"clang", "clang++", "-fsanitize=thread", "thread"},
		{"clang", "clang++", "-fsanitize=memory", "memory"},
	} {
		h, err := toolchain.Detect(t.Context(), toolchain.Options{CC: tt.cc, CXX: tt.cxx, Getenv: func(name string) string {
			return map[string]string{"CFLAGS": tt.flags, "CXXFLAGS": tt.flags}[name]
		}})
		if err != nil || strings.Join(h.Sanitizers, " ") != tt.want {
			t.Errorf("%s %s: %q, %v; want %q", tt.cc, tt.flags, h.Sanitizers, err, tt.want)
		}
	}
}
