package memory

import (
	"context"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/clydepm/clyde-registry/pkg/index"
)

// Loading a whole index is a pipeline: the caller's goroutine reads documents
// into batches, workers take them apart, one goroutine puts the parts into the
// state. Postings come last, all in one piece, when it is known how many each
// term has.

// loadBatch is how many documents a worker takes at a time: enough to make
// handing over cheap, few enough that little is under way.
const loadBatch = 128

// maxLoaders bounds the workers, each of which has a vocabulary of its own.
const maxLoaders = 4

// batch is a run of documents on its way into the state.
type batch struct {
	first int32 // slot of the first document
	docs  []index.Document

	parts []prepared
	from  *analyser
	texts []string // the worker's words that it had not met before this batch
}

// loaded is what is kept of a batch until the postings are made: for its
// documents, one after another, weights in the order of the ids.
type loaded struct {
	first        int32
	docs         int32
	weights      []float32 // of entry.words
	kinds        []float32 // of entry.names
	words, names []int32   // what the entries have pieces of
}

// load makes a state of docs. Of documents with one key the last counts.
func load(ctx context.Context, docs iter.Seq2[index.Document, error]) (*state, error) {
	var (
		s       = newState()
		in      = make(chan *batch, maxLoaders)
		out     = make(chan *batch, maxLoaders)
		again   []*index.Document // with a key that was there before
		workers sync.WaitGroup
		merged  = make(chan *loader)
	)
	for range min(runtime.GOMAXPROCS(0), maxLoaders) {
		workers.Go(func() {
			a, known := newAnalyser(), 0
			for b := range in {
				b.parts = make([]prepared, len(b.docs))
				for i := range b.docs {
					b.parts[i] = a.prepare(&b.docs[i])
				}
				b.docs, b.from, b.texts, known = nil, a, a.texts[known:len(a.texts):len(a.texts)], len(a.texts)
				out <- b
			}
		})
	}
	go func() {
		l := newLoader(s)
		for b := range out {
			l.merge(b)
		}
		merged <- l
	}()
	err := func() error {
		b, next := new(batch), int32(0)
		for d, err := range docs {
			if err == nil {
				err = ctx.Err()
			}
			if err == nil {
				err = check(&d)
			}
			if err != nil {
				return err
			}
			own := own(d)
			if _, ok := s.slots[d.Key]; ok {
				again = append(again, own)
				continue
			}
			own.Key = strings.Clone(own.Key)
			s.slots[own.Key] = next
			next++
			if b.docs = append(b.docs, *own); len(b.docs) == loadBatch {
				in <- b
				b = &batch{first: next}
			}
		}
		if len(b.docs) > 0 {
			in <- b
		}
		return nil
	}()
	close(in)
	workers.Wait()
	close(out)
	l := <-merged
	if err != nil {
		return nil, err
	}
	l.finish()
	a := newAnalyser()
	for _, d := range again {
		p := a.prepare(d)
		s.put(&p, a.texts)
	}
	return s, nil
}

// loader puts batches into a state.
type loader struct {
	s       *state
	ids     map[*analyser][]int32 // ids in words, by the worker's
	words   *terms
	names   *terms
	batches []loaded
}

func newLoader(s *state) *loader {
	return &loader{s: s, ids: map[*analyser][]int32{}, words: newTerms(), names: newTerms()}
}

// merge takes a batch, in any order.
func (l *loader) merge(b *batch) {
	ids := l.ids[b.from]
	for _, text := range b.texts {
		ids = append(ids, l.words.id(text))
	}
	l.ids[b.from] = ids
	words, names := 0, 0
	for i := range b.parts {
		words, names = words+len(b.parts[i].words), names+len(b.parts[i].forms)
	}
	out := loaded{
		first: b.first, docs: int32(len(b.parts)),
		weights: make([]float32, 0, words), kinds: make([]float32, 0, names),
		words: make([]int32, 0, words), names: make([]int32, 0, names),
	}
	l.s.grow(int(b.first) + len(b.parts))
	for i := range b.parts {
		p := &b.parts[i]
		slot := b.first + int32(i)
		l.s.fill(slot, p)
		w, n := len(out.words), len(out.names)
		for _, x := range p.words {
			out.words, out.weights = append(out.words, ids[x.id]), append(out.weights, x.weight)
		}
		for _, x := range p.forms {
			out.names, out.kinds = append(out.names, l.names.id(x.text)), append(out.kinds, x.kind)
		}
		e := &l.s.docs[slot]
		e.words = out.words[w:len(out.words):len(out.words)]
		e.names = out.names[n:len(out.names):len(out.names)]
	}
	l.batches = append(l.batches, out)
}

// finish makes the vocabularies.
func (l *loader) finish() {
	slices.SortFunc(l.batches, func(a, b loaded) int { return int(a.first - b.first) })
	var both sync.WaitGroup
	both.Go(func() {
		l.s.words = l.vocab(l.words, true, func(b *loaded) ([]int32, []float32) { return b.words, b.weights },
			func(e *entry) int { return len(e.words) })
	})
	both.Go(func() {
		l.s.names = l.vocab(l.names, false, func(b *loaded) ([]int32, []float32) { return b.names, b.kinds },
			func(e *entry) int { return len(e.names) })
	})
	both.Wait()
	l.batches = nil
}

// vocab makes a vocabulary of terms. It numbers them anew, in the order of
// their texts, in the entries too: what begins alike then lies together in
// memory. Postings are cut from one piece and come in the order of documents.
func (l *loader) vocab(t *terms, stems bool, of func(*loaded) ([]int32, []float32), count func(*entry) int) *vocab {
	v := newVocab(stems)
	n := len(t.texts)
	v.sorted = make([]int32, n)
	order := make([]int32, n) // old id by new
	for i := range order {
		order[i], v.sorted[i] = int32(i), int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return strings.Compare(t.texts[a], t.texts[b]) })
	v.terms, v.sketches, v.ids = make([]term, n), make([]uint64, n), t.ids
	renamed := make([]int32, n) // new id by old
	for id, old := range order {
		text := t.texts[old]
		renamed[old] = int32(id)
		v.terms[id], v.sketches[id], v.ids[text] = term{text: text}, sketch(text), int32(id)
		if stems {
			s := stem(text)
			v.stems[s] = append(v.stems[s], int32(id))
		}
	}
	sizes, all := make([]int32, n), 0
	for i := range l.batches {
		ids, _ := of(&l.batches[i])
		for k, old := range ids {
			ids[k] = renamed[old]
			sizes[renamed[old]]++
		}
		all += len(ids)
	}
	postings := make([]posting, all)
	for id, size := range sizes {
		v.terms[id].posts, postings = postings[:0:size], postings[size:]
	}
	for i := range l.batches {
		b := &l.batches[i]
		ids, weights := of(b)
		at := 0
		for slot := b.first; slot < b.first+b.docs; slot++ {
			shown := l.s.rows[slot].status == public
			for range count(&l.s.docs[slot]) {
				t := &v.terms[ids[at]]
				t.posts = append(t.posts, posting{slot, weights[at]})
				if shown {
					t.public++
				}
				at++
			}
		}
	}
	return v
}

// terms numbers texts as they come.
type terms struct {
	ids   map[string]int32
	texts []string
}

func newTerms() *terms { return &terms{ids: map[string]int32{}} }

func (t *terms) id(text string) int32 {
	id, ok := t.ids[text]
	if !ok {
		id = int32(len(t.texts))
		t.ids[text], t.texts = id, append(t.texts, text)
	}
	return id
}
