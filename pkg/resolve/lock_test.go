package resolve_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

const graph = `
project
  trait gui bool true
  @ex/http ^1
  @ex/ui * when=trait.gui
  @ex/winreg * when=windows
  @ex/test ^3 kind=dev_requires
  @ex/cmake >=3.20 kind=build_requires
@ex/http 1.4.0
  @ex/tls >=3_<5 backend=fast
  @ex/zlib ^1.3
@ex/http 2.0.0
@ex/tls 3.0.0
  trait backend enum safe safe fast
@ex/tls 3.5.0
  trait backend enum safe safe fast
  @ex/zlib * when=trait.backend=fast
@ex/tls 6.0.0
@ex/zlib 1.3.0 provides=z
@ex/zlib 1.3.1 provides=z
@ex/ui 2024-01-31
  @ex/zlib *
@ex/winreg 0.1
@ex/test 3.4.0
  @ex/ui *
@ex/cmake 3.31.0
`

func digestOf(s string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(s))) }

// published fills in what a registry knows of its packages.
func published(src resolve.Memory) {
	for n, cs := range src {
		for i := range cs {
			cs[i].Registry = "packages.example.org"
			cs[i].Digest = digestOf(n.String() + "@" + cs[i].Version.String())
			cs[i].Checksum = digestOf(cs[i].Digest)
			cs[i].License = "MIT"
		}
	}
}

func locked(t testing.TB) (*resolve.Lock, resolve.Request, resolve.Memory) {
	t.Helper()
	root, src := universe(t, graph)
	published(src)
	req := resolve.Request{Name: mustName("@acme/app"), Root: root, Dev: true}
	sol, err := resolve.Solve(t.Context(), src, req)
	if err != nil {
		t.Fatal(err)
	}
	l := resolve.NewLock(sol, req.Overrides, nil)
	l.Packages[mustName("@ex/zlib")].Builds = map[string]resolve.LockedBuild{
		"linux-x86_64-glibc": {ABI: strings.Repeat("0a", 8), Digest: digestOf("build")},
		"any":                {ABI: strings.Repeat("0b", 32), Digest: digestOf("other")},
	}
	l.Packages[mustName("@ex/zlib")].SignedBy = "https://github.com/ex/zlib: release.yml@v1"
	return l, req, src
}

func TestLockFile(t *testing.T) {
	t.Parallel()
	l, req, src := locked(t)
	golden(t, "clyde.lock", string(l.Bytes()))
	again, err := resolve.ParseLock(l.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.Bytes(), l.Bytes()) {
		t.Errorf("ParseLock of Bytes differs:\n%s", cmp.Diff(string(l.Bytes()), string(again.Bytes())))
	}
	// Resolving with the lock gives the lock, builds and signers included.
	req.Lock = again
	sol, err := resolve.Solve(t.Context(), src, req)
	if err != nil {
		t.Fatal(err)
	}
	if got := resolve.NewLock(sol, nil, again).Bytes(); !bytes.Equal(got, l.Bytes()) {
		t.Errorf("resolving again differs:\n%s", cmp.Diff(string(l.Bytes()), string(got)))
	}
	if err := again.Stale(req); err != nil {
		t.Errorf("Stale: %v", err)
	}
}

func TestTreeAndWhy(t *testing.T) {
	t.Parallel()
	l, _, _ := locked(t)
	linux := resolve.Want{Platform: &resolve.Platform{OS: "linux"}, NoBuild: true}
	var b strings.Builder
	b.WriteString(l.Tree(resolve.TreeOptions{Title: "everything", Want: resolve.Want{Dev: true}}))
	b.WriteString("\n" + l.Tree(resolve.TreeOptions{Title: "on linux, without tools", Want: linux, ASCII: true}))
	b.WriteString("\n" + l.Tree(resolve.TreeOptions{Title: "one level", Depth: 1}))
	b.WriteString("\nbuild order on linux:")
	for _, n := range l.Needed(linux) {
		b.WriteString(" " + n.String())
	}
	b.WriteString("\n\nwhy @ex/zlib\n")
	paths, err := l.Why(mustName("@ex/zlib"), resolve.Want{Dev: true})
	if err != nil {
		t.Fatal(err)
	}
	b.WriteString(resolve.WhyText(paths))
	golden(t, "tree.txt", b.String())
	if _, err := l.Why(mustName("@ex/winreg"), linux); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("Why of what another platform needs: %v; want ErrNotFound", err)
	}
	if _, err := l.Why(mustName("@ex/nothing"), linux); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("Why of what is not there: %v; want ErrNotFound", err)
	}
}

