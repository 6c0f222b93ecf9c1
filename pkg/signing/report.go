package signing

import (
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Subject is the manifest that is signed or checked. Repo and Digest are
// required. With a zero Name, signatures are not compared with a name; with an
// empty Version, not with a version. MediaType and Size are needed to sign.
type Subject struct {
	Repo      string // "acme/zlib", as Source and Sink know it
	Name      clyde.Name
	Version   string // canonical, as in the package's purl
	Digest    digest.Digest
	MediaType string
	Size      int64 // bytes
}

// descriptor returns s as the subject field of a referrer.
func (s Subject) descriptor() ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: s.MediaType, Digest: s.Digest, Size: s.Size}
}

// State is what the signatures of a digest, or one of them, amount to.
type State string

// The states, from best to worst for whoever wants to install.
const (
	// StateVerified: a signature made with one of the keys, over this digest,
	// as a signature (not as an attestation), not for another package.
	StateVerified State = "verified"
	// StateUntrusted: signatures exist, by none of the keys, or in a form that
	// this version cannot check.
	StateUntrusted State = "untrusted"
	// StateUnsigned: no signature at all.
	StateUnsigned State = "unsigned"
	// StateInvalid: none verified, and one that claims this digest is wrong: it
	// is about other bytes or another package, broken, or forged.
	StateInvalid State = "invalid"
)

// Format is how a signature is stored.
type Format string

// The formats that cosign writes.
const (
	FormatBundle    Format = "bundle"     // sigstore bundle, a referrer
	FormatLegacySig Format = "legacy-sig" // simplesigning layer
	FormatLegacyAtt Format = "legacy-att" // DSSE layer under sha256-<hex>.att
)

// SignatureResult is one signature or attestation and what came of checking it.
type SignatureResult struct {
	Format         Format        `json:"format"`
	Manifest       digest.Digest `json:"manifest"`                  // that carries it
	Layer          digest.Digest `json:"layer,omitempty"`           // its bytes; empty when the manifest could not be read
	State          State         `json:"state"`                     // never StateUnsigned
	KeyFingerprint string        `json:"key_fingerprint,omitempty"` // of the key that made it, when verified
	KeyName        string        `json:"key_name,omitempty"`        // Key.Name of that key
	PredicateType  string        `json:"predicate_type,omitempty"`  // from inside the signed statement; empty for a legacy signature
	Subject        string        `json:"subject,omitempty"`         // the package named inside the signed bytes, a purl or a repository
	Authorities    []string      `json:"authorities,omitempty"`     // names of those that made it, when verified
	Certificate    *Certificate  `json:"certificate,omitempty"`     // who was vouched for, proven; also where they do not count
	Trust          string        `json:"trust,omitempty"`           // name of the trusted root that proves the certificate
	Logs           []LogEntry    `json:"logs,omitempty"`            // transparency logs that hold it, proven
	Times          []time.Time   `json:"times,omitempty"`           // when it was made, proven
	Reason         string        `json:"reason,omitempty"`          // why it is not verified, a sentence without its full stop
	Unsupported    bool          `json:"unsupported,omitempty"`     // of a kind this version cannot check

	// Statement is the JSON that was signed; nil for a legacy signature. Until
	// State is StateVerified it says what somebody claims.
	Statement []byte `json:"-"`
}

// Report is what all signatures of one digest amount to.
type Report struct {
	Repo         string            `json:"repo"`
	Digest       digest.Digest     `json:"digest"`
	State        State             `json:"state"`
	Signatures   []SignatureResult `json:"signatures"`         // in a fixed order: referrers, then legacy
	Attestations []SignatureResult `json:"attestations"`       // signed statements that are no signatures; without effect on State
	Problems     []string          `json:"problems,omitempty"` // what was not examined, and why
}

// Signer says who verified: name and fingerprint of the key, or subject and
// issuer of the certificate, of the first signature that did, or "".
func (r *Report) Signer() string {
	for _, s := range r.Signatures {
		switch {
		case s.State != StateVerified:
		case s.Certificate != nil:
			return s.Certificate.String()
		default:
			return s.KeyName + " (" + s.KeyFingerprint + ")"
		}
	}
	return ""
}

// Join adds to r what another check of the same manifest found: of what both
// looked at, the one that verified it counts.
func (r *Report) Join(other *Report) {
	r.Signatures = joined(r.Signatures, other.Signatures)
	r.Attestations = joined(r.Attestations, other.Attestations)
	for _, p := range other.Problems {
		if !slices.Contains(r.Problems, p) {
			r.Problems = append(r.Problems, p)
		}
	}
	if r.State != StateVerified && (other.State == StateVerified || r.State == StateUnsigned) {
		r.State = other.State
	}
}

func joined(list, more []SignatureResult) []SignatureResult {
	for _, m := range more {
		at := slices.IndexFunc(list, func(s SignatureResult) bool { return s.Manifest == m.Manifest && s.Layer == m.Layer })
		switch {
		case at < 0:
			list = append(list, m)
		case list[at].State != StateVerified && (m.State == StateVerified || list[at].Certificate == nil && m.Certificate != nil):
			list[at] = m
		}
	}
	return list
}
