package upstream

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

const (
	// maxPatience is how long a request waits for a registry that asked to be
	// left alone; longer, and it fails at once, so that work goes on elsewhere.
	// Ours: what artifact.Client waits itself.
	maxPatience = time.Minute

	// maxHold bounds what a registry may ask for. Ours: hosted registries count
	// by the hour.
	maxHold = time.Hour
)

// pace is a transport that sends at most so many requests a second, and none
// while the registry asked for peace.
type pace struct {
	next http.RoundTripper
	host string
	gap  time.Duration // between two requests; 0: none

	mu   sync.Mutex
	free time.Time // when the next request may go
	held time.Time // until when the registry wants peace
}

func newPace(next http.RoundTripper, host string, perSecond float64) *pace {
	if next == nil {
		next = http.DefaultTransport
	}
	p := &pace{next: next, host: host}
	if perSecond > 0 {
		p.gap = time.Duration(float64(time.Second) / perSecond)
	}
	return p
}

func (p *pace) heldUntil() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held
}

// slot reserves a place for a request and returns how long it has to wait.
func (p *pace) slot(now time.Time) (time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := p.held.Sub(now); d > maxPatience {
		return 0, clyde.Errorf(clyde.ErrUnavailable, "%s asked to be left alone until %s", p.host, p.held.UTC().Format(time.RFC3339)).WithCode("registry_busy")
	}
	at := now
	if p.free.After(at) {
		at = p.free
	}
	if p.held.After(at) {
		at = p.held
	}
	p.free = at.Add(p.gap)
	return at.Sub(now), nil
}

// RoundTrip implements http.RoundTripper.
func (p *pace) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.EqualFold(r.URL.Host, p.host) {
		return p.next.RoundTrip(r) // where the registry keeps its blobs, or makes its tokens
	}
	d, err := p.slot(time.Now())
	if err == nil {
		err = wait(r.Context(), d)
	}
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // as RoundTrippers do
		}
		return nil, err
	}
	resp, err := p.next.RoundTrip(r)
	if err == nil && (resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable) {
		p.hold(resp.Header.Get("Retry-After"), time.Now())
	}
	return resp, err
}

// hold heeds a Retry-After.
func (p *pace) hold(after string, now time.Time) {
	d, _ := artifact.RetryAfter(after, now)
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := now.Add(min(d, maxHold)); d > 0 && until.After(p.held) {
		p.held = until
	}
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Set is the registries of one server.
type Set struct{ list []*Registry }

// NewSet returns a set.
func NewSet(list ...*Registry) *Set { return &Set{list} }

// All lists them in the order of the configuration; none of a nil Set.
func (s *Set) All() []*Registry {
	if s == nil {
		return nil
	}
	return s.list
}

// ByName returns the registry of a name, or nil.
func (s *Set) ByName(name string) *Registry {
	return s.find(func(r *Registry) bool { return r.o.Name == name })
}

// ByHost returns the registry at a host, or nil.
func (s *Set) ByHost(host string) *Registry {
	return s.find(func(r *Registry) bool { return r.o.Host == host })
}

func (s *Set) find(is func(*Registry) bool) *Registry {
	for _, r := range s.All() {
		if is(r) {
			return r
		}
	}
	return nil
}
