package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/resolve"
	"github.com/clydepm/clyde-registry/pkg/sparse"
)

// lockName is the lock file, beside package.yaml or the folder that holds it.
const lockName = "clyde.lock"

// project is the package.yaml of a folder, and its lock file.
type project struct {
	a        *app
	dir      string // absolute
	path     string // of package.yaml, for messages and for writing
	data     []byte // of package.yaml
	manifest *clyde.Manifest
	root     resolve.Candidate
	local    resolve.Memory // packages in folders that it requires

	lock     *resolve.Lock // nil where there is none
	lockText []byte        // of the file, to tell what changed
	unmerged bool          // the file has the marks of a merge; lock is our side's
}

// project reads the project in dir. An ErrNotFound error says that there is
// none.
func (a *app) project(dir string) (*project, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("project: %w", err)
	}
	p := &project{a: a, dir: abs}
	if p.path, p.data, err = a.readManifest(dir); err != nil {
		return nil, err
	}
	if err := p.parse(); err != nil {
		return nil, err
	}
	return p, p.readLock()
}

// parse makes sense of p.data, again after it was edited.
func (p *project) parse() error {
	m, problems := clyde.ParseManifest(p.data)
	if err := problems.Err(p.path); err != nil {
		return manifestError{p.path, err}
	}
	root, err := resolve.FromManifest(m)
	if err != nil {
		return err
	}
	p.manifest, p.root, p.local = m, root, resolve.Memory{}
	return p.readLocal(p.root, p.dir)
}

// maxLocal is how many folders a project may take packages from. Ours: such
// folders are somebody's work trees.
const maxLocal = 1000

// readLocal reads the packages in folders that c, which is in dir, requires,
// and those that they require.
func (p *project) readLocal(c resolve.Candidate, dir string) error {
	for _, q := range c.Requires {
		if q.Git != "" {
			return clyde.Errorf(clyde.ErrInvalid, "%s is required from git, and clyde fetches nothing by git", q.Name).WithCode("git_requirement").
				Fix("clone it beside the project and write \"local:PATH\", or require a version that is published")
		}
		if q.Local == "" || p.local[q.Name] != nil {
			continue
		}
		if len(p.local) == maxLocal {
			return clyde.Errorf(clyde.ErrTooLarge, "packages from more than %d folders", maxLocal).WithCode("resolve_limit")
		}
		at := filepath.Join(dir, filepath.FromSlash(q.Local))
		path, data, err := p.a.readManifest(at)
		if err != nil {
			return clyde.Errorf(clyde.ErrNotFound, "%s is required from the folder %s, which has no package.yaml", q.Name, q.Local).WithCode("local_missing").Because(err)
		}
		m, problems := clyde.ParseManifest(data)
		if err := problems.Err(path); err != nil {
			return manifestError{path, err}
		}
		if m.Name.Base != q.Name.Base || m.Name.Namespace != "" && q.Name.Namespace != "" && m.Name.Namespace != q.Name.Namespace {
			return clyde.Errorf(clyde.ErrInvalid, "%s is required from %s, where there is %s", q.Name, q.Local, m.Name).WithCode("local_other").
				Fix("require it by its own name, or correct the path")
		}
		lc, err := resolve.FromManifest(m)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(p.dir, at)
		if err != nil {
			return fmt.Errorf("project: %w", err)
		}
		lc.Local = filepath.ToSlash(rel)
		p.local[q.Name] = []resolve.Candidate{lc}
		if err := p.readLocal(lc, at); err != nil {
			return err
		}
	}
	return nil
}

func (p *project) lockPath() string { return filepath.Join(p.dir, lockName) }

// readLock reads the lock file. What a merge left in it is read as the side
// that was there.
func (p *project) readLock() error {
	f, err := os.Open(p.lockPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("project: %w", err)
	}
	defer f.Close()
	if p.lockText, err = readAll(f, resolve.MaxLockSize, lockName); err != nil {
		return err
	}
	if ours, theirs, ok := resolve.SplitConflict(p.lockText); ok {
		p.unmerged = true
		for _, side := range [][]byte{ours, theirs} {
			if p.lock, err = resolve.ParseLock(side); err == nil {
				return nil
			}
		}
		p.lock = nil // neither side can be read: everything is resolved anew
		return nil
	}
	p.lock, err = resolve.ParseLock(p.lockText)
	return err
}

