package indextest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/index"
)

// conformance is what every engine must do, one promise of index.Engine each.
var conformance = []struct {
	name  string
	check func(*testing.T, index.Engine)
}{
	{"visible_at_once", visibleAtOnce},
	{"empty_text_finds_all", emptyText},
	{"bad_queries", badQueries},
	{"bad_documents", badDocuments},
	{"filters", filters},
	{"facets", facets},
	{"builds", builds},
	{"sorts", sorts},
	{"paging", paging},
	{"paging_under_writes", pagingUnderWrites},
	{"private", private},
	{"private_changes_nothing", privateChangesNothing},
	{"highlights", highlights},
	{"headers", headers},
	{"suggest", suggest},
	{"did_you_mean", didYouMean},
	{"rebuild", rebuild},
	{"rebuild_keeps_changes", rebuildKeepsChanges},
	{"closed", closedEngine},
	{"canceled", canceled},
}

// day returns the n-th day of 2026.
func day(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }

// doc returns a small document.
func doc(key, description string, change ...func(*index.Document)) index.Document {
	ns, base, _ := strings.Cut(key, "/")
	d := index.Document{
		Key: key, Name: clyde.Name{Namespace: ns, Base: base}, Version: "1.0.0", Description: description,
		License: "MIT", Language: "c", Kind: "library", Signed: "unsigned", Platforms: []string{"linux"},
		Updated: day(1), Created: day(1),
	}
	for _, f := range change {
		f(&d)
	}
	return d
}

func put(t *testing.T, e index.Engine, docs ...index.Document) {
	t.Helper()
	if err := e.Put(t.Context(), docs...); err != nil {
		t.Fatalf("Put: %v", err)
	}
}

func find(t *testing.T, e index.Engine, q index.Query) index.Result {
	t.Helper()
	r, err := e.Search(t.Context(), q)
	if err != nil {
		t.Fatalf("Search(%+v): %v", q, err)
	}
	return r
}

func keys(hits []index.Hit) []string {
	out := []string{}
	for _, h := range hits {
		out = append(out, h.Key)
	}
	return out
}

// wantKeys fails the test unless q finds want, in this order.
func wantKeys(t *testing.T, e index.Engine, q index.Query, want ...string) {
	t.Helper()
	if got := keys(find(t, e, q).Hits); !slices.Equal(got, want) {
		t.Errorf("Search(%q, %+v, %s) = %v; want %v", q.Text, q.Filters, q.Sort, got, want)
	}
}

func visibleAtOnce(t *testing.T, e index.Engine) {
	for i := range 50 {
		key := fmt.Sprintf("acme/lib%02d", i)
		put(t, e, doc(key, "aardvark husbandry"))
		if got := keys(find(t, e, index.Query{Text: key}).Hits); len(got) == 0 || got[0] != key {
			t.Fatalf("Search(%q) after Put = %v; want it first", key, got)
		}
	}
	put(t, e, doc("acme/lib07", "zebra keeping"))
	wantKeys(t, e, index.Query{Text: "zebra"}, "acme/lib07")
	if got := find(t, e, index.Query{Text: "aardvark"}).Total; got != 49 {
		t.Errorf("after one of 50 was replaced, %d match its old text; want 49", got)
	}
	if err := e.Delete(t.Context(), "acme/lib07", "acme/never-was"); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	wantKeys(t, e, index.Query{Text: "zebra"})
	if e.Len() != 49 {
		t.Errorf("Len() = %d; want 49", e.Len())
	}
	put(t, e, doc("acme/again", "zebra again"))
	wantKeys(t, e, index.Query{Text: "zebra"}, "acme/again")
}

func emptyText(t *testing.T, e index.Engine) {
	wantKeys(t, e, index.Query{})
	put(t, e, doc("a/two", ""), doc("a/one", "", func(d *index.Document) { d.Dependents = 5 }), doc("a/three", ""))
	for _, text := range []string{"", "   ", "\t\n"} {
		wantKeys(t, e, index.Query{Text: text}, "a/one", "a/three", "a/two")
	}
	wantKeys(t, e, index.Query{Text: "!?*"}) // a text without words finds nothing
}

