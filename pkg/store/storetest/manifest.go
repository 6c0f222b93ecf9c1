package storetest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
	"github.com/google/go-cmp/cmp"
)

func testManifests(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	if id := get(db.Commit(ctx, store.Commit{Manifest: manifest("acme/zlib", 1)}))(t); id != 0 {
		t.Errorf("Commit without an event = %d; want 0", id)
	}
	want := manifest("acme/zlib", 1)
	want.Pushed = c.Now()
	if diff := cmp.Diff(want, get(db.Manifest(ctx, "acme/zlib", digest(1)))(t)); diff != "" {
		t.Errorf("Manifest (-want +got):\n%s", diff)
	}
	if _, err := db.Manifest(ctx, "acme/other", digest(1)); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("another repository's manifest = %v; want not found", err)
	}

	must(t, db.RestoreManifest(ctx, manifest("acme/zlib", 2), []string{"a", "b"}))
	must(t, db.DeleteManifest(ctx, "acme/zlib", digest(2), clyde.Event{Action: clyde.ActionDelete, Repo: "acme/zlib", Digest: digest(2)}))
	if tags := get(db.Tags(ctx, "acme/zlib", "", 10))(t); len(tags) != 0 {
		t.Errorf("Tags after DeleteManifest = %v; want none", tags)
	}
	if items := get(db.Inbox(ctx, "waiting", 0, 10))(t); len(items) != 1 || items[0].Event.Action != clyde.ActionDelete {
		t.Errorf("Inbox = %v; want the deletion", items)
	}
	if err := db.DeleteManifest(ctx, "acme/zlib", digest(2), clyde.Event{}); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("DeleteManifest again = %v; want not found", err)
	}
}

func testTags(t *testing.T, db *store.DB, c *clock) {
	ctx := t.Context()
	for i, tag := range []string{"1.10.0", "1.9.0", "B", "a", "sha256-00.sig"} {
		must(t, get2(db.Commit(ctx, store.Commit{Manifest: manifest("acme/zlib", i), Tag: tag})))
	}
	var got []string
	after := ""
	for {
		page := get(db.Tags(ctx, "acme/zlib", after, 2))(t)
		for _, tag := range page {
			got, after = append(got, tag.Tag), tag.Tag
		}
		if len(page) < 2 {
			break
		}
	}
	if diff := cmp.Diff([]string{"1.10.0", "1.9.0", "B", "a", "sha256-00.sig"}, got); diff != "" {
		t.Errorf("Tags in pages of two, by bytes (-want +got):\n%s", diff)
	}

	// A tag that is no version moves.
	must(t, get2(db.Commit(ctx, store.Commit{Manifest: manifest("acme/zlib", 9), Tag: "a"})))
	want := store.Tag{Repo: "acme/zlib", Tag: "a", Digest: digest(9), MediaType: manifest("", 9).MediaType, Size: 109, Updated: c.Now()}
	if diff := cmp.Diff(want, get(db.Tag(ctx, "acme/zlib", "a"))(t)); diff != "" {
		t.Errorf("Tag (-want +got):\n%s", diff)
	}
	must(t, db.DeleteTag(ctx, "acme/zlib", "a", clyde.Event{}))
	if err := db.DeleteTag(ctx, "acme/zlib", "a", clyde.Event{}); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("DeleteTag again = %v; want not found", err)
	}
	if _, err := db.Manifest(ctx, "acme/zlib", digest(9)); err != nil {
		t.Errorf("the manifest went with its tag: %v", err)
	}
}

func get2[T any](_ T, err error) error { return err }

func testReferrers(t *testing.T, db *store.DB, _ *clock) {
	ctx := t.Context()
	for i := range 20 {
		m := manifest("acme/zlib", 100+i)
		m.Subject = digest(1)
		m.ArtifactType = []string{"sig", "sbom"}[i%2]
		must(t, get2(db.Commit(ctx, store.Commit{Manifest: m})))
		m.Repo = "acme/copy"
		must(t, get2(db.Commit(ctx, store.Commit{Manifest: m})))
	}
	walk := func(typ string, n int) (got []string) {
		after := ""
		for {
			page := get(db.Referrers(ctx, "acme/zlib", digest(1), typ, after, n))(t)
			for _, m := range page {
				got, after = append(got, m.Digest), m.Digest
			}
			if len(page) < n {
				return got
			}
		}
	}
	var all, sboms []string
	for i := range 20 {
		all = append(all, digest(100+i))
		if i%2 == 1 {
			sboms = append(sboms, digest(100+i))
		}
	}
	for _, n := range []int{1, 7, 100} {
		if diff := cmp.Diff(all, walk("", n)); diff != "" {
			t.Errorf("Referrers in pages of %d (-want +got):\n%s", n, diff)
		}
		if diff := cmp.Diff(sboms, walk("sbom", n)); diff != "" {
			t.Errorf("Referrers of a type in pages of %d (-want +got):\n%s", n, diff)
		}
	}
	if got := get(db.Referrers(ctx, "acme/zlib", "", "", "", 10))(t); len(got) != 0 {
		t.Errorf("Referrers of no subject = %v; want none", got)
	}
	must(t, db.DeleteManifest(ctx, "acme/zlib", digest(100), clyde.Event{}))
	if got := walk("", 100); len(got) != 19 {
		t.Errorf("%d referrers after a deletion; want 19", len(got))
	}
}

func testRepos(t *testing.T, db *store.DB, _ *clock) {
	ctx := t.Context()
	for i := range 5 {
		must(t, db.RestoreManifest(ctx, manifest(fmt.Sprintf("acme/p%d", i), i), nil))
	}
	must(t, db.DeleteManifest(ctx, "acme/p2", digest(2), clyde.Event{}))
	if diff := cmp.Diff([]string{"acme/p1", "acme/p3"}, get(db.Repos(ctx, "acme/p0", 2))(t)); diff != "" {
		t.Errorf("Repos (-want +got):\n%s", diff)
	}
	for repo, want := range map[string]bool{"acme/p1": true, "acme/p2": true, "acme/p9": false} {
		if got := get(db.HasRepo(ctx, repo))(t); got != want {
			t.Errorf("HasRepo(%s) = %v; want %v", repo, got, want)
		}
	}
}
