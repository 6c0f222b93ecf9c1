package artifact

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/binary"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/compat"
)

// BuildManifest is the OCI manifest of a build, checked.
type BuildManifest struct {
	Config  ocispec.Descriptor   // build.json
	Tree    ocispec.Descriptor   // layers[0]: what is installed
	Debug   *ocispec.Descriptor  // debug symbols, or nil
	Layers  []ocispec.Descriptor // all of them, Tree first
	Subject ocispec.Descriptor   // the package's manifest
}

// ParseBuild reads the OCI manifest of a build: artifact type TypeBuild, the
// package as its subject, build.json as its config, an install tree as its
// first layer, at most one layer of debug symbols, digests of SHA-256, sizes
// within the limits. Errors are ErrInvalid or ErrTooLarge.
func ParseBuild(manifest []byte) (*BuildManifest, error) {
	m, err := ParseManifest(manifest)
	if err != nil {
		return nil, err
	}
	bad := func(format string, args ...any) error { return invalid("build_invalid", format, args...) }
	switch {
	case m.ArtifactType != TypeBuild:
		return nil, bad("artifactType is %q; a build has %q", m.ArtifactType, TypeBuild)
	case m.Subject == nil:
		return nil, invalid("subject_missing", "the build refers to no package").Fix("set its subject to the manifest of the package (oras attach, or clyde publish --build)")
	case m.Config.MediaType != TypeBuildConfig:
		return nil, bad("the config is %q; a build's is %q", m.Config.MediaType, TypeBuildConfig)
	case m.Config.Size > compat.MaxFacts:
		return nil, tooLarge("build.json", m.Config.Size, compat.MaxFacts)
	case len(m.Layers) == 0 || m.Layers[0].MediaType != TypeBuildTree:
		return nil, bad("the first layer must be the install tree, of type %s", TypeBuildTree)
	case len(m.Layers) > MaxLayers:
		return nil, bad("the manifest has %d layers; the limit is %d", len(m.Layers), MaxLayers)
	case m.Config.Digest.Algorithm() != digest.SHA256 || m.Subject.Digest.Algorithm() != digest.SHA256:
		return nil, bad("config and subject of a build use sha256")
	}
	b := &BuildManifest{Config: m.Config, Tree: m.Layers[0], Layers: m.Layers, Subject: *m.Subject}
	for i, l := range m.Layers {
		switch {
		case l.Digest.Algorithm() != digest.SHA256:
			return nil, bad("layer %d has a digest of %s; builds use sha256", i, l.Digest.Algorithm())
		case l.Size > MaxArchive:
			return nil, tooLarge("a layer", l.Size, MaxArchive)
		case i > 0 && l.MediaType == TypeBuildTree:
			return nil, bad("layer %d is a second install tree", i)
		case l.MediaType == TypeBuildDebug && b.Debug != nil:
			return nil, bad("layer %d is a second layer of debug symbols", i)
		case l.MediaType == TypeBuildDebug:
			b.Debug = &m.Layers[i]
		}
	}
	return b, nil
}

// BuildOptions says what a directory is a build of.
type BuildOptions struct {
	Name        clyde.Name
	Version     clyde.Version
	Subject     ocispec.Descriptor // the package's manifest
	Facts       *compat.Facts
	Debug       string            // directory of debug symbols, or ""
	Epoch       time.Time         // time of every file; zero: 1970-01-01
	Annotations map[string]string // of the OCI manifest
}

