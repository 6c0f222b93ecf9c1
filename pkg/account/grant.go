package account

import (
	"context"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// repoPattern checks "@acme/zlib" or "@acme/*" and returns it without the @.
func repoPattern(s string) (string, error) {
	p, err := ParsePattern(s)
	if err != nil {
		return "", err
	}
	if p == "*" {
		return "", clyde.Errorf(clyde.ErrInvalid, "package pattern %q: want @namespace/name or @namespace/*", s)
	}
	return strings.TrimPrefix(p, "@"), nil
}

// owns returns nil where by may change who owns or works on a pattern now.
func (a *Accounts) owns(by Principal, pattern, what string) error {
	if err := Authorize(by, Own, Resource{Repo: pattern}); err != nil {
		return err
	}
	return RequireRecent(by, a.now(), what)
}

// OwnsRecently returns nil where by owns a pattern, "acme/zlib" or "acme/*", and
// signed in recently, as what says they must have.
func (a *Accounts) OwnsRecently(by Principal, pattern, what string) error {
	return a.owns(by, pattern, what)
}

// mayGive returns nil where by may give a role on a pattern. Where its
// organisation asks two people for a new owner, a grant is no way around that.
func (a *Accounts) mayGive(ctx context.Context, by Principal, pattern string, role RoleName) error {
	if err := a.owns(by, pattern, "granting a role"); err != nil {
		return err
	}
	if role != RoleOwner {
		return nil
	}
	o, err := a.ownerOrg(ctx, pattern)
	if err != nil || !o.TwoPerson {
		return err
	}
	return clyde.Errorf(clyde.ErrConflict, "%s asks two people for a new owner", o.Name).WithCode("two_person").
		Fix("Grant the role maintainer, or make somebody an owner of %s, which a second owner confirms.", o.Name)
}

// GrantTeam gives a team a role on "@acme/zlib" or "@acme/*", for owners of it.
// The team's organisation need not be the one that owns the package.
func (a *Accounts) GrantTeam(ctx context.Context, by Principal, pattern, org, team string, role RoleName) (err error) {
	defer clyde.Wrap(&err, "account.GrantTeam(%s)", pattern)
	if _, err := ParseRole(string(role)); err != nil {
		return err
	}
	pat, err := repoPattern(pattern)
	if err != nil {
		return err
	}
	if err := a.mayGive(ctx, by, pat, role); err != nil {
		return err
	}
	o, err := a.db.OrgByName(ctx, org)
	if err != nil {
		return err
	}
	t, err := a.db.Team(ctx, o.ID, team)
	if err != nil {
		return err
	}
	e := a.audit(by, "grant.set", pattern)
	e.After = asJSON(map[string]string{"team": org + "/" + team, "role": string(role)})
	return a.db.SetGrant(ctx, store.Grant{Pattern: pat, HolderKind: store.HolderTeam, Holder: t.ID, Role: string(role), By: by.String()}, e)
}

// GrantAccount invites an account to a role on "@acme/zlib" or "@acme/*", for
// owners of it. The role is held once the invitation is accepted.
func (a *Accounts) GrantAccount(ctx context.Context, by Principal, pattern, login string, role RoleName) (_ store.Invitation, err error) {
	defer clyde.Wrap(&err, "account.GrantAccount(%s)", pattern)
	if _, err := ParseRole(string(role)); err != nil {
		return store.Invitation{}, err
	}
	pat, err := repoPattern(pattern)
	if err != nil {
		return store.Invitation{}, err
	}
	if err := a.mayGive(ctx, by, pat, role); err != nil {
		return store.Invitation{}, err
	}
	return a.invite(ctx, by, store.Invitation{Pattern: pat, Role: string(role)}, login, pattern)
}

// RevokeGrant takes a role away from an account or, as "org/team", a team. An
// account may give up its own.
func (a *Accounts) RevokeGrant(ctx context.Context, by Principal, pattern, kind, holder string) (err error) {
	defer clyde.Wrap(&err, "account.RevokeGrant(%s)", pattern)
	pat, err := repoPattern(pattern)
	if err != nil {
		return err
	}
	if !(kind == store.OwnerAccount && by.Session != "" && holder == by.Login) {
		if err := a.owns(by, pat, "revoking a role"); err != nil {
			return err
		}
	}
	e := a.audit(by, "grant.remove", pattern)
	e.Before = asJSON(map[string]string{kind: holder})
	switch kind {
	case store.OwnerAccount:
		acct, err := a.db.AccountByLogin(ctx, holder)
		if err != nil {
			return err
		}
		return a.db.RemoveGrant(ctx, pat, kind, acct.ID, e)
	case store.HolderTeam:
		org, team, _ := strings.Cut(holder, "/")
		o, err := a.db.OrgByName(ctx, org)
		if err != nil {
			return err
		}
		t, err := a.db.Team(ctx, o.ID, team)
		if err != nil {
			return err
		}
		return a.db.RemoveGrant(ctx, pat, kind, t.ID, e)
	}
	return clyde.Errorf(clyde.ErrInvalid, "holder %q: want account or team", kind)
}

// Grants lists the grants in a namespace, for who manages it.
func (a *Accounts) Grants(ctx context.Context, by Principal, namespace string) ([]store.Grant, error) {
	if err := Authorize(by, Manage, Resource{Repo: namespace + "/*"}); err != nil {
		return nil, err
	}
	return a.db.Grants(ctx, namespace)
}
