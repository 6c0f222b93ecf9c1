package memory

import (
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/index"
)

// maxSpans is how many places of one text are marked.
const maxSpans = 32

// highlights marks what in document d matched the query.
func (s *search) highlights(d int32) map[string]index.Highlight {
	if len(s.query) == 0 && s.header == "" {
		return nil
	}
	e := &s.st.docs[d]
	out := map[string]index.Highlight{}
	add := func(field, text string) {
		if spans := s.mark(text); len(spans) > 0 {
			out[field] = index.Highlight{Text: text, Spans: spans}
		}
	}
	add(index.FieldName, e.key)
	add(index.FieldDescription, e.description)
	if ids := s.st.keywords(&s.st.rows[d]); len(ids) > 0 {
		words := make([]string, len(ids))
		for i, id := range ids {
			words[i] = s.st.tables[fKeyword].values[id].text
		}
		add(index.FieldKeywords, strings.Join(words, ", "))
	}
	for _, alias := range e.aliases {
		if c := Collapse(alias); c == s.collapsed || variant(c) == s.collapsed {
			out[index.FieldAlias] = index.Highlight{Text: alias, Spans: []index.Span{{Start: 0, End: len(alias)}}}
			break
		}
	}
	if s.header != "" {
		want := strings.ToLower(s.header)
		for _, h := range e.headers {
			// Lower case may be longer or shorter than the original; then the
			// whole path is marked.
			if _, ok := endsIn(h, want); ok {
				from := max(0, len(h)-len(want))
				if !strings.EqualFold(h[from:], want) {
					from = 0
				}
				out[index.FieldHeader] = index.Highlight{Text: h, Spans: []index.Span{{Start: from, End: len(h)}}}
				break
			}
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// mark returns where the words of the query, as written, begun or nearly so,
// stand in text.
func (s *search) mark(text string) []index.Span {
	var spans []index.Span
	tokenize(text, func(t token) {
		if len(spans) == maxSpans {
			return
		}
		if n := s.matches(t.word); n == len(t.word) {
			spans = append(spans, index.Span{Start: t.start, End: t.end})
		} else if n > 0 && isASCII(text[t.start:t.end]) {
			spans = append(spans, index.Span{Start: t.start, End: t.start + n})
		} else if n > 0 {
			spans = append(spans, index.Span{Start: t.start, End: t.end})
		}
	})
	return spans
}

// matches returns how many bytes of word are to be marked.
func (s *search) matches(word string) int {
	if _, ok := s.typed[word]; ok || slices.Contains(s.fixed, word) {
		return len(word)
	}
	most := 0
	for _, t := range s.query {
		if len(t.word) >= 2 && strings.HasPrefix(word, t.word) {
			most = max(most, len(t.word))
		} else if len(t.word) > 3 && stem(word) == stem(t.word) {
			most = max(most, len(word))
		}
	}
	if most == 0 && (word == s.fixedName || strings.HasPrefix(s.collapsed, word) && len(word) > 3) {
		return len(word)
	}
	return most
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
