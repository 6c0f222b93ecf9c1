package account

import (
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Admission says who gets an account at the first sign in: whoever one of the
// lists names. The zero Admission lets everybody in.
type Admission struct {
	Issuers      []string // of providers: everybody there
	EmailDomains []string // in lower case, of addresses that the provider verified; without subdomains
	OrgIssuer    string   // whose Orgs count
	Orgs         []string // in lower case
}

// Admit sets who gets an account. It is called before anybody signs in.
func (a *Accounts) Admit(v Admission) { a.admit = v }

// check returns nil for who is let in.
func (v Admission) check(x ExternalIdentity) error {
	if len(v.Issuers)+len(v.EmailDomains)+len(v.Orgs) == 0 || slices.Contains(v.Issuers, x.Issuer) {
		return nil
	}
	if at := strings.LastIndexByte(x.Email, '@'); x.EmailVerified && at > 0 && slices.Contains(v.EmailDomains, strings.ToLower(x.Email[at+1:])) {
		return nil
	}
	if x.Issuer == v.OrgIssuer && slices.ContainsFunc(x.Orgs, func(o string) bool { return slices.Contains(v.Orgs, o) }) {
		return nil
	}
	return clyde.Errorf(clyde.ErrDenied, "this registry makes no account for %s", cut(x.Login, MaxDisplayName)).WithCode("registration_closed").
		Fix("Sign in with an account of the organisation that runs it, or ask its administrators.")
}
