package ingest

import "sync"

// repoLocks lets one Apply at a time work on a repository: the inbox's own and
// one in a publish request, say, which would otherwise both find a version
// unknown and announce it twice. The zero value is ready.
type repoLocks struct {
	mu   sync.Mutex
	held map[string]*repoLock
}

type repoLock struct {
	sync.Mutex
	users int
}

// lock waits for repo and returns how to give it back.
func (l *repoLocks) lock(repo string) (unlock func()) {
	l.mu.Lock()
	if l.held == nil {
		l.held = map[string]*repoLock{}
	}
	k := l.held[repo]
	if k == nil {
		k = &repoLock{}
		l.held[repo] = k
	}
	k.users++
	l.mu.Unlock()
	k.Lock()
	return func() {
		k.Unlock()
		l.mu.Lock()
		defer l.mu.Unlock()
		if k.users--; k.users == 0 {
			delete(l.held, repo)
		}
	}
}
