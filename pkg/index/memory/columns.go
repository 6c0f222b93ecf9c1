package memory

import (
	"encoding/binary"
	"slices"
	"strings"
)

// Fields whose values are filtered by. Those before shaped take few values and
// are kept by shape; the others by document. All but fDepends are facets.
const (
	fLicense = iota
	fLanguage
	fKind
	fSigned
	fStandard
	fGroup // of licences
	fPlatform
	fBuild
	fNamespace
	fKeyword
	fCategory
	fDepends
	fFields
)

const (
	shaped  = fBuild + 1    // fields of a shape
	counted = fCategory + 1 // fields that are facets
)

// row is what every search looks at of a document. It is small, so that going
// through all of them costs little more than reading them.
type row struct {
	popularity float32
	factor     float32 // of the whole score: deprecated, unlicensed
	dependents int32
	shape      uint32 // place in state.shapes
	namespace  uint32 // ordinal
	many       uint32 // place in state.many
	keywords   uint8  // how many are there
	categories uint8  // how many follow them
	status     status
}

type status uint8

const (
	vacant status = iota
	public
	private
)

// shape is what many documents have in common: the ordinals of the fields that
// take few values. There are far fewer shapes than documents, so counting and
// filtering them once saves doing it for each document.
type shape struct {
	single    [fPlatform]uint32 // by field; 0 is no value
	platforms []uint32
	builds    []uint32
	profiles  []uint32 // ordinals in state.profiles
}

// several returns the ordinals of a field that a document may have many of.
func (x *shape) several(field int) []uint32 {
	if field == fBuild {
		return x.builds
	}
	return x.platforms
}

// shape returns the place of a shape, which it adds when it is new. Like a
// value it stays until the next Rebuild.
func (s *state) shape(x shape) uint32 {
	key := make([]byte, 0, 64)
	for _, id := range x.single {
		key = binary.BigEndian.AppendUint32(key, id)
	}
	for _, ids := range [...][]uint32{x.platforms, x.builds, x.profiles} {
		for _, id := range ids {
			key = binary.BigEndian.AppendUint32(key, id)
		}
		key = binary.BigEndian.AppendUint32(key, 0) // no ordinal
	}
	if id, ok := s.shapeIDs[string(key)]; ok {
		return id
	}
	id := uint32(len(s.shapes))
	x.platforms, x.builds, x.profiles = slices.Clone(x.platforms), slices.Clone(x.builds), slices.Clone(x.profiles)
	s.shapes, s.shapeIDs[string(key)] = append(s.shapes, x), id
	return id
}

// keywords returns the ordinals of a row's keywords, categories those of its
// categories.
func (s *state) keywords(r *row) []uint32 { return s.many[r.many:][:r.keywords] }

func (s *state) categories(r *row) []uint32 {
	return s.many[r.many:][r.keywords : r.keywords+r.categories]
}

// compact takes out of many what no row refers to any more, once that is half
// of it.
func (s *state) compact() {
	const least = 1 << 12 // below which it is not worth it
	if s.stale < least || s.stale < len(s.many)/2 {
		return
	}
	many := make([]uint32, 0, len(s.many)-s.stale)
	for i := range s.rows {
		if r := &s.rows[i]; r.status != vacant {
			from := uint32(len(many))
			many = append(many, s.many[r.many:][:r.keywords+r.categories]...)
			r.many = from
		}
	}
	s.many, s.stale = many, 0
}

// sortRow is what sorts compare of a document, the greater the earlier.
type sortRow struct {
	downloads, updated, created int64 // times in Unix seconds
	name                        int64 // from the first bytes of the base name
}

// nameValue is a number by which base names sort as far as their first 8 bytes
// go, the first name having the greatest.
func nameValue(base string) int64 { return int64(^firstBytes(base) ^ 1<<63) }

// firstBytes is the first 8 bytes of s as a number that orders alike.
func firstBytes(s string) uint64 {
	var b [8]byte
	copy(b[:], s)
	return binary.BigEndian.Uint64(b[:])
}

// table numbers the values of one field from 1 on. A value keeps its number
// until the next Rebuild, also when no document has it any more.
type table struct {
	ids    map[string]uint32
	values []value               // by ordinal
	names  func(string) []string // further names of a value, lower case; may be nil
	named  map[string][]uint32   // ordinals by such a name
}

type value struct {
	begins uint64 // firstBytes of text
	text   string
}

func newTable(names func(string) []string) table {
	return table{ids: map[string]uint32{}, values: make([]value, 1), names: names, named: map[string][]uint32{}}
}

// id returns the ordinal of a value, which it adds when it is new; 0 for "".
func (t *table) id(text string) uint32 {
	if text == "" {
		return 0
	}
	if id, ok := t.ids[text]; ok {
		return id
	}
	text = strings.Clone(text)
	id := uint32(len(t.values))
	t.ids[text] = id
	t.values = append(t.values, value{firstBytes(text), text})
	if t.names != nil {
		for _, n := range t.names(text) {
			if ids := t.named[n]; !slices.Contains(ids, id) {
				t.named[n] = append(ids, id)
			}
		}
	}
	return id
}

// LicenseNames are the names by which a license expression is filtered: the
// whole of it and each of its identifiers.
func LicenseNames(expression string) []string {
	lower := strings.ToLower(expression)
	out := []string{lower}
	for id := range strings.FieldsFuncSeq(lower, func(r rune) bool { return r == ' ' || r == '(' || r == ')' || r == '+' }) {
		if id != "and" && id != "or" && id != "with" {
			out = append(out, id)
		}
	}
	return out
}

// DependencyNames are the names by which a dependency is filtered: with and
// without its namespace.
func DependencyNames(key string) []string {
	lower := strings.ToLower(key)
	return []string{lower, baseOf(lower)}
}

// baseOf is the part of a key behind the namespace.
func baseOf(key string) string { return key[strings.LastIndexByte(key, '/')+1:] }

// idSet is a set of ordinals.
type idSet []uint64

func (b idSet) set(id uint32)      { b[id/64] |= 1 << (id % 64) }
func (b idSet) has(id uint32) bool { return int(id/64) < len(b) && b[id/64]&(1<<(id%64)) != 0 }
