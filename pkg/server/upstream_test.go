package server

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/config"
	"github.com/clydepm/clyde-registry/internal/registrytest"
	"github.com/clydepm/clyde-registry/pkg/store"
)

const eventSecret = "Bearer 0123456789abcdef"

// sidecar is a server without a registry of its own, beside reg.
func sidecar(t *testing.T, reg *registrytest.Server, change func(*config.Upstream)) *Server {
	t.Helper()
	c := testConfig(t)
	c.Roles = config.SidecarRoles
	u := config.Upstream{
		Name: "main", URL: "http://" + reg.Host, Namespaces: []string{"acme"}, Events: "distribution", Secret: eventSecret,
		RequestsPerSecond: 1000, SweepEvery: time.Hour,
	}
	if change != nil {
		change(&u)
	}
	c.Registries = []config.Upstream{u}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	return start(t, c, Options{})
}

// foundSoon waits until something holds.
func foundSoon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	eventually(t, func() string {
		if ok() {
			return ""
		}
		return what + " did not come"
	})
}

// finds reports whether anybody's search for q finds the package.
func finds(t *testing.T, s *Server, q, name string) bool {
	t.Helper()
	resp, body := get(t, http.DefaultClient, base(s)+"/api/v1/search?q="+q)
	return resp.StatusCode == http.StatusOK && strings.Contains(body, `"`+name+`"`)
}

// What is pushed to a plain distribution is found in seconds by its
// notification, and without any by the sweep.
func TestSidecar(t *testing.T) {
	t.Parallel()
	reg := registrytest.Listen(t)
	reg.Distribution(t) // it tells nobody
	reg.Push(t, "", "acme/zlib", "1.0.0")
	s := sidecar(t, reg, nil)
	foundSoon(t, "the sweep", func() bool { return finds(t, s, "zlib", "@acme/zlib") })

	told := registrytest.Listen(t)
	s = sidecar(t, told, nil)
	told.Distribution(t, base(s)+"/api/v1/events/main", eventSecret)
	began := time.Now()
	d := told.Push(t, "", "acme/fmt", "2.0.0")
	foundSoon(t, "the notification", func() bool { return finds(t, s, "fmt", "@acme/fmt") })
	t.Logf("found %s after the push", time.Since(began).Round(time.Millisecond))
	if _, body := get(t, http.DefaultClient, base(s)+"/api/v1/packages/acme/fmt/versions/2.0.0"); !strings.Contains(body, told.Host+"/acme/fmt@"+d.String()) {
		t.Errorf("the reference is not of the registry: %s", body)
	}
	if resp, body := get(t, http.DefaultClient, base(s)+"/v2/acme/fmt/tags/list"); resp.StatusCode != http.StatusNotFound || !strings.Contains(body, "no registry of its own") {
		t.Errorf("/v2/: %s %s", resp.Status, body)
	}
	if _, body := get(t, http.DefaultClient, base(s)+"/.well-known/clyde/registry.json"); !strings.Contains(body, `"acme":"http://`+told.Host+`"`) {
		t.Errorf("well-known: %s", body)
	}
}

// What cannot be taken is said where its publisher looks, and to nobody who may
// not see the package.
func TestSidecarSaysWhyNot(t *testing.T) {
	t.Parallel()
	reg := registrytest.Listen(t).GGCR(true)
	reg.Push(t, "", "acme/zlib", "1.0.0")
	reg.Push(t, "acme/other", "acme/fmt", "1.0.0") // its name is not its repository's
	s := sidecar(t, reg, nil)
	foundSoon(t, "the reason", func() bool {
		_, body := get(t, http.DefaultClient, base(s)+"/api/v1/packages/acme/other/problems")
		return strings.Contains(body, "acme/fmt")
	})
	resp, body := get(t, http.DefaultClient, base(s)+"/packages/acme/other")
	if resp.StatusCode != http.StatusNotFound || !strings.Contains(body, "Problems") || !strings.Contains(body, "acme/fmt") {
		t.Errorf("the page: %s %s", resp.Status, body)
	}
	foundSoon(t, "the sweep", func() bool { return finds(t, s, "zlib", "@acme/zlib") })
	if _, body := get(t, http.DefaultClient, base(s)+"/api/v1/packages/acme/zlib/problems"); !strings.Contains(body, `"items":[]`) {
		t.Errorf("of one that is well: %s", body)
	}
	if resp, _ := get(t, http.DefaultClient, base(s)+"/api/v1/packages/acme/none/problems"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("of one that is not: %s", resp.Status)
	}
	if _, err := s.DB.SaveUpstreamRepo(t.Context(), store.UpstreamRepo{Repo: "acme/other", Host: reg.Host, Hidden: true}); err != nil {
		t.Fatal(err)
	}
	if resp, body := get(t, http.DefaultClient, base(s)+"/api/v1/packages/acme/other/problems"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("of one that is hidden: %s %s", resp.Status, body)
	}
}
