package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

func testUpstream(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	acme := store.UpstreamNamespace{Namespace: "acme", Host: "a.example", Prefix: "team"}
	must(t, db.BindNamespace(ctx, acme, "config"))
	must(t, db.BindNamespace(ctx, acme, "config"))
	other := acme
	other.Host = "b.example"
	code(t, "binding it elsewhere", db.BindNamespace(ctx, other, "config"), "namespace_bound", "a.example", "b.example")
	if n := get(db.UpstreamNamespace(ctx, "acme"))(t); n.Host != acme.Host || n.Prefix != acme.Prefix || !n.Created.Equal(c.Now()) {
		t.Errorf("UpstreamNamespace = %+v", n)
	}
	if !get(db.HasNamespace(ctx, "acme"))(t) {
		t.Error("a bound namespace does not exist")
	}
	if _, err := db.UpstreamNamespace(ctx, "beta"); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("UpstreamNamespace of one of ours: %v", err)
	}
	// What has a version here comes from here.
	commit(t, db, "beta/zlib", "1.0.0", 1)
	code(t, "binding one in use", db.BindNamespace(ctx, store.UpstreamNamespace{Namespace: "beta", Host: "a.example"}, "config"), "namespace_bound", "this registry")
	// So does one that somebody owns.
	must(t, db.ClaimNamespace(ctx, "gamma", store.Owner{Kind: store.OwnerAccount, ID: 7}, "ada", false, store.AuditEntry{}))
	code(t, "binding one with an owner", db.BindNamespace(ctx, store.UpstreamNamespace{Namespace: "gamma", Host: "a.example"}, "config"), "namespace_bound")
	if ns := get(db.UpstreamNamespaces(ctx))(t); len(ns) != 1 || ns[0].Namespace != "acme" {
		t.Errorf("UpstreamNamespaces = %+v", ns)
	}

	first := get(db.NoteMissing(ctx, "acme/zlib", "1.0.0", digest(1), c.Now()))(t)
	c.advance(time.Hour)
	if again := get(db.NoteMissing(ctx, "acme/zlib", "1.0.0", digest(1), c.Now()))(t); !again.Equal(first) {
		t.Errorf("NoteMissing again = %s; want the first, %s", again, first)
	}
	if again := get(db.NoteMissing(ctx, "acme/zlib", "1.0.0", digest(2), c.Now()))(t); !again.Equal(c.Now()) {
		t.Errorf("NoteMissing of another digest = %s; want now", again)
	}
	must(t, db.ForgetMissing(ctx, "acme/zlib", "1.0.0"))
	c.advance(time.Hour)
	if again := get(db.NoteMissing(ctx, "acme/zlib", "1.0.0", digest(2), c.Now()))(t); !again.Equal(c.Now()) {
		t.Errorf("NoteMissing after ForgetMissing = %s; want now", again)
	}

	if w := get(db.UpstreamSweep(ctx, "a.example"))(t); w != (store.UpstreamSweep{Host: "a.example"}) {
		t.Errorf("UpstreamSweep before the first = %+v", w)
	}
	want := store.UpstreamSweep{Host: "a.example", Position: "acme/zlib", Started: c.Now(), Problem: "it is down"}
	must(t, db.SaveUpstreamSweep(ctx, want))
	if w := get(db.UpstreamSweep(ctx, "a.example"))(t); w.Position != want.Position || !w.Started.Equal(want.Started) || !w.Finished.IsZero() || w.Problem != want.Problem {
		t.Errorf("UpstreamSweep = %+v; want %+v", w, want)
	}
}

// What only our credentials can read is private, and public again when
// everybody can; what an owner decided here stays.
func testUpstreamHidden(t *testing.T, db *store.DB, _ *clock) {
	ctx := t.Context()
	private := func(repo string) bool { return get(db.Setting(ctx, repo))(t).Private }
	save := func(repo string, hidden, want bool) {
		t.Helper()
		if changed := get(db.SaveUpstreamRepo(ctx, store.UpstreamRepo{Repo: repo, Host: "a.example", Hidden: hidden}))(t); changed != want {
			t.Errorf("SaveUpstreamRepo(%s, hidden %t) changed: %t", repo, hidden, changed)
		}
	}
	save("acme/zlib", false, false)
	save("acme/zlib", true, true)
	if !private("acme/zlib") {
		t.Error("a hidden repository is public")
	}
	save("acme/zlib", true, false)
	save("acme/zlib", false, true)
	if private("acme/zlib") {
		t.Error("a repository that everybody may read stays private")
	}
	must(t, db.SaveSetting(ctx, store.Setting{Repo: "acme/zlib", Private: true}, store.Change{}, store.AuditEntry{}))
	save("acme/zlib", false, false)
	if !private("acme/zlib") {
		t.Error("what its owner made private was made public")
	}
	save("acme/fmt", true, true)
	if rs := get(db.UpstreamRepos(ctx, "a.example", "acme/fmt", 10))(t); len(rs) != 1 || rs[0].Repo != "acme/zlib" || rs[0].Hidden {
		t.Errorf("UpstreamRepos = %+v", rs)
	}
}

func testDeliveries(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	ev := push("acme/zlib", "1.0.0", 1)
	put := func(id string, want bool, evs ...clyde.Event) {
		t.Helper()
		if fresh := get(db.PutDelivery(ctx, "harbor", id, evs))(t); fresh != want {
			t.Errorf("PutDelivery(%q) fresh: %t", id, fresh)
		}
	}
	waiting := func(want int64) {
		t.Helper()
		if n := get(db.Waiting(ctx))(t); n != want {
			t.Errorf("%d events wait; want %d", n, want)
		}
	}
	put("1", true, ev)
	put("1", false, ev)
	waiting(1)
	put("2", true, ev) // says nothing that the first does not
	put("", true, ev)
	waiting(1)
	if fresh := get(db.PutDelivery(ctx, "other", "1", []clyde.Event{push("acme/fmt", "1.0.0", 2)}))(t); !fresh {
		t.Error("another endpoint's identifier counted")
	}
	waiting(2)
	if n := len(get(db.ClaimEvents(ctx, 10, time.Minute))(t)); n != 2 {
		t.Fatalf("claimed %d", n)
	}
	put("3", true, ev) // somebody works on the first, and may have read already
	waiting(3)
	c.advance(time.Second)
	if n := get(db.PurgeDeliveries(ctx, c.Now()))(t); n != 4 {
		t.Errorf("purged %d identifiers; want 4", n)
	}
	put("1", true)

	must(t, db.ParkEvent(ctx, push("acme/json", "1.0.0", 3), "it is broken"))
	must(t, db.ParkEvent(ctx, push("acme/json", "1.1.0", 4), "so is it"))
	if ps := get(db.Problems(ctx, "acme/json"))(t); len(ps) != 2 || ps[0].Reason != "so is it" {
		t.Errorf("Problems = %+v", ps)
	}
	must(t, db.ParkEvent(ctx, push("acme/json", "", 5), "nobody refers to it"))
	must(t, db.Mended(ctx, "acme/json", "1.0.0", digest(9)))
	must(t, db.Mended(ctx, "acme/json", "", digest(9)))
	must(t, db.Mended(ctx, "acme/json", "", digest(5)))
	if ps := get(db.Problems(ctx, "acme/json"))(t); len(ps) != 1 || ps[0].Event.Tag != "1.1.0" {
		t.Errorf("Problems after one was mended = %+v", ps)
	}
}
