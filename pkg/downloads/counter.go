package downloads

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/jobs"
	"github.com/clydepm/clyde-registry/pkg/store"
)

const (
	flushEvery = 10 * time.Second
	maxSums    = 10_000 // different sums of a batch; more are written at once
	keepDays   = 400    // as days; older ones become months. A year can be asked for
	rollEvery  = 24 * time.Hour
	rollJitter = time.Hour
	tellEvery  = time.Hour // that what was pulled is told to the search, which has the numbers
)

// DB is what a Counter needs of the store.
type DB interface {
	ReleaseByDigest(ctx context.Context, repo, digest string) (store.Release, error)
	AddCounts(ctx context.Context, counter string, batch int64, counts []store.Count) error
	CountedBatch(ctx context.Context, counter string) (int64, error)
	RollUpCounts(ctx context.Context, before string) (int, error)
}

// Counter counts pulls. Each is written to a file before it is answered, and
// added to the database in numbered batches, so that each counts exactly once
// whenever the process is killed. When the machine loses power, what was
// counted since the last batch is lost.
type Counter struct {
	// Counted is told, every hour, of each package whose
	// numbers have changed. It may be nil; it is set before Run.
	Counted func(ctx context.Context, repo string) error

	name string // among counters of one database
	db   DB
	log  *slog.Logger
	now  func() time.Time
	dir  string

	full chan struct{} // a batch should be written now

	mu      sync.Mutex
	once    once
	open    *batch
	failed  bool // writing the file failed, and it was said
	waiting []*batch

	flushing sync.Mutex // one at a time, so that batches stay in order
	changed  map[string]struct{}
}

// Open continues in dir, which is made if it is absent: what an earlier process
// counted and did not write is written with the next batch. name tells it from
// others that count into the same database; "" is the only one.
func Open(ctx context.Context, dir, name string, db DB, log *slog.Logger, now func() time.Time) (_ *Counter, err error) {
	defer clyde.Wrap(&err, "downloads.Open")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	last, err := db.CountedBatch(ctx, name)
	if err != nil {
		return nil, err
	}
	c := &Counter{name: name, changed: map[string]struct{}{}, db: db, log: log, now: now, dir: dir, full: make(chan struct{}, 1)}
	left, err := readBatches(dir)
	if err != nil {
		return nil, err
	}
	next := last + 1
	for _, b := range left {
		next = max(next, b.n+1)
		if b.n > last {
			c.waiting = append(c.waiting, b)
		} else if err := b.remove(); err != nil {
			return nil, err
		}
	}
	c.open, err = newBatch(dir, next)
	return c, err
}

// Pulled counts one answer with a manifest. The address is not kept.
func (c *Counter) Pulled(repo, digest, address string, from Source) {
	day := c.now().UTC().Format(time.DateOnly)
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.once.first(day, repetition{address, repo, digest, from})
	if err := c.open.add(key{repo, digest, day, from}, first); err != nil && !c.failed {
		c.failed = true
		c.log.Error("downloads: a crash would lose counts", "err", err)
	}
	if len(c.open.sums) >= maxSums {
		select {
		case c.full <- struct{}{}:
		default:
		}
	}
}

// Run writes batches and makes months of old days until ctx ends.
func (c *Counter) Run(ctx context.Context) error {
	var others sync.WaitGroup
	others.Go(func() {
		_ = jobs.Every(ctx, c.log, "downloads: months", rollEvery, rollJitter, func(ctx context.Context) error {
			_, err := c.db.RollUpCounts(ctx, c.now().UTC().AddDate(0, 0, -keepDays).Format("2006-01")+"-01")
			return err
		})
	})
	others.Go(func() { _ = jobs.Every(ctx, c.log, "downloads: tell", tellEvery, tellEvery/10, c.tell) })
	t := time.NewTicker(flushEvery)
	defer t.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-t.C:
		case <-c.full:
		}
		c.flush(context.WithoutCancel(ctx))
	}
	others.Wait()
	return nil
}

// tell hands on what has changed. What fails is told with the next pull.
func (c *Counter) tell(ctx context.Context) error {
	c.flushing.Lock()
	repos := slices.Sorted(maps.Keys(c.changed))
	clear(c.changed)
	c.flushing.Unlock()
	var errs []error
	for _, repo := range repos {
		if c.Counted == nil || ctx.Err() != nil {
			break
		}
		if err := c.Counted(ctx, repo); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", repo, err))
		}
	}
	return errors.Join(errs...)
}

// Close writes what there is. What cannot be written stays in its file.
func (c *Counter) Close() error {
	c.flush(context.Background())
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.open.close()
	if len(c.open.sums) == 0 {
		err = errors.Join(err, c.open.remove())
	}
	return err
}

// flush writes the open batch, after those that failed before.
func (c *Counter) flush(ctx context.Context) {
	c.flushing.Lock()
	defer c.flushing.Unlock()
	c.turn(ctx)
	for {
		c.mu.Lock()
		if len(c.waiting) == 0 {
			c.mu.Unlock()
			return
		}
		b := c.waiting[0]
		c.mu.Unlock()
		if err := c.write(ctx, b); err != nil {
			c.log.ErrorContext(ctx, "downloads: write", "sums", len(b.sums), "err", err)
			return // in order, or the ones before would not count
		}
		c.mu.Lock()
		c.waiting = c.waiting[1:]
		c.mu.Unlock()
	}
}

// turn begins a new batch where the open one has something.
func (c *Counter) turn(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.open.sums) == 0 {
		return
	}
	b, err := newBatch(c.dir, c.open.n+1)
	if err != nil {
		c.log.ErrorContext(ctx, "downloads: new batch", "err", err)
		return // the open one goes on
	}
	if err := c.open.close(); err != nil {
		c.log.ErrorContext(ctx, "downloads: close", "err", err)
	}
	c.waiting = append(c.waiting, c.open)
	c.open, c.failed = b, false
}

func (c *Counter) write(ctx context.Context, b *batch) error {
	versions := map[[2]string]string{}
	rows, err := b.rows(func(repo, digest string) (string, bool, error) {
		id := [2]string{repo, digest}
		if v, ok := versions[id]; ok {
			return v, v != "", nil
		}
		r, err := c.db.ReleaseByDigest(ctx, repo, digest)
		if errors.Is(err, clyde.ErrNotFound) {
			err = nil
		}
		versions[id] = r.Version
		return r.Version, r.Version != "", err
	})
	if err != nil {
		return err
	}
	if err := c.db.AddCounts(ctx, c.name, b.n, rows); err != nil {
		return err
	}
	for _, r := range rows {
		c.changed[r.Repo] = struct{}{}
	}
	return b.remove()
}
