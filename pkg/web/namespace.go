package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Keys is the public keys whose signatures a namespace vouches for. Who may
// change them is decided there.
type Keys interface {
	// Keys lists those of a namespace, revoked ones too.
	Keys(ctx context.Context, namespace string) ([]account.Key, error)
	AddKey(ctx context.Context, by account.Principal, namespace, name, pem string) (account.Key, error)
	RevokeKey(ctx context.Context, by account.Principal, namespace, fingerprint string) error
}

// namespaceRoutes mounts the settings of a namespace.
func (s *Web) namespaceRoutes() {
	const at = "/namespaces/{ns}/settings"
	s.mux.Handle("GET "+at, s.page(s.managedNamespace(s.namespaceSettings)))
	s.mux.Handle("GET "+at+"/package", s.page(s.managedNamespace(s.packageToCome)))
	forms := map[string]settingsForm{
		"grants": {do: s.grant}, "grants/revoke": {do: s.revokeGrant}, "invitations/cancel": {do: s.cancelInvitation},
		"transfers": {do: s.offer}, "transfers/cancel": {do: s.cancelOffer},
		"builds": {do: s.setBuildPolicy, recent: "changing who attaches builds"},
	}
	if s.o.Keys != nil {
		forms["keys"] = settingsForm{do: s.addKey, recent: "adding a key"}
		forms["keys/revoke"] = settingsForm{do: s.revokeKey, recent: "revoking a key"}
	}
	if s.o.Policies != nil {
		forms["policy"] = settingsForm{do: s.setPolicy, recent: "changing the signing policy"}
		forms["list/remove"] = settingsForm{do: s.dropList, recent: "taking a list away"}
	}
	for name, f := range forms {
		s.mux.Handle("POST "+at+"/"+name, s.form(s.managedNamespace(s.settingsForm(name, f))))
	}
}

// managedNamespace adapts a handler of the settings of a namespace. For who may
// not manage all of it there is no such page, as there is none of a namespace
// that does not exist.
func (s *Web) managedNamespace(h func(http.ResponseWriter, request, subject) error) handler {
	return s.own(func(w http.ResponseWriter, r request) error {
		ns := strings.TrimPrefix(r.PathValue("ns"), "@")
		if err := clyde.CheckNamespace(ns); err != nil {
			return err
		}
		p := subject{clyde.Name{Namespace: ns}, account.Resource{Repo: ns + "/*"}}
		if !account.Allowed(r.who, account.Manage, p.res) {
			return s.missing(w, r)
		}
		if _, err := s.o.Accounts.Namespace(r.Context(), ns); errors.Is(err, clyde.ErrNotFound) {
			return s.missing(w, r)
		} else if err != nil {
			return err
		}
		return h(w, r, p)
	})
}

// namespacePage is the data of namespace_settings.html.
type namespacePage struct {
	base
	formState
	Notice    string
	Namespace account.Namespace
	Org       bool // an organisation owns it
	Member    bool // and who looks belongs to it
	Owner     bool // may decide who works on it
	Recent    bool

	Roles       []account.RoleName
	Grants      []account.GrantRow // on all of it
	Single      []account.GrantRow // on one package of it
	Invitations []account.Invitation
	Offers      []account.Transfer
	HasKeys     bool
	Keys        []account.Key          // in force first
	Policy      *account.SigningPolicy // nil: there are none
	Sigstores   []string               // that a policy may rely on
	List        *packageList           // nil: none is published
	Trusting    bool                   // there is trusted publishing
	Publishers  []publisherRow
	Builds      account.BuildPolicy
	Always      bool // Builds may come for ever
}

// Rebuilders is what the form for builds has in its field.
func (p namespacePage) Rebuilders() string {
	if p.At == "builds" {
		return p.Form.Get("rebuilders")
	}
	return strings.Join(p.Builds.Rebuilders, "\n")
}

func (s *Web) namespaceSettings(w http.ResponseWriter, r request, p subject) error {
	page, err := s.namespacePage(r, p)
	if err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "namespace_settings.html", page)
}

