package artifact_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// tokens is a token service, and the front of a registry that believes it.
type tokens struct {
	t     *testing.T
	w     *world
	url   string
	mu    sync.Mutex
	n     int
	valid string   // the token in force
	asked []string // scopes
	creds []string // Authorization or form, as the service saw them
}

func newTokens(t *testing.T, w *world) *tokens {
	s := &tokens{t: t, w: w}
	srv := httptest.NewServer(http.HandlerFunc(s.issue))
	t.Cleanup(srv.Close)
	s.url = srv.URL
	w.before(s.front)
	return s
}

func (s *tokens) issue(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := r.ParseForm(); err != nil {
		s.t.Error(err)
	}
	_, pass, _ := r.BasicAuth()
	s.creds = append(s.creds, pass+r.PostForm.Get("refresh_token"))
	if got := s.creds[len(s.creds)-1]; got != "" && got != "hunter2 the second" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	s.n++
	s.valid = fmt.Sprintf("token-%d", s.n)
	s.asked = append(s.asked, strings.Join(r.Form["scope"], ","))
	fmt.Fprintf(w, `{"token":%q,"expires_in":300}`, s.valid)
}

func (s *tokens) front(rw http.ResponseWriter, r *http.Request, next http.Handler) {
	s.mu.Lock()
	valid := s.valid
	s.mu.Unlock()
	if valid == "" || r.Header.Get("Authorization") != "Bearer "+valid {
		rw.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token?account=x",service="registry",scope="repository:acme/zlib:pull"`, s.url))
		rw.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(rw, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
		return
	}
	r.Header.Set("Authorization", "Bearer "+s.w.token)
	next.ServeHTTP(rw, r)
}

func TestBearer(t *testing.T) {
	t.Parallel()
	for _, user := range []string{"alice", "<token>"} {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			s := newTokens(t, w)
			c, _ := newClient(t, artifact.ClientOptions{Host: w.host, Credential: credential(user, "hunter2 the second"), Parallel: 1})
			p := packed(t, noise(large, 8), nil)
			if err := c.Push(t.Context(), "acme/zlib", p, []string{"1.0.0"}, nil); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(s.asked, []string{"repository:acme/zlib:pull,push"}) || s.creds[0] != "hunter2 the second" {
				t.Errorf("asked for %q with %q; want one token for all of the push", s.asked, s.creds)
			}
			if _, err := c.Resolve(t.Context(), "acme/zlib", "1.0.0"); err != nil {
				t.Error(err)
			}
			s.mu.Lock()
			s.valid = "another one" // what the client has is no good any more
			s.mu.Unlock()
			if _, err := c.Tags(t.Context(), "acme/zlib", "", 0); err != nil {
				t.Error(err)
			}
			if s.n != 3 {
				t.Errorf("%d tokens; want 3: to push, to pull, and a fresh one", s.n)
			}
		})
	}
}

func TestBearerAnonymousAndRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := newTokens(t, w)
	c, _ := newClient(t, artifact.ClientOptions{Host: w.host})
	_, err := c.Resolve(t.Context(), "acme/zlib", "1.0.0")
	wantKind(t, "Resolve with an anonymous token", err, clyde.ErrNotFound)
	if len(s.creds) != 1 || s.creds[0] != "" {
		t.Errorf("credentials %q; want none", s.creds)
	}
	c, _ = newClient(t, artifact.ClientOptions{Host: w.host, Credential: credential("alice", "wrong password")})
	wantKind(t, "Ping with a wrong password", c.Ping(t.Context()), clyde.ErrUnauthenticated)
	c, _ = newClient(t, artifact.ClientOptions{Host: w.host, Credential: credential("", "a registry token")})
	err = c.Ping(t.Context())
	wantKind(t, "Ping with a token that is not the registry's", err, clyde.ErrUnauthenticated)
	if len(s.creds) != 2 {
		t.Errorf("the token service saw %q; a registry token is not for it", s.creds[2:])
	}
	c, _ = newClient(t, artifact.ClientOptions{Host: w.host, Credential: func(context.Context) (string, string, error) {
		return "", "", errors.New("keyring is locked")
	}})
	err = c.Ping(t.Context())
	wantKind(t, "Ping without a readable credential", err, clyde.ErrUnauthenticated)
}

func TestTokenWithoutUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, _ := newClient(t, artifact.ClientOptions{Host: w.host, Credential: credential("", w.token)})
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	c, _ = newClient(t, artifact.ClientOptions{Host: w.host, Credential: credential("", "clyde_wrong")})
	err := c.Ping(t.Context())
	wantKind(t, "Ping with a wrong token", err, clyde.ErrUnauthenticated)
	if strings.Contains(err.Error(), "clyde_wrong") {
		t.Errorf("%v: shows the token", err)
	}
}

func TestRedirectDropsCredentials(t *testing.T) {
	t.Parallel()
	w, c, d, layer := stored(t)
	var mu sync.Mutex
	var seen []http.Header
	other := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen = append(seen, r.Header.Clone())
		mu.Unlock()
		if r.URL.Path == "/who" { // a challenge from elsewhere is not answered
			rw.Header().Set("WWW-Authenticate", "Basic realm=x")
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = rw.Write(layer)
	}))
	t.Cleanup(other.Close)
	to := "/blob?signature=secret"
	w.before(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		switch {
		case isBlobGet(r):
			if r.Header.Get("Authorization") == "" {
				t.Error("the registry itself is not told who asks")
			}
			http.Redirect(rw, r, other.URL+to, http.StatusTemporaryRedirect)
		case r.Method == http.MethodPost:
			http.Redirect(rw, r, other.URL+"/upload", http.StatusTemporaryRedirect)
		default:
			next.ServeHTTP(rw, r)
		}
	})
	fetch(t, c, d, layer)
	to = "/who?signature=secret"
	_, err := c.Blob(t.Context(), "acme/zlib", d)
	wantKind(t, "Blob behind a redirect that asks who is there", err, clyde.ErrUnauthenticated)
	if strings.Contains(err.Error(), "signature") {
		t.Errorf("%v: shows the address", err)
	}
	sent := len(seen)
	err = c.Push(t.Context(), "acme/zlib", packed(t, []byte("new"), nil), []string{"2.0.0"}, nil)
	wantKind(t, "Push that is redirected", err, clyde.ErrUnavailable)
	if len(seen) != sent || sent != 2 {
		t.Errorf("the other host had %d requests, %d of them to write; want 2 and none", len(seen), len(seen)-sent)
	}
	for _, h := range seen {
		if h.Get("Authorization") != "" || h.Get("Referer") != "" || h.Get("User-Agent") != "clyde-client" {
			t.Errorf("the other host got %v", h)
		}
	}
}

