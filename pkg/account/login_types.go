package account

import "github.com/clydepm/clyde-registry/pkg/store"

// The rows below are what pages show, under names that let pkg/web do without
// pkg/store, where it has no business.

type (
	// Person is somebody with an account.
	Person = store.Account
	// Identity is a login at a provider.
	Identity = store.Identity
	// SessionRow is a session.
	SessionRow = store.Session
	// TokenRow is a token without its secret.
	TokenRow = store.Token
	// Org is an organisation.
	Org = store.Org
	// Member is a member of an organisation.
	Member = store.Member
	// Team is a team of an organisation.
	Team = store.Team
	// Switches is what an organisation asks of publishers.
	Switches = store.Switches
	// Invitation is an invitation.
	Invitation = store.Invitation
	// Confirmation is a change of ownership that waits for a second owner.
	Confirmation = store.Confirmation
	// Transfer is an offer of a package.
	Transfer = store.Transfer
	// Namespace is a namespace and its owner.
	Namespace = store.Namespace
	// NameRequest is a wish for a namespace.
	NameRequest = store.NamespaceRequest
	// ReservedName is a name that nobody may claim.
	ReservedName = store.ReservedName
	// GrantRow is a role on packages.
	GrantRow = store.Grant
	// PublisherRow is a trusted publisher.
	PublisherRow = store.Publisher
	// ReportRow is a report about a version.
	ReportRow = store.Report
	// Moderation is what administrators decided about a version.
	Moderation = store.Moderation
	// AuditRow is an entry of the audit log.
	AuditRow = store.AuditEntry
	// AuditFilter is what of the audit log is asked for.
	AuditFilter = store.AuditFilter
	// Key is a public key whose signatures a namespace vouches for.
	Key = store.Key
)

// Kinds of owners: a person, and an organisation.
const (
	OwnerAccount = store.OwnerAccount
	OwnerOrg     = store.OwnerOrg
)

// States of a report.
const (
	ReportOpen   = store.ReportOpen
	ReportClosed = store.ReportClosed
)

// SigningPolicy is whose signatures the packages of a namespace must carry.
type SigningPolicy = store.SigningPolicy

// SignedList is what the owners of a namespace say of packages, signed by them.
type SignedList = store.SignedList
