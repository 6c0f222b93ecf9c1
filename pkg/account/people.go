package account

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Limits of what an account says of itself, in bytes. Ours, but for the
// address of mail (RFC 5321).
const (
	MaxDisplayName = 100
	MaxEmail       = 254
	MaxAvatar      = 500
	maxSubject     = 255 // OpenID Connect Core, 2: sub
	maxLoginTries  = 100
)

// ExternalIdentity is a person as a provider vouched for just now.
type ExternalIdentity struct {
	Issuer        string // "https://github.com"
	Subject       string // what the provider never gives to somebody else: GitHub's number, sub
	Login         string // there; may be renamed and given to somebody else
	Name          string
	Email         string
	EmailVerified bool
	Avatar        string   // URL
	Orgs          []string // organisations there, in lower case, where that was asked
}

// SignIn returns the account that an identity is bound to, and makes one at the
// first time. Nothing but issuer and subject decides: whoever has a login, a
// name or an address of mail that somebody else had gets an account of their
// own. A suspended account is clyde.ErrDenied.
func (a *Accounts) SignIn(ctx context.Context, x ExternalIdentity) (_ store.Account, err error) {
	defer clyde.Wrap(&err, "account.SignIn(%s)", x.Issuer)
	if x.Issuer == "" || x.Subject == "" || len(x.Subject) > maxSubject {
		return store.Account{}, clyde.Errorf(clyde.ErrInvalid, "the provider did not say who signs in").WithCode("identity_invalid")
	}
	acct, err := a.bound(ctx, x)
	if errors.Is(err, clyde.ErrNotFound) {
		acct, err = a.register(ctx, x)
		if e := clyde.AsError(err); e != nil && e.Code == "identity_taken" {
			acct, err = a.bound(ctx, x) // another request of the same person was first
		}
	}
	if err != nil {
		return store.Account{}, err
	}
	if !acct.Suspended.IsZero() {
		return store.Account{}, Principal{Login: acct.Login, Suspended: suspension(acct)}.usable()
	}
	return acct, nil
}

// bound finds the account of an identity, and records the sign in.
func (a *Accounts) bound(ctx context.Context, x ExternalIdentity) (store.Account, error) {
	id, err := a.db.Identity(ctx, x.Issuer, x.Subject)
	if err != nil {
		return store.Account{}, err
	}
	if err := a.db.TouchIdentity(ctx, x.Issuer, x.Subject, cut(x.Login, MaxDisplayName), a.now()); err != nil {
		return store.Account{}, err
	}
	return a.db.Account(ctx, id.Account)
}

// register makes the account of an identity, under its login there or one like it.
func (a *Accounts) register(ctx context.Context, x ExternalIdentity) (store.Account, error) {
	if err := a.admit.check(x); err != nil {
		return store.Account{}, err
	}
	acct := store.Account{Name: cut(x.Name, MaxDisplayName), Avatar: httpsOnly(x.Avatar), Created: a.now().UTC()}
	if x.EmailVerified && len(x.Email) <= MaxEmail {
		acct.Email = x.Email
	}
	id := store.Identity{Issuer: x.Issuer, Subject: x.Subject, Login: cut(x.Login, MaxDisplayName), Created: acct.Created}
	base := fitLogin(x.Login)
	for i := range maxLoginTries {
		acct.Login = base
		if i > 0 {
			suffix := fmt.Sprintf("-%d", i+1)
			acct.Login = strings.TrimRight(base[:min(len(base), clyde.MaxNamespaceLen-len(suffix))], "-") + suffix
		}
		if CheckLogin(acct.Login) != nil {
			continue
		}
		made, err := a.db.AddAccount(ctx, acct, &id, store.AuditEntry{
			Time: acct.Created, Actor: acct.Login, Action: "account.create", Resource: "account:" + acct.Login, After: asJSON(map[string]string{"issuer": x.Issuer, "subject": x.Subject, "login": id.Login}),
		})
		if e := clyde.AsError(err); e != nil && e.Code == "login_taken" {
			continue
		}
		return made, err
	}
	return store.Account{}, clyde.Errorf(clyde.ErrConflict, "no login like %s is free", base).WithCode("login_taken")
}

// Link lets one more identity sign in to the account of p, who signed in
// recently.
func (a *Accounts) Link(ctx context.Context, p Principal, x ExternalIdentity) error {
	if err := requireSession(p, "adding a way to sign in"); err != nil {
		return err
	}
	if err := RequireRecent(p, a.now(), "adding a way to sign in"); err != nil {
		return err
	}
	if x.Issuer == "" || x.Subject == "" || len(x.Subject) > maxSubject {
		return clyde.Errorf(clyde.ErrInvalid, "the provider did not say who signs in").WithCode("identity_invalid")
	}
	e := a.audit(p, "account.identity.add", "account:"+p.Login)
	e.After = asJSON(map[string]string{"issuer": x.Issuer, "subject": x.Subject, "login": x.Login})
	return a.db.AddIdentity(ctx, store.Identity{Issuer: x.Issuer, Subject: x.Subject, Account: p.Account, Login: cut(x.Login, MaxDisplayName)}, e)
}

