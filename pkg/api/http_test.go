package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/api"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

const helloPath = "/api/v1/packages/acme/hello"

// Every failure is a problem document with the right status and code, and says
// what to do.
func TestProblems(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	e.publish("@acme/hello", "1.0.0")
	stranger := e.scoped("stranger", "@else/*", account.Publish, account.PublishNew, account.Yank)
	json := []string{"Content-Type", "application/json"}
	admin := bearer(e.admin)
	for _, tt := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		code                     string
	}{
		{"absent package", "GET", "/api/v1/packages/acme/nope", "", nil, 404, "package_unknown"},
		{"absent version", "GET", helloPath + "/versions/9.0.0", "", nil, 404, "version_unknown"},
		{"bad version", "GET", helloPath + "/versions/x", "", nil, 400, "version_invalid"},
		{"absent file", "GET", helloPath + "/versions/1.0.0/files/no.c", "", nil, 404, "file_unknown"},
		{"bad name", "GET", "/api/v1/packages/acme/Hello", "", nil, 400, "name_invalid"},
		{"absent path", "GET", "/api/v1/nothing", "", nil, 404, "path_unknown"},
		{"index without its suffix", "GET", "/api/v1/index/acme/hello", "", nil, 400, "name_invalid"},
		{"bad range", "GET", helloPath + "/resolve?range=%5E%5E", "", nil, 400, "range_invalid"},
		{"no range", "GET", helloPath + "/resolve", "", nil, 400, "request_invalid"},
		{"range without a match", "GET", helloPath + "/resolve?range=%5E9", "", nil, 404, "version_unknown"},
		{"method", "DELETE", helloPath, "", nil, 405, "method_not_allowed"},
		{"method of health", "POST", "/healthz", "", nil, 405, "method_not_allowed"},
		{"encoded slash", "GET", "/api/v1/packages/acme%2Fhello", "", nil, 400, "path_invalid"},
		{"empty segment", "GET", "/api/v1//packages", "", nil, 400, "path_invalid"},
		{"dot segment", "GET", "/api/v1/packages/../whoami", "", nil, 400, "path_invalid"},
		{"zero byte", "GET", "/api/v1/packages/acme/a%00b", "", nil, 400, "path_invalid"},
		{"unknown parameter", "GET", "/api/v1/search?querry=x", "", nil, 400, "parameter_unknown"},
		{"parameter where there is none", "GET", helloPath + "?x=1", "", nil, 400, "parameter_unknown"},
		{"parameter twice", "GET", "/api/v1/search?q=a&q=b", "", nil, 400, "parameter_twice"},
		{"malformed query", "GET", "/api/v1/search?q=%zz", "", nil, 400, "query_invalid"},
		{"limit no number", "GET", "/api/v1/search?limit=x", "", nil, 400, "request_invalid"},
		{"unknown sort", "GET", "/api/v1/search?sort=best", "", nil, 400, "request_invalid"},
		{"foreign cursor", "GET", "/api/v1/search?cursor=abc", "", nil, 400, "cursor_invalid"},
		{"foreign cursor of dependents", "GET", helloPath + "/dependents?cursor=abc", "", nil, 400, "cursor_invalid"},
		{"backward days", "GET", helloPath + "/downloads?from=2026-02-01&to=2026-01-01", "", nil, 400, "day_invalid"},
		{"bad token", "GET", helloPath, "", bearer("clyde_x"), 401, "token_invalid"},
		{"publish by nobody", "POST", "/api/v1/packages", "x", nil, 401, "token_required"},
		{"publish of no form", "POST", "/api/v1/packages", "x", admin, 415, "media_type_unsupported"},
		{"yank by nobody", "PATCH", helloPath + "/versions/1.0.0", `{"yanked":true,"reason":"broken"}`, json, 401, "token_required"},
		{"yank by a stranger", "PATCH", helloPath + "/versions/1.0.0", `{"yanked":true,"reason":"broken"}`, append(bearer(stranger), json...), 403, "grant_missing"},
		{"yank without reason", "PATCH", helloPath + "/versions/1.0.0", `{"yanked":true}`, append(bearer(e.admin), json...), 400, "reason_invalid"},
		{"unknown field", "PATCH", helloPath + "/versions/1.0.0", `{"yanked":true,"why":"x"}`, append(bearer(e.admin), json...), 422, "request_invalid"},
		{"field twice", "PATCH", helloPath + "/versions/1.0.0", `{"yanked":true,"Yanked":false}`, append(bearer(e.admin), json...), 400, "request_invalid"},
		{"field missing", "PATCH", helloPath + "/versions/1.0.0", `{}`, append(bearer(e.admin), json...), 422, "request_invalid"},
		{"no JSON", "PATCH", helloPath + "/versions/1.0.0", `{"yanked":`, append(bearer(e.admin), json...), 400, "request_invalid"},
		{"more than JSON", "PATCH", helloPath + "/versions/1.0.0", `{"yanked":true,"reason":"broken"} x`, append(bearer(e.admin), json...), 400, "request_invalid"},
		{"no body", "PATCH", helloPath + "/versions/1.0.0", ``, append(bearer(e.admin), json...), 400, "request_invalid"},
		{"other media type", "PATCH", helloPath + "/versions/1.0.0", `yanked: true`, append(bearer(e.admin), "Content-Type", "text/yaml"), 415, "media_type_unsupported"},
		{"changed since", "PATCH", helloPath + "/versions/1.0.0", `{"yanked":true,"reason":"broken"}`, append(bearer(e.admin), "Content-Type", "application/json", "If-Match", `"old"`), 412, "precondition_failed"},
		{"tokens by nobody", "GET", "/api/v1/tokens", "", nil, 401, "token_required"},
		{"tokens by a stranger", "GET", "/api/v1/tokens", "", bearer(stranger), 403, ""},
		{"absent token", "DELETE", "/api/v1/tokens/nope", "", admin, 404, ""},
		{"keys of no namespace", "GET", "/api/v1/namespaces/A/keys", "", nil, 400, ""},
		{"key by a stranger", "POST", "/api/v1/namespaces/acme/keys", `{"name":"x","pem":"y"}`, append(bearer(stranger), json...), 403, "grant_missing"},
		{"no key", "POST", "/api/v1/namespaces/acme/keys", `{"name":"x","pem":"y"}`, append(bearer(e.admin), json...), 400, ""},
		{"write from another origin", "DELETE", "/api/v1/tokens/x", "", append(bearer(e.admin), "Sec-Fetch-Site", "cross-site"), 403, "cross_origin"},
		{"epoch", "GET", "/api/v1/changes?epoch=other", "", nil, 409, "epoch_changed"},
		{"negative since", "GET", "/api/v1/changes?since=-1", "", nil, 400, "request_invalid"},
		{"event id", "GET", "/api/v1/changes", "", []string{"Last-Event-ID", "x"}, 400, "event_id_invalid"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := e.do(tt.method, tt.path, strings.NewReader(tt.body), tt.headers...)
			p := a.problem(t)
			if p.Status != tt.status || tt.code != "" && p.Code != tt.code {
				t.Errorf("%s %s = %s; want status %d, code %s", tt.method, tt.path, a.body, tt.status, tt.code)
			}
			if cc := a.Header.Get("Cache-Control"); !strings.Contains(cc, "no-store") {
				t.Errorf("Cache-Control of a failure %q; want no-store", cc)
			}
			if tt.status == 401 != (a.Header.Get("WWW-Authenticate") != "") {
				t.Errorf("WWW-Authenticate %q with status %d", a.Header.Get("WWW-Authenticate"), tt.status)
			}
			if tt.status == 405 && a.Header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
		})
	}
}