func badQueries(t *testing.T, e index.Engine) {
	put(t, e, doc("acme/zlib", "compression"))
	long := strings.Repeat("x", index.MaxQueryLen)
	if _, err := e.Search(t.Context(), index.Query{Text: long, Limit: index.MaxLimit}); err != nil {
		t.Errorf("a query at the limits: %v", err)
	}
	for name, q := range map[string]index.Query{
		"text":   {Text: long + "x"},
		"utf8":   {Text: "\xff"},
		"limit":  {Limit: index.MaxLimit + 1},
		"minus":  {Limit: -1},
		"sort":   {Sort: "stars"},
		"cursor": {Cursor: "AAAA"},
		"base64": {Cursor: "%%%"},
		"long":   {Cursor: strings.Repeat("A", index.MaxCursorLen+1)},
		"values": {Filters: index.Filters{License: make([]string, index.MaxFilterValues+1)}},
		"value":  {Filters: index.Filters{Keyword: []string{strings.Repeat("k", index.MaxFilterLen+1)}}},
	} {
		if _, err := e.Search(t.Context(), q); !errors.Is(err, clyde.ErrInvalid) {
			t.Errorf("%s: error %v; want ErrInvalid", name, err)
		}
	}
	many := strings.Repeat("ab ", index.MaxWords) + "zlib compression"
	words := make([]string, index.MaxWords+1)
	for i := range words {
		words[i] = fmt.Sprintf("w%d", i)
	}
	if r := find(t, e, index.Query{Text: strings.Join(words, " ")}); !r.Truncated {
		t.Errorf("%d words: not marked as truncated", len(words))
	}
	find(t, e, index.Query{Text: many})
}

func badDocuments(t *testing.T, e index.Engine) {
	if err := e.Put(t.Context(), doc("a/good", ""), index.Document{}); !errors.Is(err, clyde.ErrInvalid) {
		t.Errorf("Put without a key: %v; want ErrInvalid", err)
	}
	if e.Len() != 0 {
		t.Errorf("a refused Put left %d documents; want none", e.Len())
	}
	huge := strings.Repeat("é ", 1<<20)
	put(t, e, doc("a/huge", huge, func(d *index.Document) {
		d.Readme = huge
		d.Keywords = strings.Fields(huge[:4000])
		d.Headers = slices.Repeat([]string{huge}, 3)
		d.Dependents, d.Downloads = -5, -5
	}), doc("a/broken", "\xff\xfe broken utf8", func(d *index.Document) { d.Keywords = []string{"\xff", ""} }))
	wantKeys(t, e, index.Query{Text: "broken"}, "a/broken")
	if got := len(find(t, e, index.Query{Text: "é"}).Hits); got != 1 {
		t.Errorf("a document over every limit is found %d times; want once", got)
	}
}

func filters(t *testing.T, e index.Engine) {
	put(t, e,
		doc("acme/one", "json", func(d *index.Document) { d.License, d.LicenseGroup = "MIT", "permissive" }),
		doc("acme/two", "json", func(d *index.Document) {
			d.License, d.Language, d.Kind = "Apache-2.0 OR MIT", "cpp", "header-only"
			d.Platforms, d.Signed = []string{"linux", "windows"}, "verified"
			d.Dependencies = []string{"acme/one"}
		}),
		doc("beta/three", "json", func(d *index.Document) {
			d.License, d.Language = "GPL-2.0-only", "cpp"
			d.Keywords, d.Categories = []string{"Parser"}, []string{"data"}
			d.Headers = []string{"three/core.h"}
		}),
	)
	for _, tt := range []struct {
		f    index.Filters
		want []string
	}{
		{index.Filters{}, []string{"acme/one", "acme/two", "beta/three"}},
		{index.Filters{Namespace: []string{"@Beta"}}, []string{"beta/three"}},
		{index.Filters{License: []string{"mit"}}, []string{"acme/one", "acme/two"}},
		{index.Filters{License: []string{"apache-2.0 or mit"}}, []string{"acme/two"}},
		{index.Filters{License: []string{"permissive"}}, []string{"acme/one"}},
		{index.Filters{License: []string{"OR"}}, nil},
		{index.Filters{Language: []string{"C++"}}, []string{"acme/two", "beta/three"}},
		{index.Filters{Language: []string{"c", "cpp"}}, []string{"acme/one", "acme/two", "beta/three"}},
		{index.Filters{Language: []string{"cpp"}, License: []string{"MIT"}}, []string{"acme/two"}},
		{index.Filters{Platform: []string{"windows"}}, []string{"acme/two"}},
		{index.Filters{Kind: []string{"header-only"}}, []string{"acme/two"}},
		{index.Filters{Signed: []string{"verified"}}, []string{"acme/two"}},
		{index.Filters{Keyword: []string{"PARSER"}}, []string{"beta/three"}},
		{index.Filters{Category: []string{"data"}}, []string{"beta/three"}},
		{index.Filters{DependsOn: []string{"@acme/one"}}, []string{"acme/two"}},
		{index.Filters{DependsOn: []string{"one"}}, []string{"acme/two"}},
		{index.Filters{Header: []string{"core.h"}}, []string{"beta/three"}},
		{index.Filters{Header: []string{"ore.h"}}, nil},
		{index.Filters{Keyword: []string{"nobody"}}, nil},
		{index.Filters{Keyword: []string{""}}, nil},
	} {
		for _, text := range []string{"", "json"} {
			got := keys(find(t, e, index.Query{Text: text, Filters: tt.f}).Hits)
			slices.Sort(got)
			if !slices.Equal(got, tt.want) {
				t.Errorf("Search(%q, %+v) = %v; want %v", text, tt.f, got, tt.want)
			}
		}
	}
}

