package clyde_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(bytes.ReplaceAll(want, []byte("\r\n"), []byte("\n"))), string(got)); diff != "" {
		t.Errorf("%s (-want +got); go test ./pkg/clyde -update to accept:\n%s", file, diff)
	}
}

func listing(ps clyde.Problems) string {
	var b strings.Builder
	for _, p := range ps {
		kind := "error"
		if p.Warning {
			kind = "warning"
		}
		fmt.Fprintf(&b, "%s %s %s\n", kind, p.Pointer, p)
	}
	return b.String()
}

// A very wrong document is reported whole, as a work tree and for publishing.
func TestWrongManifest(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join("testdata", "wrong.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	_, ps := clyde.Check(data, clyde.ValidateOptions{})
	golden(t, "wrong.worktree.txt", []byte(listing(ps)))
	_, ps = clyde.Check(data, clyde.ValidateOptions{Publish: true, Repo: clyde.Name{Namespace: "acme", Base: "other"}, Tag: "1.0"})
	golden(t, "wrong.publish.txt", []byte(listing(ps)))
}

func TestViewIsStable(t *testing.T) {
	t.Parallel()
	m, err := clyde.Validate([]byte(full), clyde.ValidateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "full.json", append(got, '\n'))
}

// What today's client accepts, and what its documentation shows.
func TestClydeDialectParses(t *testing.T) {
	t.Parallel()
	const head = "version: 1.2.3\nlanguage: c++\nsources: []\n"
	for _, tt := range []struct {
		in       string
		warnings int
	}{
		{"name: a\n" + head, 0},
		{"name: \"@acme/a\"\ntype: foreign\n" + head, 0},
		{"name: a\ncflags: {g++: \"-O2 -Wall\", clang++: -O2}\n" + head, 0},
		{"name: a\ntraits: {debug: true, x: 'y'}\n" + head, 0},
		{"name: a\nrequires: {b: \">=1.2.3\", c: 1.2.3, d: \"local:../d\", e: git:main, f: \">=1 <2\", g: \"*\", h: ^1.2, i: ~1.2.3}\n" + head, 2},
		{"name: a\nvariants: {debug: {opt: x, cflags: {gcc: -g}}}\n" + head, 0},
		{"name: Fmt\n" + head, 1},
		{"name: -a\n" + head, 1},
		{"name: \"@-/-\"\n" + head, 1},
		{"name: a\nversion: 1.0.0-01\nlanguage: c\n", 1},
		{"name: a\nversion: 1.0.0+b5\nlanguage: c\n", 1},
		{"name: a\nrequires: {B: ^1.0.0-01}\n" + head, 2},
		{"name: a\nlanguage: c\nlicense: MIT\nhomepage: https://a.example\nauthors: [A]\nkeywords: [x]\nreadme: R.md\nldflags: {gcc: -lm}\n", 1},
		{"name: a\nversion: 2024-01-02\n", 0}, // a date is text in YAML 1.2
	} {
		_, ps := clyde.ParseManifest([]byte(tt.in))
		if len(ps.Errors()) > 0 || len(ps.Warnings()) != tt.warnings {
			t.Errorf("ParseManifest(%q):\n%swant %d warnings only", tt.in, listing(ps), tt.warnings)
		}
		if tt.warnings > 0 {
			if _, err := clyde.Validate([]byte(tt.in), clyde.ValidateOptions{Publish: true}); !errors.Is(err, clyde.ErrInvalid) {
				t.Errorf("Validate(%q) for publishing = %v; want ErrInvalid", tt.in, err)
			}
		}
	}
}

func TestProblemsSayWhere(t *testing.T) {
	t.Parallel()
	const ok = "name: \"@acme/x\"\nversion: \"1.0.0\"\n"
	for _, tt := range []struct{ in, code, says string }{
		{"", "document_empty", "empty"},
		{"# nothing\n", "document_empty", "empty"},
		{"[]", "wrong_type", "want a mapping, not a list"},
		{"version: 1.10\n", "wrong_type", `1.10 is the number 1.1: quote it, "1.10"`},
		{"version: 7\n", "wrong_type", `7 is a number: quote it, "7"`},
		{"name: true\n", "wrong_type", "the boolean true"},
		{"name:\n", "wrong_type", "want text, not nothing"},
		{"sources: src/a.c\n", "wrong_type", `write ["src/a.c"]`},
		{"registry: {publish: yes}\n", "wrong_type", "true or false"},
		{ok + "---\nname: b\n", "yaml_second_document", "3:1"},
		{"name: &a x\n", "yaml_anchor", "anchors"},
		{"name: x\nx-a: &a 1\nx-b: *a\n", "yaml_alias", "aliases"},
		{"name: *a\n", "yaml_alias", "aliases"},
		{"<<: {name: x}\n", "yaml_merge", "merge"},
		{"name: !x y\n", "yaml_tag", "tag"},
		{"name: !!binary eA==\n", "yaml_tag", "tag"},
		{"name: a\nname: b\n", "duplicate_key", "after line 1"},
		{"x-a: {b: 1, \"b\": 2}\n", "duplicate_key", "second time"},
		{"? [a]\n: b\n", "yaml_key", "plain text"},
		{"name: \xff\n", "not_utf8", "UTF-8"},
		{"name: a\u202eb\n", "character_forbidden", "U+202E"},
		{`name: "a\u202eb"`, "character_forbidden", "U+202E"},
		{"name: a\x00b\n", "character_forbidden", "U+0000"},
		{"name: @acme/x\n", "yaml_syntax", `quote "@acme/x"`},
		{"requires:\n  @acme/x: ^1\n", "yaml_syntax", `quote "@acme/x:"`},
		{ok + "requires:\n  a: *\n", "yaml_syntax", `quote "*"`},
		{"name: [", "yaml_syntax", "not YAML"},
		{"requries: {}\n", "unknown_key", `did you mean "requires"`},
		{"dependencies: {}\n", "unknown_key", `did you mean "requires"`},
		{"licence: MIT\n", "unknown_key", `did you mean "license"`},
		{"type: libary\n", "value_unknown", `did you mean "library"`},
		{"license: Apache2\n", "license_invalid", "write Apache-2.0"},
		{"license: MIT and Zlib\n", "license_invalid", "write AND"},
		{"license: MIT/Zlib\n", "license_invalid", "OR or AND"},
		{"license: (MIT\n", "license_invalid", "not closed"},
		{"license: mit\n", "license_spelling", "SPDX writes MIT"},
		{"license: GPL-2.0\n", "license_spelling", `did you mean "GPL-2.0-only"`},
		{"supports: linux &\n", "supports_invalid", "ends where"},
		{"supports: linus\n", "platform_unknown", `did you mean "linux"`},
		{"readme: ../R.md\n", "path_invalid", ".."},
		{"readme: /etc/passwd\n", "path_invalid", "absolute"},
		{"readme: C:/x\n", "path_invalid", "absolute"},
		{"sources: ['a\\b']\n", "path_invalid", "backslash"},
		{"homepage: javascript:alert(1)\n", "url_invalid", "https://"},
		{"homepage: https://u:p@a.example\n", "url_invalid", "user name"},
		{"keywords: [C++]\n", "keyword_invalid", `did you mean "c++"`},
		{"system: {debian: [\"x; rm\"]}\n", "word_invalid", "system package"},
		{"schema: 2\n", "schema_unknown", "schema: 1"},
		{"version: cci.20200101\n", "version_invalid", "upstream_version"},
		{"requires: {\"@a/x\": \"1\"}\n", "name_invalid", "limits"},
		{"requires: {\"@acme/x\": {range: \"1\"}}\n", "unknown_key", "not known"},
		{"cflags: {gxx: -a, g++: -b}\n", "duplicate_key", "another spelling"},
		{"cflags: {gcc: \"'a\"}\n", "flags_invalid", "quote is not closed"},
	} {
		_, ps := clyde.ParseManifest([]byte(tt.in))
		if l := listing(ps); !strings.Contains(l, "["+tt.code+"]") || !strings.Contains(l, tt.says) {
			t.Errorf("ParseManifest(%q):\n%swant %s that says %q", tt.in, l, tt.code, tt.says)
		}
	}
}

func TestManifestLimits(t *testing.T) {
	t.Parallel()
	const ok = "name: \"@acme/x\"\nversion: \"1.0.0\"\n"
	nested := func(n int) string { // the document, x-a, and n-1 lists
		return ok + "x-a: " + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + "\n"
	}
	reqs := func(n int) string {
		var b strings.Builder
		b.WriteString(ok + "requires:\n")
		for i := range n {
			fmt.Fprintf(&b, "  n%d: ^1\n", i)
		}
		return b.String()
	}
	padded := func(n int) string { return ok + "#" + strings.Repeat("x", n-len(ok)-1) }
	words := func(key, word string, n int) string {
		return ok + key + ": [" + strings.TrimSuffix(strings.Repeat(word+", ", n), ", ") + "]\n"
	}
	keywords := func(n int) string {
		s := words("keywords", "k%", n)
		for i := range n {
			s = strings.Replace(s, "%", fmt.Sprint(i), 1)
		}
		return s
	}
	for _, tt := range []struct{ name, fits, over, code string }{
		{"size", padded(clyde.MaxManifestSize), padded(clyde.MaxManifestSize + 1), "document_too_large"},
		{"depth", nested(clyde.MaxManifestDepth), nested(clyde.MaxManifestDepth + 1), "document_too_deep"},
		{"requirements", reqs(clyde.MaxRequirements), reqs(clyde.MaxRequirements + 1), "too_many"},
		{"description", ok + "description: " + strings.Repeat("é", clyde.MaxDescriptionLen), ok + "description: " + strings.Repeat("é", clyde.MaxDescriptionLen+1), "text_too_long"},
		{"keywords", keywords(clyde.MaxKeywords), keywords(clyde.MaxKeywords + 1), "too_many"},
		{"keyword", words("keywords", strings.Repeat("k", clyde.MaxKeywordLen), 1), words("keywords", strings.Repeat("k", clyde.MaxKeywordLen+1), 1), "keyword_invalid"},
		{"license", ok + "license: LicenseRef-" + strings.Repeat("k", clyde.MaxLicenseLen-11), ok + "license: LicenseRef-" + strings.Repeat("k", clyde.MaxLicenseLen-10), "license_invalid"},
		{"supports", ok + "supports: linux" + strings.Repeat("|linux", clyde.MaxSupportsLen/6-1), ok + "supports: linux" + strings.Repeat("|linux", clyde.MaxSupportsLen/6), "supports_invalid"},
		{"key", ok + "x-" + strings.Repeat("k", clyde.MaxKeyLen-2) + ": 1", ok + "x-" + strings.Repeat("k", clyde.MaxKeyLen-1) + ": 1", "key_too_long"},
		{"url", ok + "homepage: https://a.example/" + strings.Repeat("x", clyde.MaxURLLen-18), ok + "homepage: https://a.example/" + strings.Repeat("x", clyde.MaxURLLen-17), "url_invalid"},
	} {
		if _, ps := clyde.ParseManifest([]byte(tt.fits)); len(ps.Errors()) > 0 {
			t.Errorf("%s at the limit: %.300s; want no error", tt.name, listing(ps))
		}
		if _, ps := clyde.ParseManifest([]byte(tt.over)); !strings.Contains(listing(ps), "["+tt.code+"]") {
			t.Errorf("%s over the limit: %.300s; want %s", tt.name, listing(ps), tt.code)
		}
	}
	_, ps := clyde.ParseManifest([]byte(ok + "categories: [web, web, web, gui, audio, video, fonts]\n" + strings.Repeat("? []\n", 300)))
	if len(ps) != clyde.MaxProblems || ps[len(ps)-1].Code != "too_many_problems" {
		t.Errorf("%d problems, last %v; want %d and too_many_problems", len(ps), ps[len(ps)-1], clyde.MaxProblems)
	}
}

// Hostile documents are refused in bounded time: each fills the whole size.
func TestManifestHostile(t *testing.T) {
	t.Parallel()
	for name, unit := range map[string]string{
		"flow lists": "[", "flow maps": "{a: ", "block lists": "- ", "explicit keys": "? ", "comments": "#\n", "empty items": "-\n",
		"anchors": "- &a x\n", "quotes": "\"\\x41", "documents": "---\n", "keys": "k:\n", "blanks": "\n", "indents": " a:\n", "question": "?\n",
		"long keys": "- a: b\n  c: d\n", "plain": "a ", "tags": "!!str ",
	} {
		start := time.Now()
		_, ps := clyde.ParseManifest([]byte(strings.Repeat(unit, clyde.MaxManifestSize/len(unit))))
		if len(ps.Errors()) == 0 {
			t.Errorf("%s: no error", name)
		}
		took := time.Since(start)
		t.Logf("%s: %v", name, took)
		// Far beyond what a busy machine with the race detector needs, and far
		// below what a parser needs that goes over all it has read for each byte.
		if took > 2*time.Minute {
			t.Errorf("%s: took %v", name, took)
		}
	}
}

func TestCheckPublish(t *testing.T) {
	t.Parallel()
	repo := clyde.Name{Namespace: "acme", Base: "x"}
	const tail = "\ndescription: d\nlicense: MIT\n"
	for _, tt := range []struct{ in, tag, code, says string }{
		{"name: x\nversion: \"1.0\"" + tail, "1.0", "", ""},
		{"name: x\nversion: \"1.0\"" + tail, "", "", ""},
		{"name: x\nversion: \"1.0\"" + tail, "1.0.0", "version_mismatch", "exactly as written"},
		{"name: \"@other/x\"\nversion: \"1.0\"" + tail, "1.0", "name_mismatch", "write @acme/x"},
		{"name: y\nversion: \"1.0\"" + tail, "1.0", "name_mismatch", "acme/y"},
		{"name: X\nversion: \"1.0\"" + tail, "1.0", "name_invalid", "write x"},
		{"name: x" + tail, "1.0", "version_missing", "no version"},
		{"name: x\nversion: \"1.0\"\nrequires: {zlib: ^1}" + tail, "1.0", "requirement_unqualified", `write "@acme/zlib"`},
		{"name: x\nversion: \"1.0\"\ndev_requires: {\"@acme/z\": \"local:../z\"}" + tail, "1.0", "requirement_local", "publish it"},
		{"name: x\nversion: \"1.0\"\nrequires: {\"@acme/z\": {version: git:main}}" + tail, "1.0", "requirement_git", "published"},
		{"name: x\nversion: \"1.0\"\nrequires: {\"@acme/a-b\": ^1, \"@acme/a_b\": ^1}" + tail, "1.0", "requirement_twice", "one package"},
		{"name: x\nversion: \"1.0\"\nrequires: {\"@acme/x\": ^1}" + tail, "1.0", "requirement_self", "itself"},
		{"name: x\nversion: \"1.0\"\nregistry: {publish: false}" + tail, "1.0", "publish_disabled", "registry.publish"},
	} {
		_, err := clyde.Validate([]byte(tt.in), clyde.ValidateOptions{Publish: true, Repo: repo, Tag: tt.tag})
		if tt.code == "" {
			if err != nil {
				t.Errorf("Validate(%q, %q) = %v; want none", tt.in, tt.tag, err)
			}
			continue
		}
		if e := clyde.AsError(err); e == nil || !strings.Contains(listing(e.Problems.Errors()), "["+tt.code+"]") || !strings.Contains(listing(e.Problems), tt.says) {
			t.Errorf("Validate(%q, %q) = %v; want %s that says %q", tt.in, tt.tag, err, tt.code, tt.says)
		}
	}
}

func TestFindManifest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		files, want string
		kind        error
	}{
		{".clyde/package.yaml package.yaml", ".clyde/package.yaml", nil},
		{"package.yaml", "package.yaml", nil},
		{"package.yml", "package.yml", nil},
		{"package.yaml package.yml", "", clyde.ErrConflict},
		{"README.md", "", clyde.ErrNotFound},
		{"package.yaml/x", "", clyde.ErrInvalid},
	} {
		dir := fstest.MapFS{}
		for f := range strings.FieldsSeq(tt.files) {
			dir[f] = &fstest.MapFile{}
		}
		if got, err := clyde.FindManifest(dir); got != tt.want || !errors.Is(err, tt.kind) {
			t.Errorf("FindManifest(%s) = %q, %v; want %q, %v", tt.files, got, err, tt.want, tt.kind)
		}
	}
}

