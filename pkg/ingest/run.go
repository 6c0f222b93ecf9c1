package ingest

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/jobs"
)

const (
	maxAttempts = 8 // then an event is parked; about four minutes

	keepDone   = 7 * 24 * time.Hour // how long the inbox shows what was done
	purgeEvery = time.Hour

	// The sweep runs about once a day, at no fixed hour, so that registries
	// that were started together do not sweep together.
	sweepEvery  = 22 * time.Hour
	sweepJitter = 4 * time.Hour
)

// Run applies events from the inbox until ctx ends, several at a time, never
// two of one repository at once; it sweeps every night and forgets events that
// were done long ago.
func (in *Ingest) Run(ctx context.Context) error {
	if err := in.bindConfigured(ctx); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return in.runner().Work(ctx) })
	g.Go(func() error {
		return jobs.Every(ctx, in.Log, "ingest: purge the inbox", purgeEvery, purgeEvery, func(ctx context.Context) error {
			before := in.Now().Add(-keepDone)
			_, err := in.DB.PurgeEvents(ctx, before)
			_, err2 := in.DB.PurgeDeliveries(ctx, before)
			return errors.Join(err, err2)
		})
	})
	for _, r := range in.Upstreams.All() {
		g.Go(func() error { return in.RunUpstream(ctx, r) })
	}
	g.Go(func() error {
		return jobs.Every(ctx, in.Log, "ingest: sweep", sweepEvery, sweepJitter, func(ctx context.Context) error {
			_, err := in.DB.Alone(ctx, "sweep", func(ctx context.Context) error {
				rep, err := in.Reconcile(ctx)
				in.Log.InfoContext(ctx, "ingest: swept", "repositories", rep.Repositories, "tags", rep.Tags, "applied", rep.Applied, "failed", rep.Failed)
				return err
			})
			return err
		})
	})
	return g.Wait()
}

// runner is the loop over the inbox.
func (in *Ingest) runner() jobs.Runner[clyde.Event] {
	return jobs.Runner[clyde.Event]{
		Claim: func(ctx context.Context, n int, lease time.Duration) ([]jobs.Job[clyde.Event], error) {
			items, err := in.DB.ClaimEvents(ctx, n, lease)
			out := make([]jobs.Job[clyde.Event], len(items))
			for i, it := range items {
				out[i] = jobs.Job[clyde.Event]{ID: it.Event.ID, Attempt: it.Attempts, Args: it.Event}
			}
			return out, err
		},
		Run: func(ctx context.Context, j jobs.Job[clyde.Event]) error {
			_, err := in.applySafely(ctx, j.Args)
			if err == nil {
				return nil
			}
			in.Log.WarnContext(ctx, "ingest: event", "id", j.ID, "repo", j.Args.Repo, "tag", j.Args.Tag, "attempt", j.Attempt, "err", err)
			if permanent(err) {
				return jobs.Permanent(&spoken{err})
			}
			return &spoken{err}
		},
		Done: in.DB.EventDone, Retry: in.DB.EventRetry, Park: in.DB.EventPark,
		Wake: in.DB.EventsReady(), Log: in.Log, MaxAttempts: maxAttempts,
	}
}

// permanent reports whether no retry can mend err: what was pushed is wrong,
// not the moment.
func permanent(err error) bool {
	for _, kind := range []error{clyde.ErrInvalid, clyde.ErrTooLarge, clyde.ErrConflict, clyde.ErrDenied} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// spoken is an error whose text is what a publisher may read.
type spoken struct{ err error }

func (s *spoken) Error() string { return reason(s.err) }
func (s *spoken) Unwrap() error { return s.err }

// applySafely turns a panic into an error: one poisonous event must not stop
// the others.
func (in *Ingest) applySafely(ctx context.Context, ev clyde.Event) (changed bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			in.Log.ErrorContext(ctx, "ingest: panic", "event", ev.ID, "panic", r, "stack", string(debug.Stack()))
			err = clyde.Errorf(clyde.ErrInvalid, "applying it failed inside the registry (%v)", r).Because(fmt.Errorf("panic: %v", r))
		}
	}()
	return in.apply(ctx, ev)
}

// reason is what a publisher may read.
func reason(err error) string {
	if e := clyde.AsError(err); e != nil {
		return e.Msg
	}
	return "the registry could not read it: " + err.Error()
}
