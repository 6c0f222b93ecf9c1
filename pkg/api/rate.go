package api

import (
	"container/list"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Rate is a token bucket. The zero Rate is no limit.
type Rate struct {
	PerSecond float64 // requests; 0 is no limit
	Burst     int     // requests at once
}

// Limits says how often one caller, a token or else an address, may ask.
type Limits struct {
	Reads      Rate // everything that changes nothing
	NewPackage Rate // first versions; administrators are exempt
	NewVersion Rate // further versions; administrators are exempt
	Yank       Rate // yank, unyank, deprecate
	Manage     Rate // keys and tokens
	Exchange   Rate // identity tokens of CI runs, always by address; zero means DefaultExchange
	Reports    Rate // reports about packages; zero means DefaultReports
	FailedAuth Rate // bad credentials, always by address; zero means DefaultFailedAuth
}

// DefaultFailedAuth is how often an address may send bad credentials. Ours: a
// person mistypes a few times; a program that goes on learns nothing from it.
var DefaultFailedAuth = Rate{PerSecond: 0.2, Burst: 20}

// DefaultReports is how often an address, or an account, may report a package.
// Ours: somebody who goes through a list of packages reports a few, and nobody
// reads hundreds.
var DefaultReports = Rate{PerSecond: 1.0 / 720, Burst: 5}

// maxBuckets bounds the memory of the limits: some 150 bytes each. Who was
// away longest is forgotten first, which costs us nothing: his bucket is the
// likeliest to be full.
const maxBuckets = 1 << 16

// class is what a request counts as.
type class int

const (
	reads class = iota
	newPackage
	newVersion
	yanks
	manage
	exchanges
	reports
	failedAuth
	classes
)

var classNames = [classes]string{"reads", "new-package", "new-version", "yank", "manage", "exchange", "report", "failed-authentication"}

type bucketKey struct {
	class  class
	caller string
}

type bucket struct {
	key    bucketKey
	tokens float64
	at     time.Time
}

type buckets struct {
	rates [classes]Rate
	now   func() time.Time

	mu    sync.Mutex
	by    map[bucketKey]*list.Element // of *bucket
	order *list.List                  // the last used first
}

func newBuckets(l Limits, now func() time.Time) *buckets {
	if l.FailedAuth.PerSecond == 0 {
		l.FailedAuth = DefaultFailedAuth
	}
	if l.Exchange.PerSecond == 0 {
		l.Exchange = DefaultExchange
	}
	if l.Reports.PerSecond == 0 {
		l.Reports = DefaultReports
	}
	b := &buckets{now: now, by: map[bucketKey]*list.Element{}, order: list.New()}
	b.rates = [classes]Rate{l.Reads, l.NewPackage, l.NewVersion, l.Yank, l.Manage, l.Exchange, l.Reports, l.FailedAuth}
	for i := range b.rates {
		b.rates[i].Burst = max(b.rates[i].Burst, 1)
	}
	return b
}

// take takes one token, or says how long to wait for it.
func (b *buckets) take(c class, caller string, h http.Header) (wait time.Duration, ok bool) {
	rate := b.rates[c]
	if rate.PerSecond == 0 {
		return 0, true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.get(bucketKey{c, caller})
	if k.tokens < 1 {
		wait = time.Duration((1 - k.tokens) / rate.PerSecond * float64(time.Second))
		b.headers(c, k, h)
		return max(wait, time.Millisecond), false
	}
	k.tokens--
	b.headers(c, k, h)
	return 0, true
}

// refund gives back what take took: for an answer that cost nothing.
func (b *buckets) refund(c class, caller string) {
	rate := b.rates[c]
	if rate.PerSecond == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.get(bucketKey{c, caller})
	k.tokens = min(k.tokens+1, float64(rate.Burst))
}

// get returns the bucket, filled up to now. The caller holds the lock.
func (b *buckets) get(key bucketKey) *bucket {
	now := b.now()
	rate := b.rates[key.class]
	if e, ok := b.by[key]; ok {
		k := e.Value.(*bucket)
		if d := now.Sub(k.at).Seconds(); d > 0 {
			k.tokens = min(k.tokens+d*rate.PerSecond, float64(rate.Burst))
			k.at = now
		}
		b.order.MoveToFront(e)
		return k
	}
	if len(b.by) >= maxBuckets {
		last := b.order.Back()
		delete(b.by, last.Value.(*bucket).key)
		b.order.Remove(last)
	}
	k := &bucket{key: key, tokens: float64(rate.Burst), at: now}
	b.by[key] = b.order.PushFront(k)
	return k
}

// headers says what is left, as draft-ietf-httpapi-ratelimit-headers-10 does.
func (b *buckets) headers(c class, k *bucket, h http.Header) {
	rate := b.rates[c]
	h.Set("RateLimit-Policy", fmt.Sprintf("%q;q=%d;w=%d", classNames[c], rate.Burst, max(rate.seconds(float64(rate.Burst)), 1)))
	h.Set("RateLimit", fmt.Sprintf("%q;r=%d;t=%d", classNames[c], int(k.tokens), rate.seconds(float64(rate.Burst)-k.tokens)))
}

// seconds is how long n tokens take to come back.
func (r Rate) seconds(n float64) int { return int(math.Ceil(n / r.PerSecond)) }

// limit takes a token for this call, or returns the failure that says when to
// come back.
func (s *server) limit(c *call, k class, caller string) error {
	wait, ok := s.buckets.take(k, caller, c.w.Header())
	if ok {
		return nil
	}
	secs := int(math.Ceil(wait.Seconds()))
	return refusal{
		status: http.StatusTooManyRequests, header: http.Header{"Retry-After": {strconv.Itoa(secs)}},
		err: clyde.Errorf(clyde.ErrRateLimited, "too many requests of the kind %q", classNames[k]).WithCode("rate_limited").
			Fix("Wait %d s before the next one.", secs),
	}
}
