package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Namespace is whose a namespace is.
type Namespace struct {
	Name        string    `json:"name" doc:"before the slash, without @" example:"acme"`
	OwnerKind   string    `json:"owner_kind,omitempty" enum:"account,org" doc:"absent where only administrators publish there"`
	Owner       string    `json:"owner,omitempty" doc:"login, or name of the organisation"`
	TrustedOnly bool      `json:"trusted_only" doc:"published from CI by trusted publishing alone"`
	SignedOnly  bool      `json:"signed_only" doc:"a version is visible once it is signed by a key of the namespace"`
	Created     time.Time `json:"created_at"`
}

// NamespaceList are namespaces, by name.
type NamespaceList struct {
	Items []Namespace `json:"items"`
}

// ClaimRequest claims a namespace.
type ClaimRequest struct {
	Name         string `json:"name" maxLength:"64" doc:"the namespace, without @"`
	Organisation string `json:"organisation,omitempty" maxLength:"64" doc:"that shall own it; absent: you"`
	Owner        string `json:"owner,omitempty" maxLength:"64" doc:"login that shall own it, where an administrator gives it away"`
}

// BuildPolicy is what a namespace says about binary builds of its packages.
type BuildPolicy struct {
	Days       int      `json:"days" minimum:"-1" maximum:"3650" doc:"in which builds may follow their version; -1: for ever"`
	Rebuilders []string `json:"rebuilders" maxItems:"32" doc:"who may attach builds besides whoever published the version: logins, publisher:ID of a trusted publisher, token:ID of a token"`
}

// NamespaceAsk requests a namespace.
type NamespaceAsk struct {
	Name         string `json:"name" maxLength:"64" doc:"the namespace, without @"`
	Organisation string `json:"organisation,omitempty" maxLength:"64" doc:"that shall own it; absent: you"`
	Why          string `json:"why" maxLength:"2000" doc:"for the administrators: who you are to that name"`
}

// NamespaceRequest is a namespace that somebody asks the administrators for.
type NamespaceRequest struct {
	ID         string     `json:"id" doc:"of the request"`
	Namespace  string     `json:"namespace"`
	ForOrg     bool       `json:"for_organisation" doc:"an organisation shall own it"`
	Login      string     `json:"login" doc:"who asks"`
	Why        string     `json:"why" doc:"in their words"`
	State      string     `json:"state" enum:"waiting,granted,refused" doc:"what became of it"`
	DecidedBy  string     `json:"decided_by,omitempty" doc:"which administrator"`
	DecidedWhy string     `json:"decided_why,omitempty" doc:"in their words"`
	Created    time.Time  `json:"created_at"`
	Decided    *time.Time `json:"decided_at,omitempty" doc:"absent while it waits"`
}

// NamespaceRequestList are requests, newest first.
type NamespaceRequestList struct {
	Items []NamespaceRequest `json:"items"`
}

// Decision grants or refuses a request.
type Decision struct {
	Grant bool   `json:"grant" doc:"false refuses"`
	Why   string `json:"why,omitempty" maxLength:"2000" doc:"shown to whoever asked"`
}

// ReservedName is a name that nobody may claim.
type ReservedName struct {
	Name    string    `json:"name" doc:"the namespace, without @"`
	Why     string    `json:"why" doc:"shown to whoever wants it"`
	By      string    `json:"by"`
	Created time.Time `json:"created_at"`
}

// ReservedNameList are reserved names, by name.
type ReservedNameList struct {
	Items      []ReservedName `json:"items"`
	NextCursor string         `json:"next_cursor,omitempty" doc:"absent on the last page"`
}

// ReserveRequest says why a name is kept from everybody.
type ReserveRequest struct {
	Why string `json:"why" minLength:"1" maxLength:"500" doc:"shown to whoever wants it"`
}

// ReservedPath names a reserved name.
type ReservedPath struct {
	Name string `path:"name" maxLength:"64" doc:"Name of the namespace, without @." example:"acme"`
}

