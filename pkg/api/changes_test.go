package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/api"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// follow opens an event stream and returns its lines.
func (e *env) follow(ctx context.Context, headers ...string) (*http.Response, <-chan string) {
	e.t.Helper()
	req, err := http.NewRequestWithContext(ctx, "GET", e.srv.URL+"/api/v1/changes", nil)
	if err != nil {
		e.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := e.srv.Client().Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		defer resp.Body.Close()
		s := bufio.NewScanner(resp.Body)
		for s.Scan() {
			lines <- s.Text()
		}
	}()
	return resp, lines
}

// event reads the next event of a stream: its id and its change.
func event(t *testing.T, lines <-chan string) (id string, ch store.Change) {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case l, ok := <-lines:
			switch {
			case !ok:
				t.Fatal("the stream ended")
			case strings.HasPrefix(l, "id: "):
				id = strings.TrimPrefix(l, "id: ")
			case strings.HasPrefix(l, "data: "):
				if err := json.Unmarshal([]byte(strings.TrimPrefix(l, "data: ")), &ch); err != nil {
					t.Fatal(err)
				}
				return id, ch
			}
		case <-timeout:
			t.Fatal("no event")
		}
	}
}

// ended waits for a stream to end.
func ended(t *testing.T, lines <-chan string) {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case _, ok := <-lines:
			if !ok {
				return
			}
		case <-timeout:
			t.Fatal("the stream goes on")
		}
	}
}

func TestEventStream(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	e.publish("@acme/hello", "1.0.0")
	resp, lines := e.follow(t.Context())
	if ct := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || ct != "text/event-stream" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("GET = %d, %s", resp.StatusCode, ct)
	}
	id, ch := event(t, lines)
	if ch.Version != "1.0.0" || ch.Type != "version.published" {
		t.Errorf("first event %+v", ch)
	}
	e.publish("@acme/hello", "1.1.0") // while it is open
	if _, ch = event(t, lines); ch.Version != "1.1.0" {
		t.Errorf("second event %+v; want 1.1.0", ch)
	}
	_, again := e.follow(t.Context(), "Last-Event-ID", id)
	if _, ch = event(t, again); ch.Version != "1.1.0" {
		t.Errorf("with Last-Event-ID %s: %+v; want to go on with 1.1.0", id, ch)
	}
	old, _ := e.follow(t.Context(), "Last-Event-ID", "other.1")
	if old.StatusCode != http.StatusConflict {
		t.Errorf("Last-Event-ID of another epoch = %d; want 409", old.StatusCode)
	}
}

