package account

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Limits of an account's tokens, ours: more than anybody keeps in view.
const (
	MaxNetworks      = 20
	MaxAccountTokens = 200 // in force
)

// Mint stores a token of an account, or with account 0 of the instance, without
// asking whether by may make it: that is for the caller, who is Create,
// CreateFor, or the exchange of a CI run's identity.
func (a *Accounts) Mint(ctx context.Context, by Principal, account int64, spec TokenSpec) (string, store.Token, error) {
	secret, t, err := a.newToken(account, spec)
	if err != nil {
		return "", store.Token{}, err
	}
	e, err := tokenEntry(a.audit(by, "token.create", t.ID), spec)
	if err != nil {
		return "", store.Token{}, err
	}
	if err := a.db.AddToken(ctx, t, e); err != nil {
		return "", store.Token{}, err
	}
	return secret, t, nil
}

func tokenEntry(e store.AuditEntry, spec TokenSpec) (store.AuditEntry, error) {
	detail, err := json.Marshal(map[string]any{
		"name": spec.Name, "admin": spec.Admin, "scopes": spec.Scopes, "expires": spec.Expires, "networks": spec.Networks, "run": spec.Run,
	})
	e.Detail = string(detail)
	return e, err
}

// newToken checks a spec and makes its secret and its row.
func (a *Accounts) newToken(account int64, spec TokenSpec) (string, store.Token, error) {
	if err := spec.check(a.now()); err != nil {
		return "", store.Token{}, err
	}
	return rowOf(account, spec, a.now().UTC())
}

// rowOf makes the secret and the row of a token that was checked.
func rowOf(account int64, spec TokenSpec, now time.Time) (string, store.Token, error) {
	secret := NewToken()
	hash := hashToken(secret)
	t := store.Token{
		ID: strings.ToLower(encoding.EncodeToString(hash[:5])), Hash: hash, Prefix: secret[:len(TokenPrefix)+6],
		Name: spec.Name, Admin: spec.Admin, Account: account, Created: now, Expires: spec.Expires,
	}
	var err error
	if t.Scopes, err = json.Marshal(spec.Scopes); err != nil {
		return "", store.Token{}, err
	}
	if len(spec.Networks) > 0 {
		if t.Networks, err = json.Marshal(spec.Networks); err != nil {
			return "", store.Token{}, err
		}
	}
	if spec.Run != nil {
		if t.Run, err = json.Marshal(spec.Run); err != nil {
			return "", store.Token{}, err
		}
	}
	return secret, t, nil
}

func (spec TokenSpec) check(now time.Time) error {
	if err := checkTokenName(spec.Name); err != nil {
		return err
	}
	if !spec.Admin && len(spec.Scopes) == 0 {
		return clyde.Errorf(clyde.ErrInvalid, "token %q: grants nothing; name at least one action and package", spec.Name)
	}
	for _, s := range spec.Scopes {
		if err := s.check(); err != nil {
			return err
		}
	}
	if len(spec.Scopes) > MaxScopes {
		return clyde.Errorf(clyde.ErrInvalid, "token %q: has %d scopes; the limit is %d", spec.Name, len(spec.Scopes), MaxScopes)
	}
	if len(spec.Networks) > MaxNetworks {
		return clyde.Errorf(clyde.ErrInvalid, "token %q: has %d networks; the limit is %d", spec.Name, len(spec.Networks), MaxNetworks)
	}
	for _, n := range spec.Networks {
		if !n.IsValid() || n != n.Masked() || n.Addr().Is4In6() {
			return clyde.Errorf(clyde.ErrInvalid, "token %q: network %s: want one such as 192.0.2.0/24 or 2001:db8::/32", spec.Name, n)
		}
	}
	if !spec.Expires.IsZero() && !spec.Expires.After(now) {
		return clyde.Errorf(clyde.ErrInvalid, "token %q: expires in the past", spec.Name)
	}
	return nil
}

// CreateFor makes a token of by's own account. It is for somebody who signed
// in, or for a token with the scope manage on all that the new one is for; in
// either case it grants nothing that by may not do at this moment, and later
// nothing that the account then does not hold. An administrator's token needs a
// recent sign in.
func (a *Accounts) CreateFor(ctx context.Context, by Principal, spec TokenSpec) (string, store.Token, error) {
	if err := a.mayCreate(ctx, by, spec); err != nil {
		return "", store.Token{}, err
	}
	return a.Mint(ctx, by, by.Account, spec)
}

func (a *Accounts) mayCreate(ctx context.Context, by Principal, spec TokenSpec) error {
	switch {
	case by.Anonymous():
		return clyde.Errorf(clyde.ErrUnauthenticated, "making a token needs somebody who signed in").WithCode("sign_in_required")
	case by.Account == 0:
		return clyde.Errorf(clyde.ErrDenied, "token %q belongs to no account, so it has none to make tokens for", by.tokenName()).WithCode("grant_missing")
	case by.proof():
		return clyde.Errorf(clyde.ErrDenied, "a proof of %d minutes makes no tokens that outlast it", int(ProofFor.Minutes())).WithCode("session_required").
			Fix("Make it on your page of tokens, or with clyde login.")
	case spec.Run != nil:
		return clyde.Errorf(clyde.ErrInvalid, "a token for a CI run is given in exchange for the run's identity alone")
	}
	if err := by.usable(); err != nil {
		return err
	}
	if spec.Admin {
		if err := RequireAdmin(by, "making an administrator's token"); err != nil {
			return err
		}
		if err := RequireRecent(by, a.now(), "making an administrator's token"); err != nil {
			return err
		}
	}
	for _, s := range spec.Scopes {
		if err := mayGrant(by, s); err != nil {
			return err
		}
	}
	return a.roomForToken(ctx, by)
}