// counts returns a facet as a map.
func counts(r index.Result, name string) map[string]int {
	out := map[string]int{}
	for _, f := range r.Facets {
		if f.Name == name {
			for _, v := range f.Values {
				out[v.Value] = v.Count
			}
		}
	}
	return out
}

func facets(t *testing.T, e index.Engine) {
	put(t, e,
		doc("a/one", "json"),
		doc("a/two", "json", func(d *index.Document) { d.License = "Zlib" }),
		doc("a/three", "json", func(d *index.Document) { d.License, d.Language = "Zlib", "cpp" }),
		doc("a/four", "yaml", func(d *index.Document) { d.Keywords = []string{"k1", "k2", "k1"} }),
	)
	if r := find(t, e, index.Query{Text: "json"}); r.Facets != nil {
		t.Errorf("facets that nobody asked for: %v", r.Facets)
	}
	for _, tt := range []struct {
		q     index.Query
		facet string
		want  map[string]int
	}{
		{index.Query{Text: "json"}, index.FacetLicense, map[string]int{"MIT": 1, "Zlib": 2}},
		{index.Query{Text: "json"}, index.FacetLanguage, map[string]int{"c": 2, "cpp": 1}},
		{index.Query{}, index.FacetKeyword, map[string]int{"k1": 1, "k2": 1}},
		{index.Query{}, index.FacetNamespace, map[string]int{"a": 4}},
		// A filter narrows the other facets and leaves its own.
		{index.Query{Text: "json", Filters: index.Filters{Language: []string{"cpp"}}}, index.FacetLicense, map[string]int{"Zlib": 1}},
		{index.Query{Text: "json", Filters: index.Filters{Language: []string{"cpp"}}}, index.FacetLanguage, map[string]int{"c": 2, "cpp": 1}},
	} {
		tt.q.Facets = true
		if got := counts(find(t, e, tt.q), tt.facet); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("Search(%q, %+v): facet %s = %v; want %v", tt.q.Text, tt.q.Filters, tt.facet, got, tt.want)
		}
	}
	for i := range 2 * index.MaxFacetValues {
		put(t, e, doc(fmt.Sprintf("n%03d/pkg", i), "many"))
	}
	last := fmt.Sprintf("n%03d", 2*index.MaxFacetValues-1)
	r := find(t, e, index.Query{Text: "many", Facets: true, Filters: index.Filters{Namespace: []string{last}}})
	if got := counts(r, index.FacetNamespace); len(got) != index.MaxFacetValues+1 || got[last] != 1 {
		t.Errorf("a facet of many values has %d, the chosen one %d; want %d and 1", len(got), got[last], index.MaxFacetValues+1)
	}
}

