package browser_test

import (
	"strings"
	"testing"
)

// maxStops bounds how often Tab is pressed on one page. Ours: the longest page
// here has some eighty places.
const maxStops = 250

// stop is what has the focus.
type stop struct {
	What    string // "" for nothing on the page
	Number  int    // in the order of the document
	Seen    bool   // somebody sees where it is
	Inside  bool   // in the window
	Main    bool   // in the main part
	Matches bool   // the selector that was asked for
}

func (p *tab) focus(selector string) stop {
	p.t.Helper()
	return value[stop](p, `(s => {
		const e = document.activeElement;
		if (!e || e === document.body || e === document.documentElement) return {What: ''};
		const c = getComputedStyle(e), r = e.getBoundingClientRect();
		return {
			What: e.tagName.toLowerCase() + ' ' + (e.innerText || e.name || e.id || '').trim().slice(0, 40), Number: [...document.querySelectorAll('*')].indexOf(e),
			Seen: c.outlineStyle !== 'none' && parseFloat(c.outlineWidth) >= 2 && r.width > 1 && r.height > 1 && c.clipPath === 'none',
			Inside: r.bottom > 0 && r.top < innerHeight && r.right > 0 && r.left < innerWidth, Main: !!e.closest('main'), Matches: !!s && e.matches(s),
		};
	})(`+quote(selector)+`)`)
}

// keyboard goes through pages by Tab: forwards in the order of the document,
// seen at every stop, to every control, and out of the page again.
func (w *world) keyboard(t *testing.T) {
	ada, boss, nobody := w.signedIn(t, "ada"), w.signedIn(t, "boss"), w.newTab(t)
	for _, page := range []struct {
		path string
		by   *tab
	}{
		{"/", nobody}, {"/search?q=json", nobody}, {"/packages/acme/json", nobody}, {"/packages/acme/json/versions", nobody}, {"/login", nobody},
		{"/account", ada}, {"/account/tokens", ada}, {"/account/namespaces", ada}, {"/orgs/acme", ada},
		{"/packages/acme/json/settings", ada}, {"/namespaces/acme/settings", ada}, {"/admin/accounts", boss}, {"/admin/reports", boss}, {"/admin/audit", boss},
	} {
		p := page.by
		for _, width := range widths {
			p.size(width)
			p.visit(page.path)
			// Some pages begin in a field; here, all of it counts.
			p.eval("document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex'); scrollTo(0, 0)", nil)
			last, stops := -1, 0
			for ; stops <= maxStops; stops++ {
				p.keys("Tab")
				at := p.focus("")
				if at.What == "" || at.Number <= last && stops > 0 && at.Number < 40 {
					break // the end, or the beginning again
				}
				if at.Number <= last {
					t.Errorf("%s at %d: the focus goes back to %s", page.path, width, at.What)
					break
				}
				if !at.Seen || !at.Inside {
					t.Errorf("%s at %d: nobody sees that %s has the focus: %+v", page.path, width, at.What, at)
				}
				last = at.Number
			}
			want := value[int](p, "[...document.querySelectorAll('a[href],button,input:not([type=hidden]),select,textarea,summary,[tabindex=\"0\"]')].filter(e => !e.disabled && e.checkVisibility()).length")
			if stops < want || stops > maxStops {
				t.Errorf("%s at %d: Tab stops at %d places; there are %d", page.path, width, stops, want)
			}
		}
	}
}

// toward presses Tab until what fits has the focus.
func (p *tab) toward(selector string) {
	p.t.Helper()
	for range maxStops {
		if p.focus(selector).Matches {
			return
		}
		p.keys("Tab")
	}
	p.t.Fatalf("%s: Tab does not come to %s", p.address(), selector)
}

// typed types into what has the focus.
func (p *tab) typed(text string) {
	p.t.Helper()
	p.do("Input.insertText", map[string]any{"text": text}, nil)
}

// keyboardAlone does what people do without a mouse: signs in, searches, makes
// a token, changes a role, yanks a version, signs out.
func (w *world) keyboardAlone(t *testing.T) {
	p := w.newTab(t)
	enter := func(what string) { t.Helper(); p.after(what, func() { p.keys("Enter") }) }
	p.visit("/")
	if !p.focus("#q").Matches {
		t.Error("the search field of the home page has not the focus")
	}
	p.typed("json")
	enter("searching")
	p.reads("packages for json")

	// The first stop leads past everything above the content.
	p.keys("Tab")
	if at := p.focus(".skip"); !at.Matches || !at.Seen || !at.Inside {
		t.Fatalf("the first stop is %+v; want the link to the content", at)
	}
	p.eval("window.fetched = []; (old => { window.fetch = (...a) => { fetched.push(String(a[0])); return old(...a) } })(fetch)", nil)
	p.keys("Enter")
	p.until("the address has #main", func() bool { return strings.HasSuffix(p.address(), "#main") })
	p.keys("Tab")
	p.until("something has the focus", func() bool { return p.focus("").What != "" })
	if at := p.focus(""); !at.Main {
		t.Errorf("after the link to the content, Tab goes to %s", at.What)
	}
	if asked := value[[]string](p, "fetched"); len(asked) > 0 {
		t.Errorf("the link to the content asks for %v again, and what comes takes the focus away", asked)
	}
	p.toward(".cards a[href='/packages/acme/json']")
	enter("opening the package")
	p.reads("acme::json")
	p.toward(".install details:nth-of-type(2) summary")
	p.keys("Enter")
	if !value[bool](p, "document.querySelector('.install details:nth-of-type(2)').open") || !p.focus(".install details:nth-of-type(2) summary").Matches {
		t.Error("Enter does not open a part, or takes the focus away")
	}

	p.toward("nav a[href^='/login']")
	_ = value[bool](p, "scrollTo(0,0), true")
	enter("going to sign in")
	if !p.focus("main input[name=login]").Matches {
		t.Error("the login has not the focus")
	}
	p.typed("ada")
	p.keys("Tab")
	p.typed(password)
	enter("signing in")
	p.at("/packages/acme/json")

	p.visit("/account/tokens")
	p.toward("main input[name=name]")
	p.typed("by keyboard")
	p.toward("input[value=yank]")
	p.keys("Space")
	p.toward("[name=packages]")
	p.typed("@acme/json")
	p.toward("[name=days]")
	p.keys("Down")
	p.toward("form[action^='/account/tokens#new'] button")
	p.keys("Tab", "Shift+Tab")
	enter("making a token")
	p.reads("This is the only time it is shown", "by keyboard")

	p.visit("/packages/acme/json/settings")
	p.toward("form[action$='/yank'] [name=text]")
	p.typed("by keyboard")
	p.toward("form[action$='/yank'] button.bad")
	p.after("yanking", func() { p.keys("Space") })
	p.reads("The version is yanked", "by keyboard")
	p.toward("form[action$='/yank'] button[name=undo]")
	enter("bringing it back")

	p.visit("/account")
	p.toward("form[action='/logout'] button")
	enter("signing out")
	p.at("/")
}
