package oidc_test

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/clydepm/clyde-registry/pkg/account/oidc"
	"github.com/clydepm/clyde-registry/pkg/account/oidc/oidctest"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

const audience = "registry.example.org"

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func newClock() *clock { return &clock{t: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func code(err error) string {
	if e := clyde.AsError(err); e != nil {
		return e.Code
	}
	return ""
}

func TestVerify(t *testing.T) {
	t.Parallel()
	for _, alg := range oidc.Algorithms() {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			key := oidctest.NewKey(t, "k1", alg, 0)
			iss := oidctest.New(t, oidctest.NewKey(t, "k0", "ES256", 0), key)
			v := oidc.New(oidc.Options{Now: c.now, Insecure: true})
			raw := key.Sign(t, iss.Claims(audience, c.now(), map[string]any{"jti": "j1", "repository_id": "7"}))
			got, err := v.Verify(t.Context(), raw, iss.URL, audience)
			if err != nil {
				t.Fatal(err)
			}
			if id, _ := got.Claims.Text("repository_id"); got.Issuer != iss.URL || got.ID != "jti:j1" || id != "7" || !got.Expires.Equal(c.now().Add(5*time.Minute)) {
				t.Errorf("Verify = %+v; want what the token says", got)
			}
			if u, err := oidc.Issuer(raw); u != iss.URL || err != nil {
				t.Errorf("Issuer = %q, %v; want %q", u, err, iss.URL)
			}
		})
	}
}

