package web_test

import (
	"cmp"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/store"
)

const settingsAt = "/packages/acme/zlib/settings"

// newWorks is a town in which ada owns @acme with @acme/zlib, which exists.
func newWorks(t *testing.T) (w *town, ada *browser) {
	t.Helper()
	w = newTown(t)
	ada = w.person("ada", false)
	if err := w.accounts.GiveNamespace(t.Context(), system, "acme", store.OwnerAccount, "ada"); err != nil {
		t.Fatal(err)
	}
	_, err := w.db.Commit(t.Context(), store.Commit{
		Manifest: store.Manifest{Repo: "acme/zlib", Digest: "sha256:" + strings.Repeat("a", 64), MediaType: "m"}, Tag: "1.3.1", VersionKey: "1.3.1", Actor: "x",
	})
	if err != nil {
		t.Fatal(err)
	}
	return w, ada
}

// id is the value of the first field called id behind a mark of the page.
func (p page) id(t *testing.T, mark string) string {
	t.Helper()
	_, rest, ok := strings.Cut(p.body, mark)
	_, rest, found := strings.Cut(rest, `name="id" value="`)
	if !ok || !found {
		t.Fatalf("no %q with an id on the page:\n%s", mark, p.body)
	}
	id, _, _ := strings.Cut(rest, `"`)
	return id
}

// For who does not manage a package its settings do not exist, neither the page
// nor a form of it, and no form is taken from another site.
func TestSettingsRights(t *testing.T) {
	t.Parallel()
	w, ada := newWorks(t)
	eve, bob := w.person("eve", false), w.person("bob", false)
	ada.want(settingsAt+"/grants", url.Values{"holder": {"bob"}, "role": {"maintainer"}}, settingsAt+"?done=invited")
	inv := bob.get("/account/namespaces").body
	_, id, _ := strings.Cut(inv, `action="/account/invitations/`)
	id, _, _ = strings.Cut(id, `"`)
	bob.want("/account/invitations/"+id, url.Values{"answer": {"accept"}}, "/account/namespaces?done=accepted")
	forms := map[string]url.Values{
		"access": {"access": {"private"}}, "deprecation": {"message": {"x"}}, "yank": {"version": {"1.3.1"}, "reason": {"broken"}},
		"grants": {"holder": {"eve"}, "role": {"owner"}}, "grants/revoke": {"kind": {"account"}, "holder": {"bob"}}, "invitations/cancel": {"id": {"x"}},
		"transfers": {"kind": {"account"}, "to": {"eve"}}, "transfers/cancel": {"id": {"x"}}, "moderation": {"version": {"1.3.1"}, "decision": {"quarantine"}, "reason": {"x"}},
		"publishers": {"issuer": {"github"}, "repository": {"eve/zlib"}, "workflow": {"x.yml"}, "owner_id": {"1"}, "repository_id": {"2"}}, "publishers/remove": {"id": {"x"}},
	}
	for form, v := range forms {
		if p := eve.post(settingsAt+"/"+form, v); p.status != 404 {
			t.Errorf("eve sent %s: %d", form, p.status)
		}
		if p := w.browser().post(settingsAt+"/"+form, v); !strings.HasPrefix(p.path, "/login?next=") {
			t.Errorf("nobody sent %s: %d %s", form, p.status, p.path)
		}
		if p := ada.post(settingsAt+"/"+form, v, "Sec-Fetch-Site", "cross-site"); p.status != 403 || !strings.Contains(p.body, "another site") {
			t.Errorf("%s from another site: %d", form, p.status)
		}
	}
	if w.shelf.pkg.Private || w.shelf.pkg.Deprecated != "" || w.shelf.rels[0].Yanked != nil {
		t.Errorf("something was done: %+v", w.shelf.pkg)
	}
	for _, name := range []string{"zlib", "none"} {
		if p := eve.get("/packages/acme/" + name + "/settings"); p.status != 404 || !strings.Contains(p.body, "There is no page at /packages/acme/"+name+"/settings.") {
			t.Errorf("eve sees the settings of %s: %d", name, p.status)
		}
	}
	if p := eve.get("/packages/acme/zlib"); p.status != 200 || strings.Contains(p.body, settingsAt) {
		t.Error("eve is shown the way to the settings")
	}
	if p := ada.get("/packages/acme/zlib"); !strings.Contains(p.body, `href="`+settingsAt+`"`) {
		t.Error("ada is not shown the way to the settings")
	}
	// A maintainer manages it; who works on it is its owners' to say.
	p := bob.get(settingsAt)
	for form, want := range map[string]bool{"access": true, "publishers": true, "yank": true, "deprecation": true, "grants": false, "transfers": false, "moderation": false} {
		if got := strings.Contains(p.body, `action="`+settingsAt+"/"+form+`"`); got != want {
			t.Errorf("bob has the form %s: %t; want %t", form, got, want)
		}
	}
	if p := bob.post(settingsAt+"/grants", forms["grants"]); p.status != 403 || !strings.Contains(p.body, `role="alert"`) {
		t.Errorf("bob grants: %d", p.status)
	}
	if p := bob.post(settingsAt+"/moderation", forms["moderation"]); p.status != 404 {
		t.Errorf("bob moderates: %d", p.status)
	}
	w.clock.pass(account.RecentFor + time.Second)
	for _, form := range []string{"access", "grants", "grants/revoke", "transfers", "publishers", "publishers/remove"} {
		if p := ada.post(settingsAt+"/"+form, forms[form]); !strings.HasPrefix(p.path, "/login?again=1") {
			t.Errorf("%s without a recent sign in: %d %s", form, p.status, p.path)
		}
	}
}

