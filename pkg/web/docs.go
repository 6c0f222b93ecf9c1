package web

import (
	"errors"
	"html/template"
	"net/http"
	"path"
	"strings"

	xhtml "golang.org/x/net/html"

	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/markdown"
)

// chapter is one line of a book's list of pages.
type chapter struct {
	Section string // heading before it; "" in the section of the one before
	Title   string
	URL     string
	Current bool
}

// anchor is one heading of a page.
type anchor struct {
	ID, Text string
	Deep     bool // a heading below another one
}

type docsPage struct {
	head
	Root     string // directory of the book; "" where there is none
	Chapters []chapter
	Body     template.HTML
	File     string // address of the source among the files
	Anchors  []anchor
	Prev     *chapter
	Next     *chapter
	Ask      string // what was looked for
	Hits     []hitLink
}

// hitLink is a page that was found, and where it is.
type hitLink struct {
	bookHit
	URL string
}

// docs shows the documentation of a version as a book: a page of it, or what
// was found in it.
func (s *Web) docs(w http.ResponseWriter, r request) error {
	h, ref, done, err := s.head(w, r, "docs")
	if done || err != nil {
		return err
	}
	if h.Pinned == "" && h.Release.Version != "" {
		return to(w, r, packageURL(h.Package.Name, h.Release.Version, "docs"), http.StatusFound)
	}
	p := docsPage{head: h, Root: h.book.Root}
	p.Title = "Documentation · " + p.Title
	p.NoRobo = !h.Latest
	if p.Root == "" {
		return s.render(w, r, http.StatusNotFound, "docs.html", p)
	}
	b, err := s.book(r, ref, h)
	if err != nil {
		return err
	}
	at := r.PathValue("path")
	i, ok := b.page(at)
	if !ok {
		return clyde.Errorf(clyde.ErrNotFound, "The documentation of %s %s has no page %s.", h.Package.Name, h.Release.Version, clip(at)).
			Fix("Another version may have it. The book begins at %s.", packageURL(h.Package.Name, h.Release.Version, "docs"))
	}
	p.Below = at
	p.Ask = strings.TrimSpace(clip(r.URL.Query().Get("find")))
	p.Chapters = b.chapters(h, i)
	if words := strings.Fields(strings.ToLower(p.Ask)); len(words) > 0 {
		p.NoRobo = true
		for _, hit := range b.search(words) {
			p.Hits = append(p.Hits, hitLink{hit, p.Chapters[b.at[hit.Path]].URL})
		}
		return s.render(w, r, http.StatusOK, "docs.html", p)
	}
	page := b.Pages[i]
	p.Title = page.Title + " · " + p.Title
	p.File = packageURL(h.Package.Name, h.Release.Version, "files", b.Root+"/"+page.Path)
	if i > 0 {
		p.Prev = &p.Chapters[i-1]
	}
	if i+1 < len(p.Chapters) {
		p.Next = &p.Chapters[i+1]
	}
	if p.Body, err = s.document(r, h, ref, b.Root+"/"+page.Path); err != nil {
		return err
	}
	p.Anchors = anchors(p.Body)
	return s.render(w, r, http.StatusOK, "docs.html", p)
}

// chapters lists the pages of a book, of which the one at current is shown.
func (b *book) chapters(h head, current int) []chapter {
	out := make([]chapter, len(b.Pages))
	section := "."
	for i, p := range b.Pages {
		out[i] = chapter{Title: p.Title, Current: i == current, URL: packageURL(h.Package.Name, h.Release.Version, "docs", p.Path)}
		if dir := path.Dir(p.Path); dir != section {
			section = dir
			if dir != "." {
				out[i].Section = titleOf(dir + "/index.md")
			}
		}
	}
	return out
}

// documentsKept bounds what rendered documents cost in memory together, in
// bytes.
const documentsKept = 64 << 20