// What others keep private looks like what does not exist, whatever is asked.
func TestPrivate(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	e.publish("@acme/hello", "1.0.0")
	e.publish("@acme/secret", "1.0.0", "requires:", "  \"@acme/hello\": \"^1\"", "")
	e.private("@acme/secret")
	stranger := e.scoped("stranger", "@else/*", account.Publish)
	for _, who := range [][]string{nil, bearer(stranger)} {
		for _, suffix := range []string{
			"", "/versions", "/versions/1.0.0", "/versions/latest", "/versions/1.0.0/manifest", "/versions/1.0.0/readme", "/versions/1.0.0/files",
			"/versions/1.0.0/files/README.md", "/versions/1.0.0/dependencies", "/versions/1.0.0/dependencies?transitive=true", "/versions/1.0.0/signatures",
			"/dependents", "/dependents?transitive=true&range=%5E1", "/downloads", "/resolve?range=%5E1",
		} {
			there, absent := e.get("/api/v1/packages/acme/secret"+suffix, who...), e.get("/api/v1/packages/acme/absent"+suffix, who...)
			got := strings.ReplaceAll(string(there.body), "secret", "absent")
			there.Header.Del("RateLimit") // which counts the two requests
			absent.Header.Del("RateLimit")
			if there.StatusCode != 404 || got != string(absent.body) {
				t.Errorf("GET …%s = %d %s; want what an absent package has: %s", suffix, there.StatusCode, there.body, absent.body)
			}
			th, ah := there.Header.Clone(), absent.Header.Clone()
			th.Del("Date")
			ah.Del("Date")
			if fmt.Sprint(th) != fmt.Sprint(ah) {
				t.Errorf("GET …%s: header %v; want %v", suffix, th, ah)
			}
		}
		for _, path := range []string{"/api/v1/index/acme/secret.ndjson", "/api/v1/packages/secret"} {
			if a := e.get(path, who...); a.StatusCode != 404 {
				t.Errorf("GET %s = %d; want 404", path, a.StatusCode)
			}
		}
		for _, path := range []string{"/api/v1/search?q=secret", "/api/v1/suggest?q=secr", "/api/v1/changes", helloPath + "/dependents", "/api/v1/packages/else/secret"} {
			if a := e.get(path, who...); strings.Contains(string(a.body), "acme/secret") {
				t.Errorf("GET %s shows the private package: %s", path, a.body)
			}
		}
		a := e.do("PATCH", "/api/v1/packages/acme/secret/versions/1.0.0", strings.NewReader(`{"yanked":true,"reason":"other"}`), append(who, "Content-Type", "application/json")...)
		if a.StatusCode != 404 {
			t.Errorf("PATCH = %d %s; want 404", a.StatusCode, a.body)
		}
	}
	if a := e.get("/api/v1/packages/acme/secret", bearer(e.admin)...); a.StatusCode != 200 || a.Header.Get("Cache-Control") != "private, no-store" {
		t.Errorf("by the administrator: %d, Cache-Control %q", a.StatusCode, a.Header.Get("Cache-Control"))
	}
	if a := e.get("/api/v1/packages/else/hello"); !strings.Contains(string(a.body), `"candidates":["@acme/hello"]`) {
		t.Errorf("an absent package = %s; want the one of the same name beside it", a.body)
	}
}

