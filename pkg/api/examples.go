package api

import (
	"encoding/json"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// The examples of the description are values of the types themselves, so that
// they cannot say what the API does not.
var (
	exampleTime   = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	exampleDigest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	exampleSource = "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
	exampleKeyFP  = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
	exampleScopes = []Scope{{Actions: []string{"publish", "publish-new"}, Pattern: "@acme/*"}}

	exampleDependency = catalog.Dependency{Name: "@acme/zlib", Range: "^1.3", Kind: "requires", Known: true}
	exampleRelease    = catalog.Release{
		Name: "@acme/zlib", Version: "1.3.1", Digest: exampleDigest, Reference: "localhost:8080/acme/zlib@" + exampleDigest,
		Size: 1_512_345, SourceDigest: exampleSource, SourceType: artifact.TypeSourceGzip, SourceSize: 1_497_445, Published: exampleTime,
		Publisher: "ci of acme", Signed: "verified", Signer: "alice (" + exampleKeyFP + ")", State: "visible", Downloads: 1234,
		PURL: "pkg:clyde/acme/zlib@1.3.1", Manifest: json.RawMessage(`{"name":"@acme/zlib","version":"1.3.1","type":"library","language":"c","license":"Zlib"}`),
		Headers: []string{"zconf.h", "zlib.h"},
	}
	examplePackage = catalog.Package{
		Name: "@acme/zlib", Namespace: "acme", Base: "zlib", Latest: "1.3.1", Description: "A massively spiffy yet delicately unobtrusive compression library.",
		License: "Zlib", Language: "c", Kind: "library", Keywords: []string{"compression", "deflate"}, Categories: []string{"compression"},
		Platforms: []string{"linux", "macos", "windows"}, Homepage: "https://zlib.net", Signed: "verified", Versions: 3, Dependents: 17,
		Downloads: 4321, Created: exampleTime.AddDate(-1, 0, 0), Updated: exampleTime,
	}
	exampleKey = Key{
		Namespace: "acme", Name: "alice", PEM: "-----BEGIN PUBLIC KEY-----\n…\n-----END PUBLIC KEY-----\n", Fingerprint: exampleKeyFP, By: "admin", Created: exampleTime,
	}
	exampleToken = Token{ID: "k3v5q2ab", Prefix: "clyde_abcdef", Name: "ci of acme", Scopes: exampleScopes, Created: exampleTime}
)

// replies are the examples of JSON answers, by operation.
func (s *server) replies() map[string]any {
	whole := examplePackage
	whole.LatestInfo = &exampleRelease
	yanked := exampleRelease
	yanked.Yanked = &store.Yank{Reason: "security", Text: "CVE-2026-0001; use 1.3.2.", By: "ci of acme", At: exampleTime}
	deprecated := whole
	deprecated.Deprecated, deprecated.ReplacedBy = "No longer maintained.", "@acme/zlib-ng"
	listed := exampleRelease
	listed.Manifest, listed.Headers = nil, nil
	secret := exampleToken
	secret.Secret = "clyde_…"
	return map[string]any{
		"search": SearchPage{
			Items: []Hit{{Package: examplePackage, Highlights: map[string]Highlight{"name": {Text: "acme/zlib", Spans: [][2]int{{5, 9}}}}}},
			Total: 42, NextCursor: "eyJhIjoxfQ", Facets: []Facet{{Name: "license", Values: []FacetValue{{Value: "Zlib", Count: 12}}}},
		},
		"suggest":                   Suggestions{[]catalog.Suggestion{{Name: "@acme/zlib", Description: examplePackage.Description}}},
		"get-package-by-short-name": Candidates{[]catalog.Package{examplePackage}},
		"get-package":               whole,
		"list-dependents":           DependentsPage{Items: []catalog.Dependent{{Name: "@acme/png", Version: "1.6.43", Range: "^1.3"}}, NextCursor: encodeCursor("acme/png")},
		"get-downloads":             Downloads{Items: []Count{{Version: "1.3.1", Day: "2026-01-31", Count: 57}}, Total: 57},
		"list-versions":             Releases{Items: []catalog.Release{listed}, Total: 1},
		"get-version":               exampleRelease,
		"resolve-range":             exampleRelease,
		"list-dependencies":         Dependencies{[]catalog.Dependency{exampleDependency}},
		"get-signatures": Signatures{State: "verified", Report: json.RawMessage(
			`{"repo":"acme/zlib","digest":"` + exampleDigest + `","state":"verified","signatures":[],"attestations":[]}`)},
		"get-readme":        catalog.Readme{Path: "README.md", Raw: "# zlib\n", HTML: "<h2>zlib</h2>\n"},
		"list-files":        Files{Items: []catalog.File{{Path: "zlib.h", Size: 96_829, Mode: 0o644}}, Total: 1},
		"publish":           exampleRelease,
		"yank-version":      yanked,
		"deprecate-package": deprecated,
		"whoami":            Identity{ID: "k3v5q2ab", Name: "ci of acme", Scopes: exampleScopes},
		"list-tokens":       TokenList{[]Token{exampleToken}},
		"create-token":      secret,
		"ask-device":        exampleDevice,
		"poll-device":       secret,
		"list-keys":         KeyList{[]Key{exampleKey}},
		"add-key":           exampleKey,
		"get-registry":      s.wellKnown(),
		"get-trusted-audience": TrustedAudience{
			Audience: "registry.example.org",
			Issuers:  []TrustedIssuer{{Name: "github", URL: account.GitHubIssuer, Kind: "github", Audience: "registry.example.org"}},
		},
		"exchange-token":          ExchangedToken{Token: "clyde_…", Expires: exampleTime, Seconds: int(account.RunTokenLife.Seconds()), Package: "@acme/zlib"},
		"list-trusted-publishers": TrustedPublisherList{[]TrustedPublisher{examplePublisher}},
		"add-trusted-publisher":   examplePublisher,
		"get-health":              Health{"ok"},
		"get-ready":               Health{"ready"},
	}
}

// requests are the examples of JSON bodies, by operation.
var requests = map[string]any{
	"yank-version":      catalog.YankRequest{Yanked: true, Reason: "security", Text: "CVE-2026-0001; use 1.3.2."},
	"deprecate-package": catalog.Deprecation{Message: "No longer maintained.", ReplacedBy: "@acme/zlib-ng"},
	"create-token":      TokenRequest{Name: "ci of acme", Scopes: exampleScopes},
	"ask-device":        DeviceRequest{Name: "clyde on build-7", Scopes: exampleScopes, Expires: "720h"},
	"poll-device":       DevicePoll{DeviceCode: "clyded_…"},
	"exchange-token":    ExchangeRequest{Token: "eyJhbGciOiJSUzI1NiIs…", Package: "@acme/zlib"},
	"add-trusted-publisher": TrustedPublisherRequest{
		Issuer: "github", Repository: "acme/zlib", Workflow: "release.yml", Ref: "refs/tags/v*", Environment: "release",
	},
	"add-key": KeyRequest{Name: "alice", PEM: exampleKey.PEM},
}
