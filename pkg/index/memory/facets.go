package memory

import (
	"cmp"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/index"
)

// shownFacets are the facets in the order in which a result has them.
var shownFacets = [counted]struct {
	field int
	name  string
}{
	{fLicense, index.FacetLicense}, {fGroup, index.FacetLicenseGroup}, {fStandard, index.FacetStandard}, {fLanguage, index.FacetLanguage}, {fPlatform, index.FacetPlatform}, {fKind, index.FacetKind},
	{fSigned, index.FacetSigned}, {fBuild, index.FacetBuild}, {fKeyword, index.FacetKeyword}, {fCategory, index.FacetCategory}, {fNamespace, index.FacetNamespace},
}

// prepareCounts makes room for the values of the state. Counts are all zero
// between searches.
func (s *search) prepareCounts() {
	for i := range s.counts {
		if n := len(s.st.tables[i].values); len(s.counts[i]) < n {
			s.counts[i] = make([]int32, n+n/8)
		}
	}
	if n := len(s.st.shapes); len(s.shapes) < n {
		s.shapes = make([]int32, n+n/8)
	}
}

// count counts a document in every facet.
func (s *search) count(r *row) {
	s.shapes[r.shape]++
	s.counts[fNamespace][r.namespace]++
	if r.keywords > 0 {
		counts := s.counts[fKeyword]
		for _, id := range s.st.keywords(r) {
			counts[id]++
		}
	}
	if r.categories > 0 {
		counts := s.counts[fCategory]
		for _, id := range s.st.categories(r) {
			counts[id]++
		}
	}
}

// countOne counts a document in one facet.
func (s *search) countOne(field int, r *row) {
	switch counts := s.counts; field {
	case fNamespace:
		counts[field][r.namespace]++
	case fKeyword:
		add(counts[field], s.st.keywords(r), 1)
	case fCategory:
		add(counts[field], s.st.categories(r), 1)
	case fPlatform, fBuild:
		add(counts[field], s.st.shapes[r.shape].several(field), 1)
	case fDepends: // no facet
	default:
		counts[field][s.st.shapes[r.shape].single[field]]++
	}
}

func add(counts []int32, ids []uint32, n int32) {
	for _, id := range ids {
		counts[id] += n
	}
}

// unfold adds the counts of shapes to those of their values, and zeroes them.
func (s *search) unfold() {
	for i, n := range s.shapes[:len(s.st.shapes)] {
		if n == 0 {
			continue
		}
		s.shapes[i] = 0
		x := &s.st.shapes[i]
		for field, id := range x.single {
			s.counts[field][id] += n
		}
		add(s.counts[fPlatform], x.platforms, n)
		add(s.counts[fBuild], x.builds, n)
	}
}

// tally is a value of a facet and how often it was counted.
type tally struct {
	id    uint32
	count int32
}

// facets turns counts into facets, and zeroes them.
func (s *search) facets(f *filter) []index.Facet {
	s.unfold()
	var out []index.Facet
	for _, shown := range shownFacets {
		values := s.st.tables[shown.field].values
		chosen := f.chosen[shown.field]
		better := func(a, b tally) int {
			if a.count != b.count {
				return cmp.Compare(b.count, a.count)
			}
			x, y := &values[a.id], &values[b.id]
			if x.begins != y.begins {
				return cmp.Compare(x.begins, y.begins)
			}
			return strings.Compare(x.text, y.text)
		}
		// The best values are kept in order as they come: a field may have as
		// many values as there are packages, and only a few are shown.
		var (
			room [index.MaxFacetValues + 1]tally
			best = room[:0]
			rest []tally // chosen by a filter
		)
		counts := s.counts[shown.field][:len(values)]
		counts[0] = 0 // documents without a value
		for id, n := range counts {
			if n == 0 {
				continue
			}
			counts[id] = 0
			t := tally{uint32(id), n}
			if chosen != nil && chosen.has(t.id) {
				rest = append(rest, t)
			}
			if len(best) == index.MaxFacetValues {
				if last := best[index.MaxFacetValues-1]; n < last.count || better(t, last) > 0 {
					continue
				}
				best = best[:index.MaxFacetValues-1]
			}
			at, _ := slices.BinarySearchFunc(best, t, better)
			best = slices.Insert(best, at, t)
		}
		if len(best) == 0 {
			continue
		}
		slices.SortFunc(rest, better)
		facet := index.Facet{Name: shown.name, Values: make([]index.FacetValue, 0, len(best)+len(rest))}
		for _, t := range best {
			facet.Values = append(facet.Values, index.FacetValue{Value: values[t.id].text, Count: int(t.count)})
		}
		for _, t := range rest[:min(len(rest), index.MaxFacetValues+index.MaxFilterValues)] {
			if !slices.Contains(best, t) {
				facet.Values = append(facet.Values, index.FacetValue{Value: values[t.id].text, Count: int(t.count)})
			}
		}
		out = append(out, facet)
	}
	return out
}
