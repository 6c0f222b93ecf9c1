package web

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/account/signin"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Cookies beside the session's: what a browser keeps while it is at a provider,
// and the names that one vouched for. Each is used once or expires soon.
const (
	startCookie = "clyde_login"
	namesCookie = "clyde_names"
)

// who is asked of every page: a token in the header, or else the session of
// the cookie.
func (s *Web) who(r *http.Request) (account.Principal, error) {
	if s.o.Accounts == nil || r.Header.Get("Authorization") != "" {
		return s.o.Auth(r)
	}
	return s.o.Accounts.AuthenticateSession(r)
}

// setCookie keeps a value in the browser as the session is kept: bound to this
// host and HTTPS, or to loopback. A value of "" removes it.
func setCookie(w http.ResponseWriter, r *http.Request, name, value string, seconds int) error {
	c, err := account.NewSessionCookie(r, value)
	if err != nil {
		return err
	}
	if name != "" {
		if c.Name == account.SessionCookie {
			name = "__Host-" + name
		}
		c.Name = name
		if value != "" {
			c.MaxAge = seconds
		}
	}
	http.SetCookie(w, c)
	return nil
}

// cookie returns a value that setCookie kept, or "".
func cookie(r *http.Request, name string) string {
	c, err := account.NewSessionCookie(r, "")
	if err != nil {
		return ""
	}
	if c.Name == account.SessionCookie {
		name = "__Host-" + name
	}
	cs := r.CookiesNamed(name)
	if len(cs) != 1 {
		return ""
	}
	return cs[0].Value
}

// loginPage is the data of account_login.html.
type loginPage struct {
	base
	Providers []signin.Provider
	Passwords bool
	Again     bool   // who is signed in shows it again
	To        string // an own path
	Login     string
	Problem   string
	Fixes     []string
	Closed    bool // nobody signs in over this connection
}

// login shows the ways in.
func (s *Web) login(w http.ResponseWriter, r request) error {
	q := r.URL.Query()
	p := loginPage{To: signin.OwnPath(q.Get("next")), Again: q.Has("again") && r.who.Session != ""}
	if r.who.Session != "" && !p.Again {
		return seeOther(w, r, p.To)
	}
	return s.showLogin(w, r, http.StatusOK, p)
}

// showLogin shows the ways in, and what went wrong with the last try.
func (s *Web) showLogin(w http.ResponseWriter, r request, status int, p loginPage) error {
	p.base = s.base(r, "Sign in")
	p.NoRobo, p.Next = true, ""
	p.Providers, p.Passwords = s.o.SignIn.Providers(), s.o.Passwords
	if p.Again {
		p.Title, p.Login = "Sign in again", r.who.Login
	}
	if _, err := account.NewSessionCookie(r.Request, ""); err != nil {
		e := clyde.AsError(err)
		p.Closed, p.Problem, p.Fixes, status = true, e.Msg, e.Fixes, http.StatusForbidden
	}
	w.Header().Set("Cache-Control", "no-store")
	return s.render(w, r, status, "account_login.html", p)
}

// passwordLogin signs in by login and password.
func (s *Web) passwordLogin(w http.ResponseWriter, r request) error {
	if !s.o.Passwords {
		return s.missing(w, r)
	}
	p := loginPage{To: signin.OwnPath(r.PostFormValue("next")), Login: clip(r.PostFormValue("login")), Again: r.who.Session != ""}
	if _, err := account.NewSessionCookie(r.Request, ""); err != nil {
		return s.showLogin(w, r, http.StatusForbidden, p)
	}
	login := r.PostFormValue("login")
	if p.Again {
		login = r.who.Login
	}
	from := account.FromRequest(r.Request)
	from.Tell = w.Header()
	acct, err := s.o.Accounts.CheckPassword(r.Context(), login, r.PostFormValue("password"), from)
	if err == nil {
		err = s.letIn(w, r, acct)
	}
	if e := clyde.AsError(err); e != nil {
		p.Problem, p.Fixes = e.Msg, e.Fixes
		status := http.StatusUnprocessableEntity
		if errors.Is(err, clyde.ErrRateLimited) {
			status = http.StatusTooManyRequests
		}
		return s.showLogin(w, r, status, p)
	}
	if err != nil {
		return err
	}
	return seeOther(w, r, p.To)
}

// letIn gives the browser a session it did not have before: a new one, or the
// one it has with a new secret when its owner signed in again.
func (s *Web) letIn(w http.ResponseWriter, r request, acct account.Person) error {
	from := account.FromRequest(r.Request)
	if r.who.Session != "" && r.who.Account == acct.ID {
		secret, err := s.o.Accounts.Prove(r.Context(), account.SessionSecret(r.Request), acct, from)
		if err != nil {
			return err
		}
		return setCookie(w, r.Request, "", secret, 0)
	}
	secret, _, err := s.o.Accounts.NewSession(r.Context(), acct, from)
	if err != nil {
		return err
	}
	if r.who.Session != "" {
		// Another account had this browser; its session ends with the cookie.
		if err := s.o.Accounts.EndSession(r.Context(), r.who, r.who.Session); err != nil && !errors.Is(err, clyde.ErrNotFound) && !errors.Is(err, clyde.ErrDenied) {
			return err
		}
	}
	return setCookie(w, r.Request, "", secret, 0)
}

