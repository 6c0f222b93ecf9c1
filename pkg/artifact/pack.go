package artifact

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// PackOptions says how a directory becomes a package. The zero value is fine
// where the manifest names its namespace.
type PackOptions struct {
	Namespace   string            // of a manifest that leaves it out; not looked at otherwise
	Manifest    []byte            // package.yaml, in place of the one found
	Archive     string            // a .tar.gz or .tar.zst to ship as it is, once it is checked
	Epoch       time.Time         // time of every file, whole seconds (SOURCE_DATE_EPOCH); zero: 1970-01-01
	Annotations map[string]string // of the OCI manifest; they win over those made from package.yaml
	Zstd        bool              // compress with zstd in place of gzip
	Source      string            // address of the repository, for a package.yaml that names none
}

// Pack makes the package in dir. The same files give the same digest on every
// machine and at any time: only their paths, contents, executable bits (of the
// owner; Windows has none) and symlinks count. Directories come with their
// files, so that empty ones are left out, as git does.
//
// Left out are: version control, build directories, installed dependencies
// (deps/ at the root), what IgnoreFile says, and what files.include and
// files.exclude in package.yaml say. What files.include does not name comes
// along all the same if it is package.yaml, the ignore file, the readme, or a
// license.
//
// Refused is all that Unpack would refuse. Names that only Windows refuses are
// listed in Packed.Warnings. Errors are *clyde.Error, but for those of the
// file system: ErrNotFound without a package.yaml, ErrInvalid, ErrTooLarge,
// ErrConflict when a file changes meanwhile. The caller closes the Packed.
func Pack(ctx context.Context, dir string, o PackOptions) (*Packed, error) {
	if o.Archive != "" {
		return packArchive(ctx, dir, o)
	}
	root, err := openRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	config, at, err := findConfig(root.FS(), o.Manifest)
	if err != nil {
		return nil, err
	}
	p, m, err := newPacked(config, o)
	if err != nil {
		return nil, err
	}
	readme, err := findReadme(root.FS(), m)
	if err != nil {
		return nil, err
	}
	c, err := newChooser(root.FS(), m, []string{at, IgnoreFile, m.Readme, readme, m.LicenseFile})
	if err != nil {
		return nil, err
	}
	t := &tree{root: root, top: topOf(p), chooser: c, names: newNames(MaxEntries)}
	if err := t.read(ctx); err != nil {
		return nil, err
	}
	p.Files = t.files
	if p.Warnings, err = CheckWindows(m, t.files); err != nil {
		return nil, err
	}

	s := newSpool()
	p.close = s.remove
	mediaType, err := t.write(ctx, s, o)
	if err != nil {
		return nil, errors.Join(err, s.remove())
	}
	source, err := s.blob(mediaType)
	if err == nil {
		err = t.check(ctx, source)
	}
	if err == nil {
		var text []byte
		if readme != "" {
			text, err = readSmall(root.FS(), readme, MaxReadme)
		}
		if err == nil {
			err = p.assemble(m, source, readme, text, o)
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.remove())
	}
	return p, nil
}

func openRoot(dir string) (*os.Root, error) {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, clyde.Errorf(clyde.ErrNotFound, "there is no directory %s", dir).WithCode("directory_missing").Because(err)
	}
	return root, err
}

// topOf is the sole top directory of an archive, which unpacking strips.
func topOf(p *Packed) string { return p.Name.Base + "-" + p.Version.String() }

// findConfig returns package.yaml and its path in dir, or given and "".
func findConfig(dir fs.FS, given []byte) (config []byte, at string, err error) {
	if given != nil {
		return given, "", nil
	}
	if at, err = clyde.FindManifest(dir); err != nil {
		return nil, "", err
	}
	config, err = readSmall(dir, at, MaxConfig)
	return config, at, err
}

