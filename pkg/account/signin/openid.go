package signin

import (
	"context"
	"crypto/subtle"
	"net/url"
	"slices"
	"time"

	"golang.org/x/oauth2"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/account/oidc"
)

// discoverEach is how long what a provider says of itself is believed. Ours.
const discoverEach = time.Hour

// found is where a provider's addresses are.
type found struct {
	endpoint oauth2.Endpoint
	at       time.Time
}

// discover asks an OpenID provider where its addresses are (Discovery 1.0, 4).
func (s *SignIn) discover(ctx context.Context, p Provider) (found, error) {
	s.mu.Lock()
	f, ok := s.found[p.Key]
	s.mu.Unlock()
	if ok && s.o.Now().Sub(f.at) < discoverEach {
		return f, nil
	}
	var d struct {
		Issuer  string   `json:"issuer"`
		Auth    string   `json:"authorization_endpoint"`
		Token   string   `json:"token_endpoint"`
		Methods []string `json:"token_endpoint_auth_methods_supported"`
		PKCE    []string `json:"code_challenge_methods_supported"`
	}
	if err := s.get(ctx, p.Issuer+"/.well-known/openid-configuration", "", &d); err != nil {
		return f, unreachable(p, err)
	}
	if d.Issuer != p.Issuer {
		return f, unreachable(p, statement("the issuer says it is "+clip(d.Issuer)))
	}
	for _, u := range []string{d.Auth, d.Token} {
		if err := checkEndpoint(u); err != nil {
			return f, unreachable(p, err)
		}
	}
	f = found{endpoint: oauth2.Endpoint{AuthURL: d.Auth, TokenURL: d.Token, AuthStyle: oauth2.AuthStyleInHeader}, at: s.o.Now()}
	if len(d.Methods) > 0 && !slices.Contains(d.Methods, "client_secret_basic") {
		f.endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	s.mu.Lock()
	s.found[p.Key] = f
	s.mu.Unlock()
	return f, nil
}

// checkEndpoint returns nil for https, and for http on this machine.
func checkEndpoint(s string) error {
	u, err := url.Parse(s)
	if err != nil {
		return err
	}
	u.RawQuery = "" // an endpoint may have one (RFC 6749, 3.1)
	return oidc.CheckIssuer(u.String(), true)
}

type statement string

func (s statement) Error() string { return string(s) }

// oidcUser checks the identity token and returns who it names.
func (s *SignIn) oidcUser(ctx context.Context, p Provider, t *oauth2.Token, st started) (x account.ExternalIdentity, err error) {
	raw, _ := t.Extra("id_token").(string)
	if raw == "" {
		return x, failed("%s sent no identity token", p.Name)
	}
	tok, err := s.verifier.Verify(ctx, raw, p.Issuer, p.ClientID)
	if err != nil {
		return x, err
	}
	nonce, _ := tok.Claims.Text("nonce")
	if subtle.ConstantTimeCompare([]byte(nonce), []byte(st.Nonce)) != 1 {
		return x, failed("the identity token is for another sign in")
	}
	if azp, ok := tok.Claims["azp"]; ok && azp != p.ClientID {
		return x, failed("the identity token is for another program")
	}
	if tok.Subject == "" {
		return x, failed("%s did not say who you are", p.Name)
	}
	if st.Purpose == ToProve {
		if err := s.recent(p, tok); err != nil {
			return x, err
		}
	}
	text := func(name string) string { v, _ := tok.Claims.Text(name); return v }
	x = account.ExternalIdentity{
		Issuer: p.Issuer, Subject: tok.Subject, Login: text("preferred_username"), Name: text("name"), Email: text("email"), Avatar: text("picture"),
	}
	x.EmailVerified = x.Email != "" && text("email_verified") == "true"
	if x.Login == "" {
		x.Login = text("nickname")
	}
	if x.Login == "" {
		x.Login = x.Email
	}
	return x, nil
}

// recent refuses a provider that let somebody through who signed in long ago,
// where it says so: max_age was asked for (Core 1.0, 3.1.2.1).
func (s *SignIn) recent(p Provider, tok oidc.Token) error {
	v, ok := tok.Claims["auth_time"]
	if !ok {
		return nil
	}
	n, ok := v.(interface{ Int64() (int64, error) })
	if !ok {
		return failed("%s did not say when you signed in", p.Name)
	}
	sec, err := n.Int64()
	if err != nil || s.o.Now().Sub(time.Unix(sec, 0)) > StartFor+oidc.Leeway {
		return failed("%s did not ask who you are", p.Name)
	}
	return nil
}
