package sparse_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/resolve"
	"github.com/clydepm/clyde-registry/pkg/sparse"
)

const zeros = "0000000000000000000000000000000000000000000000000000000000000000"

func line(name, version, more string) string {
	return fmt.Sprintf(`{"name":%q,"version":%q,"digest":"sha256:%s","source":"","size":1%s}`+"\n", name, version, zeros, more)
}

// shop is a registry of static files, which notes what it was asked and shown.
type shop struct {
	*httptest.Server
	files map[string]string

	mu     sync.Mutex
	asked  map[string]int
	secret map[string]bool // values of Authorization
	same   int             // answers 304
}

func newShop(t *testing.T, files map[string]string) *shop {
	t.Helper()
	s := &shop{files: files, asked: map[string]int{}, secret: map[string]bool{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked[r.URL.Path]++
		if a := r.Header.Get("Authorization"); a != "" {
			s.secret[a] = true
		}
		body, ok := s.files[r.URL.Path]
		switch to, moved := strings.CutPrefix(body, "redirect "); {
		case !ok:
			w.WriteHeader(http.StatusNotFound)
		case moved:
			http.Redirect(w, r, to, http.StatusFound)
		case r.Header.Get("If-None-Match") == fmt.Sprintf(`"%d"`, len(body)):
			s.same++
			w.WriteHeader(http.StatusNotModified)
		default:
			w.Header().Set("ETag", fmt.Sprintf(`"%d"`, len(body)))
			_, _ = w.Write([]byte(body))
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func name(t testing.TB, s string) clyde.Name {
	t.Helper()
	n, err := clyde.ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func open(t *testing.T, o sparse.Options) *sparse.Source {
	t.Helper()
	s, err := sparse.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func at(pkg string) string { return "/api/v1/index/" + pkg + ".ndjson" }

// TestConfusion: a hostile registry that has the same namespace, higher versions
// and every trick is not asked about what comes from elsewhere, and is not
// believed about what does come from it.
func TestConfusion(t *testing.T) {
	t.Parallel()
	evil := newShop(t, map[string]string{
		at("acme/lib"):                     line("@acme/lib", "99.0.0", ""),
		at("acme/only"):                    line("@acme/only", "1.0.0", ""),
		at("evil/liar"):                    line("@acme/lib", "99.0.0", ""),
		at("evil/huge"):                    `{"name":"@evil/huge","pad":"` + strings.Repeat("x", resolve.MaxIndexLine) + `"}` + "\n",
		at("evil/bad"):                     `{"name":"@evil/bad","version":"1.0.0","digest":"md5:00","source":"","size":1}` + "\n",
		at("evil/page"):                    "<html>",
		at("evil/lib"):                     line("@evil/lib", "1.0.0", `,"requires":{"@acme/lib":"*"}`),
		"/.well-known/clyde/registry.json": `{"oci":{"host":"acme.example"},"namespaces":{"acme":"https://evil.example"}}`,
	})
	good := newShop(t, map[string]string{at("acme/lib"): line("@acme/lib", "1.0.0", "")})
	away := newShop(t, map[string]string{at("evil/moved"): line("@evil/moved", "1.0.0", "")})
	evil.files[at("evil/moved")] = "redirect " + strings.Replace(away.URL, "127.0.0.1", "localhost", 1) + at("evil/moved")
	src := open(t, sparse.Options{
		Default: good.URL, Bound: map[string]string{"evil": evil.URL}, Cache: t.TempDir(),
		Token: func(_ context.Context, address string) (string, error) {
			return map[string]string{good.URL: "good-secret", evil.URL: "evil-secret"}[address], nil
		},
	})
	sol, err := resolve.Solve(t.Context(), src, resolve.Request{Root: resolve.Candidate{Requires: []resolve.Requirement{{Name: name(t, "@evil/lib"), Kind: resolve.Runtime}}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range sol.Packages {
		if p.Name.Namespace == "acme" && (p.Version.String() != "1.0.0" || "http://"+p.Registry != good.URL) {
			t.Errorf("%s %s from %s", p.Name, p.Version, p.Registry)
		}
	}
	if _, err := src.Versions(t.Context(), name(t, "@acme/only")); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("a package that only the other registry has: %v", err)
	}
	for _, n := range []string{"liar", "huge", "bad", "page", "moved"} {
		if cs, err := src.Versions(t.Context(), name(t, "@evil/"+n)); err == nil || errors.Is(err, clyde.ErrNotFound) {
			t.Errorf("%s: %v, %v; want an error that ends everything", n, cs, err)
		}
	}
	if evil.asked[at("acme/lib")]+evil.asked[at("acme/only")] > 0 {
		t.Error("the other registry was asked about a namespace that is not its")
	}
	if evil.secret["Bearer good-secret"] || good.secret["Bearer evil-secret"] || len(away.secret) > 0 || len(away.asked) > 0 {
		t.Errorf("secrets went astray: %v, %v, %v", evil.secret, good.secret, away.secret)
	}
	if !good.secret["Bearer good-secret"] || !evil.secret["Bearer evil-secret"] {
		t.Error("the secrets were not used where they belong")
	}
}

// TestCache: what was read is asked about by its tag, and answers offline; what
// is not there is named.
func TestCache(t *testing.T) {
	t.Parallel()
	shop := newShop(t, map[string]string{
		at("acme/a"): line("@acme/a", "1.0.0", `,"requires":{"@acme/b":"*"}`), at("acme/b"): line("@acme/b", "1.0.0", ""),
	})
	cache := t.TempDir()
	read := func(offline bool, n string) (*sparse.Source, []resolve.Candidate, error) {
		src := open(t, sparse.Options{Default: shop.URL, Cache: cache, Offline: offline})
		cs, err := src.Versions(t.Context(), name(t, n))
		return src, cs, err
	}
	src, _, err := read(true, "@acme/a")
	if e := clyde.AsError(err); e == nil || e.Code != "offline" || len(src.Missing()) != 1 {
		t.Errorf("offline, with nothing kept: %v, missing %v", err, src.Missing())
	}
	if src, cs, err := read(false, "@acme/a"); err != nil || len(cs) != 1 {
		t.Fatal(cs, err)
	} else if _, err := src.Versions(t.Context(), name(t, "@acme/b")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := read(false, "@acme/a"); err != nil || shop.same == 0 {
		t.Errorf("asked again: %v, %d answers that nothing changed", err, shop.same)
	}
	shop.mu.Lock()
	shop.files[at("acme/a")] += line("@acme/a", "1.1.0", "")
	shop.mu.Unlock()
	if _, cs, err := read(false, "@acme/a"); err != nil || len(cs) != 2 {
		t.Errorf("after a change: %v, %v", cs, err)
	}
	if _, cs, err := read(true, "@acme/a"); err != nil || len(cs) != 2 {
		t.Errorf("offline: %v, %v", cs, err)
	}
	shop.mu.Lock()
	delete(shop.files, at("acme/a"))
	shop.mu.Unlock()
	if _, _, err := read(false, "@acme/a"); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("after it went: %v", err)
	}
	if _, _, err := read(true, "@acme/a"); err == nil {
		t.Error("offline, a package that went is still there")
	}
}

// TestColdResolve: 200 packages, each of which is known only from the one before
// in ten chains, are read and resolved with an empty cache.
func TestColdResolve(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	var root resolve.Candidate
	for i := range 200 {
		more := ""
		if i+10 < 200 {
			more = fmt.Sprintf(`,"requires":{"@acme/p%d":"^1"}`, i+10)
		}
		for v := range 5 {
			files[at(fmt.Sprintf("acme/p%d", i))] += line(fmt.Sprintf("@acme/p%d", i), fmt.Sprintf("1.%d.0", v), more)
		}
		if i < 10 {
			root.Requires = append(root.Requires, resolve.Requirement{Name: name(t, fmt.Sprintf("@acme/p%d", i)), Kind: resolve.Runtime})
		}
	}
	shop := newShop(t, files)
	src := open(t, sparse.Options{Default: shop.URL, Cache: t.TempDir()})
	began := time.Now()
	sol, err := resolve.Solve(t.Context(), src, resolve.Request{Root: root})
	if err != nil || len(sol.Packages) != 200 {
		t.Fatal(err)
	}
	t.Logf("200 packages with a cold cache: %v", time.Since(began))
}
