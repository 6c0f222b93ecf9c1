package catalog_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/resolve"
	"github.com/clydepm/clyde-registry/pkg/resolve/resolvetest"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// seed stores packages as Apply would, without their files.
func seed(t testing.TB, db *store.DB, src resolve.Memory) {
	t.Helper()
	for name, cs := range src {
		latest := slices.MaxFunc(cs, func(a, b resolve.Candidate) int { return clyde.Compare(a.Version, b.Version) }).Version.String()
		for _, c := range cs {
			v := clyde.ManifestView{Name: name.String(), Version: c.Version.String(), License: "MIT"}
			var reqs []store.Requirement
			for _, q := range c.Requires {
				r := clyde.RequirementView{Name: q.Name.String(), Range: q.Range.String(), Traits: q.Traits, When: q.When.String(), Optional: q.Optional, Visibility: "public"}
				reqs = append(reqs, store.Requirement{
					Repo: name.Repo(), VersionKey: c.Version.Canonical(), Version: v.Version, Kind: string(q.Kind), Target: q.Name.Repo(),
					Range: r.Range, Optional: r.Optional, Latest: v.Version == latest,
				})
				if q.Kind == resolve.Build {
					v.BuildRequires = append(v.BuildRequires, r)
				} else {
					v.Requires = append(v.Requires, r)
				}
			}
			for _, tr := range c.Traits {
				v.Traits = append(v.Traits, clyde.TraitView(tr))
			}
			manifest, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256([]byte(name.String() + c.Version.String()))
			digest := "sha256:" + hex.EncodeToString(sum[:])
			err = db.SaveRelease(t.Context(), store.Package{Repo: name.Repo(), Latest: latest, Versions: len(cs), Signed: "unsigned"}, store.Release{
				Repo: name.Repo(), VersionKey: c.Version.Canonical(), Version: c.Version.String(), Digest: digest, Source: digest, SourceSize: 1,
				Signed: "unsigned", State: "visible", Manifest: manifest,
			}, reqs, store.Change{})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// asQuery sends req through its form on the wire.
func asQuery(t testing.TB, req resolve.Request) resolve.Query {
	t.Helper()
	b, err := json.Marshal(req.Query())
	if err != nil {
		t.Fatal(err)
	}
	var q resolve.Query
	if err := json.Unmarshal(b, &q); err != nil {
		t.Fatal(err)
	}
	return q
}

// indexes is what a client reads: the sparse index, file by file.
type indexes struct{ w *world }

func (s indexes) Versions(ctx context.Context, n clyde.Name) ([]resolve.Candidate, error) {
	b, err := s.w.SparseIndex(ctx, nobody, n)
	if err != nil {
		return nil, err
	}
	return resolve.ParseIndex(n, s.w.Host, b)
}

// TestResolveAlike: the server chooses what a client chooses from the index, and
// fails with the same proof.
func TestResolveAlike(t *testing.T) {
	t.Parallel()
	for n := range uint64(4) {
		w := newWorld(t)
		root, src := resolvetest.Layered(n, 15)
		seed(t, w.db, src)
		if n%2 == 1 { // impossible
			q := root.Requires[0]
			for _, c := range src[name("@bench/p014")] {
				q.Name, q.Range = name("@bench/p014"), mustRange(t, "<"+c.Version.String())
			}
			root.Requires = append(root.Requires, q)
			q.Range = mustRange(t, ">=4")
			q.Kind = resolve.Build
			root.Requires = append(root.Requires, q)
		}
		req := resolve.Request{Name: name("@acme/app"), Root: root}
		here, err1 := resolve.Solve(t.Context(), indexes{w}, req)
		answer, err2 := w.Resolve(t.Context(), nobody, asQuery(t, req))
		if (err1 == nil) != (err2 == nil) {
			t.Fatalf("%d: client %v, server %v", n, err1, err2)
		}
		if err1 != nil {
			f1, _ := resolve.IsUnsatisfiable(err1)
			f2, _ := resolve.IsUnsatisfiable(err2)
			if f1 == nil || f2 == nil || !slices.Equal(f1.Lines, f2.Lines) || !slices.Equal(clyde.AsError(err1).Fixes, clyde.AsError(err2).Fixes) {
				t.Errorf("%d: client %v\nserver %v", n, err1, err2)
			}
			continue
		}
		there, err := answer.Solution(req.Name)
		if err != nil {
			t.Fatal(err)
		}
		l1, l2 := resolve.NewLock(here, nil, nil), resolve.NewLock(there, nil, nil)
		if string(l1.Bytes()) != string(l2.Bytes()) {
			t.Errorf("%d: client\n%s\nserver\n%s", n, l1.Bytes(), l2.Bytes())
		}
	}
}

func mustRange(t testing.TB, s string) clyde.Range {
	t.Helper()
	r, err := clyde.ParseRange(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (w *world) resolved(q resolve.Query) string {
	w.Helper()
	a, err := w.Resolve(w.Context(), nobody, q)
	if err != nil {
		return clyde.AsError(err).Msg
	}
	var all []string
	for _, p := range a.Packages {
		all = append(all, p.Name+" "+p.Version)
	}
	return strings.Join(all, ", ")
}

// TestResolveSees: what is written about a package counts at once, and what may
// not be seen or had is not chosen.
func TestResolveSees(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	want := func(q resolve.Query, text string) {
		t.Helper()
		if got := w.resolved(q); !strings.Contains(got, text) {
			t.Errorf("resolved to %q; want %q", got, text)
		}
	}
	q := resolve.Query{Requires: map[string]resolve.Need{"@acme/lib": {}}}
	want(q, "was not found")
	w.publish("@acme/lib", "1.0.0")
	want(q, "@acme/lib 1.0.0")
	w.publish("@acme/lib", "1.1.0")
	want(q, "@acme/lib 1.1.0")
	if _, err := w.Yank(ctx, admin, ref("@acme/lib", "1.1.0"), catalog.YankRequest{Yanked: true, Reason: "broken"}); err != nil {
		t.Fatal(err)
	}
	want(q, "@acme/lib 1.0.0")
	locked := q
	locked.Lock = map[string]resolve.Pin{"@acme/lib": {Version: "1.1.0"}}
	want(locked, "@acme/lib 1.1.0")
	locked.UpdateAll = true
	want(locked, "@acme/lib 1.0.0")
	if err := w.db.SetModeration(ctx, store.Moderation{Repo: "acme/lib", VersionKey: version(t, "1.0.0").Canonical(), State: store.ModerationQuarantined, Reason: "it is being looked at"}, store.Change{}, store.AuditEntry{}); err != nil {
		t.Fatal(err)
	}
	want(q, "quarantined")
	if err := w.db.ClearModeration(ctx, "acme/lib", version(t, "1.0.0").Canonical(), store.Change{}, store.AuditEntry{}); err != nil {
		t.Fatal(err)
	}
	want(q, "@acme/lib 1.0.0")
	if _, err := w.SetAccess(ctx, admin, name("@acme/lib"), true); err != nil {
		t.Fatal(err)
	}
	private := w.resolved(q)
	absent := w.resolved(resolve.Query{Requires: map[string]resolve.Need{"@acme/bil": {}}})
	if private != strings.ReplaceAll(absent, "bil", "lib") {
		t.Errorf("private: %q\nabsent: %q", private, absent)
	}
	if a, err := w.Resolve(ctx, admin, q); err != nil || len(a.Packages) != 1 {
		t.Errorf("for the administrator: %v, %v", a, err)
	}
}

func version(t testing.TB, s string) clyde.Version {
	t.Helper()
	v, err := clyde.ParseVersion(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestResolveEnds: what takes too long ends, in words.
func TestResolveEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Resolve(ctx, nobody, resolve.Query{Requires: map[string]resolve.Need{"@acme/lib": {}}}); !errors.Is(err, context.Canceled) {
		t.Errorf("a request that ended: %v", err)
	}
	ctx, cancel = context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	if _, err := w.Resolve(ctx, nobody, resolve.Query{Requires: map[string]resolve.Need{"@acme/lib": {}}}); clyde.AsError(err) == nil || clyde.AsError(err).Code != "resolve_timeout" {
		t.Errorf("a request without time: %v", err)
	}
}

// TestResolveReal: every port of vcpkg resolves on the server.
func TestResolveReal(t *testing.T) {
	t.Parallel()
	src, edges := resolvetest.Ports(t)
	for n, cs := range src { // their newest versions: the graph, without its history
		src[n] = cs[:1]
	}
	w := newWorld(t)
	seed(t, w.db, src)
	var times []time.Duration
	for n := range src {
		q := resolve.Query{Requires: map[string]resolve.Need{n.String(): {}}}
		began := time.Now()
		a, err := w.Resolve(t.Context(), nobody, q)
		times = append(times, time.Since(began))
		if err != nil {
			t.Errorf("%s: %v", n, err)
		} else if _, err := a.Solution(clyde.Name{}); err != nil {
			t.Errorf("%s: %v", n, err)
		}
	}
	slices.Sort(times)
	t.Logf("%d packages with %d edges: p50 %v, p99 %v, worst %v", len(src), edges, times[len(times)/2], times[len(times)*99/100], times[len(times)-1])
}

// BenchmarkResolve200 reports the 99th percentile of answering, as JSON, for
// graphs of 200 packages with twenty versions each: the target is 20 ms.
func BenchmarkResolve200(b *testing.B) {
	w := newBenchWorld(b)
	var queries []resolve.Query
	for s := range uint64(4) {
		root, src := resolvetest.Layered(s, 200)
		of := func(n clyde.Name) clyde.Name { return clyde.Name{Namespace: fmt.Sprintf("bench%d", s), Base: n.Base} }
		mine := resolve.Memory{}
		for n, cs := range src {
			for i := range cs {
				for j := range cs[i].Requires {
					cs[i].Requires[j].Name = of(cs[i].Requires[j].Name)
				}
			}
			mine[of(n)] = cs
		}
		for j := range root.Requires {
			root.Requires[j].Name = of(root.Requires[j].Name)
		}
		seed(b, w.DB, mine)
		queries = append(queries, asQuery(b, resolve.Request{Root: root}))
	}
	var times []time.Duration
	packages, i := 0, 0
	began := time.Now()
	for _, q := range queries { // cold
		if _, err := w.Resolve(b.Context(), nobody, q); err != nil {
			b.Fatal(err)
		}
	}
	cold := time.Since(began) / time.Duration(len(queries))
	for b.Loop() {
		began := time.Now()
		a, err := w.Resolve(b.Context(), nobody, queries[i%len(queries)])
		if err != nil {
			b.Fatal(err)
		}
		if _, err := json.Marshal(a); err != nil {
			b.Fatal(err)
		}
		times = append(times, time.Since(began))
		packages = max(packages, len(a.Packages))
		i++
	}
	slices.Sort(times)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(ms(cold), "cold-ms")
	b.ReportMetric(ms(times[len(times)/2]), "p50-ms")
	b.ReportMetric(ms(times[len(times)*99/100]), "p99-ms")
	b.ReportMetric(float64(packages), "packages")
}

func newBenchWorld(b *testing.B) *catalog.Catalog {
	b.Helper()
	db, err := store.Open(b.Context(), store.Options{Path: b.TempDir() + "/clyde.db"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	return &catalog.Catalog{DB: db, Host: "localhost:8080", Now: time.Now}
}
