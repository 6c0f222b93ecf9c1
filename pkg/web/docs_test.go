package web_test

import (
	"fmt"
	"strings"
	"testing"
)

func bookShelf() *shelf {
	s := newShelf()
	s.files = map[string]string{
		"README.md": "# zlib\n", "CHANGELOG.md": "# Changes\n\n## 1.3.1\n\nSee [the guide](docs/guide.md#use).\n", "src/a.c": "int a;\n",
		"docs/index.md":            "# The *book*\n\n## Begin\n\n[Guide](guide.md#use), [part](part/), [up](../CHANGELOG.md), [code](../src/a.c), [out](../../../../etc/passwd).\n\n![drawing](img/a.png)\n",
		"docs/guide.md":            "# Guide\n\n## Use\n\nThe <script>alert(1)</script> inflate call.\n\n### More\n",
		"docs/10-last.md":          "No heading.\n",
		"docs/2_next-one.md":       "No heading either.\n",
		"docs/part/README.md":      "Part\n====\n\n[back](../guide.md)\n",
		"docs/part/CMakeLists.txt": "project(x)\n",
		"docs/notes.txt":           "Notes <b>in text</b>\n",
		"docs/img/a.png":           "\x89PNG",
		"docs/api.html":            "<script>alert(1)</script>",
	}
	return s
}

func TestDocs(t *testing.T) {
	t.Parallel()
	h := newSite(t, bookShelf())
	for _, v := range []visit{
		{"/packages/acme/zlib/docs", 302, nil},
		{"/packages/acme/zlib/1.3.1/docs", 200, []string{
			`<a href="/packages/acme/zlib/1.3.1/docs/guide.md#readme-use"`, `<a href="/packages/acme/zlib/1.3.1/changelog"`, `href="/packages/acme/zlib/1.3.1/files/src/a.c"`, `href="/packages/acme/zlib/1.3.1/docs/part" rel`,
			`href="/packages/acme/zlib/1.3.1/files/etc/passwd"`, `src="/packages/acme/zlib/1.3.1/files/docs/img/a.png?raw=1"`,
			`<li><a href="#readme-begin">Begin</a></li>`, `rel="next" href="/packages/acme/zlib/1.3.1/docs/2_next-one.md"`, `<title>The book · Documentation`,
			`<li class="section">Part</li>`, `>Next one</a>`, `<a href="/packages/acme/zlib/1.2.13/docs"`,
		}},
		{"/packages/acme/zlib/1.3.1/docs/guide.md", 200, []string{`<li class="deep"><a href="#readme-more">More</a></li>`, `rel="prev"`, `files/docs/guide.md">The source`, `/1.2.13/docs/guide.md"`}},
		{"/packages/acme/zlib/1.3.1/docs/part/", 200, []string{`href="/packages/acme/zlib/1.3.1/docs/guide.md"`, `aria-current="page" dir="auto">Part</a>`}},
		{"/packages/acme/zlib/1.3.1/docs/notes.txt", 200, []string{`<pre>Notes &lt;b&gt;in text`}},
		{"/packages/acme/zlib/1.3.1/docs/none.md", 404, []string{"has no page none.md"}},
		{"/packages/acme/zlib/1.3.1/docs/api.html", 404, []string{"has no page api.html"}},
		{"/packages/acme/zlib/latest/docs/guide.md", 302, nil},
		{"/packages/acme/zlib/1.3.1/docs?find=INFLATE+the", 200, []string{"1 page with", "<mark>inflate</mark>", `href="/packages/acme/zlib/1.3.1/docs/guide.md"`}},
		{"/packages/acme/zlib/1.3.1/docs?find=%3Cb%3E+zzz", 200, []string{"0 pages", "No page has every one"}},
		{"/packages/acme/zlib/changelog", 200, []string{`<li><a href="#readme-131">1.3.1</a></li>`, `href="/packages/acme/zlib/1.3.1/docs/guide.md#readme-use"`, ">Changelog</a>"}},
		{"/packages/acme/zlib/1.2.13/changelog", 200, []string{"CHANGELOG.md"}},
		{"/packages/acme/zlib/1.3.1/files/docs/guide.md", 200, []string{`<a href="/packages/acme/zlib/1.3.1/docs/guide.md">Read as a page`}},
		{"/packages/acme/nope/docs", 404, nil},
	} {
		v.page(t, h)
	}
	if got := get(t, h, "/packages/acme/zlib/1.3.1/docs").Body.String(); strings.Index(got, "Next one") > strings.Index(got, "Guide</a>") || strings.Contains(got, "CMakeLists") {
		t.Errorf("the pages are not in reading order: %s", got)
	}
}

// TestDocsLimits: a book of too many pages is one of the first, and one whose
// text is too long to be read has its later pages under their files' names.
func TestDocsLimits(t *testing.T) {
	t.Parallel()
	s := newShelf()
	s.files = map[string]string{}
	for i := range 510 {
		s.files[fmt.Sprintf("docs/p%03d.md", i)] = "# Title " + fmt.Sprint(i) + "\n\n" + strings.Repeat("word ", 4000)
	}
	body := get(t, newSite(t, s), "/packages/acme/zlib/1.3.1/docs").Body.String()
	if n := strings.Count(body, `href="/packages/acme/zlib/1.3.1/docs/p`); n != 501 { // each once, and the next one
		t.Errorf("%d links to pages; want 501", n)
	}
	for want, in := range map[string]bool{">Title 0<": true, ">Title 200<": true, ">Title 499<": false, ">P499<": true, "P500": false} {
		if strings.Contains(body, want) != in {
			t.Errorf("a book of 510 pages: %q in it: %t; want %t", want, !in, in)
		}
	}
}

func TestDocsOfPrivate(t *testing.T) {
	t.Parallel()
	s := bookShelf()
	s.pkg.Private = true
	h := newSite(t, s)
	for _, p := range []string{"docs", "1.3.1/docs", "1.3.1/docs/guide.md", "changelog", "1.3.1/changelog"} {
		there := get(t, h, "/packages/acme/zlib/"+p, "Authorization", "Bearer good") // so that it is kept
		if there.Code >= 400 {
			t.Errorf("GET %s as who may: %d", p, there.Code)
		}
		if w := get(t, h, "/packages/acme/zlib/"+p); w.Code != 404 {
			t.Errorf("GET %s of a private package: %d; want 404", p, w.Code)
		}
	}
}

func TestNoDocs(t *testing.T) {
	t.Parallel()
	h := newSite(t, newShelf())
	for _, p := range []string{"/packages/acme/zlib/1.3.1/docs", "/packages/acme/zlib/changelog"} {
		if w := get(t, h, p); w.Code != 404 || !strings.Contains(w.Body.String(), `class="empty"`) {
			t.Errorf("GET %s of a package without: %d", p, w.Code)
		}
	}
	if body := get(t, h, "/packages/acme/zlib").Body.String(); strings.Contains(body, ">Docs</a>\n<") || strings.Contains(body, ">Changelog<") {
		t.Error("a package without documentation has tabs for it")
	}
}

func TestChangelogThatIsStated(t *testing.T) {
	t.Parallel()
	s := bookShelf()
	s.files["meta/whats-new.md"] = "# What is new\n"
	s.rels[0].Manifest = []byte(`{"changelog":"./meta/whats-new.md"}`)
	if body := get(t, newSite(t, s), "/packages/acme/zlib/changelog").Body.String(); !strings.Contains(body, "What is new</h2>") {
		t.Errorf("the changelog is not the file that the manifest states: %s", body)
	}
}
