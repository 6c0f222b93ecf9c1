package account

import (
	"context"
	"slices"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// PageRows bounds one page of a list. Ours: a screenful or two.
const PageRows = 100

// ListStore is what the lists on people's pages need of pkg/store.
type ListStore interface {
	Accounts(ctx context.Context, after string, n int) ([]store.Account, error)
}

// OwnNamespaces lists the namespaces of p's account, by name.
func (a *Accounts) OwnNamespaces(ctx context.Context, p Principal) ([]store.Namespace, error) {
	if err := signedIn(p, "listing one's namespaces"); err != nil {
		return nil, err
	}
	return a.db.NamespacesOf(ctx, store.Owner{Kind: store.OwnerAccount, ID: p.Account})
}

// OrgView is an organisation as its members see it.
type OrgView struct {
	store.Org
	Role        RoleName // of who looks; owner for an administrator
	Members     []store.Member
	Teams       []TeamView
	Namespaces  []store.Namespace
	Invitations []store.Invitation   // owners alone see them
	Waiting     []store.Confirmation // changes for a second owner; owners alone
}

// TeamView is a team and who is in it.
type TeamView struct {
	store.Team
	Members []store.Account
}

// OrgView returns an organisation for its members. Others, and whoever asks for
// one that does not exist, get the same clyde.ErrNotFound.
func (a *Accounts) OrgView(ctx context.Context, by Principal, name string) (v OrgView, err error) {
	defer clyde.Wrap(&err, "account.OrgView(%s)", name)
	if v.Org, err = a.inOrg(ctx, by, name, RoleReader, "seeing an organisation"); err != nil {
		return v, err
	}
	if v.Members, err = a.db.Members(ctx, v.ID); err != nil {
		return v, err
	}
	if i := slices.IndexFunc(v.Members, func(m store.Member) bool { return m.Account == by.Account }); i >= 0 {
		v.Role = RoleName(v.Members[i].Role)
	}
	if by.Admin {
		v.Role = RoleOwner
	}
	teams, err := a.db.Teams(ctx, v.ID)
	if err != nil {
		return v, err
	}
	for _, t := range teams {
		as, err := a.db.TeamMembers(ctx, t.ID)
		if err != nil {
			return v, err
		}
		for i := range as {
			as[i].Email, as[i].Password = "", ""
		}
		v.Teams = append(v.Teams, TeamView{t, as})
	}
	if v.Namespaces, err = a.db.NamespacesOf(ctx, store.Owner{Kind: store.OwnerOrg, ID: v.ID}); err != nil || v.Role != RoleOwner {
		return v, err
	}
	if v.Invitations, err = a.db.InvitationsOf(ctx, v.ID); err != nil {
		return v, err
	}
	v.Waiting, err = a.db.Confirmations(ctx, v.ID)
	return v, err
}

// People lists accounts by login, after one, for administrators.
func (a *Accounts) People(ctx context.Context, by Principal, after string) ([]store.Account, error) {
	if err := RequireAdmin(by, "listing accounts"); err != nil {
		return nil, err
	}
	as, err := a.db.Accounts(ctx, after, PageRows)
	for i := range as {
		as[i].Password = ""
	}
	return as, err
}
