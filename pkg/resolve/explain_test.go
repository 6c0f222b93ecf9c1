package resolve_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

var update = flag.Bool("update", false, "rewrite golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got); go test ./pkg/resolve -update to accept:\n%s", file, d)
	}
}

// universe reads packages from lines: "@ex/a 1.0.0 yanked=why provides=z
// supports=windows", each followed by indented lines "@ex/b ^1 key=value …" for
// requirements, "trait NAME TYPE DEFAULT VALUES…" or "conflict NAME RANGE". A
// range's spaces are written as underscores.
func universe(t testing.TB, lines string) (root resolve.Candidate, src resolve.Memory) {
	t.Helper()
	src = resolve.Memory{}
	cur := &root
	for line := range strings.Lines(lines) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "project" {
			continue
		}
		unspace := func(s string) string { return strings.ReplaceAll(s, "_", " ") }
		switch {
		case words[0] == "trait":
			tr := clyde.Trait{Name: words[1], Type: words[2], Values: words[4:]}
			if words[3] != "-" {
				tr.Default = words[3]
			}
			cur.Traits = append(cur.Traits, tr)
		case words[0] == "conflict":
			cur.Conflicts = append(cur.Conflicts, resolve.Requirement{Name: mustName(words[1]), Range: mustRange(unspace(words[2]))})
		case line[0] != ' ' && line[0] != '\t':
			name := mustName(words[0])
			c := resolve.Candidate{Version: mustVersion(words[1])}
			for _, w := range words[2:] {
				k, v, _ := strings.Cut(w, "=")
				switch k {
				case "yanked":
					c.Yanked = v
				case "provides":
					c.Provides = append(c.Provides, v)
				case "supports":
					c.Supports = unspace(v)
				case "digest":
					c.Digest = v
				}
			}
			src[name] = append(src[name], c)
			cur = &src[name][len(src[name])-1]
		default:
			q := resolve.Requirement{Name: mustName(words[0]), Range: mustRange(unspace(words[1])), Kind: resolve.Runtime}
			for _, w := range words[2:] {
				k, v, _ := strings.Cut(w, "=")
				switch k {
				case "when":
					q.When = mustCondition(unspace(v))
				case "optional":
					q.Optional = true
				case "kind":
					q.Kind = resolve.Kind(v)
				default:
					if q.Traits == nil {
						q.Traits = map[string]string{}
					}
					q.Traits[strings.TrimPrefix(k, "with:")] = v
				}
			}
			cur.Requires = append(cur.Requires, q)
		}
	}
	return root, src
}

// stories are graphs that cannot be resolved, and why.
var stories = []struct {
	name, lines string
	platform    *resolve.Platform
}{
	{name: "shared dependency", lines: `
project
  @ui/menu ^1
  @ui/icons ^1.0.0
@ui/menu 1.0.0
  @ui/dropdown ^2
@ui/menu 1.5.0
  @ui/dropdown ^2
@ui/dropdown 1.8.0
@ui/dropdown 2.0.0
  @ui/icons ^2
@ui/dropdown 2.3.0
  @ui/icons ^2
@ui/icons 1.0.0
@ui/icons 2.0.0
`},
	{name: "no such package", lines: `
project
  @ex/a ^1
@ex/a 1.0.0
  @ex/zilb *
`},
	{name: "no such version", lines: `
project
  @ex/a ^3
@ex/a 1.0.0
@ex/a 2.4.1
`},
	{name: "yanked", lines: `
project
  @ex/a ^3
@ex/a 2.4.1
@ex/a 3.0.0 yanked=security
`},
	{name: "prerelease", lines: `
project
  @ex/a ^3
@ex/a 2.4.1
@ex/a 3.0.0-rc.1
`},
	{name: "traits", lines: `
project
  @ex/a *
  @ex/b * shared=true
@ex/a 1.0.0
  @ex/b * shared=false
@ex/b 1.0.0
  trait shared bool false
`},
	{name: "unknown trait", lines: `
project
  @ex/b * tls=gnutls
@ex/b 1.0.0
@ex/b 1.1.0
  trait tls enum openssl openssl mbedtls
`},
	{name: "conditional", lines: `
project
  @ex/curl ^8
  @ex/openssl ^1
@ex/curl 8.0.0
  trait tls enum openssl openssl mbedtls
  @ex/openssl ^3 when=trait.tls=openssl
  @ex/mbedtls ^3 when=trait.tls=mbedtls
@ex/openssl 1.1.1
@ex/openssl 3.2.0
@ex/mbedtls 3.0.0
`},
	{name: "link name", lines: `
project
  @ex/zlib *
  @ex/png *
@ex/zlib 1.3.0 provides=z
@ex/zlib-ng 2.1.0 provides=z
@ex/png 1.6.0
  @ex/zlib-ng ^2
`},
	{name: "conflict", lines: `
project
  @ex/boring *
  @ex/openssl *
@ex/boring 1.0.0
  conflict @ex/openssl <4
@ex/openssl 1.1.1
@ex/openssl 3.2.0
`},
	{name: "platform", platform: &resolve.Platform{OS: "windows", Arch: "x86_64"}, lines: `
project
  @ex/epoll *
@ex/epoll 1.0.0 supports=linux
@ex/epoll 1.1.0 supports=linux_|_freebsd
`},
	{name: "two branches", lines: `
project
  @ex/foo ^1
@ex/foo 1.0.0
  @ex/a ^1
  @ex/b ^1
@ex/foo 1.1.0
  @ex/c ^1
  @ex/d ^1
@ex/a 1.0.0
  @ex/b ^2
@ex/b 1.0.0
@ex/b 2.0.0
@ex/c 1.0.0
  @ex/d ^2
@ex/d 1.0.0
@ex/d 2.0.0
`},
}

func TestExplain(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for _, st := range stories {
		root, src := universe(t, st.lines)
		_, err := resolve.Solve(t.Context(), src, resolve.Request{Name: mustName("@acme/app"), Root: root, Platform: st.platform})
		e := clyde.AsError(err)
		if e == nil || e.Code != "unsatisfiable" {
			t.Errorf("%s: Solve: %v; want unsatisfiable", st.name, err)
			continue
		}
		all.WriteString("# " + st.name + "\n" + e.Msg + "\n")
		for _, f := range e.Fixes {
			all.WriteString("try: " + f + "\n")
		}
		all.WriteString("\n")
		if len(e.Fixes) == 0 {
			t.Errorf("%s: nothing says what to change", st.name)
		}
	}
	golden(t, "explain.txt", all.String())
}
