package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/internal/meilitest"
)

// publishAs publishes a version as the server's own account.
func publishAs(t *testing.T, s *Server, name, version string) {
	t.Helper()
	yaml := fmt.Sprintf("name: %q\nversion: %q\ndescription: reads lexemes\nlicense: MIT\nlanguage: c\ntype: library\n", name, version)
	_, _, err := s.Ingest.Publish(t.Context(), s.Registry, System, []byte(yaml), strings.NewReader(string(tarball(t, name+version))), "application/vnd.clyde.package.source.v1.tar+gzip")
	if err != nil {
		t.Fatalf("Publish(%s, %s): %v", name, version, err)
	}
}

// searchSays waits until a search says all of want.
func searchSays(t *testing.T, s *Server, query string, want ...string) {
	t.Helper()
	eventually(t, func() string {
		resp, body := request(t, s, "GET", "/api/v1/search?q="+query, "", nil)
		for _, w := range want {
			if resp.StatusCode != http.StatusOK || !strings.Contains(body, w) {
				return fmt.Sprintf("search %s = %d %.300s; want %s", query, resp.StatusCode, body, w)
			}
		}
		return ""
	})
}

// With Meilisearch away, packages are published and pulled as ever, and found by
// name with a word about it; when it is back, it catches up alone, also when it
// has lost all it had.
func TestMeilisearchComesAndGoes(t *testing.T) {
	t.Parallel()
	m := meilitest.Start(t)
	c := testConfig(t)
	c.Search.Engine, c.Search.URL = "meilisearch", m.URL
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	s := start(t, c, Options{})
	publishAs(t, s, "@acme/lexer", "1.0.0")
	searchSays(t, s, "lexemes", `"total":1`, "@acme/lexer")
	searchSays(t, s, "lexer", `"total":1`)

	m.Stop()
	publishAs(t, s, "@acme/lexicon", "1.0.0") // is not held up
	if resp, body := request(t, s, "GET", "/api/v1/packages/acme/lexicon", "", nil); resp.StatusCode != http.StatusOK {
		t.Errorf("a package while search is away = %d %s", resp.StatusCode, body)
	}
	if resp, body := request(t, s, "GET", "/v2/acme/lexicon/manifests/1.0.0", "", nil); resp.StatusCode != http.StatusOK {
		t.Errorf("a pull while search is away = %d %s", resp.StatusCode, body)
	}
	searchSays(t, s, "lex", `"total":2`, "@acme/lexer", "@acme/lexicon", "Search does not answer")
	searchSays(t, s, "@acme/lexicon", `"total":1`, "Search does not answer")
	if resp, body := request(t, s, "GET", "/api/v1/suggest?q=lexi", "", nil); resp.StatusCode != http.StatusOK || !strings.Contains(body, "@acme/lexicon") {
		t.Errorf("suggest while search is away = %d %s", resp.StatusCode, body)
	}
	if resp, _ := request(t, s, "GET", "/readyz", "", nil); resp.StatusCode != http.StatusOK {
		t.Errorf("readyz while search is away = %d", resp.StatusCode)
	}
	if resp, body := request(t, s, "GET", "/", "", nil); resp.StatusCode != http.StatusOK {
		t.Errorf("home while search is away = %d %.200s", resp.StatusCode, body)
	}

	m.Run()
	searchSays(t, s, "lexemes", `"total":2`, "@acme/lexicon")
	m.Wipe()
	searchSays(t, s, "lexemes", `"total":2`)
	eventually(t, func() string {
		if n := m.Documents("packages_next"); n != -1 {
			return fmt.Sprintf("a rebuild left its old index, with %d documents", n)
		}
		return ""
	})
}