// document renders a file of a version: Markdown as such, anything else as
// text. Links to what is shown as a page lead there.
func (s *Web) document(r request, h head, ref catalog.Ref, file string) (template.HTML, error) {
	key := h.Release.Digest + " " + file
	if doc, ok := s.documents.Get(key); ok {
		return doc, nil
	}
	// One byte more than is shown, so that the renderer says that there is more.
	src, err := s.read(r, ref, file, markdown.MaxInput+1)
	if err != nil {
		return "", err
	}
	var doc template.HTML
	if path.Ext(file) == ".txt" || !markdown.IsMarkdown(file) {
		doc = markdown.Plain(src)
	} else {
		name, version := h.Package.Name, h.Release.Version
		pages := map[string]bool{} // and directories that have a page
		for _, p := range h.book.Pages {
			pages[h.book.Root+"/"+p] = true
			if isIndex(p) {
				pages[path.Join(h.book.Root, path.Dir(p))] = true
			}
		}
		doc, err = markdown.Render(src, markdown.Options{
			BaseURL: packageURL(name, version, "files") + "/", Path: file,
			Page: func(p string) string {
				switch {
				case p == h.book.Changelog && p != "":
					return packageURL(name, version, "changelog")
				case pages[p]:
					return packageURL(name, version, "docs", strings.TrimPrefix(strings.TrimPrefix(p, h.book.Root), "/"))
				}
				return ""
			},
		})
		if err != nil {
			s.o.Log.InfoContext(r.Context(), "web: document shown as text", "package", name, "version", version, "file", file, "err", err)
			return doc, nil // over a limit of time, perhaps: not kept
		}
	}
	s.documents.Put(key, doc, len(doc)+len(key))
	return doc, nil
}

// maxAnchors is how many headings the list of a page shows. Ours.
const maxAnchors = 60

// anchors lists the headings of a rendered document on the two highest levels
// below its title, which is its first heading where no other is as high.
func anchors(doc template.HTML) []anchor {
	type heading struct {
		anchor
		level byte
	}
	var all []heading
	var open *heading
	for z := xhtml.NewTokenizer(strings.NewReader(string(doc))); ; {
		switch z.Next() {
		case xhtml.ErrorToken:
			high := byte('9')
			for i, h := range all {
				if i > 0 && h.level <= all[0].level {
					high = all[0].level // the first is one of several
				}
			}
			if high == '9' && len(all) > 0 {
				all = all[1:]
				for _, h := range all {
					high = min(high, h.level)
				}
			}
			var out []anchor
			for _, h := range all {
				if h.level <= high+1 && h.ID != "" && h.Text != "" && len(out) < maxAnchors {
					h.Deep = h.level > high
					out = append(out, h.anchor)
				}
			}
			return out
		case xhtml.StartTagToken:
			t := z.Token()
			if len(t.Data) != 2 || t.Data[0] != 'h' || t.Data[1] < '2' || t.Data[1] > '6' {
				continue
			}
			open = &heading{level: t.Data[1]}
			for _, a := range t.Attr {
				if a.Key == "id" {
					open.ID = a.Val
				}
			}
		case xhtml.TextToken:
			if open != nil {
				open.Text += string(z.Text())
			}
		case xhtml.EndTagToken:
			if name, _ := z.TagName(); open != nil && len(name) == 2 && name[0] == 'h' && name[1] == open.level {
				open.Text = strings.TrimSpace(open.Text)
				all = append(all, *open)
				open = nil
			}
		}
	}
}

type changelogPage struct {
	head
	File    string // its path; "" where there is none
	Source  string // its address among the files
	Body    template.HTML
	Anchors []anchor
}

// changelog shows the file that says what changed, as a page.
func (s *Web) changelog(w http.ResponseWriter, r request) error {
	h, ref, done, err := s.head(w, r, "changelog")
	if done || err != nil {
		return err
	}
	if h.Release.Version == "" {
		return s.missing(w, r)
	}
	p := changelogPage{head: h, File: h.book.Changelog}
	p.Title = "Changelog · " + p.Title
	p.NoRobo = !h.Latest
	if p.File == "" {
		return s.render(w, r, http.StatusNotFound, "changelog.html", p)
	}
	if p.Body, err = s.document(r, h, ref, p.File); errors.Is(err, clyde.ErrNotFound) {
		return clyde.Errorf(clyde.ErrUnavailable, "The changelog of %s cannot be read at the moment.", h.Package.Name).Fix("Try again in a moment.")
	} else if err != nil {
		return err
	}
	p.Source = packageURL(h.Package.Name, h.Release.Version, "files", p.File)
	p.Anchors = anchors(p.Body)
	return s.render(w, r, http.StatusOK, "changelog.html", p)
}
