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
	"github.com/clydepm/clyde-registry/pkg/index"
)

//go:embed templates/*.html
var templateFS embed.FS

// base is what the layout needs of every page.
type base struct {
	Title  string // before the site's name; "" on the home page
	Query  string // what the search box shows
	Signed string // who is signed in; "" for nobody
	Person bool   // and has an account page
	Next   string // where to return from signing in; "" where nobody can
	Home   bool   // the home page has a search box of its own
	NoRobo bool   // not for search engines
}

func (s *Web) base(r request, title string) base {
	b := base{Title: title, Query: clip(r.URL.Query().Get("q"))}
	if !r.who.Anonymous() {
		b.Signed, b.Person = r.who.String(), r.who.Session != ""
	} else if s.o.Accounts != nil {
		b.Next = signin.OwnPath(r.URL.RequestURI())
	}
	return b
}

// parse reads every page with the layout and the parts.
func (s *Web) parse() (map[string]*template.Template, error) {
	shared, err := template.New("").Funcs(s.funcs()).ParseFS(templateFS, "templates/layout.html", "templates/parts.html", "templates/account_parts.html")
	if err != nil {
		return nil, err
	}
	pages := map[string]*template.Template{}
	for _, name := range []string{"home.html", "search.html", "package.html", "versions.html", "builds.html", "dependencies.html", "dependents.html",
		"files.html", "file.html", "candidates.html", "about.html", "error.html", "account_login.html", "account_go.html", "account_profile.html",
		"account_sessions.html", "account_tokens.html", "account_device.html", "account_namespaces.html",
		"package_settings.html", "namespace_settings.html", "account_org.html", "account_admin.html", "account_audit.html"} {
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
		"url":    packageURL,
		"web":    webURL,
		"label":  webLabel,
		"mark":   mark,
		"short":  short,
		"signer": signer,
		"agent":  agent,
		"title": func(v string) string { // of an issuer, as it writes itself
			if t, ok := map[string]string{"github": "GitHub", "gitlab": "GitLab"}[v]; ok {
				return t
			}
			return v
		},
		"standard": func(v string) string {
			return strings.NewReplacer("c++", "C++", "c", "C").Replace(v)
		},
		"lang": func(v string) string {
			switch v {
			case "cpp":
				return "C++"
			case "c":
				return "C"
			}
			return v
		},
	}
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

func size(n int64) string {
	const k = 1024
	switch {
	case n < k:
		return fmt.Sprintf("%d B", n)
	case n < k*k:
		return fmt.Sprintf("%.1f KiB", float64(n)/k)
	case n < k*k*k:
		return fmt.Sprintf("%.1f MiB", float64(n)/k/k)
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/k/k/k)
}

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
