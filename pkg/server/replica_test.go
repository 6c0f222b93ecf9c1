package server

import (
	"bytes"
	"context"
	"fmt"
	"io"
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
const soon = 20 * time.Second

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
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
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
