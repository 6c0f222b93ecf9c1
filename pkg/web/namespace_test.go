package web_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/policy"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// keyring has the keys of one namespace, for those who manage it.
type keyring struct{ keys []account.Key }

func (k *keyring) Keys(context.Context, string) ([]account.Key, error) { return k.keys, nil }

func (k *keyring) AddKey(_ context.Context, by account.Principal, ns, name, pem string) (account.Key, error) {
	if err := account.Authorize(by, account.Manage, account.Resource{Repo: ns + "/*"}); err != nil {
		return account.Key{}, err
	}
	if !strings.HasPrefix(pem, "-----BEGIN PUBLIC KEY-----") {
		return account.Key{}, clyde.Errorf(clyde.ErrInvalid, "that is no public key")
	}
	k.keys = append(k.keys, account.Key{Namespace: ns, Name: name, PEM: pem, Fingerprint: "SHA256:" + name, By: by.String(), Created: time.Unix(0, 0)})
	return k.keys[len(k.keys)-1], nil
}

func (k *keyring) RevokeKey(_ context.Context, _ account.Principal, _, fingerprint string) error {
	for i := range k.keys {
		if k.keys[i].Fingerprint == fingerprint {
			k.keys[i].Revoked = time.Unix(1, 0)
		}
	}
	return nil
}

// rules has the signing policy and the list of one namespace, and keeps its own
// idea of who may change them.
type rules struct {
	policy account.SigningPolicy
	list   account.SignedList
}

func (k *rules) SigningPolicy(context.Context, string) (account.SigningPolicy, error) {
	return k.policy, nil
}

func (k *rules) SetSigningPolicy(_ context.Context, by account.Principal, ns, text string, logNames bool) (account.SigningPolicy, error) {
	if err := account.Authorize(by, account.Own, account.Resource{Repo: ns + "/*"}); err != nil {
		return account.SigningPolicy{}, err
	}
	k.policy = account.SigningPolicy{Namespace: ns, Policy: text, LogNames: logNames, By: by.String(), At: time.Unix(0, 0)}
	return k.policy, nil
}

func (k *rules) Trusts() *policy.Trusts { return nil }

func (k *rules) PackageList(_ context.Context, ns string) (account.SignedList, *policy.List, error) {
	if len(k.list.Document) == 0 {
		return k.list, nil, clyde.Errorf(clyde.ErrNotFound, "@%s has published no list", ns)
	}
	l, err := policy.ParseList(k.list.Document)
	return k.list, l, err
}

func (k *rules) DropPackageList(_ context.Context, by account.Principal, ns string) error {
	if err := account.Authorize(by, account.Own, account.Resource{Repo: ns + "/*"}); err != nil {
		return err
	}
	if _, _, err := k.PackageList(context.Background(), ns); err != nil {
		return err
	}
	k.list = account.SignedList{Namespace: ns}
	return nil
}

const namespaceAt = "/namespaces/acme/settings"

// The settings of a namespace exist for who manages it; its forms need a recent
// sign in where they let somebody in, and come from our own pages alone.
func TestNamespaceRights(t *testing.T) {
	t.Parallel()
	w, ada := newWorks(t)
	eve := w.person("eve", false)
	forms := map[string]url.Values{
		"grants": {"holder": {"eve"}, "role": {"owner"}}, "grants/revoke": {"kind": {"account"}, "holder": {"eve"}}, "invitations/cancel": {"id": {"x"}},
		"transfers": {"kind": {"account"}, "to": {"eve"}}, "transfers/cancel": {"id": {"x"}},
		"keys": {"name": {"k"}, "pem": {"-----BEGIN PUBLIC KEY-----"}}, "keys/revoke": {"fingerprint": {"x"}},
		"builds": {"days": {"30"}, "rebuilders": {"eve"}}, "policy": {"policy": {"x"}}, "list/remove": {},
	}
	for _, path := range []string{namespaceAt, "/namespaces/none/settings", namespaceAt + "/package?name=zlib"} {
		if p := eve.get(path); p.status != 404 {
			t.Errorf("eve sees %s: %d", path, p.status)
		}
	}
	for form, v := range forms {
		if p := eve.post(namespaceAt+"/"+form, v); p.status != 404 {
			t.Errorf("eve sent %s: %d", form, p.status)
		}
		if p := w.browser().post(namespaceAt+"/"+form, v); !strings.HasPrefix(p.path, "/login?next=") {
			t.Errorf("nobody sent %s: %d %s", form, p.status, p.path)
		}
		if p := ada.post(namespaceAt+"/"+form, v, "Sec-Fetch-Site", "cross-site"); p.status != 403 {
			t.Errorf("%s from another site: %d", form, p.status)
		}
	}
	w.clock.pass(account.RecentFor + time.Second)
	for _, form := range []string{"grants", "grants/revoke", "transfers", "keys", "keys/revoke", "builds", "policy", "list/remove"} {
		if p := ada.post(namespaceAt+"/"+form, forms[form]); !strings.HasPrefix(p.path, "/login?again=1") {
			t.Errorf("%s without a recent sign in: %d %s", form, p.status, p.path)
		}
	}
}

