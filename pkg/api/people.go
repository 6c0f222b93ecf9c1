package api

import (
	"context"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Account is what an account reads of itself.
type Account struct {
	Login       string       `json:"login" doc:"unique here"`
	Name        string       `json:"name" doc:"for people; empty: the login"`
	Email       string       `json:"email,omitempty" doc:"nobody else sees it"`
	Admin       bool         `json:"admin" doc:"an administrator of this registry"`
	Suspended   string       `json:"suspended,omitempty" doc:"why the account is suspended"`
	Created     time.Time    `json:"created_at"`
	Identities  []Identifier `json:"identities,omitempty" doc:"how it signs in; to a session alone"`
	HasPassword bool         `json:"has_password,omitempty" doc:"it may sign in by password; to a session alone"`
	Roles       []Role       `json:"roles" doc:"what it holds now"`
}

// Identifier is one way to sign in.
type Identifier struct {
	Issuer string     `json:"issuer" doc:"who vouches for it" example:"https://github.com"`
	Login  string     `json:"login" doc:"there, when last seen"`
	Used   *time.Time `json:"last_used_at,omitempty" doc:"last sign in with it"`
}

// Role is what somebody is to a pattern of packages.
type Role struct {
	Pattern string `json:"pattern" doc:"@namespace/name, @namespace/* or *"`
	Role    string `json:"role" doc:"owner, maintainer, publisher or reader"`
	Because string `json:"because" doc:"where it comes from, in words"`
}

// AccountRequest changes what an account says of itself.
type AccountRequest struct {
	Name string `json:"name" maxLength:"100" doc:"for people; empty: the login"`
}

// Session is where somebody is signed in.
type Session struct {
	ID      string    `json:"id" doc:"of the session"`
	Created time.Time `json:"created_at"`
	Used    time.Time `json:"last_used_at" doc:"to some minutes"`
	Expires time.Time `json:"expires_at" doc:"whatever happens"`
	Address string    `json:"address" doc:"where it was used last"`
	Agent   string    `json:"agent" doc:"the browser's name for itself"`
	Current bool      `json:"current" doc:"the one that asks"`
}

// SessionList are sessions, newest first.
type SessionList struct {
	Items []Session `json:"items"`
}

// Invitation is a role that somebody is asked to take.
type Invitation struct {
	ID           string    `json:"id" doc:"of the invitation"`
	Organisation string    `json:"organisation,omitempty" doc:"to join"`
	Pattern      string    `json:"pattern,omitempty" doc:"packages that it is about: @namespace/name or @namespace/*"`
	Role         string    `json:"role" doc:"owner, maintainer, publisher or reader"`
	Login        string    `json:"login" doc:"who is invited"`
	By           string    `json:"by"`
	Created      time.Time `json:"created_at"`
	Expires      time.Time `json:"expires_at" doc:"until when it can be answered"`
}

// InvitationList are invitations, oldest first.
type InvitationList struct {
	Items []Invitation `json:"items"`
}

// Answer accepts or declines.
type Answer struct {
	Accept bool `json:"accept" doc:"false declines"`
}

// Suspension says why an account is suspended.
type Suspension struct {
	Why string `json:"why" minLength:"1" maxLength:"500" doc:"shown to its owner"`
}

func invitationView(i store.Invitation) Invitation {
	v := Invitation{ID: i.ID, Organisation: i.OrgName, Role: i.Role, Login: i.Login, By: i.By, Created: i.Created, Expires: i.Expires}
	if i.Pattern != "" {
		v.Pattern = "@" + i.Pattern
	}
	return v
}

func invitationList(is []store.Invitation) InvitationList {
	return InvitationList{Items: each(is, invitationView)}
}

// each maps a list, empty rather than null.
func each[A, B any](in []A, view func(A) B) []B {
	out := make([]B, len(in))
	for i := range in {
		out[i] = view(in[i])
	}
	return out
}

// LoginPath names an account.
type LoginPath struct {
	Login string `path:"login" maxLength:"64" doc:"Login of the account." example:"alice"`
}

// IDPath names something by its ID.
type IDPath struct {
	ID string `path:"id" maxLength:"64" doc:"Its ID."`
}

type (
	accountOutput     struct{ Body Account }
	accountInput      struct{ Body AccountRequest }
	sessionsOutput    struct{ Body SessionList }
	invitationsOutput struct{ Body InvitationList }
	invitationOutput  struct{ Body Invitation }
	answerInput       struct {
		IDPath
		Body Answer
	}
	suspendInput struct {
		LoginPath
		Body Suspension
	}
)

// writing are the failures of what takes a JSON body.
var writing = []int{404, 408, 409, 413, 415, 422}

func (s *server) people() {
	add(s, operation{
		id: "get-account", method: "GET", path: base + "/account", tag: "account", summary: "Get your account", token: true,
		about: "The account that you signed in with, or whose token you send, and every role that it holds now.",
	}, func(ctx context.Context, _ *struct{}) (*accountOutput, error) { return s.account(ctx) })
	add(s, operation{
		id: "update-account", method: "PUT", path: base + "/account", tag: "account", summary: "Rename yourself", token: true, errors: writing,
		about: "Sets how people call you; the login stays. For somebody who signed in.",
	}, func(ctx context.Context, in *accountInput) (*accountOutput, error) {
		if err := s.Accounts.Rename(ctx, callOf(ctx).who, in.Body.Name); err != nil {
			return nil, err
		}
		return s.account(ctx)
	})
	add(s, operation{
		id: "list-sessions", method: "GET", path: base + "/account/sessions", tag: "account", summary: "List your sessions", token: true,
		about: "Where you are signed in, newest first. For somebody who signed in.",
	}, func(ctx context.Context, _ *struct{}) (*sessionsOutput, error) {
		who := callOf(ctx).who
		ss, err := s.Accounts.Sessions(ctx, who)
		return &sessionsOutput{SessionList{each(ss, func(x store.Session) Session {
			return Session{
				ID: x.ID, Created: x.Created, Used: x.Used, Expires: x.Expires, Address: x.Address, Agent: x.Agent, Current: x.ID == who.Session,
			}
		})}}, err
	})
	add(s, operation{
		id: "end-session", method: "DELETE", path: base + "/account/sessions/{id}", tag: "account", summary: "End a session", token: true,
		about: "Signs one of your browsers out, at once. For somebody who signed in.", errors: []int{404},
	}, func(ctx context.Context, in *IDPath) (*struct{}, error) {
		return nil, s.Accounts.EndSession(ctx, callOf(ctx).who, in.ID)
	})
	add(s, operation{
		id: "end-sessions", method: "DELETE", path: base + "/account/sessions", tag: "account", summary: "End your other sessions", token: true,
		about: "Signs all of your browsers out but the one that asks. For somebody who signed in.",
	}, func(ctx context.Context, _ *struct{}) (*struct{}, error) {
		return nil, s.Accounts.EndOtherSessions(ctx, callOf(ctx).who)
	})
	s.invitations()
	add(s, operation{
		id: "suspend-account", method: "PUT", path: base + "/accounts/{login}/suspension", tag: "account", summary: "Suspend an account", token: true, errors: writing, status: 204,
		about: "Keeps an account from everything but reading what is public, at once. For administrators.",
	}, func(ctx context.Context, in *suspendInput) (*struct{}, error) {
		return nil, s.Accounts.Suspend(ctx, callOf(ctx).who, in.Login, in.Body.Why)
	})
	add(s, operation{
		id: "unsuspend-account", method: "DELETE", path: base + "/accounts/{login}/suspension", tag: "account", summary: "Lift a suspension", token: true,
		about: "Lets an account act again. For administrators.", errors: []int{404, 409},
	}, func(ctx context.Context, in *LoginPath) (*struct{}, error) {
		return nil, s.Accounts.Unsuspend(ctx, callOf(ctx).who, in.Login)
	})
}

func (s *server) invitations() {
	add(s, operation{
		id: "list-invitations", method: "GET", path: base + "/invitations", tag: "account", summary: "List your invitations", token: true,
		about: "What waits for your answer, oldest first. For somebody who signed in.",
	}, func(ctx context.Context, _ *struct{}) (*invitationsOutput, error) {
		is, err := s.Accounts.Invitations(ctx, callOf(ctx).who)
		return &invitationsOutput{invitationList(is)}, err
	})
	add(s, operation{
		id: "answer-invitation", method: "POST", path: base + "/invitations/{id}", tag: "account", summary: "Answer an invitation", token: true, errors: writing, status: 204,
		about: "Accepts or declines. An invitation whose sender may no longer give the role is void. For somebody who signed in.",
	}, func(ctx context.Context, in *answerInput) (*struct{}, error) {
		if in.Body.Accept {
			return nil, s.Accounts.Accept(ctx, callOf(ctx).who, in.ID)
		}
		return nil, s.Accounts.Decline(ctx, callOf(ctx).who, in.ID)
	})
	add(s, operation{
		id: "cancel-invitation", method: "DELETE", path: base + "/invitations/{id}", tag: "account", summary: "Take an invitation back", token: true,
		about: "Ends an invitation that is not answered yet, for owners of what it is about.", errors: []int{404},
	}, func(ctx context.Context, in *IDPath) (*struct{}, error) {
		return nil, s.Accounts.TakeBack(ctx, callOf(ctx).who, in.ID)
	})
}

// account is the caller's own.
func (s *server) account(ctx context.Context) (*accountOutput, error) {
	who := callOf(ctx).who
	if err := needToken(who, "reading one's account"); err != nil {
		return nil, err
	}
	if who.Account == 0 {
		return nil, clyde.Errorf(clyde.ErrDenied, "token %q is the registry's own and belongs to no account", who.Name).WithCode("account_required").
			Fix("Ask who you are with GET %s/whoami.", base)
	}
	a, err := s.Accounts.Account(ctx, who, who.Login)
	if err != nil {
		return nil, err
	}
	v := Account{
		Login: a.Login, Name: a.Name, Admin: a.Admin, Suspended: who.Suspended, Created: a.Created,
		Roles: each(who.Roles, func(r account.Role) Role {
			return Role{Pattern: patternView(r.Pattern), Role: string(r.Name), Because: r.String()}
		}),
	}
	if who.Session == "" {
		return &accountOutput{v}, nil
	}
	p, err := s.Accounts.Profile(ctx, who)
	if err != nil {
		return nil, err
	}
	v.Email, v.HasPassword = p.Email, p.HasPassword
	v.Identities = each(p.Identities, func(i store.Identity) Identifier {
		return Identifier{Issuer: i.Issuer, Login: i.Login, Used: moment(i.Used)}
	})
	return &accountOutput{v}, nil
}

// patternView writes "acme/*" as people do.
func patternView(p string) string {
	if p == "*" {
		return p
	}
	return "@" + p
}
