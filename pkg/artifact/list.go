package artifact

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// maxWindow is the largest zstd window accepted, in bytes: what `zstd -19`
// writes. It bounds the memory of one decoder.
const maxWindow = 8 << 20

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
	src := bufio.NewReaderSize(packed, 64<<10)
	plain, end, err := decompress(src, mediaType)
	if err != nil {
		return err
	}
	defer end.Close()

	w := &meter{r: plain, packed: packed, lim: lim}
	tr := tar.NewReader(w)
	n := newNames(lim.Entries)
	for entries := 0; ; {
		hdr, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return broken(err)
		}
		if hdr.Typeflag == tar.TypeXGlobalHeader {
			continue // git archive writes the commit there
		}
		if entries++; entries > lim.Entries {
			return tooLarge("the archive's number of entries", int64(entries), int64(lim.Entries)).WithCode("too_many_entries")
		}
		f, err := fileOf(hdr)
		if err != nil {
			return err
		}
		if f.Path == "." {
			continue
		}
		if f.Size > lim.Unpacked {
			return tooLarge(fmt.Sprintf("%q in the archive", f.Path), f.Size, lim.Unpacked)
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
				return broken(body.err)
			}
			return err
		}
		if _, err := io.Copy(io.Discard, body); err != nil {
			return broken(err)
		}
	}
	if err := n.checkLinks(); err != nil {
		return err
	}
	return checkEnd(w, src)
}

// decompress opens the layer of mediaType. The returned closer frees it.
func decompress(src *bufio.Reader, mediaType string) (io.Reader, io.Closer, error) {
	switch mediaType {
	case TypeSourceGzip:
		z, err := gzip.NewReader(src)
		if err != nil {
			return nil, nil, broken(err)
		}
		z.Multistream(false)
		return z, z, nil
	case TypeSourceZstd:
		z, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, nil, broken(err)
		}
		return z, z.IOReadCloser(), nil
	}
	return nil, nil, refuse("source_type", "%q is no source archive", mediaType).Fix("use %s or %s", TypeSourceGzip, TypeSourceZstd)
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
			return broken(err)
		}
	}
	switch _, err := src.ReadByte(); err {
	case io.EOF:
		return nil
	case nil:
		return refuse("trailing_data", "the archive has data after its compressed stream")
	default:
		return broken(err)
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
		if p == "." {
			what = "a file without a name"
		}
	case tar.TypeDir:
		f.Mode = fs.ModeDir | 0o755
	case tar.TypeSymlink:
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

// broken is the error for an archive that does not decode. Errors that already
// say what is wrong, and those of the transport below, are kept.
func broken(err error) error {
	if clyde.AsError(err) != nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return refuse("archive_broken", "the archive cannot be read: %v", err).Because(err)
}

// counter counts and bounds the bytes of the compressed archive.
type counter struct {
	r     io.Reader
	n     int64
	limit int64
}

func (c *counter) Read(b []byte) (int, error) {
	k, err := c.r.Read(b)
	if c.n += int64(k); c.n > c.limit {
		return 0, tooLarge("the archive", c.n, c.limit)
	}
	return k, err
}

// meter bounds what comes out of the decompressor, in bytes and in ratio to
// what went in.
type meter struct {
	r      io.Reader
	n      int64
	packed *counter
	lim    Limits
}

func (m *meter) Read(b []byte) (int, error) {
	k, err := m.r.Read(b)
	m.n += int64(k)
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
