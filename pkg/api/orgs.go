package api

import (
	"context"
	"encoding/json"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Switches are what an organisation asks of its packages.
type Switches struct {
	TrustedOnly bool   `json:"trusted_only" doc:"publish from CI by trusted publishing alone"`
	SignedOnly  bool   `json:"signed_only" doc:"a version is visible once it is signed by a key of the namespace"`
	TwoPerson   bool   `json:"two_person" doc:"a change of ownership takes two owners"`
	Creators    string `json:"creators" enum:"owner,maintainer,publisher" doc:"least role that may create packages"`
}

// Organisation is a group of accounts that owns namespaces.
type Organisation struct {
	Name       string    `json:"name" doc:"unique among organisations" example:"acme"`
	Display    string    `json:"display_name" doc:"for people; empty: the name"`
	Created    time.Time `json:"created_at"`
	Namespaces []string  `json:"namespaces" doc:"that it owns"`
	Switches   *Switches `json:"switches,omitempty" doc:"what it asks of its packages; for its members"`
}

// OrganisationRequest makes an organisation.
type OrganisationRequest struct {
	Name    string `json:"name" minLength:"2" maxLength:"64" doc:"a-z and 0-9, with single - between them"`
	Display string `json:"display_name,omitempty" maxLength:"100" doc:"for people"`
	Owner   string `json:"owner,omitempty" maxLength:"64" doc:"login of its first owner, where an administrator makes it; else you"`
}

// Membership is what an account is to an organisation.
type Membership struct {
	Organisation string    `json:"organisation" doc:"name of the organisation"`
	Login        string    `json:"login" doc:"of the account"`
	Name         string    `json:"name" doc:"of the account, for people"`
	Role         string    `json:"role" doc:"owner, maintainer, publisher or reader"`
	Created      time.Time `json:"created_at"`
}

// MembershipList are memberships, by name.
type MembershipList struct {
	Items []Membership `json:"items"`
}

// RoleRequest gives a role.
type RoleRequest struct {
	Role string `json:"role" enum:"owner,maintainer,publisher,reader" doc:"each may do all that the next may"`
}

// InviteRequest invites an account.
type InviteRequest struct {
	Login string `json:"login" maxLength:"64" doc:"whom"`
	Role  string `json:"role" enum:"owner,maintainer,publisher,reader" doc:"each may do all that the next may"`
}

// Confirmation is a change of ownership that waits for a second owner.
type Confirmation struct {
	ID      string          `json:"id" doc:"of the change"`
	Kind    string          `json:"kind" doc:"member.role, member.remove, org.switches or transfer.ask"`
	Change  json.RawMessage `json:"change" doc:"what will be done"`
	Created time.Time       `json:"created_at"`
	Expires time.Time       `json:"expires_at" doc:"until when it can be confirmed"`
}

// ConfirmationList are changes that wait, oldest first.
type ConfirmationList struct {
	Items []Confirmation `json:"items"`
}

// Outcome says whether a change of ownership was made, or waits.
type Outcome struct {
	Done  bool          `json:"done" doc:"false: it waits for a second owner"`
	Waits *Confirmation `json:"waits,omitempty" doc:"what a second owner confirms"`
}

// OrgPath names an organisation.
type OrgPath struct {
	Org string `path:"org" maxLength:"64" doc:"Name of the organisation." example:"acme"`
}

// MemberPath names a member.
type MemberPath struct {
	OrgPath
	LoginPath
}

type (
	orgOutput         struct{ Body Organisation }
	membershipsOutput struct{ Body MembershipList }
	createOrgInput    struct{ Body OrganisationRequest }
	outcomeOutput     struct{ Body Outcome }
	switchesInput     struct {
		OrgPath
		Body Switches
	}
	roleInput struct {
		MemberPath
		Body RoleRequest
	}
	inviteInput struct {
		OrgPath
		Body InviteRequest
	}
	confirmInput struct {
		IDPath
		Body Answer
	}
	confirmationsOutput struct{ Body ConfirmationList }
)

func switchesView(w store.Switches) Switches { return Switches(w) }

func confirmationView(c store.Confirmation) Confirmation {
	return Confirmation{ID: c.ID, Kind: c.Kind, Change: c.Payload, Created: c.Created, Expires: c.Expires}
}

func outcomeOf(waits *store.Confirmation, err error) (*outcomeOutput, error) {
	if err != nil {
		return nil, err
	}
	o := Outcome{Done: waits == nil}
	if waits != nil {
		v := confirmationView(*waits)
		o.Waits = &v
	}
	return &outcomeOutput{o}, nil
}

func memberList(ms []store.Member) MembershipList {
	return MembershipList{each(ms, func(m store.Member) Membership {
		return Membership{Organisation: m.OrgName, Login: m.Login, Name: m.Name, Role: m.Role, Created: m.Created}
	})}
}

func (s *server) orgs() {
	const at = base + "/orgs"
	add(s, operation{
		id: "list-organisations", method: "GET", path: at, tag: "organisations", summary: "List your organisations", token: true,
		about: "The organisations that your account belongs to, with your role in each.",
	}, func(ctx context.Context, _ *struct{}) (*membershipsOutput, error) {
		ms, err := s.Accounts.Memberships(ctx, callOf(ctx).who)
		return &membershipsOutput{memberList(ms)}, err
	})
	add(s, operation{
		id: "create-organisation", method: "POST", path: at, tag: "organisations", summary: "Make an organisation", token: true, status: 201, errors: writing,
		about: "Makes an organisation that you own. For somebody who signed in; an administrator's token makes it for the account that owner names.",
	}, s.createOrg)
	add(s, operation{
		id: "get-organisation", method: "GET", path: at + "/{org}", tag: "organisations", summary: "Get an organisation", errors: []int{404},
		about: "What anybody may know of an organisation: its namespaces. Members see what it asks of its packages, too.",
	}, func(ctx context.Context, in *OrgPath) (*orgOutput, error) { return s.org(ctx, in.Org) })
	add(s, operation{
		id: "set-switches", method: "PUT", path: at + "/{org}/switches", tag: "organisations", summary: "Set what an organisation asks for", token: true, errors: writing,
		about: "Sets all switches. Where the organisation asks for two people, turning that off waits for a second owner. For owners who signed in recently.",
	}, func(ctx context.Context, in *switchesInput) (*outcomeOutput, error) {
		return outcomeOf(s.Accounts.SetSwitches(ctx, callOf(ctx).who, in.Org, store.Switches(in.Body)))
	})
	add(s, operation{
		id: "list-members", method: "GET", path: at + "/{org}/members", tag: "organisations", summary: "List members", token: true, errors: []int{404},
		about: "Who belongs to an organisation, for its members.",
	}, func(ctx context.Context, in *OrgPath) (*membershipsOutput, error) {
		ms, err := s.Accounts.Members(ctx, callOf(ctx).who, in.Org)
		return &membershipsOutput{memberList(ms)}, err
	})
	add(s, operation{
		id: "set-member", method: "PUT", path: at + "/{org}/members/{login}", tag: "organisations", summary: "Change a member's role", token: true, errors: writing,
		about: "Somebody who is no member yet is invited instead: POST to invitations. The last owner stays one. For owners who signed in recently.",
	}, func(ctx context.Context, in *roleInput) (*outcomeOutput, error) {
		return outcomeOf(s.Accounts.SetRole(ctx, callOf(ctx).who, in.Org, in.Login, account.RoleName(in.Body.Role)))
	})
	add(s, operation{
		id: "remove-member", method: "DELETE", path: at + "/{org}/members/{login}", tag: "organisations", summary: "Remove a member", token: true, status: 200, errors: []int{404, 409},
		about: "Ends a membership: your own, or of an organisation that you own. The last owner stays.",
	}, func(ctx context.Context, in *MemberPath) (*outcomeOutput, error) {
		return outcomeOf(s.Accounts.RemoveMember(ctx, callOf(ctx).who, in.Org, in.Login))
	})
	add(s, operation{
		id: "list-org-invitations", method: "GET", path: at + "/{org}/invitations", tag: "organisations", summary: "List whom an organisation invited", token: true, errors: []int{404},
		about: "Invitations that are not answered yet, oldest first, for owners.",
	}, func(ctx context.Context, in *OrgPath) (*invitationsOutput, error) {
		is, err := s.Accounts.Sent(ctx, callOf(ctx).who, in.Org)
		return &invitationsOutput{invitationList(is)}, err
	})
	add(s, operation{
		id: "invite-member", method: "POST", path: at + "/{org}/invitations", tag: "organisations", summary: "Invite somebody", token: true, status: 201, errors: writing,
		about: "Asks an account to join in a role; it is a member once it accepts. For owners who signed in recently.",
	}, func(ctx context.Context, in *inviteInput) (*invitationOutput, error) {
		i, err := s.Accounts.Invite(ctx, callOf(ctx).who, in.Org, in.Body.Login, account.RoleName(in.Body.Role))
		return &invitationOutput{invitationView(i)}, err
	})
	add(s, operation{
		id: "list-confirmations", method: "GET", path: at + "/{org}/confirmations", tag: "organisations", summary: "List changes that wait", token: true, errors: []int{404},
		about: "Changes of ownership that wait for a second owner, oldest first, for owners.",
	}, func(ctx context.Context, in *OrgPath) (*confirmationsOutput, error) {
		cs, err := s.Accounts.Waiting(ctx, callOf(ctx).who, in.Org)
		return &confirmationsOutput{ConfirmationList{each(cs, confirmationView)}}, err
	})
	add(s, operation{
		id: "confirm-change", method: "POST", path: base + "/confirmations/{id}", tag: "organisations", summary: "Confirm a change of ownership", token: true, status: 204, errors: writing,
		about: "Carries out what another owner asked for, or drops it, which whoever asked may do too. For owners who signed in recently.",
	}, func(ctx context.Context, in *confirmInput) (*struct{}, error) {
		if err := needToken(callOf(ctx).who, "confirming a change"); err != nil {
			return nil, err
		}
		return nil, s.Accounts.Confirm(ctx, callOf(ctx).who, in.ID, in.Body.Accept)
	})
}

func (s *server) createOrg(ctx context.Context, in *createOrgInput) (*orgOutput, error) {
	who, b := callOf(ctx).who, in.Body
	var err error
	switch {
	case b.Owner != "" && b.Owner != who.Login:
		_, err = s.Accounts.CreateOrgFor(ctx, who, b.Name, b.Display, b.Owner)
	case who.Admin && who.Account == 0:
		err = clyde.Errorf(clyde.ErrInvalid, "the registry's own token cannot own an organisation").WithCode("owner_missing").
			Fix("Name its first owner: {\"name\": %q, \"owner\": \"LOGIN\"}.", b.Name)
	default:
		_, err = s.Accounts.CreateOrg(ctx, who, b.Name, b.Display)
	}
	if err != nil {
		return nil, err
	}
	return s.org(ctx, b.Name)
}

func (s *server) org(ctx context.Context, name string) (*orgOutput, error) {
	o, err := s.Accounts.Org(ctx, name)
	if err != nil {
		return nil, err
	}
	v := Organisation{Name: o.Name, Display: o.Display, Created: o.Created}
	member, err := s.Accounts.Belongs(ctx, callOf(ctx).who, o)
	if err != nil {
		return nil, err
	}
	if member {
		w := switchesView(o.Switches)
		v.Switches = &w
	}
	ns, err := s.Accounts.OrgNamespaces(ctx, o)
	v.Namespaces = each(ns, func(n store.Namespace) string { return n.Name })
	return &orgOutput{v}, err
}