func TestCaching(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	e.publish("@acme/hello", "1.0.0")
	const page, ask = "public, max-age=60, stale-while-revalidate=300", "public, no-cache"
	for path, cache := range map[string]string{
		helloPath: page, helloPath + "/versions": page, helloPath + "/versions/1.0.0": page, helloPath + "/versions/1.0.0/manifest": page,
		helloPath + "/versions/1.0.0/files/README.md": page, "/api/v1/search?q=hello": page, "/api/v1/openapi.json": page, "/api": page,
		helloPath + "/resolve?range=%2A": ask, "/api/v1/index/acme/hello.ndjson": ask, "/api/v1/changes": ask,
		"/.well-known/clyde/registry.json": page, "/api/v1/whoami": "private, no-store",
	} {
		t.Run(path, func(t *testing.T) {
			a := e.get(path)
			tag := a.Header.Get("ETag")
			if a.StatusCode != 200 || a.Header.Get("Cache-Control") != cache || !strings.HasPrefix(tag, `"`) {
				t.Fatalf("GET = %d, Cache-Control %q, ETag %q; want 200, %q and a strong tag", a.StatusCode, a.Header.Get("Cache-Control"), tag, cache)
			}
			if v := a.Header.Get("Vary"); v != "Authorization, Cookie, Accept" {
				t.Errorf("Vary %q", v)
			}
			if b := e.get(path); b.Header.Get("ETag") != tag {
				t.Errorf("ETag %q, then %q: nothing changed", tag, b.Header.Get("ETag"))
			}
			for _, m := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
				if b := e.get(path, "If-None-Match", m); b.StatusCode != 304 || len(b.body) > 0 || b.Header.Get("ETag") != tag || b.Header.Get("Cache-Control") != cache {
					t.Errorf("If-None-Match %s = %d, ETag %q, Cache-Control %q; want 304 with both", m, b.StatusCode, b.Header.Get("ETag"), b.Header.Get("Cache-Control"))
				}
			}
			h := e.do("HEAD", path, nil)
			if h.StatusCode != 200 || len(h.body) > 0 || h.Header.Get("ETag") != tag || h.ContentLength != int64(len(a.body)) {
				t.Errorf("HEAD = %d, ETag %q, length %d; want what GET has: %q, %d", h.StatusCode, h.Header.Get("ETag"), h.ContentLength, tag, len(a.body))
			}
			if b := e.get(path, bearer(e.admin)...); b.Header.Get("Cache-Control") != "private, no-store" || b.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("with a token: %v; want it private and for this origin alone", b.Header)
			}
		})
	}
	before := e.get("/api/v1/index/acme/hello.ndjson").Header.Get("ETag")
	e.publish("@acme/hello", "1.1.0")
	if after := e.get("/api/v1/index/acme/hello.ndjson", "If-None-Match", before); after.StatusCode != 200 || after.Header.Get("ETag") == before {
		t.Errorf("after a publish the index answers %d, ETag %s; want another", after.StatusCode, after.Header.Get("ETag"))
	}
}

