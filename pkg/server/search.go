package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/clydepm/clyde-registry/config"
	"github.com/clydepm/clyde-registry/pkg/index"
	"github.com/clydepm/clyde-registry/pkg/index/meili"
	"github.com/clydepm/clyde-registry/pkg/index/memory"
)

const (
	// rebuildEvery is how often an index in Meilisearch is built anew beside the
	// one that is searched. Ours: it mends what no change names, such as pulls
	// that other processes counted.
	rebuildEvery = 24 * time.Hour

	// maxStale is how many packages are noted for the engine besides what the
	// change feed names. Ours: those beyond wait for the next rebuild.
	maxStale = 10_000
)

// newEngine makes the search engine that the configuration names.
func (p *Parts) newEngine(c config.Search) (index.Engine, error) {
	if c.Engine != "meilisearch" {
		return memory.New(memory.Options{}), nil
	}
	key, err := config.Secret("", c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("search.key_file: %w", err)
	}
	p.meili = meili.New(meili.Options{URL: c.URL, Key: key, Index: c.Index})
	return p.meili, nil
}

// stale is the set of packages that changed in a way that the change feed does
// not tell: pulls, and the requirements of a version that was replaced.
type stale struct {
	mu    sync.Mutex
	repos map[string]bool
}

func (s *stale) note(repo string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.repos == nil {
		s.repos = map[string]bool{}
	}
	if len(s.repos) < maxStale {
		s.repos[repo] = true
	}
}

// take returns what was noted, and forgets it.
func (s *stale) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]string, 0, len(s.repos))
	for r := range s.repos {
		out = append(out, r)
	}
	s.repos = nil
	slices.Sort(out)
	return out
}

// feedSearch keeps the index in Meilisearch true until ctx ends. One process
// does so at a time. What went wrong is said once, and when it is over.
func (s *Server) feedSearch(ctx context.Context) error {
	said := ""
	for ctx.Err() == nil {
		err := s.feedOnce(ctx, func() {
			if said != "" {
				s.Log.InfoContext(ctx, "search index: complete again")
				said = ""
			}
		})
		if err == nil || ctx.Err() != nil {
			continue // it has to be built anew
		}
		if now := err.Error(); now != said {
			said = now
			s.Log.WarnContext(ctx, "search index: trying again until it works; search answers by name meanwhile", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(followEvery):
		}
	}
	return nil
}

// feedOnce takes up the feed where the index stands, building the index where
// there is none, and follows it. It returns without error when the index has to
// be built anew. well is called whenever the index holds everything.
func (s *Server) feedOnce(ctx context.Context, well func()) error {
	epoch, seq, err := s.feedAt(ctx)
	if err != nil {
		return err
	}
	m, ok, err := s.meili.Mark(ctx)
	if err != nil {
		return err
	}
	if !ok || m.Epoch != epoch || m.Seq > seq {
		if m, err = s.buildSearch(ctx); err != nil {
			return err
		}
	}
	again := time.NewTimer(rebuildEvery)
	defer again.Stop()
	for {
		ready := s.DB.ChangesReady() // before looking, so that nothing slips between
		now, err := s.DB.Epoch(ctx)
		if err != nil || now != m.Epoch {
			return err
		}
		full, err := s.feedPage(ctx, &m)
		if err != nil {
			return err
		}
		if full {
			continue
		}
		well()
		select {
		case <-ctx.Done():
			return nil
		case <-ready:
		case <-again.C:
			if m, err = s.buildSearch(ctx); err != nil {
				return err
			}
			again.Reset(rebuildEvery)
		case <-time.After(followEvery):
			// Meilisearch may have lost what it had, or gone back.
			if at, ok, err := s.meili.Mark(ctx); err != nil || !ok || at != m {
				return err
			}
		}
	}
}

// buildSearch builds the whole index beside the one that is searched.
func (s *Server) buildSearch(ctx context.Context) (m meili.Mark, err error) {
	// Before the packages are read, so that nothing is written between.
	if m.Epoch, m.Seq, err = s.feedAt(ctx); err != nil {
		return m, err
	}
	if err := s.Ingest.RebuildIndex(ctx); err != nil {
		return m, err
	}
	return s.meili.SetMark(ctx, m)
}

// feedPage gives the engine what a page of the feed names after m, which it
// moves on, and what was noted besides; full says that there may be more.
func (s *Server) feedPage(ctx context.Context, m *meili.Mark) (full bool, err error) {
	cs, err := s.DB.Changes(ctx, m.Seq, followPage)
	if err != nil {
		return false, err
	}
	noted := s.stale.take()
	repos, last := slices.Clone(noted), m.Seq
	for _, c := range cs {
		if repo, ok := strings.CutPrefix(c.Package, "@"); ok {
			repos = append(repos, repo)
		}
		last = c.Seq
	}
	slices.Sort(repos)
	if repos = slices.Compact(repos); len(repos) > 0 {
		if err := s.Ingest.Feed(ctx, repos); err != nil {
			for _, r := range noted {
				s.stale.note(r)
			}
			return false, err
		}
	}
	if last != m.Seq {
		next := *m
		next.Seq = last
		if *m, err = s.meili.SetMark(ctx, next); err != nil {
			return false, err
		}
	}
	return len(cs) == followPage, nil
}
