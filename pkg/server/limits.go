package server

import (
	"context"
	"time"

	"github.com/clydepm/clyde-registry/pkg/store"
)

const (
	// shareEvery is how often processes on one database tell each other what
	// callers took of their limits. Ours: so long may one take of each process
	// what all of them together would not give.
	shareEvery = time.Second

	// idleBucket is after what time without a request a bucket is forgotten: all
	// are full by then, and a day's quota is over.
	idleBucket = 26 * time.Hour

	// purgeBuckets is how often those are looked for.
	purgeBuckets = time.Hour
)

// shareLimits keeps rate limits and quotas one for all processes on a database.
// While it cannot be reached, each goes by its own.
func (s *Server) shareLimits(ctx context.Context) error {
	if !s.DB.Shared() {
		<-ctx.Done()
		return nil
	}
	s.Limits.Share()
	var purged time.Time
	spend := func(ctx context.Context, spent []store.Spent) ([]float64, error) { return s.DB.Spend(ctx, spent) }
	for t := time.NewTicker(shareEvery); ; {
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
		err := s.Limits.Sync(ctx, spend)
		if err == nil {
			err = s.Registry.ShareQuota(ctx, spend)
		}
		if now := s.Now(); err == nil && now.Sub(purged) > purgeBuckets {
			purged = now
			err = s.DB.PurgeBuckets(ctx, now.Add(-idleBucket))
		}
		if err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "limits are not shared", "err", err)
		}
	}
}