type (
	namespacesOutput struct{ Body NamespaceList }
	namespaceOutput  struct{ Body Namespace }
	claimInput       struct{ Body ClaimRequest }
	askInput         struct{ Body NamespaceAsk }
	requestsInput    struct {
		All bool `query:"all" doc:"All that wait, for administrators; else your own."`
	}
	requestsOutput struct{ Body NamespaceRequestList }
	requestOutput  struct{ Body NamespaceRequest }
	decideInput    struct {
		IDPath
		Body Decision
	}
	reservedInput struct {
		Cursor string `query:"cursor" maxLength:"1024" doc:"next_cursor of the page before."`
		Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"100" doc:"Names of a page."`
	}
	reservedOutput struct {
		Link string `header:"Link" doc:"the next page, rel=next"`
		Body ReservedNameList
	}
	buildPolicyOutput struct{ Body BuildPolicy }
	buildPolicyInput  struct {
		NamespacePath
		Body BuildPolicy
	}
	reserveInput struct {
		ReservedPath
		Body ReserveRequest
	}
)

func namespaceView(n store.Namespace) Namespace {
	return Namespace{
		Name: n.Name, OwnerKind: n.Owner.Kind, Owner: n.OwnerName, TrustedOnly: n.TrustedOnly, SignedOnly: n.SignedOnly, Created: n.Created,
	}
}

func requestView(r store.NamespaceRequest) NamespaceRequest {
	return NamespaceRequest{
		ID: r.ID, Namespace: r.Namespace, ForOrg: r.Owner.Kind == store.OwnerOrg, Login: r.Login, Why: r.Why, State: r.State,
		DecidedBy: r.DecidedBy, DecidedWhy: r.DecidedWhy, Created: r.Created, Decided: moment(r.Decided),
	}
}

func (s *server) namespaces() {
	const at = base + "/namespaces"
	add(s, operation{
		id: "list-namespaces", method: "GET", path: at, tag: "namespaces", summary: "List your namespaces", token: true,
		about: "What your account and its organisations own, by name.",
	}, func(ctx context.Context, _ *struct{}) (*namespacesOutput, error) {
		ns, err := s.Accounts.Namespaces(ctx, callOf(ctx).who)
		return &namespacesOutput{NamespaceList{each(ns, namespaceView)}}, err
	})
	add(s, operation{
		id: "claim-namespace", method: "POST", path: at, tag: "namespaces", summary: "Claim a namespace", token: true, status: 201, errors: writing,
		about: "Gives you, or an organisation that you own, a name that your provider vouched for a moment ago: your login there, or an organisation that you administer. Any other name is requested. An administrator gives any name that nobody has to an account or an organisation.",
	}, s.claim)
	add(s, operation{
		id: "get-namespace", method: "GET", path: at + "/{namespace}", tag: "namespaces", summary: "Get a namespace", errors: []int{404},
		about: "Whose a namespace is, and what its owner asks of its packages.",
	}, func(ctx context.Context, in *NamespacePath) (*namespaceOutput, error) {
		ns, err := in.namespace()
		if err != nil {
			return nil, err
		}
		n, err := s.Accounts.Namespace(ctx, ns)
		return &namespaceOutput{namespaceView(n)}, err
	})
	add(s, operation{
		id: "list-namespace-requests", method: "GET", path: base + "/namespace-requests", tag: "namespaces", summary: "List requests for namespaces", token: true,
		about: "What you asked for and what became of it, newest first, at most 100; with all, what waits for the administrators.",
	}, func(ctx context.Context, in *requestsInput) (*requestsOutput, error) {
		rs, err := s.Accounts.Requests(ctx, callOf(ctx).who, in.All, MaxPage)
		return &requestsOutput{NamespaceRequestList{each(rs, requestView)}}, err
	})
	add(s, operation{
		id: "request-namespace", method: "POST", path: base + "/namespace-requests", tag: "namespaces", summary: "Request a namespace", token: true, status: 201, errors: writing,
		about: "Asks the administrators for a name. One that is reserved, or would be taken for another, is refused with the reason. For somebody who signed in.",
	}, func(ctx context.Context, in *askInput) (*requestOutput, error) {
		r, err := s.Accounts.RequestNamespace(ctx, callOf(ctx).who, strings.TrimPrefix(in.Body.Name, "@"), in.Body.Organisation, in.Body.Why)
		return &requestOutput{requestView(r)}, err
	})
	add(s, operation{
		id: "decide-namespace-request", method: "POST", path: base + "/namespace-requests/{id}", tag: "namespaces", summary: "Decide on a request", token: true, status: 204, errors: writing,
		about: "Grants the namespace, or refuses it. For administrators.",
	}, func(ctx context.Context, in *decideInput) (*struct{}, error) {
		return nil, s.Accounts.DecideRequest(ctx, callOf(ctx).who, in.ID, in.Body.Grant, in.Body.Why)
	})
	s.buildPolicy(at + "/{namespace}/builds")
	s.reservedNames()
}

func (s *server) buildPolicy(at string) {
	add(s, operation{
		id: "get-build-policy", method: "GET", path: at, tag: "namespaces", summary: "Get what a namespace says about builds", token: true, errors: []int{404},
		about: "Who may attach binary builds to its versions besides their publishers, and for how long. For who may manage the namespace.",
	}, func(ctx context.Context, in *NamespacePath) (*buildPolicyOutput, error) {
		ns, err := in.namespace()
		if err != nil {
			return nil, err
		}
		p, err := s.Accounts.BuildPolicy(ctx, callOf(ctx).who, ns)
		return &buildPolicyOutput{BuildPolicy{p.Days, p.Rebuilders}}, err
	})
	add(s, operation{
		id: "set-build-policy", method: "PUT", path: at, tag: "namespaces", summary: "Say who may attach builds", token: true, errors: writing,
		about: "Replaces what the namespace says. Builds that are attached stay; rebuilders need the right to publish there, too. For who may manage the namespace.",
	}, func(ctx context.Context, in *buildPolicyInput) (*buildPolicyOutput, error) {
		ns, err := in.namespace()
		if err != nil {
			return nil, err
		}
		by := callOf(ctx).who
		if err := s.Accounts.SetBuildPolicy(ctx, by, account.BuildPolicy{Namespace: ns, Days: in.Body.Days, Rebuilders: in.Body.Rebuilders}); err != nil {
			return nil, err
		}
		p, err := s.Accounts.BuildPolicy(ctx, by, ns)
		return &buildPolicyOutput{BuildPolicy{p.Days, p.Rebuilders}}, err
	})
}

func (s *server) claim(ctx context.Context, in *claimInput) (*namespaceOutput, error) {
	c, b := callOf(ctx), in.Body
	name := strings.TrimPrefix(b.Name, "@")
	var err error
	switch {
	case b.Owner != "" && b.Organisation != "":
		err = clyde.Errorf(clyde.ErrInvalid, "a namespace has one owner: give owner or organisation").WithCode("owner_ambiguous")
	case b.Owner != "" && b.Owner != c.who.Login:
		err = s.Accounts.GiveNamespace(ctx, c.who, name, store.OwnerAccount, b.Owner)
	case b.Organisation != "" && account.RequireAdmin(c.who, "") == nil:
		err = s.Accounts.GiveNamespace(ctx, c.who, name, store.OwnerOrg, b.Organisation)
	default:
		var names []string
		if s.Vouched != nil && c.who.Session != "" {
			names = s.Vouched(c.r, c.who.Session)
		}
		err = s.Accounts.ClaimNamespace(ctx, c.who, name, b.Organisation, names)
	}
	if err != nil {
		return nil, err
	}
	n, err := s.Accounts.Namespace(ctx, name)
	return &namespaceOutput{namespaceView(n)}, err
}

func (s *server) reservedNames() {
	const at = base + "/reserved-names"
	add(s, operation{
		id: "list-reserved-names", method: "GET", path: at, tag: "namespaces", summary: "List reserved names", token: true,
		about: "Names that administrators keep from everybody, by name. Those that the registry reserves of itself are not among them. For administrators.",
	}, func(ctx context.Context, in *reservedInput) (*reservedOutput, error) {
		after, err := decodeKey("name", in.Cursor)
		if err != nil {
			return nil, err
		}
		rs, err := s.Accounts.ReservedNames(ctx, callOf(ctx).who, after, in.Limit+1)
		if err != nil {
			return nil, err
		}
		out := &reservedOutput{}
		if len(rs) > in.Limit {
			rs = rs[:in.Limit]
			out.Body.NextCursor = encodeKey("name", rs[in.Limit-1].Name)
			out.Link = s.next(ctx, "cursor", out.Body.NextCursor)
		}
		out.Body.Items = each(rs, func(r store.ReservedName) ReservedName {
			return ReservedName{Name: r.Name, Why: r.Why, By: r.By, Created: r.Created}
		})
		return out, nil
	})
	add(s, operation{
		id: "reserve-name", method: "PUT", path: at + "/{name}", tag: "namespaces", summary: "Reserve a name", token: true, status: http.StatusNoContent, errors: writing,
		about: "Keeps a name from everybody who does not have it already. For administrators.",
	}, func(ctx context.Context, in *reserveInput) (*struct{}, error) {
		return nil, s.Accounts.ReserveName(ctx, callOf(ctx).who, in.Name, in.Body.Why)
	})
	add(s, operation{
		id: "release-name", method: "DELETE", path: at + "/{name}", tag: "namespaces", summary: "Release a name", token: true, errors: []int{404},
		about: "Ends a reservation. For administrators.",
	}, func(ctx context.Context, in *ReservedPath) (*struct{}, error) {
		return nil, s.Accounts.ReleaseName(ctx, callOf(ctx).who, in.Name)
	})
}
