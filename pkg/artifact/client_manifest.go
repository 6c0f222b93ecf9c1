package artifact

import (
	"context"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Docker's names of what OCI took over.
const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// accept names every manifest that is understood; registries convert or refuse
// the rest.
var accept = http.Header{"Accept": {ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex, dockerManifest, dockerList}}

// manifestURL checks ref, a tag or a digest.
func (c *Client) manifestURL(repo, ref string) (*url.URL, error) {
	if !tagRE.MatchString(ref) && checkDigest(digest.Digest(ref)) != nil {
		return nil, invalid("tag_invalid", "%.140q is neither a tag nor a digest", ref)
	}
	return c.in(repo, "/manifests/"+ref)
}

// missing makes a refusal of 404 name what was asked for.
func (c *Client) missing(err error, repo, ref string) error {
	if !isStatus(err, http.StatusNotFound) {
		return err
	}
	sep := ":"
	if !tagRE.MatchString(ref) {
		sep = "@"
	}
	return clyde.Errorf(clyde.ErrNotFound, "%s/%s%s%s was not found", c.base.Host, repo, sep, ref).WithCode("manifest_unknown").Because(err)
}

// Resolve returns what ref, a tag or a digest, names. Its ArtifactType is
// known only where the registry had to send the manifest.
func (c *Client) Resolve(ctx context.Context, repo, ref string) (ocispec.Descriptor, error) {
	u, err := c.manifestURL(repo, ref)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	resp, err := c.do(ctx, request{method: http.MethodHead, url: u, header: accept, scope: pull(repo)}, http.StatusOK)
	switch {
	case isStatus(err, http.StatusNotFound):
		return ocispec.Descriptor{}, c.missing(err, repo, ref)
	case err != nil && !isRefusal(err):
		return ocispec.Descriptor{}, err
	case err == nil:
		d := ocispec.Descriptor{
			MediaType: mediaTypeOf(resp.Header), Size: resp.ContentLength,
			Digest: digest.Digest(resp.Header.Get("Docker-Content-Digest")),
		}
		if err := finish(resp); err != nil {
			return ocispec.Descriptor{}, c.unreachable(err, nil)
		}
		named := digest.Digest(ref)
		isTag := tagRE.MatchString(ref)
		if checkDigest(d.Digest) == nil && d.MediaType != "" && d.Size >= 0 && (isTag || d.Digest == named) {
			if d.Size > MaxManifest {
				return ocispec.Descriptor{}, tooLarge("the manifest "+ref, d.Size, MaxManifest)
			}
			return d, nil
		}
	}
	// A HEAD that says too little, or that was refused without a sentence.
	payload, mediaType, err := c.manifest(ctx, repo, ref)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(payload), Size: int64(len(payload))}
	if !tagRE.MatchString(ref) {
		d.Digest = digest.Digest(ref)
	}
	var m struct {
		ArtifactType string `json:"artifactType"`
	}
	if json.Unmarshal(payload, &m) == nil {
		d.ArtifactType = m.ArtifactType
	}
	return d, nil
}

// Manifest returns a manifest of at most MaxManifest bytes. Bytes that are not
// d's are an clyde.ErrUnverified error.
func (c *Client) Manifest(ctx context.Context, repo string, d digest.Digest) (payload []byte, mediaType string, err error) {
	if err := checkDigest(d); err != nil {
		return nil, "", err
	}
	return c.manifest(ctx, repo, d.String())
}

// manifest gets what ref names, verified where ref is a digest.
func (c *Client) manifest(ctx context.Context, repo, ref string) (payload []byte, mediaType string, err error) {
	u, err := c.manifestURL(repo, ref)
	if err != nil {
		return nil, "", err
	}
	payload, h, err := c.get(ctx, request{method: http.MethodGet, url: u, header: accept, scope: pull(repo)}, MaxManifest)
	if err != nil {
		return nil, "", c.missing(err, repo, ref)
	}
	if !tagRE.MatchString(ref) {
		if d := digest.Digest(ref); d.Algorithm().FromBytes(payload) != d {
			return nil, "", c.wrongBytes("bytes that are not %s", d)
		}
	}
	mediaType = mediaTypeOf(h)
	var m struct {
		MediaType string `json:"mediaType"`
	}
	switch mediaType {
	case "", "application/json", "text/plain", "application/octet-stream":
		if json.Unmarshal(payload, &m) == nil && m.MediaType != "" {
			mediaType = m.MediaType
		}
	}
	return payload, mediaType, nil
}

func mediaTypeOf(h http.Header) string {
	t, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}

// get returns a whole reply of at most limit bytes, asked for again when it
// was cut off.
func (c *Client) get(ctx context.Context, q request, limit int64) ([]byte, http.Header, error) {
	t := c.newTries()
	for {
		b, h, err := c.getOnce(ctx, q, limit)
		if err == nil {
			return b, h, nil
		}
		if err := t.again(ctx, err); err != nil {
			return nil, nil, err
		}
	}
}

func (c *Client) getOnce(ctx context.Context, q request, limit int64) ([]byte, http.Header, error) {
	resp, err := c.once(ctx, q, http.StatusOK)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.ContentLength > limit {
		return nil, nil, tooLarge("the reply of "+c.base.Host, resp.ContentLength, limit)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, nil, &passing{err: clyde.Errorf(clyde.ErrUnavailable, "%s dropped the connection in the middle of its reply", c.base.Host).
			WithCode("registry_unreachable").Fix("check the network and try again").Because(err)}
	}
	if int64(len(b)) > limit {
		return nil, nil, tooLarge("the reply of "+c.base.Host, int64(len(b)), limit)
	}
	return b, resp.Header, nil
}
