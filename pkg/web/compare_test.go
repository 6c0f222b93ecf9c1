package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/catalog"
)

// twoShelf has different files in each version.
type twoShelf struct {
	*shelf
	of     map[string]map[string]string // by version
	opened int
}

func (s *twoShelf) Files(ctx context.Context, p account.Principal, ref catalog.Ref) ([]catalog.File, error) {
	return (&shelf{files: s.of[ref.Version]}).Files(ctx, p, ref)
}

func (s *twoShelf) OpenFile(ctx context.Context, p account.Principal, ref catalog.Ref, name string) (io.ReadCloser, catalog.File, error) {
	s.opened++
	return (&shelf{files: s.of[ref.Version]}).OpenFile(ctx, p, ref, name)
}

func newTwoShelf() *twoShelf {
	s := &twoShelf{shelf: newShelf(), of: map[string]map[string]string{}}
	s.rels[1].Digest = strings.Replace(digest, "e3", "f4", 1)
	s.rels[0].Manifest = json.RawMessage(`{"version":"1.3.1","license":"Zlib","requires":{"@acme/base":{"range":"^2"}},"keywords":["a","b"]}`)
	s.rels[1].Manifest = json.RawMessage(`{"version":"1.2.13","license":"MIT","requires":{"@acme/base":{"range":"^1"},"@acme/<b>":"*"},"keywords":["a","b"]}`)
	body := strings.Repeat("one line\nand another\n", 20)
	s.of["1.2.13"] = map[string]string{"same.c": "x\n", "a.c": "int a = 1;\nint <b>;\n", "old/name.c": body + "end\n", "gone.c": "bye\n", "bin": "\x00a", "long.c": strings.Repeat("a\n", 900), "huge.c": strings.Repeat("int x;\n", 200_000)}
	s.of["1.3.1"] = map[string]string{"same.c": "x\n", "a.c": "int a = 22;\nint <b>;\n", "new/name.c": body + "The end\n", "come.c": "hello\n", "bin": "\x00b", "long.c": strings.Repeat("b\n", 900), "huge.c": strings.Repeat("int y;\n", 200_000)}
	return s
}

func TestCompare(t *testing.T) {
	t.Parallel()
	s := newTwoShelf()
	h := newSite(t, s)
	const at = "/packages/acme/zlib/compare"
	for _, v := range []visit{
		{at, 200, []string{`<option selected>1.2.13</option>`, `<option selected>1.3.1</option>`}},
		{at + "?from=1.2.13&to=1.3.1", 200, []string{
			`int a = <b>22</b>;`, `int a = <b>1</b>;`, `int &lt;b&gt;;`, "1 added, 1 removed", "5 changed", "+903", `old/name.c</span> <span aria-hidden="true">→`, "98 % alike",
			"It is not text.", "It is larger than", `<td><code>license</code></td><td data-l="1.2.13"><del dir="auto">MIT</del>`, `<ins dir="auto">Zlib</ins>`,
			"requires @acme/base range", "requires @acme/&lt;b&gt;", `<ins dir="auto">verified</ins>`, "1.2.13 … 1.3.1",
			`file=long.c&amp;from=1.2.13&amp;to=1.3.1">show them`, "The other way round",
		}},
		{at + "?from=1.2.13&to=1.3.1&view=split", 200, []string{`<table class="diff two"`, `class="t gone"`}},
		{at + "?from=1.2.13&to=1.3.1&file=long.c", 200, []string{`<td>900</td>`, "All that changed"}},
		{at + "?from=1.3.1&to=1.3.1", 200, []string{"The files of both versions are the same"}},
		{at + "?from=1.2.13&to=1.3.1&file=same.c", 404, []string{"same.c is the same in"}},
		{at + "?from=1&to=%3Cb%3E", 404, []string{`has no version &#34;1&#34;`}},
		{"/packages/acme/zlib/versions", 200, []string{`href="/packages/acme/zlib/compare?from=1.2.13&amp;to=1.3.1">Changes`, "CVE-2023-45853"}},
		{"/packages/acme/nope/compare?from=1&to=2", 404, nil},
	} {
		if body := v.page(t, h); strings.Contains(body, "same.c</a>") {
			t.Errorf("GET %s lists a file that is the same", v.path)
		}
	}
	before := s.opened
	get(t, h, at+"?from=1.2.13&to=1.3.1&view=split")
	if s.opened != before {
		t.Errorf("a comparison that was made is made again: %d files opened", s.opened-before)
	}
}

// TestCompareLimits: what is too much for one page is counted, and not shown.
func TestCompareLimits(t *testing.T) {
	t.Parallel()
	s := newTwoShelf()
	for v := range s.of {
		files := map[string]string{}
		for i := range 1100 {
			files[fmt.Sprintf("f%04d", i)] = fmt.Sprintf("%d in %s\nand more\n", i, v)
		}
		s.of[v] = files
	}
	body := get(t, newSite(t, s), "/packages/acme/zlib/compare?from=1.2.13&to=1.3.1").Body.String()
	if !strings.Contains(body, "100 more files changed and are not listed") || !strings.Contains(body, "1,100 changed") {
		t.Error("1,100 changed files: the page does not say that 100 are not listed")
	}
	if n := strings.Count(body, `<tr class="come"`); n > 3000/3 || n < 900 {
		t.Errorf("%d lines on a page of at most 3,000 with a third of them new", n)
	}
}

func TestCompareOfPrivate(t *testing.T) {
	t.Parallel()
	s := newTwoShelf()
	s.pkg.Private = true
	h := newSite(t, s)
	const at = "/packages/acme/zlib/compare?from=1.2.13&to=1.3.1"
	if w := get(t, h, at, "Authorization", "Bearer good"); w.Code != 200 || !strings.Contains(w.Header().Get("Cache-Control"), "no-store") {
		t.Errorf("comparing as who may: %d, %s", w.Code, w.Header().Get("Cache-Control"))
	}
	if w := get(t, h, at); w.Code != 404 || strings.Contains(w.Body.String(), "1.2.13") && !strings.Contains(w.Body.String(), "was not found") {
		t.Errorf("comparing versions of a private package: %d; want 404", w.Code)
	}
}
