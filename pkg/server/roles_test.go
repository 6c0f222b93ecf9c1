package server

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/internal/postgrestest"
	"github.com/clydepm/clyde-registry/internal/registrytest"
	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/artifact"
)

// A process for each role, on one database and one directory of packages: what
// is pushed at one is applied by another and found at a third, and each answers
// for what it is there for alone.
func TestPostgresSplitRoles(t *testing.T) {
	t.Parallel()
	pg := postgrestest.Start(t)
	url, shared := pg.Database(t), filepath.Join(t.TempDir(), "shared")
	by := map[string]*Server{}
	for _, role := range []string{"registry", "api", "web", "indexer"} {
		c := testConfig(t)
		c.Database.URL, c.Data.Shared, c.Roles = url, shared, []string{role}
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		by[role] = start(t, c, Options{})
	}
	token, _, err := by["api"].Accounts.Create(t.Context(), System, account.TokenSpec{Name: "admin", Admin: true})
	if err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(base(by["registry"]), "http://")
	client, err := artifact.NewClient(artifact.ClientOptions{Host: host, Plain: true, Credential: func(context.Context) (string, string, error) { return "admin", token, nil }})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Push(t.Context(), "acme/zlib", registrytest.Pack(t, "acme/zlib", "1.3.1"), []string{"1.3.1"}, nil); err != nil {
		t.Fatal(err)
	}
	foundSoon(t, "the package at api", func() bool { return finds(t, by["api"], "zlib", "@acme/zlib") })

	served := map[string]string{
		"registry": "/v2/acme/zlib/manifests/1.3.1", "api": "/api/v1/packages/@acme/zlib", "web": "/packages/acme/zlib",
	}
	for role, s := range by {
		for of, path := range served {
			want := http.StatusNotFound
			if of == role {
				want = http.StatusOK
			}
			resp, body := request(t, s, "GET", path, "", nil)
			if resp.StatusCode != want || want != http.StatusOK && !strings.Contains(body, "does not have the role "+of) {
				t.Errorf("GET %s of the process %s = %d %.200s", path, role, resp.StatusCode, body)
			}
		}
		for _, path := range []string{"/healthz", "/readyz"} {
			if resp, body := request(t, s, "GET", path, "", nil); resp.StatusCode != http.StatusOK {
				t.Errorf("GET %s of the process %s = %d %s", path, role, resp.StatusCode, body)
			}
		}
	}
	// A version that is published through the API is stored where the registry serves it.
	yaml := registrytest.YAML("acme/fmt", "2.0.0")
	if _, _, err := by["api"].Ingest.Publish(t.Context(), by["api"].Registry, System, []byte(yaml), strings.NewReader(string(tarball(t, "fmt"))), "application/vnd.clyde.package.source.v1.tar+gzip"); err != nil {
		t.Fatal(err)
	}
	if resp, body := request(t, by["registry"], "GET", "/v2/acme/fmt/manifests/2.0.0", "", nil); resp.StatusCode != http.StatusOK {
		t.Errorf("what was published at api, at registry = %d %s", resp.StatusCode, body)
	}
	foundSoon(t, "the second package at web", func() bool {
		resp, body := request(t, by["web"], "GET", "/search?q=fmt", "", nil)
		return resp.StatusCode == http.StatusOK && strings.Contains(body, "@acme/fmt")
	})
}
