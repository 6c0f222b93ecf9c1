package account

import "github.com/clydepm/clyde-registry/pkg/store"

// The rows below are what pages show, under names that let pkg/web do without
// pkg/store, where it has no business.

type (
	Person       = store.Account
	Identity     = store.Identity
	SessionRow   = store.Session
	TokenRow     = store.Token
	Org          = store.Org
	Member       = store.Member
	Team         = store.Team
	Switches     = store.Switches
	Invitation   = store.Invitation
	Confirmation = store.Confirmation
	Transfer     = store.Transfer
	Namespace    = store.Namespace
	NameRequest  = store.NamespaceRequest
	ReservedName = store.ReservedName
	GrantRow     = store.Grant
	PublisherRow = store.Publisher
	ReportRow    = store.Report
	Moderation   = store.Moderation
	AuditRow     = store.AuditEntry
	AuditFilter  = store.AuditFilter
)

// States of a report.
const (
	ReportOpen   = store.ReportOpen
	ReportClosed = store.ReportClosed
)