// The list of packages is shown with what it says and until when, as its authors
// wrote it and nothing more; its owners take it away, and others see no way to.
func TestNamespaceList(t *testing.T) {
	t.Parallel()
	w, ada := newWorks(t)
	bob := w.person("bob", false)
	ada.want(namespaceAt+"/grants", url.Values{"holder": {"bob"}, "role": {"maintainer"}}, namespaceAt+"?done=invited")
	_, id, _ := strings.Cut(bob.get("/account/namespaces").body, `action="/account/invitations/`)
	id, _, _ = strings.Cut(id, `"`)
	bob.want("/account/invitations/"+id, url.Values{"answer": {"accept"}}, "/account/namespaces?done=accepted")
	const remove = `action="` + namespaceAt + `/list/remove"`
	if p := ada.get(namespaceAt); !strings.Contains(p.body, "None is published.") || !strings.Contains(p.body, "clyde policy set-list @acme") || strings.Contains(p.body, remove) {
		t.Errorf("without a list:\n%s", p.body)
	}
	if p := ada.post(namespaceAt+"/list/remove", url.Values{}); p.status != 404 {
		t.Errorf("taking away what is not there: %d", p.status)
	}
	for expires, want := range map[time.Time]string{w.clock.now().Add(24 * time.Hour): "holds until", w.clock.now(): "ended"} {
		w.rules.list = account.SignedList{Namespace: "acme", Version: 7, By: "ada", At: time.Unix(0, 0), Document: fmt.Appendf(nil,
			"apiVersion: clyde.dev/v1\nkind: PackageList\nnamespace: acme\nversion: 7\nexpires: %s\ndefault: allow\ndeny: [{package: \"acme/lib\", reason: \"<b>stolen</b>\"}]\n", expires.UTC().Format(time.RFC3339))}
		p := ada.get(namespaceAt)
		for _, has := range []string{want, "Version 7", "It denies 1 and allows everything else.", "&lt;b&gt;stolen", remove} {
			if !strings.Contains(p.body, has) {
				t.Errorf("the list that ends %s is not shown with %q:\n%s", expires, has, p.body)
			}
		}
	}
	// A maintainer sees it; it is its owners' to take away.
	if p := bob.get(namespaceAt); !strings.Contains(p.body, "Version 7") || strings.Contains(p.body, remove) {
		t.Errorf("bob sees:\n%s", p.body)
	}
	if p := bob.post(namespaceAt+"/list/remove", url.Values{}); p.status != 403 {
		t.Errorf("bob takes the list away: %d", p.status)
	}
	ada.want(namespaceAt+"/list/remove", url.Values{}, namespaceAt+"?done=unlisted")
	if p := ada.get(namespaceAt); !strings.Contains(p.body, "None is published.") {
		t.Error("the list is still shown")
	}
}

