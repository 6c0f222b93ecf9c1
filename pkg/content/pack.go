package content

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
)

// A pack is: each file as one zstd frame, in archive order; the index, JSON in
// one zstd frame; and a trailer of fixed size:
//
//	offset of the index  uint64, big endian
//	length of the index  uint64, big endian
//	magic                8 bytes, the last one being the format's number
const (
	trailerLen = 24
	magic      = "clydepk\x01"
	// maxIndex bounds the index, unpacked, in bytes: MaxEntries of an archive
	// with paths of 255 bytes make 40 MB.
	maxIndex = 64 << 20
	// window of the zstd frames, in bytes: what one open file costs to read.
	window = 1 << 20
)

var errDamaged = errors.New("damaged pack")

// entry is a File and where its frame lies.
type entry struct {
	File
	Offset int64 `json:"offset"`
	Packed int64 `json:"packed"` // bytes; 0 for a symlink
}

// index is a pack's index as it is kept in memory.
type index struct {
	entries []entry
	byPath  map[string]int
	info    *Info
}

// document is a pack's index as it is written.
type document struct {
	Entries    []entry  `json:"entries"`
	Headers    []string `json:"headers"`
	ReadmePath string   `json:"readme_path,omitempty"`
	Readme     string   `json:"readme,omitempty"`
	ReadmeHTML string   `json:"readme_html,omitempty"`
}

func (d document) index() *index {
	x := &index{
		entries: d.Entries,
		byPath:  make(map[string]int, len(d.Entries)),
		info: &Info{
			Files: make([]File, len(d.Entries)), Headers: d.Headers,
			ReadmePath: d.ReadmePath, Readme: d.Readme, ReadmeHTML: d.ReadmeHTML,
		},
	}
	for i, e := range d.Entries {
		x.byPath[e.Path] = i
		x.info.Files[i] = e.File
	}
	return x
}

// packer writes a pack.
type packer struct {
	out *bufio.Writer
	enc *zstd.Encoder
	off int64
}

// newPacker returns a packer, used before where there is one: an encoder's
// tables are megabytes, which to make anew takes longer than a small package.
func (s *Store) newPacker(f *os.File) (*packer, error) {
	if p, ok := s.packers.Get().(*packer); ok {
		p.out.Reset(f)
		p.off = 0
		return p, nil
	}
	// One goroutine, so that the same input gives the same bytes.
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window), zstd.WithEncoderCRC(true))
	if err != nil {
		return nil, err
	}
	return &packer{out: bufio.NewWriterSize(f, 64<<10), enc: enc}, nil
}

// release gives a packer back that has finished or failed.
func (s *Store) release(p *packer) {
	p.out.Reset(nil)
	p.enc.Reset(nil)
	s.packers.Put(p)
}

// Write implements io.Writer for the encoder.
func (p *packer) Write(b []byte) (int, error) {
	n, err := p.out.Write(b)
	p.off += int64(n)
	return n, err
}

// frame writes body as one frame and says where it lies and how long body was.
func (p *packer) frame(body io.Reader) (offset, packed, size int64, err error) {
	offset = p.off
	p.enc.Reset(p)
	if size, err = io.Copy(p.enc, body); err != nil {
		return 0, 0, 0, err
	}
	if err := p.enc.Close(); err != nil {
		return 0, 0, 0, err
	}
	return offset, p.off - offset, size, nil
}

func (p *packer) finish(d document) error {
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	offset, packed, _, err := p.frame(bytes.NewReader(b))
	if err != nil {
		return err
	}
	t := binary.BigEndian.AppendUint64(nil, uint64(offset))
	t = binary.BigEndian.AppendUint64(t, uint64(packed))
	if _, err := p.Write(append(t, magic...)); err != nil {
		return err
	}
	return p.out.Flush()
}

// readIndex reads the index of a pack; errors are errDamaged or of the disk.
func readIndex(f *os.File) (*index, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() < trailerLen {
		return nil, fmt.Errorf("%w: %d bytes", errDamaged, st.Size())
	}
	var t [trailerLen]byte
	end := st.Size() - trailerLen
	if _, err := f.ReadAt(t[:], end); err != nil {
		return nil, err
	}
	offset, packed := binary.BigEndian.Uint64(t[:]), binary.BigEndian.Uint64(t[8:])
	if string(t[16:]) != magic || packed > uint64(end) || offset != uint64(end)-packed {
		return nil, fmt.Errorf("%w: bad trailer", errDamaged)
	}
	dec, err := zstd.NewReader(io.NewSectionReader(f, int64(offset), int64(packed)),
		zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(window), zstd.WithDecoderMaxMemory(maxIndex))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	defer dec.Close()
	b, err := io.ReadAll(io.LimitReader(dec, maxIndex))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	var d document
	if err := json.Unmarshal(b, &d); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	for _, e := range d.Entries {
		if e.Offset < 0 || e.Packed < 0 || e.Size < 0 || e.Offset > end-e.Packed {
			return nil, fmt.Errorf("%w: %q lies outside", errDamaged, e.Path)
		}
	}
	return d.index(), nil
}

// reader reads one file of a pack. Memory is bounded by the window whatever
// the file's size; seeking backwards decodes from the start again.
type reader struct {
	f   *os.File
	e   *entry
	dec *zstd.Decoder
	at  int64 // position of the decoder
	pos int64 // position asked for
}

func newReader(f *os.File, e *entry) (*reader, error) {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(window))
	if err != nil {
		return nil, err
	}
	r := &reader{f: f, e: e, dec: dec}
	return r, r.rewind()
}

func (r *reader) rewind() error {
	r.at = 0
	return r.dec.Reset(io.NewSectionReader(r.f, r.e.Offset, r.e.Packed))
}

// Read implements io.Reader.
func (r *reader) Read(b []byte) (int, error) {
	if r.pos >= r.e.Size {
		return 0, io.EOF
	}
	if r.pos < r.at {
		if err := r.rewind(); err != nil {
			return 0, err
		}
	}
	if r.pos > r.at {
		n, err := io.CopyN(io.Discard, r.dec, r.pos-r.at)
		r.at += n
		if err != nil {
			return 0, fmt.Errorf("reading %q: %w", r.e.Path, noEOF(err))
		}
	}
	if most := r.e.Size - r.pos; int64(len(b)) > most {
		b = b[:most]
	}
	n, err := r.dec.Read(b)
	r.at += int64(n)
	r.pos = r.at
	if err != nil && (!errors.Is(err, io.EOF) || r.pos < r.e.Size) {
		return n, fmt.Errorf("reading %q: %w", r.e.Path, noEOF(err))
	}
	return n, err
}

// noEOF makes an early end an error: the index says how long the file is.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Seek implements io.Seeker.
func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		offset += r.e.Size
	}
	if offset < 0 {
		return 0, fmt.Errorf("seeking %q to %d: before its start", r.e.Path, offset)
	}
	r.pos = offset
	return offset, nil
}

// Close implements io.Closer.
func (r *reader) Close() error {
	r.dec.Close()
	return r.f.Close()
}
