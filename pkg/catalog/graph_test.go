package catalog_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/resolve"
	"github.com/clydepm/clyde-registry/pkg/resolve/resolvetest"
	"github.com/clydepm/clyde-registry/pkg/store"
)

func requires(deps ...string) string {
	s := "requires: {"
	for i := 0; i < len(deps); i += 2 {
		s += fmt.Sprintf("%q: %q, ", deps[i], deps[i+1])
	}
	return s + "}"
}

func TestWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish("@acme/low", "1.0.0", "license: GPL-2.0-only")
	w.publish("@acme/low", "1.5.0", "license: GPL-2.0-only", "repository: https://github.com/acme/low", "abi: {policy: semver, soname: liblow.so.1}")
	w.publish("@acme/mid", "1.0.0", "license: Apache-2.0", requires("@acme/low", "^1"))
	w.publish("@else/low", "1.0.0", "repository: https://github.com/Acme/low.git", "abi: {policy: semver, soname: liblow.so.1}")
	w.publish("@acme/top", "1.0.0", requires("@acme/mid", "*", "@else/low", "^1"))
	w.publish("@acme/stuck", "1.0.0", requires("@acme/low", "^9"))

	got, err := w.Whole(t.Context(), nobody, catalog.Ref{Name: name("@acme/top")})
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, p := range got.Packages {
		have = append(have, p.Name+" "+p.Version+" "+p.License)
	}
	if diff := cmp.Diff([]string{"@acme/low 1.5.0 GPL-2.0-only", "@acme/mid 1.0.0 Apache-2.0", "@else/low 1.0.0 MIT"}, have); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
	if len(got.Direct) != 2 || len(got.Licenses.Conflicts) != 1 || got.Licenses.Conflicts[0].Rule != "gpl2-apache2" {
		t.Errorf("direct %+v, conflicts %+v", got.Direct, got.Licenses.Conflicts)
	}
	var total int64
	for _, p := range got.Packages {
		total += p.Size
	}
	if got.Sizes.Total != total || total == 0 || got.Sizes.Packages != 3 || got.Sizes.Depth != 2 {
		t.Errorf("sizes %+v", got.Sizes)
	}
	if len(got.Collisions) != 1 || got.Collisions[0].Kind != "soname" || len(got.Collisions[0].Packages) != 2 {
		t.Errorf("collisions %+v", got.Collisions)
	}
	if len(got.Duplicates) != 1 || got.Duplicates[0].Packages != [2]string{"@acme/low", "@else/low"} {
		t.Errorf("duplicates %+v", got.Duplicates)
	}
	_, err = w.Whole(t.Context(), nobody, catalog.Ref{Name: name("@acme/stuck")})
	if _, ok := resolve.IsUnsatisfiable(err); !ok {
		t.Errorf("what cannot be had: %v", err)
	}
	// A yanked version is looked at all the same.
	if _, err := w.Yank(t.Context(), admin, catalog.Ref{Name: name("@acme/top"), Version: "1.0.0"}, catalog.YankRequest{Yanked: true, Reason: "broken"}); err != nil {
		t.Fatal(err)
	}
	if got, err := w.Whole(t.Context(), nobody, catalog.Ref{Name: name("@acme/top"), Version: "1.0.0"}); err != nil || len(got.Packages) != 3 {
		t.Errorf("of a yanked version: %+v, %v", got.Packages, err)
	}
}

