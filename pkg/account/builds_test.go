package account_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Who manages a namespace says who may attach builds there; a new owner begins
// anew.
func TestBuildPolicy(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	ctx := t.Context()
	ada, as := w.person(t, "ada")
	bob, _ := w.person(t, "bob")
	ok(t, w.ClaimNamespace(ctx, ada, "ada", "", []string{"ada"}))
	ada = w.who(t, as)
	p, err := w.BuildPolicy(ctx, ada, "ada")
	if ok(t, err); p.Days != store.DefaultBuildDays || len(p.Rebuilders) != 0 {
		t.Errorf("at first: %+v", p)
	}
	set := func(days int, rebuilders ...string) error {
		return w.SetBuildPolicy(ctx, ada, account.BuildPolicy{Namespace: "ada", Days: days, Rebuilders: rebuilders})
	}
	ok(t, w.db.AddPublisher(ctx, store.Publisher{ID: "q3v5", Namespace: "ada"}, store.AuditEntry{}))
	token := func(id string, owner int64) {
		t.Helper()
		ok(t, w.db.AddToken(ctx, store.Token{ID: id, Hash: []byte(id), Account: owner}, store.AuditEntry{}))
	}
	token("ci", 0)
	token("bobs", bob.Account)
	ok(t, set(30, "token:ci", "bob", "publisher:q3v5", "bob"))
	if p, err = w.BuildPolicy(ctx, ada, "ada"); err != nil || p.Days != 30 || !slices.Equal(p.Rebuilders, []string{"bob", "publisher:q3v5", "token:ci"}) {
		t.Errorf("%+v, %v", p, err)
	}
	raw, err := w.db.BuildPolicy(ctx, "ada")
	if ok(t, err); !slices.Contains(raw.Rebuilders, fmt.Sprint("account:", bob.Account)) {
		t.Errorf("stored: %+v", raw)
	}
	var many []string
	for i := range account.MaxRebuilders + 1 {
		many = append(many, fmt.Sprint("token:", i))
		token(fmt.Sprint(i), 0)
	}
	for code, err := range map[string]error{
		"build_days":          set(account.MaxBuildDays + 1),
		"rebuilder_invalid":   set(1, "nobody"),
		"rebuilder_invalid ":  set(1, many...),
		"rebuilder_invalid  ": set(1, "account:1"),
		// What would let nobody in.
		"rebuilder_invalid   ":   set(1, "token:none"),
		"rebuilder_invalid    ":  set(1, "publisher:none"),
		"rebuilder_invalid     ": set(1, "token:bobs"),
		"grant_missing":          w.SetBuildPolicy(ctx, bob, account.BuildPolicy{Namespace: "ada", Days: 1}),
	} {
		refused(t, code, err, strings.TrimSpace(code))
	}
	_, err = w.BuildPolicy(ctx, bob, "ada")
	refused(t, "to read", err, "grant_missing")
	ok(t, set(account.MaxBuildDays, many[:account.MaxRebuilders]...))
	// What was allowed and is gone since holds up nothing.
	ok(t, set(account.MaxBuildDays, "publisher:q3v5"))
	ok(t, w.db.RemovePublisher(ctx, "q3v5", store.AuditEntry{}))
	ok(t, set(account.MaxBuildDays-1, "publisher:q3v5"))
	ok(t, set(account.Always, "bob"))

	_, err = w.AskTransfer(ctx, ada, "@ada/*", store.OwnerAccount, "bob")
	ok(t, err)
	ts, err := w.Transfers(ctx, bob, "")
	ok(t, err)
	ok(t, w.AcceptTransfer(ctx, bob, ts[0].ID))
	if raw, err = w.db.BuildPolicy(ctx, "ada"); err != nil || raw.Days != store.DefaultBuildDays || len(raw.Rebuilders) != 0 {
		t.Errorf("after a transfer: %+v, %v", raw, err)
	}
}
