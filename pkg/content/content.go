// Package content keeps what was derived from a release once: the list of its
// files with random access to each, the rendered readme, the list of public
// headers. It lives beside the blobs and can be rebuilt at will: a pack that
// is damaged or of another format reads as absent.
package content

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/recent"
)

// File is one entry of a source archive: a regular file or a symlink.
type File struct {
	Path string `json:"path"`
	Size int64  `json:"size"` // bytes
	Mode uint32 `json:"mode"`
	Link string `json:"link,omitempty"` // symlink target
}

// Info is what was derived from one source archive. It is shared: do not
// change it.
type Info struct {
	Files      []File   // by path
	Headers    []string // public headers as written in #include, sorted
	ReadmePath string   // "" when there is none
	Readme     string   // raw, capped
	ReadmeHTML string   // sanitised
}

// Store is the directory of derived content, a pack file for each key. Its
// methods may be called at once from many goroutines.
type Store struct {
	dir     string
	cache   recent.Cache[*index]
	packers sync.Pool // of *packer
}

// Open opens (or makes) the store in dir.
func Open(dir string) (*Store, error) {
	tmp := filepath.Join(dir, "tmp")
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return nil, fmt.Errorf("content.Open: %w", err)
	}
	// What a crash left half-written is nobody's.
	left, err := os.ReadDir(tmp)
	if err != nil {
		return nil, fmt.Errorf("content.Open: %w", err)
	}
	for _, e := range left {
		if err := os.Remove(filepath.Join(tmp, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("content.Open: %w", err)
		}
	}
	return &Store{dir: dir, cache: recent.Cache[*index]{Max: maxCached}}, nil
}

// file returns where the pack of key lies. The key is a digest, so that no key
// can name another place.
func (s *Store) file(key string) (string, error) {
	d, err := digest.Parse(key)
	if err != nil {
		return "", clyde.Errorf(clyde.ErrInvalid, "%q is not a digest", key).Because(err)
	}
	hex := d.Encoded()
	return filepath.Join(s.dir, string(d.Algorithm()), hex[:2], hex+".pack"), nil
}

// Info returns what Derive stored, or clyde.ErrNotFound.
func (s *Store) Info(ctx context.Context, key string) (*Info, error) {
	x, err := s.index(ctx, key)
	if err != nil {
		return nil, err
	}
	return x.info, nil
}

// OpenFile returns one file, or clyde.ErrNotFound. A symlink that stays inside
// the archive is followed: the File is then that of its target.
func (s *Store) OpenFile(ctx context.Context, key, name string) (io.ReadSeekCloser, File, error) {
	x, err := s.index(ctx, key)
	if err != nil {
		return nil, File{}, err
	}
	e, ok := x.find(name)
	if !ok {
		return nil, File{}, clyde.Errorf(clyde.ErrNotFound, "there is no file %q in this version", name).WithCode("file_unknown")
	}
	p, err := s.file(key)
	if err != nil {
		return nil, File{}, err
	}
	f, err := os.Open(p)
	if err != nil {
		return nil, File{}, absent(key, err)
	}
	r, err := newReader(f, e)
	if err != nil {
		_ = f.Close()
		return nil, File{}, fmt.Errorf("content.OpenFile: %w", err)
	}
	return r, e.File, nil
}

// Remove forgets one key; a key that is not there is no error.
func (s *Store) Remove(key string) error {
	p, err := s.file(key)
	if err != nil {
		return err
	}
	s.cache.Drop(key)
	if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("content.Remove: %w", err)
	}
	return nil
}

// index returns the parsed index of key, from memory when it is there.
func (s *Store) index(ctx context.Context, key string) (*index, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if x, ok := s.cache.Get(key); ok {
		return x, nil
	}
	p, err := s.file(key)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(p)
	if err != nil {
		return nil, absent(key, err)
	}
	defer func() { _ = f.Close() }()
	x, err := readIndex(f)
	if err != nil {
		return nil, absent(key, err)
	}
	s.cache.Put(key, x, x.cost())
	return x, nil
}

// absent is the error for a pack that is not there or not whole.
func absent(key string, err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errDamaged) {
		return clyde.Errorf(clyde.ErrNotFound, "the content of this version has not been read yet").
			WithCode("content_pending").Because(fmt.Errorf("%s: %w", key, err))
	}
	return fmt.Errorf("content: %s: %w", key, err)
}

// maxLinks is how many symlinks are followed to one file; Linux's own bound.
const maxLinks = 40

// find looks a path up and follows symlinks inside the archive.
func (x *index) find(name string) (*entry, bool) {
	for range maxLinks {
		i, ok := x.byPath[name]
		if !ok {
			return nil, false
		}
		e := &x.entries[i]
		if e.Link == "" {
			return e, true
		}
		name = path.Join(path.Dir(name), e.Link)
		if path.IsAbs(e.Link) || name == ".." || strings.HasPrefix(name, "../") {
			return nil, false
		}
	}
	return nil, false
}
