package signing

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"google.golang.org/protobuf/encoding/protojson"
)

// predicateSign is the predicate type of a signature; every other type is an
// attestation, and says something else than "I published this" (cosign takes
// any type for a signature, so a signed bad scan result verifies there).
const predicateSign = "https://sigstore.dev/cosign/sign/v1"

// unsupportedError is a signature that a later version may be able to check. It
// is never taken for an absent one.
type unsupportedError struct{ reason string }

func (e *unsupportedError) Error() string { return e.reason }

func unsupported(format string, args ...any) error {
	return &unsupportedError{fmt.Sprintf(format, args...)}
}

// parseBundle reads a bundle referrer.
func parseBundle(data []byte) (*protobundle.Bundle, error) {
	var b protobundle.Bundle
	if err := protojson.Unmarshal(data, &b); err != nil {
		var head struct {
			MediaType string `json:"mediaType"`
		}
		lax := protojson.UnmarshalOptions{DiscardUnknown: true}
		switch {
		case json.Unmarshal(data, &head) == nil && strings.HasPrefix(head.MediaType, bundleMediaTypePrefix) && !knownBundle(head.MediaType):
			return nil, unsupported("bundles of type %q are not known here", clip(head.MediaType))
		case lax.Unmarshal(data, &b) == nil && knownBundle(b.MediaType):
			return nil, unsupported("the bundle has fields that are not known here")
		}
		return nil, fmt.Errorf("it is no sigstore bundle: %w", err)
	}
	if strings.HasPrefix(b.MediaType, bundleMediaTypePrefix) && !knownBundle(b.MediaType) {
		return nil, unsupported("bundles of type %q are not known here", clip(b.MediaType))
	}
	if b.GetMessageSignature() != nil {
		return nil, unsupported("it signs bytes without saying what for")
	}
	return &b, nil
}

// knownBundle reports whether sigstore-go reads bundles of this type: 0.1 to 0.3.
func knownBundle(mediaType string) bool {
	switch strings.TrimPrefix(mediaType, bundleMediaTypePrefix) {
	case "+json;version=0.1", "+json;version=0.2", "+json;version=0.3", ".v0.1+json", ".v0.2+json", ".v0.3+json":
		return true
	}
	return false
}

// statement is the part of an in-toto statement that decides what is signed.
type statement struct {
	PredicateType string
	Payload       []byte // JSON of all of it
	subjects      []statementSubject
}

type statementSubject struct {
	Name   string            `json:"name,omitempty"`
	Digest map[string]string `json:"digest"`
}

// parseStatement reads the signed statement of b, as sigstore-go will read it
// when it verifies.
func parseStatement(b *protobundle.Bundle) (*statement, error) {
	e, err := bundle.NewBundle(withoutLogs(b))
	if err != nil {
		return nil, fmt.Errorf("it is no sigstore bundle: %w", err)
	}
	env, err := e.Envelope()
	if err != nil {
		return nil, fmt.Errorf("its envelope cannot be read: %w", err)
	}
	if env.PayloadType != inTotoMediaType {
		return nil, unsupported("envelopes of type %q are not known here", clip(env.PayloadType))
	}
	in, err := env.Statement()
	if err != nil {
		return nil, fmt.Errorf("its statement cannot be read: %w", err)
	}
	s := &statement{PredicateType: in.GetPredicateType(), Payload: b.GetDsseEnvelope().GetPayload()}
	for _, sub := range in.GetSubject() {
		s.subjects = append(s.subjects, statementSubject{sub.GetName(), sub.GetDigest()})
	}
	return s, nil
}

// artifactOf is what the statement must be verified against: one of its subjects,
// which check has seen.
func artifactOf(sub Subject) (artifact, error) {
	sum, err := hexBytes(sub.Digest)
	return artifact{algorithm: sub.Digest.Algorithm().String(), sum: sum}, err
}

// firstSubject is the artifact that b is over, by its own words.
func firstSubject(b *protobundle.Bundle) (artifact, error) {
	s, err := parseStatement(b)
	if err != nil {
		return artifact{}, err
	}
	for _, x := range s.subjects {
		if h := x.Digest[string(digest.SHA256)]; h != "" {
			sum, err := hexBytes(digest.NewDigestFromEncoded(digest.SHA256, h))
			return artifact{algorithm: string(digest.SHA256), sum: sum}, err
		}
	}
	return artifact{}, errors.New("its statement names no digest")
}

// check compares the statement's subjects with sub and returns the name that it
// gives to this digest. A statement may name one digest twice, for two
// packages; one of them must be this one. The one that says so exactly goes first.
func (s *statement) check(sub Subject) (name string, err error) {
	exact, over := sub.PURL(), false
	err = errors.New("it is over another manifest")
	for _, x := range s.subjects {
		if x.Digest[string(sub.Digest.Algorithm())] != sub.Digest.Encoded() {
			continue
		}
		wrong := sub.namedBy(x.Name)
		switch {
		case wrong == nil && x.Name == exact:
			return x.Name, nil
		case wrong == nil && err != nil, !over:
			name, err = x.Name, wrong
		}
		over = true
	}
	if !over && len(s.subjects) > 0 {
		name = s.subjects[0].Name
	}
	return name, err
}

func hexBytes(d digest.Digest) ([]byte, error) {
	if err := d.Validate(); err != nil {
		return nil, fmt.Errorf("digest %q: %w", clip(d.String()), err)
	}
	return hex.DecodeString(d.Encoded())
}
