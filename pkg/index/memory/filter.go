package memory

import (
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/index"
)

// filter is index.Filters made ready for one state.
type filter struct {
	fields []fieldFilter  // those not in shapes
	shapes []verdict      // by shape; nil when nothing is asked of shapes
	chosen [counted]idSet // the values asked for, by facet
	header map[int32]bool // documents with the header; nil when none is asked for
}

type fieldFilter struct {
	field int
	want  idSet
}

// verdict is how many filters something fails, counting to 2, and the field of
// the last one.
type verdict struct{ failed, field uint8 }

func (v verdict) fail(field int) verdict { return verdict{min(v.failed+1, 2), uint8(field)} }

// compile looks up what a query's filters name.
func (s *state) compile(q index.Query) filter {
	f := q.Filters
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
		if field < counted {
			out.chosen[field] = ff.want
		}
		if field >= shaped {
			out.fields = append(out.fields, ff)
			return
		}
		if out.shapes == nil {
			out.shapes = make([]verdict, len(s.shapes))
		}
		var groups idSet
		if field == fLicense {
			groups = s.licenseGroups(values)
		}
		for i := range s.shapes {
			x := &s.shapes[i]
			switch {
			case field >= fPlatform && slices.ContainsFunc(x.several(field), ff.want.has):
			case field < fPlatform && ff.want.has(x.single[field]):
			case groups.has(x.single[fGroup]):
			default:
				out.shapes[i] = out.shapes[i].fail(field)
			}
		}
	}
	name := func(v string) string { return strings.TrimPrefix(v, "@") }
	add(fLicense, f.License, nil)
	add(fLanguage, f.Language, Language)
	add(fPlatform, f.Platform, nil)
	add(fKind, f.Kind, nil)
	add(fSigned, f.Signed, nil)
	add(fStandard, f.Standard, nil)
	add(fGroup, f.LicenseGroup, nil)
	add(fBuild, f.Build, nil)
	add(fKeyword, f.Keyword, nil)
	add(fCategory, f.Category, nil)
	add(fNamespace, f.Namespace, name)
	add(fDepends, f.DependsOn, name)
	if q.Fits != nil {
		s.fitting(q.Fits, &out)
	}
	if len(f.Header) > 0 {
		out.header = map[int32]bool{}
		for _, v := range f.Header {
			path, _ := IncludePath(v)
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

// fitting fails the shapes of which no profile fits. Each profile is judged
// once, and there are few of them.
func (s *state) fitting(fits func(string) bool, out *filter) {
	var want idSet = make([]uint64, len(s.profiles.values)/64+1)
	for id, v := range s.profiles.values {
		if id > 0 && fits(v.text) {
			want.set(uint32(id))
		}
	}
	if out.shapes == nil {
		out.shapes = make([]verdict, len(s.shapes))
	}
	for i := range s.shapes {
		if !slices.ContainsFunc(s.shapes[i].profiles, want.has) {
			out.shapes[i].failed = 2 // no facet shows them
		}
	}
}

// licenseGroups is the set of license groups among the values of a filter.
func (s *state) licenseGroups(values []string) idSet {
	groups := make(idSet, len(s.tables[fGroup].values)/64+1)
	for _, v := range values {
		if id, ok := s.tables[fGroup].ids[strings.ToLower(v)]; ok {
			groups.set(id)
		}
	}
	return groups
}

// judge says which filters document d fails.
func (s *state) judge(f *filter, d int32, r *row) verdict {
	var v verdict
	if f.header != nil && !f.header[d] {
		return verdict{failed: 2} // no facet shows headers
	}
	if f.shapes != nil {
		v = f.shapes[r.shape]
	}
	for i := range f.fields {
		ff := &f.fields[i]
		ok := false
		switch ff.field {
		case fNamespace:
			ok = ff.want.has(r.namespace)
		case fKeyword:
			ok = slices.ContainsFunc(s.keywords(r), ff.want.has)
		case fCategory:
			ok = slices.ContainsFunc(s.categories(r), ff.want.has)
		default:
			ok = slices.ContainsFunc(s.docs[d].depends, ff.want.has)
		}
		if !ok {
			v = v.fail(ff.field)
		}
	}
	return v
}
