package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// person makes an account.
func person(t testing.TB, db *store.DB, login string) store.Account {
	t.Helper()
	return get(db.AddAccount(t.Context(), store.Account{Login: login}, nil, store.AuditEntry{Actor: login, Action: "account.create", Resource: "account:" + login}))(t)
}

// gone asserts that something is not there.
func gone(t testing.TB, what string, err error) {
	t.Helper()
	if !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("%s = %v; want not found", what, err)
	}
}

func testSessions(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	ada, bob := person(t, db, "ada"), person(t, db, "bob")
	s := store.Session{
		ID: "s1", Hash: []byte{1}, Account: ada.ID, Created: c.Now(), Used: c.Now(), Proved: c.Now(), Expires: c.Now().Add(time.Hour),
		Address: "192.0.2.7", Agent: "Firefox",
	}
	must(t, db.AddSession(ctx, s, store.AuditEntry{}))
	if diff := cmp.Diff(s, get(db.SessionByHash(ctx, []byte{1}))(t)); diff != "" {
		t.Errorf("session (-want +got):\n%s", diff)
	}
	for i, id := range []string{"s2", "s3"} {
		other := s
		other.ID, other.Hash = id, []byte{byte(2 + i)}
		must(t, db.AddSession(ctx, other, store.AuditEntry{}))
	}
	gone(t, "ending another's session", db.DeleteSession(ctx, bob.ID, "s2", store.AuditEntry{}))
	must(t, db.DeleteSession(ctx, ada.ID, "s2", store.AuditEntry{}))
	must(t, db.DeleteSessions(ctx, ada.ID, "s3", store.AuditEntry{}))
	if got := get(db.Sessions(ctx, ada.ID))(t); len(got) != 1 || got[0].ID != "s3" {
		t.Errorf("sessions left: %+v; want s3", got)
	}
	_, err := db.SessionByHash(ctx, []byte{1})
	gone(t, "a session that was ended", err)
	// A suspension ends what is left.
	must(t, db.Suspend(ctx, ada.ID, c.Now(), "spam", store.AuditEntry{}))
	if got := get(db.Sessions(ctx, ada.ID))(t); len(got) != 0 {
		t.Errorf("sessions of a suspended account: %+v", got)
	}
}

func testDevices(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	ada := person(t, db, "ada")
	d := store.Device{Hash: []byte{1}, UserCode: "BCDF-GHJK", TokenName: "clyde", Scopes: []byte(`[]`), Token: c.Now().Add(time.Hour), State: store.DeviceWaiting, Address: "192.0.2.7", Created: c.Now(), Expires: c.Now().Add(time.Minute)}
	must(t, db.AddDevice(ctx, d))
	if diff := cmp.Diff(d, get(db.DeviceByUserCode(ctx, "BCDF-GHJK"))(t)); diff != "" {
		t.Errorf("device (-want +got):\n%s", diff)
	}
	token := store.Token{ID: "t1", Hash: []byte{9}, Account: ada.ID, Scopes: []byte("[]")}
	gone(t, "a token before anybody agreed", db.FinishDevice(ctx, []byte{1}, token, store.AuditEntry{}))
	must(t, db.DecideDevice(ctx, "BCDF-GHJK", store.DeviceApproved, ada.ID, store.AuditEntry{}))
	gone(t, "deciding twice", db.DecideDevice(ctx, "BCDF-GHJK", store.DeviceDenied, ada.ID, store.AuditEntry{}))
	must(t, db.FinishDevice(ctx, []byte{1}, token, store.AuditEntry{}))
	token.ID, token.Hash = "t2", []byte{8}
	gone(t, "a second token", db.FinishDevice(ctx, []byte{1}, token, store.AuditEntry{}))
	_, err := db.Token(ctx, "t2")
	gone(t, "the second token", err)

	d.Hash, d.UserCode = []byte{2}, "LMNP-QRST"
	must(t, db.AddDevice(ctx, d))
	c.advance(2 * time.Minute)
	gone(t, "deciding what expired", db.DecideDevice(ctx, "LMNP-QRST", store.DeviceApproved, ada.ID, store.AuditEntry{}))
	d.Hash, d.UserCode, d.Expires = []byte{3}, "VWXZ-BCDF", c.Now().Add(time.Minute)
	must(t, db.AddDevice(ctx, d))
	_, err = db.Device(ctx, []byte{2})
	gone(t, "a device that expired, after another was added", err)
}

