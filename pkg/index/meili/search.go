package meili

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/meilisearch/meilisearch-go"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/index"
	"github.com/clydepm/clyde-registry/pkg/index/memory"
)

const (
	candidates = 200  // hits that our own ranking puts in order; those behind them stay as Meilisearch has them
	maxPrivate = 1000 // private packages that one search may find, the best ones
	pinned     = 20   // packages of one name
)

// orders are what Meilisearch sorts by, and the number at which a page can go
// on whatever was written meanwhile; "" where there is none.
var orders = map[index.Sort]struct {
	by     []string
	number string
}{
	index.SortRelevance: {[]string{"dependents:desc", "downloads:desc", "key:asc"}, "dependents"}, // without text
	index.SortDownloads: {[]string{"downloads:desc", "key:asc"}, "downloads"},
	index.SortUpdated:   {[]string{"updated:desc", "key:asc"}, "updated"},
	index.SortNew:       {[]string{"created:desc", "key:asc"}, "created"},
	index.SortName:      {[]string{"base:asc", "key:asc"}, ""},
}

// hit is what a search gets of a record.
type hit struct {
	ID         string   `json:"id"`
	Key        string   `json:"key"`
	Doc        []byte   `json:"doc"`
	Headers    []string `json:"headers"`
	Dependents int64    `json:"dependents"`
	Downloads  int64    `json:"downloads"`
	Updated    int64    `json:"updated"`
	Created    int64    `json:"created"`
}

func (h *hit) number(field string) int64 {
	return map[string]int64{"dependents": h.Dependents, "downloads": h.Downloads, "updated": h.Updated, "created": h.Created}[field]
}

// search is one search under way.
type search struct {
	e       *Engine
	q       index.Query
	text    string
	header  string   // lower case: the include path that is asked for
	sees    string   // the condition that leaves out what the asker may not see
	filters []filter // and what they asked for
	at      position
}

// Search implements index.Engine.
func (e *Engine) Search(ctx context.Context, q index.Query) (r index.Result, err error) {
	if q, err = q.Check(); err != nil {
		return r, err
	}
	s := &search{e: e, q: q, text: strings.TrimSpace(q.Text), filters: filters(q.Filters)}
	if s.at, err = readCursor(q); err != nil {
		return r, err
	}
	if err := e.ready(ctx); err != nil {
		return r, err
	}
	if s.text != "" && !strings.ContainsFunc(s.text, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
		return r, nil // a text without words finds nothing
	}
	if path, ok := memory.IncludePath(s.text); s.text != "" && (ok || strings.Contains(path, "/")) {
		s.header = path
	}
	if err := s.see(ctx, s.text, nil); err != nil {
		return r, err
	}
	if q.Fits != nil {
		if err := s.fit(ctx); err != nil {
			return r, err
		}
	}
	if s.header != "" {
		// Who asks for a path that is there means no other.
		if r, err = s.page(ctx); err != nil || r.Total > 0 {
			return r, err
		}
		s.header = ""
	}
	return s.page(ctx)
}

// see finds out which private packages the asker may see, of those that the
// text finds.
func (s *search) see(ctx context.Context, text string, on []string) error {
	s.sees = "private = false"
	if s.q.Visible == nil {
		return nil
	}
	ask := &meilisearch.SearchRequest{Query: text, Filter: "private = true", Limit: maxPrivate, AttributesToRetrieve: []string{"id", "key"}, AttributesToSearchOn: on}
	if s.header != "" {
		ask.Query, ask.Filter = "", "private = true AND "+s.asked()
	}
	found, err := s.e.ask(ctx, ask)
	if err != nil {
		return err
	}
	var ids []string
	for _, h := range found[0].hits {
		if s.q.Visible(h.Key) {
			ids = append(ids, h.ID)
		}
	}
	if len(ids) > 0 {
		s.sees = "(private = false OR id IN " + quoted(ids) + ")"
	}
	return nil
}

