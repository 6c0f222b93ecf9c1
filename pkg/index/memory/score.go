package memory

import (
	"math"
	"slices"
	"strings"
	"time"
)

// The ranking, tuned on a set of judged queries (indextest). A document's
// score is
//
//	T·C^1.5·(1+a·P) + b·P + N
//
// T sums, over the words of the query, idf times the best variant's BM25F
// weight; C is the share of words that matched; P is ln(1+dependents and a part of the pulls); N is
// what the name gives. Popularity is the strongest signal after the text.
const (
	influence = .9  // a
	standing  = 1.3 // b

	asWritten    = 1.0
	asStem       = 1.0
	asJoined     = .85
	asPrefix     = .58
	asOneEdit    = .12
	asTwoEdits   = .04
	wrongInitial = .5 // factor when the first letter is mistaken too

	namePrefix  = 2.5 // times the share of the name that was typed, and 1+a·P
	nameVariant = 50  // the name but for "lib" in front
	nameTypo    = 22  // by number of edits
)

// Tiers put what was asked for by name in front of everything else, whatever
// its score. Scores stay below tier.
const (
	tier        = 1e4
	tierName    = 4 * tier // the whole query is the name
	tierAlias   = 3 * tier
	tierHeader  = 2 * tier // the whole include path
	tierVendor  = 1 * tier // the end of an include path: a copy of the library in another one
	maxScore    = tier - 1
	vendorScore = 500 // by directories in front
)

// Limits on the work of one query. Ours: with them the slowest queries take a
// few milliseconds among 100,000 packages. They bound what is read, not what
// collect then counts, which grows with the documents found.
const (
	maxExpansions = 600     // terms that one word may stand for, beside itself
	maxPosts      = 400_000 // postings read
	maxNames      = 20_000  // name forms that begin with the query
	maxHeaderRefs = 50_000  // headers of one base name
	fewHits       = 200     // documents with the word as written, from which on no typo is assumed
	checkEvery    = 64      // terms between looks at the clock
)

// scratch is the working memory of one search, used again by later ones.
// Between searches its slices by document are all zero.
type scratch struct {
	best  []float32 // by document: of the word in hand
	total []float32 // by document: sum over words
	bonus []float32 // by document: tier and name score
	words []uint8   // by document: words that matched
	seen  []int32   // documents with best set
	found []int32   // documents with total, bonus or words set
	terms []int32   // candidates for expansion
	hits  []hit

	counts [counted][]int32 // of facets, by ordinal
	shapes []int32          // documents, by shape
}

type hit struct {
	doc   int32
	score float64 // for SortRelevance
	value int64   // sortRow.by, for the other sorts
}

// grow makes room for n documents.
func (c *scratch) grow(n int) {
	if len(c.best) >= n {
		return
	}
	n += n / 8
	c.best, c.total, c.bonus, c.words = make([]float32, n), make([]float32, n), make([]float32, n), make([]uint8, n)
}

// reset zeroes what the search has set.
func (c *scratch) reset() {
	for _, d := range c.found {
		c.total[d], c.bonus[d], c.words[d] = 0, 0, 0
	}
	for _, d := range c.seen {
		c.best[d] = 0
	}
	c.seen, c.found, c.hits, c.terms = c.seen[:0], c.found[:0], c.hits[:0], c.terms[:0]
}

// search is one query being answered.
type search struct {
	*scratch
	st      *state
	visible func(key string) bool
	asked   map[int32]bool // what visible has said
	until   time.Time
	posts   int // read so far
	cut     bool

	query     []token
	collapsed string // the text as a name
	header    string // the text as an include path, or ""
	path      bool   // somebody exports exactly that path, and it has a directory
	typed     map[string]struct{}
	fixed     []string // for each word its correction, or ""
	fixedName string   // correction of the whole text, or ""
}

// sees reports whether the asker may see document d.
func (s *search) sees(d int32) bool {
	if s.st.rows[d].status == public {
		return true
	}
	if s.visible == nil {
		return false
	}
	ok, asked := s.asked[d]
	if !asked {
		ok = s.visible(s.st.docs[d].key)
		if s.asked == nil {
			s.asked = map[int32]bool{}
		}
		s.asked[d] = ok
	}
	return ok
}

// known reports whether the asker can see a document with the term. Terms that
// only hidden documents have must not change what anybody else gets.
func (s *search) known(t *term) bool {
	if t.public > 0 {
		return true
	}
	return s.visible != nil && slices.ContainsFunc(t.posts, func(p posting) bool { return s.sees(p.doc) })
}

// spend counts the reading of a term's postings and reports whether it may be done.
func (s *search) spend(t *term) bool {
	n := int(t.public)
	if s.visible != nil {
		n = len(t.posts)
	}
	if s.posts+n > maxPosts {
		s.cut = true
		return false
	}
	s.posts += n
	return true
}

// late reports whether the time is up.
func (s *search) late() bool {
	if time.Now().Before(s.until) {
		return false
	}
	s.cut = true
	return true
}

