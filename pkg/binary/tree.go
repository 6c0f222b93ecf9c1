package binary

import (
	"bytes"
	"io"
	"io/fs"
	"os"
)

// MeasureFS measures every object file below root. Symlinks are not followed:
// what they name is measured where it is.
func MeasureFS(root fs.FS) (*Report, error) {
	r := new(Report)
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := root.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		at, ok := f.(io.ReaderAt)
		if !ok {
			return invalid("%s cannot be read at will", name)
		}
		m, err := Measure(name, at, info.Size())
		r.Add(m)
		return err
	})
	return r, err
}

// spoolSize is up to how many bytes MeasureReader keeps in memory. Ours: most
// libraries fit, and a hundred at once do no harm.
const spoolSize = 8 << 20

// MeasureReader measures a file that comes as a stream of size bytes; what
// does not begin like an object file is left unread. Large ones are kept in a
// temporary file meanwhile.
func MeasureReader(name string, body io.Reader, size int64) (m *File, err error) {
	head := make([]byte, HeadSize)
	n, err := io.ReadFull(body, head)
	if err == io.EOF || err == io.ErrUnexpectedEOF || err == nil && !Is(head) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if size > MaxFile {
		return Measure(name, nil, size) // which refuses it
	}
	if size <= spoolSize {
		b := make([]byte, size)
		copy(b, head[:n])
		if _, err := io.ReadFull(body, b[n:]); err != nil {
			return nil, err
		}
		return Measure(name, bytes.NewReader(b), size)
	}
	f, err := os.CreateTemp("", "clyde-measure-*")
	if err != nil {
		return nil, err
	}
	defer func() {
		_ = f.Close() // nothing of it is kept
		if rerr := os.Remove(f.Name()); err == nil {
			err = rerr
		}
	}()
	if _, err := f.Write(head[:n]); err != nil {
		return nil, err
	}
	if _, err := io.CopyN(f, body, size-int64(n)); err != nil {
		return nil, err
	}
	return Measure(name, f, size)
}
