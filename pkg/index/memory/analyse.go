package memory

import (
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/clydepm/clyde-registry/pkg/index"
)

// maxForm is the longest name form kept, in bytes: namespace (39), a slash and
// base name (64).
const maxForm = 104

// How much a word counts by the field it stands in (BM25F weights), how much
// the length of the field takes away, and the length at which it takes nothing.
// Average lengths are constants so that a document's weights do not depend on
// the others: a Put touches its own postings only.
type field struct{ weight, b, average float64 }

var (
	inName        = field{8.5, .3, 2}
	inKeywords    = field{5.6, .38, 4}
	inNamespace   = field{2.5, 0, 1}
	inDescription = field{.82, .5, 11}
	inReadme      = field{.3, .75, 200}
)

// saturation is BM25's k1: how fast further occurrences stop counting.
const saturation = 1.25

// Kinds of name forms, as weights in state.names.
const (
	formVariant = 1 // the base name or an alias with or without "lib"
	formAlias   = 2
	formName    = 3 // the base name, or namespace/base
)

// weighted is a word and what it counts in one document.
type weighted struct {
	id     int32 // in analyser.texts
	weight float32
}

// form is a spelling under which a document is known by name.
type form struct {
	text string // collapsed
	kind float32
}

// prepared is a document taken apart, ready to be put into a state. Its strings
// and slices are its own.
type prepared struct {
	doc   index.Document // cleaned, without its readme
	words []weighted
	forms []form
}

// analyser takes documents apart, one at a time. It numbers the words it meets,
// and reuses its working memory.
type analyser struct {
	ids   map[string]int32
	texts []string // by id

	counts  []int32   // by id: occurrences in the field in hand
	sums    []float64 // by id: of the document in hand
	inField []int32   // ids with counts set
	inDoc   []int32   // ids with sums set
}

func newAnalyser() *analyser { return &analyser{ids: map[string]int32{}} }

// count notes one occurrence of a word in the field in hand.
func (a *analyser) count(word string) {
	id, ok := a.ids[word]
	if !ok {
		word = strings.Clone(word) // not to hold on to a whole readme
		id = int32(len(a.texts))
		a.ids[word] = id
		a.texts, a.counts, a.sums = append(a.texts, word), append(a.counts, 0), append(a.sums, 0)
	}
	if a.counts[id] == 0 {
		a.inField = append(a.inField, id)
	}
	a.counts[id]++
}

// field adds the words of one field, n of them in all.
func (a *analyser) field(f field, texts ...string) {
	n := 0
	for _, s := range texts {
		tokenize(s, func(t token) { a.count(t.word); n++ })
	}
	norm := f.weight / (1 - f.b + f.b*float64(n)/f.average)
	for _, id := range a.inField {
		if a.sums[id] == 0 {
			a.inDoc = append(a.inDoc, id)
		}
		a.sums[id] += float64(a.counts[id]) * norm
		a.counts[id] = 0
	}
	a.inField = a.inField[:0]
}

// prepare does the part of a Put that needs no lock.
func (a *analyser) prepare(in *index.Document) prepared {
	d := Clean(*in)
	p := prepared{forms: make([]form, 0, 4+2*len(d.Aliases))}
	add := func(s string, kind float32) {
		if s == "" || len(s) > maxForm {
			return
		}
		if i := slices.IndexFunc(p.forms, func(f form) bool { return f.text == s }); i >= 0 {
			p.forms[i].kind = max(p.forms[i].kind, kind)
			return
		}
		p.forms = append(p.forms, form{s, kind})
	}
	base := Collapse(d.Name.Base)
	add(base, formName)
	add(Collapse(d.Name.Namespace)+"/"+base, formName)
	add(variant(base), formVariant)
	names := nameWords(d.Name.Base)
	for _, alias := range d.Aliases {
		c := Collapse(alias)
		add(c, formAlias)
		add(variant(c), formVariant)
		names = append(names, nameWords(alias)...)
	}
	a.field(inName, dedupe(names)...)
	a.field(inKeywords, d.Keywords...)
	a.field(inKeywords, d.Categories...)
	a.field(inNamespace, d.Name.Namespace)
	a.field(inDescription, d.Description)
	a.field(inReadme, d.Readme)
	p.words = make([]weighted, 0, len(a.inDoc))
	for _, id := range a.inDoc {
		s := a.sums[id]
		p.words = append(p.words, weighted{id, float32(s * (saturation + 1) / (s + saturation))})
		a.sums[id] = 0
	}
	a.inDoc = a.inDoc[:0]
	d.Readme = ""
	p.doc = d
	return p
}

