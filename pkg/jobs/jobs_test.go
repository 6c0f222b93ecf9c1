package jobs_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clydepm/clyde-registry/pkg/jobs"
)

var quiet = slog.New(slog.DiscardHandler)

// queue is jobs in memory, with leases as a database has them.
type queue struct {
	mu   sync.Mutex
	rows []*entry
	wake chan struct{}
}

type entry struct {
	id       int64
	attempts int
	due      time.Time
	state    string // "" while waiting
	reason   string
}

func newQueue(n int) *queue {
	q := &queue{wake: make(chan struct{}, 1)}
	for range n {
		q.add()
	}
	return q
}

func (q *queue) add() {
	q.mu.Lock()
	q.rows = append(q.rows, &entry{id: int64(len(q.rows) + 1), due: time.Now()})
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) claim(_ context.Context, n int, lease time.Duration) (js []jobs.Job[string], err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range q.rows {
		if len(js) < n && e.state == "" && !e.due.After(time.Now()) {
			e.attempts++
			e.due = time.Now().Add(lease)
			js = append(js, jobs.Job[string]{ID: e.id, Attempt: e.attempts, Args: "x"})
		}
	}
	return js, nil
}

func (q *queue) end(id int64, state, reason string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rows[id-1].state, q.rows[id-1].reason = state, reason
	return nil
}

func (q *queue) retry(_ context.Context, id int64, d time.Duration, cause string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rows[id-1].due, q.rows[id-1].reason = time.Now().Add(d), cause
	return nil
}

func (q *queue) states() (out []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range q.rows {
		out = append(out, e.state)
	}
	return out
}

func (q *queue) runner(run func(context.Context, jobs.Job[string]) error) jobs.Runner[string] {
	return jobs.Runner[string]{
		Claim: q.claim, Run: run, Retry: q.retry, Wake: q.wake, Log: quiet,
		Done: func(_ context.Context, id int64) error { return q.end(id, "done", "") },
		Park: func(_ context.Context, id int64, why string) error { return q.end(id, "parked", why) },
	}
}

func work(t *testing.T, r jobs.Runner[string], d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := r.Work(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestRetriesThenParks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1)
		runs := 0
		work(t, q.runner(func(context.Context, jobs.Job[string]) error {
			runs++
			return errors.New("registry is down")
		}), 3*time.Hour)
		if runs != jobs.DefaultMaxAttempts {
			t.Errorf("ran %d times; want %d", runs, jobs.DefaultMaxAttempts)
		}
		if e := q.rows[0]; e.state != "parked" || e.reason != "registry is down" {
			t.Errorf("ended %q, %q; want parked, registry is down", e.state, e.reason)
		}
	})
}

func TestHowOneAttemptEnds(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	for _, tt := range []struct {
		name  string
		err   error
		state string
		after time.Duration
	}{
		{"well", nil, "done", 0},
		{"badly", down, "", 2 * time.Second},
		{"for good", jobs.Permanent(down), "parked", 0},
		{"later", jobs.RetryAfter(time.Hour, down), "", time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q := newQueue(1)
				start := time.Now()
				r := q.runner(func(context.Context, jobs.Job[string]) error { return tt.err })
				work(t, r, time.Second/2)
				e := q.rows[0]
				if e.state != tt.state {
					t.Errorf("state = %q; want %q", e.state, tt.state)
				}
				if d := e.due.Sub(start); tt.state == "" && d != tt.after {
					t.Errorf("due after %v; want %v", d, tt.after)
				}
				if tt.err != nil && e.reason != "down" {
					t.Errorf("reason = %q; want down", e.reason)
				}
			})
		})
	}
}

func TestPanicBecomesAnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(2)
		r := q.runner(func(_ context.Context, j jobs.Job[string]) error {
			if j.ID == 1 {
				panic("at the disco")
			}
			return nil
		})
		r.MaxAttempts = 1
		work(t, r, time.Second)
		if got := q.states(); !slices.Equal(got, []string{"parked", "done"}) {
			t.Errorf("states = %q; want parked and done", got)
		}
		if why := q.rows[0].reason; !strings.HasPrefix(why, "panic: at the disco") {
			t.Errorf("reason = %q", why)
		}
	})
}

