package signin

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
)

// maxSealed bounds a cookie that is opened, in bytes: what RFC 6265 asks
// browsers to keep.
const maxSealed = 4096

// sealer encrypts and authenticates what a browser keeps for us: AES-256-GCM
// with a nonce of 96 random bits, under a key of its own that is derived from
// the server's secret.
type sealer struct{ aead cipher.AEAD }

func newSealer(secret []byte) (sealer, error) {
	if len(secret) < sha256.Size {
		return sealer{}, errors.New("the secret is too short")
	}
	key, err := hkdf.Key(sha256.New, secret, nil, "clyde sign-in cookies 1", sha256.Size)
	if err != nil {
		return sealer{}, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealer{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return sealer{aead}, err
}

// seal encodes v. What is sealed for one kind cannot be opened for another.
func (s sealer) seal(kind string, v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, b, []byte(kind))), nil
}

var errSealed = errors.New("signin: not sealed by us")

func (s sealer) open(kind, text string, v any) error {
	if len(text) > maxSealed {
		return errSealed
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return errSealed
	}
	if b, err = s.aead.Open(nil, nil, b, []byte(kind)); err != nil {
		return errSealed
	}
	return json.Unmarshal(b, v)
}
