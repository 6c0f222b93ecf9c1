package signing

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/pem"
	"fmt"

	"github.com/sigstore/cosign/v2/pkg/cosign"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/options"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Signer makes signatures: a KeySigner with a key, a KeylessSigner with a
// short-lived certificate. What it returns carries its own verification material.
type Signer interface {
	// Authority says whose signatures these will be found to be: nil where that
	// is not known before the first.
	Authority() *Authority
	// SignStatement returns the JSON of a sigstore bundle over an in-toto statement.
	SignStatement(ctx context.Context, statement []byte) ([]byte, error)
	// SignPayload signs a simplesigning payload and returns the annotations that
	// a legacy layer carries: the signature and what is needed to check it.
	SignPayload(ctx context.Context, payload []byte) (map[string]string, error)
}

// KeySigner signs with a private key, which it has, or which something else
// keeps and uses for it.
type KeySigner struct {
	key Key
	pub crypto.PublicKey
	sv  signature.SignerVerifier
	alg signature.AlgorithmDetails
}

var _ Signer = (*KeySigner)(nil)

// LoadSigner reads a private key as cosign writes it, encrypted with pass. A
// wrong pass and an unreadable key are clyde.ErrInvalid errors with the codes
// bad_key_password and bad_key.
func LoadSigner(data, pass []byte) (*KeySigner, error) {
	if len(data) > MaxKeyPEM {
		return nil, badKey("the private key is %d bytes; the limit is %d", len(data), MaxKeyPEM)
	}
	block, _ := pem.Decode(data)
	switch {
	case block == nil:
		return nil, badKey("this is no private key: it has no PEM block")
	case block.Type == "PUBLIC KEY":
		return nil, badKey("this is a public key; signing needs the private one").Fix("Name the file cosign.key instead of cosign.pub.")
	case block.Type != cosign.SigstorePrivateKeyPemType && block.Type != cosign.CosignPrivateKeyPemType:
		return nil, badKey("this is no encrypted private key but %q", clip(block.Type)).
			Fix("Turn it into one with `cosign import-key-pair --key FILE`.")
	}
	sv, err := cosign.LoadPrivateKey(data, pass, nil)
	if err != nil {
		return nil, clyde.Errorf(clyde.ErrInvalid, "the private key does not open with this password").
			WithCode("bad_key_password").Fix("Set CLYDE_KEY_PASSWORD or COSIGN_PASSWORD to the key's password.").Because(err)
	}
	pub, err := sv.PublicKey()
	if err != nil {
		return nil, badKey("the private key has no public half").Because(err)
	}
	return newKeySigner(sv, pub)
}

func newKeySigner(sv signature.SignerVerifier, pub crypto.PublicKey) (*KeySigner, error) {
	key, err := newKey(pub)
	if err != nil {
		return nil, err
	}
	alg, err := signature.GetDefaultAlgorithmDetails(pub, *cosign.GetDefaultLoadOptions(nil)...)
	if err != nil {
		return nil, badKey("keys of type %T cannot sign", pub).Because(err)
	}
	return &KeySigner{key: key, pub: pub, sv: sv, alg: alg}, nil
}

// Key returns the public half.
func (s *KeySigner) Key() Key { return s.key }

// Authority returns the key as an authority.
func (s *KeySigner) Authority() *Authority { return &Authority{Name: "signer", Key: &s.key} }

// SignStatement returns a v0.3 bundle without log entry and timestamp.
func (s *KeySigner) SignStatement(ctx context.Context, statement []byte) ([]byte, error) {
	b, err := sign.Bundle(&sign.DSSEData{Data: statement, PayloadType: inTotoMediaType}, keypair{s}, sign.BundleOptions{Context: ctx})
	if err != nil {
		return nil, fmt.Errorf("signing.SignStatement: %w", err)
	}
	return protojson.Marshal(b)
}

// SignPayload returns the one annotation of a signature made with a key.
func (s *KeySigner) SignPayload(ctx context.Context, payload []byte) (map[string]string, error) {
	sig, err := s.sv.SignMessage(bytes.NewReader(payload), options.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("signing.SignPayload: %w", err)
	}
	return map[string]string{annotationSignature: base64.StdEncoding.EncodeToString(sig)}, nil
}

// keypair shows a KeySigner to sigstore-go.
type keypair struct{ s *KeySigner }

func (k keypair) GetHashAlgorithm() protocommon.HashAlgorithm { return k.s.alg.GetProtoHashType() }
func (k keypair) GetSigningAlgorithm() protocommon.PublicKeyDetails {
	return k.s.alg.GetSignatureAlgorithm()
}
func (k keypair) GetHint() []byte                  { return []byte(k.s.key.hint) }
func (k keypair) GetPublicKeyPem() (string, error) { return string(k.s.key.PEM), nil }

// GetKeyAlgorithm uses the words of sigstore-go's own key pairs.
func (k keypair) GetKeyAlgorithm() string {
	switch k.GetPublicKey().(type) {
	case *rsa.PublicKey:
		return "RSA"
	case ed25519.PublicKey:
		return "ED25519"
	}
	return "ECDSA"
}

func (k keypair) GetPublicKey() crypto.PublicKey {
	return k.s.pub
}

// SignData returns the signature over data and the digest that was signed.
func (k keypair) SignData(ctx context.Context, data []byte) (sig, sum []byte, err error) {
	sig, err = k.s.sv.SignMessage(bytes.NewReader(data), options.WithContext(ctx))
	if err != nil {
		return nil, nil, err
	}
	h := k.s.alg.GetHashType()
	if h == crypto.Hash(0) {
		return sig, data, nil // Ed25519 signs the message itself
	}
	w := h.New()
	w.Write(data)
	return sig, w.Sum(nil), nil
}
