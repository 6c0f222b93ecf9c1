package web

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/account/signin"
)

// namespacesPage is the data of account_namespaces.html.
type namespacesPage struct {
	mine
	Namespaces  []account.Namespace
	Orgs        []account.Member
	Owned       []string // organisations that p owns
	Invitations []account.Invitation
	Transfers   []account.Transfer
	Requests    []account.NameRequest
	Vouchers    []signin.Provider // that can vouch for names
	Verified    []string          // names vouched for just now
}

func (s *Web) namespaces(w http.ResponseWriter, r request) (err error) {
	ctx, a := r.Context(), s.o.Accounts
	p := namespacesPage{mine: s.mine(r, "namespaces", "Namespaces")}
	if p.Namespaces, err = a.OwnNamespaces(ctx, r.who); err != nil {
		return err
	}
	if p.Orgs, err = a.Memberships(ctx, r.who); err != nil {
		return err
	}
	for _, m := range p.Orgs {
		if m.Role == string(account.RoleOwner) {
			p.Owned = append(p.Owned, m.OrgName)
		}
	}
	if r.who.Suspended != "" {
		return s.render(w, r, http.StatusOK, "account_namespaces.html", p)
	}
	if p.Requests, err = a.Requests(ctx, r.who, false, account.PageRows); err != nil {
		return err
	}
	if p.Invitations, err = a.Invitations(ctx, r.who); err != nil {
		return err
	}
	if p.Transfers, err = a.Transfers(ctx, r.who, ""); err != nil {
		return err
	}
	for _, v := range s.o.SignIn.Providers() {
		if v.Kind == signin.GitHub {
			p.Vouchers = append(p.Vouchers, v)
		}
	}
	p.Verified = s.o.SignIn.Vouched(cookie(r.Request, namesCookie), r.who.Session)
	return s.render(w, r, http.StatusOK, "account_namespaces.html", p)
}

// vouch asks a provider which names are somebody's: the one place where
// organisations are asked for.
func (s *Web) vouch(w http.ResponseWriter, r request) error {
	return s.begin(w, r, r.PostFormValue("provider"), signin.Ask{Purpose: signin.ToClaim, Session: r.who.Session, Next: "/account/namespaces#claim"})
}

func (s *Web) claim(w http.ResponseWriter, r request) error {
	f := r.PostForm
	verified := s.o.SignIn.Vouched(cookie(r.Request, namesCookie), r.who.Session)
	if err := s.o.Accounts.ClaimNamespace(r.Context(), r.who, f.Get("name"), f.Get("org"), verified); err != nil {
		return err
	}
	return seeOther(w, r, "/account/namespaces?done=claimed")
}

func (s *Web) requestName(w http.ResponseWriter, r request) error {
	f := r.PostForm
	if _, err := s.o.Accounts.RequestNamespace(r.Context(), r.who, f.Get("name"), f.Get("org"), f.Get("why")); err != nil {
		return err
	}
	return seeOther(w, r, "/account/namespaces?done=requested")
}

func (s *Web) answerInvitation(w http.ResponseWriter, r request) error {
	do, done := s.o.Accounts.Decline, "declined"
	if r.PostFormValue("answer") == "accept" {
		do, done = s.o.Accounts.Accept, "accepted"
	}
	if err := do(r.Context(), r.who, r.PathValue("id")); err != nil {
		return err
	}
	return seeOther(w, r, "/account/namespaces?done="+done)
}

func (s *Web) answerTransfer(w http.ResponseWriter, r request) error {
	do, done := s.o.Accounts.DeclineTransfer, "declined"
	if r.PostFormValue("answer") == "accept" {
		do, done = s.o.Accounts.AcceptTransfer, "accepted"
	}
	if err := do(r.Context(), r.who, r.PathValue("id")); err != nil {
		return err
	}
	if org := r.PostFormValue("org"); org != "" {
		return seeOther(w, r, orgURL(org)+"?done="+done)
	}
	return seeOther(w, r, "/account/namespaces?done="+done)
}

func (s *Web) createOrg(w http.ResponseWriter, r request) error {
	o, err := s.o.Accounts.CreateOrg(r.Context(), r.who, r.PostFormValue("name"), r.PostFormValue("display"))
	if err != nil {
		return err
	}
	return seeOther(w, r, orgURL(o.Name)+"?done=saved")
}

func orgURL(name string) string { return "/orgs/" + url.PathEscape(name) }

// orgPage is the data of account_org.html.
type orgPage struct {
	mine
	Org     account.OrgView
	Owner   bool
	Manages bool // may open the settings of its namespaces
	Roles   []account.RoleName
	Waiting []waiting
	Offers  []account.Transfer // to the organisation, for its owners
}

// waiting is a change of ownership that a second owner confirms.
type waiting struct {
	account.Confirmation
	What string
	Own  bool // asked for by who looks
}

func (s *Web) org(w http.ResponseWriter, r request) error {
	v, err := s.o.Accounts.OrgView(r.Context(), r.who, r.PathValue("org"))
	if err != nil {
		return err
	}
	p := orgPage{mine: s.mine(r, "", cmp.Or(v.Display, v.Name)), Org: v, Owner: v.Role == account.RoleOwner, Manages: v.Role.AtLeast(account.RoleMaintainer), Roles: account.Roles()}
	for _, c := range v.Waiting {
		var ch account.Change
		if err := json.Unmarshal(c.Payload, &ch); err != nil {
			return err
		}
		p.Waiting = append(p.Waiting, waiting{c, changeText(ch), c.AskedBy == r.who.Account})
	}
	if p.Owner {
		if p.Offers, err = s.o.Accounts.Transfers(r.Context(), r.who, v.Name); err != nil {
			return err
		}
	}
	return s.render(w, r, http.StatusOK, "account_org.html", p)
}

