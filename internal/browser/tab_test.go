package browser_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// tab is a page of somebody's own browser: it shares no cookie with another.
type tab struct {
	t       *testing.T
	b       *chromium
	site    string // origin of the site: "http://localhost:8080"
	session string
	context string

	mu      sync.Mutex
	changed chan struct{} // closed at the next event
	arrived bool          // another document is here, and is being loaded
	loads   int           // documents that were loaded, but for the blank one of the beginning
	asked   []string      // what the page asked for from elsewhere
	allowed []string      // origins it may ask
	said    []string      // errors in its console
	expect  map[int]bool  // statuses that are meant
}

// newTab opens a page without cookies; its errors fail the test.
func (w *world) newTab(t *testing.T) *tab {
	t.Helper()
	p := &tab{t: t, b: w.browser, site: w.url, changed: make(chan struct{}), expect: map[int]bool{}}
	var ctx struct{ BrowserContextID string }
	var target struct{ TargetID string }
	var attached struct{ SessionID string }
	p.must(w.browser.call("", "Target.createBrowserContext", map[string]any{"disposeOnDetach": false}, &ctx))
	p.must(w.browser.call("", "Target.createTarget", map[string]any{"url": "about:blank", "browserContextId": ctx.BrowserContextID}, &target))
	p.must(w.browser.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached))
	p.session, p.context = attached.SessionID, ctx.BrowserContextID
	w.browser.mu.Lock()
	w.browser.pages[p.session] = p
	w.browser.mu.Unlock()
	for _, m := range []string{"Page.enable", "Runtime.enable", "Network.enable", "Log.enable"} {
		p.do(m, nil, nil)
	}
	p.do("Network.setCacheDisabled", map[string]any{"cacheDisabled": true}, nil) // what anybody may see is kept for a minute
	p.do("Emulation.setFocusEmulationEnabled", map[string]any{"enabled": true}, nil)
	p.size(1280)
	t.Cleanup(func() {
		p.mu.Lock()
		said, asked := p.said, p.asked
		p.mu.Unlock()
		for _, s := range said {
			t.Errorf("the console says: %s", s)
		}
		for _, a := range asked {
			t.Errorf("the page asked another origin: %s", a)
		}
		_ = w.browser.call("", "Target.disposeBrowserContext", map[string]any{"browserContextId": p.context}, nil)
	})
	return p
}

func (p *tab) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *tab) do(method string, params, out any) {
	p.t.Helper()
	p.must(p.b.call(p.session, method, params, out))
}

// event notes what a page does.
func (p *tab) event(m message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var e struct {
		Type    string
		Args    []struct{ Value any }
		Request struct{ URL string }
		Entry   struct{ Level, Text, URL string }
		Frame   struct{ ParentID, URL string }

		ExceptionDetails struct{ Text string }
	}
	_ = json.Unmarshal(m.Params, &e) // of other events, nothing is read
	switch m.Method {
	case "Page.frameNavigated":
		if e.Frame.ParentID == "" {
			p.arrived = e.Frame.URL != "about:blank"
		}
	case "Page.loadEventFired":
		if p.arrived {
			p.loads++
		}
		p.arrived = false
	case "Network.requestWillBeSent":
		u, err := url.Parse(e.Request.URL)
		if err == nil && (u.Scheme == "http" || u.Scheme == "https") && !p.mayAsk(u.Scheme+"://"+u.Host) {
			p.asked = append(p.asked, e.Request.URL)
		}
	case "Runtime.consoleAPICalled":
		if e.Type == "error" {
			p.said = append(p.said, fmt.Sprint(e.Args))
		}
	case "Runtime.exceptionThrown":
		p.said = append(p.said, e.ExceptionDetails.Text)
	case "Log.entryAdded":
		if e.Entry.Level == "error" && !p.meant(e.Entry.Text) {
			p.said = append(p.said, e.Entry.Text+" "+e.Entry.URL)
		}
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *tab) mayAsk(origin string) bool {
	return origin == p.site || slices.Contains(p.allowed, origin)
}

// meant reports whether the console tells of a status that the test is after.
func (p *tab) meant(text string) bool {
	for status := range p.expect {
		if strings.Contains(text, fmt.Sprintf("status of %d", status)) {
			return true
		}
	}
	return false
}

// means says which statuses are part of the test, and no error of the page.
func (p *tab) means(statuses ...int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range statuses {
		p.expect[s] = true
	}
}

// leaves says which other origins the page may go to.
func (p *tab) leaves(origins ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.allowed = append(p.allowed, origins...)
}

// until waits until ok is true, looking again whenever something happened.
func (p *tab) until(what string, ok func() bool) {
	p.t.Helper()
	for end := time.After(patience); ; {
		p.mu.Lock()
		changed := p.changed
		p.mu.Unlock()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-end:
			p.t.Fatalf("%s did not become true at %s:\n%s", what, p.address(), p.text("body"))
		}
	}
}

