package store

import (
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Manifest is one stored OCI manifest of a repository: derived.
type Manifest struct {
	Repo         string
	Digest       string // "sha256:…"
	MediaType    string
	ArtifactType string // manifest.artifactType, else config.mediaType
	Size         int64  // bytes of the manifest itself
	Subject      string // digest it refers to, or ""
	Annotations  map[string]string
	Refs         []string // digests of config, layers and child manifests
	Pushed       time.Time
}

// Tag is what a name in a repository means now: derived.
type Tag struct {
	Repo, Tag, Digest, MediaType string
	Size                         int64 // of the manifest
	Updated                      time.Time
}

// Claim is the reservation of one version of a package for one digest: our
// own. It is the commit point of a publish.
type Claim struct {
	Repo       string
	VersionKey string // clyde.Version.Canonical
	Version    string // as written: the tag
	Digest     string
	Actor      string
	Lease      time.Time // until when an uncommitted claim holds
	Committed  time.Time // zero while only reserved
}

// Commit is everything that becomes true when a manifest is tagged or, without
// a tag, when it is stored.
type Commit struct {
	Manifest Manifest
	Tag      string // "" when pushed by digest
	// VersionKey names the claim to commit; "" for tags that are not versions
	// (cosign's and fallback tags, other artifacts) and for untagged manifests.
	VersionKey string
	// Hold is the key of a version that is to wait for signatures; "" holds
	// nothing. What was released before stays so.
	Hold string
	// Event is written to the inbox in the same transaction unless Repo is "".
	Event clyde.Event
	Actor string
	// Publication says who publishes the version, when VersionKey is set; the
	// zero one is not recorded. Its Repo and VersionKey are the commit's.
	Publication Publication
	// Audit is written when this is the claim's first commit, not when the same
	// content is pushed again.
	Audit AuditEntry
}

// Package is the catalogue's row about a package: derived.
type Package struct {
	Repo      string // "acme/zlib"
	Name      clyde.Name
	Latest    string // version shown first; "" when every version is gone
	Doc       []byte // index.Document.Encode of what is fed to the search engine; JSON in rows of earlier releases
	Created   time.Time
	Updated   time.Time
	Versions  int
	Private   bool   // from Setting, joined
	Signed    string // state of the latest version: verified | untrusted | unsigned | invalid
	Downloads int64  // all versions, all days
	// Deprecated, DeprecatedBy come from Setting, joined.
	Deprecated string // message; "" when not deprecated
	ReplacedBy string
}

// Release is the catalogue's row about a version: derived.
type Release struct {
	Repo        string
	VersionKey  string
	Version     string
	Digest      string
	Size        int64  // bytes of config and layers together
	Manifest    []byte // JSON of the parsed package.yaml (clyde.Manifest)
	ConfigYAML  []byte // package.yaml, byte for byte
	OCIManifest []byte // the OCI manifest, byte for byte
	Source      string // digest of the source layer
	SourceType  string // its media type
	SourceSize  int64  // its compressed bytes
	Readme      string // digest of the readme layer, or ""
	Headers     []string
	Published   time.Time // Claim.Committed
	Publisher   string    // Claim.Actor
	Signed      string    // verified | untrusted | unsigned | invalid
	Report      []byte    // JSON of signing.Report
	Signer      string    // who verified: name and fingerprint of the key, or ""
	Checked     time.Time // when the signatures were last looked at; zero: not known
	Upstream    string    // upstream_version of package.yaml, or ""
	State       string    // "visible" | "conflict" | "gone", StatePending, or that of the Moderation that withdraws it
	Yank        *Yank     // our own, joined; nil when not yanked
	Downloads   int64     // our own, joined

	// Standing and Free are written, and read by DB.Standing and in State: Free
	// releases a version that waited.
	Standing Standing
	Free     bool
}

// Verification is what was found when the signatures of a release were looked
// at: Release's fields of the same names.
type Verification struct {
	Signed  string
	Report  []byte
	Signer  string
	Checked time.Time

	Standing Standing
}

// Requirement is one edge of the dependency graph: derived.
type Requirement struct {
	Repo, VersionKey, Version string // who requires
	Kind                      string // requires | dev_requires | build_requires
	Target                    string // repo required: "acme/zlib"
	Range                     string
	Optional                  bool
	Latest                    bool // Version is the latest of Repo
}

// Yank is a withdrawal that keeps the bytes: our own.
type Yank struct {
	Reason string    `json:"reason"` // security | broken | deprecated | renamed | other
	Text   string    `json:"text"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// Setting is what the owner decided about a package: our own.
type Setting struct {
	Repo       string
	Private    bool
	Deprecated string // message; "" when not deprecated
	ReplacedBy string // "@ns/name"
}

// Token is an API token: our own. The secret is never stored.
type Token struct {
	ID       string // short public identifier
	Hash     []byte // SHA-256 of the secret
	Prefix   string // first characters, to recognise it by
	Name     string // what for, by whoever made it
	Admin    bool
	Scopes   []byte // JSON of account scopes
	Account  int64  // whose; 0: of the instance
	Networks []byte // JSON array of prefixes it may be used from; empty: anywhere
	Run      []byte // JSON of the CI run it was made for, or empty
	Created  time.Time
	Expires  time.Time // zero: never
	LastUsed time.Time
	Revoked  time.Time // zero: in force
}

// Key is a public key whose signatures a namespace vouches for: our own.
type Key struct {
	Namespace   string
	Name        string
	PEM         string
	Fingerprint string // "SHA256:…"
	By          string
	Created     time.Time
	Revoked     time.Time // zero: in force
}

// Change is one entry of the append-only change feed: our own. Seq follows
// commit order.
type Change struct {
	Seq     int64     `json:"seq"`
	Time    time.Time `json:"time"`
	Type    string    `json:"type"`    // version.published | version.yanked | version.unyanked | signature.added | package.deprecated | …
	Package string    `json:"package"` // "@acme/zlib"
	Version string    `json:"version,omitempty"`
	Digest  string    `json:"digest,omitempty"`
	Actor   string    `json:"actor,omitempty"`
}

// InboxItem is an event waiting, done or parked.
type InboxItem struct {
	Event    clyde.Event
	State    string // waiting | done | parked
	Reason   string // why it is parked
	Attempts int
	Updated  time.Time
}

// AuditEntry is one line of the audit log: our own. Seq, Prev and Hash are
// given by the store.
type AuditEntry struct {
	Seq      int64
	Time     time.Time
	Actor    string
	Account  int64  // who acted, 0 when it was no account
	Token    string // ID of the token or session that was used
	Address  string // where the request came from
	Action   string // "token.create"
	Resource string
	Scope    string // whose log it belongs to: "@acme" or "org:acme"; "" is found from Resource
	Detail   string // JSON
	Before   string // JSON of what was, or ""
	After    string // JSON of what is, or ""
	Prev     string // Hash of the entry before
	Hash     string // SHA-256 over Prev and this entry, in hex
}

// Kinds of who pulls.
const (
	People = "people"
	CI     = "ci"
	Robot  = "robot"
)

// Count is how often one version was pulled on one UTC day by one kind of
// client: our own. Where counts are grouped, what they are not grouped by is "".
type Count struct {
	Repo     string
	Day      string // "2006-01-02"; "2006-01" once it is rolled up
	Version  string
	Kind     string // People | CI | Robot
	Client   string // "oras", of a closed list
	Platform string // "linux-x86_64", of a closed list
	Count    int64  // without repetitions
	Raw      int64  // every one
}

// CountBy says what Counts groups by, and whom it counts.
type CountBy struct {
	Day, Version, Kind, Client, Platform bool
	Only                                 string // a kind; "" is all
}

// Totals are all the pulls of a package or a version: our own.
type Totals struct {
	People int64 `json:"people" doc:"pulls by people: one an address, version, client and day"`
	CI     int64 `json:"ci" doc:"likewise, by machines of continuous integration"`
	Robots int64 `json:"robots" doc:"likewise, by crawlers, scanners and mirrors"`
	Raw    int64 `json:"raw" doc:"every answer, repetitions included"`
}