// nameWords are the words a name is made of, the whole of it among them:
// "libsdl2-image" gives libsdl2, image, libsdl2image, sdl2, libsdl.
func nameWords(name string) []string {
	var out []string
	tokenize(name, func(t token) {
		out = append(out, t.word)
		if rest, ok := strings.CutPrefix(t.word, "lib"); ok && len(rest) > 1 {
			out = append(out, rest)
		}
		if w := strings.TrimRight(t.word, "0123456789"); len(w) > 1 && w != t.word {
			out = append(out, w)
		}
	})
	return append(out, strings.ReplaceAll(Collapse(name), "/", ""))
}

// dedupe takes empty words and all but the first of equal ones out of words.
func dedupe(words []string) []string {
	const few = 16 // up to which comparing is faster than hashing
	out := words[:0]
	var seen map[string]bool
	if len(words) > few {
		seen = make(map[string]bool, len(words))
	}
	for _, w := range words {
		if w == "" || seen[w] || seen == nil && slices.Contains(out, w) {
			continue
		}
		if seen != nil {
			seen[w] = true
		}
		out = append(out, w)
	}
	return out
}

// Clean cuts d to the limits of package index and gives fields their one
// spelling. What it returns shares nothing with d but the readme.
func Clean(d index.Document) index.Document {
	d.Key = strings.Clone(d.Key)
	if strings.HasSuffix(d.Key, d.Name.Base) {
		d.Name.Base = d.Key[len(d.Key)-len(d.Name.Base):]
	} else {
		d.Name.Base = strings.Clone(d.Name.Base)
	}
	d.Description = strings.Clone(cut(d.Description, index.MaxDescription))
	d.Readme = cut(d.Readme, index.MaxReadmeLen)
	d.Aliases = list(d.Aliases, false)
	for i, a := range d.Aliases {
		d.Aliases[i] = strings.Clone(a)
	}
	d.Keywords = list(d.Keywords, true)
	d.Categories = list(d.Categories, true)
	d.Platforms = list(d.Platforms, true)
	d.Builds = list(d.Builds, true)
	d.Profiles = dedupe(slices.Clone(d.Profiles[:min(len(d.Profiles), index.MaxProfiles)]))
	d.Language = Language(d.Language)
	d.Kind = strings.ToLower(d.Kind)
	if d.Signed == "" {
		d.Signed = "unsigned"
	}
	d.Headers = paths(d.Headers[:min(len(d.Headers), index.MaxHeaders)])
	d.Dependents = max(d.Dependents, 0)
	d.Downloads = max(d.Downloads, 0)
	return d
}

// paths returns the include paths that are kept, each once, as parts of one
// string: a hundred small ones cost more than their bytes.
func paths(in []string) []string {
	out := dedupe(slices.Clone(in))
	out = slices.DeleteFunc(out, func(h string) bool { return len(h) > maxHeader })
	if len(out) == 0 {
		return nil
	}
	all := strings.Join(out, "")
	for i, h := range out {
		out[i], all = all[:len(h)], all[len(h):]
	}
	return out
}

func list(in []string, lower bool) []string {
	if len(in) == 0 {
		return nil
	}
	out := make([]string, 0, min(len(in), index.MaxDocumentTerms))
	for _, s := range in {
		if len(out) == index.MaxDocumentTerms {
			break
		}
		s = cut(strings.TrimSpace(s), index.MaxFilterLen)
		if lower {
			s = strings.ToLower(s)
		}
		if s != "" {
			out = append(out, s)
		}
	}
	return dedupe(out)
}

// cut returns at most n bytes of s, valid UTF-8, whole runes.
func cut(s string, n int) string {
	if len(s) > n {
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// Language is the one spelling of a language: c or cpp.
func Language(s string) string {
	switch s = strings.ToLower(s); s {
	case "c++", "cxx", "cc":
		return "cpp"
	}
	return s
}

// What pulls are worth beside dependents. Ours: they are told apart as well as
// can be, and still are easier to make than a package that builds on another.
const (
	pullsPerDependent = 100
	pullsAlone        = 50 // dependents, that pulls stand for at most where there are none
)

// popularity is P of the ranking formula, of the packages that need this one and
// of how often people pulled it, which counts for no more than what is built on
// it and a little.
func popularity(dependents int, pulls int64) float32 {
	by := float64(dependents)
	return float32(math.Log1p(by + min(float64(pulls)/pullsPerDependent, by+pullsAlone)))
}
