package server

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/registry"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// What comes through the door is classed, and addresses count as subscribers.
func TestPulled(t *testing.T) {
	t.Parallel()
	// Who pulls twice in a day counts once: all of this is at one noon.
	began := time.Now()
	noon := began.UTC().Truncate(24 * time.Hour).Add(12 * time.Hour)
	s := start(t, testConfig(t), Options{Now: func() time.Time { return noon.Add(time.Since(began)) }})
	ctx := t.Context()
	const repo, digest = "acme/zlib", "sha256:aa"
	err := s.DB.SaveRelease(ctx, store.Package{Repo: repo, Latest: "1.0.0"},
		store.Release{Repo: repo, VersionKey: "1.0.0", Version: "1.0.0", Digest: digest, State: "visible", Signed: "unsigned"}, nil, store.Change{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []registry.Pull{
		{Address: "192.0.2.1:1", UserAgent: "clyde/1 (linux; amd64)"},
		{Address: "192.0.2.1:2", UserAgent: "clyde/1 (linux; amd64)"}, // again
		{Address: "192.0.2.2:1", UserAgent: "clyde/1 (linux; amd64)"},
		{Address: "[2001:db8::1]:1", UserAgent: "oras/1.2"},
		{Address: "[2001:db8::2]:1", UserAgent: "oras/1.2"}, // of one /64
		{Address: "192.0.2.1:1", UserAgent: "clyde/1 (linux; amd64; ci)"},
		{Address: "192.0.2.3:1", UserAgent: "oras/1.2", CI: true},
		{Address: "192.0.2.4:1", UserAgent: "Googlebot/2.1"},
	} {
		p.Repo, p.Digest = repo, digest
		s.pulled(p)
	}
	if err := s.pulls.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := s.DB.Totals(ctx, repo, ""); err != nil || got != (store.Totals{People: 3, CI: 2, Robots: 1, Raw: 8}) {
		t.Errorf("Totals = %+v, %v", got, err)
	}
	// The method stands where the number links to.
	if resp, body := get(t, http.DefaultClient, base(s)+"/about"); resp.StatusCode != 200 || !strings.Contains(body, `id="downloads"`) {
		t.Errorf("/about: %d, and no word about how pulls are counted", resp.StatusCode)
	}
}
