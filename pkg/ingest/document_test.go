package ingest_test

import (
	"slices"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/compat"
	"github.com/clydepm/clyde-registry/pkg/index"
	"github.com/clydepm/clyde-registry/pkg/ingest"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// The search engine knows what the latest version has builds for: after one that
// came late, after a newer version without any, after a withdrawal, after a
// rebuild of the index; of a private package nobody learns it.
func TestSearchKnowsBuilds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	ctx := t.Context()
	facet := func(when string, visible bool, want ...string) {
		t.Helper()
		q := index.Query{Facets: true}
		if visible {
			q.Visible = func(string) bool { return true }
		}
		r, err := w.in.Engine.Search(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		var have []string
		for _, f := range r.Facets {
			for _, v := range f.Values {
				if f.Name == index.FacetBuild && v.Count == 1 {
					have = append(have, v.Value)
				}
			}
		}
		if slices.Sort(have); !slices.Equal(have, want) {
			t.Errorf("%s: has a build for %v; want %v", when, have, want)
		}
	}
	linux := []string{"linux", "linux-x86_64", index.Built}
	w.publish("@acme/zlib", "1.2")
	facet("at first", false)
	if _, err := w.attach(admin, "acme/zlib", "1.2", "*", w.facts("acme/zlib", "1.2"), tree(t, "lib/libz.a", static(x86))); err != nil {
		t.Fatal(err)
	}
	w.drain()
	facet("after a late build", false, linux...)
	host := compat.Host{OS: "linux", Arch: "x86_64", Libc: compat.HostLibc{Family: "glibc", Version: "2.36"}}
	for version, want := range map[string]int{"2.36": 1, "2.17": 1, "2.5": 0} {
		host.Libc.Version = version
		r, err := w.in.Engine.Search(ctx, index.Query{Fits: host.Suits, FitsKey: version})
		if err != nil || r.Total != want {
			t.Errorf("glibc %s: %d packages with a build that fits, %v; want %d", version, r.Total, err, want)
		}
	}
	if err := w.in.RebuildIndex(ctx); err != nil {
		t.Fatal(err)
	}
	facet("after a rebuild", false, linux...)

	w.publish("@acme/zlib", "1.3")
	facet("after a newer version", false)
	if err := w.db.SetYank(ctx, "acme/zlib", "1.3.0", &store.Yank{Reason: "broken", By: "admin"}, store.Change{}, store.AuditEntry{Action: "version.yank", Resource: "@acme/zlib"}); err != nil {
		t.Fatal(err)
	}
	if err := w.in.Relatest(ctx, "acme/zlib"); err != nil {
		t.Fatal(err)
	}
	facet("after the newer one was yanked", false, linux...)

	if err := w.db.SaveSetting(ctx, store.Setting{Repo: "acme/zlib", Private: true}, store.Change{}, store.AuditEntry{Action: "package.access", Resource: "@acme/zlib"}); err != nil {
		t.Fatal(err)
	}
	if err := w.in.Relatest(ctx, "acme/zlib"); err != nil {
		t.Fatal(err)
	}
	facet("of a private package", false)
	facet("of a private package, to whom may see it", true, linux...)
}
