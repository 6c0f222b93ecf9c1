package account_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// town is a registry with people in it, and a clock that tests move.
type town struct {
	*account.Accounts
	db  *store.DB
	mu  sync.Mutex
	now time.Time
}

func newTown(t *testing.T) *town {
	t.Helper()
	w := &town{now: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)}
	db, err := store.Open(t.Context(), store.Options{Now: w.time})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	w.db, w.Accounts = db, account.New(db, w.time)
	return w
}

func (w *town) time() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *town) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

var home = account.From{Addr: netip.MustParseAddr("192.0.2.7"), Agent: "test"}

// person signs in with GitHub's number n, and returns what they may do now.
func (w *town) person(t testing.TB, login string) (account.Principal, string) {
	t.Helper()
	acct, err := w.SignIn(t.Context(), account.ExternalIdentity{Issuer: "https://github.com", Subject: "id-" + login, Login: login})
	if err != nil {
		t.Fatal(err)
	}
	secret, _, err := w.NewSession(t.Context(), acct, home)
	if err != nil {
		t.Fatal(err)
	}
	return w.who(t, secret), secret
}

func (w *town) who(t testing.TB, secret string) account.Principal {
	t.Helper()
	p, err := w.Session(t.Context(), secret, home)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var boss = account.Principal{ID: "system", Name: "system", Admin: true}

func codeOf(err error) string {
	if e := clyde.AsError(err); e != nil {
		return e.Code
	}
	return fmt.Sprint(err)
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func refused(t testing.TB, what string, err error, code string) {
	t.Helper()
	if err == nil || codeOf(err) != code {
		t.Errorf("%s = %v; want code %q", what, err, code)
	}
}

func TestLoginsAreNotInherited(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	in := func(subject, login string) store.Account {
		t.Helper()
		acct, err := w.SignIn(t.Context(), account.ExternalIdentity{Issuer: "https://github.com", Subject: subject, Login: login, Email: "a@b", EmailVerified: true})
		ok(t, err)
		return acct
	}
	first := in("1", "Ada")
	if first.Login != "ada" {
		t.Errorf("login %q; want ada", first.Login)
	}
	if renamed := in("1", "lovelace"); renamed.ID != first.ID || renamed.Login != "ada" {
		t.Errorf("a renamed login became %+v", renamed)
	}
	if other := in("2", "ada"); other.ID == first.ID || other.Login != "ada-2" {
		t.Errorf("a login that was registered again became %+v", other)
	}
	elsewhere, err := w.SignIn(t.Context(), account.ExternalIdentity{Issuer: "https://gitlab.com", Subject: "1", Login: "ada"})
	if err != nil || elsewhere.ID == first.ID {
		t.Errorf("the same number at another provider became %+v, %v", elsewhere, err)
	}
	for login, want := range map[string]string{"Åda_L@x": "da-l", "!": "user", "admin": "admin-2", strings.Repeat("x", 60): strings.Repeat("x", 39)} {
		if got := in("n"+login, login); got.Login != want {
			t.Errorf("login %q became %q; want %q", login, got.Login, want)
		}
	}
}

func TestSignInAtOnce(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	var wg sync.WaitGroup
	ids := make([]int64, 16)
	for i := range ids {
		wg.Go(func() {
			acct, err := w.SignIn(t.Context(), account.ExternalIdentity{Issuer: "https://github.com", Subject: fmt.Sprint(i % 2), Login: "ada"})
			if err != nil {
				t.Error(err)
			}
			ids[i] = acct.ID
		})
	}
	wg.Wait()
	for i, id := range ids {
		if id != ids[i%2] || ids[0] == ids[1] {
			t.Fatalf("accounts %v; want two, in turn", ids)
		}
	}
}

func TestSessionLife(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	p, secret := w.person(t, "ada")
	if !account.Allowed(p, account.Pull, account.Resource{Repo: "x/y"}) || p.Login != "ada" || p.Anonymous() {
		t.Fatalf("principal %+v", p)
	}
	gone := func(what, secret string) {
		t.Helper()
		_, err := w.Session(t.Context(), secret, home)
		refused(t, what, err, "session_ended")
	}
	gone("no secret", "")
	gone("another secret", secret[:len(secret)-1]+"!")

	acct, err := w.db.Account(t.Context(), p.Account)
	ok(t, err)
	w.pass(account.RecentFor + time.Millisecond)
	refused(t, "an old sign in", account.RequireRecent(w.who(t, secret), w.time(), "this"), "sign_in_again")
	next, err := w.Prove(t.Context(), secret, acct, home)
	ok(t, err)
	gone("a rotated secret", secret)
	ok(t, account.RequireRecent(w.who(t, next), w.time(), "this"))
	if w.who(t, next).Session != p.Session {
		t.Error("rotation made another session")
	}
	bob, _ := w.person(t, "bob")
	bobs, err := w.db.Account(t.Context(), bob.Account)
	ok(t, err)
	_, err = w.Prove(t.Context(), next, bobs, home)
	refused(t, "proving with another account", err, "other_account")

	w.pass(account.SessionIdle - time.Millisecond)
	w.who(t, next) // and is used
	w.pass(account.SessionIdle)
	gone("an idle session", next)

	_, secret = w.person(t, "ada")
	for range 5 {
		w.pass(account.SessionIdle - time.Hour)
		if w.time().Before(p.Proved.Add(account.SessionMax)) {
			_, _ = w.Session(t.Context(), secret, home)
		}
	}
	gone("an old session that was used all along", secret)

	p, secret = w.person(t, "ada")
	_, other := w.person(t, "ada")
	ok(t, w.EndOtherSessions(t.Context(), p))
	gone("another session", other)
	w.who(t, secret)
	refused(t, "ending another's session", w.EndSession(t.Context(), bob, p.Session), "")
	ok(t, w.EndSession(t.Context(), p, p.Session))
	gone("an ended session", secret)
}

func TestSessionCookie(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	_, secret := w.person(t, "ada")
	for _, tt := range []struct {
		name, url, from, proto, cookie string
		in                             bool
	}{
		{"https", "https://r.example/", "192.0.2.1:5", "", account.SessionCookie, true},
		{"behind a proxy", "http://r.example/", "192.0.2.1:5", "https", account.SessionCookie, true},
		{"loopback", "http://localhost:8080/", "127.0.0.1:5", "", account.SessionCookieLocal, true},
		{"loopback, version 6", "http://[::1]:8080/", "[::1]:5", "", account.SessionCookieLocal, true},
		{"plain", "http://r.example/", "192.0.2.1:5", "", account.SessionCookie, false},
		{"plain, the other name", "http://r.example/", "192.0.2.1:5", "", account.SessionCookieLocal, false},
		{"a name for loopback", "http://evil.example/", "127.0.0.1:5", "", account.SessionCookieLocal, false},
		{"localhost from afar", "http://localhost/", "192.0.2.1:5", "", account.SessionCookieLocal, false},
		{"the weaker name over https", "https://r.example/", "192.0.2.1:5", "", account.SessionCookieLocal, false},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, tt.url, nil)
		r.RemoteAddr = tt.from
		if tt.proto != "" {
			r.Header.Set("X-Forwarded-Proto", tt.proto)
		}
		r.AddCookie(&http.Cookie{Name: tt.cookie, Value: secret})
		p, err := w.AuthenticateSession(r)
		if err != nil || p.Anonymous() == tt.in {
			t.Errorf("%s: %+v, %v; signed in: want %v", tt.name, p, err, tt.in)
		}
		if p, err := w.Authenticate(r); err != nil || !p.Anonymous() {
			t.Errorf("%s: a cookie counts where it was not asked for: %+v, %v", tt.name, p, err)
		}
		c, err := account.NewSessionCookie(r, secret)
		if strings.HasPrefix(tt.name, "plain") {
			refused(t, tt.name, err, "https_required")
		} else if tt.in && (err != nil || c.Name != tt.cookie || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.Secure != (tt.cookie == account.SessionCookie)) {
			t.Errorf("%s: cookie %+v, %v", tt.name, c, err)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://r.example/", nil)
	r.AddCookie(&http.Cookie{Name: account.SessionCookie, Value: secret})
	r.AddCookie(&http.Cookie{Name: account.SessionCookie, Value: "planted"})
	if p, err := w.AuthenticateSession(r); err != nil || !p.Anonymous() {
		t.Errorf("two cookies: %+v, %v", p, err)
	}
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	ctx := t.Context()
	_, err := w.CreateAccount(ctx, boss, "ada", "Ada", "short", false)
	refused(t, "a short password", err, "password_invalid")
	const word = "correct horse battery"
	acct, err := w.CreateAccount(ctx, boss, "ada", "Ada", word, false)
	ok(t, err)
	if strings.Contains(acct.Password, word) || !strings.HasPrefix(acct.Password, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("stored %q", acct.Password)
	}
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}) }
	if got, err := w.CheckPassword(ctx, "ada", word, account.From{Addr: addr(1)}); err != nil || got.ID != acct.ID {
		t.Errorf("the right password: %+v, %v", got, err)
	}
	_, err1 := w.CheckPassword(ctx, "ada", "wrong horse battery", account.From{Addr: addr(2)})
	_, err2 := w.CheckPassword(ctx, "nobody-here", word, account.From{Addr: addr(3)})
	_, err3 := w.CheckPassword(ctx, "nobody-here", "", account.From{Addr: addr(3)})
	if codeOf(err1) != "login_failed" || clyde.AsError(err1).Msg != clyde.AsError(err2).Msg || codeOf(err3) != "login_failed" {
		t.Errorf("wrong password: %v; unknown login: %v, %v; want the same", err1, err2, err3)
	}
	for _, login := range []string{"ada", "unknown"} {
		var err error
		n := 0
		for ; n < 30; n++ {
			if _, err = w.CheckPassword(ctx, login, "x", account.From{Addr: addr(100 + n)}); codeOf(err) != "login_failed" {
				break
			}
		}
		if !errors.Is(err, clyde.ErrRateLimited) || n > 10 {
			t.Errorf("%s: %d tries, then %v; want few, then rate limited", login, n, err)
		}
	}
	w.pass(time.Minute)
	if _, err := w.CheckPassword(ctx, "ada", word, account.From{Addr: addr(9)}); err != nil {
		t.Errorf("after a minute: %v", err)
	}
}