func testModeration(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	commit(t, db, "acme/zlib", "1.0.0", 1)
	commit(t, db, "acme/zlib", "2.0.0", 2)
	save(t, db, "acme/zlib", "1.0.0", 1)
	save(t, db, "acme/zlib", "2.0.0", 2)
	state := func(version, want string) {
		t.Helper()
		if got := get(db.ReleaseByVersion(ctx, "acme/zlib", version))(t).State; got != want {
			t.Errorf("%s is %s; want %s", version, got, want)
		}
	}
	count := func(want int64) {
		t.Helper()
		if _, n, err := db.Stats(ctx); err != nil || n != want {
			t.Errorf("%d releases are counted, %v; want %d", n, err, want)
		}
	}
	withdrawn := func(digest, want string) {
		t.Helper()
		got := ""
		if m := get(db.Withdrawn(ctx, "acme/zlib", digest))(t); m != nil {
			got = m.State
		}
		if got != want {
			t.Errorf("manifest %s is withdrawn by %q; want %q", digest, got, want)
		}
	}
	withdrawn(digest(2), "")
	m := store.Moderation{Repo: "acme/zlib", VersionKey: "2.0.0", State: store.ModerationQuarantined, Reason: "look", By: "root", At: c.Now()}
	must(t, db.SetModeration(ctx, m, store.Change{Type: "version.quarantined", Package: "@acme/zlib", Version: "2.0.0"}, store.AuditEntry{}))
	if diff := cmp.Diff(m, get(db.Moderation(ctx, "acme/zlib", "2.0.0"))(t)); diff != "" {
		t.Errorf("moderation (-want +got):\n%s", diff)
	}
	state("1.0.0", "visible")
	state("2.0.0", "quarantined")
	withdrawn(digest(1), "")
	withdrawn(digest(2), "quarantined")
	count(1)
	// Of two, the version's own counts; the package's covers the rest.
	all := store.Moderation{Repo: "acme/zlib", State: store.ModerationRemoved, Reason: "court", By: "root", At: c.Now()}
	must(t, db.SetModeration(ctx, all, store.Change{}, store.AuditEntry{}))
	state("1.0.0", "removed")
	state("2.0.0", "quarantined")
	withdrawn(digest(1), "removed")
	withdrawn("", "removed")
	count(0)
	must(t, db.ClearModeration(ctx, "acme/zlib", "", store.Change{}, store.AuditEntry{}))
	code(t, "clearing twice", db.ClearModeration(ctx, "acme/zlib", "", store.Change{}, store.AuditEntry{}), "not_withdrawn")
	count(1)
	// What is erased stays so, and its row is gone.
	m.State = store.ModerationErased
	must(t, db.Erase(ctx, m, []string{digest(2)}, store.Change{}, store.AuditEntry{}))
	_, err := db.ReleaseByVersion(ctx, "acme/zlib", "2.0.0")
	gone(t, "an erased release", err)
	_, err = db.Manifest(ctx, "acme/zlib", digest(2))
	gone(t, "an erased manifest", err)
	_, err = db.Tag(ctx, "acme/zlib", "2.0.0")
	gone(t, "an erased tag", err)
	withdrawn(digest(2), "erased")
	if claim := get(db.Claim(ctx, "acme/zlib", "2.0.0"))(t); claim.Committed.IsZero() {
		t.Error("the version of an erased release is free")
	}
	gone(t, "restoring what was erased", db.ClearModeration(ctx, "acme/zlib", "2.0.0", store.Change{}, store.AuditEntry{}))
	m.State = store.ModerationRemoved
	code(t, "removing what was erased", db.SetModeration(ctx, m, store.Change{}, store.AuditEntry{}), "erased")
	m.State = store.ModerationErased
	must(t, db.Erase(ctx, m, []string{digest(2)}, store.Change{}, store.AuditEntry{})) // again
	if list := get(db.ModerationList(ctx, "", "", 10))(t); len(list) != 1 || list[0].VersionKey != "2.0.0" {
		t.Errorf("list: %+v", list)
	}
}

