package artifact

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Limits bound one archive. A zero field is the constant named beside it.
type Limits struct {
	Archive  int64 // MaxArchive: bytes as it travels
	Unpacked int64 // MaxUnpacked: bytes of all files
	Entries  int   // MaxEntries
	Ratio    int64 // MaxRatio, looked at from RatioFloor bytes on
}

func (l Limits) withDefaults() Limits {
	if l.Archive == 0 {
		l.Archive = MaxArchive
	}
	if l.Unpacked == 0 {
		l.Unpacked = MaxUnpacked
	}
	if l.Entries == 0 {
		l.Entries = MaxEntries
	}
	if l.Ratio == 0 {
		l.Ratio = MaxRatio
	}
	return l
}

// List reads a source archive and calls fn for every entry, in the archive's
// order, with a body that is valid until fn returns (empty for what is no
// regular file). Paths are as in the archive, cleaned; see Top.
//
// It refuses, with an ErrInvalid or ErrTooLarge error that names the entry,
// everything that Unpack refuses. What concerns the whole archive (links,
// trailing data) is known only at the end: use what fn gathered only when List
// returns nil. An error of fn ends it and is returned as is.
func List(r io.Reader, mediaType string, fn func(f File, body io.Reader) error) error {
	return list(r, mediaType, Limits{}, fn)
}

func list(r io.Reader, mediaType string, lim Limits, fn func(f File, body io.Reader) error) error {
	lim = lim.withDefaults()
	packed := &counter{r: r, limit: lim.Archive}
	err := listEntries(packed, mediaType, lim, fn)
	if own, ok := errors.AsType[*callbackError](err); ok {
		return own.error
	}
	if err != nil && packed.err != nil {
		// A connection that broke is no broken archive.
		return fmt.Errorf("read the archive: %w", packed.err)
	}
	return broken(err)
}

// callbackError is an error of the caller's function, which list returns as it
// is.
type callbackError struct{ error }

func listEntries(packed *counter, mediaType string, lim Limits, fn func(f File, body io.Reader) error) error {
	src := bufio.NewReaderSize(packed, 64<<10)
	plain, end, err := decompress(src, mediaType)
	if err != nil {
		return err
	}
	defer end.Close()

	w := &meter{r: plain, packed: packed, lim: lim}
	tr := tar.NewReader(w)
	n := newNames(lim.Entries)
	left := lim.Unpacked
	for entries := 0; ; {
		hdr, err := w.next(tr)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if entries++; entries > lim.Entries {
			return tooLarge("the archive's number of entries", int64(entries), int64(lim.Entries)).WithCode("too_many_entries")
		}
		if hdr.Typeflag == tar.TypeXGlobalHeader {
			if err := checkGlobal(hdr); err != nil {
				return err
			}
			continue // git archive writes the commit there
		}
		f, err := fileOf(hdr)
		if err != nil {
			return err
		}
		if f.Path == "." {
			continue
		}
		if left -= f.Size; left < 0 {
			return clyde.Errorf(clyde.ErrTooLarge, "the archive unpacks to more than %d bytes, at %q", lim.Unpacked, f.Path).WithCode("too_large")
		}
		fresh, err := n.add(f.Path, f.Mode, f.Link)
		if err != nil {
			return err
		}
		if !fresh {
			continue
		}
		body := &bodyReader{r: tr}
		if err := fn(f, body); err != nil {
			if body.err != nil && errors.Is(err, body.err) {
				return body.err
			}
			return &callbackError{err}
		}
		if _, err := io.Copy(io.Discard, body); err != nil {
			return err
		}
	}
	if err := n.checkLinks(); err != nil {
		return err
	}
	return checkEnd(w, src)
}