// writeLock replaces the lock file, whole, where it says something else.
func (p *project) writeLock(l *resolve.Lock) error {
	text := l.Bytes()
	if string(text) == string(p.lockText) {
		return nil
	}
	if err := writeWhole(p.lockPath(), text, 0o644); err != nil {
		return err
	}
	p.lock, p.lockText, p.unmerged = l, text, false
	return nil
}

// resolveOptions says how to resolve a project.
type resolveOptions struct {
	update      []clyde.Name // let go of these locked versions
	updateAll   bool
	prereleases []clyde.Name // of which prereleases count
	locked      bool         // the lock file must say it all already
	frozen      bool         // the same, and no registry is asked
	offline     bool         // answer from the cache alone
	via         string       // viaIndex or viaServer; empty: viaIndex
}

// resolution is what a project resolves to.
type resolution struct {
	lock     *resolve.Lock
	solution *resolve.Solution // nil where the lock file said it all
	changed  bool              // lock is not what the file says
}

// request is what resolving the project asks: for all platforms, with what is
// needed for developing it.
func (p *project) request(o resolveOptions) resolve.Request {
	return resolve.Request{
		Name: p.manifest.Name, Root: p.root, Dev: true, Overrides: p.manifest.Overrides,
		Prereleases: o.prereleases, Lock: p.lock, Update: o.update, UpdateAll: o.updateAll,
	}
}

// resolve chooses versions for the project. A lock file that fits is taken as it
// is, and no registry is asked; else versions in it stay where they can. Nothing
// is written.
func (p *project) resolve(ctx context.Context, o resolveOptions) (*resolution, error) {
	if err := p.a.bound(p.lock); err != nil {
		return nil, err
	}
	req := p.request(o)
	if o.locked || o.frozen {
		switch {
		case p.lockText == nil:
			return nil, clyde.Errorf(clyde.ErrConflict, "there is no %s, and --locked and --frozen make none", lockName).WithCode("lock_missing").
				Fix("run clyde install without them and commit %s", lockName)
		case p.unmerged:
			_, err := resolve.ParseLock(p.lockText)
			return nil, err
		}
		if err := p.lock.Stale(req); err != nil {
			return nil, err
		}
		return &resolution{lock: p.lock}, nil
	}
	fresh := p.lock != nil && !p.unmerged && !o.updateAll && len(o.update)+len(o.prereleases) == 0 && len(p.local) == 0
	if fresh && p.lock.Stale(req) == nil {
		return &resolution{lock: p.lock}, nil
	}
	sol, err := p.a.solve(ctx, req, o, p.local)
	if err != nil {
		return nil, err
	}
	l := resolve.NewLock(sol, req.Overrides, p.lock)
	return &resolution{lock: l, solution: sol, changed: string(l.Bytes()) != string(p.lockText)}, nil
}

// Ways to resolve.
const (
	viaIndex  = "index"  // here, from the sparse index
	viaServer = "server" // in one request
)

// solve answers a request from the index of the registries, or has the registry
// answer it.
func (a *app) solve(ctx context.Context, req resolve.Request, o resolveOptions, local resolve.Memory) (*resolve.Solution, error) {
	if o.via == viaServer {
		return a.solveThere(ctx, req, local)
	}
	src, err := a.index(o.offline)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	src.Prefetch(ctx, wanted(req)...)
	sol, err := resolve.Solve(ctx, resolve.Overlay(src, local), req)
	if missing := src.Missing(); err != nil && len(missing) > 0 {
		return nil, offlineError(missing)
	}
	if err != nil {
		return nil, err
	}
	return sol, oneRegistry(ctx, src, req.Lock, sol)
}

// wanted lists what resolving will ask for in any case.
func wanted(req resolve.Request) []clyde.Name {
	var names []clyde.Name
	for _, q := range req.Root.Requires {
		if q.Local == "" {
			names = append(names, q.Name)
		}
	}
	if req.Lock != nil {
		for _, n := range req.Lock.Names() {
			if q := req.Lock.Packages[n]; q.Local == "" && q.Git == "" {
				names = append(names, n)
			}
		}
	}
	return names
}

