package web

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Limits of what is written for machines. The sitemap protocol allows 50,000
// addresses a file; ours is what a file of 1 MB holds.
const (
	sitemapSize = 10_000 // addresses of one file
	sitemapMax  = 500    // files: five million packages
	feedEntries = 50     // of one feed
)

// machineRoutes mounts what programs read: search engines, feed readers,
// browsers' search boxes, pages that show a badge. All of it is for everybody
// and tells of nothing private, whoever asks.
func (s *Web) machineRoutes() {
	for pattern, h := range map[string]handler{
		"/robots.txt":                s.robots,
		"/.well-known/security.txt":  s.securityTxt,
		"/opensearch.xml":            s.openSearch,
		"/sitemap.xml":               s.sitemaps,
		"/sitemaps/{file}":           s.sitemap,
		"/feeds/site.atom":           s.siteFeed,
		"/feeds/{file}":              s.namespaceFeed,
		"/feeds/{ns}/{file}":         s.packageFeed,
		"/badges/{ns}/{name}/{file}": s.badge,
		"/cards/{file}":              s.siteCard,
		"/cards/{ns}/{name}/{file}":  s.card,
	} {
		s.mux.Handle("GET "+pattern, s.page(h))
	}
}

// answer sends a body that is the same for everybody, for a while.
func (s *Web) answer(w http.ResponseWriter, r request, kind, cache string, body []byte) error {
	h := w.Header()
	sum := sha256.Sum256(body)
	tag := `W/"` + hex.EncodeToString(sum[:16]) + `"`
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", cache)
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin") // a badge stands in the pages of others
	h.Set("Vary", "Accept-Encoding")
	h.Set("ETag", tag)
	if matches(r.Header.Get("If-None-Match"), strings.TrimPrefix(tag, "W/")) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if kind != pngKind && len(body) >= compressFrom && takesGzip(r.Request) {
		var err error
		if body, err = compressed(body); err != nil {
			return fmt.Errorf("web: %s: %w", r.URL.Path, err)
		}
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
	return nil
}

// xmlAnswer sends v as an XML document.
func (s *Web) xmlAnswer(w http.ResponseWriter, r request, kind string, v any) error {
	b, err := xml.MarshalIndent(v, "", " ")
	if err != nil {
		return fmt.Errorf("web: %s: %w", r.URL.Path, err)
	}
	return s.answer(w, r, kind, shared, append([]byte(xml.Header), append(b, '\n')...))
}

// How long anybody may keep what machines read.
const (
	shared = "public, max-age=300, stale-while-revalidate=3600" // lists, badges
	daily  = "public, max-age=86400"                            // what changes with the program alone
)

// robots keeps crawlers out of what has no end (searches, files of every
// version, comparisons) and shows them the sitemap.
func (s *Web) robots(w http.ResponseWriter, r request) error {
	text := "User-agent: *\nDisallow: /search?\nDisallow: /v2/\nDisallow: /api/v1/\nDisallow: /login\nDisallow: /account\nDisallow: /*?raw=1\nDisallow: /packages/*/*/compare\n"
	if s.o.PublicURL != "" {
		text += "\nSitemap: " + s.o.PublicURL + "/sitemap.xml\n"
	}
	return s.answer(w, r, "text/plain; charset=utf-8", daily, []byte(text))
}

// securityTxt says where to report a hole (RFC 9116): the operator's address
// where there is one, else the project's.
func (s *Web) securityTxt(w http.ResponseWriter, r request) error {
	contact := s.o.SecurityContact
	if contact == "" {
		contact = "https://github.com/clydepm/clyde-registry/security/policy"
	}
	// The day is rounded, so that the answer keeps its ETag for a month.
	expires := s.o.Now().UTC().AddDate(0, 7, 0)
	expires = time.Date(expires.Year(), expires.Month(), 1, 0, 0, 0, 0, time.UTC)
	text := "Contact: " + contact + "\nExpires: " + expires.Format(time.RFC3339) + "\nPreferred-Languages: en\n"
	if s.o.PublicURL != "" {
		text += "Canonical: " + s.o.PublicURL + "/.well-known/security.txt\n"
	}
	return s.answer(w, r, "text/plain; charset=utf-8", daily, []byte(text))
}

// openSearch lets a browser search here from its own bar.
func (s *Web) openSearch(w http.ResponseWriter, r request) error {
	type address struct {
		Type     string `xml:"type,attr"`
		Rel      string `xml:"rel,attr,omitempty"`
		Template string `xml:"template,attr"`
	}
	type image struct {
		Width  int    `xml:"width,attr"`
		Height int    `xml:"height,attr"`
		Type   string `xml:"type,attr"`
		URL    string `xml:",chardata"`
	}
	return s.xmlAnswer(w, r, "application/opensearchdescription+xml; charset=utf-8", struct {
		XMLName     xml.Name  `xml:"http://a9.com/-/spec/opensearch/1.1/ OpenSearchDescription"`
		ShortName   string    `xml:"ShortName"`
		Description string    `xml:"Description"`
		Encoding    string    `xml:"InputEncoding"`
		Image       image     `xml:"Image"`
		URL         []address `xml:"Url"`
	}{
		ShortName: "Clyde Registry", Description: "Packages for C and C++", Encoding: "UTF-8",
		Image: image{16, 16, "image/svg+xml", s.o.PublicURL + "/favicon.ico"},
		URL: []address{
			{Type: "text/html", Template: s.o.PublicURL + "/search?q={searchTerms}"},
			{Type: "application/opensearchdescription+xml", Rel: "self", Template: s.o.PublicURL + "/opensearch.xml"},
		},
	})
}

const sitemapSpace = "http://www.sitemaps.org/schemas/sitemap/0.9"

// place is one address of a sitemap.
type place struct {
	Loc     string `xml:"loc"`
	LastMod string `xml:"lastmod,omitempty"`
}

// sitemaps lists the files of the sitemap.
func (s *Web) sitemaps(w http.ResponseWriter, r request) error {
	stats, err := s.o.Catalog.Stats(r.Context())
	if err != nil {
		return err
	}
	out := struct {
		XMLName xml.Name `xml:"http://www.sitemaps.org/schemas/sitemap/0.9 sitemapindex"`
		Files   []place  `xml:"sitemap"`
	}{}
	for i := int64(0); i == 0 || i*sitemapSize < stats.Packages && i < sitemapMax; i++ {
		out.Files = append(out.Files, place{Loc: fmt.Sprintf("%s/sitemaps/%d.xml", s.o.PublicURL, i+1)})
	}
	return s.xmlAnswer(w, r, "application/xml; charset=utf-8", out)
}

// sitemap lists packages; the first one the other pages, too.
func (s *Web) sitemap(w http.ResponseWriter, r request) error {
	num, ok := strings.CutSuffix(r.PathValue("file"), ".xml")
	n, err := strconv.Atoi(num)
	if !ok || err != nil || n < 1 || n > sitemapMax {
		return s.missing(w, r)
	}
	items, err := s.o.Catalog.Public(r.Context(), (n-1)*sitemapSize, sitemapSize)
	if err != nil {
		return err
	}
	if len(items) == 0 && n > 1 {
		return s.missing(w, r)
	}
	out := struct {
		XMLName xml.Name `xml:"urlset"`
		Space   string   `xml:"xmlns,attr"`
		Places  []place  `xml:"url"`
	}{Space: sitemapSpace}
	if n == 1 {
		for _, p := range []string{"/", "/browse", "/about", "/api"} {
			out.Places = append(out.Places, place{Loc: s.o.PublicURL + p})
		}
	}
	for _, l := range items {
		out.Places = append(out.Places, place{s.o.PublicURL + packageURL(l.Name.String(), ""), l.Updated.UTC().Format(time.RFC3339)})
	}
	return s.xmlAnswer(w, r, "application/xml; charset=utf-8", out)
}

// wantsJSON reports whether who asks is a program that reads JSON and no page.
func wantsJSON(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	return strings.Contains(accept, "application/json") && !strings.Contains(accept, "text/html")
}

// toAPI sends whoever wants JSON of a package, or of one version, to the API.
// It looks at the address alone, so that it tells nothing of what is there.
func (s *Web) toAPI(w http.ResponseWriter, r request) (done bool, err error) {
	name, version := r.PathValue("name"), r.PathValue("version")
	last := &name
	if version != "" {
		last = &version
	}
	rest, suffix := strings.CutSuffix(*last, ".json")
	if !suffix && !wantsJSON(r.Request) {
		return false, nil
	}
	if suffix {
		*last = rest
	}
	n, err := clyde.ParseName("@" + strings.TrimPrefix(r.PathValue("ns"), "@") + "/" + name)
	if err != nil {
		return false, err
	}
	path := "/api/v1" + packageURL(n.String(), "")
	if version != "" {
		path += "/versions/" + url.PathEscape(version)
	}
	return true, to(w, r, path, http.StatusSeeOther)
}
