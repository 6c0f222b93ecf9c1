package memory

import (
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/index"
)

// filter is index.Filters made ready for one state.
type filter struct {
	fields []fieldFilter
	header map[int32]bool // documents with the header; nil when none is asked for
}

type fieldFilter struct {
	field  int
	want   idSet
	groups idSet // license groups that pass too; nil but for fLicense
}

// compile looks up what f names.
func (s *state) compile(f index.Filters) filter {
	var out filter
	add := func(field int, values []string, spell func(string) string) {
		if len(values) == 0 {
			return
		}
		t := &s.tables[field]
		ff := fieldFilter{field: field, want: make(idSet, len(t.values)/64+1)}
		for _, v := range values {
			if spell != nil {
				v = spell(v)
			}
			v = strings.ToLower(v)
			if t.names == nil {
				if id, ok := t.ids[v]; ok {
					ff.want.set(id)
				}
				continue
			}
			for _, id := range t.named[v] {
				ff.want.set(id)
			}
		}
		out.fields = append(out.fields, ff)
	}
	name := func(v string) string { return strings.TrimPrefix(v, "@") }
	add(fLicense, f.License, nil)
	if len(f.License) > 0 {
		groups := make(idSet, len(s.groups.values)/64+1)
		for _, v := range f.License {
			if id, ok := s.groups.ids[strings.ToLower(v)]; ok {
				groups.set(id)
			}
		}
		out.fields[0].groups = groups
	}
	add(fLanguage, f.Language, language)
	add(fPlatform, f.Platform, nil)
	add(fKind, f.Kind, nil)
	add(fSigned, f.Signed, nil)
	add(fKeyword, f.Keyword, nil)
	add(fCategory, f.Category, nil)
	add(fNamespace, f.Namespace, name)
	add(fDepends, f.DependsOn, name)
	if len(f.Header) > 0 {
		out.header = map[int32]bool{}
		for _, v := range f.Header {
			path, _ := isHeader(v)
			want := strings.ToLower(path)
			for _, r := range s.headers[headerKey(want)] {
				if _, ok := endsIn(s.header(r), want); ok {
					out.header[r.doc] = true
				}
			}
		}
	}
	return out
}

// passes reports whether document d has what one filter wants.
func (s *state) passes(ff *fieldFilter, d int32, r *row) bool {
	switch {
	case ff.field == fDepends:
		return slices.ContainsFunc(s.docs[d].depends, ff.want.has)
	case ff.field >= singles:
		return slices.ContainsFunc(s.of(r, ff.field), ff.want.has)
	}
	return ff.want.has(r.single[ff.field]) || ff.groups != nil && ff.groups.has(r.group)
}

// fails returns how many filters document d fails, counting to 2, and the
// field of the last one.
func (s *state) fails(f *filter, d int32, r *row) (n, field int) {
	if f.header != nil && !f.header[d] {
		return 2, 0 // no facet shows headers
	}
	for i := range f.fields {
		if ff := &f.fields[i]; !s.passes(ff, d, r) {
			n, field = n+1, ff.field
			if n == 2 {
				break
			}
		}
	}
	return n, field
}