// TestWholeMeasured: what was measured of builds collides, without a word of it
// in package.yaml; and not where a package may not be seen.
func TestWholeMeasured(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish("@aa/zlib", "1.0.0")
	w.publish("@bb/inflate", "1.0.0")
	w.publish("@bb/shared", "1.0.0", requires("@aa/zlib", "*"))
	w.publish("@cc/app", "1.0.0", requires("@aa/zlib", "*", "@bb/inflate", "*", "@bb/shared", "*"))
	links := func(repo string, shared bool, sonames, symbols []string) {
		t.Helper()
		err := w.db.SaveBuildLinks(t.Context(), store.BuildLinks{Repo: repo, Digest: "sha256:" + repo, VersionKey: "1.0.0", Shared: shared, SONames: sonames, Symbols: symbols})
		if err != nil {
			t.Fatal(err)
		}
	}
	links("aa/zlib", false, []string{"libz.so.1"}, []string{"crc32", "inflate"})
	links("bb/inflate", false, []string{"libz.so.1"}, []string{"inflate", "main"})
	links("bb/shared", true, nil, []string{"crc32", "zip_open"}) // crc32 is zlib's
	got, err := w.Whole(t.Context(), nobody, catalog.Ref{Name: name("@cc/app")})
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, c := range got.Collisions {
		have = append(have, fmt.Sprintf("%s %s %v", c.Kind, c.Value, c.Packages))
	}
	if diff := cmp.Diff([]string{"soname libz.so.1 [@aa/zlib @bb/inflate]", "symbol inflate [@aa/zlib @bb/inflate]"}, have); diff != "" {
		t.Errorf("collisions (-want +got):\n%s", diff)
	}
	// The same of a project that nobody published, where it is asked for.
	q := resolve.Query{Requires: map[string]resolve.Need{"@aa/zlib": {}, "@bb/inflate": {}}}
	if got, err := w.Resolve(t.Context(), nobody, q); err != nil || got.Collisions != nil {
		t.Errorf("collisions that were not asked for: %+v, %v", got.Collisions, err)
	}
	q.Collisions = true
	if got, err := w.Resolve(t.Context(), nobody, q); err != nil || len(got.Collisions) != 2 || got.Collisions[1].Value != "inflate" {
		t.Errorf("collisions of a project: %+v, %v", got.Collisions, err)
	}
	if _, err := w.SetAccess(t.Context(), admin, name("@bb/inflate"), true); err != nil {
		t.Fatal(err)
	}
	if got, err := w.Resolve(t.Context(), nobody, q); err == nil {
		t.Errorf("collisions with a private package are shown to nobody: %+v", got.Collisions)
	}
	if got, err := w.Whole(t.Context(), nobody, catalog.Ref{Name: name("@cc/app")}); err == nil {
		t.Errorf("a graph with a private package is shown to nobody: %+v", got.Collisions)
	}
}

