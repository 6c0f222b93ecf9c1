package registry

import (
	"context"
	"sync"
	"time"
)

const (
	// storageLock keeps processes on one database apart: those that store
	// manifests share it, one that removes bytes has it alone.
	storageLock = "storage"

	// shareFor is how long manifests that begin to be stored join those that hold
	// the lock already. Ours: so long may one that removes bytes have to wait
	// besides the time that a manifest takes.
	shareFor = time.Second
)

// shares holds storageLock for all manifests that are being stored: one
// connection of the database for many.
type shares struct {
	mu     sync.Mutex
	latest *share
}

// share is the lock, taken once and given back by the last of its users.
type share struct {
	began  time.Time
	uses   int
	ready  chan struct{} // closed once unlock or err is set
	unlock func()
	err    error
}

// join takes part in the latest share, or begins another when it is over or old:
// else who waits for the lock would wait as long as anybody stores anything.
func (s *shares) join(take func() (unlock func(), err error)) (leave func(), err error) {
	s.mu.Lock()
	h := s.latest
	if h != nil && time.Since(h.began) < shareFor {
		h.uses++
		s.mu.Unlock()
		<-h.ready
	} else {
		h = &share{began: time.Now(), uses: 1, ready: make(chan struct{})}
		s.latest = h
		s.mu.Unlock()
		h.unlock, h.err = take()
		close(h.ready)
	}
	leave = func() {
		s.mu.Lock()
		h.uses--
		last := h.uses == 0
		if last && s.latest == h {
			s.latest = nil
		}
		s.mu.Unlock()
		if last && h.err == nil {
			h.unlock()
		}
	}
	if h.err != nil {
		leave()
		return nil, h.err
	}
	return leave, nil
}

// storing keeps whatever is in the storage there until done: what Admit finds
// in a repository stays until the manifest that names it is committed.
func (r *Registry) storing(ctx context.Context) (done func(), err error) {
	r.erasing.RLock()
	if r.o.Replica == "" {
		return r.erasing.RUnlock, nil
	}
	// Who began does not take the lock away from the others by going away.
	ctx = context.WithoutCancel(ctx)
	leave, err := r.shares.join(func() (func(), error) { return r.o.DB.LockShared(ctx, storageLock) })
	if err != nil {
		r.erasing.RUnlock()
		return nil, err
	}
	return func() { leave(); r.erasing.RUnlock() }, nil
}
