package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Limits of a session. Ours, within what OWASP ASVS asks for at level 2: a
// browser that is used stays signed in, one that is left does not, and none
// does for ever.
const (
	SessionIdle = 14 * 24 * time.Hour
	SessionMax  = 60 * 24 * time.Hour
	maxAgent    = 200 // bytes of the browser's name that are kept
)

// Cookies of a session. The prefix __Host- binds one to HTTPS and to this host
// alone; plain HTTP is for loopback, where browsers refuse the prefix.
const (
	SessionCookie      = "__Host-clyde_session"
	SessionCookieLocal = "clyde_session"
)

// sessionPrefix starts the secret of a session, which is no token.
const sessionPrefix = "clydes_"

// From is where a request comes from.
type From struct {
	Addr  netip.Addr
	Agent string // the browser's name for itself

	Tell http.Header // of the answer: gets what is left of limits; may be nil
}

// FromRequest reads it. RemoteAddr is the caller's: whoever stands in front of
// the handler resolves proxies.
func FromRequest(r *http.Request) From {
	return From{Addr: remoteAddr(r), Agent: r.UserAgent()}
}

func remoteAddr(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap()
}

func (f From) address() string {
	if !f.Addr.IsValid() {
		return ""
	}
	return f.Addr.String()
}

func (f From) agent() string {
	s := strings.ToValidUTF8(f.Agent, "")
	if len(s) > maxAgent {
		s = strings.ToValidUTF8(s[:maxAgent], "")
	}
	return s
}

// newID is a public identifier that nobody guesses.
func newID() string { return strings.ToLower(rand.Text())[:20] }

// NewSession signs an account in. The secret goes into the cookie and is never
// stored; a secret that the browser had before is not taken over.
func (a *Accounts) NewSession(ctx context.Context, acct store.Account, from From) (secret string, s store.Session, err error) {
	defer clyde.Wrap(&err, "account.NewSession")
	if !acct.Suspended.IsZero() {
		return "", s, Principal{Login: acct.Login, Suspended: suspension(acct)}.usable()
	}
	secret = sessionPrefix + rand.Text() + rand.Text()
	now := a.now().UTC()
	s = store.Session{
		ID: newID(), Hash: hashToken(secret), Account: acct.ID, Created: now, Used: now, Proved: now,
		Expires: now.Add(SessionMax), Address: from.address(), Agent: from.agent(),
	}
	err = a.db.AddSession(ctx, s, store.AuditEntry{
		Time: now, Actor: acct.Login, Account: acct.ID, Token: s.ID, Address: s.Address, Action: "session.create", Resource: "account:" + acct.Login,
	})
	if err != nil {
		return "", store.Session{}, err
	}
	return secret, s, nil
}

// errNoSession says that somebody is no longer signed in, whatever the reason.
func errNoSession() error {
	return clyde.Errorf(clyde.ErrUnauthenticated, "the session has ended").WithCode("session_ended").Fix("Sign in again.")
}

// Session returns who signed in with a secret, or clyde.ErrUnauthenticated with
// code "session_ended" when it is unknown, ended, idle for SessionIdle or older
// than SessionMax.
func (a *Accounts) Session(ctx context.Context, secret string, from From) (Principal, error) {
	s, err := a.session(ctx, secret)
	if err != nil {
		return Principal{}, err
	}
	acct, err := a.db.Account(ctx, s.Account)
	if errors.Is(err, clyde.ErrNotFound) {
		return Principal{}, errNoSession()
	}
	if err != nil {
		return Principal{}, err
	}
	p := Principal{ID: s.ID, Session: s.ID, Addr: from.Addr, Proved: s.Proved}
	if err := a.own(ctx, &p, acct); err != nil {
		return Principal{}, err
	}
	p.Admin = acct.Admin && p.Suspended == ""
	if a.due(s.ID) {
		// Losing this write costs a coarse timestamp.
		_ = a.db.TouchSession(ctx, s.ID, a.now(), from.address())
	}
	return p, nil
}

func (a *Accounts) session(ctx context.Context, secret string) (store.Session, error) {
	if !strings.HasPrefix(secret, sessionPrefix) || len(secret) > maxAgent {
		return store.Session{}, errNoSession()
	}
	hash := a.hashOf(ctx, secret)
	s, err := a.db.SessionByHash(ctx, hash)
	now := a.now()
	switch {
	case errors.Is(err, clyde.ErrNotFound):
		return store.Session{}, errNoSession()
	case err != nil:
		return store.Session{}, err
	case subtle.ConstantTimeCompare(s.Hash, hash) != 1, !now.Before(s.Expires), now.Sub(s.Used) >= SessionIdle:
		return store.Session{}, errNoSession()
	}
	return s, nil
}

// own fills in what an account is and holds now.
func (a *Accounts) own(ctx context.Context, p *Principal, acct store.Account) error {
	p.Account, p.Login, p.Name = acct.ID, acct.Login, acct.Login
	if !acct.Suspended.IsZero() {
		p.Suspended = suspension(acct)
		return nil
	}
	hs, err := a.db.Holdings(ctx, acct.ID)
	if err != nil {
		return err
	}
	p.Roles = rolesOf(hs)
	return nil
}

func suspension(acct store.Account) string {
	if acct.SuspendedWhy == "" {
		return "no reason was given"
	}
	return acct.SuspendedWhy
}

