package account

import (
	"context"
	"time"

	"github.com/clydepm/clyde-registry/pkg/store"
)

// Store is what Accounts needs of pkg/store.
type Store interface {
	// AccessVersion grows whenever Account, Holdings or TokenByHash may answer
	// something else than before.
	AccessVersion(ctx context.Context) (uint64, error)
	LoginStore
	ViewStore
	ListStore

	AcceptInvitation(ctx context.Context, i store.Invitation, audit store.AuditEntry) error
	Account(ctx context.Context, id int64) (store.Account, error)
	AccountByLogin(ctx context.Context, login string) (store.Account, error)
	AddAccount(ctx context.Context, a store.Account, id *store.Identity, audit store.AuditEntry) (store.Account, error)
	AddConfirmation(ctx context.Context, c store.Confirmation, audit store.AuditEntry) error
	AddIdentity(ctx context.Context, i store.Identity, audit store.AuditEntry) error
	AddInvitation(ctx context.Context, i store.Invitation, audit store.AuditEntry) error
	AddNamespaceRequest(ctx context.Context, r store.NamespaceRequest, audit store.AuditEntry) error
	AddOrg(ctx context.Context, o store.Org, owner int64, audit store.AuditEntry) (store.Org, error)
	AddSession(ctx context.Context, s store.Session, audit store.AuditEntry) error
	AddTeam(ctx context.Context, t store.Team, audit store.AuditEntry) (store.Team, error)
	AddTeamMember(ctx context.Context, team, account int64, audit store.AuditEntry) error
	AddToken(ctx context.Context, t store.Token, audit store.AuditEntry) error
	AddTransfer(ctx context.Context, t store.Transfer, audit store.AuditEntry) error
	BuildPolicy(ctx context.Context, namespace string) (store.BuildPolicy, error)
	SetBuildPolicy(ctx context.Context, p store.BuildPolicy, audit store.AuditEntry) error
	AlikeNamespaces(ctx context.Context, name string) ([]string, error)
	ClaimNamespace(ctx context.Context, name string, o store.Owner, by string, takeOver bool, audit store.AuditEntry) error
	CompleteTransfer(ctx context.Context, id string, by int64, audit store.AuditEntry) error
	Confirmation(ctx context.Context, id string) (store.Confirmation, error)
	Confirmations(ctx context.Context, org int64) ([]store.Confirmation, error)
	DecideConfirmation(ctx context.Context, id, state string, by int64, audit store.AuditEntry) error
	DecideNamespaceRequest(ctx context.Context, id string, grant bool, by, why string, audit store.AuditEntry) error
	DeleteSession(ctx context.Context, account int64, id string, audit store.AuditEntry) error
	DeleteSessions(ctx context.Context, account int64, but string, audit store.AuditEntry) error
	EndTransfer(ctx context.Context, id, state string, by int64, audit store.AuditEntry) error
	Grants(ctx context.Context, namespace string) ([]store.Grant, error)
	HasVersions(ctx context.Context, repo string) (bool, error)
	Holdings(ctx context.Context, account int64) ([]store.Holding, error)
	Identity(ctx context.Context, issuer, subject string) (store.Identity, error)
	Invitation(ctx context.Context, id string) (store.Invitation, error)
	InvitationsFor(ctx context.Context, account int64) ([]store.Invitation, error)
	Member(ctx context.Context, org, account int64) (store.Member, error)
	Members(ctx context.Context, org int64) ([]store.Member, error)
	Memberships(ctx context.Context, account int64) ([]store.Member, error)
	Namespace(ctx context.Context, name string) (store.Namespace, error)
	NamespaceRequest(ctx context.Context, id string) (store.NamespaceRequest, error)
	Org(ctx context.Context, id int64) (store.Org, error)
	OrgByName(ctx context.Context, name string) (store.Org, error)
	PackageOwner(ctx context.Context, repo string) (store.Owner, error)
	ReleaseName(ctx context.Context, name string, audit store.AuditEntry) error
	RemoveGrant(ctx context.Context, pattern, holderKind string, holder int64, audit store.AuditEntry) error
	RemoveInvitation(ctx context.Context, id string, audit store.AuditEntry) error
	RemoveMember(ctx context.Context, org, account int64, audit store.AuditEntry) error
	RemoveTeam(ctx context.Context, team int64, audit store.AuditEntry) error
	RemoveTeamMember(ctx context.Context, team, account int64, audit store.AuditEntry) error
	ReserveName(ctx context.Context, r store.ReservedName, audit store.AuditEntry) error
	ReservedName(ctx context.Context, name string) (store.ReservedName, error)
	RevokeToken(ctx context.Context, id string, audit store.AuditEntry) error
	RotateSession(ctx context.Context, s store.Session, hash []byte, audit store.AuditEntry) error
	SaveOrg(ctx context.Context, o store.Org, audit store.AuditEntry) error
	SessionByHash(ctx context.Context, hash []byte) (store.Session, error)
	Sessions(ctx context.Context, account int64) ([]store.Session, error)
	SetAdmin(ctx context.Context, account int64, admin bool, audit store.AuditEntry) error
	SetGrant(ctx context.Context, g store.Grant, audit store.AuditEntry) error
	SetMember(ctx context.Context, org, account int64, role string, audit store.AuditEntry) error
	SetPassword(ctx context.Context, account int64, phc, keep string, audit store.AuditEntry) error
	Setting(ctx context.Context, repo string) (store.Setting, error)
	Suspend(ctx context.Context, account int64, at time.Time, why string, audit store.AuditEntry) error
	Team(ctx context.Context, org int64, name string) (store.Team, error)
	TeamMembers(ctx context.Context, team int64) ([]store.Account, error)
	Teams(ctx context.Context, org int64) ([]store.Team, error)
	Token(ctx context.Context, id string) (store.Token, error)
	Publisher(ctx context.Context, id string) (store.Publisher, error)
	TokenByHash(ctx context.Context, hash []byte) (store.Token, error)
	Tokens(ctx context.Context) ([]store.Token, error)
	TokensOf(ctx context.Context, account int64) ([]store.Token, error)
	TouchIdentity(ctx context.Context, issuer, subject, login string, at time.Time) error
	TouchSession(ctx context.Context, id string, at time.Time, address string) error
	TouchToken(ctx context.Context, id string, at time.Time) error
	Transfer(ctx context.Context, id string) (store.Transfer, error)
	TransfersTo(ctx context.Context, o store.Owner) ([]store.Transfer, error)
}
