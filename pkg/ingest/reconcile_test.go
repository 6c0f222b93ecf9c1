package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/content"
	"github.com/clydepm/clyde-registry/pkg/index/memory"
	"github.com/clydepm/clyde-registry/pkg/ingest"
	"github.com/clydepm/clyde-registry/pkg/signing"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// library fills the world with what a registry holds: several versions in an
// order that is not theirs, dependencies, signatures of each kind and state,
// referrers, a staged package, a private one, yanks, deprecations, downloads.
func (w *world) library() {
	w.Helper()
	ctx := w.Context()
	check := func(err error) {
		w.Helper()
		if err != nil {
			w.Fatal(err)
		}
	}
	for _, v := range []string{"1.10.0", "1.2", "1.9.0", "2.0.0-rc.1", "0.9"} {
		w.publish("@acme/zlib", v, "keywords: [compression]", "upstream_version: v"+v)
	}
	w.publish("@acme/png", "1.0.0", `requires: {"@acme/zlib": "^1"}`, `dev_requires: {"@acme/check": "*"}`, "replaces: [\"@old/png\"]")
	w.publish("@acme/png", "1.1.0", `requires: {"@acme/zlib": {version: "^1", optional: true}}`)
	w.publish("@acme/secret", "1.0.0", "registry: {access: private}", `requires: {"@acme/zlib": "^1"}`)
	w.publish("@tools/check", "2024.1", "type: tool", "language: c")
	signed, mixed := w.publish("@acme/signed", "1.0.0"), w.publish("@acme/mixed", "1.0.0")
	ours, other := w.signer(), w.signer()
	check(w.db.AddKey(ctx, store.Key{Namespace: "acme", Name: "release", PEM: string(ours.Key().PEM), Fingerprint: ours.Key().Fingerprint, By: "admin"}, store.AuditEntry{}))
	w.sign(ours, "@acme/signed", "1.0.0", signed, signing.SignOptions{Legacy: true})
	w.sign(other, "@acme/mixed", "1.0.0", mixed, signing.SignOptions{})
	l, err := w.blob(admin, "acme/zlib", "text/plain", []byte("a note"))
	check(err)
	d, err := w.reg.Resolve(ctx, "acme/zlib", "1.9.0")
	check(err)
	for i := range 3 {
		_, err = w.manifest(admin, "acme/zlib", "", ocispec.Manifest{ArtifactType: "text/plain", Config: l, Layers: []ocispec.Descriptor{l}, Subject: &d, Annotations: map[string]string{"n": fmt.Sprint(i)}})
		check(err)
	}
	_, err = w.push(admin, "acme/zlib", "", manifestYAML("@acme/zlib", "9.0.0"), archive("a", "b"))
	check(err)
	w.drain()
	for _, y := range []string{"1.10.0", "1.9.0"} {
		check(w.db.SetYank(ctx, "acme/zlib", y, &store.Yank{Reason: "broken", By: "admin"}, store.Change{}, store.AuditEntry{}))
		check(w.in.Relatest(ctx, "acme/zlib"))
	}
	check(w.db.SaveSetting(ctx, store.Setting{Repo: "acme/mixed", Deprecated: "use signed", ReplacedBy: "@acme/signed"}, store.Change{}, store.AuditEntry{}))
	check(w.in.Relatest(ctx, "acme/mixed"))
	check(w.db.AddCounts(ctx, "", 0, []store.Count{{Repo: "acme/png", Version: "1.1.0", Day: "2026-01-02", Kind: store.People, Count: 41}}))
	check(w.in.Relatest(ctx, "acme/png"))
}

func TestReindexBringsEverythingBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	ctx := t.Context()
	w.library()
	before, feed := w.dump(), w.feed()
	epoch, err := w.db.Epoch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	// Everything derived goes: tables, search index, derived content.
	if err := w.db.DropDerived(ctx); err != nil {
		t.Fatal(err)
	}
	w.in.Engine = memory.New(memory.Options{})
	if w.in.Content, err = content.Open(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	rep, err := w.in.Reindex(ctx, w.reg)
	if err != nil || rep.Failed != 0 || rep.Repositories != 6 || rep.Applied != 11 {
		t.Errorf("Reindex = %+v, %v", rep, err)
	}
	if diff := cmp.Diff(before, w.dump()); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(feed, w.feed()); diff != "" {
		t.Errorf("the feed announces again (-before +after):\n%s", diff)
	}
	if again, err := w.db.Epoch(ctx); err != nil || again == epoch {
		t.Errorf("the feed's epoch is still %s, %v", again, err)
	}
	// And once more over what is there.
	if _, err := w.in.Reindex(ctx, w.reg); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, w.dump()); diff != "" {
		t.Errorf("the second time (-before +after):\n%s", diff)
	}
}

// A reservation whose push died is on disk as a tag, and no version.
func TestReindexLeavesOutWhatWasNeverCommitted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	ctx := t.Context()
	w.publish("@acme/zlib", "1.0.0")
	walk := walker{w.reg, func(fn func(string, store.Manifest, []string) error) error {
		m := store.Manifest{Repo: "acme/zlib", Digest: digest.FromString("dead").String(), MediaType: ocispec.MediaTypeImageManifest, ArtifactType: "application/vnd.clyde.package.v1"}
		return fn("acme/zlib", m, []string{"2.0.0"})
	}}
	if err := w.db.Reserve(ctx, store.Claim{Repo: "acme/zlib", VersionKey: "2.0.0", Version: "2.0.0", Digest: digest.FromString("dead").String()}, ingest.ReservationLease); err != nil {
		t.Fatal(err)
	}
	if rep, err := w.in.Reindex(ctx, walk); err != nil || rep.Failed != 0 {
		t.Errorf("Reindex = %+v, %v", rep, err)
	}
	if _, err := w.db.Tag(ctx, "acme/zlib", "2.0.0"); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("the tag of a dead push is back: %v", err)
	}
	if rs, err := w.db.Releases(ctx, "acme/zlib"); err != nil || len(rs) != 1 {
		t.Errorf("%d releases, %v", len(rs), err)
	}
}

// A lost claim comes back with the version, so that it stays immutable.
func TestReindexRestoresClaims(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	ctx := t.Context()
	d := w.publish("@acme/zlib", "1.2")
	fresh, err := store.Open(ctx, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = fresh.Close() }()
	w.in.DB = fresh
	var found []store.Manifest
	if err := w.reg.Walk(ctx, func(_ string, m store.Manifest, _ []string) error { found = append(found, m); return nil }); err != nil || len(found) != 1 {
		t.Fatalf("%d manifests, %v", len(found), err)
	}
	if _, err := w.in.Reindex(ctx, w.reg); err != nil {
		t.Fatal(err)
	}
	c, err := fresh.Claim(ctx, "acme/zlib", "1.2.0")
	if err != nil || c.Digest != d.String() || c.Version != "1.2" || c.Committed.IsZero() {
		t.Errorf("claim: %+v, %v", c, err)
	}
}

type walker struct {
	ingest.Walker
	more func(fn func(string, store.Manifest, []string) error) error
}

func (w walker) Walk(ctx context.Context, fn func(repo string, m store.Manifest, tags []string) error) error {
	if err := w.Walker.Walk(ctx, fn); err != nil {
		return err
	}
	return w.more(fn)
}

func TestReconcile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	ctx := t.Context()
	w.publish("@acme/zlib", "1.0.0")
	late := make(map[string]digest.Digest)
	for _, v := range []string{"1.1.0", "1.2.0"} {
		d, err := w.push(admin, "acme/zlib", v, manifestYAML("@acme/zlib", v), archive("a", v))
		if err != nil {
			t.Fatal(err)
		}
		late[v] = d
	}
	bad, err := w.push(admin, "acme/bad", "1.0.0", manifestYAML("@acme/bad", "1.0.0"), archive("a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	w.in.Source = rotten{w.reg, "acme/bad"}
	w.sign(w.signer(), "@acme/zlib", "1.0.0", digest.Digest(w.release("acme/zlib", "1.0.0").Digest), signing.SignOptions{})
	if _, err := w.push(admin, "acme/png", "1.0.0", manifestYAML("@acme/png", "1.0.0"), archive("a", "png")); err != nil {
		t.Fatal(err)
	}
	w.lose()
	for night := range 3 {
		rep, err := w.in.Reconcile(ctx)
		if err != nil || rep.Repositories != 3 || rep.Failed != 1 {
			t.Errorf("night %d: %+v, %v", night, rep, err)
		}
		if want := []int{4, 0, 0}[night]; rep.Applied != want {
			t.Errorf("night %d: applied %d; want %d", night, rep.Applied, want)
		}
	}
	if p, err := w.db.Package(ctx, "acme/zlib"); err != nil || p.Latest != "1.2.0" || p.Versions != 3 || w.release("acme/zlib", "1.2.0").Digest != late["1.2.0"].String() {
		t.Errorf("package: %+v, %v", p, err)
	}
	if got := w.release("acme/zlib", "1.0.0").Signed; got != "untrusted" {
		t.Errorf("the signature whose event was lost: %s", got)
	}
	items, err := w.db.Inbox(ctx, "parked", 0, 10)
	if err != nil || len(items) != 1 || items[0].Event.Digest != bad.String() || items[0].Reason == "" {
		t.Errorf("parked: %+v, %v; want the bad one, once", items, err)
	}
}

// An error of the registry is no evidence: it removes nothing, and one sick
// repository does not keep the others from converging.
func TestReconcileRemovesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	ctx := t.Context()
	w.library()
	if _, err := w.push(admin, "zeta/new", "1.0.0", manifestYAML("@zeta/new", "1.0.0"), archive("a", "b")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.push(admin, "alpha/new", "1.0.0", manifestYAML("@alpha/new", "1.0.0"), archive("a", "b")); err != nil {
		t.Fatal(err)
	}
	w.lose()
	before := w.dump()
	down := errors.New("down")
	w.in.Source = failing{Source: w.reg, list: down, manifest: func(string) error { return nil }}
	if _, err := w.in.Reconcile(ctx); !errors.Is(err, down) {
		t.Errorf("a failed listing: %v", err)
	}
	if diff := cmp.Diff(before, w.dump()); diff != "" {
		t.Errorf("a failed listing changed something (-before +after):\n%s", diff)
	}
	w.in.Source = failing{Source: w.reg, manifest: func(repo string) error {
		if repo == "alpha/new" {
			return down
		}
		return nil
	}}
	if rep, err := w.in.Reconcile(ctx); err != nil || rep.Failed != 1 || rep.Applied != 1 {
		t.Errorf("one sick repository: %+v, %v", rep, err)
	}
	w.in.Source = w.reg
	if n, err := w.db.Waiting(ctx); err != nil || n != 1 {
		t.Errorf("%d wait, %v; want the sick one, for another attempt", n, err)
	}
	w.drain()
	for _, repo := range []string{"zeta/new", "alpha/new"} {
		if _, err := w.db.Package(ctx, repo); err != nil {
			t.Errorf("%s: %v", repo, err)
		}
	}
}

// What was derived from archives is no part of a backup; the sweep makes it
// again, and mends a package row that fell behind.
func TestReconcileHeals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	ctx := t.Context()
	w.library()
	before := w.dump()
	dir := t.TempDir()
	cs, err := content.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	w.in.Content = cs
	p, err := w.db.Package(ctx, "acme/zlib")
	if err != nil {
		t.Fatal(err)
	}
	p.Latest, p.Versions = "0.9", 1
	if err := w.db.SavePackage(ctx, p); err != nil {
		t.Fatal(err)
	}
	if rep, err := w.in.Reconcile(ctx); err != nil || rep.Failed != 0 {
		t.Fatalf("%+v, %v", rep, err)
	}
	if diff := cmp.Diff(before, w.dump()); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
	if es, err := os.ReadDir(dir); err != nil || len(es) < 2 {
		t.Errorf("content: %v, %v", es, err)
	}
}
