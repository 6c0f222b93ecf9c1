package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// keySet is what an issuer published when it was last asked. Turn is held by
// whoever reads or fetches.
type keySet struct {
	turn    chan struct{} // one place
	keys    []jose.JSONWebKey
	fetched time.Time // when keys came
	tried   time.Time // when they were last asked for
	err     error     // of the last try
}

// CheckIssuer says what is wrong with the address of an issuer: it must be
// https, without query, fragment or user. Insecure accepts http from loopback.
func CheckIssuer(issuer string, insecure bool) error {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(issuer, "#") {
		return fmt.Errorf("%q: want https://host[:port][/path]", issuer)
	}
	return checkScheme(u, insecure)
}

func checkScheme(u *url.URL, insecure bool) error {
	switch {
	case u.Scheme == "https" && u.Hostname() != "":
		return nil
	case u.Scheme == "http" && insecure && loopback(u.Hostname()):
		return nil
	case u.Scheme == "http" && loopback(u.Hostname()):
		return fmt.Errorf("%q: plain HTTP needs to be allowed, even from this machine", u)
	}
	return fmt.Errorf("%q: want https", u)
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// keysFor returns the issuer's keys that a token with that header may be
// signed with. An unknown key identifier has them fetched again, at most every
// MinRefresh: the issuer may have rotated them.
func (v *Verifier) keysFor(ctx context.Context, issuer string, h header) ([]*jose.JSONWebKey, error) {
	v.mu.Lock()
	s := v.issuers[issuer]
	if s == nil {
		s = &keySet{turn: make(chan struct{}, 1)}
		v.issuers[issuer] = s
	}
	v.mu.Unlock()
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	now := v.o.Now()
	if fresh := !s.fetched.IsZero() && now.Sub(s.fetched) < KeysAge; fresh {
		if found := s.fit(h); len(found) > 0 {
			return found, nil
		}
		if now.Sub(s.fetched) < MinRefresh || now.Sub(s.tried) < MinRefresh {
			return nil, unknownKey(issuer, h)
		}
	} else if s.err != nil && now.Sub(s.tried) < RetryAfter {
		return nil, s.err
	}
	s.tried = now
	// Others wait for the same answer: that one caller leaves must not end it.
	fetch, cancel := context.WithTimeout(context.WithoutCancel(ctx), Timeout)
	defer cancel()
	keys, err := v.fetch(fetch, issuer)
	if s.err = err; err != nil {
		return nil, err
	}
	s.keys, s.fetched = keys, now
	if found := s.fit(h); len(found) > 0 {
		return found, nil
	}
	return nil, unknownKey(issuer, h)
}

func unknownKey(issuer string, h header) error {
	if h.kid == "" {
		return bad("oidc_key_unknown", "names no key, and %s has none for %s", issuer, h.alg)
	}
	return bad("oidc_key_unknown", "is signed with the key %q, which %s does not publish for %s", clip(h.kid), issuer, h.alg)
}

func (s *keySet) fit(h header) []*jose.JSONWebKey {
	var out []*jose.JSONWebKey
	for i := range s.keys {
		k := &s.keys[i]
		if algorithm(k) == h.alg && (h.kid == "" || k.KeyID == h.kid) {
			out = append(out, k)
		}
	}
	return out
}

// algorithm is the one that a key is good for, whatever it says of itself; "":
// none of ours.
func algorithm(k *jose.JSONWebKey) string {
	alg := ""
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		if n := key.N.BitLen(); n >= minRSA && n <= maxRSA && key.E >= 3 && key.E%2 == 1 {
			alg = "RS256"
		}
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() {
			alg = "ES256"
		}
	case ed25519.PublicKey:
		alg = "EdDSA"
	}
	if k.Use != "" && k.Use != "sig" || k.Algorithm != "" && k.Algorithm != alg {
		return ""
	}
	return alg
}

// fetch asks the issuer where its keys are, and for them.
func (v *Verifier) fetch(ctx context.Context, issuer string) ([]jose.JSONWebKey, error) {
	fail := func(err error) ([]jose.JSONWebKey, error) {
		return nil, clyde.Errorf(clyde.ErrUnavailable, "the keys of %s cannot be had: %v", issuer, err).WithCode("oidc_unreachable").
			Fix("Try again; if it goes on, tell the operator of this registry.").Because(err)
	}
	if err := CheckIssuer(issuer, v.o.Insecure); err != nil {
		return fail(err)
	}
	var doc struct {
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	if err := v.get(ctx, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", &doc); err != nil {
		return fail(err)
	}
	if doc.Issuer != issuer { // Discovery 1.0, 4.3
		return fail(fmt.Errorf("its discovery document is of %q", clip(doc.Issuer)))
	}
	at, err := url.Parse(doc.JWKS)
	if err != nil || at.User != nil {
		return fail(errors.New("its discovery document has no address of keys"))
	}
	if err := checkScheme(at, v.o.Insecure); err != nil {
		return fail(fmt.Errorf("jwks_uri: %w", err))
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := v.get(ctx, doc.JWKS, &set); err != nil {
		return fail(err)
	}
	if len(set.Keys) > MaxKeys {
		return fail(fmt.Errorf("it has %d keys; the limit is %d", len(set.Keys), MaxKeys))
	}
	var out []jose.JSONWebKey
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		// One of a kind that we do not know is none of ours (RFC 7517, 5).
		if json.Unmarshal(raw, &k) == nil && algorithm(&k) != "" && k.Valid() && k.IsPublic() {
			out = append(out, k)
		}
	}
	if len(out) == 0 {
		return fail(fmt.Errorf("it publishes no key for %s", strings.Join(Algorithms(), ", ")))
	}
	return out, nil
}

// get reads a JSON document.
func (v *Verifier) get(ctx context.Context, address string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return errors.New("its address is none")
	}
	req.Header.Set("Accept", "application/json, application/jwk-set+json")
	resp, err := v.o.Client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("it did not answer within %s", Timeout)
		}
		return errors.New("it does not answer")
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %d", resp.StatusCode)
	}
	media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err == nil && media == "text/html" {
		return errors.New("it answers with a page")
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, MaxDocument+1))
	if err != nil {
		return errors.New("its answer broke off")
	}
	if len(b) > MaxDocument {
		return fmt.Errorf("its answer is larger than %d bytes", MaxDocument)
	}
	if _, err := object(b); err != nil {
		return fmt.Errorf("its answer is not one JSON object: %w", err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		return errors.New("its answer has another shape")
	}
	return nil
}