// The guide has the package, the registry and the formats in its commands, for
// a package that is there and for one that is not yet.
func TestPublishingGuide(t *testing.T) {
	t.Parallel()
	_, ada := newWorks(t)
	for _, name := range []string{"zlib", "soon"} {
		p := ada.get("/packages/acme/" + name + "/settings")
		for _, want := range []string{
			"clyde publish --registry http", "/acme/" + name + ":VERSION \\", "--artifact-type application/vnd.clyde.package.v1 \\", name + "/package.yaml:application/vnd.clyde.package.config.v1&#43;yaml",
			"<summary>GitHub Actions</summary>", "id-token: write", "clyde trust add @acme/" + name + " --registry http",
		} {
			if !strings.Contains(p.body, want) {
				t.Errorf("the guide of %s lacks %q", name, want)
			}
		}
	}
}

// Every form of the page does what it says.
func TestSettingsForms(t *testing.T) {
	t.Parallel()
	w, ada := newWorks(t)
	eve := w.person("eve", false)
	w.shelf.rels[0].Yanked = nil
	ada.want(settingsAt+"/access", url.Values{"access": {"private"}}, settingsAt+"?done=private")
	ada.want(settingsAt+"/access", url.Values{"access": {"public"}}, settingsAt+"?done=public")
	ada.want(settingsAt+"/deprecation", url.Values{"message": {"old <b>"}, "replaced_by": {"@acme/ng"}}, settingsAt+"?done=saved")
	if p := ada.get(settingsAt); !strings.Contains(p.body, "old &lt;b&gt;") {
		t.Error("the deprecation is not shown")
	}
	ada.want(settingsAt+"/deprecation", url.Values{"message": {"old"}, "undo": {"1"}}, settingsAt+"?done=saved")
	if w.shelf.pkg.Deprecated != "" {
		t.Error("still deprecated")
	}
	ada.want(settingsAt+"/yank", url.Values{"version": {"1.3.1"}, "reason": {"broken"}, "text": {"does not link"}}, settingsAt+"?done=yanked")
	if p := ada.get(settingsAt); !strings.Contains(p.body, "does not link") {
		t.Error("the yank is not shown")
	}
	ada.want(settingsAt+"/yank", url.Values{"version": {"1.3.1"}, "undo": {"1"}}, settingsAt+"?done=unyanked")

	ada.want("/orgs", url.Values{"name": {"tools"}, "display": {""}}, "/orgs/tools?done=saved")
	ada.want("/orgs/tools/teams", url.Values{"team": {"release"}}, "/orgs/tools?done=saved")
	ada.want(settingsAt+"/grants", url.Values{"holder": {"tools/release"}, "role": {"publisher"}, "on": {"package"}}, settingsAt+"?done=saved")
	ada.want(settingsAt+"/grants", url.Values{"holder": {"eve"}, "role": {"reader"}, "on": {"package"}}, settingsAt+"?done=invited")
	p := ada.get(settingsAt)
	if !strings.Contains(p.body, "the team <b>tools/release</b> is publisher of this package") {
		t.Errorf("the grant is not shown:\n%s", p.body)
	}
	ada.want(settingsAt+"/invitations/cancel", url.Values{"id": {p.id(t, "<h3>Invited</h3>")}}, settingsAt+"?done=uninvited")
	ada.want(settingsAt+"/grants/revoke", url.Values{"on": {"package"}, "kind": {"team"}, "holder": {"tools/release"}}, settingsAt+"?done=taken")
	if p := ada.get(settingsAt); !strings.Contains(p.body, "Nobody else.") || strings.Contains(p.body, "<h3>Invited</h3>") {
		t.Error("a role was not taken away")
	}
	if p := ada.post(settingsAt+"/grants", url.Values{"holder": {"no-such"}, "role": {"reader"}}); p.status != 404 || !strings.Contains(p.body, `value="no-such"`) {
		t.Errorf("a grant to nobody: %d", p.status)
	}

	for issuer, f := range map[string]url.Values{
		"github": {"repository": {"acme/zlib"}, "workflow": {"release.yml"}, "owner_id": {"1"}, "repository_id": {"2"}, "environment": {"release"}},
		"gitlab": {"repository": {"acme/c/zlib"}, "workflow": {".gitlab-ci.yml"}, "owner_id": {"1"}, "repository_id": {"2"}},
		"forge":  {"repository": {"acme/zlib"}, "workflow": {"release.yml"}},
		"build":  {"claims": {"sub = project:zlib\n\n project = acme/*\n"}},
	} {
		f.Set("issuer", issuer)
		p := ada.want(settingsAt+"/publishers", f, settingsAt+"?done=trusted")
		if !strings.Contains(p.body, "<b>"+cmp.Or(map[string]string{"github": "GitHub", "gitlab": "GitLab"}[issuer], issuer)+"</b>") {
			t.Errorf("the publisher at %s is not shown", issuer)
		}
	}
	if p := ada.post(settingsAt+"/publishers", url.Values{"issuer": {"build"}, "claims": {"sub"}}); p.status != 422 || !strings.Contains(p.body, "want each claim once") {
		t.Errorf("bad claims: %d", p.status)
	}
	ada.want(settingsAt+"/publishers/remove", url.Values{"id": {ada.get(settingsAt).id(t, "<b>build</b>")}}, settingsAt+"?done=distrusted")
	// Before the first version there is nothing but publishers, which end.
	const early = "/packages/acme/soon/settings"
	p = ada.want(early+"/publishers", url.Values{"issuer": {"forge"}, "repository": {"acme/soon"}, "workflow": {"release.yml"}}, early+"?done=trusted")
	if !strings.Contains(p.body, ">pending<") || strings.Contains(p.body, early+"/access") {
		t.Errorf("the page of a package to come:\n%s", p.body)
	}

	ada.want(settingsAt+"/transfers", url.Values{"kind": {"account"}, "to": {"eve"}}, settingsAt+"?done=offered")
	ada.want(settingsAt+"/transfers/cancel", url.Values{"id": {ada.get(settingsAt).id(t, "Offered to")}}, settingsAt+"?done=unoffered")
	if p := eve.get("/account/namespaces"); strings.Contains(p.body, "would be yours") {
		t.Error("an offer that was taken back waits still")
	}
	ada.want(settingsAt+"/transfers", url.Values{"kind": {"org"}, "to": {"tools"}}, settingsAt+"?done=offered")
	p = ada.get("/orgs/tools")
	_, id, ok := strings.Cut(p.body, `action="/account/transfers/`)
	if id, _, _ = strings.Cut(id, `"`); !ok {
		t.Fatalf("the organisation's page does not show what it is offered:\n%s", p.body)
	}
	if p := eve.post("/account/transfers/"+id, url.Values{"answer": {"accept"}, "org": {"tools"}}); p.status != 404 {
		t.Errorf("eve accepted for the organisation: %d", p.status)
	}
	ada.want("/account/transfers/"+id, url.Values{"answer": {"accept"}, "org": {"tools"}}, "/orgs/tools?done=accepted")
}