func sorts(t *testing.T, e index.Engine) {
	put(t, e,
		doc("b/alpha", "json", func(d *index.Document) { d.Downloads, d.Updated, d.Created = 5, day(3), day(1) }),
		doc("a/beta", "json", func(d *index.Document) { d.Downloads, d.Updated, d.Created = 9, day(2), day(2) }),
		doc("a/alpha", "json", func(d *index.Document) { d.Downloads, d.Updated, d.Created = 5, day(1), day(3) }),
	)
	for _, text := range []string{"", "json"} {
		wantKeys(t, e, index.Query{Text: text, Sort: index.SortDownloads}, "a/beta", "a/alpha", "b/alpha")
		wantKeys(t, e, index.Query{Text: text, Sort: index.SortUpdated}, "b/alpha", "a/beta", "a/alpha")
		wantKeys(t, e, index.Query{Text: text, Sort: index.SortNew}, "a/alpha", "a/beta", "b/alpha")
		wantKeys(t, e, index.Query{Text: text, Sort: index.SortName}, "a/alpha", "b/alpha", "a/beta")
	}
	// By relevance, pulls weigh; however many, less than what is built on a package.
	put(t, e,
		doc("c/pulled", "toml", func(d *index.Document) { d.Downloads = 5000 }),
		doc("c/fresh", "toml"),
		doc("c/needed", "toml", func(d *index.Document) { d.Dependents = 60 }),
		doc("c/farmed", "toml", func(d *index.Document) { d.Downloads = 1 << 40 }),
	)
	got := keys(find(t, e, index.Query{Text: "toml"}).Hits)
	if len(got) != 4 || got[0] != "c/needed" || got[3] != "c/fresh" {
		t.Errorf("by relevance: %v; want c/needed first, c/fresh last", got)
	}
}

// pages reads every page of q, calling between before each but the first.
func pages(t *testing.T, e index.Engine, q index.Query, between func()) []string {
	t.Helper()
	var out []string
	for range 1000 {
		r := find(t, e, q)
		out = append(out, keys(r.Hits)...)
		if r.NextCursor == "" {
			return out
		}
		q.Cursor = r.NextCursor
		between()
	}
	t.Fatal("1,000 pages and no end")
	return nil
}

func paging(t *testing.T, e index.Engine) {
	const n = 57
	for i := range n {
		put(t, e, doc(fmt.Sprintf("ns%d/pkg%02d", i%3, i), "json parser", func(d *index.Document) {
			d.Dependents, d.Downloads, d.Updated, d.Created = i%7, int64(i%5), day(1+i%4), day(1+i%6)
		}))
	}
	for _, sort := range index.Sorts {
		for _, text := range []string{"", "json"} {
			q := index.Query{Text: text, Sort: sort, Limit: n}
			want := keys(find(t, e, q).Hits)
			if len(want) != n {
				t.Fatalf("%s %q: %d hits on one page; want %d", sort, text, len(want), n)
			}
			q.Limit = 10
			if got := pages(t, e, q, func() {}); !slices.Equal(got, want) {
				t.Errorf("%s %q: pages of 10 differ from one page:\n%v\n%v", sort, text, got, want)
			}
		}
	}
	c := find(t, e, index.Query{Text: "json", Limit: 1}).NextCursor
	if _, err := e.Search(t.Context(), index.Query{Text: "parser", Limit: 1, Cursor: c}); !errors.Is(err, clyde.ErrInvalid) {
		t.Errorf("the cursor of another query: %v; want ErrInvalid", err)
	}
}

func pagingUnderWrites(t *testing.T, e index.Engine) {
	for i := range 40 {
		put(t, e, doc(fmt.Sprintf("a/p%02d", i), "", func(d *index.Document) { d.Created = day(100 - i) }))
	}
	i := 0
	got := pages(t, e, index.Query{Sort: index.SortNew, Limit: 7}, func() {
		// New ones come before the page in hand, and one of the past goes.
		put(t, e, doc(fmt.Sprintf("a/new%d", i), "", func(d *index.Document) { d.Created = day(200 + i) }))
		if err := e.Delete(t.Context(), fmt.Sprintf("a/p%02d", i)); err != nil {
			t.Fatal(err)
		}
		i++
	})
	if len(got) != 40 || len(slices.Compact(slices.Sorted(slices.Values(got)))) != 40 {
		t.Errorf("pages under writes: %d hits %v; want every document of the start once", len(got), got)
	}
}

