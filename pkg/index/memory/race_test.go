package memory_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/clydepm/clyde-registry/pkg/index"
	"github.com/clydepm/clyde-registry/pkg/index/indextest"
	"github.com/clydepm/clyde-registry/pkg/index/memory"
)

// TestOneMoment writes pairs of documents together while others read: a search
// must see both of a pair or neither, through rebuilds too.
func TestOneMoment(t *testing.T) {
	t.Parallel()
	e := memory.New(patient)
	pair := func(i int, word string) []index.Document {
		docs := slices.Collect(indextest.Generate(2, uint64(i)))
		for k := range docs {
			docs[k].Key = fmt.Sprintf("pair/p%d-%d", i%4, k)
			docs[k].Name.Namespace, docs[k].Name.Base = "pair", fmt.Sprintf("p%d-%d", i%4, k)
			docs[k].Description, docs[k].Keywords = word, nil
		}
		return docs
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				r, err := e.Search(t.Context(), index.Query{Text: "quokkaword", Facets: true})
				if err != nil || r.Total%2 != 0 || r.Total != len(r.Hits) {
					t.Errorf("Search during writes: %d hits of %d, %v; want pairs", len(r.Hits), r.Total, err)
					return
				}
				if _, err := e.Suggest(t.Context(), "p1", 0, nil); err != nil {
					t.Errorf("Suggest: %v", err)
				}
			}
		})
	}
	for i := range 200 {
		if err := e.Put(t.Context(), pair(i, "quokkaword")...); err != nil {
			t.Fatal(err)
		}
		switch i % 10 {
		case 3:
			if err := e.Delete(t.Context(), "pair/p1-0", "pair/p1-1"); err != nil {
				t.Fatal(err)
			}
		case 7:
			err := e.Rebuild(t.Context(), func(yield func(index.Document, error) bool) {
				for _, d := range pair(i, "quokkaword") {
					if !yield(d, nil) {
						return
					}
				}
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	close(done)
	readers.Wait()
}

// TestPutDeleteLeavesNothing puts and deletes at random and compares with an
// index that never had the deleted ones.
func TestPutDeleteLeavesNothing(t *testing.T) {
	t.Parallel()
	docs := slices.Collect(indextest.Generate(400, 7))
	busy, calm := memory.New(patient), memory.New(patient)
	if err := busy.Put(t.Context(), docs...); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(docs); i += 2 {
		if err := busy.Delete(t.Context(), docs[i].Key); err != nil {
			t.Fatal(err)
		}
		if err := calm.Put(t.Context(), docs[i+1]); err != nil {
			t.Fatal(err)
		}
		if err := busy.Put(t.Context(), docs[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for q := range indextest.Queries(docs, 3) {
		if n++; n > 300 {
			break
		}
		a, err := busy.Search(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		b, err := calm.Search(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(a) != fmt.Sprint(b) {
			t.Fatalf("Search(%+v) differs after deletes:\n%v\n%v", q, a, b)
		}
	}
}

// FuzzSearch states that any text gives an answer within the limits, or
// ErrInvalid from Check, and that spans lie on rune boundaries of their text.
func FuzzSearch(f *testing.F) {
	e := memory.New(patient)
	if err := e.Put(f.Context(), slices.Collect(indextest.Generate(300, 5))...); err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"", "json", "<fmt/core.h>", "a b c d e f g h i j k l m", "lib", "@a/b", "c++", "日本語", "İstanbul.h", "/", "#include \"", "\x00"} {
		f.Add(s, "MIT")
	}
	f.Fuzz(func(t *testing.T, text, license string) {
		q := index.Query{Text: text, Facets: true, Filters: index.Filters{License: []string{license}, Header: []string{license}}}
		_, invalid := q.Check()
		r, err := e.Search(t.Context(), q)
		if (err != nil) != (invalid != nil) {
			t.Fatalf("Search(%q) = %v; Check says %v", text, err, invalid)
		}
		if len(r.Hits) > index.DefaultLimit || r.Total < len(r.Hits) {
			t.Errorf("Search(%q): %d hits of %d", text, len(r.Hits), r.Total)
		}
		q.Filters = index.Filters{}
		r, _ = e.Search(t.Context(), q)
		for _, h := range r.Hits {
			for field, l := range h.Highlights {
				at := 0
				for _, s := range l.Spans {
					if s.Start < at || s.End <= s.Start || s.End > len(l.Text) || !utf8.ValidString(l.Text[s.Start:s.End]) {
						t.Errorf("Search(%q): %s: spans %v of %q", text, field, l.Spans, l.Text)
					}
					at = s.End
				}
			}
		}
	})
}
