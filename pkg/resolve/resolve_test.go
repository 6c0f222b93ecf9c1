package resolve_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

func versions(sol *resolve.Solution) string {
	var all []string
	for _, p := range sol.Packages {
		s := p.Name.Base + " " + p.Version.String()
		for _, k := range slices.Sorted(mapsKeys(p.TraitValues)) {
			s += " " + k + "=" + p.TraitValues[k]
		}
		all = append(all, s)
	}
	return strings.Join(all, ", ")
}

func mapsKeys(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func TestSolve(t *testing.T) {
	t.Parallel()
	lockOf := func(pairs ...string) *resolve.Lock {
		l := &resolve.Lock{Packages: map[clyde.Name]*resolve.LockedPackage{}}
		for _, p := range pairs {
			n, v, _ := strings.Cut(p, " ")
			l.Packages[mustName(n)] = &resolve.LockedPackage{Version: mustVersion(v)}
		}
		return l
	}
	a, b := mustName("@ex/a"), mustName("@ex/b")
	const chain = "project\n  @ex/a *\n@ex/a 1.0.0\n  @ex/b *\n@ex/a 1.1.0\n  @ex/b *\n@ex/b 1.0.0\n@ex/b 1.1.0\n@ex/b 2.0.0-rc.1\n"
	const yanked = "project\n  @ex/a *\n@ex/a 1.0.0\n@ex/a 1.1.0 yanked=broken\n"
	const tls = `project
  @ex/a *
@ex/a 1.0.0
  trait tls enum openssl openssl mbedtls
  trait zip bool -
  @ex/b * when=trait.tls=openssl
  @ex/c * when=trait.tls=mbedtls
  @ex/d * optional
  @ex/e * when=windows_&_trait.zip
@ex/b 1.0.0
@ex/c 1.0.0
@ex/d 1.0.0
@ex/e 1.0.0
`
	for _, tt := range []struct {
		name, lines string
		change      func(*resolve.Request)
		want        string
	}{
		{"highest", chain, nil, "a 1.1.0, b 1.1.0"},
		{"locked stays", chain, func(r *resolve.Request) { r.Lock = lockOf("@ex/a 1.0.0", "@ex/b 1.0.0") }, "a 1.0.0, b 1.0.0"},
		{"one is updated", chain, func(r *resolve.Request) {
			r.Lock, r.Update = lockOf("@ex/a 1.0.0", "@ex/b 1.0.0"), []clyde.Name{b}
		}, "a 1.0.0, b 1.1.0"},
		{"all are updated", chain, func(r *resolve.Request) { r.Lock, r.UpdateAll = lockOf("@ex/a 1.0.0", "@ex/b 1.0.0"), true }, "a 1.1.0, b 1.1.0"},
		{"locked gives way", chain, func(r *resolve.Request) {
			r.Lock, r.Root.Requires[0].Range = lockOf("@ex/a 1.0.0", "@ex/b 1.0.0"), mustRange("^1.1")
		}, "a 1.1.0, b 1.0.0"},
		{"prerelease by request", chain, func(r *resolve.Request) { r.Prereleases = []clyde.Name{b} }, "a 1.1.0, b 2.0.0-rc.1"},
		{"all prereleases", chain, func(r *resolve.Request) { r.AllPrereleases = true }, "a 1.1.0, b 2.0.0-rc.1"},
		{"override", chain, func(r *resolve.Request) { r.Overrides = map[clyde.Name]clyde.Range{b: mustRange("=1.0.0")} }, "a 1.1.0, b 1.0.0"},
		{"yanked is passed over", yanked, nil, "a 1.0.0"},
		{"yanked where locked", yanked, func(r *resolve.Request) { r.Lock = lockOf("@ex/a 1.1.0") }, "a 1.1.0"},
		{"yanked is updated away", yanked, func(r *resolve.Request) { r.Lock, r.Update = lockOf("@ex/a 1.1.0"), []clyde.Name{a} }, "a 1.0.0"},
		{"defaults", tls, nil, "a 1.0.0 d=false tls=openssl zip=false, b 1.0.0"},
		{"asked by the request", tls, func(r *resolve.Request) {
			r.Traits = map[clyde.Name]map[string]string{a: {"tls": "mbedtls", "d": "true"}}
		}, "a 1.0.0 d=true tls=mbedtls zip=false, c 1.0.0, d 1.0.0"},
		{"every platform", tls, func(r *resolve.Request) { r.Traits = map[clyde.Name]map[string]string{a: {"zip": "true"}} }, "a 1.0.0 d=false tls=openssl zip=true, b 1.0.0, e 1.0.0"},
		{"one platform", tls, func(r *resolve.Request) {
			r.Traits = map[clyde.Name]map[string]string{a: {"zip": "true"}}
			r.Platform = &resolve.Platform{OS: "linux"}
		}, "a 1.0.0 d=false tls=openssl zip=true, b 1.0.0"},
		{"traits add up", "project\n  @ex/a * x=true\n  @ex/b *\n@ex/a 1.0.0\n  trait x bool -\n  trait y bool -\n@ex/b 1.0.0\n  @ex/a * y=true\n", nil, "a 1.0.0 x=true y=true, b 1.0.0"},
		{"an older version has the trait", "project\n  @ex/a * x=true\n@ex/a 1.0.0\n  trait x bool -\n@ex/a 2.0.0\n", nil, "a 1.0.0 x=true"},
		{"an older version asks otherwise", `project
  @ex/a * tls=mbedtls
  @ex/b *
@ex/a 1.0.0
  trait tls enum openssl openssl mbedtls
@ex/b 1.0.0
@ex/b 2.0.0
  @ex/a * tls=openssl
`, nil, "a 1.0.0 tls=mbedtls, b 1.0.0"},
		{"unsupported here", "project\n  @ex/a *\n@ex/a 1.0.0\n@ex/a 2.0.0 supports=windows\n", func(r *resolve.Request) { r.Platform = &resolve.Platform{OS: "linux"} }, "a 1.0.0"},
		{"a missing package rules out who needs it", "project\n  @ex/a *\n@ex/a 1.0.0\n@ex/a 2.0.0\n  @ex/nowhere *\n", nil, "a 1.0.0"},
		{"the project itself", "project\n  @ex/a *\n@ex/a 1.0.0\n  @acme/app ^9\n", nil, "a 1.0.0"},
		{"a circle", "project\n  @ex/a *\n@ex/a 1.0.0\n  @ex/b *\n@ex/b 1.0.0\n  @ex/a *\n", nil, "a 1.0.0, b 1.0.0"},
		{"one name in two spellings", "project\n  @ex/lib.a *\n  @ex/b *\n@ex/lib.a 1.0.0\n@ex/lib.a 2.0.0\n@ex/b 1.0.0\n  @ex/lib-a ^1\n", nil, "b 1.0.0, lib.a 1.0.0"},
		{"dev and tools", "project\n  @ex/a * kind=dev_requires\n  @ex/b * kind=build_requires\n@ex/a 1.0.0\n  @ex/c * kind=dev_requires\n@ex/b 1.0.0\n", func(r *resolve.Request) { r.Dev = true }, "a 1.0.0, b 1.0.0"},
		{"neither", "project\n  @ex/a * kind=dev_requires\n  @ex/b * kind=build_requires\n", func(r *resolve.Request) { r.NoBuild = true }, ""},
	} {
		root, src := universe(t, tt.lines)
		req := resolve.Request{Name: mustName("@acme/app"), Root: root}
		if tt.change != nil {
			tt.change(&req)
		}
		sol, err := resolve.Solve(t.Context(), src, req)
		if err != nil {
			t.Errorf("%s: Solve: %v", tt.name, err)
			continue
		}
		if got := versions(sol); got != tt.want {
			t.Errorf("%s: Solve = %q; want %q", tt.name, got, tt.want)
		}
	}
}

// TestWholeProof: a request that cannot be met cannot be met either where
// requirements of packages that the explanation does not name are dropped; and
// any of the fixes makes it possible.
func TestWholeProof(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		root, src := drawUniverse(t, true)
		req := resolve.Request{Root: root}
		_, err := resolve.Solve(t.Context(), src, req)
		f, ok := resolve.IsUnsatisfiable(err)
		if !ok {
			return
		}
		if e := clyde.AsError(err); len(f.Lines) == 0 || len(e.Fixes) == 0 || strings.Contains(e.Msg, "%!") {
			t.Fatalf("%v: it says nothing, or not what to change\n%s", err, text(&root, src))
		}
		if w := brute(&root, src, func(n clyde.Name) bool { return !slices.Contains(f.Packages, n) }); w != nil {
			t.Fatalf("%v\nis no proof: without other packages it can be met\n%s", err, text(&root, src))
		}
		for _, fix := range f.Fixes {
			again := req
			again.Root.Requires = slices.Clone(req.Root.Requires)
			again.Overrides = map[clyde.Name]clyde.Range{}
			i := slices.IndexFunc(again.Root.Requires, func(q resolve.Requirement) bool { return q.Name == fix.Name })
			switch fix.Kind {
			case resolve.FixRange:
				again.Root.Requires[i].Range = fix.Range
			case resolve.FixTrait:
				again.Root.Requires[i].Traits = nil
			case resolve.FixOverride:
				again.Overrides[fix.Name] = fix.Range
			case resolve.FixRemove:
				again.Root.Requires = slices.Delete(again.Root.Requires, i, i+1)
			default:
				continue
			}
			if _, err := resolve.Solve(t.Context(), src, again); err != nil {
				t.Fatalf("%s: does not help: %v\n%s", fix.Text, err, text(&root, src))
			}
		}
	})
}

