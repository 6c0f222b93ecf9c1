// Package registry is the embedded OCI registry: the distribution
// specification over a directory in distribution's own on-disk layout, with
// tags, membership and referrers in SQL.
//
// Distribution keeps the blobs and the uploads. Everything that a request
// meets before and after is ours: one canonical path, one authentication, one
// authorization, admission of manifests, and reads that touch memory, one SQL
// row or one file. Nothing is answered 201 for a manifest before all of it is
// on disk and committed; a blob answered 201 promises nothing yet.
package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/sirupsen/logrus"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/ingest"
	"github.com/clydepm/clyde-registry/pkg/keylock"
	"github.com/clydepm/clyde-registry/pkg/registry/s3driver"
	"github.com/clydepm/clyde-registry/pkg/signing"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// What Options.Accept may be.
const (
	AcceptPackages = "packages" // packages and what refers to them
	AcceptAny      = "any"      // other artifacts too, by plain OCI rules
)

// Admitter decides what may be stored; *ingest.Admitter implements it.
type Admitter interface {
	Admit(ctx context.Context, p ingest.Push, blobs ingest.Blobs) (ingest.Admission, error)
	Abandon(ctx context.Context, ad ingest.Admission)
}

// DB is what the registry asks of the database; *store.DB implements it.
type DB interface {
	Commit(ctx context.Context, c store.Commit) (int64, error)
	Manifest(ctx context.Context, repo, digest string) (store.Manifest, error)
	Tag(ctx context.Context, repo, tag string) (store.Tag, error)
	Tags(ctx context.Context, repo, after string, n int) ([]store.Tag, error)
	Referrers(ctx context.Context, repo, subject, artifactType, after string, n int) ([]store.Manifest, error)
	Repos(ctx context.Context, after string, n int) ([]string, error)
	HasRepo(ctx context.Context, repo string) (bool, error)
	HasVersions(ctx context.Context, repo string) (bool, error)
	DeleteTag(ctx context.Context, repo, tag string, ev clyde.Event) error
	DeleteManifest(ctx context.Context, repo, digest string, ev clyde.Event) error
	Withdrawn(ctx context.Context, repo, digest string) (*store.Moderation, error)
	WithdrawnBlob(ctx context.Context, repo, digest string) (*store.Moderation, error)
	AnyWaits(ctx context.Context, repo string) (bool, error)
	Waits(ctx context.Context, repo, digest string) (*store.Held, error)
	BlobWaits(ctx context.Context, repo, digest string) (*store.Held, error)
	Moderation(ctx context.Context, repo, key string) (store.Moderation, error)
	BlobRepos(ctx context.Context, digest string) ([]string, error)
	Lock(ctx context.Context, name string) (unlock func(), err error)
	LockShared(ctx context.Context, name string) (unlock func(), err error)
	Manifests(ctx context.Context, repo, after string, n int) ([]store.Manifest, error)
	ManifestsSince(ctx context.Context, t time.Time) ([]store.Manifest, error)
}

// Authenticator says who sent a request; *account.Accounts implements it.
type Authenticator interface {
	Authenticate(r *http.Request) (account.Principal, error)
}

// Pull is one GET of a manifest that was answered 200.
type Pull struct {
	Repo, Digest string
	Address      string // of who asked, with its port
	UserAgent    string
	CI           bool // the token is that of a CI run
}

// Options says where a Registry keeps things and whom it asks. Root or
// Bucket, and DB, Accounts and Admit are required.
type Options struct {
	Root   string            // directory of the blobs, in distribution's layout
	Bucket *s3driver.Options // in place of Root, in the same layout
	// Redirect answers a GET of a blob with an address of the bucket, which holds
	// for some minutes and asks nobody who may read: whoever has it can.
	Redirect bool
	Replica  string        // its name among several processes that share Root and DB; "" is one
	Secret   []byte        // signs upload sessions; keep it across restarts, or uploads cannot resume
	DB       DB            //
	Accounts Authenticator //
	Admit    Admitter      //
	Log      *slog.Logger  // nil discards
	// Pulled is told of each GET of a manifest that was answered 200, and must
	// return at once. It may be nil.
	Pulled func(Pull)
	// Private reports whether the package is hidden from those without a grant.
	// It is asked on every request, so it must be fast; nil means none is.
	Private func(ctx context.Context, repo string) (bool, error)
	// Public reports whether the repository may be shown to everybody while the
	// database cannot be reached; nil means none may.
	Public func(repo string) bool
	// PullLimit and PublishLimit return clyde.ErrRateLimited when somebody pulls,
	// or publishes the version of a tag, too often; they say in h what is left.
	// nil: nobody does.
	PullLimit    func(p account.Principal, remote string, h http.Header) error
	PublishLimit func(p account.Principal, remote string, isNew bool, h http.Header) error
	Accept       string // AcceptPackages (also when empty) or AcceptAny
	Limits       Limits
	Grace        time.Duration    // how long what no manifest names is kept; 0 means DefaultGrace
	PublicURL    string           // unused by answers, which are relative so that any proxy works; for messages
	Mirror       Mirror           // holds the same repositories, for what a scrub finds damaged; nil: none
	Now          func() time.Time // nil means time.Now
}

