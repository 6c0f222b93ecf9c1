// Package limits counts how often somebody may ask for something: token
// buckets in bounded memory. It knows neither what is asked for nor who asks.
package limits

import (
	"container/list"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Max bounds the memory of a Buckets: some 150 bytes each. Who was away longest
// is forgotten first, which costs us nothing: his bucket is the likeliest to be
// full.
const Max = 1 << 16

// maxShared is the fastest rate that is shared with other processes, in requests
// a second: nothing is gained by sharing what nobody can exceed.
const maxShared = 1e6

// Rate is a token bucket. The zero Rate is no limit.
type Rate struct {
	PerSecond float64 // requests; 0 is no limit
	Burst     int     // requests at once; 0 means 1
}

// Per returns the rate of n requests in a time, all of which may come at once;
// n <= 0 is no limit.
func Per(n int, in time.Duration) Rate {
	if n <= 0 {
		return Rate{}
	}
	return Rate{PerSecond: float64(n) / in.Seconds(), Burst: n}
}

// seconds is how long n tokens take to come back.
func (r Rate) seconds(n float64) int { return int(math.Ceil(n / r.PerSecond)) }

// Kind is what requests count as.
type Kind struct {
	Name string // in headers and messages: "new-package"
	Rate Rate
}

// Left is what a caller has left of a kind.
type Left struct {
	Kind
	Remaining int // requests
	Reset     int // seconds until all of the burst is there again
}

type key struct {
	kind   int
	caller string
}

type bucket struct {
	key    key
	tokens float64
	at     time.Time
}

// Buckets are the buckets of all callers. It is safe for concurrent use.
type Buckets struct {
	kinds []Kind
	now   func() time.Time

	mu    sync.Mutex
	by    map[key]*list.Element // of *bucket
	order *list.List            // the last used first
	spent map[key]float64       // taken since Drain; nil: nobody drains
}

// Spent is what a caller took of a kind, or has left of it.
type Spent struct {
	Kind   int
	Caller string
	N      float64
}

// Share begins to note what is taken, for Drain.
func (b *Buckets) Share() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spent == nil {
		b.spent = map[key]float64{}
	}
}

// Drain returns what at most n callers took since they were drained last.
func (b *Buckets) Drain(n int) []Spent {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Spent, 0, min(n, len(b.spent)))
	for k, taken := range b.spent {
		if len(out) == n {
			break
		}
		delete(b.spent, k)
		out = append(out, Spent{k.kind, k.caller, taken})
	}
	return out
}

// Undrain puts back what could not be told to others.
func (b *Buckets) Undrain(spent []Spent) {
	for _, s := range spent {
		b.note(key{s.Kind, s.Caller}, s.N)
	}
}

func (b *Buckets) note(k key, n float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.noteLocked(k, n)
}

func (b *Buckets) noteLocked(k key, n float64) {
	if b.spent == nil || b.kinds[k.kind].Rate.PerSecond > maxShared {
		return
	}
	if _, known := b.spent[k]; known || len(b.spent) < Max {
		b.spent[k] += n
	}
}

// Set makes a caller's bucket what all processes together left of it. What was
// taken here since it was drained is taken off.
func (b *Buckets) Set(left []Spent) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range left {
		id := key{s.Kind, s.Caller}
		b.get(id).tokens = min(s.N, float64(b.kinds[s.Kind].Rate.Burst)) - b.spent[id]
	}
}

// KindOf describes a kind.
func (b *Buckets) KindOf(kind int) Kind { return b.kinds[kind] }

// New returns full buckets of the given kinds, which are named by their place.
// now nil means time.Now.
func New(kinds []Kind, now func() time.Time) *Buckets {
	if now == nil {
		now = time.Now
	}
	b := &Buckets{kinds: kinds, now: now, by: map[key]*list.Element{}, order: list.New()}
	for i := range kinds {
		kinds[i].Rate.Burst = max(kinds[i].Rate.Burst, 1)
	}
	return b
}

// Kinds is how many kinds there are.
func (b *Buckets) Kinds() int { return len(b.kinds) }

