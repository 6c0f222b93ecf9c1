package api

import (
	"encoding/json"
	"maps"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/compat"
	"github.com/clydepm/clyde-registry/pkg/graph"
	"github.com/clydepm/clyde-registry/pkg/policy"
	"github.com/clydepm/clyde-registry/pkg/resolve"
	"github.com/clydepm/clyde-registry/pkg/signing"
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

	exampleBuild = catalog.Build{
		Digest: exampleDigest, Reference: "localhost:8080/acme/zlib@" + exampleDigest, Tag: "1.3.1_9f86d081884c7d65",
		ABIID: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", OS: "linux", Arch: "x86_64", Size: 104_857, Attached: exampleTime,
		Actor: "ci of acme", Facts: json.RawMessage(`{"schema":1,"language":"c","os":"linux","arch":"x86_64","cpu_baseline":"x86-64-v1","libc":{"family":"glibc","min":"2.14"},` +
			`"compiler":{"family":"gcc","version":"12.2.0"},"pic":true,"linkage":"static","source_digest":"` + exampleSource + `"}`),
		Links: &catalog.Links{SONames: []string{}, Symbols: 88},
	}
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

var (
	exampleInvitation = Invitation{ID: "q3v5k2abq3v5k2abq3v5", Organisation: "acme", Role: "publisher", Login: "bob", By: "alice", Created: exampleTime, Expires: exampleTime.Add(account.InvitationFor)}
	exampleWaits      = Confirmation{
		ID: "c3v5k2abq3v5k2abq3v5", Kind: "member.role", Change: json.RawMessage(`{"kind":"member.role","account":7,"login":"bob","role":"owner"}`),
		Created: exampleTime, Expires: exampleTime.Add(account.InvitationFor),
	}
	exampleOrg = Organisation{
		Name: "acme", Display: "Acme, Inc.", Created: exampleTime, Namespaces: []string{"acme"}, Switches: &Switches{SignedOnly: true, Creators: "maintainer"},
	}
	exampleBuildPolicy = BuildPolicy{Days: 30, Rebuilders: []string{"bob", "publisher:q3v5k2abq3v5k2abq3v5"}}
	exampleNamespace   = Namespace{Name: "acme", OwnerKind: "org", Owner: "acme", SignedOnly: true, Created: exampleTime}
	exampleRequest     = NamespaceRequest{
		ID: "r3v5k2abq3v5k2abq3v5", Namespace: "acme-labs", Login: "alice", Why: "We are Acme's laboratory: https://acme.example/labs", State: "waiting", Created: exampleTime,
	}
	exampleTransfer = Transfer{ID: "t3v5k2abq3v5k2abq3v5", Pattern: "@acme/zlib", ToKind: "org", To: "umbrella", Created: exampleTime, Expires: exampleTime.Add(account.InvitationFor)}
	exampleAccount  = Account{
		Login: "alice", Name: "Alice", Created: exampleTime, Roles: []Role{{Pattern: "@acme/*", Role: "owner", Because: "owner of @acme/*, as a member of acme"}},
	}
	exampleMembers    = MembershipList{[]Membership{{Organisation: "acme", Login: "alice", Name: "Alice", Role: "owner", Created: exampleTime}}}
	exampleModeration = Moderation{Package: "@acme/zlip", Version: "1.3.1", State: "quarantined", Reason: "It opens a connection while it is configured.", By: "admin", At: exampleTime}
	exampleReport     = Report{ID: "p3v5k2abq3v5k2ab", Package: "@acme/zlip", Version: "1.3.1", Kind: "malware", Text: "configure sends the environment to 192.0.2.9.", By: "bob", State: "open", Created: exampleTime}

	exampleAudit = AuditEntry{
		Seq: 42, Time: exampleTime, Actor: "alice", Action: "token.create", Resource: "k3v5q2ab", Detail: json.RawMessage(`{"name":"ci of acme"}`),
		Prev: "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae", Hash: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
	}
)

// exampleAnswer is what a project that requires @acme/png resolves to.
var exampleAnswer = resolve.Answer{
	Dependencies: []resolve.EdgeView{{Name: "@acme/png", Kind: resolve.Runtime, Range: "^1.6"}},
	Packages: []resolve.PackageView{
		{
			Name: "@acme/png", Version: "1.6.43", Registry: "localhost:8080", Digest: exampleDigest, Checksum: exampleDigest, Size: 1_500_000, License: "libpng-2.0",
			Dependencies: []resolve.EdgeView{{Name: "@acme/zlib", Kind: resolve.Runtime, Range: "^1.3"}}, Signed: "verified",
		},
		{
			Name: "@acme/zlib", Version: "1.3.1", Registry: "localhost:8080", Digest: exampleDigest, Checksum: exampleDigest, Size: 1_497_445, License: "Zlib",
			Dependencies: []resolve.EdgeView{}, Signed: "verified",
			Build:  &resolve.BuildView{ABIID: strings.TrimPrefix(exampleDigest, "sha256:"), Digest: exampleDigest, Platform: "linux-x86_64", Class: "exact"},
			WhyNot: []resolve.WhyNot{{Digest: exampleDigest, Fact: "libc", Why: "the C library: it needs glibc 2.38; this machine has 2.36"}},
		},
	},
	Steps: 3,
}

// exampleWhole is what @acme/png 1.6.43 needs.
var exampleWhole = catalog.Whole{
	Packages: exampleAnswer.Packages[1:], Direct: exampleAnswer.Packages[0].Dependencies,
	Licenses: graph.Licenses{
		Packages:  []graph.PackageLicense{{Name: "@acme/zlib", Version: "1.3.1", License: "Zlib", Class: graph.Permissive, Linked: true}},
		Summary:   []graph.LicenseCount{{License: "Zlib", Packages: 1}},
		Conflicts: []graph.LicenseConflict{}, Notices: []graph.LicenseNotice{},
	},
	Sizes:      graph.Sizes{Total: 1_497_445, Packages: 1, Depth: 1, Each: []graph.PackageSize{{Name: "@acme/zlib", Own: 1_497_445, Whole: 1_497_445}}},
	Duplicates: []graph.Duplicate{}, Collisions: []graph.Collision{},
}

// peopleReplies are the examples about people and their rights.
func peopleReplies() map[string]any {
	waits := exampleWaits
	invited := exampleInvitation
	invited.Organisation, invited.Pattern = "", "@acme/zlib"
	closed := exampleReport
	closed.State, closed.DecidedBy, closed.Decision, closed.Decided = "closed", "admin", "Quarantined; its owners are told.", &exampleTime
	return map[string]any{
		"get-account": exampleAccount, "update-account": exampleAccount,
		"list-sessions": SessionList{[]Session{{
			ID: "s3v5k2abq3v5k2abq3v5", Created: exampleTime, Used: exampleTime, Expires: exampleTime.Add(account.SessionMax), Address: "192.0.2.7", Agent: "Firefox", Current: true,
		}}},
		"list-invitations": InvitationList{[]Invitation{exampleInvitation}}, "list-org-invitations": InvitationList{[]Invitation{exampleInvitation}},
		"invite-member": exampleInvitation, "list-organisations": exampleMembers, "list-members": exampleMembers,
		"create-organisation": exampleOrg, "get-organisation": exampleOrg, "set-switches": Outcome{Done: true}, "remove-member": Outcome{Done: true},
		"set-member": Outcome{Waits: &waits}, "list-confirmations": ConfirmationList{[]Confirmation{waits}},
		"list-teams": TeamList{[]Team{{Name: "release", Created: exampleTime}}}, "create-team": Team{Name: "release", Created: exampleTime},
		"list-team-members": PersonList{[]Person{{Login: "bob", Name: "Bob"}}},
		"list-namespaces":   NamespaceList{[]Namespace{exampleNamespace}}, "get-namespace": exampleNamespace, "get-build-policy": exampleBuildPolicy, "set-build-policy": exampleBuildPolicy, "claim-namespace": exampleNamespace,
		"list-namespace-requests": NamespaceRequestList{[]NamespaceRequest{exampleRequest}}, "request-namespace": exampleRequest,
		"list-reserved-names":   ReservedNameList{Items: []ReservedName{{Name: "openssi", Why: "it would be taken for @openssl", By: "admin", Created: exampleTime}}},
		"list-package-grants":   GrantList{Items: []Grant{{Pattern: "@acme/zlib", HolderKind: "team", Holder: "acme/release", Role: "publisher", By: "alice", Created: exampleTime}}, Invitations: []Invitation{invited}},
		"list-namespace-grants": GrantList{Items: []Grant{{Pattern: "@acme/*", HolderKind: "account", Holder: "bob", Role: "reader", By: "alice", Created: exampleTime}}, Invitations: []Invitation{}},
		"grant-package":         Granted{Invitation: &invited}, "grant-namespace": Granted{Done: true},
		"get-access": Access{"public"}, "set-access": Access{"private"},
		"transfer-package": Outcome{Done: true}, "transfer-namespace": Outcome{Waits: &waits}, "list-transfers": TransferList{[]Transfer{exampleTransfer}},
		"list-audit": AuditPage{Items: []AuditEntry{exampleAudit}, NextCursor: encodeKey("audit", "42")},
		"explain": account.Explanation{
			Action: account.Publish, Resource: "@acme/zlib", Who: "bob", Because: "the account bob has no role that may publish @acme/zlib.", Missing: "role",
			Fixes: []string{"Ask an owner of @acme/zlib for the role publisher, or a higher one."},
		},
		"moderate-version": exampleModeration, "moderate-package": Moderation{Package: "@acme/zlip", State: "removed", Reason: "It takes the name of another package.", By: "admin", At: exampleTime},
		"list-moderation": ModerationList{Items: []Moderation{exampleModeration}},
		"report-package":  exampleReport, "list-reports": ReportList{[]Report{exampleReport}}, "close-report": closed,
		"report-leaks":   []LeakResult{{Token: "clyde_…", Type: "clyde_token", Label: "true_positive"}},
		"get-rate-limit": LimitList{[]Limit{{Name: "reads", Limit: 500, PerSecond: 50, Remaining: 499, Reset: 1}}},
	}
}

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
	all := peopleReplies()
	maps.Copy(all, map[string]any{
		"search": SearchPage{
			Items: []Hit{{Package: examplePackage, Highlights: map[string]Highlight{"name": {Text: "acme/zlib", Spans: [][2]int{{5, 9}}}}}},
			Total: 42, NextCursor: "eyJhIjoxfQ", Facets: []Facet{{Name: "license", Values: []FacetValue{{Value: "Zlib", Count: 12}}}},
		},
		"suggest":                   Suggestions{[]catalog.Suggestion{{Name: "@acme/zlib", Description: examplePackage.Description}}},
		"get-package-by-short-name": Candidates{[]catalog.Package{examplePackage}},
		"get-package":               whole,
		"list-dependents":           DependentsPage{Items: []catalog.Dependent{{Name: "@acme/png", Version: "1.6.43", Range: "^1.3"}}, NextCursor: encodeCursor("acme/png")},
		"get-downloads":             Downloads{Items: []Count{{Version: "1.3.1", Day: "2026-01-31", Count: 57, Raw: 81}}, Total: 57, Method: "https://registry.example/about#downloads"},
		"list-versions":             Releases{Items: []catalog.Release{listed}, Total: 1},
		"get-version":               exampleRelease,
		"resolve-range":             exampleRelease,
		"resolve":                   Resolution{Answer: exampleAnswer},
		"list-problems": PackageProblems{Items: []catalog.Refusal{{
			ID: 7, Tag: "1.3.2", Digest: exampleDigest, Reason: "the tag is 1.3.2 and package.yaml says version 1.3.1", Source: "harbor", Received: exampleTime,
		}}},
		"list-builds":       Builds{Items: []catalog.Build{exampleBuild}, Rules: compat.RulesVersion},
		"list-dependencies": Dependencies{Items: []catalog.Dependency{exampleDependency}, Whole: &exampleWhole},
		"get-signatures": catalog.Signatures{
			State: "verified", Report: json.RawMessage(
				`{"repo":"acme/zlib","digest":"` + exampleDigest + `","state":"verified","signatures":[],"attestations":[]}`),
			Standing: exampleStanding,
		},
		"get-readme":         catalog.Readme{Path: "README.md", Raw: "# zlib\n", HTML: "<h2>zlib</h2>\n"},
		"list-files":         Files{Items: []catalog.File{{Path: "zlib.h", Size: 96_829, Mode: 0o644}}, Total: 1},
		"publish":            exampleRelease,
		"yank-version":       yanked,
		"deprecate-package":  deprecated,
		"whoami":             Identity{ID: "k3v5q2ab", Name: "ci of acme", Scopes: exampleScopes},
		"list-tokens":        TokenList{[]Token{exampleToken}},
		"create-token":       secret,
		"ask-device":         exampleDevice,
		"poll-device":        secret,
		"list-keys":          KeyList{[]Key{exampleKey}},
		"add-key":            exampleKey,
		"get-signing-policy": exampleSigningPolicy,
		"set-signing-policy": exampleSigningPolicy,
		"get-package-list":   examplePackageList,
		"set-package-list":   examplePackageList,
		"list-trust-roots":   TrustRootList{[]TrustRoot{{Name: "public", Public: true, Ready: true, Digest: exampleDigest}}},
		"get-registry":       s.wellKnown(),
		"get-trusted-audience": TrustedAudience{
			Audience: "registry.example.org",
			Issuers:  []TrustedIssuer{{Name: "github", URL: account.GitHubIssuer, Kind: "github", Audience: "registry.example.org"}},
		},
		"exchange-token":          ExchangedToken{Token: "clyde_…", Expires: exampleTime, Seconds: int(account.RunTokenLife.Seconds()), Package: "@acme/zlib"},
		"list-trusted-publishers": TrustedPublisherList{[]TrustedPublisher{examplePublisher}},
		"add-trusted-publisher":   examplePublisher,
		"get-linked-repository":   exampleLink,
		"link-repository":         exampleLink,
		"publish-tag":             exampleLink,
		"receive-release":         WebhookAnswer{"the tag will be published"},
		"get-health":              Health{"ok"},
		"get-ready":               Health{"ready"},
	})
	return all
}

