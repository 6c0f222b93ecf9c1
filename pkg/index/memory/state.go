package memory

import (
	"cmp"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/index"
)

// facet fields of an entry, in the order of index.Facet…
const (
	fLicense = iota
	fLanguage
	fPlatform
	fKind
	fSigned
	fKeyword
	fCategory
	fNamespace
	fDepends // filter only
	fFields
)

// counted is how many of the fields are facets.
const counted = fNamespace + 1

var facetNames = [counted]string{
	index.FacetLicense, index.FacetLanguage, index.FacetPlatform, index.FacetKind,
	index.FacetSigned, index.FacetKeyword, index.FacetCategory, index.FacetNamespace,
}

// entry is what is kept of a document.
type entry struct {
	// What every search looks at comes first: it is one or two cache lines.
	key        string
	values     []uint32 // ids of cells, field by field
	ends       [fFields]uint16
	private    bool
	popularity float32
	factor     float32 // of the whole score: deprecated, unlicensed
	dependents int32
	downloads  int64

	base        string // of the name
	description string
	aliases     []string
	headers     []string
	words       []int32 // ids in state.words
	names       []int32 // ids in state.names
	group       string
	updated     int64 // Unix seconds
	created     int64
}

// of returns the values that the entry has of a field.
func (e *entry) of(f int) []uint32 {
	from := uint16(0)
	if f > 0 {
		from = e.ends[f-1]
	}
	return e.values[from:e.ends[f]]
}

// headerRef is one header of one document.
type headerRef struct {
	doc  int32
	path string // as in entry.headers
}

// state is the index itself. Reading it is safe from many goroutines, changing
// it is not.
type state struct {
	docs    []entry // by slot; the key of a free one is ""
	slots   map[string]int32
	free    []int32
	public  int // public documents
	words   *vocab
	names   *vocab
	headers map[string][]headerRef     // by base name in lower case
	tables  [fFields]map[string]uint32 // ids in cells by value
	cells   []cell
}

func newState() *state {
	s := &state{slots: map[string]int32{}, words: newVocab(true), names: newVocab(false), headers: map[string][]headerRef{}}
	for i := range s.tables {
		s.tables[i] = map[string]uint32{}
	}
	return s
}

// seal ends bulk loading: from here on, put keeps everything sorted.
func (s *state) seal() {
	s.words.seal()
	s.names.seal()
}

// put adds d, or replaces the document of the same key in its slot.
func (s *state) put(d *index.Document, a analysis) {
	slot, ok := s.slots[d.Key]
	switch n := len(s.free); {
	case ok:
		s.clear(slot)
	case n > 0:
		slot, s.free = s.free[n-1], s.free[:n-1]
	default:
		slot = int32(len(s.docs))
		s.docs = append(s.docs, entry{})
	}
	e := entry{
		key: strings.Clone(d.Key), base: strings.Clone(d.Name.Base), description: strings.Clone(d.Description),
		aliases: slices.Clone(d.Aliases), headers: make([]string, 0, len(d.Headers)), group: strings.ToLower(d.LicenseGroup),
		dependents: int32(min(d.Dependents, 1<<30)), downloads: d.Downloads,
		updated: d.Updated.Unix(), created: d.Created.Unix(),
		popularity: popularity(d.Dependents), factor: factor(d), private: d.Private,
		words: make([]int32, 0, len(a.words)), names: make([]int32, 0, len(a.forms)),
	}
	for i, values := range [fFields][]string{
		{d.License}, {d.Language}, d.Platforms, {d.Kind}, {d.Signed}, d.Keywords, d.Categories, {d.Name.Namespace}, d.Dependencies,
	} {
		if len(values) == 1 && values[0] == "" {
			values = nil
		}
		from := len(e.values)
		for _, v := range values[:min(len(values), maxValues)] {
			if id := s.cell(i, v); !slices.Contains(e.values[from:], id) {
				e.values = append(e.values, id)
			}
		}
		e.ends[i] = uint16(len(e.values))
	}
	e.values = slices.Clip(e.values)
	for w, weight := range a.words {
		e.words = append(e.words, s.words.add(w, slot, weight, d.Private))
	}
	for w, kind := range a.forms {
		e.names = append(e.names, s.names.add(w, slot, kind, d.Private))
	}
	for _, h := range d.Headers {
		if len(h) > maxHeader {
			continue
		}
		h = strings.Clone(h)
		e.headers = append(e.headers, h)
		name := headerKey(h)
		s.headers[name] = append(s.headers[name], headerRef{slot, h})
	}
	if !d.Private {
		s.public++
	}
	s.docs[slot] = e
	s.slots[e.key] = slot
}

const (
	maxValues = 256 // values of one field that are kept, dependencies above all
	maxHeader = 255 // bytes of an include path: what a file name may have
)

// factor makes less of what nobody should start to use, and of what nobody may.
func factor(d *index.Document) float32 {
	f := float32(1)
	if d.Deprecated || d.Yanked {
		f *= .3
	}
	if d.License == "" {
		f *= .97
	}
	return f
}

// headerKey is the base name of an include path, in lower case.
func headerKey(path string) string {
	return strings.ToLower(path[strings.LastIndexByte(path, '/')+1:])
}

// remove takes the document with this key away.
func (s *state) remove(key string) {
	slot, ok := s.slots[key]
	if !ok {
		return
	}
	s.clear(slot)
	delete(s.slots, key)
	s.free = append(s.free, slot)
}

// clear empties a slot.
func (s *state) clear(slot int32) {
	e := &s.docs[slot]
	for _, id := range e.words {
		s.words.remove(id, slot, e.private)
	}
	for _, id := range e.names {
		s.names.remove(id, slot, e.private)
	}
	for _, h := range e.headers {
		name := headerKey(h)
		left := slices.DeleteFunc(s.headers[name], func(r headerRef) bool { return r.doc == slot })
		if len(left) == 0 {
			delete(s.headers, name)
		} else {
			s.headers[name] = left
		}
	}
	if !e.private {
		s.public--
	}
	*e = entry{}
}

// compare orders documents by sort, the first first, ties by key.
func (s *state) compare(sort index.Sort, a, b *entry) int {
	var c int
	switch sort {
	case index.SortDownloads:
		c = cmp.Compare(b.downloads, a.downloads)
	case index.SortUpdated:
		c = cmp.Compare(b.updated, a.updated)
	case index.SortNew:
		c = cmp.Compare(b.created, a.created)
	case index.SortName:
		c = strings.Compare(baseOf(a.key), baseOf(b.key))
	}
	if c != 0 {
		return c
	}
	return strings.Compare(a.key, b.key)
}