// TestVerifyRefuses breaks a good token in one way at a time.
func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	c := newClock()
	key := oidctest.NewKey(t, "k1", "ES256", 0)
	rsaKey := oidctest.NewKey(t, "r1", "RS256", 0)
	weak := oidctest.NewKey(t, "weak", "RS256", 1024)
	iss := oidctest.New(t, key, rsaKey, weak)
	v := oidc.New(oidc.Options{Now: c.now, Insecure: true})
	now := c.now().Unix()
	good := func(more map[string]any) map[string]any { return iss.Claims(audience, c.now(), more) }
	claims := func(more map[string]any) string { return key.Sign(t, good(more)) }
	header := func(h string) string {
		b, err := json.Marshal(good(nil))
		if err != nil {
			t.Fatal(err)
		}
		return key.SignRaw(t, []byte(h), b)
	}
	payload := func(p string) string { return key.SignRaw(t, []byte(`{"alg":"ES256","kid":"k1"}`), []byte(p)) }
	parts := strings.Split(claims(nil), ".")
	other := oidctest.NewKey(t, "k1", "ES256", 0)
	for _, tt := range []struct{ name, raw, want string }{
		{"empty", "", "oidc_malformed"},
		{"a word", "token", "oidc_malformed"},
		{"two parts", parts[0] + "." + parts[1], "oidc_malformed"},
		{"four parts", claims(nil) + ".x", "oidc_malformed"},
		{"five parts, encrypted", "a.b.c.d.e", "oidc_malformed"},
		{"too long", claims(map[string]any{"x": strings.Repeat("x", oidc.MaxToken)}), "oidc_malformed"},
		{"no signature", parts[0] + "." + parts[1] + ".", "oidc_malformed"},
		{"padded", parts[0] + "." + parts[1] + "." + parts[2] + "==", "oidc_malformed"},
		{"line break inside", parts[0] + "." + parts[1] + "." + parts[2][:10] + "\n" + parts[2][10:], "oidc_malformed"},
		{"standard base64", parts[0] + "." + parts[1] + "." + "+/" + parts[2][2:], "oidc_malformed"},
		{"signature of something else", parts[0] + "." + parts[1] + "." + strings.Split(claims(nil), ".")[2], "oidc_signature"},
		{"payload changed", parts[0] + "." + strings.Split(claims(map[string]any{"sub": "x"}), ".")[1] + "." + parts[2], "oidc_signature"},
		{"signed by another key of that name", other.Sign(t, good(nil)), "oidc_signature"},
		{"signed by an unknown key", oidctest.NewKey(t, "k9", "ES256", 0).Sign(t, good(nil)), "oidc_key_unknown"},
		{"RSA of 1024 bits", weak.Sign(t, good(nil)), "oidc_key_unknown"},
		{"kid of a key of another kind", header(`{"alg":"ES256","kid":"r1"}`), "oidc_key_unknown"},
		{"alg none", header(`{"alg":"none"}`), "oidc_algorithm"},
		{"alg None", header(`{"alg":"None"}`), "oidc_algorithm"},
		{"alg HS256", header(`{"alg":"HS256","kid":"k1"}`), "oidc_algorithm"},
		{"alg PS256", header(`{"alg":"PS256","kid":"r1"}`), "oidc_algorithm"},
		{"alg ES384", header(`{"alg":"ES384","kid":"k1"}`), "oidc_algorithm"},
		{"alg in lower case", header(`{"alg":"es256","kid":"k1"}`), "oidc_algorithm"},
		{"alg a list", header(`{"alg":["ES256"],"kid":"k1"}`), "oidc_algorithm"},
		{"no alg", header(`{"kid":"k1"}`), "oidc_algorithm"},
		{"alg twice", header(`{"alg":"ES256","alg":"none","kid":"k1"}`), "oidc_malformed"},
		{"crit", header(`{"alg":"ES256","kid":"k1","crit":["exp"]}`), "oidc_malformed"},
		{"its own key", header(`{"alg":"ES256","jwk":{}}`), "oidc_malformed"},
		{"address of keys", header(`{"alg":"ES256","jku":"https://evil.example/keys"}`), "oidc_malformed"},
		{"certificates", header(`{"alg":"ES256","x5c":[]}`), "oidc_malformed"},
		{"kid a number", header(`{"alg":"ES256","kid":1}`), "oidc_malformed"},
		{"another type", header(`{"alg":"ES256","kid":"k1","typ":"at+jwt"}`), "oidc_malformed"},
		{"header no object", header(`["ES256"]`), "oidc_malformed"},
		{"payload no object", payload(`"x"`), "oidc_malformed"},
		{"payload no JSON", payload(`{"iss":`), "oidc_malformed"},
		{"payload and more", payload(`{} {}`), "oidc_malformed"},
		{"payload not UTF-8", payload("{\"iss\":\"\xff\"}"), "oidc_malformed"},
		{"claim twice", payload(`{"iss":"` + iss.URL + `","iss":"x"}`), "oidc_malformed"},
		{"claim twice by escape", payload(`{"iss":"a","i\u0073s":"b"}`), "oidc_malformed"},
		{"claim twice below", payload(`{"x":{"a":1,"a":2}}`), "oidc_malformed"},
		{"nested deeply", payload(strings.Repeat(`{"a":`, 99) + "1" + strings.Repeat("}", 99)), "oidc_malformed"},
		{"another issuer", claims(map[string]any{"iss": "https://token.actions.githubusercontent.com"}), "oidc_issuer"},
		{"issuer with a slash more", claims(map[string]any{"iss": iss.URL + "/"}), "oidc_issuer"},
		{"no issuer", claims(map[string]any{"iss": nil}), "oidc_issuer"},
		{"another audience", claims(map[string]any{"aud": "sigstore"}), "oidc_audience"},
		{"audience that begins like ours", claims(map[string]any{"aud": audience + ".evil.example"}), "oidc_audience"},
		{"two audiences", claims(map[string]any{"aud": []string{audience, "sigstore"}}), "oidc_audience"},
		{"no audience", claims(map[string]any{"aud": nil}), "oidc_audience"},
		{"empty list of audiences", claims(map[string]any{"aud": []string{}}), "oidc_audience"},
		{"audience a number", claims(map[string]any{"aud": 1}), "oidc_malformed"},
		{"audiences with a number", claims(map[string]any{"aud": []any{audience, 1}}), "oidc_malformed"},
		{"expired", claims(map[string]any{"iat": now - 400, "exp": now - 60}), "oidc_expired"},
		{"no expiry", claims(map[string]any{"exp": nil}), "oidc_malformed"},
		{"expiry a text", claims(map[string]any{"exp": "tomorrow"}), "oidc_malformed"},
		{"expiry beyond all time", claims(map[string]any{"exp": 1e300}), "oidc_malformed"},
		{"expiry before all time", claims(map[string]any{"exp": -1}), "oidc_malformed"},
		{"no issue", claims(map[string]any{"iat": nil}), "oidc_malformed"},
		{"issued later", claims(map[string]any{"iat": now + 61}), "oidc_not_yet"},
		{"valid later", claims(map[string]any{"nbf": now + 61}), "oidc_not_yet"},
		{"expires before its issue", claims(map[string]any{"iat": now + 30, "exp": now + 10}), "oidc_malformed"},
		{"valid for too long", claims(map[string]any{"exp": now + 24*3600 + 1}), "oidc_lifetime"},
		{"jti a number", claims(map[string]any{"jti": 1}), "oidc_malformed"},
		{"jti empty", claims(map[string]any{"jti": ""}), "oidc_malformed"},
		{"sub a list", claims(map[string]any{"sub": []string{"a"}}), "oidc_malformed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := v.Verify(t.Context(), tt.raw, iss.URL, audience)
			if code(err) != tt.want || !errors.Is(err, clyde.ErrUnauthenticated) {
				t.Errorf("Verify = %+v, %v (%s); want %s", got, err, code(err), tt.want)
			}
		})
	}
	if n := iss.Fetches(); n > 2 {
		t.Errorf("the keys were fetched %d times; want 2 at most", n)
	}
}

