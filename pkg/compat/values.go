package compat

import (
	"slices"
	"strings"
)

// What facts without a value are called where having none is a value.
const none = "none"

// fact returns one fact of a build as the rules compare it; "" demands nothing.
func (f *Facts) fact(name string) string {
	switch name {
	case "os":
		return f.OS
	case "os_min":
		return f.OSMin
	case "arch":
		return f.Arch
	case "cpu_baseline":
		return f.CPUBaseline
	case "libc.family":
		return f.Libc.Family
	case "libc.min":
		return f.Libc.Min
	case "cxx_stdlib.family":
		return f.CXXStdlib.Family
	case "cxx_stdlib.abi":
		return f.CXXStdlib.ABI
	case "cxx_stdlib.min_symbol_version":
		return f.CXXStdlib.MinSymbolVersion
	case "compiler.toolset":
		return toolset(f.Compiler)
	case "runtime":
		return f.Runtime
	case "lto":
		if f.LTO != "slim" {
			return ""
		}
		return linkTime(f.Compiler)
	case "c_std":
		return f.CStd
	case "cxx_std":
		return f.CXXStd
	}
	return manners(name, f.Exceptions, f.RTTI, f.Sanitizers, f.StdlibDebug, f.ABIDefines)
}

// fact returns what the host has for a fact of a build; "" is not known.
func (h *Host) fact(name string) string {
	switch name {
	case "os":
		return h.OS
	case "os_min":
		return h.OSVersion
	case "arch":
		return h.Arch
	case "cpu_baseline":
		return h.CPU
	case "libc.family":
		return h.Libc.Family
	case "libc.min":
		return h.Libc.Version
	case "cxx_stdlib.family":
		return h.CXXStdlib.Family
	case "cxx_stdlib.abi":
		return h.CXXStdlib.ABI
	case "cxx_stdlib.min_symbol_version":
		return h.CXXStdlib.SymbolVersion
	case "compiler.toolset":
		return toolset(h.Compiler)
	case "runtime":
		return h.Runtime
	case "lto":
		return linkTime(h.Compiler)
	case "c_std":
		return h.CStd
	case "cxx_std":
		return h.CXXStd
	}
	return manners(name, h.Exceptions, h.RTTI, h.Sanitizers, h.StdlibDebug, h.ABIDefines)
}

// manners is how either side compiles, in words.
func manners(name string, exceptions, rtti *bool, sanitizers []string, debug string, defines map[string]string) string {
	s := ""
	switch name {
	case "exceptions":
		return onOff(yes(exceptions))
	case "rtti":
		return onOff(yes(rtti))
	case "sanitizers":
		s = strings.Join(slices.Sorted(slices.Values(sanitizers)), ", ")
	case "stdlib_debug":
		s = debug
	case "abi_defines":
		s = pairs(defines)
	}
	if s == "" {
		return none
	}
	return s
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

// linkTime names who can read a compiler's own code: the family and the major
// version.
func linkTime(c Compiler) string {
	major, _, _ := strings.Cut(c.Version, ".")
	return strings.TrimSpace(c.Family + " " + major)
}