func testBlobHolders(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	for i, refs := range [][]string{{digest(100), digest(101)}, {digest(100), digest(102)}} {
		m := manifest("acme/zlib", 1+i)
		m.Refs = refs
		tag := []string{"1.0.0", "2.0.0"}[i]
		get(db.Commit(ctx, store.Commit{Manifest: m, Tag: tag, VersionKey: tag, Actor: "ada"}))(t)
	}
	m := manifest("other/zlib", 1)
	m.Refs = []string{digest(102)}
	get(db.Commit(ctx, store.Commit{Manifest: m, Tag: "1.0.0", VersionKey: "1.0.0", Actor: "ada"}))(t)
	must(t, db.SetModeration(ctx, store.Moderation{Repo: "acme/zlib", VersionKey: "2.0.0", State: store.ModerationRemoved, Reason: "x", By: "root", At: c.Now()}, store.Change{}, store.AuditEntry{}))
	for _, tt := range []struct {
		repo, blob string
		gone       bool
	}{
		{"acme/zlib", digest(100), false}, {"acme/zlib", digest(101), false}, {"acme/zlib", digest(102), true}, {"acme/zlib", digest(2), true},
		{"acme/zlib", digest(103), false}, {"other/zlib", digest(102), false},
	} {
		if m := get(db.WithdrawnBlob(ctx, tt.repo, tt.blob))(t); (m != nil) != tt.gone {
			t.Errorf("blob %s of %s: %+v; withdrawn: want %v", tt.blob, tt.repo, m, tt.gone)
		}
	}
	if got := get(db.BlobRepos(ctx, digest(102)))(t); len(got) != 2 {
		t.Errorf("repositories that need the blob: %v; want both", got)
	}
	if got := get(db.BlobRepos(ctx, digest(103)))(t); len(got) != 0 {
		t.Errorf("repositories that need a blob nobody names: %v", got)
	}
}

func testReports(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	r := store.Report{ID: "r1", Repo: "acme/zlib", Version: "1.0.0", Kind: "malware", Text: "look", Account: 7, By: "bob", State: store.ReportOpen, Created: c.Now()}
	must(t, db.AddReport(ctx, r, store.AuditEntry{}))
	if diff := cmp.Diff(r, get(db.Report(ctx, "r1"))(t)); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	c.advance(time.Second)
	second := r
	second.ID, second.Created = "r2", c.Now()
	must(t, db.AddReport(ctx, second, store.AuditEntry{}))
	if got := get(db.Reports(ctx, store.ReportOpen, 10))(t); len(got) != 2 || got[0].ID != "r2" {
		t.Errorf("open reports: %+v; want r2 first", got)
	}
	must(t, db.DecideReport(ctx, "r1", "root", "nothing to it", store.AuditEntry{}))
	gone(t, "deciding twice", db.DecideReport(ctx, "r1", "root", "again", store.AuditEntry{}))
	if got := get(db.Reports(ctx, store.ReportClosed, 10))(t); len(got) != 1 || got[0].Decision != "nothing to it" || got[0].DecidedBy != "root" {
		t.Errorf("closed reports: %+v", got)
	}
}

func testJTI(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	must(t, db.UseJTI(ctx, "https://a", []byte{1}, c.Now().Add(time.Minute)))
	code(t, "a replay", db.UseJTI(ctx, "https://a", []byte{1}, c.Now().Add(time.Minute)), "token_replayed")
	must(t, db.UseJTI(ctx, "https://b", []byte{1}, c.Now().Add(time.Minute)))
	c.advance(30 * time.Second)
	code(t, "a replay before it is forgotten", db.UseJTI(ctx, "https://a", []byte{1}, c.Now().Add(time.Minute)), "token_replayed")
	c.advance(time.Minute)
	must(t, db.UseJTI(ctx, "https://a", []byte{1}, c.Now().Add(time.Minute))) // by now its expiry refuses it
}