// requests are the examples of JSON bodies, by operation.
var requests = map[string]any{
	"resolve": resolve.Query{
		Name: "@acme/viewer", Requires: map[string]resolve.Need{"@acme/png": {Version: "^1.6"}, "@acme/zlib": {Version: ">=1.3", Traits: map[string]string{"shared": "false"}}},
		Platform: &resolve.Platform{OS: "linux", Arch: "x86_64"}, Lock: map[string]resolve.Pin{"@acme/zlib": {Version: "1.3.1", Digest: exampleDigest}},
		Host: &compat.Host{OS: "linux", Arch: "x86_64", CPU: "x86-64-v3", Libc: compat.HostLibc{Family: "glibc", Version: "2.36"}, Compiler: compat.Compiler{Family: "gcc", Version: "12.2.0"}},
		Want: &resolve.Wish{Linkage: "static"},
	},
	"yank-version":      catalog.YankRequest{Yanked: true, Reason: "security", Text: "CVE-2026-0001; use 1.3.2."},
	"deprecate-package": catalog.Deprecation{Message: "No longer maintained.", ReplacedBy: "@acme/zlib-ng"},
	"create-token":      TokenRequest{Name: "ci of acme", Scopes: exampleScopes},
	"ask-device":        DeviceRequest{Name: "clyde on build-7", Scopes: exampleScopes, Expires: "720h"},
	"poll-device":       DevicePoll{DeviceCode: "clyded_…"},
	"exchange-token":    ExchangeRequest{Token: "eyJhbGciOiJSUzI1NiIs…", Package: "@acme/zlib"},
	"link-repository":   LinkedRepositoryRequest{Repository: "acme/zlib", Token: "github_pat_…"},
	"publish-tag":       PublishTagRequest{Tag: "v1.3.1"},
	"receive-release":   map[string]any{"action": "published", "release": map[string]any{"tag_name": "v1.3.1"}, "repository": map[string]any{"id": 583231}},
	"add-trusted-publisher": TrustedPublisherRequest{
		Issuer: "github", Repository: "acme/zlib", Workflow: "release.yml", Ref: "refs/tags/v*", Environment: "release",
	},
	"add-key": KeyRequest{Name: "alice", PEM: exampleKey.PEM},

	"report-leaks":   []map[string]string{{"token": "clyde_…", "type": "clyde_token", "url": "https://github.com/acme/zlib/blob/main/.env", "source": "content"}},
	"update-account": AccountRequest{Name: "Alice"}, "suspend-account": Suspension{Why: "It publishes malware."},
	"answer-invitation": Answer{Accept: true}, "answer-transfer": Answer{Accept: true}, "confirm-change": Answer{Accept: true},
	"create-organisation": OrganisationRequest{Name: "acme", Display: "Acme, Inc."}, "set-signing-policy": SigningPolicyRequest{Policy: examplePolicy},
	"set-package-list": PackageListRequest{Document: exampleList, Signature: exampleBundle}, "set-switches": Switches{SignedOnly: true, Creators: "maintainer"},
	"set-member": RoleRequest{Role: "owner"}, "invite-member": InviteRequest{Login: "bob", Role: "publisher"}, "create-team": TeamRequest{Name: "release"},
	"set-build-policy":         exampleBuildPolicy,
	"claim-namespace":          ClaimRequest{Name: "acme", Organisation: "acme"},
	"request-namespace":        NamespaceAsk{Name: "acme-labs", Why: exampleRequest.Why},
	"decide-namespace-request": Decision{Grant: true}, "reserve-name": ReserveRequest{Why: "it would be taken for @openssl"},
	"grant-package": GrantRequest{Holder: "bob", Role: "publisher"}, "grant-namespace": GrantRequest{Holder: "acme/release", Role: "publisher"},
	"set-access": Access{"private"}, "transfer-package": TransferRequest{ToKind: "org", To: "umbrella"}, "transfer-namespace": TransferRequest{ToKind: "account", To: "bob"},
	"moderate-version": ModerationRequest{Decision: "quarantine", Reason: exampleModeration.Reason}, "moderate-package": ModerationRequest{Decision: "remove", Reason: "It takes the name of another package."},
	"report-package": ReportRequest{Kind: "malware", Version: "1.3.1", Text: exampleReport.Text}, "close-report": ReportDecision{Decision: "Quarantined; its owners are told."},
	"explain": ExplainRequest{Action: "publish", Resource: "@acme/zlib"},
}

