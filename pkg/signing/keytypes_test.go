package signing_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	cosignkeys "github.com/sigstore/cosign/v2/pkg/cosign"

	"github.com/clydepm/clyde-registry/pkg/signing"
)

// imported turns a key into a pair as `cosign import-key-pair` does.
func imported(t *testing.T, k crypto.Signer) pair {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	kb, err := cosignkeys.ImportKeyPair(path, func(bool) ([]byte, error) { return []byte("secret"), nil })
	if err != nil {
		t.Fatal(err)
	}
	signer, err := signing.LoadSigner(kb.PrivateBytes, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := signing.ParsePublicKey(kb.PublicBytes)
	if err != nil {
		t.Fatal(err)
	}
	return pair{kb.PrivateBytes, kb.PublicBytes, signer, key}
}

func keyTypes(t *testing.T) map[string]crypto.Signer {
	t.Helper()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.Signer{"P-384": p384, "RSA 2048": r, "Ed25519": ed}
}

func TestKeyTypes(t *testing.T) {
	t.Parallel()
	other := newPair(t, "")
	for name, k := range keyTypes(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := imported(t, k)
			r := newRegistry(t, true)
			sub := r.publish(t, "acme", "zlib", "1.3.1")
			mustSign(t, r, p, sub, signing.SignOptions{Legacy: true})
			rep := mustVerify(t, r, sub, p.key)
			wantState(t, rep, signing.StateVerified)
			for _, s := range rep.Signatures {
				if s.State != signing.StateVerified {
					t.Errorf("signature = %+v; want verified", s)
				}
			}
			wantState(t, mustVerify(t, r, sub, other.key), signing.StateUntrusted)
		})
	}
}
