package web

import (
	"embed"
	"fmt"
	"html"
	"html/template"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account/signin"
	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/index"
)

//go:embed templates/*.html
var templateFS embed.FS

// base is what the layout needs of every page.
type base struct {
	Title     string   // before the site's name; "" on the home page
	About     string   // a sentence for search engines and previews; may be empty
	Canonical string   // the address by which others should know the page; "" for none
	Site      string   // address of the site, without a slash at the end
	Card      string   // address of the picture in previews
	Feeds     []feed   // of what the page is about
	Data      any      // the page's JSON-LD; nil for none
	Query     string   // what the search box shows
	Kept      []choice // what the search box sends besides
	Searching bool     // the page shows what the search box finds
	Signed    string   // who is signed in; "" for nobody
	Person    bool     // and has an account page
	Next      string   // where to return from signing in; "" where nobody can
	Home      bool     // the home page has a search box of its own
	NoRobo    bool     // not for search engines
}

// feed is one Atom feed.
type feed struct{ Title, URL string }

func (s *Web) base(r request, title string) base {
	b := base{Title: title, Site: s.o.PublicURL, Card: s.o.PublicURL + "/cards/site.png", Query: clip(r.URL.Query().Get("q"))}
	if !r.who.Anonymous() {
		b.Signed, b.Person = r.who.String(), r.who.Session != ""
	} else if s.o.Accounts != nil {
		b.Next = signin.OwnPath(r.URL.RequestURI())
	}
	return b
}

// parse reads every page with the layout and the parts: the templates whose
// names end in parts.html.
func (s *Web) parse() (map[string]*template.Template, error) {
	shared, err := template.New("").Funcs(s.funcs()).ParseFS(templateFS, "templates/layout.html", "templates/*parts.html")
	if err != nil {
		return nil, err
	}
	files, err := templateFS.ReadDir("templates")
	if err != nil {
		return nil, err
	}
	pages := map[string]*template.Template{}
	for _, f := range files {
		name := f.Name()
		if name == "layout.html" || strings.HasSuffix(name, "parts.html") {
			continue
		}
		t, err := shared.Clone()
		if err != nil {
			return nil, err
		}
		if pages[name], err = t.ParseFS(templateFS, "templates/"+name); err != nil {
			return nil, err
		}
	}
	return pages, nil
}

func (s *Web) funcs() template.FuncMap {
	return template.FuncMap{
		"asset":  func(name string) string { return s.assets[name].url },
		"bytes":  size,
		"count":  count,
		"date":   func(t time.Time) string { return t.UTC().Format("2 Jan 2006") },
		"when":   func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") },
		"iso":    func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"ago":    func(t time.Time) template.HTML { return ago(t, s.o.Now()) },
		"url":    packageURL,
		"web":    webURL,
		"label":  webLabel,
		"mark":   mark,
		"short":  short,
		"signer": signer,
		"agent":  agent,
		"owner":  ownerURL, "unified": unified, "split": split,
		"title": func(v string) string { // of an issuer, as it writes itself
			if t, ok := map[string]string{"github": "GitHub", "gitlab": "GitLab"}[v]; ok {
				return t
			}
			return v
		},
		"standard": func(v string) string {
			return strings.ToUpper(v)
		},
		"lang":     language,
		"systems":  runsOn,
		"platform": func(v string) string { return label(index.FacetPlatform, v) },
	}
}

// language is a language as people write it.
func language(v string) string {
	switch v {
	case "cpp":
		return "C++"
	case "c":
		return "C"
	}
	return v
}

// runsOn tells what something runs on, as people write it; all of the common
// ones together have one word.
func runsOn(names []string) string {
	common := 0
	var out []string
	for _, n := range names {
		if n == "linux" || n == "macos" || n == "windows" {
			common++
		}
		out = append(out, label(index.FacetPlatform, n))
	}
	if common == 3 {
		if len(names) == common {
			return "Linux, macOS, Windows"
		}
		return fmt.Sprintf("Linux, macOS, Windows + %d", len(names)-common)
	}
	return strings.Join(out, ", ")
}

