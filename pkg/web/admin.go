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

// adminForm carries out one form of administration. All of them need a recent
// sign in.
func (s *Web) adminForm(w http.ResponseWriter, r request) error {
	if err := account.RequireRecent(r.who, s.o.Now(), "administration"); err != nil {
		return err
	}
	ctx, a, f := r.Context(), s.o.Accounts, r.PostForm
	var err error
	back := "/admin"
	switch r.PathValue("form") {
	case "decide":
		err = a.DecideRequest(ctx, r.who, f.Get("id"), f.Get("answer") == "grant", f.Get("why"))
	case "suspend":
		back, err = "/admin/accounts", a.Suspend(ctx, r.who, f.Get("login"), f.Get("why"))
	case "unsuspend":
		back, err = "/admin/accounts", a.Unsuspend(ctx, r.who, f.Get("login"))
	case "promote":
		back, err = "/admin/accounts", a.SetAdmin(ctx, r.who, f.Get("login"), f.Get("admin") == "true")
	case "create":
		back = "/admin/accounts"
		_, err = a.CreateAccount(ctx, r.who, f.Get("login"), f.Get("name"), f.Get("password"), f.Has("admin"))
	case "reserve":
		back, err = "/admin/names", a.ReserveName(ctx, r.who, f.Get("name"), f.Get("why"))
	case "release":
		back, err = "/admin/names", a.ReleaseName(ctx, r.who, f.Get("name"))
	case "report":
		if s.o.Moderator == nil {
			return s.missing(w, r)
		}
		back = "/admin/reports"
		_, err = s.o.Moderator.CloseReport(ctx, r.who, f.Get("id"), f.Get("decision"))
	default:
		return s.missing(w, r)
	}
	if err != nil {
		return err
	}
	return seeOther(w, r, back+"?done=saved")
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
