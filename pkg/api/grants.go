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

// Grant is a role on a package, or on all of a namespace.
type Grant struct {
	Pattern    string    `json:"pattern" doc:"@namespace/name, or @namespace/*"`
	HolderKind string    `json:"holder_kind" enum:"account,team" doc:"what holds it"`
	Holder     string    `json:"holder" doc:"login, or organisation/team"`
	Role       string    `json:"role" doc:"owner, maintainer, publisher or reader"`
	By         string    `json:"by"`
	Created    time.Time `json:"created_at"`
}

// GrantList are the grants that count for something, and the invitations to
// one that are not answered yet.
type GrantList struct {
	Items       []Grant      `json:"items"`
	Invitations []Invitation `json:"invitations" doc:"grants that are not accepted yet"`
}

// GrantRequest gives a role to an account, which is invited to it, or a team.
type GrantRequest struct {
	Holder string `json:"holder" maxLength:"129" doc:"a login, or organisation/team" example:"alice"`
	Role   string `json:"role" enum:"owner,maintainer,publisher,reader" doc:"each may do all that the next may"`
}

// Granted says what became of a grant.
type Granted struct {
	Done       bool        `json:"done" doc:"false: it is held once the invitation is accepted"`
	Invitation *Invitation `json:"invitation,omitempty" doc:"that waits for the account"`
}

// Access says who may see a package.
type Access struct {
	Access string `json:"access" enum:"public,private" doc:"private: those with a grant alone; for others it does not exist"`
}

type (
	grantsOutput  struct{ Body GrantList }
	grantedOutput struct{ Body Granted }
	pkgGrantInput struct {
		PackagePath
		Body GrantRequest
	}
	nsGrantInput struct {
		NamespacePath
		Body GrantRequest
	}
	pkgRevokeInput struct {
		PackagePath
		Holder string `query:"holder" required:"true" maxLength:"129" doc:"A login, or organisation/team." example:"alice"`
	}
	nsRevokeInput struct {
		NamespacePath
		Holder string `query:"holder" required:"true" maxLength:"129" doc:"A login, or organisation/team." example:"alice"`
	}
	accessInput struct {
		PackagePath
		Body Access
	}
	accessOutput struct{ Body Access }
)

// whole is the pattern of all packages of a namespace.
func (in NamespacePath) whole() (string, error) {
	ns, err := in.namespace()
	return "@" + ns + "/*", err
}

func (s *server) grants() {
	const pkg, ns = base + "/packages/{namespace}/{name}", base + "/namespaces/{namespace}"
	add(s, operation{
		id: "list-package-grants", method: "GET", path: pkg + "/grants", tag: "rights", summary: "List who works on a package", token: true, errors: []int{404},
		about: "Grants on the package and on its whole namespace, and invitations to the package, for who manages it. Members of the organisation that owns it are not repeated.",
	}, func(ctx context.Context, in *PackagePath) (*grantsOutput, error) {
		n, err := in.name()
		return s.listGrants(ctx, n.String(), err)
	})
	add(s, operation{
		id: "grant-package", method: "POST", path: pkg + "/grants", tag: "rights", summary: "Grant a role on a package", token: true, errors: writing,
		about: "Gives a team a role at once, and invites an account to one. A second grant to the same holder replaces the first. For owners who signed in recently.",
	}, func(ctx context.Context, in *pkgGrantInput) (*grantedOutput, error) {
		n, err := in.name()
		return s.grant(ctx, n.String(), in.Body, err)
	})
	add(s, operation{
		id: "revoke-package-grant", method: "DELETE", path: pkg + "/grants", tag: "rights", summary: "Revoke a role on a package", token: true, errors: []int{404},
		about: "Takes a role away from an account or a team, at once. For owners who signed in recently; an account may give up its own.",
	}, func(ctx context.Context, in *pkgRevokeInput) (*struct{}, error) {
		n, err := in.name()
		return s.revokeGrant(ctx, n.String(), in.Holder, err)
	})
	add(s, operation{
		id: "list-namespace-grants", method: "GET", path: ns + "/grants", tag: "rights", summary: "List who works in a namespace", token: true, errors: []int{404},
		about: "Every grant in the namespace, and invitations to all of it, for who manages it.",
	}, func(ctx context.Context, in *NamespacePath) (*grantsOutput, error) {
		p, err := in.whole()
		return s.listGrants(ctx, p, err)
	})
	add(s, operation{
		id: "grant-namespace", method: "POST", path: ns + "/grants", tag: "rights", summary: "Grant a role in a namespace", token: true, errors: writing,
		about: "As for a package, on all packages of the namespace, later ones too. For owners who signed in recently.",
	}, func(ctx context.Context, in *nsGrantInput) (*grantedOutput, error) {
		p, err := in.whole()
		return s.grant(ctx, p, in.Body, err)
	})
	add(s, operation{
		id: "revoke-namespace-grant", method: "DELETE", path: ns + "/grants", tag: "rights", summary: "Revoke a role in a namespace", token: true, errors: []int{404},
		about: "Takes a role on the whole namespace away; grants on single packages stay. For owners who signed in recently; an account may give up its own.",
	}, func(ctx context.Context, in *nsRevokeInput) (*struct{}, error) {
		p, err := in.whole()
		return s.revokeGrant(ctx, p, in.Holder, err)
	})
	add(s, operation{
		id: "get-access", method: "GET", path: pkg + "/access", tag: "rights", summary: "Who may see a package", errors: []int{404},
		about: "Public, or private: then it is seen by those with a grant alone, and for all others it does not exist.",
	}, func(ctx context.Context, in *PackagePath) (*accessOutput, error) {
		n, err := in.name()
		if err != nil {
			return nil, err
		}
		p, err := s.Catalog.Package(ctx, callOf(ctx).who, n)
		return &accessOutput{accessView(p.Private)}, s.unknown(ctx, n, err)
	})
	add(s, operation{
		id: "set-access", method: "PUT", path: pkg + "/access", tag: "rights", summary: "Say who may see a package", token: true, errors: writing,
		about: "Hides a package from everybody without a grant, or shows it to all: in the registry, the search and the feeds, from the next request on. For who manages it.",
	}, func(ctx context.Context, in *accessInput) (*accessOutput, error) {
		n, err := in.name()
		if err != nil {
			return nil, err
		}
		p, err := s.Catalog.SetAccess(ctx, callOf(ctx).who, n, in.Body.Access == "private")
		return &accessOutput{accessView(p.Private)}, s.unknown(ctx, n, err)
	})
}

