package server

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// work counts what one request has the server do: statements and hashes, by
// name.
type work struct {
	mu sync.Mutex
	n  map[string]int
}

// workKey is of a request's context, which tells its work from that of others.
type workKey struct{}

// countWork is Options.work.
func countWork(ctx context.Context, what string) {
	if w, ok := ctx.Value(workKey{}).(*work); ok {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.n[what]++
	}
}

// told is all that somebody can learn from an answer, the clock apart.
type told struct {
	Status int
	Header http.Header
	Body   string
	Work   map[string]int
}

// What differs between any two answers: what a bucket still holds, and the name
// of an upload with its signature.
var (
	left   = regexp.MustCompile(`;[rt]=\d+`)
	upload = regexp.MustCompile(`[0-9a-f]{8}-[-0-9a-f]{27}.*`)
)

// learns sends a request about a package and returns what its sender is told,
// with the same word in place of the package's name.
func (w *authzWorld) learns(req *http.Request, a asker) told {
	w.Helper()
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	if a.session != "" {
		req.AddCookie(&http.Cookie{Name: account.SessionCookieLocal, Value: a.session})
	}
	done := &work{n: map[string]int{}}
	rec := httptest.NewRecorder()
	w.s.Handler().ServeHTTP(rec, req.WithContext(context.WithValue(w.Context(), workKey{}, done)))
	if rec.Code >= 500 {
		w.Errorf("%s %s as %s = %d %s", req.Method, req.URL, a.name, rec.Code, rec.Body)
	}
	id := rec.Header().Get(RequestIDHeader)
	header := http.Header{}
	for k, vs := range rec.Header() {
		for _, v := range vs {
			switch k {
			case RequestIDHeader, "Docker-Upload-Uuid":
				v = ""
			case "Location":
				v = upload.ReplaceAllString(v, "")
			case "Ratelimit":
				v = left.ReplaceAllString(v, "")
			case "Etag":
				v = "of the body"
			}
			header.Add(k, unlike.Replace(v))
		}
	}
	return told{rec.Code, header, unlike.Replace(strings.ReplaceAll(rec.Body.String(), id, "")), done.n}
}

// formOf is what the pages' forms about a package send, all in one: what a form
// does not know it does not read.
func formOf(path string) url.Values {
	kind := "account"
	if strings.HasSuffix(path, "/report") {
		kind = "other"
	}
	return url.Values{
		"access": {"public"}, "on": {"package"}, "holder": {"none"}, "role": {"reader"}, "kind": {kind}, "id": {"no-id"}, "to": {"none"},
		"message": {"old"}, "version": {"1.0.0"}, "versions": {"1.0.0"}, "decision": {account.Quarantine}, "why": {"it phones home"}, "text": {"it phones home"},
		"issuer": {"github"}, "repository": {"acme/priv"}, "owner_id": {"1"}, "repository_id": {"2"}, "workflow": {"release.yml"},
	}
}

// routesOfPackages are all routes that a package's name is part of, or may be.
func (w *authzWorld) routesOfPackages() []route {
	w.Helper()
	out := []route{
		{"GET", "/api/v1/search?q={name}", ""}, {"GET", "/api/v1/search?q=namespace:acme+{name}", ""}, {"GET", "/api/v1/suggest?q={name}", ""},
		{"GET", "/search?q={name}", ""}, {"GET", "/api/v1/auth/explain?action=pull&resource=@acme/{name}", ""},
		{"GET", "/v2/{namespace}/{name}/tags/list?n=1", ""}, {"POST", "/v2/acme/pub/blobs/uploads/?mount={digest}&from=acme/{name}", ""},
		{"POST", "/v2/none/own/blobs/uploads/?mount={digest}&from=acme/{name}", ""},
		{"GET", "/auth/token?scope=repository:acme/{name}:pull&service=x", ""}, {"HEAD", "/v2/{namespace}/{name}/manifests/{reference}", ""},
	}
	for _, r := range w.allRoutes() {
		if strings.Contains(r.path, "{name}") || strings.Contains(bodies[r.id], "PKG") || r.id == "publish" {
			out = append(out, r)
		}
	}
	return out
}

