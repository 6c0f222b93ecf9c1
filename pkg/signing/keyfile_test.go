package signing_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

func TestKeyFiles(t *testing.T) {
	t.Parallel()
	p := newPair(t, "")
	prefix := filepath.Join(t.TempDir(), "team")
	if err := signing.WriteKeyPair(prefix, p.private, p.public); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(prefix + ".key"); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("private key: %v, %v; want mode 0600", info.Mode(), err)
	}
	if err := signing.WriteKeyPair(prefix, p.private, p.public); !errors.Is(err, clyde.ErrConflict) {
		t.Errorf("writing over a key pair = %v; want ErrConflict", err)
	}
	vars := map[string]string{"COSIGN_PASSWORD": "secret", "KEY": string(p.private), "PUB": string(p.public)}
	env := func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
	for _, ref := range []string{prefix + ".key", "env://KEY"} {
		s, err := signing.ReadSigner(t.Context(), ref, env, nil)
		if err != nil || s.Key().Fingerprint != p.key.Fingerprint {
			t.Errorf("ReadSigner(%s) = %v, %v; want the key", ref, s, err)
		}
	}
	for _, ref := range []string{prefix + ".pub", "env://PUB"} {
		k, err := signing.ReadPublicKey(t.Context(), ref, env)
		if err != nil || k.Fingerprint != p.key.Fingerprint || k.Name != ref {
			t.Errorf("ReadPublicKey(%s) = %v, %v; want the key, named %s", ref, k.Fingerprint, err, ref)
		}
	}
	none := func(string) (string, bool) { return "", false }
	if _, err := signing.ReadSigner(t.Context(), prefix+".key", none, nil); clyde.AsError(err) == nil || clyde.AsError(err).Code != "key_password_needed" {
		t.Errorf("ReadSigner without a password = %v; want key_password_needed", err)
	}
	asked := func() ([]byte, error) { return []byte("secret"), nil }
	if _, err := signing.ReadSigner(t.Context(), prefix+".key", none, asked); err != nil {
		t.Errorf("ReadSigner with the password asked for = %v; want it to open", err)
	}
	if _, err := signing.ReadPublicKey(t.Context(), prefix+".nothing", env); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("ReadPublicKey of no file = %v; want ErrNotFound", err)
	}
	if _, err := signing.ReadPublicKey(t.Context(), "env://NOTHING", env); !errors.Is(err, clyde.ErrInvalid) {
		t.Errorf("ReadPublicKey of no variable = %v; want ErrInvalid", err)
	}
}

func publicPEM(t *testing.T, pub any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func TestParsePublicKey(t *testing.T) {
	t.Parallel()
	p := newPair(t, "")
	small, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r2048, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	shortRSA := *r2048
	shortRSA.N = r2048.Primes[0]
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// At the limit: a comment before the block is skipped, and counts.
	padded := append(bytes.Repeat([]byte("#"), signing.MaxKeyPEM-len(p.public)-1), append([]byte("\n"), p.public...)...)
	tests := map[string]struct {
		pem  []byte
		want string // part of the message; "" for accepted
	}{
		"P-256":           {p.public, ""},
		"P-384":           {publicPEM(t, &p384.PublicKey), ""},
		"RSA 2048":        {publicPEM(t, &r2048.PublicKey), ""},
		"Ed25519":         {publicPEM(t, ed), ""},
		"at the limit":    {padded, ""},
		"over the limit":  {append([]byte("#"), padded...), "limit"},
		"RSA too short":   {publicPEM(t, &rsa.PublicKey{N: shortRSA.N, E: 65537}), "least accepted"},
		"P-224":           {publicPEM(t, &small.PublicKey), "P-256"},
		"private key":     {p.private, "no public key"},
		"two keys":        {append(bytes.Clone(p.public), p.public...), "more than one"},
		"nothing":         {nil, "no PEM block"},
		"rubbish in PEM":  {[]byte("-----BEGIN PUBLIC KEY-----\naGVsbG8=\n-----END PUBLIC KEY-----\n"), "cannot be read"},
		"certificate PEM": {bytes.ReplaceAll(p.public, []byte("PUBLIC KEY"), []byte("CERTIFICATE")), "no public key"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, err := signing.ParsePublicKey(tt.pem)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("ParsePublicKey = %v; want it accepted", err)
			case tt.want == "" && (!strings.HasPrefix(k.Fingerprint, "SHA256:") || len(k.Fingerprint) != len("SHA256:")+43):
				t.Errorf("fingerprint = %q; want SHA256: and 43 characters", k.Fingerprint)
			case tt.want != "" && (!errors.Is(err, clyde.ErrInvalid) || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("ParsePublicKey = %v; want ErrInvalid about %q", err, tt.want)
			}
		})
	}
}
