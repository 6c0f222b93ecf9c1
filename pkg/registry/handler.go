package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Handler serves the distribution specification; mount it at "/v2/".
func (r *Registry) Handler() http.Handler { return http.HandlerFunc(r.serve) }

// call is one request: what it asks for and who asks. It is made once.
type call struct {
	target
	p account.Principal
}

func (r *Registry) serve(w http.ResponseWriter, req *http.Request) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if p == http.ErrAbortHandler {
			panic(p)
		}
		// Distribution panics where it is handed something it did not expect.
		r.fail(w, req, fmt.Errorf("registry: panic: %v", p))
	}()
	h := w.Header()
	h.Set("Docker-Distribution-Api-Version", "registry/2.0")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'none'")
	t, err := parsePath(req.URL)
	if err != nil {
		r.fail(w, req, err)
		return
	}
	p, err := r.o.Accounts.Authenticate(req)
	if errors.Is(err, clyde.ErrUnavailable) && r.stands(req, t) {
		p, err = account.Principal{}, nil // what everybody may have needs no name
	}
	if err != nil {
		r.fail(w, req, err)
		return
	}
	if err := r.route(w, req, call{t, p}); err != nil {
		r.fail(w, req, err)
	}
}

// routes is every kind of request, and the only methods that it takes. A kind
// that is missing here takes none.
var routes = [kinds]struct {
	path    string
	methods []string
}{
	kindBase:      {"/v2/", []string{"GET", "HEAD"}},
	kindCatalog:   {"/v2/_catalog", []string{"GET", "HEAD"}},
	kindManifest:  {"/v2/{namespace}/{name}/manifests/{reference}", []string{"GET", "HEAD", "PUT", "DELETE"}},
	kindBlob:      {"/v2/{namespace}/{name}/blobs/{digest}", []string{"GET", "HEAD", "DELETE"}},
	kindUploads:   {"/v2/{namespace}/{name}/blobs/uploads/", []string{"POST"}},
	kindUpload:    {"/v2/{namespace}/{name}/blobs/uploads/{upload}", []string{"GET", "HEAD", "PATCH", "PUT", "DELETE"}},
	kindTags:      {"/v2/{namespace}/{name}/tags/list", []string{"GET", "HEAD"}},
	kindReferrers: {"/v2/{namespace}/{name}/referrers/{digest}", []string{"GET", "HEAD"}},
}

// Routes lists everything that the registry answers, as "GET /v2/", for tests
// that cross all of it with all who may ask.
func Routes() []string {
	var out []string
	for _, r := range routes {
		for _, m := range r.methods {
			out = append(out, m+" "+r.path)
		}
	}
	return out
}

func (r *Registry) route(w http.ResponseWriter, req *http.Request, c call) error {
	read := req.Method == http.MethodGet || req.Method == http.MethodHead
	if err := allow(w, req, routes[c.kind].methods...); err != nil {
		return err
	}
	switch c.kind {
	case kindBase:
		return r.getBase(w, req, c)
	case kindCatalog:
		return r.getCatalog(w, req, c)
	case kindTags, kindReferrers:
		if err := r.mayPull(req.Context(), c.p, c.repo); err != nil {
			return err
		}
		if c.kind == kindTags {
			if err := r.available(req.Context(), c.p, c.repo, ""); err != nil {
				return err
			}
			return r.getTags(w, req, c)
		}
		if err := r.available(req.Context(), c.p, c.repo, c.ref); err != nil {
			return err
		}
		return r.getReferrers(w, req, c)
	case kindUpload:
		read = false // where an upload stands concerns who uploads
	}
	if read {
		err := r.pull(w, req, c)
		if errors.Is(err, clyde.ErrUnavailable) && r.stands(req, c.target) {
			return r.pullFromFiles(w, req, c)
		}
		return err
	}
	may := r.mayPush
	if req.Method == http.MethodDelete && c.kind != kindUpload {
		may = r.mayDelete
	}
	if err := may(req.Context(), c.p, c.repo); err != nil {
		return err
	}
	switch {
	case c.kind == kindManifest && req.Method == http.MethodPut:
		return r.servePutManifest(w, req, c)
	case c.kind == kindManifest:
		return r.deleteManifest(w, req, c)
	case c.kind == kindBlob:
		return r.deleteBlob(w, req, c)
	case c.kind == kindUploads:
		return r.beginUpload(w, req, c)
	}
	return r.serveUpload(w, req, c)
}

// pull answers with a manifest or a blob.
func (r *Registry) pull(w http.ResponseWriter, req *http.Request, c call) error {
	if err := r.mayPull(req.Context(), c.p, c.repo); err != nil {
		return err
	}
	if err := r.pullLimit(w, req, c); err != nil {
		return err
	}
	if c.kind == kindManifest {
		if err := r.refAvailable(req.Context(), c.p, c.repo, c.ref); err != nil {
			return err
		}
		return r.getManifest(w, req, c)
	}
	if err := r.blobAvailable(req.Context(), c.p, c.repo, digest.Digest(c.ref)); err != nil {
		return err
	}
	return r.getBlob(w, req, c)
}