// roomForToken returns nil where by's account may have one more token in force.
func (a *Accounts) roomForToken(ctx context.Context, by Principal) error {
	ts, err := a.db.TokensOf(ctx, by.Account)
	if err != nil {
		return err
	}
	n, now := 0, a.now()
	for _, t := range ts {
		if t.Revoked.IsZero() && (t.Expires.IsZero() || now.Before(t.Expires)) {
			n++
		}
	}
	if n >= MaxAccountTokens {
		return clyde.Errorf(clyde.ErrConflict, "the account %s has %d tokens in force, which is the limit", by.Login, n).WithCode("too_many_tokens").
			Fix("Revoke those that are not used any more.")
	}
	return nil
}

// mayGrant returns nil where by may give the scope to a token of its account.
func mayGrant(by Principal, s Scope) error {
	if err := s.check(); err != nil {
		return err
	}
	if s.Pattern == "*" {
		// It grants what the account holds, whatever that is when it is used.
		if by.Session != "" || by.Admin {
			return nil
		}
		return clyde.Errorf(clyde.ErrDenied, "a token for all packages is made by somebody who signed in").WithCode("session_required")
	}
	r := Resource{Repo: strings.TrimPrefix(s.Pattern, "@"), Private: true}
	for _, act := range s.Actions {
		if v := decide(by, act, r); !v.ok() {
			return v.refusal(by, r)
		}
	}
	if by.Session == "" {
		if v := decide(by, Manage, r); !v.ok() {
			return v.refusal(by, r)
		}
	}
	return nil
}

// ListOwn lists the tokens of by's account, newest first, for somebody who
// signed in and for tokens with the scope manage on everything.
func (a *Accounts) ListOwn(ctx context.Context, by Principal) ([]store.Token, error) {
	if err := needWhole(by, "listing one's tokens"); err != nil {
		return nil, err
	}
	return a.db.TokensOf(ctx, by.Account)
}

// RevokeOwn ends a token of by's account at once, everywhere. A token may end
// itself; another one only with the scope manage on everything the account has,
// or by somebody who signed in. Tokens of others are clyde.ErrNotFound.
func (a *Accounts) RevokeOwn(ctx context.Context, by Principal, id string) error {
	if by.Anonymous() {
		return clyde.Errorf(clyde.ErrUnauthenticated, "revoking a token needs somebody who signed in").WithCode("sign_in_required")
	}
	if by.Session == "" && by.ID == id {
		return a.db.RevokeToken(ctx, id, a.audit(by, "token.revoke", id))
	}
	if err := by.usable(); err != nil {
		return err
	}
	t, err := a.db.Token(ctx, id)
	if err != nil || t.Account == 0 || t.Account != by.Account {
		if err != nil && clyde.AsError(err) == nil {
			return err
		}
		return clyde.Errorf(clyde.ErrNotFound, "the account has no token %s", id).WithCode("token_unknown")
	}
	if by.Session == "" && !(Scopes(by.Scopes)).manageAll() {
		return by.unproven(clyde.Errorf(clyde.ErrDenied, "token %q may end itself, not token %s", by.tokenName(), id))
	}
	return a.db.RevokeToken(ctx, id, a.audit(by, "token.revoke", id))
}

// Scopes is what a token grants.
type Scopes []Scope

func (ss Scopes) manageAll() bool {
	for _, s := range ss {
		if s.Pattern == "*" && s.allows(Manage, "") {
			return true
		}
	}
	return false
}

// RevokeLeaked ends the token that a secret is, on the word of a secret
// scanner, and returns its row for a notice to its owner. found is false for
// what is no token of this registry, or was revoked.
func (a *Accounts) RevokeLeaked(ctx context.Context, secret, where string) (t store.Token, found bool, err error) {
	defer clyde.Wrap(&err, "account.RevokeLeaked")
	if !WellFormed(secret) {
		return t, false, nil
	}
	t, err = a.db.TokenByHash(ctx, a.hashOf(ctx, secret))
	if e := clyde.AsError(err); e != nil && e.Kind == clyde.ErrNotFound {
		return store.Token{}, false, nil
	}
	if err != nil || !t.Revoked.IsZero() {
		return store.Token{}, false, err
	}
	detail, err := json.Marshal(map[string]string{"leaked": where})
	if err != nil {
		return store.Token{}, false, err
	}
	return t, true, a.db.RevokeToken(ctx, t.ID, store.AuditEntry{
		Time: a.now().UTC(), Actor: "secret scanning", Action: "token.revoke", Resource: t.ID, Detail: string(detail),
	})
}