// PackBuild makes the build of the installed files in dir, all of them. The
// same files and facts give the same digest. Errors are those of Pack, and of
// files that contradict the facts. The caller closes the Packed, which is
// pushed under Facts.Tag.
func PackBuild(ctx context.Context, dir string, o BuildOptions) (_ *Packed, err error) {
	config, err := o.Facts.Encode()
	if err != nil {
		return nil, err
	}
	p := &Packed{Name: o.Name, Version: o.Version, Config: bytesBlob(ocispec.Descriptor{
		MediaType: TypeBuildConfig, Digest: digest.FromBytes(config), Size: int64(len(config)),
	}, config)}
	var spools []*spool
	p.close = func() error {
		var errs []error
		for _, s := range spools {
			errs = append(errs, s.remove())
		}
		return errors.Join(errs...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	top := topOf(p)
	for _, l := range []struct{ dir, mediaType, title string }{
		{dir, TypeBuildTree, top + "-" + o.Facts.Key() + ".tar.zst"}, {o.Debug, TypeBuildDebug, top + "-" + o.Facts.Key() + "-debug.tar.zst"},
	} {
		if l.dir == "" {
			continue
		}
		s := newSpool()
		spools = append(spools, s)
		t, blob, err := packTree(ctx, l.dir, top, s, o.Epoch, l.mediaType)
		if err != nil {
			return nil, err
		}
		blob.Descriptor.Annotations = map[string]string{ocispec.AnnotationTitle: l.title}
		p.Layers = append(p.Layers, blob)
		if l.mediaType == TypeBuildTree {
			p.Files = t.files
		}
	}
	return p, p.assembleBuild(o)
}

// packTree packs every file of dir below top into s.
func packTree(ctx context.Context, dir, top string, s *spool, epoch time.Time, mediaType string) (*tree, Blob, error) {
	root, err := openRoot(dir)
	if err != nil {
		return nil, Blob{}, err
	}
	defer root.Close()
	t := &tree{root: root, top: top, chooser: &chooser{all: true}, names: newNames(MaxEntries)}
	if err := t.read(ctx); err != nil {
		return nil, Blob{}, err
	}
	if _, err := t.write(ctx, s, PackOptions{Zstd: true, Epoch: epoch}); err != nil {
		return nil, Blob{}, err
	}
	blob, err := s.blob(mediaType)
	if err != nil {
		return nil, Blob{}, err
	}
	return t, blob, t.check(ctx, blob)
}

func (p *Packed) assembleBuild(o BuildOptions) (err error) {
	om := imageManifest()
	// No more of the subject than names it: the bytes are the same whoever found it.
	subject := ocispec.Descriptor{MediaType: o.Subject.MediaType, Digest: o.Subject.Digest, Size: o.Subject.Size}
	om.ArtifactType, om.Subject, om.Config = TypeBuild, &subject, p.Config.Descriptor
	om.Layers = []ocispec.Descriptor{}
	for _, l := range p.Layers {
		om.Layers = append(om.Layers, l.Descriptor)
	}
	// Some registries show these with the list of referrers, so that nobody
	// need read every build.json to choose.
	om.Annotations = map[string]string{
		ocispec.AnnotationTitle: p.Name.Base, ocispec.AnnotationVersion: p.Version.String(),
		"dev.clyde.abi_id": o.Facts.ABIID(), "dev.clyde.os": o.Facts.OS, "dev.clyde.arch": o.Facts.Arch, "dev.clyde.linkage": o.Facts.Linkage,
	}
	maps.Copy(om.Annotations, o.Annotations)
	if p.Manifest, err = json.Marshal(om); err != nil {
		return err
	}
	if _, err := ParseBuild(p.Manifest); err != nil {
		return err
	}
	p.Descriptor = ocispec.Descriptor{
		MediaType: ocispec.MediaTypeImageManifest, ArtifactType: TypeBuild, Digest: digest.FromBytes(p.Manifest), Size: int64(len(p.Manifest)),
	}
	return nil
}

// MeasureBuild reads an install tree as it travels and measures its object
// files. It refuses what Unpack would, and what is not installed but leads
// elsewhere.
func MeasureBuild(r io.Reader, mediaType string) (*binary.Report, error) {
	report := new(binary.Report)
	err := List(r, mediaType, func(f File, body io.Reader) error {
		if !f.Mode.IsRegular() {
			return nil
		}
		m, err := binary.MeasureReader(strings.TrimPrefix(f.Path, "./"), body, f.Size)
		report.Add(m)
		return err
	})
	return report, err
}