type sourceFunc func(context.Context, clyde.Name) ([]resolve.Candidate, error)

func (f sourceFunc) Versions(ctx context.Context, n clyde.Name) ([]resolve.Candidate, error) {
	return f(ctx, n)
}

func TestSolveRefuses(t *testing.T) {
	t.Parallel()
	root := resolve.Candidate{Requires: []resolve.Requirement{{Name: mustName("@ex/a"), Kind: resolve.Runtime}}}
	version := func(v string) resolve.Candidate {
		return resolve.Candidate{Version: mustVersion(v), Digest: digestOf(v)}
	}
	endless := sourceFunc(func(_ context.Context, n clyde.Name) ([]resolve.Candidate, error) {
		c := version("1")
		c.Requires = []resolve.Requirement{{Name: clyde.Name{Namespace: n.Namespace, Base: n.Base + "a"}, Kind: resolve.Runtime}}
		if len(n.Base) > 60 {
			c.Requires[0].Name = clyde.Name{Namespace: n.Namespace + "x", Base: "a"}
		}
		return []resolve.Candidate{c}, nil
	})
	down := errors.New("the registry is down")
	many := func(n int) []resolve.Candidate {
		var cs []resolve.Candidate
		for i := range n {
			cs = append(cs, version(fmt.Sprintf("1.%d", i)))
		}
		return cs
	}
	of := func(cs ...resolve.Candidate) resolve.Source {
		return sourceFunc(func(context.Context, clyde.Name) ([]resolve.Candidate, error) { return cs, nil })
	}
	lock := &resolve.Lock{Packages: map[clyde.Name]*resolve.LockedPackage{mustName("@ex/a"): {Version: mustVersion("1"), Digest: digestOf("other")}}}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name string
		ctx  context.Context //nolint:containedctx // one case has its own
		src  resolve.Source
		req  resolve.Request
		code string
		err  error
	}{
		{name: "too many packages", src: endless, code: "resolve_limit"},
		{name: "too many steps", src: of(version("1")), req: resolve.Request{MaxSteps: 1}, code: "resolve_limit"},
		{name: "too many versions", src: of(many(resolve.MaxVersions + 1)...), code: "resolve_limit"},
		{name: "a version twice", src: of(version("1"), version("1.0.0")), code: "index_invalid"},
		{name: "no version", src: of(resolve.Candidate{}), code: "index_invalid"},
		{name: "another digest than locked", src: of(version("1")), req: resolve.Request{Lock: lock}, code: "digest_changed"},
		{name: "the source fails", src: sourceFunc(func(context.Context, clyde.Name) ([]resolve.Candidate, error) { return nil, down }), err: down},
		{name: "cancelled", ctx: cancelled, src: endless, err: context.Canceled},
	} {
		ctx := tt.ctx
		if ctx == nil {
			ctx = t.Context()
		}
		tt.req.Root = root
		_, err := resolve.Solve(ctx, tt.src, tt.req)
		if e := clyde.AsError(err); tt.code != "" && (e == nil || e.Code != tt.code) || tt.err != nil && !errors.Is(err, tt.err) {
			t.Errorf("%s: Solve: %v; want %s %v", tt.name, err, tt.code, tt.err)
		}
	}
	if _, err := resolve.Solve(t.Context(), of(many(resolve.MaxVersions)...), resolve.Request{Root: root}); err != nil {
		t.Errorf("versions at the limit: %v", err)
	}
}

