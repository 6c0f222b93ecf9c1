package account_test

import (
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
)

// Each limit of signing in at its edge: the last try that passes, the first
// that does not, and the next one that time gives; what is left is told.
func TestSignInLimits(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	ctx := t.Context()
	ada, cookie := w.person(t, "ada")
	at := func(n byte) account.From {
		return account.From{Addr: netip.AddrFrom4([4]byte{192, 0, 2, n}), Tell: http.Header{}}
	}
	left := func(p account.Principal, n byte, name string) int {
		t.Helper()
		for _, l := range w.SignInLimits(p, at(n).Addr) {
			if l.Name == name {
				return l.Remaining
			}
		}
		t.Fatalf("no limit %s", name)
		return 0
	}
	scope := []account.Scope{{Actions: []account.Action{account.Pull}, Pattern: "*"}}
	ask := func() error {
		_, err := w.AskDevice(ctx, "laptop", scope, 0, at(1))
		return err
	}
	for range 10 {
		ok(t, ask())
	}
	refused(t, "the eleventh command line", ask(), "login_throttled")
	from := at(1)
	_, err := w.AskProof(ctx, "laptop", from)
	refused(t, "a proof after that", err, "login_throttled")
	if from.Tell.Get("RateLimit") != `"device";r=0;t=600` || from.Tell.Get("Retry-After") != "60" {
		t.Errorf("headers: %v", from.Tell)
	}
	if n := left(account.Principal{}, 1, "device"); n != 0 {
		t.Errorf("%d command lines are left", n)
	}
	w.pass(time.Minute)
	ok(t, ask())
	refused(t, "another in the same minute", ask(), "login_throttled")

	ada = w.who(t, cookie)
	try := func() error {
		_, err := w.FindDevice(ctx, ada, "BCDF-GHJK")
		return err
	}
	for range 20 {
		refused(t, "a code", try(), "user_code_unknown")
	}
	refused(t, "the twenty-first code", try(), "login_throttled")
	if n := left(ada, 7, "device-code"); n != 0 {
		t.Errorf("%d codes are left", n)
	}
	w.pass(time.Minute)
	refused(t, "a code a minute later", try(), "user_code_unknown")

	// Wrong passwords cost the login and the address; what is refused for one
	// costs the other nothing; a right one gives the login's tries back.
	acct, err := w.CreateAccount(ctx, boss, "bob", "", "correct horse battery", false)
	ok(t, err)
	wrong := func(n byte) error {
		_, err := w.CheckPassword(ctx, "bob", "wrong horse battery", at(n))
		return err
	}
	for range 9 {
		refused(t, "a wrong password", wrong(2), "login_failed")
	}
	_, err = w.CheckPassword(ctx, "BOB", "correct horse battery", at(2))
	if codeOf(err) != "login_failed" { // a login is lower case
		ok(t, err)
	}
	refused(t, "the eleventh", wrong(3), "login_throttled")
	bob := account.Principal{Login: acct.Login}
	if n, m := left(bob, 3, "sign-in"), left(bob, 3, "sign-in-address"); n != 0 || m != 20 {
		t.Errorf("left: %d of the login, %d of the address; want 0 and 20", n, m)
	}
	w.pass(time.Minute)
	_, err = w.CheckPassword(ctx, "bob", "correct horse battery", at(3))
	ok(t, err)
	if n := left(bob, 3, "sign-in"); n != 10 {
		t.Errorf("%d tries are left after a right password; want 10", n)
	}
}