func highlights(t *testing.T, e index.Engine) {
	put(t, e, doc("acme/rapid-json", "A Schnelle <b>JSON</b> & XML Größe parser, jsonish", func(d *index.Document) {
		d.Keywords = []string{"json", "sax"}
	}))
	for _, tt := range []struct {
		text, field string
		want        []string
	}{
		{"json", index.FieldDescription, []string{"JSON", "json"}},
		{"JSON parsing", index.FieldDescription, []string{"JSON", "parser", "json"}},
		{"größe", index.FieldDescription, []string{"Größe"}},
		{"json", index.FieldName, []string{"json"}},
		{"sax", index.FieldKeywords, []string{"sax"}},
	} {
		r := find(t, e, index.Query{Text: tt.text})
		if len(r.Hits) != 1 {
			t.Errorf("Search(%q): %d hits; want 1", tt.text, len(r.Hits))
			continue
		}
		h := r.Hits[0].Highlights[tt.field]
		var got []string
		at := 0
		for _, s := range h.Spans {
			if s.Start < at || s.End <= s.Start || s.End > len(h.Text) || !utf8.ValidString(h.Text[s.Start:s.End]) {
				t.Fatalf("Search(%q): spans %v of %q are out of order, empty, or split a rune", tt.text, h.Spans, h.Text)
			}
			at = s.End
			got = append(got, h.Text[s.Start:s.End])
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("Search(%q): marked in %s: %q; want %q", tt.text, tt.field, got, tt.want)
		}
	}
}

func headers(t *testing.T, e index.Engine) {
	put(t, e,
		doc("madler/zlib", "", func(d *index.Document) { d.Headers = []string{"zlib.h", "zconf.h"} }),
		doc("big/engine", "", func(d *index.Document) {
			d.Headers, d.Dependents = []string{"engine/third_party/zlib/zlib.h", "engine/engine.h"}, 400
		}),
		doc("fmtlib/fmt", "", func(d *index.Document) { d.Headers = []string{"fmt/core.h"} }),
		doc("eigen/eigen", "", func(d *index.Document) { d.Headers = []string{"Eigen/Dense"} }),
		doc("acme/dumps", "prints core files, as fmt does"),
	)
	wantKeys(t, e, index.Query{Text: "fmt/core.h"}, "fmtlib/fmt") // whoever asks for a path that is there means no other
	for _, text := range []string{"zlib.h", "<zlib.h>", `"zlib.h"`, "#include <zlib.h>", "# include \"zlib.h\"", "ZLIB.H"} {
		wantKeys(t, e, index.Query{Text: text}, "madler/zlib", "big/engine")
	}
	for text, want := range map[string]string{
		"fmt/core.h": "fmtlib/fmt", "core.h": "fmtlib/fmt", "Eigen/Dense": "eigen/eigen", "<eigen/dense>": "eigen/eigen",
		`fmt\core.h`: "fmtlib/fmt",
	} {
		if got := keys(find(t, e, index.Query{Text: text}).Hits); len(got) == 0 || got[0] != want {
			t.Errorf("Search(%q) = %v; want %s first", text, got, want)
		}
	}
	h := find(t, e, index.Query{Text: "core.h"}).Hits[0].Highlights[index.FieldHeader]
	if h.Text != "fmt/core.h" || len(h.Spans) != 1 || h.Text[h.Spans[0].Start:h.Spans[0].End] != "core.h" {
		t.Errorf("highlight of a header = %+v; want core.h in fmt/core.h", h)
	}
}

func suggest(t *testing.T, e index.Engine) {
	put(t, e,
		doc("acme/spdlog", "", func(d *index.Document) { d.Dependents = 40 }),
		doc("acme/spdlog-extras", ""),
		doc("acme/zlib", "spd in the text only"),
		doc("acme/secret-spd", "", func(d *index.Document) { d.Private = true }),
		doc("acme/spd-secret", "", func(d *index.Document) { d.Private = true }),
	)
	for _, tt := range []struct {
		text    string
		visible func(string) bool
		want    []string
	}{
		{"spd", nil, []string{"acme/spdlog", "acme/spdlog-extras"}},
		{"SPD_LOG", nil, []string{"acme/spdlog", "acme/spdlog-extras"}},
		{"spdlgo", nil, []string{"acme/spdlog"}},
		{"", nil, nil},
		{"spd-s", nil, nil},
		{"spd-s", func(string) bool { return true }, []string{"acme/spd-secret"}},
	} {
		hits, err := e.Suggest(t.Context(), tt.text, 0, tt.visible)
		if got := keys(hits); err != nil || !slices.Equal(got, tt.want) && len(got)+len(tt.want) > 0 {
			t.Errorf("Suggest(%q) = %v, %v; want %v", tt.text, got, err, tt.want)
		}
	}
	if hits, err := e.Suggest(t.Context(), "spd", 1, nil); err != nil || len(hits) != 1 {
		t.Errorf("Suggest with limit 1: %d hits, %v", len(hits), err)
	}
	if _, err := e.Suggest(t.Context(), strings.Repeat("x", index.MaxQueryLen+1), 0, nil); !errors.Is(err, clyde.ErrInvalid) {
		t.Errorf("Suggest with a long text: %v; want ErrInvalid", err)
	}
}

