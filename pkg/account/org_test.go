package account_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/store"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestRoleTable(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	for _, creators := range []account.RoleName{"", account.RolePublisher, account.RoleOwner} {
		fmt.Fprintf(&b, "creators %q\n", creators)
		for _, role := range account.Roles() {
			p := account.Principal{ID: "s", Session: "s", Account: 1, Roles: []account.Role{{Pattern: "acme/*", Name: role, Creators: creators}}}
			fmt.Fprintf(&b, "  %-10s", role)
			for _, a := range account.Actions() {
				if account.Allowed(p, a, account.Resource{Repo: "acme/zlib", Private: true}) {
					fmt.Fprintf(&b, " %s", a)
				}
			}
			b.WriteByte('\n')
		}
	}
	const file = "testdata/roles.txt"
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(want, b.Bytes()) {
		t.Errorf("roles = %s; want %s (%v); -update to accept", b.Bytes(), want, err)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	ok(t, w.db.AddNamespace(t.Context(), "acme", "ada"))
	ok(t, w.ReserveName(t.Context(), boss, "forbidden", "a trade mark"))
	for name, want := range map[string]string{
		"fine-name": "", "acrne": "name_alike", "acne": "name_alike", "amce": "name_alike", "acmee": "name_alike", "a-cme": "name_alike",
		"goog1e": "name_alike", "gooogle": "name_alike", "nvidla": "name_alike", "clyde": "name_reserved", "c1yde": "name_alike",
		"forbidden": "name_reserved", "forbiden": "name_alike", "Upper": "name_invalid", "a": "name_invalid",
	} {
		if err := w.CheckName(t.Context(), name, false); (err == nil) != (want == "") || err != nil && codeOf(err) != want {
			t.Errorf("CheckName(%q) = %v; want %q", name, err, want)
		}
	}
	ok(t, w.CheckName(t.Context(), "acrne", true))
	refused(t, "a reserved name, verified", w.CheckName(t.Context(), "forbidden", true), "name_reserved")
}

func TestClaims(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	ctx := t.Context()
	ada, as := w.person(t, "ada")
	bob, _ := w.person(t, "bob")
	refused(t, "an unverified claim", w.ClaimNamespace(ctx, ada, "orbital", "", []string{"ada"}), "name_unverified")
	ok(t, w.ClaimNamespace(ctx, ada, "ada", "", []string{"ada"}))
	refused(t, "a second claim", w.ClaimNamespace(ctx, bob, "ada", "", []string{"ada"}), "namespace_taken")
	ok(t, w.db.AddNamespace(ctx, "used", "admin"))
	refused(t, "a claim of what is in use", w.ClaimNamespace(ctx, ada, "used", "", []string{"used"}), "namespace_in_use")
	_, err := w.CreateOrg(ctx, bob, "acme-org", "")
	ok(t, err)
	refused(t, "for another's organisation", w.ClaimNamespace(ctx, ada, "acme", "acme-org", []string{"acme"}), "org_unknown")
	r, err := w.RequestNamespace(ctx, ada, "orbital", "", "please")
	ok(t, err)
	refused(t, "deciding for oneself", w.DecideRequest(ctx, ada, r.ID, true, ""), "grant_missing")
	ok(t, w.DecideRequest(ctx, boss, r.ID, true, "fine"))
	ada = w.who(t, as)
	for _, repo := range []string{"ada/x", "orbital/x"} {
		ok(t, account.Authorize(ada, account.PublishNew, account.Resource{Repo: repo}))
		refused(t, "another", account.Authorize(bob, account.PublishNew, account.Resource{Repo: repo}), "grant_missing")
	}
}

