package account

import (
	"context"
	"errors"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// InvitationFor is how long an invitation, a transfer and a change that waits
// for a second owner may be answered. Ours: a holiday.
const InvitationFor = 14 * 24 * time.Hour

// CreateOrg makes an organisation whose owner is by, who signed in.
func (a *Accounts) CreateOrg(ctx context.Context, by Principal, name, display string) (_ store.Org, err error) {
	defer clyde.Wrap(&err, "account.CreateOrg(%s)", name)
	if err := requirePerson(by, "making an organisation"); err != nil {
		return store.Org{}, err
	}
	return a.addOrg(ctx, by, name, display, by.Account)
}

func (a *Accounts) addOrg(ctx context.Context, by Principal, name, display string, owner int64) (store.Org, error) {
	if err := CheckLogin(name); err != nil {
		return store.Org{}, clyde.Errorf(clyde.ErrInvalid, "organisation %q: use 2 to %d of a-z and 0-9, with single - between them", name, clyde.MaxNamespaceLen).WithCode("org_invalid")
	}
	o := store.Org{Name: name, Display: cut(display, MaxDisplayName), Switches: store.Switches{Creators: string(DefaultCreators)}}
	return a.db.AddOrg(ctx, o, owner, a.audit(by, "org.create", "org:"+name))
}

// Org returns an organisation.
func (a *Accounts) Org(ctx context.Context, name string) (store.Org, error) {
	o, err := a.db.OrgByName(ctx, name)
	if errors.Is(err, clyde.ErrNotFound) {
		err = errNoOrg(name)
	}
	return o, err
}

// inOrg returns an organisation in which by is at least least; an administrator
// counts as an owner. RoleReader asks for any member. Who does not belong to it
// is told that there is none, as where that is so; a member of a lesser role is
// told which one it takes.
func (a *Accounts) inOrg(ctx context.Context, by Principal, name string, least RoleName, what string) (store.Org, error) {
	if by.Anonymous() {
		return store.Org{}, clyde.Errorf(clyde.ErrUnauthenticated, "%s needs somebody who signed in", what).WithCode("sign_in_required")
	}
	if err := by.usable(); err != nil {
		return store.Org{}, err
	}
	o, err := a.Org(ctx, name)
	if err != nil || by.Admin {
		return o, err
	}
	m, err := a.db.Member(ctx, o.ID, by.Account)
	if errors.Is(err, clyde.ErrNotFound) || err == nil && !by.wide() {
		return store.Org{}, errNoOrg(name)
	}
	if err != nil {
		return o, err
	}
	if least != RoleReader {
		if err := requirePerson(by, what); err != nil {
			return o, err
		}
	}
	if !RoleName(m.Role).AtLeast(least) {
		return o, clyde.Errorf(clyde.ErrDenied, "%s needs the role %s in the organisation %s", what, least, name).WithCode("grant_missing").
			Fix("Ask an owner of %s.", name)
	}
	return o, nil
}

// errNoOrg is what everybody is told of an organisation that does not exist, and
// strangers of one that does.
func errNoOrg(name string) error {
	return clyde.Errorf(clyde.ErrNotFound, "there is no organisation %s", name).WithCode("org_unknown")
}

// Belongs reports whether by is a member of an organisation, and asks with what
// is not for some packages alone; an administrator counts as one.
func (a *Accounts) Belongs(ctx context.Context, by Principal, o store.Org) (bool, error) {
	if by.Anonymous() || by.usable() != nil || !by.wide() {
		return false, nil
	}
	if by.Admin {
		return true, nil
	}
	_, err := a.db.Member(ctx, o.ID, by.Account)
	if errors.Is(err, clyde.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// ownsOrg is inOrg for what takes an owner who signed in recently.
func (a *Accounts) ownsOrg(ctx context.Context, by Principal, name, what string) (store.Org, error) {
	o, err := a.inOrg(ctx, by, name, RoleOwner, what)
	if err != nil {
		return o, err
	}
	return o, RequireRecent(by, a.now(), what)
}

// Members lists who belongs to an organisation, for its members.
func (a *Accounts) Members(ctx context.Context, by Principal, org string) ([]store.Member, error) {
	o, err := a.inOrg(ctx, by, org, RoleReader, "listing members")
	if err != nil {
		return nil, err
	}
	return a.db.Members(ctx, o.ID)
}

// Memberships lists the organisations that by belongs to.
func (a *Accounts) Memberships(ctx context.Context, by Principal) ([]store.Member, error) {
	if err := needWide(by, "listing one's organisations"); err != nil {
		return nil, err
	}
	return a.db.Memberships(ctx, by.Account)
}

// Change is a change of ownership. Where an organisation asks for two people it
// waits for a second owner.
type Change struct {
	Kind     string          `json:"kind"` // member.role | member.remove | org.switches | transfer.ask
	Account  int64           `json:"account,omitempty"`
	Login    string          `json:"login,omitempty"`
	Role     RoleName        `json:"role,omitempty"`
	Switches *store.Switches `json:"switches,omitempty"`
	Pattern  string          `json:"pattern,omitempty"`
	To       store.Owner     `json:"to,omitzero"`
	ToName   string          `json:"to_name,omitempty"`
}

// SetRole changes what a member is. The last owner stays one: clyde.ErrConflict
// with code "last_owner". Where the organisation asks for two people and an
// owner is made or unmade, waits is the change that a second owner confirms.
func (a *Accounts) SetRole(ctx context.Context, by Principal, org, login string, role RoleName) (waits *store.Confirmation, err error) {
	defer clyde.Wrap(&err, "account.SetRole(%s, %s)", org, login)
	if _, err := ParseRole(string(role)); err != nil {
		return nil, err
	}
	o, err := a.ownsOrg(ctx, by, org, "changing a role")
	if err != nil {
		return nil, err
	}
	m, err := a.memberByLogin(ctx, o, login)
	if err != nil {
		return nil, err
	}
	c := Change{Kind: "member.role", Account: m.Account, Login: login, Role: role}
	return a.change(ctx, by, o, c, role == RoleOwner || RoleName(m.Role) == RoleOwner)
}

// RemoveMember ends a membership. A member may leave; an owner may remove
// anybody; the last owner stays. waits is as for SetRole.
func (a *Accounts) RemoveMember(ctx context.Context, by Principal, org, login string) (waits *store.Confirmation, err error) {
	defer clyde.Wrap(&err, "account.RemoveMember(%s, %s)", org, login)
	if (by.Session != "" || by.proof()) && by.Login == login {
		o, err := a.inOrg(ctx, by, org, RoleReader, "leaving")
		if err != nil {
			return nil, err
		}
		return a.change(ctx, by, o, Change{Kind: "member.remove", Account: by.Account, Login: login}, false)
	}
	o, err := a.ownsOrg(ctx, by, org, "removing a member")
	if err != nil {
		return nil, err
	}
	m, err := a.memberByLogin(ctx, o, login)
	if err != nil {
		return nil, err
	}
	return a.change(ctx, by, o, Change{Kind: "member.remove", Account: m.Account, Login: login}, RoleName(m.Role) == RoleOwner)
}

func (a *Accounts) memberByLogin(ctx context.Context, o store.Org, login string) (store.Member, error) {
	acct, err := a.db.AccountByLogin(ctx, login)
	if err != nil {
		return store.Member{}, err
	}
	m, err := a.db.Member(ctx, o.ID, acct.ID)
	if errors.Is(err, clyde.ErrNotFound) {
		return m, clyde.Errorf(clyde.ErrNotFound, "%s is no member of %s", login, o.Name).WithCode("member_unknown")
	}
	return m, err
}

// SetSwitches says what an organisation asks of its packages. Turning two_person
// off takes two people where it is on.
func (a *Accounts) SetSwitches(ctx context.Context, by Principal, org string, s store.Switches) (waits *store.Confirmation, err error) {
	defer clyde.Wrap(&err, "account.SetSwitches(%s)", org)
	if r, err := ParseRole(s.Creators); err != nil {
		return nil, err
	} else if r == RoleReader {
		return nil, clyde.Errorf(clyde.ErrInvalid, "a reader cannot create packages: choose publisher, maintainer or owner").WithCode("role_invalid")
	}
	o, err := a.ownsOrg(ctx, by, org, "changing an organisation's switches")
	if err != nil {
		return nil, err
	}
	return a.change(ctx, by, o, Change{Kind: "org.switches", Switches: &s}, !s.TwoPerson)
}

// change applies c, or stores it for a second owner where the organisation asks
// for two people and c is one of those changes.
func (a *Accounts) change(ctx context.Context, by Principal, o store.Org, c Change, grave bool) (*store.Confirmation, error) {
	if !o.TwoPerson || !grave || by.Account == 0 {
		return nil, a.apply(ctx, o, c, by.Account, a.audit(by, c.Kind, "org:"+o.Name))
	}
	w := store.Confirmation{
		ID: newID(), Org: o.ID, Kind: c.Kind, Payload: []byte(asJSON(c)), AskedBy: by.Account, State: store.StateWaiting,
		Created: a.now().UTC(), Expires: a.now().UTC().Add(InvitationFor),
	}
	e := a.audit(by, "ownership.ask", "org:"+o.Name)
	e.Detail = string(w.Payload)
	if err := a.db.AddConfirmation(ctx, w, e); err != nil {
		return nil, err
	}
	return &w, nil
}

// apply carries a change out.
func (a *Accounts) apply(ctx context.Context, o store.Org, c Change, askedBy int64, e store.AuditEntry) error {
	e.Detail = asJSON(c)
	switch c.Kind {
	case "member.role", "member.remove":
		m, err := a.db.Member(ctx, o.ID, c.Account)
		if err != nil {
			return err
		}
		e.Before = asJSON(map[string]string{"login": m.Login, "role": m.Role})
		if c.Kind == "member.remove" {
			return a.db.RemoveMember(ctx, o.ID, c.Account, e)
		}
		e.After = asJSON(map[string]string{"login": m.Login, "role": string(c.Role)})
		return a.db.SetMember(ctx, o.ID, c.Account, string(c.Role), e)
	case "org.switches":
		e.Before, e.After = asJSON(o.Switches), asJSON(c.Switches)
		was := o.SignedOnly
		o.Switches = *c.Switches
		if err := a.db.SaveOrg(ctx, o, e); err != nil || o.SignedOnly == was || a.signed == nil {
			return err
		}
		list, err := a.OrgNamespaces(ctx, o)
		for _, n := range list {
			err = errors.Join(err, a.signed(ctx, n.Name))
		}
		return err
	case "transfer.ask":
		e.Resource = "@" + c.Pattern
		return a.db.AddTransfer(ctx, store.Transfer{
			ID: newID(), Pattern: c.Pattern, To: c.To, AskedBy: askedBy, Created: a.now().UTC(), Expires: a.now().UTC().Add(InvitationFor),
		}, e)
	}
	return clyde.Errorf(clyde.ErrInvalid, "change %q is not known to this release", c.Kind)
}

// Waiting lists the changes that wait for a second owner, for owners.
func (a *Accounts) Waiting(ctx context.Context, by Principal, org string) ([]store.Confirmation, error) {
	o, err := a.inOrg(ctx, by, org, RoleOwner, "listing changes that wait")
	if err != nil {
		return nil, err
	}
	return a.db.Confirmations(ctx, o.ID)
}

// Invite asks an account to join an organisation in a role, for its owners.
func (a *Accounts) Invite(ctx context.Context, by Principal, org, login string, role RoleName) (_ store.Invitation, err error) {
	defer clyde.Wrap(&err, "account.Invite(%s, %s)", org, login)
	if _, err := ParseRole(string(role)); err != nil {
		return store.Invitation{}, err
	}
	o, err := a.ownsOrg(ctx, by, org, "inviting somebody")
	if err != nil {
		return store.Invitation{}, err
	}
	if o.TwoPerson && role == RoleOwner {
		return store.Invitation{}, clyde.Errorf(clyde.ErrConflict, "%s asks two people for a new owner", org).WithCode("two_person").
			Fix("Invite with another role; then change it, which a second owner confirms.")
	}
	if _, err := a.memberByLogin(ctx, o, login); err == nil {
		return store.Invitation{}, clyde.Errorf(clyde.ErrConflict, "%s is a member of %s already", login, org).WithCode("member_already")
	}
	return a.invite(ctx, by, store.Invitation{Org: o.ID, OrgName: org, Role: string(role)}, login, "org:"+org)
}

func (a *Accounts) invite(ctx context.Context, by Principal, i store.Invitation, login, resource string) (store.Invitation, error) {
	acct, err := a.db.AccountByLogin(ctx, login)
	if err != nil {
		return store.Invitation{}, err
	}
	i.ID, i.Account, i.Login, i.By, i.Inviter = newID(), acct.ID, login, by.String(), by.Account
	i.Created = a.now().UTC()
	i.Expires = i.Created.Add(InvitationFor)
	e := a.audit(by, "invitation.create", resource)
	e.After = asJSON(map[string]string{"login": login, "role": i.Role})
	return i, a.db.AddInvitation(ctx, i, e)
}

// Invitations lists what waits for by's answer.
func (a *Accounts) Invitations(ctx context.Context, by Principal) ([]store.Invitation, error) {
	if err := needWhole(by, "listing invitations"); err != nil {
		return nil, err
	}
	return a.db.InvitationsFor(ctx, by.Account)
}

// invitation finds one of by's.
func (a *Accounts) invitation(ctx context.Context, by Principal, id string) (store.Invitation, error) {
	if err := requirePerson(by, "answering an invitation"); err != nil {
		return store.Invitation{}, err
	}
	i, err := a.db.Invitation(ctx, id)
	if errors.Is(err, clyde.ErrNotFound) || err == nil && (i.Account != by.Account || !a.now().Before(i.Expires)) {
		return i, clyde.Errorf(clyde.ErrNotFound, "the invitation is gone or expired").WithCode("invitation_unknown")
	}
	return i, err
}

func (i inviteOf) resource() string {
	if i.Org != 0 {
		return "org:" + i.OrgName
	}
	return "@" + i.Pattern
}

type inviteOf store.Invitation

// Accept takes an invitation up. One whose sender may no longer give the role
// is void: clyde.ErrConflict with code "invitation_void".
func (a *Accounts) Accept(ctx context.Context, by Principal, id string) (err error) {
	defer clyde.Wrap(&err, "account.Accept")
	i, err := a.invitation(ctx, by, id)
	if err != nil {
		return err
	}
	ok, err := a.mayStill(ctx, i)
	if err != nil {
		return err
	}
	if !ok {
		return clyde.Errorf(clyde.ErrConflict, "%s may no longer give that role", i.By).WithCode("invitation_void").Fix("Ask for another invitation.")
	}
	e := a.audit(by, "invitation.accept", inviteOf(i).resource())
	e.After = asJSON(map[string]string{"login": by.Login, "role": i.Role})
	return a.db.AcceptInvitation(ctx, i, e)
}

// mayStill reports whether who sent the invitation is an owner now.
func (a *Accounts) mayStill(ctx context.Context, i store.Invitation) (bool, error) {
	if i.Inviter == 0 {
		return true, nil // the administrator of the instance
	}
	p, err := a.as(ctx, i.Inviter)
	if err != nil || p.Suspended != "" {
		return false, err
	}
	if p.Admin {
		return true, nil
	}
	if i.Org == 0 {
		return Allowed(p, Own, Resource{Repo: i.Pattern, Private: true}), nil
	}
	m, err := a.db.Member(ctx, i.Org, i.Inviter)
	if errors.Is(err, clyde.ErrNotFound) {
		return false, nil
	}
	return err == nil && RoleName(m.Role) == RoleOwner, err
}

// as is the principal that an account would be if it signed in now, to ask
// whether what it began may still go on.
func (a *Accounts) as(ctx context.Context, account int64) (Principal, error) {
	acct, err := a.db.Account(ctx, account)
	if err != nil {
		return Principal{}, err
	}
	p := Principal{ID: "later", Session: "later"}
	if err := a.own(ctx, &p, acct); err != nil {
		return Principal{}, err
	}
	p.Admin = acct.Admin && p.Suspended == ""
	return p, nil
}

// Decline turns an invitation down.
func (a *Accounts) Decline(ctx context.Context, by Principal, id string) error {
	i, err := a.invitation(ctx, by, id)
	if err != nil {
		return err
	}
	return a.db.RemoveInvitation(ctx, id, a.audit(by, "invitation.decline", inviteOf(i).resource()))
}

// CreateTeam makes a team, for owners.
func (a *Accounts) CreateTeam(ctx context.Context, by Principal, org, name string) (store.Team, error) {
	if err := clyde.CheckNamespace(name); err != nil {
		return store.Team{}, clyde.Errorf(clyde.ErrInvalid, "team %q: use 2 to %d of a-z and 0-9, with single - between them", name, clyde.MaxNamespaceLen).WithCode("team_invalid")
	}
	o, err := a.inOrg(ctx, by, org, RoleOwner, "making a team")
	if err != nil {
		return store.Team{}, err
	}
	return a.db.AddTeam(ctx, store.Team{Org: o.ID, Name: name}, a.audit(by, "team.create", "org:"+org+"/"+name))
}

// Teams lists an organisation's teams, for its members.
func (a *Accounts) Teams(ctx context.Context, by Principal, org string) ([]store.Team, error) {
	o, err := a.inOrg(ctx, by, org, RoleReader, "listing teams")
	if err != nil {
		return nil, err
	}
	return a.db.Teams(ctx, o.ID)
}

// TeamMembers lists a team's members, for those of its organisation, without
// what is theirs alone.
func (a *Accounts) TeamMembers(ctx context.Context, by Principal, org, team string) ([]store.Account, error) {
	o, err := a.inOrg(ctx, by, org, RoleReader, "listing a team")
	if err != nil {
		return nil, err
	}
	t, err := a.db.Team(ctx, o.ID, team)
	if err != nil {
		return nil, err
	}
	as, err := a.db.TeamMembers(ctx, t.ID)
	for i := range as {
		as[i].Email, as[i].Password = "", ""
	}
	return as, err
}

// RemoveTeam removes a team with what was granted to it, for owners.
func (a *Accounts) RemoveTeam(ctx context.Context, by Principal, org, team string) error {
	return a.withTeam(ctx, by, org, team, "team.remove", "", func(t store.Team, e store.AuditEntry) error {
		return a.db.RemoveTeam(ctx, t.ID, e)
	})
}

// AddToTeam puts a member into a team, for owners.
func (a *Accounts) AddToTeam(ctx context.Context, by Principal, org, team, login string) error {
	return a.withTeam(ctx, by, org, team, "team.add", login, func(t store.Team, e store.AuditEntry) error {
		acct, err := a.db.AccountByLogin(ctx, login)
		if err != nil {
			return err
		}
		return a.db.AddTeamMember(ctx, t.ID, acct.ID, e)
	})
}

// RemoveFromTeam takes a member out of a team, for owners.
func (a *Accounts) RemoveFromTeam(ctx context.Context, by Principal, org, team, login string) error {
	return a.withTeam(ctx, by, org, team, "team.leave", login, func(t store.Team, e store.AuditEntry) error {
		acct, err := a.db.AccountByLogin(ctx, login)
		if err != nil {
			return err
		}
		return a.db.RemoveTeamMember(ctx, t.ID, acct.ID, e)
	})
}

func (a *Accounts) withTeam(ctx context.Context, by Principal, org, team, action, login string, do func(store.Team, store.AuditEntry) error) (err error) {
	defer clyde.Wrap(&err, "account.%s", action)
	o, err := a.inOrg(ctx, by, org, RoleOwner, "changing a team")
	if err != nil {
		return err
	}
	t, err := a.db.Team(ctx, o.ID, team)
	if err != nil {
		return err
	}
	e := a.audit(by, action, "org:"+org+"/"+team)
	if login != "" {
		e.Detail = asJSON(map[string]string{"login": login})
	}
	return do(t, e)
}
