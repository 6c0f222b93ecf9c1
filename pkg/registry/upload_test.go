package registry_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/registry"
)

// record asks the handler itself, without a mux that would clean the path.
func record(h http.Handler, path string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	req.URL = &url.URL{Path: unescape(path), RawPath: path}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

func unescape(p string) string {
	return strings.NewReplacer("%2f", "/", "%2F", "/", "%2e", ".", "%00", "\x00", "%5c", "\\", "%25", "%").Replace(p)
}

func TestUploadResume(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	content := "the first half, the second half"
	d := digest.FromString(content).String()
	begin := w.do("POST", "/v2/acme/z/blobs/uploads/", w.admin, nil)
	if begin.status != 202 {
		t.Fatalf("POST = %d %s", begin.status, begin.body)
	}
	at := begin.header.Get("Location")
	// A form's content type changes nothing: a body is content.
	patch := w.do("PATCH", at, w.admin, strings.NewReader(content[:16]), "Content-Type", "application/x-www-form-urlencoded", "Content-Range", "0-15")
	if patch.status != 202 || patch.header.Get("Range") != "0-15" {
		t.Fatalf("PATCH = %d %s, Range %q", patch.status, patch.body, patch.header.Get("Range"))
	}
	if got := w.do("GET", at, w.admin, nil); got.status != 204 || got.header.Get("Range") != "0-15" {
		t.Errorf("status = %d, Range %q", got.status, got.header.Get("Range"))
	}
	if got := w.do("PATCH", at, w.admin, strings.NewReader("x"), "Content-Range", "5-5"); got.status != 416 {
		t.Errorf("chunk out of order = %d; want 416", got.status)
	}
	// Somebody else's session, another repository's, and none at all look alike.
	other := w.token(account.TokenSpec{Name: "other", Admin: true})
	for _, tt := range []struct{ token, at string }{
		{other, at}, {w.admin, strings.Replace(at, "acme/z", "acme/y", 1)}, {w.admin, at[:strings.Index(at, "?")]}, {w.admin, at + "x"},
	} {
		if got := w.do("PATCH", tt.at, tt.token, strings.NewReader("x")); got.status != 404 || !strings.Contains(got.body, "BLOB_UPLOAD_UNKNOWN") {
			t.Errorf("PATCH %s = %d %s; want 404", tt.at, got.status, got.body)
		}
	}
	if got := w.do("PUT", at+"&digest="+d, w.admin, strings.NewReader(content[16:])); got.status != 201 {
		t.Fatalf("PUT = %d %s", got.status, got.body)
	}
	if got := w.do("GET", "/v2/acme/z/blobs/"+d, w.admin, nil); got.body != content {
		t.Errorf("blob = %q; want %q", got.body, content)
	}
	if got := w.do("POST", "/v2/acme/z/blobs/uploads/?digest="+d, w.admin, strings.NewReader("other bytes")); got.status != 400 || !strings.Contains(got.body, "DIGEST_INVALID") {
		t.Errorf("wrong digest = %d %s; want 400", got.status, got.body)
	}
	if got := w.do("POST", "/v2/acme/z/blobs/uploads/?digest=sha512:"+strings.Repeat("0", 128), w.admin, nil); got.status != 400 {
		t.Errorf("sha512 = %d; want 400", got.status)
	}
}

func TestUploadLimits(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC) // what follows two hours later is of the same day
	var ahead atomic.Int64
	w := newWorld(t, func(o *registry.Options) {
		o.Limits = registry.Limits{MaxBlob: 10, MaxSessions: 2, BytesPerDay: 35, UploadAge: time.Hour}
		o.Now = func() time.Time { return noon.Add(time.Duration(ahead.Load())) }
	})
	up := "/v2/acme/z/blobs/uploads/"
	put := func(content string) int {
		// io.MultiReader hides the length: the limit holds while streaming.
		return w.do("POST", up+"?digest="+digest.FromString(content).String(), w.admin, io.MultiReader(strings.NewReader(content))).status
	}
	if got := put("0123456789"); got != 201 {
		t.Errorf("blob of 10 bytes = %d; want 201", got)
	}
	if got := put("0123456789a"); got != 413 {
		t.Errorf("blob of 11 bytes = %d; want 413", got)
	}
	for i, want := range []int{202, 202, 429} { // the refused blob has left nothing open
		if got := w.do("POST", up, w.admin, nil); got.status != want {
			t.Errorf("open session %d = %d %s; want %d", i, got.status, got.body, want)
		}
	}
	ahead.Add(int64(2 * time.Hour))
	if n, err := w.r.Purge(t.Context()); err != nil || n == 0 {
		t.Errorf("Purge = %d, %v; want the abandoned uploads", n, err)
	}
	statuses := []int{}
	for i := range 3 {
		statuses = append(statuses, put(fmt.Sprintf("content %d.", i)))
	}
	if fmt.Sprint(statuses) != "[201 429 429]" { // 10 + 11 + 10 of 35
		t.Errorf("blobs until the day's bytes are spent = %v", statuses)
	}
	ahead.Add(int64(24 * time.Hour))
	if got := put("next day"); got != 201 {
		t.Errorf("next day = %d; want 201", got)
	}
}

