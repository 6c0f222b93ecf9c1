package ingest

import (
	"context"
	"errors"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Eraser removes the bytes of a manifest, of what refers to it and of the blobs
// that nothing else names; *registry.Registry implements it. record makes the
// database forget the manifests first, so that nobody reads what goes.
type Eraser interface {
	Erase(ctx context.Context, repo, digest string, record func(ctx context.Context, manifests []string) error) error
}

// Erase removes a version that must not exist any more, and leaves a tombstone.
// Doing it again finishes what an earlier call left.
func (in *Ingest) Erase(ctx context.Context, w Eraser, m store.Moderation, digest string, change store.Change, audit store.AuditEntry) (err error) {
	defer clyde.Wrap(&err, "ingest.Erase(%s, %s)", m.Repo, m.VersionKey)
	// An event of that version that is being applied would bring its row back.
	release, err := in.hold(ctx, m.Repo)
	if err != nil {
		return err
	}
	defer release()
	targets, err := in.targets(ctx, m.Repo)
	if err != nil {
		return err
	}
	err = w.Erase(ctx, m.Repo, digest, func(ctx context.Context, manifests []string) error {
		return in.DB.Erase(ctx, m, manifests, change, audit)
	})
	if err != nil {
		return err
	}
	if err := in.Content.Remove(digest); err != nil && !errors.Is(err, clyde.ErrNotFound) {
		return err
	}
	if _, err := in.settle(ctx, m.Repo); err != nil && !errors.Is(err, clyde.ErrNotFound) {
		return err
	}
	return in.refreshAll(ctx, m.Repo, targets)
}

// withdrawn returns the state of what withdraws a version, or "".
func (in *Ingest) withdrawn(ctx context.Context, repo, key string) (string, error) {
	m, err := in.DB.Moderation(ctx, repo, key)
	if errors.Is(err, clyde.ErrNotFound) {
		return "", nil
	}
	return m.State, err
}

// erased reports whether a manifest found in storage is of a version that was
// erased: it stays away, whatever left its bytes there.
func (in *Ingest) erased(ctx context.Context, repo string, m store.Manifest) (bool, error) {
	for _, d := range []string{m.Digest, m.Subject} {
		if d == "" {
			continue
		}
		w, err := in.DB.Withdrawn(ctx, repo, d)
		if err != nil {
			return false, err
		}
		if w != nil && w.State == store.ModerationErased {
			return true, nil
		}
	}
	return false, nil
}

// notWithdrawn refuses a version that was withdrawn: pushing it again does not
// bring it back.
func notWithdrawn(ctx context.Context, db *store.DB, repo, key string) error {
	m, err := db.Moderation(ctx, repo, key)
	if errors.Is(err, clyde.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	e := account.Withdrawn(m)
	return clyde.Errorf(clyde.ErrConflict, "%s", e.Msg).WithCode(e.Code).Fix("Publish another version once that is settled.")
}
