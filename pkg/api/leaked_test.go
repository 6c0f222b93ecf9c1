package api_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/api"
)

// Reports of leaked tokens, with keys as GitHub publishes them.
func TestReportLeaks(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	github := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_ = json.NewEncoder(w).Encode(map[string]any{"public_keys": []map[string]any{
			{"key_identifier": "k1", "key": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), "is_current": true},
			{"key_identifier": "broken", "key": "none", "is_current": false},
		}})
	}))
	t.Cleanup(github.Close)
	e := start(t, func(o *api.Options) { o.LeakKeys = account.NewLeakKeys(github.URL, github.Client(), nil) })
	sign := func(body string) string {
		sum := sha256.Sum256([]byte(body))
		sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(sig)
	}
	report := func(id, signature, body string) answer {
		return e.do("POST", "/api/v1/secret-scanning/github", strings.NewReader(body), "Content-Type", "application/json",
			"Github-Public-Key-Identifier", id, "Github-Public-Key-Signature", signature)
	}
	token := e.scoped("ci", "@acme/*", account.Pull)
	body := `[{"token":"` + token + `","type":"clyde_token","url":"https://github.com/acme/x","source":"content"},{"token":"` + account.NewToken() + `","type":"clyde_token","url":"","source":"commit"}]`

	for name, tt := range map[string]struct{ id, signature, body string }{
		"no signature":       {"", "", body},
		"no base64":          {"k1", "!", body},
		"of something else":  {"k1", sign("[]"), body},
		"key unknown":        {"k2", sign(body), body},
		"key of another way": {"broken", sign(body), body},
	} {
		if p := report(tt.id, tt.signature, tt.body).problem(t); p.Status != 403 || p.Code != "signature_invalid" {
			t.Errorf("%s: %d %s; want 403 signature_invalid", name, p.Status, p.Code)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("GitHub was asked %d times; unknown keys ask once a minute", n)
	}
	if a := e.get("/api/v1/account", bearer(token)...); a.StatusCode != 403 {
		t.Fatalf("the token is refused before it was reported: %d", a.StatusCode)
	}

	a := report("k1", sign(body), body)
	var got []api.LeakResult
	if err := json.Unmarshal(a.body, &got); err != nil || len(got) != 2 || got[0].Label != "true_positive" || got[0].Token != token || got[1].Label != "false_positive" {
		t.Fatalf("report = %d %s; want a true and a false positive", a.StatusCode, a.body)
	}
	if a := e.get("/api/v1/whoami", bearer(token)...); a.StatusCode != 401 {
		t.Errorf("the leaked token is answered %d; want 401", a.StatusCode)
	}
	es, err := e.parts.DB.Audit(t.Context(), 0, 1)
	if err != nil || len(es) != 1 || es[0].Action != "token.revoke" || es[0].Actor != "secret scanning" || strings.Contains(es[0].Detail, token) {
		t.Errorf("audit = %+v, %v", es, err)
	}
	for _, wrong := range []string{`{}`, `[{"token":"a","Token":"b"}]`, `[` + strings.Repeat(`{},`, api.MaxLeaks) + `{}]`} {
		if p := report("k1", sign(wrong), wrong).problem(t); p.Status != 422 && p.Status != 400 {
			t.Errorf("report %.40s = %d %s; want it refused", wrong, p.Status, p.Code)
		}
	}
	off := start(t, nil)
	if a := off.do("POST", "/api/v1/secret-scanning/github", strings.NewReader("[]"), "Content-Type", "application/json"); a.StatusCode != 404 {
		t.Errorf("where it is off: %d; want 404", a.StatusCode)
	}
}
