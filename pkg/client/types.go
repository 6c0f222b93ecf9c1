package client

import (
	"encoding/json"
	"time"

	"github.com/clydepm/clyde-registry/pkg/compat"
	"github.com/clydepm/clyde-registry/pkg/graph"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// Package is one package.
type Package struct {
	Name        string    `json:"name"` // "@acme/zlib"
	Namespace   string    `json:"namespace"`
	Base        string    `json:"base"`
	Latest      string    `json:"latest"` // empty when no version is left
	Description string    `json:"description"`
	License     string    `json:"license,omitempty"`
	Language    string    `json:"language,omitempty"`
	Kind        string    `json:"type"`
	Standard    string    `json:"standard,omitempty"`
	Keywords    []string  `json:"keywords"`
	Categories  []string  `json:"categories"`
	Platforms   []string  `json:"platforms"`
	Homepage    string    `json:"homepage,omitempty"`
	Repository  string    `json:"repository,omitempty"`
	Docs        string    `json:"documentation,omitempty"`
	Signed      string    `json:"signed"` // verified | untrusted | unsigned | invalid, as the server saw it
	Private     bool      `json:"private"`
	Deprecated  string    `json:"deprecated,omitempty"` // message; empty when not deprecated
	ReplacedBy  string    `json:"replaced_by,omitempty"`
	Versions    int       `json:"versions"`        // how many
	Dependents  int       `json:"dependents"`      // how many
	Downloads   int64     `json:"downloads"`       // by people, of all versions
	Pulls       *Pulls    `json:"pulls,omitempty"` // where one package is asked for
	Created     time.Time `json:"created_at"`
	Updated     time.Time `json:"updated_at"`
	LatestInfo  *Release  `json:"latest_release,omitempty"` // where one package is asked for
}

// Release is one version of a package.
type Release struct {
	Name            string          `json:"name"`
	Version         string          `json:"version"`
	UpstreamVersion string          `json:"upstream_version,omitempty"`
	Digest          string          `json:"digest"`    // of the OCI manifest: pull by it
	Reference       string          `json:"reference"` // "host/acme/zlib@sha256:…"
	Size            int64           `json:"size"`      // bytes of config and layers together
	SourceDigest    string          `json:"source_digest"`
	SourceType      string          `json:"source_media_type"`
	SourceSize      int64           `json:"source_size"` // bytes, compressed
	Published       time.Time       `json:"published_at"`
	Publisher       string          `json:"publisher"`
	PublishedBy     *PublishedBy    `json:"published_by,omitempty"` // where one version is asked for
	Signed          string          `json:"signed"`
	Signer          string          `json:"signer,omitempty"`
	Authors         []Author        `json:"authors,omitempty"` // Signers in words
	Signers         []string        `json:"signers,omitempty"` // where one version is asked for, likewise the next four
	Policy          string          `json:"policy,omitempty"`  // allow | warn | deny: what the namespace's signing policy makes of it
	Missing         []Reason        `json:"missing,omitempty"` // of a pending version: what it waits for
	Provenance      []Attested      `json:"provenance,omitempty"`
	SBOM            []Attested      `json:"sbom,omitempty"`
	Yanked          *Yanked         `json:"yanked,omitempty"` // nil when not withdrawn
	Withdrawn       *Withdrawal     `json:"withdrawn,omitempty"`
	State           string          `json:"state"`           // visible | pending | conflict | gone | quarantined | removed | erased
	Downloads       int64           `json:"downloads"`       // by people
	Pulls           *Pulls          `json:"pulls,omitempty"` // where one version is asked for
	PURL            string          `json:"purl"`
	Manifest        json.RawMessage `json:"manifest,omitempty"` // package.yaml as JSON, where one version is asked for
	Requires        []Dependency    `json:"requires,omitempty"`
	Headers         []string        `json:"headers,omitempty"`
}

// Withdrawal is what administrators decided about a version, which cannot be
// had any more.
type Withdrawal struct {
	State  string `json:"state"` // quarantined | removed | erased
	Reason string `json:"reason"`
}

// Yanked says why and when a version was withdrawn.
type Yanked struct {
	Reason string    `json:"reason"`
	Text   string    `json:"text"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// Dependency is what a version requires.
type Dependency struct {
	Name     string `json:"name"`
	Range    string `json:"range"`
	Kind     string `json:"kind"` // requires | dev_requires | build_requires
	Optional bool   `json:"optional"`
	Known    bool   `json:"known"` // the registry has it and the asker may see it
}

// Dependent is a package whose latest version requires another.
type Dependent struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Range   string `json:"range"`           // of the package, or of Via
	Depth   int    `json:"depth,omitempty"` // steps away, where transitive ones were asked for
	Via     string `json:"via,omitempty"`   // the next package on the way, where it is another
}

// DependentsQuery says which dependents are asked for; the zero value is all
// direct ones.
type DependentsQuery struct {
	Version    string // those whose requirement admits it
	Range      string // those whose requirement admits a version in it
	Transitive bool
	Cursor     string
	Limit      int // 0 is the server's default
}

// Resolution is what a query resolves to.
type Resolution struct {
	resolve.Answer
	Collisions []graph.Collision `json:"collisions"` // where the query asks for them
}

// Whole is a version with everything that it needs.
type Whole struct {
	Packages   []resolve.PackageView `json:"packages"`
	Direct     []resolve.EdgeView    `json:"direct"`
	Licenses   graph.Licenses        `json:"licenses"`
	Sizes      graph.Sizes           `json:"sizes"`
	Duplicates []graph.Duplicate     `json:"duplicates"`
	Collisions []graph.Collision     `json:"collisions"`
}

// DependentsPage is one page of dependents.
type DependentsPage struct {
	Items      []Dependent `json:"items"`
	NextCursor string      `json:"next_cursor,omitempty"`
	Truncated  bool        `json:"truncated,omitempty"` // there are more than are looked at
}

// Highlight is a text and the half-open ranges of its bytes that matched.
type Highlight struct {
	Text  string   `json:"text"`
	Spans [][2]int `json:"spans"`
}

// Hit is one search result.
type Hit struct {
	Package
	Highlights map[string]Highlight `json:"highlights,omitempty"`
}

// FacetValue is a value of a facet and how many results have it.
type FacetValue struct {
	Value string `json:"value"`
	Count int    `json:"count"`
}

// Facet counts the values of one field.
type Facet struct {
	Name   string       `json:"name"`
	Values []FacetValue `json:"values"`
}

// SearchPage is one page of search results.
type SearchPage struct {
	Items      []Hit   `json:"items"`
	NextCursor string  `json:"next_cursor,omitempty"` // empty on the last page
	Total      int     `json:"total"`
	Facets     []Facet `json:"facets,omitempty"`
	DidYouMean string  `json:"did_you_mean,omitempty"`
	Notice     string  `json:"notice,omitempty"` // the answer is less than usual, and why
}

// Suggestion is one name offered while typing.
type Suggestion struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// File is one file of a release's source archive.
type File struct {
	Path string `json:"path"`
	Size int64  `json:"size"` // bytes
	Mode uint32 `json:"mode"`
	Link string `json:"link,omitempty"`
}

// Readme is a release's readme, raw and as sanitised HTML.
type Readme struct {
	Path string `json:"path"`
	Raw  string `json:"raw"`
	HTML string `json:"html"`
}

// Signatures is what the server's verification found. A client that cares
// verifies again.
type Signatures struct {
	State   string          `json:"state"`
	Report  json.RawMessage `json:"report"`
	Checked time.Time       `json:"checked_at"`
}

// YankRequest withdraws a version, or with Yanked false brings it back.
type YankRequest struct {
	Yanked bool   `json:"yanked"`
	Reason string `json:"reason,omitempty"` // security | broken | deprecated | renamed | other
	Text   string `json:"text,omitempty"`
}

// Deprecation marks a package; an empty Message takes the mark away.
type Deprecation struct {
	Message    string `json:"message"`
	ReplacedBy string `json:"replaced_by,omitempty"`
}

// Downloads is the raw pulls of one version on one UTC day.
type Downloads struct {
	Version string `json:"version"`
	Day     string `json:"day"`   // "2006-01-02"; "2006-01" when it is long ago
	Count   int64  `json:"count"` // one an address, version, client and day
	Raw     int64  `json:"raw"`   // every answer
}

// Pulls are all pulls of a package or a version, by who.
type Pulls struct {
	People int64 `json:"people"`
	CI     int64 `json:"ci"`
	Robots int64 `json:"robots"`
	Raw    int64 `json:"raw"` // of all, repetitions included
}

// Key is a public key that a namespace vouches for.
type Key struct {
	Namespace   string     `json:"namespace"`
	Name        string     `json:"name"`
	PEM         string     `json:"pem"`
	Fingerprint string     `json:"fingerprint"`
	By          string     `json:"by"`
	Created     time.Time  `json:"created_at"`
	Revoked     *time.Time `json:"revoked_at,omitempty"`
}

// Scope grants actions on packages.
type Scope struct {
	Actions []string `json:"actions"` // pull | publish-new | publish | yank | manage
	Pattern string   `json:"pattern"` // "@acme/zlib", "@acme/*" or "*"
}

// Identity is who the registry takes the caller for.
type Identity struct {
	Anonymous bool    `json:"anonymous"`
	ID        string  `json:"id,omitempty"`
	Login     string  `json:"login,omitempty"` // of the account; empty for the registry's own tokens
	Name      string  `json:"name"`
	Admin     bool    `json:"admin"`
	Scopes    []Scope `json:"scopes"`
}

// TokenRequest says what a new token is for.
type TokenRequest struct {
	Name    string     `json:"name"`
	Admin   bool       `json:"admin,omitempty"`
	Scopes  []Scope    `json:"scopes,omitempty"`
	Expires *time.Time `json:"expires_at,omitempty"` // nil: never

	Networks []string `json:"networks,omitempty"` // "192.0.2.0/24"; none: anywhere
}

// Token is an API token as the server lists it.
type Token struct {
	ID       string     `json:"id"`
	Prefix   string     `json:"prefix"` // its first characters
	Name     string     `json:"name"`
	Admin    bool       `json:"admin"`
	Scopes   []Scope    `json:"scopes"`
	Created  time.Time  `json:"created_at"`
	Expires  *time.Time `json:"expires_at,omitempty"`
	LastUsed *time.Time `json:"last_used_at,omitempty"`
	Revoked  *time.Time `json:"revoked_at,omitempty"`
	Secret   string     `json:"secret,omitempty"` // in the reply to its creation only
}

// Change is one entry of the change feed.
type Change struct {
	Seq     int64     `json:"seq"`
	Time    time.Time `json:"time"`
	Type    string    `json:"type"`
	Package string    `json:"package"`
	Version string    `json:"version,omitempty"`
	Digest  string    `json:"digest,omitempty"`
	Actor   string    `json:"actor,omitempty"`
}

// WellKnown says where everything of a registry is.
type WellKnown struct {
	API     string `json:"api"`     // base address of the API
	Index   string `json:"index"`   // template: …/index/{namespace}/{name}.ndjson
	Changes string `json:"changes"` // address of the change feed
	OpenAPI string `json:"openapi"`
	Web     string `json:"web"` // address of the pages
	OCI     struct {
		Host   string `json:"host"`   // as clients write it: "localhost:8080"
		Prefix string `json:"prefix"` // before namespace/name in a repository; usually empty
		// Namespaces are the addresses of other registries, by the namespaces that
		// come from there: "https://ghcr.io", a path in it is the prefix there.
		Namespaces map[string]string `json:"namespaces"`
	} `json:"oci"`
	Keys string `json:"keys"` // template: …/namespaces/{namespace}/keys
	OIDC *struct {
		Audience string `json:"audience"` // what identity tokens must be made for
		Exchange string `json:"exchange"` // address that exchanges them
	} `json:"oidc"` // nil: CI runs cannot publish by their identity
}

// Build is one binary build of a version.
type Build struct {
	Digest    string        `json:"digest"`    // of the OCI manifest: pull by it
	Reference string        `json:"reference"` // "host/acme/zlib@sha256:…"
	Tag       string        `json:"tag"`       // "1.3.1_0123456789abcdef"
	ABIID     string        `json:"abi_id"`
	OS        string        `json:"os"`
	Arch      string        `json:"arch"`
	Size      int64         `json:"size"`                 // bytes of what is installed, compressed
	DebugSize int64         `json:"debug_size,omitempty"` // of the debug symbols
	Attached  time.Time     `json:"attached_at"`
	Actor     string        `json:"attached_by"`
	Facts     *compat.Facts `json:"facts"`
	Links     *Links        `json:"links,omitempty"` // nil until the registry measured it
}

// Links is what linkers and loaders find in a build, measured from its files.
type Links struct {
	SONames []string `json:"sonames"` // of its shared libraries, sorted
	Symbols int      `json:"symbols"` // that no other file of a program may define
	Shared  bool     `json:"shared"`  // the symbols are those that shared libraries export
}

// Problem is something that was pushed and could not be taken.
type Problem struct {
	ID       int64     `json:"id"`
	Tag      string    `json:"tag,omitempty"`
	Digest   string    `json:"digest,omitempty"`
	Reason   string    `json:"reason"`
	Source   string    `json:"source"` // registry, sweep, api, or the name of another registry
	Received time.Time `json:"received_at"`
}
