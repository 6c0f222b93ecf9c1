// Package signintest has the other side of a sign in for tests: a conforming
// OpenID Connect provider that signs real tokens, and GitHub at its HTTP
// boundary, answering as GitHub's documentation records it.
package signintest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/clydepm/clyde-registry/pkg/account/oidc/oidctest"
	"github.com/clydepm/clyde-registry/pkg/account/signin"
)

// Client identifier and secret that both sides accept.
const (
	ClientID     = "clyde"
	ClientSecret = "hush"
)

// User is who sits at the provider's page.
type User struct {
	Subject string // sub, or GitHub's number
	Login   string
	Name    string
	Email   string
	Orgs    []Org // at GitHub
}

// Org is a membership at GitHub.
type Org struct{ Login, Role, State string }

// grant is a code that waits to be exchanged.
type grant struct {
	user                              User
	redirect, challenge, nonce, scope string
}

// Provider is either of the two.
type Provider struct {
	URL      string
	Redirect string // the only one that is registered
	Now      func() time.Time

	t      testing.TB
	key    oidctest.Key
	github bool

	mu     sync.Mutex
	user   User
	codes  map[string]grant
	tokens map[string]grant
	claims map[string]any // laid over those of the next identity token; nil takes one away
	scopes []string       // asked for, in order
}

// NewOIDC starts an OpenID Connect provider; it ends with the test.
func NewOIDC(t testing.TB, redirect string) *Provider { return start(t, redirect, false) }

// NewGitHub starts what looks like GitHub Enterprise.
func NewGitHub(t testing.TB, redirect string) *Provider { return start(t, redirect, true) }

func start(t testing.TB, redirect string, github bool) *Provider {
	t.Helper()
	p := &Provider{t: t, Redirect: redirect, github: github, codes: map[string]grant{}, tokens: map[string]grant{}, Now: time.Now}
	if !github {
		p.key = oidctest.NewKey(t, "k1", "ES256", 0)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{p.key.Public()}})
	})
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("GET /login/oauth/authorize", p.authorize)
	mux.HandleFunc("POST /login/oauth/access_token", p.token)
	mux.HandleFunc("GET /api/v3/user", p.api(func(g grant, _ *http.Request) any {
		return map[string]any{
			"login": g.user.Login, "id": json.Number(g.user.Subject), "node_id": "MDQ6VXNlcjE=", "type": "User", "name": g.user.Name,
			"avatar_url": "https://avatars.example/u/1", "email": nil,
		}
	}, ""))
	mux.HandleFunc("GET /api/v3/user/emails", p.api(func(g grant, _ *http.Request) any {
		return []map[string]any{
			{"email": "old@example.com", "primary": false, "verified": true, "visibility": nil},
			{"email": g.user.Email, "primary": true, "verified": true, "visibility": "public"},
		}
	}, "user:email"))
	mux.HandleFunc("GET /api/v3/user/memberships/orgs", p.api(func(g grant, r *http.Request) any {
		out := []any{}
		for _, o := range g.user.Orgs {
			if r.URL.Query().Get("page") == "1" {
				out = append(out, map[string]any{"state": o.State, "role": o.Role, "organization": map[string]any{"login": o.Login, "id": 1}})
			}
		}
		return out
	}, "read:org"))
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	p.URL = s.URL
	return p
}

// Config is the provider as the registry is told of it.
func (p *Provider) Config(key string) signin.Provider {
	c := signin.Provider{Key: key, Kind: signin.OIDC, Name: "Acme SSO", Issuer: p.URL, ClientID: ClientID, ClientSecret: ClientSecret}
	if p.github {
		c.Kind, c.Name = signin.GitHub, "GitHub"
	}
	return c
}

// Sit puts somebody at the provider's page.
func (p *Provider) Sit(u User) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.user = u
}

// Claims lays claims over those of the next identity tokens.
func (p *Provider) Claims(over map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.claims = over
}

// Scopes lists what was asked for so far.
func (p *Provider) Scopes() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.scopes...)
}

func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	reply(w, 200, map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"ES256"}, "code_challenge_methods_supported": []string{"S256"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic"},
	})
}

// authorize lets whoever sits there in at once.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("client_id") != ClientID || q.Get("redirect_uri") != p.Redirect || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" {
		http.Error(w, "this client, address or challenge is not registered", http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	code := rand.Text()
	p.codes[code] = grant{user: p.user, redirect: q.Get("redirect_uri"), challenge: q.Get("code_challenge"), nonce: q.Get("nonce"), scope: q.Get("scope")}
	p.scopes = append(p.scopes, q.Get("scope"))
	http.Redirect(w, r, p.Redirect+"?"+url.Values{"code": {code}, "state": {q.Get("state")}}.Encode(), http.StatusFound)
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	id, secret, ok := r.BasicAuth()
	if !ok {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	g, found := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if id != ClientID || secret != ClientSecret || !found || g.redirect != r.PostFormValue("redirect_uri") || g.challenge != base64.RawURLEncoding.EncodeToString(sum[:]) {
		if p.github {
			reply(w, 200, map[string]string{"error": "bad_verification_code", "error_description": "The code passed is incorrect or expired."})
			return
		}
		reply(w, 400, map[string]string{"error": "invalid_grant"})
		return
	}
	access := "gho_" + rand.Text()
	p.tokens[access] = g
	out := map[string]any{"access_token": access, "token_type": "bearer", "scope": g.scope}
	if !p.github {
		now := p.Now()
		claims := map[string]any{
			"iss": p.URL, "sub": g.user.Subject, "aud": ClientID, "exp": now.Add(5 * time.Minute).Unix(), "iat": now.Unix(), "nonce": g.nonce,
			"preferred_username": g.user.Login, "name": g.user.Name, "email": g.user.Email, "email_verified": true, "auth_time": now.Unix(),
		}
		for k, v := range p.claims {
			if claims[k] = v; v == nil {
				delete(claims, k)
			}
		}
		out["id_token"] = p.key.Sign(p.t, claims)
	}
	reply(w, 200, out)
}

func (p *Provider) api(f func(grant, *http.Request) any, scope string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		g, ok := p.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
		p.mu.Unlock()
		switch {
		case !ok:
			reply(w, 401, map[string]string{"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest", "status": "401"})
		case !strings.Contains(g.scope, scope):
			reply(w, 404, map[string]string{"message": "Not Found", "status": "404"})
		default:
			reply(w, 200, f(g, r))
		}
	}
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		panic(fmt.Sprintf("signintest: %v", err))
	}
}