func TestOutdated(t *testing.T) {
	t.Parallel()
	l, _, src := locked(t)
	tls := mustName("@ex/tls")
	l.Packages[tls].Version = mustVersion("3.0.0")
	src[mustName("@ex/ui")][0].Yanked = "security"
	delete(src, mustName("@ex/winreg"))
	src[mustName("@ex/test")] = append(src[mustName("@ex/test")], resolve.Candidate{Version: mustVersion("3.5.0-rc.1")})
	all, err := l.Outdated(t.Context(), src)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, o := range all {
		if o.Behind() {
			fmt.Fprintf(&b, "%s %s fits %s newest %s yanked=%q gone=%t direct=%t held by %v\n", o.Name, o.Locked, o.Fits, o.Newest, o.Yanked, o.Gone, o.Direct, o.Holding)
		}
	}
	want := `@ex/http 1.4.0 fits 1.4.0 newest 2.0.0 yanked="" gone=false direct=true held by []
@ex/tls 3.0.0 fits 3.5.0 newest 6.0.0 yanked="" gone=false direct=false held by [@ex/http]
@ex/ui 2024-01-31 fits 2024-01-31 newest 2024-01-31 yanked="security" gone=false direct=true held by []
@ex/winreg 0.1 fits 0.1 newest 0.1 yanked="" gone=true direct=true held by []
`
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Errorf("Outdated (-want +got):\n%s", d)
	}
}

func TestStale(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*resolve.Request)
	}{
		{"added", func(r *resolve.Request) { r.Root.Requires = append(r.Root.Requires, r.Root.Requires[0]) }},
		{"removed", func(r *resolve.Request) { r.Root.Requires = r.Root.Requires[1:] }},
		{"range", func(r *resolve.Request) { r.Root.Requires[0].Range = mustRange("^2") }},
		{"trait", func(r *resolve.Request) { r.RootTraits = map[string]string{"gui": "false"} }},
		{"override", func(r *resolve.Request) {
			r.Overrides = map[clyde.Name]clyde.Range{mustName("@ex/tls"): mustRange("^6")}
		}},
	} {
		l, req, _ := locked(t)
		tt.change(&req)
		if err := l.Stale(req); err == nil || err.Code != "lock_stale" {
			t.Errorf("%s: Stale: %v; want lock_stale", tt.name, err)
		}
	}
	l, req, _ := locked(t)
	req.Dev = false // a part of what was locked is enough
	if err := l.Stale(req); err != nil {
		t.Errorf("Stale without dev_requires: %v", err)
	}
}