// after does something that leads to another document, and waits for that.
func (p *tab) after(what string, do func()) {
	p.t.Helper()
	p.mu.Lock()
	before := p.loads
	p.mu.Unlock()
	do()
	p.until("after "+what+", another page", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.loads > before
	})
	p.eval(settled, nil)
}

// settled yields when the field that a page gives the focus to has it: the
// browser does that some frames after loading, and keys pressed before it would
// begin elsewhere. It gives up after two seconds; what asks for the focus says so.
const settled = `new Promise(done => {
	const field = document.querySelector('[autofocus]')
	let left = 200
	const look = () => !field || location.hash || document.activeElement === field || left-- === 0 ? done(true) : setTimeout(look, 10)
	look()
})`

// visit opens an own path.
func (p *tab) visit(path string) {
	p.t.Helper()
	p.open(p.site + path)
}

func (p *tab) open(address string) {
	p.t.Helper()
	p.after("opening "+address, func() {
		var r struct{ ErrorText string }
		p.do("Page.navigate", map[string]any{"url": address}, &r)
		if r.ErrorText != "" {
			p.t.Fatalf("%s: %s", address, r.ErrorText)
		}
	})
}

// eval runs script in the page and reads what it yields into out, which may be
// nil. A page that is being replaced meanwhile yields nothing.
func (p *tab) eval(script string, out any) bool {
	p.t.Helper()
	var r struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	if err := p.b.call(p.session, "Runtime.evaluate", map[string]any{"expression": script, "returnByValue": true, "awaitPromise": true, "userGesture": true}, &r); err != nil {
		if strings.Contains(err.Error(), "context") || strings.Contains(err.Error(), "navigated") {
			return false
		}
		p.t.Fatal(err)
	}
	if r.ExceptionDetails != nil {
		p.t.Fatalf("%s %s\nin %s", r.ExceptionDetails.Text, r.ExceptionDetails.Exception.Description, script)
	}
	if out != nil && r.Result.Value != nil {
		p.must(json.Unmarshal(r.Result.Value, out))
	}
	return true
}

// value is what script yields.
func value[T any](p *tab, script string) T {
	p.t.Helper()
	var v T
	p.eval(script, &v)
	return v
}

// quote is s as a string of the page's language.
func quote(s string) string {
	b, _ := json.Marshal(s) //nolint:errchkjson // a string
	return string(b)
}

func (p *tab) address() string { p.t.Helper(); return value[string](p, "location.href") }

// text is what a person reads in the first element that fits.
func (p *tab) text(selector string) string {
	p.t.Helper()
	return value[string](p, "document.querySelector("+quote(selector)+")?.innerText ?? ''")
}

// at waits until the page is the one of path.
func (p *tab) at(path string) {
	p.t.Helper()
	p.until("being at "+path, func() bool { return p.address() == p.site+path })
}

// reads waits until the page says every text, in capitals or not.
func (p *tab) reads(texts ...string) {
	p.t.Helper()
	for _, want := range texts {
		p.until(fmt.Sprintf("saying %q", want), func() bool {
			return strings.Contains(strings.ToLower(p.text("body")), strings.ToLower(want))
		})
	}
}

// lacks fails if the page says text.
func (p *tab) lacks(text string) {
	p.t.Helper()
	if body := p.text("body"); strings.Contains(body, text) {
		p.t.Fatalf("%s says %q:\n%s", p.address(), text, body)
	}
}

// find is the script that yields the control of a form called name: by its
// label, or by its name.
func (p *tab) fill(selector, text string) {
	p.t.Helper()
	if !value[bool](p, "(e => { if (!e) return false; for (let d = e.closest('details'); d; d = d.parentElement.closest('details')) d.open = true; e.focus(); if (e.select) e.select(); return document.activeElement === e })(document.querySelector("+quote(selector)+"))") {
		p.t.Fatalf("%s has no %s that takes the focus:\n%s", p.address(), selector, p.text("body"))
	}
	p.do("Input.insertText", map[string]any{"text": text}, nil)
}

// choose picks an option by its value or text.
func (p *tab) choose(selector, option string) {
	p.t.Helper()
	if !value[bool](p, "(e => { const o = e && [...e.options].find(o => o.value === "+quote(option)+" || o.text === "+quote(option)+"); if (o) { e.value = o.value; e.dispatchEvent(new Event('change', {bubbles: true})) } return !!o })(document.querySelector("+quote(selector)+"))") {
		p.t.Fatalf("%s has no option %q of %s", p.address(), option, selector)
	}
}