func TestOrganisation(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	ctx := t.Context()
	ada, as := w.person(t, "ada")
	bob, bs := w.person(t, "bob")
	_, cs := w.person(t, "cyd")
	_, err := w.CreateOrg(ctx, ada, "acme", "Acme")
	ok(t, err)
	ok(t, w.ClaimNamespace(ctx, ada, "acme", "acme", []string{"Acme"}))
	ada = w.who(t, as)
	_, err = w.SetRole(ctx, ada, "acme", "ada", account.RoleReader)
	refused(t, "demoting the last owner", err, "last_owner")
	_, err = w.RemoveMember(ctx, ada, "acme", "ada")
	refused(t, "the last owner leaving", err, "last_owner")

	join := func(p account.Principal, login string, role account.RoleName) {
		t.Helper()
		i, err := w.Invite(ctx, ada, "acme", login, role)
		ok(t, err)
		ok(t, w.Accept(ctx, p, i.ID))
		if err := w.Accept(ctx, p, i.ID); err == nil {
			t.Error("an invitation was accepted twice")
		}
	}
	join(bob, "bob", account.RolePublisher)
	bob = w.who(t, bs)
	zlib := account.Resource{Repo: "acme/zlib"}
	ok(t, account.Authorize(bob, account.Publish, zlib))
	refused(t, "creating as a publisher", account.Authorize(bob, account.PublishNew, zlib), "grant_missing")
	// Whoever looks at signatures is told when they come to be asked for, or no
	// longer, and of nothing else.
	var told []string
	w.OnSignedOnly(func(_ context.Context, namespace string) error {
		told = append(told, namespace)
		return nil
	})
	for i, signed := range []bool{true, true, false} {
		_, err = w.SetSwitches(ctx, ada, "acme", store.Switches{Creators: "maintainer", SignedOnly: signed})
		ok(t, err)
		if want := []int{1, 1, 2}[i]; len(told) != want || told[0] != "acme" {
			t.Errorf("after %d changes %v were looked at again; want acme, %d times", i+1, told, want)
		}
	}
	_, err = w.SetSwitches(ctx, ada, "acme", store.Switches{Creators: "publisher", TrustedOnly: true, TwoPerson: true})
	ok(t, err)
	bob = w.who(t, bs)
	ok(t, account.Authorize(bob, account.PublishNew, zlib))
	r, err := w.Resource(ctx, "acme/zlib")
	ok(t, err)
	if !r.TrustedOnly || !r.New {
		t.Errorf("Resource = %+v", r)
	}
	refused(t, "by hand", account.Authorize(bob, account.Publish, r), "trusted_publishing_required")
	_, err = w.SetRole(ctx, bob, "acme", "bob", account.RoleOwner)
	refused(t, "a publisher changing roles", err, "grant_missing")

	// Two people for a new owner; there is one owner yet, so the second is the
	// administrator of the instance.
	c, err := w.SetRole(ctx, ada, "acme", "bob", account.RoleOwner)
	if err != nil || c == nil {
		t.Fatalf("SetRole under two_person = %v, %v; want it to wait", c, err)
	}
	_, err = w.GrantAccount(ctx, ada, "@acme/*", "cyd", account.RoleOwner)
	refused(t, "a grant around two_person", err, "two_person")
	refused(t, "confirming one's own", w.Confirm(ctx, ada, c.ID, true), "second_owner_required")
	refused(t, "confirming as a publisher", w.Confirm(ctx, bob, c.ID, true), "grant_missing")
	ok(t, w.Confirm(ctx, boss, c.ID, true))
	bob = w.who(t, bs)
	ok(t, account.Authorize(bob, account.Own, zlib))
	c, err = w.RemoveMember(ctx, bob, "acme", "ada")
	ok(t, err)
	if c == nil {
		t.Fatal("removing an owner did not wait")
	}
	ok(t, w.Confirm(ctx, ada, c.ID, false))

	// A team of another role on one package.
	cyd := w.who(t, cs)
	join(cyd, "cyd", account.RoleReader)
	_, err = w.CreateTeam(ctx, ada, "acme", "zippers")
	ok(t, err)
	ok(t, w.AddToTeam(ctx, ada, "acme", "zippers", "cyd"))
	ok(t, w.GrantTeam(ctx, ada, "@acme/zlib", "acme", "zippers", account.RoleMaintainer))
	cyd = w.who(t, cs)
	ok(t, account.Authorize(cyd, account.Manage, zlib))
	refused(t, "another package", account.Authorize(cyd, account.Manage, account.Resource{Repo: "acme/fmt"}), "grant_missing")
	_, err = w.RemoveMember(ctx, cyd, "acme", "cyd")
	ok(t, err)
	refused(t, "after leaving", account.Authorize(w.who(t, cs), account.Manage, zlib), "grant_missing")
	if rep, err := w.db.VerifyAudit(ctx); err != nil || rep.Broken != "" || rep.Entries < 20 {
		t.Errorf("VerifyAudit = %+v, %v", rep, err)
	}
	es, err := w.db.AuditLog(ctx, store.AuditFilter{Scopes: []string{"org:acme", "@acme"}, Account: ada.Account}, 100)
	if err != nil || len(es) < 8 || slices.ContainsFunc(es, func(e store.AuditEntry) bool { return e.Actor != "ada" || e.Address == "" }) {
		t.Errorf("the organisation's log: %d entries %+v, %v", len(es), es, err)
	}
}

