package web_test

import (
	"compress/gzip"
	"encoding/json"
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What machines read: whole, of the right type, for the pages of others to
// load, and the same for whoever has it already.
func TestMachines(t *testing.T) {
	t.Parallel()
	h := newSite(t, newShelf())
	for _, tt := range []struct {
		path, kind string
		has        []string
	}{
		{"/robots.txt", "text/plain", []string{"Disallow: /search?\n", "Sitemap: http://localhost:8080/sitemap.xml"}},
		{"/.well-known/security.txt", "text/plain", []string{"Contact: https://", "Expires: 20", "Canonical: http://localhost:8080/.well-known/security.txt"}},
		{"/opensearch.xml", "application/opensearchdescription+xml", []string{`template="http://localhost:8080/search?q={searchTerms}"`}},
		{"/sitemap.xml", "application/xml", []string{"<loc>http://localhost:8080/sitemaps/1.xml</loc>"}},
		{"/sitemaps/1.xml", "application/xml", []string{"<loc>http://localhost:8080/</loc>", "<loc>http://localhost:8080/packages/acme/zlib</loc>", "<lastmod>2026-11-20T10:00:00Z</lastmod>"}},
		{"/feeds/site.atom", "application/atom+xml", []string{"<title>@acme/zlib 1.3.1</title>", `href="http://localhost:8080/packages/acme/zlib/1.3.1"`}},
		{"/feeds/acme.atom", "application/atom+xml", []string{`rel="self"`, "@acme/zlib"}},
		{"/feeds/acme/zlib.atom", "application/atom+xml", []string{"@acme/zlib 1.2.13", "Yanked (security): CVE-2023-45853", "Signed by release"}},
		{"/badges/acme/zlib/version.svg", "image/svg+xml", []string{`aria-label="clyde: v1.3.1"`}},
		{"/badges/acme/zlib/signed.svg", "image/svg+xml", []string{"verified"}},
		{"/badges/acme/zlib/license.json", "application/json", []string{`"schemaVersion":1`, `"message":"Zlib"`}},
		{"/badges/acme/zlib/downloads.json", "application/json", []string{`"message":"123k"`}},
		{"/badges/@acme/zlib/dependents.svg", "image/svg+xml", []string{">42<"}},
		{"/badges/acme/zlib/standard.svg", "image/svg+xml", []string{">C11<"}},
		{"/cards/site.png", "image/png", []string{"\x89PNG"}},
		{"/cards/acme/zlib/1.3.1.png", "image/png", []string{"\x89PNG"}},
		{"/cards/acme/zlib/1.2.13.png", "image/png", []string{"\x89PNG"}},
	} {
		w := get(t, h, tt.path)
		body := w.Body.String()
		if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), tt.kind) || w.Header().Get("Cross-Origin-Resource-Policy") != "cross-origin" {
			t.Errorf("GET %s = %d, %v", tt.path, w.Code, w.Header())
		}
		for _, s := range tt.has {
			if !strings.Contains(body, s) {
				t.Errorf("GET %s lacks %q:\n%s", tt.path, s, body)
			}
		}
		if strings.Contains(tt.kind, "xml") {
			for d := xml.NewDecoder(strings.NewReader(body)); ; {
				if _, err := d.Token(); err == io.EOF {
					break
				} else if err != nil {
					t.Errorf("GET %s: %v", tt.path, err)
					break
				}
			}
		}
		if tt.kind == "application/json" && !json.Valid(w.Body.Bytes()) {
			t.Errorf("GET %s is no JSON", tt.path)
		}
		if again := get(t, h, tt.path, "If-None-Match", w.Header().Get("ETag")); again.Code != 304 || again.Body.Len() != 0 {
			t.Errorf("GET %s again = %d; want 304", tt.path, again.Code)
		}
	}
	for _, path := range []string{
		"/sitemaps/0.xml", "/sitemaps/2.xml", "/sitemaps/x.xml", "/sitemaps/1", "/sitemaps/501.xml", "/feeds/acme", "/feeds/A.atom", "/feeds/acme/none.atom", "/feeds/acme/zlib",
		"/badges/acme/zlib/price.svg", "/badges/acme/zlib/version.png", "/badges/acme/none/version.svg", "/badges/A/zlib/version.svg", "/badges/acme/zlib/version",
		"/cards/other.png", "/cards/acme/zlib/9.9.png", "/cards/acme/zlib/1.3.1", "/cards/acme/zlib/.png", "/cards/acme/none/1.3.1.png", "/cards/A/zlib/1.3.1.png",
	} {
		if w := get(t, h, path); w.Code != 404 {
			t.Errorf("GET %s = %d; want 404", path, w.Code)
		}
	}
}

