package account

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// ProofFor is how long a proof lasts: a token that stands for somebody who has
// just signed in, so that a command line can do what no lasting token may.
const ProofFor = RecentFor

// proofScopes is what a proof grants: what its owner may do to packages,
// namespaces and organisations. It is no way into the account itself: ways to
// sign in, passwords, sessions and further tokens are for the browser.
func proofScopes() []Scope { return []Scope{{Actions: []Action{Manage, Own}, Pattern: "*"}} }

// isProof reports whether scopes are those of a proof: nothing else has Own.
func isProof(scopes []Scope) bool {
	return slices.ContainsFunc(scopes, func(s Scope) bool { return slices.Contains(s.Actions, Own) })
}

// proof reports whether p is a token that proves a recent sign in. The end of
// the token is the end of the proof.
func (p Principal) proof() bool {
	return p.Session == "" && p.Account != 0 && p.Run == nil && !p.Proved.IsZero() && isProof(p.Scopes)
}

// AskProof begins the sign in of a command line at from that is to do what
// takes an owner who signed in. Somebody approves it in a browser who signed in
// within RecentFor; the token lasts ProofFor from when it is fetched, and is
// good from that address alone.
func (a *Accounts) AskProof(ctx context.Context, name string, from From) (c DeviceCode, err error) {
	defer clyde.Wrap(&err, "account.AskProof")
	if err := checkTokenName(name); err != nil {
		return c, err
	}
	return a.askDevice(ctx, name, proofScopes(), ProofFor, from)
}

// proofSpec is the token of an approved proof, fetched at from.
func proofSpec(name string, scopes []Scope, from From, now time.Time) TokenSpec {
	spec := TokenSpec{Name: name, Scopes: scopes, Expires: now.Add(ProofFor)}
	if from.Addr.IsValid() {
		spec.Networks = []netip.Prefix{subscriber(from.Addr)}
	}
	return spec
}

// subscriber is the network of one subscriber: an IPv4 address, or a /64, in
// which IPv6 hosts change their address every day.
func subscriber(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = ipv6Network
	}
	return netip.PrefixFrom(addr, bits).Masked()
}

// proved returns since when a token proves a sign in; zero where it is none.
func proved(scopes []Scope, account int64, run []byte, created time.Time) time.Time {
	if account == 0 || len(run) > 0 || !isProof(scopes) {
		return time.Time{}
	}
	return created
}

// requirePerson returns nil for somebody who signed in, in a browser or by a
// proof.
func requirePerson(p Principal, what string) error {
	if p.proof() {
		return p.usable()
	}
	if p.Session == "" && p.Account != 0 {
		return p.unproven(clyde.Errorf(clyde.ErrDenied, "%s is not done with a lasting token", what))
	}
	return requireSession(p, what)
}

// unproven says how p gets to what it was refused for want of a sign in. A
// token of a CI run, and one that is no account's, have no such way.
func (p Principal) unproven(e *clyde.Error) error {
	if p.Account == 0 || p.Run != nil {
		return e.WithCode("session_required").Fix("Sign in on the web site.")
	}
	return e.WithCode("proof_required").
		Fix("Prove that it is you: clyde login --prove; it counts for %d minutes. Or do it on the web site.", int(ProofFor.Minutes()))
}

// needWhole returns nil for an account that signed in, by a proof too, and for
// a token of it with the scope manage on everything: a token for one package,
// or for publishing alone, has no business with the rest of the account.
func needWhole(by Principal, what string) error {
	if err := needAccount(by, what); err != nil {
		return err
	}
	if by.Session != "" || by.Admin || Scopes(by.Scopes).manageAll() {
		return nil
	}
	return by.unproven(clyde.Errorf(clyde.ErrDenied, "%s needs the scope manage on *, which token %q lacks", what, by.tokenName()))
}

// needWide is needWhole for what is less private: any scope on everything does.
func needWide(by Principal, what string) error {
	if err := needAccount(by, what); err != nil {
		return err
	}
	if by.wide() {
		return nil
	}
	return by.unproven(clyde.Errorf(clyde.ErrDenied, "%s needs a scope on *, and token %q is for some packages alone", what, by.tokenName()))
}

// wide reports whether p is somebody who signed in, or a token for all that its
// account has.
func (p Principal) wide() bool {
	return p.Session != "" || p.Admin || slices.ContainsFunc(p.Scopes, func(s Scope) bool { return s.Pattern == "*" })
}
