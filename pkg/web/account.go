package web

import (
	"errors"
	"net/http"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/account/signin"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// maxForm bounds the body of a form, in bytes. Ours: the largest has a list of
// scopes and a reason.
const maxForm = 64 << 10

// accountRoutes mounts what needs accounts.
func (s *Web) accountRoutes() {
	if s.o.Accounts == nil {
		return
	}
	for pattern, h := range map[string]handler{
		"/people/{login}":            s.person,
		"/organisations/{org}":       s.organisation,
		"/login":                     s.login,
		"/login/{provider}/callback": s.callback,
		"/device":                    s.own(s.device),
		"/account":                   s.own(s.profile),
		"/account/sessions":          s.own(s.sessions),
		"/account/tokens":            s.own(s.tokens),
		"/account/namespaces":        s.own(s.namespaces),
		"/orgs/{org}":                s.own(s.org),
		"/orgs/{org}/audit":          s.own(s.audit),
		"/admin":                     s.administrator(s.adminRequests),
		"/admin/accounts":            s.administrator(s.adminAccounts),
		"/admin/names":               s.administrator(s.adminNames),
		"/admin/audit":               s.administrator(s.audit),
	} {
		s.mux.Handle("GET "+pattern, s.page(h))
	}
	for pattern, h := range map[string]handler{
		"/login":                       s.passwordLogin,
		"/login/{provider}":            s.providerLogin,
		"/logout":                      s.logout,
		"/device":                      s.own(s.decideDevice),
		"/account":                     s.own(s.saveProfile),
		"/account/password":            s.own(s.savePassword),
		"/account/identities":          s.own(s.link),
		"/account/identities/remove":   s.own(s.unlink),
		"/account/sessions/{id}/end":   s.own(s.endSession),
		"/account/sessions/end-others": s.own(s.endOthers),
		"/account/tokens":              s.own(s.createToken),
		"/account/namespaces/vouch":    s.own(s.vouch),
		"/account/namespaces/claim":    s.own(again("claim", s.namespaces, s.claim)),
		"/account/namespaces/request":  s.own(again("request", s.namespaces, s.requestName)),
		"/account/invitations/{id}":    s.own(again("invitation", s.namespaces, s.answerInvitation)),
		"/account/transfers/{id}":      s.own(again("transfer", s.namespaces, s.answerTransfer)),
		"/orgs":                        s.own(again("org", s.namespaces, s.createOrg)),
		"/account/tokens/{id}/revoke":  s.own(s.revokeToken),
	} {
		s.mux.Handle("POST "+pattern, s.form(h))
	}
	for name, do := range s.orgForms() {
		s.mux.Handle("POST /orgs/{org}/"+name, s.form(s.own(again(name, s.org, s.orgForm(name, do)))))
	}
	for name, f := range s.adminForms() {
		s.mux.Handle("POST /admin/"+name, s.form(s.adminForm(name, f)))
	}
	s.settingsRoutes()
	if s.o.Moderator != nil {
		s.mux.Handle("GET /admin/reports", s.page(s.administrator(s.adminReports)))
	}
}

// form adapts a handler of what a form sends: from our own pages alone, and no
// longer than maxForm.
func (s *Web) form(h handler) http.Handler {
	return s.page(func(w http.ResponseWriter, r request) error {
		if err := s.cross.Check(r.Request); err != nil {
			return clyde.Errorf(clyde.ErrDenied, "this was sent from another site, so nothing was done").WithCode("cross_origin").
				Fix("Use the form on our own page.").Because(err)
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			if errors.As(err, new(*http.MaxBytesError)) {
				return clyde.Errorf(clyde.ErrTooLarge, "the form has more than %d bytes", maxForm)
			}
			return clyde.Errorf(clyde.ErrInvalid, "the form cannot be read").Because(err)
		}
		return h(w, r)
	})
}

// own adapts a handler of what belongs to somebody who signed in. Others are
// sent to sign in, and so is who has to show again who they are; each returns.
func (s *Web) own(h handler) handler {
	return func(w http.ResponseWriter, r request) error {
		here := r.URL.RequestURI()
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			here = back(r)
		}
		w.Header().Set("Cache-Control", "private, no-store")
		if r.who.Session == "" {
			if !r.who.Anonymous() {
				return clyde.Errorf(clyde.ErrDenied, "this page is for somebody who signed in, not for a token").WithCode("session_required")
			}
			return seeOther(w, r, loginFor(here, false))
		}
		err := h(w, r)
		if e := clyde.AsError(err); e != nil && e.Code == "sign_in_again" {
			return seeOther(w, r, loginFor(here, true))
		}
		return err
	}
}