func TestLicenses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"MIT", "Apache-2.0 OR MIT", "(MIT AND Zlib) OR BSL-1.0", "GPL-2.0-or-later WITH Classpath-exception-2.0", "Apache-2.0+",
		"LicenseRef-ours", "DocumentRef-a:LicenseRef-b", "GPL-2.0+", "mit",
	} {
		if err := clyde.CheckLicense(s); err != nil {
			t.Errorf("CheckLicense(%q) = %v; want nil", s, err)
		}
	}
	for _, s := range []string{"", "MIT OR", "OR MIT", "MIT MIT", "()", "MIT WITH", "MIT WITH MIT", "WITH", "MIT)", "NONE", "LicenseRef-", "a,b"} {
		if err := clyde.CheckLicense(s); !errors.Is(err, clyde.ErrInvalid) {
			t.Errorf("CheckLicense(%q) = %v; want ErrInvalid", s, err)
		}
	}
	if diff := cmp.Diff([]string{"MIT", "Zlib"}, clyde.LicenseIDs("mit AND (Zlib OR MIT)")); diff != "" {
		t.Error(diff)
	}
}

func TestSupports(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   string
		want bool
	}{{"", true}, {"linux", true}, {"windows", false}, {"!windows", true}, {"windows | linux & x86", false}, {"linux & !(windows | x86)", true}} {
		if got, err := clyde.Supports(tt.in, func(id string) bool { return id == "linux" }); err != nil || got != tt.want {
			t.Errorf("Supports(%q) on linux = %v, %v; want %v", tt.in, got, err, tt.want)
		}
	}
}

