package indextest

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/index"
)

// Parts of generated words, chosen so that names look pronounceable and share
// beginnings and endings, as real ones do.
var (
	onsets  = strings.Fields("b c d f g h j k l m n p r s t v w x z br ch cl cr dr fl gr pl pr qu sh sl sp st str th tr")
	vowels  = strings.Fields("a e i o u ai ea ie io ou")
	codas   = strings.Fields("n r s t l m x ck nd ng rt st d g b p")
	endings = strings.Fields("er ing ion or ity lib kit io db ml")
	// common are words of real descriptions, the most frequent first.
	common = strings.Fields(`library for a the c++ and of c to in header-only fast simple modern with implementation lightweight
		parser json network http client server api cross-platform wrapper utilities data string file image audio video graphics
		math matrix vector linear algebra compression encryption crypto hash tls socket async thread pool event loop queue lock-free
		memory allocator logging testing framework unit benchmark command line argument config yaml toml xml csv serialization protocol
		rpc database sql key value store cache index search text unicode regex format time date calendar random number geometry physics
		engine game window opengl vulkan gui widget font rendering shader mesh model robot sensor serial usb bluetooth embedded kernel
		driver compiler llvm python bindings lua script interpreter virtual machine simulation neural learning tensor signal fourier
		filter codec stream buffer archive zip tar pdf markdown html web template macro reflection enum variant optional span range
		iterator container map set tree graph sort algorithm concurrency actor coroutine future task scheduler timer clock process`)
	licenses  = []string{"MIT", "Apache-2.0", "BSD-3-Clause", "BSL-1.0", "LGPL-2.1-or-later", "GPL-3.0-or-later", "Zlib", "MPL-2.0", "Apache-2.0 OR MIT", ""}
	kinds     = []string{"library", "library", "library", "header-only", "header-only", "application", "tool", "plugin", "foreign", "meta"}
	platforms = []string{"linux", "macos", "windows", "android", "ios", "freebsd", "wasm"}
	states    = []string{"verified", "untrusted", "unsigned", "unsigned", "unsigned", "invalid"}
)

// Generate yields n packages that look like real ones: words by Zipf's law from
// a vocabulary that grows with n, names that begin alike, dependents by a power
// law, a readme each. The same n and seed give the same packages. Keys are
// unique.
func Generate(n int, seed uint64) iter.Seq[index.Document] {
	return func(yield func(index.Document) bool) {
		r := rand.New(rand.NewPCG(seed, uint64(n)))
		rare := make([]string, 2000+n/4)
		for i := range rare {
			rare[i] = word(r)
		}
		zipf := rand.NewZipf(r, 1.07, 4, uint64(len(common)+len(rare)-1))
		pick := func() string {
			if i := int(zipf.Uint64()); i < len(common) {
				return common[i]
			} else {
				return rare[i-len(common)]
			}
		}
		text := func(words int) string {
			var b strings.Builder
			for i := range words {
				if i > 0 {
					b.WriteByte(' ')
				}
				b.WriteString(pick())
			}
			return b.String()
		}
		for i := range n {
			d := document(r, i, pick, rare)
			d.Description = text(4 + r.IntN(20))
			d.Readme = text(40 + r.IntN(160))
			if !yield(d) {
				return
			}
		}
	}
}

// word makes up a word of two or three syllables.
func word(r *rand.Rand) string {
	var b strings.Builder
	for range 2 + r.IntN(2) {
		b.WriteString(onsets[r.IntN(len(onsets))])
		b.WriteString(vowels[r.IntN(len(vowels))])
		if r.IntN(3) == 0 {
			b.WriteString(codas[r.IntN(len(codas))])
		}
	}
	if r.IntN(4) == 0 {
		b.WriteString(endings[r.IntN(len(endings))])
	}
	return b.String()
}

// document makes the i-th package but for its texts.
func document(r *rand.Rand, i int, pick func() string, rare []string) index.Document {
	plain := func(w string) string { return strings.NewReplacer("+", "p", "-", "").Replace(w) }
	base := rare[r.IntN(len(rare))]
	switch r.IntN(6) {
	case 0:
		base = "lib" + base
	case 1, 2:
		base += "-" + plain(pick())
	case 3:
		base = plain(pick()) + "-" + base
	}
	ns := fmt.Sprintf("%s%d", rare[r.IntN(len(rare))], i) // unique, and so the key
	if r.IntN(2) == 0 {
		ns = "org" + fmt.Sprint(i/8) // of several packages
		base = fmt.Sprintf("%s%d", base, i)
	}
	name := clyde.Name{Namespace: ns, Base: base}
	created := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(r.IntN(5*365*24)) * time.Hour)
	d := index.Document{
		Key: name.Repo(), Name: name, Version: fmt.Sprintf("%d.%d.%d", r.IntN(5), r.IntN(20), r.IntN(10)),
		License: licenses[int(math.Sqrt(float64(r.IntN(len(licenses)*len(licenses)))))],
		Kind:    kinds[r.IntN(len(kinds))], Language: []string{"c", "cpp", "cpp"}[r.IntN(3)], Signed: states[r.IntN(len(states))],
		Platforms:  platforms[:1+r.IntN(len(platforms))],
		Dependents: int(math.Pow(r.Float64(), -.7)) - 1, // most have none, one in 100,000 some thousands
		Downloads:  int64(math.Pow(r.Float64(), -1.2) * 10),
		Created:    created, Updated: created.Add(time.Duration(r.IntN(365*24)) * time.Hour),
		Deprecated: r.IntN(50) == 0,
	}
	for range r.IntN(5) {
		d.Keywords = append(d.Keywords, pick())
	}
	for j := range 1 + r.IntN(10) {
		d.Headers = append(d.Headers, fmt.Sprintf("%s/%s%d.h", base, common[r.IntN(len(common))], j))
	}
	for range r.IntN(4) {
		d.Dependencies = append(d.Dependencies, "org"+fmt.Sprint(r.IntN(i/8+1))+"/"+rare[r.IntN(len(rare))])
	}
	return d
}

// Queries yields what people type into the search box of a registry with
// documents like those of Generate, endlessly: names, beginnings of names, one
// to four words, mistyped words, headers, and nothing at all with a filter.
func Queries(docs []index.Document, seed uint64) iter.Seq[index.Query] {
	return func(yield func(index.Query) bool) {
		r := rand.New(rand.NewPCG(seed, 1))
		for {
			d := &docs[r.IntN(len(docs))]
			q := index.Query{Facets: true}
			base := d.Name.Base
			switch r.IntN(10) {
			case 0, 1:
				q.Text = base
			case 2, 3:
				q.Text = base[:1+r.IntN(len(base))]
			case 4, 5:
				q.Text = common[r.IntN(len(common))]
			case 6:
				words := strings.Fields(d.Description)
				q.Text = strings.Join(words[:min(len(words), 2+r.IntN(3))], " ")
			case 7:
				b := []byte(base)
				if k := r.IntN(len(b)); k > 0 {
					b[k-1], b[k] = b[k], b[k-1]
				}
				q.Text = string(b)
			case 8:
				q.Text = base + ".h" // which not every package says it has
				if len(d.Headers) > 0 {
					q.Text = d.Headers[0]
				}
			default:
				q.Filters.Language = []string{"cpp"}
				q.Sort = index.Sorts[r.IntN(len(index.Sorts))]
			}
			if !yield(q) {
				return
			}
		}
	}
}
