package web

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/markdown"
)

// Limits of one book. Ours: the documentation of the largest libraries that
// write it in Markdown has some hundred pages and 2 MB.
const (
	maxBookPages = 500     // pages; further files are among the files of the version alone
	maxBookText  = 4 << 20 // bytes that are read for titles and for searching; further pages have their file's name
	booksKept    = 64 << 20
)

// bookRoots are the directories that hold documentation, the first that has a
// page being the one.
var bookRoots = []string{"docs", "doc", "documentation"}

// changelogs are the names of the file that says what changed, without
// extension, in lower case; the first that is there is the one.
var changelogs = []string{"changelog", "changes", "history", "release_notes", "releases", "news"}

// outline is what the names of a version's files say of its documentation.
type outline struct {
	Root      string   // directory of the book; "" where there is none
	Pages     []string // paths below Root, in reading order
	Changelog string   // path of the file; "" where there is none
}

// outlineOf looks for documentation among files. The manifest may state where
// the changelog is.
func outlineOf(files []catalog.File, changelog string) *outline {
	o := &outline{}
	roots := map[string][]string{}
	rank := len(changelogs)
	for _, f := range files {
		if f.Link != "" {
			continue
		}
		if f.Path == changelog && (readable(f.Path) || path.Ext(f.Path) == "") {
			rank, o.Changelog = -1, f.Path
		}
		dir, rest, below := strings.Cut(f.Path, "/")
		if !below {
			base := strings.ToLower(strings.TrimSuffix(f.Path, path.Ext(f.Path)))
			if i := slices.Index(changelogs, base); i >= 0 && i < rank && (readable(f.Path) || path.Ext(f.Path) == "") {
				rank, o.Changelog = i, f.Path
			}
			continue
		}
		if i := slices.Index(bookRoots, strings.ToLower(dir)); i >= 0 && readable(rest) {
			roots[bookRoots[i]] = append(roots[bookRoots[i]], f.Path)
		}
	}
	for _, r := range bookRoots {
		// A book has a page in Markdown: text files alone are notes.
		if !slices.ContainsFunc(roots[r], func(p string) bool { return path.Ext(p) != ".txt" }) {
			continue
		}
		for _, p := range roots[r] {
			dir, rest, _ := strings.Cut(p, "/")
			if o.Root == "" {
				o.Root = dir
			}
			if dir == o.Root { // Docs and docs are two
				o.Pages = append(o.Pages, rest)
			}
		}
		break
	}
	slices.SortFunc(o.Pages, reading)
	if len(o.Pages) > maxBookPages {
		o.Pages = o.Pages[:maxBookPages]
	}
	return o
}

// readable reports whether a file is shown as a page of a book.
func readable(p string) bool {
	switch strings.ToLower(path.Ext(p)) {
	case ".md", ".markdown", ".mkd", ".txt":
		return !strings.EqualFold(path.Base(p), "CMakeLists.txt")
	}
	return false
}

// isIndex reports whether a file is the page of its directory.
func isIndex(p string) bool {
	base := strings.ToLower(strings.TrimSuffix(path.Base(p), path.Ext(p)))
	return base == "index" || base == "readme"
}