func accessView(private bool) Access {
	if private {
		return Access{"private"}
	}
	return Access{"public"}
}

func (s *server) listGrants(ctx context.Context, pattern string, err error) (*grantsOutput, error) {
	if err != nil {
		return nil, err
	}
	gs, is, err := s.Accounts.GrantsOn(ctx, callOf(ctx).who, pattern)
	if err != nil {
		return nil, s.unknownPattern(ctx, pattern, err)
	}
	return &grantsOutput{GrantList{
		Items: each(gs, func(g store.Grant) Grant {
			return Grant{Pattern: "@" + g.Pattern, HolderKind: g.HolderKind, Holder: g.HolderName, Role: g.Role, By: g.By, Created: g.Created}
		}),
		Invitations: each(is, invitationView),
	}}, nil
}

// unknownPattern is unknown for a pattern that may be a whole namespace.
func (s *server) unknownPattern(ctx context.Context, pattern string, err error) error {
	n, perr := clyde.ParseName(pattern)
	if perr != nil {
		return err
	}
	return s.unknown(ctx, n, err)
}

// holder splits "alice" and "acme/release".
func holder(s string) (kind, org, name string) {
	if org, team, ok := strings.Cut(s, "/"); ok {
		return store.HolderTeam, org, team
	}
	return store.OwnerAccount, "", s
}

func (s *server) grant(ctx context.Context, pattern string, b GrantRequest, err error) (*grantedOutput, error) {
	if err != nil {
		return nil, err
	}
	who, role := callOf(ctx).who, account.RoleName(b.Role)
	kind, org, name := holder(b.Holder)
	if kind == store.HolderTeam {
		return &grantedOutput{Granted{Done: true}}, s.Accounts.GrantTeam(ctx, who, pattern, org, name, role)
	}
	i, err := s.Accounts.GrantAccount(ctx, who, pattern, name, role)
	if err != nil {
		return nil, err
	}
	v := invitationView(i)
	return &grantedOutput{Granted{Invitation: &v}}, nil
}

func (s *server) revokeGrant(ctx context.Context, pattern, from string, err error) (*struct{}, error) {
	if err != nil {
		return nil, err
	}
	kind, _, _ := holder(from)
	return nil, s.Accounts.RevokeGrant(ctx, callOf(ctx).who, pattern, kind, from)
}

// Transfer is a package, or a namespace, that is offered to a new owner.
type Transfer struct {
	ID      string    `json:"id" doc:"of the offer"`
	Pattern string    `json:"pattern" doc:"@namespace/name, or @namespace/* for the namespace"`
	ToKind  string    `json:"to_kind" enum:"account,org" doc:"what the new owner is"`
	To      string    `json:"to" doc:"login, or name of the organisation"`
	Created time.Time `json:"created_at"`
	Expires time.Time `json:"expires_at" doc:"until when it can be answered"`
}

