package memory

import (
	"slices"
	"sort"
	"strings"
)

// posting says that a term occurs in a document, and how much it counts there.
type posting struct {
	doc    int32
	weight float32
}

// term is a word with the documents it is in.
type term struct {
	text   string
	posts  []posting // by doc
	public int32     // how many posts are of public documents
}

// vocab is a set of terms that can be looked up by text, prefix, stem and
// likeness. It is not safe for concurrent use.
type vocab struct {
	ids      map[string]int32
	terms    []term   // by id; the text of a free one is ""
	sketches []uint64 // by id; apart, for they are gone through for each mistyped word
	free     []int32
	sorted   []int32            // ids by text
	stems    map[string][]int32 // ids by stem; nil when stems are not kept
}

func newVocab(stems bool) *vocab {
	v := &vocab{ids: map[string]int32{}}
	if stems {
		v.stems = map[string][]int32{}
	}
	return v
}

// find returns the place in sorted of the first term that is not below text.
func (v *vocab) find(text string) int {
	return sort.Search(len(v.sorted), func(i int) bool { return v.terms[v.sorted[i]].text >= text })
}

// id returns the id of text, which it adds when it is new.
func (v *vocab) id(text string) int32 {
	if id, ok := v.ids[text]; ok {
		return id
	}
	text = strings.Clone(text) // not to hold on to a whole readme
	var id int32
	if n := len(v.free); n > 0 {
		id, v.free = v.free[n-1], v.free[:n-1]
	} else {
		id = int32(len(v.terms))
		v.terms, v.sketches = append(v.terms, term{}), append(v.sketches, 0)
	}
	v.terms[id], v.sketches[id] = term{text: text}, sketch(text)
	v.ids[text] = id
	v.sorted = slices.Insert(v.sorted, v.find(text), id)
	if v.stems != nil {
		s := stem(text)
		v.stems[s] = append(v.stems[s], id)
	}
	return id
}

// add puts document doc under text and returns the term's id.
func (v *vocab) add(text string, doc int32, weight float32, private bool) int32 {
	id := v.id(text)
	t := &v.terms[id]
	if !private {
		t.public++
	}
	p := posting{doc, weight}
	if n := len(t.posts); n == 0 || t.posts[n-1].doc < doc {
		t.posts = append(t.posts, p)
		return id
	}
	i, _ := slices.BinarySearchFunc(t.posts, doc, func(p posting, d int32) int { return int(p.doc - d) })
	t.posts = slices.Insert(t.posts, i, p)
	return id
}

// remove takes document doc from the term, and the term away with its last.
func (v *vocab) remove(id, doc int32, private bool) {
	t := &v.terms[id]
	i, ok := slices.BinarySearchFunc(t.posts, doc, func(p posting, d int32) int { return int(p.doc - d) })
	if !ok {
		return
	}
	t.posts = slices.Delete(t.posts, i, i+1)
	if !private {
		t.public--
	}
	if len(t.posts) > 0 {
		return
	}
	delete(v.ids, t.text)
	i = v.find(t.text)
	v.sorted = slices.Delete(v.sorted, i, i+1)
	if v.stems != nil {
		s := stem(t.text)
		left := slices.DeleteFunc(v.stems[s], func(o int32) bool { return o == id })
		if len(left) == 0 {
			delete(v.stems, s)
		} else {
			v.stems[s] = left
		}
	}
	*t, v.sketches[id] = term{}, 0
	v.free = append(v.free, id)
}

// prefixed returns the ids of the terms that begin with text, in order.
func (v *vocab) prefixed(text string) []int32 {
	from := v.find(text)
	n := sort.Search(len(v.sorted)-from, func(i int) bool { return !strings.HasPrefix(v.terms[v.sorted[from+i]].text, text) })
	return v.sorted[from : from+n]
}

// like calls yield for the terms that are within k edits of text, itself left
// out, until yield returns false. The order is that of ids.
func (v *vocab) like(text string, k int, yield func(id int32, edits int) bool) {
	if k == 0 {
		return
	}
	m, n := sketch(text), len(text)
	for i, other := range v.sketches {
		if !near(m, other, k) {
			continue
		}
		t := &v.terms[i]
		if len(t.text)-n > k || n-len(t.text) > k || t.text == "" {
			continue
		}
		if d := distance(text, t.text, k); d > 0 && d <= k && !yield(int32(i), d) {
			return
		}
	}
}