func testConfirmations(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	ada, bob := person(t, db, "ada"), person(t, db, "bob")
	org := get(db.AddOrg(ctx, store.Org{Name: "acme", Switches: store.Switches{TwoPerson: true}}, ada.ID, store.AuditEntry{}))(t)
	ask := store.Confirmation{ID: "c1", Org: org.ID, Kind: "member.role", Payload: []byte(`{"role":"owner"}`), AskedBy: ada.ID, State: store.StateWaiting, Created: c.Now(), Expires: c.Now().Add(time.Hour)}
	must(t, db.AddConfirmation(ctx, ask, store.AuditEntry{}))
	if diff := cmp.Diff(ask, get(db.Confirmation(ctx, "c1"))(t)); diff != "" {
		t.Errorf("confirmation (-want +got):\n%s", diff)
	}
	gone(t, "confirming the own change", db.DecideConfirmation(ctx, "c1", store.StateDone, ada.ID, store.AuditEntry{}))
	must(t, db.DecideConfirmation(ctx, "c1", store.StateDone, bob.ID, store.AuditEntry{}))
	gone(t, "confirming twice", db.DecideConfirmation(ctx, "c1", store.StateDone, bob.ID, store.AuditEntry{}))
	ask.ID = "c2"
	must(t, db.AddConfirmation(ctx, ask, store.AuditEntry{}))
	c.advance(2 * time.Hour)
	gone(t, "confirming too late", db.DecideConfirmation(ctx, "c2", store.StateDone, bob.ID, store.AuditEntry{}))
	if got := get(db.Confirmations(ctx, org.ID))(t); len(got) != 0 {
		t.Errorf("what waits: %+v", got)
	}
}

func testTransfers(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	ada, bob := person(t, db, "ada"), person(t, db, "bob")
	from, to := store.Owner{Kind: store.OwnerAccount, ID: ada.ID}, store.Owner{Kind: store.OwnerAccount, ID: bob.ID}
	must(t, db.ClaimNamespace(ctx, "acme", from, "ada", false, store.AuditEntry{}))
	ask := store.Transfer{ID: "t1", Pattern: "acme/zlib", To: to, AskedBy: ada.ID, State: store.StateWaiting, Created: c.Now(), Expires: c.Now().Add(time.Hour)}
	must(t, db.AddTransfer(ctx, ask, store.AuditEntry{}))
	if got := get(db.TransfersTo(ctx, to))(t); len(got) != 1 || got[0].ID != "t1" {
		t.Errorf("offers: %+v", got)
	}
	must(t, db.CompleteTransfer(ctx, "t1", bob.ID, store.AuditEntry{}))
	if got := get(db.PackageOwner(ctx, "acme/zlib"))(t); got != to {
		t.Errorf("owner: %+v; want %+v", got, to)
	}
	gone(t, "taking over twice", db.CompleteTransfer(ctx, "t1", bob.ID, store.AuditEntry{}))
	ask.ID = "t2"
	must(t, db.AddTransfer(ctx, ask, store.AuditEntry{}))
	c.advance(2 * time.Hour)
	gone(t, "taking over too late", db.CompleteTransfer(ctx, "t2", bob.ID, store.AuditEntry{}))
	if got := get(db.TransfersTo(ctx, to))(t); len(got) != 0 {
		t.Errorf("offers: %+v", got)
	}
}