// offlineError names everything that is not in the cache.
func offlineError(missing []clyde.Name) error {
	e := clyde.Errorf(clyde.ErrUnavailable, "the cache does not have the index of %s, and --offline asks no registry", missing[0])
	if n := len(missing) - 1; n > 0 {
		e.Msg = fmt.Sprintf("the cache does not have the indexes of %s and %s, and --offline asks no registry", missing[0], plural(n, "other package"))
		for _, name := range missing[1:min(len(missing), maxCandidates)] {
			e.Fix("%s", name)
		}
	}
	return e.WithCode("offline").Fix("run the command once without --offline")
}

// oneRegistry refuses a locked package that comes from another registry than
// its namespace does now: a version by that number there is somebody else's.
func oneRegistry(ctx context.Context, src *sparse.Source, lock *resolve.Lock, sol *resolve.Solution) error {
	if lock == nil {
		return nil
	}
	for i := range sol.Packages {
		now := &sol.Packages[i]
		was := lock.Packages[now.Name]
		if was == nil || was.Local != "" || was.Git != "" || now.Local != "" || was.Registry == "" || was.Digest == now.Digest {
			continue
		}
		host, err := src.Registry(ctx, now.Name.Namespace)
		if err != nil {
			return err
		}
		if host != was.Registry {
			return registryChanged(now.Name, was.Registry, host)
		}
	}
	return nil
}

func registryChanged(name clyde.Name, was, now string) error {
	return clyde.Errorf(clyde.ErrConflict, "%s is locked from %s, and @%s comes from %s now", name, was, name.Namespace, now).
		WithCode("registry_changed").
		Fix("clyde config set %s%s ADDRESS, if it still comes from there", bindingPrefix, name.Namespace).
		Fix("remove %s from %s, if it moved", name, lockName)
}

// bound refuses a lock file by which a package comes from another registry than
// the one that the user bound its namespace to: whoever wrote it, the user has
// decided otherwise.
func (a *app) bound(lock *resolve.Lock) error {
	if lock == nil || len(a.settings.Registries) == 0 {
		return nil
	}
	for _, name := range lock.Names() {
		was := lock.Packages[name]
		to := a.settings.Registries[name.Namespace]
		if to == "" || was.Registry == "" {
			continue
		}
		at, err := parseAddress(to)
		if err != nil {
			return err
		}
		if at.host != was.Registry {
			return registryChanged(name, was.Registry, at.host)
		}
	}
	return nil
}

// index returns the index of all registries. The caller closes it.
func (a *app) index(offline bool) (*sparse.Source, error) {
	own, err := a.address()
	if err != nil {
		return nil, err
	}
	cache, err := cacheDir()
	if err != nil {
		return nil, err
	}
	return sparse.New(sparse.Options{
		Default: own.url(), Bound: a.settings.Registries, Cache: filepath.Join(cache, "index"), Offline: offline, UserAgent: userAgent(),
		Tagged: a.tagged, NoIndex: func(address string) bool {
			at, err := parseAddress(address)
			return err == nil && isGHCR(at.host)
		},
		Token: func(ctx context.Context, address string) (string, error) {
			at, err := parseAddress(address)
			if err != nil {
				return "", err
			}
			c, err := a.credentialFor(ctx, at.host, at.url() == own.url())
			if err == nil {
				err = a.guard(at, c.secret, "token")
			}
			if err != nil {
				return "", err
			}
			return c.secret, nil
		},
	})
}

// cacheDir is where clyde keeps what it can fetch again: $XDG_CACHE_HOME/clyde,
// else where the system keeps such things.
func cacheDir() (string, error) {
	dir := os.Getenv("XDG_CACHE_HOME")
	// The XDG specification has relative paths ignored.
	if !filepath.IsAbs(dir) {
		var err error
		if dir, err = os.UserCacheDir(); err != nil {
			return "", clyde.Errorf(clyde.ErrInvalid, "the cache has no place: %v", err).Fix("set HOME or XDG_CACHE_HOME")
		}
	}
	return filepath.Join(dir, "clyde"), nil
}
