package account_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
)

// proof lets a command line at from stand for p.
func (w *town) proof(t *testing.T, p account.Principal, from account.From) string {
	t.Helper()
	d, err := w.AskProof(t.Context(), "laptop", from)
	ok(t, err)
	ok(t, w.DecideDevice(t.Context(), p, d.UserCode, true))
	secret, _, err := w.PollDevice(t.Context(), d.Secret, from)
	ok(t, err)
	return secret
}

func TestProof(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	ctx := t.Context()
	ada, cookie := w.person(t, "ada")
	ok(t, w.ClaimNamespace(ctx, ada, "ada", "", []string{"ada"}))
	ada = w.who(t, cookie)
	res := account.Resource{Repo: "ada/x"}
	secret := w.proof(t, ada, home)
	p, err := w.TokenFrom(ctx, secret, home.Addr)
	ok(t, err)
	ok(t, account.Authorize(p, account.Own, res))
	ok(t, account.Authorize(p, account.Manage, res))
	ok(t, account.RequireRecent(p, w.time(), "this"))
	_, err = w.CreateOrg(ctx, p, "acme", "")
	ok(t, err)

	// What it is not for.
	refused(t, "publishing", account.Authorize(p, account.Publish, res), "grant_missing")
	refused(t, "another's package", account.Authorize(p, account.Own, account.Resource{Repo: "bob/x"}), "grant_missing")
	_, _, err = w.CreateFor(ctx, p, account.TokenSpec{Name: "x", Scopes: []account.Scope{{Actions: []account.Action{account.Manage}, Pattern: "@ada/x"}}})
	refused(t, "a token that outlasts it", err, "session_required")
	refused(t, "a password", w.SetPassword(ctx, p, p.Account, "correct horse battery"), "grant_missing")
	refused(t, "a way to sign in", w.Link(ctx, p, account.ExternalIdentity{Issuer: "https://x", Subject: "1"}), "session_required")
	_, err = w.Sessions(ctx, p)
	refused(t, "sessions", err, "session_required")
	d, err := w.AskProof(ctx, "again", home)
	ok(t, err)
	refused(t, "a proof by a proof", w.DecideDevice(ctx, p, d.UserCode, true), "session_required")

	// It is listed, bound to where it was made, and ends.
	ts, err := w.ListOwn(ctx, p)
	ok(t, err)
	if i := slices.IndexFunc(ts, func(v account.TokenRow) bool { return v.ID == p.ID }); i < 0 || ts[i].Expires.Sub(w.time()) != account.ProofFor || string(ts[i].Networks) != `["192.0.2.7/32"]` {
		t.Errorf("tokens: %+v", ts)
	}
	away, err := w.TokenFrom(ctx, secret, netip.MustParseAddr("192.0.2.8"))
	ok(t, err)
	refused(t, "from elsewhere", account.Authorize(away, account.Own, res), "network_denied")
	refused(t, "recent, from elsewhere", account.RequireRecent(away, w.time(), "this"), "network_denied")
	_, err = w.CreateOrg(ctx, away, "other", "")
	refused(t, "an organisation, from elsewhere", err, "network_denied")
	w.pass(account.ProofFor - time.Second)
	p, err = w.TokenFrom(ctx, secret, home.Addr)
	ok(t, err)
	ok(t, account.RequireRecent(p, w.time(), "this"))
	w.pass(time.Second)
	_, err = w.TokenFrom(ctx, secret, home.Addr)
	refused(t, "after its time", err, "token_invalid")
	refused(t, "kept after its time", account.RequireRecent(p, w.time().Add(time.Second), "this"), "proof_required")

	// The browser must have shown who it is just now.
	w.pass(time.Second)
	d, err = w.AskProof(ctx, "late", home)
	ok(t, err)
	refused(t, "a browser that signed in long ago", w.DecideDevice(ctx, w.who(t, cookie), d.UserCode, true), "sign_in_again")
}

// A proof dies by revocation and with its account, and an IPv6 host may change
// its address within its /64.
func TestProofEnds(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	ctx := t.Context()
	eve, cookie := w.person(t, "eve")
	at := account.From{Addr: netip.MustParseAddr("2001:db8:1:2::3")}
	secret := w.proof(t, eve, at)
	p, err := w.TokenFrom(ctx, secret, netip.MustParseAddr("2001:db8:1:2:ffff::9"))
	ok(t, err)
	ok(t, account.RequireRecent(p, w.time(), "this"))
	other := w.proof(t, eve, at)
	ok(t, w.RevokeOwn(ctx, w.who(t, cookie), p.ID))
	_, err = w.TokenFrom(ctx, secret, at.Addr)
	refused(t, "a revoked one", err, "token_invalid")
	ok(t, w.Suspend(ctx, boss, "eve", "spam"))
	p, err = w.TokenFrom(ctx, other, at.Addr)
	ok(t, err)
	refused(t, "of a suspended account", account.RequireRecent(p, w.time(), "this"), "account_suspended")
	_, err = w.CreateOrg(ctx, p, "spam", "")
	refused(t, "an organisation", err, "account_suspended")
}

// No token but a proof has the scope own, and no other way makes one.
func TestOwnIsNoScope(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	ctx := t.Context()
	ada, _ := w.person(t, "ada")
	own := []account.Scope{{Actions: []account.Action{account.Manage, account.Own}, Pattern: "*"}}
	if _, _, err := w.CreateFor(ctx, ada, account.TokenSpec{Name: "x", Scopes: own}); err == nil {
		t.Error("a session made a lasting one")
	}
	if _, _, err := w.Create(ctx, boss, account.TokenSpec{Name: "x", Scopes: own}); err == nil {
		t.Error("the administrator made a lasting one")
	}
	if _, _, err := w.Mint(ctx, boss, ada.Account, account.TokenSpec{Name: "x", Scopes: own, Run: &account.Run{}}); err == nil {
		t.Error("a CI run got one")
	}
	if _, err := w.AskDevice(ctx, "x", own, time.Hour, home); err == nil {
		t.Error("a command line asked for a lasting one")
	}
}

// A token for some packages sees nothing else of its account.
func TestNarrowTokens(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	ctx := t.Context()
	ada, _ := w.person(t, "ada")
	_, err := w.CreateOrg(ctx, ada, "acme", "")
	ok(t, err)
	secret, _, err := w.Mint(ctx, boss, ada.Account, account.TokenSpec{Name: "ci", Scopes: []account.Scope{{Actions: []account.Action{account.Publish, account.Manage}, Pattern: "@acme/x"}}})
	ok(t, err)
	p, err := w.TokenFrom(ctx, secret, home.Addr)
	ok(t, err)
	for what, err := range map[string]error{
		"tokens":        second(w.ListOwn(ctx, p)),
		"organisations": second(w.Memberships(ctx, p)),
		"namespaces":    second(w.Namespaces(ctx, p)),
		"requests":      second(w.Requests(ctx, p, false, 10)),
		"invitations":   second(w.Invitations(ctx, p)),
		"audit":         second(w.AuditFor(ctx, p, "", account.AuditFilter{}, 10)),
	} {
		refused(t, what, err, "proof_required")
	}
	refused(t, "sessions", second(w.Sessions(ctx, p)), "session_required")
	refused(t, "members", second(w.Members(ctx, p, "acme")), "org_unknown")
	ok(t, w.RevokeOwn(ctx, p, p.ID))
}

func second[T any](_ T, err error) error { return err }
