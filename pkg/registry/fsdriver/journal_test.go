package fsdriver

import (
	"encoding/binary"
	"testing"
)

// journalOf frames every op by itself, as journal.append does.
func journalOf(number uint64, ops ...op) []byte {
	b := binary.LittleEndian.AppendUint64([]byte(journalMagic), number)
	for _, o := range ops {
		frame, _ := newFrame(o)
		binary.LittleEndian.PutUint32(frame[:4], uint32(len(frame)-frameHeader))
		binary.LittleEndian.PutUint32(frame[4:8], checksum(number, int64(len(b)), frame[frameHeader:]))
		b = append(b, frame...)
	}
	return b
}

// FuzzParseJournal: whatever follows or cuts a journal, the parser returns a
// prefix of what was written, and only paths inside the root.
func FuzzParseJournal(f *testing.F) {
	whole := journalOf(7, op{kind: opPut, path: "/a/b", data: []byte("x")}, op{kind: opDelete, path: "/a"},
		op{kind: opLarge, path: "/c"}, op{kind: opPut, path: "/../x"}, op{kind: opSeal})
	f.Add(whole, 0)
	f.Add([]byte("tail"), 30)
	f.Fuzz(func(t *testing.T, tail []byte, keep int) {
		if keep < 0 || keep > len(whole) {
			keep = len(whole)
		}
		b := append(append([]byte(nil), whole[:keep]...), tail...)
		for _, in := range [][]byte{b, tail} {
			ops, _ := parseJournal(in, 7)
			for _, o := range ops {
				if checkPath(o.path) != nil || untracked(o.path) {
					t.Errorf("parseJournal let %q through", o.path)
				}
			}
		}
	})
}
