package fsdriver

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	// journalMagic begins every journal file; the number of the journal
	// follows, 8 bytes, little-endian.
	journalMagic  = "CLYDEJ1\n"
	journalHeader = len(journalMagic) + 8

	// frameHeader is the length and the checksum of a frame, 4 bytes each.
	frameHeader = 8

	// maxFrame bounds the payload of one frame, in bytes, so that a damaged
	// length is not believed. It is above the largest Options.SmallFile.
	maxFrame = 4 << 20
)

// kind is what happened to a path; the values are on disk.
type kind byte

const (
	opPut    kind = 1 // the file has this content
	opLarge  kind = 2 // the file is in the tree already, durably
	opDelete kind = 3 // the file or everything below it is gone
	opSeal   kind = 4 // the last frame: the next journal continues from here
)

// op is one change of the tree.
type op struct {
	kind kind
	path string // driver path: "/docker/registry/v2/..."
	data []byte // opPut only
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// journal is one append-only file. Its owner's lock guards append.
type journal struct {
	file   File
	name   string
	number uint64
	size   int64 // bytes, of which the next frame is written behind
}

func journalName(dir string, number uint64) string {
	return filepath.Join(dir, "journal-"+strconv.FormatUint(number, 10))
}

// journalNumber parses the base name of a journal file.
func journalNumber(base string) (uint64, bool) {
	s, ok := strings.CutPrefix(base, "journal-")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}

// createJournal makes an empty journal and its name durable.
func createJournal(files FS, dir string, number uint64) (_ *journal, err error) {
	name := journalName(dir, number)
	f, err := files.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create journal: %w", err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = files.Remove(name)
		}
	}()
	header := binary.LittleEndian.AppendUint64([]byte(journalMagic), number)
	if _, err := f.WriteAt(header, 0); err != nil {
		return nil, fmt.Errorf("create journal: %w", err)
	}
	if err := f.Sync(); err != nil {
		return nil, fmt.Errorf("sync journal: %w", err)
	}
	if err := files.SyncDir(dir); err != nil {
		return nil, fmt.Errorf("sync journal directory: %w", err)
	}
	return &journal{file: f, name: name, number: number, size: int64(len(header))}, nil
}

// newFrame returns a frame of ops with room for its header, and for each op
// the part of the frame that holds its data.
func newFrame(ops ...op) (frame []byte, data [][]byte) {
	n := frameHeader
	for _, o := range ops {
		n += 1 + 2*binary.MaxVarintLen64 + len(o.path) + len(o.data)
	}
	frame = make([]byte, frameHeader, n)
	data = make([][]byte, len(ops))
	for i, o := range ops {
		frame = append(frame, byte(o.kind))
		frame = binary.AppendUvarint(frame, uint64(len(o.path)))
		frame = append(frame, o.path...)
		frame = binary.AppendUvarint(frame, uint64(len(o.data)))
		frame = append(frame, o.data...)
		data[i] = frame[len(frame)-len(o.data):]
	}
	return frame, data
}

// checksum covers the place of the frame, so that a frame left over from
// another file or offset does not verify.
func checksum(number uint64, offset int64, payload []byte) uint32 {
	var place [16]byte
	binary.LittleEndian.PutUint64(place[:8], number)
	binary.LittleEndian.PutUint64(place[8:], uint64(offset))
	return crc32.Update(crc32.Checksum(place[:], castagnoli), castagnoli, payload)
}

// append writes a frame to the page cache. After an error the file is as it
// was, or, when the error is a brokenError, unusable.
func (j *journal) append(frame []byte) error {
	payload := frame[frameHeader:]
	if len(payload) > maxFrame {
		return fmt.Errorf("journal frame is %d bytes; the limit is %d", len(payload), maxFrame)
	}
	binary.LittleEndian.PutUint32(frame[:4], uint32(len(payload)))
	binary.LittleEndian.PutUint32(frame[4:8], checksum(j.number, j.size, payload))
	if _, err := j.file.WriteAt(frame, j.size); err != nil {
		if terr := j.file.Truncate(j.size); terr != nil {
			return brokenError{fmt.Errorf("append to journal: %w; cut it back: %w", err, terr)}
		}
		return fmt.Errorf("append to journal: %w", err)
	}
	j.size += int64(len(frame))
	return nil
}

// brokenError is a failure after which the journal can no longer be trusted.
type brokenError struct{ error }

func (e brokenError) Unwrap() error { return e.error }

// parseJournal returns the operations of the longest valid prefix of a journal
// file and whether it ends in a seal. Damage is an end, never an error: what
// lies behind it was not acknowledged. The data of the ops alias b.
func parseJournal(b []byte, number uint64) (ops []op, sealed bool) {
	if len(b) < journalHeader || string(b[:len(journalMagic)]) != journalMagic ||
		binary.LittleEndian.Uint64(b[len(journalMagic):]) != number {
		return nil, false
	}
	for offset := journalHeader; len(b)-offset >= frameHeader; {
		n := int(binary.LittleEndian.Uint32(b[offset:]))
		sum := binary.LittleEndian.Uint32(b[offset+4:])
		if n == 0 || n > maxFrame || n > len(b)-offset-frameHeader {
			return ops, false
		}
		payload := b[offset+frameHeader : offset+frameHeader+n]
		if checksum(number, int64(offset), payload) != sum {
			return ops, false
		}
		frame, ok := parseOps(payload)
		if !ok {
			return ops, false
		}
		if frame[len(frame)-1].kind == opSeal {
			return append(ops, frame[:len(frame)-1]...), true
		}
		ops = append(ops, frame...)
		offset += frameHeader + n
	}
	return ops, false
}

func parseOps(b []byte) (ops []op, ok bool) {
	field := func() ([]byte, bool) {
		n, w := binary.Uvarint(b)
		if w <= 0 || n > uint64(len(b)-w) {
			return nil, false
		}
		f := b[w : w+int(n) : w+int(n)]
		b = b[w+int(n):]
		return f, true
	}
	for len(b) > 0 {
		o := op{kind: kind(b[0])}
		b = b[1:]
		path, ok := field()
		if !ok {
			return nil, false
		}
		if o.data, ok = field(); !ok {
			return nil, false
		}
		o.path = string(path)
		switch o.kind {
		case opPut, opLarge, opDelete:
			if checkPath(o.path) != nil || untracked(o.path) {
				return nil, false
			}
		case opSeal:
		default:
			return nil, false
		}
		ops = append(ops, o)
	}
	return ops, len(ops) > 0
}

// readJournal reads a whole journal file.
func readJournal(files FS, name string) ([]byte, error) {
	f, err := files.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}
