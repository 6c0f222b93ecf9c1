package server

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func (w *authzWorld) asker(name string) asker {
	w.Helper()
	i := slices.IndexFunc(w.askers, func(a asker) bool { return a.name == name })
	if i < 0 {
		w.Fatalf("nobody is called %s", name)
	}
	return w.askers[i]
}

// send sends a request and returns the answer whole.
func (w *authzWorld) send(method, path string, a asker, header ...string) *httptest.ResponseRecorder {
	w.Helper()
	req := w.request(route{method, "", ""}, "pub")
	r := httptest.NewRequest(method, "http://localhost"+path, http.NoBody)
	r.RemoteAddr = req.RemoteAddr
	if a.token != "" {
		r.Header.Set("Authorization", "Bearer "+a.token)
	}
	if a.session != "" {
		r.AddCookie(&http.Cookie{Name: account.SessionCookieLocal, Value: a.session})
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.s.Handler().ServeHTTP(rec, r)
	return rec
}

// parts are the addresses of all that a version has.
func (w *authzWorld) parts(base string) (addresses []string, dgst string) {
	w.Helper()
	dgst = w.claim(base, "1.0.0")
	m, _, err := w.s.Registry.Manifest(w.Context(), "acme/"+base, digest.Digest(dgst))
	if err != nil {
		w.Fatal(err)
	}
	p, err := artifact.ParsePackage(m)
	if err != nil {
		w.Fatal(err)
	}
	v2, v1 := "/v2/acme/"+base, "/api/v1/packages/acme/"+base+"/versions/1.0.0"
	return []string{
		v2 + "/manifests/1.0.0", v2 + "/manifests/" + dgst, v2 + "/blobs/" + p.Config.Digest.String(), v2 + "/blobs/" + p.Source.Digest.String(),
		v1, v1 + "/manifest", v1 + "/files", v1 + "/files/a.c", "/packages/acme/" + base + "/1.0.0",
	}, dgst
}

// TestRightsEndAtOnce: who is suspended, or is no member any more, or whose
// token was revoked, is a stranger to the next request, everywhere, however
// often it was let in before; who comes back is let in again.
func TestRightsEndAtOnce(t *testing.T) {
	t.Parallel()
	w := newAuthzWorld(t)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	parts, _ := w.parts("priv")
	see := func(when string, want bool, names ...string) {
		t.Helper()
		for _, n := range names {
			a := w.asker(n)
			for _, path := range parts {
				registry := strings.HasPrefix(path, "/v2/")
				if a.session != "" && registry {
					continue // takes no cookie
				}
				ok := []int{http.StatusOK}
				if !want {
					ok = []int{http.StatusNotFound, http.StatusUnauthorized}
				}
				if got := w.send("GET", path, a); !slices.Contains(ok, got.Code) {
					t.Errorf("%s: GET %s as %s = %d %.120s; want one of %v", when, path, n, got.Code, got.Body, ok)
				}
			}
		}
	}
	everybody := []string{"owner", "owner-session", "maintainer", "maintainer-session", "reader", "publisher"}
	for range 2 { // the second time from what is remembered
		see("before", true, everybody...)
	}
	must(w.s.Accounts.Suspend(ctx, System, "maintainer", "test"))
	see("suspended", false, "maintainer", "maintainer-session")
	if got := w.send("POST", "/v2/acme/priv/blobs/uploads/", w.asker("maintainer")); got.Code != http.StatusForbidden {
		t.Errorf("push of a suspended account = %d %s", got.Code, got.Body)
	}
	if got := w.send("GET", parts[4], w.asker("maintainer"), "If-None-Match", "*"); got.Code != http.StatusNotFound {
		t.Errorf("a suspended account that holds a copy = %d", got.Code)
	}
	must(w.s.Accounts.Unsuspend(ctx, System, "maintainer"))
	see("back", true, "maintainer")
	see("back, to sign in again", false, "maintainer-session")

	_, err := w.s.Accounts.RemoveMember(ctx, System, "acme", "reader")
	must(err)
	see("no member", false, "reader")
	if _, found, err := w.s.Accounts.RevokeLeaked(ctx, w.asker("publisher").token, "test"); !found || err != nil {
		t.Fatal(found, err)
	}
	see("revoked", false, "publisher")
	see("untouched", true, "owner", "owner-session")
}

// TestWithdrawnBeatsCopies: who holds a copy with its ETag is told that a
// version was taken down or erased, and why, and never that its copy is good.
func TestWithdrawnBeatsCopies(t *testing.T) {
	t.Parallel()
	w := newAuthzWorld(t)
	name := clyde.Name{Namespace: "acme", Base: "pub"}
	parts, _ := w.parts("pub")
	stranger := w.asker("anonymous")
	tags := map[string]string{}
	for _, p := range parts {
		first := w.send("GET", p, stranger)
		etag := first.Header().Get("ETag")
		if first.Code != http.StatusOK || etag == "" {
			t.Fatalf("GET %s = %d, ETag %q", p, first.Code, etag)
		}
		if again := w.send("GET", p, stranger, "If-None-Match", etag); again.Code != http.StatusNotModified {
			t.Errorf("GET %s with its ETag = %d; want 304", p, again.Code)
		}
		tags[p] = etag
	}
	for _, decision := range []string{account.Quarantine, account.Remove, account.Erase} {
		if _, err := w.s.Moderator.Decide(t.Context(), System, name, "1.0.0", decision, "it phones home"); err != nil {
			t.Fatal(err)
		}
		for _, p := range parts {
			for _, header := range [][]string{{"If-None-Match", tags[p]}, {"If-None-Match", "*"}, {"Range", "bytes=0-3", "If-Range", tags[p]}} {
				got := w.send("GET", p, stranger, header...)
				gone := got.Code == http.StatusGone && strings.Contains(got.Body.String(), "it phones home") && strings.Contains(got.Header().Get("Cache-Control"), "no-store")
				// What an erased version had is as if it had never been.
				if decision == account.Erase && strings.Contains(p, "/blobs/") {
					gone = gone || got.Code == http.StatusNotFound
				}
				if !gone {
					t.Errorf("%s: GET %s with %q = %d %.150s, Cache-Control %q", decision, p, header, got.Code, got.Body, got.Header().Get("Cache-Control"))
				}
			}
			if head := w.send("HEAD", p, stranger, "If-None-Match", tags[p]); head.Code != http.StatusGone && head.Code != http.StatusNotFound {
				t.Errorf("%s: HEAD %s = %d", decision, p, head.Code)
			}
		}
	}
}
