package signing

import (
	"context"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Source reads a registry: over HTTP in the client, in process in the server.
// Nothing it returns is believed without its digest.
type Source interface {
	// Resolve returns what a tag or digest of repo names, with its size, or a
	// clyde.ErrNotFound error.
	Resolve(ctx context.Context, repo, ref string) (ocispec.Descriptor, error)
	// Manifest returns the bytes of a manifest, or a clyde.ErrNotFound error.
	Manifest(ctx context.Context, repo string, d digest.Digest) (payload []byte, mediaType string, err error)
	// Blob opens a blob, as stored: never decompressed.
	Blob(ctx context.Context, repo string, d ocispec.Descriptor) (io.ReadCloser, error)
	// Referrers lists what refers to subject, unfiltered, empty when nothing
	// does. It reads the tag sha256-<hex> where the registry has no such API.
	Referrers(ctx context.Context, repo string, subject digest.Digest) ([]ocispec.Descriptor, error)
}

// Sink writes to a registry.
type Sink interface {
	// PutBlob stores the d.Size bytes of r; it is fine if they are there already.
	PutBlob(ctx context.Context, repo string, d ocispec.Descriptor, r io.Reader) error
	// PutManifest stores payload under ref, a tag or its digest.
	PutManifest(ctx context.Context, repo, ref string, mediaType string, payload []byte) (ocispec.Descriptor, error)
}