// fit adds the condition that a build fits the machine asked for: Meilisearch
// says which profiles there are.
func (s *search) fit(ctx context.Context) error {
	found, err := s.e.ask(ctx, &meilisearch.SearchRequest{Filter: s.sees, Limit: 1, AttributesToRetrieve: []string{"id"}, Facets: []string{"profiles"}})
	if err != nil {
		return err
	}
	ids := []string{hashed("")} // of no profile
	for p := range found[0].facets["profiles"] {
		if s.q.Fits(p) {
			ids = append(ids, hashed(p))
		}
	}
	slices.Sort(ids)
	s.filters = append(s.filters, filter{expression: "profile_ids IN " + quoted(ids)})
	return nil
}

// asked is the condition for the include path, or the name, that is asked for.
func (s *search) asked() string {
	return "(tags = " + `"` + tag("header", s.header) + `" OR forms = "` + safe(memory.Collapse(s.text)) + `")`
}

// where is every condition but that of one facet.
func (s *search) where(but string) string {
	all := []string{s.sees}
	for _, f := range s.filters {
		if but == "" || f.facet != but {
			all = append(all, f.expression)
		}
	}
	if s.header != "" {
		all = append(all, s.asked())
	}
	return strings.Join(all, " AND ")
}

// query is what Meilisearch searches for by itself.
func (s *search) query() string {
	if s.header != "" {
		return ""
	}
	return s.text
}

// page asks for one page of hits.
func (s *search) page(ctx context.Context) (r index.Result, err error) {
	ranked := s.text != "" && s.q.Sort == index.SortRelevance
	order := orders[s.q.Sort]
	list := &meilisearch.SearchRequest{
		Query: s.query(), Filter: s.where(""), AttributesToRetrieve: []string{"id", "key", "doc", "dependents", "downloads", "updated", "created"},
		Offset: s.at.skip, Limit: int64(s.q.Limit) + 1,
	}
	if s.header != "" {
		list.AttributesToRetrieve = append(list.AttributesToRetrieve, "headers")
	}
	switch {
	case ranked && s.at.skip < candidates:
		list.Offset, list.Limit = 0, candidates+1
	case !ranked:
		list.Sort = order.by
		if s.at.on && order.number != "" {
			list.Filter = s.where("") + " AND " + atMost(order.number, s.at.value)
		}
	}
	count := &meilisearch.SearchRequest{Query: s.query(), Filter: s.where(""), Limit: 1, AttributesToRetrieve: []string{"id"}}
	pin := &meilisearch.SearchRequest{
		Filter: s.where("") + ` AND forms = "` + safe(memory.Collapse(s.text)) + `"`, Limit: pinned, AttributesToRetrieve: list.AttributesToRetrieve, Sort: orders[index.SortRelevance].by,
	}
	asks := []*meilisearch.SearchRequest{list, count, pin}
	if s.q.Facets {
		asks = append(asks, s.counts(count)...)
	}
	found, err := s.e.ask(ctx, asks...)
	if err != nil {
		return r, err
	}
	hits := found[0].hits
	r.Total = int(found[1].total)
	if s.q.Facets {
		r.Facets = s.facets(found[1], found[len(found)-(len(asks)-3):])
	}
	if !ranked {
		more := len(hits) > s.q.Limit
		hits = hits[:min(len(hits), s.q.Limit)]
		if more {
			r.NextCursor = writeCursor(s.q, s.at.after(hits, order.number))
		}
		err = s.rank(ctx, &r, hits, false)
		return r, err
	}
	more := len(hits) > int(list.Limit)-1
	hits = hits[:min(len(hits), int(list.Limit)-1)]
	from := 0
	if s.at.skip < candidates {
		for _, h := range found[2].hits {
			if !slices.ContainsFunc(hits, func(o hit) bool { return o.ID == h.ID }) {
				hits = append(hits, h)
			}
		}
		from = int(s.at.skip)
	}
	if err := s.rank(ctx, &r, hits, true); err != nil {
		return r, err
	}
	r.Hits = r.Hits[min(from, len(r.Hits)):]
	if len(r.Hits) > s.q.Limit {
		r.Hits, more = r.Hits[:s.q.Limit], true
	}
	if next := s.at.skip + int64(len(r.Hits)); more && len(r.Hits) > 0 && next < maxHits {
		r.NextCursor = writeCursor(s.q, position{on: true, skip: next})
	}
	return r, nil
}

