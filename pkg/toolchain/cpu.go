package toolchain

import (
	"runtime"

	"golang.org/x/sys/cpu"
)

// cpuLevel is the level of this processor by the psABI of x86-64
// (https://gitlab.com/x86-psABIs/x86-64-ABI), as far as features that can be
// asked for tell; "" for other processors.
func cpuLevel() string {
	if runtime.GOARCH != "amd64" {
		return ""
	}
	x := cpu.X86
	v2 := x.HasCX16 && x.HasPOPCNT && x.HasSSE3 && x.HasSSSE3 && x.HasSSE41 && x.HasSSE42
	v3 := v2 && x.HasAVX && x.HasAVX2 && x.HasBMI1 && x.HasBMI2 && x.HasFMA && x.HasOSXSAVE
	v4 := v3 && x.HasAVX512F && x.HasAVX512BW && x.HasAVX512CD && x.HasAVX512DQ && x.HasAVX512VL
	switch {
	case v4:
		return "x86-64-v4"
	case v3:
		return "x86-64-v3"
	case v2:
		return "x86-64-v2"
	}
	return "x86-64-v1"
}

// baseline is the level that a compiler compiles for, by its macros.
func baseline(m map[string]string) string {
	has := func(names ...string) bool {
		for _, n := range names {
			if _, ok := m[n]; !ok {
				return false
			}
		}
		return true
	}
	// One instruction above a level needs the next: the highest that has any.
	switch {
	case !has("__x86_64__"):
		return ""
	case has("__AVX512F__"):
		return "x86-64-v4"
	case has("__AVX__"), has("__AVX2__"), has("__FMA__"), has("__BMI__"):
		return "x86-64-v3"
	case has("__SSE3__"), has("__SSE4_1__"), has("__SSE4_2__"), has("__POPCNT__"):
		return "x86-64-v2"
	}
	return "x86-64-v1"
}
