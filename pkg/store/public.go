package store

import (
	"context"
	"sync"
	"time"
)

const (
	// publicFor is how long what was known to be public counts as that without
	// the database. Ours: an outage that lasts longer has had time for somebody
	// to decide otherwise on paper.
	publicFor = time.Hour

	publicPage = 5000
)

// publicRepos are the repositories that were public, and of which nothing was
// withdrawn, when the database was last heard. It is kept while Listen has a
// connection: a commit that touches a repository takes it out at once, and it
// comes back when it was looked at again.
type publicRepos struct {
	mu    sync.Mutex
	repos map[string]struct{}
	lost  time.Time // when the connection was lost; zero while there is one
}

// Public reports whether a repository may be shown to everybody without asking
// the database, because it cannot be reached: it was public, and nothing of it
// withdrawn, when it was last heard of, at most an hour ago. It is for a database
// that several processes share, and false on a file.
func (db *DB) Public(repo string) bool {
	p := &db.public
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.repos[repo]
	return ok && (p.lost.IsZero() || db.now().Sub(p.lost) < publicFor)
}

// away notes that the database is not heard any more.
func (p *publicRepos) away(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lost.IsZero() {
		p.lost = now
	}
}

func (p *publicRepos) set(repo string, public bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if public {
		p.repos[repo] = struct{}{}
	} else {
		delete(p.repos, repo)
	}
}

// loadPublic reads all of them. What is committed meanwhile is heard afterwards.
func (db *DB) loadPublic(ctx context.Context) error {
	repos := make(map[string]struct{})
	for after := ""; ; {
		page, err := list(ctx, db, scanString, "PublicRepos", after, publicPage)
		if err != nil {
			return err
		}
		for _, r := range page {
			after = r
			repos[r] = struct{}{}
		}
		if len(page) < publicPage {
			break
		}
	}
	p := &db.public
	p.mu.Lock()
	defer p.mu.Unlock()
	p.repos, p.lost = repos, time.Time{}
	return nil
}

// lookAgain finds out whether repositories that a commit touched are public.
func (db *DB) lookAgain(ctx context.Context, repos []string) error {
	for _, r := range repos {
		db.public.set(r, false)
	}
	for _, r := range repos {
		var public bool
		if err := db.row(ctx, "IsPublic", r).Scan(&public); err != nil {
			return err
		}
		db.public.set(r, public)
	}
	return nil
}
