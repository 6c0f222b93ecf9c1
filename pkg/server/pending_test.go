package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/internal/postgrestest"
	"github.com/clydepm/clyde-registry/internal/registrytest"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

// pendingSeen is how long it may take until a server hears that another let a
// version be seen. Ours: what somebody who published waits for.
const pendingSeen = 10 * time.Second

// A policy that is set at one server holds what comes to another, and what is
// let go at one is seen at the other, by tag, in the API and in the search.
func TestPostgresPendingAtReplicas(t *testing.T) {
	t.Parallel()
	pg := postgrestest.Start(t)
	two := replicas(t, pg.Database(t))
	publish := func(s *Server, version string) {
		t.Helper()
		yaml := registrytest.YAML("acme/zlib", version)
		if _, _, err := s.Ingest.Publish(t.Context(), s.Registry, System, []byte(yaml), strings.NewReader(string(tarball(t, version))), "application/vnd.clyde.package.source.v1.tar+gzip"); err != nil {
			t.Fatal(err)
		}
	}
	// shown is what is wrong where everybody should see version 2.0.0, or nobody.
	shown := func(s *Server, want int) string {
		for _, path := range []string{"/api/v1/packages/@acme/zlib/versions/2.0.0", "/v2/acme/zlib/manifests/2.0.0"} {
			resp, body := request(t, s, "GET", path, "", nil)
			status := resp.StatusCode
			if status == http.StatusUnauthorized { // asks an OCI client for its credentials
				status = http.StatusNotFound
			}
			if status != want {
				return fmt.Sprintf("GET %s = %d %.200s; want %d", path, resp.StatusCode, body, want)
			}
		}
		_, tags := request(t, s, "GET", "/v2/acme/zlib/tags/list", "", nil)
		_, index := request(t, s, "GET", "/api/v1/index/acme/zlib.ndjson", "", nil)
		for what, body := range map[string]string{"tags": tags, "index": index} {
			if has := strings.Contains(body, `"2.0.0"`); has != (want == http.StatusOK) {
				return fmt.Sprintf("%s have it: %t; want status %d: %.300s", what, has, want, body)
			}
		}
		return ""
	}
	publish(two[0], "1.0.0")
	_, public, err := signing.GenerateKeyPair(nil)
	if err != nil {
		t.Fatal(err)
	}
	text := "apiVersion: clyde.dev/v1\nkind: VerificationPolicy\npolicies:\n  - name: acme\n    packages: [\"acme/*\"]\n    authorities:\n      - name: team\n        key:\n          data: |\n            " +
		strings.ReplaceAll(strings.TrimSpace(string(public)), "\n", "\n            ") + "\n"
	if _, err := two[0].SetSigningPolicy(t.Context(), System, PolicySet{Namespace: "acme", Policy: text}); err != nil {
		t.Fatal(err)
	}
	publish(two[1], "2.0.0")
	for i, s := range two {
		if wrong := shown(s, http.StatusNotFound); wrong != "" {
			t.Errorf("while it waits, at server %d: %s", i, wrong)
		}
	}
	if _, err := two[0].SetSigningPolicy(t.Context(), System, PolicySet{Namespace: "acme"}); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for _, s := range two {
		eventually(t, func() string { return shown(s, http.StatusOK) })
	}
	took := time.Since(start)
	t.Logf("seen at both after %s", took)
	if took > pendingSeen {
		t.Errorf("seen at both after %s; want at most %s", took, pendingSeen)
	}
}