func TestRedirectToPlainHTTP(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the plain server was asked") }))
	t.Cleanup(plain.Close)
	secure := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/tags/list") {
			rw.Header().Set("WWW-Authenticate", `Bearer realm="`+plain.URL+`/token"`)
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.Redirect(rw, r, plain.URL+"/blob", http.StatusFound)
	}))
	t.Cleanup(secure.Close)
	o := artifact.ClientOptions{Host: strings.TrimPrefix(secure.URL, "https://"), Transport: secure.Client().Transport, Credential: credential("alice", "hunter2 the second")}
	c, err := artifact.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	err = c.FetchBlob(t.Context(), "acme/zlib", bytesBlob("x", []byte("x")).Descriptor, filepath.Join(t.TempDir(), "blob"), nil)
	if e := clyde.AsError(err); e == nil || e.Code != "redirect_refused" {
		t.Errorf("redirect to HTTP = %v; want redirect_refused", err)
	}
	_, err = c.Tags(t.Context(), "acme/zlib", "", 0)
	if e := clyde.AsError(err); e == nil || e.Code != "realm_refused" {
		t.Errorf("token service on HTTP = %v; want realm_refused", err)
	}
	o.Transport = nil
	if c, err = artifact.NewClient(o); err != nil {
		t.Fatal(err)
	}
	err = c.Ping(t.Context())
	if e := clyde.AsError(err); !errors.Is(err, clyde.ErrUnavailable) || len(e.Fixes) != 1 || !strings.Contains(e.Fixes[0], "certificate") {
		t.Errorf("unknown certificate = %v; want a word about it", err)
	}
	o.Host = strings.TrimPrefix(plain.URL, "http://")
	if c, err = artifact.NewClient(o); err != nil {
		t.Fatal(err)
	}
	err = c.Ping(t.Context())
	if e := clyde.AsError(err); !errors.Is(err, clyde.ErrUnavailable) || len(e.Fixes) != 1 || !strings.Contains(e.Fixes[0], "plain HTTP") {
		t.Errorf("HTTPS to a plain server = %v; want a word about it", err)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	const secret = "hunter2 the second"
	for _, tt := range []struct {
		status     int
		body       string
		kind       error
		code, want string // want without the host
	}{
		{400, `{"errors":[{"code":"MANIFEST_INVALID","message":"bad manifest"}]}`, clyde.ErrInvalid, "manifest_invalid", ": bad manifest"},
		{401, `{"errors":[{"code":"UNAUTHORIZED","message":"who are you?"}]}`, clyde.ErrUnauthenticated, "unauthorized", ": who are you?"},
		{403, `{"errors":[{"code":"DENIED","message":"no \u001b[31m` + secret + `"}]}`, clyde.ErrDenied, "denied", ": no [31m…"},
		{403, `{"errors":[{"code":"DENIED","message":"taken. Rename it.","detail":{"code":"version_exists","kind":"conflict","fixes":["Rename it."]}}]}`, clyde.ErrConflict, "version_exists", "taken"},
		{403, `{"errors":[{"code":"DENIED"},{"code":"X","message":"two"}]}`, clyde.ErrDenied, "denied", ": two"},
		{404, `{"errors":[{"code":"NAME_UNKNOWN","message":"gone","detail":"a string"}]}`, clyde.ErrNotFound, "name_unknown", ": gone"},
		{409, `nothing like JSON`, clyde.ErrConflict, "registry_refused", " answered 409 Conflict"},
		{413, `{"errors":[]}`, clyde.ErrTooLarge, "registry_refused", " answered 413 Request Entity Too Large"},
		{418, `{"errors":[{"code":"1 strange code"}]}`, clyde.ErrInvalid, "registry_refused", ": 1 strange code"},
		{429, `{"errors":[{"code":"TOOMANYREQUESTS","message":"tomorrow","detail":{"code":"quota_exceeded"}}]}`, clyde.ErrRateLimited, "quota_exceeded", "tomorrow"},
		{500, ``, clyde.ErrUnavailable, "registry_refused", " answered 500 Internal Server Error"},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "" || tt.status == 401 {
				rw.Header().Set("WWW-Authenticate", `Basic realm="x"`)
				rw.WriteHeader(http.StatusUnauthorized)
			} else {
				rw.WriteHeader(tt.status)
			}
			_, _ = io.WriteString(rw, tt.body)
		}))
		c, _ := newClient(t, artifact.ClientOptions{Host: strings.TrimPrefix(s.URL, "http://"), Credential: credential("", secret)})
		for what, err := range map[string]error{
			"Tags":        second(c.Tags(t.Context(), "acme/zlib", "", 0)),
			"PutManifest": second(c.PutManifest(t.Context(), "acme/zlib", "1.0.0", "application/json", []byte("{}"))),
		} {
			e := clyde.AsError(err)
			if e == nil || !errors.Is(err, tt.kind) || e.Code != tt.code {
				t.Errorf("%s with %d %s = %#v; want kind %q, code %q", what, tt.status, tt.body, e, tt.kind, tt.code)
				continue
			}
			if got := strings.TrimPrefix(e.Msg, c.Host()); got != tt.want {
				t.Errorf("%s with %d %s: %q; want %q", what, tt.status, tt.body, got, tt.want)
			}
		}
		s.Close()
	}
}