// notices are what a page says after a form was carried out. The address
// carries the key alone: nobody makes our pages say something by a link.
var notices = map[string]string{
	"saved": "Saved.", "password": "The password is set. Every other session has ended.", "linked": "You can sign in that way now.",
	"unlinked": "That way to sign in is gone.", "ended": "That session has ended.", "others": "Every other session has ended.",
	"revoked": "The token is revoked. It is refused from now on.", "approved": "Approved. Return to your command line: it goes on by itself.",
	"claimed": "The namespace is yours.", "requested": "Requested. An administrator decides.", "accepted": "Accepted.", "declined": "Declined.",
	"invited": "Invited. The role is held once the invitation is accepted.", "waits": "That waits for a second owner now.", "left": "You have left the organisation.",
	"public": "Everybody sees the package now.", "private": "Nobody without a role sees the package now.", "taken": "The role is taken away.",
	"uninvited": "The invitation is taken back.", "offered": "Offered. It is theirs once they accept.", "unoffered": "The offer is taken back.",
	"trusted": "That job may publish now.", "distrusted": "That job may no longer publish.", "yanked": "The version is yanked.", "unyanked": "The version is back.",
	"moderated": "Decided. It holds from the next request on.", "reported": "Reported. The administrators will look at it.",
	"builds": "That holds for builds from now on; those that are attached stay.",
	"keyed":  "The key counts from now on; every signature of the namespace was looked at again.", "unkeyed": "The key counts no longer; every signature of the namespace was looked at again.",
	"unlisted": "The list is taken away. Who follows it is refused everything until they stop following it.",
	"denied":   "Denied. The command line gets nothing.",
}

// mine is what every page of somebody's own needs.
type mine struct {
	base
	formState
	Tab    string
	Login  string
	Admin  bool
	Notice string
	Judge  bool // there are reports to decide
	Recent bool // signed in recently enough for what is dangerous
}

func (s *Web) mine(r request, tab, title string) mine {
	m := mine{base: s.base(r, title), Tab: tab, Login: r.who.Login, Admin: r.who.Admin, Judge: s.o.Moderator != nil, Notice: notices[r.URL.Query().Get("done")]}
	m.NoRobo = true
	if r.bad != nil {
		m.formState = r.bad.formState
	}
	m.Recent = account.RequireRecent(r.who, s.o.Now(), "") == nil
	return m
}

// profilePage is the data of account_profile.html.
type profilePage struct {
	mine
	Profile    account.Profile
	Identities []identity
	Providers  []signin.Provider // that can be added
	Passwords  bool
	Suspended  string
}

// identity is one way to sign in, with what its provider is called.
type identity struct {
	account.Identity
	Provider string
}

func (s *Web) profile(w http.ResponseWriter, r request) error {
	v, err := s.o.Accounts.Profile(r.Context(), r.who)
	if err != nil {
		return err
	}
	p := profilePage{mine: s.mine(r, "profile", "Your account"), Profile: v, Passwords: s.o.Passwords, Suspended: r.who.Suspended}
	have := map[string]bool{}
	for _, i := range v.Identities {
		x := identity{i, i.Issuer}
		for _, pr := range s.o.SignIn.Providers() {
			if pr.Issuer == i.Issuer {
				x.Provider = pr.Name
			}
		}
		have[i.Issuer] = true
		p.Identities = append(p.Identities, x)
	}
	for _, pr := range s.o.SignIn.Providers() {
		if !have[pr.Issuer] {
			p.Providers = append(p.Providers, pr)
		}
	}
	return s.render(w, r, http.StatusOK, "account_profile.html", p)
}

func (s *Web) saveProfile(w http.ResponseWriter, r request) error {
	if err := s.o.Accounts.Rename(r.Context(), r.who, r.PostFormValue("name")); err != nil {
		return err
	}
	return seeOther(w, r, "/account?done=saved")
}

func (s *Web) savePassword(w http.ResponseWriter, r request) error {
	if r.PostFormValue("password") != r.PostFormValue("again") {
		return clyde.Errorf(clyde.ErrInvalid, "the two passwords differ").Fix("Type the same password twice.")
	}
	if r.PostFormValue("password") == "" {
		return clyde.Errorf(clyde.ErrInvalid, "the password is empty")
	}
	if err := s.o.Accounts.SetPassword(r.Context(), r.who, r.who.Account, r.PostFormValue("password")); err != nil {
		return err
	}
	return seeOther(w, r, "/account?done=password")
}

func (s *Web) link(w http.ResponseWriter, r request) error {
	if err := account.RequireRecent(r.who, s.o.Now(), "adding a way to sign in"); err != nil {
		return err
	}
	return s.begin(w, r, r.PostFormValue("provider"), signin.Ask{Purpose: signin.ToLink, Session: r.who.Session, Next: "/account?done=linked"})
}

func (s *Web) unlink(w http.ResponseWriter, r request) error {
	if err := s.o.Accounts.Unlink(r.Context(), r.who, r.PostFormValue("issuer"), r.PostFormValue("subject")); err != nil {
		return err
	}
	return seeOther(w, r, "/account?done=unlinked")
}

// sessionsPage is the data of account_sessions.html.
type sessionsPage struct {
	mine
	Sessions []account.SessionRow
	This     string
}

func (s *Web) sessions(w http.ResponseWriter, r request) error {
	ss, err := s.o.Accounts.Sessions(r.Context(), r.who)
	if err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "account_sessions.html", sessionsPage{s.mine(r, "sessions", "Sessions"), ss, r.who.Session})
}

func (s *Web) endSession(w http.ResponseWriter, r request) error {
	id := r.PathValue("id")
	if id == r.who.Session {
		return s.logout(w, r)
	}
	if err := s.o.Accounts.EndSession(r.Context(), r.who, id); err != nil {
		return err
	}
	return seeOther(w, r, "/account/sessions?done=ended")
}

func (s *Web) endOthers(w http.ResponseWriter, r request) error {
	if err := s.o.Accounts.EndOtherSessions(r.Context(), r.who); err != nil {
		return err
	}
	return seeOther(w, r, "/account/sessions?done=others")
}
