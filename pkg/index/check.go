package index

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// each calls f for every filter with its name in ParseText.
func (f *Filters) each(do func(name string, values *[]string)) {
	do("namespace", &f.Namespace)
	do("license", &f.License)
	do("group", &f.LicenseGroup)
	do("std", &f.Standard)
	do("lang", &f.Language)
	do("platform", &f.Platform)
	do("kind", &f.Kind)
	do("signed", &f.Signed)
	do("build", &f.Build)
	do("keyword", &f.Keyword)
	do("category", &f.Category)
	do("depends", &f.DependsOn)
	do("header", &f.Header)
}

// IsZero reports whether f lets everything pass.
func (f Filters) IsZero() bool {
	n := 0
	f.each(func(_ string, values *[]string) { n += len(*values) })
	return n == 0
}

// Check returns q with its defaults filled in, or an ErrInvalid error that
// names the limit which q exceeds. Engines call it first.
func (q Query) Check() (Query, error) {
	if len(q.Text) > MaxQueryLen {
		return q, clyde.Errorf(clyde.ErrInvalid, "the search text is %d bytes; the limit is %d", len(q.Text), MaxQueryLen).
			WithCode("query_too_long").Fix("search for fewer words")
	}
	if !utf8.ValidString(q.Text) {
		return q, clyde.Errorf(clyde.ErrInvalid, "the search text is not UTF-8").WithCode("query_invalid")
	}
	if len(q.Cursor) > MaxCursorLen {
		return q, BadCursor()
	}
	if q.Limit == 0 {
		q.Limit = DefaultLimit
	}
	if q.Limit < 0 || q.Limit > MaxLimit {
		return q, clyde.Errorf(clyde.ErrInvalid, "limit %d: want 1 to %d", q.Limit, MaxLimit).
			WithCode("limit_invalid").Fix("ask for more with the cursor of the page before")
	}
	if q.Sort == "" {
		q.Sort = SortRelevance
	}
	if !slices.Contains(Sorts[:], q.Sort) {
		return q, clyde.Errorf(clyde.ErrInvalid, "sort %q is unknown: want relevance, downloads, updated, new or name", clip(string(q.Sort))).
			WithCode("sort_invalid")
	}
	var err error
	q.Filters.each(func(name string, values *[]string) {
		if len(*values) > MaxFilterValues {
			err = clyde.Errorf(clyde.ErrInvalid, "filter %s has %d values; the limit is %d", name, len(*values), MaxFilterValues).
				WithCode("filter_invalid")
		}
		for _, v := range *values {
			if len(v) > MaxFilterLen {
				err = clyde.Errorf(clyde.ErrInvalid, "a value of filter %s is %d bytes; the limit is %d", name, len(v), MaxFilterLen).
					WithCode("filter_invalid")
			}
		}
	})
	return q, err
}

// BadCursor is the error about a cursor that is damaged, or of another query.
func BadCursor() error {
	return clyde.Errorf(clyde.ErrInvalid, "the cursor does not belong to this search").
		WithCode("cursor_invalid").Fix("start again without a cursor")
}

// clip shortens what somebody sent for use in a message.
func clip(s string) string {
	const most = 40 // bytes
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
