// Package jobs runs work that must survive a restart. A job is a row somewhere;
// claiming leases it, so that a process that dies gives it back. Handlers must
// be idempotent: a job runs at least once.
package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

// Defaults of a Runner. Ours: an event takes milliseconds, a slow registry
// seconds, and a dead one is asked for about twenty minutes before a person is.
const (
	DefaultLanes       = 4
	DefaultLease       = 2 * time.Minute
	DefaultMaxAttempts = 10
	DefaultPoll        = time.Second
	DefaultGrace       = 20 * time.Second

	firstBackoff = 2 * time.Second
	maxBackoff   = 10 * time.Minute

	// margin is what a handler's time ends before its lease, for the word
	// about its end to arrive: this part of the lease.
	marginPart = 10
)

// ErrPermanent marks a failure that no retry can mend: the job is parked at once.
var ErrPermanent = errors.New("permanent")

// Permanent returns err marked with ErrPermanent; its text stays the same.
func Permanent(err error) error { return &permanent{err} }

type permanent struct{ err error }

func (p *permanent) Error() string   { return p.err.Error() }
func (p *permanent) Unwrap() []error { return []error{p.err, ErrPermanent} }

// RetryAfter returns err with the time after which to try again, in place of
// Backoff's: a registry that said Retry-After, a proof that takes an hour.
func RetryAfter(d time.Duration, err error) error { return &retryAfter{err, d} }

type retryAfter struct {
	err   error
	after time.Duration
}

func (r *retryAfter) Error() string { return r.err.Error() }
func (r *retryAfter) Unwrap() error { return r.err }

// Job is one claimed unit of work.
type Job[T any] struct {
	ID      int64
	Attempt int // 1 for the first run
	Args    T
}

// Runner claims jobs and runs them in several lanes, so that a slow one holds
// nobody up but its own lane. Fields without a default must be set.
type Runner[T any] struct {
	// Claim leases up to n due jobs and returns them, none when none is due.
	Claim func(ctx context.Context, n int, lease time.Duration) ([]Job[T], error)
	// Run does the work. Its context ends before the lease does.
	Run func(ctx context.Context, j Job[T]) error
	// Done, Retry and Park record how a job ended: well, to be tried again
	// after a while, or given to a person with the reason.
	Done  func(ctx context.Context, id int64) error
	Retry func(ctx context.Context, id int64, after time.Duration, cause string) error
	Park  func(ctx context.Context, id int64, reason string) error

	// Wake is signalled when there may be work; nil: polling alone finds it.
	Wake <-chan struct{}

	Log         *slog.Logger                    // nil: slog.Default
	Backoff     func(attempt int) time.Duration // nil: Backoff
	Lanes       int                             // jobs at once; 0: DefaultLanes
	Lease       time.Duration                   // 0: DefaultLease
	Poll        time.Duration                   // between claims when nothing wakes; 0: DefaultPoll
	MaxAttempts int                             // then the job is parked; 0: DefaultMaxAttempts
	Grace       time.Duration                   // for jobs in hand when the work ends; 0: DefaultGrace
}

func (r Runner[T]) withDefaults() Runner[T] {
	if r.Log == nil {
		r.Log = slog.Default()
	}
	if r.Backoff == nil {
		r.Backoff = Backoff
	}
	r.Lanes = or(r.Lanes, DefaultLanes)
	r.Lease = or(r.Lease, DefaultLease)
	r.Poll = or(r.Poll, DefaultPoll)
	r.MaxAttempts = or(r.MaxAttempts, DefaultMaxAttempts)
	r.Grace = or(r.Grace, DefaultGrace)
	return r
}

func or[N int | time.Duration](n, def N) N {
	if n <= 0 {
		return def
	}
	return n
}

// Backoff is 2 s after the first attempt, doubling to at most 10 min.
func Backoff(attempt int) time.Duration {
	return min(firstBackoff<<min(max(attempt-1, 0), 20), maxBackoff)
}

