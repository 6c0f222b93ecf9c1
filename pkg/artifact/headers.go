package artifact

import (
	"archive/tar"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Sizes of a tar, in bytes (POSIX ustar): everything comes in blocks, and two
// blocks of zeros end it.
const (
	tarBlock = 512
	tarEnd   = 2 * tarBlock
)

// next returns tr's next header, where m is what tr reads and stands after a
// body. It is stricter than tr about what tools read in different ways, and
// about the end.
func (m *meter) next(tr *tar.Reader) (*tar.Header, error) {
	pad := int(-m.n & (tarBlock - 1))
	m.headers.Reset()
	m.seen = &m.headers
	hdr, err := tr.Next()
	m.seen = nil
	raw := m.headers.Bytes()
	raw = raw[min(pad, len(raw)):]
	switch {
	case err == io.EOF: // as tar returns it
		if len(raw) != tarEnd || !isZero(raw) {
			return nil, refuse("archive_broken", "the archive ends without its end marker: it was cut off")
		}
		return nil, io.EOF
	case err != nil:
		return nil, err
	}
	return hdr, checkChain(hdr, raw)
}

// checkChain looks at the blocks that led to hdr: extended headers, each
// followed by its content, then the header proper. Some readers merge two
// extended headers and others take the last; some know a size given there and
// others do not, and take the content of one file for the headers of more.
func checkChain(hdr *tar.Header, raw []byte) error {
	if hdr.Typeflag == tar.TypeXGlobalHeader {
		return nil // its content is part of raw
	}
	extended := map[byte]bool{}
	for len(raw) > tarBlock {
		kind := raw[156]
		size, err := octal(raw[124:136])
		next := tarBlock + (size+tarBlock-1)&^(tarBlock-1)
		if err != nil || strings.IndexByte("xLK", kind) < 0 || next > int64(len(raw)-tarBlock) {
			return refuse("entry_ambiguous", "the headers of %q in the archive can be read in two ways", hdr.Name)
		}
		if extended[kind] || len(extended) > 0 && (kind == 'x' || extended['x']) {
			return refuse("entry_ambiguous", "%q in the archive has more than one extended header", hdr.Name)
		}
		extended[kind] = true
		raw = raw[next:]
	}
	if _, ok := hdr.PAXRecords["size"]; ok {
		if size, err := octal(raw[124:136]); err != nil || size != hdr.Size {
			return refuse("entry_ambiguous", "%q in the archive has two sizes", hdr.Name)
		}
	}
	return nil
}

// checkGlobal refuses a global header with what would change later entries:
// this reader does not apply it to them, and others do.
func checkGlobal(hdr *tar.Header) error {
	for k := range hdr.PAXRecords {
		switch k {
		case "path", "linkpath", "size", "hdrcharset":
		default:
			if !strings.HasPrefix(k, "GNU.") {
				continue
			}
		}
		return refuse("entry_ambiguous", "the archive has a global header with %q, which changes all entries after it", k)
	}
	return nil
}

// octal reads a number of a header. Numbers in base 256 are for sizes above
// every limit.
func octal(field []byte) (int64, error) {
	s := strings.Trim(string(field), " \x00")
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 8, 64)
	if err == nil && n < 0 {
		err = fmt.Errorf("negative size %d", n)
	}
	return n, err
}

// sized refuses content where there can be none: some readers skip it, others
// read headers from it.
func sized(p string) *clyde.Error {
	return refuse("entry_ambiguous", "%q in the archive has content and is no file", p)
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