func didYouMean(t *testing.T, e index.Engine) {
	put(t, e, doc("acme/rapidjson", "json parser"), doc("acme/hidden-protobuf", "protobuf", func(d *index.Document) { d.Private = true }))
	for text, want := range map[string]string{"rapdijson": "rapidjson", "rapidjson": "", "jsson parsr": "json parser", "protobof": "", "json": ""} {
		if got := find(t, e, index.Query{Text: text}).DidYouMean; got != want {
			t.Errorf("Search(%q).DidYouMean = %q; want %q", text, got, want)
		}
	}
}

func rebuild(t *testing.T, e index.Engine) {
	put(t, e, doc("a/old", "json"))
	broken := errors.New("database is gone")
	err := e.Rebuild(t.Context(), func(yield func(index.Document, error) bool) {
		_ = yield(doc("a/new", "json"), nil) && yield(index.Document{}, broken)
	})
	if !errors.Is(err, broken) {
		t.Errorf("Rebuild from a broken source: %v; want %v", err, broken)
	}
	wantKeys(t, e, index.Query{Text: "json"}, "a/old")
	if err := e.Rebuild(t.Context(), all(doc("a/new", "json"), doc("a/new", "json again"))); err != nil {
		t.Fatalf("Rebuild: %v", err)
	}
	wantKeys(t, e, index.Query{Text: "json"}, "a/new")
	if e.Len() != 1 {
		t.Errorf("Len() = %d after a rebuild with one key; want 1", e.Len())
	}
}

func all(docs ...index.Document) iter.Seq2[index.Document, error] {
	return func(yield func(index.Document, error) bool) {
		for _, d := range docs {
			if !yield(d, nil) {
				return
			}
		}
	}
}

// rebuildKeepsChanges changes and reads the index in the middle of a rebuild.
func rebuildKeepsChanges(t *testing.T, e index.Engine) {
	put(t, e, doc("a/kept", "json"), doc("a/gone", "json"))
	err := e.Rebuild(t.Context(), func(yield func(index.Document, error) bool) {
		if !yield(doc("a/kept", "json"), nil) || !yield(doc("a/gone", "json"), nil) || !yield(doc("a/changed", "json"), nil) {
			return
		}
		put(t, e, doc("a/added", "json"), doc("a/changed", "yaml"))
		if err := e.Delete(t.Context(), "a/gone"); err != nil {
			t.Error(err)
		}
		wantKeys(t, e, index.Query{Text: "json"}, "a/added", "a/kept")
	})
	if err != nil {
		t.Fatalf("Rebuild: %v", err)
	}
	wantKeys(t, e, index.Query{Text: "json"}, "a/added", "a/kept")
	wantKeys(t, e, index.Query{Text: "yaml"}, "a/changed")
}

func closedEngine(t *testing.T, e index.Engine) {
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Search(t.Context(), index.Query{}); err == nil {
		t.Error("Search after Close: no error")
	}
	if err := e.Put(t.Context(), doc("a/b", "")); err == nil {
		t.Error("Put after Close: no error")
	}
}

func canceled(t *testing.T, e index.Engine) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Search(ctx, index.Query{Text: "x"}); !errors.Is(err, context.Canceled) {
		t.Errorf("Search of a canceled context: %v", err)
	}
	if err := e.Put(ctx, doc("a/b", "")); !errors.Is(err, context.Canceled) || e.Len() != 0 {
		t.Errorf("Put of a canceled context: %v, %d documents", err, e.Len())
	}
}