// changeText says what a change does.
func changeText(c account.Change) string {
	switch c.Kind {
	case "member.role":
		return c.Login + " becomes " + string(c.Role)
	case "member.remove":
		return c.Login + " leaves"
	case "org.switches":
		return "other switches"
	case "transfer.ask":
		return "@" + c.Pattern + " goes to " + c.ToName
	}
	return c.Kind
}

// orgForm is what one form of an organisation's page does. It returns the
// notice to show after it.
type orgForm func(r request, org string) (done string, err error)

// orgForms are the forms by the last part of their address. Each has a route of
// its own, so that a table of routes says who may send it.
func (s *Web) orgForms() map[string]orgForm {
	a := s.o.Accounts
	plain := func(do func(r request, org string) error) orgForm {
		return func(r request, org string) (string, error) { return "saved", do(r, org) }
	}
	// Some changes wait for a second owner, where two are asked for.
	waits := func(do func(r request, org string) (*account.Confirmation, error)) orgForm {
		return func(r request, org string) (string, error) {
			c, err := do(r, org)
			if c != nil {
				return "waits", err
			}
			return "saved", err
		}
	}
	return map[string]orgForm{
		"invite": func(r request, org string) (string, error) {
			_, err := a.Invite(r.Context(), r.who, org, r.PostFormValue("login"), account.RoleName(r.PostFormValue("role")))
			return "invited", err
		},
		"uninvite": func(r request, _ string) (string, error) {
			return "uninvited", a.TakeBack(r.Context(), r.who, r.PostFormValue("id"))
		},
		"role": waits(func(r request, org string) (*account.Confirmation, error) {
			return a.SetRole(r.Context(), r.who, org, r.PostFormValue("login"), account.RoleName(r.PostFormValue("role")))
		}),
		"remove": waits(func(r request, org string) (*account.Confirmation, error) {
			return a.RemoveMember(r.Context(), r.who, org, r.PostFormValue("login"))
		}),
		"switches": waits(func(r request, org string) (*account.Confirmation, error) {
			f := r.PostForm
			return a.SetSwitches(r.Context(), r.who, org, account.Switches{
				TrustedOnly: f.Has("trusted_only"), SignedOnly: f.Has("signed_only"), TwoPerson: f.Has("two_person"), Creators: f.Get("creators"),
			})
		}),
		"confirm": plain(func(r request, _ string) error {
			return a.Confirm(r.Context(), r.who, r.PostFormValue("id"), r.PostFormValue("answer") == "confirm")
		}),
		"teams": plain(func(r request, org string) error {
			_, err := a.CreateTeam(r.Context(), r.who, org, r.PostFormValue("team"))
			return err
		}),
		"team-remove": plain(func(r request, org string) error {
			return a.RemoveTeam(r.Context(), r.who, org, r.PostFormValue("team"))
		}),
		"team-add": plain(func(r request, org string) error {
			return a.AddToTeam(r.Context(), r.who, org, r.PostFormValue("team"), r.PostFormValue("login"))
		}),
		"team-leave": plain(func(r request, org string) error {
			return a.RemoveFromTeam(r.Context(), r.who, org, r.PostFormValue("team"), r.PostFormValue("login"))
		}),
	}
}

// orgForm adapts what a form of an organisation's page does.
func (s *Web) orgForm(name string, do orgForm) handler {
	return func(w http.ResponseWriter, r request) error {
		org := r.PathValue("org")
		done, err := do(r, org)
		if err != nil {
			return err
		}
		if name == "remove" && done == "saved" && r.PostFormValue("login") == r.who.Login {
			return seeOther(w, r, "/account/namespaces?done=left") // its page is not for who left
		}
		return seeOther(w, r, orgURL(org)+"?done="+done)
	}
}

// auditPage is the data of account_audit.html.
type auditPage struct {
	mine
	Org     string
	Action  string // where the form goes
	Filter  account.AuditFilter
	Entries []account.AuditRow
	Older   string // address of the page after this one
}

func (s *Web) audit(w http.ResponseWriter, r request) error {
	q := r.URL.Query()
	p := auditPage{mine: s.mine(r, "audit", "Audit log"), Org: r.PathValue("org"), Action: r.URL.Path}
	p.Filter = account.AuditFilter{Actor: clip(q.Get("actor")), Action: clip(q.Get("action")), Resource: clip(q.Get("resource"))}
	before, err := number(q.Get("before"))
	if err != nil {
		return err
	}
	f := p.Filter
	f.Before = before
	about := ""
	if p.Org != "" {
		// Who does not belong to it is answered as on its own page.
		if _, err := s.o.Accounts.OrgView(r.Context(), r.who, p.Org); err != nil {
			return err
		}
		about = "org:" + p.Org
	}
	if p.Entries, err = s.o.Accounts.AuditFor(r.Context(), r.who, about, f, account.PageRows); err != nil {
		return err
	}
	if n := len(p.Entries); n >= account.PageRows {
		q.Set("before", text(p.Entries[n-1].Seq))
		p.Older = r.URL.Path + "?" + q.Encode()
	}
	return s.render(w, r, http.StatusOK, "account_audit.html", p)
}
