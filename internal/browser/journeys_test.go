package browser_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/config"
	"github.com/clydepm/clyde-registry/internal/tlstest"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

// A token is shown when it is made, never again, and works until it is revoked.
func (w *world) tokens(t *testing.T) {
	p := w.signedIn(t, "ada")
	p.means(422)
	p.visit("/account/tokens")
	p.reads("You have no token")
	p.fill("[name=name]", "release job")
	p.fill("[name=packages]", "no pattern @")
	p.press("form[action^='/account/tokens#new'] button")
	if p.text("[role=alert]") == "" || value[string](p, "document.querySelector('[name=name]').value") != "release job" {
		t.Errorf("a wrong pattern is not refused beside the form, with what was typed:\n%s", p.text("main"))
	}
	p.fill("[name=packages]", "@ada/*")
	p.choose("[name=days]", "7 days")
	p.press("form[action^='/account/tokens#new'] button")
	p.reads("This is the only time it is shown")
	secret := p.text(".secret pre")
	if !strings.HasPrefix(secret, "clyde_") {
		t.Fatalf("the token is %q", secret)
	}
	if got := w.status(t, "/api/v1/account", secret); got != http.StatusOK {
		t.Errorf("the token answers %d", got)
	}
	p.visit("/account/tokens")
	p.lacks(secret)
	p.reads("release job", secret[:len("clyde_")+4], "publish on @ada/*")
	p.press("form[action$='/revoke'] button")
	p.reads("is revoked")
	if got := w.status(t, "/api/v1/account", secret); got != http.StatusUnauthorized {
		t.Errorf("the revoked token answers %d", got)
	}
}

// status asks the API with a token.
func (w *world) status(t *testing.T, path, token string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}

// Each browser is a session of its own, and ends from another.
func (w *world) sessions(t *testing.T) {
	here, there := w.signedIn(t, "bob"), w.signedIn(t, "bob")
	here.visit("/account/sessions")
	here.reads("Chrome", "this one", "127.0.0.1")
	if n := value[int](here, "document.querySelectorAll('tbody tr').length"); n != 2 {
		t.Fatalf("%d sessions are listed; want 2", n)
	}
	here.press("form[action$='/end']:not(tr:has(.chip) form) button")
	here.reads("That session has ended")
	there.visit("/account")
	there.at("/login?next=%2Faccount")
	here.visit("/account")
	here.at("/account")
}

// The real program asks, the page shows what for, and the program goes on.
func (w *world) commandLine(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "clyde-under-test")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/clydepm/clyde-registry/cmd/clyde")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "login", "--no-browser", "--name", "laptop <of> ada", w.url)
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+filepath.Join(dir, "config"), "DOCKER_CONFIG="+dir, "CLYDE_REGISTRY="+w.url, "CLYDE_TOKEN=")
	r, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var all, code, page string
	said := bufio.NewScanner(r)
	for page == "" && said.Scan() {
		all += said.Text() + "\n"
		if c, ok := strings.CutPrefix(said.Text(), "Code: "); ok {
			code = c
		}
		if _, u, ok := strings.Cut(said.Text(), "Open "); ok {
			page, _, _ = strings.Cut(u, " ")
		}
	}
	if code == "" || !strings.HasPrefix(page, w.url+"/") {
		t.Fatalf("clyde login said:\n%s", all)
	}
	p := w.newTab(t)
	p.open(page)
	p.signIn("ada")
	p.reads(code, "laptop <of> ada", "the same as this browser", "Deny")
	p.press("form[action='/device'] button[value=approve]")
	p.reads("Return to your command line")
	go func() { _, _ = io.Copy(io.Discard, r) }()
	if err := cmd.Wait(); err != nil {
		t.Errorf("clyde login: %v", err)
	}
	whoami := exec.CommandContext(ctx, program, "whoami")
	whoami.Env = cmd.Env
	if out, err := whoami.CombinedOutput(); err != nil || !strings.Contains(string(out), "ada") {
		t.Errorf("clyde whoami: %v\n%s", err, out)
	}
	p.visit("/account/tokens")
	p.reads("laptop <of> ada")
}

