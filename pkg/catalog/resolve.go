package catalog

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/graph"
	"github.com/clydepm/clyde-registry/pkg/resolve"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Limits of resolving on the server. All are ours: a graph of 200 packages takes
// some hundred steps and a few milliseconds, vcpkg's largest 2,000.
const (
	MaxResolveSteps = 200_000          // choices and conflicts of one request
	MaxResolveTime  = 10 * time.Second // of one request, its wait for a turn included
	maxKnown        = 64 << 20         // bytes of index kept; parsed and prepared they take about five times that
	knownCost       = 256              // bytes that a package costs besides its index
)

// known is what resolving needs to know of a package. It never changes: a write
// about the package makes its version another, and a new one is read.
type known struct {
	version uint64        // DB.PackageVersion before the rest was read
	row     store.Package // zero where there is no such package

	once   sync.Once // the rest, which only those who may see the package cause to be read
	err    error
	index  []byte // the sparse index
	cands  []resolve.Candidate
	ready  *resolve.Versions // cands, prepared
	unread error             // why there are none: more versions than are resolved
	signed map[string]string // state by canonical version
}

func (c *Catalog) start() {
	c.started.Do(func() {
		c.shelf.Max = maxKnown
		c.busy = make(chan struct{}, 2*runtime.GOMAXPROCS(0))
	})
}

// known returns what is known of a package that p may see. The same is asked for
// one that is private and one that is not there.
func (c *Catalog) known(ctx context.Context, p account.Principal, name clyde.Name) (*known, error) {
	c.start()
	repo := name.Repo()
	version, err := c.DB.PackageVersion(ctx, repo)
	k, ok := c.shelf.Get(repo)
	if errors.Is(err, clyde.ErrUnavailable) && ok && c.DB.Public(repo) {
		// What everybody may see, as it was when it was last asked for.
		k.once.Do(func() { k.err = err; c.shelf.Drop(repo) })
		return k, k.err
	}
	if err != nil {
		return nil, err
	}
	if !ok || k.version != version {
		row, err := c.DB.Package(ctx, repo)
		if err != nil && !errors.Is(err, clyde.ErrNotFound) {
			return nil, err
		}
		k = &known{version: version, row: row}
		c.shelf.Put(repo, k, knownCost)
	}
	if k.row.Repo == "" || !c.visible(ctx, p, k.row) {
		return nil, notFound(name)
	}
	k.once.Do(func() {
		// Others may wait for this, whose contexts are not this one.
		if k.err = c.read(context.WithoutCancel(ctx), name, k); k.err != nil {
			c.shelf.Drop(repo)
			return
		}
		c.shelf.Put(repo, k, knownCost+len(k.index))
	})
	return k, k.err
}

// read fills in k. What is resolved from is what clients read: the index.
func (c *Catalog) read(ctx context.Context, name clyde.Name, k *known) error {
	rs, err := c.sorted(ctx, name.Repo())
	if err != nil {
		return err
	}
	if k.index, err = c.makeIndex(ctx, name, rs); err != nil {
		return err
	}
	host, _ := c.home(ctx, name.Repo())
	if k.cands, k.unread = resolve.ParseIndex(name, host, k.index); k.unread == nil {
		k.ready, k.unread = resolve.Prepare(name, k.cands)
	}
	k.signed = make(map[string]string, len(rs))
	for _, r := range rs {
		if v, err := clyde.ParseVersion(r.Version); err == nil {
			k.signed[v.Canonical()] = r.Signed
		}
	}
	return nil
}

// visibleTo is a resolve.Keeper of what p may see.
type visibleTo struct {
	c *Catalog
	p account.Principal
}

func (s visibleTo) Versions(ctx context.Context, name clyde.Name) ([]resolve.Candidate, error) {
	k, err := s.c.known(ctx, s.p, name)
	if err != nil {
		return nil, err
	}
	return k.cands, k.unread
}

func (s visibleTo) Prepared(ctx context.Context, name clyde.Name) (*resolve.Versions, error) {
	k, err := s.c.known(ctx, s.p, name)
	if err != nil {
		return nil, err
	}
	return k.ready, k.unread
}

// Resolve chooses a version of every package that a query needs, among those
// that p may see. What private packages hold, and what was withdrawn, is as if
// it were not there. Requirements that exclude each other are an ErrConflict
// error whose cause is a *resolve.Failure.
func (c *Catalog) Resolve(ctx context.Context, p account.Principal, q resolve.Query) (Resolution, error) {
	req, err := q.Request()
	if err != nil {
		return Resolution{}, err
	}
	sol, err := c.solve(ctx, p, req)
	if err != nil {
		return Resolution{}, err
	}
	answer, err := c.answer(ctx, p, sol)
	if err != nil {
		return Resolution{}, err
	}
	out := Resolution{Answer: answer}
	if q.Collisions {
		g := graph.FromSolution(graph.Package{Name: req.Name, Provides: req.Root.Provides}, sol)
		if err := c.measureAll(ctx, g); err != nil {
			return Resolution{}, err
		}
		out.Collisions = g.Collisions()
	}
	if q.Host == nil {
		return out, nil
	}
	limited, cancel := context.WithTimeout(ctx, MaxResolveTime)
	defer cancel()
	if err := c.chooseBuilds(limited, p, q, sol, &out.Answer); err != nil {
		if limited.Err() != nil {
			err = tooLong(limited)
		}
		return Resolution{}, err
	}
	return out, nil
}

// solve resolves for p, when it is its turn and within the limits.
func (c *Catalog) solve(ctx context.Context, p account.Principal, req resolve.Request) (*resolve.Solution, error) {
	c.start()
	ctx, cancel := context.WithTimeout(ctx, MaxResolveTime)
	defer cancel()
	select {
	case c.busy <- struct{}{}:
		defer func() { <-c.busy }()
	case <-ctx.Done():
		return nil, tooLong(ctx)
	}
	req.MaxSteps = MaxResolveSteps
	sol, err := resolve.Solve(ctx, visibleTo{c, p}, req)
	if err != nil && ctx.Err() != nil {
		return nil, tooLong(ctx)
	}
	return sol, err
}

// answer is a solution with what is known of signatures.
func (c *Catalog) answer(ctx context.Context, p account.Principal, sol *resolve.Solution) (resolve.Answer, error) {
	out := sol.Answer()
	for i := range sol.Packages {
		k, err := c.known(ctx, p, sol.Packages[i].Name)
		if err != nil {
			return resolve.Answer{}, err
		}
		out.Packages[i].Signed = k.signed[sol.Packages[i].Version.Canonical()]
	}
	return out, nil
}

// tooLong is the failure of a resolution whose time is over.
func tooLong(ctx context.Context) error {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ctx.Err()
	}
	return clyde.Errorf(clyde.ErrUnavailable, "resolving took longer than %s", MaxResolveTime).WithCode("resolve_timeout").
		Fix("resolve on your machine, where there is time: clyde resolve --via index").Fix("narrow the ranges that are required")
}
