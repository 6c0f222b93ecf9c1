package signing

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"google.golang.org/protobuf/proto"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Authority is somebody whose signatures count: the owner of a key, or whoever
// an OIDC issuer vouched for.
type Authority struct {
	Name    string   // what a report calls it
	Key     *Key     // either a key
	Keyless *Keyless // or identities

	// Trust is whose certificates, logs and timestamps count. Keyless needs it,
	// and so does whoever asks for the next two.
	Trust *Trust
	// TransparencyLog is how many logs must hold the signature.
	TransparencyLog int
	// Timestamps is how many proofs of the time of signing it must carry:
	// timestamps of an authority, or times that a log vouches for. Keyless asks
	// for one at least: its certificate ends in minutes.
	Timestamps int
}

// Keyless is whose certificates count. With no Identities everybody's do: for
// saying who signed, and never for a verdict.
type Keyless struct {
	Identities []Identity
	// IgnoreSCT accepts certificates that no certificate transparency log has
	// seen, for a private sigstore without one.
	IgnoreSCT bool
}

// LogEntry is where a transparency log holds a signature.
type LogEntry struct {
	Log   string `json:"log"`           // its key, in hex
	URL   string `json:"url,omitempty"` // as the trusted root has it
	Index int64  `json:"index"`
}

// proof is what a signature amounts to once it is verified.
type proof struct {
	certificate *Certificate // nil for a key
	logs        []LogEntry
	times       []time.Time // when it was made, by everyone who vouches for it
}

// errSomeoneElse is a signature that is right, by somebody who does not count.
type errSomeoneElse struct {
	proof
	why string
}

func (e *errSomeoneElse) Error() string { return e.why }

// checker is an Authority ready to be asked.
type checker struct {
	Authority
	identities []*identityMatcher
	verifier   *verify.Verifier
	byKey      verify.PolicyOption
}

// newAuthority checks a and prepares it. Identities may be missing here alone:
// Verify and Inspect say whether that will do.
func newAuthority(a Authority) (*checker, error) {
	bad := func(format string, args ...any) (*checker, error) {
		return nil, clyde.Errorf(clyde.ErrInvalid, "the authority %q "+format, append([]any{clip(a.Name)}, args...)...).WithCode("bad_authority")
	}
	c := &checker{Authority: a}
	switch {
	case (a.Key == nil) == (a.Keyless == nil):
		return bad("is to be a key or identities, one of them")
	case a.TransparencyLog < 0 || a.Timestamps < 0:
		return bad("asks for a negative number of log entries or timestamps")
	case a.Trust == nil && (a.Keyless != nil || a.TransparencyLog+a.Timestamps > 0):
		return bad("needs a trusted root")
	case a.Key != nil && a.Key.verifier == nil:
		return nil, clyde.Errorf(clyde.ErrInvalid, "a key was not made with ParsePublicKey").WithCode("bad_key")
	}
	var material root.TrustedMaterial = &root.BaseTrustedMaterial{}
	if a.Trust != nil {
		material = a.Trust.material
	}
	var opts []verify.VerifierOption
	if a.TransparencyLog > 0 {
		opts = append(opts, verify.WithTransparencyLog(a.TransparencyLog))
	}
	if a.Key != nil {
		material = &keyMaterial{material, root.NewExpiringKey(a.Key.verifier, time.Time{}, time.Time{})}
		c.byKey = verify.WithKey()
		if a.Timestamps == 0 {
			opts = append(opts, verify.WithNoObserverTimestamps())
		}
	} else {
		c.Timestamps = max(a.Timestamps, 1)
		// Who it is, is asked below: sigstore-go would hide whose signature it is.
		c.byKey = verify.WithoutIdentitiesUnsafe()
		if !a.Keyless.IgnoreSCT {
			opts = append(opts, verify.WithSignedCertificateTimestamps(1))
		}
		for _, i := range a.Keyless.Identities {
			m, err := i.compile()
			if err != nil {
				return nil, err
			}
			c.identities = append(c.identities, m)
		}
	}
	if c.Timestamps > 0 {
		opts = append(opts, verify.WithObserverTimestamps(c.Timestamps))
	}
	v, err := verify.NewVerifier(material, opts...)
	if err != nil {
		return nil, fmt.Errorf("signing.newAuthority: %w", err)
	}
	c.verifier = v
	return c, nil
}

