package jobs

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"
)

// Every runs fn until ctx ends and returns nil then: first after a part of
// jitter drawn at random, later every interval and such a part, counted from
// the end of the run before. So fn never runs twice at once, and processes
// that started together do not stay in step. A failure or a panic of fn is
// logged under name and does not end the schedule.
func Every(ctx context.Context, log *slog.Logger, name string, interval, jitter time.Duration, fn func(context.Context) error) error {
	timer := time.NewTimer(part(jitter))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if ctx.Err() != nil {
			return nil // both were ready
		}
		if err := recovered(func() error { return fn(ctx) }); err != nil && ctx.Err() == nil {
			log.ErrorContext(ctx, "jobs: schedule", "name", name, "err", err)
		}
		timer.Reset(interval + part(jitter))
	}
}

func part(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d)
}