// Every document gives a manifest and problems in order, each inside the
// document; one without errors has a JSON form, and gives it twice alike.
func FuzzParseManifest(f *testing.F) {
	wrong, err := os.ReadFile(filepath.Join("testdata", "wrong.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(full))
	f.Add(wrong)
	f.Add(clyde.Template("@acme/x", "c", "library"))
	f.Add([]byte("name: *a"))
	f.Add([]byte("a: !!map\n? x\n---\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, ps := clyde.Check(data, clyde.ValidateOptions{Publish: true})
		if m == nil || len(ps) > clyde.MaxProblems {
			t.Fatalf("Check(%q) = %v, %d problems", data, m, len(ps))
		}
		lines := bytes.Count(data, []byte("\n")) + bytes.Count(data, []byte("\r")) + 2
		for i, p := range ps {
			if p.Code == "" || p.Msg == "" || p.Line > lines || i > 0 && p.Line < ps[i-1].Line {
				t.Errorf("Check(%q): problem %+v after %d lines", data, p, lines)
			}
		}
		if len(ps.Errors()) > 0 {
			return
		}
		again, _ := clyde.ParseManifest(data)
		a, errA := json.Marshal(m)
		b, errB := json.Marshal(again)
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("Check(%q): JSON %s, %v and %s, %v", data, a, errA, b, errB)
		}
		if m.Name.IsZero() || m.Version.IsZero() {
			t.Errorf("Check(%q) publishes %s %s", data, m.Name, m.Version)
		}
	})
}

// The documentation lists every category.
func TestCategoriesDocumented(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "package-format.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range clyde.Categories() {
		if !bytes.Contains(doc, []byte("`"+c+"`")) {
			t.Errorf("docs/package-format.md does not list the category %s", c)
		}
	}
}