// A private package has no badge and no feed, not even for its owner: they are
// made to be shown to others.
func TestMachinesOfPrivate(t *testing.T) {
	t.Parallel()
	s := newShelf()
	s.pkg.Private = true
	h := newSite(t, s)
	for _, path := range []string{"/badges/acme/zlib/version.svg", "/badges/acme/zlib/version.json", "/feeds/acme/zlib.atom", "/cards/acme/zlib/1.3.1.png"} {
		if w := get(t, h, path, "Authorization", "Bearer good"); w.Code != 404 {
			t.Errorf("GET %s of a private package = %d; want 404", path, w.Code)
		}
	}
}

// Previews find the picture of exactly what is shown; a private package has
// none.
func TestCards(t *testing.T) {
	t.Parallel()
	s := newShelf()
	h := newSite(t, s)
	for path, want := range map[string]string{
		"/":                          "/cards/site.png",
		"/packages/acme/zlib":        "/cards/acme/zlib/1.3.1.png",
		"/packages/acme/zlib/1.2.13": "/cards/acme/zlib/1.2.13.png",
	} {
		body := get(t, h, path).Body.String()
		if !strings.Contains(body, `<meta property="og:image" content="http://localhost:8080`+want+`">`) || !strings.Contains(body, `content="summary_large_image"`) {
			t.Errorf("GET %s names no picture %s", path, want)
		}
	}
	if a, b := get(t, h, "/cards/acme/zlib/1.3.1.png"), get(t, h, "/cards/acme/zlib/1.3.1.png", "Accept-Encoding", "gzip"); a.Body.String() != b.Body.String() {
		t.Error("a second look gives another picture")
	}
	s.pkg.Private = true
	if body := get(t, h, "/packages/acme/zlib", "Authorization", "Bearer good").Body.String(); strings.Contains(body, "og:image") {
		t.Error("the page of a private package names a picture")
	}
}

// Whoever wants JSON of a package is sent to the API, by what is asked for
// alone.
func TestToAPI(t *testing.T) {
	t.Parallel()
	h := newSite(t, newShelf())
	for _, tt := range []struct{ path, accept, to string }{
		{"/packages/acme/zlib", "application/json", "/api/v1/packages/acme/zlib"},
		{"/packages/acme/zlib.json", "", "/api/v1/packages/acme/zlib"},
		{"/packages/@acme/zlib.json", "", "/api/v1/packages/acme/zlib"},
		{"/packages/acme/none.json", "", "/api/v1/packages/acme/none"},
		{"/packages/acme/zlib/1.3.1.json", "", "/api/v1/packages/acme/zlib/versions/1.3.1"},
		{"/packages/acme/zlib/1.3.1", "application/json, */*", "/api/v1/packages/acme/zlib/versions/1.3.1"},
	} {
		w := get(t, h, tt.path, "Accept", tt.accept)
		if diff := cmp.Diff(tt.to, w.Header().Get("Location")); w.Code != 303 || diff != "" {
			t.Errorf("GET %s as %q = %d %s", tt.path, tt.accept, w.Code, diff)
		}
	}
	if w := get(t, h, "/packages/acme/zlib", "Accept", "text/html,application/json;q=0.9"); w.Code != 200 {
		t.Errorf("a browser is sent to the API: %d", w.Code)
	}
}

// Pages for everybody are compressed; pages with what only one may see are not.
func TestCompression(t *testing.T) {
	t.Parallel()
	h := newSite(t, newShelf())
	plain := get(t, h, "/packages/acme/zlib")
	w := get(t, h, "/packages/acme/zlib", "Accept-Encoding", "br, gzip;q=0.8")
	if w.Header().Get("Content-Encoding") != "gzip" || w.Header().Get("ETag") != plain.Header().Get("ETag") {
		t.Fatalf("Content-Encoding %q, ETag %q; want gzip and %q", w.Header().Get("Content-Encoding"), w.Header().Get("ETag"), plain.Header().Get("ETag"))
	}
	z, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(z); err != nil || string(b) != plain.Body.String() {
		t.Errorf("the compressed page is another one, or broken: %v", err)
	}
	for _, header := range [][]string{{"Accept-Encoding", "gzip;q=0"}, {"Accept-Encoding", "br"}, {"Accept-Encoding", "gzip", "Authorization", "Bearer good"}} {
		if w := get(t, h, "/packages/acme/zlib", header...); w.Header().Get("Content-Encoding") != "" {
			t.Errorf("%v: compressed; want plain", header)
		}
	}
}

// What does not meet the policy of its namespace says so, once it is shown.
func TestUnmetPolicyIsSaid(t *testing.T) {
	t.Parallel()
	const says = "Not signed as @acme asks."
	for _, tt := range []struct {
		policy, state string
		want          bool
	}{{"", "visible", false}, {"allow", "visible", false}, {"warn", "visible", true}, {"deny", "visible", true}, {"deny", "pending", false}} {
		s := newShelf()
		s.rels[0].Policy, s.rels[0].State = tt.policy, tt.state
		if got := strings.Contains(get(t, newSite(t, s), "/packages/acme/zlib").Body.String(), says); got != tt.want {
			t.Errorf("policy %q, %s: says so: %t; want %t", tt.policy, tt.state, got, tt.want)
		}
	}
}
