package server

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

// TestHeadersOfEveryAnswer: no answer of any route may be framed, guessed at,
// run as a script or told to other sites.
func TestHeadersOfEveryAnswer(t *testing.T) {
	t.Parallel()
	w := newAuthzWorld(t)
	for _, r := range append(w.allRoutes(), route{"GET", "/a/../b", ""}, route{"GET", "/no/such/page", ""}, route{"GET", "/v2/{namespace}/{name}/blobs/x", ""}) {
		for _, a := range []asker{w.asker("anonymous"), w.asker("owner"), w.asker("owner-session")} {
			if a.session != "" && r.path == "/logout" {
				continue
			}
			h := w.learns(w.request(r, "pub"), a).Header
			csp := h.Get("Content-Security-Policy")
			if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") || runs(csp) ||
				h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") == "" || len(h.Values("Content-Security-Policy")) != 1 {
				t.Errorf("%s %s as %s: %q", r.method, r.path, a.name, h)
			}
		}
	}
}

// runs reports whether a policy lets run anything but the site's own script
// files.
func runs(csp string) bool {
	for d := range strings.SplitSeq(csp, ";") {
		if name, from, _ := strings.Cut(strings.TrimSpace(d), " "); strings.HasPrefix(name, "script-src") && from != "'self'" {
			return true
		}
	}
	return false
}

// TestRefusalsAreLogged: with the level that is set unless another is, the log
// has who was refused and no secret, and not that clients are asked to sign in.
func TestRefusalsAreLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s, err := New(t.Context(), testConfig(t), Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelInfo}))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // it never ran: nothing else writes to the log
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &authzWorld{T: t, s: s}
	const secret = "clyde_nothing"
	log.Reset()
	if got := w.send("GET", "/v2/", asker{}); got.Code != http.StatusUnauthorized || log.Len() > 0 {
		t.Errorf("a client that is asked to sign in: %d, logged %s", got.Code, log.String())
	}
	for _, path := range []string{"/v2/", "/api/v1/whoami"} {
		log.Reset()
		got := w.send("GET", path, asker{token: secret})
		line := log.String()
		if got.Code != http.StatusUnauthorized || !strings.Contains(line, "status=401") || !strings.Contains(line, "from=127.") || strings.Contains(line, secret) {
			t.Errorf("%s with a bad token: %d, logged %q", path, got.Code, line)
		}
	}
}