// press clicks, with the mouse, what fits the selector, and waits for the page
// that this leads to.
func (p *tab) press(selector string) {
	p.t.Helper()
	p.after("pressing "+selector, func() { p.click(selector) })
}

// click clicks with the mouse, in the middle of the first element that fits.
func (p *tab) click(selector string) {
	p.t.Helper()
	var at struct{ X, Y float64 }
	if !p.eval("(e => { if (!e) return null; for (let d = e.closest('details:not([open])'); d; d = d.parentElement.closest('details:not([open])')) if (!e.closest('summary')) d.open = true; e.scrollIntoView({block: 'center'}); const r = e.getClientRects()[0]; const x = r.x + r.width/2, y = r.y + r.height/2; const hit = document.elementFromPoint(x, y); return hit && (e.contains(hit) || hit.contains(e)) ? {X: x, Y: y} : null })(document.querySelector("+quote(selector)+"))", &at) || at.X == 0 {
		p.t.Fatalf("%s has no %s that can be clicked:\n%s", p.address(), selector, p.text("body"))
	}
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		p.do("Input.dispatchMouseEvent", map[string]any{"type": kind, "x": at.X, "y": at.Y, "button": "left", "clickCount": 1}, nil)
	}
}

// keys presses keys one after another: "Tab", "Shift+Tab", "Enter", "Space",
// "Escape", "Down", "Up", or a character.
func (p *tab) keys(names ...string) {
	p.t.Helper()
	for _, name := range names {
		base, shift := strings.CutPrefix(name, "Shift+")
		k, ok := map[string]struct {
			key, code, text string
			number          int
		}{
			"Tab": {"Tab", "Tab", "", 9}, "Enter": {"Enter", "Enter", "\r", 13}, "Space": {" ", "Space", " ", 32},
			"Escape": {"Escape", "Escape", "", 27}, "Down": {"ArrowDown", "ArrowDown", "", 40}, "Up": {"ArrowUp", "ArrowUp", "", 38},
		}[base]
		if len(base) == 1 {
			k.key, k.text, ok = base, base, true
		}
		if !ok {
			p.t.Fatalf("no key %q", name)
		}
		e := map[string]any{"type": "rawKeyDown", "key": k.key, "code": k.code, "windowsVirtualKeyCode": k.number, "nativeVirtualKeyCode": k.number}
		if k.text != "" {
			e["type"], e["text"] = "keyDown", k.text
		}
		if shift {
			e["modifiers"] = 8
		}
		p.do("Input.dispatchKeyEvent", e, nil)
		e["type"] = "keyUp"
		delete(e, "text")
		p.do("Input.dispatchKeyEvent", e, nil)
	}
}

// size sets the width of the window, in CSS pixels.
func (p *tab) size(width int) {
	p.t.Helper()
	height := 800
	if width < 600 {
		height = 844
	}
	p.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}, nil)
}

// theme is what the reader's system prefers: "light" or "dark".
func (p *tab) theme(name string) {
	p.t.Helper()
	p.do("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": name}}}, nil)
}

// picture keeps what the page looks like, under CLYDE_SCREENSHOTS.
func (p *tab) picture(name string) {
	p.t.Helper()
	dir := os.Getenv("CLYDE_SCREENSHOTS")
	if dir == "" {
		return
	}
	var shot struct{ Data string }
	const tallest = 12000 // pixels; of longer pages, the beginning
	box := value[struct{ W, H float64 }](p, "({W: document.documentElement.clientWidth, H: Math.max(innerHeight, document.documentElement.scrollHeight)})")
	p.do("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true, "clip": map[string]any{"x": 0, "y": 0, "width": box.W, "height": min(box.H, tallest), "scale": 1}}, &shot)
	b, err := base64.StdEncoding.DecodeString(shot.Data)
	p.must(err)
	p.must(os.MkdirAll(dir, 0o755))
	p.must(os.WriteFile(filepath.Join(dir, name+".png"), b, 0o644))
}

// cookie is one that the browser keeps for the site.
type cookie struct {
	Name, Value, Domain, Path, SameSite string
	HTTPOnly, Secure, Session           bool
}

func (p *tab) cookies() []cookie {
	p.t.Helper()
	var r struct{ Cookies []cookie }
	p.do("Network.getCookies", map[string]any{"urls": []string{p.site}}, &r)
	return r.Cookies
}
