package compat

import (
	"maps"
	"slices"
	"strings"
)

// RulesVersion is that of Rules and of Order. It changes with either, and
// answers about builds carry it.
const RulesVersion = 1

// How a rule compares a fact of a build with that of a host or a wish.
const (
	Same    = "same"     // the two are equal
	AtLeast = "at_least" // the host has at least what the build needs
	Subset  = "subset"   // everything that was asked for is so in the build
)

// Rule is one line of the table that decides whether a build fits. The first
// rule that fails is the reason given.
type Rule struct {
	Fact   string `json:"fact"`           // of build.json
	How    string `json:"how"`            // Same | AtLeast | Subset
	When   string `json:"when,omitempty"` // "" always | linked: something links to it | cpp: that something is C++ | msvc
	Hashed bool   `json:"hashed"`         // part of abi_id
	What   string `json:"what"`           // for people: "the C library"
}

// Rules is the table, in the order in which it is asked: what a person could
// least change comes first.
func Rules() []Rule { return slices.Clone(rules) }

var rules = []Rule{
	{"os", Same, "", true, "the system"},
	{"arch", Same, "", true, "the processor"},
	{"libc.family", Same, "", true, "the C library"},
	{"libc.min", AtLeast, "", false, "the C library's version"},
	{"os_min", AtLeast, "", false, "the system's version"},
	{"cpu_baseline", AtLeast, "", false, "the processor's level"},
	{"cxx_stdlib.family", Same, "cpp", true, "the C++ standard library"},
	{"cxx_stdlib.abi", Same, "cpp", true, "the ABI of the C++ standard library"},
	{"cxx_stdlib.min_symbol_version", AtLeast, "", false, "the C++ standard library's version"},
	{"compiler.toolset", Same, "msvc", true, "the toolset of MSVC"},
	{"runtime", Same, "msvc", false, "the C runtime of MSVC"},
	{"lto", Same, "linked", false, "the compiler of link-time code"},
	{"exceptions", Same, "cpp", true, "exceptions"},
	{"rtti", Same, "cpp", true, "run-time type information"},
	{"sanitizers", Same, "linked", true, "sanitizers"},
	{"stdlib_debug", Same, "cpp", true, "debug mode of the C++ standard library"},
	{"abi_defines", Same, "linked", true, "definitions that change the ABI"},
	{"c_std", AtLeast, "", false, "the C standard"},
	{"cxx_std", AtLeast, "", false, "the C++ standard"},
	{"traits", Subset, "", true, "traits"},
	{"deps", Subset, "linked", true, "dependencies"},
	{"pic", Subset, "linked", false, "position-independent code"},
	{"linkage", Subset, "linked", true, "linkage"},
}

// Class is how well a build fits, the best first.
type Class int

// The order in which builds are taken. What fits none of these is built from
// source.
const (
	Exact        Class = iota
	OtherType          // the same ABI, another build type
	OtherLinkage       // static for shared or the other way round, where that is allowed
	OlderCPU           // for an older processor than this one
	No                 // it does not fit
)

var classes = []string{"exact", "other_build_type", "other_linkage", "older_cpu", "no"}

func (c Class) String() string { return classes[c] }

// MarshalText gives the name of the class.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (c *Class) UnmarshalText(b []byte) error {
	i := slices.Index(classes, string(b))
	if i < 0 {
		return invalid("%.40q is no class of builds", b)
	}
	*c = Class(i)
	return nil
}

// Order is the names of the classes in the order in which they are taken.
func Order() []string { return append(slices.Clone(classes[:No]), "source") }

// applies reports whether a rule is asked of this build.
func (r Rule) applies(f *Facts) bool {
	switch r.When {
	case "linked":
		return f.linked()
	case "cpp":
		return f.cxx()
	case "msvc":
		return f.linked() && f.Compiler.Family == "msvc"
	}
	return true
}

// levels orders processors: each can what those before it can. A build for a
// level of another family than the host's does not fit.
var levels = [][]string{
	{"x86-64-v1", "x86-64-v2", "x86-64-v3", "x86-64-v4"},
	{"armv8.0", "armv8.1", "armv8.2", "armv8.3", "armv8.4", "armv8.5", "armv8.6", "armv9.0", "armv9.1", "armv9.2"},
}

// level returns the family of a processor and its place in it.
func level(s string) (family, place int, ok bool) {
	for i, l := range levels {
		if p := slices.Index(l, s); p >= 0 {
			return i, p, true
		}
	}
	return 0, 0, false
}

// standards orders the standards of a language as they appeared.
var standards = map[string][]string{
	"c_std":   {"89", "90", "99", "11", "17", "23"},
	"cxx_std": {"98", "03", "11", "14", "17", "20", "23", "26"},
}

// toolset returns the major version of MSVC's tools; all from 14 (2015) on
// link with each other.
func toolset(c Compiler) string {
	if c.Family != "msvc" {
		return ""
	}
	major, _, _ := strings.Cut(c.Version, ".")
	if len(major) == 2 && major >= "19" {
		return "14" // cl.exe says 19.x, the toolset is 14.x
	}
	return major
}

// pairs writes a map as "A=1, B=2".
func pairs(m map[string]string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, k+"="+m[k])
	}
	return strings.Join(out, ", ")
}