// A job in one lane that takes for ever holds none of the others.
func TestSlowJobHoldsNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(100)
		start := time.Now()
		var last time.Duration
		r := q.runner(func(ctx context.Context, j jobs.Job[string]) error {
			if j.ID == 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			last = max(last, time.Since(start))
			return nil
		})
		r.Lanes = 2
		work(t, r, time.Minute)
		if n := len(slices.DeleteFunc(q.states(), func(s string) bool { return s != "done" })); n != 99 || last > 0 {
			t.Errorf("%d done, the last after %v; want 99 at once", n, last)
		}
	})
}

func TestWakesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(0)
		var ran time.Time
		r := q.runner(func(context.Context, jobs.Job[string]) error { ran = time.Now(); return nil })
		r.Poll = time.Hour
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = r.Work(ctx) })
		synctest.Wait()
		added := time.Now()
		q.add()
		synctest.Wait()
		if !ran.Equal(added) {
			t.Errorf("ran at %v; want %v", ran, added)
		}
		cancel()
		wg.Wait()
	})
}

// A handler that overstays its lease is not run a second time beside itself.
func TestOverstayedLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1)
		hold := make(chan struct{})
		var runs int
		r := q.runner(func(context.Context, jobs.Job[string]) error { runs++; <-hold; return nil })
		r.Lease = time.Minute
		time.AfterFunc(10*time.Minute, func() { close(hold) })
		work(t, r, time.Hour)
		if runs != 1 || q.rows[0].state != "done" || q.rows[0].attempts < 2 {
			t.Errorf("%d runs, %d leases, state %q; want 1 run, several leases, done", runs, q.rows[0].attempts, q.rows[0].state)
		}
	})
}

// A job that took the process with it every time is parked unrun.
func TestPoison(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1)
		q.rows[0].attempts = jobs.DefaultMaxAttempts
		work(t, q.runner(func(context.Context, jobs.Job[string]) error {
			t.Error("it ran")
			return nil
		}), time.Second)
		if q.rows[0].state != "parked" {
			t.Errorf("state = %q; want parked", q.rows[0].state)
		}
	})
}

func TestStopWaitsForJobsInHand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1)
		start := time.Now()
		work(t, q.runner(func(ctx context.Context, _ jobs.Job[string]) error {
			<-ctx.Done()
			return ctx.Err()
		}), time.Second)
		if d := time.Since(start); d != time.Second+jobs.DefaultGrace {
			t.Errorf("returned after %v; want %v", d, time.Second+jobs.DefaultGrace)
		}
		if e := q.rows[0]; e.state != "" || e.reason == "" {
			t.Errorf("state %q, reason %q; want it to be tried again", e.state, e.reason)
		}
	})
}

func TestClaimFailureIsNotTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1)
		r := q.runner(func(context.Context, jobs.Job[string]) error { return nil })
		fails := 3
		r.Claim = func(ctx context.Context, n int, lease time.Duration) ([]jobs.Job[string], error) {
			if fails--; fails >= 0 {
				return nil, errors.New("database is away")
			}
			return q.claim(ctx, n, lease)
		}
		work(t, r, time.Minute)
		if q.rows[0].state != "done" {
			t.Errorf("state = %q; want done", q.rows[0].state)
		}
	})
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	for attempt, want := range map[int]time.Duration{
		0: 2 * time.Second, 1: 2 * time.Second, 2: 4 * time.Second, 9: 512 * time.Second,
		10: 10 * time.Minute, 1 << 40: 10 * time.Minute,
	} {
		if got := jobs.Backoff(attempt); got != want {
			t.Errorf("Backoff(%d) = %v; want %v", attempt, got, want)
		}
	}
}

func TestEvery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		runs := 0
		err := jobs.Every(ctx, quiet, "sweep", time.Hour, 6*time.Minute, func(context.Context) error {
			runs++
			switch runs {
			case 2:
				return errors.New("away")
			case 3:
				panic("away")
			}
			return nil
		})
		// An hour and up to six minutes between two.
		if err != nil || runs < 22 || runs > 24 {
			t.Errorf("Every: %d runs, %v; want 22 to 24", runs, err)
		}
	})
}
