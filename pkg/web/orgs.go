package web

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/account/signin"
	"github.com/clydepm/clyde-registry/pkg/clyde"
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
	p := orgPage{mine: s.mine(r, "", cmp.Or(v.Display, v.Name)), Org: v, Owner: v.Role == account.RoleOwner, Roles: account.Roles()}
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

// orgForm carries out one form of an organisation's page.
func (s *Web) orgForm(w http.ResponseWriter, r request) error {
	ctx, a, org, f := r.Context(), s.o.Accounts, r.PathValue("org"), r.PostForm
	login, team := f.Get("login"), f.Get("team")
	done := "saved"
	waits := func(c *account.Confirmation, err error) error {
		if c != nil {
			done = "waits"
		}
		return err
	}
	var err error
	switch r.PathValue("form") {
	case "invite":
		done = "invited"
		_, err = a.Invite(ctx, r.who, org, login, account.RoleName(f.Get("role")))
	case "uninvite":
		done, err = "uninvited", a.TakeBack(ctx, r.who, f.Get("id"))
	case "role":
		err = waits(a.SetRole(ctx, r.who, org, login, account.RoleName(f.Get("role"))))
	case "remove":
		err = waits(a.RemoveMember(ctx, r.who, org, login))
		if err == nil && login == r.who.Login {
			return seeOther(w, r, "/account/namespaces?done=left")
		}
	case "switches":
		err = waits(a.SetSwitches(ctx, r.who, org, account.Switches{
			TrustedOnly: f.Has("trusted_only"), SignedOnly: f.Has("signed_only"), TwoPerson: f.Has("two_person"), Creators: f.Get("creators"),
		}))
	case "confirm":
		err = a.Confirm(ctx, r.who, f.Get("id"), f.Get("answer") == "confirm")
	case "teams":
		_, err = a.CreateTeam(ctx, r.who, org, team)
	case "team-remove":
		err = a.RemoveTeam(ctx, r.who, org, team)
	case "team-add":
		err = a.AddToTeam(ctx, r.who, org, team, login)
	case "team-leave":
		err = a.RemoveFromTeam(ctx, r.who, org, team, login)
	default:
		return clyde.Errorf(clyde.ErrNotFound, "There is no page at %s.", clip(r.URL.Path))
	}
	if err != nil {
		return err
	}
	return seeOther(w, r, orgURL(org)+"?done="+done)
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
