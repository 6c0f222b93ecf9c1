package web

import (
	"net/http"
	"net/url"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// devicePage is the data of account_device.html.
type devicePage struct {
	mine
	Code         string
	Ask          *account.DeviceAsk
	Abouts       map[account.Action]string
	ProofMinutes int  // that a proof lasts
	Same         bool // the command line asks from the address that this browser has
	Problem      string
	Fixes        []string
}

// device asks for the code of a command line, or shows what it asks for.
func (s *Web) device(w http.ResponseWriter, r request) error {
	return s.showDevice(w, r, http.StatusOK, devicePage{Code: clip(r.URL.Query().Get("code"))})
}

func (s *Web) showDevice(w http.ResponseWriter, r request, status int, p devicePage) error {
	p.mine, p.Abouts, p.ProofMinutes = s.mine(r, "", "A command line wants to sign in"), abouts, int(account.ProofFor.Minutes())
	if p.Code != "" && p.Problem == "" {
		d, err := s.o.Accounts.FindDevice(r.Context(), r.who, p.Code)
		if e := clyde.AsError(err); e != nil {
			p.Problem, p.Fixes, status = e.Msg, e.Fixes, http.StatusUnprocessableEntity
		} else if err != nil {
			return err
		} else {
			p.Ask, p.Same = &d, d.Address != "" && d.Address == r.who.Addr.String()
		}
	}
	return s.render(w, r, status, "account_device.html", p)
}

// decideDevice approves or denies what was shown.
func (s *Web) decideDevice(w http.ResponseWriter, r request) error {
	ok := r.PostFormValue("answer") == "approve"
	if !ok && r.PostFormValue("answer") != "deny" {
		return clyde.Errorf(clyde.ErrInvalid, "say approve or deny")
	}
	err := s.o.Accounts.DecideDevice(r.Context(), r.who, r.PostFormValue("code"), ok)
	if e := clyde.AsError(err); e != nil && e.Code == "sign_in_again" {
		return seeOther(w, r, loginFor("/device?"+url.Values{"code": {r.PostFormValue("code")}}.Encode(), true))
	} else if e != nil {
		return s.showDevice(w, r, http.StatusUnprocessableEntity, devicePage{Problem: e.Msg, Fixes: e.Fixes})
	}
	if err != nil {
		return err
	}
	if ok {
		return seeOther(w, r, "/device?done=approved")
	}
	return seeOther(w, r, "/device?done=denied")
}