// Two people in two browsers: an organisation, an invitation, a role.
func (w *world) organisation(t *testing.T) {
	ada, bob := w.signedIn(t, "ada"), w.signedIn(t, "bob")
	bob.means(404)
	ada.visit("/account/namespaces")
	ada.fill("form[action='/orgs'] [name=name]", "works")
	ada.fill("form[action='/orgs'] [name=display]", "The Works")
	ada.press("form[action='/orgs'] button")
	ada.at("/orgs/works?done=saved")
	ada.reads("The Works", "ada")
	bob.visit("/orgs/works")
	bob.reads("404")
	ada.fill("form[action$='/invite'] [name=login]", "bob")
	ada.choose("form[action$='/invite'] [name=role]", "reader")
	ada.press("form[action$='/invite'] button")
	ada.reads("Invited", "bob as reader")
	bob.visit("/account/namespaces")
	bob.reads("ada invites you to be reader of the organisation works")
	bob.press("form[action^='/account/invitations/'] button[value=accept]")
	bob.visit("/orgs/works")
	bob.reads("The Works", "Leave")
	if value[bool](bob, "!!document.querySelector('form[action$=\"/invite\"], form[action$=\"/switches\"], form[action$=\"/role\"]')") {
		t.Error("a reader has the forms of an owner")
	}
	ada.visit("/orgs/works")
	row := "tr:has(input[value=bob]) "
	ada.choose(row+"[name=role]", "maintainer")
	ada.press(row + "form[action$='/role'] button")
	if got := value[string](ada, "document.querySelector("+quote(row+"[name=role]")+").value"); got != "maintainer" {
		t.Errorf("bob is %s; want maintainer", got)
	}
	ada.fill("form[action$='/teams'] [name=team]", "core")
	ada.press("form[action$='/teams'] button")
	ada.choose("form[action$='/team-add'] [name=login]", "bob")
	ada.press("form[action$='/team-add'] button")
	ada.click("[name=two_person]")
	ada.press("form[action$='/switches'] button")
	if !value[bool](ada, "document.querySelector('[name=two_person]').checked") {
		t.Error("the switch is off again")
	}
	ada.choose(row+"[name=role]", "owner")
	ada.press(row + "form[action$='/role'] button")
	ada.reads("waits for a second owner", "bob becomes owner")
	bob.visit("/orgs/works")
	bob.press("form[action$='/remove'] button")
	bob.reads("You have left the organisation")
}

// What an owner decides about a package.
func (w *world) packageSettings(t *testing.T) {
	ada, nobody := w.signedIn(t, "ada"), w.newTab(t)
	nobody.means(404)
	const at = "/packages/ada/zlib/settings"
	ada.visit("/packages/ada/zlib")
	ada.press(".tabs a[href$='/settings']")
	ada.press("form[action$='/access'] button")
	ada.reads("Private.", "Nobody without a role sees the package now")
	nobody.visit("/packages/ada/zlib")
	nobody.reads("404")
	ada.press("form[action$='/access'] button")
	ada.reads("Public.")
	nobody.visit("/packages/ada/zlib")
	nobody.reads("zlib", "1.3.1")

	ada.choose("form[action$='/yank'] [name=version]", "1.3.0")
	ada.choose("form[action$='/yank'] [name=reason]", "security")
	ada.fill("form[action$='/yank'] [name=text]", "reads <past> the end")
	ada.press("form[action$='/yank'] button.bad")
	nobody.visit("/packages/ada/zlib/1.3.0")
	nobody.reads("This version was yanked", "reads <past> the end", "not the latest version")
	ada.press("form[action$='/yank'] button[name=undo]")
	ada.reads("The version is back")
	ada.fill("form[action$='/deprecation'] [name=message]", "use something else")
	ada.press("form[action$='/deprecation'] button:not([name])")
	nobody.visit("/packages/ada/zlib")
	nobody.reads("Deprecated:", "use something else")
	ada.press("form[action$='/deprecation'] button[name=undo]")

	// A trusted publisher, of this package and of one to come.
	for _, path := range []string{at, "/packages/ada/to-come/settings"} {
		ada.visit(path)
		ada.click("details.add:last-of-type > summary")
		form := "details.add:last-of-type form "
		ada.fill(form+"[name=repository]", "ada/zlib")
		ada.fill(form+"[name=workflow]", "release.yml")
		ada.fill(form+"[name=owner_id]", "501")
		ada.fill(form+"[name=repository_id]", "7001")
		ada.press(form + "button")
		ada.reads("That job may publish now", "ada/zlib", "release.yml")
	}
	ada.reads("pending")
	ada.press("form[action$='/publishers/remove'] button")
	ada.reads("That job may no longer publish")
}

// What an owner decides about a namespace.
func (w *world) namespaceSettings(t *testing.T) {
	ada := w.signedIn(t, "ada")
	ada.means(422)
	ada.visit("/account/namespaces")
	ada.press("a[href='/namespaces/ada/settings']")
	ada.reads("account ada", "no version can be verified")
	_, public, err := signing.GenerateKeyPair(nil)
	if err != nil {
		t.Fatal(err)
	}
	ada.fill("form[action$='/keys'] [name=name]", "release")
	ada.fill("form[action$='/keys'] [name=pem]", "nonsense")
	ada.press("form[action$='/keys'] button")
	if ada.text("[role=alert]") == "" {
		t.Errorf("a wrong key is not refused beside the form:\n%s", ada.text("main"))
	}
	ada.fill("form[action$='/keys'] [name=pem]", string(public))
	ada.press("form[action$='/keys'] button")
	ada.reads("The key counts from now on", "SHA256:")
	ada.press("form[action$='/keys/revoke'] button")
	ada.reads("revoked")
	ada.fill("form[action$='/grants'] [name=holder]", "bob")
	ada.choose("form[action$='/grants'] [name=role]", "publisher")
	ada.press("form[action$='/grants'] button")
	ada.reads("bob as publisher")
	ada.press("form[action$='/invitations/cancel'] button")
	ada.fill("form[action$='/settings/package'] [name=name]", "Not A Name")
	ada.press("form[action$='/settings/package'] button")
	if ada.text("[role=alert]") == "" {
		t.Error("a wrong name is not refused")
	}
	ada.fill("form[action$='/settings/package'] [name=name]", "soon")
	ada.press("form[action$='/settings/package'] button")
	ada.at("/packages/ada/soon/settings#publishers")
	ada.reads("Nothing was published under this name yet")
}

