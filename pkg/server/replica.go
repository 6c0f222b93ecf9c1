package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

const (
	// followEvery is how often the feed is read without having been woken. Ours:
	// what a lost message costs.
	followEvery = 5 * time.Second

	// followPage is how many entries of the feed are read at once.
	followPage = 500

	// aloneAgain is how long a process waits before it tries again to be the
	// one that does something alone.
	aloneAgain = 30 * time.Second
)

// identify returns the name of this process among those on one database, which
// stays with its data directory, and the secret that they share. Alone on a
// file, it has no name, and keeps the secret in its directory.
func (p *Parts) identify(ctx context.Context) (name string, secret []byte, err error) {
	if !p.DB.Shared() {
		secret, err = loadSecret(filepath.Join(p.Dir, "secret"))
		return "", secret, err
	}
	path := filepath.Join(p.Dir, "replica")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		b = []byte(rand.Text())
		err = writePrivate(path, b)
	}
	if err != nil {
		return "", nil, err
	}
	name = strings.TrimSpace(string(b))
	if name == "" || len(name) > 64 {
		return "", nil, fmt.Errorf("%s: want the name that was written at the first start; remove it to make a new one", path)
	}
	secret, err = p.DB.Secret(ctx, "uploads")
	return name, secret, err
}

// alone runs fn while no other process on the database does, and again after
// the one that did ends.
func (p *Parts) alone(ctx context.Context, name string, fn func(context.Context) error) error {
	for {
		_, err := p.DB.Alone(ctx, name, fn)
		if err != nil && ctx.Err() == nil && !errors.Is(err, clyde.ErrUnavailable) && !errors.Is(err, context.Canceled) {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(aloneAgain):
		}
	}
}

// keepIndex fills the search index, and keeps it true to what others write. Its
// own engine hears of what this process writes as it does so.
func (s *Server) keepIndex(ctx context.Context) error {
	for {
		// Before the packages are read, so that nothing is written between.
		epoch, seq, err := s.feedAt(ctx)
		if err == nil {
			// Reads go on meanwhile; search answers from what is indexed so far.
			err = s.Ingest.RebuildIndex(ctx)
		}
		if err == nil {
			s.indexed.Store(true)
			if !s.DB.Shared() {
				return nil
			}
			err = s.follow(ctx, epoch, seq)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			continue // the feed began anew
		case !s.DB.Shared():
			return fmt.Errorf("search index: %w", err)
		}
		s.Log.WarnContext(ctx, "search index: trying again", "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followEvery):
		}
	}
}

// feedAt is where the feed ends now.
func (s *Server) feedAt(ctx context.Context) (epoch string, seq int64, err error) {
	if epoch, err = s.DB.Epoch(ctx); err != nil {
		return "", 0, err
	}
	seq, err = s.DB.LastChange(ctx)
	return epoch, seq, err
}

// follow gives the search engine what the feed names after seq, until ctx ends
// or the feed begins anew.
func (s *Server) follow(ctx context.Context, epoch string, seq int64) error {
	for {
		ready := s.DB.ChangesReady() // before looking, so that nothing slips between
		now, err := s.DB.Epoch(ctx)
		if err != nil || now != epoch {
			return err
		}
		cs, err := s.DB.Changes(ctx, seq, followPage)
		if err != nil {
			return err
		}
		seen := map[string]bool{}
		for _, c := range cs {
			repo, ok := strings.CutPrefix(c.Package, "@")
			if ok && !seen[repo] {
				seen[repo] = true
				if err := s.Ingest.Follow(ctx, repo); err != nil {
					return err
				}
			}
			seq = c.Seq
		}
		if len(cs) == followPage {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ready:
		case <-time.After(followEvery):
		}
	}
}
