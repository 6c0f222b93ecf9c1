package signing

import (
	"bytes"
	"context"
	"fmt"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// authority is somebody whose signatures count: today a key, and whatever else
// brings its own verification material (certificates of an identity) later.
type authority interface {
	// check verifies the signature of e over artifact. A nil error means that
	// this authority made it.
	check(e verify.SignedEntity, artifact verify.ArtifactPolicyOption) error
	// claimed reports whether e says that this authority made it, unproven.
	claimed(e *protobundle.Bundle) bool
	// sign fills in who signed.
	sign(r *SignatureResult)
}

// keyAuthority is a public key. Its signatures have no time: they count for as
// long as the key does.
type keyAuthority struct {
	key      Key
	verifier *verify.Verifier
}

func newKeyAuthority(k Key) (*keyAuthority, error) {
	if k.verifier == nil {
		return nil, clyde.Errorf(clyde.ErrInvalid, "a key was not made with ParsePublicKey").WithCode("bad_key")
	}
	v, err := verify.NewVerifier(&keyMaterial{key: root.NewExpiringKey(k.verifier, time.Time{}, time.Time{})}, verify.WithNoObserverTimestamps())
	if err != nil {
		return nil, fmt.Errorf("signing.newKeyAuthority: %w", err)
	}
	return &keyAuthority{k, v}, nil
}

func (a *keyAuthority) check(e verify.SignedEntity, artifact verify.ArtifactPolicyOption) error {
	_, err := a.verifier.Verify(e, verify.NewPolicy(artifact, verify.WithKey()))
	return err
}

func (a *keyAuthority) claimed(b *protobundle.Bundle) bool {
	hint := b.GetVerificationMaterial().GetPublicKey().GetHint()
	return hint != "" && hint == a.key.hint
}

func (a *keyAuthority) sign(r *SignatureResult) {
	r.KeyFingerprint, r.KeyName = a.key.Fingerprint, a.key.Name
}

// keyMaterial trusts one key, whatever a bundle calls it, and no certificate.
type keyMaterial struct {
	root.BaseTrustedMaterial
	key *root.ExpiringKey
}

func (m *keyMaterial) PublicKeyVerifier(string) (root.TimeConstrainedVerifier, error) {
	return m.key, nil
}

// Verify reads all signatures of sub and says what they amount to under keys;
// State says how. An error means that nothing could be found out: the registry
// could not be read in time (clyde.ErrUnavailable), or sub or keys are no good
// (clyde.ErrInvalid). It is never a verdict.
func Verify(ctx context.Context, src Source, sub Subject, keys []Key, lim Limits) (*Report, error) {
	if len(keys) > MaxKeys {
		return nil, clyde.Errorf(clyde.ErrInvalid, "%d keys are too many to try; the limit is %d", len(keys), MaxKeys)
	}
	authorities := make([]authority, len(keys))
	for i, k := range keys {
		a, err := newKeyAuthority(k)
		if err != nil {
			return nil, err
		}
		authorities[i] = a
	}
	return verifyWith(ctx, src, sub, authorities, lim)
}

func verifyWith(ctx context.Context, src Source, sub Subject, authorities []authority, lim Limits) (*Report, error) {
	lim = lim.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, lim.Timeout)
	defer cancel()
	found, err := discover(ctx, src, sub.Repo, sub.Digest, lim)
	if err != nil {
		return nil, err
	}
	rep := &Report{
		Repo: sub.Repo, Digest: sub.Digest, Problems: found.problems,
		Signatures: []SignatureResult{}, Attestations: []SignatureResult{},
	}
	for i := range found.entries {
		if err := ctx.Err(); err != nil {
			return nil, clyde.Errorf(clyde.ErrUnavailable, "the signatures of %s@%s could not be checked in time", sub.Repo, sub.Digest).Because(err)
		}
		res, attestation := judge(&found.entries[i], sub, authorities)
		if attestation {
			rep.Attestations = append(rep.Attestations, res)
		} else {
			rep.Signatures = append(rep.Signatures, res)
		}
	}
	rep.State = verdict(rep.Signatures, found.truncated)
	if rep.State != StateVerified && found.failed != nil {
		return nil, found.failed
	}
	return rep, nil
}

// verdict sums up: one verified signature is enough, whatever lies next to it;
// without one, a wrong signature is worse than a stranger's. Absence is only
// stated when everything was examined.
func verdict(signatures []SignatureResult, truncated bool) State {
	state := StateUnsigned
	if truncated {
		state = StateUntrusted
	}
	for _, s := range signatures {
		switch s.State {
		case StateVerified:
			return StateVerified
		case StateInvalid:
			state = StateInvalid
		case StateUntrusted:
			if state == StateUnsigned {
				state = StateUntrusted
			}
		}
	}
	return state
}

// judge checks one entry and says whether it is an attestation.
func judge(e *Entry, sub Subject, authorities []authority) (res SignatureResult, attestation bool) {
	res = SignatureResult{Format: e.Format, Manifest: e.Manifest, Layer: e.Layer, State: StateUntrusted}
	// Until the statement is read, the place is all there is to go by.
	attestation = e.Format == FormatLegacyAtt
	refuse := func(err error) (SignatureResult, bool) {
		res.Reason = clip(err.Error())
		if (Entry{Err: err, cause: e.cause}).Unsupported() {
			res.Unsupported = true
		} else {
			res.State = StateInvalid
		}
		return res, attestation
	}
	if e.Err != nil {
		return refuse(e.Err)
	}
	b, err := bundle.NewBundle(e.bundle)
	if err != nil {
		return refuse(fmt.Errorf("it is no sigstore bundle: %w", err))
	}

	var artifact verify.ArtifactPolicyOption
	if e.Format == FormatLegacySig {
		p, err := parsePayload(e.data)
		if err != nil {
			return refuse(err)
		}
		res.Subject = clip(p.purl())
		if res.Subject == "" {
			res.Subject = clip(p.Critical.Identity.DockerReference)
		}
		if err := p.check(sub); err != nil {
			return refuse(err)
		}
		artifact = verify.WithArtifact(bytes.NewReader(e.data))
	} else {
		s, err := parseStatement(b)
		if err != nil {
			return refuse(err)
		}
		res.PredicateType = clip(s.PredicateType)
		attestation = s.PredicateType != predicateSign
		name, err := s.check(sub)
		res.Subject = clip(name)
		if err != nil {
			return refuse(err)
		}
		sum, err := hexBytes(sub.Digest)
		if err != nil {
			return refuse(err)
		}
		artifact = verify.WithArtifactDigest(sub.Digest.Algorithm().String(), sum)
	}

	res.Reason = "it is by none of the keys that count here"
	for _, a := range authorities {
		if e.Format == FormatLegacySig {
			artifact = verify.WithArtifact(bytes.NewReader(e.data)) // a reader serves one check
		}
		if a.check(b, artifact) == nil {
			res.State, res.Reason = StateVerified, ""
			a.sign(&res)
			return res, attestation
		}
		if a.claimed(e.bundle) {
			res.State, res.Reason = StateInvalid, "it claims to be made with a key that did not make it"
		}
	}
	return res, attestation
}
