package meilitest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

type index struct {
	primary  string
	made     string
	docs     map[string]map[string]any
	settings struct {
		Displayed  []string       `json:"displayedAttributes"`
		Searchable []string       `json:"searchableAttributes"`
		Filterable []string       `json:"filterableAttributes"`
		Sortable   []string       `json:"sortableAttributes"`
		Ranking    []string       `json:"rankingRules"`
		Pagination map[string]int `json:"pagination"`
		Typos      struct {
			Enabled             bool           `json:"enabled"`
			MinWordSizeForTypos map[string]int `json:"minWordSizeForTypos"`
		} `json:"typoTolerance"`
	}
}

func newIndex(primary string) *index {
	return &index{primary: primary, made: now(), docs: map[string]map[string]any{}}
}

// idRE is what a document's ID may be.
var idRE = regexp.MustCompile(`^[A-Za-z0-9_-]{1,511}$`)

// put replaces documents whole, as POST does.
func (i *index) put(docs []map[string]any) *problem {
	for _, d := range docs {
		id, _ := d[i.primary].(string)
		if !idRE.MatchString(id) {
			return bad(0, "invalid_document_id", "Document identifier `%v` is invalid.", d[i.primary])
		}
	}
	for _, d := range docs {
		i.docs[d[i.primary].(string)] = d
	}
	return nil
}

type request struct {
	UID      string   `json:"indexUid"`
	Query    string   `json:"q"`
	Filter   string   `json:"filter"`
	Sort     []string `json:"sort"`
	Facets   []string `json:"facets"`
	Retrieve []string `json:"attributesToRetrieve"`
	On       []string `json:"attributesToSearchOn"`
	Offset   int      `json:"offset"`
	Limit    *int     `json:"limit"`
}

func (s *Server) multiSearch(_ *http.Request, body []byte) (int, any, *problem) {
	var in struct{ Queries []request }
	if err := json.Unmarshal(body, &in); err != nil {
		return 0, nil, bad(http.StatusBadRequest, "malformed_payload", "%v", err)
	}
	var results []any
	for _, q := range in.Queries {
		i := s.indexes[q.UID]
		if i == nil {
			return 0, nil, noIndex(q.UID)
		}
		r, p := i.search(q)
		if p != nil {
			return 0, nil, p
		}
		results = append(results, r)
	}
	return http.StatusOK, map[string]any{"results": results}, nil
}

// found is a document and why it was: the fewer of all but words the better.
type found struct {
	doc                     map[string]any
	words, typos, at, loose int
}

func (i *index) search(q request) (any, *problem) {
	for _, f := range q.Facets {
		if !slices.Contains(i.settings.Filterable, f) {
			return nil, bad(http.StatusBadRequest, "invalid_search_facets", "Attribute `%s` is not filterable.", f)
		}
	}
	pass := func(map[string]any) bool { return true }
	if q.Filter != "" {
		p := parser{in: q.Filter, known: i.settings.Filterable}
		pass = p.any()
		if p.failed == "" && strings.TrimSpace(p.in) != "" {
			p.failed = "something behind the expression"
		}
		if p.failed != "" {
			return nil, bad(http.StatusBadRequest, "invalid_search_filter", "%s in `%s`", p.failed, q.Filter)
		}
	}
	words := wordsOf(q.Query)
	if len(words) > 10 {
		words = words[:10]
	}
	on := q.On
	if len(on) == 0 {
		on = i.settings.Searchable
	}
	var all []found
	for _, d := range i.docs {
		if !pass(d) {
			continue
		}
		f := i.match(d, words, on)
		if len(words) == 0 || f.words > 0 {
			all = append(all, f)
		}
	}
	if p := i.order(all, q.Sort); p != nil {
		return nil, p
	}
	out := map[string]any{"indexUid": q.UID, "query": q.Query, "offset": q.Offset, "processingTimeMs": 0}
	most := i.settings.Pagination["maxTotalHits"]
	if most == 0 {
		most = 1000
	}
	out["estimatedTotalHits"] = len(all)
	if len(q.Facets) > 0 {
		out["facetDistribution"] = count(all, q.Facets)
	}
	limit := 20
	if q.Limit != nil {
		limit = *q.Limit
	}
	all = all[min(q.Offset, len(all)):min(q.Offset+limit, len(all), max(most, q.Offset))]
	hits := make([]map[string]any, 0, len(all))
	for _, f := range all {
		h := map[string]any{}
		for name, v := range f.doc {
			if slices.Contains(i.settings.Displayed, name) && (len(q.Retrieve) == 0 || slices.Contains(q.Retrieve, name)) {
				h[name] = v
			}
		}
		hits = append(hits, h)
	}
	out["hits"], out["limit"] = hits, limit
	return out, nil
}

