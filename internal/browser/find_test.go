package browser_test

import (
	"strings"
	"testing"
)

// find goes from a letter to a package, as somebody with script does: names
// while typing, results without another document, and an address that is
// always that of what is shown.
func (w *world) find(t *testing.T) {
	p := w.newTab(t)
	shows := func(what, script string) {
		t.Helper()
		p.until(what, func() bool { return value[bool](p, script) })
	}

	// One letter offers names; the arrows choose, Enter opens.
	p.visit("/")
	p.keys("j")
	shows("names are offered", "document.querySelectorAll('.names:not([hidden]) [role=option]').length > 1")
	if got := value[string](p, "document.activeElement.getAttribute('aria-expanded')"); got != "true" {
		t.Errorf("the field says aria-expanded=%q; want true", got)
	}
	p.keys("Down")
	if got := value[string](p, "document.getElementById(document.activeElement.getAttribute('aria-activedescendant'))?.innerText ?? ''"); !strings.Contains(got, "/json") {
		t.Errorf("the first name is %q; want one of json", got)
	}
	p.after("Enter on a name", func() { p.keys("Enter") })
	if !strings.HasSuffix(p.address(), "/json") {
		t.Errorf("Enter on a name led to %s", p.address())
	}

	// Typing finds at once, in the same document, and steps back as one.
	p.visit("/search")
	p.eval("window.same = true", nil)
	p.keys("/", "s", "t", "r", "i")
	shows("results follow what is typed", "location.search === '?q=stri' && document.querySelector('#found [role=status]').innerText.includes('stri')")
	p.eval("history.back()", nil)
	shows("back shows all again", "location.search === '' && document.querySelector('.top input').value === '' && document.querySelectorAll('#found .card').length > 3")
	p.eval("history.forward()", nil)
	shows("forward finds again", "location.search === '?q=stri' && document.querySelector('.top input').value === 'stri' && document.querySelectorAll('#found .card').length < 3")

	// A filter is a chip, in the address, and goes away again.
	p.visit("/search?q=json")
	p.eval("window.same = true; [...document.querySelectorAll('.facets a')].find(a => a.textContent === '@ada').click()", nil)
	shows("the filter is a chip", "location.search === '?namespace=ada&q=json' && document.querySelector('#found .chip.accent')?.innerText.includes('@ada')")
	if n := value[int](p, "document.querySelectorAll('#found .card').length"); n != 1 {
		t.Errorf("%d packages of @ada match json; want 1", n)
	}
	p.eval("document.querySelector('#found .chip.accent').click()", nil)
	shows("and gone", "location.search === '?q=json' && !document.querySelector('#found .chip.accent')")
	if !value[bool](p, "window.same === true") {
		t.Error("the document was loaded again")
	}

	// Arrows walk through the results, Enter opens one, and then the keys of a
	// package: t for its files, y for this version for good, ? for all of them.
	p.eval("document.querySelector('.top input').focus()", nil)
	p.keys("Down", "Down", "Up")
	if !value[bool](p, "document.activeElement === document.querySelector('#found .card h3 a')") {
		t.Errorf("the arrows lead to %q", p.focus("").What)
	}
	p.after("Enter on a result", func() { p.keys("Enter") })
	p.visit("/packages/acme/json")
	p.eval("document.body.focus()", nil)
	p.after("y", func() { p.keys("y") })
	p.at("/packages/acme/json/2.1.0")
	p.after("t", func() { p.keys("t") })
	p.at("/packages/acme/json/2.1.0/files")
	p.keys("?")
	shows("the keys are listed", "!!document.querySelector('dialog[open] kbd')")
	p.keys("Escape")
	shows("and put away", "!document.querySelector('dialog[open]')")

	// What was mistyped is offered right.
	p.visit("/search?q=jsno")
	shows("did you mean", "/json/.test(document.querySelector('#found').innerText)")
}

// findWithout is the same without script: the forms and links of the pages do
// all of it.
func (w *world) findWithout(t *testing.T) {
	for _, path := range []string{"/", "/search?q=json&namespace=ada", "/packages/acme/json", "/browse", "/namespaces/acme"} {
		body := w.fetch(path)
		if strings.Contains(body, "<noscript") || !strings.Contains(body, `action="/search"`) {
			t.Errorf("%s needs script to search", path)
		}
	}
	if body := w.fetch("/search?q=json&namespace=ada"); !strings.Contains(body, `<input type="hidden" name="namespace" value="ada">`) || strings.Contains(body, "/packages/acme/json\"") {
		t.Error("a filter is lost, or does nothing, without script")
	}
}
