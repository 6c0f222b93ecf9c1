package compat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/strictjson"
)

var (
	wordRE    = regexp.MustCompile(`^[a-z0-9]+(?:[._+-][a-z0-9+]+)*\+{0,2}$`)
	dottedRE  = regexp.MustCompile(`^[0-9]{1,9}(?:\.[0-9]{1,9}){0,5}$`)
	versionRE = regexp.MustCompile(`^[0-9]{1,9}(?:\.[0-9]{1,9}){0,5}(?:[-+~._][0-9A-Za-z.+~_-]*)?$`)
	defineRE  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	traitRE   = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+-]*$`) // as package.yaml has it
	abiRE     = regexp.MustCompile(`^[0-9a-f]{64}$`)
	digestRE  = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

// factsJSON checks build.json; the keys of traits and of definitions are data.
var factsJSON = strictjson.New(strictjson.Rules{
	Depth: MaxDepth,
	Keys: []string{
		"schema", "language", "os", "os_min", "arch", "cpu_baseline", "libc", "family", "min", "compiler", "version", "target",
		"cxx_stdlib", "abi", "min_symbol_version", "c_std", "cxx_std", "exceptions", "rtti", "runtime", "build_type", "sanitizers",
		"lto", "pic", "linkage", "stdlib_debug", "abi_defines", "traits", "abi_traits", "deps", "name", "abi_id", "embedded",
		"flags", "source_digest", "builder", "id", "run", "repository", "revision", "created",
	},
	Data: []string{"traits", "abi_defines"},
})

// Parse reads build.json strictly: known members alone, each once, every value
// of its grammar and within the limits. Errors are ErrInvalid with code
// "build_invalid", or ErrTooLarge.
func Parse(b []byte) (*Facts, error) {
	if len(b) > MaxFacts {
		return nil, clyde.Errorf(clyde.ErrTooLarge, "build.json is %d bytes; the limit is %d", len(b), MaxFacts).WithCode("too_large")
	}
	if err := factsJSON.Check(b); err != nil {
		return nil, invalid("build.json cannot be read: %v", err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	f := new(Facts)
	if err := dec.Decode(f); err != nil {
		return nil, invalid("build.json cannot be read: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, invalid("build.json cannot be read: something follows the JSON value")
	}
	if err := f.Check(); err != nil {
		return nil, err
	}
	return f, nil
}

// Encode writes f as build.json. Parse reads the same facts from it.
func (f *Facts) Encode() ([]byte, error) {
	if err := f.Check(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(f); err != nil {
		return nil, err
	}
	if b.Len() > MaxFacts {
		return nil, clyde.Errorf(clyde.ErrTooLarge, "build.json is %d bytes; the limit is %d", b.Len(), MaxFacts).WithCode("too_large")
	}
	return b.Bytes(), nil
}

// Check reports the first value that breaks the format.
func (f *Facts) Check() error {
	if f.Schema != Version {
		return invalid("build.json has schema %d; this program knows %d", f.Schema, Version)
	}
	for _, check := range []func() error{f.checkWords, f.checkVersions, f.checkLists, f.checkDeps, f.checkWhole} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// member is one value of a document, by its path.
type member struct{ at, value string }

func (f *Facts) checkWords() error {
	for _, m := range []member{
		{"os", f.OS}, {"arch", f.Arch}, {"libc.family", f.Libc.Family}, {"compiler.family", f.Compiler.Family},
		{"cxx_stdlib.family", f.CXXStdlib.Family}, {"cxx_stdlib.abi", f.CXXStdlib.ABI},
	} {
		if m.value != "" && (len(m.value) > MaxText || !wordRE.MatchString(m.value)) {
			return invalid("%s is %.100q: want a word of a-z, 0-9, ., _, + and -", m.at, m.value)
		}
	}
	for _, m := range []struct {
		member
		of []string
	}{
		{member{"language", f.Language}, []string{C, CPP}},
		{member{"linkage", f.Linkage}, []string{Static, Shared, Both, Executable, Headers}},
		{member{"build_type", f.BuildType}, []string{"", "Release", "RelWithDebInfo", "MinSizeRel", "Debug"}},
		{member{"lto", f.LTO}, []string{"", "fat", "slim"}},
		{member{"runtime", f.Runtime}, []string{"", "MT", "MTd", "MD", "MDd"}},
		{member{"c_std", f.CStd}, append([]string{""}, standards["c_std"]...)},
		{member{"cxx_std", f.CXXStd}, append([]string{""}, standards["cxx_std"]...)},
	} {
		if !slices.Contains(m.of, m.value) {
			return invalid("%s is %.100q: want one of %s", m.at, m.value, strings.TrimPrefix(strings.Join(m.of, ", "), ", "))
		}
	}
	for _, m := range []member{
		{"compiler.target", f.Compiler.Target}, {"stdlib_debug", f.StdlibDebug}, {"builder.id", f.Builder.ID}, {"builder.run", f.Builder.Run},
		{"builder.repository", f.Builder.Repository}, {"builder.revision", f.Builder.Revision}, {"builder.created", f.Builder.Created},
	} {
		if err := text(m.at, m.value, MaxText); err != nil {
			return err
		}
	}
	return nil
}

func (f *Facts) checkVersions() error {
	for _, m := range []member{
		{"os_min", f.OSMin}, {"libc.min", f.Libc.Min}, {"cxx_stdlib.min_symbol_version", f.CXXStdlib.MinSymbolVersion},
	} {
		if m.value != "" && !dottedRE.MatchString(m.value) {
			return invalid("%s is %.100q: want numbers with dots between them", m.at, m.value)
		}
	}
	if v := f.Compiler.Version; v != "" && (len(v) > MaxText || !versionRE.MatchString(v)) {
		return invalid("compiler.version is %.100q: want a version that begins with numbers", v)
	}
	if _, _, ok := level(f.CPUBaseline); f.CPUBaseline != "" && !ok {
		return invalid("cpu_baseline is %.100q: want one of %s", f.CPUBaseline, strings.Join(slices.Concat(levels...), ", "))
	}
	if !digestRE.MatchString(f.SourceDigest) {
		return invalid("source_digest is %.100q: want sha256: and 64 hex digits, of the package's source archive", f.SourceDigest)
	}
	return nil
}

func (f *Facts) checkLists() error {
	if len(f.Flags) > MaxFlags {
		return invalid("flags has %d entries; the limit is %d", len(f.Flags), MaxFlags)
	}
	for i, s := range f.Flags {
		if err := text(fmt.Sprintf("flags[%d]", i), s, MaxFlag); err != nil {
			return err
		}
	}
	if err := sortedWords("sanitizers", f.Sanitizers, wordRE); err != nil {
		return err
	}
	if err := sortedWords("abi_traits", f.ABITraits, traitRE); err != nil {
		return err
	}
	for _, name := range f.ABITraits {
		if _, ok := f.Traits[name]; !ok {
			return invalid("abi_traits names %q, which is not among traits", name)
		}
	}
	if err := named("traits", f.Traits, traitRE); err != nil {
		return err
	}
	return named("abi_defines", f.ABIDefines, defineRE)
}

func (f *Facts) checkDeps() error {
	if len(f.Deps) > MaxDeps {
		return invalid("deps has %d entries; the limit is %d", len(f.Deps), MaxDeps)
	}
	for i, d := range f.Deps {
		if _, err := clyde.ParseName(d.Name); err != nil {
			return invalid("deps[%d].name: %v", i, err)
		}
		if _, err := clyde.ParseVersion(d.Version); err != nil {
			return invalid("deps[%d].version: %v", i, err)
		}
		if d.ABIID != "" && !abiRE.MatchString(d.ABIID) {
			return invalid("deps[%d].abi_id is %.100q: want 64 hex digits", i, d.ABIID)
		}
		if i > 0 && f.Deps[i-1].Name >= d.Name {
			return invalid("deps must be sorted by name, each once: %s comes after %s", d.Name, f.Deps[i-1].Name)
		}
	}
	return nil
}

// checkWhole checks what several members say together.
func (f *Facts) checkWhole() error {
	switch {
	case f.OS == "" || f.Arch == "":
		return invalid("build.json names no os or no arch")
	case (f.OS == Any || f.Arch == Any) && f.Linkage != Headers:
		return invalid("only a build of headers is for any os or arch; this one is %s", f.Linkage)
	case f.Linkage == Headers && (f.Libc != Libc{} || f.CPUBaseline != "" || f.CXXStdlib != CXXStdlib{}):
		return invalid("a build of headers needs no C library, C++ library or processor level")
	case f.linked() && f.Libc.Family == "":
		return invalid("libc.family is missing: which C library the binaries are for")
	case f.cxx() && (f.CXXStdlib.Family == "" || f.CXXStdlib.ABI == ""):
		return invalid("cxx_stdlib is incomplete: a C++ build needs its family and abi")
	}
	return nil
}

// text refuses what is too long to be true or would not print as it is.
func text(at, s string, limit int) error {
	if len(s) > limit {
		return invalid("%s is %d bytes; the limit is %d", at, len(s), limit)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return invalid("%s has the character %U, which does not print", at, r)
		}
	}
	return nil
}

func sortedWords(at string, list []string, re *regexp.Regexp) error {
	if len(list) > MaxNamed {
		return invalid("%s has %d entries; the limit is %d", at, len(list), MaxNamed)
	}
	for i, s := range list {
		if len(s) > MaxText || !re.MatchString(s) {
			return invalid("%s[%d] is %.100q: want a word of lower-case letters, digits and -", at, i, s)
		}
		if i > 0 && list[i-1] >= s {
			return invalid("%s must be sorted, each once: %q comes after %q", at, s, list[i-1])
		}
	}
	return nil
}

func named(at string, m map[string]string, re *regexp.Regexp) error {
	if len(m) > MaxNamed {
		return invalid("%s has %d entries; the limit is %d", at, len(m), MaxNamed)
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if len(k) > MaxText || !re.MatchString(k) {
			return invalid("%s has the name %.100q, which is none", at, k)
		}
		if err := text(at+"."+k, m[k], MaxText); err != nil {
			return err
		}
	}
	return nil
}
