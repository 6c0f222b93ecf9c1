package registry_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/registry"
)

// stranger holds a token that concerns nobody else's packages.
func (w *world) stranger() string {
	w.t.Helper()
	return w.token(account.TokenSpec{Name: "stranger", Scopes: []account.Scope{{
		Actions: []account.Action{account.PublishNew, account.Publish}, Pattern: "@evil/*",
	}}})
}

func TestReadRights(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stranger := w.stranger()
	pub := w.mustPublish("acme/pub", "1.0.0", "pub")
	priv := w.mustPublish("acme/priv", "1.0.0", "priv")
	w.setPrivate("acme/priv", true)
	_, layer, _ := pack("priv")
	privBlob := digest.FromBytes(layer).String()
	for _, tt := range []struct {
		name, path, token string
		status            int
	}{
		{"login without a token", "/v2/", "", 401},
		{"login", "/v2/", w.admin, 200},
		{"login with a bad token", "/v2/", "clyde_wrong", 401},
		{"public tag, anonymous", "/v2/acme/pub/manifests/1.0.0", "", 200},
		{"public digest, anonymous", "/v2/acme/pub/manifests/" + pub.Digest.String(), "", 200},
		{"public, absent tag", "/v2/acme/pub/manifests/9", "", 404},
		{"private, anonymous", "/v2/acme/priv/manifests/1.0.0", "", 401},
		{"absent, anonymous", "/v2/acme/none/manifests/1.0.0", "", 401},
		{"private, stranger", "/v2/acme/priv/manifests/1.0.0", stranger, 404},
		{"absent, stranger", "/v2/acme/none/manifests/1.0.0", stranger, 404},
		{"private tags, stranger", "/v2/acme/priv/tags/list", stranger, 404},
		{"private referrers, stranger", "/v2/acme/priv/referrers/" + priv.Digest.String(), stranger, 404},
		{"private blob, stranger", "/v2/acme/priv/blobs/" + privBlob, stranger, 404},
		{"private blob, anonymous", "/v2/acme/priv/blobs/" + privBlob, "", 401},
		{"private, admin", "/v2/acme/priv/manifests/1.0.0", w.admin, 200},
		// A digest of one repository, asked of another, cached or not.
		{"manifest of another repository", "/v2/acme/pub/manifests/" + priv.Digest.String(), "", 404},
		{"blob of another repository", "/v2/acme/pub/blobs/" + privBlob, "", 404},
		{"own, absent", "/v2/evil/x/manifests/1", stranger, 404},
	} {
		if got := w.do("GET", tt.path, tt.token, nil); got.status != tt.status {
			t.Errorf("%s: GET %s = %d %s; want %d", tt.name, tt.path, got.status, got.body, tt.status)
		} else if got.status == 401 && got.header.Get("WWW-Authenticate") != `Basic realm="clyde"` {
			t.Errorf("%s: WWW-Authenticate = %q", tt.name, got.header.Get("WWW-Authenticate"))
		}
	}
	// Absence and privacy read alike but for the name asked.
	a, b := w.do("GET", "/v2/acme/priv/manifests/1.0.0", stranger, nil), w.do("GET", "/v2/acme/none/manifests/1.0.0", stranger, nil)
	if strings.ReplaceAll(a.body, "priv", "none") != b.body {
		t.Errorf("private answers %s, absent %s", a.body, b.body)
	}
	// So do writes.
	a, b = w.do("POST", "/v2/acme/priv/blobs/uploads/", stranger, nil), w.do("POST", "/v2/acme/none/blobs/uploads/", stranger, nil)
	if a.status != 403 || strings.ReplaceAll(a.body, "priv", "none") != b.body {
		t.Errorf("push to private answers %d %s, to absent %d %s", a.status, a.body, b.status, b.body)
	}
	// The catalogue shows what the asker may see.
	if got := w.do("GET", "/v2/_catalog", "", nil); got.body != `{"repositories":["acme/pub"]}` {
		t.Errorf("anonymous catalogue = %s", got.body)
	}
	if got := w.do("GET", "/v2/_catalog?n=1", w.admin, nil); got.body != `{"repositories":["acme/priv"]}` || !strings.Contains(got.header.Get("Link"), "last=acme%2Fpriv") {
		t.Errorf("first page = %s, Link %q", got.body, got.header.Get("Link"))
	}
	// What was cached for all is closed the moment the package is.
	w.setPrivate("acme/pub", true)
	for _, p := range []string{"/v2/acme/pub/manifests/1.0.0", "/v2/acme/pub/manifests/" + pub.Digest.String()} {
		if got := w.do("GET", p, "", nil); got.status != 401 {
			t.Errorf("GET %s after it became private = %d; want 401", p, got.status)
		}
	}
}

