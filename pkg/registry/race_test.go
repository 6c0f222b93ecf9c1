package registry_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/registry"
)

// put sends a manifest and returns the status, from any goroutine.
func (w *world) put(path, token string, manifest []byte) (int, error) {
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPut, w.url+path, bytes.NewReader(manifest))
	if err != nil {
		return 0, err
	}
	req.SetBasicAuth("x", token)
	req.Header.Set("Content-Type", ocispec.MediaTypeImageManifest)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if cerr := resp.Body.Close(); err == nil {
		err = cerr
	}
	return resp.StatusCode, err
}

func TestOneDigestPerVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const n = 50
	manifests := make([][]byte, n)
	config, layer, base := pack("race")
	for _, b := range [][]byte{config, layer} {
		if got := w.do("POST", "/v2/acme/race/blobs/uploads/?digest="+digest.FromBytes(b).String(), w.admin, bytes.NewReader(b)); got.status != 201 {
			t.Fatalf("blob = %d %s", got.status, got.body)
		}
	}
	for i := range manifests {
		manifests[i] = append(bytes.TrimSuffix(bytes.Clone(base), []byte("}")), fmt.Sprintf(`,"annotations":{"n":"%d"}}`, i)...)
	}
	var won atomic.Int64
	winner := make(chan int, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			status, err := w.put("/v2/acme/race/manifests/1.0.0", w.admin, manifests[i])
			switch {
			case err != nil:
				t.Error(err)
			case status == 201:
				won.Add(1)
				winner <- i
			case status != 403:
				t.Errorf("PUT %d = %d; want 201 or 403", i, status)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d of %d manifests were accepted for one version; want 1", won.Load(), n)
	}
	if got := w.do("GET", "/v2/acme/race/manifests/1.0.0", "", nil); got.body != string(manifests[<-winner]) {
		t.Errorf("the version is not the manifest that was accepted: %s", got.body)
	}
}

func TestParallelReferrers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	subject := w.mustPublish("acme/zlib", "1.0.0", "a")
	const n = 100
	empty := []byte("{}")
	if got := w.do("POST", "/v2/acme/zlib/blobs/uploads/?digest="+digest.FromBytes(empty).String(), w.admin, bytes.NewReader(empty)); got.status != 201 {
		t.Fatalf("blob = %d %s", got.status, got.body)
	}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			m := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"artifactType":"test/%d","config":{"mediaType":%q,"digest":%q,"size":2},"layers":[],"subject":{"mediaType":%q,"digest":%q,"size":%d},"annotations":{"n":"%d"}}`,
				ocispec.MediaTypeImageManifest, i%2, ocispec.MediaTypeEmptyJSON, digest.FromBytes(empty), subject.MediaType, subject.Digest, subject.Size, i)
			status, err := w.put("/v2/acme/zlib/manifests/"+digest.FromBytes(m).String(), w.admin, m)
			if err != nil || status != 201 {
				t.Errorf("attach %d = %d, %v; want 201", i, status, err)
			}
		})
	}
	wg.Wait()
	all, err := w.r.Referrers(t.Context(), "acme/zlib", subject.Digest)
	if err != nil || len(all) != n {
		t.Fatalf("%d referrers, %v; want %d", len(all), err, n)
	}
	// Over HTTP, in pages and filtered.
	r := w.repo("acme/zlib", "")
	r.ReferrerListPageSize = 7
	got := 0
	if err := r.Referrers(t.Context(), subject, "test/1", func(ds []ocispec.Descriptor) error {
		got += len(ds)
		return nil
	}); err != nil || got != n/2 {
		t.Errorf("%d referrers of one type, %v; want %d", got, err, n/2)
	}
	page := w.do("GET", "/v2/acme/zlib/referrers/"+subject.Digest.String()+"?n=7&artifactType=test/1", "", nil)
	if page.header.Get("OCI-Filters-Applied") != "artifactType" || page.header.Get("Link") == "" {
		t.Errorf("page headers = %v; want the filter and a next page", page.header)
	}
}

func TestTagPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *registry.Options) { o.Accept = registry.AcceptAny })
	for _, tag := range []string{"1.0.0", "1.1.0", "current", "index"} {
		w.mustPublish("acme/zlib", tag, "a")
	}
	for _, tt := range []struct{ query, body, link string }{
		{"", `{"name":"acme/zlib","tags":["1.0.0","1.1.0","current","index"]}`, ""},
		{"?n=2", `{"name":"acme/zlib","tags":["1.0.0","1.1.0"]}`, `</v2/acme/zlib/tags/list?last=1.1.0&n=2>; rel="next"`},
		{"?n=2&last=1.1.0", `{"name":"acme/zlib","tags":["current","index"]}`, ""},
		{"?n=0", `{"name":"acme/zlib","tags":[]}`, ""},
		{"?last=zzz", `{"name":"acme/zlib","tags":[]}`, ""},
	} {
		if got := w.do("GET", "/v2/acme/zlib/tags/list"+tt.query, "", nil); got.body != tt.body || got.header.Get("Link") != tt.link {
			t.Errorf("tags%s = %s, Link %q; want %s, %q", tt.query, got.body, got.header.Get("Link"), tt.body, tt.link)
		}
	}
	if got := w.do("GET", "/v2/acme/zlib/tags/list?n=-1", "", nil); got.status != 400 {
		t.Errorf("n=-1 = %d; want 400", got.status)
	}
}