// idf is the weight of a term: how rare it is among public documents.
func (s *search) idf(t *term) float32 { return s.rarity(int(t.public)) }

// rarity is the idf of what occurs in that many documents.
func (s *search) rarity(docs int) float32 {
	n, df := float64(s.st.public), float64(docs)
	return float32(math.Log1p(max(n-df+.5, .5) / (df + .5)))
}

// read takes the postings of a term into best.
func (s *search) read(t *term, factor float32) {
	if !s.spend(t) {
		return
	}
	for _, p := range t.posts {
		v := factor * p.weight
		if b := s.best[p.doc]; v > b {
			if b == 0 {
				s.seen = append(s.seen, p.doc)
			}
			s.best[p.doc] = v
		}
	}
}

// fold adds best to the totals and makes it ready for the next word.
func (s *search) fold() {
	for _, d := range s.seen {
		s.touch(d)
		s.total[d] += s.best[d]
		s.words[d]++
		s.best[d] = 0
	}
	s.seen = s.seen[:0]
}

// touch notes that document d is among the found.
func (s *search) touch(d int32) {
	if s.words[d] == 0 && s.bonus[d] == 0 {
		s.found = append(s.found, d)
	}
}

// raise gives document d a bonus, if it is more than the one it has.
func (s *search) raise(d int32, bonus float32) {
	if bonus <= 0 || !s.sees(d) {
		return
	}
	s.touch(d)
	s.bonus[d] = max(s.bonus[d], bonus)
}

// word scores the i-th word of the query.
func (s *search) word(i int) {
	w := s.query[i].word
	v := s.st.words
	exact, hits := int32(-1), 0
	ceiling := float32(math.MaxFloat32)
	if id, ok := v.ids[w]; ok && s.known(&v.terms[id]) {
		exact, hits = id, int(v.terms[id].public)
		ceiling = s.idf(&v.terms[id])
		s.read(&v.terms[id], ceiling*asWritten)
	}
	idf := func(t *term) float32 { return min(s.idf(t), ceiling) }
	for _, id := range v.stems[stem(w)] {
		if t := &v.terms[id]; id != exact && s.known(t) {
			s.read(t, idf(t)*asStem)
			hits += int(t.public)
		}
	}
	if n := len(w); n >= 3 || n == 2 && exact < 0 {
		// What a prefix is worth is how rare it is itself, not the rarity of the
		// words it may become: "boo" means boost, not boostconfig.
		ids, together := s.expand(v, v.prefixed(w), exact), 0
		for _, id := range ids {
			together += int(v.terms[id].public)
		}
		begun := min(ceiling, s.rarity(together))
		for n, id := range ids {
			if n%checkEvery == 0 && s.late() {
				break
			}
			t := &v.terms[id]
			s.read(t, begun*asPrefix)
			hits += int(t.public)
		}
	}
	for _, j := range [2]string{s.joined(i - 1), s.joined(i)} {
		if id, ok := v.ids[j]; ok && s.known(&v.terms[id]) {
			s.read(&v.terms[id], idf(&v.terms[id])*asJoined)
			hits += int(v.terms[id].public)
		}
	}
	if hits < fewHits {
		s.correct(i, exact >= 0 || hits > 0, idf)
	}
	s.fold()
}

// joined is the i-th word and the next one written as one ("hash map" is often
// hashmap), or "".
func (s *search) joined(i int) string {
	if i < 0 || i+1 >= len(s.query) {
		return ""
	}
	return s.query[i].word + s.query[i+1].word
}

// expand returns those of ids that may be read, at most maxExpansions, the
// most frequent ones.
func (s *search) expand(v *vocab, ids []int32, except int32) []int32 {
	s.terms = s.terms[:0]
	for _, id := range ids {
		if id != except && s.known(&v.terms[id]) {
			s.terms = append(s.terms, id)
		}
	}
	if len(s.terms) > maxExpansions {
		counts := make([]int32, len(s.terms))
		for i, id := range s.terms {
			counts[i] = v.terms[id].public
		}
		slices.Sort(counts)
		least := counts[len(counts)-maxExpansions]
		more, _ := slices.BinarySearch(counts, least+1)
		equal := maxExpansions - (len(counts) - more) // of those as frequent as the last
		s.terms = slices.DeleteFunc(s.terms, func(id int32) bool {
			n := v.terms[id].public
			if n == least {
				equal--
				return equal < 0
			}
			return n < least
		})
		s.cut = true
	}
	return s.terms
}

// correct reads the terms that the i-th word may be a misspelling of.
func (s *search) correct(i int, found bool, idf func(*term) float32) {
	w := s.query[i].word
	v := s.st.words
	best, bestEdits := (*term)(nil), 0
	n := 0
	v.like(w, edits(len(w)), func(id int32, k int) bool {
		t := &v.terms[id]
		if !s.known(t) {
			return true
		}
		factor := float32(asOneEdit)
		if k > 1 {
			factor = asTwoEdits
		}
		if t.text[0] != w[0] {
			factor *= wrongInitial
		}
		s.read(t, idf(t)*factor)
		if best == nil || k < bestEdits || k == bestEdits &&
			(t.public > best.public || t.public == best.public && t.text < best.text) {
			best, bestEdits = t, k
		}
		n++
		if n%checkEvery == 0 && s.late() {
			return false
		}
		s.cut = s.cut || n == maxExpansions
		return n < maxExpansions
	})
	if best != nil && !found {
		s.fixed[i] = best.text
	}
}