func TestWriteRights(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stranger := w.stranger()
	if got := w.do("POST", "/v2/acme/zlib/blobs/uploads/", "", nil); got.status != 401 {
		t.Errorf("anonymous push = %d; want 401", got.status)
	}
	got := w.do("PUT", "/v2/acme/zlib/manifests/1.0.0", stranger, strings.NewReader("{}"))
	if got.status != 403 || !strings.Contains(got.body, "DENIED") || !strings.Contains(got.body, "publish-new @acme/zlib") {
		t.Errorf("stranger's push = %d %s; want 403 with a sentence", got.status, got.body)
	}
	if _, err := w.publish("evil/own", "1.0.0", "x", stranger); err != nil {
		t.Errorf("push to the own namespace: %v", err)
	}
}

func TestDeletes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *registry.Options) { o.Accept = registry.AcceptAny })
	d := w.mustPublish("acme/zlib", "1.0.0", "a")
	config, _, _ := pack("a")
	for _, p := range []string{"manifests/1.0.0", "manifests/" + d.Digest.String(), "blobs/" + digest.FromBytes(config).String()} {
		if got := w.do("DELETE", "/v2/acme/zlib/"+p, w.admin, nil); got.status != 403 {
			t.Errorf("DELETE %s = %d %s; want 403", p, got.status, got.body)
		}
	}
	img := []byte(fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[]}`,
		ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageConfig, digest.FromBytes(config), len(config)))
	id := digest.FromBytes(img).String()
	if got := w.do("PUT", "/v2/acme/zlib/manifests/img", w.admin, bytes.NewReader(img), "Content-Type", ocispec.MediaTypeImageManifest); got.status != 201 {
		t.Fatalf("PUT image = %d %s", got.status, got.body)
	}
	// A cached read does not outlive its manifest.
	for i, want := range []int{200, 202, 404} {
		method := []string{"GET", "DELETE", "GET"}[i]
		if got := w.do(method, "/v2/acme/zlib/manifests/"+id, w.admin, nil); got.status != want {
			t.Errorf("%s %s = %d; want %d", method, id, got.status, want)
		}
	}
	if got := w.do("GET", "/v2/acme/zlib/manifests/img", "", nil); got.status != 404 {
		t.Errorf("tag of a deleted manifest = %d; want 404", got.status)
	}
}

// Who may begin packages anywhere, and may see none, learns nothing of a
// private one and takes nothing out of any.
func TestPublishNewAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *registry.Options) { o.Accept = registry.AcceptAny })
	begins := w.token(account.TokenSpec{Name: "begins", Scopes: []account.Scope{{Actions: []account.Action{account.PublishNew}, Pattern: "*"}}})
	w.mustPublish("acme/priv", "1.0.0", "priv")
	w.mustPublish("acme/pub", "1.0.0", "pub")
	w.setPrivate("acme/priv", true)
	config, _, _ := pack("priv")
	held := digest.FromBytes(config).String()
	img := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[]}`,
		ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageConfig, held, len(config))
	if got := w.do("PUT", "/v2/acme/priv/manifests/img", w.admin, strings.NewReader(img), "Content-Type", ocispec.MediaTypeImageManifest); got.status != 201 {
		t.Fatalf("PUT image = %d %s", got.status, got.body)
	}
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{"POST", "priv/blobs/uploads/?mount=" + held, 202},
		{"DELETE", "priv/manifests/img", 404},
		{"DELETE", "priv/manifests/1.0.0", 404},
		{"DELETE", "priv/manifests/9", 404},
		{"DELETE", "priv/blobs/" + held, 404},
		{"DELETE", "none/manifests/1.0.0", 403}, // is its own to begin, and there is nothing to delete
		{"DELETE", "pub/manifests/1.0.0", 403},
		{"DELETE", "pub/manifests/9", 403},
	} {
		if got := w.do(tt.method, "/v2/acme/"+tt.path, begins, nil); got.status != tt.status {
			t.Errorf("%s %s = %d %s; want %d", tt.method, tt.path, got.status, got.body, tt.status)
		}
	}
	if got := w.do("GET", "/v2/acme/priv/manifests/img", w.admin, nil); got.status != 200 {
		t.Errorf("the image = %d; want 200", got.status)
	}
}

