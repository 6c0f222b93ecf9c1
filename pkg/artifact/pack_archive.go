package artifact

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// archiveMagic tells archives apart by their first bytes; names lie.
var archiveMagic = []struct{ magic, mediaType, name string }{
	{"\x1f\x8b", TypeSourceGzip, ""},
	{"\x28\xb5\x2f\xfd", TypeSourceZstd, ""},
	{"\xfd7zXZ\x00", "", "compressed with xz"},
	{"BZh", "", "compressed with bzip2"},
	{"PK\x03\x04", "", "a zip file"},
}

// archiveType returns the media type of an archive that begins with head.
func archiveType(name string, head []byte) (string, error) {
	is := "no .tar.gz and no .tar.zst"
	for _, m := range archiveMagic {
		if strings.HasPrefix(string(head), m.magic) {
			if m.mediaType != "" {
				return m.mediaType, nil
			}
			is = m.name
		}
	}
	return "", refuse("archive_type", "%s is %s, and a package ships .tar.gz or .tar.zst", name, is).
		Fix("unpack it and pack the directory (tar xf %s)", name)
}

// packArchive makes a package of a ready archive. Its manifest is the one in
// o, or in dir, or in the archive.
func packArchive(ctx context.Context, dir string, o PackOptions) (*Packed, error) {
	file, err := os.Open(o.Archive)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, clyde.Errorf(clyde.ErrNotFound, "there is no archive %s", o.Archive).WithCode("archive_missing").Because(err)
		}
		return nil, err
	}
	defer file.Close()
	head := make([]byte, 6)
	n, err := io.ReadFull(file, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	mediaType, err := archiveType(path.Base(file.Name()), head[:n])
	if err != nil {
		return nil, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	sum := sha256.New()
	in := &counter{r: io.TeeReader(contextReader{ctx, file}, sum), limit: MaxArchive}
	kept := newKeeper()
	if err := List(in, mediaType, kept.entry); err != nil {
		return nil, err
	}
	if len(kept.files) == 0 {
		return nil, invalid("package_empty", "there is nothing in the archive")
	}
	top := Top(kept.files)
	files := Strip(kept.files, top)

	config := o.Manifest
	if config == nil && dir != "" {
		root, err := openRoot(dir)
		if err != nil {
			return nil, err
		}
		defer root.Close()
		config, _, err = findConfig(root.FS(), nil)
		if err != nil && !errors.Is(err, clyde.ErrNotFound) {
			return nil, err
		}
	}
	if config == nil {
		if config, err = kept.config(top); err != nil {
			return nil, err
		}
	}
	p, m, err := newPacked(config, o)
	if err != nil {
		return nil, err
	}
	p.Files = files
	if p.Warnings, err = CheckWindows(m, files); err != nil {
		return nil, err
	}
	if m.Readme != "" && kept.small[path.Join(top, m.Readme)] == nil {
		// Which file it is was not known while the archive was read.
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		kept = newKeeper()
		kept.also = path.Join(top, m.Readme)
		if err := List(contextReader{ctx, file}, mediaType, kept.entry); err != nil {
			return nil, err
		}
	}
	readme, text, err := kept.readme(top, m)
	if err != nil {
		return nil, err
	}
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.NewDigest(digest.SHA256, sum), Size: in.n}
	if err := p.assemble(m, fileBlob(d, o.Archive), readme, text, o); err != nil {
		return nil, err
	}
	return p, nil
}

// keeper keeps the small files of an archive that may be its manifest or its
// readme.
type keeper struct {
	files []File
	small map[string][]byte // by path in the archive
	left  int64             // bytes that may still be kept
	also  string            // a path to keep whatever its name
}

// maxKept bounds what a keeper holds, in bytes: readmes and manifests, a few
// of them.
const maxKept = 4 * (MaxReadme + MaxConfig)

func newKeeper() *keeper { return &keeper{small: map[string][]byte{}, left: maxKept} }

func (k *keeper) entry(f File, body io.Reader) error {
	k.files = append(k.files, f)
	base := strings.ToLower(path.Base(f.Path))
	text := strings.HasSuffix(base, ".md") || strings.HasPrefix(base, "readme") || base == "package.yaml" || base == "package.yml"
	text = text && strings.Count(f.Path, "/") <= 2 || f.Path == k.also
	if !f.Mode.IsRegular() || !text || f.Size > MaxReadme || f.Size > k.left {
		return nil
	}
	k.left -= f.Size
	b, err := io.ReadAll(body)
	k.small[f.Path] = b
	return err
}

// config returns the package.yaml below top.
func (k *keeper) config(top string) ([]byte, error) {
	_, long := k.small[path.Join(top, "package.yaml")]
	if _, short := k.small[path.Join(top, "package.yml")]; long && short {
		return nil, clyde.Errorf(clyde.ErrConflict, "package.yaml and package.yml are both in the archive, and only one can count").
			WithCode("manifest_twice").Fix("remove one of them")
	}
	for _, p := range []string{".clyde/package.yaml", "package.yaml", "package.yml"} {
		if b, ok := k.small[path.Join(top, p)]; ok {
			return b, nil
		}
	}
	return nil, clyde.Errorf(clyde.ErrNotFound, "there is no package.yaml, neither here nor in the archive").WithCode("manifest_missing").
		Fix("run clyde init to write one")
}

// readme returns the readme below top, if there is one.
func (k *keeper) readme(top string, m *clyde.Manifest) (name string, text []byte, err error) {
	if name = m.Readme; name == "" {
		var at []string
		for p := range k.small {
			if path.Dir(p) == path.Join(top, ".") {
				at = append(at, path.Base(p))
			}
		}
		if name = chooseReadme(at); name == "" {
			return "", nil, nil
		}
	}
	text, ok := k.small[path.Join(top, name)]
	if !ok {
		return "", nil, invalid("readme_missing", "package.yaml names the readme %q, which the archive does not hold, or not in %d bytes", name, MaxReadme).
			Fix("leave out readme, or add the file to the archive")
	}
	return name, bytes.Clone(text), nil
}