// byName gives documents what their name is worth to the query.
func (s *search) byName() {
	v, q := s.st.names, s.collapsed
	if q == "" || len(q) > maxForm {
		return
	}
	exact := false
	each := func(text string, do func(p posting)) {
		if id, ok := v.ids[text]; ok {
			for _, p := range v.terms[id].posts {
				do(p)
			}
		}
	}
	each(q, func(p posting) {
		exact = exact || s.sees(p.doc)
		switch p.weight {
		case formName:
			s.raise(p.doc, tierName)
		case formAlias:
			s.raise(p.doc, tierAlias)
		default:
			s.raise(p.doc, nameVariant)
		}
	})
	if o := variant(q); o != "" {
		each(o, func(p posting) {
			if p.weight >= formAlias {
				s.raise(p.doc, nameVariant)
			}
		})
	}
	for n, id := range v.prefixed(q) {
		if n == maxNames {
			s.cut = true
			break
		}
		t := &v.terms[id]
		share := float32(len(q)) / float32(len(t.text))
		for _, p := range t.posts {
			s.raise(p.doc, namePrefix*share*(1+influence*s.st.rows[p.doc].popularity))
		}
	}
	if exact {
		return
	}
	var best *term
	bestEdits := 0
	v.like(q, edits(len(q)), func(id int32, k int) bool {
		t := &v.terms[id]
		if !s.known(t) {
			return true
		}
		for _, p := range t.posts {
			s.raise(p.doc, nameTypo/float32(k))
		}
		if best == nil || k < bestEdits || k == bestEdits && s.used(t) > s.used(best) {
			best, bestEdits = t, k
		}
		return true
	})
	if best != nil {
		s.fixedName = s.nameOf(best)
	}
}

// used is the popularity of the most used document with a name form.
func (s *search) used(t *term) float32 {
	m := float32(-1)
	for _, p := range t.posts {
		if s.sees(p.doc) {
			m = max(m, s.st.rows[p.doc].popularity)
		}
	}
	return m
}

// nameOf is the base name of the most used document with a name form.
func (s *search) nameOf(t *term) string {
	name, most := "", float32(-1)
	for _, p := range t.posts {
		if r, base := &s.st.rows[p.doc], s.st.docs[p.doc].base; s.sees(p.doc) && (r.popularity > most || r.popularity == most && base < name) {
			name, most = base, r.popularity
		}
	}
	return name
}

// byHeader finds the documents that export the include path asked for.
func (s *search) byHeader() {
	want := strings.ToLower(s.header)
	refs := s.st.headers[headerKey(want)]
	for n, r := range refs {
		if n == maxHeaderRefs {
			s.cut = true
			break
		}
		if depth, ok := endsIn(s.st.header(r), want); ok && depth == 0 {
			s.raise(r.doc, tierHeader)
			s.path = s.path || s.sees(r.doc) && strings.Contains(want, "/")
		} else if ok {
			s.raise(r.doc, tierVendor+vendorScore/float32(1+depth))
		}
	}
}

// endsIn reports whether path is want, given in lower case, or has it as its
// last components, and how many components are in front.
func endsIn(path, want string) (depth int, ok bool) {
	rest, ok := strings.CutSuffix(strings.ToLower(path), want)
	if !ok || rest != "" && rest[len(rest)-1] != '/' {
		return 0, false
	}
	return strings.Count(rest, "/"), true
}

// score is the final score of a document that was found.
func (s *search) score(d int32, r *row) float64 {
	bonus, tiers := float64(s.bonus[d]), 0.0
	if bonus >= tier {
		tiers = math.Floor(bonus/tier) * tier
	}
	c := float64(s.words[d]) / float64(max(1, len(s.query)))
	p := float64(r.popularity)
	v := float64(s.total[d])*c*math.Sqrt(c)*(1+influence*p) + standing*p + (bonus - tiers)
	return tiers + min(v*float64(r.factor), maxScore)
}

// run scores the whole query and leaves the documents in found.
func (s *search) run() {
	if s.header != "" {
		s.byHeader()
	}
	s.byName()
	for i := range s.query {
		if s.late() {
			return
		}
		s.word(i)
	}
}

// accepts says which documents count as found: a word of each two must match,
// unless the name or a header did. Who asks for fmt/core.h, and it is there, does
// not mean whatever has a word of it.
func (s *search) accepts(d int32) bool {
	if s.path {
		return s.bonus[d] >= tier
	}
	return s.bonus[d] > 0 || int(s.words[d])*2 >= len(s.query)
}