// short is a body that ends before what its length promises.
type short struct {
	r    *strings.Reader
	fail error
}

func (s *short) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	if err == io.EOF {
		err = s.fail
	}
	return n, err
}

// TestSmallUpload: a small blob that comes in one request is taken without
// files of an upload, and loses nothing by it: what was cut off is resumed.
func TestSmallUpload(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	content := "the first half, the second half"
	d := digest.FromString(content).String()
	at := w.do("POST", "/v2/acme/z/blobs/uploads/", w.admin, nil).header.Get("Location")
	if got := w.do("GET", at, w.admin, nil); got.status != 204 || got.header.Get("Range") != "0-0" {
		t.Errorf("status of a new upload = %d, Range %q", got.status, got.header.Get("Range"))
	}
	if got := w.do("PUT", at+"&digest=sha256:nonsense", w.admin, strings.NewReader(content)); got.status != 400 {
		t.Errorf("PUT with a bad digest = %d; want 400", got.status)
	}
	if got := w.do("PUT", at+"&digest="+d, w.admin, strings.NewReader(content), "Content-Range", "5-35"); got.status != 416 {
		t.Errorf("PUT out of order = %d; want 416", got.status)
	}
	req := httptest.NewRequest(http.MethodPut, at+"&digest="+url.QueryEscape(d), &short{strings.NewReader(content[:16]), io.ErrUnexpectedEOF})
	req.ContentLength = int64(len(content))
	req.SetBasicAuth("x", w.admin)
	cut := httptest.NewRecorder()
	w.r.Handler().ServeHTTP(cut, req)
	if cut.Code != 400 {
		t.Errorf("PUT that was cut off = %d; want 400", cut.Code)
	}
	if got := w.do("GET", at, w.admin, nil); got.header.Get("Range") != "0-15" {
		t.Errorf("after a PUT that was cut off: Range %q; want 0-15", got.header.Get("Range"))
	}
	if got := w.do("PUT", at+"&digest="+d, w.admin, strings.NewReader(content[16:]), "Content-Range", "16-30"); got.status != 201 {
		t.Fatalf("PUT of the rest = %d %s", got.status, got.body)
	}
	if got := w.do("GET", "/v2/acme/z/blobs/"+d, w.admin, nil); got.body != content {
		t.Errorf("blob = %q; want %q", got.body, content)
	}
	gone := w.do("POST", "/v2/acme/z/blobs/uploads/", w.admin, nil).header.Get("Location")
	if got := w.do("DELETE", gone, w.admin, nil); got.status != 204 {
		t.Errorf("DELETE = %d; want 204", got.status)
	}
	wrong := w.do("POST", "/v2/acme/z/blobs/uploads/", w.admin, nil).header.Get("Location")
	if got := w.do("PUT", wrong+"&digest="+d, w.admin, strings.NewReader("other bytes")); got.status != 400 || !strings.Contains(got.body, "DIGEST_INVALID") {
		t.Errorf("wrong bytes = %d %s; want 400", got.status, got.body)
	}
	for _, ended := range []string{at, gone, wrong} {
		if got := w.do("PUT", ended+"&digest="+d, w.admin, strings.NewReader(content)); got.status != 404 {
			t.Errorf("PUT to an upload that ended = %d; want 404", got.status)
		}
	}
}
