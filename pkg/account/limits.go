package account

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/limits"
)

// Limits of signing in. Ours: a person who mistypes is not held up, and a
// guesser gets some thousand tries a day.
const (
	signInLogin       = iota // tries of a password for one login
	signInAddress            // tries of passwords from one address
	deviceAsk                // sign ins of command lines begun from one address
	deviceCode               // codes typed by one account
	deviceCodeAddress        // codes typed from one address
)

// ipv6Network is what one person has, in bits.
const ipv6Network = 64

func signInKinds() []limits.Kind {
	every := func(d time.Duration, burst int) limits.Rate {
		return limits.Rate{PerSecond: 1 / d.Seconds(), Burst: burst}
	}
	return []limits.Kind{
		signInLogin:       {Name: "sign-in", Rate: every(time.Minute, 10)},
		signInAddress:     {Name: "sign-in-address", Rate: every(30*time.Second, 20)},
		deviceAsk:         {Name: "device", Rate: every(time.Minute, 10)},
		deviceCode:        {Name: "device-code", Rate: every(time.Minute, 20)},
		deviceCodeAddress: {Name: "device-code-address", Rate: every(time.Minute, 20)},
	}
}

// SignInLimits says what is left of the limits of signing in to somebody at an
// address: of their login's too, where p has one.
func (a *Accounts) SignInLimits(p Principal, addr netip.Addr) []limits.Left {
	at := network64(addr)
	out := []limits.Left{a.limits.Left(signInAddress, at), a.limits.Left(deviceAsk, at), a.limits.Left(deviceCodeAddress, at)}
	if p.Login != "" {
		out = append(out, a.limits.Left(signInLogin, p.Login), a.limits.Left(deviceCode, p.Login))
	}
	return out
}

// spending is one token of a bucket.
type spending struct {
	kind   int
	caller string
}

// spend takes a token of each, or of none, and returns clyde.ErrRateLimited
// with code "login_throttled". The fields of RateLimit go where from says.
func (a *Accounts) spend(from From, what string, of ...spending) error {
	h := from.Tell
	if h == nil {
		h = http.Header{}
	}
	for i, s := range of {
		if a.limits.Take(s.kind, s.caller, h) == nil {
			continue
		}
		for _, s := range of[:i] {
			a.limits.Refund(s.kind, s.caller)
		}
		return clyde.Errorf(clyde.ErrRateLimited, "%s; try again in %s seconds", what, h.Get("Retry-After")).WithCode("login_throttled")
	}
	return nil
}

// network64 is what counts as one address.
func network64(addr netip.Addr) string {
	addr = addr.Unmap()
	if addr.Is6() {
		if p, err := addr.Prefix(ipv6Network); err == nil {
			return p.String()
		}
	}
	return addr.String()
}
