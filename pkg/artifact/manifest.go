package artifact

import (
	"encoding/json"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// PackageManifest is the OCI manifest of a package, checked.
type PackageManifest struct {
	Config      ocispec.Descriptor
	Source      ocispec.Descriptor   // layers[0]
	Layers      []ocispec.Descriptor // all of them, Source first
	Readme      *ocispec.Descriptor  // the first layer of TypeReadme, or nil
	Annotations map[string]string    // nil when there are none
}

// ParseManifest reads an OCI image manifest of any artifact type strictly: see
// CheckJSON, and no "urls", no "manifests" beside "layers", "data" only where
// it is the content. It returns an ErrInvalid error with code
// "manifest_invalid", or an ErrTooLarge one.
func ParseManifest(b []byte) (*ocispec.Manifest, error) {
	if err := CheckJSON(b); err != nil {
		return nil, err
	}
	var m struct {
		ocispec.Manifest
		Manifests json.RawMessage `json:"manifests"`
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, invalid("manifest_invalid", "the manifest cannot be read: %v", err)
	}
	switch {
	case m.SchemaVersion != 2:
		return nil, invalid("manifest_invalid", "schemaVersion is %d; want 2", m.SchemaVersion)
	case m.MediaType != "" && m.MediaType != ocispec.MediaTypeImageManifest:
		return nil, invalid("manifest_invalid", "mediaType is %q; want %q", m.MediaType, ocispec.MediaTypeImageManifest)
	case m.Manifests != nil:
		return nil, invalid("manifest_invalid", "the manifest has \"manifests\", which only an index may")
	}
	if err := checkDescriptor("config", m.Config); err != nil {
		return nil, err
	}
	for _, l := range m.Layers {
		if err := checkDescriptor("a layer", l); err != nil {
			return nil, err
		}
	}
	if m.Subject != nil {
		if err := checkDescriptor("subject", *m.Subject); err != nil {
			return nil, err
		}
	}
	return &m.Manifest, nil
}

func checkDescriptor(what string, d ocispec.Descriptor) error {
	switch {
	case d.MediaType == "":
		return invalid("manifest_invalid", "%s has no mediaType", what)
	case d.Size < 0:
		return invalid("manifest_invalid", "%s has size %d", what, d.Size)
	case d.Digest.Validate() != nil:
		return invalid("manifest_invalid", "%s has the digest %q, which is none", what, d.Digest)
	case len(d.URLs) > 0:
		return invalid("manifest_invalid", "%s has \"urls\": content must be in this registry", what).Fix("push the content itself and leave out urls")
	case d.Data != nil && (int64(len(d.Data)) != d.Size || d.Digest.Algorithm().FromBytes(d.Data) != d.Digest):
		return invalid("manifest_invalid", "the \"data\" of %s does not match its digest", what)
	}
	return nil
}

// ParsePackage reads the OCI manifest of a package: artifact type TypePackage,
// a config of TypeConfig, a source archive as the first layer, digests of
// SHA-256, sizes within the limits. Errors are ErrInvalid or ErrTooLarge.
func ParsePackage(manifest []byte) (*PackageManifest, error) {
	m, err := ParseManifest(manifest)
	if err != nil {
		return nil, err
	}
	if m.ArtifactType != TypePackage {
		return nil, invalid("not_a_package", "artifactType is %q; a package has %q", m.ArtifactType, TypePackage).
			Fix("push with --artifact-type %s", TypePackage)
	}
	if m.Subject != nil {
		return nil, invalid("manifest_invalid", "a package refers to no subject")
	}
	if m.Config.MediaType != TypeConfig {
		return nil, invalid("config_type", "the config is %q; a package's is %q", m.Config.MediaType, TypeConfig).
			Fix("push with --config package.yaml:%s", TypeConfig)
	}
	if m.Config.Size > MaxConfig {
		return nil, tooLarge("package.yaml", m.Config.Size, MaxConfig)
	}
	if len(m.Layers) == 0 || !IsSource(m.Layers[0].MediaType) {
		return nil, invalid("source_missing", "the first layer must be the source archive, of type %s or %s", TypeSourceGzip, TypeSourceZstd).
			Fix("push src.tar.gz:%s", TypeSourceGzip)
	}
	if len(m.Layers) > MaxLayers {
		return nil, invalid("manifest_invalid", "the manifest has %d layers; the limit is %d", len(m.Layers), MaxLayers)
	}
	p := &PackageManifest{Config: m.Config, Source: m.Layers[0], Layers: m.Layers, Annotations: m.Annotations}
	if m.Config.Digest.Algorithm() != digest.SHA256 {
		return nil, invalid("manifest_invalid", "the config has a digest of %s; packages use sha256", m.Config.Digest.Algorithm())
	}
	for i, l := range m.Layers {
		switch {
		case l.Digest.Algorithm() != digest.SHA256:
			return nil, invalid("manifest_invalid", "layer %d has a digest of %s; packages use sha256", i, l.Digest.Algorithm())
		case l.Size > MaxArchive:
			return nil, tooLarge("a layer", l.Size, MaxArchive)
		case i > 0 && IsSource(l.MediaType):
			return nil, invalid("manifest_invalid", "layer %d is a second source archive", i)
		case l.MediaType == TypeReadme && l.Size > MaxReadme:
			return nil, tooLarge("the readme", l.Size, MaxReadme)
		case l.MediaType == TypeReadme && p.Readme == nil:
			p.Readme = &m.Layers[i]
		}
	}
	return p, nil
}

// IsSource reports whether mediaType is one of a source archive.
func IsSource(mediaType string) bool {
	return mediaType == TypeSourceGzip || mediaType == TypeSourceZstd
}

// IsBuild reports whether artifactType is one of a build.
func IsBuild(artifactType string) bool { return strings.HasPrefix(artifactType, TypeBuildPrefix) }

// imageManifest is an image manifest of TypePackage without content.
func imageManifest() ocispec.Manifest {
	return ocispec.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    ocispec.MediaTypeImageManifest,
		ArtifactType: TypePackage,
	}
}