// A token never does what its owner cannot do now, whatever its scopes say, and
// never what its scopes do not say, whatever its owner holds.
func TestTokenNeverExceedsOwner(t *testing.T) {
	t.Parallel()
	repos := []string{"acme/zlib", "acme/fmt", "acme/*", "zeta/zlib"}
	patterns := []string{"*", "@acme/*", "@acme/zlib", "@zeta/*"}
	rapid.Check(t, func(rt *rapid.T) {
		owner := account.Principal{ID: "s", Session: "s", Account: 7, Login: "ada"}
		for range rapid.IntRange(0, 4).Draw(rt, "roles") {
			owner.Roles = append(owner.Roles, account.Role{
				Pattern:  rapid.SampledFrom([]string{"acme/*", "acme/zlib", "zeta/*", "zeta/zlib"}).Draw(rt, "on"),
				Name:     rapid.SampledFrom(append(account.Roles(), "", "king")).Draw(rt, "role"),
				Via:      rapid.SampledFrom([]string{store.ViaGrant, store.ViaOrg, store.ViaTransferred}).Draw(rt, "via"),
				Creators: rapid.SampledFrom(append(account.Roles(), "")).Draw(rt, "creators"),
			})
		}
		if rapid.Bool().Draw(rt, "suspended") {
			owner.Suspended = "spam"
		}
		tok := owner
		tok.ID, tok.Session, tok.Token = "t", "", "ci"
		for range rapid.IntRange(0, 3).Draw(rt, "scopes") {
			tok.Scopes = append(tok.Scopes, account.Scope{
				Pattern: rapid.SampledFrom(patterns).Draw(rt, "pattern"),
				Actions: rapid.SliceOfN(rapid.SampledFrom(account.Actions()), 0, 4).Draw(rt, "actions"),
			})
		}
		instance := tok
		instance.Account, instance.Roles = 0, nil
		a := rapid.SampledFrom(account.Actions()).Draw(rt, "action")
		r := account.Resource{
			Repo: rapid.SampledFrom(repos).Draw(rt, "repo"), Private: rapid.Bool().Draw(rt, "private"),
			New: rapid.Bool().Draw(rt, "new"), TrustedOnly: rapid.Bool().Draw(rt, "trusted only"),
		}
		may := account.Allowed(tok, a, r)
		if may && !account.Allowed(owner, a, r) {
			rt.Fatalf("%v on %+v: the token may, its owner may not: %+v", a, r, tok)
		}
		if may && !account.Allowed(instance, a, r) {
			rt.Fatalf("%v on %+v: the token may, its scopes do not: %+v", a, r, tok)
		}
		if may && a == account.Own {
			rt.Fatalf("a token owns %+v", r)
		}
		if owner.Suspended != "" && account.Allowed(owner, a, r) && (a != account.Pull || r.Private) {
			rt.Fatalf("a suspended account may %s %+v", a, r)
		}
		for _, p := range []account.Principal{owner, tok, instance, {}} {
			x, err := account.Explain(p, a, r), account.Authorize(p, a, r)
			if x.Allowed != (err == nil) || x.Because == "" || !x.Allowed && x.Missing == "" {
				rt.Fatalf("Explain = %+v; Authorize = %v", x, err)
			}
		}
	})
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	p, _ := w.person(t, "ada")
	ok(t, w.ClaimNamespace(t.Context(), p, "ada", "", []string{"Ada"}))
	p, _ = w.person(t, "ada")
	spec := account.TokenSpec{Name: "ci", Scopes: []account.Scope{scope("@ada/*", account.Publish)}, Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}}
	secret, _, err := w.CreateFor(t.Context(), p, spec)
	ok(t, err)
	for addr, want := range map[string]string{
		"192.0.2.200": "", "2001:db8::1": "", "::ffff:192.0.2.1": "", "198.51.100.1": "network_denied", "2001:db9::1": "network_denied", "": "network_denied",
	} {
		a, _ := netip.ParseAddr(addr)
		q, err := w.TokenFrom(t.Context(), secret, a)
		ok(t, err)
		if err := account.Authorize(q, account.Publish, account.Resource{Repo: "ada/zlib"}); (err == nil) != (want == "") || err != nil && codeOf(err) != want {
			t.Errorf("from %q: %v; want %q", addr, err, want)
		}
	}
	spec.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.7/24")}
	if _, _, err := w.CreateFor(t.Context(), p, spec); !errors.Is(err, clyde.ErrInvalid) {
		t.Errorf("a network with bits of a host: %v", err)
	}
}

func TestSuspension(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	p, _ := w.person(t, "ada")
	ok(t, w.ClaimNamespace(t.Context(), p, "ada", "", []string{"ada"}))
	p, session := w.person(t, "ada")
	secret, _, err := w.CreateFor(t.Context(), p, account.TokenSpec{Name: "ci", Scopes: []account.Scope{scope("*", account.Publish)}})
	ok(t, err)
	publish := func() error {
		q, err := w.Token(context.Background(), secret)
		ok(t, err)
		return account.Authorize(q, account.Publish, account.Resource{Repo: "ada/zlib"})
	}
	ok(t, publish())
	ok(t, w.Suspend(t.Context(), boss, "ada", "spam"))
	refused(t, "a suspended account's token", publish(), "account_suspended")
	_, err = w.Session(t.Context(), session, home)
	refused(t, "a suspended account's session", err, "session_ended")
	_, err = w.SignIn(t.Context(), account.ExternalIdentity{Issuer: "https://github.com", Subject: "id-ada", Login: "ada"})
	refused(t, "signing in while suspended", err, "account_suspended")
	ok(t, w.Unsuspend(t.Context(), boss, "ada"))
	ok(t, publish())
}
