package notify_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account/oidc"
	"github.com/clydepm/clyde-registry/pkg/account/oidc/oidctest"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/ingest/notify"
	"github.com/clydepm/clyde-registry/pkg/store"
)

const secret = "correct horse battery staple"

func open(t testing.TB) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func handler(t testing.TB, inbox notify.Inbox, es ...*notify.Endpoint) *notify.Handler {
	t.Helper()
	for _, e := range es {
		if e.Repo == nil {
			e.Repo = func(s string) (string, bool) { return s, !strings.HasPrefix(s, "library/") }
		}
	}
	h, err := notify.New(es, inbox, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func post(h http.Handler, path string, header http.Header, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(string(body)))
	maps.Copy(r.Header, header)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func sign(body []byte, with string) string {
	m := hmac.New(sha256.New, []byte(with))
	m.Write(body)
	return hex.EncodeToString(m.Sum(nil))
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestProofs(t *testing.T) {
	t.Parallel()
	issuer := oidctest.New(t)
	key := oidctest.NewKey(t, "k1", "ES256", 0)
	issuer.Publish(key)
	verify := oidc.New(oidc.Options{Insecure: true}).Verify
	now := time.Now().Unix()
	token := func(change map[string]any) string {
		claims := map[string]any{
			"iss": issuer.URL, "aud": "https://reg.example/api/v1/events/gar", "sub": "1", "email": "push@acme.example", "email_verified": true,
			"iat": now, "exp": now + 3600,
		}
		maps.Copy(claims, change)
		return "Bearer " + key.Sign(t, claims)
	}
	db := open(t)
	h := handler(
		t, db,
		&notify.Endpoint{Name: "github", Kind: "github", Proof: notify.HMAC{Secret: secret}},
		&notify.Endpoint{Name: "gitea", Kind: "gitea", Proof: notify.HMAC{Secret: secret}},
		&notify.Endpoint{Name: "harbor", Kind: "harbor", Proof: notify.Header{Name: "Authorization", Secret: secret}},
		&notify.Endpoint{Name: "zot", Kind: "zot", Proof: notify.Header{Name: "X-Token", Secret: secret}},
		&notify.Endpoint{Name: "quay", Kind: "quay", Proof: notify.Path{Secret: "4f9c3dd1e3b5a7f0"}},
		&notify.Endpoint{Name: "gar", Kind: "gar", Proof: notify.Token{
			Issuer: issuer.URL, Audience: "https://reg.example/api/v1/events/gar", Email: "push@acme.example", Verify: verify,
		}},
	)
	gh, gt, hb, zt, qy, ga := read(t, "github.package"), read(t, "gitea.created"), read(t, "harbor.push"), read(t, "zot.structured"), read(t, "quay.list"), read(t, "gar.push")
	for _, tt := range []struct {
		name, path, field, value string
		body                     []byte
		want                     int
	}{
		{"github", "github", "X-Hub-Signature-256", "sha256=" + sign(gh, secret), gh, 202},
		{"github, another secret", "github", "X-Hub-Signature-256", "sha256=" + sign(gh, "x"), gh, 401},
		{"github, another body", "github", "X-Hub-Signature-256", "sha256=" + sign(gh, secret), append(slices.Clone(gh), ' '), 401},
		{"github, no signature", "github", "", "", gh, 401},
		{"github, the weak one alone", "github", "X-Hub-Signature", "sha1=" + sign(gh, secret), gh, 401},
		{"github, empty", "github", "X-Hub-Signature-256", "sha256=", gh, 401},
		{"gitea", "gitea", "X-Gitea-Signature", sign(gt, secret), gt, 202},
		{"gitea, wrong", "gitea", "X-Gitea-Signature", sign(gt, "x"), gt, 401},
		{"harbor", "harbor", "Authorization", secret, hb, 202},
		{"harbor, bearer", "harbor", "Authorization", "Bearer " + secret, hb, 202},
		{"harbor, wrong", "harbor", "Authorization", secret + "x", hb, 401},
		{"harbor, a prefix", "harbor", "Authorization", secret[:8], hb, 401},
		{"harbor, none", "harbor", "", "", hb, 401},
		{"harbor, a path besides", "harbor/" + secret[:7], "Authorization", secret, hb, 404},
		{"zot", "zot", "X-Token", secret, zt, 202},
		{"zot, the wrong field", "zot", "Authorization", secret, zt, 401},
		{"quay", "quay/4f9c3dd1e3b5a7f0", "", "", qy, 202},
		{"quay, wrong", "quay/4f9c3dd1e3b5a7f1", "", "", qy, 404},
		{"quay, none", "quay", "", "", qy, 404},
		{"quay, more", "quay/4f9c3dd1e3b5a7f0/x", "", "", qy, 404},
		{"gar", "gar", "Authorization", token(nil), ga, 202},
		{"gar, another account", "gar", "Authorization", token(map[string]any{"email": "ada@evil.example"}), ga, 401},
		{"gar, not verified", "gar", "Authorization", token(map[string]any{"email_verified": false}), ga, 401},
		{"gar, for somebody else", "gar", "Authorization", token(map[string]any{"aud": "https://other.example"}), ga, 401},
		{"gar, old", "gar", "Authorization", token(map[string]any{"iat": now - 7200, "exp": now - 3600}), ga, 401},
		{"gar, none", "gar", "", "", ga, 401},
		{"nobody", "nexus", "", "", qy, 404},
		{"nobody at all", "", "", "", qy, 404},
	} {
		header := http.Header{}
		if tt.field != "" {
			header.Set(tt.field, tt.value)
		}
		w := post(h, notify.BasePath+tt.path, header, tt.body)
		if w.Code != tt.want {
			t.Errorf("%s: %d %s; want %d", tt.name, w.Code, w.Body, tt.want)
		}
		if strings.Contains(w.Body.String(), secret) || strings.Contains(w.Body.String(), "4f9c3dd1e3b5a7f0") {
			t.Errorf("%s: the answer has the secret in it: %s", tt.name, w.Body)
		}
	}
	// A wrong secret path and a name that is none cannot be told apart.
	if a, b := post(h, notify.BasePath+"quay/x", nil, qy), post(h, notify.BasePath+"nexus", nil, qy); a.Body.String() != b.Body.String() || a.Code != b.Code {
		t.Errorf("%s and %s", a.Body, b.Body)
	}
	r := httptest.NewRequest(http.MethodGet, notify.BasePath+"quay/4f9c3dd1e3b5a7f0", nil)
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "POST" {
		t.Errorf("GET: %d %v", w.Code, w.Header())
	}
}

func TestHandler(t *testing.T) {
	t.Parallel()
	db := open(t)
	h := handler(t, db, &notify.Endpoint{Name: "main", Kind: "distribution", Proof: notify.Header{Name: "Authorization", Secret: secret}})
	header := http.Header{"Authorization": {secret}}
	send := func(body, want string) {
		t.Helper()
		if w := post(h, notify.BasePath+"main", header, []byte(body)); w.Code != http.StatusAccepted || strings.TrimSpace(w.Body.String()) != want {
			t.Errorf("%.80s: %d %s; want %s", body, w.Code, w.Body, want)
		}
	}
	push := string(read(t, "distribution.push"))
	send(push, `{"events":1}`)
	send(push, `{"events":1,"duplicate":true}`)
	send(strings.ReplaceAll(push, "acme/zlib", "library/ubuntu"), `{"events":0}`)
	items, err := db.Inbox(t.Context(), "", 0, 10)
	if err != nil || len(items) != 1 {
		t.Fatalf("%+v, %v", items, err)
	}
	ev := items[0].Event
	want := clyde.Event{Source: "main", Action: clyde.ActionPush, Repo: "acme/zlib", Tag: "1.3.1", Digest: ev.Digest, Actor: "main: ada"}
	if ev.ID, ev.Received = 0, (time.Time{}); ev != want {
		t.Errorf("stored %+v; want %+v", ev, want)
	}
	// What nobody understands is kept, and does not stop who sends it.
	send(`{"evnts":[]}`, `{"events":0}`)
	send(`{"evnts":[]}`, `{"events":0}`)
	parked, err := db.Inbox(t.Context(), "parked", 0, 10)
	if err != nil || len(parked) != 1 || !strings.Contains(parked[0].Reason, "no distribution envelope") || parked[0].Event.Source != "main" {
		t.Errorf("parked %+v, %v", parked, err)
	}
	if w := post(h, notify.BasePath+"main", header, []byte(strings.Repeat(" ", notify.MaxBody+1))); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a body too large: %d", w.Code)
	}
}

// broken is an inbox whose disk is full.
type broken struct{ notify.Inbox }

func (broken) PutDelivery(context.Context, string, string, []clyde.Event) (bool, error) {
	return false, errors.New("/var/lib/clyde/clyde.db: disk is full")
}

// What is not stored is not accepted, so that it is sent again.
func TestNotStored(t *testing.T) {
	t.Parallel()
	h := handler(t, broken{open(t)}, &notify.Endpoint{Name: "main", Kind: "quay", Proof: notify.Path{Secret: "x"}})
	if w := post(h, notify.BasePath+"main/x", nil, read(t, "quay.list")); w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "disk") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// A burst, as fast as it comes: all of it is stored, and memory does not grow
// with it. With CLYDE_TEST_BURST=10000 it is a minute's worth of the busiest.
func TestBurst(t *testing.T) {
	t.Parallel()
	const senders = 100
	events := 2000
	if n, err := strconv.Atoi(os.Getenv("CLYDE_TEST_BURST")); err == nil {
		events = n
	}
	dir := t.TempDir()
	db, err := store.Open(t.Context(), store.Options{Path: dir + "/clyde.db"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	h := handler(t, db, &notify.Endpoint{Name: "main", Kind: "distribution", Proof: notify.Header{Name: "Authorization", Secret: secret}})
	srv := httptest.NewServer(h)
	defer srv.Close()
	template := string(read(t, "distribution.push"))
	send := func(c *http.Client, i int) error {
		body := strings.NewReplacer("320678d8-ca14-430f-8bb6-4ca139cd83f7", fmt.Sprint("id-", i), "acme/zlib", fmt.Sprintf("acme/p%d", i%1000), "1.3.1", fmt.Sprintf("1.%d.0", i)).Replace(template)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+notify.BasePath+"main", strings.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", secret)
		resp, err := c.Do(req)
		if err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusAccepted {
			return fmt.Errorf("status %d", resp.StatusCode)
		}
		return nil
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: senders}}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for i := range 200 { // connections, statements
		if err := send(client, -i-1); err != nil {
			t.Fatal(err)
		}
	}
	before, began := heap(), time.Now()
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := s; i < events; i += senders {
				at := time.Now()
				if err := send(client, i); err != nil {
					t.Errorf("event %d: %v", i, err)
					return
				}
				mu.Lock()
				took = append(took, time.Since(at))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	all := time.Since(began)
	after := heap()
	slices.Sort(took)
	t.Logf("%d events in %s: %.0f/s; median %s, 99%% %s; heap %d KiB before, %d KiB after", len(took), all.Round(time.Millisecond),
		float64(len(took))/all.Seconds(), took[len(took)/2], took[len(took)*99/100], before>>10, after>>10)
	if n, err := db.Waiting(t.Context()); err != nil || n != int64(events)+200 {
		t.Errorf("%d events wait, %v; want %d", n, err, events+200)
	}
	if all > time.Minute {
		t.Errorf("took %s; a minute's worth must not take longer than one", all)
	}
	if after > before+8<<20 {
		t.Errorf("the heap grew from %d to %d KiB", before>>10, after>>10)
	}
}
