package browser_test

import (
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/account/signin/signintest"
)

// TestPeople goes through everything that people do on the pages, each in a
// browser of their own.
func TestPeople(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.person("ada", "Ada Lovelace", false)
	w.person("bob", "", false)
	w.person("boss", "", true)
	w.publish("@ada/zlib", "1.3.0", "description: Compresses\nlicense: Zlib\nlanguage: c\n", map[string]string{"README.md": "# zlib\n", "zlib.h": "int z;\n"})
	w.publish("@ada/zlib", "1.3.1", "description: Compresses\nlicense: Zlib\nlanguage: c\n", map[string]string{"README.md": "# zlib\n", "zlib.h": "int z;\n"})
	w.owns(ownerAccount, "ada", "ada")
	t.Run("password", w.password)
	t.Run("providers", w.providers)
	t.Run("tokens", w.tokens)
	t.Run("sessions", w.sessions)
	t.Run("command line", w.commandLine)
	t.Run("organisation", w.organisation)
	t.Run("settings", w.packageSettings)
	t.Run("namespace", w.namespaceSettings)
	t.Run("moderation", w.moderation)
	t.Run("audit", w.audit)
	t.Run("another site", w.anotherSite)
	t.Run("cookies", w.cookies)
}

func (w *world) password(t *testing.T) {
	p := w.newTab(t)
	p.means(422)
	p.visit("/account")
	p.at("/login?next=%2Faccount")
	p.fill("main input[name=login]", "ada")
	p.fill("main input[name=password]", "wrong horse battery")
	p.press("main form[action='/login'] button")
	p.reads("password")
	if got := value[string](p, "document.querySelector('main input[name=login]').value"); got != "ada" {
		t.Errorf("the login that was typed is %q; want it kept", got)
	}
	if got := value[string](p, "document.querySelector('main input[name=password]').value"); got != "" {
		t.Error("the password came back in the page")
	}
	p.signIn("ada")
	p.at("/account")
	p.reads("signed in as", "ada")
	p.press("form[action='/logout'] button")
	p.at("/")
	p.visit("/account")
	p.at("/login?next=%2Faccount")
}

func (w *world) providers(t *testing.T) {
	for key, at := range map[string]*signintest.Provider{"sso": w.sso, "github": w.github} {
		at.Sit(signintest.User{Subject: "4711", Login: key + "-person", Name: "Somebody", Email: key + "@example.com"})
		p := w.newTab(t)
		p.leaves(at.URL)
		p.visit("/account/tokens")
		p.click("form[action='/login/" + key + "'] button")
		p.until("signed in by "+key, func() bool { return strings.HasSuffix(p.address(), "/account/tokens") })
		p.reads(key + "-person")
	}
}