// checkEnd refuses anything after the end of the tar (but for zero padding)
// and after the end of the compressed stream: what one tool ignores, another
// unpacks.
func checkEnd(plain io.Reader, src *bufio.Reader) error {
	buf := make([]byte, 32<<10)
	for total := 0; ; {
		k, err := plain.Read(buf)
		for _, c := range buf[:k] {
			if c != 0 {
				return refuse("trailing_data", "the archive has data after its end")
			}
		}
		if total += k; total > MaxPadding {
			return refuse("trailing_data", "the archive is padded with more than %d bytes", MaxPadding)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	switch _, err := src.ReadByte(); err {
	case io.EOF:
		return nil
	case nil:
		return refuse("trailing_data", "the archive has data after its compressed stream").
			Fix("compress the tar in one piece: one gzip member, or one zstd frame")
	default:
		return err
	}
}

// fileOf reads one tar header, or refuses it by name.
func fileOf(hdr *tar.Header) (File, error) {
	p, err := cleanPath(hdr.Name)
	if err != nil {
		return File{}, err
	}
	for k := range hdr.PAXRecords {
		if strings.HasPrefix(k, "GNU.sparse.") {
			return File{}, refuse("entry_type", "%q in the archive is a sparse file", p).Fix("pack without tar's --sparse")
		}
	}
	f := File{Path: p, Mode: 0o644}
	if hdr.Mode&0o111 != 0 {
		f.Mode = 0o755
	}
	what := ""
	switch hdr.Typeflag {
	case tar.TypeReg:
		f.Size = hdr.Size
		if strings.HasSuffix(hdr.Name, "/") || p == "." {
			return File{}, refuse("entry_ambiguous", "%q in the archive is a file with the name of a directory", hdr.Name)
		}
	case tar.TypeDir:
		f.Mode = fs.ModeDir | 0o755
		if hdr.Size != 0 {
			return File{}, sized(p)
		}
	case tar.TypeSymlink:
		if hdr.Size != 0 {
			return File{}, sized(p)
		}
		f.Mode, f.Link = fs.ModeSymlink|0o777, hdr.Linkname
		if p == "." {
			return File{}, refuse("link_outside", "the archive's root is a link")
		}
		if err := checkTarget(p, f.Link); err != nil {
			return File{}, err
		}
	case tar.TypeLink:
		what = "a hard link"
	case tar.TypeChar, tar.TypeBlock:
		what = "a device"
	case tar.TypeFifo:
		what = "a named pipe"
	case tar.TypeGNUSparse:
		what = "a sparse file"
	default:
		what = fmt.Sprintf("of type %q", hdr.Typeflag)
	}
	if what != "" {
		return File{}, refuse("entry_type", "%q in the archive is %s", p, what).
			Fix("pack regular files, directories and symlinks only (clyde pack does)")
	}
	return f, nil
}

// broken is the error for an archive that does not decode; nil for nil. Errors
// that already say what is wrong are kept.
func broken(err error) error {
	if err == nil || clyde.AsError(err) != nil {
		return err
	}
	if err == io.EOF { // as readers return it; nobody shall take this for the end
		err = io.ErrUnexpectedEOF
	}
	return refuse("archive_broken", "the archive cannot be read: %v", err).Because(err)
}

// counter counts and bounds the bytes of the compressed archive.
type counter struct {
	r     io.Reader
	n     int64
	limit int64
	err   error // what ended reading, but for io.EOF; decompressors may hide it
}

func (c *counter) Read(b []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	k, err := c.r.Read(b)
	if c.n += int64(k); c.n > c.limit {
		k, err = 0, tooLarge("the archive", c.n, c.limit)
	}
	if err != io.EOF { // as readers return it
		c.err = err
	}
	return k, err
}

// meter bounds what comes out of the decompressor, in bytes and in ratio to
// what went in.
type meter struct {
	r       io.Reader
	n       int64
	packed  *counter
	lim     Limits
	seen    *bytes.Buffer // takes what is read, when set
	headers bytes.Buffer  // of one entry
}

func (m *meter) Read(b []byte) (int, error) {
	k, err := m.r.Read(b)
	m.n += int64(k)
	if m.seen != nil {
		m.seen.Write(b[:k])
	}
	// Headers and padding are no files: leave them room.
	if head := int64(m.lim.Entries)*4*512 + MaxPadding; m.n > m.lim.Unpacked+head {
		return 0, clyde.Errorf(clyde.ErrTooLarge, "the archive unpacks to more than %d bytes", m.lim.Unpacked).WithCode("too_large")
	}
	if m.n > RatioFloor && m.n/m.lim.Ratio > m.packed.n {
		return 0, clyde.Errorf(clyde.ErrTooLarge, "the archive unpacks to more than %d times its size", m.lim.Ratio).WithCode("ratio_too_large")
	}
	return k, err
}

// bodyReader remembers the error of the archive below, to tell it from one of
// the caller's own.
type bodyReader struct {
	r   io.Reader
	err error
}

func (b *bodyReader) Read(p []byte) (int, error) {
	k, err := b.r.Read(p)
	if err != nil && err != io.EOF {
		b.err = err
	}
	return k, err
}
