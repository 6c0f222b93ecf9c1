package web_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/account/signin/signintest"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// want posts a form and checks where it leads.
func (b *browser) want(path string, form url.Values, to string) page {
	b.t.Helper()
	p := b.post(path, form)
	if p.path != to || p.status != 200 {
		b.t.Errorf("POST %s = %d %s; want 200 %s\n%s", path, p.status, p.path, to, p.body)
	}
	return p
}

// An organisation from its making to a member's leaving, by forms alone.
func TestOrganisation(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	ada, bob, eve := w.person("ada", false), w.person("bob", false), w.person("eve", false)
	ada.want("/orgs", url.Values{"name": {"acme"}, "display": {"Acme Inc."}}, "/orgs/acme?done=saved")
	ada.want("/orgs/acme/invite", url.Values{"login": {"bob"}, "role": {"publisher"}}, "/orgs/acme?done=invited")
	_, mistake, _ := strings.Cut(ada.get("/orgs/acme").body, `name="id" value="`)
	mistake, _, _ = strings.Cut(mistake, `"`)
	if p := bob.post("/orgs/acme/uninvite", url.Values{"id": {mistake}}); p.status != 404 {
		t.Errorf("bob took back what ada sent: %d", p.status)
	}
	ada.want("/orgs/acme/uninvite", url.Values{"id": {mistake}}, "/orgs/acme?done=uninvited")
	if p := bob.get("/account/namespaces"); strings.Contains(p.body, "/account/invitations/") {
		t.Error("an invitation that was taken back waits still")
	}
	ada.want("/orgs/acme/invite", url.Values{"login": {"bob"}, "role": {"publisher"}}, "/orgs/acme?done=invited")
	list := bob.get("/account/namespaces").body
	_, id, ok := strings.Cut(list, `action="/account/invitations/`)
	if !ok {
		t.Fatalf("bob sees no invitation:\n%s", list)
	}
	id, _, _ = strings.Cut(id, `"`)
	if p := eve.post("/account/invitations/"+id, url.Values{"answer": {"accept"}}); p.status != 404 {
		t.Errorf("eve accepted bob's invitation: %d", p.status)
	}
	bob.want("/account/invitations/"+id, url.Values{"answer": {"accept"}}, "/account/namespaces?done=accepted")
	if p := bob.get("/orgs/acme"); p.status != 200 || strings.Contains(p.body, "/orgs/acme/invite") {
		t.Errorf("bob's view = %d, with an owner's forms: %t", p.status, strings.Contains(p.body, "/orgs/acme/invite"))
	}
	for _, org := range []string{"acme", "none", "acme/audit", "none/audit"} {
		p := eve.get("/orgs/" + org)
		org, _, _ = strings.Cut(org, "/")
		if p.status != 404 || !strings.Contains(p.body, "there is no organisation "+org) {
			t.Errorf("eve sees %s: %d", org, p.status)
		}
	}
	if p := bob.post("/orgs/acme/role", url.Values{"login": {"bob"}, "role": {"owner"}}); p.status != 403 {
		t.Errorf("bob made himself owner: %d", p.status)
	}
	ada.want("/orgs/acme/teams", url.Values{"team": {"core-team"}}, "/orgs/acme?done=saved")
	ada.want("/orgs/acme/team-add", url.Values{"team": {"core-team"}, "login": {"bob"}}, "/orgs/acme?done=saved")
	if p := ada.get("/orgs/acme"); !strings.Contains(p.body, "/orgs/acme/team-leave") {
		t.Error("the team has nobody")
	}
	ada.want("/orgs/acme/team-leave", url.Values{"team": {"core-team"}, "login": {"bob"}}, "/orgs/acme?done=saved")
	ada.want("/orgs/acme/team-remove", url.Values{"team": {"core-team"}}, "/orgs/acme?done=saved")
	ada.want("/orgs/acme/switches", url.Values{"two_person": {"on"}, "creators": {"owner"}}, "/orgs/acme?done=saved")
	ada.want("/orgs/acme/role", url.Values{"login": {"bob"}, "role": {"owner"}}, "/orgs/acme?done=waits")
	if p := ada.get("/orgs/acme"); !strings.Contains(p.body, "bob becomes owner") || strings.Contains(p.body, ">Confirm<") {
		t.Errorf("what waits is not shown, or who asked may confirm it:\n%s", p.body)
	}
	if p := ada.get("/orgs/acme/audit"); p.status != 200 || !strings.Contains(p.body, "member.role") && !strings.Contains(p.body, "ownership.ask") {
		t.Errorf("the audit log = %d", p.status)
	}
	if p := bob.get("/orgs/acme/audit"); p.status != 403 {
		t.Errorf("bob's audit log = %d; want 403", p.status)
	}
	bob.want("/orgs/acme/remove", url.Values{"login": {"bob"}}, "/account/namespaces?done=left")
	if p := ada.post("/orgs/acme/remove", url.Values{"login": {"ada"}}); p.status != 409 {
		t.Errorf("the last owner left: %d", p.status)
	}
	w.clock.pass(account.RecentFor + time.Second)
	if p := ada.post("/orgs/acme/invite", url.Values{"login": {"eve"}, "role": {"owner"}}); !strings.HasPrefix(p.path, "/login?again=1") {
		t.Errorf("an invitation without a recent sign in: %d %s", p.status, p.path)
	}
}

