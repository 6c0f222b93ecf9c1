package api_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/api"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

type part struct {
	name, mediaType string
	body            []byte
}

// form builds a multipart body and its media type.
func form(t *testing.T, parts []part) (*bytes.Buffer, string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		h := textproto.MIMEHeader{"Content-Disposition": {multipart.FileContentDisposition(p.name, p.name)}}
		if p.mediaType != "" {
			h.Set("Content-Type", p.mediaType)
		}
		pw, err := w.CreatePart(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pw.Write(p.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b, w.FormDataContentType()
}

// upload sends parts as the administrator.
func (e *env) upload(parts []part, headers ...string) answer {
	e.t.Helper()
	b, ct := form(e.t, parts)
	return e.do("POST", "/api/v1/packages", b, append(append(bearer(e.admin), "Content-Type", ct), headers...)...)
}

func TestPublishForms(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	yaml := part{"package.yaml", "application/yaml", []byte(manifest("@acme/hello", "1.0.0"))}
	src := part{"archive", "application/octet-stream", tarball(t, page...)}
	broken := part{"package.yaml", "", []byte("nmae: x\nversion: 1\n")}
	for _, tt := range []struct {
		name   string
		parts  []part
		status int
		code   string
	}{
		{"nothing", nil, 400, "part_missing"},
		{"no archive", []part{yaml}, 400, "part_missing"},
		{"the other way round", []part{src, yaml}, 400, "part_unexpected"},
		{"a part more", []part{yaml, src, {"more", "", []byte("x")}}, 400, "part_unexpected"},
		{"archive twice", []part{yaml, src, src}, 400, "part_unexpected"},
		{"no archive format", []part{yaml, {"archive", "", []byte("PK\x03\x04")}}, 415, "archive_unsupported"},
		{"another format than said", []part{yaml, {"archive", artifact.TypeSourceZstd, src.body}}, 415, "archive_unsupported"},
		{"empty archive", []part{yaml, {"archive", "", nil}}, 415, "archive_unsupported"},
		{"wrong package.yaml", []part{broken, src}, 422, "invalid_package"},
		{"package.yaml too large", []part{{"package.yaml", "", bytes.Repeat([]byte("#"), artifact.MaxConfig+1)}, src}, 413, "too_large"},
		{"package.yaml as large as may be", []part{{"package.yaml", "", bytes.Repeat([]byte("#"), artifact.MaxConfig)}, src}, 422, "invalid_package"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := e.upload(tt.parts)
			if p := a.problem(t); p.Status != tt.status || p.Code != tt.code {
				t.Errorf("POST = %s; want %d %s", a.body, tt.status, tt.code)
			}
		})
	}
	var p api.ProblemDetails
	if err := json.Unmarshal(e.upload([]part{broken, src}).body, &p); err != nil || len(p.Errors) < 2 || p.Errors[0].Line == 0 {
		t.Errorf("problems of package.yaml: %+v, %v; want each with its line", p.Errors, err)
	}
	if a := e.get("/api/v1/packages/acme/hello"); a.StatusCode != 404 {
		t.Fatalf("a refused form published something: %s", a.body)
	}
	a := e.upload([]part{yaml, src})
	if a.StatusCode != 201 || a.Header.Get("Location") != e.srv.URL+helloPath+"/versions/1.0.0" {
		t.Errorf("POST = %d %s, Location %q", a.StatusCode, a.body, a.Header.Get("Location"))
	}
}

func TestPublishCutOff(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	b, ct := form(t, []part{{"package.yaml", "", []byte(manifest("@acme/hello", "1.0.0"))}, {"archive", "", tarball(t, page...)}})
	cut := b.Bytes()[:b.Len()-30]
	a := e.do("POST", "/api/v1/packages", bytes.NewReader(cut), append(bearer(e.admin), "Content-Type", ct)...)
	if p := a.problem(t); p.Code != "body_invalid" {
		t.Errorf("POST = %s; want body_invalid", a.body)
	}
	if a := e.get(helloPath); a.StatusCode != 404 {
		t.Errorf("GET = %d; want nothing published", a.StatusCode)
	}
}

func TestPublishRights(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	src := tarball(t, page...)
	publish := func(token, name string) error {
		_, err := e.client(token).Publish(t.Context(), []byte(manifest(name, "1.0.0")), bytes.NewReader(src), artifact.TypeSourceGzip, "")
		return err
	}
	other := e.scoped("other", "@else/*", account.PublishNew, account.Publish)
	if err := publish("", "@acme/hello"); !errors.Is(err, clyde.ErrUnauthenticated) {
		t.Errorf("by nobody: %v; want ErrUnauthenticated", err)
	}
	if err := publish(other, "@acme/hello"); !errors.Is(err, clyde.ErrDenied) {
		t.Errorf("by a stranger: %v; want ErrDenied", err)
	}
	if err := publish(other, "@else/hello"); err != nil {
		t.Errorf("by who may: %v", err)
	}
}

// A request that comes again with its key has the first one's answer, and
// nothing happens twice.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	parts := []part{{"package.yaml", "", []byte(manifest("@acme/hello", "1.0.0"))}, {"archive", "", tarball(t, page...)}}
	first, again := e.upload(parts, "Idempotency-Key", "k1"), e.upload(parts, "Idempotency-Key", "k1")
	if first.StatusCode != 201 || again.StatusCode != 201 || string(first.body) != string(again.body) || again.Header.Get("Idempotent-Replayed") != "true" || first.Header.Get("Idempotent-Replayed") != "" {
		t.Errorf("first %d %s, again %d %s; want the same, replayed", first.StatusCode, first.body, again.StatusCode, again.body)
	}
	other := []part{{"package.yaml", "", []byte(manifest("@acme/hello", "1.1.0"))}, parts[1]}
	if a := e.upload(other, "Idempotency-Key", "k1"); a.StatusCode != 422 || a.problem(t).Code != "idempotency_key_reused" {
		t.Errorf("another request = %d %s; want 422 idempotency_key_reused", a.StatusCode, a.body)
	}
	for _, bad := range []string{"a b", "ä"} {
		if a := e.upload(parts, "Idempotency-Key", bad); a.StatusCode != 400 {
			t.Errorf("key %q = %d; want 400", bad, a.StatusCode)
		}
	}
	h := append(bearer(e.admin), "Content-Type", "application/json", "Idempotency-Key", "k2")
	tok := `{"name":"ci","scopes":[{"actions":["pull"],"pattern":"*"}]}`
	if a := e.do("POST", "/api/v1/tokens", strings.NewReader(tok), h...); a.StatusCode != 201 {
		t.Fatalf("token = %d %s", a.StatusCode, a.body)
	}
	if a := e.do("POST", "/api/v1/tokens", strings.NewReader(tok), h...); a.StatusCode != 409 || a.problem(t).Code != "token_created" {
		t.Errorf("token again = %d %s; want 409 token_created", a.StatusCode, a.body)
	}
}

