package server

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/internal/postgrestest"
	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// soon is how long what one server does may take to show at another in tests.
const soon = time.Minute

// eventually waits until fn returns "", and fails with what it returned last.
func eventually(t *testing.T, fn func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		wrong := fn()
		if wrong == "" {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal(wrong)
		case <-tick.C:
		}
	}
}

// replicas starts two servers on one database and one directory of blobs.
func replicas(t *testing.T, url string) (two [2]*Server) {
	t.Helper()
	shared := filepath.Join(t.TempDir(), "shared")
	for i := range two {
		c := testConfig(t)
		c.Database.URL, c.Data.Shared = url, shared
		two[i] = start(t, c, Options{})
	}
	return two
}

// request asks a server, with a token unless it is "".
func request(t *testing.T, s *Server, method, path, token string, body []byte, header ...string) (*http.Response, string) {
	t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = base(s) + path
	}
	req, err := http.NewRequestWithContext(t.Context(), method, path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return answer(t, http.DefaultClient, req)
}

func TestPostgresReplicas(t *testing.T) {
	t.Parallel()
	pg := postgrestest.Start(t)
	two := replicas(t, pg.Database(t))
	ctx := t.Context()
	token, info, err := two[0].Accounts.Create(ctx, System, account.TokenSpec{Name: "admin", Admin: true})
	if err != nil {
		t.Fatal(err)
	}

	t.Run("one winner of each version", func(t *testing.T) {
		var wg sync.WaitGroup
		won := make([][2]error, 8)
		for v := range won {
			for i, s := range two {
				wg.Go(func() {
					yaml := fmt.Sprintf("name: \"@acme/tool\"\nversion: \"1.%d.0\"\ndescription: from %d\nlicense: MIT\nlanguage: c\ntype: library\n", v, i)
					_, _, won[v][i] = s.Ingest.Publish(ctx, s.Registry, System, []byte(yaml), bytes.NewReader(tarball(t, fmt.Sprint("of ", i))), "application/vnd.clyde.package.source.v1.tar+gzip")
				})
			}
		}
		wg.Wait()
		for v, errs := range won {
			if (errs[0] == nil) == (errs[1] == nil) {
				t.Errorf("version 1.%d.0: %v, %v; want one winner", v, errs[0], errs[1])
				continue
			}
			for _, s := range two { // also what the other stored
				if err := whole(ctx, s.Parts, "acme/tool", fmt.Sprintf("1.%d.0", v)); err != nil {
					t.Errorf("version 1.%d.0: %v", v, err)
				}
			}
		}
		for _, s := range two {
			if p, err := s.DB.Package(ctx, "acme/tool"); err != nil || p.Versions != 8 || p.Latest != "1.7.0" {
				t.Errorf("package %+v, %v; want 8 versions to 1.7.0", p, err)
			}
		}
	})

	t.Run("search of both", func(t *testing.T) {
		for _, s := range two {
			eventually(t, func() string {
				if resp, body := request(t, s, "GET", "/api/v1/search?q=tool", "", nil); !strings.Contains(body, "@acme/tool") {
					return fmt.Sprintf("search = %d %.200s", resp.StatusCode, body)
				}
				return ""
			})
		}
	})

	t.Run("an upload goes from one to the other", func(t *testing.T) {
		content := bytes.Repeat([]byte("0123456789"), 30_000)
		for name, parts := range map[string][][]byte{"in pieces": {content[:100], content[100:200_000], content[200_000:]}, "in one": {content[7:100]}} {
			resp, body := request(t, two[0], "POST", "/v2/acme/tool/blobs/uploads/", token, nil)
			if resp.StatusCode != http.StatusAccepted {
				t.Fatalf("%s: POST = %d %s", name, resp.StatusCode, body)
			}
			for i, part := range parts[:len(parts)-1] {
				resp, body = request(t, two[(i+1)%2], "PATCH", resp.Header.Get("Location"), token, part, "Content-Type", "application/octet-stream")
				if resp.StatusCode != http.StatusAccepted {
					t.Fatalf("%s: PATCH %d = %d %s", name, i, resp.StatusCode, body)
				}
			}
			d := digest.FromBytes(bytes.Join(parts, nil))
			resp, body = request(t, two[1], "PUT", resp.Header.Get("Location")+"&digest="+d.String(), token, parts[len(parts)-1])
			if resp.StatusCode != http.StatusCreated {
				t.Fatalf("%s: PUT = %d %s", name, resp.StatusCode, body)
			}
			for _, s := range two {
				if resp, got := request(t, s, "GET", "/v2/acme/tool/blobs/"+d.String(), token, nil); resp.StatusCode != http.StatusOK || got != string(bytes.Join(parts, nil)) {
					t.Errorf("%s: GET = %d, %d bytes", name, resp.StatusCode, len(got))
				}
			}
		}
	})

	t.Run("events are worked on once", func(t *testing.T) {
		for i := range 60 {
			_, err := two[i%2].DB.PutEvent(ctx, clyde.Event{Source: "test", Action: clyde.ActionPush, Repo: fmt.Sprint("acme/none", i%12), Tag: "1.0.0", Digest: digest.FromString("x").String()})
			if err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, func() string {
			if n, err := two[0].DB.Waiting(ctx); err != nil || n > 0 {
				return fmt.Sprintf("%d events wait, %v", n, err)
			}
			return ""
		})
		items, err := two[0].DB.Inbox(ctx, "", 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range items {
			if it.Event.Source == "test" && it.Attempts != 1 {
				t.Errorf("event %d of %s: attempt %d, %s %s", it.Event.ID, it.Event.Repo, it.Attempts, it.State, it.Reason)
			}
		}
	})

	t.Run("private is private at once", func(t *testing.T) {
		see := func(want int) {
			t.Helper()
			for _, path := range []string{"/v2/acme/tool/manifests/1.0.0", "/api/v1/packages/@acme/tool"} {
				for _, s := range two {
					got, body := request(t, s, "GET", path, "", nil)
					if (got.StatusCode == http.StatusOK) != (want == http.StatusOK) {
						t.Errorf("GET %s = %d %.100s; want %d", path, got.StatusCode, body, want)
					}
				}
			}
		}
		for range 2 {
			see(http.StatusOK)
		}
		for _, private := range []bool{true, false} {
			err := two[0].DB.SaveSetting(ctx, store.Setting{Repo: "acme/tool", Private: private}, store.Change{Type: "package.access", Package: "@acme/tool"}, store.AuditEntry{})
			if err != nil {
				t.Fatal(err)
			}
			if private {
				see(http.StatusNotFound)
			} else {
				see(http.StatusOK)
			}
		}
	})

	t.Run("a revocation counts at once", func(t *testing.T) {
		for range 2 { // the second time from what is remembered
			if resp, body := request(t, two[1], "GET", "/v2/", token, nil); resp.StatusCode != http.StatusOK {
				t.Errorf("the token at the other server: %d %s", resp.StatusCode, body)
			}
		}
		if err := two[0].Accounts.Revoke(ctx, System, info.ID); err != nil {
			t.Fatal(err)
		}
		for _, s := range two {
			if resp, body := request(t, s, "GET", "/v2/", token, nil); resp.StatusCode != http.StatusUnauthorized {
				t.Errorf("the revoked token: %d %s", resp.StatusCode, body)
			}
		}
	})

	t.Run("one log", func(t *testing.T) {
		if r, err := two[1].DB.VerifyAudit(ctx); err != nil || r.Broken != "" || r.Entries == 0 {
			t.Errorf("VerifyAudit = %+v, %v", r, err)
		}
	})
}

// Without the database, what is public is pulled by tag and by digest, and the
// index is read, for as long as an outage of ten minutes and more; what is
// private, or became so at the last moment, is not; afterwards all goes on.
func TestPostgresOutage(t *testing.T) {
	t.Parallel()
	pg := postgrestest.Start(t)
	c := testConfig(t)
	c.Database.URL = pg.Database(t)
	var mu sync.Mutex
	ahead := time.Duration(0)
	s := start(t, c, Options{Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return time.Now().Add(ahead)
	}})
	ctx := t.Context()
	token, _, err := s.Accounts.Create(ctx, System, account.TokenSpec{Name: "admin", Admin: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"open", "cold", "secret", "late"} {
		yaml := fmt.Sprintf("name: \"@acme/%s\"\nversion: 1.0.0\ndescription: A library.\nlicense: MIT\nlanguage: c\ntype: library\n", name)
		if _, _, err := s.Ingest.Publish(ctx, s.Registry, System, []byte(yaml), bytes.NewReader(tarball(t, name)), "application/vnd.clyde.package.source.v1.tar+gzip"); err != nil {
			t.Fatal(err)
		}
	}
	hide := func(repo string) {
		t.Helper()
		err := s.DB.SaveSetting(ctx, store.Setting{Repo: repo, Private: true}, store.Change{Type: "package.access", Package: "@" + repo}, store.AuditEntry{})
		if err != nil {
			t.Fatal(err)
		}
	}
	hide("acme/secret")
	digests := map[string]string{}
	for _, name := range []string{"open", "cold", "secret", "late"} {
		cl, err := s.DB.Claim(ctx, "acme/"+name, "1.0.0")
		if err != nil {
			t.Fatal(err)
		}
		digests[name] = cl.Digest
	}
	config, source := layers(t, s, "acme/cold", digests["cold"])
	index := "/api/v1/index/acme/open.ndjson"
	for _, name := range []string{"open", "late"} {
		if resp, body := request(t, s, "GET", "/api/v1/index/acme/"+name+".ndjson", "", nil); resp.StatusCode != http.StatusOK {
			t.Fatalf("index of %s = %d %s", name, resp.StatusCode, body)
		}
	}
	eventually(t, func() string {
		if !s.DB.Public("acme/open") || !s.DB.Public("acme/late") || s.DB.Public("acme/secret") {
			return "the server does not know what is public"
		}
		return ""
	})
	hide("acme/late")
	eventually(t, func() string {
		if s.DB.Public("acme/late") {
			return "what was made private is taken for public"
		}
		return ""
	})

	pg.Stop(t)
	reachable := []string{
		"/v2/acme/open/manifests/1.0.0", "/v2/acme/open/manifests/" + digests["open"],
		"/v2/acme/cold/manifests/1.0.0", "/v2/acme/cold/blobs/" + config, "/v2/acme/cold/blobs/" + source, index,
	}
	check := func(when string, want bool) {
		t.Helper()
		for _, path := range reachable {
			for _, tok := range []string{"", token} {
				if resp, body := request(t, s, "GET", path, tok, nil); (resp.StatusCode == http.StatusOK) != want {
					t.Errorf("%s: GET %s = %d %.200s", when, path, resp.StatusCode, body)
				}
			}
		}
		for _, path := range []string{
			"/v2/acme/secret/manifests/1.0.0", "/v2/acme/secret/manifests/" + digests["secret"], "/v2/acme/late/manifests/1.0.0",
			"/v2/acme/late/manifests/" + digests["late"], "/api/v1/index/acme/secret.ndjson", "/api/v1/index/acme/late.ndjson",
		} {
			for _, tok := range []string{"", token} {
				if resp, body := request(t, s, "GET", path, tok, nil); resp.StatusCode < 400 || strings.Contains(body, "1.0.0\"") {
					t.Errorf("%s: GET %s = %d %.200s; want nothing of it", when, path, resp.StatusCode, body)
				}
			}
		}
	}
	check("at once", true)
	if resp, body := request(t, s, "GET", "/v2/acme/open/manifests/9.9.9", "", nil); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a version that is not there = %d %s", resp.StatusCode, body)
	}
	if resp, body := request(t, s, "PUT", "/v2/acme/open/manifests/2.0.0", token, []byte("{}")); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a push = %d %s; want 503", resp.StatusCode, body)
	}
	mu.Lock()
	ahead = 10 * time.Minute
	mu.Unlock()
	check("after ten minutes", true)
	mu.Lock()
	ahead = 2 * time.Hour
	mu.Unlock()
	check("after two hours", false)

	pg.Go(t)
	eventually(t, func() string {
		if resp, body := request(t, s, "GET", "/v2/", token, nil); resp.StatusCode != http.StatusOK {
			return fmt.Sprintf("after the outage: %d %s", resp.StatusCode, body)
		}
		return ""
	})
	if err := s.DB.AddNamespace(ctx, "later", "ada"); err != nil {
		t.Errorf("a write after the outage: %v", err)
	}
	eventually(t, func() string {
		if !s.DB.Public("acme/open") {
			return "the server does not know again what is public"
		}
		return ""
	})
}