// Take takes one token of a caller's, and says in h what is left. Without one
// it is clyde.ErrRateLimited with code rate_limited, and h has Retry-After.
func (b *Buckets) Take(kind int, caller string, h http.Header) error {
	wait := b.take(kind, caller, h)
	if wait == 0 {
		return nil
	}
	secs := int(math.Ceil(wait.Seconds()))
	h.Set("Retry-After", fmt.Sprint(secs))
	return clyde.Errorf(clyde.ErrRateLimited, "too many requests of the kind %q", b.kinds[kind].Name).WithCode("rate_limited").
		Fix("Wait %d s before the next one.", secs)
}

// take returns how long to wait; 0 when a token was taken.
func (b *Buckets) take(kind int, caller string, h http.Header) time.Duration {
	rate := b.kinds[kind].Rate
	if rate.PerSecond == 0 {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.get(key{kind, caller})
	var wait time.Duration
	if k.tokens < 1 {
		wait = max(time.Duration((1-k.tokens)/rate.PerSecond*float64(time.Second)), time.Millisecond)
	} else {
		k.tokens--
		b.noteLocked(k.key, 1)
	}
	// As draft-ietf-httpapi-ratelimit-headers-10 has it.
	name := b.kinds[kind].Name
	h.Set("RateLimit-Policy", fmt.Sprintf("%q;q=%d;w=%d", name, rate.Burst, max(rate.seconds(float64(rate.Burst)), 1)))
	h.Set("RateLimit", fmt.Sprintf("%q;r=%d;t=%d", name, max(int(k.tokens), 0), rate.seconds(float64(rate.Burst)-k.tokens)))
	return wait
}

// Refund gives back what Take took: for an answer that cost nothing.
func (b *Buckets) Refund(kind int, caller string) {
	rate := b.kinds[kind].Rate
	if rate.PerSecond == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.get(key{kind, caller})
	k.tokens = min(k.tokens+1, float64(rate.Burst))
	b.noteLocked(k.key, -1)
}

// Fill gives all of a caller's tokens of a kind back.
func (b *Buckets) Fill(kind int, caller string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.get(key{kind, caller})
	b.noteLocked(k.key, k.tokens-float64(b.kinds[kind].Rate.Burst))
	k.tokens = float64(b.kinds[kind].Rate.Burst)
}

// Left returns what a caller has left of a kind, and takes nothing.
func (b *Buckets) Left(kind int, caller string) Left {
	l := Left{Kind: b.kinds[kind]}
	if l.Rate.PerSecond == 0 {
		return l
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.get(key{kind, caller}).tokens
	l.Remaining, l.Reset = max(int(n), 0), l.Rate.seconds(float64(l.Rate.Burst)-n)
	return l
}

// get returns the bucket, filled up to now. The caller holds the lock.
func (b *Buckets) get(id key) *bucket {
	now, rate := b.now(), b.kinds[id.kind].Rate
	if e, ok := b.by[id]; ok {
		k := e.Value.(*bucket)
		if d := now.Sub(k.at).Seconds(); d > 0 {
			k.tokens = min(k.tokens+d*rate.PerSecond, float64(rate.Burst))
			k.at = now
		}
		b.order.MoveToFront(e)
		return k
	}
	if len(b.by) >= Max {
		last := b.order.Back()
		delete(b.by, last.Value.(*bucket).key)
		b.order.Remove(last)
	}
	k := &bucket{key: id, tokens: float64(rate.Burst), at: now}
	b.by[id] = b.order.PushFront(k)
	return k
}

// Address is what limits by address count for a remote address with its port:
// an IPv4 address, or the /64 that one subscriber has in IPv6.
func Address(remote string) string {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote
	}
	a := ap.Addr().Unmap().WithZone("")
	if a.Is4() {
		return a.String()
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a.String()
	}
	return p.String()
}

// Loopback reports whether a remote address with its port is this machine's.
func Loopback(remote string) bool {
	ap, err := netip.ParseAddrPort(remote)
	return err == nil && ap.Addr().Unmap().IsLoopback()
}
