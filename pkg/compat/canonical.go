package compat

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// ABIID is the identity of the build's binary interface: the SHA-256, in hex,
// of the canonical JSON (RFC 8785) of the facts that Rules marks as hashed.
// Two builds with one abi_id can take each other's place wherever the ranges
// (versions of libraries, processor, standard) allow it.
func (f *Facts) ABIID() string {
	sum := sha256.Sum256(f.Canonical())
	return hex.EncodeToString(sum[:])
}

// Key is what follows "_" in the tag of a build: sixteen hex digits. They are
// the first of ABIID where the build is of DefaultBuildType for the least
// processor; another build type or processor level of the same ABI is another
// build, and gets digits of its own from all three.
func (f *Facts) Key() string {
	if _, place, _ := level(f.CPUBaseline); (f.BuildType == "" || f.BuildType == DefaultBuildType) && place == 0 {
		return f.ABIID()[:16]
	}
	sum := sha256.Sum256([]byte(f.ABIID() + "\n" + f.BuildType + "\n" + f.CPUBaseline))
	return hex.EncodeToString(sum[:])[:16]
}

// Tag is the tag of a build of the given version.
func (f *Facts) Tag(version string) string { return version + "_" + f.Key() }

// Canonical is what ABIID hashes: the members of C++ only where consumers meet
// C++, all others whether they say anything or not.
func (f *Facts) Canonical() []byte {
	traits := map[string]any{}
	for _, name := range f.ABITraits {
		traits[name] = f.Traits[name]
	}
	defines := map[string]any{}
	for k, v := range f.ABIDefines {
		defines[k] = v
	}
	sanitizers := []any{}
	for _, s := range slices.Sorted(slices.Values(f.Sanitizers)) {
		sanitizers = append(sanitizers, s)
	}
	doc := map[string]any{
		"os": f.OS, "arch": f.Arch, "libc": f.Libc.Family, "linkage": f.Linkage,
		"traits": traits, "sanitizers": sanitizers, "abi_defines": defines, "deps": f.hashedDeps(),
		"stdlib_debug": f.StdlibDebug,
	}
	if f.cxx() {
		doc["cxx_stdlib"] = map[string]any{"family": f.CXXStdlib.Family, "abi": f.CXXStdlib.ABI}
		doc["exceptions"], doc["rtti"] = yes(f.Exceptions), yes(f.RTTI)
		doc["msvc_toolset"] = toolset(f.Compiler)
	}
	return appendJSON(nil, doc)
}

// hashedDeps lists the packages that a consumer of the build meets, too.
func (f *Facts) hashedDeps() []any {
	out := []any{}
	deps := slices.SortedFunc(slices.Values(f.Deps), func(a, b Dep) int { return strings.Compare(a.Name, b.Name) })
	for _, d := range deps {
		if !d.Embedded {
			out = append(out, map[string]any{"name": d.Name, "line": Line(d.Version), "abi_id": d.ABIID})
		}
	}
	return out
}

// Line is the part of a version within which a library is expected to keep its
// binary interface: up to the first number that is not zero, as ^ counts, all
// numbers before a letter, and the whole of a date.
func Line(version string) string {
	v, err := clyde.ParseVersion(version)
	if err != nil || v.Kind() == clyde.KindDate {
		return version
	}
	core, _, _ := strings.Cut(v.Canonical(), "-")
	if v.Kind() == clyde.KindLetter {
		return strings.TrimRight(core, "abcdefghijklmnopqrstuvwxyz")
	}
	parts := strings.Split(core, ".")
	for i, p := range parts {
		if p != "0" {
			return strings.Join(parts[:i+1], ".")
		}
	}
	return core
}

// appendJSON appends v as RFC 8785 has it. Of its rules only those of strings,
// of booleans and of the order of members matter here: there are no numbers.
func appendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return appendString(b, v)
	case bool:
		return strconv.AppendBool(b, v)
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, e)
		}
		return append(b, ']')
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		// By UTF-16 code units, which differs from bytes above U+FFFF.
		slices.SortFunc(keys, func(a, b string) int {
			return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
		})
		b = append(b, '{')
		for i, k := range keys {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, k), ':')
			b = appendJSON(b, v[k])
		}
		return append(b, '}')
	}
	panic(fmt.Sprintf("compat: no canonical form of %T", v)) // a mistake in Canonical, which decides the types
}

// appendString escapes what RFC 8785, section 3.2.2.2, does and nothing else.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\b':
			b = append(b, `\b`...)
		case c == '\f':
			b = append(b, `\f`...)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c < 0x20:
			b = fmt.Appendf(b, `\u%04x`, c)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
