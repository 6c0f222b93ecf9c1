package meili

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"time"

	"github.com/meilisearch/meilisearch-go"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/index"
)

// Put implements index.Engine.
func (e *Engine) Put(ctx context.Context, docs ...index.Document) error {
	if err := e.ready(ctx); err != nil {
		return err
	}
	for i := range docs {
		if err := check(&docs[i]); err != nil {
			return err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	b := e.batch(e.main())
	for i := range docs {
		if err := b.add(ctx, docs[i]); err != nil {
			return err
		}
	}
	if err := b.send(ctx); err != nil {
		return err
	}
	if e.pending != nil {
		for _, d := range docs {
			e.pending[d.Key] = &d
		}
	}
	return nil
}

// Delete implements index.Engine.
func (e *Engine) Delete(ctx context.Context, keys ...string) error {
	if err := e.ready(ctx); err != nil || len(keys) == 0 {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.remove(ctx, e.main(), keys); err != nil {
		return err
	}
	if e.pending != nil {
		for _, k := range keys {
			e.pending[k] = nil
		}
	}
	return nil
}

func (e *Engine) remove(ctx context.Context, uid string, keys []string) error {
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = hashed(k)
	}
	return e.task(ctx, func(ctx context.Context) (*meilisearch.TaskInfo, error) {
		return e.api.Index(uid).DeleteDocumentsWithContext(ctx, ids, nil)
	})
}

// batch gathers documents for one index and sends them in requests that
// Meilisearch takes.
type batch struct {
	e     *Engine
	uid   string
	lines [][]byte
	size  int
}

func (e *Engine) batch(uid string) *batch { return &batch{e: e, uid: uid} }

func (b *batch) add(ctx context.Context, d index.Document) error {
	line, err := json.Marshal(recordOf(d))
	if err != nil {
		return err
	}
	if b.size+len(line) > maxBatch {
		if err := b.send(ctx); err != nil {
			return err
		}
	}
	b.lines, b.size = append(b.lines, line), b.size+len(line)+1
	return nil
}

// send sends what there is, and waits until it is indexed.
func (b *batch) send(ctx context.Context) error {
	lines := b.lines
	b.lines, b.size = nil, 0
	if len(lines) == 0 {
		return nil
	}
	return b.e.add(ctx, b.uid, lines)
}

// add puts records, as JSON, into an index. What Meilisearch finds too large is
// sent in halves.
func (e *Engine) add(ctx context.Context, uid string, lines [][]byte) error {
	err := e.task(ctx, func(ctx context.Context) (*meilisearch.TaskInfo, error) {
		return e.api.Index(uid).AddDocumentsNdjsonWithContext(ctx, bytes.Join(lines, []byte("\n")), nil)
	})
	f, ok := errors.AsType[*failure](err)
	if !ok || f.status != http.StatusRequestEntityTooLarge || len(lines) == 1 {
		return err
	}
	half := len(lines) / 2
	if err := e.add(ctx, uid, lines[:half]); err != nil {
		return err
	}
	return e.add(ctx, uid, lines[half:])
}

// Rebuild implements index.Engine: the new content is made beside the old, and
// takes its place in one step when Meilisearch has all of it.
func (e *Engine) Rebuild(ctx context.Context, docs iter.Seq2[index.Document, error]) (err error) {
	if err := e.ready(ctx); err != nil {
		return err
	}
	e.rebuild.Lock()
	defer e.rebuild.Unlock()
	e.mu.Lock()
	e.pending = map[string]*index.Document{}
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		e.pending = nil
		e.mu.Unlock()
	}()
	// What a rebuild that was cut short has left.
	if err := e.drop(ctx, e.next()); err != nil {
		return err
	}
	if err := e.create(ctx, e.next()); err != nil {
		return err
	}
	there := map[string]bool{}
	b := e.batch(e.next())
	for d, err := range docs {
		if err != nil {
			return err
		}
		if err := check(&d); err != nil {
			return err
		}
		if err := b.add(ctx, d); err != nil {
			return err
		}
		there[hashed(d.Key)] = true
	}
	if err := b.send(ctx); err != nil {
		return err
	}
	if err := e.swap(ctx, there); err != nil {
		return err
	}
	return e.drop(ctx, e.next())
}

// swap puts what was changed meanwhile into the next index and lets it take the
// place of the one that is searched. Nobody writes between.
func (e *Engine) swap(ctx context.Context, there map[string]bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	b, gone := e.batch(e.next()), []string{}
	for key, d := range e.pending {
		if d == nil {
			gone = append(gone, key)
			delete(there, hashed(key))
			continue
		}
		there[hashed(key)] = true
		if err := b.add(ctx, *d); err != nil {
			return err
		}
	}
	if err := b.send(ctx); err != nil {
		return err
	}
	if len(gone) > 0 {
		if err := e.remove(ctx, e.next(), gone); err != nil {
			return err
		}
	}
	n, err := e.count(ctx, e.next())
	if err != nil {
		return err
	}
	if n != int64(len(there)) {
		return clyde.Errorf(clyde.ErrUnavailable, "the search engine has %d of %d packages after a rebuild; the old index stays", n, len(there)).WithCode("search_incomplete")
	}
	if err := e.Prepare(ctx); err != nil { // there must be something to change places with
		return err
	}
	return e.task(ctx, func(ctx context.Context) (*meilisearch.TaskInfo, error) {
		return e.api.SwapIndexesWithContext(ctx, []*meilisearch.SwapIndexesParams{{Indexes: []string{e.main(), e.next()}}})
	})
}

// Mark is how far the index follows the change feed.
type Mark struct {
	Epoch string `json:"epoch"`
	Seq   int64  `json:"seq"`
	// Of tells the index that it is of from one of the same name: when that was
	// made. Meilisearch makes an index by itself, without our settings, when
	// documents come for one that was lost meanwhile.
	Of string `json:"of"`
}

type marked struct {
	ID string `json:"id"`
	Mark
	Layout int `json:"layout"`
}

const markID = "feed"

// Mark returns what SetMark stored. ok is false where the index has to be built
// anew: there is none, it is another one, or of another layout.
func (e *Engine) Mark(ctx context.Context) (m Mark, ok bool, err error) {
	if err := e.ready(ctx); err != nil {
		return Mark{}, false, err
	}
	of, err := e.made(ctx)
	if codeOf(err) == "index_not_found" {
		return Mark{}, false, nil
	}
	if err != nil {
		return Mark{}, false, err
	}
	var got marked
	ask, cancel := context.WithTimeout(ctx, searchTimeout)
	defer cancel()
	err = e.api.Index(e.state()).GetDocumentWithContext(ask, markID, nil, &got)
	switch code := codeOf(err); {
	case code == "index_not_found" || code == "document_not_found":
		return Mark{}, false, nil
	case err != nil:
		return Mark{}, false, e.fail(ctx, err)
	}
	return got.Mark, got.Layout == layout && got.Of == of, nil
}

// made is when the index that is searched was made.
func (e *Engine) made(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, searchTimeout)
	defer cancel()
	i, err := e.api.Index(e.main()).FetchInfoWithContext(ctx)
	if err != nil {
		return "", e.fail(ctx, err)
	}
	return i.CreatedAt.UTC().Format(time.RFC3339Nano), nil
}

// SetMark stores how far the index follows the feed, once what it names is in.
// A mark that is of no index yet is of the one there is; the mark as it was
// stored is returned.
func (e *Engine) SetMark(ctx context.Context, m Mark) (_ Mark, err error) {
	if m.Of == "" {
		if m.Of, err = e.made(ctx); err != nil {
			return m, err
		}
	}
	line, err := json.Marshal(marked{ID: markID, Mark: m, Layout: layout})
	if err != nil {
		return m, fmt.Errorf("meili: mark: %w", err)
	}
	key := "id"
	return m, e.task(ctx, func(ctx context.Context) (*meilisearch.TaskInfo, error) {
		return e.api.Index(e.state()).AddDocumentsNdjsonWithContext(ctx, line, &meilisearch.DocumentOptions{PrimaryKey: &key})
	})
}
