package server

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/registry"
	"github.com/clydepm/clyde-registry/pkg/store"
)

var update = flag.Bool("update", false, "rewrite golden files")

// asker is one column of the table.
type asker struct {
	name    string
	token   string
	session string // cookie

	outsider bool // who must not tell private from absent
}

// authzWorld is a server with an organisation, acme, that owns @acme with one
// public and one private package, and everybody who may ask.
type authzWorld struct {
	*testing.T
	s       *Server
	askers  []asker
	archive []byte
	n       int
}

func newAuthzWorld(t *testing.T) *authzWorld {
	t.Helper()
	c := testConfig(t)
	c.Limits.Reports = 0 // one address asks for everybody
	c.API.ReadsPerSecond, c.API.WritesPerSecond = 0, 0
	now := time.Now()
	var ahead atomic.Int64 // the server asks for the time while it is moved
	s := start(t, c, Options{Now: func() time.Time { return now.Add(time.Duration(ahead.Load())) }, work: countWork})
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w := &authzWorld{T: t, s: s, archive: oneFile(t)}
	if _, err := s.Accounts.CreateAccount(ctx, System, "founder", "", "", false); err != nil {
		t.Fatal(err)
	}
	org, err := s.Accounts.CreateOrgFor(ctx, System, "acme", "", "founder")
	must(err)
	must(s.Accounts.GiveNamespace(ctx, System, "acme", store.OwnerOrg, "acme"))
	every := []account.Scope{{Actions: []account.Action{account.Pull, account.PublishNew, account.Publish, account.Yank, account.Manage}, Pattern: "*"}}
	token := func(login string, spec account.TokenSpec) string {
		t.Helper()
		a, err := s.DB.AccountByLogin(ctx, login)
		must(err)
		if spec.Name == "" {
			spec.Name = login
		}
		secret, _, err := s.Accounts.Mint(ctx, System, a.ID, spec)
		must(err)
		return secret
	}
	person := func(login string, role account.RoleName) {
		t.Helper()
		a, err := s.Accounts.CreateAccount(ctx, System, login, "", "", false)
		must(err)
		if role == "" {
			return
		}
		i := store.Invitation{ID: "to-" + login, Org: org.ID, Role: string(role), Account: a.ID, By: "system", Created: now, Expires: now.Add(time.Hour)}
		must(s.DB.AddInvitation(ctx, i, store.AuditEntry{Time: now}))
		must(s.DB.AcceptInvitation(ctx, i, store.AuditEntry{Time: now}))
	}
	for _, p := range []struct {
		login string
		role  account.RoleName
	}{
		{"none", ""}, {"reader", account.RoleReader}, {"publisher", account.RolePublisher}, {"maintainer", account.RoleMaintainer}, {"owner", account.RoleOwner},
		{"suspended", account.RoleOwner},
	} {
		person(p.login, p.role)
	}
	admin, _, err := s.Accounts.Create(ctx, System, account.TokenSpec{Name: "admin", Admin: true})
	must(err)
	for _, name := range []string{"pub", "priv"} {
		if _, _, err := s.Ingest.Publish(ctx, s.Registry, System, manifestOf(name), bytes.NewReader(w.archive), artifact.TypeSourceGzip); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Catalog.SetAccess(ctx, System, clyde.Name{Namespace: "acme", Base: "priv"}, true); err != nil {
		t.Fatal(err)
	}
	expired := token("owner", account.TokenSpec{Name: "expired", Scopes: every, Expires: now.Add(time.Minute)})
	revoked := token("owner", account.TokenSpec{Name: "revoked", Scopes: every})
	if _, found, err := s.Accounts.RevokeLeaked(ctx, revoked, "test"); !found || err != nil {
		t.Fatal(found, err)
	}
	if _, err := s.Accounts.CreateAccount(ctx, System, "boss", "", "", true); err != nil {
		t.Fatal(err)
	}
	w.askers = []asker{
		{name: "anonymous", outsider: true},
		{name: "none", outsider: true, token: token("none", account.TokenSpec{Scopes: every})},
		{name: "reader", token: token("reader", account.TokenSpec{Scopes: every})},
		{name: "publisher", token: token("publisher", account.TokenSpec{Scopes: every})},
		{name: "maintainer", token: token("maintainer", account.TokenSpec{Scopes: every})},
		{name: "owner", token: token("owner", account.TokenSpec{Scopes: every})},
		{name: "none-session", outsider: true, session: w.signedIn("none")},
		{name: "maintainer-session", session: w.signedIn("maintainer")},
		{name: "owner-session", session: w.signedIn("owner")},
		{name: "owner-proof", token: w.proofOf("owner")},
		{name: "wrong-namespace", outsider: true, token: token("owner", account.TokenSpec{Name: "elsewhere", Scopes: []account.Scope{{Actions: every[0].Actions, Pattern: "@other/*"}}})},
		{name: "expired", token: expired},
		{name: "revoked", token: revoked},
		{name: "suspended", outsider: true, token: token("suspended", account.TokenSpec{Scopes: every})},
		{name: "admin", token: admin},
		{name: "admin-session", session: w.signedIn("boss")},
	}
	must(s.Accounts.Suspend(ctx, System, "suspended", "test"))
	ahead.Store(int64(2 * time.Minute)) // the expired one is
	return w
}

// signedIn signs an account in and returns the secret of its session.
func (w *authzWorld) signedIn(login string) string {
	w.Helper()
	a, err := w.s.DB.AccountByLogin(w.Context(), login)
	if err != nil {
		w.Fatal(err)
	}
	secret, _, err := w.s.Accounts.NewSession(w.Context(), a, account.From{})
	if err != nil {
		w.Fatal(err)
	}
	return secret
}

// proofOf lets a command line stand for an account, and returns its token.
func (w *authzWorld) proofOf(login string) string {
	w.Helper()
	ctx := w.Context()
	must := func(err error) {
		w.Helper()
		if err != nil {
			w.Fatal(err)
		}
	}
	who, err := w.s.Accounts.Session(ctx, w.signedIn(login), account.From{})
	must(err)
	d, err := w.s.Accounts.AskProof(ctx, "proof", account.From{})
	must(err)
	must(w.s.Accounts.DecideDevice(ctx, who, d.UserCode, true))
	secret, _, err := w.s.Accounts.PollDevice(ctx, d.Secret, account.From{})
	must(err)
	return secret
}

// oneFile is a source archive.
func oneFile(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	tw := tar.NewWriter(z)
	const text = "int a;\n"
	if err := tw.WriteHeader(&tar.Header{Name: "a.c", Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg, ModTime: time.Unix(0, 0)}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(tw, text); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(tw.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func manifestOf(name string) []byte {
	return fmt.Appendf(nil, "name: \"@acme/%s\"\nversion: \"1.0.0\"\nlanguage: c\nlicense: MIT\ndescription: For the table.\n", name)
}

// bodies are what operations are sent, by operation ID: such as change nothing
// where they are allowed, so that one request does not answer for the next. PKG
// stands for the package.
var bodies = map[string]string{
	"yank-version": `{"yanked":false}`, "deprecate-package": `{"message":""}`, "create-token": `{"name":"x","scopes":[{"actions":["pull"],"pattern":"@acme/PKG"}]}`,
	"add-key": `{"name":"x","pem":"none"}`, "update-account": `{"name":""}`, "suspend-account": `{"why":"x"}`,
	"answer-invitation": `{"accept":false}`, "answer-transfer": `{"accept":false}`, "confirm-change": `{"accept":false}`,
	"create-organisation": `{"name":"acme"}`, "set-switches": `{"trusted_only":false,"signed_only":false,"two_person":false,"creators":"maintainer"}`,
	"set-member": `{"role":"reader"}`, "invite-member": `{"login":"nobody-there","role":"reader"}`, "create-team": `{"name":"for-the-table"}`,
	"claim-namespace": `{"name":"acme"}`, "request-namespace": `{"name":"acme","why":"x"}`, "decide-namespace-request": `{"grant":false}`,
	"set-build-policy": `{"days":14,"rebuilders":[]}`,
	"reserve-name":     `{"why":"x"}`, "grant-package": `{"holder":"nobody-there","role":"reader"}`, "grant-namespace": `{"holder":"nobody-there","role":"reader"}`,
	"set-access": `{"access":"ACCESS"}`, "transfer-package": `{"to_kind":"account","to":"nobody-there"}`, "transfer-namespace": `{"to_kind":"account","to":"nobody-there"}`,
	"explain": `{"action":"publish","resource":"@acme/PKG"}`, "exchange-token": `{"token":"none","package":"@acme/PKG"}`,
	"close-report": `{"decision":"x"}`, "report-package": `{"kind":"other","text":"x"}`,
	"moderate-package": `{"decision":"restore"}`, "moderate-version": `{"decision":"restore"}`,
	"set-signing-policy": `{"policy":""}`, "set-package-list": `{"document":"","signature":{}}`,
	"report-leaks": `[]`, "resolve": `{"requires":{"@acme/PKG":"*"}}`,
	"ask-device": `{"name":"x","scopes":[{"actions":["pull"],"pattern":"*"}]}`, "poll-device": `{"device_code":"none"}`,
	"link-repository": `{"repository":"acme/zlib","token":""}`, "publish-tag": `{"tag":"v1"}`, "receive-release": `{}`,
	"add-trusted-publisher": `{"issuer":"nowhere","repository":"acme/zlib","workflow":"release.yml"}`,
}

// places are what stands in paths besides the package.
var places = strings.NewReplacer(
	"{namespace}", "acme", "{ns}", "acme", "{version}", "1.0.0", "{range}", "^1", "{path...}", "a.c", "{path}", "a.c", "{org}", "acme", "{team}", "no-team",
	"{login}", "nobody-there", "{id}", "no-id", "{fingerprint}", "none", "{root}", "nowhere", "{provider}", "nowhere", "{file}", "style.css", "{$}", "",
	"{reference}", "1.0.0", "{digest}", "sha256:"+strings.Repeat("0", 64), "{upload}", "00000000-0000-4000-8000-000000000000",
)

// route is one row of the table, before it is crossed with the packages.
type route struct{ method, path, id string }

// allRoutes asks every router what it serves.
func (w *authzWorld) allRoutes() []route {
	w.Helper()
	var out []route
	rec := httptest.NewRecorder()
	w.s.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/api/v1/openapi.json", nil))
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
		}
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &doc); err != nil {
		w.Fatal(err)
	}
	for path, item := range doc.Paths {
		for method, op := range item {
			out = append(out, route{strings.ToUpper(method), path, op.OperationID})
		}
	}
	for _, p := range append(registry.Routes(), w.s.pages...) {
		method, path, _ := strings.Cut(p, " ")
		if method != "HEAD" { // is GET without its body
			out = append(out, route{method, path, ""})
		}
	}
	slices.SortFunc(out, func(a, b route) int { return strings.Compare(a.path+" "+a.method, b.path+" "+b.method) })
	return out
}

// request makes the request of a route about a package.
func (w *authzWorld) request(r route, pkg string) *http.Request {
	w.Helper()
	path := places.Replace(strings.ReplaceAll(r.path, "{name}", pkg))
	if r.method == "DELETE" {
		path = strings.ReplaceAll(path, "/manifests/1.0.0", "/manifests/9.9.9")
	}
	var body io.Reader = http.NoBody
	kind := ""
	access := map[string]string{"pub": "public", "priv": "private", "gone": "private"}[pkg]
	switch {
	case r.id == "publish":
		body, kind = w.form(pkg)
	case bodies[r.id] != "":
		body, kind = strings.NewReader(strings.NewReplacer("PKG", pkg, "ACCESS", access).Replace(bodies[r.id])), "application/json"
	case r.id == "" && r.method == "POST" && !strings.HasPrefix(path, "/v2/"):
		body, kind = strings.NewReader("x=y"), "application/x-www-form-urlencoded"
	case r.id == "" && r.method == "PUT":
		body, kind = strings.NewReader("{}"), "application/vnd.oci.image.manifest.v1+json"
	case r.id != "" && (r.method == "POST" || r.method == "PUT" || r.method == "PATCH") && !bodyless[r.id]:
		w.Errorf("%s %s (%s): say in bodies what it is sent", r.method, r.path, r.id)
	}
	q := map[string]string{"revoke-key": "?fingerprint=none", "revoke-package-grant": "?holder=nobody-there", "revoke-namespace-grant": "?holder=nobody-there", "suggest": "?q=p", "resolve-range": "?range=^1"}[r.id]
	req := httptest.NewRequest(r.method, "http://localhost"+path+q, body)
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	w.n++ // one address for each request: who guesses is slowed down by address
	req.RemoteAddr = fmt.Sprintf("127.%d.%d.%d:1", 1+w.n/60000, w.n/250%240, 1+w.n%250)
	return req
}

// bodyless operations write without a body.
var bodyless = map[string]bool{"add-to-team": true}

func (w *authzWorld) form(pkg string) (io.Reader, string) {
	var b bytes.Buffer
	f := multipart.NewWriter(&b)
	for _, p := range []struct {
		name, kind string
		data       []byte
	}{{"package.yaml", "application/yaml", manifestOf(pkg)}, {"archive", artifact.TypeSourceGzip, w.archive}} {
		part, err := f.CreatePart(textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf(`form-data; name=%q; filename=%q`, p.name, p.name)}, "Content-Type": {p.kind}})
		if err != nil {
			w.Fatal(err)
		}
		if _, err := part.Write(p.data); err != nil {
			w.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		w.Fatal(err)
	}
	return &b, f.FormDataContentType()
}

// TestAuthorization crosses every route with everybody who may ask, about a
// public and a private package and one that does not exist; who has no right to
// the private one is told the same of the last two, to the byte. A route that is new, and an answer that is
// another, changes testdata/authz.txt: read the change as what it is, who may
// do what.
func TestAuthorization(t *testing.T) {
	t.Parallel()
	w := newAuthzWorld(t)
	var b strings.Builder
	b.WriteString("# Status of every route for everybody, about a public and a private package, and\n# one that does not exist: outsiders are told the same of the last two.\n# Columns:")
	for _, a := range w.askers {
		b.WriteString(" " + a.name)
	}
	b.WriteString("\n")
	for _, r := range w.allRoutes() {
		packages := []string{"pub", "priv", "gone"}
		if !strings.Contains(r.path, "{name}") && !strings.Contains(bodies[r.id], "PKG") && r.id != "publish" {
			packages = packages[:1]
		}
		fmt.Fprintf(&b, "%s %s\n", r.method, r.path)
		hidden := map[string]string{} // what each was told of the private one
		for _, pkg := range packages {
			if len(packages) == 1 {
				b.WriteString("  any    ")
			} else {
				fmt.Fprintf(&b, "  %-7s", map[string]string{"pub": "public", "priv": "private", "gone": "absent"}[pkg])
			}
			for _, a := range w.askers {
				if pkg == "gone" && r.id == "publish" && !a.outsider {
					b.WriteString("   -") // it would be there from then on
					continue
				}
				status, body := w.ask(r, pkg, a)
				fmt.Fprintf(&b, " %d", status)
				switch {
				case pkg == "priv":
					hidden[a.name] = fmt.Sprint(status, body)
				case pkg == "gone" && a.outsider && hidden[a.name] != fmt.Sprint(status, body):
					t.Errorf("%s %s as %s tells private from absent:\n%s\n%d%s", r.method, r.path, a.name, hidden[a.name], status, body)
				}
			}
			b.WriteByte('\n')
		}
	}
	const file = "testdata/authz.txt"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("%s (-want +got); go test ./pkg/server -run TestAuthorization -update to accept:\n%s", file, diff)
	}
}

func (w *authzWorld) ask(r route, pkg string, a asker) (status int, body string) {
	w.Helper()
	req := w.request(r, pkg)
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	if a.session != "" && r.path == "/logout" {
		// Nobody who is needed for the next row signs out.
		a.session = w.signedIn("none")
	}
	if a.session != "" {
		req.AddCookie(&http.Cookie{Name: account.SessionCookieLocal, Value: a.session})
	}
	rec := httptest.NewRecorder()
	w.s.Handler().ServeHTTP(rec, req)
	if rec.Code >= 500 {
		w.Errorf("%s %s as %s = %d %s", req.Method, req.URL, a.name, rec.Code, rec.Body)
	}
	// What differs between any two requests is left out: the name, of the same
	// length, and the request's.
	return rec.Code, unlike.Replace(requestIDs.ReplaceAllString(rec.Body.String(), ""))
}

var (
	unlike     = strings.NewReplacer("priv", "NAME", "gone", "NAME")
	requestIDs = regexp.MustCompile(`"request_id":"[^"]*"`)
)
