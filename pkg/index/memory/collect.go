package memory

import (
	"cmp"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/index"
)

// idSet is a set of value ids.
type idSet []uint64

func (b idSet) set(id uint32)      { b[id/64] |= 1 << (id % 64) }
func (b idSet) has(id uint32) bool { return b[id/64]&(1<<(id%64)) != 0 }

// filter is index.Filters made ready for one state.
type filter struct {
	fields []fieldFilter
	groups []string       // license groups asked for, lower case
	header map[int32]bool // documents with the header; nil when none is asked for
}

type fieldFilter struct {
	field int
	want  idSet
}

// compile looks up what f names.
func (s *state) compile(f index.Filters) filter {
	var out filter
	add := func(field int, values []string, match func(have, want string) bool) {
		if len(values) == 0 {
			return
		}
		t := s.tables[field]
		want := make(idSet, len(s.cells)/64+1)
		for _, v := range values {
			if match == nil {
				if id, ok := t[strings.ToLower(v)]; ok {
					want.set(id)
				}
				continue
			}
			for have, id := range t {
				if match(have, v) {
					want.set(id)
				}
			}
		}
		out.fields = append(out.fields, fieldFilter{field, want})
	}
	mapped := func(values []string, to func(string) string) []string {
		out := make([]string, len(values))
		for i, v := range values {
			out[i] = to(v)
		}
		return out
	}
	add(fLicense, f.License, licensed)
	for _, v := range f.License {
		out.groups = append(out.groups, strings.ToLower(v))
	}
	add(fLanguage, mapped(f.Language, language), nil)
	add(fPlatform, f.Platform, nil)
	add(fKind, f.Kind, nil)
	add(fSigned, f.Signed, nil)
	add(fKeyword, f.Keyword, nil)
	add(fCategory, f.Category, nil)
	add(fNamespace, mapped(f.Namespace, func(v string) string { return strings.TrimPrefix(v, "@") }), nil)
	add(fDepends, mapped(f.DependsOn, func(v string) string { return strings.TrimPrefix(v, "@") }), func(have, want string) bool {
		return strings.EqualFold(have, want) || !strings.Contains(want, "/") && strings.EqualFold(baseOf(have), want)
	})
	if len(f.Header) > 0 {
		out.header = map[int32]bool{}
		for _, v := range f.Header {
			path, _ := isHeader(v)
			want := strings.ToLower(path)
			for _, r := range s.headers[headerKey(want)] {
				if _, ok := endsIn(r.path, want); ok {
					out.header[r.doc] = true
				}
			}
		}
	}
	return out
}

// licensed reports whether a license expression is, or has, the one wanted.
func licensed(expression, want string) bool {
	if strings.EqualFold(expression, want) {
		return true
	}
	for id := range strings.FieldsFuncSeq(expression, func(r rune) bool { return r == ' ' || r == '(' || r == ')' || r == '+' }) {
		if strings.EqualFold(id, want) && !strings.EqualFold(id, "and") && !strings.EqualFold(id, "or") && !strings.EqualFold(id, "with") {
			return true
		}
	}
	return false
}

// baseOf is the part of a key behind the namespace.
func baseOf(key string) string { return key[strings.LastIndexByte(key, '/')+1:] }

// fails returns how many filters d fails, counting to 2, and the field of the
// last one.
func (f *filter) fails(d int32, e *entry) (n, field int) {
	if f.header != nil && !f.header[d] {
		return 2, 0 // no facet shows headers
	}
	for _, ff := range f.fields {
		if slices.ContainsFunc(e.of(ff.field), ff.want.has) {
			continue
		}
		if ff.field == fLicense && e.group != "" && slices.Contains(f.groups, e.group) {
			continue
		}
		n, field = n+1, ff.field
		if n == 2 {
			return n, field
		}
	}
	return n, field
}

// collected is what collect counts.
type collected struct {
	total  int
	facets []index.Facet
}

