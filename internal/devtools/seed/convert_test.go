package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func TestVersion(t *testing.T) {
	t.Parallel()
	c := newConverter(nil)
	for _, tt := range []struct{ in, version, upstream string }{
		{"1.2.3", "1.2.3", ""},
		{"26.02", "26.02", ""},
		{"1.1.1w", "1.1.1w", ""},
		{"2024-01-31", "2024-01-31", ""},
		{"3.0.0-1", "3.0.0-1", ""},
		{"v1.0.0-beta.3", "1.0.0-beta.3", "v1.0.0-beta.3"},
		{"1.2.3+4", "1.2.3", "1.2.3+4"},
		{"cci.20210621", "2021-06-21", "cci.20210621"},
		{"gamma-2018-01-27", "2018-01-27", "gamma-2018-01-27"},
		{"cci.20219921", "0.0.2", "cci.20219921"}, // no date
		{"Qt5", "0.0.2", "Qt5"},
		{"deprecated", "0.0.2", "deprecated"},
	} {
		v, up := c.version(clyde.Name{}, record{Version: tt.in, Versions: []string{"a", tt.in}})
		if v != tt.version || up != tt.upstream {
			t.Errorf("version(%q) = %q, %q; want %q, %q", tt.in, v, up, tt.version, tt.upstream)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	c := newConverter([]record{
		{Name: "zlib"}, {Name: "my-lib", Scope: "x"}, {Name: "my_lib", Scope: "x"}, {Name: "con", Scope: "kuba--"},
		{Name: "C++ Lib", Scope: "Lely_Industries"}, {Name: "a", Scope: strings.Repeat("n", 60), Aliases: []string{"b", "zlib"}},
	})
	got := map[string]string{}
	for k, n := range c.names {
		got[k] = n.String()
	}
	want := map[string]string{
		"zlib": "@pkgs/zlib", "my-lib": "@x-org/my-lib", "my_lib": "@x-org/my_lib-2", "con": "@kuba/libcon",
		"C++ Lib": "@lely-industries/c-lib", "a": "@" + strings.Repeat("n", 39) + "/a", "b": "@" + strings.Repeat("n", 39) + "/a",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("names (-want +got):\n%s", d)
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	c := newConverter(nil)
	n := clyde.Name{Namespace: "pkgs", Base: "x"}
	in := []string{"C++", "c#", "Linear Algebra", "unit_test", "graphics,opengl", "#ifdef", "h.265", "compile-time-regular-expressions", "c++", "日本"}
	if got, want := c.keywords(n, in), []string{"c++", "c#", "linear-algebra", "unit-test", "graphics", "opengl", "ifdef", "h-265"}; !slices.Equal(got, want) {
		t.Errorf("keywords(%q) = %q; want %q", in, got, want)
	}
	if got := c.license(n, "MIT OR Apache-2.0"); got != "MIT OR Apache-2.0" {
		t.Errorf("license changed an SPDX expression to %q", got)
	}
	if got, want := c.license(n, "see: the file"), "LicenseRef-see-the-file"; got != want {
		t.Errorf("license = %q; want %q", got, want)
	}
	long := c.description(n, strings.Repeat("word ", 80)+"\nend")
	if k := len([]rune(long)); k > maxDescription || !strings.HasSuffix(long, "word…") {
		t.Errorf("description has %d characters and ends with %q", k, long[len(long)-10:])
	}
	if got := c.description(n, "fits"); got != "fits" {
		t.Errorf("description = %q", got)
	}
	var kinds []string
	for _, ch := range c.changes {
		kinds = append(kinds, ch.Kind)
	}
	if want := []string{"keywords", "license", "description"}; !slices.Equal(kinds, want) {
		t.Errorf("changes of kinds %q were noted; want %q", kinds, want)
	}
}

// dataFiles returns our own small file and, where it is at hand, a large one of
// real metadata that is not part of the project.
func dataFiles(t *testing.T) []string {
	t.Helper()
	files := []string{filepath.FromSlash("../../../examples/packages.jsonl")}
	shared := os.Getenv("CLYDE_SHARED")
	if shared == "" {
		shared = filepath.FromSlash("../../../../shared")
	}
	large := filepath.Join(shared, "data", "packages.jsonl")
	if _, err := os.Stat(large); err != nil {
		t.Logf("without %s: set CLYDE_SHARED to try the large file too", large)
		return files
	}
	return append(files, large)
}

// Every record of every file becomes a release that can be published, and the
// same bytes each time.
func TestConvertFiles(t *testing.T) {
	t.Parallel()
	for _, file := range dataFiles(t) {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		records, err := readRecords(f)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		once, again := newConverter(records), newConverter(records)
		seen := map[string]bool{}
		for i, r := range records {
			a, err := once.release(r)
			if err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			if i%100 == 0 {
				if b, err := again.release(r); err != nil || string(a.Archive) != string(b.Archive) {
					t.Errorf("%s: %s: two runs differ, %v", file, a.Name, err)
				}
			}
			if seen[a.Name.Identity()] {
				t.Errorf("%s: %s comes twice", file, a.Name)
			}
			seen[a.Name.Identity()] = true
		}
		t.Logf("%s: %d packages, %d changes", file, len(records), len(once.changes))
	}
}
