package web

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// tokenRow is a token as its owner sees it.
type tokenRow struct {
	account.TokenRow
	Allows []account.Scope
	From   []string // networks
	State  string   // "" in force, revoked or expired
	CI     bool     // made for a CI run
}

// tokensPage is the data of account_tokens.html.
type tokensPage struct {
	mine
	Tokens  []tokenRow
	Actions []actionChoice
	Lasts   []lastChoice
	Form    tokenForm
	Problem string
	Fixes   []string
	Secret  string // of the token just made; shown once
	Made    string // its name
	Host    string
}

type actionChoice struct {
	Action account.Action
	About  string
	On     bool
}

// lastChoice is how long a token may last; 0 days is for ever.
type lastChoice struct {
	Days  int
	Label string
	On    bool
}

// tokenForm is what somebody typed.
type tokenForm struct{ Name, Packages, Networks string }

// abouts says what each action is, for people.
var abouts = map[account.Action]string{
	account.Pull:       "read private packages",
	account.PublishNew: "publish packages that do not exist yet",
	account.Publish:    "publish new versions of packages that exist",
	account.Yank:       "yank, unyank and deprecate",
	account.Manage:     "change settings, keys and tokens",
	account.Own:        "change members, teams, roles, owners and organisations, as you can after signing in",
}

// defaultDays is how long a token lasts unless somebody chooses otherwise.
const defaultDays = 90

func (s *Web) tokens(w http.ResponseWriter, r request) error {
	return s.showTokens(w, r, http.StatusOK, tokensPage{})
}

func (s *Web) showTokens(w http.ResponseWriter, r request, status int, p tokensPage) error {
	p.mine, p.Host = s.mine(r, "tokens", "Tokens"), s.o.Host
	ts, err := s.o.Accounts.ListOwn(r.Context(), r.who)
	if err != nil {
		return err
	}
	now := s.o.Now()
	for _, t := range ts {
		row := tokenRow{TokenRow: t, CI: len(t.Run) > 0}
		if len(t.Scopes) > 0 {
			if err := json.Unmarshal(t.Scopes, &row.Allows); err != nil {
				return err
			}
		}
		if len(t.Networks) > 0 {
			if err := json.Unmarshal(t.Networks, &row.From); err != nil {
				return err
			}
		}
		switch {
		case !t.Revoked.IsZero():
			row.State = "revoked"
		case !t.Expires.IsZero() && !now.Before(t.Expires):
			row.State = "expired"
		}
		if row.CI && row.State != "" {
			continue // each run of a CI leaves one; the audit log has them
		}
		p.Tokens = append(p.Tokens, row)
	}
	if p.Actions == nil {
		p.Actions = choices(func(a account.Action) bool { return a == account.Publish })
	}
	if p.Lasts == nil {
		p.Lasts = lasts(defaultDays)
	}
	return s.render(w, r, status, "account_tokens.html", p)
}

func choices(on func(account.Action) bool) (out []actionChoice) {
	for _, a := range account.Actions() {
		if about, ok := abouts[a]; ok && a != account.Own { // which no token that lasts may
			out = append(out, actionChoice{a, about, on(a)})
		}
	}
	return out
}

func lasts(days int) []lastChoice {
	out := []lastChoice{{7, "7 days", false}, {30, "30 days", false}, {90, "90 days", false}, {365, "a year", false}, {0, "for ever", false}}
	for i := range out {
		out[i].On = out[i].Days == days
	}
	return out
}

func (s *Web) createToken(w http.ResponseWriter, r request) error {
	f := r.PostForm
	p := tokensPage{Form: tokenForm{Name: f.Get("name"), Packages: f.Get("packages"), Networks: f.Get("networks")}}
	days, _ := strconv.Atoi(f.Get("days"))
	p.Lasts = lasts(days)
	p.Actions = choices(func(a account.Action) bool { return slices.Contains(f["action"], string(a)) })
	spec, err := s.tokenSpec(f["action"], p.Form, f.Get("days"))
	if err == nil {
		p.Secret, _, err = s.o.Accounts.CreateFor(r.Context(), r.who, spec)
	}
	e := clyde.AsError(err)
	switch {
	case e != nil && e.Code != "sign_in_again":
		p.Problem, p.Fixes = e.Msg, e.Fixes
		return s.showTokens(w, r, http.StatusUnprocessableEntity, p)
	case err != nil:
		return err
	}
	p.Made, p.Form, p.Actions, p.Lasts = spec.Name, tokenForm{}, nil, nil
	return s.showTokens(w, r, http.StatusOK, p)
}

// tokenSpec reads the form: patterns and networks are separated by white space
// or commas.
func (s *Web) tokenSpec(actions []string, f tokenForm, days string) (account.TokenSpec, error) {
	spec := account.TokenSpec{Name: f.Name}
	var acts []account.Action
	for _, a := range actions {
		act, err := account.ParseAction(a)
		if err != nil {
			return spec, err
		}
		acts = append(acts, act)
	}
	if len(acts) == 0 {
		return spec, clyde.Errorf(clyde.ErrInvalid, "the token allows nothing").Fix("Choose at least one thing that it may do.")
	}
	for _, pat := range words(f.Packages) {
		spec.Scopes = append(spec.Scopes, account.Scope{Actions: acts, Pattern: pat})
	}
	if len(spec.Scopes) == 0 {
		return spec, clyde.Errorf(clyde.ErrInvalid, "the token is for no package").Fix("Name packages: @acme/zlib, @acme/* for a namespace, or * for all that you may.")
	}
	for _, n := range words(f.Networks) {
		p, err := parseNetwork(n)
		if err != nil {
			return spec, err
		}
		spec.Networks = append(spec.Networks, p)
	}
	n, err := strconv.Atoi(days)
	if err != nil || n < 0 || n > 3660 {
		return spec, clyde.Errorf(clyde.ErrInvalid, "choose how long the token lasts")
	}
	if n > 0 {
		spec.Expires = s.o.Now().Add(time.Duration(n) * 24 * time.Hour).UTC().Truncate(time.Second)
	}
	return spec, nil
}

func words(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' || r == '\r' })
}

// parseNetwork reads 192.0.2.0/24, or one address.
func parseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, clyde.Errorf(clyde.ErrInvalid, "network %q: want one such as 192.0.2.0/24 or 2001:db8::/32", clip(s))
	}
	return p, nil
}

func (s *Web) revokeToken(w http.ResponseWriter, r request) error {
	if err := s.o.Accounts.RevokeOwn(r.Context(), r.who, r.PathValue("id")); err != nil {
		return err
	}
	return seeOther(w, r, "/account/tokens?done=revoked")
}