// What p may not see hides what depends on others through it, too.
func TestDependentsByWayOfOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish("@acme/base", "1.0.0")
	w.publish("@acme/base", "2.0.0")
	w.publish("@acme/one", "1.0.0", requires("@acme/base", "^1"))
	w.publish("@acme/two", "1.0.0", requires("@acme/base", "^2"))
	w.publish("@acme/both", "1.0.0", requires("@acme/base", "*", "@acme/one", "^1"))
	w.publish("@acme/over-one", "1.0.0", requires("@acme/one", "*"))
	w.publish("@acme/old-one", "1.0.0", requires("@acme/one", "<1"))
	w.publish("@acme/hidden", "1.0.0", requires("@acme/base", "*"), "registry: {access: private}")
	w.publish("@acme/over-hidden", "1.0.0", requires("@acme/hidden", "*"))
	member := account.Principal{ID: "m", Name: "m", Scopes: []account.Scope{{Pattern: "@acme/*", Actions: []account.Action{account.Pull}}}}

	for _, tt := range []struct {
		who  account.Principal
		q    catalog.DependentsQuery
		want []string
	}{
		{nobody, catalog.DependentsQuery{}, []string{"both", "one", "two"}},
		{nobody, catalog.DependentsQuery{Version: "1.0.0"}, []string{"both", "one"}},
		{nobody, catalog.DependentsQuery{Version: "2.0.0"}, []string{"both", "two"}},
		{nobody, catalog.DependentsQuery{Version: "3"}, []string{"both"}},
		{nobody, catalog.DependentsQuery{Range: "^2"}, []string{"both", "two"}},
		{nobody, catalog.DependentsQuery{Range: ">=9"}, nil},
		{nobody, catalog.DependentsQuery{Transitive: true}, []string{"both", "one", "over-one@one", "two"}},
		{nobody, catalog.DependentsQuery{Transitive: true, Version: "2.0.0"}, []string{"both", "two"}},
		{nobody, catalog.DependentsQuery{Transitive: true, Range: "^1"}, []string{"both", "one", "over-one@one"}},
		{member, catalog.DependentsQuery{Transitive: true, Version: "2.0.0"}, []string{"both", "hidden", "over-hidden@hidden", "two"}},
	} {
		for limit := 1; limit < 6; limit++ {
			var got []string
			for q := tt.q; ; {
				q.Limit = limit
				page, err := w.Dependents(t.Context(), tt.who, name("@acme/base"), q)
				if err != nil || page.Truncated || len(page.Items) > limit {
					t.Fatalf("%+v: %+v, %v", q, page, err)
				}
				for _, d := range page.Items {
					s := d.Name[len("@acme/"):]
					if d.Via != "" {
						s += "@" + d.Via[len("@acme/"):]
					}
					got = append(got, s)
				}
				if q.After = page.Next; q.After == "" {
					break
				}
				if tt.who.ID == "" && q.After == "acme/hidden" {
					t.Errorf("%+v: the cursor names a private package", q)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%s %+v, %d at a time: %q; want %q", tt.who.Name, tt.q, limit, got, tt.want)
			}
		}
	}
	for _, q := range []catalog.DependentsQuery{{Version: "1", Range: "1"}, {Version: "?"}, {Range: "?"}} {
		if _, err := w.Dependents(t.Context(), nobody, name("@acme/base"), q); !errors.Is(err, clyde.ErrInvalid) {
			t.Errorf("%+v: %v; want ErrInvalid", q, err)
		}
	}
}

// TestWholeReal: everything that any port of vcpkg needs, and whom a change of
// zlib reaches.
func TestWholeReal(t *testing.T) {
	t.Parallel()
	src, _ := resolvetest.Ports(t)
	for n, cs := range src { // their newest versions: the graph, without its history
		src[n] = cs[:1]
	}
	w := newWorld(t)
	seed(t, w.db, src)
	var largest int
	var slowest time.Duration
	names := slices.SortedFunc(maps.Keys(src), func(a, b clyde.Name) int { return strings.Compare(a.String(), b.String()) })
	for i, n := range names {
		if i%10 > 0 {
			continue
		}
		began := time.Now()
		got, err := w.Whole(t.Context(), nobody, catalog.Ref{Name: n})
		if err != nil {
			if _, ok := resolve.IsUnsatisfiable(err); ok {
				continue
			}
			t.Fatalf("%s: %v", n, err)
		}
		largest, slowest = max(largest, len(got.Packages)), max(slowest, time.Since(began))
		if got.Sizes.Packages != len(got.Packages) || len(got.Licenses.Packages) != len(got.Packages) || len(got.Licenses.Conflicts) > 0 {
			t.Errorf("%s: %d packages, sizes of %d, conflicts %v", n, len(got.Packages), got.Sizes.Packages, got.Licenses.Conflicts)
		}
	}
	zlib := names[slices.IndexFunc(names, func(n clyde.Name) bool { return n.Base == "zlib" })]
	began := time.Now()
	direct, err1 := w.Dependents(t.Context(), nobody, zlib, catalog.DependentsQuery{Limit: 10_000})
	all, err2 := w.Dependents(t.Context(), nobody, zlib, catalog.DependentsQuery{Limit: 10_000, Transitive: true})
	if err1 != nil || err2 != nil || len(all.Items) <= len(direct.Items) || all.Truncated {
		t.Errorf("dependents of %s: %d direct, %d in all, %v, %v", zlib, len(direct.Items), len(all.Items), err1, err2)
	}
	t.Logf("largest %d packages, slowest %s; %d dependents of zlib, %d in all, %s", largest, slowest, len(direct.Items), len(all.Items), time.Since(began))
}
