package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/config"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/registry"
	"github.com/clydepm/clyde-registry/pkg/registry/s3driver"
)

const (
	// firstLook is how long after the start the first garbage collection and the
	// first scrub begin at the latest: a server that is restarted every night
	// collects too.
	firstLook = time.Hour

	// scrubSource is the source of problems that a scrub found.
	scrubSource = "scrub"

	// maxScrubbed is how many problems of a scrub are looked through, the newest
	// first, for those that are none any more.
	maxScrubbed = 10_000
)

// newMirror returns the registry that damaged blobs are fetched from, or nil.
func newMirror(m config.Mirror) (registry.Mirror, error) {
	if m.URL == "" {
		return nil, nil
	}
	scheme, host, _ := strings.Cut(m.URL, "://")
	o := artifact.ClientOptions{Host: host, Plain: scheme == "http", UserAgent: "clyde-registry"}
	if m.User != "" {
		secret, err := config.Secret("", m.SecretFile)
		if err != nil {
			return nil, fmt.Errorf("registry.mirror.secret_file: %w", err)
		}
		o.Credential = func(context.Context) (string, string, error) { return m.User, secret, nil }
	}
	return artifact.NewClient(o)
}

// newBucket returns where blobs are kept.
func newBucket(c config.S3) (*s3driver.Options, error) {
	o := &s3driver.Options{
		Endpoint: c.Endpoint, Region: c.Region, Bucket: c.Bucket, Prefix: c.Prefix, AccessKey: c.AccessKey, PathStyle: c.PathStyle, Encrypt: c.Encrypt,
	}
	var err error
	if o.SecretKey, err = config.Secret("", c.SecretKeyFile); err != nil {
		return nil, fmt.Errorf("storage.s3.secret_key_file: %w", err)
	}
	return o, nil
}

// keepClean removes garbage every registry.gc_every, from one of the processes
// on a database.
func (s *Server) keepClean(ctx context.Context) error {
	return s.look(ctx, "gc", s.cfg.Registry.GCEvery, func(ctx context.Context) error {
		c, err := s.Registry.Collect(ctx, false)
		if err == nil {
			s.Log.InfoContext(ctx, "garbage collection", "blobs", c.Blobs, "removed", c.Removed, "freed_bytes", c.Freed, "links", c.Links, "unknown", c.Unknown, "took", c.Took)
		}
		return err
	})
}

// keepWhole hashes every blob again every registry.scrub_every, likewise.
func (s *Server) keepWhole(ctx context.Context) error {
	return s.look(ctx, "scrub", s.cfg.Registry.ScrubEvery, func(ctx context.Context) error {
		v, err := s.scrub(ctx, ScrubAll{})
		if c, ok := v.(registry.Scrub); ok && err == nil {
			s.Log.InfoContext(ctx, "scrub", "blobs", c.Blobs, "bytes", c.Bytes, "damaged", len(c.Damages), "healed", c.Healed, "took", c.Took)
		}
		return err
	})
}

// look runs fn every so often in one of the processes on a database, while it
// has the role registry. What fails is logged, and tried again the next time.
func (s *Server) look(ctx context.Context, name string, every time.Duration, fn func(context.Context) error) error {
	if every == 0 || !s.cfg.HasRole("registry") {
		<-ctx.Done()
		return nil
	}
	return s.alone(ctx, name, func(ctx context.Context) error {
		for wait := min(firstLook, every); ; wait = every {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(wait):
			}
			if err := fn(ctx); err != nil && ctx.Err() == nil {
				s.Log.ErrorContext(ctx, "server: look after the storage", "what", name, "err", err)
			}
		}
	})
}

// scrub hashes every blob again. Packages that a damage hits get a problem,
// which goes away with the scrub that finds it healed.
func (p *Parts) scrub(ctx context.Context, a ScrubAll) (any, error) {
	if a.Rate == 0 {
		a.Rate = p.scrubRate
	}
	s, err := p.Registry.Scrub(ctx, registry.ScrubOptions{Rate: a.Rate, DryRun: a.DryRun})
	if err != nil {
		return s, err
	}
	hit := map[string]bool{} // repo@manifest
	for _, d := range s.Damages {
		for _, h := range d.Hits {
			if d.Healed {
				continue
			}
			hit[h.Repo+"@"+h.Manifest] = true
			ev := clyde.Event{Source: scrubSource, Action: clyde.ActionPush, Repo: h.Repo, Digest: h.Manifest, Received: s.Began}
			if len(h.Tags) > 0 {
				ev.Tag = h.Tags[0]
			}
			reason := fmt.Sprintf("%s is %s in the registry's storage; push the same again to heal it", d.Digest, d.Problem)
			if err := p.DB.ParkEvent(ctx, ev, reason); err != nil {
				return s, err
			}
		}
	}
	items, err := p.DB.Inbox(ctx, "parked", 0, maxScrubbed)
	if err != nil {
		return s, err
	}
	for _, it := range slices.Backward(items) {
		if it.Event.Source != scrubSource || hit[it.Event.Repo+"@"+it.Event.Digest] {
			continue
		}
		// Applied again, it is done with.
		if err := p.DB.EventReplay(ctx, it.Event.ID); err != nil && !errors.Is(err, clyde.ErrNotFound) {
			return s, err
		}
	}
	return s, nil
}