// Registry is the embedded registry. It is safe for concurrent use.
type Registry struct {
	o          Options
	log        *slog.Logger
	now        func() time.Time
	disk       disk
	ns         distribution.Namespace
	bodies     *bodyCache
	members    *memberCache
	locks      keylock.Locks
	sessions   *sessions
	erasing    sync.RWMutex // held for writing while bytes are removed, for reading while a manifest is stored; see still and storing
	shares     shares
	born       born // what was named since a collection began
	scrubbed   scrubbed
	collected  collected  // since the start
	collecting sync.Mutex // held by a collection, and by who needs none
	replaced   paths      // blobs of which an upload is being committed
	pending    pendingUploads
	started    time.Time
	buffers    sync.Pool // of *[copyBuffer]byte
}

var (
	_ artifact.Source = (*Registry)(nil)
	_ ingest.Blobs    = (*Registry)(nil)
	_ signing.Source  = (*Registry)(nil)
)

// quietLogrus silences distribution's global logger once per process: it logs
// every HEAD of an absent blob as an error, and nothing we do not report
// ourselves through the error that reaches us.
var quietLogrus = sync.OnceFunc(func() {
	logrus.SetOutput(io.Discard)
	logrus.SetLevel(logrus.PanicLevel)
})

// New opens the registry below o.Root.
func New(ctx context.Context, o Options) (_ *Registry, err error) {
	if (o.Root == "") == (o.Bucket == nil) || o.DB == nil || o.Accounts == nil || o.Admit == nil {
		return nil, errors.New("registry: Root or Bucket, DB, Accounts and Admit are required")
	}
	switch o.Accept {
	case "":
		o.Accept = AcceptPackages
	case AcceptPackages, AcceptAny:
	default:
		return nil, fmt.Errorf("registry: accept %q: want %q or %q", o.Accept, AcceptPackages, AcceptAny)
	}
	if len(o.Secret) == 0 {
		return nil, errors.New("registry: Secret is empty: uploads could be taken over")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Limits = o.Limits.withDefaults()
	if o.Grace == 0 {
		o.Grace = DefaultGrace
	}
	quietLogrus()
	// Distribution panics where it is handed something it did not expect.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("registry: distribution: %v", p)
		}
	}()
	var d disk
	if o.Bucket != nil {
		d, err = openBucket(ctx, *o.Bucket)
	} else {
		d, err = openDisk(ctx, o.Root, o.Replica, o.Log)
	}
	if err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	r := &Registry{
		o: o, log: o.Log, now: o.Now, disk: d,
		bodies: newBodyCache(maxCachedBytes), members: newMemberCache(maxCachedMembers), sessions: newSessions(o.Limits, o.Now), started: o.Now(),
	}
	if r.ns, err = storage.NewRegistry(ctx, replacing{d, &r.replaced}, storage.EnableDelete); err != nil {
		return nil, errors.Join(fmt.Errorf("registry: %w", err), d.Close())
	}
	return r, nil
}

// Flush writes everything pushed so far to its place below Root, in
// distribution's layout, for whoever reads the directory: a backup.
func (r *Registry) Flush(ctx context.Context) error { return r.disk.Flush(ctx) }

// Close releases the storage. Requests in hand must have ended.
func (r *Registry) Close() error { return r.disk.Close() }

// Run purges abandoned uploads until ctx ends.
func (r *Registry) Run(ctx context.Context) error {
	t := time.NewTicker(purgeEvery)
	defer t.Stop()
	for {
		if n, err := r.Purge(ctx); err != nil && ctx.Err() == nil {
			r.log.ErrorContext(ctx, "registry: purge uploads", "err", err)
		} else if n > 0 {
			r.log.InfoContext(ctx, "registry: purged abandoned uploads", "count", n)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}
