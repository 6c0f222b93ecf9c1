package registry

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/distribution/distribution/v3/registry/storage"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Limits of what one account may upload. A zero field stands for its default.
// All are ours: wide enough for anybody who works, narrow enough that one
// token cannot fill a disk overnight.
type Limits struct {
	MaxBlob     int64         // bytes of one blob; default artifact.MaxArchive
	MaxSessions int           // open uploads per account; default 256
	BytesPerDay int64         // bytes received per account and UTC day; default 100 GiB
	UploadAge   time.Duration // after which an unfinished upload is removed; default 24 h
}

// Defaults of Limits.
const (
	DefaultMaxSessions = 256
	DefaultBytesPerDay = 100 << 30
	DefaultUploadAge   = 24 * time.Hour

	purgeEvery = time.Hour
)

func (l Limits) withDefaults() Limits {
	if l.MaxBlob == 0 {
		l.MaxBlob = artifact.MaxArchive
	}
	if l.MaxSessions == 0 {
		l.MaxSessions = DefaultMaxSessions
	}
	if l.BytesPerDay == 0 {
		l.BytesPerDay = DefaultBytesPerDay
	}
	if l.UploadAge == 0 {
		l.UploadAge = DefaultUploadAge
	}
	return l
}

// sessions counts what each account has open and has sent today. It lives in
// memory, and what was sent in the database where other processes count too: a
// restart of one that is alone forgives, and an upload resumed after it counts again.
type sessions struct {
	limits Limits
	now    func() time.Time

	mu   sync.Mutex
	open map[string]map[string]time.Time // account → upload → last use
	day  string                          // UTC day of sent
	sent map[string]int64                // account → bytes
	new  map[string]int64                // of sent, what other processes were not told; nil: there are none
}

// ShareQuota tells other processes on the database through spend how much each
// account has sent today, and takes over what all together have. It is called
// every second or so where there are others. A failure leaves everything for the
// next time.
func (r *Registry) ShareQuota(ctx context.Context, spend func(context.Context, []store.Spent) ([]float64, error)) error {
	return r.sessions.share(ctx, spend)
}

func (s *sessions) share(ctx context.Context, spend func(context.Context, []store.Spent) ([]float64, error)) error {
	s.mu.Lock()
	day, burst := s.day, float64(s.limits.BytesPerDay)
	var spent []store.Spent
	for id, n := range s.new {
		spent = append(spent, store.Spent{Kind: "bytes " + day, Caller: id, N: float64(n), Burst: burst})
	}
	s.new = map[string]int64{}
	s.mu.Unlock()
	left, err := spend(ctx, spent)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.day != day {
		return err
	}
	for i, x := range spent {
		switch {
		case err != nil:
			s.new[x.Caller] += int64(x.N)
		case i < len(left):
			s.sent[x.Caller] = int64(burst-left[i]) + s.new[x.Caller]
		}
	}
	return err
}

func newSessions(l Limits, now func() time.Time) *sessions {
	return &sessions{limits: l, now: now, open: map[string]map[string]time.Time{}, sent: map[string]int64{}}
}

// begin counts an upload of p as open, or refuses it.
func (s *sessions) begin(p account.Principal, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, mine := s.now(), s.open[p.ID]
	if _, ok := mine[id]; !ok && len(mine) >= s.limits.MaxSessions {
		for k, t := range mine {
			if now.Sub(t) > s.limits.UploadAge {
				delete(mine, k)
			}
		}
		if len(mine) >= s.limits.MaxSessions {
			return clyde.Errorf(clyde.ErrRateLimited, "token %q has %d uploads open; the limit is %d", p.Name, len(mine), s.limits.MaxSessions).
				WithCode("too_many_uploads").Fix("Finish or cancel an upload first; abandoned ones expire after %s.", s.limits.UploadAge)
		}
	}
	if mine == nil {
		mine = map[string]time.Time{}
		s.open[p.ID] = mine
	}
	mine[id] = now
	return nil
}

// end forgets an upload that was finished or cancelled.
func (s *sessions) end(p account.Principal, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open[p.ID], id)
	if len(s.open[p.ID]) == 0 {
		delete(s.open, p.ID)
	}
}

// spend counts n bytes from p, or refuses them.
func (s *sessions) spend(p account.Principal, n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if day := s.now().UTC().Format(time.DateOnly); day != s.day {
		s.day = day
		clear(s.sent)
		clear(s.new)
	}
	if s.sent[p.ID]+n > s.limits.BytesPerDay {
		return clyde.Errorf(clyde.ErrRateLimited, "token %q has sent its %d bytes of today", p.Name, s.limits.BytesPerDay).
			WithCode("quota_exceeded").Fix("Go on tomorrow (UTC), or ask the administrator for a higher limit.")
	}
	s.sent[p.ID] += n
	if s.new != nil {
		s.new[p.ID] += n
	}
	return nil
}

// Purge removes uploads older than Limits.UploadAge and returns how many.
func (r *Registry) Purge(ctx context.Context) (int, error) {
	old := r.now().Add(-r.o.Limits.UploadAge)
	n := r.pending.purge(old)
	// Before the first push there is nothing to walk, which the walk would call a failure.
	_, err := r.disk.Stat(ctx, layoutRoot+"/repositories")
	if notThere(err) {
		return n, nil
	}
	if err != nil {
		return n, err
	}
	gone, errs := storage.PurgeUploads(ctx, r.disk, old, true)
	return n + len(gone), errors.Join(errs...)
}
