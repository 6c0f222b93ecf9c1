package server

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

const (
	flushPulls = 10 * time.Second
	maxPulls   = 10_000 // distinct versions waiting; more flush at once
)

type pull struct{ repo, digest, day string }

// pullCounter gathers raw pulls in memory and writes them in batches. A crash
// loses at most flushPulls of them; a shutdown loses none.
type pullCounter struct {
	db  *store.DB
	log *slog.Logger
	now func() time.Time

	mu     sync.Mutex
	counts map[pull]int64
}

// pulled counts one GET of a manifest.
func (c *pullCounter) pulled(repo, digest, _ string) {
	k := pull{repo, digest, c.now().UTC().Format(time.DateOnly)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[pull]int64{}
	}
	if _, ok := c.counts[k]; ok || len(c.counts) < maxPulls {
		c.counts[k]++
	}
}

func (c *pullCounter) run(ctx context.Context) error {
	t := time.NewTicker(flushPulls)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			c.flush(context.WithoutCancel(ctx))
			return nil
		case <-t.C:
			c.flush(ctx)
		}
	}
}

// flush writes what was counted. Manifests that are no release (signatures,
// say) are not counted.
func (c *pullCounter) flush(ctx context.Context) {
	c.mu.Lock()
	counts := c.counts
	c.counts = nil
	c.mu.Unlock()
	var rows []store.Count
	for k, n := range counts {
		r, err := c.db.ReleaseByDigest(ctx, k.repo, k.digest)
		if errors.Is(err, clyde.ErrNotFound) {
			continue
		}
		if err != nil {
			c.log.ErrorContext(ctx, "pulls: release", "repo", k.repo, "err", err)
			continue
		}
		rows = append(rows, store.Count{Repo: k.repo, Version: r.Version, Day: k.day, Count: n})
	}
	if len(rows) == 0 {
		return
	}
	if err := c.db.AddCounts(ctx, rows); err != nil {
		c.log.ErrorContext(ctx, "pulls: write", "rows", len(rows), "err", err)
	}
}