// Every form of the page does what it says.
func TestNamespaceForms(t *testing.T) {
	t.Parallel()
	w, ada := newWorks(t)
	w.person("eve", false)
	if p := ada.get("/account/namespaces"); !strings.Contains(p.body, `href="`+namespaceAt+`"`) {
		t.Error("ada is not shown the way to the settings")
	}
	ada.want(namespaceAt+"/keys", url.Values{"name": {"release"}, "pem": {"-----BEGIN PUBLIC KEY-----"}}, namespaceAt+"?done=keyed")
	if p := ada.post(namespaceAt+"/keys", url.Values{"name": {"<mine>"}, "pem": {"none"}}); p.status != 422 || !strings.Contains(p.body, "that is no public key") || !strings.Contains(p.body, `value="&lt;mine&gt;"`) {
		t.Errorf("a wrong key: %d\n%s", p.status, p.body)
	}
	p := ada.want(namespaceAt+"/keys/revoke", url.Values{"fingerprint": {"SHA256:release"}}, namespaceAt+"?done=unkeyed")
	if !strings.Contains(p.body, "revoked 1 Jan 1970") || strings.Contains(p.body, namespaceAt+"/keys/revoke") {
		t.Errorf("the key is not shown as revoked:\n%s", p.body)
	}
	if err := w.db.AddToken(t.Context(), store.Token{ID: "ci", Hash: []byte("ci")}, store.AuditEntry{}); err != nil {
		t.Fatal(err)
	}
	ada.want(namespaceAt+"/builds", url.Values{"days": {"30"}, "rebuilders": {"eve\r\ntoken:ci"}}, namespaceAt+"?done=builds")
	if p := ada.get(namespaceAt); !strings.Contains(p.body, `value="30"`) || !strings.Contains(p.body, ">eve\ntoken:ci</textarea>") {
		t.Errorf("what was said about builds is not shown:\n%s", p.body)
	}
	for _, v := range []url.Values{{"days": {"-1"}}, {"days": {"3651"}}, {"days": {"x"}}, {"days": {"1"}, "rebuilders": {"<nobody>"}}} {
		if p := ada.post(namespaceAt+"/builds", v); p.status != 422 || !strings.Contains(p.body, `role="alert"`) || strings.Contains(p.body, "<nobody>") {
			t.Errorf("builds %v: %d\n%s", v, p.status, p.body)
		}
	}
	ada.want(namespaceAt+"/builds", url.Values{"always": {"on"}}, namespaceAt+"?done=builds")
	ada.want(namespaceAt+"/grants", url.Values{"holder": {"eve"}, "role": {"reader"}}, namespaceAt+"?done=invited")
	ada.want(namespaceAt+"/invitations/cancel", url.Values{"id": {ada.get(namespaceAt).id(t, "<h3>Invited</h3>")}}, namespaceAt+"?done=uninvited")
	ada.want("/orgs", url.Values{"name": {"tools"}, "display": {""}}, "/orgs/tools?done=saved")
	ada.want("/orgs/tools/teams", url.Values{"team": {"release"}}, "/orgs/tools?done=saved")
	ada.want(namespaceAt+"/grants", url.Values{"holder": {"tools/release"}, "role": {"publisher"}}, namespaceAt+"?done=saved")
	ada.want(settingsAt+"/grants", url.Values{"holder": {"tools/release"}, "role": {"maintainer"}}, settingsAt+"?done=saved")
	if p := ada.get(namespaceAt); !strings.Contains(p.body, "<b>tools/release</b> is publisher") || !strings.Contains(p.body, `is maintainer of <a href="/packages/acme/zlib/settings#grants">@acme/zlib</a>`) {
		t.Errorf("the roles are not shown:\n%s", p.body)
	}
	ada.want(namespaceAt+"/grants/revoke", url.Values{"kind": {"team"}, "holder": {"tools/release"}}, namespaceAt+"?done=taken")
	// Publishers of packages that exist, and of those to come.
	for _, name := range []string{"zlib", "soon"} {
		at := "/packages/acme/" + name + "/settings"
		ada.want(at+"/publishers", url.Values{"issuer": {"forge"}, "repository": {"acme/zlib"}, "workflow": {"release.yml"}}, at+"?done=trusted")
	}
	if p := ada.get(namespaceAt); !strings.Contains(p.body, `href="/packages/acme/soon/settings#publishers"`) || strings.Count(p.body, ">pending<") != 1 {
		t.Errorf("the publishers are not shown:\n%s", p.body)
	}
	if p := ada.get(namespaceAt + "/package?name=soon"); p.path != "/packages/acme/soon/settings" {
		t.Errorf("the form for a package leads to %s", p.path)
	}
	if p := ada.get(namespaceAt + "/package?name=A+B"); p.status != 422 || !strings.Contains(p.body, `role="alert"`) {
		t.Errorf("a name that is none: %d", p.status)
	}
	ada.want(namespaceAt+"/transfers", url.Values{"kind": {"org"}, "to": {"tools"}}, namespaceAt+"?done=offered")
	ada.want(namespaceAt+"/transfers/cancel", url.Values{"id": {ada.get(namespaceAt).id(t, "Offered to")}}, namespaceAt+"?done=unoffered")
	ada.want(namespaceAt+"/transfers", url.Values{"kind": {"org"}, "to": {"tools"}}, namespaceAt+"?done=offered")
	_, id, _ := strings.Cut(ada.get("/orgs/tools").body, `action="/account/transfers/`)
	id, _, _ = strings.Cut(id, `"`)
	ada.want("/account/transfers/"+id, url.Values{"answer": {"accept"}, "org": {"tools"}}, "/orgs/tools?done=accepted")
	if p := ada.get(namespaceAt); !strings.Contains(p.body, "organisation tools") || !strings.Contains(p.body, `id="asks"`) {
		t.Errorf("the organisation that owns it is not shown:\n%s", p.body)
	}
}
