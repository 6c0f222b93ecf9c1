package web

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// settingsRoutes mounts the settings of a package. Each form has a route of its
// own, so that a table of routes says who may send it.
func (s *Web) settingsRoutes() {
	const at = "/packages/{ns}/{name}/settings"
	s.mux.Handle("GET "+at, s.page(s.managed(s.settings)))
	forms := map[string]settingsForm{
		"access": {do: s.setAccess, recent: "changing who sees a package"}, "deprecation": {do: s.deprecate}, "yank": {do: s.yank},
		"grants": {do: s.grant}, "grants/revoke": {do: s.revokeGrant}, "invitations/cancel": {do: s.cancelInvitation},
		"transfers": {do: s.offer}, "transfers/cancel": {do: s.cancelOffer},
	}
	if s.o.Trusted != nil {
		forms["publishers"] = settingsForm{do: s.trust, recent: "trusting a publisher", early: true}
		forms["publishers/remove"] = settingsForm{do: s.distrust, recent: "ending the trust in a publisher", early: true}
	}
	if s.o.Moderator != nil {
		forms["moderation"] = settingsForm{do: s.moderate, recent: "moderating a package", admin: true}
		s.mux.Handle("POST /packages/{ns}/{name}/report", s.form(s.own(s.report)))
	}
	for name, f := range forms {
		s.mux.Handle("POST "+at+"/"+name, s.form(s.managed(s.settingsForm(name, f))))
	}
	s.namespaceRoutes()
}

// subject is a package whose settings are asked for by who may manage it.
type subject struct {
	name clyde.Name
	res  account.Resource
}

// managed adapts a handler of the settings of a package. For who may not manage
// it there is no such page, as there is none of a package that does not exist.
// One that is yet to be published has settings in a namespace that exists.
func (s *Web) managed(h func(http.ResponseWriter, request, subject) error) handler {
	return s.own(func(w http.ResponseWriter, r request) error {
		var n clyde.Name
		var err error
		if r.Method == http.MethodPost { // a form is on the page of the right name
			n, err = clyde.ParseName("@" + r.PathValue("ns") + "/" + r.PathValue("name"))
		} else {
			var done bool
			if n, done, err = s.name(w, r); done {
				return err
			}
		}
		if err != nil {
			return err
		}
		res, err := s.o.Accounts.Resource(r.Context(), n.Repo())
		if err != nil {
			return err
		}
		if !account.Allowed(r.who, account.Manage, res.Unseen(r.who)) {
			return s.missing(w, r)
		}
		if res.New {
			if _, err := s.o.Accounts.Namespace(r.Context(), n.Namespace); errors.Is(err, clyde.ErrNotFound) {
				return s.missing(w, r)
			} else if err != nil {
				return err
			}
		}
		return h(w, r, subject{n, res})
	})
}

// settingsForm is what one form does. It returns the notice to show after it.
type settingsForm struct {
	do     func(r request, p subject) (done string, err error)
	recent string // what needs a recent sign in; "" for nothing, or where pkg/account asks
	early  bool   // before the first version, too
	admin  bool   // for administrators alone
}

// settingsForm adapts what a form does. What is wrong with the form is said
// beside it, with what was typed.
func (s *Web) settingsForm(at string, f settingsForm) func(http.ResponseWriter, request, subject) error {
	return func(w http.ResponseWriter, r request, p subject) error {
		if p.res.New && !f.early || f.admin && account.RequireAdmin(r.who, f.recent) != nil {
			return s.missing(w, r)
		}
		if f.recent != "" {
			if err := account.RequireRecent(r.who, s.o.Now(), f.recent); err != nil {
				return err
			}
		}
		done, err := f.do(r, p)
		if bad := wrong(at, r, err); bad != nil {
			return s.problem(w, r, p, bad.status, bad.formState)
		}
		if err != nil {
			return err
		}
		return seeOther(w, r, p.url()+"?done="+done)
	}
}

// formState is what was wrong with a form of a page, and what was typed.
type formState struct {
	At      string // the form that Problem is about
	Problem string
	Fixes   []string
	Form    url.Values // as it was sent
}

// Typed is what was typed into a field of a form that is shown again; "" of any
// other form.
func (f formState) Typed(at, field string) string {
	if f.At != at {
		return ""
	}
	return f.Form.Get(field)
}

// badForm is a form that could not be carried out, and what its page is
// answered with.
type badForm struct {
	formState
	status int
}

// wrong returns what is wrong with a form, from what it was answered with: nil
// where that is no error, is not for people, or asks for signing in again.
func wrong(at string, r request, err error) *badForm {
	e := clyde.AsError(err)
	if e == nil || e.Code == "sign_in_again" {
		return nil
	}
	bad := &badForm{formState{at, e.Msg, e.Fixes, r.PostForm}, http.StatusUnprocessableEntity}
	for _, k := range statuses {
		if errors.Is(e.Kind, k.kind) && k.kind != clyde.ErrInvalid {
			bad.status = k.status
		}
	}
	return bad
}

