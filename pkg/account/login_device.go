package account

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Limits of a command line that signs in over a browser. RFC 8628 leaves them
// to us; 6.1 asks for a code that is short to type and hopeless to guess: 20^8
// codes, each good for a quarter of an hour, and tries that are counted.
const (
	DeviceFor      = 15 * time.Minute
	DeviceInterval = 5 * time.Second // between two polls (RFC 8628, 3.2)
	userCodeLen    = 8
	// MaxDeviceToken is the longest that a token made so lasts: nobody reviews
	// what a laptop holds.
	MaxDeviceToken     = 365 * 24 * time.Hour
	DefaultDeviceToken = 90 * 24 * time.Hour
)

// userCodeLetters are without vowels, so that no code is a word, and without
// what looks like something else (RFC 8628, 6.1).
const userCodeLetters = "BCDFGHJKLMNPQRSTVWXZ"

// devicePrefix starts a device code, which is no token.
const devicePrefix = "clyded_"

// DeviceCode is what a command line is told.
type DeviceCode struct {
	Secret   string // it polls with
	UserCode string // shown to the person: "BCDF-GHJK"
	Expires  time.Time
}

// AskDevice begins the sign in of a command line at from: for a token with
// those scopes that lasts for a time, 0 for DefaultDeviceToken.
func (a *Accounts) AskDevice(ctx context.Context, name string, scopes []Scope, lasts time.Duration, from From) (c DeviceCode, err error) {
	defer clyde.Wrap(&err, "account.AskDevice")
	if lasts == 0 {
		lasts = DefaultDeviceToken
	}
	if lasts < time.Minute || lasts > MaxDeviceToken {
		return c, clyde.Errorf(clyde.ErrInvalid, "a token that lasts %s: want a minute to %d days", lasts, int(MaxDeviceToken.Hours()/24)).WithCode("expiry_invalid")
	}
	now := a.now()
	if err := (TokenSpec{Name: name, Scopes: scopes, Expires: now.Add(lasts)}).check(now); err != nil {
		return c, err
	}
	return a.askDevice(ctx, name, scopes, lasts, from)
}

func (a *Accounts) askDevice(ctx context.Context, name string, scopes []Scope, lasts time.Duration, from From) (c DeviceCode, err error) {
	now := a.now().UTC()
	if err := a.spend(from, "too many sign ins were begun from here", spending{deviceAsk, network64(from.Addr)}); err != nil {
		return c, err
	}
	c = DeviceCode{Secret: devicePrefix + rand.Text() + rand.Text(), UserCode: newUserCode(), Expires: now.Add(DeviceFor)}
	return c, a.db.AddDevice(ctx, store.Device{
		Hash: hashToken(c.Secret), UserCode: c.UserCode, TokenName: name, Scopes: []byte(asJSON(scopes)), Token: now.Add(lasts),
		Address: from.address(), Created: now, Expires: c.Expires,
	})
}

func newUserCode() string {
	var b strings.Builder
	for b.Len() < userCodeLen {
		var r [16]byte
		_, _ = rand.Read(r[:])
		for _, x := range r {
			// 240 is the largest multiple of 20 in a byte: no letter is likelier.
			if x < 240 && b.Len() < userCodeLen {
				b.WriteByte(userCodeLetters[int(x)%len(userCodeLetters)])
			}
		}
	}
	s := b.String()
	return s[:4] + "-" + s[4:]
}

// fitUserCode returns a code as it is stored from what somebody typed.
func fitUserCode(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToUpper(s))
	if len(s) != userCodeLen || strings.Trim(s, userCodeLetters) != "" {
		return ""
	}
	return s[:4] + "-" + s[4:]
}

// DeviceAsk is what a command line asks for.
type DeviceAsk struct {
	UserCode string
	Name     string
	Scopes   []Scope
	Lasts    time.Duration
	Expires  time.Time // of the token
	Address  string    // who asks
	Since    time.Time
	Proof    bool // it asks to stand for somebody who has just signed in, for ProofFor
}

func errNoDevice() error {
	return clyde.Errorf(clyde.ErrNotFound, "no command line waits for that code").WithCode("user_code_unknown").
		Fix("Type the code again as the command line shows it; it is good for %d minutes.", int(DeviceFor.Minutes()))
}

// FindDevice returns what the command line with a code asks for, to p, who
// signed in. Tries are counted.
func (a *Accounts) FindDevice(ctx context.Context, p Principal, code string) (d DeviceAsk, err error) {
	defer clyde.Wrap(&err, "account.FindDevice")
	if err := requireSession(p, "approving a command line"); err != nil {
		return d, err
	}
	if err := a.spend(From{}, "too many codes were tried", spending{deviceCode, p.Login}, spending{deviceCodeAddress, network64(p.Addr)}); err != nil {
		return d, err
	}
	v, err := a.device(ctx, code)
	if err != nil {
		return d, err
	}
	d = DeviceAsk{
		UserCode: v.UserCode, Name: v.TokenName, Lasts: v.Token.Sub(v.Created), Expires: v.Token, Address: v.Address, Since: v.Created,
	}
	if err := json.Unmarshal(v.Scopes, &d.Scopes); err != nil {
		return d, err
	}
	d.Proof = isProof(d.Scopes)
	return d, nil
}