// Two requests with one key at once: one is told to wait.
func TestIdempotencyKeyAtOnce(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	b, ct := form(t, []part{{"package.yaml", "", []byte(manifest("@acme/hello", "1.0.0"))}, {"archive", "", tarball(t, page...)}})
	h := append(bearer(e.admin), "Content-Type", ct, "Idempotency-Key", "k")
	// The server asks for the body when it begins to read, and by then it
	// holds the key: nothing of the pipe is read before.
	e.srv.Client().Transport.(*http.Transport).ExpectContinueTimeout = time.Minute
	pr, pw := io.Pipe()
	var wg sync.WaitGroup
	wg.Go(func() {
		if a := e.do("POST", "/api/v1/packages", pr, append(h, "Expect", "100-continue")...); a.StatusCode != 201 {
			t.Errorf("first = %d %s", a.StatusCode, a.body)
		}
	})
	half := b.Len() / 2
	if _, err := pw.Write(b.Bytes()[:half]); err != nil {
		t.Fatal(err)
	}
	a := e.do("POST", "/api/v1/packages", strings.NewReader(""), h...)
	if a.StatusCode != 409 || a.Header.Get("Retry-After") == "" {
		t.Errorf("second = %d %s; want 409 while the first runs, and when to come again", a.StatusCode, a.body)
	}
	if _, err := pw.Write(b.Bytes()[half:]); err != nil {
		t.Fatal(err)
	}
	_ = pw.Close()
	wg.Wait()
}

// deadlines records the read deadlines that a handler sets.
type deadlines struct {
	http.ResponseWriter
	set []time.Time
}

func (d *deadlines) Unwrap() http.ResponseWriter { return d.ResponseWriter }
func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.set = append(d.set, t)
	return nil
}

// timeout is what a connection says when its read deadline is over.
type timeout struct{}

func (timeout) Read([]byte) (int, error) {
	return 0, &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}
}
func (timeout) Close() error { return nil }

// An upload that comes to a halt is given up, with 408; and every upload has a
// deadline.
func TestSlowUpload(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	var d *deadlines
	h := e.srv.Config.Handler
	e.srv.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			_, _ = io.Copy(io.Discard, r.Body)
			r.Body = timeout{}
			d = &deadlines{ResponseWriter: w}
			w = d
		}
		h.ServeHTTP(w, r)
	})
	begin := time.Now()
	a := e.upload([]part{{"package.yaml", "", []byte("x")}})
	if p := a.problem(t); p.Status != 408 || p.Code != "upload_too_slow" {
		t.Errorf("POST = %s; want 408 upload_too_slow", a.body)
	}
	if len(d.set) < 2 || d.set[0].Sub(begin) > api.UploadIdle+5*time.Second || !d.set[len(d.set)-1].IsZero() {
		t.Errorf("read deadlines %v; want one within %s, and none left at the end", d.set, api.UploadIdle)
	}
}

func TestPublishThenFound(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	e.publish("@acme/hello", "1.0.0")
	page, err := e.client("").Search(t.Context(), client.SearchQuery{Text: "hello.h"})
	if err != nil || page.Total != 1 {
		t.Errorf("search by header right after the 201: %+v, %v; want it found", page, err)
	}
}

// Who sends much and is refused reads why, although nobody reads the rest.
func TestRefusedLargeUpload(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	other := e.scoped("other", "@else/*", account.Publish)
	big := make([]byte, 24<<20)
	copy(big, "\x1f\x8b")
	for range 4 {
		for token, want := range map[string]error{"": clyde.ErrUnauthenticated, other: clyde.ErrDenied} {
			_, err := e.client(token).Publish(t.Context(), []byte(manifest("@acme/hello", "1.0.0")), bytes.NewReader(big), artifact.TypeSourceGzip, "")
			if !errors.Is(err, want) {
				t.Errorf("Publish = %v; want %v", err, want)
			}
		}
	}
}
