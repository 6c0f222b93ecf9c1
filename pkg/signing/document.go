package signing

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// SignDocument signs bytes that are no package: predicateType says what they
// are, so that nothing signed as one thing counts as another. Name is what the
// document calls itself. It returns the JSON of a sigstore bundle.
func SignDocument(ctx context.Context, signer Signer, predicateType, name string, document []byte) ([]byte, error) {
	if u, err := url.Parse(predicateType); err != nil || !u.IsAbs() || predicateType == predicateSign {
		return nil, clyde.Errorf(clyde.ErrInvalid, "the predicate type %q is not one of a document", clip(predicateType)).WithCode("bad_predicate_type")
	}
	d := digest.FromBytes(document)
	st, err := encodeStatement([]statementSubject{{name, map[string]string{d.Algorithm().String(): d.Encoded()}}}, predicateType, json.RawMessage("{}"))
	if err != nil {
		return nil, err
	}
	return signer.SignStatement(ctx, st)
}

// VerifyDocument says whose signature of document, of at most MaxBlob bytes, is
// in bundle, as VerifyBy does of a package's. An error means that an authority is
// no good (clyde.ErrInvalid); it is never a verdict.
func VerifyDocument(bundle []byte, predicateType string, document []byte, authorities []Authority) (*SignatureResult, error) {
	if len(authorities) > MaxKeys {
		return nil, clyde.Errorf(clyde.ErrInvalid, "%d keys and identities are too many to try; the limit is %d", len(authorities), MaxKeys)
	}
	res := &SignatureResult{Format: FormatBundle, Layer: digest.FromBytes(bundle), State: StateUntrusted}
	e := &Entry{Format: FormatBundle, Layer: res.Layer}
	over, err := documentSigned(e, bundle, predicateType, document)
	if err != nil {
		res.refuse(err, nil)
		return res, nil
	}
	j := judge{authorities: make([]*checker, len(authorities)), witnesses: witnessesOf(nil)}
	for i, a := range authorities {
		if a.Keyless != nil && len(a.Keyless.Identities) == 0 {
			return nil, clyde.Errorf(clyde.ErrInvalid, "the authority %q names no identity: anybody's signature would count", clip(a.Name)).WithCode("bad_authority")
		}
		if j.authorities[i], err = newAuthority(a); err != nil {
			return nil, err
		}
	}
	j.prove(res, e, over)
	return res, nil
}

// documentSigned reads bundle into e, and says what must be proven of it.
func documentSigned(e *Entry, bundle []byte, predicateType string, document []byte) (over artifact, err error) {
	if len(bundle) > MaxBlob {
		return over, fmt.Errorf("its signature is %d bytes; the limit is %d", len(bundle), MaxBlob)
	}
	if e.bundle, err = parseBundle(bundle); err != nil {
		return over, err
	}
	s, err := parseStatement(e.bundle)
	if err != nil {
		return over, err
	}
	if s.PredicateType != predicateType {
		return over, fmt.Errorf("it signs something of the type %q", clip(s.PredicateType))
	}
	d := digest.FromBytes(document)
	for _, x := range s.subjects {
		if x.Digest[d.Algorithm().String()] == d.Encoded() {
			sum, err := hexBytes(d)
			return artifact{algorithm: d.Algorithm().String(), sum: sum}, err
		}
	}
	return over, fmt.Errorf("it is over other bytes than these, %s", d)
}