func TestParseLockRefuses(t *testing.T) {
	t.Parallel()
	l, _, _ := locked(t)
	good := string(l.Bytes())
	for _, tt := range []struct{ name, data, code string }{
		{"empty", "", "lock_invalid"},
		{"not yaml", "version: [", "lock_invalid"},
		{"no version", "packages: {}\n", "lock_invalid"},
		{"old version", strings.Replace(good, "version: 2", "version: 1", 1), "lock_invalid"},
		{"unknown key", good + "extra: 1\n", "lock_invalid"},
		{"unknown key of a package", strings.Replace(good, "    license:", "    licence:", 1), "lock_invalid"},
		{"twice", good + "packages: {}\n", "lock_invalid"},
		{"second document", good + "---\nversion: 2\n", "lock_invalid"},
		{"short digest", strings.Replace(good, "digest: sha256:", "digest: sha256:00", 1), "lock_invalid"},
		{"no digest", strings.Replace(good, "    digest: sha256:", "    checksum: sha256:", 1), "lock_invalid"},
		{"missing package", strings.Replace(good, `  "@ex/zlib":`+"\n    version", `  "@ex/zlob":`+"\n    version", 1), "lock_invalid"},
		{"number", strings.Replace(good, `"1.4.0"`, `1.4`, 1), "lock_invalid"},
		{"bad range", strings.Replace(good, `"^1.3"`, `"^^1.3"`, 1), "lock_invalid"},
		{"bad condition", strings.Replace(good, `"windows"`, `"windws"`, 1), "lock_invalid"},
		{"anchor", strings.Replace(good, "packages:", "packages: &a", 1), "lock_invalid"},
		{"alias", "version: 2\ntraits: &t {a: \"b\"}\nrequires: *t\n", "lock_invalid"},
		{"tag", strings.Replace(good, "packages:", "packages: !x", 1), "lock_invalid"},
		{"merge conflict", strings.Replace(good, "packages:", "<<<<<<< ours\npackages:\n=======\n>>>>>>> theirs", 1), "lock_merge_conflict"},
		{"too large", good + strings.Repeat("#", resolve.MaxLockSize), "lock_invalid"},
		{"long text", strings.Replace(good, "license: MIT", "license: "+strings.Repeat("M", resolve.MaxLockText+1), 1), "lock_invalid"},
		{"too many builds", strings.Replace(good, "    builds:\n", "    builds:\n"+manyBuilds(resolve.MaxLockBuilds), 1), "lock_invalid"},
	} {
		if tt.data == good {
			t.Errorf("%s: nothing was changed", tt.name)
		}
		_, err := resolve.ParseLock([]byte(tt.data))
		if e := clyde.AsError(err); e == nil || e.Code != tt.code || len(e.Fixes) == 0 && tt.name != "too large" {
			t.Errorf("%s: ParseLock: %v; want %s and a fix", tt.name, err, tt.code)
		}
	}
	for _, tt := range []struct{ name, data string }{
		{"text at the limit", strings.Replace(good, "license: MIT", "license: "+strings.Repeat("M", resolve.MaxLockText), 1)},
		{"builds at the limit", strings.Replace(good, "    builds:\n", "    builds:\n"+manyBuilds(resolve.MaxLockBuilds-2), 1)},
		{"size at the limit", good + strings.Repeat("#", resolve.MaxLockSize-len(good))},
	} {
		if _, err := resolve.ParseLock([]byte(tt.data)); err != nil {
			t.Errorf("%s: ParseLock: %v", tt.name, err)
		}
	}
}

func manyBuilds(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "      p%d: {abi_id: %q, digest: %q}\n", i, strings.Repeat("0a", 8), digestOf("x"))
	}
	return b.String()
}

func TestSplitConflict(t *testing.T) {
	t.Parallel()
	l, _, _ := locked(t)
	good := string(l.Bytes())
	other := strings.ReplaceAll(good, "1.3.1", "1.3.0")
	merged := ""
	for i, line := range strings.SplitAfter(good, "\n") {
		if theirs := strings.SplitAfter(other, "\n")[i]; theirs != line {
			merged += "<<<<<<< HEAD\n" + line + "||||||| base\n" + "was\n" + "=======\n" + theirs + ">>>>>>> branch\n"
		} else {
			merged += line
		}
	}
	if merged == good || !resolve.HasConflict([]byte(merged)) || resolve.HasConflict([]byte(good)) {
		t.Fatalf("HasConflict is wrong about:\n%s", merged)
	}
	ours, theirs, ok := resolve.SplitConflict([]byte(merged))
	if !ok || string(ours) != good || string(theirs) != other {
		t.Errorf("SplitConflict: %t\n%s\n%s", ok, cmp.Diff(good, string(ours)), cmp.Diff(other, string(theirs)))
	}
}

// FuzzParseLock: what parses is written and read again to the same bytes, and
// what does not is refused by a *clyde.Error.
func FuzzParseLock(f *testing.F) {
	l, _, _ := locked(f)
	f.Add(l.Bytes())
	f.Add([]byte("version: 2\npackages:\n  a: {local: ../a, traits: {x: \"\"}}\nrequires: {a: {version: \"*\", optional: true}}\n"))
	f.Add([]byte("<<<<<<< a\n=======\n>>>>>>> b\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := resolve.ParseLock(data)
		if err != nil {
			if clyde.AsError(err) == nil {
				t.Fatalf("ParseLock: %v is not an *Error", err)
			}
			return
		}
		out := l.Bytes()
		again, err := resolve.ParseLock(out)
		if err != nil {
			t.Fatalf("ParseLock of Bytes: %v\n%s", err, out)
		}
		if !bytes.Equal(again.Bytes(), out) {
			t.Fatalf("Bytes differ the second time:\n%s\n%s", out, again.Bytes())
		}
		l.Tree(resolve.TreeOptions{})
		l.Needed(resolve.Want{})
		for _, n := range l.Names() {
			_, _ = l.Why(n, resolve.Want{Dev: true})
		}
	})
}