// reading is the order of two pages: those of a directory before those of the
// ones in it, its own page first, and numbers as people count.
func reading(a, b string) int {
	as, bs := strings.Split(a, "/"), strings.Split(b, "/")
	for i := 0; i < len(as) && i < len(bs); i++ {
		lastA, lastB := i == len(as)-1, i == len(bs)-1
		if lastA != lastB {
			if lastA {
				return -1
			}
			return 1
		}
		if lastA && isIndex(as[i]) != isIndex(bs[i]) {
			if isIndex(as[i]) {
				return -1
			}
			return 1
		}
		if c := natural(as[i], bs[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(a, b)
}

// natural compares names, without regard to case, taking digits as a number.
func natural(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	for a != "" && b != "" {
		da, db := digits(a), digits(b)
		if da > 0 && db > 0 {
			na, nb := strings.TrimLeft(a[:da], "0"), strings.TrimLeft(b[:db], "0")
			if c := cmp.Or(cmp.Compare(len(na), len(nb)), cmp.Compare(na, nb)); c != 0 {
				return c
			}
			a, b = a[da:], b[db:]
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

// digits is how many of the first bytes of s are digits.
func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// outline returns what is known of the documentation of a version, which is
// found once for each digest.
func (s *Web) outline(r request, ref catalog.Ref, rel catalog.Release) (*outline, error) {
	if o, ok := s.outlines.Get(rel.Digest); ok {
		return o, nil
	}
	files, err := s.o.Catalog.Files(r.Context(), r.who, ref)
	if errors.Is(err, clyde.ErrNotFound) {
		return &outline{}, nil // not unpacked again yet: the rest of the page is there
	} else if err != nil {
		return nil, err
	}
	var stated struct{ Changelog string }
	_ = json.Unmarshal(rel.Manifest, &stated) // checked when it was published; one of another shape states none
	o := outlineOf(files, path.Clean(stated.Changelog))
	s.outlines.Put(rel.Digest, o, 1+len(o.Pages)/8)
	return o, nil
}

// outlinesKept is how many outlines are kept, a long one counting as several.
const outlinesKept = 10_000

// book is the documentation of a version, read.
type book struct {
	Root  string
	Pages []bookPage
	at    map[string]int // by path
}

// bookPage is one page.
type bookPage struct {
	Path  string // below the root
	Title string
	Text  string // its words, for searching; "" past the limit
}

// book reads the documentation of a version, once for each digest.
func (s *Web) book(r request, ref catalog.Ref, h head) (*book, error) {
	digest, o := h.Release.Digest, h.book
	if b, ok := s.books.Get(digest); ok {
		return b, nil
	}
	b := &book{Root: o.Root, at: map[string]int{}}
	left, cost := int64(maxBookText), 1<<10
	for i, p := range o.Pages {
		page := bookPage{Path: p, Title: titleOf(p)}
		b.at[p] = i
		if left > 0 {
			src, err := s.read(r, ref, o.Root+"/"+p, min(left, markdown.MaxInput))
			if err != nil {
				return nil, err
			}
			left -= int64(len(src))
			page.Text = string(src)
			if path.Ext(p) != ".txt" {
				if t := firstHeading(src); t != "" {
					page.Title = t
				}
				page.Text = markdown.PlainText(src)
			}
		}
		cost += len(page.Text) + len(p) + len(page.Title) + 64
		b.Pages = append(b.Pages, page)
	}
	s.books.Put(digest, b, cost)
	return b, nil
}

// read returns the first bytes of a file, at most most.
func (s *Web) read(r request, ref catalog.Ref, p string, most int64) ([]byte, error) {
	body, _, err := s.o.Catalog.OpenFile(r.Context(), r.who, ref, p)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	return io.ReadAll(io.LimitReader(body, most))
}

// titleOf is a page's title where it states none: from its file's name, or of
// its directory where it is the page of one.
func titleOf(p string) string {
	name := strings.TrimSuffix(path.Base(p), path.Ext(p))
	if isIndex(p) {
		if name = path.Base(path.Dir(p)); name == "." {
			return "Introduction"
		}
	}
	name = strings.TrimLeft(strings.TrimLeft(name, "0123456789"), "-_. ")
	if name == "" {
		return path.Base(p)
	}
	name = strings.Map(func(r rune) rune {
		if r == '-' || r == '_' {
			return ' '
		}
		return r
	}, name)
	first := []rune(name)
	first[0] = unicode.ToUpper(first[0])
	return string(first)
}

// maxTitle is the longest title of a page, in bytes; a longer one is cut.
const maxTitle = 80

// firstHeading is the text of the first heading of a Markdown file, "" where
// it begins with something else or does not look like one.
func firstHeading(src []byte) string {
	if len(src) > 4<<10 {
		src = src[:4<<10]
	}
	prev := ""
	for line := range strings.Lines(string(src)) {
		line = strings.TrimSpace(line)
		text := ""
		switch {
		case strings.HasPrefix(line, "# ") || strings.HasPrefix(line, "## "):
			text = strings.Trim(line, "# ")
		case prev != "" && len(line) > 2 && (strings.Trim(line, "=") == "" || strings.Trim(line, "-") == ""):
			text = prev
		}
		if text != "" {
			words := strings.Join(strings.Fields(markdown.PlainText([]byte(text))), " ")
			if len(words) > maxTitle {
				words = strings.ToValidUTF8(words[:maxTitle], "") + "…"
			}
			return words
		}
		if prev = line; strings.HasPrefix(line, "```") {
			return ""
		}
	}
	return ""
}

// page returns the index of the page at p, a path below the root; of a
// directory, that of its own page.
func (b *book) page(p string) (int, bool) {
	p = strings.Trim(p, "/")
	if i, ok := b.at[p]; ok {
		return i, true
	}
	dir := p
	if dir == "" {
		dir = "."
	}
	i := slices.IndexFunc(b.Pages, func(q bookPage) bool { return path.Dir(q.Path) == dir && isIndex(q.Path) })
	if i < 0 && p == "" && len(b.Pages) > 0 {
		i = 0
	}
	return i, i >= 0
}

// Limits of searching in a book. Ours.
const (
	maxBookHits = 50  // pages listed
	maxBookAsk  = 100 // bytes of what is looked for
	bookSnippet = 90  // bytes shown either side of a match
)

// bookHit is a page with what was looked for.
type bookHit struct {
	bookPage
	Before, Match, After string // where it is; Match is "" where only the title has it
}

// search lists the pages that have every word, those with them in the title
// first.
func (b *book) search(words []string) (hits []bookHit) {
	var later []bookHit
	for _, p := range b.Pages {
		title, text := strings.ToLower(p.Title), strings.ToLower(p.Text)
		inTitle, ok := true, true
		for _, w := range words {
			inTitle = inTitle && strings.Contains(title, w)
			ok = ok && (strings.Contains(title, w) || strings.Contains(text, w))
		}
		if !ok {
			continue
		}
		h := bookHit{bookPage: p}
		// Lower case may have another length, so positions are looked up only
		// where it has not.
		if i := strings.Index(text, words[0]); i >= 0 && len(text) == len(p.Text) {
			h.Before, h.Match, h.After = around(p.Text, i, i+len(words[0]))
		}
		if inTitle {
			hits = append(hits, h)
		} else {
			later = append(later, h)
		}
	}
	hits = append(hits, later...)
	return hits[:min(len(hits), maxBookHits)]
}

// around cuts out what is near text[from:to], at words.
func around(text string, from, to int) (before, match, after string) {
	start, end := max(0, from-bookSnippet), min(len(text), to+bookSnippet)
	before, after = text[start:from], text[to:end]
	if start > 0 {
		if _, rest, ok := strings.Cut(before, " "); ok {
			before = rest
		}
		before = "…" + before
	}
	if end < len(text) {
		if i := strings.LastIndexByte(after, ' '); i > 0 {
			after = after[:i]
		}
		after += "…"
	}
	line := strings.NewReplacer("\n", " ", "\r", " ").Replace
	valid := func(s string) string { return strings.ToValidUTF8(line(s), "") }
	return valid(before), valid(text[from:to]), valid(after)
}
