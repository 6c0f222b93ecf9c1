package web_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/index"
	"github.com/clydepm/clyde-registry/pkg/store"
	"github.com/clydepm/clyde-registry/pkg/web"
)

var update = flag.Bool("update", false, "rewrite golden files")

func newSite(t testing.TB, s web.Catalog) http.Handler {
	t.Helper()
	w, err := web.New(web.Options{
		Catalog: s, PublicURL: "http://localhost:8080", Host: "localhost:8080", Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }, // three days after what is on the shelf
		Auth: func(r *http.Request) (account.Principal, error) {
			switch r.Header.Get("Authorization") {
			case "":
				return account.Principal{}, nil
			case "Bearer good":
				return account.Principal{ID: "1", Name: "admin", Admin: true}, nil
			}
			return account.Principal{}, clyde.Errorf(clyde.ErrUnauthenticated, "the token is unknown")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return w.Handler()
}

func get(t testing.TB, h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// visit is what an address answers, and what is in it.
type visit struct {
	path   string
	status int
	want   []string
}

// page opens it and returns its body.
func (v visit) page(t *testing.T, h http.Handler) string {
	t.Helper()
	w := get(t, h, v.path)
	body := w.Body.String()
	if w.Code != v.status {
		t.Errorf("GET %s: %d; want %d", v.path, w.Code, v.status)
	}
	for _, want := range v.want {
		if !strings.Contains(body, want) {
			t.Errorf("GET %s: want %s in %s", v.path, want, body)
		}
	}
	if w.Code == http.StatusOK {
		checkPage(t, v.path, body)
	}
	return body
}

func TestPages(t *testing.T) {
	t.Parallel()
	h := newSite(t, newShelf())
	for _, tt := range []struct {
		path   string
		status int
		want   string // in the body, or the Location of a redirect
	}{
		{"/", 200, "<b>3,658</b> packages"},
		{"/search?q=zlib", 200, "@acme/<mark>zlib</mark>"},
		{"/search?q=zlib", 200, "#include &lt;<mark>zlib.h</mark>&gt;"},
		{"/search?q=zlib&license=MIT", 200, "Licence: MIT"},
		{"/search?sort=best", 400, "sort &#34;best&#34; is unknown"},
		{"/search?q=" + strings.Repeat("a", 300), 400, "the limit is 256"},
		{"/packages", 301, "/search"},
		{"/packages/zlib", 302, "/packages/acme/zlib"},
		{"/packages/two", 200, "Which two?"},
		{"/packages/nothing", 404, "No package is called nothing"},
		{"/packages/@acme/zlib", 301, "/packages/acme/zlib"},
		{"/packages/@acme/zlib/1.3.1/files/src?x=1", 301, "/packages/acme/zlib/1.3.1/files/src?x=1"},
		{"/packages/@@acme/zlib", 400, "use a-z and 0-9"},
		{"/packages/acme/zlib", 200, "clyde pull @acme/zlib@1.3.1"},
		{"/packages/acme/zlib", 200, "oras pull localhost:8080/acme/zlib:1.3.1"},
		{"/packages/acme/zlib", 200, "by release (SHA256:abcd)"},
		{"/packages/acme/zlib/", 301, "/packages/acme/zlib"},
		{"/packages/acme/zlib/1.3.1", 200, "<em>things</em>"},
		{"/packages/acme/zlib/latest", 302, "/packages/acme/zlib/1.3.1"},
		{"/packages/acme/zlib/latest/files/src", 302, "/packages/acme/zlib/1.3.1/files/src"},
		{"/packages/acme/zlib/1.2.13", 200, "This version was yanked"},
		{"/packages/acme/zlib/1.2.13", 200, "This is not the latest version"},
		{"/packages/acme/zlib/9", 404, "has no version 9"},
		{"/packages/acme/nope", 404, "was not found"},
		{"/packages/acme/Zlib", 400, "names are lower case"},
		{"/packages/acme/zlib/versions", 200, "yanked: security"},
		{"/packages/acme/zlib/dependencies", 200, "not in this registry"},
		{"/packages/acme/zlib/1.3.1/dependencies", 200, "/packages/acme/base"},
		{"/packages/acme/zlib", 200, `<a href="/packages/acme/zlib/builds">Builds</a>`},
		{"/packages/acme/zlib/builds", 200, "oras pull localhost:8080/acme/zlib@sha256:bbbb"},
		{"/packages/acme/zlib/builds", 200, "glibc 2.34"},
		{"/packages/acme/zlib/builds", 200, `data-l="Shared as">libz.so.1 &lt;b&gt;</td><td class="num" data-l="Symbols">88<`},
		{"/packages/acme/zlib/1.2.13/builds", 200, "it is built from source"},
		{"/packages/acme/zlib/dependents", 200, "@acme/png"},
		{"/packages/acme/zlib/dependents?transitive=1", 200, "By way of"},
		{"/packages/acme/zlib/dependents?range=%5E1&transitive=1", 200, `value="^1"`},
		{"/packages/acme/zlib/dependents?range=%3Cb%3E", 422, `role="alert"`},
		{"/packages/acme/zlib/dependencies", 200, `<svg class="graph"`},
		{"/packages/acme/zlib/dependencies", 200, "3.1 kB with what it needs"},
		{"/packages/acme/zlib/dependencies", 200, "one excludes the other"},
		{"/packages/acme/zlib/1.3.1/files", 200, "include/"},
		{"/packages/acme/zlib/1.3.1/files/", 200, "README.md"},
		{"/packages/acme/zlib/1.3.1/files/src", 200, "deflate.c"},
		{"/packages/acme/zlib/1.3.1/files/src/", 200, "deflate.c"},
		{"/packages/acme/zlib/1.3.1/files/sr", 404, "has no file sr"},
		{"/packages/acme/zlib/1.3.1/files/include/zlib.h", 200, `id="L3"`},
		{"/packages/acme/zlib/1.3.1/files/page.html", 200, "&lt;"},
		{"/packages/acme/zlib/1.3.1/files/logo.png", 200, `<img src="/packages/acme/zlib/1.3.1/files/logo.png?raw=1"`},
		{"/packages/acme/zlib/1.3.1/files/bin", 200, "It is not text"},
		{"/packages/acme/zlib/1.3.1/files/big.c", 200, "It is larger than"},
		{"/packages/acme/zlib/1.3.1/files/empty", 200, "The file is empty"},
		{"/packages/acme/zlib/1.3.1/files/a%20b/%C3%BC%3F.txt", 200, "1 line,"},
		{"/namespaces/acme", 200, "<h1>@acme</h1>"},
		{"/namespaces/@acme", 301, "/namespaces/acme"},
		{"/namespaces/A", 400, "namespace"},
		{"/about", 200, "clyde publish"},
		{"/nowhere/at/all", 404, "There is no page at"},
		{"/robots.txt", 200, "Disallow: /search"},
		{"/favicon.ico", 200, "<svg"},
	} {
		t.Run(strings.ReplaceAll(tt.path, "/", "_"), func(t *testing.T) {
			t.Parallel()
			w := get(t, h, tt.path)
			got := w.Body.String()
			if w.Code/100 == 3 {
				got = w.Header().Get("Location")
				if got != tt.want {
					t.Errorf("GET %s: to %q; want %q", tt.path, got, tt.want)
				}
			}
			if w.Code != tt.status || !strings.Contains(got, tt.want) {
				t.Errorf("GET %s = %d, %s; want %d, %q in it", tt.path, w.Code, got, tt.status, tt.want)
			}
			for _, key := range []string{"Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "Permissions-Policy"} {
				if w.Header().Get(key) == "" {
					t.Errorf("GET %s: no %s", tt.path, key)
				}
			}
			if strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") && w.Code/100 != 3 {
				checkPage(t, tt.path, w.Body.String())
			}
		})
	}
}

// told are the links of a page's head that load nothing.
var told = map[string]bool{"canonical": true, "permalink": true, "alternate": true, "search": true}

// checkPage states what holds for every page: nothing inline, nothing from
// elsewhere, one h1, labelled inputs, unique ids.
func checkPage(t *testing.T, path, body string) {
	t.Helper()
	ids, h1, labels := map[string]bool{}, 0, map[string]bool{}
	var inputs []string
	for z := html.NewTokenizer(strings.NewReader(body)); z.Next() != html.ErrorToken; {
		tok := z.Token()
		if tok.Type != html.StartTagToken && tok.Type != html.SelfClosingTagToken {
			continue
		}
		switch tok.Data {
		case "style", "iframe", "object", "embed":
			t.Errorf("%s: has <%s>", path, tok.Data)
		case "h1":
			h1++
		}
		a := map[string]string{}
		for _, at := range tok.Attr {
			a[at.Key] = at.Val
		}
		if tok.Data == "script" && !strings.HasPrefix(a["src"], "/static/") && a["type"] != "application/ld+json" {
			t.Errorf("%s: has an inline <script>", path)
		}
		for _, at := range tok.Attr {
			switch {
			case strings.HasPrefix(at.Key, "on"), at.Key == "style":
				t.Errorf("%s: <%s %s=%q>", path, tok.Data, at.Key, at.Val)
			case at.Key == "href" && (tok.Data != "a" && !told[a["rel"]] && !strings.HasPrefix(at.Val, "/static/") || strings.HasPrefix(at.Val, "//")), at.Key == "src" && (!strings.HasPrefix(at.Val, "/") || strings.HasPrefix(at.Val, "//")):
				t.Errorf("%s: loads %q", path, at.Val)
			case at.Key == "href" && !strings.HasPrefix(at.Val, "/") && !strings.HasPrefix(at.Val, "#") && !strings.HasPrefix(at.Val, "https://") && !told[a["rel"]], strings.Contains(at.Val, "ZgotmplZ"):
				t.Errorf("%s: href %q", path, at.Val)
			case at.Key == "id" && ids[at.Val]:
				t.Errorf("%s: id %q twice", path, at.Val)
			case at.Key == "id":
				ids[at.Val] = true
			}
		}
		if tok.Data == "label" {
			labels[a["for"]] = true
		}
		if tok.Data == "input" && a["type"] != "hidden" && a["type"] != "checkbox" {
			inputs = append(inputs, a["id"])
		}
		if _, ok := a["alt"]; tok.Data == "img" && !ok {
			t.Errorf("%s: <img> without alt", path)
		}
	}
	if h1 != 1 {
		t.Errorf("%s: %d h1; want 1", path, h1)
	}
	for _, id := range inputs {
		if !labels[id] {
			t.Errorf("%s: input %q has no label", path, id)
		}
	}
}

// TestHostile puts hostile text into every field that a publisher writes.
func TestHostile(t *testing.T) {
	t.Parallel()
	for _, evil := range []string{`"><script>alert(1)</script>`, `'"><img src=x onerror=alert(1)>`, `javascript:alert(1)`, `</title><script>alert(1)</script>`, `{{.}}`, "\u202egnp.exe\x00", `//evil.example/x`} {
		s := newShelf()
		p := &s.pkg
		p.Description, p.License, p.Language, p.Kind, p.Standard, p.Homepage, p.Repository, p.Docs, p.Deprecated, p.ReplacedBy = evil, evil, evil, evil, evil, evil, evil, evil, evil, evil
		p.Keywords, p.Categories, p.Platforms = []string{evil}, []string{evil}, []string{evil}
		b, err := json.Marshal(map[string]any{"authors": []any{evil, map[string]any{"name": evil}}, "issues": evil, "description": evil, "license": evil, "homepage": evil, "repository": evil})
		if err != nil {
			t.Fatal(err)
		}
		for i := range s.rels {
			r := &s.rels[i]
			r.Publisher, r.Signer, r.Signed, r.UpstreamVersion, r.PURL, r.State, r.Digest, r.SourceDigest, r.Reference = evil, evil, evil, evil, evil, evil, evil, evil, evil
			r.Headers, r.Manifest, r.Yanked = []string{evil}, b, &store.Yank{Reason: evil, Text: evil}
		}
		s.hits = []catalog.Hit{{Package: *p, Highlights: map[string]index.Highlight{
			"name": {Text: evil, Spans: []index.Span{{Start: 1, End: 3}, {Start: 2, End: 900}}}, "description": {Text: evil, Spans: []index.Span{{Start: 0, End: 4}}}, "header": {Text: evil},
		}}}
		s.facets = []index.Facet{{Name: "license", Values: []index.FacetValue{{Value: evil, Count: 1}}}}
		s.mean = evil
		s.deps = []catalog.Dependency{{Name: evil, Range: evil, Kind: "requires", Known: true}}
		s.users = []catalog.Dependent{{Name: evil, Version: evil, Range: evil}}
		s.files = map[string]string{"d/" + evil: evil, "e": evil}
		h := newSite(t, s)
		for _, path := range []string{"/", "/search?q=x&license=%22%3E%3Cscript%3E", "/packages/two", "/packages/acme/zlib", "/packages/acme/zlib/1.2.13", "/packages/acme/zlib/versions",
			"/packages/acme/zlib/dependencies", "/packages/acme/zlib/dependents", "/packages/acme/zlib/1.3.1/files/d", "/packages/acme/zlib/1.3.1/files/e"} {
			w := get(t, h, path)
			if w.Code != 200 {
				t.Errorf("GET %s with %q: %d", path, evil, w.Code)
			}
			checkPage(t, path+" with "+evil, w.Body.String())
		}
		w := get(t, h, "/search?q="+strings.NewReplacer(`"`, "%22", "<", "%3C", ">", "%3E", "'", "%27", " ", "+", "{", "%7B", "}", "%7D", "\x00", "%00", "\u202e", "%E2%80%AE").Replace(evil))
		checkPage(t, "search for "+evil, w.Body.String())
	}
}

func TestRaw(t *testing.T) {
	t.Parallel()
	s := newShelf()
	h := newSite(t, s)
	for path, kind := range map[string]string{"page.html": "application/octet-stream", "logo.png": "image/png", "include/zlib.h": "application/octet-stream", "a%20b/%C3%BC%3F.txt": "application/octet-stream"} {
		w := get(t, h, "/packages/acme/zlib/1.3.1/files/"+path+"?raw=1")
		hd := w.Header()
		if w.Code != 200 || hd.Get("Content-Type") != kind || !strings.HasPrefix(hd.Get("Content-Disposition"), "attachment") ||
			!strings.HasPrefix(hd.Get("Content-Security-Policy"), "sandbox;") || hd.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("raw %s = %d, %v; want an attachment of %s in a sandbox", path, w.Code, hd, kind)
		}
	}
	if got := get(t, h, "/packages/acme/zlib/1.3.1/files/page.html?raw=1").Body.String(); got != s.files["page.html"] {
		t.Errorf("raw page.html = %q; want the file", got)
	}
	if w := get(t, h, "/packages/acme/zlib/1.3.1/files/nope?raw=1"); w.Code != 404 {
		t.Errorf("raw nope = %d; want 404", w.Code)
	}
}

func TestCaching(t *testing.T) {
	t.Parallel()
	h := newSite(t, newShelf())
	w := get(t, h, "/packages/acme/zlib")
	tag := w.Header().Get("ETag")
	if cc := w.Header().Get("Cache-Control"); tag == "" || !strings.HasPrefix(cc, "public, max-age=60") {
		t.Errorf("ETag %q, Cache-Control %q; want both", tag, cc)
	}
	if w := get(t, h, "/packages/acme/zlib", "If-None-Match", `"x", `+tag); w.Code != 304 || w.Body.Len() != 0 {
		t.Errorf("If-None-Match: %d with %d bytes; want 304 with none", w.Code, w.Body.Len())
	}
	if w := get(t, h, "/packages/acme/zlib", "Authorization", "Bearer good"); w.Header().Get("Cache-Control") != "private, no-store" {
		t.Errorf("signed in: Cache-Control %q; want private, no-store", w.Header().Get("Cache-Control"))
	}
	css := w.Body.String()
	_, css, _ = strings.Cut(css, `<link rel="stylesheet" href="`)
	css, _, _ = strings.Cut(css, `"`)
	s := get(t, h, css)
	if s.Code != 200 || s.Header().Get("Cache-Control") != "public, max-age=31536000, immutable" || !strings.HasPrefix(s.Header().Get("Content-Type"), "text/css") {
		t.Errorf("GET %s = %d, %v", css, s.Code, s.Header())
	}
	for _, name := range []string{"style.css", "style.0000000000000000.css", "..%2fweb.go"} {
		if w := get(t, h, "/static/"+name); w.Code != 404 {
			t.Errorf("GET /static/%s = %d; want 404", name, w.Code)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	s := newShelf()
	s.err = errors.New("dial tcp 10.0.0.7: refused")
	h := newSite(t, s)
	for _, path := range []string{"/", "/search", "/packages/acme/zlib"} {
		w := get(t, h, path)
		if w.Code != 500 || strings.Contains(w.Body.String(), "10.0.0.7") || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("ETag") != "" {
			t.Errorf("GET %s = %d, %v, %s; want a bare 500 that nobody keeps", path, w.Code, w.Header(), w.Body)
		}
	}
	if w := get(t, newSite(t, newShelf()), "/", "Authorization", "Bearer bad"); w.Code != 401 || w.Header().Get("WWW-Authenticate") == "" {
		t.Errorf("bad token = %d; want 401", w.Code)
	}
	private := newShelf()
	private.pkg.Private = true
	if w := get(t, newSite(t, private), "/packages/acme/zlib/1.3.1/files/README.md?raw=1"); w.Code != 404 {
		t.Errorf("a private package's file = %d; want 404", w.Code)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/search", nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 405 {
		t.Errorf("POST /search = %d; want 405", w.Code)
	}
}

func TestSearchQuery(t *testing.T) {
	t.Parallel()
	s := newShelf()
	h := newSite(t, s)
	w := get(t, h, "/search?q=zip+lang:c&license=MIT&license=Zlib&sort=name&cursor=abc")
	want := index.Query{Text: "zip", Sort: index.SortName, Limit: index.DefaultLimit, Cursor: "abc", Facets: true,
		Filters: index.Filters{Language: []string{"c"}, License: []string{"MIT", "Zlib"}}}
	if diff := cmp.Diff(&want, s.asked.Load()); w.Code != 200 || diff != "" {
		t.Errorf("query (-want +got):\n%s", diff)
	}
	for _, link := range []string{"/search?license=Zlib&q=zip+lang%3Ac&sort=name", "/search?license=MIT&license=Zlib&q=zip+lang%3Ac&sort=updated"} {
		if !strings.Contains(html.UnescapeString(w.Body.String()), link) {
			t.Errorf("no link %s in the page", link)
		}
	}
	s.hits, s.mean = nil, "zlib"
	body := get(t, h, "/search?q=zlbi").Body.String()
	for _, help := range []string{"Nothing found", `href="/search?q=zlib"`, "Fewer or shorter words"} {
		if !strings.Contains(body, help) {
			t.Errorf("no %q in the page without hits", help)
		}
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	h := newSite(t, newShelf())
	for name, path := range map[string]string{"package.html": "/packages/acme/zlib", "search.html": "/search?q=zlib&license=MIT", "file.html": "/packages/acme/zlib/1.3.1/files/include/zlib.h"} {
		got := get(t, h, path).Body.Bytes()
		_, rest, ok := bytes.Cut(got, []byte(`<main id="main" class="wrap">`))
		got, _, ok2 := bytes.Cut(rest, []byte("</main>"))
		if !ok || !ok2 {
			t.Fatalf("%s: no main", path)
		}
		var lines [][]byte
		for line := range bytes.Lines(got) {
			if line = bytes.TrimSpace(line); len(line) > 0 {
				lines = append(lines, line)
			}
		}
		got = append(bytes.Join(lines, []byte("\n")), '\n')
		file := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, got, 0o600); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-want +got); go test ./pkg/web -update to accept:\n%s", file, diff)
		}
	}
}

func BenchmarkPackagePage(b *testing.B) {
	h := newSite(b, newShelf())
	b.ReportAllocs()
	for b.Loop() {
		get(b, h, "/packages/acme/zlib")
	}
}