// Organisations are asked for to claim a name, and at no other time; what was
// not vouched for is requested, and an administrator decides.
func TestNamespaces(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.hub.Sit(signintest.User{Subject: "1", Login: "Ada-L", Orgs: []signintest.Org{
		{Login: "Acme", Role: "admin", State: "active"}, {Login: "other", Role: "member", State: "active"}, {Login: "soon", Role: "admin", State: "pending"},
	}})
	b := w.browser()
	b.through("/login/github", nil)
	if p := b.post("/account/namespaces/claim", url.Values{"name": {"acme"}}); p.status != 403 {
		t.Errorf("a claim that nobody vouched for: %d", p.status)
	}
	p := b.through("/account/namespaces/vouch", url.Values{"provider": {"github"}})
	if p.path != "/account/namespaces" || !strings.Contains(p.body, "<option>acme</option>") {
		t.Fatalf("asking GitHub = %d %s\n%s", p.status, p.path, p.body)
	}
	if got := w.hub.Scopes(); len(got) != 2 || got[0] != "user:email" || got[1] != "read:org" {
		t.Errorf("scopes asked for: %q", got)
	}
	for _, name := range []string{"other", "soon", "google"} {
		if p := b.post("/account/namespaces/claim", url.Values{"name": {name}}); p.status != 403 {
			t.Errorf("claim of %s: %d; want 403", name, p.status)
		}
	}
	b.want("/account/namespaces/claim", url.Values{"name": {"acme"}}, "/account/namespaces?done=claimed")
	eve := w.person("eve", false)
	if p := eve.post("/account/namespaces/request", url.Values{"name": {"acrne"}}); p.status != 409 {
		t.Errorf("a look-alike was requested: %d", p.status)
	}
	eve.want("/account/namespaces/request", url.Values{"name": {"evening"}, "why": {"it is late"}}, "/account/namespaces?done=requested")

	root := w.person("root-admin", true)
	list := root.get("/admin").body
	_, id, ok := strings.Cut(list, `name="id" value="`)
	if !ok || !strings.Contains(list, "@evening") {
		t.Fatalf("the request is not listed:\n%s", list)
	}
	id, _, _ = strings.Cut(id, `"`)
	if p := eve.post("/admin/decide", url.Values{"id": {id}, "answer": {"grant"}}); p.status != 404 {
		t.Errorf("eve decided: %d", p.status)
	}
	root.want("/admin/decide", url.Values{"id": {id}, "answer": {"grant"}}, "/admin?done=saved")
	if p := eve.get("/account/namespaces"); !strings.Contains(p.body, "/namespaces/evening") {
		t.Error("what was granted is not eve's")
	}
}

