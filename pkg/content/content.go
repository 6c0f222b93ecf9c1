// Package content keeps what was derived from a release once: the list of its
// files with random access to each, the rendered readme, the list of public
// headers. It lives beside the blobs and can be rebuilt at will.
package content

import (
	"context"
	"errors"
	"io"
)

var errStub = errors.New("content: being written")

// File is one entry of a source archive.
type File struct {
	Path string `json:"path"`
	Size int64  `json:"size"` // bytes
	Mode uint32 `json:"mode"`
	Link string `json:"link,omitempty"` // symlink target
}

// Info is what was derived from one source archive.
type Info struct {
	Files      []File
	Headers    []string // public headers as written in #include, sorted
	ReadmePath string   // "" when there is none
	Readme     string   // raw, capped
	ReadmeHTML string   // sanitised
}

// Store is the directory of derived content, by digest of the source archive.
type Store struct{}

// Open opens (or makes) the store in dir.
func Open(dir string) (*Store, error) { return nil, errStub }

// DeriveOptions come from the manifest.
type DeriveOptions struct {
	MediaType string   // of the archive
	Include   []string // public header roots
	Readme    string   // path of the readme, "" to look for README*
	// ReadmeLayer, when set, is the readme as pushed in its own layer and wins
	// over the one in the archive.
	ReadmeLayer []byte
	BaseURL     string // prefix for relative links and images of the readme, "/packages/acme/zlib/1.3.1/files/"
}

// Derive reads the archive once and stores what follows from it under key (the
// manifest's digest). Doing it again gives the same bytes.
func (s *Store) Derive(ctx context.Context, key string, archive io.Reader, o DeriveOptions) (*Info, error) {
	return nil, errStub
}

// Info returns what Derive stored, or clyde.ErrNotFound.
func (s *Store) Info(ctx context.Context, key string) (*Info, error) { return nil, errStub }

// Open returns one file, or clyde.ErrNotFound.
func (s *Store) OpenFile(ctx context.Context, key, path string) (io.ReadSeekCloser, File, error) {
	return nil, File{}, errStub
}

// Remove forgets one key.
func (s *Store) Remove(key string) error { return nil }