// TestVerifyEdges is what is just about accepted.
func TestVerifyEdges(t *testing.T) {
	t.Parallel()
	c := newClock()
	key := oidctest.NewKey(t, "k1", "EdDSA", 0)
	iss := oidctest.New(t, key)
	v := oidc.New(oidc.Options{Now: c.now, Insecure: true})
	now := c.now().Unix()
	for name, more := range map[string]map[string]any{
		"expired within leeway":        {"iat": now - 300, "exp": now - 59},
		"issued later within leeway":   {"iat": now + 60},
		"valid later within leeway":    {"nbf": now + 60},
		"no nbf":                       {"nbf": nil},
		"longest life":                 {"exp": now + 24*3600},
		"fraction of a second":         {"exp": float64(now) + 300.5},
		"list of one audience":         {"aud": []string{audience}},
		"no sub":                       {"sub": nil},
		"claims of any other kind":     {"x": map[string]any{"y": []any{1, nil, true}}},
		"without jti, its hash serves": {"jti": nil},
	} {
		if _, err := v.Verify(t.Context(), key.Sign(t, iss.Claims(audience, c.now(), more)), iss.URL, audience); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRotation follows an issuer through a change of keys.
func TestRotation(t *testing.T) {
	t.Parallel()
	c := newClock()
	a, b := oidctest.NewKey(t, "a", "ES256", 0), oidctest.NewKey(t, "b", "ES256", 0)
	iss := oidctest.New(t, a)
	v := oidc.New(oidc.Options{Now: c.now, Insecure: true})
	verify := func(k oidctest.Key, want string, fetches int) {
		t.Helper()
		_, err := v.Verify(t.Context(), k.Sign(t, iss.Claims(audience, c.now(), nil)), iss.URL, audience)
		if code(err) != want || (err == nil) != (want == "") {
			t.Errorf("Verify = %v; want code %q", err, want)
		}
		if n := iss.Fetches(); n != fetches {
			t.Errorf("the keys were fetched %d times; want %d", n, fetches)
		}
	}
	verify(a, "", 1)
	verify(a, "", 1)
	iss.Publish(a, b)
	verify(b, "oidc_key_unknown", 1) // just asked
	c.add(oidc.MinRefresh)
	verify(b, "", 2)
	verify(a, "", 2)
	iss.Publish(b)
	verify(a, "", 2) // withdrawn, and known for an hour at most
	c.add(oidc.KeysAge)
	verify(a, "oidc_key_unknown", 3)
	verify(b, "", 3)

	// An issuer that is down takes nobody down whose key is known.
	iss.Answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	verify(b, "", 3)
	c.add(oidc.MinRefresh)
	verify(a, "oidc_unreachable", 3)
	verify(b, "", 3)
	c.add(oidc.KeysAge)
	verify(b, "oidc_unreachable", 3)
	iss.Answer(nil)
	verify(b, "oidc_unreachable", 3) // asked just now
	c.add(oidc.RetryAfter)
	verify(b, "", 4)
}

// TestKeysWithoutNames finds the key of a token that names none.
func TestKeysWithoutNames(t *testing.T) {
	t.Parallel()
	c := newClock()
	a, b := oidctest.NewKey(t, "", "ES256", 0), oidctest.NewKey(t, "", "ES256", 0)
	iss := oidctest.New(t, a, b)
	v := oidc.New(oidc.Options{Now: c.now, Insecure: true})
	for _, k := range []oidctest.Key{a, b} {
		if _, err := v.Verify(t.Context(), k.Sign(t, iss.Claims(audience, c.now(), nil)), iss.URL, audience); err != nil {
			t.Error(err)
		}
	}
}

// TestIssuerWrong is an issuer that answers wrongly, each in one way.
func TestIssuerWrong(t *testing.T) {
	t.Parallel()
	key := oidctest.NewKey(t, "k1", "ES256", 0)
	encryption, otherAlg := key.Public(), key.Public()
	encryption.Use, otherAlg.Algorithm = "enc", "ES384"
	many := make([]jose.JSONWebKey, oidc.MaxKeys+1)
	for i := range many {
		many[i] = key.Public()
	}
	for name, spoil := range map[string]func(i *oidctest.Issuer){
		"no keys":           func(i *oidctest.Issuer) { i.Publish() },
		"a key to encrypt":  func(i *oidctest.Issuer) { i.PublishRaw(encryption) },
		"another algorithm": func(i *oidctest.Issuer) { i.PublishRaw(otherAlg) },
		"a symmetric key":   func(i *oidctest.Issuer) { i.PublishRaw(jose.JSONWebKey{Key: []byte("secret"), KeyID: "k1"}) },
		"too many keys":     func(i *oidctest.Issuer) { i.PublishRaw(many...) },
		"an error":          func(i *oidctest.Issuer) { i.Answer(http.NotFound) },
		"a page":            func(i *oidctest.Issuer) { i.Answer(text("text/html", "<p>hello")) },
		"no JSON":           func(i *oidctest.Issuer) { i.Answer(text("application/json", "{")) },
		"a list":            func(i *oidctest.Issuer) { i.Answer(text("application/json", "[]")) },
		"another issuer": func(i *oidctest.Issuer) {
			i.Answer(text("application/json", `{"issuer":"https://x.example","jwks_uri":"`+i.URL+`/keys"}`))
		},
		"issuer twice": func(i *oidctest.Issuer) {
			i.Answer(text("application/json", `{"issuer":"`+i.URL+`","issuer":"`+i.URL+`","jwks_uri":"`+i.URL+`/keys"}`))
		},
		"no address of keys": func(i *oidctest.Issuer) { i.Answer(text("application/json", `{"issuer":"`+i.URL+`"}`)) },
		"keys over HTTP": func(i *oidctest.Issuer) {
			i.Answer(text("application/json", `{"issuer":"`+i.URL+`","jwks_uri":"http://198.51.100.1/keys"}`))
		},
		"keys in a file": func(i *oidctest.Issuer) {
			i.Answer(text("application/json", `{"issuer":"`+i.URL+`","jwks_uri":"file:///etc/passwd"}`))
		},
		"a redirect": func(i *oidctest.Issuer) {
			i.Answer(http.RedirectHandler("https://x.example/", http.StatusFound).ServeHTTP)
		},
		"a document too large": func(i *oidctest.Issuer) {
			i.Answer(text("application/json", `{"x":"`+strings.Repeat("x", oidc.MaxDocument)+`"}`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			iss := oidctest.New(t, key)
			spoil(iss)
			v := oidc.New(oidc.Options{Now: c.now, Insecure: true})
			_, err := v.Verify(t.Context(), key.Sign(t, iss.Claims(audience, c.now(), nil)), iss.URL, audience)
			if code(err) != "oidc_unreachable" || !errors.Is(err, clyde.ErrUnavailable) {
				t.Errorf("Verify = %v; want oidc_unreachable", err)
			}
		})
	}
}

func text(media, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		_, _ = w.Write([]byte(body))
	}
}

// TestInsecure refuses plain HTTP unless it is allowed.
func TestInsecure(t *testing.T) {
	t.Parallel()
	c := newClock()
	key := oidctest.NewKey(t, "k1", "ES256", 0)
	iss := oidctest.New(t, key)
	v := oidc.New(oidc.Options{Now: c.now})
	_, err := v.Verify(t.Context(), key.Sign(t, iss.Claims(audience, c.now(), nil)), iss.URL, audience)
	if code(err) != "oidc_unreachable" || iss.Fetches() != 0 {
		t.Errorf("Verify = %v after %d fetches; want oidc_unreachable without any", err, iss.Fetches())
	}
	for issuer, want := range map[string][2]bool{ // secure only, insecure
		"https://gitlab.com":            {true, true},
		"https://codeberg.org/api/acts": {true, true},
		"http://127.0.0.1:8080":         {false, true},
		"http://localhost:8080":         {false, true},
		"http://[::1]:8080":             {false, true},
		"http://gitlab.example.org":     {false, false},
		"http://localhost.example.org":  {false, false},
		"ftp://gitlab.com":              {false, false},
		"https://":                      {false, false},
		"gitlab.com":                    {false, false},
		"":                              {false, false},
		"https://u:p@gitlab.com":        {false, false},
		"https://gitlab.com?x":          {false, false},
		"https://gitlab.com?":           {false, false},
		"https://gitlab.com#x":          {false, false},
		"https://gitlab.com#":           {false, false},
	} {
		if s, i := oidc.CheckIssuer(issuer, false) == nil, oidc.CheckIssuer(issuer, true) == nil; s != want[0] || i != want[1] {
			t.Errorf("CheckIssuer(%q) accepts %t, insecure %t; want %v", issuer, s, i, want)
		}
	}
}

// TestAtOnce has many tokens come while no key is known: one fetch serves all.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	c := newClock()
	key := oidctest.NewKey(t, "k1", "EdDSA", 0)
	iss := oidctest.New(t, key)
	v := oidc.New(oidc.Options{Now: c.now, Insecure: true})
	raw := key.Sign(t, iss.Claims(audience, c.now(), nil))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := v.Verify(t.Context(), raw, iss.URL, audience); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := iss.Fetches(); n != 1 {
		t.Errorf("the keys were fetched %d times; want 1", n)
	}
}

// FuzzParse holds that nothing but a well-signed token is ever accepted, that
// reading never panics and that every refusal is one of our own.
func FuzzParse(f *testing.F) {
	c := newClock()
	key := oidctest.NewKey(f, "k1", "EdDSA", 0)
	iss := oidctest.New(f, key)
	v := oidc.New(oidc.Options{Now: c.now, Insecure: true})
	good := key.Sign(f, iss.Claims(audience, c.now(), nil))
	signed := strings.Split(good, ".")
	for _, s := range []string{good, "", "..", "e30.e30.e30", signed[0] + "." + signed[1] + ".AA", good + "=", strings.ToUpper(good)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		tok, err := v.Verify(t.Context(), raw, iss.URL, audience)
		if err == nil && raw != good {
			t.Fatalf("Verify(%q) accepts %+v", raw, maps.Clone(tok.Claims))
		}
		if err != nil && !errors.Is(err, clyde.ErrUnauthenticated) {
			t.Fatalf("Verify(%q) = %v; want ErrUnauthenticated", raw, err)
		}
	})
}
