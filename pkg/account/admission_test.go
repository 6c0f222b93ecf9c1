package account_test

import (
	"testing"

	"github.com/clydepm/clyde-registry/pkg/account"
)

func TestAdmission(t *testing.T) {
	t.Parallel()
	const github, sso = "https://github.com", "https://sso.acme.example"
	domains := account.Admission{EmailDomains: []string{"acme.example"}}
	orgs := account.Admission{OrgIssuer: github, Orgs: []string{"acme"}}
	for _, tt := range []struct {
		name string
		v    account.Admission
		x    account.ExternalIdentity
		in   bool
	}{
		{"everybody", account.Admission{}, account.ExternalIdentity{Issuer: github}, true},
		{"provider", account.Admission{Issuers: []string{sso}}, account.ExternalIdentity{Issuer: sso}, true},
		{"other_provider", account.Admission{Issuers: []string{sso}}, account.ExternalIdentity{Issuer: github}, false},
		{"domain", domains, account.ExternalIdentity{Issuer: sso, Email: "ada@Acme.example", EmailVerified: true}, true},
		{"domain_unverified", domains, account.ExternalIdentity{Issuer: sso, Email: "ada@acme.example"}, false},
		{"subdomain", domains, account.ExternalIdentity{Issuer: sso, Email: "ada@x.acme.example", EmailVerified: true}, false},
		{"domain_in_the_middle", domains, account.ExternalIdentity{Issuer: sso, Email: "ada@acme.example@evil.example", EmailVerified: true}, false},
		{"domain_alone", domains, account.ExternalIdentity{Issuer: sso, Email: "acme.example", EmailVerified: true}, false},
		{"no_mail", domains, account.ExternalIdentity{Issuer: sso, EmailVerified: true}, false},
		{"org", orgs, account.ExternalIdentity{Issuer: github, Orgs: []string{"other", "acme"}}, true},
		{"other_org", orgs, account.ExternalIdentity{Issuer: github, Orgs: []string{"acme2"}}, false},
		{"org_of_another_provider", orgs, account.ExternalIdentity{Issuer: sso, Orgs: []string{"acme"}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newTown(t)
			w.Admit(tt.v)
			tt.x.Subject, tt.x.Login = "1", "ada"
			_, err := w.SignIn(t.Context(), tt.x)
			if tt.in {
				ok(t, err)
			} else {
				refused(t, "the first sign in", err, "registration_closed")
			}
		})
	}
	// Who has an account keeps it.
	w := newTown(t)
	w.person(t, "ada")
	w.Admit(domains)
	w.person(t, "ada")
}
