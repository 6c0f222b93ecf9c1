package signing

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
)

// Media types, annotations and words of cosign's formats (its
// specs/SIGNATURE_SPEC.md and specs/BUNDLE_SPEC.md).
const (
	bundleMediaType        = "application/vnd.dev.sigstore.bundle.v0.3+json"
	bundleMediaTypePrefix  = "application/vnd.dev.sigstore.bundle"
	legacyBundleMediaType  = "application/vnd.dev.sigstore.bundle+json;version=0.1" // what a legacy entry becomes in memory
	simpleSigningMediaType = "application/vnd.dev.cosign.simplesigning.v1+json"
	dsseMediaType          = "application/vnd.dsse.envelope.v1+json"
	inTotoMediaType        = "application/vnd.in-toto+json"

	annotationSignature     = "dev.cosignproject.cosign/signature"
	annotationCertificate   = "dev.sigstore.cosign/certificate"
	annotationContent       = "dev.sigstore.bundle.content"
	annotationPredicateType = "dev.sigstore.bundle.predicateType"

	simpleSigningType = "cosign container image signature"
	// optionalPURL is our key among a payload's optional claims.
	optionalPURL = "purl"
)

// payload is a simplesigning document, the signed bytes of a legacy signature.
type payload struct {
	Critical struct {
		Identity struct {
			DockerReference string `json:"docker-reference"`
		} `json:"identity"`
		Image struct {
			Digest digest.Digest `json:"docker-manifest-digest"`
		} `json:"image"`
		Type string `json:"type"`
	} `json:"critical"`
	Optional map[string]any `json:"optional"`
}

// newPayload writes the payload for s as cosign does, with the package's purl
// among the optional claims: without it, a signature moves to another version.
func newPayload(s Subject) ([]byte, error) {
	var p payload
	p.Critical.Identity.DockerReference = s.Repo
	p.Critical.Image.Digest = s.Digest
	p.Critical.Type = simpleSigningType
	if purl := s.PURL(); purl != "" {
		p.Optional = map[string]any{optionalPURL: purl}
	}
	return json.Marshal(p)
}

// parsePayload reads a simplesigning document: one JSON object, nothing after.
func parsePayload(data []byte) (*payload, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	var p payload
	if err := dec.Decode(&p); err != nil {
		return nil, fmt.Errorf("its payload is no simplesigning document: %w", err)
	}
	if dec.More() {
		return nil, errors.New("something follows its payload")
	}
	return &p, nil
}

// purl returns the package a payload names, if it does.
func (p *payload) purl() string {
	s, _ := p.Optional[optionalPURL].(string)
	return s
}

// check compares what the payload says with s.
func (p *payload) check(s Subject) error {
	switch {
	case p.Critical.Type != simpleSigningType:
		return fmt.Errorf("its payload is a %q, no signature", clip(p.Critical.Type))
	case p.Critical.Image.Digest != s.Digest:
		return fmt.Errorf("it is over %s, not over this manifest", clip(p.Critical.Image.Digest.String()))
	}
	// The package URL is the exact claim; the repository only stands in for it.
	if purl := p.purl(); purl != "" {
		return s.namedBy(purl)
	}
	return s.inRepository(p.Critical.Identity.DockerReference)
}

// errCertificate marks a signature that needs more than keys to be checked.
var errCertificate = errors.New("it is made with a certificate, and only keys are checked")

// legacySignature turns a simplesigning layer into a bundle, so that one
// verifier serves all formats.
func legacySignature(data []byte, annotations map[string]string) (*protobundle.Bundle, error) {
	if annotations[annotationCertificate] != "" {
		return nil, errCertificate
	}
	sig, err := base64.StdEncoding.DecodeString(annotations[annotationSignature])
	if err != nil || len(sig) == 0 {
		return nil, errors.New("its annotation " + annotationSignature + " holds no signature")
	}
	sum, err := hexBytes(digest.FromBytes(data))
	if err != nil {
		return nil, err
	}
	b := legacyBundle()
	b.Content = &protobundle.Bundle_MessageSignature{MessageSignature: &protocommon.MessageSignature{
		MessageDigest: &protocommon.HashOutput{Algorithm: protocommon.HashAlgorithm_SHA2_256, Digest: sum},
		Signature:     sig,
	}}
	return b, nil
}

// legacyAttestation turns a DSSE layer into a bundle.
func legacyAttestation(data []byte, annotations map[string]string) (*protobundle.Bundle, error) {
	if annotations[annotationCertificate] != "" {
		return nil, errCertificate
	}
	var env struct {
		PayloadType string `json:"payloadType"`
		Payload     []byte `json:"payload"`
		Signatures  []struct {
			Sig []byte `json:"sig"`
		} `json:"signatures"`
	}
	if err := json.Unmarshal(data, &env); err != nil {
		return nil, fmt.Errorf("it is no DSSE envelope: %w", err)
	}
	if len(env.Signatures) != 1 {
		return nil, fmt.Errorf("its envelope holds %d signatures; want one", len(env.Signatures))
	}
	b := legacyBundle()
	b.Content = &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
		PayloadType: env.PayloadType,
		Payload:     env.Payload,
		Signatures:  []*protodsse.Signature{{Sig: env.Signatures[0].Sig}},
	}}
	return b, nil
}

func legacyBundle() *protobundle.Bundle {
	return &protobundle.Bundle{
		MediaType: legacyBundleMediaType,
		VerificationMaterial: &protobundle.VerificationMaterial{
			Content: &protobundle.VerificationMaterial_PublicKey{PublicKey: &protocommon.PublicKeyIdentifier{}},
		},
	}
}
