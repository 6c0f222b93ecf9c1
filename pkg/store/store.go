package store

import (
	"context"
	"errors"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

var errStub = errors.New("store: being written")

// DB is the database. One process writes through one connection; readers have
// a pool of their own.
type DB struct{}

// Options says where the database is.
type Options struct {
	Path string // SQLite file; "" is a private in-memory database, for tests
	Now  func() time.Time
}

// Open opens the database and brings its schema up to date.
func Open(ctx context.Context, o Options) (*DB, error) { return nil, errStub }

// Close waits for writes in hand.
func (db *DB) Close() error { return nil }

// Reserve claims (repo, key) for digest until lease from now has passed. The
// same digest again is no error (and renews the lease while uncommitted).
// Another digest, while the claim is committed or its lease runs, is
// clyde.ErrConflict with code "version_exists" (committed) or
// "version_reserved" (a push in progress) and both digests in the message. An
// expired, uncommitted claim is taken over.
func (db *DB) Reserve(ctx context.Context, c Claim, lease time.Duration) error { return errStub }

// Release gives an uncommitted claim of that digest up.
func (db *DB) Unreserve(ctx context.Context, repo, key, digest string) error { return errStub }

// Claim returns the claim, or clyde.ErrNotFound.
func (db *DB) Claim(ctx context.Context, repo, key string) (Claim, error) { return Claim{}, errStub }

// Commit records a stored manifest: manifest row, referrer row, tag row, the
// claim's commit and the inbox event, all or nothing, durable on return.
// Concurrent commits share a sync. A claim that belongs to another digest by
// now is clyde.ErrConflict and nothing is written. It returns the event's ID.
func (db *DB) Commit(ctx context.Context, c Commit) (int64, error) { return 0, errStub }

// Manifest returns the manifest's row, or clyde.ErrNotFound.
func (db *DB) Manifest(ctx context.Context, repo, digest string) (Manifest, error) {
	return Manifest{}, errStub
}

// Tag returns what the tag means, or clyde.ErrNotFound.
func (db *DB) Tag(ctx context.Context, repo, tag string) (Tag, error) { return Tag{}, errStub }

// Tags lists tags after the given one in lexical order, at most n.
func (db *DB) Tags(ctx context.Context, repo, after string, n int) ([]Tag, error) {
	return nil, errStub
}

// Referrers lists manifests whose subject is digest, by digest, after the
// given one, at most n; artifactType "" means any.
func (db *DB) Referrers(ctx context.Context, repo, subject, artifactType, after string, n int) ([]Manifest, error) {
	return nil, errStub
}

// Repos lists repositories that hold a manifest, after the given one, at most n.
func (db *DB) Repos(ctx context.Context, after string, n int) ([]string, error) { return nil, errStub }

// HasRepo reports whether the repository holds or held a manifest.
func (db *DB) HasRepo(ctx context.Context, repo string) (bool, error) { return false, errStub }

// DeleteTag removes the tag and writes ev; clyde.ErrNotFound when absent.
func (db *DB) DeleteTag(ctx context.Context, repo, tag string, ev clyde.Event) error { return errStub }

// DeleteManifest removes the manifest, its tags and its referrer row, and
// writes ev; clyde.ErrNotFound when absent.
func (db *DB) DeleteManifest(ctx context.Context, repo, digest string, ev clyde.Event) error {
	return errStub
}

// PutEvent stores an event that came from elsewhere and returns its ID.
func (db *DB) PutEvent(ctx context.Context, ev clyde.Event) (int64, error) { return 0, errStub }

// Inbox lists items by state ("" any), newest first, before the given ID (0: from the newest).
func (db *DB) Inbox(ctx context.Context, state string, before int64, n int) ([]InboxItem, error) {
	return nil, errStub
}

// ClaimEvents leases up to n waiting events, oldest first, never two of one
// repository at once.
func (db *DB) ClaimEvents(ctx context.Context, n int, lease time.Duration) ([]InboxItem, error) {
	return nil, errStub
}

// EventDone, EventRetry and EventPark say how an event ended.
func (db *DB) EventDone(ctx context.Context, id int64) error { return errStub }

// EventRetry makes the event due again after d.
func (db *DB) EventRetry(ctx context.Context, id int64, d time.Duration, cause string) error {
	return errStub
}

// EventPark keeps the event with the reason; EventReplay makes it waiting again.
func (db *DB) EventPark(ctx context.Context, id int64, reason string) error { return errStub }

// EventReplay makes a parked event waiting again.
func (db *DB) EventReplay(ctx context.Context, id int64) error { return errStub }

// EventsReady is signalled (capacity 1) after each commit that wrote an event.
func (db *DB) EventsReady() <-chan struct{} { return nil }

// SaveRelease stores what Apply derived from one version, in one transaction
// with the package row it changes and, when change.Type is not "", the feed entry.
func (db *DB) SaveRelease(ctx context.Context, p Package, r Release, reqs []Requirement, change Change) error {
	return errStub
}

// SaveVerification updates Release.Signed and Release.Report (and
// Package.Signed and Doc when doc is not nil).
func (db *DB) SaveVerification(ctx context.Context, repo, key, signed string, report []byte, p *Package, change Change) error {
	return errStub
}

// SavePackage replaces the package row alone (its Doc, Latest, Versions).
func (db *DB) SavePackage(ctx context.Context, p Package) error { return errStub }

// SetReleaseState sets Release.State.
func (db *DB) SetReleaseState(ctx context.Context, repo, key, state string, change Change) error {
	return errStub
}

// Package returns one package, or clyde.ErrNotFound.
func (db *DB) Package(ctx context.Context, repo string) (Package, error) { return Package{}, errStub }

// PackageByIdentity finds the package whose clyde.Name.Identity is id, or clyde.ErrNotFound.
func (db *DB) PackageByIdentity(ctx context.Context, id string) (Package, error) {
	return Package{}, errStub
}

// Hydrate returns the rows of those repos that exist, in the order asked.
func (db *DB) Hydrate(ctx context.Context, repos []string) ([]Package, error) { return nil, errStub }

// Packages lists packages after the given repo, at most n: for rebuilding the index and for browsing.
func (db *DB) Packages(ctx context.Context, after string, n int) ([]Package, error) {
	return nil, errStub
}

// PackagesByBase lists the packages of that bare name.
func (db *DB) PackagesByBase(ctx context.Context, base string) ([]Package, error) {
	return nil, errStub
}

// Releases lists a package's versions without the big columns (Manifest,
// ConfigYAML, OCIManifest, Report), newest published first.
func (db *DB) Releases(ctx context.Context, repo string) ([]Release, error) { return nil, errStub }

// ReleaseByVersion and ReleaseByDigest return one version whole, or clyde.ErrNotFound.
func (db *DB) ReleaseByVersion(ctx context.Context, repo, key string) (Release, error) {
	return Release{}, errStub
}

// ReleaseByDigest returns the release of that manifest, or clyde.ErrNotFound.
func (db *DB) ReleaseByDigest(ctx context.Context, repo, digest string) (Release, error) {
	return Release{}, errStub
}

// Requirements lists what a version requires.
func (db *DB) Requirements(ctx context.Context, repo, key string) ([]Requirement, error) {
	return nil, errStub
}

// Dependents lists packages whose latest version requires repo (kind "requires"), after, at most n.
func (db *DB) Dependents(ctx context.Context, repo, after string, n int) ([]Requirement, error) {
	return nil, errStub
}

// CountDependents counts public packages whose latest version requires repo.
func (db *DB) CountDependents(ctx context.Context, repo string) (int, error) { return 0, errStub }

// SetYank yanks (or with y nil unyanks) a version, with feed entry and audit line.
func (db *DB) SetYank(ctx context.Context, repo, key string, y *Yank, change Change, audit AuditEntry) error {
	return errStub
}

// Setting returns the package's setting, zero when none was made.
func (db *DB) Setting(ctx context.Context, repo string) (Setting, error) { return Setting{}, errStub }

// SaveSetting stores it, with feed entry and audit line.
func (db *DB) SaveSetting(ctx context.Context, s Setting, change Change, audit AuditEntry) error {
	return errStub
}

// Changes lists feed entries after seq, in order, at most n.
func (db *DB) Changes(ctx context.Context, after int64, n int) ([]Change, error) { return nil, errStub }

// ChangesReady is closed and replaced when the feed grows.
func (db *DB) ChangesReady() <-chan struct{} { return nil }

// Epoch identifies this history of the feed; a rebuild or a restore changes it.
func (db *DB) Epoch(ctx context.Context) (string, error) { return "", errStub }

// AddToken stores a token, with an audit line.
func (db *DB) AddToken(ctx context.Context, t Token, audit AuditEntry) error { return errStub }

// TokenByHash returns the token, revoked and expired ones too, or clyde.ErrNotFound.
func (db *DB) TokenByHash(ctx context.Context, hash []byte) (Token, error) { return Token{}, errStub }

// TokensList lists every token, newest first.
func (db *DB) Tokens(ctx context.Context) ([]Token, error) { return nil, errStub }

// RevokeToken revokes by ID.
func (db *DB) RevokeToken(ctx context.Context, id string, audit AuditEntry) error { return errStub }

// TouchToken sets LastUsed, cheaply (no sync).
func (db *DB) TouchToken(ctx context.Context, id string, at time.Time) error { return errStub }

// AddKey registers a public key, with an audit line.
func (db *DB) AddKey(ctx context.Context, k Key, audit AuditEntry) error { return errStub }

// Keys lists a namespace's keys, revoked ones too.
func (db *DB) Keys(ctx context.Context, namespace string) ([]Key, error) { return nil, errStub }

// RevokeKey revokes a key by fingerprint.
func (db *DB) RevokeKey(ctx context.Context, namespace, fingerprint string, audit AuditEntry) error {
	return errStub
}

// AddNamespace makes a namespace exist; again is no error.
func (db *DB) AddNamespace(ctx context.Context, name, by string) error { return errStub }

// HasNamespace reports whether it exists.
func (db *DB) HasNamespace(ctx context.Context, name string) (bool, error) { return false, errStub }

// AddCounts adds raw pulls, many at once, without a sync of its own.
func (db *DB) AddCounts(ctx context.Context, counts []Count) error { return errStub }

// Counts lists a package's raw pulls between two days, inclusive.
func (db *DB) Counts(ctx context.Context, repo, from, to string) ([]Count, error) {
	return nil, errStub
}

// Audit lists audit entries, newest first, before seq (0: newest).
func (db *DB) Audit(ctx context.Context, before int64, n int) ([]AuditEntry, error) {
	return nil, errStub
}

// AddAudit appends one line.
func (db *DB) AddAudit(ctx context.Context, a AuditEntry) error { return errStub }

// Stats are the true counts shown on the home page.
func (db *DB) Stats(ctx context.Context) (packages, releases int64, err error) { return 0, 0, errStub }

// DropDerived empties every derived table, for reindex.
func (db *DB) DropDerived(ctx context.Context) error { return errStub }

// RestoreManifest puts back what reindex read from storage: manifest, referrer and tag rows, no event.
func (db *DB) RestoreManifest(ctx context.Context, m Manifest, tags []string) error { return errStub }

// RestoreClaim puts a claim back unless one is there.
func (db *DB) RestoreClaim(ctx context.Context, c Claim) error { return errStub }

// Backup writes a consistent copy to path while serving.
func (db *DB) Backup(ctx context.Context, path string) error { return errStub }

// Idempotent returns the stored reply of (principal, key), or stores reply when there is none.
func (db *DB) Idempotent(ctx context.Context, principal, key string, reply []byte) ([]byte, bool, error) {
	return nil, false, errStub
}

// Ping proves that the database answers.
func (db *DB) Ping(ctx context.Context) error { return errStub }
