package policy

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

// How often trusted roots are looked at. Ours: sigstore gives a month's notice
// of a change, and its metadata holds for a week.
const (
	trustsEvery = 6 * time.Hour
	trustsRetry = 10 * time.Minute // after a failure
)

// Trusts keeps the trusted roots of the sigstores that a registry relies on:
// from files, and from TUF repositories, which are asked when a root is first
// needed and a few times a day from then on.
type Trusts struct {
	sources []TrustSource
	cache   string // folder of what was fetched
	log     *slog.Logger
	now     func() time.Time
	wake    chan struct{}

	mu     sync.Mutex
	roots  map[string]*signing.Trust
	failed map[string]error // why a root is not there
	wanted map[string]bool
}

// NewTrusts reads the roots that are files. cache is where those fetched are
// kept.
func NewTrusts(sources []TrustSource, cache string, log *slog.Logger, now func() time.Time) (*Trusts, error) {
	t := &Trusts{
		sources: sources, cache: cache, log: log, now: now, wake: make(chan struct{}, 1),
		roots: map[string]*signing.Trust{}, failed: map[string]error{}, wanted: map[string]bool{},
	}
	for _, s := range sources {
		if s.File == "" {
			continue
		}
		tr, err := signing.TrustFromFile(s.Name, s.File)
		if err != nil {
			return nil, err
		}
		t.roots[s.Name] = tr
	}
	return t, nil
}

// Sources lists the sigstores, in the order they were given.
func (t *Trusts) Sources() []TrustSource {
	if t == nil {
		return nil
	}
	return t.sources
}

// Root returns the trusted root of a sigstore by name: clyde.ErrNotFound of one
// that is not relied on, and an error that Unready knows while it is fetched.
func (t *Trusts) Root(name string) (*signing.Trust, error) {
	for _, s := range t.Sources() {
		if s.Name == name {
			return t.root(s)
		}
	}
	return nil, clyde.Errorf(clyde.ErrNotFound, "this registry knows no sigstore %s", name).WithCode("trust_unknown")
}

// Known returns the trusted root of a sigstore where it is there, else nil, and
// asks for nothing.
func (t *Trusts) Known(name string) *signing.Trust {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.roots[name]
}

// Read is a Roots for the policies of namespaces.
func (t *Trusts) Read(_ context.Context, src TrustSource) (*signing.Trust, error) {
	known, err := src.among(t.Sources())
	if err != nil {
		// It knew it when the policy was set: an administrator may bring it back.
		return nil, unready(src.Name, err)
	}
	return t.root(known)
}

func (t *Trusts) root(s TrustSource) (*signing.Trust, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if tr := t.roots[s.Name]; tr != nil {
		return tr, nil
	}
	if !t.wanted[s.Name] {
		t.wanted[s.Name] = true
		select {
		case t.wake <- struct{}{}:
		default:
		}
	}
	return nil, unready(s.Name, t.failed[s.Name])
}

// Present returns the roots that are there, and asks for the others.
func (t *Trusts) Present() []*signing.Trust {
	var out []*signing.Trust
	for _, s := range t.Sources() {
		if tr, err := t.root(s); err == nil {
			out = append(out, tr)
		}
	}
	return out
}

// Hash names all roots that are there: it changes when whom to trust does.
func (t *Trusts) Hash() digest.Digest {
	if t == nil {
		return ""
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var text strings.Builder
	for _, s := range t.sources {
		if tr := t.roots[s.Name]; tr != nil {
			text.WriteString(s.Name + " " + tr.Hash.String() + "\n")
		}
	}
	return digest.FromString(text.String())
}

// Run fetches what is needed until ctx ends, and calls changed whenever a root
// came or is another.
func (t *Trusts) Run(ctx context.Context, changed func(ctx context.Context) error) error {
	timer := time.NewTimer(trustsEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.wake:
		case <-timer.C:
		}
		before := t.Hash()
		next := trustsEvery
		if !t.refresh(ctx) {
			next = trustsRetry
		}
		timer.Reset(next)
		if t.Hash() == before || ctx.Err() != nil {
			continue
		}
		if err := changed(ctx); err != nil && ctx.Err() == nil {
			t.log.ErrorContext(ctx, "signing: look at signatures again", "err", err)
		}
	}
}

// refresh reads every root that anything asked for, and reports whether all
// could be. One that cannot be read stays what it was: signing.TrustFromTUF has
// its last good answer as long as that holds, and a file may be half written.
func (t *Trusts) refresh(ctx context.Context) (ok bool) {
	ok = true
	for _, s := range t.sources {
		t.mu.Lock()
		skip := s.File == "" && !t.wanted[s.Name]
		t.mu.Unlock()
		if skip {
			continue
		}
		tr, err := t.fetch(ctx, s)
		t.mu.Lock()
		t.failed[s.Name] = err
		if err == nil {
			t.roots[s.Name] = tr
		}
		t.mu.Unlock()
		if err != nil {
			ok = false
			t.log.WarnContext(ctx, "signing: trusted root", "name", s.Name, "err", err)
		}
	}
	return ok
}

func (t *Trusts) fetch(ctx context.Context, s TrustSource) (*signing.Trust, error) {
	if s.File != "" {
		return signing.TrustFromFile(s.Name, s.File)
	}
	from := signing.TUF{Mirror: s.Mirror, Cache: t.cache}
	if s.Mirror != "" {
		var err error
		if from.Root, err = os.ReadFile(s.Root); err != nil {
			return nil, clyde.Errorf(clyde.ErrInvalid, "signing.trust %s: its root cannot be read", s.Name).Because(err)
		}
	}
	return signing.TrustFromTUF(ctx, s.Name, from)
}
