package account_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Whatever a Cookie header says, and wherever it comes from: nobody is signed
// in but by the one secret, alone, under the name that belongs to the
// connection.
func FuzzSessionCookie(f *testing.F) {
	db, err := store.Open(f.Context(), store.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := db.Close(); err != nil {
			f.Error(err)
		}
	})
	accounts := account.New(db, time.Now)
	ada, err := db.AddAccount(f.Context(), store.Account{Login: "ada"}, nil, store.AuditEntry{})
	if err != nil {
		f.Fatal(err)
	}
	secret, _, err := accounts.NewSession(f.Context(), ada, account.From{})
	if err != nil {
		f.Fatal(err)
	}
	for _, v := range []string{
		"clyde_session=" + secret, "__Host-clyde_session=" + secret, "clyde_session=" + secret + "; clyde_session=x", "clyde_session=" + secret[1:],
		"clyde_session=\"" + secret + "\"", "CLYDE_SESSION=" + secret, "clyde_session", "=;=;", "clyde_session=\x00", "clyde_session=clyde_x; a=b",
	} {
		f.Add(v, true)
		f.Add(v, false)
	}
	f.Fuzz(func(t *testing.T, cookies string, local bool) {
		r := httptest.NewRequest(http.MethodGet, "http://localhost/account", nil)
		r.Header["Cookie"] = []string{cookies}
		r.RemoteAddr = "127.0.0.1:1"
		if !local {
			r.RemoteAddr = "192.0.2.7:1"
		}
		p, err := accounts.AuthenticateSession(r)
		if err != nil {
			t.Fatalf("cookies %q: %v", cookies, err)
		}
		right := local && account.SessionSecret(r) == secret
		if p.Anonymous() == right || right && p.Login != "ada" {
			t.Errorf("cookies %q from %s: %+v", cookies, r.RemoteAddr, p)
		}
	})
}
