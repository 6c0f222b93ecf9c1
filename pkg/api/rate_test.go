package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/api"
)

// clock is a time that only a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// limited serves with limits and a clock.
func limited(t *testing.T, l api.Limits) (*env, *clock) {
	t.Helper()
	c := &clock{at: time.Now()}
	return start(t, func(o *api.Options) { o.Limits, o.Now = l, c.now }), c
}

func TestReadLimit(t *testing.T) {
	t.Parallel()
	e, clk := limited(t, api.Limits{Reads: api.Rate{PerSecond: 0.5, Burst: 3}})
	const path = "/.well-known/clyde/registry.json"
	first := e.get(path)
	if p, r := first.Header.Get("RateLimit-Policy"), first.Header.Get("RateLimit"); p != `"reads";q=3;w=6` || r != `"reads";r=2;t=2` {
		t.Errorf("RateLimit-Policy %s, RateLimit %s", p, r)
	}
	for range 5 { // a 304 costs nothing
		if a := e.get(path, "If-None-Match", first.Header.Get("ETag")); a.StatusCode != 304 {
			t.Fatalf("GET = %d; want 304", a.StatusCode)
		}
	}
	for _, want := range []int{200, 200, 429} {
		if a := e.get(path); a.StatusCode != want {
			t.Fatalf("GET = %d %s; want %d", a.StatusCode, a.body, want)
		}
	}
	over := e.get(path)
	if p := over.problem(t); p.Code != "rate_limited" || over.Header.Get("Retry-After") != "2" || len(p.Fixes) == 0 || over.Header.Get("RateLimit") != `"reads";r=0;t=6` {
		t.Errorf("429 = %s, Retry-After %s, RateLimit %s", over.body, over.Header.Get("Retry-After"), over.Header.Get("RateLimit"))
	}
	if a := e.get("/healthz"); a.StatusCode != 200 {
		t.Errorf("healthz = %d; want 200, whatever the limits", a.StatusCode)
	}
	if a := e.get(path, bearer(e.admin)...); a.StatusCode != 200 {
		t.Errorf("with a token = %d; want 200, for it has a bucket of its own", a.StatusCode)
	}
	clk.advance(2 * time.Second)
	for _, want := range []int{200, 429} {
		if a := e.get(path); a.StatusCode != want {
			t.Errorf("two seconds later = %d; want %d", a.StatusCode, want)
		}
	}
}

func TestFailedAuthenticationLimit(t *testing.T) {
	t.Parallel()
	e, _ := limited(t, api.Limits{FailedAuth: api.Rate{PerSecond: 0.1, Burst: 2}})
	for _, want := range []int{401, 401, 429, 429} {
		if a := e.get("/api/v1/whoami", bearer("clyde_guess")...); a.StatusCode != want {
			t.Errorf("a guess = %d %s; want %d", a.StatusCode, a.body, want)
		}
	}
	if a := e.get("/api/v1/whoami", bearer(e.admin)...); a.StatusCode != 200 {
		t.Errorf("a good token from the same address = %d; want 200", a.StatusCode)
	}
}

func TestWriteLimits(t *testing.T) {
	t.Parallel()
	e, _ := limited(t, api.Limits{NewPackage: api.Rate{PerSecond: 0.1, Burst: 1}, NewVersion: api.Rate{PerSecond: 0.1, Burst: 2}, Yank: api.Rate{PerSecond: 0.1, Burst: 1}})
	tok := e.scoped("ci", "@acme/*", account.Publish, account.PublishNew, account.Yank)
	publish := func(token, name, version string) answer {
		t.Helper()
		b, ct := form(t, []part{{"package.yaml", "", []byte(manifest(name, version))}, {"archive", "", tarball(t, page...)}})
		return e.do("POST", "/api/v1/packages", b, append(bearer(token), "Content-Type", ct)...)
	}
	for _, tt := range []struct {
		name, version string
		want          int
		bucket        string
	}{
		{"@acme/a", "1.0.0", 201, "new-package"},
		{"@acme/b", "1.0.0", 429, "new-package"},
		{"@acme/a", "1.1.0", 201, "new-version"},
		{"@acme/a", "1.2.0", 201, "new-version"},
		{"@acme/a", "1.3.0", 429, "new-version"},
	} {
		a := publish(tok, tt.name, tt.version)
		if a.StatusCode != tt.want || !strings.HasPrefix(a.Header.Get("RateLimit"), fmt.Sprintf("%q", tt.bucket)) {
			t.Errorf("%s %s = %d %s, RateLimit %s; want %d of %s", tt.name, tt.version, a.StatusCode, a.body, a.Header.Get("RateLimit"), tt.want, tt.bucket)
		}
	}
	for i := range 4 { // seeding a registry must not wait
		if a := publish(e.admin, fmt.Sprintf("@acme/seed%d", i), "1.0.0"); a.StatusCode != 201 {
			t.Errorf("by the administrator = %d %s; want 201", a.StatusCode, a.body)
		}
	}
	for _, want := range []int{200, http.StatusTooManyRequests} {
		a := e.do("PATCH", "/api/v1/packages/acme/a/versions/1.0.0", strings.NewReader(`{"yanked":true,"reason":"other"}`), append(bearer(tok), "Content-Type", "application/json")...)
		if a.StatusCode != want {
			t.Errorf("PATCH = %d %s; want %d", a.StatusCode, a.body, want)
		}
	}
}
