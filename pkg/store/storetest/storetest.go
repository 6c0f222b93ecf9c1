// Package storetest checks that a store.DB behaves. Every database engine runs
// it:
//
//	func TestStore(t *testing.T) { storetest.Run(t, func(t *testing.T, now func() time.Time) *store.DB { … }) }
package storetest

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Open returns an empty database whose clock is now. It closes it with the test.
type Open func(t *testing.T, now func() time.Time) *store.DB

// Run runs the suite, each test on a database of its own.
func Run(t *testing.T, open Open) {
	for _, tt := range []struct {
		name string
		run  func(*testing.T, *store.DB, *clock)
	}{
		{"Reserve", testReserve},
		{"ReserveAgainstCommit", testReserveAgainstCommit},
		{"OtherSpelling", testOtherSpelling},
		{"Announced", testAnnounced},
		{"ParkEvent", testParkEvent},
		{"OneWinner", testOneWinner},
		{"CommitAllOrNothing", testCommitAllOrNothing},
		{"CommitAgain", testCommitAgain},
		{"Manifests", testManifests},
		{"Tags", testTags},
		{"Referrers", testReferrers},
		{"Repos", testRepos},
		{"InboxOrder", testInboxOrder},
		{"InboxLease", testInboxLease},
		{"InboxPark", testInboxPark},
		{"InboxList", testInboxList},
		{"InboxProperty", testInboxProperty},
		{"Packages", testPackages},
		{"Settings", testSettings},
		{"Releases", testReleases},
		{"Builds", testBuilds},
		{"BuildsAtOnce", testBuildsAtOnce},
		{"BuildPolicy", testBuildPolicy},
		{"SigningPolicy", testSigningPolicy},
		{"SignedList", testSignedList},
		{"SignedListAtOnce", testSignedListAtOnce},
		{"Held", testHeld},
		{"Requirements", testRequirements},
		{"Yank", testYank},
		{"Stats", testStats},
		{"Feed", testFeed},
		{"Tokens", testTokens},
		{"Keys", testKeys},
		{"Namespaces", testNamespaces},
		{"Counts", testCounts},
		{"Audit", testAudit},
		{"Idempotent", testIdempotent},
		{"Derived", testDerived},
		{"Sessions", testSessions},
		{"Devices", testDevices},
		{"Moderation", testModeration},
		{"BlobHolders", testBlobHolders},
		{"Reports", testReports},
		{"JTI", testJTI},
		{"Confirmations", testConfirmations},
		{"Transfers", testTransfers},
		{"Names", testNames},
		{"Publications", testPublications},
		{"Grants", testGrants},
		{"Cursors", testCursors},
		{"Upstream", testUpstream},
		{"UpstreamHidden", testUpstreamHidden},
		{"Deliveries", testDeliveries},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			tt.run(t, open(t, c.Now), c)
		})
	}
}

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func digest(i int) string { return fmt.Sprintf("sha256:%064x", i) }

func manifest(repo string, i int) store.Manifest {
	return store.Manifest{
		Repo: repo, Digest: digest(i), MediaType: "application/vnd.oci.image.manifest.v1+json",
		ArtifactType: "application/vnd.clyde.package.v1+json", Size: int64(100 + i),
		Annotations: map[string]string{"n": fmt.Sprint(i)}, Refs: []string{digest(1000 + i)},
	}
}

func push(repo, tag string, i int) clyde.Event {
	return clyde.Event{Source: "registry", Action: clyde.ActionPush, Repo: repo, Tag: tag, Digest: digest(i), Actor: "ada"}
}

// commit stores manifest i of repo under a tag that is also its version.
func commit(t testing.TB, db *store.DB, repo, tag string, i int) int64 {
	t.Helper()
	id, err := db.Commit(t.Context(), store.Commit{
		Manifest: manifest(repo, i), Tag: tag, VersionKey: tag, Actor: "ada", Event: push(repo, tag, i),
		Audit: store.AuditEntry{Actor: "ada", Action: "version.published", Resource: "@" + repo + "@" + tag},
	})
	must(t, err)
	return id
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// get is must for a call with a value.
func get[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		must(t, err)
		return v
	}
}

// code asserts the kind, the code and words of an error's message.
func code(t testing.TB, what string, err error, want string, words ...string) {
	t.Helper()
	e := clyde.AsError(err)
	if e == nil || e.Code != want {
		t.Errorf("%s = %v; want code %q", what, err, want)
		return
	}
	for _, w := range words {
		if !strings.Contains(e.Msg, w) {
			t.Errorf("%s: message %q lacks %q", what, e.Msg, w)
		}
	}
}