// newPacked reads config, which must name the package and its version.
func newPacked(config []byte, o PackOptions) (*Packed, *clyde.Manifest, error) {
	if len(config) > MaxConfig {
		return nil, nil, tooLarge("package.yaml", int64(len(config)), MaxConfig)
	}
	m, err := clyde.Validate(config, clyde.ValidateOptions{})
	if err != nil {
		return nil, nil, err
	}
	name := m.Name
	switch {
	case name.Base == "":
		return nil, nil, invalid("name_missing", "package.yaml has no name").Fix("add name: \"@namespace/name\"")
	case m.Version.IsZero():
		return nil, nil, invalid("version_missing", "package.yaml has no version").Fix("add version: \"0.1.0\"")
	case name.Namespace == "" && o.Namespace == "":
		return nil, nil, invalid("name_unqualified", "name %q has no namespace", name.Base).Fix("write name: \"@namespace/%s\", or say which namespace it is published in", name.Base)
	case name.Namespace == "":
		if err := clyde.CheckNamespace(o.Namespace); err != nil {
			return nil, nil, err
		}
		name.Namespace = o.Namespace
	}
	d := ocispec.Descriptor{MediaType: TypeConfig, Digest: digest.FromBytes(config), Size: int64(len(config))}
	return &Packed{Name: name, Version: m.Version, Config: bytesBlob(d, config)}, m, nil
}

// assemble completes p. The titles are the names that `oras pull` gives the
// layers; without one it would not write them.
func (p *Packed) assemble(m *clyde.Manifest, source Blob, readme string, text []byte, o PackOptions) (err error) {
	title := topOf(p) + ".tar.gz"
	if source.Descriptor.MediaType == TypeSourceZstd {
		title = topOf(p) + ".tar.zst"
	}
	source.Descriptor.Annotations = map[string]string{ocispec.AnnotationTitle: title}
	p.Layers = []Blob{source}
	if readme != "" {
		p.Layers = append(p.Layers, bytesBlob(ocispec.Descriptor{
			MediaType: TypeReadme, Digest: digest.FromBytes(text), Size: int64(len(text)),
			Annotations: map[string]string{ocispec.AnnotationTitle: path.Base(readme)},
		}, text))
	}
	r, err := p.Config.Open()
	if err != nil {
		return err
	}
	config, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	extra := maps.Clone(o.Annotations)
	if m.Repository == "" && o.Source != "" && extra[ocispec.AnnotationSource] == "" {
		if extra == nil {
			extra = map[string]string{}
		}
		extra[ocispec.AnnotationSource] = o.Source
	}
	p.Manifest, p.Descriptor, err = Assemble(config, m, p.Layers, extra)
	return err
}

// readmeNames are looked for, in this order and in any case, where
// package.yaml names no readme; one of more than MaxReadme bytes is passed over.
var readmeNames = []string{"readme.md", "readme.markdown", "readme", "readme.txt"}

// findReadme returns the path of the readme in dir, or "" when there is none.
func findReadme(dir fs.FS, m *clyde.Manifest) (string, error) {
	if m.Readme != "" {
		info, err := fs.Stat(dir, m.Readme)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
			return "", invalid("readme_missing", "package.yaml names the readme %q, and there is no such file", m.Readme).Fix("add the file, or leave out readme")
		}
		return m.Readme, err
	}
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return "", err
	}
	var found []string
	for _, e := range entries {
		if !e.Type().IsRegular() || readmeRank(e.Name()) == len(readmeNames) {
			continue
		}
		if info, err := e.Info(); err == nil && info.Size() <= MaxReadme {
			found = append(found, e.Name())
		}
	}
	return chooseReadme(found), nil
}

// chooseReadme returns the readme among the names of a root directory, or "".
func chooseReadme(names []string) string {
	best := slices.MinFunc(append(names, ""), func(a, b string) int {
		return cmp.Or(cmp.Compare(readmeRank(a), readmeRank(b)), strings.Compare(a, b))
	})
	if readmeRank(best) == len(readmeNames) {
		return ""
	}
	return best
}

func readmeRank(name string) int {
	if i := slices.Index(readmeNames, strings.ToLower(name)); i >= 0 {
		return i
	}
	return len(readmeNames)
}

// readSmall reads a file of at most limit bytes; nil where there is none.
func readSmall(dir fs.FS, name string, limit int64) ([]byte, error) {
	info, err := fs.Stat(dir, name) // first: opening a named pipe waits for its writer
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, invalid("entry_type", "%s is not a file", name)
	}
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b bytes.Buffer
	n, err := b.ReadFrom(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, tooLarge(name, max(n, info.Size()), limit)
	}
	return b.Bytes(), nil
}