// rank gives the hits to an engine of our own, which says what matched, what
// may have been meant, and, where it decides, in which order they come. What it
// does not find (a word of a readme) comes behind.
func (s *search) rank(ctx context.Context, r *index.Result, hits []hit, decides bool) error {
	r.Hits = make([]index.Hit, 0, len(hits))
	byKey := map[string]index.Hit{}
	if s.text != "" {
		e := memory.New(memory.Options{})
		defer func() { _ = e.Close() }()
		for _, h := range hits {
			d, err := index.DecodeDocument(h.Doc)
			if err != nil {
				return err
			}
			d.Headers, d.Private = h.Headers, false
			if err := e.Put(ctx, d); err != nil {
				return err
			}
		}
		for q := (index.Query{Text: s.q.Text, Limit: index.MaxLimit}); ; {
			found, err := e.Search(ctx, q)
			if err != nil {
				return err
			}
			r.Truncated, r.DidYouMean = found.Truncated, found.DidYouMean
			for _, h := range found.Hits {
				byKey[h.Key] = h
				if decides {
					r.Hits = append(r.Hits, h)
				}
			}
			if q.Cursor = found.NextCursor; q.Cursor == "" {
				break
			}
		}
	}
	for _, h := range hits {
		found, ok := byKey[h.Key]
		if !ok {
			found.Key = h.Key
		}
		if !ok || !decides {
			r.Hits = append(r.Hits, found)
		}
	}
	return nil
}

// counts asks for the facets that a filter narrows without that filter; the
// others are counted with the page.
func (s *search) counts(count *meilisearch.SearchRequest) (asks []*meilisearch.SearchRequest) {
	for _, name := range facetNames {
		if !slices.ContainsFunc(s.filters, func(f filter) bool { return f.facet == name }) {
			count.Facets = append(count.Facets, name)
			continue
		}
		asks = append(asks, &meilisearch.SearchRequest{
			Query: s.query(), Filter: s.where(name), Limit: 1, AttributesToRetrieve: []string{"id"}, Facets: []string{name},
		})
	}
	return asks
}

// facets gathers what counts asked for.
func (s *search) facets(page answer, narrowed []answer) (out []index.Facet) {
	for _, name := range facetNames {
		counts := page.facets[name]
		for _, a := range narrowed {
			if c, ok := a.facets[name]; ok {
				counts = c
			}
		}
		var chosen []string
		for _, f := range s.filters {
			if f.facet == name {
				chosen = f.values
			}
		}
		all := make([]index.FacetValue, 0, len(counts))
		for v, n := range counts {
			if v != "" {
				all = append(all, index.FacetValue{Value: v, Count: n})
			}
		}
		slices.SortFunc(all, func(a, b index.FacetValue) int {
			return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Value, b.Value))
		})
		values := slices.Clone(all[:min(len(all), index.MaxFacetValues)])
		for _, v := range all[len(values):] {
			if slices.ContainsFunc(chosen, func(tag string) bool { return strings.HasSuffix(tag, ":"+safe(v.Value)) }) {
				values = append(values, v)
			}
		}
		if len(values) > 0 {
			out = append(out, index.Facet{Name: name, Values: values})
		}
	}
	return out
}

// Suggest implements index.Engine.
func (e *Engine) Suggest(ctx context.Context, text string, limit int, visible func(key string) bool) ([]index.Hit, error) {
	q, err := index.Query{Text: text, Visible: visible}.Check()
	if err != nil {
		return nil, err
	}
	if err := e.ready(ctx); err != nil {
		return nil, err
	}
	words := strings.ReplaceAll(memory.Collapse(text), "/", " ")
	if words == "" {
		return nil, nil
	}
	s := &search{e: e, q: q, text: words}
	names := []string{"names", "namespace"}
	if err := s.see(ctx, words, names); err != nil {
		return nil, err
	}
	found, err := e.ask(ctx, &meilisearch.SearchRequest{
		Query: words, Filter: s.sees, Limit: candidates, AttributesToRetrieve: []string{"id", "key", "doc"}, AttributesToSearchOn: names,
	})
	if err != nil {
		return nil, err
	}
	ranks := memory.New(memory.Options{})
	defer func() { _ = ranks.Close() }()
	for _, h := range found[0].hits {
		d, err := index.DecodeDocument(h.Doc)
		if err != nil {
			return nil, err
		}
		d.Private = false
		if err := ranks.Put(ctx, d); err != nil {
			return nil, err
		}
	}
	return ranks.Suggest(ctx, text, limit, nil)
}