func testNames(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	ada := person(t, db, "ada")
	r := store.ReservedName{Name: "openssi", Why: "looks like openssl", By: "root", Created: c.Now()}
	must(t, db.ReserveName(ctx, r, store.AuditEntry{}))
	if diff := cmp.Diff(r, get(db.ReservedName(ctx, "openssi"))(t)); diff != "" {
		t.Errorf("reserved name (-want +got):\n%s", diff)
	}
	must(t, db.ReleaseName(ctx, "openssi", store.AuditEntry{}))
	_, err := db.ReservedName(ctx, "openssi")
	gone(t, "a name that was released", err)
	q := store.NamespaceRequest{ID: "q1", Namespace: "acme-labs", Owner: store.Owner{Kind: store.OwnerAccount, ID: ada.ID}, Account: ada.ID, Login: "ada", Why: "ours", State: store.StateWaiting, Created: c.Now()}
	must(t, db.AddNamespaceRequest(ctx, q, store.AuditEntry{}))
	if diff := cmp.Diff(q, get(db.NamespaceRequest(ctx, "q1"))(t)); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	must(t, db.DecideNamespaceRequest(ctx, "q1", true, "root", "fine", store.AuditEntry{}))
	if got := get(db.Namespace(ctx, "acme-labs"))(t); got.Owner != q.Owner {
		t.Errorf("namespace: %+v", got)
	}
	gone(t, "deciding twice", db.DecideNamespaceRequest(ctx, "q1", false, "root", "no", store.AuditEntry{}))
}

func testPublications(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	ada := person(t, db, "ada")
	p := store.Publication{Repo: "acme/zlib", VersionKey: "1.0.0", Account: ada.ID, Login: "ada", Token: "t1", Run: []byte(`{"commit":"abc"}`), Created: c.Now()}
	must(t, db.AddPublication(ctx, p))
	other := p
	other.Token = "t2"
	must(t, db.AddPublication(ctx, other)) // the first record stands
	if diff := cmp.Diff(p, get(db.Publication(ctx, "acme/zlib", "1.0.0"))(t)); diff != "" {
		t.Errorf("publication (-want +got):\n%s", diff)
	}
	_, err := db.Publication(ctx, "acme/zlib", "2.0.0")
	gone(t, "who published nothing", err)
}

func testGrants(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	ada, bob := person(t, db, "ada"), person(t, db, "bob")
	must(t, db.ClaimNamespace(ctx, "acme", store.Owner{Kind: store.OwnerAccount, ID: ada.ID}, "ada", false, store.AuditEntry{}))
	g := store.Grant{Pattern: "acme/zlib", HolderKind: store.OwnerAccount, Holder: bob.ID, HolderName: "bob", Role: "reader", By: "ada", Created: c.Now()}
	must(t, db.SetGrant(ctx, g, store.AuditEntry{}))
	g.Role = "publisher"
	must(t, db.SetGrant(ctx, g, store.AuditEntry{}))
	if diff := cmp.Diff([]store.Grant{g}, get(db.Grants(ctx, "acme"))(t)); diff != "" {
		t.Errorf("grants (-want +got):\n%s", diff)
	}
	if got := get(db.Holdings(ctx, bob.ID))(t); len(got) != 1 || got[0].Role != "publisher" || got[0].Via != store.ViaGrant {
		t.Errorf("holdings: %+v", got)
	}
	must(t, db.RemoveGrant(ctx, "acme/zlib", store.OwnerAccount, bob.ID, store.AuditEntry{}))
	gone(t, "removing twice", db.RemoveGrant(ctx, "acme/zlib", store.OwnerAccount, bob.ID, store.AuditEntry{}))
	if got := get(db.Holdings(ctx, bob.ID))(t); len(got) != 0 {
		t.Errorf("holdings: %+v", got)
	}
}

func testCursors(t *testing.T, db *store.DB, _ *clock) {
	ctx := t.Context()
	if seq, ok, err := db.Cursor(ctx, "x"); seq != 0 || ok || err != nil {
		t.Errorf("cursor before it was set: %d, %v, %v", seq, ok, err)
	}
	must(t, db.SetCursor(ctx, "x", 41))
	must(t, db.SetCursor(ctx, "x", 42))
	if seq, ok, err := db.Cursor(ctx, "x"); seq != 42 || !ok || err != nil {
		t.Errorf("cursor: %d, %v, %v; want 42", seq, ok, err)
	}
	for range 3 {
		must(t, db.AddAudit(ctx, store.AuditEntry{Actor: "a", Action: "b", Resource: "c"}))
	}
	last := get(db.LastAudit(ctx))(t)
	if es := get(db.AuditAfter(ctx, last-2, 10))(t); len(es) != 2 || es[1].Seq != last {
		t.Errorf("audit after %d: %+v", last-2, es)
	}
}
