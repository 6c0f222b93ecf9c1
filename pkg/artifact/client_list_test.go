package artifact_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// fake is a registry that answers as told.
func fake(t *testing.T, h http.HandlerFunc) *artifact.Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, _ := newClient(t, artifact.ClientOptions{Host: strings.TrimPrefix(s.URL, "http://")})
	return c
}

func TestTagsPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, _ := w.client()
	want := []string{}
	p := packed(t, []byte("x"), nil)
	for i := range 25 {
		want = append(want, fmt.Sprintf("1.%02d.0", i))
	}
	if err := c.Push(t.Context(), "acme/zlib", p, want, nil); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		last     string
		n        int
		from, to int
	}{{"", 0, 0, 25}, {"", 7, 0, 7}, {"1.06.0", 7, 7, 14}, {"1.06.0", 0, 7, 25}, {"1.23.0", 7, 24, 25}, {"2", 7, 25, 25}} {
		got, err := c.Tags(t.Context(), "acme/zlib", tt.last, tt.n)
		if err != nil || !slices.Equal(got, want[tt.from:tt.to]) {
			t.Errorf("Tags(%q, %d) = %v, %v; want %v", tt.last, tt.n, got, err, want[tt.from:tt.to])
		}
	}
}

func TestTagsOfOtherRegistries(t *testing.T) {
	t.Parallel()
	link := func(w http.ResponseWriter, next string) { w.Header().Set("Link", "<"+next+`>; rel="next"`) }
	for name, h := range map[string]http.HandlerFunc{
		"unordered, not paged": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"tags":["c","a","B","a"]}`) },
		"paged, its own order": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("token") == "" {
				link(w, "?token=2")
				fmt.Fprint(w, `{"tags":["a","B"]}`)
				return
			}
			fmt.Fprint(w, `{"tags":["c"]}`)
		},
	} {
		c := fake(t, h)
		for _, tt := range []struct {
			last string
			n    int
			want string
		}{{"", 0, "[B a c]"}, {"", 2, "[B a]"}, {"B", 1, "[a]"}, {"a", 9, "[c]"}} {
			got, err := c.Tags(t.Context(), "acme/zlib", tt.last, tt.n)
			if err != nil || fmt.Sprint(got) != tt.want {
				t.Errorf("%s: Tags(%q, %d) = %v, %v; want %s", name, tt.last, tt.n, got, err, tt.want)
			}
		}
	}
	for name, h := range map[string]http.HandlerFunc{
		"a circle": func(w http.ResponseWriter, _ *http.Request) { link(w, "?token=2"); fmt.Fprint(w, `{"tags":["a"]}`) },
		"another host": func(w http.ResponseWriter, _ *http.Request) {
			link(w, "http://elsewhere.invalid/")
			fmt.Fprint(w, `{}`)
		},
		"no JSON": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `<html>`) },
	} {
		_, err := fake(t, h).Tags(t.Context(), "acme/zlib", "", 0)
		wantKind(t, name, err, clyde.ErrUnavailable)
	}
	endless := 0
	_, err := fake(t, func(w http.ResponseWriter, _ *http.Request) {
		endless++
		link(w, "?token="+strconv.Itoa(endless))
		fmt.Fprint(w, `{"tags":["a"]}`)
	}).Tags(t.Context(), "acme/zlib", "", 0)
	wantKind(t, "a listing without end", err, clyde.ErrTooLarge)
	if endless != artifact.MaxPages {
		t.Errorf("%d pages were read; want %d", endless, artifact.MaxPages)
	}
}

func index(t *testing.T, from, n int) []byte {
	t.Helper()
	x := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex}
	for i := range n {
		x.Manifests = append(x.Manifests, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString(strconv.Itoa(from + i)), Size: 2})
	}
	b, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReferrersOfOtherRegistries(t *testing.T) {
	t.Parallel()
	subject := digest.FromString("subject")
	tag := "sha256-" + subject.Encoded()
	isAPI := func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/referrers/") }
	for name, tt := range map[string]struct {
		want int
		kind error
		h    http.HandlerFunc
	}{
		"pages": {5, nil, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
			if r.URL.Query().Get("p") == "" {
				w.Header().Set("Link", `</v2/acme/zlib/referrers/`+subject.String()+`?p=2>; rel="next"`)
				_, _ = w.Write(index(t, 0, 3))
				return
			}
			_, _ = w.Write(index(t, 2, 3)) // one of them again
		}},
		"tag": {2, nil, func(w http.ResponseWriter, r *http.Request) {
			if isAPI(r) || !strings.HasSuffix(r.URL.Path, tag) {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
			_, _ = w.Write(index(t, 0, 2))
		}},
		"nothing": {0, nil, http.NotFound},
		"a page for people": {0, nil, func(w http.ResponseWriter, r *http.Request) {
			if !isAPI(r) {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<html>")
		}},
		"at the limit": {artifact.MaxReferrers, nil, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
			_, _ = w.Write(index(t, 0, artifact.MaxReferrers))
		}},
		"over the limit": {0, clyde.ErrTooLarge, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
			_, _ = w.Write(index(t, 0, artifact.MaxReferrers+1))
		}},
		"refused": {0, clyde.ErrDenied, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }},
	} {
		got, err := fake(t, tt.h).Referrers(t.Context(), "acme/zlib", subject)
		wantKind(t, "Referrers: "+name, err, tt.kind)
		if len(got) != tt.want {
			t.Errorf("%s: %d referrers; want %d", name, len(got), tt.want)
		}
	}
}

func TestResolveWithoutDigestHeader(t *testing.T) {
	t.Parallel()
	payload := []byte(`{"schemaVersion":2,"mediaType":"` + ocispec.MediaTypeImageManifest + `","artifactType":"a/b"}`)
	for _, head := range []int{http.StatusOK, http.StatusMethodNotAllowed} {
		c := fake(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				w.WriteHeader(head)
				return
			}
			w.Header().Set("Content-Type", "text/plain")
			_, _ = w.Write(payload)
		})
		for _, ref := range []string{"1.0.0", digest.FromBytes(payload).String(), digest.SHA512.FromBytes(payload).String()} {
			d, err := c.Resolve(t.Context(), "acme/zlib", ref)
			if err != nil || d.Size != int64(len(payload)) || d.MediaType != ocispec.MediaTypeImageManifest || d.ArtifactType != "a/b" {
				t.Errorf("HEAD %d: Resolve(%s) = %+v, %v", head, ref, d, err)
			}
		}
		_, err := c.Resolve(t.Context(), "acme/zlib", digest.FromString("other").String())
		wantKind(t, "Resolve of a digest that is answered with other bytes", err, clyde.ErrUnverified)
	}
}

func TestManifestLimit(t *testing.T) {
	t.Parallel()
	for _, size := range []int{artifact.MaxManifest, artifact.MaxManifest + 1} {
		body := make([]byte, size)
		c := fake(t, func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).Flush() // no Content-Length
			_, _ = w.Write(body)
		})
		b, _, err := c.Manifest(t.Context(), "acme/zlib", digest.FromBytes(body))
		if ok := size == artifact.MaxManifest; ok != (err == nil) || ok != (len(b) == size) {
			t.Errorf("a manifest of %d bytes: %d, %v", size, len(b), err)
		}
	}
}

func TestStoredUnderAnotherDigest(t *testing.T) {
	t.Parallel()
	c := fake(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Docker-Content-Digest", digest.FromString("other").String())
		w.WriteHeader(http.StatusCreated)
	})
	_, err := c.PutManifest(t.Context(), "acme/zlib", "1.0.0", ocispec.MediaTypeImageManifest, []byte("{}"))
	wantKind(t, "a registry that stores something else", err, clyde.ErrUnverified)
}

func TestNextLink(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`</v2/x?n=1>; rel="next"`:                     "/v2/x?n=1",
		`</a>; rel="prev", </b,c>; rel="next"; x="y"`: "/b,c",
		`</a>;rel=next`:                               "/a",
		`</a>; rel = "next"`:                          "/a",
		`</a>; rel="prev"`:                            "",
		`</a; rel="next"`:                             "",
		``:                                            "",
	} {
		if got := artifact.NextLink([]string{in}); got != want {
			t.Errorf("NextLink(%s) = %q; want %q", in, got, want)
		}
	}
}
