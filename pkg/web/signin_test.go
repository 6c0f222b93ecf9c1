package web_test

import (
	"context"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/account/oidc"
	"github.com/clydepm/clyde-registry/pkg/account/signin"
	"github.com/clydepm/clyde-registry/pkg/account/signin/signintest"
	"github.com/clydepm/clyde-registry/pkg/limits"
	"github.com/clydepm/clyde-registry/pkg/store"
	"github.com/clydepm/clyde-registry/pkg/web"
)

const testPassword = "correct horse battery staple"

var system = account.Principal{ID: "system", Name: "system", Admin: true}

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// reportBurst is how many reports somebody may file at once here.
const reportBurst = 5

// town is a site with accounts and both kinds of providers.
type town struct {
	t        *testing.T
	url      string
	accounts *account.Accounts
	db       *store.DB
	clock    *clock
	rules    *rules
	shelf    *shelf
	sso, hub *signintest.Provider
}

func newTown(t *testing.T) *town {
	t.Helper()
	w := &town{t: t, clock: &clock{at: time.Now()}}
	srv := httptest.NewUnstartedServer(nil)
	w.url = "http://" + srv.Listener.Addr().String()
	var err error
	w.db, err = store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "clyde.db"), Now: w.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.db.Close(); err != nil {
			t.Error(err)
		}
	})
	w.accounts = account.New(w.db, w.clock.now)
	w.sso = signintest.NewOIDC(t, w.url+"/login/acme/callback")
	w.hub = signintest.NewGitHub(t, w.url+"/login/github/callback")
	w.sso.Now = w.clock.now
	in, err := signin.New(signin.Options{
		Providers: []signin.Provider{w.hub.Config("github"), w.sso.Config("acme")}, PublicURL: w.url, Secret: make([]byte, 32), Now: w.clock.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.shelf, w.rules = newShelf(), &rules{}
	trusted, err := account.NewTrusted(account.TrustedOptions{
		DB: w.db, Verifier: oidc.New(oidc.Options{Now: w.clock.now}), Audience: "registry.example.org", Now: w.clock.now, Issuers: []account.TrustedIssuer{
			{Name: "github", URL: account.GitHubIssuer, Kind: account.KindGitHub}, {Name: "gitlab", URL: account.GitLabIssuer, Kind: account.KindGitLab},
			{Name: "forge", URL: "https://forge.example.org", Kind: account.KindForgejo}, {Name: "build", URL: "https://build.example.org", Kind: account.KindGeneric},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	moderator := &account.Moderator{DB: w.db, Now: w.clock.now, Changed: func(context.Context, string) error { return nil }}
	reports := limits.New([]limits.Kind{{Name: "report", Rate: limits.Per(reportBurst, time.Hour)}}, w.clock.now)
	pages, err := web.New(web.Options{
		Trusted: trusted, Moderator: moderator, Keys: &keyring{}, Policies: w.rules, Report: func(by account.Principal, _ string, h http.Header) error { return reports.Take(0, by.Login, h) },
		Catalog: w.shelf, Auth: w.accounts.Authenticate, PublicURL: w.url, Host: "localhost", Now: w.clock.now, Accounts: w.accounts, SignIn: in, Passwords: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Config.Handler = pages.Handler()
	srv.Start()
	t.Cleanup(srv.Close)
	return w
}

// browser keeps cookies and follows redirects.
type browser struct {
	*town
	c *http.Client
}

func (w *town) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return &browser{w, &http.Client{Jar: jar}}
}

// page is an answer, and where it came from after redirects.
type page struct {
	status int
	path   string
	body   string
	header http.Header
}

func (b *browser) do(r *http.Request) page {
	b.t.Helper()
	resp, err := b.c.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return page{resp.StatusCode, resp.Request.URL.RequestURI(), string(body), resp.Header}
}

func (b *browser) get(path string) page {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), "GET", path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	if !strings.HasPrefix(path, "http") {
		r.URL, _ = url.Parse(b.url + path)
		r.Host = r.URL.Host
	}
	return b.do(r)
}

// post sends a form as our own page does.
func (b *browser) post(path string, form url.Values, header ...string) page {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), "POST", b.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return b.do(r)
}

var refresh = regexp.MustCompile(`http-equiv="refresh" content="0;url=([^"]+)"`)

// through goes to a provider and comes back.
func (b *browser) through(path string, form url.Values) page {
	b.t.Helper()
	p := b.post(path, form)
	m := refresh.FindStringSubmatch(p.body)
	if m == nil {
		return p
	}
	return b.get(html.UnescapeString(m[1]))
}

func (b *browser) secret() string {
	u, _ := url.Parse(b.url)
	for _, c := range b.c.Jar.Cookies(u) {
		if c.Name == account.SessionCookieLocal {
			return c.Value
		}
	}
	return ""
}

// person makes an account with a password and signs in.
func (w *town) person(login string, admin bool) *browser {
	w.t.Helper()
	if _, err := w.accounts.CreateAccount(w.t.Context(), system, login, "", testPassword, admin); err != nil {
		w.t.Fatal(err)
	}
	b := w.browser()
	if p := b.post("/login", url.Values{"login": {login}, "password": {testPassword}}); p.path != "/account" || p.status != 200 {
		w.t.Fatalf("sign in of %s = %d %s %s", login, p.status, p.path, p.body)
	}
	return b
}

// Whoever a provider vouches for gets an account, whatever it is called.
func TestSignInByProvider(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	for _, tt := range []struct {
		key string
		p   *signintest.Provider
	}{{"github", w.hub}, {"acme", w.sso}} {
		tt.p.Sit(signintest.User{Subject: "583231", Login: "Ada", Name: "Ada L", Email: "ada@example.com"})
		b := w.browser()
		if p := b.through("/login/"+tt.key, url.Values{"next": {"/account/tokens"}}); p.status != 200 || p.path != "/account/tokens" {
			t.Fatalf("%s: %d %s\n%s", tt.key, p.status, p.path, p.body)
		}
		if b.secret() == "" {
			t.Errorf("%s: no session", tt.key)
		}
		first := b.get("/account").body
		if !strings.Contains(first, "583231") || !strings.Contains(first, "ada@example.com") {
			t.Errorf("%s: the account page lacks the identity:\n%s", tt.key, first)
		}
		// Renamed there: the same account. Somebody else under the old login: another.
		tt.p.Sit(signintest.User{Subject: "583231", Login: "ada-new", Email: "ada@example.com"})
		again := w.browser()
		again.through("/login/"+tt.key, nil)
		tt.p.Sit(signintest.User{Subject: "999", Login: "Ada", Name: "Mallory", Email: "ada@example.com"})
		other := w.browser()
		other.through("/login/"+tt.key, nil)
		me, same, they := b.whoami(), again.whoami(), other.whoami()
		if me != same || me == they || they == "" {
			t.Errorf("%s: logins %q, renamed %q, registered anew %q", tt.key, me, same, they)
		}
	}
	for _, s := range w.hub.Scopes() {
		if strings.Contains(s, "org") {
			t.Errorf("signing in asked for %q", s)
		}
	}
}

var heading = regexp.MustCompile(`<h1>([a-z0-9-]+)`)

func (b *browser) whoami() string {
	if m := heading.FindStringSubmatch(b.get("/account").body); m != nil {
		return m[1]
	}
	return ""
}

// An answer that is not of this browser's own sign in, or that cannot be
// believed, signs nobody in.
func TestSignInRefused(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.sso.Sit(signintest.User{Subject: "1", Login: "ada"})
	refused := func(name string, b *browser, p page) {
		t.Helper()
		if p.status != 403 || b.secret() != "" {
			t.Errorf("%s: %d %s; session %q", name, p.status, p.path, b.secret())
		}
	}
	for name, claims := range map[string]map[string]any{
		"other audience":   {"aud": "somebody"},
		"two audiences":    {"aud": []string{signintest.ClientID, "x"}},
		"other issuer":     {"iss": "https://evil.example"},
		"other nonce":      {"nonce": "x"},
		"no nonce":         {"nonce": nil},
		"no subject":       {"sub": nil},
		"for other client": {"azp": "x"},
	} {
		w.sso.Claims(claims)
		b := w.browser()
		refused(name, b, b.through("/login/acme", nil))
	}
	w.sso.Claims(map[string]any{"exp": w.clock.now().Add(-time.Hour).Unix(), "iat": w.clock.now().Add(-2 * time.Hour).Unix()})
	b := w.browser()
	refused("expired", b, b.through("/login/acme", nil))
	w.sso.Claims(nil)

	// The address of a callback that one browser earned is of no use in another.
	thief := w.browser()
	thief.c.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/login/acme/callback" {
			return http.ErrUseLastResponse
		}
		return nil
	}
	p := thief.through("/login/acme", nil)
	loc := p.header.Get("Location")
	if !strings.Contains(loc, "code=") {
		t.Fatalf("no callback: %d %s", p.status, loc)
	}
	victim := w.browser()
	refused("another browser", victim, victim.get(loc))
	u, _ := url.Parse(loc)
	q := u.Query()
	q.Set("state", "x")
	refused("other state", thief, thief.get("/login/acme/callback?"+q.Encode()))
	refused("used cookie", thief, thief.get(loc)) // the try before took it away

	late := w.browser()
	late.c.CheckRedirect = thief.c.CheckRedirect
	loc = late.through("/login/acme", nil).header.Get("Location")
	w.clock.pass(signin.StartFor)
	refused("too late", late, late.get(loc))
	no := w.browser()
	no.post("/login/acme", nil)
	refused("said no", no, no.get("/login/acme/callback?error=access_denied&state=x"))
	if p := no.post("/login/nobody", nil); p.status != 404 {
		t.Errorf("unknown provider: %d", p.status)
	}
}

// Nobody is sent to another site, or round in a circle.
func TestReturnPath(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	b := w.person("ada", false)
	for _, next := range []string{
		"", "https://evil.example/", "//evil.example", `/\evil.example`, `\\evil.example`, "/\t/evil.example", "http:/evil.example", "javascript:alert(1)",
		"///evil.example", "/login", "/login?next=/login", "/logout", "/%5cevil.example", "/" + strings.Repeat("a", 600), "evil", "/\n", "/\x00",
	} {
		if p := b.get("/login?next=" + url.QueryEscape(next)); p.path != signin.HomePath {
			t.Errorf("next %q leads to %s", next, p.path)
		}
	}
	if p := b.get("/login?next=" + url.QueryEscape("/search?q=x&sort=new")); p.path != "/search?q=x&sort=new" {
		t.Errorf("an own path leads to %s", p.path)
	}
}

// Every sign in makes a session, and a secret that was known before is worth
// nothing after it.
func TestSessionFixation(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	b := w.person("ada", false)
	u, _ := url.Parse(w.url)
	old := b.secret()
	planted := w.browser()
	planted.c.Jar.SetCookies(u, []*http.Cookie{{Name: account.SessionCookieLocal, Value: "clydes_planted", Path: "/"}})
	planted.post("/login", url.Values{"login": {"ada"}, "password": {testPassword}})
	if s := planted.secret(); s == "clydes_planted" || s == "" || s == old {
		t.Errorf("session after a planted one: %q", s)
	}
	// Signing in again changes the secret, and ends the old one.
	w.clock.pass(account.RecentFor + time.Second)
	if p := b.post("/account/password", url.Values{"password": {testPassword + "2"}, "again": {testPassword + "2"}}); !strings.HasPrefix(p.path, "/login?again=1") {
		t.Fatalf("a password was set without signing in again: %s", p.path)
	}
	if p := b.post("/login", url.Values{"password": {testPassword}, "next": {"/account"}}); p.path != "/account" {
		t.Fatalf("signing in again: %d %s", p.status, p.path)
	}
	if b.secret() == old {
		t.Error("signing in again kept the secret")
	}
	stale := w.browser()
	stale.c.Jar.SetCookies(u, []*http.Cookie{{Name: account.SessionCookieLocal, Value: old, Path: "/"}})
	if p := stale.get("/account"); !strings.HasPrefix(p.path, "/login") {
		t.Errorf("the old secret shows %s", p.path)
	}
	if p := b.post("/account/password", url.Values{"password": {testPassword + "2"}, "again": {testPassword + "2"}}); p.path != "/account?done=password" {
		t.Errorf("setting the password: %d %s", p.status, p.path)
	}
	if p := planted.get("/account"); !strings.HasPrefix(p.path, "/login") {
		t.Errorf("another session outlives a new password: %s", p.path)
	}
}

// Forms of other sites do nothing.
func TestCrossOrigin(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	b := w.person("ada", false)
	for name, h := range map[string][]string{
		"cross-site":   {"Sec-Fetch-Site", "cross-site"},
		"same-site":    {"Sec-Fetch-Site", "same-site"},
		"other origin": {"Sec-Fetch-Site", "", "Origin", "https://evil.example"},
		"null origin":  {"Sec-Fetch-Site", "", "Origin", "null"},
	} {
		for _, path := range []string{"/logout", "/login", "/login/github", "/account", "/account/tokens", "/account/sessions/end-others", "/device"} {
			if p := b.post(path, url.Values{"name": {"x"}}, h...); p.status != 403 {
				t.Errorf("%s: POST %s = %d", name, path, p.status)
			}
		}
	}
	if p := b.get("/logout"); p.status != 405 && p.status != 404 {
		t.Errorf("GET /logout = %d", p.status)
	}
	if b.whoami() != "ada" {
		t.Error("somebody else's form signed ada out")
	}
}

// The cookie is what the specification says, by scheme and address.
func TestCookies(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	if _, err := w.accounts.CreateAccount(t.Context(), system, "ada", "", testPassword, false); err != nil {
		t.Fatal(err)
	}
	in, err := signin.New(signin.Options{Secret: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := web.New(web.Options{Catalog: &shelf{}, Auth: w.accounts.Authenticate, Accounts: w.accounts, SignIn: in, Passwords: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ target, remote, proto, want string }{
		{"https://r.example/login", "192.0.2.1:1", "", "__Host-clyde_session=…; Path=/; Max-Age=5184000; HttpOnly; Secure; SameSite=Lax"},
		{"http://r.example/login", "192.0.2.1:1", "https", "__Host-clyde_session=…; Path=/; Max-Age=5184000; HttpOnly; Secure; SameSite=Lax"},
		{"http://localhost:8080/login", "127.0.0.1:1", "", "clyde_session=…; Path=/; Max-Age=5184000; HttpOnly; SameSite=Lax"},
		{"http://[::1]:8080/login", "[::1]:1", "", "clyde_session=…; Path=/; Max-Age=5184000; HttpOnly; SameSite=Lax"},
		{"http://r.example/login", "192.0.2.1:1", "", ""},
		{"http://localhost/login", "192.0.2.1:1", "", ""}, // says localhost, and is not
		{"http://r.example/login", "127.0.0.1:1", "", ""},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "POST", tt.target, strings.NewReader(url.Values{"login": {"ada"}, "password": {testPassword}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.RemoteAddr = tt.remote
		if tt.proto != "" {
			r.Header.Set("X-Forwarded-Proto", tt.proto)
		}
		rec := httptest.NewRecorder()
		pages.Handler().ServeHTTP(rec, r)
		got := regexp.MustCompile(`=clydes_[A-Z0-9]+`).ReplaceAllString(rec.Header().Get("Set-Cookie"), "=…")
		if got != tt.want {
			t.Errorf("%s from %s: cookie %q; want %q", tt.target, tt.remote, got, tt.want)
		}
		if tt.want == "" && (rec.Code != 403 || !strings.Contains(rec.Body.String(), "plain HTTP")) {
			t.Errorf("%s from %s: %d without the sentence", tt.target, tt.remote, rec.Code)
		}
	}
}

// A guesser is slowed down, and learns nothing of who exists.
func TestPasswordGuessing(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.person("ada", false)
	b := w.browser()
	try := func(login string) page {
		return b.post("/login", url.Values{"login": {login}, "password": {"wrong wrong wrong"}})
	}
	known, unknown := try("ada"), try("bob")
	if known.status != 422 || strings.ReplaceAll(known.body, "ada", "bob") != unknown.body {
		t.Errorf("known %d and unknown %d logins are told apart", known.status, unknown.status)
	}
	for range 20 {
		known = try("ada")
	}
	if known.status != 429 {
		t.Errorf("the 21st wrong password = %d; want 429", known.status)
	}
	if p := b.post("/login", url.Values{"login": {"ada"}, "password": {testPassword}}); p.status != 429 {
		t.Errorf("the right one meanwhile = %d; want 429", p.status)
	}
	w.clock.pass(time.Hour)
	if p := b.post("/login", url.Values{"login": {"ada"}, "password": {testPassword}}); p.path != "/account" {
		t.Errorf("an hour later = %d %s", p.status, p.path)
	}
}

// Signing in again, adding a way in and claiming are for the same person.
func TestProveAndLink(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.hub.Sit(signintest.User{Subject: "1", Login: "ada"})
	b := w.browser()
	b.through("/login/github", nil)
	w.clock.pass(account.RecentFor + time.Second)
	w.sso.Sit(signintest.User{Subject: "s1", Login: "ada"})
	if p := b.post("/account/identities", url.Values{"provider": {"acme"}}); !strings.HasPrefix(p.path, "/login?again=1") {
		t.Errorf("a way in was added without signing in again: %s", p.path)
	}
	w.hub.Sit(signintest.User{Subject: "2", Login: "eve"})
	if p := b.through("/login/github", nil); p.status != 403 {
		t.Errorf("somebody else signed in again: %d %s", p.status, p.path)
	}
	w.hub.Sit(signintest.User{Subject: "1", Login: "ada"})
	if p := b.through("/login/github", nil); p.path != "/account" {
		t.Errorf("signing in again: %d %s", p.status, p.path)
	}
	if p := b.through("/account/identities", url.Values{"provider": {"acme"}}); p.path != "/account?done=linked" {
		t.Errorf("adding a way in: %d %s\n%s", p.status, p.path, p.body)
	}
	other := w.browser()
	other.through("/login/acme", nil)
	if me, they := b.whoami(), other.whoami(); me != they || me == "" {
		t.Errorf("by the new way %q signs in; want %q", they, me)
	}
	for _, want := range []string{"/account?done=unlinked", "/account/identities/remove"} {
		issuer, subject := w.sso.URL, "s1"
		if want != "/account?done=unlinked" {
			issuer, subject = w.hub.URL, "1"
		}
		if p := b.post("/account/identities/remove", url.Values{"issuer": {issuer}, "subject": {subject}}); p.path != want {
			t.Errorf("removing %s: %d %s; want %s", issuer, p.status, p.path, want)
		}
	}
}

// A cookie that nobody made signs nobody in, and breaks nothing.
func FuzzCookies(f *testing.F) {
	for _, s := range []string{"", "clydes_", "clyde_session=x", "clydes_AAAA; clyde_session=clydes_B", "\x00", strings.Repeat("A", 5000), `"clydes_x"`} {
		f.Add(s)
	}
	db, err := store.Open(f.Context(), store.Options{Path: filepath.Join(f.TempDir(), "clyde.db")})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = db.Close() })
	in, err := signin.New(signin.Options{Secret: make([]byte, 32)})
	if err != nil {
		f.Fatal(err)
	}
	accounts := account.New(db, nil)
	pages, err := web.New(web.Options{Catalog: &shelf{}, Auth: accounts.Authenticate, Accounts: accounts, SignIn: in})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for _, name := range []string{"__Host-clyde_session", "__Host-clyde_login", "__Host-clyde_names"} {
			r := httptest.NewRequestWithContext(t.Context(), "GET", "https://r.example/account", nil)
			r.Header.Set("Cookie", name+"="+value)
			rec := httptest.NewRecorder()
			pages.Handler().ServeHTTP(rec, r)
			if rec.Code != http.StatusSeeOther || !strings.HasPrefix(rec.Header().Get("Location"), "/login?") {
				t.Fatalf("%s=%q: %d %s", name, value, rec.Code, rec.Header().Get("Location"))
			}
		}
		if got := in.Vouched(value, "s"); got != nil {
			t.Fatalf("Vouched(%q) = %v", value, got)
		}
	})
}
