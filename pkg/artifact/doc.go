// Package artifact is a package as OCI: its media types and limits, packing a
// directory into a manifest with blobs, unpacking a source archive that nobody
// trusts, and moving both to and from any OCI registry.
//
// Packing is reproducible: the same tree gives the same digest on every
// machine, at any time. Unpacking refuses an archive whole: either everything
// is written or nothing. Pushing and fetching run in parallel, verify every
// byte against its digest, retry what may pass, and resume what was cut off.
package artifact

import (
	"context"
	"io"
	"io/fs"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Media types of a package (design: package format, "On the wire"). The config
// type must not end in "+json" while it holds YAML: some registries decode
// such configs and fail the push.
const (
	TypePackage    = "application/vnd.clyde.package.v1"
	TypeConfig     = "application/vnd.clyde.package.config.v1+yaml"
	TypeSourceGzip = "application/vnd.clyde.package.source.v1.tar+gzip"
	TypeSourceZstd = "application/vnd.clyde.package.source.v1.tar+zstd"
	TypeReadme     = "application/vnd.clyde.package.readme.v1+markdown"

	// TypeBuild is the artifact type of a binary build of a package, whose
	// subject is the package's manifest; TypeBuildPrefix begins those of every
	// version of that format.
	TypeBuild       = TypeBuildPrefix + "v1"
	TypeBuildPrefix = "application/vnd.clyde.build."
	TypeBuildConfig = "application/vnd.clyde.build.config.v1+json"    // build.json
	TypeBuildTree   = "application/vnd.clyde.build.tree.v1.tar+zstd"  // what is installed
	TypeBuildDebug  = "application/vnd.clyde.build.debug.v1.tar+zstd" // debug symbols of it
)

// Limits, all in bytes unless they say otherwise. The one of manifests is
// distribution's (and the OCI specification's advice); the others are ours,
// wide enough for every C and C++ library we measured.
const (
	MaxManifest  = 4 << 20   // OCI manifest JSON
	MaxConfig    = 256 << 10 // package.yaml
	MaxReadme    = 1 << 20   // readme layer
	MaxArchive   = 1 << 30   // source archive as it travels
	MaxUnpacked  = 4 << 30   // all files of an archive together
	MaxEntries   = 100_000   // entries of an archive, directories included
	MaxPath      = 255       // one path inside an archive; NAME_MAX of most file systems
	MaxRatio     = 200       // unpacked bytes to packed bytes; plain source text reaches 10
	RatioFloor   = 64 << 20  // unpacked bytes below which MaxRatio is not looked at
	MaxPadding   = 1 << 20   // zero bytes after the end of a tar; GNU tar pads to 10 KiB
	MaxLayers    = 64        // layers of a package
	MaxLinkDepth = 40        // symlinks followed for one path; Linux's own bound
)

// Blob is content that can be read any number of times.
type Blob struct {
	Descriptor ocispec.Descriptor
	Open       func() (io.ReadCloser, error)
}

// File is one entry of a source archive.
type File struct {
	Path string      // slash-separated, no leading or trailing slash, "." nowhere
	Size int64       // bytes; 0 for what is no regular file
	Mode fs.FileMode // 0o644 or 0o755, with fs.ModeDir or fs.ModeSymlink
	Link string      // target of a symlink, as written
}

// Packed is a package ready to be pushed. Close removes what was spooled.
type Packed struct {
	Name       clyde.Name
	Version    clyde.Version
	Manifest   []byte             // OCI manifest, JSON
	Descriptor ocispec.Descriptor // of Manifest
	Config     Blob               // package.yaml, byte for byte
	Layers     []Blob             // the source archive first
	Files      []File             // what the archive holds, sorted, below its top directory
	Warnings   []string           // sentences about what may go wrong elsewhere, sorted by path

	close func() error
}

// Close removes the temporary file of a large archive. The Packed is of no use
// afterwards.
func (p *Packed) Close() error {
	if p.close == nil {
		return nil
	}
	c := p.close
	p.close = nil
	return c()
}

// Progress is told, now and then and from several goroutines one at a time,
// how many of total bytes have been moved. Done never exceeds total.
type Progress func(done, total int64)

// Source is a registry to read from: *Client over HTTP, or the embedded
// registry in process. Errors are *clyde.Error; absence is clyde.ErrNotFound.
type Source interface {
	// Resolve returns the descriptor that ref, a tag or a digest, names.
	Resolve(ctx context.Context, repo, ref string) (ocispec.Descriptor, error)
	// Manifest returns a manifest, verified against d.
	Manifest(ctx context.Context, repo string, d digest.Digest) (payload []byte, mediaType string, err error)
	// Blob opens a blob. Its last Read fails if the bytes are not d's.
	Blob(ctx context.Context, repo string, d ocispec.Descriptor) (io.ReadCloser, error)
	// Tags returns at most n tags after last, in byte order; n <= 0 means all.
	Tags(ctx context.Context, repo, last string, n int) ([]string, error)
	// Referrers returns all manifests whose subject is the given one.
	Referrers(ctx context.Context, repo string, subject digest.Digest) ([]ocispec.Descriptor, error)
	// Repositories returns at most n repositories after last; n <= 0 means all.
	Repositories(ctx context.Context, last string, n int) ([]string, error)
}