// pullLimit counts a pull.
func (r *Registry) pullLimit(w http.ResponseWriter, req *http.Request, c call) error {
	if r.o.PullLimit == nil {
		return nil
	}
	return r.o.PullLimit(c.p, req.RemoteAddr, w.Header())
}

func allow(w http.ResponseWriter, req *http.Request, methods ...string) error {
	if slices.Contains(methods, req.Method) {
		return nil
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	return clyde.Errorf(clyde.ErrInvalid, "%s is not possible here", req.Method).WithCode("method_not_allowed")
}

// getBase answers a login: 401 without a token, so that clients have
// something to check one against.
func (r *Registry) getBase(w http.ResponseWriter, _ *http.Request, c call) error {
	if c.p.Anonymous() {
		return clyde.Errorf(clyde.ErrUnauthenticated, "sign in with a token as the password; public packages can be pulled without").WithCode("token_required")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", "2")
	_, _ = w.Write([]byte("{}")) // the client has gone; there is nobody to tell
	return nil
}

// hasRepo reports whether the repository holds or held a manifest. Once true,
// it stays true.
func (r *Registry) hasRepo(ctx context.Context, repo string) (bool, error) {
	_, gen, ok := r.members.get(repo)
	if ok {
		return true, nil
	}
	ok, err := r.o.DB.HasRepo(ctx, repo)
	if err == nil && ok {
		r.members.put(repo, member{}, gen)
	}
	return ok, err
}

func (r *Registry) private(ctx context.Context, repo string) (bool, error) {
	if r.o.Private == nil {
		return false, nil
	}
	return r.o.Private(ctx, repo)
}

// visible reports whether p may read the repository. One that holds no
// manifest is seen by those who may push to it, and by nobody else, so that
// absent and private cannot be told apart.
func (r *Registry) visible(ctx context.Context, p account.Principal, repo string) (bool, error) {
	private, err := r.private(ctx, repo)
	if err != nil {
		return false, err
	}
	hidden := account.Resource{Repo: repo, Private: true}
	if private && !account.Allowed(p, account.Pull, hidden) {
		// What is remembered of it would spare a query that absence costs.
		_, err := r.o.DB.HasRepo(ctx, repo)
		return false, err
	}
	exists, err := r.hasRepo(ctx, repo)
	if err != nil {
		return false, err
	}
	if exists {
		return account.Allowed(p, account.Pull, account.Resource{Repo: repo, Private: private}), nil
	}
	return account.Allowed(p, account.Pull, hidden) || account.Allowed(p, account.PublishNew, hidden), nil
}

// mayPull returns nil when p may read the repository, else 401 for anonymous
// callers and 404 for others, private and absent alike.
func (r *Registry) mayPull(ctx context.Context, p account.Principal, repo string) error {
	ok, err := r.visible(ctx, p, repo)
	switch {
	case err != nil || ok:
		return err
	case p.Anonymous():
		return clyde.Errorf(clyde.ErrUnauthenticated, "%s does not exist, or needs a token", repo).WithCode("token_required").
			Fix("Check the name, or sign in: clyde login, or docker login with a token as the password.")
	}
	return clyde.Errorf(clyde.ErrNotFound, "%s was not found", repo).WithCode("name_unknown")
}

// mayDelete returns nil when p may take something out of the repository: who
// may publish there, not who may only begin new packages, and nobody who does
// not see it.
func (r *Registry) mayDelete(ctx context.Context, p account.Principal, repo string) error {
	if err := r.mayPull(ctx, p, repo); err != nil {
		return err
	}
	return account.Authorize(p, account.Publish, account.Resource{Repo: repo})
}

// mayPush returns nil when p may upload to the repository. Whether a manifest
// is acceptable is for Admit. The refusal says the same of a package that p
// may not see and of one that does not exist.
func (r *Registry) mayPush(ctx context.Context, p account.Principal, repo string) error {
	res := account.Resource{Repo: repo}
	if account.Allowed(p, account.Publish, res) {
		return nil
	}
	// What was pushed by digest only, to be signed before it is tagged, is no
	// version yet, and its publisher needs no more than publish-new.
	exists, err := r.o.DB.HasVersions(ctx, repo)
	if err != nil {
		return err
	}
	private, err := r.private(ctx, repo) // asked in any case, so that absence costs the same
	if err != nil {
		return err
	}
	if exists && account.Allowed(p, account.Pull, account.Resource{Repo: repo, Private: private}) {
		return account.Authorize(p, account.Publish, res)
	}
	return account.Authorize(p, account.PublishNew, res)
}