// match finds as many words, from the first on, as the document has.
func (i *index) match(d map[string]any, words, on []string) found {
	f := found{doc: d}
	for n, w := range words {
		typos, at, loose := 9, len(on), 9
		for k, name := range on {
			for _, text := range texts(d[name]) {
				for _, have := range wordsOf(text) {
					t, l := i.near(w, have, n == len(words)-1)
					if t < typos || t == typos && l < loose {
						typos, at, loose = t, k, l
					}
				}
			}
		}
		if typos > 2 {
			break
		}
		f.words, f.typos, f.at, f.loose = f.words+1, f.typos+typos, f.at+at, f.loose+loose
	}
	return f
}

// near is how many typing mistakes lie between a word that is asked for and one
// that is there; 9 where that is too many. loose is 1 for the beginning of a
// longer word, of which the last word of a query may be.
func (i *index) near(want, have string, last bool) (typos, loose int) {
	if want == have {
		return 0, 0
	}
	if last && strings.HasPrefix(have, want) {
		return 0, 1
	}
	may := 0
	if t := i.settings.Typos; t.Enabled {
		switch n := len([]rune(want)); {
		case n >= t.MinWordSizeForTypos["twoTypos"]:
			may = 2
		case n >= t.MinWordSizeForTypos["oneTypo"]:
			may = 1
		}
	}
	if n := edits(want, have); n <= may {
		return n, 0
	}
	return 9, 9
}

// edits counts insertions, deletions, replacements and swaps of neighbours.
func edits(a, b string) int {
	if d := len(a) - len(b); d > 2 || d < -2 {
		return 9
	}
	rows := make([][]int, len(a)+1)
	for x := range rows {
		rows[x] = make([]int, len(b)+1)
		rows[x][0] = x
	}
	for y := range rows[0] {
		rows[0][y] = y
	}
	for x := 1; x <= len(a); x++ {
		for y := 1; y <= len(b); y++ {
			n := rows[x-1][y-1]
			if a[x-1] != b[y-1] {
				n++
			}
			n = min(n, rows[x-1][y]+1, rows[x][y-1]+1)
			if x > 1 && y > 1 && a[x-1] == b[y-2] && a[x-2] == b[y-1] {
				n = min(n, rows[x-2][y-2]+1)
			}
			rows[x][y] = n
		}
	}
	return rows[len(a)][len(b)]
}

func wordsOf(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '+' && r != '#'
	})
}

// texts are the strings of a value.
func texts(v any) []string {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		var out []string
		for _, x := range v {
			out = append(out, texts(x)...)
		}
		return out
	}
	return []string{fmt.Sprint(v)}
}

// order sorts by what was asked for, by the text, then by the index's own rules.
func (i *index) order(all []found, by []string) *problem {
	for _, s := range by {
		if name, _, _ := strings.Cut(s, ":"); !slices.Contains(i.settings.Sortable, name) {
			return bad(http.StatusBadRequest, "invalid_search_sort", "Attribute `%s` is not sortable.", name)
		}
	}
	var own []string
	for _, r := range i.settings.Ranking {
		if strings.Contains(r, ":") {
			own = append(own, r)
		}
	}
	slices.SortFunc(all, func(a, b found) int {
		if c := compare(a.doc, b.doc, by); c != 0 {
			return c
		}
		if c := cmp.Or(cmp.Compare(b.words, a.words), cmp.Compare(a.typos, b.typos), cmp.Compare(a.at, b.at), cmp.Compare(a.loose, b.loose)); c != 0 {
			return c
		}
		return compare(a.doc, b.doc, own)
	})
	return nil
}

func compare(a, b map[string]any, by []string) int {
	for _, s := range by {
		name, dir, _ := strings.Cut(s, ":")
		var c int
		if x, ok := a[name].(float64); ok {
			y, _ := b[name].(float64)
			c = cmp.Compare(x, y)
		} else {
			c = cmp.Compare(fmt.Sprint(a[name]), fmt.Sprint(b[name]))
		}
		if dir == "desc" {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

func count(all []found, facets []string) map[string]map[string]int {
	out := map[string]map[string]int{}
	for _, name := range facets {
		out[name] = map[string]int{}
		for _, f := range all {
			for _, v := range texts(f.doc[name]) {
				out[name][v]++
			}
		}
	}
	return out
}

// parser reads the filters that are made of AND, OR, brackets, =, <= and IN.
type parser struct {
	in     string
	known  []string
	failed string
}

type condition = func(map[string]any) bool

var tokenRE = regexp.MustCompile(`^\s*("(?:[^"\\]|\\.)*"|[A-Za-z0-9_.-]+|<=|=|[()\[\],])`)

func (p *parser) take() string {
	m := tokenRE.FindStringSubmatchIndex(p.in)
	if m == nil {
		p.failed = "a character that begins nothing"
		return ""
	}
	t := p.in[m[2]:m[3]]
	p.in = p.in[m[1]:]
	return t
}

func (p *parser) next(word string) bool {
	rest := p.in
	if strings.TrimSpace(rest) != "" && p.take() == word {
		return true
	}
	p.in = rest
	return false
}

func (p *parser) any() condition {
	c := p.all()
	for p.failed == "" && p.next("OR") {
		a, b := c, p.all()
		c = func(d map[string]any) bool { return a(d) || b(d) }
	}
	return c
}

func (p *parser) all() condition {
	c := p.one()
	for p.failed == "" && p.next("AND") {
		a, b := c, p.one()
		c = func(d map[string]any) bool { return a(d) && b(d) }
	}
	return c
}

func (p *parser) one() condition {
	if p.next("(") {
		c := p.any()
		if !p.next(")") {
			p.failed = "a bracket that is not closed"
		}
		return c
	}
	name := p.take()
	if !slices.Contains(p.known, name) {
		p.failed = "Attribute `" + name + "` is not filterable"
	}
	switch op := p.take(); op {
	case "=":
		want := unquote(p.take())
		return func(d map[string]any) bool { return has(d[name], want) }
	case "<=":
		var n float64
		if _, err := fmt.Sscan(p.take(), &n); err != nil {
			p.failed = "no number"
		}
		return func(d map[string]any) bool { v, ok := d[name].(float64); return ok && v <= n }
	case "IN":
		var want []string
		for p.next("[") || p.next(",") {
			want = append(want, unquote(p.take()))
		}
		if !p.next("]") {
			p.failed = "a list that is not closed"
		}
		return func(d map[string]any) bool {
			return slices.ContainsFunc(want, func(w string) bool { return has(d[name], w) })
		}
	}
	p.failed = "no operator"
	return nil
}

func unquote(s string) string { return strings.Trim(s, `"`) }

func has(v any, want string) bool {
	return slices.ContainsFunc(texts(v), func(t string) bool { return strings.EqualFold(t, want) })
}
