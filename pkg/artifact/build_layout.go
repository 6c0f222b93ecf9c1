package artifact

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/compat"
)

// MaxLayout is the longest index.json of an image layout that LoadBuild reads,
// in bytes. Ours: one manifest takes a few hundred.
const MaxLayout = 1 << 20

// LoadBuild reads the one build in the OCI image layout dir, as a build of o's
// package: its subject becomes o.Subject, everything else stays. o.Facts is
// ignored; those of the build are returned.
func LoadBuild(dir string, o BuildOptions) (*Packed, *compat.Facts, error) {
	root, err := openRoot(dir)
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	none := func(format string, args ...any) error {
		return invalid("build_invalid", "%s is no build: "+format, append([]any{dir}, args...)...).Fix("make one with clyde build")
	}
	index, err := readSmall(root.FS(), ocispec.ImageIndexFile, MaxLayout)
	if err != nil {
		return nil, nil, err
	}
	var list ocispec.Index
	if err := json.Unmarshal(index, &list); err != nil || len(list.Manifests) != 1 {
		return nil, nil, none("its index.json does not name one manifest")
	}
	blob := func(d digest.Digest, limit int64) ([]byte, error) {
		if err := d.Validate(); err != nil {
			return nil, none("%q is no digest", d)
		}
		b, err := readSmall(root.FS(), "blobs/"+d.Algorithm().String()+"/"+d.Encoded(), limit)
		if err == nil && (b == nil || d.Algorithm().FromBytes(b) != d) {
			err = none("%s is not in it, or other content", d)
		}
		return b, err
	}
	manifest, err := blob(list.Manifests[0].Digest, MaxManifest)
	if err != nil {
		return nil, nil, err
	}
	m, err := ParseBuild(manifest)
	if err != nil {
		return nil, nil, err
	}
	config, err := blob(m.Config.Digest, compat.MaxFacts)
	if err != nil {
		return nil, nil, err
	}
	f, err := compat.Parse(config)
	if err != nil {
		return nil, nil, err
	}
	p := &Packed{Name: o.Name, Version: o.Version, Config: bytesBlob(m.Config, config)}
	for _, l := range m.Layers {
		path := filepath.Join(dir, "blobs", "sha256", l.Digest.Encoded())
		if err := checkFile(path, l); err != nil {
			return nil, nil, err
		}
		p.Layers = append(p.Layers, fileBlob(l, path))
	}
	o.Facts = f
	return p, f, p.assembleBuild(o)
}

// checkFile compares a file with what names it.
func checkFile(path string, d ocispec.Descriptor) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return clyde.Errorf(clyde.ErrNotFound, "the layout lacks %s", d.Digest).WithCode("blob_unknown")
	}
	if err != nil {
		return err
	}
	defer f.Close()
	v := d.Digest.Verifier()
	if n, err := io.Copy(v, io.LimitReader(f, d.Size+1)); err != nil || n != d.Size || !v.Verified() {
		return errors.Join(err, invalid("digest_mismatch", "%s in the layout has other content", d.Digest))
	}
	return nil
}