// goPage is the data of account_go.html.
type goPage struct {
	base
	Name string
	URL  string
	Meta string
}

// begin sends the browser to a provider. It does so by a page in place of a
// redirect: the policy lets forms go nowhere but here, and browsers hold what a
// form is redirected to against that too.
func (s *Web) begin(w http.ResponseWriter, r request, key string, a signin.Ask) error {
	if _, err := account.NewSessionCookie(r.Request, ""); err != nil {
		return err
	}
	st, err := s.o.SignIn.Begin(r.Context(), key, a)
	if err != nil {
		return err
	}
	if err := setCookie(w, r.Request, startCookie, st.Cookie, int(signin.StartFor.Seconds())); err != nil {
		return err
	}
	p := goPage{base: s.base(r, "Sign in"), URL: st.URL, Meta: "0;url=" + st.URL, Name: key}
	for _, v := range s.o.SignIn.Providers() {
		if v.Key == key {
			p.Name = v.Name
		}
	}
	p.NoRobo, p.Next = true, ""
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	return s.render(w, r, http.StatusOK, "account_go.html", p)
}

func (s *Web) providerLogin(w http.ResponseWriter, r request) error {
	a := signin.Ask{Purpose: signin.ToSignIn, Next: r.PostFormValue("next")}
	if r.who.Session != "" {
		a.Purpose, a.Session = signin.ToProve, r.who.Session
	}
	return s.begin(w, r, r.PathValue("provider"), a)
}

// callback takes the browser back from a provider.
func (s *Web) callback(w http.ResponseWriter, r request) error {
	kept := cookie(r.Request, startCookie)
	if err := setCookie(w, r.Request, startCookie, "", 0); err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer") // the address holds the code
	got, err := s.o.SignIn.Finish(r.Context(), r.PathValue("provider"), kept, r.URL.Query(), r.who.Session)
	if err == nil {
		err = s.finish(w, r, got)
	}
	if e := clyde.AsError(err); e != nil && !errors.Is(err, clyde.ErrNotFound) {
		p := loginPage{To: signin.OwnPath(got.Next), Problem: e.Msg, Fixes: e.Fixes, Again: r.who.Session != ""}
		if e.Err != nil {
			s.o.Log.WarnContext(r.Context(), "sign in", "provider", r.PathValue("provider"), "code", e.Code, "err", e.Err)
		}
		status := http.StatusForbidden
		if errors.Is(err, clyde.ErrUnavailable) {
			status = http.StatusServiceUnavailable
		}
		return s.showLogin(w, r, status, p)
	}
	if err != nil {
		return err
	}
	return seeOther(w, r, got.Next)
}

// finish does what the sign in was for.
func (s *Web) finish(w http.ResponseWriter, r request, got signin.Result) error {
	ctx := r.Context()
	switch got.Purpose {
	case signin.ToLink:
		return s.o.Accounts.Link(ctx, r.who, got.Identity)
	case signin.ToProve, signin.ToClaim:
		acct, err := s.o.Accounts.Known(ctx, got.Identity)
		if err != nil {
			return err
		}
		if acct.ID != r.who.Account {
			return clyde.Errorf(clyde.ErrDenied, "at %s you are somebody else than here", got.Provider.Name).WithCode("other_account").
				Fix("Sign out there, or add that way to sign in to your account first.")
		}
		if got.Purpose == signin.ToProve {
			return s.letIn(w, r, acct)
		}
		sealed, err := s.o.SignIn.Vouch(got)
		if err != nil {
			return err
		}
		return setCookie(w, r.Request, namesCookie, sealed, int(signin.VerifiedFor.Seconds()))
	case signin.ToSignIn:
		acct, err := s.o.Accounts.SignIn(ctx, got.Identity)
		if err != nil {
			return err
		}
		return s.letIn(w, r, acct)
	}
	return clyde.Errorf(clyde.ErrInvalid, "nothing was to be done").WithCode("sign_in_stale")
}

// logout ends the session of this browser.
func (s *Web) logout(w http.ResponseWriter, r request) error {
	if r.who.Session != "" {
		if err := s.o.Accounts.EndSession(r.Context(), r.who, r.who.Session); err != nil && !errors.Is(err, clyde.ErrNotFound) {
			return err
		}
	}
	for _, name := range []string{"", startCookie, namesCookie} {
		if err := setCookie(w, r.Request, name, "", 0); err != nil {
			return err
		}
	}
	w.Header().Set("Clear-Site-Data", `"cache"`)
	return seeOther(w, r, "/")
}

// seeOther sends a browser to an own path after a form.
func seeOther(w http.ResponseWriter, r request, path string) error {
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r.Request, path, http.StatusSeeOther)
	return nil
}

// loginFor is where to sign in, to return to path.
func loginFor(path string, again bool) string {
	q := url.Values{"next": {signin.OwnPath(path)}}
	if again {
		q.Set("again", "1")
	}
	return "/login?" + q.Encode()
}

// back is the page of ours that a form was on.
func back(r request) string {
	u, err := url.Parse(r.Referer())
	if err != nil || !strings.EqualFold(u.Host, r.Host) {
		return signin.HomePath
	}
	return signin.OwnPath(u.RequestURI())
}