// Prove records that acct signed in again just now and gives the session a new
// secret, which replaces the one the browser has.
func (a *Accounts) Prove(ctx context.Context, old string, acct store.Account, from From) (secret string, err error) {
	defer clyde.Wrap(&err, "account.Prove")
	s, err := a.session(ctx, old)
	if err != nil {
		return "", err
	}
	if s.Account != acct.ID {
		return "", clyde.Errorf(clyde.ErrDenied, "that is another account than the one of this session").WithCode("other_account").
			Fix("Sign out, then sign in with the other account.")
	}
	secret = sessionPrefix + rand.Text() + rand.Text()
	s.Proved, s.Address, s.Agent = a.now().UTC(), from.address(), from.agent()
	err = a.db.RotateSession(ctx, s, hashToken(secret), store.AuditEntry{
		Time: s.Proved, Actor: acct.Login, Account: s.Account, Token: s.ID, Address: s.Address, Action: "session.prove", Resource: "account:" + acct.Login,
	})
	if errors.Is(err, clyde.ErrNotFound) {
		return "", errNoSession()
	}
	if err != nil {
		return "", err
	}
	return secret, nil
}

// Sessions lists where p is signed in, newest first.
func (a *Accounts) Sessions(ctx context.Context, p Principal) ([]store.Session, error) {
	if err := requireSession(p, "listing sessions"); err != nil {
		return nil, err
	}
	return a.db.Sessions(ctx, p.Account)
}

// EndSession signs one of p's browsers out; the one it uses, too.
func (a *Accounts) EndSession(ctx context.Context, p Principal, id string) error {
	if err := requireSession(p, "ending a session"); err != nil {
		return err
	}
	return a.db.DeleteSession(ctx, p.Account, id, a.audit(p, "session.end", "account:"+p.Login))
}

// EndOtherSessions signs all of p's browsers out but the one it uses.
func (a *Accounts) EndOtherSessions(ctx context.Context, p Principal) error {
	if err := requireSession(p, "ending sessions"); err != nil {
		return err
	}
	return a.db.DeleteSessions(ctx, p.Account, p.Session, a.audit(p, "session.end", "account:"+p.Login))
}

// requireSession returns nil for somebody who signed in.
func requireSession(p Principal, what string) error {
	switch {
	case p.Session != "" && p.Account != 0:
		return p.usable()
	case p.Anonymous():
		return clyde.Errorf(clyde.ErrUnauthenticated, "%s needs somebody who signed in", what).WithCode("sign_in_required").Fix("Sign in on the web site.")
	}
	return clyde.Errorf(clyde.ErrDenied, "%s is not done with a token", what).WithCode("session_required").Fix("Sign in on the web site.")
}

// audit begins an entry about what p does.
func (a *Accounts) audit(p Principal, action, resource string) store.AuditEntry {
	return p.Audit(a.now(), action, resource)
}

// Audit begins an entry about what p does.
func (p Principal) Audit(now time.Time, action, resource string) store.AuditEntry {
	return store.AuditEntry{
		Time: now.UTC(), Actor: p.String(), Account: p.Account, Token: p.ID, Address: From{Addr: p.Addr}.address(),
		Action: action, Resource: resource,
	}
}

// sessionCookie returns the name of the cookie that counts for r; "" where
// nobody is signed in over it: plain HTTP that is not loopback on both ends.
// X-Forwarded-Proto is a configured proxy's: pkg/server removes any other.
func sessionCookie(r *http.Request) string {
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		return SessionCookie
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	addr, err := netip.ParseAddr(host)
	if (host == "localhost" || err == nil && addr.IsLoopback()) && remoteAddr(r).IsLoopback() {
		return SessionCookieLocal
	}
	return ""
}

// SessionSecret returns the secret that r's cookie carries, or "".
func SessionSecret(r *http.Request) string {
	name := sessionCookie(r)
	if name == "" {
		return ""
	}
	cs := r.CookiesNamed(name)
	if len(cs) != 1 {
		return "" // of two, somebody planted one
	}
	return cs[0].Value
}

// AuthenticateSession returns who is signed in with r's cookie; nobody, without
// an error, when there is none or the session ended. Handlers of pages and of
// the API call it; a cookie means nothing to the registry.
func (a *Accounts) AuthenticateSession(r *http.Request) (Principal, error) {
	secret := SessionSecret(r)
	if secret == "" {
		return Principal{}, nil
	}
	p, err := a.Session(r.Context(), secret, FromRequest(r))
	if errors.Is(err, clyde.ErrUnauthenticated) {
		return Principal{}, nil
	}
	return p, err
}

// NewSessionCookie returns the cookie that carries a secret; "" removes it.
// Over plain HTTP, but on loopback, it is clyde.ErrDenied with code
// "https_required".
func NewSessionCookie(r *http.Request, secret string) (*http.Cookie, error) {
	name := sessionCookie(r)
	if name == "" {
		return nil, clyde.Errorf(clyde.ErrDenied, "nobody is signed in over plain HTTP").WithCode("https_required").
			Fix("Use https, or the address localhost on the machine itself.")
	}
	c := &http.Cookie{
		Name: name, Value: secret, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: name == SessionCookie, MaxAge: int(SessionMax / time.Second),
	}
	if secret == "" {
		c.MaxAge = -1
	}
	return c, nil
}