// CheckLogin returns a clyde.ErrInvalid error where s cannot be a login: it has
// the grammar of a namespace, and is nobody's name in the audit log.
func CheckLogin(s string) error {
	if err := clyde.CheckNamespace(s); err != nil {
		return clyde.Errorf(clyde.ErrInvalid, "login %q: use 2 to %d of a-z and 0-9, with single - between them", s, clyde.MaxNamespaceLen).WithCode("login_invalid")
	}
	switch s {
	case "anonymous", "system", "admin", "root":
		return clyde.Errorf(clyde.ErrInvalid, "login %q stands for somebody else", s).WithCode("login_invalid")
	}
	return nil
}

// fitLogin makes a login of what a provider calls somebody.
func fitLogin(s string) string {
	s, _, _ = strings.Cut(s, "@")
	var b strings.Builder
	dash := true
	for _, r := range strings.ToLower(s) {
		switch {
		case 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
			b.WriteRune(r)
			dash = false
		case !dash:
			b.WriteByte('-')
			dash = true
		}
		if b.Len() >= clyde.MaxNamespaceLen {
			break
		}
	}
	s = strings.Trim(b.String(), "-")
	if len(s) < clyde.MinNamespaceLen {
		return "user"
	}
	return s
}

// CreateAccount makes an account that signs in by password, "" for none, on
// behalf of an administrator: the first start and closed networks.
func (a *Accounts) CreateAccount(ctx context.Context, by Principal, login, name, password string, admin bool) (_ store.Account, err error) {
	defer clyde.Wrap(&err, "account.CreateAccount")
	if err := RequireAdmin(by, "making an account"); err != nil {
		return store.Account{}, err
	}
	if err := CheckLogin(login); err != nil && !(admin && login == "admin") {
		return store.Account{}, err
	}
	acct := store.Account{Login: login, Name: cut(name, MaxDisplayName), Admin: admin, Created: a.now().UTC()}
	if password != "" {
		if err := checkPassword(password); err != nil {
			return store.Account{}, err
		}
		if acct.Password, err = a.hashPassword(ctx, password); err != nil {
			return store.Account{}, err
		}
	}
	e := a.audit(by, "account.create", "account:"+login)
	e.After = asJSON(map[string]bool{"admin": admin})
	return a.db.AddAccount(ctx, acct, nil, e)
}

// SetAdmin makes an account an administrator, or ends that; its sessions end.
func (a *Accounts) SetAdmin(ctx context.Context, by Principal, login string, admin bool) error {
	return a.administer(ctx, by, login, "account.admin", func(acct store.Account, e store.AuditEntry) error {
		e.Before, e.After = asJSON(map[string]bool{"admin": acct.Admin}), asJSON(map[string]bool{"admin": admin})
		return a.db.SetAdmin(ctx, acct.ID, admin, e)
	})
}

// Suspend keeps an account from everything but reading what is public, at once:
// its sessions end and its tokens are refused. why is shown to its owner.
func (a *Accounts) Suspend(ctx context.Context, by Principal, login, why string) error {
	if why == "" || len(why) > 500 {
		return clyde.Errorf(clyde.ErrInvalid, "say why in 1 to 500 bytes; the account's owner reads it")
	}
	return a.administer(ctx, by, login, "account.suspend", func(acct store.Account, e store.AuditEntry) error {
		e.After = asJSON(map[string]string{"why": why})
		return a.db.Suspend(ctx, acct.ID, a.now(), why, e)
	})
}

// Unsuspend lifts a suspension.
func (a *Accounts) Unsuspend(ctx context.Context, by Principal, login string) error {
	return a.administer(ctx, by, login, "account.unsuspend", func(acct store.Account, e store.AuditEntry) error {
		e.Before = asJSON(map[string]string{"why": acct.SuspendedWhy})
		return a.db.Suspend(ctx, acct.ID, time.Time{}, "", e)
	})
}

// administer runs what only an administrator does to an account, never to the
// own one: nobody locks the last administrator out by mistake.
func (a *Accounts) administer(ctx context.Context, by Principal, login, action string, do func(store.Account, store.AuditEntry) error) (err error) {
	defer clyde.Wrap(&err, "account.administer(%s)", action)
	if err := RequireAdmin(by, action); err != nil {
		return err
	}
	acct, err := a.db.AccountByLogin(ctx, login)
	if err != nil {
		return err
	}
	if acct.ID == by.Account {
		return clyde.Errorf(clyde.ErrConflict, "nobody does that to their own account").WithCode("own_account").Fix("Ask another administrator.")
	}
	return do(acct, a.audit(by, action, "account:"+login))
}

// Account returns an account by its login: to everybody without its address of
// mail and its password, which only itself and administrators see.
func (a *Accounts) Account(ctx context.Context, by Principal, login string) (store.Account, error) {
	acct, err := a.db.AccountByLogin(ctx, login)
	acct.Password = ""
	if by.Account != acct.ID && !by.Admin {
		acct.Email = ""
	}
	return acct, err
}

// cut shortens s to at most n bytes of printable text.
func cut(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return s
}

func httpsOnly(url string) string {
	if !strings.HasPrefix(url, "https://") || len(url) > MaxAvatar {
		return ""
	}
	return url
}

// asJSON encodes what always can be: maps of text and numbers.
func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "{}"
	}
	return string(b)
}
