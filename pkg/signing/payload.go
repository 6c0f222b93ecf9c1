package signing

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
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
	annotationBundle        = "dev.sigstore.cosign/bundle"
	annotationTimestamp     = "dev.sigstore.cosign/rfc3161timestamp"
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

// legacySignature turns a simplesigning layer into a bundle, so that one
// verifier serves all formats.
func legacySignature(data []byte, annotations map[string]string) (*protobundle.Bundle, error) {
	sig, err := base64.StdEncoding.DecodeString(annotations[annotationSignature])
	if err != nil || len(sig) == 0 {
		return nil, errors.New("its annotation " + annotationSignature + " holds no signature")
	}
	sum, err := hexBytes(digest.FromBytes(data))
	if err != nil {
		return nil, err
	}
	b, err := legacyBundle(annotations)
	if err != nil {
		return nil, err
	}
	b.Content = &protobundle.Bundle_MessageSignature{MessageSignature: &protocommon.MessageSignature{
		MessageDigest: &protocommon.HashOutput{Algorithm: protocommon.HashAlgorithm_SHA2_256, Digest: sum},
		Signature:     sig,
	}}
	return b, nil
}

// legacyAttestation turns a DSSE layer into a bundle.
func legacyAttestation(data []byte, annotations map[string]string) (*protobundle.Bundle, error) {
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
	b, err := legacyBundle(annotations)
	if err != nil {
		return nil, err
	}
	b.Content = &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
		PayloadType: env.PayloadType,
		Payload:     env.Payload,
		Signatures:  []*protodsse.Signature{{Sig: env.Signatures[0].Sig}},
	}}
	return b, nil
}

// legacyBundle reads what a layer's annotations hold besides the signature: a
// certificate, an entry of a log with its promise, a timestamp.
func legacyBundle(annotations map[string]string) (*protobundle.Bundle, error) {
	m := &protobundle.VerificationMaterial{
		Content: &protobundle.VerificationMaterial_PublicKey{PublicKey: &protocommon.PublicKeyIdentifier{}},
	}
	if text := annotations[annotationCertificate]; text != "" {
		block, _ := pem.Decode([]byte(text))
		if block == nil || block.Type != "CERTIFICATE" {
			return nil, errors.New("its annotation " + annotationCertificate + " holds no certificate")
		}
		m.Content = &protobundle.VerificationMaterial_X509CertificateChain{X509CertificateChain: &protocommon.X509CertificateChain{
			Certificates: []*protocommon.X509Certificate{{RawBytes: block.Bytes}},
		}}
	}
	if text := annotations[annotationBundle]; text != "" {
		entry, err := legacyEntry(text)
		if err != nil {
			return nil, fmt.Errorf("its annotation %s holds no entry of a log: %w", annotationBundle, err)
		}
		m.TlogEntries = []*protorekor.TransparencyLogEntry{entry}
	}
	if text := annotations[annotationTimestamp]; text != "" {
		var stamp legacyStamp
		if err := json.Unmarshal([]byte(text), &stamp); err != nil {
			return nil, fmt.Errorf("its annotation %s holds no timestamp: %w", annotationTimestamp, err)
		}
		m.TimestampVerificationData = &protobundle.TimestampVerificationData{
			Rfc3161Timestamps: []*protocommon.RFC3161SignedTimestamp{{SignedTimestamp: stamp.SignedRFC3161Timestamp}},
		}
	}
	return &protobundle.Bundle{MediaType: legacyBundleMediaType, VerificationMaterial: m}, nil
}

// The forms of annotations that cosign keeps JSON in (its pkg/cosign/bundle).
type (
	legacyStamp struct{ SignedRFC3161Timestamp []byte }
	legacyLog   struct {
		SignedEntryTimestamp []byte
		Payload              struct {
			Body           []byte `json:"body"`
			IntegratedTime int64  `json:"integratedTime"`
			LogIndex       int64  `json:"logIndex"`
			LogID          string `json:"logID"`
		}
	}
)

// legacyAnnotations is the opposite of legacyBundle for a bundle with a
// certificate: what a layer says besides its payload. Log entries that no
// annotation can hold are left out.
func legacyAnnotations(b *protobundle.Bundle) (map[string]string, error) {
	m := b.GetVerificationMaterial()
	out := map[string]string{
		annotationSignature:   base64.StdEncoding.EncodeToString(b.GetMessageSignature().GetSignature()),
		annotationCertificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.GetCertificate().GetRawBytes()})),
	}
	if stamps := m.GetTimestampVerificationData().GetRfc3161Timestamps(); len(stamps) > 0 {
		text, err := json.Marshal(legacyStamp{stamps[0].GetSignedTimestamp()})
		if err != nil {
			return nil, err
		}
		out[annotationTimestamp] = string(text)
	}
	for _, e := range m.GetTlogEntries() {
		promise := e.GetInclusionPromise().GetSignedEntryTimestamp()
		if len(promise) == 0 {
			continue
		}
		var l legacyLog
		l.SignedEntryTimestamp = promise
		l.Payload.Body, l.Payload.IntegratedTime = e.GetCanonicalizedBody(), e.GetIntegratedTime()
		l.Payload.LogIndex, l.Payload.LogID = e.GetLogIndex(), hex.EncodeToString(e.GetLogId().GetKeyId())
		text, err := json.Marshal(l)
		if err != nil {
			return nil, err
		}
		out[annotationBundle] = string(text)
		break
	}
	return out, nil
}

// legacyEntry reads an entry of Rekor v1 as cosign v2 keeps it.
func legacyEntry(text string) (*protorekor.TransparencyLogEntry, error) {
	var e legacyLog
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return nil, err
	}
	log, err := hex.DecodeString(e.Payload.LogID)
	if err != nil {
		return nil, err
	}
	var kind struct {
		Kind       string `json:"kind"`
		APIVersion string `json:"apiVersion"`
	}
	if err := json.Unmarshal(e.Payload.Body, &kind); err != nil {
		return nil, err
	}
	return &protorekor.TransparencyLogEntry{
		LogIndex:          e.Payload.LogIndex,
		LogId:             &protocommon.LogId{KeyId: log},
		KindVersion:       &protorekor.KindVersion{Kind: kind.Kind, Version: kind.APIVersion},
		IntegratedTime:    e.Payload.IntegratedTime,
		InclusionPromise:  &protorekor.InclusionPromise{SignedEntryTimestamp: e.SignedEntryTimestamp},
		CanonicalizedBody: e.Payload.Body,
	}, nil
}