// ago is a moment as people tell it, with the exact one on hover.
func ago(t, now time.Time) template.HTML {
	const exact = "2 Jan 2006, 15:04:05 UTC"
	t = t.UTC()
	return template.HTML(`<time datetime="` + t.Format(time.RFC3339) + `" title="` + t.Format(exact) + `">` + since(t, now) + `</time>`) //nolint:gosec // digits and words of ours
}

// since is how long ago t was, in the one unit that fits. What is to come is
// told by its day.
func since(t, now time.Time) string {
	const day = 24 * time.Hour
	d := now.Sub(t)
	switch {
	case d < -time.Minute:
		return t.Format("2 Jan 2006")
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return units(d, time.Minute, "minute")
	case d < day:
		return units(d, time.Hour, "hour")
	case d < 30*day:
		return units(d, day, "day")
	case d < 365*day:
		return units(d, 30*day, "month")
	}
	return units(d, 365*day, "year")
}

func units(d, unit time.Duration, name string) string {
	n := d / unit
	if n == 1 {
		return "1 " + name + " ago"
	}
	return fmt.Sprintf("%d %ss ago", n, name)
}

// packageURL is the address of a package's page, from "@acme/zlib", a version
// or "", and further parts.
func packageURL(name, version string, more ...string) string {
	parts := strings.Split(strings.TrimPrefix(name, "@"), "/")
	if version != "" {
		parts = append(parts, version)
	}
	for _, m := range more {
		parts = append(parts, strings.Split(m, "/")...)
	}
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return "/packages/" + strings.Join(parts, "/")
}

// webURL returns u when it is an http or https address, else "".
func webURL(u string) string {
	p, err := url.Parse(u)
	if err != nil || p.Host == "" || p.User != nil || p.Scheme != "http" && p.Scheme != "https" {
		return ""
	}
	return p.String()
}

// webLabel is an address as people read it.
func webLabel(u string) string {
	p, err := url.Parse(u)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(strings.TrimPrefix(p.Host, "www.")+path.Clean("/"+p.Path), "/")
}

// short is a digest as people compare it.
func short(digest string) string {
	alg, hex, ok := strings.Cut(digest, ":")
	if !ok || len(hex) <= 12 {
		return digest
	}
	return alg + ":" + hex[:12]
}

// signer is who signed as people read it: without most of the fingerprint, which
// is there to be compared and not to be read.
func signer(s string) string {
	name, key, ok := strings.Cut(s, " (SHA256:")
	if !ok || len(key) < 12 {
		return s
	}
	return name + " (" + key[:8] + "…)"
}

func size(n int64) string { return clyde.FormatSize(n) }

// count writes n with thin groups of three: 12,345.
func count(v any) string {
	s := fmt.Sprint(v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// mark returns the text of field with its matches marked, or else plain.
func mark(h catalog.Hit, field, plain string) template.HTML {
	hl, ok := h.Highlights[field]
	if !ok {
		return template.HTML(html.EscapeString(plain)) //nolint:gosec // escaped
	}
	return highlight(hl)
}

func highlight(hl index.Highlight) template.HTML {
	var b strings.Builder
	at := 0
	for _, s := range hl.Spans {
		if s.Start < at || s.End < s.Start || s.End > len(hl.Text) {
			break // spans that do not fit are not worth a page
		}
		b.WriteString(html.EscapeString(hl.Text[at:s.Start]))
		b.WriteString("<mark>")
		b.WriteString(html.EscapeString(hl.Text[s.Start:s.End]))
		b.WriteString("</mark>")
		at = s.End
	}
	b.WriteString(html.EscapeString(hl.Text[at:]))
	return template.HTML(b.String()) //nolint:gosec // every piece is escaped
}
