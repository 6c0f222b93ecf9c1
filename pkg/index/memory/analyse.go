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

// analysis is a document taken apart, ready to be put into a state.
type analysis struct {
	words map[string]float32 // weight by word
	forms map[string]float32 // form kind by collapsed name
}

// analyse does the part of a Put that needs no lock.
func analyse(d *index.Document) analysis {
	sums := make(map[string]float64)
	field := func(f field, texts ...string) {
		counts, n := map[string]int{}, 0
		for _, s := range texts {
			tokenize(s, func(t token) { counts[t.word]++; n++ })
		}
		norm := f.weight / (1 - f.b + f.b*float64(n)/f.average)
		for w, c := range counts {
			sums[w] += float64(c) * norm
		}
	}
	a := analysis{forms: make(map[string]float32, 4+2*len(d.Aliases))}
	form := func(s string, kind float32) {
		if s != "" && len(s) <= maxForm && a.forms[s] < kind {
			a.forms[s] = kind
		}
	}
	base := collapse(d.Name.Base)
	form(base, formName)
	form(collapse(d.Name.Namespace)+"/"+base, formName)
	form(variant(base), formVariant)
	names := nameWords(d.Name.Base)
	for _, alias := range d.Aliases {
		c := collapse(alias)
		form(c, formAlias)
		form(variant(c), formVariant)
		names = append(names, nameWords(alias)...)
	}
	field(inName, dedupe(names)...)
	field(inKeywords, d.Keywords...)
	field(inKeywords, d.Categories...)
	field(inNamespace, d.Name.Namespace)
	field(inDescription, d.Description)
	field(inReadme, d.Readme)
	a.words = make(map[string]float32, len(sums))
	for w, s := range sums {
		a.words[w] = float32(s * (saturation + 1) / (s + saturation))
	}
	return a
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
	return append(out, strings.ReplaceAll(collapse(name), "/", ""))
}

func dedupe(words []string) []string {
	out := words[:0]
	seen := make(map[string]bool, len(words))
	for _, w := range words {
		if w != "" && !seen[w] {
			seen[w] = true
			out = append(out, w)
		}
	}
	return out
}

// clean cuts d to the limits of package index and gives fields their one
// spelling. It copies what it changes.
func clean(d index.Document) index.Document {
	d.Description = cut(d.Description, index.MaxDescription)
	d.Readme = cut(d.Readme, index.MaxReadmeLen)
	d.Aliases = list(d.Aliases, false)
	d.Keywords = list(d.Keywords, true)
	d.Categories = list(d.Categories, true)
	d.Platforms = list(d.Platforms, true)
	d.Language = language(d.Language)
	d.Kind = strings.ToLower(d.Kind)
	if d.Signed == "" {
		d.Signed = "unsigned"
	}
	d.Headers = dedupe(slices.Clone(d.Headers[:min(len(d.Headers), index.MaxHeaders)]))
	d.Dependents = max(d.Dependents, 0)
	d.Downloads = max(d.Downloads, 0)
	return d
}

func list(in []string, lower bool) []string {
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

// language is the one spelling of a language: c or cpp.
func language(s string) string {
	switch s = strings.ToLower(s); s {
	case "c++", "cxx", "cc":
		return "cpp"
	}
	return s
}

// popularity is P of the ranking formula.
func popularity(dependents int) float32 { return float32(math.Log1p(float64(dependents))) }
