package server

import (
	"context"
	"time"
)

// firstGC is how long after the start the first garbage collection begins at
// the latest: a server that is restarted every night collects too.
const firstGC = time.Hour

// keepClean removes garbage every registry.gc_every, from one of the processes
// on a database.
func (s *Server) keepClean(ctx context.Context) error {
	every := s.cfg.Registry.GCEvery
	if every == 0 || !s.cfg.HasRole("registry") {
		<-ctx.Done()
		return nil
	}
	return s.alone(ctx, "gc", func(ctx context.Context) error {
		for wait := min(firstGC, every); ; wait = every {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(wait):
			}
			c, err := s.Registry.Collect(ctx, false)
			switch {
			case ctx.Err() != nil:
				return nil
			case err != nil: // tried again at the next time
				s.Log.ErrorContext(ctx, "garbage collection", "err", err)
			default:
				s.Log.InfoContext(ctx, "garbage collection", "blobs", c.Blobs, "removed", c.Removed, "freed_bytes", c.Freed, "links", c.Links, "unknown", c.Unknown, "took", c.Took)
			}
		}
	})
}