// TransferList are offers, oldest first.
type TransferList struct {
	Items []Transfer `json:"items"`
}

// TransferRequest offers something to a new owner.
type TransferRequest struct {
	ToKind string `json:"to_kind" enum:"account,org" doc:"what the new owner is"`
	To     string `json:"to" maxLength:"64" doc:"login, or name of the organisation"`
}

type (
	transfersInput struct {
		Org       string `query:"org" maxLength:"64" doc:"What waits for this organisation, which you own; else what waits for you."`
		Namespace string `query:"namespace" maxLength:"64" doc:"What its owners offered of this namespace, for them."`
	}
	transfersOutput  struct{ Body TransferList }
	pkgTransferInput struct {
		PackagePath
		Body TransferRequest
	}
	nsTransferInput struct {
		NamespacePath
		Body TransferRequest
	}
)

func transferView(t store.Transfer) Transfer {
	return Transfer{ID: t.ID, Pattern: "@" + t.Pattern, ToKind: t.To.Kind, To: t.ToName, Created: t.Created, Expires: t.Expires}
}

func (s *server) transfers() {
	const about = " It is theirs once they accept; grants, trusted publishers and other offers of the former owner end then. Where the organisation asks for two people it waits for a second owner. For owners who signed in recently."
	offer := func(ctx context.Context, pattern string, b TransferRequest, err error) (*outcomeOutput, error) {
		if err != nil {
			return nil, err
		}
		return outcomeOf(s.Accounts.AskTransfer(ctx, callOf(ctx).who, pattern, b.ToKind, b.To))
	}
	add(s, operation{
		id: "transfer-package", method: "POST", path: base + "/packages/{namespace}/{name}/transfers", tag: "rights", summary: "Offer a package to a new owner", token: true, errors: writing,
		about: "Offers one package; its name stays." + about,
	}, func(ctx context.Context, in *pkgTransferInput) (*outcomeOutput, error) {
		n, err := in.name()
		return offer(ctx, n.String(), in.Body, err)
	})
	add(s, operation{
		id: "transfer-namespace", method: "POST", path: base + "/namespaces/{namespace}/transfers", tag: "rights", summary: "Offer a namespace to a new owner", token: true, errors: writing,
		about: "Offers a namespace with its packages." + about,
	}, func(ctx context.Context, in *nsTransferInput) (*outcomeOutput, error) {
		p, err := in.whole()
		return offer(ctx, p, in.Body, err)
	})
	add(s, operation{
		id: "list-transfers", method: "GET", path: base + "/transfers", tag: "rights", summary: "List offers", token: true, errors: []int{404},
		about: "What waits for your answer, or for that of an organisation that you own; with namespace what you offered of it.",
	}, func(ctx context.Context, in *transfersInput) (*transfersOutput, error) {
		who := callOf(ctx).who
		if in.Namespace != "" {
			if in.Org != "" {
				return nil, refuse(http.StatusBadRequest, "parameter_conflict", "give org or namespace, not both")
			}
			ns, err := NamespacePath{in.Namespace}.namespace()
			if err != nil {
				return nil, err
			}
			ts, err := s.Accounts.Offers(ctx, who, ns)
			return &transfersOutput{TransferList{each(ts, transferView)}}, err
		}
		ts, err := s.Accounts.Transfers(ctx, who, in.Org)
		return &transfersOutput{TransferList{each(ts, transferView)}}, err
	})
	add(s, operation{
		id: "answer-transfer", method: "POST", path: base + "/transfers/{id}", tag: "rights", summary: "Answer an offer", token: true, status: 204, errors: writing,
		about: "Takes over what was offered, or declines. An offer whose sender no longer owns it is void. For somebody who signed in, to accept recently.",
	}, func(ctx context.Context, in *answerInput) (*struct{}, error) {
		if in.Body.Accept {
			return nil, s.Accounts.AcceptTransfer(ctx, callOf(ctx).who, in.ID)
		}
		return nil, s.Accounts.DeclineTransfer(ctx, callOf(ctx).who, in.ID)
	})
	add(s, operation{
		id: "cancel-transfer", method: "DELETE", path: base + "/transfers/{id}", tag: "rights", summary: "Take an offer back", token: true, errors: []int{404},
		about: "Ends an offer that is not answered yet. For owners of what was offered, who signed in.",
	}, func(ctx context.Context, in *IDPath) (*struct{}, error) {
		if err := needToken(callOf(ctx).who, "taking an offer back"); err != nil {
			return nil, err
		}
		return nil, s.Accounts.CancelTransfer(ctx, callOf(ctx).who, in.ID)
	})
}
