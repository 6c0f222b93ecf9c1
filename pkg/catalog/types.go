// Package catalog answers what people and tools ask about packages, and
// carries out what owners decide. It reads the database, the search engine and
// what was derived from releases; it never talks to a registry. Every answer is
// for one principal: what they may not see is the same to them as what does
// not exist.
package catalog

import (
	"encoding/json"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/graph"
	"github.com/clydepm/clyde-registry/pkg/index"
	"github.com/clydepm/clyde-registry/pkg/policy"
	"github.com/clydepm/clyde-registry/pkg/resolve"
	"github.com/clydepm/clyde-registry/pkg/signing"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Package is one package, as pages and the API show it.
type Package struct {
	Name        string        `json:"name" example:"@acme/zlib"`
	Namespace   string        `json:"namespace"`
	Base        string        `json:"base"`
	Latest      string        `json:"latest" doc:"version shown first; empty when none is left"`
	Description string        `json:"description"`
	License     string        `json:"license,omitempty"`
	Language    string        `json:"language,omitempty"`
	Kind        string        `json:"type" doc:"library, header-only, application, …"`
	Standard    string        `json:"standard,omitempty"`
	Keywords    []string      `json:"keywords"`
	Categories  []string      `json:"categories"`
	Platforms   []string      `json:"platforms"`
	Homepage    string        `json:"homepage,omitempty"`
	Repository  string        `json:"repository,omitempty"`
	Docs        string        `json:"documentation,omitempty"`
	Signed      string        `json:"signed" enum:"verified,untrusted,unsigned,invalid"`
	Private     bool          `json:"private"`
	Deprecated  string        `json:"deprecated,omitempty" doc:"message; empty when not deprecated"`
	ReplacedBy  string        `json:"replaced_by,omitempty"`
	Versions    int           `json:"versions" doc:"how many"`
	Pending     []string      `json:"pending,omitempty" doc:"versions that wait for signatures, highest first; only for those who publish here, and where one package is asked for"`
	Dependents  int           `json:"dependents" doc:"packages whose latest version requires this one"`
	Downloads   int64         `json:"downloads" doc:"pulls by people, all versions"`
	Pulls       *store.Totals `json:"pulls,omitempty" doc:"all pulls, by who; only where one package is asked for"`
	Created     time.Time     `json:"created_at"`
	Updated     time.Time     `json:"updated_at"`
	LatestInfo  *Release      `json:"latest_release,omitempty"`
}

// Release is one version of a package.
type Release struct {
	Name            string           `json:"name" example:"@acme/zlib"`
	Version         string           `json:"version" example:"1.3.1"`
	UpstreamVersion string           `json:"upstream_version,omitempty"`
	Digest          string           `json:"digest" doc:"OCI digest to pull by"`
	Reference       string           `json:"reference" doc:"what oras, crane and cosign take: host/namespace/name@digest"`
	Size            int64            `json:"size" doc:"bytes of config and layers together"`
	SourceDigest    string           `json:"source_digest" doc:"digest of the source archive"`
	SourceType      string           `json:"source_media_type"`
	SourceSize      int64            `json:"source_size"`
	Published       time.Time        `json:"published_at"`
	Publisher       string           `json:"publisher"`
	PublishedBy     *PublishedBy     `json:"published_by,omitempty" doc:"how it was published; only where one version is asked for, and known"`
	Signed          string           `json:"signed" enum:"verified,untrusted,unsigned,invalid"`
	Signer          string           `json:"signer,omitempty" doc:"who signed, where that is verified: name and fingerprint of a key, or subject and issuer of an identity"`
	Authors         []signing.Author `json:"authors,omitempty" doc:"who signed, in words and in parts, where that is verified; only where one version is asked for"`
	Signers         []string         `json:"signers,omitempty" doc:"all who signed, where that is verified; only where one version is asked for"`
	Policy          string           `json:"policy,omitempty" enum:"allow,warn,deny" doc:"what the namespace's signing policy makes of it; absent where it has none"`
	Missing         []policy.Reason  `json:"missing,omitempty" doc:"of a pending version: what it waits for"`
	Provenance      []Attested       `json:"provenance,omitempty" doc:"how it was built, as somebody who counts attests; only where one version is asked for"`
	SBOM            []Attested       `json:"sbom,omitempty" doc:"what is in it, likewise"`
	Yanked          *store.Yank      `json:"yanked,omitempty"`
	Withdrawn       *Withdrawal      `json:"withdrawn,omitempty" doc:"what administrators decided: the version cannot be had; only in the list of versions, for the version itself is 410"`
	State           string           `json:"state" enum:"visible,pending,conflict,gone,quarantined,removed,erased" doc:"pending: it waits for signatures that its namespace asks for, and only those who publish there see it"`
	Downloads       int64            `json:"downloads" doc:"pulls by people"`
	Pulls           *store.Totals    `json:"pulls,omitempty" doc:"all pulls, by who; only where one version is asked for"`
	PURL            string           `json:"purl"`
	Manifest        json.RawMessage  `json:"manifest,omitempty" doc:"package.yaml as JSON; only where one version is asked for"`
	Requires        []Dependency     `json:"requires,omitempty"`
	Headers         []string         `json:"headers,omitempty"`
}

// Dependency is one edge from a version to what it requires.
type Dependency struct {
	Name     string `json:"name"`
	Range    string `json:"range"`
	Kind     string `json:"kind" enum:"requires,dev_requires,build_requires"`
	Optional bool   `json:"optional"`
	Known    bool   `json:"known" doc:"whether this registry has a package of that name which you may see"`
}

// Resolution is what a query resolves to.
type Resolution struct {
	resolve.Answer
	Collisions []graph.Collision `json:"collisions,omitempty" doc:"where the query asks for them: packages that get into each other's way when they are linked, by what was measured of their builds and headers"`
}

// Whole is a version with everything that it needs: one version of each package,
// as a project that requires it alone would get them today.
type Whole struct {
	Packages   []resolve.PackageView `json:"packages" doc:"by name, without the version itself"`
	Direct     []resolve.EdgeView    `json:"direct" doc:"what the version itself requires"`
	Licenses   graph.Licenses        `json:"licenses" doc:"of the program that links all of it; a hint, not legal advice"`
	Sizes      graph.Sizes           `json:"sizes" doc:"of the packages, without the version itself"`
	Duplicates []graph.Duplicate     `json:"duplicates" doc:"packages that seem to be one upstream"`
	Collisions []graph.Collision     `json:"collisions" doc:"packages that get into each other's way when they are linked"`
}

// Dependent is one edge from a package whose latest version requires another.
type Dependent struct {
	Name    string `json:"name" example:"@acme/png"`
	Version string `json:"version" example:"1.6.43"`
	Range   string `json:"range" doc:"what it asks of the package, or of via" example:"^1.3"`
	Depth   int    `json:"depth,omitempty" doc:"steps away; only where transitive ones are asked for"`
	Via     string `json:"via,omitempty" doc:"the next package on the way, where it is not the one asked about"`
}

// DependentsQuery says which dependents are asked for. The zero value is the
// first page of the direct ones.
type DependentsQuery struct {
	Version    string // of the package: those whose range admits it
	Range      string // those whose range admits a version in it
	Transitive bool
	After      string // Next of the page before
	Limit      int    // 0 is 1
}

// Dependents is one page of dependents, by name.
type Dependents struct {
	Items     []Dependent
	Next      string // for DependentsQuery.After; "" on the last page
	Truncated bool   // there are more than MaxDependents
}

// Hit is one search result, complete enough to decide by.
type Hit struct {
	Package
	Highlights map[string]index.Highlight `json:"highlights,omitempty"`
}

// SearchPage is one page of search results.
type SearchPage struct {
	Items      []Hit         `json:"items"`
	NextCursor string        `json:"next_cursor,omitempty"`
	Total      int           `json:"total"`
	Facets     []index.Facet `json:"facets,omitempty"`
	DidYouMean string        `json:"did_you_mean,omitempty"`
	Notice     string        `json:"notice,omitempty" doc:"set when the answer is less than usual, and why"`
}

// Suggestion is one name offered while typing.
type Suggestion struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// File is one file of a release's source archive.
type File struct {
	Path string `json:"path"`
	Size int64  `json:"size" doc:"bytes"`
	Mode uint32 `json:"mode"`
	Link string `json:"link,omitempty" doc:"target, for a symlink"`
}

// Readme is a release's readme, raw and rendered.
type Readme struct {
	Path string `json:"path"`
	Raw  string `json:"raw"`
	HTML string `json:"html" doc:"sanitised"`
}

// YankRequest withdraws a version, or with Yanked false brings it back.
type YankRequest struct {
	Yanked bool   `json:"yanked"`
	Reason string `json:"reason,omitempty" enum:"security,broken,deprecated,renamed,other"`
	Text   string `json:"text,omitempty" maxLength:"500"`
}

// Deprecation marks a package as not to be used for new work; an empty Message
// takes the mark away.
type Deprecation struct {
	Message    string `json:"message" maxLength:"500"`
	ReplacedBy string `json:"replaced_by,omitempty"`
}

// Stats are true counts.
type Stats struct {
	Packages int64 `json:"packages"`
	Releases int64 `json:"releases"`
}

// Ref names a version to look for.
type Ref struct {
	Name    clyde.Name
	Version string // exact version, "" or "latest" for the latest
}
