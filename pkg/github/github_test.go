package github_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/internal/githubtest"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/github"
)

// open returns a client of a stand-in that answers at an address of its own.
func open(t *testing.T, token string) (*githubtest.Hub, *github.Client) {
	t.Helper()
	hub, err := githubtest.New(t.TempDir(), map[string]githubtest.Access{"admin": {Login: "ada", Read: []string{"acme"}, Admin: []string{"Acme/zlib"}}, "other": {Login: "eve"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hub.Close)
	hub.Add(githubtest.Repository{ID: 7, OwnerID: 70, FullName: "Acme/zlib", Tags: map[string]map[string]string{
		"v1": {"package.yaml": "name: zlib\n", "include/zlib.h": "int x;\n"}, "v2": {"README.md": "none"}, "v3": {"src/package.yml": "name: zlib\n"},
		"v4": {"package.yaml": "a: b\n", "package.yml": "a: b\n"}, "feature/x": {"package.yaml": "name: zlib\n"},
	}})
	hub.Add(githubtest.Repository{ID: 8, OwnerID: 70, FullName: "Acme/secret", Private: true, Tags: map[string]map[string]string{"v1": {"package.yaml": "name: x\n"}}})
	s := httptest.NewServer(hub)
	t.Cleanup(s.Close)
	c, err := github.New(github.Options{API: s.URL, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	return hub, c
}

func TestRepository(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		token, name string
		admin       bool
		err         error
	}{
		{"", "acme/ZLIB", false, nil},
		{"other", "Acme/zlib", false, nil},
		{"admin", "Acme/zlib", true, nil},
		{"admin", "Acme/secret", false, nil},
		{"other", "Acme/secret", false, clyde.ErrNotFound},
		{"wrong", "Acme/zlib", false, clyde.ErrUnauthenticated},
		{"", "Acme/nothing", false, clyde.ErrNotFound},
		{"", "Acme/..", false, clyde.ErrInvalid},
		{"", "../../user", false, clyde.ErrInvalid},
	} {
		_, c := open(t, tt.token)
		r, err := c.ByName(t.Context(), tt.name)
		if !errors.Is(err, tt.err) || err == nil && (r.Admin != tt.admin || r.ID == "" || r.OwnerID != "70") {
			t.Errorf("ByName(%q) as %q = %+v, %v; want admin %v, %v", tt.name, tt.token, r, err, tt.admin, tt.err)
		}
	}
}

func TestFetch(t *testing.T) {
	t.Parallel()
	_, c := open(t, "")
	for _, tt := range []struct {
		repo, tag, at string
		err           error
	}{
		{"Acme/zlib", "v1", "", nil},
		{"7", "v1", "", nil},
		{"7", "feature/x", "", nil},
		{"Acme/zlib", "v3", "src", nil},
		{"Acme/zlib", "v2", "", clyde.ErrNotFound},
		{"Acme/zlib", "v4", "", clyde.ErrConflict},
		{"Acme/zlib", "v9", "", clyde.ErrNotFound},
		{"Acme/zlib", "../x", "", clyde.ErrInvalid},
		{"8", "v1", "", clyde.ErrNotFound},
	} {
		dir := filepath.Join(t.TempDir(), "x")
		r, err := c.Fetch(t.Context(), tt.repo, tt.tag, dir, github.FetchOptions{})
		if !errors.Is(err, tt.err) || err == nil && (r.At != tt.at || r.Dir != filepath.Join(dir, tt.at)) {
			t.Errorf("Fetch(%s, %s) = %+v, %v; want at %q, %v", tt.repo, tt.tag, r, err, tt.at, tt.err)
		}
	}
	if _, err := c.Fetch(t.Context(), "7", "v1", filepath.Join(t.TempDir(), "x"), github.FetchOptions{MaxArchive: 64}); !errors.Is(err, clyde.ErrTooLarge) {
		t.Errorf("an archive over the limit: %v", err)
	}
}

// A number stays with its repository, and a name leads to where it went.
func TestRenamed(t *testing.T) {
	t.Parallel()
	hub, c := open(t, "")
	hub.Rename("Acme/zlib", "Other/zlib-ng")
	for _, by := range []string{"7"} { // the only way in that a link keeps
		if r, err := c.ByID(t.Context(), by); err != nil || r.Name != "Other/zlib-ng" {
			t.Errorf("ByID(%s) = %+v, %v", by, r, err)
		}
	}
}

// Nothing but the API and the hosts named is asked, whatever it answers.
func TestRedirects(t *testing.T) {
	t.Parallel()
	asked := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer other.Close()
	api := httptest.NewServer(http.RedirectHandler(other.URL+"/x", http.StatusFound))
	defer api.Close()
	c, err := github.New(github.Options{API: api.URL, Token: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Archive(t.Context(), "7", "v1"); !errors.Is(err, clyde.ErrDenied) || asked {
		t.Errorf("a redirect elsewhere: %v, asked %v", err, asked)
	}
	loop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }))
	defer loop.Close()
	if c, err = github.New(github.Options{API: loop.URL}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Archive(t.Context(), "7", "v1"); err == nil {
		t.Error("a loop of redirects ends well")
	}
	limited := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"message":"API rate limit exceeded"}`)
	}))
	defer limited.Close()
	if c, err = github.New(github.Options{API: limited.URL}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ByID(t.Context(), "7"); !errors.Is(err, clyde.ErrRateLimited) {
		t.Errorf("no requests left: %v", err)
	}
}

// What passes as a tag stays one component after another of an address.
func FuzzCheckTag(f *testing.F) {
	for _, s := range []string{"v1.0", "a/b", "../x", "a//b", "@{0}", "x.lock", "-x", "v1\n", strings.Repeat("a", 256)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if github.CheckTag(s) != nil {
			return
		}
		for part := range strings.SplitSeq(s, "/") {
			if part == "" || part == "." || part == ".." {
				t.Errorf("CheckTag(%q) is nil", s)
			}
		}
	})
}
