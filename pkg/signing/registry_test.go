package signing_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

// remote is a Source and a Sink over plain HTTP, against any registry.
type remote struct {
	base   string       // "http://127.0.0.1:1234"
	client *http.Client // its own: closing another server's connections closes none of these
	api    bool         // the registry is asked for referrers
}

// kinds of registry that a test runs against.
var registries = map[string]bool{"referrers API": true, "fallback tag": false}

func newRegistry(tb testing.TB, referrers bool) *remote {
	tb.Helper()
	h := registry.New(registry.WithReferrersSupport(referrers), registry.Logger(log.New(io.Discard, "", 0)))
	s := httptest.NewServer(h)
	tb.Cleanup(s.Close)
	return &remote{base: s.URL, client: s.Client(), api: referrers}
}

func (r *remote) host() string { return strings.TrimPrefix(r.base, "http://") }

func (r *remote) do(ctx context.Context, method, address, mediaType string, body io.Reader, want ...int) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, err
	}
	if mediaType != "" {
		req.Header.Set("Content-Type", mediaType)
	}
	res, err := r.client.Do(req)
	if err != nil {
		return nil, err
	}
	if slices.Contains(want, res.StatusCode) {
		return res, nil
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	if res.StatusCode == http.StatusNotFound {
		return nil, clyde.Errorf(clyde.ErrNotFound, "%s: %s", address, text)
	}
	return nil, fmt.Errorf("%s %s: %s: %s", method, address, res.Status, text)
}

func (r *remote) Resolve(ctx context.Context, repo, ref string) (ocispec.Descriptor, error) {
	res, err := r.do(ctx, http.MethodHead, r.base+"/v2/"+repo+"/manifests/"+ref, "", nil, http.StatusOK)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer res.Body.Close()
	return ocispec.Descriptor{
		MediaType: res.Header.Get("Content-Type"),
		Digest:    digest.Digest(res.Header.Get("Docker-Content-Digest")), Size: res.ContentLength,
	}, nil
}

func (r *remote) Manifest(ctx context.Context, repo string, d digest.Digest) ([]byte, string, error) {
	res, err := r.do(ctx, http.MethodGet, r.base+"/v2/"+repo+"/manifests/"+d.String(), "", nil, http.StatusOK)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return b, res.Header.Get("Content-Type"), err
}

func (r *remote) Blob(ctx context.Context, repo string, d ocispec.Descriptor) (io.ReadCloser, error) {
	res, err := r.do(ctx, http.MethodGet, r.base+"/v2/"+repo+"/blobs/"+d.Digest.String(), "", nil, http.StatusOK)
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

func (r *remote) Referrers(ctx context.Context, repo string, subject digest.Digest) ([]ocispec.Descriptor, error) {
	address := r.base + "/v2/" + repo + "/referrers/" + subject.String()
	if !r.api {
		address = r.base + "/v2/" + repo + "/manifests/sha256-" + subject.Encoded()
	}
	res, err := r.do(ctx, http.MethodGet, address, "", nil, http.StatusOK)
	if err != nil {
		if clyde.AsError(err) != nil {
			return nil, nil
		}
		return nil, err
	}
	defer res.Body.Close()
	var index ocispec.Index
	err = json.NewDecoder(res.Body).Decode(&index)
	return index.Manifests, err
}

func (r *remote) PutBlob(ctx context.Context, repo string, d ocispec.Descriptor, body io.Reader) error {
	res, err := r.do(ctx, http.MethodPost, r.base+"/v2/"+repo+"/blobs/uploads/?digest="+url.QueryEscape(d.Digest.String()),
		"application/octet-stream", body, http.StatusCreated)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

func (r *remote) PutManifest(ctx context.Context, repo, ref, mediaType string, payload []byte) (ocispec.Descriptor, error) {
	res, err := r.do(ctx, http.MethodPut, r.base+"/v2/"+repo+"/manifests/"+ref, mediaType, bytes.NewReader(payload), http.StatusCreated)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(payload), Size: int64(len(payload))}, res.Body.Close()
}

// blob stores data.
func (r *remote) blob(tb testing.TB, repo, mediaType string, data []byte) ocispec.Descriptor {
	tb.Helper()
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	if err := r.PutBlob(tb.Context(), repo, d, bytes.NewReader(data)); err != nil {
		tb.Fatal(err)
	}
	return d
}

// manifest stores a manifest with these layers, under ref or its digest.
func (r *remote) manifest(tb testing.TB, repo, ref string, m ocispec.Manifest) ocispec.Descriptor {
	tb.Helper()
	m.Versioned = specs.Versioned{SchemaVersion: 2}
	m.MediaType = ocispec.MediaTypeImageManifest
	if m.Config.Digest == "" {
		m.Config = r.blob(tb, repo, ocispec.MediaTypeEmptyJSON, []byte("{}"))
	}
	payload, err := json.Marshal(m)
	if err != nil {
		tb.Fatal(err)
	}
	d := ocispec.Descriptor{MediaType: m.MediaType, Digest: digest.FromBytes(payload), Size: int64(len(payload)), ArtifactType: m.ArtifactType}
	if ref == "" {
		ref = d.Digest.String()
	}
	if _, err := r.PutManifest(tb.Context(), repo, ref, m.MediaType, payload); err != nil {
		tb.Fatal(err)
	}
	return d
}

// publish stores a package and returns it as a subject.
func (r *remote) publish(tb testing.TB, namespace, base, version string) signing.Subject {
	tb.Helper()
	n := clyde.Name{Namespace: namespace, Base: base}
	config := r.blob(tb, n.Repo(), "application/vnd.clyde.package.config.v1+yaml", fmt.Appendf(nil, "name: %q\nversion: %q\n", n, version))
	layer := r.blob(tb, n.Repo(), "application/vnd.clyde.package.layer.v1.tar+gzip", []byte("archive of "+n.String()+version))
	d := r.manifest(tb, n.Repo(), version, ocispec.Manifest{ArtifactType: "application/vnd.clyde.package.v1", Config: config, Layers: []ocispec.Descriptor{layer}})
	return signing.Subject{Repo: n.Repo(), Name: n, Version: version, Digest: d.Digest, MediaType: d.MediaType, Size: d.Size}
}

// attach stores layers as a referrer of sub, and lists it in the fallback tag
// where the registry does not.
func (r *remote) attach(tb testing.TB, sub signing.Subject, artifactType string, layers ...ocispec.Descriptor) ocispec.Descriptor {
	tb.Helper()
	d := r.manifest(tb, sub.Repo, "", ocispec.Manifest{
		ArtifactType: artifactType, Layers: layers,
		Subject: &ocispec.Descriptor{MediaType: sub.MediaType, Digest: sub.Digest, Size: sub.Size},
	})
	if !r.api {
		old, err := r.Referrers(tb.Context(), sub.Repo, sub.Digest)
		if err != nil {
			tb.Fatal(err)
		}
		r.index(tb, sub, append(old, d)...)
	}
	return d
}

// index writes the fallback tag of sub.
func (r *remote) index(tb testing.TB, sub signing.Subject, list ...ocispec.Descriptor) {
	tb.Helper()
	payload, err := json.Marshal(ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: list})
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := r.PutManifest(tb.Context(), sub.Repo, "sha256-"+sub.Digest.Encoded(), ocispec.MediaTypeImageIndex, payload); err != nil {
		tb.Fatal(err)
	}
}