// raw sends a request line as is: net/http would clean the path.
func (w *world) raw(line string) int {
	w.t.Helper()
	c, err := (&net.Dialer{}).DialContext(w.t.Context(), "tcp", w.host)
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, line+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		w.t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode
}

func TestPathTricks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mustPublish("acme/priv", "1.0.0", "priv")
	w.mustPublish("acme/pub", "1.0.0", "pub")
	w.setPrivate("acme/priv", true)
	for _, p := range []string{
		"/v2/acme%2fpriv/manifests/1.0.0",
		"/v2/acme/pub%2F..%2Fpriv/manifests/1.0.0",
		"/v2/acme/pub/../priv/manifests/1.0.0",
		"/v2/acme/pub/%2e%2e/priv/manifests/1.0.0",
		"/v2//acme/priv/manifests/1.0.0",
		"/v2/acme//priv/manifests/1.0.0",
		"/v2/acme/priv/./manifests/1.0.0",
		"/v2/acme/pub/manifests/..%2f..%2fpriv%2fmanifests%2f1.0.0",
		"/v2/acme/priv%00/manifests/1.0.0",
		"/v2/acme/pub%5c..%5cpriv/manifests/1.0.0",
		"/v2/ACME/priv/manifests/1.0.0",
		"/v2/acme/priv/manifests/%252e%252e",
		"/v2/acme/priv/blobs/uploads/../../../x",
		"/v2/acme/pub/blobs/sha256:../../../../etc/passwd",
	} {
		// The mux in front answers some with a redirect to the clean path.
		if got := w.raw("GET " + p); got == 200 || got >= 500 {
			t.Errorf("GET %s = %d; want a refusal", p, got)
		}
		rec := record(w.r.Handler(), p)
		if rec.Code != 400 && rec.Code != 404 && rec.Code != 401 {
			t.Errorf("handler: GET %s = %d %s; want a refusal", p, rec.Code, rec.Body)
		}
	}
}

func TestMountAttacks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stranger := w.stranger()
	w.mustPublish("acme/pub", "1.0.0", "pub")
	w.mustPublish("acme/priv", "1.0.0", "priv")
	w.setPrivate("acme/priv", true)
	_, pubLayer, _ := pack("pub")
	_, privLayer, _ := pack("priv")
	pub, priv := digest.FromBytes(pubLayer).String(), digest.FromBytes(privLayer).String()
	form := "application/x-www-form-urlencoded"
	for _, tt := range []struct {
		name, query, body string
		status            int
	}{
		{"from a public source", "?mount=" + pub + "&from=acme/pub", "", 201},
		{"from a private source", "?mount=" + priv + "&from=acme/priv", "", 202},
		{"from an absent source", "?mount=" + priv + "&from=acme/none", "", 202},
		{"from a source without it", "?mount=" + priv + "&from=acme/pub", "", 202},
		{"from two sources", "?mount=" + priv + "&from=acme/pub&from=acme/priv", "", 202},
		{"from a path", "?mount=" + priv + "&from=acme/pub/../priv", "", 202},
		{"without a source", "?mount=" + priv, "", 202},
		{"from in the body", "?mount=" + priv, "from=acme/priv", 202},
		{"all in the body", "", "mount=" + priv + "&from=acme/priv", 202},
		{"broken digest", "?mount=sha256:xyz&from=acme/pub", "", 400},
	} {
		got := w.do("POST", "/v2/evil/x/blobs/uploads/"+tt.query, stranger, strings.NewReader(tt.body), "Content-Type", form)
		if got.status != tt.status {
			t.Errorf("mount %s = %d %s; want %d", tt.name, got.status, got.body, tt.status)
		}
	}
	if got := w.do("HEAD", "/v2/evil/x/blobs/"+priv, stranger, nil); got.status != 404 {
		t.Errorf("private blob after mounts = %d; want 404", got.status)
	}
	if got := w.do("GET", "/v2/evil/x/blobs/"+pub, stranger, nil); got.status != 200 || got.body != string(pubLayer) {
		t.Errorf("mounted blob = %d %q", got.status, got.body)
	}
}

