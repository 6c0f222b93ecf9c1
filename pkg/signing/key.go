package signing

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"

	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// minRSABits is the shortest RSA key accepted, as NIST SP 800-57 asks.
const minRSABits = 2048

// Key is a public key whose signatures count.
type Key struct {
	PEM         []byte // PKIX, "PUBLIC KEY"
	Fingerprint string // "SHA256:" and the unpadded base64 of the DER's hash
	Name        string // what its owner calls it; may be empty

	verifier signature.Verifier
	hint     string // how cosign names the key in a bundle
}

// ParsePublicKey reads one PEM block with an ECDSA (P-256, P-384, P-521), RSA
// (2048 bits or more) or Ed25519 public key, as in cosign.pub. Anything else,
// and anything after it, is a clyde.ErrInvalid error.
func ParsePublicKey(data []byte) (Key, error) {
	if len(data) > MaxKeyPEM {
		return Key{}, badKey("the public key is %d bytes; the limit is %d", len(data), MaxKeyPEM)
	}
	block, rest := pem.Decode(data)
	switch {
	case block == nil:
		return Key{}, badKey("this is no public key: it has no PEM block")
	case block.Type != string(cryptoutils.PublicKeyPEMType):
		return Key{}, badKey("this is no public key but %q", clip(block.Type))
	case nextBlock(rest):
		return Key{}, badKey("there is more than one key in this file").Fix("Register each key on its own.")
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return Key{}, badKey("the public key cannot be read").Because(err)
	}
	return newKey(pub)
}

func newKey(pub crypto.PublicKey) (Key, error) {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		if k.Curve.Params().BitSize < 256 {
			return Key{}, badKey("the key's curve is %s; P-256 is the smallest accepted", k.Curve.Params().Name)
		}
	case *rsa.PublicKey:
		if k.N.BitLen() < minRSABits {
			return Key{}, badKey("the RSA key has %d bits; %d is the least accepted", k.N.BitLen(), minRSABits)
		}
	case ed25519.PublicKey:
	default:
		return Key{}, badKey("keys of type %T are not accepted: only ECDSA, RSA and Ed25519", pub)
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return Key{}, badKey("the public key cannot be written").Because(err)
	}
	v, err := signature.LoadDefaultVerifier(pub, *cosign.GetDefaultLoadOptions(nil)...)
	if err != nil {
		return Key{}, badKey("keys of type %T are not accepted", pub).Because(err)
	}
	sum := sha256.Sum256(der)
	return Key{
		PEM:         pem.EncodeToMemory(&pem.Block{Type: string(cryptoutils.PublicKeyPEMType), Bytes: der}),
		Fingerprint: "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:]),
		verifier:    v,
		hint:        base64.StdEncoding.EncodeToString(sum[:]),
	}, nil
}

// nextBlock reports whether a second PEM block follows the first.
func nextBlock(rest []byte) bool {
	block, _ := pem.Decode(rest)
	return block != nil
}

func badKey(format string, args ...any) *clyde.Error {
	return clyde.Errorf(clyde.ErrInvalid, format, args...).WithCode("bad_key")
}

// GenerateKeyPair makes an ECDSA P-256 key pair as `cosign generate-key-pair`
// does: the private half encrypted with pass (which may be empty) in an
// "ENCRYPTED SIGSTORE PRIVATE KEY" block, the public half in PKIX.
func GenerateKeyPair(pass []byte) (private, public []byte, err error) {
	kp, err := cosign.GenerateKeyPair(func(bool) ([]byte, error) { return pass, nil })
	if err != nil {
		return nil, nil, clyde.Errorf(clyde.ErrUnavailable, "no key pair could be made").Because(err)
	}
	return kp.PrivateBytes, kp.PublicBytes, nil
}
