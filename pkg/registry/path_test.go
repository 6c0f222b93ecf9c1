package registry

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

const someDigest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

func TestParsePath(t *testing.T) {
	t.Parallel()
	upload := "0123abcd-0000-4000-8000-0123456789ab"
	for _, tt := range []struct {
		in   string
		want target
		err  error
	}{
		{in: "/v2/", want: target{kind: kindBase}},
		{in: "/v2", want: target{kind: kindBase}},
		{in: "/v2/_catalog", want: target{kind: kindCatalog}},
		{in: "/v2/a/b/manifests/1.0.0", want: target{kindManifest, "a/b", "1.0.0"}},
		{in: "/v2/a/manifests/b/manifests/x", want: target{kindManifest, "a/manifests/b", "x"}},
		{in: "/v2/a/b/manifests/" + someDigest, want: target{kindManifest, "a/b", someDigest}},
		{in: "/v2/a/b/manifests/" + strings.Replace(someDigest, ":", "%3A", 1), want: target{kindManifest, "a/b", someDigest}},
		{in: "/v2/a/b/blobs/" + someDigest, want: target{kindBlob, "a/b", someDigest}},
		{in: "/v2/a/b/blobs/uploads/", want: target{kindUploads, "a/b", ""}},
		{in: "/v2/a/b/blobs/uploads", want: target{kind: kindUploads, repo: "a/b"}},
		{in: "/v2/a/b/blobs/uploads/" + upload, want: target{kindUpload, "a/b", upload}},
		{in: "/v2/a/b/tags/list", want: target{kind: kindTags, repo: "a/b"}},
		{in: "/v2/a/b/referrers/" + someDigest, want: target{kindReferrers, "a/b", someDigest}},
		{in: "/v2/a/b/manifests/" + strings.Repeat("t", maxTag), want: target{kindManifest, "a/b", strings.Repeat("t", maxTag)}},
		{in: "/v2/a/b/manifests/" + strings.Repeat("t", maxTag+1), err: clyde.ErrInvalid},
		{in: "/v2/" + strings.Repeat("r", maxRepo) + "/tags/list", want: target{kind: kindTags, repo: strings.Repeat("r", maxRepo)}},
		{in: "/v2/" + strings.Repeat("r", maxRepo+1) + "/tags/list", err: clyde.ErrInvalid},
		{in: "/v2/a//b/tags/list", err: clyde.ErrInvalid},
		{in: "/v2/a/../b/tags/list", err: clyde.ErrInvalid},
		{in: "/v2/a%2fb/tags/list", err: clyde.ErrInvalid},
		{in: "/v2/a/b/tags/list/", err: clyde.ErrNotFound},
		{in: "/v2/a/b/blobs/sha512:" + strings.Repeat("0", 128), err: clyde.ErrInvalid},
		{in: "/v2/a/b/blobs/uploads/..%2f..", err: clyde.ErrInvalid},
		{in: "/v2/a/b/blobs/uploads/x", err: clyde.ErrNotFound},
		{in: "/v3/a/b/tags/list", err: clyde.ErrInvalid},
		{in: "/v2x", err: clyde.ErrInvalid},
	} {
		u, err := url.ParseRequestURI(tt.in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parsePath(u)
		if !errors.Is(err, tt.err) || (err == nil && got != tt.want) {
			t.Errorf("parsePath(%q) = %+v, %v; want %+v, %v", tt.in, got, err, tt.want, tt.err)
		}
	}
}

// FuzzParsePath: what is accepted has one reading. Nothing in it leaves the
// repository's directory, and no other spelling of the path is accepted as
// the same thing but for an escaped colon and the optional last slash.
func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"/v2/", "/v2/a/b/manifests/1", "/v2/a/../b/tags/list", "/v2/a%2fb/blobs/" + someDigest, "/v2/a/blobs/uploads/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := url.ParseRequestURI(s)
		if err != nil {
			return
		}
		got, err := parsePath(u)
		if err != nil {
			if clyde.AsError(err) == nil {
				t.Fatalf("parsePath(%q): %v is no *clyde.Error", s, err)
			}
			return
		}
		for _, part := range []string{got.repo, got.ref} {
			if strings.Contains(part, "..") && part == got.repo || strings.Contains(part, "//") || strings.HasPrefix(part, "/") || strings.ContainsAny(part, "\\%\x00") {
				t.Errorf("parsePath(%q) accepted %q", s, part)
			}
		}
		if strings.Contains(got.ref, "/") {
			t.Errorf("parsePath(%q): ref %q has a slash", s, got.ref)
		}
		if got.repo != "" && !strings.HasPrefix(u.Path, "/v2/"+got.repo+"/") {
			t.Errorf("parsePath(%q): repo %q is not what the path says", s, got.repo)
		}
	})
}