// A write with the ETag of what was read goes through once.
func TestIfMatch(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	e.publish("@acme/hello", "1.0.0")
	h := append(bearer(e.admin), "Content-Type", "application/json", "If-Match")
	path, yank := helloPath+"/versions/1.0.0", `{"yanked":true,"reason":"broken"}`
	tag := e.get(path, bearer(e.admin)...).Header.Get("ETag")
	a := e.do("PATCH", path, strings.NewReader(yank), append(h, tag)...)
	if a.StatusCode != 200 || a.Header.Get("ETag") == tag {
		t.Fatalf("PATCH = %d %s, ETag %s; want 200 and another tag", a.StatusCode, a.body, a.Header.Get("ETag"))
	}
	if b := e.do("PATCH", path, strings.NewReader(`{"yanked":false}`), append(h, tag)...); b.StatusCode != 412 {
		t.Errorf("PATCH with the old tag = %d; want 412", b.StatusCode)
	}
	if b := e.do("PATCH", path, strings.NewReader(`{"yanked":false}`), append(h, "W/"+a.Header.Get("ETag"))...); b.StatusCode != 412 {
		t.Errorf("PATCH with a weak tag = %d; want 412", b.StatusCode)
	}
	if b := e.do("PATCH", path, strings.NewReader(`{"yanked":false}`), append(h, a.Header.Get("ETag"))...); b.StatusCode != 200 {
		t.Errorf("PATCH with the new tag = %d %s; want 200", b.StatusCode, b.body)
	}
	tag = e.get(helloPath, bearer(e.admin)...).Header.Get("ETag")
	for _, want := range []int{200, 412} {
		if b := e.do("PUT", helloPath+"/deprecation", strings.NewReader(`{"message":"Old."}`), append(h, tag)...); b.StatusCode != want {
			t.Errorf("PUT = %d %s; want %d", b.StatusCode, b.body, want)
		}
	}
}

// Limits hold at their edge: the last value passes, the next one does not.
func TestLimits(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	e.publish("@acme/hello", "1.0.0")
	check := func(name string, a answer, want int) {
		t.Helper()
		if a.StatusCode != want {
			t.Errorf("%s = %d %.200s; want %d", name, a.StatusCode, a.body, want)
		}
		if want >= 400 {
			a.problem(t)
		}
	}
	check("query of 256 bytes", e.get("/api/v1/search?q="+strings.Repeat("a", 256)), 200)
	check("query of 257 bytes", e.get("/api/v1/search?q="+strings.Repeat("a", 257)), 400)
	check("page of 100", e.get(fmt.Sprintf("/api/v1/search?limit=%d", api.MaxPage)), 200)
	check("page of 101", e.get(fmt.Sprintf("/api/v1/search?limit=%d", api.MaxPage+1)), 400)
	check("page of 0", e.get("/api/v1/search?limit=0"), 400)
	check("100 dependents", e.get(fmt.Sprintf(helloPath+"/dependents?limit=%d", api.MaxPage)), 200)
	check("101 dependents", e.get(fmt.Sprintf(helloPath+"/dependents?limit=%d", api.MaxPage+1)), 400)
	check("1000 changes", e.get(fmt.Sprintf("/api/v1/changes?limit=%d", api.MaxChanges)), 200)
	check("1001 changes", e.get(fmt.Sprintf("/api/v1/changes?limit=%d", api.MaxChanges+1)), 400)
	check("366 days", e.get(helloPath+"/downloads?from=2024-01-01&to=2024-12-31"), 200)
	check("367 days", e.get(helloPath+"/downloads?from=2024-01-01&to=2025-01-01"), 400)
	fit := func(n int) string {
		const p = "/api/v1/search?q="
		return p + strings.Repeat("a", n-len(p))
	}
	check("address of 8 KiB", e.get(fit(api.MaxURL)), 400) // the query is too long, the address is not
	check("address of 8 KiB and a byte", e.get(fit(api.MaxURL+1)), 414)
	header := func(extra int) answer {
		// What Go's client sends besides: User-Agent and Accept-Encoding.
		used := len("User-Agent: Go-http-client/1.1\r\n") + len("Accept-Encoding: gzip\r\n") + len("X-Request-Id: req-1\r\n") + len("X-Pad: \r\n")
		return e.get(helloPath, "X-Pad", strings.Repeat("a", api.MaxHeader-used+extra))
	}
	check("header of 32 KiB", header(0), 200)
	check("header of 32 KiB and a byte", header(1), 431)
	body := func(n int) answer {
		const a, z = `{"message":"`, `"}`
		return e.do("PUT", helloPath+"/deprecation", strings.NewReader(a+strings.Repeat("m", n-len(a)-len(z))+z), append(bearer(e.admin), "Content-Type", "application/json")...)
	}
	check("body of 64 KiB", body(api.MaxBody), 422) // the message is too long, the body is not
	check("body of 64 KiB and a byte", body(api.MaxBody+1), 413)
	check("key of 128 bytes", e.upload(nil, "Idempotency-Key", strings.Repeat("k", api.MaxIdempotencyKey)), 400)
	if a := e.upload(nil, "Idempotency-Key", strings.Repeat("k", api.MaxIdempotencyKey+1)); a.problem(t).Code == "part_missing" {
		t.Errorf("key of 129 bytes = %s; want a refusal of the key", a.body)
	}
	filters := func(n int) string { return "/api/v1/search?" + strings.Repeat("license=MIT&", n) + "q=" }
	check("32 values of a filter", e.get(filters(32)), 200)
	check("33 values of a filter", e.get(filters(33)), 400)
}

