package ingest

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

const (
	lanes       = 4               // events applied at once; a slow one holds only its own lane
	eventLease  = 2 * time.Minute // after which another worker may take an event over
	pollEvery   = time.Second     // fallback for a lost wake-up
	maxAttempts = 8               // then the event is parked
)

// Run applies events from the inbox until ctx ends, several at a time, never
// two of one repository at once.
func (in *Ingest) Run(ctx context.Context) error {
	work := make(chan store.InboxItem)
	free := make(chan struct{}, lanes) // a token a lane that waits for work
	done := make(chan struct{}, 1)     // an event ended: what waited for its repository may be due
	var wg sync.WaitGroup
	for range lanes {
		free <- struct{}{}
		wg.Go(func() {
			for it := range work {
				in.finish(context.WithoutCancel(ctx), it)
				free <- struct{}{}
				select {
				case done <- struct{}{}:
				default:
				}
			}
		})
	}
	defer wg.Wait()
	defer close(work)
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-free:
		}
		items, err := in.DB.ClaimEvents(ctx, 1, eventLease)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			in.Log.ErrorContext(ctx, "ingest: claim", "err", err)
		case len(items) == 1:
			work <- items[0]
			continue
		}
		free <- struct{}{}
		select {
		case <-ctx.Done():
			return nil
		case <-in.DB.EventsReady():
		case <-done:
		case <-tick.C:
		}
	}
}

// finish applies one event and writes down how that ended.
func (in *Ingest) finish(ctx context.Context, it store.InboxItem) {
	ctx, cancel := context.WithTimeout(ctx, eventLease-10*time.Second)
	defer cancel()
	id := it.Event.ID
	err := in.applySafely(ctx, it.Event)
	end := context.WithoutCancel(ctx)
	switch {
	case err == nil:
		err = in.DB.EventDone(end, id)
	case errors.Is(err, clyde.ErrInvalid) || it.Attempts >= maxAttempts:
		in.Log.ErrorContext(ctx, "ingest: parked", "event", id, "repo", it.Event.Repo, "tag", it.Event.Tag, "err", err)
		err = in.DB.EventPark(end, id, reason(err))
	default:
		in.Log.WarnContext(ctx, "ingest: retry", "event", id, "repo", it.Event.Repo, "attempt", it.Attempts, "err", err)
		err = in.DB.EventRetry(end, id, backoff(it.Attempts), err.Error())
	}
	if err != nil {
		in.Log.ErrorContext(ctx, "ingest: finish", "event", id, "err", err)
	}
}

// applySafely turns a panic into an error: one poisonous event must not stop
// the others.
func (in *Ingest) applySafely(ctx context.Context, ev clyde.Event) (err error) {
	defer func() {
		if r := recover(); r != nil {
			in.Log.ErrorContext(ctx, "ingest: panic", "event", ev.ID, "panic", r, "stack", string(debug.Stack()))
			err = clyde.Errorf(clyde.ErrInvalid, "applying it failed inside the registry (%v)", r).Because(fmt.Errorf("panic: %v", r))
		}
	}()
	return in.Apply(ctx, ev)
}

// reason is what a publisher may read.
func reason(err error) string {
	if e := clyde.AsError(err); e != nil {
		return e.Msg
	}
	return err.Error()
}

// backoff is 2 s after the first attempt, doubling to at most 10 min.
func backoff(attempt int) time.Duration {
	return min(time.Second<<min(max(attempt, 1), 20), 10*time.Minute)
}
