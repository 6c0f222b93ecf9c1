package server

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// A stranger's address pulls as often as it may, whoever signs in and this
// machine go on, and the API says what is left.
func TestPullLimit(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	c.Limits.AnonymousPulls = 3
	s := start(t, c, Options{})
	dgst := release(t, s, "1.0.0", "a tool", tarball(t, "int x;"))
	secret, _, err := s.Accounts.Create(t.Context(), System, account.TokenSpec{Name: "reader", Scopes: []account.Scope{{Actions: []account.Action{account.Pull}, Pattern: "*"}}})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(path, from, token string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost"+path, nil)
		r.RemoteAddr = from
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		return w
	}
	const stranger = "192.0.2.7:4711"
	pull := "/v2/acme/tool/manifests/" + dgst
	for i := range 3 {
		if w := ask(pull, fmt.Sprintf("192.0.2.7:%d", 1000+i), ""); w.Code != http.StatusOK || !strings.Contains(w.Header().Get("RateLimit"), `"anonymous-pull";r=`) {
			t.Fatalf("pull %d = %d, RateLimit %q", i, w.Code, w.Header().Get("RateLimit"))
		}
	}
	w := ask(pull, stranger, "")
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "TOOMANYREQUESTS") {
		t.Errorf("pull 4 = %d %s, Retry-After %q", w.Code, w.Body, w.Header().Get("Retry-After"))
	}
	for what, w := range map[string]*httptest.ResponseRecorder{
		"another address": ask(pull, "192.0.2.8:1", ""), "this machine": ask(pull, "127.0.0.1:1", ""), "a token": ask(pull, stranger, secret),
	} {
		if w.Code != http.StatusOK {
			t.Errorf("%s = %d %s", what, w.Code, w.Body)
		}
	}
	if w := ask("/api/v1/rate-limit", stranger, ""); !strings.Contains(w.Body.String(), `"name":"anonymous-pull","limit":3`) || !strings.Contains(w.Body.String(), `"remaining":0`) {
		t.Errorf("rate-limit: %s", w.Body)
	}
}

// Pushes count whichever way they come, and the administrator's do not.
func TestPublishLimit(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	c.Limits.NewPackages, c.Limits.NewVersions = 1, 2
	s := start(t, c, Options{})
	who := account.Principal{ID: "t1", Name: "ci", Scopes: []account.Scope{{Actions: []account.Action{account.Publish, account.PublishNew}, Pattern: "*"}}}
	for i, want := range []error{nil, clyde.ErrRateLimited} {
		if err := s.Limits.Publish(who, "192.0.2.7:1", true, http.Header{}); !errors.Is(err, want) {
			t.Errorf("new package %d: %v; want %v", i, err, want)
		}
	}
	for i := range 50 {
		if err := s.Limits.Publish(System, "192.0.2.7:1", i%2 == 0, http.Header{}); err != nil {
			t.Fatalf("the administrator's %d: %v", i, err)
		}
	}
	secret, _, err := s.Accounts.Create(t.Context(), System, account.TokenSpec{Name: "ci", Scopes: who.Scopes})
	if err != nil {
		t.Fatal(err)
	}
	release(t, s, "1.0.0", "a tool", tarball(t, "int x;"))
	body, _, err := s.Registry.Manifest(t.Context(), "acme/tool", digest.Digest(claimOf(t, s, "1.0.0")))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{http.StatusCreated, http.StatusCreated, http.StatusTooManyRequests} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "http://localhost/v2/acme/tool/manifests/1.0.0", bytes.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+secret)
		r.Header.Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("push %d = %d %s; want %d", i, w.Code, w.Body, want)
		}
	}
}

func claimOf(t *testing.T, s *Server, version string) string {
	t.Helper()
	c, err := s.DB.Claim(t.Context(), "acme/tool", mustKey(t, version))
	if err != nil {
		t.Fatal(err)
	}
	return c.Digest
}
