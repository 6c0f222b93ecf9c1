package compat_test

import (
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/compat"
)

const sourceDigest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// library is a static C++ library as gcc 12 makes one on Debian 12.
func library() *compat.Facts {
	return &compat.Facts{
		Schema: compat.Version, Language: compat.CPP, OS: "linux", Arch: "x86_64", CPUBaseline: "x86-64-v1",
		Libc:      compat.Libc{Family: "glibc", Min: "2.34"},
		Compiler:  compat.Compiler{Family: "gcc", Version: "12.2.0", Target: "x86_64-linux-gnu"},
		CXXStdlib: compat.CXXStdlib{Family: "libstdc++", ABI: "cxx11", MinSymbolVersion: "3.4.30"},
		CXXStd:    "17", BuildType: "Release", PIC: true, Linkage: compat.Static, SourceDigest: sourceDigest,
		Traits: map[string]string{"tls": "none"}, ABITraits: []string{"tls"},
		Deps: []compat.Dep{{Name: "@acme/zlib", Version: "1.3.1", ABIID: strings.Repeat("a", 64)}},
	}
}

// machine is one on which library fits exactly.
func machine() compat.Host {
	return compat.Host{
		OS: "linux", OSVersion: "6.1", Arch: "x86_64", CPU: "x86-64-v1", Libc: compat.HostLibc{Family: "glibc", Version: "2.36"},
		Compiler:  compat.Compiler{Family: "gcc", Version: "12.2.0", Target: "x86_64-linux-gnu"},
		CXXStdlib: compat.HostStdlib{Family: "libstdc++", ABI: "cxx11", SymbolVersion: "3.4.30"}, CStd: "17", CXXStd: "20",
	}
}

func TestMatchNamesTheFirstFactThatFailed(t *testing.T) {
	t.Parallel()
	off := false
	for _, tt := range []struct {
		name  string
		build func(*compat.Facts)
		host  func(*compat.Host)
		want  compat.Want
		class compat.Class
		fact  string
		why   string
	}{
		{name: "as made", class: compat.Exact},
		{name: "another system", host: func(h *compat.Host) { h.OS = "macos" }, class: compat.No, fact: "os", why: "the system: it is for linux; this machine has macos"},
		{name: "another processor", host: func(h *compat.Host) { h.Arch = "arm64" }, class: compat.No, fact: "arch"},
		{name: "musl", host: func(h *compat.Host) { h.Libc.Family = "musl" }, class: compat.No, fact: "libc.family"},
		{name: "older glibc", host: func(h *compat.Host) { h.Libc.Version = "2.31" }, class: compat.No, fact: "libc.min", why: "the C library's version: it needs at least 2.34; this machine has 2.31"},
		{name: "glibc of two digits", host: func(h *compat.Host) { h.Libc.Version = "2.100" }, class: compat.Exact},
		{name: "glibc not known", host: func(h *compat.Host) { h.Libc.Version = "" }, class: compat.No, fact: "libc.min"},
		{name: "libc++", host: func(h *compat.Host) { h.CXXStdlib.Family = "libc++" }, class: compat.No, fact: "cxx_stdlib.family"},
		{name: "old strings", host: func(h *compat.Host) { h.CXXStdlib.ABI = "old" }, class: compat.No, fact: "cxx_stdlib.abi"},
		{name: "libc++ for C", build: func(f *compat.Facts) { f.Language, f.CXXStdlib, f.CXXStd = compat.C, compat.CXXStdlib{}, "" }, host: func(h *compat.Host) { h.CXXStdlib.Family = "libc++" }, class: compat.Exact},
		{name: "older libstdc++", host: func(h *compat.Host) { h.CXXStdlib.SymbolVersion = "3.4.28" }, class: compat.No, fact: "cxx_stdlib.min_symbol_version"},
		{name: "C++14", host: func(h *compat.Host) { h.CXXStd = "14" }, class: compat.No, fact: "cxx_std"},
		{name: "C++98 is older than C++17", host: func(h *compat.Host) { h.CXXStd = "98" }, class: compat.No, fact: "cxx_std"},
		{name: "no rtti", host: func(h *compat.Host) { h.RTTI = &off }, class: compat.No, fact: "rtti", why: "run-time type information: it is for on; this machine has off"},
		{name: "sanitized build", build: func(f *compat.Facts) { f.Sanitizers = []string{"address"} }, class: compat.No, fact: "sanitizers"},
		{name: "newer processor needed", build: func(f *compat.Facts) { f.CPUBaseline = "x86-64-v3" }, class: compat.No, fact: "cpu_baseline"},
		{name: "newer processor here", host: func(h *compat.Host) { h.CPU = "x86-64-v4" }, class: compat.OlderCPU},
		{name: "debug build", build: func(f *compat.Facts) { f.BuildType = "Debug" }, class: compat.OtherType},
		{name: "static where shared was asked for", want: compat.Want{Linkage: compat.Shared}, class: compat.No, fact: "linkage"},
		{name: "static where shared would be better", want: compat.Want{Linkage: compat.Shared, AnyLinkage: true}, class: compat.OtherLinkage},
		{name: "both", build: func(f *compat.Facts) { f.Linkage = compat.Both }, want: compat.Want{Linkage: compat.Shared}, class: compat.Exact},
		{name: "not position-independent", build: func(f *compat.Facts) { f.PIC = false }, want: compat.Want{PIC: true}, class: compat.No, fact: "pic"},
		{name: "another trait", want: compat.Want{Traits: map[string]string{"tls": "openssl"}}, class: compat.No, fact: "traits"},
		{name: "another line of a dependency", want: compat.Want{Deps: map[string]compat.Dep{"@acme/zlib": {Version: "2.0.0"}}}, class: compat.No, fact: "deps", why: "it was built with @acme/zlib 1.3.1; 2.0.0 was chosen here"},
		{name: "a dependency of the same line", want: compat.Want{Deps: map[string]compat.Dep{"@acme/zlib": {Version: "1.2.0", ABIID: strings.Repeat("a", 64)}}}, class: compat.Exact},
		{name: "another interface of a dependency", want: compat.Want{Deps: map[string]compat.Dep{"@acme/zlib": {ABIID: strings.Repeat("b", 64)}}}, class: compat.No, fact: "deps"},
		{name: "another compiler", host: func(h *compat.Host) { h.Compiler = compat.Compiler{Family: "clang", Version: "14.0.6"} }, class: compat.Exact},
		{name: "slim link-time code of another compiler", build: func(f *compat.Facts) { f.LTO = "slim" }, host: func(h *compat.Host) { h.Compiler.Version = "13.1.0" }, class: compat.No, fact: "lto"},
		{name: "a program for libstdc++ where libc++ is", build: func(f *compat.Facts) { f.Linkage = compat.Executable }, host: func(h *compat.Host) { h.CXXStdlib.ABI = "old" }, class: compat.Exact},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, h := library(), machine()
			if tt.build != nil {
				tt.build(f)
			}
			if tt.host != nil {
				tt.host(&h)
			}
			if err := f.Check(); err != nil {
				t.Fatal(err)
			}
			v := compat.Match(h, tt.want, []compat.Candidate{{Digest: "sha256:1", Facts: f}})[0]
			if v.Class != tt.class || v.Fact != tt.fact || tt.why != "" && v.Why != tt.why {
				t.Errorf("Match = %s, fact %q, %q; want %s, fact %q, %q", v.Class, v.Fact, v.Why, tt.class, tt.fact, tt.why)
			}
			if (v.Class != compat.Exact) != (v.Why != "") {
				t.Errorf("Match = %s with reason %q", v.Class, v.Why)
			}
		})
	}
}