// Administration is for administrators; for others it does not exist.
func TestAdministration(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	root, eve := w.person("root-admin", true), w.person("eve", false)
	for _, path := range []string{"/admin", "/admin/reports", "/admin/accounts", "/admin/names", "/admin/audit"} {
		if p := root.get(path); p.status != 200 || !strings.Contains(p.header.Get("Cache-Control"), "no-store") {
			t.Errorf("GET %s = %d, %q", path, p.status, p.header.Get("Cache-Control"))
		}
		if p := eve.get(path); p.status != 404 {
			t.Errorf("GET %s by eve = %d; want 404", path, p.status)
		}
		if p := w.browser().get(path); !strings.HasPrefix(p.path, "/login?next=") {
			t.Errorf("GET %s by nobody leads to %s", path, p.path)
		}
	}
	root.want("/admin/reserve", url.Values{"name": {"megacorp"}, "why": {"a mark"}}, "/admin/names?done=saved")
	root.want("/admin/suspend", url.Values{"login": {"eve"}, "why": {"spam <b>"}}, "/admin/accounts?done=saved")
	if p := eve.get("/account"); !strings.HasPrefix(p.path, "/login") {
		t.Errorf("eve is still signed in: %s", p.path)
	}
	if p := eve.post("/login", url.Values{"login": {"eve"}, "password": {testPassword}}); p.status == 200 || !strings.Contains(p.body, "spam &lt;b&gt;") {
		t.Errorf("eve is not told why: %d", p.status)
	}
	root.want("/admin/unsuspend", url.Values{"login": {"eve"}}, "/admin/accounts?done=saved")
	if p := root.post("/admin/suspend", url.Values{"login": {"root-admin"}, "why": {"oops"}}); p.status != 409 {
		t.Errorf("the administrator suspended themselves: %d", p.status)
	}
	if p := root.get("/admin/audit?action=account.suspend"); !strings.Contains(p.body, "account:eve") || strings.Contains(p.body, "name.reserve") {
		t.Error("the audit log is not filtered")
	}
	w.clock.pass(account.RecentFor + time.Second)
	if p := root.post("/admin/promote", url.Values{"login": {"eve"}, "admin": {"true"}}); !strings.HasPrefix(p.path, "/login?again=1") {
		t.Errorf("promotion without a recent sign in: %s", p.path)
	}
}

// A token is shown once, does what was chosen, and ends when revoked.
func TestTokensPage(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	b := w.person("ada", false)
	for name, f := range map[string]url.Values{
		"no action":   {"name": {"x"}, "packages": {"*"}, "days": {"7"}},
		"no package":  {"name": {"x"}, "action": {"pull"}, "days": {"7"}},
		"not owned":   {"name": {"x"}, "action": {"publish"}, "packages": {"@acme/*"}, "days": {"7"}},
		"bad network": {"name": {"x"}, "action": {"pull"}, "packages": {"*"}, "days": {"7"}, "networks": {"10.0.0.1/8"}},
		"no time":     {"name": {"x"}, "action": {"pull"}, "packages": {"*"}, "days": {"-1"}},
	} {
		if p := b.post("/account/tokens", f); p.status != 422 || strings.Contains(p.body, "clyde_") {
			t.Errorf("%s: %d", name, p.status)
		}
	}
	p := b.post("/account/tokens", url.Values{"name": {"laptop"}, "action": {"pull", "publish"}, "packages": {"*"}, "days": {"30"}, "networks": {"127.0.0.0/8, ::1"}})
	_, secret, ok := strings.Cut(p.body, "<pre tabindex=\"0\"><code>")
	secret, _, _ = strings.Cut(secret, "<")
	if !ok || !account.WellFormed(secret) || p.header.Get("Cache-Control") != "private, no-store" {
		t.Fatalf("making a token = %d %q", p.status, p.header.Get("Cache-Control"))
	}
	list := b.get("/account/tokens").body
	if !strings.Contains(list, `value="manage"`) || strings.Contains(list, `value="own"`) {
		t.Error("the form offers an action that no lasting token may, or too few")
	}
	if strings.Contains(list, secret) || !strings.Contains(list, "127.0.0.0/8, ::1/128") {
		t.Error("the list shows the secret, or not where it counts")
	}
	who, err := w.accounts.Token(t.Context(), secret)
	if err != nil || who.Login != "ada" {
		t.Errorf("the token is %v, %v", who.Login, err)
	}
	if p := w.person("eve", false).post("/account/tokens/"+who.ID+"/revoke", nil); p.status != 404 {
		t.Errorf("eve revoked it: %d", p.status)
	}
	b.want("/account/tokens/"+who.ID+"/revoke", nil, "/account/tokens?done=revoked")
	if _, err := w.accounts.Token(t.Context(), secret); err == nil {
		t.Error("a revoked token works")
	}
}

