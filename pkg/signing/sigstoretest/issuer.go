package sigstoretest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"time"
)

// Issuer is an OpenID Connect issuer that vouches for whatever it is told.
type Issuer struct {
	URL string

	server *httptest.Server
	key    *rsa.PrivateKey
	mu     sync.Mutex
	codes  map[string]string // nonce by the code that a browser brings back
	jobs   int               // tokens that the runner gave to jobs
}

// tokenLifetime is how long a token counts.
const tokenLifetime = 10 * time.Minute

func newIssuer() (*Issuer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	i := &Issuer{key: key, codes: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.configuration)
	mux.HandleFunc("GET /keys", i.keys)
	mux.HandleFunc("GET /auth", i.auth)
	mux.HandleFunc("POST /token", i.exchange)
	mux.HandleFunc("POST /mint", i.mint)
	mux.HandleFunc("GET /runner", i.runner)
	i.server = httptest.NewServer(mux)
	i.URL = i.server.URL
	return i, nil
}

// Token returns a token for the audience sigstore with these claims.
func (i *Issuer) Token(claims map[string]any) (string, error) {
	now := time.Now()
	all := map[string]any{
		"iss": i.URL, "aud": "sigstore", "iat": now.Unix(), "nbf": now.Add(-5 * time.Second).Unix(), "exp": now.Add(tokenLifetime).Unix(),
	}
	maps.Copy(all, claims)
	body, err := json.Marshal(all)
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","typ":"JWT","kid":"k1"}`)) + "." + base64.RawURLEncoding.EncodeToString(body)
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, sum[:])
	if err != nil {
		return "", err
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig), nil
}

// Person is the claims of somebody who signed in.
func Person(email string) map[string]any {
	return map[string]any{"sub": email, "email": email, "email_verified": true}
}

// Workflow is the claims of a run of a workflow at GitHub: of acme/zlib's
// release.yml for the tag v1.3.1, with more laid over them. The subject has the
// form with numbers, which GitHub gives new repositories.
func Workflow(more map[string]any) map[string]any {
	c := map[string]any{
		"sub": "repo:acme-123456/zlib-456789:ref:refs/tags/v1.3.1", "repository": "acme/zlib", "repository_id": "456789",
		"repository_owner": "acme", "repository_owner_id": "123456", "repository_visibility": "public",
		"ref": "refs/tags/v1.3.1", "ref_type": "tag", "sha": "0123456789abcdef0123456789abcdef01234567",
		"workflow": "release", "workflow_ref": "acme/zlib/.github/workflows/release.yml@refs/tags/v1.3.1",
		"workflow_sha":     "0123456789abcdef0123456789abcdef01234567",
		"job_workflow_ref": "acme/zlib/.github/workflows/release.yml@refs/tags/v1.3.1",
		"job_workflow_sha": "0123456789abcdef0123456789abcdef01234567",
		"event_name":       "push", "run_id": "987654321", "run_attempt": "1", "runner_environment": "github-hosted",
	}
	maps.Copy(c, more)
	return c
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func (i *Issuer) configuration(w http.ResponseWriter, _ *http.Request) {
	reply(w, map[string]any{
		"issuer": i.URL, "jwks_uri": i.URL + "/keys", "authorization_endpoint": i.URL + "/auth", "token_endpoint": i.URL + "/token",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"}, "code_challenge_methods_supported": []string{"S256"},
	})
}

func (i *Issuer) keys(w http.ResponseWriter, _ *http.Request) {
	reply(w, map[string]any{"keys": []any{map[string]any{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "k1",
		"n": base64.RawURLEncoding.EncodeToString(i.key.N.Bytes()),
		"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(i.key.E)).Bytes()),
	}}})
}

// auth is the page that a browser comes to: everybody is let in at once.
func (i *Issuer) auth(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || back.Hostname() != "localhost" {
		http.Error(w, "redirect_uri", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	i.mu.Lock()
	i.codes[code] = q.Get("nonce")
	i.mu.Unlock()
	back.RawQuery = url.Values{"code": {code}, "state": {q.Get("state")}}.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound) //nolint:gosec // to this machine alone
}

// exchange turns a code into the token of alice@example.com.
func (i *Issuer) exchange(w http.ResponseWriter, r *http.Request) {
	code := r.FormValue("code")
	i.mu.Lock()
	nonce, ok := i.codes[code]
	delete(i.codes, code)
	i.mu.Unlock()
	if !ok {
		http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
		return
	}
	claims := Person("alice@example.com")
	claims["nonce"] = nonce
	token, err := i.Token(claims)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	reply(w, map[string]any{"access_token": "none", "token_type": "Bearer", "id_token": token})
}

// RunnerSecret is what a job shows its runner to get a token.
const RunnerSecret = "runner-secret"

// runner is the endpoint that a job at GitHub has: it gives the token of the
// run, for the audience that is asked for.
func (i *Issuer) runner(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+RunnerSecret {
		http.Error(w, "no", http.StatusUnauthorized)
		return
	}
	token, err := i.Token(Workflow(map[string]any{"aud": r.URL.Query().Get("audience")}))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	i.mu.Lock()
	i.jobs++
	i.mu.Unlock()
	reply(w, map[string]any{"value": token})
}

// Jobs is how many tokens the runner has given to jobs.
func (i *Issuer) Jobs() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.jobs
}

// mint makes a token of the claims in the request, for trying by hand.
func (i *Issuer) mint(w http.ResponseWriter, r *http.Request) {
	var claims map[string]any
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxReply)).Decode(&claims); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	token, err := i.Token(claims)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintln(w, token)
}