// namespacePage gathers what the page shows to who manages the namespace.
func (s *Web) namespacePage(r request, p subject) (v namespacePage, err error) {
	ctx, a, ns := r.Context(), s.o.Accounts, p.name.Namespace
	v = namespacePage{
		base: s.base(r, "Settings of @"+ns), Notice: notices[r.URL.Query().Get("done")], Roles: account.Roles(),
		Owner: account.Allowed(r.who, account.Own, p.res), Recent: account.RequireRecent(r.who, s.o.Now(), "") == nil,
		HasKeys: s.o.Keys != nil, Trusting: s.o.Trusted != nil,
	}
	v.NoRobo = true
	if v.Namespace, err = a.Namespace(ctx, ns); err != nil {
		return v, err
	}
	if v.Org = v.Namespace.Owner.Kind == account.OwnerOrg; v.Org {
		_, err := a.OrgView(ctx, r.who, v.Namespace.OwnerName)
		v.Member = err == nil // else its page is not for who looks
	}
	all, invitations, err := a.GrantsOn(ctx, r.who, p.whole())
	if err != nil {
		return v, err
	}
	v.Invitations = invitations
	for _, g := range all {
		if strings.HasSuffix(g.Pattern, "/*") {
			v.Grants = append(v.Grants, g)
		} else {
			v.Single = append(v.Single, g)
		}
	}
	if v.Owner {
		if v.Offers, err = a.OffersOn(ctx, r.who, p.whole()); err != nil {
			return v, err
		}
	}
	if v.Builds, err = a.BuildPolicy(ctx, r.who, ns); err != nil {
		return v, err
	}
	v.Always = v.Builds.Days < 0
	if v.HasKeys {
		if v.Keys, err = s.o.Keys.Keys(ctx, ns); err != nil {
			return v, err
		}
	}
	if s.o.Policies != nil {
		row, err := s.o.Policies.SigningPolicy(ctx, ns)
		if err != nil {
			return v, err
		}
		v.Policy = &row
		for _, t := range s.o.Policies.Trusts().Sources() {
			v.Sigstores = append(v.Sigstores, t.Name)
		}
		if v.List, err = s.packageList(ctx, ns); err != nil {
			return v, err
		}
	}
	if v.Trusting {
		ps, err := s.o.Trusted.PublishersIn(ctx, r.who, ns)
		if err != nil {
			return v, err
		}
		v.Publishers = s.publisherRows(ps)
	}
	return v, nil
}

// packageToCome leads to the settings of a package that may not exist yet: who
// publishes it first is said there.
func (s *Web) packageToCome(w http.ResponseWriter, r request, p subject) error {
	base := strings.TrimSpace(r.URL.Query().Get("name"))
	base = strings.TrimPrefix(base, "@"+p.name.Namespace+"/")
	n, err := clyde.ParseName("@" + p.name.Namespace + "/" + base)
	if e := clyde.AsError(err); e != nil {
		return s.problem(w, r, p, http.StatusUnprocessableEntity, formState{"package", e.Msg, e.Fixes, url.Values{"name": {clip(base)}}})
	}
	return seeOther(w, r, packageURL(n.String(), "", "settings")+"#publishers")
}

func (s *Web) addKey(r request, p subject) (string, error) {
	_, err := s.o.Keys.AddKey(r.Context(), r.who, p.name.Namespace, strings.TrimSpace(r.PostFormValue("name")), r.PostFormValue("pem"))
	return "keyed", err
}

func (s *Web) setBuildPolicy(r request, p subject) (string, error) {
	days := account.Always
	if !r.PostForm.Has("always") {
		n, err := strconv.Atoi(strings.TrimSpace(r.PostFormValue("days")))
		if err != nil || n < 0 {
			return "", clyde.Errorf(clyde.ErrInvalid, "%q is no number of days", clip(r.PostFormValue("days"))).
				Fix("Give 0 to %d, or accept builds for ever.", account.MaxBuildDays)
		}
		days = n
	}
	return "builds", s.o.Accounts.SetBuildPolicy(r.Context(), r.who, account.BuildPolicy{
		Namespace: p.name.Namespace, Days: days, Rebuilders: strings.Fields(r.PostFormValue("rebuilders")),
	})
}

func (s *Web) revokeKey(r request, p subject) (string, error) {
	return "unkeyed", s.o.Keys.RevokeKey(r.Context(), r.who, p.name.Namespace, r.PostFormValue("fingerprint"))
}
