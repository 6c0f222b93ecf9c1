package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Limits of a password. The least is OWASP ASVS 2.1.1's; the most only bounds
// the work of hashing.
const (
	MinPassword = 12   // characters
	MaxPassword = 1024 // bytes
)

// Parameters of argon2id: OWASP's password storage cheat sheet, first choice.
const (
	argonMemory = 19 << 10 // KiB
	argonTime   = 2
	argonLanes  = 1
	argonSalt   = 16 // bytes
	argonKey    = 32 // bytes
)

var b64 = base64.RawStdEncoding

// hashPassword returns the PHC string of a password with a new salt.
func (a *Accounts) hashPassword(ctx context.Context, password string) (string, error) {
	salt := make([]byte, argonSalt)
	_, _ = rand.Read(salt) // crypto/rand.Read never fails (Go 1.24)
	key, err := a.derive(ctx, password, salt)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonLanes, b64.EncodeToString(salt), b64.EncodeToString(key)), err
}

// derive runs argon2id, as many at a time as there are processors, so that a
// burst of sign ins takes a bounded amount of memory.
func (a *Accounts) derive(ctx context.Context, password string, salt []byte) ([]byte, error) {
	if a.hashed != nil {
		a.hashed(ctx, "password")
	}
	select {
	case a.hashing <- struct{}{}:
		defer func() { <-a.hashing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonLanes, argonKey), nil
}

// matches reports whether a PHC string is of password. For "" the same work is
// done and the answer is no.
func (a *Accounts) matches(ctx context.Context, phc, password string) (bool, error) {
	salt, want := make([]byte, argonSalt), make([]byte, argonKey)
	ok := phc != ""
	if ok {
		parts := strings.Split(phc, "$")
		params := fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$", argon2.Version, argonMemory, argonTime, argonLanes)
		if len(parts) != 6 || !strings.HasPrefix(phc, params) {
			return false, errors.New("account: a stored password has other parameters than these")
		}
		var errSalt, errKey error
		salt, errSalt = b64.DecodeString(parts[4])
		want, errKey = b64.DecodeString(parts[5])
		if err := errors.Join(errSalt, errKey); err != nil {
			return false, err
		}
	}
	key, err := a.derive(ctx, password, salt)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(key, want) == 1 && ok, nil
}

// SetPassword sets the password by which an account signs in; "" removes it.
// The account itself needs a recent sign in; an administrator may set
// another's. Every other session of the account ends.
func (a *Accounts) SetPassword(ctx context.Context, by Principal, account int64, password string) (err error) {
	defer clyde.Wrap(&err, "account.SetPassword")
	if by.Account != account || by.Session == "" {
		if err := RequireAdmin(by, "setting another's password"); err != nil {
			return err
		}
	}
	if err := RequireRecent(by, a.now(), "setting a password"); err != nil {
		return err
	}
	phc := ""
	if password != "" {
		if err := checkPassword(password); err != nil {
			return err
		}
		if phc, err = a.hashPassword(ctx, password); err != nil {
			return err
		}
	}
	acct, err := a.db.Account(ctx, account)
	if err != nil {
		return err
	}
	keep := ""
	if by.Account == account {
		keep = by.Session
	}
	return a.db.SetPassword(ctx, account, phc, keep, a.audit(by, "account.password", "account:"+acct.Login))
}

func checkPassword(s string) error {
	switch n := utf8.RuneCountInString(s); {
	case !utf8.ValidString(s):
		return clyde.Errorf(clyde.ErrInvalid, "the password is not text").WithCode("password_invalid")
	case n < MinPassword:
		return clyde.Errorf(clyde.ErrInvalid, "the password has %d characters; the least is %d", n, MinPassword).WithCode("password_invalid").
			Fix("A few words in a row are easy to remember.")
	case len(s) > MaxPassword:
		return clyde.Errorf(clyde.ErrInvalid, "the password is %d bytes long; the limit is %d", len(s), MaxPassword).WithCode("password_invalid")
	}
	return nil
}

// CheckPassword returns the account that a login and a password sign in. A
// login that is unknown, one without a password and a wrong password are the
// same clyde.ErrUnauthenticated with code "login_failed", after the same work.
// Too many tries are clyde.ErrRateLimited, for unknown logins too.
func (a *Accounts) CheckPassword(ctx context.Context, login, password string, from From) (_ store.Account, err error) {
	defer clyde.Wrap(&err, "account.CheckPassword")
	who := strings.ToLower(login[:min(len(login), clyde.MaxNamespaceLen+1)]) // no login is as long
	if err := a.spend(from, "too many tries to sign in", spending{signInLogin, who}, spending{signInAddress, network64(from.Addr)}); err != nil {
		return store.Account{}, err
	}
	acct, err := a.db.AccountByLogin(ctx, login)
	if err != nil && !errors.Is(err, clyde.ErrNotFound) {
		return store.Account{}, err
	}
	if len(password) > MaxPassword {
		password = password[:MaxPassword+1] // no password is as long
	}
	ok, err := a.matches(ctx, acct.Password, password)
	if err != nil {
		return store.Account{}, err
	}
	if !ok {
		return store.Account{}, clyde.Errorf(clyde.ErrUnauthenticated, "the login or the password is wrong").WithCode("login_failed")
	}
	a.limits.Fill(signInLogin, who)
	return acct, nil
}