func (a *Accounts) device(ctx context.Context, code string) (store.Device, error) {
	fit := fitUserCode(code)
	if fit == "" {
		return store.Device{}, errNoDevice()
	}
	v, err := a.db.DeviceByUserCode(ctx, fit)
	if errors.Is(err, clyde.ErrNotFound) || err == nil && (v.State != store.DeviceWaiting || !a.now().Before(v.Expires)) {
		return v, errNoDevice()
	}
	return v, err
}

// DecideDevice lets the command line with a code have its token, or not. The
// token is one of p's account: p must be able to make it now.
func (a *Accounts) DecideDevice(ctx context.Context, p Principal, code string, ok bool) (err error) {
	defer clyde.Wrap(&err, "account.DecideDevice")
	d, err := a.FindDevice(ctx, p, code)
	if err != nil {
		return err
	}
	action, state := "device.deny", store.DeviceDenied
	if ok {
		action, state = "device.approve", store.DeviceApproved
		if d.Proof {
			action, err = "device.prove", RequireRecent(p, a.now(), "letting a command line stand for you")
		} else {
			err = a.mayCreate(ctx, p, TokenSpec{Name: d.Name, Scopes: d.Scopes, Expires: d.Expires})
		}
		if err != nil {
			return err
		}
	}
	e := a.audit(p, action, "account:"+p.Login)
	e.Detail = asJSON(map[string]any{"name": d.Name, "scopes": d.Scopes, "expires": d.Expires, "from": d.Address})
	err = a.db.DecideDevice(ctx, d.UserCode, state, p.Account, e)
	if errors.Is(err, clyde.ErrNotFound) {
		return errNoDevice()
	}
	return err
}

// Codes of the errors of PollDevice (RFC 8628, 3.5).
const (
	DevicePending  = "authorization_pending"
	DeviceSlowDown = "slow_down"
	DeviceExpired  = "expired_token"
	DeviceRefused  = "access_denied"
)

// PollDevice returns the token of a command line that was let in, once. Until
// then, and when it never will, the error has one of the codes above; a device
// code that is unknown is DeviceExpired too, so that nothing is learnt.
func (a *Accounts) PollDevice(ctx context.Context, secret string, from From) (token string, t store.Token, err error) {
	defer clyde.Wrap(&err, "account.PollDevice")
	expired := func() error {
		return clyde.Errorf(clyde.ErrDenied, "the sign in took too long").WithCode(DeviceExpired).Fix("Begin again: clyde login.")
	}
	if !strings.HasPrefix(secret, devicePrefix) || len(secret) > maxAgent {
		return "", t, expired()
	}
	hash := a.hashOf(ctx, secret)
	d, err := a.db.Device(ctx, hash)
	if errors.Is(err, clyde.ErrNotFound) {
		return "", t, expired()
	}
	if err != nil {
		return "", t, err
	}
	now := a.now().UTC()
	switch {
	case d.State == store.DeviceDenied:
		return "", t, clyde.Errorf(clyde.ErrDenied, "the sign in was turned down").WithCode(DeviceRefused)
	case d.State == store.DeviceDone, !now.Before(d.Expires):
		return "", t, expired()
	}
	if err := a.db.PollDevice(ctx, hash, now); err != nil {
		return "", t, err
	}
	// A network is not that even: one second is granted.
	if !d.Polled.IsZero() && now.Sub(d.Polled) < DeviceInterval-time.Second {
		return "", t, clyde.Errorf(clyde.ErrRateLimited, "ask every %d seconds at most", int(DeviceInterval.Seconds())).WithCode(DeviceSlowDown)
	}
	if d.State == store.DeviceWaiting {
		return "", t, clyde.Errorf(clyde.ErrDenied, "nobody has answered in the browser yet").WithCode(DevicePending)
	}
	return a.finishDevice(ctx, hash, d, from, expired)
}

func (a *Accounts) finishDevice(ctx context.Context, hash []byte, d store.Device, from From, expired func() error) (string, store.Token, error) {
	// Whoever approved it is asked again: rights may have been lost meanwhile.
	p, err := a.as(ctx, d.Account)
	if err != nil {
		return "", store.Token{}, err
	}
	p.Addr = from.Addr
	spec := TokenSpec{Name: d.TokenName, Expires: d.Token}
	if err := json.Unmarshal(d.Scopes, &spec.Scopes); err != nil {
		return "", store.Token{}, err
	}
	if isProof(spec.Scopes) {
		spec = proofSpec(d.TokenName, spec.Scopes, from, a.now().UTC())
		if err = p.usable(); err == nil {
			err = a.roomForToken(ctx, p)
		}
	} else if err = a.mayCreate(ctx, p, spec); err == nil {
		err = spec.check(a.now())
	}
	if err != nil {
		return "", store.Token{}, err
	}
	secret, t, err := rowOf(d.Account, spec, a.now().UTC())
	if err != nil {
		return "", t, err
	}
	e, err := tokenEntry(a.audit(p, "token.create", t.ID), spec)
	if err != nil {
		return "", t, err
	}
	e.Token = "" // the browser's session approved; the command line has none
	err = a.db.FinishDevice(ctx, hash, t, e)
	if errors.Is(err, clyde.ErrNotFound) {
		return "", t, expired() // another poll was first
	}
	return secret, t, err
}
