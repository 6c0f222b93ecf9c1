package artifact

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// spoolAt is the size in bytes from which an archive is kept in a temporary
// file instead of memory. Nine in ten archives of the libraries we measured
// are smaller.
const spoolAt = 8 << 20

// spool takes the bytes of one blob, at most limit.
type spool struct {
	memory bytes.Buffer
	file   *os.File // nil until memory holds spoolAt bytes
	hash   hash.Hash
	n      int64
	at     int64 // spoolAt, but in tests
}

func newSpool() *spool { return &spool{hash: sha256.New(), at: spoolAt} }

func (s *spool) Write(b []byte) (int, error) {
	if s.n+int64(len(b)) > MaxArchive {
		return 0, tooLarge("the archive", s.n+int64(len(b)), MaxArchive)
	}
	if s.file == nil && s.n+int64(len(b)) > s.at {
		f, err := os.CreateTemp("", "clyde-pack-*")
		if err != nil {
			return 0, err
		}
		s.file = f
		if _, err := s.memory.WriteTo(f); err != nil {
			return 0, err
		}
	}
	s.n += int64(len(b))
	s.hash.Write(b)
	if s.file != nil {
		return s.file.Write(b)
	}
	return s.memory.Write(b)
}

// blob ends writing and returns what was written. The caller removes the
// spool when the blob is done with.
func (s *spool) blob(mediaType string) (Blob, error) {
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.NewDigest(digest.SHA256, s.hash), Size: s.n}
	if s.file == nil {
		return bytesBlob(d, s.memory.Bytes()), nil
	}
	if err := s.file.Close(); err != nil {
		return Blob{}, err
	}
	return fileBlob(d, s.file.Name()), nil
}

// remove removes the temporary file, if there is one.
func (s *spool) remove() error {
	if s.file == nil {
		return nil
	}
	if err := s.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return errors.Join(err, os.Remove(s.file.Name()))
	}
	return os.Remove(s.file.Name())
}

func bytesBlob(d ocispec.Descriptor, b []byte) Blob {
	return Blob{Descriptor: d, Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }}
}

func fileBlob(d ocispec.Descriptor, name string) Blob {
	return Blob{Descriptor: d, Open: func() (io.ReadCloser, error) {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("open the packed archive: %w", err)
		}
		return f, nil
	}}
}
