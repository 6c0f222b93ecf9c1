package web

import (
	"bytes"
	"cmp"
	"html"
	"html/template"
	"io"
	"mime"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/markdown"
)

// Limits of the file view. Ours: they bound what one page may cost.
const (
	maxView         = 1 << 20                // bytes shown of a file; a larger one is offered for download
	maxLines        = 25_000                 // lines shown with numbers; a file of more is offered for download
	highlightBudget = 300 * time.Millisecond // then the file is shown plain
	maxListed       = 2000                   // entries of one directory listed
)

// node is one entry of a directory.
type node struct {
	Name string
	URL  string
	Dir  bool
	Size int64 // bytes; of everything below, for a directory
	Link string
}

type crumb struct{ Name, URL string }

type filesPage struct {
	head
	Crumbs []crumb
	Nodes  []node
	Count  int   // files of the whole version
	Bytes  int64 // of the whole version
	Cut    int   // entries that are not shown
}

type filePage struct {
	head
	Path   string
	Crumbs []crumb
	File   catalog.File
	Raw    string // address of the bytes
	Read   string // address of the page that it is in the documentation; "" for none
	Code   template.HTML
	Lines  int
	Image  bool
	Why    string // why the file is not shown
	Plain  bool   // shown without colours, because of the budget
}

func (s *Web) filesRoot(w http.ResponseWriter, r request) error { return s.listing(w, r, "") }

func (s *Web) files(w http.ResponseWriter, r request) error {
	p := strings.TrimSuffix(r.PathValue("path"), "/")
	if p == "" || p != r.PathValue("path") {
		return s.listing(w, r, p)
	}
	if r.URL.Query().Get("raw") == "1" {
		return s.raw(w, r, p)
	}
	h, ref, done, err := s.head(w, r, "files")
	if done || err != nil {
		return err
	}
	body, f, err := s.o.Catalog.OpenFile(r.Context(), r.who, ref, p)
	if err != nil {
		if e := clyde.AsError(err); e != nil && e.Kind == clyde.ErrNotFound {
			return s.listing(w, r, p) // perhaps a directory
		}
		return err
	}
	defer func() { _ = body.Close() }()
	page := filePage{head: h, Path: p, File: f, Crumbs: crumbs(h, p), Raw: packageURL(h.Package.Name, h.Release.Version, "files", p) + "?raw=1"}
	page.Title = p + " · " + page.Title
	page.NoRobo, page.Below = !h.Latest, p
	switch rest, below := strings.CutPrefix(p, h.book.Root+"/"); {
	case p == h.book.Changelog:
		page.Read = packageURL(h.Package.Name, h.Release.Version, "changelog")
	case below && slices.Contains(h.book.Pages, rest):
		page.Read = packageURL(h.Package.Name, h.Release.Version, "docs", rest)
	}
	if err := page.show(body); err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "file.html", page)
}

// show reads the file and decides how it appears.
func (p *filePage) show(body io.Reader) error {
	if _, ok := imageTypes[strings.ToLower(path.Ext(p.Path))]; ok {
		p.Image = true
		return nil
	}
	if p.File.Size > maxView {
		p.Why = "It is larger than " + size(maxView) + "."
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(body, maxView+1))
	if err != nil {
		return err
	}
	if len(b) > maxView {
		p.Why = "It is larger than " + size(maxView) + "."
		return nil
	}
	if bytes.IndexByte(b, 0) >= 0 || !utf8.Valid(b) && !mostlyText(b) {
		p.Why = "It is not text."
		return nil
	}
	text := strings.ReplaceAll(strings.ToValidUTF8(string(b), "\uFFFD"), "\r\n", "\n")
	p.Lines = strings.Count(text, "\n")
	if text != "" && !strings.HasSuffix(text, "\n") {
		p.Lines++
	}
	if p.Lines > maxLines {
		p.Why = "It has more than " + count(maxLines) + " lines."
		return nil
	}
	spans, ok := markdown.Highlight(p.Path, text, time.Now().Add(highlightBudget))
	if !ok {
		p.Plain = true
		spans = template.HTML(html.EscapeString(text)) //nolint:gosec // escaped
	}
	p.Code = numbered(spans)
	return nil
}

// mostlyText tells an old encoding (Latin-1 in a comment) from a binary file.
func mostlyText(b []byte) bool {
	odd := 0
	for _, c := range b {
		if c >= 0x80 || c < 0x20 && c != '\n' && c != '\r' && c != '\t' && c != '\f' {
			odd++
		}
	}
	return odd*10 < len(b)
}

