package catalog_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/content"
	"github.com/clydepm/clyde-registry/pkg/index"
	"github.com/clydepm/clyde-registry/pkg/index/memory"
	"github.com/clydepm/clyde-registry/pkg/ingest"
	"github.com/clydepm/clyde-registry/pkg/registry"
	"github.com/clydepm/clyde-registry/pkg/store"
)

var (
	admin  = account.Principal{ID: "admin", Name: "admin", Admin: true}
	nobody = account.Principal{}
	// outsider is signed in, and has nothing to do with @acme.
	outsider = account.Principal{ID: "out", Name: "out", Scopes: []account.Scope{{Pattern: "@other/*", Actions: []account.Action{account.Publish, account.Yank}}}}
)

type world struct {
	*testing.T
	*catalog.Catalog
	db  *store.DB
	reg *registry.Registry
	in  *ingest.Ingest
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	db, err := store.Open(t.Context(), store.Options{Path: filepath.Join(dir, "clyde.db")})
	if err != nil {
		t.Fatal(err)
	}
	reg, err := registry.New(t.Context(), registry.Options{
		Root: filepath.Join(dir, "registry"), Secret: []byte("secret"), DB: db, Accounts: account.New(db, nil), Admit: &ingest.Admitter{DB: db, Now: time.Now},
	})
	if err != nil {
		t.Fatal(err)
	}
	cs, err := content.Open(filepath.Join(dir, "content"))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	in := &ingest.Ingest{DB: db, Source: reg, Content: cs, Engine: memory.New(memory.Options{}), Log: log, Now: time.Now}
	t.Cleanup(func() {
		if err := errors.Join(reg.Close(), in.Engine.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return &world{T: t, db: db, reg: reg, in: in, Catalog: &catalog.Catalog{
		DB: db, Engine: in.Engine, Content: cs, Host: "localhost:8080", Log: log, Now: time.Now, Changed: in.Relatest,
	}}
}

func (w *world) publish(name, version string, more ...string) {
	w.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	tw := tar.NewWriter(z)
	for path, text := range map[string]string{"README.md": "# " + name, "src/f.c": "int f;"} {
		_ = tw.WriteHeader(&tar.Header{Name: path, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg})
		_, _ = io.WriteString(tw, text)
	}
	_, _ = tw.Close(), z.Close()
	if !slices.ContainsFunc(more, func(s string) bool { return strings.HasPrefix(s, "license:") }) {
		more = append(more, "license: MIT")
	}
	yaml := fmt.Sprintf("name: %q\nversion: %q\ndescription: What %s does.\n%s\n", name, version, name, strings.Join(more, "\n"))
	if _, _, err := w.in.Publish(w.Context(), w.reg, admin, []byte(yaml), &b, artifact.TypeSourceGzip); err != nil {
		w.Fatal(err)
	}
}

func name(s string) clyde.Name {
	n, err := clyde.ParseName(s)
	if err != nil {
		panic(err)
	}
	return n
}

func ref(s, version string) catalog.Ref { return catalog.Ref{Name: name(s), Version: version} }

// answers is everything that p is told with a package's name in the question,
// as text.
func (w *world) answers(p account.Principal, pkg string) string {
	ctx := w.Context()
	var b strings.Builder
	say := func(what string, v any, err error) {
		raw, jerr := json.Marshal(v)
		if jerr != nil {
			w.Fatal(jerr)
		}
		msg := ""
		if e := clyde.AsError(err); e != nil {
			msg = fmt.Sprint(e.Kind, e.Code, e.Msg, e.Fixes)
		} else if err != nil {
			w.Fatalf("%s: %v", what, err)
		}
		fmt.Fprintln(&b, what, string(raw), msg)
	}
	n, r := name(pkg), ref(pkg, "1.0.0")
	any1, err := clyde.ParseRange("*")
	if err != nil {
		w.Fatal(err)
	}
	v1, err := w.Package(ctx, p, n)
	say("package", v1, err)
	v2, err := w.Versions(ctx, p, n)
	say("versions", v2, err)
	v3, err := w.Release(ctx, p, r)
	say("release", v3, err)
	v4, err := w.Manifest(ctx, p, r)
	say("manifest", v4, err)
	v5, err := w.Readme(ctx, p, r)
	say("readme", v5, err)
	v6, err := w.Files(ctx, p, r)
	say("files", v6, err)
	f, v7, err := w.OpenFile(ctx, p, r, "src/f.c")
	say("file", v7, err)
	if f != nil {
		_ = f.Close()
	}
	v8, err := w.Dependencies(ctx, p, r)
	say("dependencies", v8, err)
	v9, err := w.Dependents(ctx, p, n, catalog.DependentsQuery{Limit: 10})
	say("dependents", v9, err)
	v9a, err := w.Whole(ctx, p, r)
	say("whole", v9a, err)
	v10, err := w.Signatures(ctx, p, r)
	say("signatures", v10, err)
	v11, err := w.SparseIndex(ctx, p, n)
	say("index", v11, err)
	v12, err := w.Pick(ctx, p, n, any1)
	say("pick", v12, err)
	v13, err := w.Downloads(ctx, p, n, time.Unix(0, 0), time.Now(), store.CountBy{Day: true})
	say("downloads", v13, err)
	v14, err := w.Yank(ctx, p, r, catalog.YankRequest{Yanked: true, Reason: "broken"})
	say("yank", v14, err)
	v15, err := w.Deprecate(ctx, p, n, catalog.Deprecation{Message: "gone"})
	say("deprecate", v15, err)
	v16, err := w.Candidates(ctx, p, n.Base)
	say("candidates", v16, err)
	v17, err := w.Suggest(ctx, p, n.Base)
	say("suggest", v17, err)
	for _, q := range []string{n.Base, n.Base[:len(n.Base)-1], n.Base + "x", strings.Replace(n.Base, "r", "rr", 1), n.Namespace + "/" + n.Base} {
		v, err := w.Search(ctx, p, index.Query{Text: q, Facets: true})
		say("search", v, err)
	}
	return strings.ReplaceAll(strings.ReplaceAll(b.String(), n.Base, "NAME"), strings.Replace(n.Base, "r", "rr", 1), "NAME2")
}

// general is what p is told without naming a package.
func (w *world) general(p account.Principal) string {
	ctx := w.Context()
	var b strings.Builder
	for _, sort := range index.Sorts {
		res, err := w.Search(ctx, p, index.Query{Sort: sort, Facets: true})
		if err != nil {
			w.Fatal(err)
		}
		raw, _ := json.Marshal(res)
		fmt.Fprintln(&b, sort, string(raw))
	}
	deps, err := w.Dependents(ctx, p, name("@acme/base"), catalog.DependentsQuery{Limit: 10})
	above, aerr := w.Dependents(ctx, p, name("@acme/base"), catalog.DependentsQuery{Limit: 10, Transitive: true, Range: "*"})
	base, perr := w.Package(ctx, p, name("@acme/base"))
	rec, rerr := w.Recent(ctx, p, index.SortNew, 10)
	stats, serr := w.Stats(ctx)
	cs, _, cerr := w.Changes(ctx, p, 0, 100)
	if err := errors.Join(err, aerr, perr, rerr, serr, cerr); err != nil {
		w.Fatal(err)
	}
	for i := range cs {
		cs[i].Seq = 0
	}
	for _, v := range []any{deps, above, base, rec, stats, cs} {
		raw, _ := json.Marshal(v)
		fmt.Fprintln(&b, string(raw))
	}
	return b.String()
}

// A private package and one that does not exist are the same to whoever may
// not see it: in every answer, facet and count.
func TestPrivateIsAbsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish("@acme/base", "1.0.0")
	w.publish("@acme/open", "1.0.0", `requires: {"@acme/base": "^1", "@acme/secret1": "^1"}`)
	before := map[string]string{}
	who := map[string]account.Principal{"nobody": nobody, "outsider": outsider}
	for n, p := range who {
		before[n] = w.general(p)
	}
	w.publish("@acme/secret1", "1.0.0", "registry: {access: private}", "keywords: [hidden]", "language: c", `requires: {"@acme/base": "^1"}`)
	for n, p := range who {
		if diff := cmp.Diff(before[n], w.general(p)); diff != "" {
			t.Errorf("%s notices the private package (-before +after):\n%s", n, diff)
		}
		if diff := cmp.Diff(w.answers(p, "@acme/absent9"), w.answers(p, "@acme/secret1")); diff != "" {
			t.Errorf("%s can tell private from absent (-absent +private):\n%s", n, diff)
		}
		if ds, err := w.Dependencies(t.Context(), p, ref("@acme/open", "1.0.0")); err != nil || len(ds) != 2 || !ds[0].Known || ds[1].Known {
			t.Errorf("%s: dependencies: %+v, %v", n, ds, err)
		}
	}
	member := account.Principal{ID: "m", Name: "m", Scopes: []account.Scope{{Pattern: "@acme/*", Actions: []account.Action{account.Pull}}}}
	if pkg, err := w.Package(t.Context(), member, name("@acme/secret1")); err != nil || !pkg.Private {
		t.Errorf("who may see it: %+v, %v", pkg, err)
	}
	if res, err := w.Search(t.Context(), member, index.Query{Text: "secret1"}); err != nil || res.Total != 1 {
		t.Errorf("who may see it finds %d, %v", res.Total, err)
	}
	if ds, err := w.Dependents(t.Context(), member, name("@acme/base"), catalog.DependentsQuery{Limit: 10}); err != nil || len(ds.Items) != 2 {
		t.Errorf("who may see it: dependents %+v, %v", ds, err)
	}
	// A replacement that is private is named to nobody who may not see it.
	if _, err := w.Deprecate(t.Context(), admin, name("@acme/open"), catalog.Deprecation{Message: "moved", ReplacedBy: "@acme/secret1"}); err != nil {
		t.Fatal(err)
	}
	for n, p := range who {
		pkg, err := w.Package(t.Context(), p, name("@acme/open"))
		if raw, _ := json.Marshal(pkg); err != nil || pkg.Deprecated != "moved" || pkg.ReplacedBy != "" {
			t.Errorf("%s: %s, %v", n, raw, err)
		}
	}
	if pkg, err := w.Package(t.Context(), member, name("@acme/open")); err != nil || pkg.ReplacedBy != "@acme/secret1" {
		t.Errorf("who may see it: %+v, %v", pkg, err)
	}
}

func TestDependentsPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish("@acme/base", "1.0.0")
	for i := range 9 {
		more := []string{`requires: {"@acme/base": "^1"}`}
		if i%3 == 2 {
			more = append(more, "registry: {access: private}")
		}
		w.publish(fmt.Sprintf("@acme/p%d", i), "1.0.0", more...)
	}
	for limit := 0; limit <= 8; limit++ {
		var got []string
		for cursor, pages := "", 0; ; pages++ {
			ds, err := w.Dependents(t.Context(), nobody, name("@acme/base"), catalog.DependentsQuery{After: cursor, Limit: limit})
			next := ds.Next
			if err != nil || pages > 9 {
				t.Fatalf("limit %d: %v after %d pages", limit, err, pages)
			}
			for _, d := range ds.Items {
				got = append(got, d.Name)
			}
			if cursor = next; next == "" {
				break
			}
			if next == "acme/p2" || next == "acme/p5" || next == "acme/p8" {
				t.Errorf("limit %d: the cursor names a private package: %s", limit, next)
			}
		}
		if diff := cmp.Diff([]string{"@acme/p0", "@acme/p1", "@acme/p3", "@acme/p4", "@acme/p6", "@acme/p7"}, got); diff != "" {
			t.Errorf("limit %d (-want +got):\n%s", limit, diff)
		}
	}
}

func TestYank(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	w.publish("@acme/zlib", "1.0.0")
	w.publish("@acme/zlib", "1.1.0")
	yanker := account.Principal{ID: "y", Name: "yanker", Scopes: []account.Scope{{Pattern: "@acme/zlib", Actions: []account.Action{account.Yank}}}}
	r := ref("@acme/zlib", "1.1.0")
	yes := catalog.YankRequest{Yanked: true, Reason: "security", Text: "CVE"}
	for n, tt := range map[string]struct {
		p    account.Principal
		req  catalog.YankRequest
		kind error
	}{
		"nobody":        {nobody, yes, clyde.ErrUnauthenticated},
		"outsider":      {outsider, yes, clyde.ErrDenied},
		"no reason":     {yanker, catalog.YankRequest{Yanked: true}, clyde.ErrInvalid},
		"a bad reason":  {yanker, catalog.YankRequest{Yanked: true, Reason: "dull"}, clyde.ErrInvalid},
		"a long reason": {yanker, catalog.YankRequest{Yanked: true, Reason: "other", Text: strings.Repeat("x", catalog.MaxReasonText+1)}, clyde.ErrInvalid},
	} {
		if _, err := w.Yank(ctx, tt.p, r, tt.req); !errors.Is(err, tt.kind) {
			t.Errorf("%s: %v; want %v", n, err, tt.kind)
		}
	}
	if _, err := w.Yank(ctx, yanker, ref("@acme/zlib", "9.9.9"), yes); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("a version that is none: %v", err)
	}
	for range 2 { // the second time says the same and writes nothing
		if got, err := w.Yank(ctx, yanker, r, yes); err != nil || got.Yanked == nil || got.Yanked.By != "yanker" {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	if p, err := w.Package(ctx, nobody, name("@acme/zlib")); err != nil || p.Latest != "1.0.0" {
		t.Errorf("latest %s, %v", p.Latest, err)
	}
	if got, err := w.Release(ctx, nobody, r); err != nil || got.Yanked == nil {
		t.Errorf("who names the exact version: %+v, %v", got, err)
	}
	for range 2 {
		if got, err := w.Yank(ctx, yanker, r, catalog.YankRequest{}); err != nil || got.Yanked != nil {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	if _, err := w.Deprecate(ctx, yanker, name("@acme/zlib"), catalog.Deprecation{Message: strings.Repeat("x", catalog.MaxReasonText)}); err != nil {
		t.Error(err)
	}
	for n, d := range map[string]catalog.Deprecation{
		"too long": {Message: strings.Repeat("x", catalog.MaxReasonText+1)}, "no message": {ReplacedBy: "@acme/zlib"},
		"by itself": {Message: "m", ReplacedBy: "@acme/zlib"}, "by no name": {Message: "m", ReplacedBy: "zlib"}, "by nothing": {Message: "m", ReplacedBy: "@acme/none"},
	} {
		if _, err := w.Deprecate(ctx, yanker, name("@acme/zlib"), d); err == nil {
			t.Errorf("deprecated: %s", n)
		}
	}
	if p, err := w.Deprecate(ctx, yanker, name("@acme/zlib"), catalog.Deprecation{}); err != nil || p.Deprecated != "" {
		t.Errorf("%+v, %v", p, err)
	}
	cs, _, err := w.Changes(ctx, nobody, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, c := range cs {
		types = append(types, c.Type)
	}
	want := []string{"version.published", "version.published", "version.yanked", "version.unyanked", "package.deprecated", "package.undeprecated"}
	if diff := cmp.Diff(want, types); diff != "" {
		t.Errorf("feed (-want +got):\n%s", diff)
	}
	as, err := w.db.Audit(ctx, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var acts []string
	for _, a := range as {
		if !json.Valid([]byte(a.Detail)) || a.Actor != "yanker" && a.Action != "version.published" {
			t.Errorf("audit: %+v", a)
		}
		acts = append(acts, a.Action)
	}
	if diff := cmp.Diff([]string{"package.undeprecated", "package.deprecated", "version.unyanked", "version.yanked", "version.published", "version.published"}, acts); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
}

func TestPickAndIndex(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	w.publish("@acme/base", "1.0.0")
	for _, v := range []string{"1.10.0", "1.2", "2.0.0-rc.1", "1.9.0"} {
		w.publish("@acme/zlib", v, `requires: {"@acme/base": {version: "^1", optional: true}, "@xx/y": ">=2 <3"}`)
	}
	if _, err := w.Yank(ctx, admin, ref("@acme/zlib", "1.10.0"), catalog.YankRequest{Yanked: true, Reason: "broken"}); err != nil {
		t.Fatal(err)
	}
	for rng, want := range map[string]string{"*": "1.9.0", "^1": "1.9.0", "~1.2": "1.2", "=1.10.0": "", ">=1.10": "", ">=2.0.0-rc.0": "2.0.0-rc.1", "^3": ""} {
		r, err := clyde.ParseRange(rng)
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.Pick(ctx, nobody, name("@acme/zlib"), r)
		if got.Version != want || (err == nil) != (want != "") || err != nil && !errors.Is(err, clyde.ErrNotFound) {
			t.Errorf("Pick(%s) = %q, %v; want %q", rng, got.Version, err, want)
		}
		if rng == "=1.10.0" && !strings.Contains(fmt.Sprint(err), "yanked") {
			t.Errorf("Pick(%s) does not say that it was yanked: %v", rng, err)
		}
	}
	first, err := w.SparseIndex(ctx, nobody, name("@acme/zlib"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(first)) {
		var l struct {
			Version, Yanked string
			Requires        map[string]string
			Optional        []string
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.Requires["@xx/y"] == "" || len(l.Optional) != 1 {
			t.Errorf("%s: %v", line, err)
		}
		got = append(got, strings.TrimSpace(l.Version+" "+l.Yanked))
	}
	if diff := cmp.Diff([]string{"1.2", "1.9.0", "1.10.0 broken", "2.0.0-rc.1"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := w.in.RebuildIndex(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := w.in.Reindex(ctx, w.reg); err != nil {
		t.Fatal(err)
	}
	again, err := w.SparseIndex(ctx, nobody, name("@acme/zlib"))
	if diff := cmp.Diff(string(first), string(again)); err != nil || diff != "" {
		t.Errorf("the same content has other bytes after a reindex: %v\n%s", err, diff)
	}
	// The feed tells its readers everything while the tables are being rebuilt.
	before, _, err := w.Changes(ctx, nobody, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.db.DropDerived(ctx); err != nil {
		t.Fatal(err)
	}
	if after, _, err := w.Changes(ctx, nobody, 0, 100); err != nil || len(after) != len(before) || len(after) != 6 {
		t.Errorf("%d of %d entries, %v", len(after), len(before), err)
	}
}