// artifact is what a signature must be over: a digest that its statement names,
// or the bytes themselves.
type artifact struct {
	algorithm string
	sum       []byte
	payload   []byte
}

func (a artifact) option() verify.ArtifactPolicyOption {
	if a.payload != nil {
		return verify.WithArtifact(bytes.NewReader(a.payload)) // a reader serves one check
	}
	return verify.WithArtifactDigest(a.algorithm, a.sum)
}

var (
	errNoKeysCount   = errors.New("it is made with a key, and only identities count here")
	errOnlyKeysCount = errors.New("it is made with a certificate, and only keys count here")
	errNotTheirs     = errors.New("it is by none of those that count here")
)

// prove verifies b over x. A nil error means that this authority made it; an
// *errSomeoneElse that it is right, and by another.
func (c *checker) prove(b *protobundle.Bundle, x artifact) (*proof, error) {
	certified := hasCertificate(b)
	switch {
	case certified && c.Key != nil:
		return nil, errOnlyKeysCount
	case !certified && c.Key == nil:
		return nil, errNoKeysCount
	}
	if c.Key != nil && c.TransparencyLog+c.Timestamps == 0 {
		// Judged by the key alone, so that an entry of a kind unknown here
		// (rekor's dsse 0.0.2) does not spoil it.
		b = withoutLogs(b)
	}
	e, err := bundle.NewBundle(b)
	if err != nil {
		return nil, unsupported("it is no sigstore bundle that can be checked: %v", err)
	}
	res, err := c.verifier.Verify(e, verify.NewPolicy(x.option(), c.byKey))
	if err != nil {
		return nil, err
	}
	p := &proof{}
	for _, t := range res.VerifiedTimestamps {
		p.times = append(p.times, t.Timestamp.UTC())
	}
	if c.TransparencyLog > 0 {
		if p.logs, err = c.logs(e); err != nil {
			return nil, err
		}
	}
	if c.Key != nil {
		return p, nil
	}
	if p.certificate, err = summarize(res.Signature.Certificate); err != nil {
		return nil, err
	}
	if len(c.identities) == 0 {
		return p, nil
	}
	why := ""
	for _, m := range c.identities {
		err := m.match(p.certificate)
		if err == nil {
			return p, nil
		}
		why = err.Error()
	}
	if len(c.identities) > 1 {
		why = "it is by " + p.certificate.String() + ", who is none of those that count here"
	}
	return nil, &errSomeoneElse{*p, why}
}

// logs lists the entries of e whose log the trusted root knows: those that can
// have been verified.
func (c *checker) logs(e *bundle.Bundle) ([]LogEntry, error) {
	entries, err := e.TlogEntries()
	if err != nil {
		return nil, err
	}
	var out []LogEntry
	for _, x := range entries {
		id := hex.EncodeToString([]byte(x.LogKeyID()))
		if log, ok := c.Trust.material.RekorLogs()[id]; ok {
			out = append(out, LogEntry{Log: id, URL: log.BaseURL, Index: x.LogIndex()})
		}
	}
	return out, nil
}

// claims reports whether b says that c made it, unproven.
func (c *checker) claims(b *protobundle.Bundle) bool {
	hint := b.GetVerificationMaterial().GetPublicKey().GetHint()
	return c.Key != nil && hint != "" && hint == c.Key.hint
}

// keyMaterial trusts one key, whatever a bundle calls it, and the logs and
// timestamps of another material.
type keyMaterial struct {
	root.TrustedMaterial

	key *root.ExpiringKey
}

func (m *keyMaterial) PublicKeyVerifier(string) (root.TimeConstrainedVerifier, error) {
	return m.key, nil
}

func hasCertificate(b *protobundle.Bundle) bool {
	switch b.GetVerificationMaterial().GetContent().(type) {
	case *protobundle.VerificationMaterial_Certificate, *protobundle.VerificationMaterial_X509CertificateChain:
		return true
	}
	return false
}

func withoutLogs(b *protobundle.Bundle) *protobundle.Bundle {
	c, ok := proto.Clone(b).(*protobundle.Bundle)
	if !ok {
		return b
	}
	if m := c.GetVerificationMaterial(); m != nil {
		m.TlogEntries, m.TimestampVerificationData = nil, nil
	}
	return c
}
