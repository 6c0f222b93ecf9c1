package store

import "time"

// Account is a person, or a robot that signs in like one: our own.
type Account struct {
	ID           int64
	Login        string // unique here; may differ from the provider's
	Name         string
	Email        string
	Avatar       string // URL
	Admin        bool
	Suspended    time.Time // zero: in good standing
	SuspendedWhy string
	Password     string // PHC string, or "" for none
	Created      time.Time
}

// Identity binds an account to a person at a provider: by the identifier that
// the provider gave, never by a login.
type Identity struct {
	Issuer  string // "https://github.com"
	Subject string // numeric identifier at GitHub, sub elsewhere
	Account int64
	Login   string // there, when last seen
	Created time.Time
	Used    time.Time
}

// Session is a browser that signed in. The secret is never stored.
type Session struct {
	ID      string // public
	Hash    []byte // SHA-256 of the secret
	Account int64
	Created time.Time
	Used    time.Time
	Proved  time.Time // last active sign in
	Expires time.Time // whatever happens
	Address string
	Agent   string
}

// States of a Device.
const (
	DeviceWaiting  = "waiting"
	DeviceApproved = "approved"
	DeviceDenied   = "denied"
	DeviceDone     = "done" // its token was handed out
)

// Device is a command line that waits for somebody to approve it in a browser.
type Device struct {
	Hash      []byte // SHA-256 of the device code
	UserCode  string
	TokenName string
	Scopes    []byte    // JSON of account scopes
	Token     time.Time // when its token is to expire; zero: never
	State     string
	Account   int64  // who decided
	Address   string // who asked
	Created   time.Time
	Expires   time.Time
	Polled    time.Time
}

// Kinds of owner and of holder.
const (
	OwnerNone    = ""
	OwnerAccount = "account"
	OwnerOrg     = "org"
	HolderTeam   = "team"
)

// Owner is an account or an organisation; the zero Owner is nobody.
type Owner struct {
	Kind string // OwnerNone, OwnerAccount or OwnerOrg
	ID   int64
}

// Switches are what an organisation asks of its packages.
type Switches struct {
	TrustedOnly bool   `json:"trusted_only"` // publish from CI by trusted publishing alone
	SignedOnly  bool   `json:"signed_only"`
	TwoPerson   bool   `json:"two_person"` // ownership changes need a second owner
	Creators    string `json:"creators"`   // least role that may create packages
}

// Org is an organisation.
type Org struct {
	ID      int64
	Name    string
	Display string
	Created time.Time
	Switches
}

// Member is an account's role in an organisation.
type Member struct {
	Org     int64
	Account int64
	Login   string // of the account, joined
	Name    string // joined
	OrgName string // joined
	Role    string
	Created time.Time
}

// Team is a group of members that grants are given to.
type Team struct {
	ID      int64
	Org     int64
	Name    string
	Created time.Time
}

// Namespace is one that exists.
type Namespace struct {
	Name      string
	By        string // who made it
	Created   time.Time
	Owner     Owner
	OwnerName string // login or organisation, joined
	Switches         // of the organisation, joined
}

// Grant gives a role on the packages that a pattern matches.
type Grant struct {
	Pattern    string // "acme/zlib" or "acme/*"
	HolderKind string // OwnerAccount or HolderTeam
	Holder     int64
	HolderName string // login, or "org/team"; joined
	Role       string
	By         string
	Created    time.Time
}

// Ways by which an account holds a role.
const (
	ViaNamespace   = "namespace"   // owns the namespace itself
	ViaOrg         = "org"         // member of the organisation that owns it
	ViaGrant       = "grant"       // granted to the account
	ViaTeam        = "team"        // granted to a team
	ViaPackage     = "package"     // the package was handed to the account
	ViaPackageOrg  = "package-org" // the package was handed to its organisation
	ViaTransferred = "transferred" // no role: the package was handed to somebody else
)

// Holding is one role that an account holds now.
type Holding struct {
	Pattern  string // "acme/zlib" or "acme/*"
	Role     string // "" for ViaTransferred
	Via      string
	ViaName  string // of the organisation or team
	Creators string // least role that may create packages there, or ""
}

// Invitation waits for an account to accept a role.
type Invitation struct {
	ID      string
	Org     int64  // 0 when Pattern is given
	OrgName string // joined
	Pattern string // "acme/zlib", or ""
	Role    string
	Account int64
	Login   string // of the account, joined
	By      string
	Inviter int64
	Created time.Time
	Expires time.Time
}

// States of a Transfer, a Confirmation and a NamespaceRequest.
const (
	StateWaiting   = "waiting"
	StateDone      = "done"
	StateDeclined  = "declined"
	StateCancelled = "cancelled"
	StateGranted   = "granted"
	StateRefused   = "refused"
)

// Transfer hands a package, or a whole namespace, to another owner who has to
// agree.
type Transfer struct {
	ID        string
	Pattern   string // "acme/zlib", or "acme/*" for the namespace
	To        Owner
	ToName    string // joined
	AskedBy   int64
	State     string
	DecidedBy int64
	Created   time.Time
	Expires   time.Time
}

// Confirmation is a change of ownership that waits for a second owner.
type Confirmation struct {
	ID          string
	Org         int64
	Kind        string
	Payload     []byte // JSON
	AskedBy     int64
	ConfirmedBy int64
	State       string
	Created     time.Time
	Expires     time.Time
}

// NamespaceRequest asks an administrator for a namespace.
type NamespaceRequest struct {
	ID         string
	Namespace  string
	Owner      Owner
	Account    int64
	Login      string // of the account, joined
	Why        string
	State      string
	DecidedBy  string
	DecidedWhy string
	Created    time.Time
	Decided    time.Time
}

// ReservedName is a namespace that nobody may have.
type ReservedName struct {
	Name    string
	Why     string
	By      string
	Created time.Time
}

// Publisher is a trusted publisher: a CI run that may publish a package.
type Publisher struct {
	ID        string
	Namespace string
	Base      string
	Provider  string // github | gitlab | forgejo | oidc
	Issuer    string
	Claims    []byte // JSON: what each claim must be
	By        string
	Account   int64
	Created   time.Time
	Expires   time.Time // of a pending one; zero once the package exists
	Used      time.Time
}

// Publication says who published a release.
type Publication struct {
	Repo       string
	VersionKey string
	Account    int64
	Login      string // of the account, joined
	Token      string // its ID
	Run        []byte // JSON of the CI run, or nil
	Created    time.Time
}

// States of a Moderation.
const (
	ModerationQuarantined = "quarantined"
	ModerationRemoved     = "removed"
	ModerationErased      = "erased"
)

// Moderation withdraws a version, or a package, from everybody.
type Moderation struct {
	Repo       string
	VersionKey string // "" is every version
	State      string
	Reason     string
	By         string
	At         time.Time
}

// States of a Report.
const (
	ReportOpen   = "open"
	ReportClosed = "closed"
)

// Report is what a user told the administrators about a package.
type Report struct {
	ID        string
	Repo      string
	Version   string
	Kind      string // malware | secret | squatting | other
	Text      string
	Account   int64
	By        string
	State     string
	DecidedBy string
	Decision  string
	Created   time.Time
	Decided   time.Time
}
