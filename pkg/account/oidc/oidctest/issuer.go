// Package oidctest is an OpenID Connect issuer for tests: with keys of its own,
// over real HTTP, and able to be wrong in every way that matters.
package oidctest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

// Key signs tokens.
type Key struct {
	ID  string
	Alg string // RS256, ES256 or EdDSA
	key crypto.Signer
}

// NewKey makes a key. Bits counts for RS256; 0 is 2048.
func NewKey(t testing.TB, id, alg string, bits int) Key {
	t.Helper()
	var s crypto.Signer
	var err error
	switch alg {
	case "RS256":
		if bits == 0 {
			bits = 2048
		}
		s, err = rsa.GenerateKey(rand.Reader, bits)
	case "ES256":
		s, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, s, err = ed25519.GenerateKey(rand.Reader)
	default:
		t.Fatalf("oidctest: no algorithm %q", alg)
	}
	if err != nil {
		t.Fatal(err)
	}
	return Key{ID: id, Alg: alg, key: s}
}

// Public is the key as a key set shows it.
func (k Key) Public() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.key.Public(), KeyID: k.ID, Algorithm: k.Alg, Use: "sig"}
}

// Issuer is a running issuer. Its fields may be changed between requests, with
// Set.
type Issuer struct {
	URL string

	mu       sync.Mutex
	keys     []jose.JSONWebKey
	fetches  int
	Override http.HandlerFunc // answers everything when it is set
}

// New starts an issuer that publishes keys; it ends with the test.
func New(t testing.TB, keys ...Key) *Issuer {
	t.Helper()
	i := &Issuer{}
	s := httptest.NewServer(http.HandlerFunc(i.serve))
	t.Cleanup(s.Close)
	i.URL = s.URL
	i.Publish(keys...)
	return i
}

// Publish replaces the keys.
func (i *Issuer) Publish(keys ...Key) {
	var set []jose.JSONWebKey
	for _, k := range keys {
		set = append(set, k.Public())
	}
	i.PublishRaw(set...)
}

// PublishRaw replaces the keys by any.
func (i *Issuer) PublishRaw(keys ...jose.JSONWebKey) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = keys
}

// Answer has f answer everything; nil ends that.
func (i *Issuer) Answer(f http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.Override = f
}

// Fetches is how often the keys were asked for.
func (i *Issuer) Fetches() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetches
}

func (i *Issuer) serve(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	override, keys := i.Override, i.keys
	if r.URL.Path == "/keys" {
		i.fetches++
	}
	i.mu.Unlock()
	if override != nil {
		override(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": i.URL, "jwks_uri": i.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256", "ES256", "EdDSA"},
		})
	case "/keys":
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: keys})
	default:
		http.NotFound(w, r)
	}
}

// Claims returns the claims that every good token has, issued at now for five
// minutes, and with more laid over them; a nil value takes a claim away.
func (i *Issuer) Claims(audience string, now time.Time, more map[string]any) map[string]any {
	c := map[string]any{
		"iss": i.URL, "aud": audience, "sub": "repo:acme/zlib:ref:refs/tags/v1.2.0", "jti": rand.Text(),
		"iat": now.Unix(), "nbf": now.Unix() - 300, "exp": now.Unix() + 300,
	}
	for k, v := range more {
		if v == nil {
			delete(c, k)
		} else {
			c[k] = v
		}
	}
	return c
}

// Sign makes a token of claims.
func (k Key) Sign(t testing.TB, claims any) string {
	t.Helper()
	b, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	header := map[string]any{"alg": k.Alg, "typ": "JWT"}
	if k.ID != "" {
		header["kid"] = k.ID
	}
	h, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	return k.SignRaw(t, h, b)
}

// SignRaw makes a token of any bytes.
func (k Key) SignRaw(t testing.TB, header, payload []byte) string {
	t.Helper()
	signed := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(payload)
	sum := sha256.Sum256([]byte(signed))
	var sig []byte
	var err error
	switch key := k.key.(type) {
	case *rsa.PrivateKey:
		sig, err = rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	case ed25519.PrivateKey:
		sig = ed25519.Sign(key, []byte(signed))
	case *ecdsa.PrivateKey:
		r, s, serr := ecdsa.Sign(rand.Reader, key, sum[:])
		if err = serr; err == nil {
			sig = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		}
	default:
		err = fmt.Errorf("oidctest: a key of type %T", key)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(sig)
}