// A command line gets what was approved, once, and waits as it was told to.
func TestDevice(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	b := w.person("ada", false)
	ask := func() account.DeviceCode {
		t.Helper()
		d, err := w.accounts.AskDevice(t.Context(), "clyde on x", []account.Scope{{Actions: []account.Action{account.Pull, account.Publish}, Pattern: "*"}}, 0, account.From{})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	poll := func(d account.DeviceCode, code string) string {
		t.Helper()
		secret, _, err := w.accounts.PollDevice(t.Context(), d.Secret, account.From{})
		if got := codeOf(err); got != code {
			t.Errorf("poll = %v; want %q", err, code)
		}
		return secret
	}
	d := ask()
	poll(d, account.DevicePending)
	poll(d, account.DeviceSlowDown)
	w.clock.pass(account.DeviceInterval)
	poll(d, account.DevicePending)
	typed := strings.ToLower(strings.ReplaceAll(d.UserCode, "-", " "))
	p := b.get("/device?code=" + url.QueryEscape(typed))
	for _, want := range []string{d.UserCode, "clyde on x", "publish new versions", "read private packages", "everything that you may", "another address than this browser"} {
		if !strings.Contains(p.body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	b.want("/device", url.Values{"code": {d.UserCode}, "answer": {"approve"}}, "/device?done=approved")
	w.clock.pass(account.DeviceInterval)
	if secret := poll(d, ""); !account.WellFormed(secret) {
		t.Errorf("token %q", secret)
	}
	w.clock.pass(account.DeviceInterval)
	poll(d, account.DeviceExpired)
	if p := b.post("/device", url.Values{"code": {d.UserCode}, "answer": {"approve"}}); p.status != 422 {
		t.Errorf("approved twice: %d", p.status)
	}
	d = ask()
	b.want("/device", url.Values{"code": {d.UserCode}, "answer": {"deny"}}, "/device?done=denied")
	poll(d, account.DeviceRefused)
	d = ask()
	w.clock.pass(account.DeviceFor)
	poll(d, account.DeviceExpired)
	if p := b.get("/device?code=" + d.UserCode); p.status != 422 {
		t.Errorf("the page of an expired code = %d", p.status)
	}
	poll(account.DeviceCode{Secret: "clyded_unknown"}, account.DeviceExpired)
	// Who may not make the token does not approve it.
	d, err := w.accounts.AskDevice(t.Context(), "x", []account.Scope{{Actions: []account.Action{account.Publish}, Pattern: "@acme/*"}}, 0, account.From{})
	if err != nil {
		t.Fatal(err)
	}
	if p := b.post("/device", url.Values{"code": {d.UserCode}, "answer": {"approve"}}); p.status != 422 {
		t.Errorf("approved what ada may not do: %d", p.status)
	}
	for range 25 {
		p = b.get("/device?code=BBBB-BBBB")
	}
	if !strings.Contains(p.body, "too many codes") {
		t.Error("codes can be guessed without end")
	}
}

func codeOf(err error) string {
	if e := clyde.AsError(err); e != nil {
		return e.Code
	}
	return ""
}

// What a form could not do is said on its page, with what was typed.
func TestFormsShownAgain(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	ada, boss := w.person("ada", false), w.person("boss", true)
	ada.want("/orgs", url.Values{"name": {"acme"}}, "/orgs/acme?done=saved")
	for _, tt := range []struct {
		by         *browser
		path       string
		form       url.Values
		status     int
		want, also string
	}{
		{ada, "/orgs/acme/invite", url.Values{"login": {"no\"body"}, "role": {"maintainer"}}, 404, `<input name="login" value="no&#34;body"`, "<option selected>maintainer"},
		{ada, "/orgs/acme/teams", url.Values{"team": {"Not A Team"}}, 422, `<input name="team" value="Not A Team"`, "<h1>acme"},
		{ada, "/account/namespaces/request", url.Values{"name": {"BAD NAME"}, "why": {"<because>"}}, 422, `value="BAD NAME"`, "&lt;because&gt;</textarea>"},
		{ada, "/orgs", url.Values{"name": {"acme"}, "display": {"Again"}}, 409, `value="Again"`, `role="alert"`},
		{boss, "/admin/reserve", url.Values{"name": {"B A D"}, "why": {"no reason"}}, 422, `value="B A D"`, `value="no reason"`},
		{boss, "/admin/create", url.Values{"login": {"ada"}, "name": {"Another"}, "password": {"correct horse battery"}}, 409, `value="Another"`, `role="alert"`},
	} {
		p := tt.by.post(tt.path, tt.form)
		if p.status != tt.status || !strings.Contains(p.body, tt.want) || !strings.Contains(p.body, tt.also) || !strings.Contains(p.body, `role="alert"`) {
			t.Errorf("POST %s = %d; want %d, %s and %s\n%s", tt.path, p.status, tt.status, tt.want, tt.also, p.body)
		}
		if strings.Contains(p.body, "correct horse") {
			t.Errorf("POST %s shows a password", tt.path)
		}
	}
}

// The page of who owns namespaces is for everybody; of who owns none there is none.
func TestOwnerPages(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	ada, eve := w.person("ada", false), w.person("eve", false)
	ada.want("/orgs", url.Values{"name": {"acme"}, "display": {"Acme <Inc>"}}, "/orgs/acme?done=saved")
	for _, path := range []string{"/people/ada", "/people/eve", "/people/none", "/organisations/acme", "/organisations/none"} {
		if p := eve.get(path); p.status != 404 || !strings.Contains(p.body, "owns a namespace here") {
			t.Errorf("GET %s, who owns nothing: %d", path, p.status)
		}
	}
	for _, n := range []struct{ name, kind, to string }{{"acme-ns", account.OwnerOrg, "acme"}, {"ada-ns", account.OwnerAccount, "ada"}} {
		if err := w.accounts.GiveNamespace(t.Context(), system, n.name, n.kind, n.to); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{"/people/ada": `href="/namespaces/ada-ns"`, "/organisations/acme": "Acme &lt;Inc&gt;", "/namespaces/ada-ns": `href="/people/ada"`, "/namespaces/acme-ns": `href="/organisations/acme"`} {
		p := eve.get(path)
		if p.status != 200 || !strings.Contains(p.body, want) || strings.Contains(p.body, "Members and rules") {
			t.Errorf("GET %s = %d; want %s\n%s", path, p.status, want, p.body)
		}
		checkPage(t, path, p.body)
	}
	if p := ada.get("/organisations/acme"); !strings.Contains(p.body, `href="/orgs/acme">Members and rules`) {
		t.Error("who belongs to it is not led to its members")
	}
}
