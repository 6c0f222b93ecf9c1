package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

// Options are what New needs; the zero Options are fine.
type Options struct {
	Client   *http.Client     // nil: one that follows no redirect and waits Timeout at most
	Now      func() time.Time // nil: time.Now
	Insecure bool             // plain HTTP is accepted from loopback addresses
}

// Verifier checks tokens. It fetches an issuer's keys when the first of its
// tokens comes, and keeps them. Its methods may be called at once.
type Verifier struct {
	o Options

	mu      sync.Mutex
	issuers map[string]*keySet
}

// New returns a Verifier. It contacts nobody.
func New(o Options) *Verifier {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Client == nil {
		o.Client = &http.Client{Timeout: Timeout}
	}
	client := *o.Client
	// A redirect would let whoever answers name another place for the keys.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	o.Client = &client
	return &Verifier{o: o, issuers: map[string]*keySet{}}
}

// Token is one that was verified.
type Token struct {
	Issuer   string
	Subject  string
	ID       string // tells it from every other of its issuer: jti, else a hash of what was signed
	Issued   time.Time
	Expires  time.Time
	Claims   Claims // all of them
	Audience string
}

// Issuer returns which issuer a token says it is from. Nothing of it is
// verified: it tells whom to ask, no more.
func Issuer(raw string) (string, error) {
	p, err := parse(raw)
	if err != nil {
		return "", err
	}
	iss, ok := p.claims["iss"].(string)
	if !ok || iss == "" {
		return "", bad("oidc_issuer", "does not say who issued it")
	}
	return iss, nil
}

// Verify checks that raw is a token of that issuer for that audience and none
// besides, signed by a key that the issuer publishes now, and valid now give or
// take Leeway. The issuer is one of the configuration: it is asked for keys.
//
// Errors are *clyde.Error: clyde.ErrUnauthenticated with one of the codes
// oidc_malformed, oidc_algorithm, oidc_issuer, oidc_audience, oidc_expired,
// oidc_not_yet, oidc_lifetime, oidc_key_unknown or oidc_signature, and
// clyde.ErrUnavailable with oidc_unreachable when the keys cannot be had.
func (v *Verifier) Verify(ctx context.Context, raw, issuer, audience string) (Token, error) {
	p, err := parse(raw)
	if err != nil {
		return Token{}, err
	}
	// What costs nothing first: a token for somebody else makes no request.
	t, err := v.check(p, issuer, audience)
	if err != nil {
		return Token{}, err
	}
	jws, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(p.header.alg)})
	if err != nil {
		return Token{}, bad("oidc_malformed", "cannot be read")
	}
	keys, err := v.keysFor(ctx, issuer, p.header)
	if err != nil {
		return Token{}, err
	}
	// Several keys only where the token names none.
	for _, k := range keys {
		if _, err := jws.Verify(k); err == nil {
			return t, nil
		}
	}
	return Token{}, bad("oidc_signature", "has a signature that does not match the keys of %s", issuer)
}

func (v *Verifier) check(p parsed, issuer, audience string) (Token, error) {
	t := Token{Claims: p.claims, Audience: audience}
	if t.Issuer, _ = p.claims["iss"].(string); t.Issuer != issuer {
		return t, bad("oidc_issuer", "is from %q; want %q", clip(t.Issuer), issuer)
	}
	aud, err := p.claims.audience()
	if err != nil {
		return t, err
	}
	if !slices.Contains(aud, audience) || audience == "" {
		return t, bad("oidc_audience", "is for the audience %q; want %q", clip(strings.Join(aud, " ")), audience).
			Fix("Ask the CI for a token with the audience %s.", audience)
	}
	if len(aud) > 1 {
		return t, bad("oidc_audience", "is for %d audiences, and each of them could use it here; want %q alone", len(aud), audience)
	}
	if err := v.checkTimes(p.claims, &t); err != nil {
		return t, err
	}
	if s, there := p.claims["sub"]; there {
		var ok bool
		if t.Subject, ok = s.(string); !ok {
			return t, bad("oidc_malformed", "has a claim sub that is no text")
		}
	}
	switch id := p.claims["jti"].(type) {
	case string:
		t.ID = "jti:" + id
		if id == "" {
			return t, bad("oidc_malformed", "has an empty claim jti")
		}
	case nil:
		// Not of the signature: those of ECDSA can be written in two ways.
		h := sha256.Sum256([]byte(p.signed))
		t.ID = "sha256:" + hex.EncodeToString(h[:])
	default:
		return t, bad("oidc_malformed", "has a claim jti that is no text")
	}
	return t, nil
}

func (v *Verifier) checkTimes(c Claims, t *Token) error {
	now := v.o.Now()
	var there bool
	var err error
	if t.Expires, there, err = c.moment("exp"); err != nil {
		return err
	} else if !there {
		return bad("oidc_malformed", "does not say when it expires")
	}
	if t.Issued, there, err = c.moment("iat"); err != nil {
		return err
	} else if !there {
		return bad("oidc_malformed", "does not say when it was issued")
	}
	nbf, hasNBF, err := c.moment("nbf")
	if err != nil {
		return err
	}
	switch {
	case !now.Before(t.Expires.Add(Leeway)):
		return bad("oidc_expired", "expired at %s; it is %s", t.Expires.Format(time.RFC3339), now.UTC().Format(time.RFC3339)).
			Fix("Ask the CI for a new token just before it is used.")
	case t.Issued.After(now.Add(Leeway)):
		return bad("oidc_not_yet", "was issued at %s, which is in the future: it is %s", t.Issued.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case hasNBF && nbf.After(now.Add(Leeway)):
		return bad("oidc_not_yet", "is not valid before %s; it is %s", nbf.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case t.Expires.Before(t.Issued):
		return bad("oidc_malformed", "expires before it is issued")
	case t.Expires.Sub(t.Issued) > MaxLifetime:
		return bad("oidc_lifetime", "is valid for %s; at most %s is accepted", t.Expires.Sub(t.Issued), MaxLifetime)
	}
	return nil
}