var exampleStanding = policy.Standing{
	Verdict: policy.Allowed, Rule: "acme", Matched: []string{"release-workflow"}, Reasons: []policy.Reason{},
	Signers: []string{"https://github.com/acme/zlib/.github/workflows/release.yml@refs/tags/v1.3.1 (https://token.actions.githubusercontent.com)"},
	Attestations: []signing.Attested{{
		Kind: signing.KindProvenance, PredicateType: "https://slsa.dev/provenance/v1", Manifest: digest.Digest(exampleDigest), Layer: digest.Digest(exampleDigest),
		By:      "https://github.com/acme/zlib/.github/workflows/release.yml@refs/tags/v1.3.1 (https://token.actions.githubusercontent.com)",
		Builder: "https://github.com/actions/runner/github-hosted", Source: "https://github.com/acme/zlib", Commit: "51b7f2abdade71cd9bb0e7a373ef2610ec6f9daf",
	}},
	Policy: digest.Digest(exampleDigest),
}

const examplePolicy = `apiVersion: clyde.dev/v1
kind: VerificationPolicy
trust: [{name: public, tuf: sigstore-public-good}]
policies:
  - name: acme
    packages: ["acme/*"]
    authorities:
      - name: release-workflow
        keyless: {trust: public, identities: [{issuer: "https://token.actions.githubusercontent.com", subjectRegExp: 'https://github\.com/acme/[^/]+/\.github/workflows/release\.yml@refs/tags/v.*'}]}
`

const exampleList = `apiVersion: clyde.dev/v1
kind: PackageList
namespace: acme
version: 7
expires: 2026-12-01T00:00:00Z
default: allow
deny: [{package: "madler/zlib", versions: "<1.2.12", reason: CVE-2018-25032}]
`

var exampleBundle = json.RawMessage(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{},"dsseEnvelope":{}}`)

var examplePackageList = func() PackageList {
	l, err := policy.ParseList([]byte(exampleList))
	if err != nil {
		panic(err) // it is the line above
	}
	return packageListView(store.SignedList{Namespace: "acme", Document: []byte(exampleList), Signature: exampleBundle, By: "alice", At: exampleTime}, l)
}()

var exampleSigningPolicy = signingPolicyView(store.SigningPolicy{Namespace: "acme", Policy: examplePolicy, By: "alice", At: exampleTime})
