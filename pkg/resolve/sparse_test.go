package resolve_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

const curlYAML = `
name: "@ex/curl"
version: "8.9.1"
license: curl
language: c
sources: []
requires:
  "@ex/openssl": {version: ">=3 <4", when: trait.tls=openssl, visibility: private}
  "@ex/zlib": "^1.3"
  "@ex/brotli": {version: "^1", optional: true, traits: {shared: "true"}}
build_requires: {"@ex/cmake": ">=3.20"}
dev_requires: {"@ex/test": "^3"}
conflicts: {"@ex/old-curl": "<7"}
provides: [curl]
supports: "!uwp"
traits:
  tls: {type: enum, values: [openssl, none], default: openssl, abi: true, description: "which TLS"}
`

// TestIndexLine: a package.yaml, as published, comes back from the sparse index
// with all that resolving needs.
func TestIndexLine(t *testing.T) {
	t.Parallel()
	m, problems := clyde.ParseManifest([]byte(curlYAML))
	if err := problems.Err("package.yaml"); err != nil {
		t.Fatal(err)
	}
	view := m.View()
	c, err := resolve.FromView(&view)
	if err != nil {
		t.Fatal(err)
	}
	direct, err := resolve.FromManifest(m)
	if err != nil {
		t.Fatal(err)
	}
	byName := func(a, b resolve.Requirement) int {
		return strings.Compare(string(a.Kind)+a.Name.String(), string(b.Kind)+b.Name.String())
	}
	slices.SortFunc(c.Requires, byName)
	slices.SortFunc(direct.Requires, byName)
	if d := cmp.Diff(direct, c, compareSolutions); d != "" {
		t.Errorf("FromView differs from FromManifest:\n%s", d)
	}
	c.Digest, c.Checksum, c.Size, c.Yanked = digestOf("a"), digestOf("b"), 42, "broken"
	name := mustName("@ex/curl")
	line, err := resolve.IndexLine(name, &c)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "index.ndjson", string(line))
	got, err := resolve.ParseIndex(name, "packages.example.org", line)
	if err != nil {
		t.Fatal(err)
	}
	want := c
	want.Registry = "packages.example.org"
	want.Requires = slices.DeleteFunc(slices.Clone(want.Requires), func(q resolve.Requirement) bool { return q.Kind == resolve.Dev })
	slices.SortFunc(got[0].Requires, byName)
	for i := range want.Requires {
		if want.Requires[i].Visibility == "public" {
			want.Requires[i].Visibility = ""
		}
	}
	want.Conflicts = slices.Clone(want.Conflicts)
	want.Conflicts[0].Visibility = ""
	want.Traits = slices.Clone(want.Traits)
	want.Traits[0].Description = ""
	if d := cmp.Diff([]resolve.Candidate{want}, got, compareSolutions); d != "" {
		t.Errorf("ParseIndex (-want +got):\n%s", d)
	}
}

func TestParseIndex(t *testing.T) {
	t.Parallel()
	name := mustName("@ex/a")
	line := func(version, more string) string {
		return fmt.Sprintf(`{"name":"@ex/a","version":%q,"digest":%q%s}`+"\n", version, digestOf(version), more)
	}
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(line(fmt.Sprintf("1.%d", i), ""))
		}
		return b.String()
	}
	wide := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"@ex/p%d":"*"`, i)
		}
		return line("1", `,"requires":{`+b.String()[1:]+"}")
	}
	long := func(n int) string {
		l := line("1", `,"unknown":""`)
		return strings.Replace(l, `"unknown":"`, `"unknown":"`+strings.Repeat("x", n-len(l)+1), 1)
	}
	for _, tt := range []struct {
		name, data string
		versions   int
	}{
		{"nothing", "", 0},
		{"two", line("1", "") + "\n" + line("2", `,"unknown":{"x":[1]}`), 2},
		{"versions at the limit", many(resolve.MaxVersions), resolve.MaxVersions},
		{"requirements at the limit", wide(clyde.MaxRequirements), 1},
		{"line at the limit", long(resolve.MaxIndexLine), 1},
		{"size at the limit", line("1", "") + strings.Repeat("\n", resolve.MaxIndexSize-len(line("1", ""))), 1},
	} {
		cs, err := resolve.ParseIndex(name, "", []byte(tt.data))
		if err != nil || len(cs) != tt.versions {
			t.Errorf("%s: ParseIndex: %d versions, %v; want %d", tt.name, len(cs), err, tt.versions)
		}
	}
	for _, tt := range []struct{ name, data string }{
		{"another package", strings.ReplaceAll(line("1", ""), "@ex/a", "@ex/b")},
		{"not JSON", "{"},
		{"bad version", line("x", "")},
		{"no digest", `{"name":"@ex/a","version":"1"}`},
		{"bad digest", strings.Replace(line("1", ""), "sha256:", "sha256:0", 1)},
		{"bad requirement", line("1", `,"requires":{"zlib":"*"}`)},
		{"bad range", line("1", `,"requires":{"@ex/b":"^^1"}`)},
		{"too many versions", many(resolve.MaxVersions + 1)},
		{"too many requirements", wide(clyde.MaxRequirements + 1)},
		{"line too long", long(resolve.MaxIndexLine + 1)},
		{"too large", strings.Repeat("\n", resolve.MaxIndexSize+1)},
	} {
		_, err := resolve.ParseIndex(name, "", []byte(tt.data))
		if e := clyde.AsError(err); e == nil || e.Code != "index_invalid" {
			t.Errorf("%s: ParseIndex: %v; want index_invalid", tt.name, err)
		}
	}
	// What a later program wrote is there, and says that it cannot be used.
	for _, more := range []string{`,"schema":2`, `,"requires":{"@ex/b":"*"},"details":{"@ex/b":{"when":"moon=full"}}`, `,"supports":"linux |"`} {
		cs, err := resolve.ParseIndex(name, "", []byte(line("1", more)))
		if err != nil || cs[0].Unusable == "" {
			t.Errorf("%s: ParseIndex: %v; want a version that cannot be used", more, err)
		}
	}
}

// FuzzParseIndex: what parses can be written, and reads again as the same; what
// does not is refused by a *clyde.Error.
func FuzzParseIndex(f *testing.F) {
	name := mustName("@ex/a")
	f.Add([]byte(fmt.Sprintf(`{"name":"@ex/a","version":"1","digest":%q,"requires":{"@ex/b":"^1"},"details":{"@ex/b":{"when":"linux"}},"optional":["@ex/b"],"traits":[{"name":"t","type":"bool"}]}`, digestOf("1"))))
	f.Add([]byte("{}\n{"))
	f.Fuzz(func(t *testing.T, data []byte) {
		cs, err := resolve.ParseIndex(name, "", data)
		if err != nil {
			if clyde.AsError(err) == nil {
				t.Fatalf("ParseIndex: %v is not an *Error", err)
			}
			return
		}
		for i := range cs {
			if cs[i].Unusable != "" {
				continue
			}
			line, err := resolve.IndexLine(name, &cs[i])
			if err != nil {
				t.Fatal(err)
			}
			again, err := resolve.ParseIndex(name, "", line)
			if err != nil || len(again) != 1 {
				t.Fatalf("ParseIndex of IndexLine: %v\n%s", err, line)
			}
			if second, err := resolve.IndexLine(name, &again[0]); err != nil || !bytes.Equal(second, line) {
				t.Fatalf("IndexLine differs the second time: %v\n%s%s", err, line, second)
			}
		}
	})
}
