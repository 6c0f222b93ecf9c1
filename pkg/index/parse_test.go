package index_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/index"
)

func TestParseText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in      string
		text    string
		filters index.Filters
		sort    index.Sort
		wantErr error
	}{
		{in: "json  parser", text: "json parser"},
		{in: "json license:MIT lang:cpp", text: "json", filters: index.Filters{License: []string{"MIT"}, Language: []string{"cpp"}}},
		{in: `license:"Apache-2.0 OR MIT" x`, text: "x", filters: index.Filters{License: []string{"Apache-2.0 OR MIT"}}},
		{in: "kind:tool,plugin", filters: index.Filters{Kind: []string{"tool", "plugin"}}},
		{in: "is:signed depends:@acme/zlib", filters: index.Filters{Signed: []string{"verified"}, DependsOn: []string{"@acme/zlib"}}},
		{in: "header:fmt/core.h NS:acme", filters: index.Filters{Header: []string{"fmt/core.h"}, Namespace: []string{"acme"}}},
		{in: "sort:downloads http", text: "http", sort: index.SortDownloads},
		{in: "std::vector foo:bar lang:", text: "std::vector foo:bar lang:"},
		{in: `say "hi there`, text: `say "hi there`},
		{in: "is:bogus", wantErr: clyde.ErrInvalid},
		{in: "sort:stars", wantErr: clyde.ErrInvalid},
		{in: strings.Repeat("x", index.MaxQueryLen), text: strings.Repeat("x", index.MaxQueryLen)},
		{in: strings.Repeat("x", index.MaxQueryLen+1), wantErr: clyde.ErrInvalid},
	} {
		t.Run(tt.in, func(t *testing.T) {
			t.Parallel()
			q, err := index.ParseText(tt.in)
			if !errors.Is(err, tt.wantErr) {
				t.Fatalf("ParseText(%q): error %v; want %v", tt.in, err, tt.wantErr)
			}
			if err != nil {
				return
			}
			if tt.sort == "" {
				tt.sort = index.SortRelevance
			}
			if q.Text != tt.text || q.Sort != tt.sort || !reflect.DeepEqual(q.Filters, tt.filters) {
				t.Errorf("ParseText(%q) = %+v; want text %q, %+v, %s", tt.in, q, tt.text, tt.filters, tt.sort)
			}
		})
	}
}

// FuzzParseText states that whatever is accepted is a query that Check accepts,
// and whatever is refused is refused as ErrInvalid.
func FuzzParseText(f *testing.F) {
	for _, s := range []string{"json", "license:mit", `a:"b c" "`, "is:signed", "kind:,,,", "::", "sort:\xff", "lang:\"\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q, err := index.ParseText(s)
		if err != nil {
			if !errors.Is(err, clyde.ErrInvalid) {
				t.Fatalf("ParseText(%q): error is not ErrInvalid: %v", s, err)
			}
			return
		}
		if _, err := q.Check(); err != nil {
			t.Errorf("ParseText(%q) = %+v, which Check refuses: %v", s, q, err)
		}
	})
}
