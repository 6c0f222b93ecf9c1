package artifact

import (
	"cmp"
	"encoding/json"
	"maps"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// noSource is the source of a package that names neither a repository nor a
// homepage: the annotation is always set, because GHCR links packages by it.
const noSource = "https://clyde.invalid"

// Assemble returns the OCI manifest of a package with the given package.yaml
// and layers, the source archive first. The same arguments give the same
// bytes: there is no time of creation unless extra has one. Annotations in
// extra win over those that m gives. It returns what ParsePackage returns for
// a manifest that breaks the format.
func Assemble(config []byte, m *clyde.Manifest, layers []Blob, extra map[string]string) (manifest []byte, desc ocispec.Descriptor, err error) {
	om := imageManifest()
	om.Config = ocispec.Descriptor{MediaType: TypeConfig, Digest: digest.FromBytes(config), Size: int64(len(config))}
	om.Layers = []ocispec.Descriptor{}
	for _, l := range layers {
		om.Layers = append(om.Layers, l.Descriptor)
	}
	var authors []string
	for _, a := range m.Authors {
		authors = append(authors, a.Name)
	}
	om.Annotations = map[string]string{ocispec.AnnotationSource: cmp.Or(m.Repository, m.Homepage, noSource)}
	for k, v := range map[string]string{
		ocispec.AnnotationTitle:         m.Name.Base,
		ocispec.AnnotationVersion:       m.Version.String(),
		ocispec.AnnotationDescription:   m.Description,
		ocispec.AnnotationLicenses:      m.License,
		ocispec.AnnotationURL:           m.Homepage,
		ocispec.AnnotationDocumentation: m.Documentation,
		ocispec.AnnotationAuthors:       strings.Join(authors, ", "),
	} {
		if v != "" {
			om.Annotations[k] = v
		}
	}
	maps.Copy(om.Annotations, extra)
	if manifest, err = json.Marshal(om); err != nil {
		return nil, desc, err
	}
	if _, err := ParsePackage(manifest); err != nil {
		return nil, desc, err
	}
	return manifest, ocispec.Descriptor{
		MediaType: ocispec.MediaTypeImageManifest, ArtifactType: TypePackage,
		Digest: digest.FromBytes(manifest), Size: int64(len(manifest)),
	}, nil
}