// Somebody reports a version; it is quarantined, and everybody is told.
func (w *world) moderation(t *testing.T) {
	bob, boss, nobody := w.signedIn(t, "bob"), w.signedIn(t, "boss"), w.newTab(t)
	nobody.means(410)
	bob.visit("/packages/ada/zlib/1.3.0")
	bob.click(".report summary")
	bob.choose(".report [name=kind]", "malware")
	bob.fill(".report [name=text]", "it phones <home>")
	bob.press(".report button")
	bob.reads("The administrators will look at it")
	boss.visit("/account")
	boss.press(".tabs a[href='/admin']")
	boss.press(".tabs a[href='/admin/reports']")
	boss.reads("it phones <home>", "@ada/zlib 1.3.0")
	boss.press("a.button[href$='#moderation']")
	boss.choose("form[action$='/moderation'] [name=version]", "1.3.0")
	boss.choose("form[action$='/moderation'] [name=decision]", "quarantine")
	boss.fill("form[action$='/moderation'] [name=reason]", "we look into it")
	boss.press("form[action$='/moderation'] button.bad")
	boss.reads("Decided", "we look into it")
	nobody.visit("/packages/ada/zlib/1.3.0")
	nobody.reads("410", "we look into it")
	nobody.visit("/packages/ada/zlib/versions")
	nobody.reads("quarantined: we look into it")
	boss.visit("/admin/reports")
	boss.fill("form[action='/admin/report'] [name=decision]", "quarantined")
	boss.press("form[action='/admin/report'] button")
	boss.reads("Nothing waits for a decision")
	boss.visit("/packages/ada/zlib/settings")
	boss.press("form[action$='/moderation'] button[value=restore]")
	nobody.visit("/packages/ada/zlib/1.3.0")
	nobody.reads("zlib", "1.3.0")
}

// The log says who did what, to administrators, and can be narrowed.
func (w *world) audit(t *testing.T) {
	boss := w.signedIn(t, "boss")
	boss.visit("/admin/audit")
	boss.reads("token.", "127.0.0.1", "ada")
	boss.fill("[name=action]", "package.")
	boss.press("main form button")
	boss.lacks("session.")
	if n := value[int](boss, "document.querySelectorAll('tbody tr').length"); n == 0 {
		t.Error("nothing was done to packages")
	}
}

// A page of another site sends our forms and gets nothing done, though the
// browser is signed in.
func (w *world) anotherSite(t *testing.T) {
	evil := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(rw, `<!doctype html><title>x</title><link rel="icon" href="data:,"><form method="post" action="`+w.url+`/account"><input name="name" value="Owned"><button>Win</button></form>`)
	}))
	t.Cleanup(evil.Close)
	p := w.signedIn(t, "ada")
	p.means(403)
	p.leaves(evil.URL)
	p.open(evil.URL) // http://127.0.0.1: another site than http://localhost
	p.press("button")
	if !strings.HasPrefix(p.address(), w.url+"/") {
		t.Fatalf("the form led to %s", p.address())
	}
	p.visit("/account")
	p.at("/account") // still signed in: it was not the cookie alone
	if got := value[string](p, "document.querySelector('[name=name]').value"); got != "Ada Lovelace" {
		t.Errorf("another site made the name %q", got)
	}
}

// What the browser keeps is out of reach of scripts and of other hosts.
func (w *world) cookies(t *testing.T) {
	over := func(w *world, prefix string, secure bool) {
		p := w.signedIn(t, "ada")
		p.at("/account")
		cs := p.cookies()
		if len(cs) != 1 {
			t.Errorf("%s: %d cookies; want one: %+v", w.url, len(cs), cs)
		}
		for _, c := range cs {
			if !strings.HasPrefix(c.Name, prefix) || !c.HTTPOnly || c.Secure != secure || c.Path != "/" || c.Domain != "localhost" || c.SameSite != "Lax" && c.SameSite != "Strict" {
				t.Errorf("%s keeps %+v", w.url, c)
			}
		}
		if got := value[string](p, "document.cookie"); got != "" {
			t.Errorf("scripts see %q", got)
		}
	}
	over(w, "", false)
	cert, key := tlstest.Files(t, "localhost", "127.0.0.1")
	safe := newWorld(t, func(c *config.Config) { c.TLS.Cert, c.TLS.Key = cert, key })
	safe.person("ada", "", false)
	over(safe, "__Host-", true)
}
