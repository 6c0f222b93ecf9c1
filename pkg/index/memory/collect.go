package memory

import (
	"cmp"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/index"
)

// collected is what collect counts.
type collected struct {
	total  int
	facets []index.Facet
}

// sequentially is the share of documents found (1 in so many) from which on it
// is quicker to go through all rows in order than to the found ones in theirs.
const sequentially = 8

// collect filters and counts the documents found, all of them without a text,
// and leaves the best limit+1 behind after in s.hits, in order. It looks at
// every document found: totals and facet counts are exact.
func (s *search) collect(q index.Query, text bool, after *position) collected {
	var (
		out  collected
		f    = s.st.compile(q)
		top  = heap{s: s, sort: q.Sort, most: q.Limit + 1}
		open = len(f.fields) == 0 && f.shapes == nil && f.header == nil
	)
	if q.Facets {
		s.prepareCounts()
	}
	visit := func(d int32) {
		r := &s.st.rows[d]
		if r.status != public && (r.status == vacant || !s.sees(d)) {
			return
		}
		if !open {
			if v := s.st.judge(&f, d, r); v.failed > 0 {
				if v.failed == 1 && q.Facets {
					s.countOne(int(v.field), r)
				}
				return
			}
		}
		if q.Facets {
			s.count(r)
		}
		out.total++
		h := hit{doc: d}
		switch q.Sort {
		case index.SortRelevance:
			if text {
				h.score = s.score(d, r)
			} else {
				h.score = float64(r.dependents) + float64(s.st.sorts[d].downloads)/(1<<50)
			}
		default:
			h.value = s.st.sorts[d].by(q.Sort)
		}
		if top.worse(h) || after != nil && !s.behind(q.Sort, h, after) {
			return
		}
		top.push(h)
	}
	switch {
	case !text:
		for d := range s.st.rows {
			visit(int32(d))
		}
	case len(s.found) > len(s.st.rows)/sequentially:
		for d := range s.st.rows {
			if s.accepts(int32(d)) {
				visit(int32(d))
			}
		}
	default:
		for _, d := range s.found {
			if s.accepts(d) {
				visit(d)
			}
		}
	}
	top.finish()
	if q.Facets {
		out.facets = s.facets(&f)
	}
	return out
}

// by is the number that sort compares, the greater the earlier; 0 for
// relevance.
func (r *sortRow) by(sort index.Sort) int64 {
	switch sort {
	case index.SortDownloads:
		return r.downloads
	case index.SortUpdated:
		return r.updated
	case index.SortNew:
		return r.created
	case index.SortName:
		return r.name
	}
	return 0
}

// order compares two hits: the better one is less.
func (s *search) order(sort index.Sort, a, b hit) int {
	if a.score != b.score {
		return cmp.Compare(b.score, a.score)
	}
	if a.value != b.value {
		return cmp.Compare(b.value, a.value)
	}
	return tie(sort, s.st.docs[a.doc].key, s.st.docs[b.doc].key)
}

// tie orders keys whose documents sort alike by number.
func tie(sort index.Sort, a, b string) int {
	if sort == index.SortName {
		if c := strings.Compare(baseOf(a), baseOf(b)); c != 0 {
			return c
		}
	}
	return strings.Compare(a, b)
}

// behind reports whether h comes after the position of a cursor.
func (s *search) behind(sort index.Sort, h hit, p *position) bool {
	if h.score != p.score {
		return h.score < p.score
	}
	if h.value != p.value {
		return h.value < p.value
	}
	return tie(sort, s.st.docs[h.doc].key, p.key) > 0
}

// heap keeps the best hits in s.hits, the worst of them at the root.
type heap struct {
	s    *search
	sort index.Sort
	most int
}

// worse reports whether the numbers of x already say that it is not among the
// best.
func (h *heap) worse(x hit) bool {
	a := h.s.hits
	return len(a) == h.most && (x.score < a[0].score || x.score == a[0].score && x.value < a[0].value)
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
