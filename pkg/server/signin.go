package server

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/clydepm/clyde-registry/config"
	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/account/signin"
)

// signIn is the way in over the providers of the configuration.
func (s *Server) signIn() (*signin.SignIn, error) {
	var ps []signin.Provider
	c := s.cfg.SignIn
	s.Accounts.Admit(admission(c))
	if g := c.GitHub; g.ClientID != "" {
		secret, err := config.Secret(g.ClientSecret, g.ClientSecretFile)
		if err != nil {
			return nil, fmt.Errorf("signin.github: %w", err)
		}
		ps = append(ps, signin.Provider{
			Key: config.GitHubKey, Kind: signin.GitHub, Issuer: g.BaseURL, APIURL: g.APIURL, ClientID: g.ClientID, ClientSecret: secret,
		})
	}
	for _, o := range c.OIDC {
		secret, err := config.Secret(o.ClientSecret, o.ClientSecretFile)
		if err != nil {
			return nil, fmt.Errorf("signin.oidc: %s: %w", o.Key, err)
		}
		ps = append(ps, signin.Provider{
			Key: o.Key, Kind: signin.OIDC, Name: o.Name, Issuer: o.Issuer, ClientID: o.ClientID, ClientSecret: secret, Scopes: o.Scopes,
		})
	}
	return signin.New(signin.Options{
		Providers: ps, PublicURL: s.publicURL, Secret: s.secret, Now: s.Now, Client: s.egress, Orgs: len(c.Allow.GitHubOrgs) > 0,
	})
}

// admission is who gets an account, with issuers in place of keys.
func admission(c config.SignIn) account.Admission {
	v := account.Admission{EmailDomains: c.Allow.EmailDomains, Orgs: c.Allow.GitHubOrgs, OrgIssuer: cmp.Or(strings.TrimSuffix(c.GitHub.BaseURL, "/"), signin.GitHubURL)}
	for _, key := range c.Allow.Providers {
		if key == config.GitHubKey {
			v.Issuers = append(v.Issuers, v.OrgIssuer)
		}
		for _, o := range c.OIDC {
			if o.Key == key {
				v.Issuers = append(v.Issuers, o.Issuer)
			}
		}
	}
	return v
}

// AdminLogin is the login of the administrator that a password is set for
// unless another is named.
const AdminLogin = "admin"

// FirstAdmin makes the administrator's account from signin.admin_password_file,
// once: an account that is there keeps the password it has.
func (s *Server) FirstAdmin(ctx context.Context) error {
	file := s.cfg.SignIn.AdminPasswordFile
	if file == "" {
		return nil
	}
	there, err := s.Accounts.Exists(ctx, AdminLogin)
	if err != nil || there {
		return err
	}
	password, err := config.Secret("", file)
	if err != nil {
		return fmt.Errorf("signin.admin_password_file: %w", err)
	}
	_, err = s.Accounts.SetUp(ctx, System, AdminLogin, password)
	return err
}