func TestFromManifestRefuses(t *testing.T) {
	t.Parallel()
	m, _ := clyde.ParseManifest([]byte("name: app\nrequires: {zlib: \"^1\"}\n"))
	_, err := resolve.FromManifest(m)
	if e := clyde.AsError(err); e == nil || e.Code != "name_unqualified" || len(e.Fixes) == 0 {
		t.Errorf("FromManifest: %v; want name_unqualified and a fix", err)
	}
	m, _ = clyde.ParseManifest([]byte("name: app\nrequires: {zlib: \"local:../zlib\"}\n"))
	root, err := resolve.FromManifest(m)
	if err != nil {
		t.Fatal(err)
	}
	zlib := clyde.Name{Base: "zlib"}
	src := resolve.Overlay(resolve.Memory{}, resolve.Memory{zlib: {{Local: "../zlib"}}})
	sol, err := resolve.Solve(t.Context(), src, resolve.Request{Root: root})
	if err != nil || len(sol.Packages) != 1 || sol.Packages[0].Local != "../zlib" {
		t.Fatalf("Solve with a folder: %v, %v", sol, err)
	}
	l := resolve.NewLock(sol, nil, nil)
	if again, err := resolve.ParseLock(l.Bytes()); err != nil || string(again.Bytes()) != string(l.Bytes()) {
		t.Errorf("ParseLock: %v\n%s", err, l.Bytes())
	}
}
