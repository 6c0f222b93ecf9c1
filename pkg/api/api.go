package api

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/linked"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// base is where the API begins.
const base = "/api/v1"

// Keys are the public keys of namespaces. Its errors are *clyde.Error.
type Keys interface {
	// Keys lists a namespace's keys, revoked ones too.
	Keys(ctx context.Context, namespace string) ([]store.Key, error)
	// AddKey registers a key on behalf of by, who needs the right to manage.
	AddKey(ctx context.Context, by account.Principal, namespace, name, pem string) (store.Key, error)
	// RevokeKey ends a key's validity on behalf of by.
	RevokeKey(ctx context.Context, by account.Principal, namespace, fingerprint string) error
}

// Options are what New needs. Log and Now may be nil.
type Options struct {
	Catalog  *catalog.Catalog
	Accounts *account.Accounts
	Keys     Keys
	Signing  Signing
	Trusted  *account.Trusted // nil: no trusted publishing
	Linked   *linked.Linked   // nil: packages are published from no repositories
	// Moderator withdraws versions and takes reports; nil: no moderation.
	Moderator *account.Moderator
	// Publish stores one version on behalf of p and returns when it is visible.
	Publish func(ctx context.Context, p account.Principal, manifest []byte, archive io.Reader, mediaType string) (clyde.Name, string, error)
	// Idempotent keeps replies to requests that may come again; see store.DB.
	Idempotent func(ctx context.Context, principal, key string, reply []byte) (stored []byte, found bool, err error)
	// Ready returns nil when the database answers and the search index is whole.
	Ready func(ctx context.Context) error
	// Homes lists where namespaces come from that are not ours, by name: those
	// that p may know of. nil: none.
	Homes func(ctx context.Context, p account.Principal) (map[string]string, error)
	// LeakKeys verifies reports of secret scanning; nil takes none.
	LeakKeys *account.LeakKeys
	// Vouched returns the names that a provider vouched for just now, for the
	// session that r belongs to. nil: none.
	Vouched   func(r *http.Request, session string) []string
	PublicURL string                   // as clients see it, without a slash at the end
	Version   string                   // of the server, for the OpenAPI document
	Asset     func(name string) string // address of a static file of the site: "style.css"
	Limits    Limits
	Buckets   *Buckets      // counts the limits, where others count too; nil: made of Limits
	Heartbeat time.Duration // of event streams; 0 means Heartbeat
	Log       *slog.Logger
	Now       func() time.Time
}

type server struct {
	Options
	host    string // of PublicURL
	api     huma.API
	mux     *http.ServeMux
	cross   *http.CrossOriginProtection
	streams streams
	decide  sync.Mutex // makes If-Match and the write after it one step; this process is the only writer
	running running
	docs    func() (documents, error) // rendered once
}

// New returns the API, ready to be mounted at /api, /.well-known/clyde/,
// /healthz and /readyz.
func New(o Options) (http.Handler, error) {
	if o.Catalog == nil || o.Accounts == nil || o.Keys == nil || o.Publish == nil || o.Idempotent == nil || o.Ready == nil {
		return nil, errors.New("api.New: an option is missing")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = Heartbeat
	}
	if o.Asset == nil {
		o.Asset = func(name string) string { return "/static/" + name }
	}
	if o.Buckets == nil {
		o.Buckets = NewBuckets(o.Limits, o.Now)
	}
	o.PublicURL = strings.TrimSuffix(o.PublicURL, "/")
	_, host, _ := strings.Cut(o.PublicURL, "://")
	s := &server{
		Options: o, host: host, mux: http.NewServeMux(),
		cross: http.NewCrossOriginProtection(), streams: streams{by: map[string]int{}}, running: running{keys: map[string]bool{}},
	}
	s.api = huma.NewAPI(s.config(), adapter{s.mux})
	s.api.UseMiddleware(s.parameters)
	s.search()
	s.packages()
	s.versions()
	s.resolve()
	s.files()
	s.publish()
	s.decisions()
	s.changes()
	s.keys()
	s.tokens()
	s.leaked()
	s.devices()
	s.people()
	s.orgs()
	s.teams()
	s.namespaces()
	s.grants()
	s.transfers()
	s.audit()
	s.rights()
	s.moderation()
	s.trustedPublishing()
	s.signing()
	s.lists()
	s.linkedRepositories()
	s.site()
	s.document()
	return http.HandlerFunc(s.serve), nil
}

// adapter mounts operations of huma on a ServeMux.
type adapter struct{ mux *http.ServeMux }

// names splits the operations whose path a ServeMux cannot say.
var names = strings.NewReplacer("/files/{path}", "/files/{path...}", "{name}.ndjson", "{name}")

func (a adapter) Handle(op *huma.Operation, handler func(huma.Context)) {
	suffix := strings.HasSuffix(op.Path, ".ndjson")
	a.mux.HandleFunc(op.Method+" "+names.Replace(op.Path), func(w http.ResponseWriter, r *http.Request) {
		if suffix {
			name, ok := strings.CutSuffix(r.PathValue("name"), ".ndjson")
			if !ok {
				name = "?" // no package has that name
			}
			r.SetPathValue("name", name)
		}
		handler(newContext(op, r, w))
	})
}

func (a adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }
