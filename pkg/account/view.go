package account

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// ViewStore is what lists need of pkg/store besides Store.
type ViewStore interface {
	AuditLog(ctx context.Context, f store.AuditFilter, n int) ([]store.AuditEntry, error)
	InvitationsOf(ctx context.Context, org int64) ([]store.Invitation, error)
	InvitationsOn(ctx context.Context, pattern string) ([]store.Invitation, error)
	NamespaceRequests(ctx context.Context, state string, n int) ([]store.NamespaceRequest, error)
	NamespaceRequestsOf(ctx context.Context, account int64, n int) ([]store.NamespaceRequest, error)
	NamespacesOf(ctx context.Context, o store.Owner) ([]store.Namespace, error)
	ReservedNames(ctx context.Context, after string, n int) ([]store.ReservedName, error)
	TransfersFrom(ctx context.Context, namespace string) ([]store.Transfer, error)
}

// needAccount returns nil for an account, signed in or by its token.
func needAccount(by Principal, what string) error {
	switch {
	case by.Anonymous():
		return clyde.Errorf(clyde.ErrUnauthenticated, "%s needs somebody who signed in", what).WithCode("sign_in_required").
			Fix("Sign in: clyde login.")
	case by.Account == 0:
		return clyde.Errorf(clyde.ErrDenied, "%s needs an account, and token %q belongs to none", what, by.tokenName()).WithCode("account_required").
			Fix("Sign in as a person, with clyde login; a token that the registry made belongs to nobody.")
	}
	return by.usable()
}

// Namespaces lists what by's account and its organisations own, by name.
func (a *Accounts) Namespaces(ctx context.Context, by Principal) (_ []store.Namespace, err error) {
	defer clyde.Wrap(&err, "account.Namespaces")
	if err := needWide(by, "listing one's namespaces"); err != nil {
		return nil, err
	}
	out, err := a.db.NamespacesOf(ctx, store.Owner{Kind: store.OwnerAccount, ID: by.Account})
	if err != nil {
		return nil, err
	}
	ms, err := a.db.Memberships(ctx, by.Account)
	if err != nil {
		return nil, err
	}
	for _, m := range ms {
		ns, err := a.db.NamespacesOf(ctx, store.Owner{Kind: store.OwnerOrg, ID: m.Org})
		if err != nil {
			return nil, err
		}
		out = append(out, ns...)
	}
	slices.SortFunc(out, func(x, y store.Namespace) int { return cmp.Compare(x.Name, y.Name) })
	return out, nil
}

// Namespace returns a namespace, or clyde.ErrNotFound.
func (a *Accounts) Namespace(ctx context.Context, name string) (store.Namespace, error) {
	return a.db.Namespace(ctx, name)
}

// OrgNamespaces lists what an organisation owns, by name.
func (a *Accounts) OrgNamespaces(ctx context.Context, org store.Org) ([]store.Namespace, error) {
	return a.db.NamespacesOf(ctx, store.Owner{Kind: store.OwnerOrg, ID: org.ID})
}

// GiveNamespace gives a namespace to an account or an organisation, for
// administrators: one that nobody vouches for, or that is in use without an
// owner. Errors as for ClaimNamespace.
func (a *Accounts) GiveNamespace(ctx context.Context, by Principal, name, kind, to string) (err error) {
	defer clyde.Wrap(&err, "account.GiveNamespace(%s)", name)
	if err := RequireAdmin(by, "giving a namespace away"); err != nil {
		return err
	}
	if err := clyde.CheckNamespace(name); err != nil {
		return err
	}
	o, err := a.holderNamed(ctx, kind, to)
	if err != nil {
		return err
	}
	e := a.audit(by, "namespace.grant", "@"+name)
	e.After = asJSON(map[string]string{kind: to})
	return a.db.ClaimNamespace(ctx, name, o, by.String(), true, e)
}

// holderNamed finds an account or an organisation by its name.
func (a *Accounts) holderNamed(ctx context.Context, kind, name string) (store.Owner, error) {
	switch kind {
	case store.OwnerAccount:
		acct, err := a.db.AccountByLogin(ctx, name)
		return store.Owner{Kind: kind, ID: acct.ID}, err
	case store.OwnerOrg:
		o, err := a.db.OrgByName(ctx, name)
		return store.Owner{Kind: kind, ID: o.ID}, err
	}
	return store.Owner{}, clyde.Errorf(clyde.ErrInvalid, "owner %q: want account or org", kind)
}

// CreateOrgFor makes an organisation whose owner is an account, for
// administrators who belong to none: the instance's own token.
func (a *Accounts) CreateOrgFor(ctx context.Context, by Principal, name, display, owner string) (_ store.Org, err error) {
	defer clyde.Wrap(&err, "account.CreateOrgFor(%s)", name)
	if err := RequireAdmin(by, "making an organisation for somebody"); err != nil {
		return store.Org{}, err
	}
	acct, err := a.db.AccountByLogin(ctx, owner)
	if err != nil {
		return store.Org{}, err
	}
	return a.addOrg(ctx, by, name, display, acct.ID)
}

// Requests lists the namespaces that by asked for, newest first, at most n;
// with all those that wait, for administrators.
func (a *Accounts) Requests(ctx context.Context, by Principal, all bool, n int) ([]store.NamespaceRequest, error) {
	if all {
		if err := RequireAdmin(by, "listing what others ask for"); err != nil {
			return nil, err
		}
		return a.db.NamespaceRequests(ctx, store.StateWaiting, n)
	}
	if err := needWide(by, "listing one's requests"); err != nil {
		return nil, err
	}
	return a.db.NamespaceRequestsOf(ctx, by.Account, n)
}

// ReservedNames lists reservations after a name, at most n, for administrators.
func (a *Accounts) ReservedNames(ctx context.Context, by Principal, after string, n int) ([]store.ReservedName, error) {
	if err := RequireAdmin(by, "listing reserved names"); err != nil {
		return nil, err
	}
	return a.db.ReservedNames(ctx, after, n)
}

// Sent lists whom an organisation invited, for its owners.
func (a *Accounts) Sent(ctx context.Context, by Principal, org string) ([]store.Invitation, error) {
	o, err := a.inOrg(ctx, by, org, RoleOwner, "listing invitations")
	if err != nil {
		return nil, err
	}
	return a.db.InvitationsOf(ctx, o.ID)
}

// TakeBack ends an invitation that an owner sent: to the organisation, or to a
// package of theirs.
func (a *Accounts) TakeBack(ctx context.Context, by Principal, id string) (err error) {
	defer clyde.Wrap(&err, "account.TakeBack")
	if by.Anonymous() {
		return clyde.Errorf(clyde.ErrUnauthenticated, "taking an invitation back needs somebody who signed in").WithCode("sign_in_required")
	}
	i, err := a.db.Invitation(ctx, id)
	if err != nil {
		return err
	}
	if i.Org != 0 {
		_, err = a.inOrg(ctx, by, i.OrgName, RoleOwner, "taking an invitation back")
	} else {
		err = Authorize(by, Own, Resource{Repo: i.Pattern})
	}
	if errors.Is(err, clyde.ErrDenied) {
		return clyde.Errorf(clyde.ErrNotFound, "there is no invitation %s", id).WithCode("invitation_unknown")
	}
	if err != nil {
		return err
	}
	return a.db.RemoveInvitation(ctx, id, a.audit(by, "invitation.cancel", inviteOf(i).resource()))
}

// manages returns nil where by manages a package or a namespace. A package that
// does not exist is refused like one that is private.
func (a *Accounts) manages(ctx context.Context, by Principal, repo string) error {
	r, err := a.Resource(ctx, repo)
	if err != nil {
		return err
	}
	return Authorize(by, Manage, r.Unseen(by))
}

// Unseen is r as p may know it: one that p may not see, and one that does not
// exist, are the same.
func (r Resource) Unseen(p Principal) Resource {
	hidden := Resource{Repo: r.Repo, Private: true, New: true}
	if (r.Private || r.New && !strings.HasSuffix(r.Repo, "/*")) && !Allowed(p, Pull, hidden) {
		return hidden
	}
	return r
}

// GrantsOn lists the grants that count for "@acme/zlib" or "@acme/*", those of
// the whole namespace among them, and who was invited to one, for who manages
// it.
func (a *Accounts) GrantsOn(ctx context.Context, by Principal, pattern string) (gs []store.Grant, is []store.Invitation, err error) {
	defer clyde.Wrap(&err, "account.GrantsOn(%s)", pattern)
	pat, err := repoPattern(pattern)
	if err != nil {
		return nil, nil, err
	}
	if err := a.manages(ctx, by, pat); err != nil {
		return nil, nil, err
	}
	ns, _, _ := strings.Cut(pat, "/")
	gs, err = a.db.Grants(ctx, ns)
	if err != nil {
		return nil, nil, err
	}
	if !strings.HasSuffix(pat, "/*") {
		gs = slices.DeleteFunc(gs, func(g store.Grant) bool { return g.Pattern != pat && g.Pattern != ns+"/*" })
	}
	is, err = a.db.InvitationsOn(ctx, pat)
	return gs, is, err
}

// Offers lists what of a namespace waits to be taken over, for its owners.
func (a *Accounts) Offers(ctx context.Context, by Principal, namespace string) ([]store.Transfer, error) {
	if err := Authorize(by, Own, Resource{Repo: namespace + "/*"}); err != nil {
		return nil, err
	}
	return a.db.TransfersFrom(ctx, namespace)
}

// OffersOn lists what waits to be taken over of "@acme/zlib" itself, for its
// owners, who need not own the namespace.
func (a *Accounts) OffersOn(ctx context.Context, by Principal, pattern string) (_ []store.Transfer, err error) {
	defer clyde.Wrap(&err, "account.OffersOn(%s)", pattern)
	pat, err := repoPattern(pattern)
	if err != nil {
		return nil, err
	}
	if err := Authorize(by, Own, Resource{Repo: pat, Private: true}); err != nil {
		return nil, err
	}
	ns, _, _ := strings.Cut(pat, "/")
	ts, err := a.db.TransfersFrom(ctx, ns)
	return slices.DeleteFunc(ts, func(t store.Transfer) bool { return t.Pattern != pat }), err
}

// As is what an account holds now, to explain it to an administrator; it
// authenticates nobody.
func (a *Accounts) As(ctx context.Context, by Principal, login string) (Principal, error) {
	if by.Login != login {
		if err := RequireAdmin(by, "asking about somebody else's rights"); err != nil {
			return Principal{}, err
		}
	}
	acct, err := a.db.AccountByLogin(ctx, login)
	if err != nil {
		return Principal{}, err
	}
	return a.as(ctx, acct.ID)
}

// ExplainTo is Explain for a repository by its name, "acme/zlib" or "acme/*".
// What p may not see is explained as what does not exist.
func (a *Accounts) ExplainTo(ctx context.Context, p Principal, act Action, repo string) (Explanation, error) {
	r, err := a.Resource(ctx, repo)
	if err != nil {
		return Explanation{}, err
	}
	return Explain(p, act, r.Unseen(p)), nil
}

// AuditFor lists entries of the audit log, newest first, at most n. resource is
// "@acme" or "@acme/zlib" for who manages it, "org:acme" for owners and
// maintainers of the organisation, and "" for what by's own account did, or of
// an administrator for everything. Where an entry was made from, and with what
// token, is by's own and the administrators'.
func (a *Accounts) AuditFor(ctx context.Context, by Principal, resource string, f store.AuditFilter, n int) (_ []store.AuditEntry, err error) {
	defer clyde.Wrap(&err, "account.AuditFor(%s)", resource)
	fs := []store.AuditFilter{f}
	ns, base, one := strings.Cut(strings.TrimPrefix(resource, "@"), "/")
	org, isOrg := strings.CutPrefix(resource, "org:")
	switch {
	case resource == "" && by.Admin && !by.Anonymous():
		err = RequireAdmin(by, "reading the audit log")
	case resource == "":
		err = needWhole(by, "reading the audit log")
		fs[0].Account = by.Account
	case isOrg:
		_, err = a.inOrg(ctx, by, org, RoleMaintainer, "reading an organisation's audit log")
		fs[0].Scopes = []string{resource}
	case !strings.HasPrefix(resource, "@"):
		return nil, clyde.Errorf(clyde.ErrInvalid, "resource %q: want @namespace, @namespace/name or org:name", resource).WithCode("resource_invalid")
	case one:
		if _, err := clyde.ParseName(resource); err != nil {
			return nil, err
		}
		err = a.manages(ctx, by, ns+"/"+base)
		fs[0].Resource, fs[0].Scopes = resource, []string{"@" + ns}
		versions := fs[0]
		versions.Resource = "pkg:clyde/" + ns + "/" + base + "@*"
		fs = append(fs, versions)
	default:
		if err := clyde.CheckNamespace(ns); err != nil {
			return nil, err
		}
		err = a.manages(ctx, by, ns+"/*")
		fs[0].Scopes = []string{resource}
	}
	if err != nil {
		return nil, err
	}
	var out []store.AuditEntry
	for _, f := range fs {
		es, err := a.db.AuditLog(ctx, f, n)
		if err != nil {
			return nil, err
		}
		out = append(out, es...)
	}
	slices.SortFunc(out, func(x, y store.AuditEntry) int { return cmp.Compare(y.Seq, x.Seq) })
	out = out[:min(len(out), n)]
	for i := range out {
		if !by.Admin && (by.Account == 0 || out[i].Account != by.Account) {
			out[i].Address, out[i].Token = "", ""
		}
	}
	return out, nil
}
