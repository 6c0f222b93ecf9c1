package memory

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/index"
)

// Search implements index.Engine.
func (e *Engine) Search(ctx context.Context, q index.Query) (index.Result, error) {
	q, err := q.Check()
	if err != nil {
		return index.Result{}, err
	}
	after, err := readCursor(q)
	if err != nil {
		return index.Result{}, err
	}
	if err := ctx.Err(); err != nil {
		return index.Result{}, err
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.state == nil {
		return index.Result{}, closed()
	}
	s := e.begin(ctx, q.Text, q.Visible)
	defer e.end(s)
	text := strings.TrimSpace(q.Text) != ""
	if text {
		s.run()
	}
	c := s.collect(q, text, after)
	r := index.Result{Total: c.total, Facets: c.facets, DidYouMean: s.didYouMean(), Truncated: s.cut}
	if len(s.hits) > q.Limit {
		s.hits = s.hits[:q.Limit]
		last := s.hits[q.Limit-1]
		r.NextCursor = writeCursor(q, position{last.score, last.value, s.st.docs[last.doc].key})
	}
	r.Hits = make([]index.Hit, len(s.hits))
	for i, h := range s.hits {
		if text && q.Sort != index.SortRelevance {
			h.score = s.score(h.doc, &s.st.rows[h.doc])
		}
		r.Hits[i] = index.Hit{Key: s.st.docs[h.doc].key, Score: h.score, Highlights: s.highlights(h.doc)}
	}
	return r, nil
}

// begin makes a search of text. It is called with the lock held for reading.
func (e *Engine) begin(ctx context.Context, text string, visible func(string) bool) *search {
	s := &search{scratch: e.scratch.Get().(*scratch), st: e.state, visible: visible, until: time.Now().Add(e.budget)}
	if d, ok := ctx.Deadline(); ok && d.Before(s.until) {
		s.until = d
	}
	s.grow(len(s.st.docs))
	text = strings.ToValidUTF8(text, " ")
	s.collapsed = Collapse(text)
	words := text
	if path, ok := IncludePath(text); ok {
		s.header = path
		if dot := strings.LastIndexByte(path, '.'); dot > 0 {
			words = path[:dot]
		} else {
			words = path
		}
		s.collapsed = Collapse(words)
	} else if strings.Contains(path, "/") {
		s.header = path // Eigen/Dense
	}
	s.typed = map[string]struct{}{}
	tokenize(words, func(t token) {
		if _, ok := s.typed[t.word]; ok {
			return
		}
		if len(s.query) == index.MaxWords {
			s.cut = true
			return
		}
		s.typed[t.word] = struct{}{}
		s.query = append(s.query, t)
	})
	s.fixed = make([]string, len(s.query))
	return s
}

// end gives the working memory back.
func (e *Engine) end(s *search) {
	s.reset()
	e.scratch.Put(s.scratch)
}

// didYouMean is the text with its corrections, or "".
func (s *search) didYouMean() string {
	if s.fixedName != "" && Collapse(s.fixedName) != s.collapsed && slices.ContainsFunc(s.fixed, func(f string) bool { return f != "" }) {
		return s.fixedName
	}
	out, changed := make([]string, len(s.query)), false
	for i, t := range s.query {
		out[i] = t.word
		if s.fixed[i] != "" {
			out[i], changed = s.fixed[i], true
		}
	}
	if !changed {
		return ""
	}
	return strings.Join(out, " ")
}

// position is a place in the order of hits.
type position struct {
	score float64
	value int64 // hit.value
	key   string
}

// The cursor is base64url of: 8 bytes of a hash of the query, 8 of the score,
// 8 of the sort value, then the key.
const cursorHead = 24

// QueryHash tells queries apart that must not share a cursor.
func QueryHash(q index.Query) []byte {
	h := sha256.New()
	put := func(values ...string) {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(values)))
		h.Write(n[:])
		for _, v := range values {
			binary.BigEndian.PutUint32(n[:], uint32(len(v)))
			h.Write(n[:])
			h.Write([]byte(v))
		}
	}
	f := q.Filters
	put(q.Text, string(q.Sort), q.FitsKey)
	for _, values := range [][]string{
		f.Namespace, f.License, f.LicenseGroup, f.Standard, f.Language, f.Platform, f.Kind, f.Signed, f.Build, f.Keyword, f.Category, f.DependsOn, f.Header,
	} {
		put(values...)
	}
	return h.Sum(nil)[:8]
}

func writeCursor(q index.Query, p position) string {
	b := QueryHash(q)
	b = binary.BigEndian.AppendUint64(b, math.Float64bits(p.score))
	b = binary.BigEndian.AppendUint64(b, uint64(p.value))
	return base64.RawURLEncoding.EncodeToString(append(b, p.key...))
}

// readCursor returns the place after which q goes on, or nil.
func readCursor(q index.Query) (*position, error) {
	if q.Cursor == "" {
		return nil, nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(q.Cursor)
	if err != nil || len(b) <= cursorHead || !slices.Equal(b[:8], QueryHash(q)) {
		return nil, index.BadCursor()
	}
	p := &position{
		score: math.Float64frombits(binary.BigEndian.Uint64(b[8:])),
		value: int64(binary.BigEndian.Uint64(b[16:])),
		key:   string(b[cursorHead:]),
	}
	if math.IsNaN(p.score) {
		return nil, index.BadCursor()
	}
	return p, nil
}
