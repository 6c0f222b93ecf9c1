package artifact

import (
	"bufio"
	"encoding/binary"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow is the largest zstd window accepted, in bytes: what `zstd -19`
// writes. It bounds the memory of one decoder.
const maxWindow = 8 << 20

// decompress opens the layer of mediaType, which is one gzip member or one
// zstd frame: the reader ends with it, and src is then at what follows. The
// closer frees the decompressor.
func decompress(src *bufio.Reader, mediaType string) (io.Reader, io.Closer, error) {
	switch mediaType {
	case TypeSourceGzip:
		z, err := gzip.NewReader(src)
		if err != nil {
			return nil, nil, err
		}
		z.Multistream(false)
		return z, z, nil
	case TypeSourceZstd, TypeBuildTree, TypeBuildDebug:
		z, err := zstd.NewReader(&frame{src: src}, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, nil, err
		}
		return z, z.IOReadCloser(), nil
	}
	return nil, nil, refuse("source_type", "%q is no source archive", mediaType).Fix("use %s or %s", TypeSourceGzip, TypeSourceZstd)
}

// frame reads one zstd frame (RFC 8878, 3.1.1) from src and ends with it. The
// decoder would go on with the next one, and skip those that it need not know:
// places for what only some readers see.
type frame struct {
	src      *bufio.Reader
	step     int // see the constants
	left     int // bytes of the current part
	checksum bool
}

const (
	frameHeader = iota
	frameBlock
	frameChecksum
	frameEnd
)

const zstdMagic = 0xFD2FB528

func (f *frame) Read(b []byte) (int, error) {
	for f.left == 0 {
		if f.step == frameEnd {
			return 0, io.EOF
		}
		if err := f.part(); err != nil {
			if err == io.EOF { // as bufio returns it
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
	k, err := f.src.Read(b[:min(len(b), f.left)])
	f.left -= k
	if err == io.EOF { // as readers return it
		err = io.ErrUnexpectedEOF
	}
	return k, err
}

// part looks at the beginning of the next part for its length.
func (f *frame) part() error {
	switch f.step {
	case frameHeader:
		h, err := f.src.Peek(5)
		if err != nil {
			return err
		}
		if binary.LittleEndian.Uint32(h) != zstdMagic {
			return refuse("archive_broken", "the archive does not begin with a zstd frame").
				Fix("compress the tar in one piece: one zstd frame")
		}
		d := h[4]
		single := d>>5&1 == 1
		f.left = 5 + []int{0, 1, 2, 4}[d&3] + []int{0, 2, 4, 8}[d>>6]
		if !single || d>>6 == 0 {
			f.left++ // the window, or a content size of one byte
		}
		f.checksum = d>>2&1 == 1
		f.step = frameBlock
	case frameBlock:
		h, err := f.src.Peek(3)
		if err != nil {
			return err
		}
		size := int(h[0]) | int(h[1])<<8 | int(h[2])<<16
		last, kind := size&1 == 1, size>>1&3
		if size >>= 3; kind == 1 { // one byte, repeated
			size = 1
		}
		f.left = 3 + size
		switch {
		case last && f.checksum:
			f.step = frameChecksum
		case last:
			f.step = frameEnd
		}
	case frameChecksum:
		f.left, f.step = 4, frameEnd
	}
	return nil
}
