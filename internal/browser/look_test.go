package browser_test

import (
	_ "embed"
	"fmt"
	"os"
	"testing"
)

// check is a script that lists what is wrong with a page.
//
//go:embed testdata/check.js
var check string

// widths are those of windows that every page is looked at in: a phone's, a
// tablet's and a desk's, in CSS pixels.
var widths = []int{390, 768, 1280}

// TestPages goes through the pages of a registry in use, for everybody.
func TestPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.town()
	t.Run("look", w.look)
	t.Run("find", w.find)
	t.Run("find without script", w.findWithout)
	t.Run("keyboard", w.keyboard)
	t.Run("keyboard alone", w.keyboardAlone)
}

// look looks at every page as those who may see it do, in a narrow and a wide
// window, light and dark. With CLYDE_SCREENSHOTS it keeps pictures, too.
func (w *world) look(t *testing.T) {
	ada, boss, new := w.signedIn(t, "ada"), w.signedIn(t, "boss"), w.signedIn(t, "newcomer")
	nobody, said, axe := w.newTab(t), seen{}, axeScript(t)
	for _, p := range []*tab{ada, boss, new, nobody} {
		p.means(400, 401, 403, 404, 410, 422)
	}
	for _, page := range []struct {
		name, path string
		by         *tab
	}{
		{"home", "/", nobody},
		{"search", "/search?q=json", nobody},
		{"search-all", "/search", nobody},
		{"search-filtered", "/search?q=&namespace=acme&language=cpp", nobody},
		{"search-nothing", "/search?q=zzzzqqqq", nobody},
		{"package", "/packages/acme/json", nobody},
		{"package-security", "/packages/acme/json/security", nobody},
		{"package-versions", "/packages/acme/json/versions", nobody},
		{"package-dependencies", "/packages/acme/json/dependencies", nobody},
		{"package-builds", "/packages/acme/strings/builds", nobody},
		{"package-dependents", "/packages/acme/strings/dependents", nobody},
		{"package-files", "/packages/acme/json/2.1.0/files", nobody},
		{"package-file", "/packages/acme/json/2.1.0/files/include/acme/json.hpp", nobody},
		{"package-docs", "/packages/acme/json/2.1.0/docs", nobody},
		{"package-docs-page", "/packages/acme/json/2.1.0/docs/reading.md", nobody},
		{"package-docs-math", "/packages/acme/json/2.1.0/docs/limits.md", nobody},
		{"package-docs-find", "/packages/acme/json/2.1.0/docs?find=stream", nobody},
		{"package-changelog", "/packages/acme/json/changelog", nobody},
		{"package-compare", "/packages/acme/json/compare?from=2.0.1&to=2.1.0", nobody},
		{"package-compare-split", "/packages/acme/json/compare?from=2.0.1&to=2.1.0&view=split", nobody},
		{"package-old", "/packages/acme/json/1.0.0", nobody},
		{"package-deprecated", "/packages/acme/oldfmt", nobody},
		{"package-empty", "/packages/ada/tiny", nobody},
		{"candidates", "/packages/json", nobody},
		{"namespace", "/namespaces/acme", nobody},
		{"person", "/people/ada", nobody},
		{"organisation-public", "/organisations/acme", nobody},
		{"browse", "/browse", nobody},
		{"about", "/about", nobody},
		{"api", "/api", nobody},
		{"sign-in", "/login", nobody},
		{"error-404", "/packages/acme/none", nobody},
		{"error-410", "/packages/acme/json/2.0.0", nobody},
		{"error-403", "/orgs/acme/audit", new},
		{"account", "/account", ada},
		{"tokens", "/account/tokens", ada},
		{"tokens-empty", "/account/tokens", new},
		{"sessions", "/account/sessions", ada},
		{"namespaces", "/account/namespaces", ada},
		{"namespaces-empty", "/account/namespaces", new},
		{"organisation", "/orgs/acme", ada},
		{"organisation-member", "/orgs/acme", new},
		{"organisation-audit", "/orgs/acme/audit", ada},
		{"settings", "/packages/acme/json/settings", ada},
		{"settings-pending", "/packages/acme/soon/settings", ada},
		{"package-owner", "/packages/acme/json", ada},
		{"device", "/device", ada},
		{"namespace-settings", "/namespaces/acme/settings", ada},
		{"namespace-settings-own", "/namespaces/ada/settings", ada},
		{"sign-in-again", "/login?again=1&next=/account", ada},
		{"admin-requests", "/admin", boss},
		{"admin-accounts", "/admin/accounts", boss},
		{"admin-names", "/admin/names", boss},
		{"admin-reports", "/admin/reports", boss},
		{"admin-reports-closed", "/admin/reports?state=closed", boss},
		{"admin-audit", "/admin/audit", boss},
		{"settings-admin", "/packages/acme/json/settings", boss},
	} {
		p := page.by
		for _, width := range widths {
			p.size(width)
			p.visit(page.path)
			for _, theme := range []string{"light", "dark"} {
				p.theme(theme)
				p.picture(fmt.Sprintf("%s-%d-%s", page.name, width, theme))
				said.report(t, fmt.Sprintf("%s at %d, %s", page.path, width, theme), value[[]string](p, check))
				if axe != "" {
					said.report(t, fmt.Sprintf("%s at %d, %s, by axe", page.path, width, theme), value[[]string](p, axe))
				}
			}
			// The same with everything that can be opened open.
			if value[bool](p, "(d => { for (const e of d) { e.removeAttribute('name'); e.open = true } return d.length > 0 })([...document.querySelectorAll('details')])") {
				said.report(t, fmt.Sprintf("%s at %d, dark, all open", page.path, width), value[[]string](p, check))
				p.picture(fmt.Sprintf("%s-%d-open", page.name, width))
			}
		}
	}
}

// axeScript is the rules of axe-core for WCAG 2.2 AA and what it calls best
// practice, as a script that lists what is wrong; "" where CLYDE_AXE does not
// name its file. What a readme says is its author's.
func axeScript(t *testing.T) string {
	t.Helper()
	file := os.Getenv("CLYDE_AXE")
	if file == "" {
		return ""
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return "window.axe || (0, eval)(" + quote(string(b)) + `); axe.run({exclude: [['.readme']]}, {resultTypes: ['violations']}).then(r =>
		r.violations.flatMap(v => v.nodes.map(n => v.id + ': ' + v.help + ': ' + n.html.replace(/\s+/g, ' ').slice(0, 140))))`
}

// report fails once for what is wrong in many places: the layout is everywhere.
func (s seen) report(t *testing.T, where string, wrong []string) {
	t.Helper()
	for _, what := range wrong {
		if !s[what] {
			t.Errorf("%s: %s", where, what)
		}
		s[what] = true
	}
}

// seen is what was said already.
type seen map[string]bool