// collect filters and counts the documents found, all of them without a text,
// and leaves the best limit+1 behind after in s.hits, in order.
func (s *search) collect(q index.Query, text bool, after *position) collected {
	var (
		out    collected
		counts []int32 // by cell
		f      = s.st.compile(q.Filters)
		top    = heap{s: s, sort: q.Sort, most: q.Limit + 1}
	)
	if q.Facets {
		counts = make([]int32, len(s.st.cells))
	}
	visit := func(d int32) {
		e := &s.st.docs[d]
		if e.key == "" || !s.sees(d) || text && !s.accepts(d) {
			return
		}
		n, failed := f.fails(d, e)
		if n > 1 || n == 1 && !q.Facets {
			return
		}
		if q.Facets {
			count := e.values[:e.ends[counted-1]]
			if n == 1 {
				count = nil
				if failed < counted {
					count = e.of(failed)
				}
			}
			for _, id := range count {
				counts[id]++
			}
		}
		if n == 1 {
			return
		}
		out.total++
		h := hit{doc: d}
		if text {
			h.score = s.score(d)
		} else if q.Sort == index.SortRelevance {
			h.score = float64(e.dependents) + float64(e.downloads)/(1<<50)
		}
		if after == nil || s.behind(q.Sort, h, after) {
			top.push(h)
		}
	}
	if text {
		for _, d := range s.found {
			visit(d)
		}
	} else {
		for d := range s.st.docs {
			visit(int32(d))
		}
	}
	top.finish()
	if q.Facets {
		out.facets = s.facets(counts, f)
	}
	return out
}

// order compares two hits: the better one is less.
func (s *search) order(sort index.Sort, a, b hit) int {
	if sort == index.SortRelevance && a.score != b.score {
		return cmp.Compare(b.score, a.score)
	}
	return s.st.compare(sort, &s.st.docs[a.doc], &s.st.docs[b.doc])
}

// behind reports whether h comes after the position of a cursor.
func (s *search) behind(sort index.Sort, h hit, p *position) bool {
	e := &s.st.docs[h.doc]
	switch sort {
	case index.SortRelevance:
		if h.score != p.score {
			return h.score < p.score
		}
	case index.SortName:
		if c := strings.Compare(baseOf(e.key), baseOf(p.key)); c != 0 {
			return c > 0
		}
	default:
		if v := s.st.sortKey(sort, h.doc); v != p.value {
			return v < p.value
		}
	}
	return e.key > p.key
}

// heap keeps the best hits in s.hits, the worst of them at the root.
type heap struct {
	s    *search
	sort index.Sort
	most int
}

func (h *heap) push(x hit) {
	a := h.s.hits
	if len(a) < h.most {
		a = append(a, x)
		for i := len(a) - 1; i > 0; {
			up := (i - 1) / 2
			if h.s.order(h.sort, a[i], a[up]) <= 0 {
				break
			}
			a[i], a[up] = a[up], a[i]
			i = up
		}
		h.s.hits = a
		return
	}
	if h.s.order(h.sort, x, a[0]) >= 0 {
		return
	}
	a[0] = x
	for i := 0; ; {
		worst := i
		for _, k := range [2]int{2*i + 1, 2*i + 2} {
			if k < len(a) && h.s.order(h.sort, a[k], a[worst]) > 0 {
				worst = k
			}
		}
		if worst == i {
			return
		}
		a[i], a[worst] = a[worst], a[i]
		i = worst
	}
}

func (h *heap) finish() {
	slices.SortFunc(h.s.hits, func(a, b hit) int { return h.s.order(h.sort, a, b) })
}

// facets turns counts into facets.
func (s *search) facets(counts []int32, f filter) []index.Facet {
	var (
		best   [counted][]index.FacetValue
		rest   [counted][]index.FacetValue // chosen by a filter and not among the best
		chosen [counted]idSet
	)
	for _, ff := range f.fields {
		if ff.field < counted {
			chosen[ff.field] = ff.want
		}
	}
	better := func(a, b index.FacetValue) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Value, b.Value))
	}
	// The best values are kept in order as they come: a field may have as many
	// values as there are packages, and only a few are shown.
	for id, n := range counts {
		if n == 0 {
			continue
		}
		c := &s.st.cells[id]
		v := index.FacetValue{Value: c.value, Count: int(n)}
		values := best[c.field]
		if chosen[c.field] != nil && chosen[c.field].has(uint32(id)) {
			rest[c.field] = append(rest[c.field], v)
		}
		if len(values) == index.MaxFacetValues {
			last := &values[index.MaxFacetValues-1]
			if v.Count < last.Count || better(v, *last) > 0 {
				continue
			}
			values = values[:index.MaxFacetValues-1]
		}
		at, _ := slices.BinarySearchFunc(values, v, better)
		best[c.field] = slices.Insert(values, at, v)
	}
	var out []index.Facet
	for i, values := range best {
		slices.SortFunc(rest[i], better)
		shown := len(values)
		for _, v := range rest[i][:min(len(rest[i]), index.MaxFacetValues+index.MaxFilterValues)] {
			if !slices.Contains(values[:shown], v) {
				values = append(values, v)
			}
		}
		if len(values) > 0 {
			out = append(out, index.Facet{Name: facetNames[i], Values: values})
		}
	}
	return out
}