// Somebody reports a version, an administrator withdraws it and says so.
func TestReports(t *testing.T) {
	t.Parallel()
	w, ada := newWorks(t)
	root, eve := w.person("root-admin", true), w.person("eve", false)
	const at = "/packages/acme/zlib/report"
	report := url.Values{"version": {"1.3.1"}, "kind": {"malware"}, "text": {"it phones <home>"}}
	if p := w.browser().get("/packages/acme/zlib"); strings.Contains(p.body, at) {
		t.Error("the form is there for nobody")
	}
	if p := eve.get("/packages/acme/zlib"); !strings.Contains(p.body, at) {
		t.Error("eve has no form to report")
	}
	if p := eve.post(at, report, "Sec-Fetch-Site", "cross-site"); p.status != 403 {
		t.Errorf("a report from another site: %d", p.status)
	}
	eve.want(at, report, "/packages/acme/zlib?done=reported")
	if p := eve.post("/packages/acme/none/report", report); p.status != 404 {
		t.Errorf("a report about nothing: %d", p.status)
	}
	p := root.get("/admin/reports")
	if !strings.Contains(p.body, "it phones &lt;home&gt;") {
		t.Fatalf("the report is not listed:\n%s", p.body)
	}
	id := p.id(t, "phones")
	if p := ada.post("/admin/report", url.Values{"id": {id}, "decision": {"no"}}); p.status != 404 {
		t.Errorf("ada decided: %d", p.status)
	}
	root.want(settingsAt+"/moderation", url.Values{"version": {"1.3.1"}, "decision": {"quarantine"}, "reason": {"we look at it"}}, settingsAt+"?done=moderated")
	if p := root.get(settingsAt); !strings.Contains(p.body, "we look at it") {
		t.Error("what is withdrawn is not listed")
	}
	root.want(settingsAt+"/moderation", url.Values{"version": {"1.3.1"}, "decision": {"restore"}}, settingsAt+"?done=moderated")
	root.want(settingsAt+"/moderation", url.Values{"version": {"*"}, "decision": {"remove"}, "reason": {"all of it"}}, settingsAt+"?done=moderated")
	if p := root.post(settingsAt+"/moderation", url.Values{"version": {"1.3.1"}, "decision": {"erase"}, "reason": {"x"}}); p.status != 422 || !strings.Contains(p.body, "cannot be undone") {
		t.Errorf("an erasure that was not confirmed: %d", p.status)
	}
	root.want("/admin/report", url.Values{"id": {id}, "decision": {"removed"}}, "/admin/reports?done=saved")
	if p := root.get("/admin/reports?state=closed"); !strings.Contains(p.body, "removed") {
		t.Error("the closed report is gone")
	}
	for range reportBurst {
		p = eve.post(at, report)
	}
	if p.status != 429 {
		t.Errorf("reports without end: %d", p.status)
	}
	w.clock.pass(account.RecentFor + time.Second)
	for _, path := range []string{"/admin/report", settingsAt + "/moderation"} {
		if p := root.post(path, url.Values{}); !strings.HasPrefix(p.path, "/login?again=1") {
			t.Errorf("%s without a recent sign in: %d %s", path, p.status, p.path)
		}
	}
}
