package memory

import (
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/index"
)

// entry is what is kept of a document beside its row: looked at for hits, and
// when the document is taken away.
type entry struct {
	key         string
	base        string // of the name
	description string
	aliases     []string
	headers     []string
	words       []int32  // ids in state.words
	names       []int32  // ids in state.names
	depends     []uint32 // ordinals of fDepends
}

// headerRef is one header of one document.
type headerRef struct{ doc, at int32 } // at: in entry.headers

// state is the index itself. Reading it is safe from many goroutines, changing
// it is not.
type state struct {
	rows    []row // by slot, as are the next two
	sorts   []sortRow
	docs    []entry
	many    []uint32         // ordinals of keywords and categories: a piece for each row
	stale   int              // how many of them belong to no row any more
	slots   map[string]int32 // by key
	free    []int32
	public  int // public documents
	words   *vocab
	names   *vocab
	headers map[string][]headerRef // by base name in lower case
	tables  [fFields]table

	profiles table // of builds
	shapes   []shape
	shapeIDs map[string]uint32
}

func newState() *state {
	s := &state{
		slots: map[string]int32{}, words: newVocab(true), names: newVocab(false), headers: map[string][]headerRef{},
		shapeIDs: map[string]uint32{},
	}
	for i := range s.tables {
		s.tables[i] = newTable(nil)
	}
	s.tables[fLicense] = newTable(LicenseNames)
	s.tables[fDepends] = newTable(DependencyNames)
	s.profiles = newTable(nil)
	return s
}

// put adds a document, or replaces the one of the same key in its slot.
// Texts are those of the analyser that prepared it.
func (s *state) put(p *prepared, texts []string) {
	slot, ok := s.slots[p.doc.Key]
	switch n := len(s.free); {
	case ok:
		s.clear(slot)
	case n > 0:
		slot, s.free = s.free[n-1], s.free[:n-1]
	default:
		slot = int32(len(s.docs))
		s.grow(len(s.docs) + 1)
	}
	s.fill(slot, p)
	e := &s.docs[slot]
	e.words = make([]int32, 0, len(p.words))
	for _, w := range p.words {
		e.words = append(e.words, s.words.add(texts[w.id], slot, w.weight, p.doc.Private))
	}
	e.names = make([]int32, 0, len(p.forms))
	for _, f := range p.forms {
		e.names = append(e.names, s.names.add(f.text, slot, f.kind, p.doc.Private))
	}
	s.slots[e.key] = slot
}

// grow makes room for n documents.
func (s *state) grow(n int) {
	for len(s.docs) < n {
		s.docs, s.rows, s.sorts = append(s.docs, entry{}), append(s.rows, row{}), append(s.sorts, sortRow{})
	}
}

// fill writes everything of a document into a slot that is vacant, but for its
// words and names.
func (s *state) fill(slot int32, p *prepared) {
	d := &p.doc
	s.docs[slot] = entry{key: d.Key, base: d.Name.Base, description: d.Description, aliases: d.Aliases, headers: d.Headers}
	e := &s.docs[slot]
	for _, v := range d.Dependencies[:min(len(d.Dependencies), maxDependencies)] {
		if id := s.tables[fDepends].id(v); id != 0 && !slices.Contains(e.depends, id) {
			e.depends = append(e.depends, id)
		}
	}
	e.depends = slices.Clip(e.depends)
	var x shape
	for i, v := range [fPlatform]string{d.License, d.Language, d.Kind, d.Signed, d.Standard, strings.ToLower(d.LicenseGroup)} {
		x.single[i] = s.tables[i].id(v)
	}
	for _, v := range d.Platforms {
		x.platforms = append(x.platforms, s.tables[fPlatform].id(v))
	}
	for _, v := range d.Builds {
		x.builds = append(x.builds, s.tables[fBuild].id(v))
	}
	for _, v := range d.Profiles {
		x.profiles = append(x.profiles, s.profiles.id(v))
	}
	s.compact()
	r := row{
		popularity: popularity(d.Dependents, d.Downloads), factor: factor(d), dependents: int32(min(d.Dependents, 1<<30)),
		status: public, shape: s.shape(x), namespace: s.tables[fNamespace].id(d.Name.Namespace),
		many: uint32(len(s.many)), keywords: uint8(len(d.Keywords)), categories: uint8(len(d.Categories)),
	}
	for _, v := range d.Keywords {
		s.many = append(s.many, s.tables[fKeyword].id(v))
	}
	for _, v := range d.Categories {
		s.many = append(s.many, s.tables[fCategory].id(v))
	}
	if d.Private {
		r.status = private
	} else {
		s.public++
	}
	s.rows[slot] = r
	s.sorts[slot] = sortRow{downloads: d.Downloads, updated: d.Updated.Unix(), created: d.Created.Unix(), name: nameValue(baseOf(d.Key))}
	for i, h := range d.Headers {
		name := headerKey(h)
		s.headers[name] = append(s.headers[name], headerRef{slot, int32(i)})
	}
}

const (
	maxDependencies = 256 // dependencies of one document that are kept
	maxHeader       = 255 // bytes of an include path: what a file name may have
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
	hidden := s.rows[slot].status == private
	for _, id := range e.words {
		s.words.remove(id, slot, hidden)
	}
	for _, id := range e.names {
		s.names.remove(id, slot, hidden)
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
	if !hidden {
		s.public--
	}
	s.stale += int(s.rows[slot].keywords + s.rows[slot].categories)
	s.docs[slot], s.rows[slot], s.sorts[slot] = entry{}, row{}, sortRow{}
}

// header returns the include path that r stands for.
func (s *state) header(r headerRef) string { return s.docs[r.doc].headers[r.at] }