// A stream ends when its token does, at the next thing that happens.
func TestEventStreamOfRevokedToken(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	e.publish("@acme/secret", "1.0.0")
	e.private("@acme/secret")
	tok := e.scoped("reader", "@acme/*", "pull")
	_, lines := e.follow(t.Context(), bearer(tok)...)
	if _, ch := event(t, lines); ch.Package != "@acme/secret" {
		t.Fatalf("event %+v; want the private package", ch)
	}
	ts, err := e.client(e.admin).Tokens(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, tk := range ts {
		if tk.Name == "reader" {
			if err := e.client(e.admin).RevokeToken(t.Context(), tk.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	e.publish("@acme/secret", "1.1.0")
	for l := range lines {
		if strings.Contains(l, "1.1.0") {
			t.Errorf("after the token was revoked: %s", l)
		}
	}
}

func TestTooManyStreams(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	var open []<-chan string
	for range api.MaxStreamsEach {
		resp, lines := e.follow(ctx)
		if resp.StatusCode != 200 {
			t.Fatalf("stream %d = %d", len(open)+1, resp.StatusCode)
		}
		open = append(open, lines)
	}
	resp, lines := e.follow(t.Context())
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("one stream more = %d; want 429", resp.StatusCode)
	}
	ended(t, lines)
	cancel()
	for _, l := range open {
		ended(t, l)
	}
	deadline := time.Now().Add(time.Minute)
	for { // the server learns of it a moment later
		ctx, cancel := context.WithCancel(t.Context())
		resp, lines := e.follow(ctx)
		cancel()
		ended(t, lines)
		if resp.StatusCode == 200 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("closed streams still count")
		}
	}
}

func TestChangesPages(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	for i := range 5 {
		e.publish("@acme/hello", fmt.Sprintf("1.%d.0", i))
	}
	var got []string
	path := "/api/v1/changes?limit=2"
	for pages := 0; path != ""; pages++ {
		if pages > 10 {
			t.Fatal("the feed has no end")
		}
		a := e.get(path)
		if a.StatusCode != 200 || a.Header.Get("Content-Type") != "application/x-ndjson" || a.Header.Get("Clyde-Epoch") == "" {
			t.Fatalf("GET %s = %d %v", path, a.StatusCode, a.Header)
		}
		for l := range strings.Lines(string(a.body)) {
			var ch store.Change
			if err := json.Unmarshal([]byte(l), &ch); err != nil {
				t.Fatal(err)
			}
			got = append(got, ch.Version)
		}
		path = next(t, e, a)
	}
	if want := "1.0.0 1.1.0 1.2.0 1.3.0 1.4.0"; strings.Join(got, " ") != want {
		t.Errorf("feed %v; want %s", got, want)
	}
}

// next is the path of the next page that a Link header names, or "".
func next(t *testing.T, e *env, a answer) string {
	t.Helper()
	l := a.Header.Get("Link")
	if l == "" {
		return ""
	}
	u, ok := strings.CutSuffix(strings.TrimPrefix(l, "<"+e.srv.URL), `>; rel="next"`)
	if !ok {
		t.Fatalf("Link %q", l)
	}
	return u
}

// Pages of a list, followed by Link, hold everything once.
func TestPages(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	e.publish("@acme/hello", "1.0.0")
	for i := range 5 {
		e.publish(fmt.Sprintf("@acme/user%d", i), "1.0.0", "requires:", "  \"@acme/hello\": \"^1\"", "")
	}
	for _, path := range []string{helloPath + "/dependents?limit=2", "/api/v1/search?q=user&limit=2&sort=name"} {
		var got []string
		for p := path; p != ""; {
			a := e.get(p)
			var page struct {
				Items []struct{ Name string }
				Next  string `json:"next_cursor"`
			}
			if err := json.Unmarshal(a.body, &page); err != nil || a.StatusCode != 200 {
				t.Fatalf("GET %s = %d %s", p, a.StatusCode, a.body)
			}
			for _, i := range page.Items {
				got = append(got, i.Name)
			}
			if p = next(t, e, a); (p != "") != (page.Next != "") || len(got) > 10 {
				t.Fatalf("Link %q, next_cursor %q, %v", p, page.Next, got)
			}
			if strings.Contains(page.Next, "acme") {
				t.Errorf("cursor %q is not opaque", page.Next)
			}
		}
		if want := "@acme/user0 @acme/user1 @acme/user2 @acme/user3 @acme/user4"; strings.Join(got, " ") != want {
			t.Errorf("%s: %v; want %s", path, got, want)
		}
	}
}

func TestDownloads(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	e.publish("@acme/hello", "1.0.0")
	count := func(version, day, kind, client string, n int64) store.Count {
		return store.Count{Repo: "acme/hello", Version: version, Day: day, Kind: kind, Client: client, Platform: "linux-x86_64", Count: n, Raw: n + 1}
	}
	err := e.parts.DB.AddCounts(t.Context(), "", 0, []store.Count{
		count("1.0.0", "2026-01-01", store.People, "clyde", 2), count("1.0.0", "2026-01-02", store.People, "oras", 3),
		count("1.1.0", "2026-01-02", store.People, "clyde", 5), count("1.1.0", "2026-02-01", store.People, "clyde", 7),
		count("1.1.0", "2026-01-02", store.CI, "clyde", 100), count("1.1.0", "2026-01-02", store.Robot, "other", 1000),
	})
	if err != nil {
		t.Fatal(err)
	}
	for group, want := range map[string]string{
		"":                         `{"items":[{"version":"1.0.0","day":"2026-01-01","count":2,"raw":3},{"version":"1.0.0","day":"2026-01-02","count":3,"raw":4},{"version":"1.1.0","day":"2026-01-02","count":5,"raw":6}],"total":10,`,
		"&group=day":               `{"items":[{"day":"2026-01-01","count":2,"raw":3},{"day":"2026-01-02","count":8,"raw":10}],"total":10,`,
		"&group=version":           `{"items":[{"version":"1.0.0","count":5,"raw":7},{"version":"1.1.0","count":5,"raw":6}],"total":10,`,
		"&group=version&kind=all":  `{"items":[{"version":"1.0.0","count":5,"raw":7},{"version":"1.1.0","count":1105,"raw":1108}],"total":1110,`,
		"&group=kind":              `{"items":[{"kind":"ci","count":100,"raw":101},{"kind":"people","count":10,"raw":13},{"kind":"robot","count":1000,"raw":1001}],"total":1110,`,
		"&group=client":            `{"items":[{"client":"clyde","count":7,"raw":9},{"client":"oras","count":3,"raw":4}],"total":10,`,
		"&group=client&kind=ci":    `{"items":[{"client":"clyde","count":100,"raw":101}],"total":100,`,
		"&group=platform&kind=all": `{"items":[{"platform":"linux-x86_64","count":1110,"raw":1115}],"total":1110,`,
	} {
		if a := e.get(helloPath + "/downloads?from=2026-01-01&to=2026-01-31" + group); !strings.HasPrefix(string(a.body), want) || !strings.Contains(string(a.body), `/about#downloads"}`) {
			t.Errorf("downloads%s = %s; want %s", group, a.body, want)
		}
	}
	// A package's number is people's; the others stand beside it.
	if a := e.get(helloPath); !strings.Contains(string(a.body), `"downloads":17,"pulls":{"people":17,"ci":100,"robots":1000,"raw":1123}`) {
		t.Errorf("the package says %s", a.body)
	}
}

// A stream on which nothing happens says that it is still there.
func TestHeartbeat(t *testing.T) {
	t.Parallel()
	e := start(t, func(o *api.Options) { o.Heartbeat = 10 * time.Millisecond })
	ctx, cancel := context.WithCancel(t.Context())
	_, lines := e.follow(ctx)
	beats := 0
	for l := range lines {
		if strings.HasPrefix(l, ": still") {
			if beats++; beats == 3 {
				break
			}
		}
	}
	if beats != 3 {
		t.Errorf("%d heartbeats; want 3", beats)
	}
	cancel()
	ended(t, lines)
}