// numbered puts every line into an element of its own with its number as an
// anchor. No tag crosses a line end, as Highlight promises.
func numbered(code template.HTML) template.HTML {
	var b strings.Builder
	b.Grow(len(code) * 2)
	n := 0
	for line := range strings.Lines(string(code)) {
		n++
		num := strconv.Itoa(n)
		b.WriteString(`<span class="l" id="L`)
		b.WriteString(num)
		b.WriteString(`"><a href="#L`)
		b.WriteString(num)
		b.WriteString(`" data-n="`)
		b.WriteString(num)
		b.WriteString(`" tabindex="-1" aria-label="Line `)
		b.WriteString(num)
		b.WriteString(`"></a>`)
		b.WriteString(strings.TrimSuffix(line, "\n"))
		b.WriteString("\n</span>")
	}
	return template.HTML(b.String()) //nolint:gosec // tags around what Highlight escaped
}

// imageTypes are the only media types that a file of a package is served
// under; everything else is bytes.
var imageTypes = map[string]string{
	".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp",
	".avif": "image/avif", ".svg": "image/svg+xml",
}

// raw sends the bytes of a file, as an attachment in a sandbox: what a package
// contains is never a page of our origin.
func (s *Web) raw(w http.ResponseWriter, r request, p string) error {
	_, ref, done, err := s.head(w, r, "files")
	if done || err != nil {
		return err
	}
	body, f, err := s.o.Catalog.OpenFile(r.Context(), r.who, ref, p)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	kind := imageTypes[strings.ToLower(path.Ext(p))]
	if kind == "" {
		kind = "application/octet-stream"
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", attachment(path.Base(p)))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", cacheControl(r.who))
	h.Set("Content-Length", strconv.FormatInt(f.Size, 10))
	if r.Method == http.MethodHead {
		return nil
	}
	if _, err := io.CopyN(w, body, f.Size); err != nil && r.Context().Err() == nil {
		s.o.Log.WarnContext(r.Context(), "web: raw file cut off", "path", r.URL.Path, "err", err)
		panic(http.ErrAbortHandler) // headers are sent: only a broken connection tells the reader
	}
	return nil
}

// attachment is a Content-Disposition with the file's name, in ASCII and, when
// it is not, encoded as RFC 6266 says.
func attachment(name string) string {
	if v := mime.FormatMediaType("attachment", map[string]string{"filename": name}); v != "" {
		return v
	}
	return "attachment"
}

func crumbs(h head, p string) []crumb {
	out := []crumb{{h.Package.Base, packageURL(h.Package.Name, h.Release.Version, "files")}}
	if p == "" {
		return out
	}
	parts := strings.Split(p, "/")
	for i, name := range parts {
		out = append(out, crumb{name, packageURL(h.Package.Name, h.Release.Version, append([]string{"files"}, parts[:i+1]...)...)})
	}
	return out
}

// listing shows one directory, dir without slashes around it.
func (s *Web) listing(w http.ResponseWriter, r request, dir string) error {
	h, ref, done, err := s.head(w, r, "files")
	if done || err != nil {
		return err
	}
	all, err := s.o.Catalog.Files(r.Context(), r.who, ref)
	if err != nil {
		return err
	}
	p := filesPage{head: h, Crumbs: crumbs(h, dir), Count: len(all)}
	p.Title += " files"
	p.NoRobo, p.Below = dir != "" && !h.Latest, dir
	at := map[string]int{}
	for _, f := range all {
		p.Bytes += f.Size
		rest, ok := f.Path, true
		if dir != "" {
			rest, ok = strings.CutPrefix(f.Path, dir+"/")
		}
		if !ok {
			continue
		}
		name, _, below := strings.Cut(rest, "/")
		if i, seen := at[name]; seen {
			p.Nodes[i].Size += f.Size
			continue
		}
		at[name] = len(p.Nodes)
		p.Nodes = append(p.Nodes, node{Name: name, Dir: below, Size: f.Size, Link: f.Link,
			URL: packageURL(h.Package.Name, h.Release.Version, "files", path.Join(dir, name))})
	}
	if len(p.Nodes) == 0 && dir != "" {
		return clyde.Errorf(clyde.ErrNotFound, "%s %s has no file %s.", h.Package.Name, h.Release.Version, clip(dir)).
			Fix("See the list of its files.")
	}
	slices.SortFunc(p.Nodes, func(a, b node) int {
		if a.Dir != b.Dir {
			if a.Dir {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Name, b.Name)
	})
	if n := len(p.Nodes); n > maxListed {
		p.Nodes, p.Cut = p.Nodes[:maxListed], n-maxListed
	}
	return s.render(w, r, http.StatusOK, "files.html", p)
}
