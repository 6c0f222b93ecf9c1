package server

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/config"
	"github.com/clydepm/clyde-registry/pkg/account/signin/signintest"
)

// TestAllowedOrganisation: with signin.allow.github_orgs a first sign in takes an
// active member of the organisation, as GitHub says it. Who has an account
// keeps it.
func TestAllowedOrganisation(t *testing.T) {
	t.Parallel()
	hub := signintest.NewGitHub(t, "")
	c := testConfig(t)
	c.SignIn.GitHub = config.GitHub{ClientID: signintest.ClientID, ClientSecret: signintest.ClientSecret, BaseURL: hub.URL}
	c.SignIn.Allow.GitHubOrgs = []string{"acme"}
	s := start(t, c, Options{})
	hub.Redirect = s.PublicURL() + "/login/github/callback"

	signIn := func(u signintest.User) (status int, page string) {
		t.Helper()
		hub.Sit(u)
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		browser := &http.Client{Jar: jar}
		resp, err := browser.PostForm(s.PublicURL()+"/login/github", url.Values{})
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		onward := regexp.MustCompile(`<a class="button" href="([^"]+)"`).FindSubmatch(b)
		if onward == nil {
			t.Fatalf("%s: no way on to GitHub\n%s", resp.Status, b)
		}
		resp, page = get(t, browser, html.UnescapeString(string(onward[1])))
		return resp.StatusCode, page
	}
	for _, tt := range []struct {
		name string
		user signintest.User
		want int
	}{
		{"member", signintest.User{Subject: "1", Login: "ada", Orgs: []signintest.Org{{Login: "other", Role: "admin", State: "active"}, {Login: "Acme", Role: "member", State: "active"}}}, http.StatusOK},
		{"no organisation", signintest.User{Subject: "2", Login: "bob"}, http.StatusForbidden},
		{"another organisation", signintest.User{Subject: "3", Login: "eve", Orgs: []signintest.Org{{Login: "acme-fans", Role: "admin", State: "active"}}}, http.StatusForbidden},
		{"only invited", signintest.User{Subject: "4", Login: "kim", Orgs: []signintest.Org{{Login: "acme", Role: "member", State: "pending"}}}, http.StatusForbidden},
		{"login of a member, another number", signintest.User{Subject: "5", Login: "ada"}, http.StatusForbidden},
		{"who left, with an account", signintest.User{Subject: "1", Login: "ada"}, http.StatusOK},
	} {
		status, page := signIn(tt.user)
		if status != tt.want || status == http.StatusForbidden && !strings.Contains(page, "makes no account for "+tt.user.Login) {
			t.Errorf("%s: %d; want %d\n%s", tt.name, status, tt.want, page)
		}
	}
	for _, asked := range hub.Scopes() {
		if asked != "user:email read:org" {
			t.Errorf("GitHub was asked for %q", asked)
		}
	}
	for login, want := range map[string]bool{"ada": true, "bob": false, "eve": false, "kim": false} {
		if got, err := s.Accounts.Exists(t.Context(), login); err != nil || got != want {
			t.Errorf("there is an account %s: %t, %v; want %t", login, got, err, want)
		}
	}
}