func TestTransfer(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	ctx := t.Context()
	ada, as := w.person(t, "ada")
	bob, bs := w.person(t, "bob")
	cyd, cs := w.person(t, "cyd")
	ok(t, w.ClaimNamespace(ctx, ada, "ada", "", []string{"ada"}))
	ada = w.who(t, as)
	i, err := w.GrantAccount(ctx, ada, "@ada/*", "cyd", account.RoleMaintainer)
	ok(t, err)
	ok(t, w.Accept(ctx, cyd, i.ID))
	_, err = w.AskTransfer(ctx, bob, "@ada/zlib", store.OwnerAccount, "bob")
	refused(t, "taking", err, "grant_missing")
	_, err = w.AskTransfer(ctx, ada, "@ada/zlib", store.OwnerAccount, "bob")
	ok(t, err)
	ts, err := w.Transfers(ctx, bob, "")
	if err != nil || len(ts) != 1 {
		t.Fatalf("Transfers = %v, %v", ts, err)
	}
	refused(t, "another's answer", w.AcceptTransfer(ctx, cyd, ts[0].ID), "transfer_unknown")
	ok(t, w.AcceptTransfer(ctx, bob, ts[0].ID))
	zlib, fmtlib := account.Resource{Repo: "ada/zlib"}, account.Resource{Repo: "ada/fmt"}
	ada, bob, cyd = w.who(t, as), w.who(t, bs), w.who(t, cs)
	ok(t, account.Authorize(bob, account.Own, zlib))
	refused(t, "the former owner", account.Authorize(ada, account.Publish, zlib), "grant_missing")
	refused(t, "whom the former owner let in", account.Authorize(cyd, account.Publish, zlib), "grant_missing")
	refused(t, "the rest of the namespace", account.Authorize(bob, account.Publish, fmtlib), "grant_missing")
	ok(t, account.Authorize(ada, account.Own, fmtlib))
	ok(t, account.Authorize(cyd, account.Publish, fmtlib))
}

// Owners who leave at once leave one behind.
func TestOwnersLeaveAtOnce(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	ctx := t.Context()
	ada, _ := w.person(t, "ada")
	o, err := w.CreateOrg(ctx, ada, "acme", "")
	ok(t, err)
	people := []account.Principal{ada}
	for i := range 7 {
		p, _ := w.person(t, fmt.Sprintf("owner%d", i))
		ok(t, w.db.SetMember(ctx, o.ID, p.Account, "owner", store.AuditEntry{}))
		people = append(people, p)
	}
	var wg sync.WaitGroup
	for _, p := range people {
		wg.Go(func() {
			if _, err := w.RemoveMember(ctx, p, "acme", p.Login); err != nil && codeOf(err) != "last_owner" {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if ms, err := w.db.Members(ctx, o.ID); err != nil || len(ms) != 1 {
		t.Errorf("%d members left, %v; want 1", len(ms), err)
	}
}

// docs/roles.md has the table that decides; -update rewrites it.
func TestRolesPage(t *testing.T) {
	t.Parallel()
	const file = "../../docs/roles.md"
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- table: written by go test ./pkg/account -run TestRolesPage -update -->\n", "<!-- end of table -->\n"
	head, rest, ok := strings.Cut(string(page), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", file)
	}
	want := head + begin + rolesTable() + end + tail
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(page) != want {
		t.Errorf("%s is not what the code decides; go test ./pkg/account -run TestRolesPage -update writes:\n%s", file, rolesTable())
	}
}

// rolesTable asks the judge about every role and action: as somebody who signed
// in, on a private package; then as an owner's token that grants everything.
func rolesTable() string {
	var b strings.Builder
	b.WriteString("| |")
	for _, a := range account.Actions() {
		fmt.Fprintf(&b, " `%s` |", a)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(account.Actions())) + "\n")
	row := func(who string, p account.Principal, r account.Resource) {
		fmt.Fprintf(&b, "| %s |", who)
		for _, a := range account.Actions() {
			b.WriteString(map[bool]string{true: " yes |", false: " |"}[account.Allowed(p, a, r)])
		}
		b.WriteByte('\n')
	}
	private := account.Resource{Repo: "acme/zlib", Private: true}
	as := func(role account.RoleName, creators account.RoleName) account.Principal {
		return account.Principal{ID: "s", Session: "s", Account: 1, Roles: []account.Role{{Pattern: "acme/*", Name: role, Creators: creators}}}
	}
	for _, role := range account.Roles() {
		row(string(role), as(role, ""), private)
	}
	row("publisher, where publishers may create packages", as(account.RolePublisher, account.RolePublisher), private)
	row("maintainer, where owners alone may", as(account.RoleMaintainer, account.RoleOwner), private)
	token := as(account.RoleOwner, "")
	token.Session = ""
	token.Scopes = []account.Scope{{Actions: account.Actions()[:len(account.Actions())-1], Pattern: "*"}}
	row("token of an owner, with every scope", token, private)
	proof := as(account.RoleOwner, "")
	proof.Session, proof.Proved = "", time.Unix(1, 0)
	proof.Scopes = []account.Scope{{Actions: []account.Action{account.Manage, account.Own}, Pattern: "*"}}
	row("proof of an owner (half an hour)", proof, private)
	trusted := private
	trusted.TrustedOnly = true
	row("owner, where trusted publishing is required", as(account.RoleOwner, ""), trusted)
	suspended := as(account.RoleOwner, "")
	suspended.Suspended = "spam"
	row("owner whose account is suspended", suspended, private)
	row("administrator of the registry", account.Principal{ID: "s", Session: "s", Account: 2, Admin: true}, private)
	row("anybody, of a private package", account.Principal{}, private)
	row("anybody, of a public package", account.Principal{}, account.Resource{Repo: "acme/zlib"})
	return b.String()
}
