// Package memory is the embedded search engine: an inverted index in memory,
// rebuilt from the database when the server starts and changed in place when a
// package is published. One mutex guards it; a search holds it for reading
// for some milliseconds at most, so that every search sees one moment.
package memory

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/index"
)

// Options tune an Engine. The zero value is right for a server.
type Options struct {
	// Budget is the longest time that scoring one query may take; what has
	// been found by then is the result, marked as truncated. 0 means
	// DefaultBudget. It is a backstop: limits on work come into force first.
	// Filtering and counting what was found is not part of it: that takes some
	// 40 ns a document, and totals and facets stay exact.
	Budget time.Duration
}

// DefaultBudget is Options.Budget's default. Ours: what a person does not yet
// take for waiting.
const DefaultBudget = 100 * time.Millisecond

// Engine is an index.Engine.
type Engine struct {
	budget  time.Duration
	scratch sync.Pool // *scratch

	rebuild sync.Mutex // held by Rebuild
	mu      sync.RWMutex
	state   *state // nil once closed
	// While a Rebuild runs, what has changed since it began, by key: the
	// document, or nil when it was deleted. Otherwise nil.
	pending map[string]*index.Document
}

var _ index.Engine = (*Engine)(nil)

// New returns an empty engine.
func New(o Options) *Engine {
	if o.Budget <= 0 {
		o.Budget = DefaultBudget
	}
	e := &Engine{budget: o.Budget, state: newState()}
	e.scratch.New = func() any { return new(scratch) }
	return e
}

func closed() error {
	return clyde.Errorf(clyde.ErrUnavailable, "search is shutting down").WithCode("search_closed")
}

// Put implements index.Engine.
func (e *Engine) Put(ctx context.Context, docs ...index.Document) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	a := newAnalyser()
	parts := make([]prepared, len(docs))
	for i := range docs {
		if err := check(&docs[i]); err != nil {
			return err
		}
		parts[i] = a.prepare(&docs[i])
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.state == nil {
		return closed()
	}
	for i := range parts {
		e.state.put(&parts[i], a.texts)
		if e.pending != nil {
			e.pending[parts[i].doc.Key] = own(docs[i])
		}
	}
	return nil
}

// check refuses what cannot be found again.
func check(d *index.Document) error {
	if d.Key == "" || d.Name.Base == "" {
		return clyde.Errorf(clyde.ErrInvalid, "a search document needs a key and a name: %q, %q", d.Key, d.Name.String())
	}
	return nil
}

// own returns a copy of d that shares no slice with the caller.
func own(d index.Document) *index.Document {
	for _, p := range []*[]string{&d.Aliases, &d.Keywords, &d.Categories, &d.Platforms, &d.Builds, &d.Profiles, &d.Headers, &d.Dependencies} {
		*p = slices.Clone(*p)
	}
	return &d
}

// Delete implements index.Engine.
func (e *Engine) Delete(ctx context.Context, keys ...string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.state == nil {
		return closed()
	}
	for _, k := range keys {
		e.state.remove(k)
		if e.pending != nil {
			e.pending[k] = nil
		}
	}
	return nil
}

// Rebuild implements index.Engine.
func (e *Engine) Rebuild(ctx context.Context, docs iter.Seq2[index.Document, error]) (err error) {
	e.rebuild.Lock()
	defer e.rebuild.Unlock()
	e.mu.Lock()
	e.pending = map[string]*index.Document{}
	e.mu.Unlock()
	defer func() {
		if err != nil {
			e.mu.Lock()
			e.pending = nil
			e.mu.Unlock()
		}
	}()
	next, err := load(ctx, docs)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.state == nil {
		return closed()
	}
	a := newAnalyser()
	for key, d := range e.pending {
		if d == nil {
			next.remove(key)
			continue
		}
		p := a.prepare(d)
		next.put(&p, a.texts)
	}
	e.pending = nil
	e.state = next
	return nil
}

// Len implements index.Engine.
func (e *Engine) Len() int {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.state == nil {
		return 0
	}
	return len(e.state.slots)
}

// Close implements index.Engine. It waits for searches that are under way.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.state = nil
	return nil
}
