package indextest

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/index"
)

// builds: documents are found, and counted, by what they have builds for and by
// whether one of those fits. What is put again without builds has none.
func builds(t *testing.T, e index.Engine) {
	built := func(profiles []string, platforms ...string) func(*index.Document) {
		return func(d *index.Document) {
			d.Builds, d.Profiles = append([]string{index.Built}, platforms...), profiles
		}
	}
	many := make([]string, index.MaxProfiles+1)
	for i := range many {
		many[i] = strings.Repeat("p", i+1)
	}
	put(t, e,
		doc("a/headers", "json", built([]string{"any"}, "any")),
		doc("a/linux", "json", built([]string{"glibc 2.17", "glibc 2.38"}, "linux", "linux-x86_64")),
		doc("a/mac", "json", built([]string{"darwin"}, "macos", "macos-arm64")),
		doc("a/many", "yaml", built(many, "linux", "linux-arm64")),
		doc("a/none", "json"),
	)
	old := func(profile string) bool { return profile == "any" || profile == "glibc 2.17" }
	for _, tt := range []struct {
		q    index.Query
		want []string
	}{
		{index.Query{Filters: index.Filters{Build: []string{index.Built}}}, []string{"a/headers", "a/linux", "a/mac", "a/many"}},
		{index.Query{Filters: index.Filters{Build: []string{"Linux"}}}, []string{"a/linux", "a/many"}},
		{index.Query{Filters: index.Filters{Build: []string{"linux-x86_64", "any"}}}, []string{"a/headers", "a/linux"}},
		{index.Query{Filters: index.Filters{Build: []string{"windows"}}}, []string{}},
		{index.Query{Fits: old, FitsKey: "old"}, []string{"a/headers", "a/linux"}},
		{index.Query{Text: "json", Fits: old, FitsKey: "old", Filters: index.Filters{Build: []string{"linux"}}}, []string{"a/linux"}},
		{index.Query{Fits: func(p string) bool { return p == many[index.MaxProfiles-1] }, FitsKey: "last"}, []string{"a/many"}},
		{index.Query{Fits: func(string) bool { return false }, FitsKey: "none"}, []string{}},
	} {
		if got := slices.Sorted(slices.Values(keys(find(t, e, tt.q).Hits))); !slices.Equal(got, tt.want) && len(got)+len(tt.want) > 0 {
			t.Errorf("Search(%q, %v, %s) = %v; want %v", tt.q.Text, tt.q.Filters.Build, tt.q.FitsKey, got, tt.want)
		}
	}
	count := func(q index.Query, want map[string]int) {
		t.Helper()
		q.Text, q.Facets = "json", true
		if got := counts(find(t, e, q), index.FacetBuild); !reflect.DeepEqual(got, want) {
			t.Errorf("facet build with %v, %s: %v; want %v", q.Filters, q.FitsKey, got, want)
		}
	}
	all := map[string]int{index.Built: 3, "any": 1, "linux": 1, "linux-x86_64": 1, "macos": 1, "macos-arm64": 1}
	count(index.Query{}, all)
	count(index.Query{Filters: index.Filters{Build: []string{"macos"}}}, all)
	count(index.Query{Fits: old, FitsKey: "old"}, map[string]int{index.Built: 2, "any": 1, "linux": 1, "linux-x86_64": 1})

	// A cursor belongs to one machine's query.
	q := index.Query{Fits: old, FitsKey: "old", Limit: 1}
	q.Cursor = find(t, e, q).NextCursor
	if got := keys(find(t, e, q).Hits); len(got) != 1 {
		t.Errorf("the second page has %v; want one", got)
	}
	q.FitsKey = "new"
	if _, err := e.Search(t.Context(), q); err == nil {
		t.Error("the cursor of another machine's query was taken")
	}

	put(t, e, doc("a/linux", "json"), doc("a/none", "json", func(d *index.Document) {
		d.Private = true
		built([]string{"secret"}, "solaris")(d)
	}))
	count(index.Query{}, map[string]int{index.Built: 2, "any": 1, "macos": 1, "macos-arm64": 1})
	wantKeys(t, e, index.Query{Filters: index.Filters{Build: []string{"solaris"}}})
	wantKeys(t, e, index.Query{Fits: func(string) bool { return true }, Filters: index.Filters{Build: []string{"linux-x86_64"}}})
}
