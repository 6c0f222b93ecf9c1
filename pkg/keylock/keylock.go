// Package keylock locks by key: two that name different keys never wait for
// each other, and a key that nobody holds costs nothing.
package keylock

import "sync"

// Locks is a mutex for each key; the zero value is ready. It must not be copied
// after first use.
type Locks struct {
	mu sync.Mutex
	m  map[string]*lock
}

// lock is the mutex of one key, with how many hold it or wait for it.
type lock struct {
	mu   sync.Mutex
	uses int
}

// Lock blocks until key is free and returns its unlock, to be called once.
func (l *Locks) Lock(key string) (unlock func()) {
	l.mu.Lock()
	if l.m == nil {
		l.m = map[string]*lock{}
	}
	k := l.m[key]
	if k == nil {
		k = &lock{}
		l.m[key] = k
	}
	k.uses++
	l.mu.Unlock()
	k.mu.Lock()
	return func() {
		k.mu.Unlock()
		l.mu.Lock()
		if k.uses--; k.uses == 0 {
			delete(l.m, key)
		}
		l.mu.Unlock()
	}
}