func second[T any](_ T, err error) error { return err }

func TestBadInput(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"", "a b", "user:pass@host", "host/path", "host?x", "http://host", "host:port:1"} {
		if _, err := artifact.NewClient(artifact.ClientOptions{Host: host}); !errors.Is(err, clyde.ErrInvalid) || strings.Contains(err.Error(), "pass@") {
			t.Errorf("NewClient(%q) = %v; want ErrInvalid", host, err)
		}
	}
	c, _ := newClient(t, artifact.ClientOptions{Host: "127.0.0.1:1"})
	ctx := t.Context()
	ok := bytesBlob("x", []byte("x")).Descriptor
	bad := ok
	bad.Digest = "sha256:../../x"
	short := ok
	short.Size = -1
	for what, err := range map[string]error{
		"repo":     second(c.Tags(ctx, "acme/../zlib", "", 0)),
		"long":     second(c.Tags(ctx, strings.Repeat("a", 256), "", 0)),
		"ref":      second(c.Resolve(ctx, "acme/zlib", "a/b")),
		"digest":   second(c.Blob(ctx, "acme/zlib", bad)),
		"size":     second(c.Blob(ctx, "acme/zlib", short)),
		"manifest": second(c.PutManifest(ctx, "acme/zlib", digest.FromString("y").String(), "x", []byte("x"))),
		"blob":     c.PutBlob(ctx, "acme/zlib", ok, strings.NewReader("xx")),
		"tag":      c.Push(ctx, "acme/zlib", packed(t, []byte("x"), nil), []string{".."}, nil),
	} {
		wantKind(t, what, err, clyde.ErrInvalid)
	}
	_, err := c.PutManifest(ctx, "acme/zlib", "x", "x", make([]byte, artifact.MaxManifest+1))
	wantKind(t, "a manifest over the limit", err, clyde.ErrTooLarge)
	_, err = c.Resolve(ctx, "acme/zlib", "x")
	wantKind(t, "nobody listens", err, clyde.ErrUnavailable)
}

func TestParseChallenges(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`Basic realm="clyde"`: `basic[realm:clyde]`,
		`Bearer realm="https://a/t?x=1,2",service="a \"b\"", scope=x`: `bearer[realm:https://a/t?x=1,2 scope:x service:a "b"]`,
		`Negotiate, Basic realm=x, Bearer realm="y"`:                  `negotiate[] basic[realm:x] bearer[realm:y]`,
		`Bearer realm="not ended`:                                     `bearer[]`,
		`realm="x"`:                                                   ``,
		`=`:                                                           ``,
	} {
		schemes, params := artifact.ParseChallenges(in)
		var got []string
		for i, s := range schemes {
			got = append(got, s+strings.TrimPrefix(fmt.Sprint(params[i]), "map"))
		}
		if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
			t.Errorf("ParseChallenges(%s) (-want +got):\n%s", in, diff)
		}
	}
}

// FuzzParseChallenges: what was read is in the header, and reading ends.
func FuzzParseChallenges(f *testing.F) {
	f.Add(`Bearer realm="https://a/t",service="b"`)
	f.Add(`Basic, =, "`)
	f.Fuzz(func(t *testing.T, s string) {
		schemes, params := artifact.ParseChallenges(s)
		size := 0
		for i, x := range schemes {
			size += len(x)
			if !strings.Contains(strings.ToLower(s), x) {
				t.Errorf("ParseChallenges(%q): scheme %q is not in it", s, x)
			}
			for _, v := range params[i] {
				size += len(v)
			}
		}
		if size > len(s) {
			t.Errorf("ParseChallenges(%q) gave %d bytes of %d", s, size, len(s))
		}
	})
}