func TestBlobReads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mustPublish("acme/zlib", "1.0.0", "a")
	_, layer, manifest := pack("a")
	p := "/v2/acme/zlib/blobs/" + digest.FromBytes(layer).String()
	got := w.do("GET", p, "", nil)
	for k, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Content-Disposition": "attachment", "Content-Type": "application/octet-stream",
		"Docker-Content-Digest": digest.FromBytes(layer).String(), "Cache-Control": "public, max-age=31536000, s-maxage=60, immutable",
	} {
		if got.header.Get(k) != want {
			t.Errorf("GET blob: %s = %q; want %q", k, got.header.Get(k), want)
		}
	}
	if !strings.Contains(got.header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("no sandbox: %q", got.header.Get("Content-Security-Policy"))
	}
	if got := w.do("HEAD", p, "", nil); got.status != 200 || got.header.Get("Content-Length") != fmt.Sprint(len(layer)) {
		t.Errorf("HEAD = %d, Content-Length %s", got.status, got.header.Get("Content-Length"))
	}
	if got := w.do("GET", p, "", nil, "Range", "bytes=2-4"); got.status != 206 || got.body != string(layer[2:5]) {
		t.Errorf("Range = %d %q", got.status, got.body)
	}
	if got := w.do("GET", p, "", nil, "Range", "bytes=900-"); got.status != 416 {
		t.Errorf("Range past the end = %d; want 416", got.status)
	}
	if got := w.do("GET", p, "", nil, "If-None-Match", `"`+digest.FromBytes(layer).String()+`"`); got.status != 304 {
		t.Errorf("If-None-Match = %d; want 304", got.status)
	}
	tag := w.do("GET", "/v2/acme/zlib/manifests/1.0.0", "", nil)
	if tag.body != string(manifest) || tag.header.Get("Cache-Control") != "no-cache" || tag.header.Get("Content-Type") != ocispec.MediaTypeImageManifest {
		t.Errorf("curl of a tag = %q %v", tag.body, tag.header)
	}
	if got := w.do("GET", "/v2/acme/zlib/manifests/1.0.0", "", nil, "If-None-Match", tag.header.Get("ETag")); got.status != 304 {
		t.Errorf("tag, If-None-Match = %d; want 304", got.status)
	}
}

func TestManifestLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct{ size, status int }{{artifact.MaxManifest, 201}, {artifact.MaxManifest + 1, 413}} {
		head := `{"schemaVersion":2,"layers":[],"annotations":{"x":"`
		b := head + strings.Repeat("x", tt.size-len(head)-3) + `"}}`
		// Without a length, so that the limit holds while reading.
		if got := w.do("PUT", "/v2/acme/big/manifests/t", w.admin, io.MultiReader(strings.NewReader(b)), "Content-Type", ocispec.MediaTypeImageManifest); got.status != tt.status {
			t.Errorf("manifest of %d bytes = %d %.200s; want %d", len(b), got.status, got.body, tt.status)
		}
	}
}