// about makes the requests of a route about a package: by version, and where it
// takes one by the digest of what the private package has.
func (w *authzWorld) about(r route, pkg string, digests []string) []func() *http.Request {
	var out []func() *http.Request
	for _, d := range digests {
		named := r
		if strings.Contains(r.path, "{digest}") || strings.Contains(r.path, "{reference}") && r.method != "PUT" {
			named.path = strings.NewReplacer("{digest}", d, "{reference}", d).Replace(r.path)
		} else if d != digests[0] {
			break
		}
		out = append(out, func() *http.Request {
			req := w.request(named, pkg)
			if req.Header.Get("Content-Type") == "application/x-www-form-urlencoded" {
				req.Body = io.NopCloser(strings.NewReader(formOf(req.URL.Path).Encode()))
				req.ContentLength = -1
			}
			return req
		})
	}
	return out
}

// TestPrivateIsAbsent asks every route about a private package and about one
// that does not exist, as everybody who may not read it: status, headers, body,
// statements and hashes are the same, with caches cold and after an owner has
// filled them.
func TestPrivateIsAbsent(t *testing.T) {
	t.Parallel()
	w := newAuthzWorld(t)
	m, mediaType, err := w.s.Registry.Manifest(t.Context(), "acme/priv", digest.Digest(w.claim("priv", "1.0.0")))
	if err != nil || mediaType == "" {
		t.Fatal(err, mediaType)
	}
	p, err := artifact.ParsePackage(m)
	if err != nil {
		t.Fatal(err)
	}
	// Strangers have a namespace of their own, into which they mount.
	if err := w.s.Accounts.GiveNamespace(t.Context(), System, "none", store.OwnerAccount, "none"); err != nil {
		t.Fatal(err)
	}
	digests := []string{"1.0.0", digest.FromBytes(m).String(), p.Source.Digest.String(), p.Config.Digest.String()}
	owner := w.askers[slices.IndexFunc(w.askers, func(a asker) bool { return a.name == "owner" })]
	strangers := slices.DeleteFunc(slices.Clone(w.askers), func(a asker) bool { return !a.outsider })
	mounts, busy := 0, 0
	for _, r := range w.routesOfPackages() {
		priv, gone := w.about(r, "priv", digests), w.about(r, "gone", digests)
		for i := range priv {
			for _, a := range strangers {
				for _, caches := range []string{"cold", "warm"} {
					if caches == "warm" && priv[i]().Method == "GET" {
						w.learns(priv[i](), owner)
					}
					// Whatever was written in between, its rights are read here, and its first use recorded.
					w.learns(w.request(route{"GET", "/api/v1/packages/acme/{name}", ""}, "none"), a)
					private, absent := w.learns(priv[i](), a), w.learns(gone[i](), a)
					if diff := cmp.Diff(absent, private); diff != "" {
						t.Errorf("%s as %s, caches %s, tells private from absent (-absent +private):\n%s", r.method+" "+priv[i]().URL.String(), a.name, caches, diff)
					}
					busy += len(private.Work)
					if private.Status == http.StatusAccepted {
						mounts++
					}
				}
			}
		}
	}
	// The counting counts and could tell, and a stranger may push somewhere.
	if busy == 0 || mounts == 0 {
		t.Errorf("%d statements ran, %d mounts became uploads", busy, mounts)
	}
	r := route{"GET", "/api/v1/packages/{namespace}/{name}", ""}
	private, absent := w.learns(w.request(r, "priv"), owner), w.learns(w.request(r, "gone"), owner)
	if private.Status != http.StatusOK || maps.Equal(private.Work, absent.Work) || private.Work["token"] != 1 {
		t.Errorf("the owner, about the private package: %d, %v; about none: %v", private.Status, private.Work, absent.Work)
	}
}

func (w *authzWorld) claim(base, version string) string {
	w.Helper()
	c, err := w.s.DB.Claim(w.Context(), "acme/"+base, mustKey(w.T, version))
	if err != nil {
		w.Fatal(err)
	}
	return c.Digest
}
