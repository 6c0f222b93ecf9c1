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
	{fLicense, index.FacetLicense}, {fLanguage, index.FacetLanguage}, {fPlatform, index.FacetPlatform}, {fKind, index.FacetKind},
	{fSigned, index.FacetSigned}, {fKeyword, index.FacetKeyword}, {fCategory, index.FacetCategory}, {fNamespace, index.FacetNamespace},
}

// prepareCounts makes room for the values of the state. Counts are all zero
// between searches.
func (s *search) prepareCounts() {
	for i := range s.counts {
		if n := len(s.st.tables[i].values); len(s.counts[i]) < n {
			s.counts[i] = make([]int32, n+n/8)
		}
	}
}

// count counts a document in every facet.
func (s *search) count(r *row) {
	c := &s.counts
	for i, id := range r.single {
		c[i][id]++
	}
	many, from := s.st.many[r.many:], uint8(0)
	for i, end := range r.ends {
		if from == end {
			continue
		}
		counts := c[singles+i]
		for _, id := range many[from:end] {
			counts[id]++
		}
		from = end
	}
}

// countOne counts a document in one facet.
func (s *search) countOne(field int, r *row) {
	switch {
	case field < singles:
		s.counts[field][r.single[field]]++
	case field < counted:
		for _, id := range s.st.of(r, field) {
			s.counts[field][id]++
		}
	}
}

// tally is a value of a facet and how often it was counted.
type tally struct {
	id    uint32
	count int32
}

// facets turns counts into facets, and zeroes them.
func (s *search) facets(f filter) []index.Facet {
	var out []index.Facet
	for _, shown := range shownFacets {
		values := s.st.tables[shown.field].values
		var chosen idSet
		for _, ff := range f.fields {
			if ff.field == shown.field {
				chosen = ff.want
			}
		}
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
				if better(t, best[index.MaxFacetValues-1]) > 0 {
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