// again adapts what a form does: where it cannot be carried out, the page that
// it is on is shown again, with what is wrong and what was typed. Who may not
// see that page gets its error.
func again(at string, page, do handler) handler {
	return func(w http.ResponseWriter, r request) error {
		err := do(w, r)
		if r.bad = wrong(at, r, err); r.bad != nil {
			return page(w, r)
		}
		return err
	}
}

// problem shows the settings again, with what was wrong beside the form.
func (s *Web) problem(w http.ResponseWriter, r request, p subject, status int, f formState) error {
	if p.name.Base == "" {
		page, err := s.namespacePage(r, p)
		if err != nil {
			return err
		}
		page.formState = f
		return s.render(w, r, status, "namespace_settings.html", page)
	}
	page, err := s.settingsPage(w, r, p)
	if err != nil {
		return err
	}
	page.formState = f
	return s.render(w, r, status, "package_settings.html", page)
}

// settingsPage is the data of package_settings.html.
type settingsPage struct {
	head
	formState
	Name   clyde.Name
	New    bool   // nothing was published yet
	Gone   string // why nothing of it is shown; "" where it is
	Recent bool

	Owner    bool // may decide who works on it
	OwnerAll bool // and on all of its namespace
	Admin    bool
	Roles    []account.RoleName

	Grants      []account.GrantRow
	Invitations []account.Invitation
	Offers      []account.Transfer

	Guide      []install // ways to publish the next version
	Issuers    []account.TrustedIssuer
	Publishers []publisherRow

	Reasons  []string // of a yank
	Yanked   []catalog.Release
	Yankable []catalog.Release
	Versions []catalog.Release

	Moderated []account.Moderation
	Decisions []string
}

func (s *Web) settings(w http.ResponseWriter, r request, p subject) error {
	page, err := s.settingsPage(w, r, p)
	if err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "package_settings.html", page)
}

// settingsPage gathers what the page shows to who manages the package.
func (s *Web) settingsPage(w http.ResponseWriter, r request, p subject) (v settingsPage, err error) {
	ctx, a, whole := r.Context(), s.o.Accounts, account.Resource{Repo: p.name.Namespace + "/*"}
	v = settingsPage{
		Name: p.name, New: p.res.New, Admin: r.who.Admin, Roles: account.Roles(), Reasons: catalog.YankReasons,
		Owner: account.Allowed(r.who, account.Own, p.res), OwnerAll: account.Allowed(r.who, account.Own, whole),
		Recent: account.RequireRecent(r.who, s.o.Now(), "") == nil,
	}
	var done bool
	if v.head, _, done, err = s.head(w, r, "settings"); errors.Is(err, clyde.ErrNotFound) {
		v.Gone, v.Package = clyde.AsError(err).Msg, catalog.Package{Private: p.res.Private}
	} else if err != nil || done {
		return v, err
	}
	v.Title, v.NoRobo, v.Notice = "Settings of "+p.name.String(), true, notices[r.URL.Query().Get("done")]
	if s.o.Trusted != nil {
		v.Issuers = s.o.Trusted.Issuers()
		ps, err := s.o.Trusted.Publishers(ctx, r.who, p.name)
		if err != nil {
			return v, err
		}
		v.Publishers = s.publisherRows(ps)
	}
	v.Guide = s.publishing(p.name, v.Issuers)
	if v.New {
		return v, nil
	}
	if v.Grants, v.Invitations, err = a.GrantsOn(ctx, r.who, p.name.String()); err != nil {
		return v, err
	}
	if v.Owner {
		if v.Offers, err = a.OffersOn(ctx, r.who, p.name.String()); err != nil {
			return v, err
		}
	}
	if v.Versions, err = s.o.Catalog.Versions(ctx, r.who, p.name); err != nil && !errors.Is(err, clyde.ErrNotFound) {
		return v, err
	}
	for _, rel := range v.Versions {
		switch {
		case rel.Withdrawn != nil:
		case rel.Yanked != nil:
			v.Yanked = append(v.Yanked, rel)
		default:
			v.Yankable = append(v.Yankable, rel)
		}
	}
	if v.Admin && s.o.Moderator != nil {
		v.Decisions = slices.DeleteFunc(slices.Clone(account.Decisions), func(d string) bool { return d == account.Restore })
		v.Moderated, err = s.o.Moderator.On(ctx, r.who, p.name)
	}
	return v, err
}

// manages reports whether who asks may open the settings of a package that they
// see.
func (s *Web) manages(r request, p catalog.Package, n clyde.Name) bool {
	return s.o.Accounts != nil && r.who.Session != "" && account.Allowed(r.who, account.Manage, account.Resource{Repo: n.Repo(), Private: p.Private})
}