// Work runs jobs until ctx ends, then waits for those in hand, whose context
// ends after Grace, and returns nil.
func (r Runner[T]) Work(ctx context.Context) error {
	w := &worker[T]{
		Runner: r.withDefaults(),
		freed:  make(chan struct{}, 1),
		inHand: make(map[int64]bool),
	}
	// Jobs in hand outlive ctx by Grace.
	jobCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	for ctx.Err() == nil {
		w.claim(ctx, jobCtx)
		w.wait(ctx)
	}
	grace := time.AfterFunc(w.Grace, cancel)
	defer grace.Stop()
	w.lanes.Wait()
	return nil
}

// worker is a Runner at work.
type worker[T any] struct {
	Runner[T]
	lanes sync.WaitGroup
	freed chan struct{} // capacity 1: a lane became free

	mu     sync.Mutex
	inHand map[int64]bool // by Job.ID
}

// claim fills the free lanes with what is due.
func (w *worker[T]) claim(ctx, jobCtx context.Context) {
	w.mu.Lock()
	free := w.Lanes - len(w.inHand)
	w.mu.Unlock()
	if free == 0 {
		return
	}
	js, err := w.Claim(ctx, free, w.Lease)
	if err != nil {
		if ctx.Err() == nil {
			w.Log.ErrorContext(ctx, "jobs: claim", "err", err)
		}
		return
	}
	for _, j := range js {
		w.mu.Lock()
		again := w.inHand[j.ID]
		w.inHand[j.ID] = true
		w.mu.Unlock()
		if again {
			// Its handler overstayed the lease and does not heed its context.
			// The new lease is its as well.
			w.Log.WarnContext(ctx, "jobs: still running after its lease", "id", j.ID)
			continue
		}
		w.lanes.Go(func() {
			w.finish(jobCtx, j)
			w.mu.Lock()
			delete(w.inHand, j.ID)
			w.mu.Unlock()
			select {
			case w.freed <- struct{}{}:
			default:
			}
		})
	}
}

// wait returns when it is worth looking for work again.
func (w *worker[T]) wait(ctx context.Context) {
	poll := time.NewTimer(w.Poll)
	defer poll.Stop()
	select {
	case <-ctx.Done():
	case <-w.freed:
	case _, open := <-w.Wake:
		if !open {
			w.Wake = nil // polling goes on
		}
	case <-poll.C:
	}
}

// finish runs the job and records how it ended.
func (w *worker[T]) finish(ctx context.Context, j Job[T]) {
	err := w.attempt(ctx, j)
	// The record must be made even when the work was called off.
	ctx = context.WithoutCancel(ctx)
	var after *retryAfter
	switch {
	case err == nil:
		err = w.Done(ctx, j.ID)
	case errors.Is(err, ErrPermanent) || j.Attempt >= w.MaxAttempts:
		w.Log.ErrorContext(ctx, "jobs: parked", "id", j.ID, "attempt", j.Attempt, "err", err)
		err = w.Park(ctx, j.ID, err.Error())
	case errors.As(err, &after):
		w.Log.InfoContext(ctx, "jobs: later", "id", j.ID, "attempt", j.Attempt, "after", after.after, "err", err)
		err = w.Retry(ctx, j.ID, after.after, err.Error())
	default:
		d := w.Backoff(j.Attempt)
		w.Log.WarnContext(ctx, "jobs: retry", "id", j.ID, "attempt", j.Attempt, "after", d, "err", err)
		err = w.Retry(ctx, j.ID, d, err.Error())
	}
	if err != nil {
		// The lease will pass, and the job run again.
		w.Log.ErrorContext(ctx, "jobs: record", "id", j.ID, "err", err)
	}
}

// attempt runs the job within its lease.
func (w *worker[T]) attempt(ctx context.Context, j Job[T]) error {
	if j.Attempt > w.MaxAttempts {
		// Nobody said how the last attempt ended: it took the process with it.
		return Permanent(fmt.Errorf("given up after %d attempts, the last of which never ended", j.Attempt-1))
	}
	ctx, cancel := context.WithTimeout(ctx, w.Lease-w.Lease/marginPart)
	defer cancel()
	return recovered(func() error { return w.Run(ctx, j) })
}

// recovered runs fn and turns a panic into an error.
func recovered(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return fn()
}