// answer is what Meilisearch says to one search.
type answer struct {
	hits   []hit
	total  int64
	facets map[string]map[string]int
}

// ask sends searches of the main index in one request, so that all see one
// moment as nearly as Meilisearch allows.
func (e *Engine) ask(ctx context.Context, asks ...*meilisearch.SearchRequest) ([]answer, error) {
	if time.Now().UnixNano() < e.down.Load() {
		return nil, clyde.Errorf(clyde.ErrUnavailable, "the search engine does not answer").WithCode("search_unavailable")
	}
	for _, a := range asks {
		a.IndexUID = e.main()
	}
	wait, cancel := context.WithTimeout(ctx, searchTimeout)
	defer cancel()
	resp, err := e.api.MultiSearchWithContext(wait, &meilisearch.MultiSearchRequest{Queries: asks})
	if err != nil {
		err = e.fail(ctx, err)
		if ctx.Err() == nil && codeOf(err) == "" {
			e.down.Store(time.Now().Add(downFor).UnixNano())
		}
		return nil, err
	}
	if len(resp.Results) != len(asks) {
		return nil, e.fail(ctx, errors.New("meilisearch: an answer to another number of searches"))
	}
	out := make([]answer, len(asks))
	for i, r := range resp.Results {
		out[i].total = r.EstimatedTotalHits
		for _, h := range r.Hits {
			var got hit
			if err := decode(h, &got); err != nil {
				return nil, e.fail(ctx, err)
			}
			out[i].hits = append(out[i].hits, got)
		}
		if len(r.FacetDistribution) > 0 {
			if err := json.Unmarshal(r.FacetDistribution, &out[i].facets); err != nil {
				return nil, e.fail(ctx, err)
			}
		}
	}
	return out, nil
}

// decode reads a hit as encoding/json does; the library's own way leaves the
// base64 of bytes as it is.
func decode(h meilisearch.Hit, to *hit) error {
	b, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, to)
}

// position is where a page begins: behind skip hits of those whose number is at
// most value, or of all.
type position struct {
	on    bool // not the first page
	value int64
	skip  int64
}

// after is the position behind hits.
func (p position) after(hits []hit, number string) position {
	if number == "" || len(hits) == 0 {
		return position{on: true, skip: p.skip + int64(len(hits))}
	}
	next := position{on: true, value: hits[len(hits)-1].number(number)}
	for _, h := range slices.Backward(hits) {
		if h.number(number) != next.value {
			return next
		}
		next.skip++
	}
	if p.on && p.value == next.value {
		next.skip += p.skip
	}
	return next
}

func atMost(field string, n int64) string {
	b, _ := json.Marshal(n)
	return field + " <= " + string(b)
}

const cursorLen = 8 + 8 + 8 // a hash of the query, value, skip

func writeCursor(q index.Query, p position) string {
	b := binary.BigEndian.AppendUint64(slices.Clone(memory.QueryHash(q)), uint64(p.value))
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64(b, uint64(p.skip)))
}

func readCursor(q index.Query) (position, error) {
	if q.Cursor == "" {
		return position{}, nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(q.Cursor)
	if err != nil || len(b) != cursorLen || !slices.Equal(b[:8], memory.QueryHash(q)) {
		return position{}, index.BadCursor()
	}
	p := position{on: true, value: int64(binary.BigEndian.Uint64(b[8:])), skip: int64(binary.BigEndian.Uint64(b[16:]))}
	if p.skip < 0 || p.skip > maxHits {
		return position{}, index.BadCursor()
	}
	return p, nil
}
