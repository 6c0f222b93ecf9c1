package server

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/clydepm/clyde-registry/config"
	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/api"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/limits"
	"github.com/clydepm/clyde-registry/pkg/store"
	"github.com/clydepm/clyde-registry/pkg/web"
)

// apiBurst is how many seconds' worth of requests may come at once.
const apiBurst = 10

// keys is the public keys of namespaces, as the API wants them.
type keys struct{ p *Parts }

func (k keys) Keys(ctx context.Context, namespace string) ([]store.Key, error) {
	return k.p.DB.Keys(ctx, namespace)
}

func (k keys) AddKey(ctx context.Context, by account.Principal, namespace, name, pem string) (store.Key, error) {
	return k.p.AddKey(ctx, by, KeyAdd{Namespace: namespace, Name: name, PEM: pem})
}

func (k keys) RevokeKey(ctx context.Context, by account.Principal, namespace, fingerprint string) error {
	return k.p.RevokeKey(ctx, by, KeyRevoke{Namespace: namespace, Fingerprint: fingerprint})
}

// rate is a limit of n requests a second; 0 is none.
func rate(n float64) api.Rate { return api.Rate{PerSecond: n, Burst: max(int(n*apiBurst), 1)} }

// unlimited is more than a server of ours can answer in a second.
const unlimited = 1e9

// newLimits counts how often somebody may do what costs or annoys others. What
// writes_per_second says holds for all writes, beside the limits of their own.
func newLimits(cfg config.Config, now func() time.Time) *api.Buckets {
	l, writes := cfg.Limits, rate(cfg.API.WritesPerSecond)
	own := func(r limits.Rate) limits.Rate { // the stricter one
		if r.PerSecond == 0 || writes.PerSecond > 0 && writes.PerSecond < r.PerSecond {
			return writes
		}
		return r
	}
	orNone := func(n int, per time.Duration) limits.Rate {
		if n == 0 {
			return limits.Rate{PerSecond: unlimited, Burst: unlimited} // the API's zero is its default
		}
		return limits.Per(n, per)
	}
	return api.NewBuckets(api.Limits{
		Reads: rate(cfg.API.ReadsPerSecond), Search: limits.Per(l.Searches, time.Minute), AnonymousPull: limits.Per(l.AnonymousPulls, time.Minute),
		NewPackage: own(limits.Per(l.NewPackages, time.Hour)), NewVersion: own(limits.Per(l.NewVersions, time.Hour)),
		Yank: own(limits.Per(l.Yanks, time.Hour)), Manage: writes, Reports: orNone(l.Reports, time.Hour), Resolve: orNone(l.Resolutions, time.Minute),
	}, now)
}

// api answers the addresses of programs.
func (s *Server) api(pages *web.Web) (http.Handler, error) {
	var leaks *account.LeakKeys
	if u := s.cfg.API.SecretScanningKeys; u != "" {
		leaks = account.NewLeakKeys(u, s.egress, s.Now)
	}
	return api.New(api.Options{
		LeakKeys: leaks,
		Catalog:  s.Catalog, Accounts: s.Accounts, Keys: keys{s.Parts}, Signing: policies{s.Parts}, Trusted: s.Trusted, Linked: s.Linked, Idempotent: s.DB.Idempotent, Moderator: s.Moderator, Buckets: s.Limits, Asset: pages.Asset, Vouched: pages.Vouched,
		Publish: func(ctx context.Context, p account.Principal, manifest []byte, archive io.Reader, mediaType string) (clyde.Name, string, error) {
			if !s.cfg.HasRegistry() {
				return clyde.Name{}, "", errNoRegistry()
			}
			return s.Ingest.Publish(ctx, s.Registry, p, manifest, archive, mediaType)
		},
		Ready: func(ctx context.Context) error {
			if _, err := s.DB.Epoch(ctx); err != nil {
				return clyde.Errorf(clyde.ErrUnavailable, "the database does not answer").WithCode("database_unavailable").Because(err)
			}
			if !s.indexed.Load() {
				return clyde.Errorf(clyde.ErrUnavailable, "the search index is being built").WithCode("index_pending").Fix("Try again in a moment.")
			}
			return nil
		},
		Homes: s.homes.visible, PublicURL: s.publicURL, Log: s.Log, Now: s.Now,
	})
}
