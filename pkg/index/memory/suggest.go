package memory

import (
	"context"

	"github.com/clydepm/clyde-registry/pkg/index"
)

// Suggest implements index.Engine.
func (e *Engine) Suggest(ctx context.Context, text string, limit int, visible func(key string) bool) ([]index.Hit, error) {
	q, err := index.Query{Text: text}.Check()
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if limit <= 0 || limit > index.MaxSuggest {
		limit = index.MaxSuggest
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.state == nil {
		return nil, closed()
	}
	s := e.begin(ctx, text, visible)
	defer e.end(s)
	if s.collapsed == "" {
		return nil, nil
	}
	s.byName()
	q.Limit = limit
	s.collect(q, true, nil)
	hits := make([]index.Hit, 0, limit)
	for _, h := range s.hits[:min(limit, len(s.hits))] {
		hits = append(hits, index.Hit{Key: s.st.docs[h.doc].key, Score: h.score, Highlights: s.highlights(h.doc)})
	}
	return hits, nil
}
