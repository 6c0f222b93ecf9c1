package clyde_test

import (
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// full uses every key of the format.
const full = `
schema: 1
name: "@acme/fastjson"
version: "1.4.0"
upstream_version: release-1.4
type: library
language: cpp
standard: {c: "11", cxx: "17"}
description: "one line"
license: Apache-2.0 OR MIT
authors: ["Ada Example <ada@example.org>", {name: Bob, github: bob}]
homepage: https://example.org
repository: https://example.org/r
documentation: https://example.org/d
issues: https://example.org/i
changelog: CHANGELOG.md
readme: README.md
keywords: [json, parser, c++]
categories: [parsing]
sources: ["src/**.cpp"]
include: [include]
files: {include: [], exclude: []}
cflags: {gcc: "-Wall", gxx: [-Wall], clang: "-DX='a b'", clangxx: "", msvc: /W4}
ldflags: {gcc: -lm}
requires: {"@madler/zlib": "^1.3.0", "@fmtlib/fmt": {version: ">=10 <12", traits: {shared: "false"}, visibility: public, optional: false}}
dev_requires: {}
build_requires: {}
system: {debian: [libssl-dev], brew: [openssl], pkgconfig: [openssl]}
provides: [z]
conflicts: {}
replaces: ["@old/json"]
traits: {debug: "true", shared: {type: bool, default: false, abi: true, description: d}}
variants: {debug: {cflags: {gcc: "-g -O0"}}}
supports: "linux | macos | (windows & x86_64)"
build: {system: cmake, args: []}
exports: {components: {fastjson: {type: archive, includes: [include], definitions: [], compile_features: [c++17], requires: ["@fmtlib/fmt:fmt"], link_libraries: [m]}}}
abi: {policy: semver, soname: libfastjson.so.1}
security: {policy: SECURITY.md, cpe: "cpe:2.3:a:acme:fastjson", upstream: {url: "https://example.org", commit: "0123456789012345678901234567890123456789"}}
registry: {publish: true, access: public}
x-anything: {a: [1, 2.5, true, null]}
`

func TestEveryKeyPublishes(t *testing.T) {
	t.Parallel()
	_, ps := clyde.Check([]byte(full), clyde.ValidateOptions{Publish: true, Repo: clyde.Name{Namespace: "acme", Base: "fastjson"}, Tag: "1.4.0"})
	if len(ps) > 0 {
		t.Errorf("Check(full) = %v; want none", ps)
	}
}

func TestTemplatesPublish(t *testing.T) {
	t.Parallel()
	for _, language := range []string{"c", "cpp", "c++", ""} {
		for typ := range strings.FieldsSeq("library application foreign header-only plugin tool meta") {
			_, ps := clyde.Check(clyde.Template("@acme/x", language, typ), clyde.ValidateOptions{Publish: true})
			if len(ps) > 0 {
				t.Errorf("Check(Template(%q, %q)) = %v; want none", language, typ, ps)
			}
		}
	}
}
