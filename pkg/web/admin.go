package web

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// adminPage is the data of account_admin.html.
type adminPage struct {
	mine
	Requests []account.NameRequest
	People   []account.Person
	Reserved []account.ReservedName
	Reports  []account.ReportRow
	Closed   bool   // the reports are
	More     string // address of the page after this one
}

// administrator adapts a handler of what is for administrators: for all others
// there is no such page.
func (s *Web) administrator(h handler) handler {
	return s.own(func(w http.ResponseWriter, r request) error {
		if account.RequireAdmin(r.who, "administration") != nil {
			return s.missing(w, r)
		}
		return h(w, r)
	})
}

func (s *Web) adminRequests(w http.ResponseWriter, r request) (err error) {
	p := adminPage{mine: s.mine(r, "requests", "Requests")}
	if p.Requests, err = s.o.Accounts.Requests(r.Context(), r.who, true, account.PageRows); err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "account_admin.html", p)
}

func (s *Web) adminAccounts(w http.ResponseWriter, r request) (err error) {
	p := adminPage{mine: s.mine(r, "accounts", "Accounts")}
	if p.People, err = s.o.Accounts.People(r.Context(), r.who, clip(r.URL.Query().Get("after"))); err != nil {
		return err
	}
	if n := len(p.People); n >= account.PageRows {
		p.More = "/admin/accounts?" + url.Values{"after": {p.People[n-1].Login}}.Encode()
	}
	return s.render(w, r, http.StatusOK, "account_admin.html", p)
}

func (s *Web) adminNames(w http.ResponseWriter, r request) (err error) {
	p := adminPage{mine: s.mine(r, "names", "Reserved names")}
	if p.Reserved, err = s.o.Accounts.ReservedNames(r.Context(), r.who, clip(r.URL.Query().Get("after")), account.PageRows); err != nil {
		return err
	}
	if n := len(p.Reserved); n >= account.PageRows {
		p.More = "/admin/names?" + url.Values{"after": {p.Reserved[n-1].Name}}.Encode()
	}
	return s.render(w, r, http.StatusOK, "account_admin.html", p)
}

func (s *Web) adminReports(w http.ResponseWriter, r request) (err error) {
	p := adminPage{mine: s.mine(r, "reports", "Reports"), Closed: r.URL.Query().Get("state") == account.ReportClosed}
	state := account.ReportOpen
	if p.Closed {
		state = account.ReportClosed
	}
	if p.Reports, err = s.o.Moderator.Reports(r.Context(), r.who, state, account.MaxReports); err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "account_admin.html", p)
}

// adminForm is what one form of administration does.
type adminForm struct {
	back string  // the page that it is on
	page handler // which shows it
	do   func(r request) error
}

// adminForms are the forms by the last part of their address.
func (s *Web) adminForms() map[string]adminForm {
	a := s.o.Accounts
	forms := map[string]adminForm{
		"decide": {"/admin", s.adminRequests, func(r request) error {
			return a.DecideRequest(r.Context(), r.who, r.PostFormValue("id"), r.PostFormValue("answer") == "grant", r.PostFormValue("why"))
		}},
		"suspend": {"/admin/accounts", s.adminAccounts, func(r request) error {
			return a.Suspend(r.Context(), r.who, r.PostFormValue("login"), r.PostFormValue("why"))
		}},
		"unsuspend": {"/admin/accounts", s.adminAccounts, func(r request) error { return a.Unsuspend(r.Context(), r.who, r.PostFormValue("login")) }},
		"promote": {"/admin/accounts", s.adminAccounts, func(r request) error {
			return a.SetAdmin(r.Context(), r.who, r.PostFormValue("login"), r.PostFormValue("admin") == "true")
		}},
		"create": {"/admin/accounts", s.adminAccounts, func(r request) error {
			f := r.PostForm
			_, err := a.CreateAccount(r.Context(), r.who, f.Get("login"), f.Get("name"), f.Get("password"), f.Has("admin"))
			return err
		}},
		"reserve": {"/admin/names", s.adminNames, func(r request) error {
			return a.ReserveName(r.Context(), r.who, r.PostFormValue("name"), r.PostFormValue("why"))
		}},
		"release": {"/admin/names", s.adminNames, func(r request) error { return a.ReleaseName(r.Context(), r.who, r.PostFormValue("name")) }},
	}
	if s.o.Moderator != nil {
		forms["report"] = adminForm{"/admin/reports", s.adminReports, func(r request) error {
			_, err := s.o.Moderator.CloseReport(r.Context(), r.who, r.PostFormValue("id"), r.PostFormValue("decision"))
			return err
		}}
	}
	return forms
}

// adminForm adapts what a form of administration does. All of them need a
// recent sign in.
func (s *Web) adminForm(name string, f adminForm) handler {
	return s.administrator(again(name, f.page, func(w http.ResponseWriter, r request) error {
		if err := account.RequireRecent(r.who, s.o.Now(), "administration"); err != nil {
			return err
		}
		if err := f.do(r); err != nil {
			return err
		}
		return seeOther(w, r, f.back+"?done=saved")
	}))
}

// number reads a position in a list; "" is 0.
func number(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, clyde.Errorf(clyde.ErrInvalid, "%q is no position in the list", clip(s))
	}
	return n, nil
}

func text(n int64) string { return strconv.FormatInt(n, 10) }