func TestCORS(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	a := e.get("/api/v1/search", "Origin", "https://elsewhere.example")
	if a.Header.Get("Access-Control-Allow-Origin") != "*" || a.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("GET: %v; want any origin, without credentials", a.Header)
	}
	o := e.do("OPTIONS", "/api/v1/packages", nil, "Origin", "https://elsewhere.example", "Access-Control-Request-Method", "POST")
	if o.StatusCode != 204 || o.Header.Get("Access-Control-Allow-Methods") != "GET, HEAD" || strings.Contains(o.Header.Get("Access-Control-Allow-Headers"), "Authorization") {
		t.Errorf("OPTIONS = %d %v; want GET and HEAD alone, without credentials", o.StatusCode, o.Header)
	}
	p := e.do("POST", "/api/v1/packages", nil, "Origin", "https://elsewhere.example")
	if p.StatusCode != 403 || p.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("POST = %d %v; want 403, for no other origin", p.StatusCode, p.Header)
	}
}

// What a package contains is never a page of our origin.
func TestFilesAreNoPages(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	e.publish("@acme/hello", "1.0.0")
	for file, want := range map[string]string{"evil.html": "text/plain; charset=utf-8", "README.md": "text/plain; charset=utf-8", "logo.png": "application/octet-stream"} {
		a := e.get(helloPath+"/versions/1.0.0/files/"+file, "Accept", "text/html")
		h := a.Header
		if a.StatusCode != 200 || h.Get("Content-Type") != want || h.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(h.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("%s = %d %v; want %s, not sniffed, in a sandbox", file, a.StatusCode, h, want)
		}
		if attached := strings.HasPrefix(h.Get("Content-Disposition"), "attachment"); attached != (want == "application/octet-stream") {
			t.Errorf("%s: Content-Disposition %q", file, h.Get("Content-Disposition"))
		}
	}
	if a := e.get(helloPath+"/versions/1.0.0/files/README.md", "Range", "bytes=2-6"); a.StatusCode != http.StatusPartialContent || string(a.body) != "Hello" {
		t.Errorf("range = %d %q; want 206 Hello", a.StatusCode, a.body)
	}
}

// What fails inside is logged, and says nothing of the inside.
func TestInternalErrors(t *testing.T) {
	t.Parallel()
	e := start(t, func(o *api.Options) {
		o.Ready = func(context.Context) error { return errors.New("dial tcp 10.0.0.7: refused") }
		o.Publish = func(context.Context, account.Principal, []byte, io.Reader, string) (clyde.Name, string, error) {
			panic("secret")
		}
	})
	yaml, src := part{"package.yaml", "", []byte(manifest("@acme/hello", "1.0.0"))}, part{"archive", "", tarball(t, page...)}
	for name, a := range map[string]answer{"error": e.get("/readyz"), "panic": e.upload([]part{yaml, src})} {
		if p := a.problem(t); p.Status != 500 || p.Code != "internal" || strings.Contains(string(a.body), "10.0.0.7") || strings.Contains(string(a.body), "secret") {
			t.Errorf("%s = %s; want a bare 500", name, a.body)
		}
	}
}
