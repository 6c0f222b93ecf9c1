// Package sparse knows what versions of packages exist by reading the sparse
// index of registries: static files, over HTTP or in a folder, kept in a cache
// and asked about again by their ETag.
//
// A namespace comes from exactly one registry: the one that it is bound to, else
// the one that the default registry names for it, else the default registry. A
// package that is not there does not exist; no other registry is asked.
package sparse

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// maxAtOnce is how many files are asked for at the same time. Ours: enough to
// hide a round trip, and no more than a small registry answers gladly.
const maxAtOnce = 16

// Options are what New needs.
type Options struct {
	// Default is the address of the registry for namespaces that are bound to
	// no other: "https://registry.example", or "file:///srv/mirror".
	Default string
	// Bound are the addresses of other registries by namespace.
	Bound map[string]string
	// Token returns what the registry at an address is shown, empty for nothing;
	// it goes nowhere else. Nil shows nothing to anybody.
	Token     func(ctx context.Context, address string) (string, error)
	UserAgent string
	// Tagged lists the versions of a package of a registry that has no index, by
	// its tags: any OCI registry. It is asked where neither a description nor an
	// index is there. Nil: such a registry has no packages.
	Tagged func(ctx context.Context, address string, name clyde.Name) ([]resolve.Candidate, error)
	// NoIndex reports whether the registry at an address is known to have none.
	// It is not asked for one then. May be nil.
	NoIndex func(address string) bool
	// Cache is a folder for what was read; empty means to keep nothing.
	Cache string
	// Offline answers from the cache, and from folders, alone.
	Offline bool
}

// Source is a resolve.Source over the index of registries. Its methods may be
// called at once from many goroutines.
type Source struct {
	Options
	slots chan struct{} // one for each request under way
	work  sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	places  map[string]*place // by address
	flights map[clyde.Name]*flight
	missing []clyde.Name // not in the cache, while offline
}

// flight is the reading of one package.
type flight struct {
	done   chan struct{} // closed when the rest is set
	cands  []resolve.Candidate
	err    error
	cancel context.CancelFunc
}

// New returns a source. An address that is none is clyde.ErrInvalid.
func New(o Options) (*Source, error) {
	for _, address := range append([]string{o.Default}, values(o.Bound)...) {
		if err := CheckAddress(address); err != nil {
			return nil, err
		}
	}
	return &Source{Options: o, slots: make(chan struct{}, maxAtOnce), places: map[string]*place{}, flights: map[clyde.Name]*flight{}}, nil
}

func values(m map[string]string) []string {
	var all []string
	for _, v := range m {
		all = append(all, v)
	}
	return all
}

// CheckAddress returns what is wrong with the address of a registry, or nil:
// want http, https, or file with an absolute path.
func CheckAddress(address string) error {
	u, err := url.Parse(address)
	ok := err == nil && u.User == nil && u.RawQuery == "" && u.Fragment == ""
	switch {
	case !ok:
	case u.Scheme == "file":
		ok = u.Host == "" && strings.HasPrefix(u.Path, "/")
	default:
		ok = (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
	}
	if ok {
		return nil
	}
	return clyde.Errorf(clyde.ErrInvalid, "%q is no address of an index", address).WithCode("address_invalid").
		Fix("write https://registry.example, or file:///folder")
}

// Close ends what is still being read ahead, and waits for it.
func (s *Source) Close() {
	s.mu.Lock()
	s.closed = true
	for _, f := range s.flights {
		f.cancel()
	}
	s.mu.Unlock()
	s.work.Wait()
}

// Versions returns every version of a package. While offline, a package that is
// not in the cache is an ErrUnavailable error of the code "offline".
func (s *Source) Versions(ctx context.Context, name clyde.Name) ([]resolve.Candidate, error) {
	f := s.start(ctx, name)
	if f == nil {
		return nil, context.Canceled
	}
	select {
	case <-f.done:
		return f.cands, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Prefetch begins to read what will be asked for.
func (s *Source) Prefetch(ctx context.Context, names ...clyde.Name) {
	for _, n := range names {
		s.start(ctx, n)
	}
}

// Missing lists the packages that were asked for while offline and are not in
// the cache, sorted.
func (s *Source) Missing() []clyde.Name {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.SortFunc(s.missing, func(a, b clyde.Name) int { return strings.Compare(a.String(), b.String()) })
	return slices.Clone(s.missing)
}

// start returns the reading of a package, which it begins if need be; nil when
// the source was closed or reads as much as a resolution may.
func (s *Source) start(ctx context.Context, name clyde.Name) *flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flights[name]; f != nil {
		return f
	}
	if s.closed || len(s.flights) > resolve.MaxPackages {
		return nil
	}
	own, cancel := context.WithCancel(ctx)
	f := &flight{done: make(chan struct{}), cancel: cancel}
	s.flights[name] = f
	s.work.Go(func() {
		defer cancel()
		f.cands, f.err = s.load(own, name)
		close(f.done)
		if own.Err() == nil { // those are read for longer than this one is
			s.Prefetch(ctx, ahead(f.cands)...)
		}
	})
	return f
}

// ahead lists what the newest version requires, whatever its platform: most
// resolutions choose it.
func ahead(cs []resolve.Candidate) []clyde.Name {
	var newest *resolve.Candidate
	for i := range cs {
		c := &cs[i]
		if c.Yanked == "" && c.Unusable == "" && !c.Version.IsPrerelease() && (newest == nil || clyde.Compare(c.Version, newest.Version) > 0) {
			newest = c
		}
	}
	if newest == nil {
		return nil
	}
	var names []clyde.Name
	for i := range newest.Requires {
		if !newest.Requires[i].Optional {
			names = append(names, newest.Requires[i].Name)
		}
	}
	return names
}

// load reads the index of a package from the registry of its namespace.
func (s *Source) load(ctx context.Context, name clyde.Name) ([]resolve.Candidate, error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	p, err := s.placeOf(ctx, name.Namespace)
	if err != nil {
		return nil, err
	}
	if p.plain && !s.Offline && s.NoIndex != nil && s.NoIndex(p.address) {
		return s.Tagged(ctx, p.address, name)
	}
	data, err := p.read(ctx, "index/"+name.Repo()+".ndjson", resolve.MaxIndexSize)
	switch {
	case p.plain && refusal(err):
		return s.Tagged(ctx, p.address, name)
	case errors.Is(err, errNotCached):
		s.mu.Lock()
		s.missing = append(s.missing, name)
		s.mu.Unlock()
		return nil, clyde.Errorf(clyde.ErrUnavailable, "the index of %s is not in the cache, and --offline asks no registry", name).
			WithCode("offline").Fix("run the command once without --offline")
	case errors.Is(err, clyde.ErrNotFound):
		return nil, clyde.Errorf(clyde.ErrNotFound, "%s does not exist in %s, and @%s comes from nowhere else", name, p.label(), name.Namespace).WithCode("package_unknown")
	case err != nil:
		return nil, err
	}
	return resolve.ParseIndex(name, p.hostOf(name.Namespace), data)
}
