package account

import (
	"context"
	"errors"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// LoginStore is what signing in needs of pkg/store besides Store.
type LoginStore interface {
	AddDevice(ctx context.Context, d store.Device) error
	DecideDevice(ctx context.Context, code, state string, account int64, audit store.AuditEntry) error
	Device(ctx context.Context, hash []byte) (store.Device, error)
	DeviceByUserCode(ctx context.Context, code string) (store.Device, error)
	FinishDevice(ctx context.Context, hash []byte, t store.Token, audit store.AuditEntry) error
	Identities(ctx context.Context, account int64) ([]store.Identity, error)
	PollDevice(ctx context.Context, hash []byte, at time.Time) error
	RemoveIdentity(ctx context.Context, i store.Identity, audit store.AuditEntry) error
	SaveProfile(ctx context.Context, a store.Account, audit store.AuditEntry) error
}

// Known is SignIn for an identity that is bound already: it makes no account.
// One that is not bound is clyde.ErrDenied with code "identity_unknown".
func (a *Accounts) Known(ctx context.Context, x ExternalIdentity) (_ store.Account, err error) {
	defer clyde.Wrap(&err, "account.Known(%s)", x.Issuer)
	acct, err := a.bound(ctx, x)
	if errors.Is(err, clyde.ErrNotFound) {
		return acct, clyde.Errorf(clyde.ErrDenied, "that is not how anybody signs in here").WithCode("identity_unknown").
			Fix("Sign in as you did before.")
	}
	if err == nil && !acct.Suspended.IsZero() {
		err = Principal{Login: acct.Login, Suspended: suspension(acct)}.usable()
	}
	return acct, err
}

// Profile is what an account says of itself to who it belongs to.
type Profile struct {
	store.Account // without its password
	HasPassword   bool
	Identities    []store.Identity
}

// Profile returns the account of p, who signed in.
func (a *Accounts) Profile(ctx context.Context, p Principal) (v Profile, err error) {
	defer clyde.Wrap(&err, "account.Profile")
	if err := signedIn(p, "seeing one's account"); err != nil {
		return v, err
	}
	if v.Account, err = a.db.Account(ctx, p.Account); err != nil {
		return v, err
	}
	v.HasPassword, v.Password = v.Password != "", ""
	v.Identities, err = a.db.Identities(ctx, p.Account)
	return v, err
}

// signedIn is requireSession that lets the suspended see what is theirs.
func signedIn(p Principal, what string) error {
	if p.Session != "" && p.Account != 0 {
		return nil
	}
	return requireSession(p, what)
}

// Rename sets how the account of p is called for people; "" for its login.
func (a *Accounts) Rename(ctx context.Context, p Principal, name string) (err error) {
	defer clyde.Wrap(&err, "account.Rename")
	if err := requireSession(p, "changing one's name"); err != nil {
		return err
	}
	if name != cut(name, MaxDisplayName) {
		return clyde.Errorf(clyde.ErrInvalid, "the name has more than %d bytes, or some that cannot be shown", MaxDisplayName).WithCode("name_invalid")
	}
	acct, err := a.db.Account(ctx, p.Account)
	if err != nil {
		return err
	}
	e := a.audit(p, "account.profile", "account:"+p.Login)
	e.Before, e.After = asJSON(map[string]string{"name": acct.Name}), asJSON(map[string]string{"name": name})
	acct.Name = name
	return a.db.SaveProfile(ctx, acct, e)
}

// Unlink ends that an identity signs in to the account of p, who signed in
// recently. The last way in stays: clyde.ErrConflict with code "last_identity".
func (a *Accounts) Unlink(ctx context.Context, p Principal, issuer, subject string) (err error) {
	defer clyde.Wrap(&err, "account.Unlink")
	const what = "removing a way to sign in"
	if err := requireSession(p, what); err != nil {
		return err
	}
	if err := RequireRecent(p, a.now(), what); err != nil {
		return err
	}
	v, err := a.Profile(ctx, p)
	if err != nil {
		return err
	}
	for _, i := range v.Identities {
		if i.Issuer != issuer || i.Subject != subject {
			continue
		}
		if len(v.Identities) == 1 && !v.HasPassword {
			return clyde.Errorf(clyde.ErrConflict, "nobody could sign in to %s any more", p.Login).WithCode("last_identity").Fix("Add another way to sign in first.")
		}
		e := a.audit(p, "account.identity.remove", "account:"+p.Login)
		e.Before = asJSON(map[string]string{"issuer": issuer, "subject": subject, "login": i.Login})
		return a.db.RemoveIdentity(ctx, i, e)
	}
	return clyde.Errorf(clyde.ErrNotFound, "the account has no such way to sign in").WithCode("identity_unknown")
}

// SetUp gives the administrator of the instance a password: the account is made
// when it is not there. by is the command line on the machine, or the start.
func (a *Accounts) SetUp(ctx context.Context, by Principal, login, password string) (made bool, err error) {
	defer clyde.Wrap(&err, "account.SetUp(%s)", login)
	if err := RequireAdmin(by, "setting the administrator's password"); err != nil {
		return false, err
	}
	acct, err := a.db.AccountByLogin(ctx, login)
	if errors.Is(err, clyde.ErrNotFound) {
		_, err = a.CreateAccount(ctx, by, login, "", password, true)
		return true, err
	}
	if err != nil {
		return false, err
	}
	if password == "" {
		return false, checkPassword(password)
	}
	if !acct.Admin {
		return false, clyde.Errorf(clyde.ErrConflict, "the account %s is no administrator", login).WithCode("not_admin").Fix("Choose another login.")
	}
	return false, a.SetPassword(ctx, by, acct.ID, password)
}

// Exists reports whether there is an account with that login.
func (a *Accounts) Exists(ctx context.Context, login string) (bool, error) {
	_, err := a.db.AccountByLogin(ctx, login)
	if errors.Is(err, clyde.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
