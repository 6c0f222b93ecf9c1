package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

func testSigningPolicy(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	if diff := cmp.Diff(store.SigningPolicy{Namespace: "acme"}, get(db.SigningPolicy(ctx, "acme"))(t)); diff != "" {
		t.Errorf("one that nobody set (-want +got):\n%s", diff)
	}
	p := store.SigningPolicy{Namespace: "acme", Policy: "kind: VerificationPolicy\n# ü\n", LogNames: true, By: "ada", At: c.Now().Truncate(time.Millisecond)}
	must(t, db.SetSigningPolicy(ctx, p, store.AuditEntry{}))
	if diff := cmp.Diff(p, get(db.SigningPolicy(ctx, "acme"))(t), cmpopts.EquateApproxTime(0)); diff != "" {
		t.Errorf("SigningPolicy (-want +got):\n%s", diff)
	}
	must(t, db.SetSigningPolicy(ctx, store.SigningPolicy{Namespace: "umbrella", LogNames: true, By: "ada"}, store.AuditEntry{}))
	if got := get(db.PolicyNamespaces(ctx))(t); !slices.Equal(got, []string{"acme"}) {
		t.Errorf("PolicyNamespaces = %v; want those that ask for something", got)
	}
	if got := get(db.SigningPolicy(ctx, "umbrella"))(t); !got.LogNames || got.Policy != "" || got.At.IsZero() {
		t.Errorf("names without a policy = %+v", got)
	}
}

func testSignedList(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	if _, err := db.SignedList(ctx, "acme"); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("no list: %v; want not found", err)
	}
	set := func(version int64, document string, same bool) error {
		l := store.SignedList{Namespace: "acme", Version: version, By: "ada", At: c.Now().Truncate(time.Millisecond)}
		if document != "" {
			l.Document, l.Signature = []byte(document), []byte("{}")
		}
		return db.SetSignedList(ctx, l, same, store.AuditEntry{})
	}
	must(t, set(2, "two", false))
	must(t, set(2, "two", true))
	code(t, "the same version, other content", set(2, "other", false), "list_older")
	code(t, "an older one", set(1, "one", true), "list_older")
	must(t, set(3, "three", false))
	got := get(db.SignedList(ctx, "acme"))(t)
	if got.Namespace != "acme" || got.Version != 3 || string(got.Document) != "three" || string(got.Signature) != "{}" || got.By != "ada" || !got.At.Equal(c.Now().Truncate(time.Millisecond)) {
		t.Errorf("SignedList = %+v", got)
	}
	// Taken away, its version stays.
	must(t, set(3, "", true))
	if got := get(db.SignedList(ctx, "acme"))(t); len(got.Document) != 0 || len(got.Signature) != 0 || got.Version != 3 {
		t.Errorf("one that was taken away = %+v", got)
	}
	code(t, "one that was there before it was taken away", set(2, "two", false), "list_older")
	must(t, set(4, "four", false))
}

// Of any number of lists that come at once, the newest stays.
func testSignedListAtOnce(t *testing.T, db *store.DB, _ *clock) {
	const n = 20
	var wg sync.WaitGroup
	for i := int64(1); i <= n; i++ {
		wg.Go(func() {
			l := store.SignedList{Namespace: "acme", Version: i, Document: fmt.Appendf(nil, "%d", i), Signature: []byte("{}"), By: "ada"}
			if err := db.SetSignedList(t.Context(), l, false, store.AuditEntry{}); err != nil && !errors.Is(err, clyde.ErrConflict) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := get(db.SignedList(t.Context(), "acme"))(t); got.Version != n || string(got.Document) != fmt.Sprint(n) {
		t.Errorf("version %d, %q; want the newest, %d", got.Version, got.Document, n)
	}
}

// What waits is hidden with all that refers to it, until it is released, once.
func testHeld(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	commit := func(i int, subject, tag, hold string) {
		t.Helper()
		m := store.Manifest{Repo: "acme/zlib", Digest: digest(i), MediaType: "application/vnd.oci.image.manifest.v1+json", Subject: subject, Size: 2}
		get(db.Commit(ctx, store.Commit{Manifest: m, Tag: tag, Hold: hold}))(t)
	}
	commit(1, "", "1.0.0", "1.0.0")
	commit(2, digest(1), "", "")
	commit(3, digest(2), "", "")
	commit(4, "", "0.9.0", "")
	for i, want := range map[int]bool{1: true, 2: true, 3: true, 4: false, 9: false} {
		if got := get(db.Waits(ctx, "acme/zlib", digest(i)))(t); (got != nil) != want || want && (got.VersionKey != "1.0.0" || got.Digest != digest(1)) {
			t.Errorf("Waits(%d) = %+v; want %t", i, got, want)
		}
	}
	if h := get(db.Held(ctx, "acme/zlib", digest(1)))(t); !h.Since.Equal(c.Now().Truncate(time.Millisecond)) || !h.Released.IsZero() {
		t.Errorf("Held = %+v; want it to wait from now on", h)
	}
	if ok := get(db.AnyWaits(ctx, "acme/zlib"))(t); !ok {
		t.Error("nothing of the repository waits")
	}
	if _, err := db.Held(ctx, "acme/zlib", digest(4)); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("Held of what never waited: %v; want not found", err)
	}
	r := release("acme/zlib", "1.0.0", 1)
	r.Free, r.Published = true, c.Now().Add(time.Minute).Truncate(time.Millisecond)
	must(t, db.SaveRelease(ctx, pkg("acme/zlib", "1.0.0", 1), r, nil, store.Change{}))
	for i := range 4 {
		if got := get(db.Waits(ctx, "acme/zlib", digest(i)))(t); got != nil {
			t.Errorf("Waits(%d) = %+v after its release", i, got)
		}
	}
	if h := get(db.Held(ctx, "acme/zlib", digest(1)))(t); !h.Released.Equal(r.Published) {
		t.Errorf("Held = %+v; want it released at %s", h, r.Published)
	}
	if get(db.AnyWaits(ctx, "acme/zlib"))(t) {
		t.Error("something waits still")
	}
}
