package store

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// withdrawnFor is how long this process may not know what another wrote into
// the same database. Ours: a withdrawal has a minute to reach everybody.
const withdrawnFor = 10 * time.Second

// fewRepos remembers which repositories have anything withdrawn, or anything
// that waits: few do, and reads of all others must not pay for them.
type fewRepos struct {
	query string // lists them

	mu    sync.Mutex
	repos map[string]bool
	read  time.Time // zero: not read since the last change
	gen   uint64    // grows with each change, so that a slow reader puts nothing old back
}

func (w *fewRepos) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gen++
	w.read = time.Time{}
}

// has reports whether the repository is one of them.
func (w *fewRepos) has(ctx context.Context, db *DB, repo string) (bool, error) {
	now := db.now()
	w.mu.Lock()
	if age := now.Sub(w.read); !w.read.IsZero() && age >= 0 && age < withdrawnFor {
		defer w.mu.Unlock()
		return w.repos[repo], nil
	}
	gen := w.gen
	w.mu.Unlock()
	list, err := list(ctx, db, scanString, w.query)
	if err != nil {
		return false, err
	}
	repos := make(map[string]bool, len(list))
	for _, r := range list {
		repos[r] = true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if gen == w.gen {
		w.repos, w.read = repos, now
	}
	return repos[repo], nil
}

// Withdrawn returns what withdraws a manifest of the repository: the moderation
// of the version that it is or refers to, or of the package; nil when nothing
// does. digest may be "", for the package alone. It costs a query only where
// something of the repository is withdrawn.
func (db *DB) Withdrawn(ctx context.Context, repo, digest string) (_ *Moderation, err error) {
	defer clyde.Wrap(&err, "store.Withdrawn(%s, %s)", repo, digest)
	ok, err := db.withdrawn.has(ctx, db, repo)
	if err != nil || !ok {
		return nil, err
	}
	m, err := scanModeration(db.row(ctx, "Withdrawn", repo, digest))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &m, nil
}

// WithdrawnBlob returns what withdraws a blob of the repository: it is nil when
// a manifest that is not withdrawn names the blob, or none does.
func (db *DB) WithdrawnBlob(ctx context.Context, repo, digest string) (_ *Moderation, err error) {
	m, err := db.Withdrawn(ctx, repo, digest) // manifests can be had as blobs
	if err != nil || m != nil {
		return m, err
	}
	if ok, err := db.withdrawn.has(ctx, db, repo); err != nil || !ok {
		return nil, err
	}
	defer clyde.Wrap(&err, "store.WithdrawnBlob(%s, %s)", repo, digest)
	return ofBlob(ctx, db, repo, digest, db.Withdrawn)
}

// ofBlob returns what ask says of the manifests that name a blob, nil when it
// says nothing of one of them.
func ofBlob[T any](ctx context.Context, db *DB, repo, digest string, ask func(ctx context.Context, repo, digest string) (*T, error)) (last *T, err error) {
	holders, err := list(ctx, db, scanString, "BlobHolders", repo, inRefs(digest))
	if err != nil {
		return nil, err
	}
	for _, h := range holders {
		if last, err = ask(ctx, repo, h); err != nil || last == nil {
			return nil, err
		}
	}
	return last, nil
}

// BlobRepos lists the repositories that hold a manifest which has that digest
// or names it: who needs its bytes. It reads every manifest's row.
func (db *DB) BlobRepos(ctx context.Context, digest string) ([]string, error) {
	return list(ctx, db, scanString, "BlobRepos", digest, inRefs(digest))
}

// inRefs is what LIKE finds a digest by among a manifest's references. A digest
// has no character that LIKE or JSON would take for another.
func inRefs(digest string) string { return `%"` + digest + `"%` }
