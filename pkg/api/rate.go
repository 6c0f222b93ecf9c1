package api

import (
	"context"
	"net/http"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/limits"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Rate is a token bucket. The zero Rate is no limit.
type Rate = limits.Rate

// Limits says how often one caller, an account, a token of the instance or else
// an address, may ask.
type Limits struct {
	Reads         Rate // everything that changes nothing
	Search        Rate // searches and names while typing, besides Reads
	Resolve       Rate // queries to resolve; zero means DefaultResolve
	AnonymousPull Rate // manifests and blobs by those who did not sign in, by address
	NewPackage    Rate // first versions; administrators are exempt
	NewVersion    Rate // further versions; administrators are exempt
	Yank          Rate // yank, unyank, deprecate
	Manage        Rate // keys and tokens
	Exchange      Rate // identity tokens of CI runs, always by address; zero means DefaultExchange
	Reports       Rate // reports about packages; zero means DefaultReports
	FailedAuth    Rate // bad credentials, always by address; zero means DefaultFailedAuth
}

// DefaultFailedAuth is how often an address may send bad credentials. Ours: a
// person mistypes a few times; a program that goes on learns nothing from it.
var DefaultFailedAuth = Rate{PerSecond: 0.2, Burst: 20}

// DefaultReports is how often an address, or an account, may report a package.
// Ours: somebody who goes through a list of packages reports a few, and nobody
// reads hundreds.
var DefaultReports = limits.Per(5, time.Hour)

// DefaultResolve is how often a caller may ask for versions to be chosen. Ours: a
// build farm behind one address asks some hundred times a minute, and each costs
// a few milliseconds of processor time.
var DefaultResolve = limits.Per(600, time.Minute)

// class is what a request counts as.
type class int

const (
	reads class = iota
	searches
	resolutions
	pulls
	newPackage
	newVersion
	yanks
	manage
	exchanges
	reports
	failedAuth
	classes
)

// Buckets are the limits, as the registry shares them with the API.
type Buckets struct{ b *limits.Buckets }

// NewBuckets returns full buckets; now nil means time.Now.
func NewBuckets(l Limits, now func() time.Time) *Buckets {
	if l.FailedAuth.PerSecond == 0 {
		l.FailedAuth = DefaultFailedAuth
	}
	if l.Exchange.PerSecond == 0 {
		l.Exchange = DefaultExchange
	}
	if l.Reports.PerSecond == 0 {
		l.Reports = DefaultReports
	}
	if l.Resolve.PerSecond == 0 {
		l.Resolve = DefaultResolve
	}
	kinds := [classes]limits.Kind{
		reads: {Name: "reads", Rate: l.Reads}, searches: {Name: "search", Rate: l.Search}, resolutions: {Name: "resolve", Rate: l.Resolve}, pulls: {Name: "anonymous-pull", Rate: l.AnonymousPull},
		newPackage: {Name: "new-package", Rate: l.NewPackage}, newVersion: {Name: "new-version", Rate: l.NewVersion},
		yanks: {Name: "yank", Rate: l.Yank}, manage: {Name: "manage", Rate: l.Manage}, exchanges: {Name: "exchange", Rate: l.Exchange},
		reports: {Name: "report", Rate: l.Reports}, failedAuth: {Name: "failed-authentication", Rate: l.FailedAuth},
	}
	return &Buckets{limits.New(kinds[:], now)}
}

// Share begins to note what is taken, for Sync.
func (b *Buckets) Share() { b.b.Share() }

// syncAtOnce is how many callers are told to others at once.
const syncAtOnce = 1000

// Sync tells others what was taken here since the last time, through spend,
// which returns what all together left, and takes that over. A failure leaves
// everything for the next time.
func (b *Buckets) Sync(ctx context.Context, spend func(context.Context, []store.Spent) ([]float64, error)) error {
	for {
		taken := b.b.Drain(syncAtOnce)
		if len(taken) == 0 {
			return nil
		}
		all := make([]store.Spent, len(taken))
		for i, s := range taken {
			k := b.b.KindOf(s.Kind)
			all[i] = store.Spent{Kind: k.Name, Caller: s.Caller, N: s.N, PerSecond: k.Rate.PerSecond, Burst: float64(k.Rate.Burst)}
		}
		left, err := spend(ctx, all)
		if err != nil {
			b.b.Undrain(taken)
			return err
		}
		for i := range left {
			taken[i].N = left[i]
		}
		b.b.Set(taken[:len(left)])
		if len(taken) < syncAtOnce {
			return nil
		}
	}
}

// caller is whose limits count.
func caller(p account.Principal, remote string) string {
	switch {
	case p.Anonymous():
		return "address " + limits.Address(remote)
	case p.Login != "":
		return "account " + p.Login // however many tokens it has
	}
	return "token " + p.ID
}

// Pull takes a pull of somebody who did not sign in. This machine is not
// counted: whoever is on it needs no registry to slow it down.
func (b *Buckets) Pull(p account.Principal, remote string, h http.Header) error {
	if !p.Anonymous() || limits.Loopback(remote) {
		return nil
	}
	return b.b.Take(int(pulls), caller(p, remote), h)
}

// Publish takes a version that somebody publishes; administrators are exempt.
func (b *Buckets) Publish(p account.Principal, remote string, isNew bool, h http.Header) error {
	if p.Admin {
		return nil
	}
	k := newVersion
	if isNew {
		k = newPackage
	}
	return b.b.Take(int(k), caller(p, remote), h)
}

// Report takes a report about a package, filed by the API or on a page.
func (b *Buckets) Report(p account.Principal, remote string, h http.Header) error {
	return b.b.Take(int(reports), caller(p, remote), h)
}

// Search takes a search, which this machine's are not counted as either.
func (b *Buckets) Search(p account.Principal, remote string, h http.Header) error {
	if p.Anonymous() && limits.Loopback(remote) {
		return nil
	}
	return b.b.Take(int(searches), caller(p, remote), h)
}

// left lists the limits of a caller.
func (b *Buckets) left(c *call) []Limit {
	var out []Limit
	for k := range classes {
		caller := c.caller
		switch k {
		case failedAuth, exchanges:
			caller = c.addr
		case pulls:
			caller = "address " + c.addr
		}
		out = append(out, limitView(b.b.Left(int(k), caller)))
	}
	return out
}

func limitView(n limits.Left) Limit {
	l := Limit{Name: n.Name, PerSecond: n.Rate.PerSecond}
	if l.PerSecond > 0 {
		l.Limit, l.Remaining, l.Reset = n.Rate.Burst, n.Remaining, n.Reset
	}
	return l
}

// limit takes a token for this call, or returns the failure that says when to
// come back.
func (s *server) limit(c *call, k class, caller string) error {
	h := c.w.Header()
	return tooMany(h, s.Buckets.b.Take(int(k), caller, h))
}

// tooMany says when to come back.
func tooMany(h http.Header, err error) error {
	if err == nil {
		return nil
	}
	return refusal{status: http.StatusTooManyRequests, header: http.Header{"Retry-After": h["Retry-After"]}, err: clyde.AsError(err)}
}
