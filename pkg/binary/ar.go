package binary

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// The archive format of ar(1), System V's and BSD's dialects.
const (
	arMagic   = "!<arch>\n"
	thinMagic = "!<thin>\n"
	arHeader  = 60 // bytes
)

// archive reads every member that is an object.
func (m *meter) archive(r io.ReaderAt, size int64) error {
	m.f.Kind = Archive
	header := make([]byte, arHeader)
	for at, n := int64(len(arMagic)), 0; at < size; n++ {
		if n >= MaxMembers {
			return fmt.Errorf("it has more than %d members", MaxMembers)
		}
		if _, err := r.ReadAt(header, at); err != nil {
			return fmt.Errorf("member %d is cut off", n)
		}
		if header[58] != '`' || header[59] != '\n' {
			return fmt.Errorf("member %d has no header", n)
		}
		length, err := strconv.ParseInt(strings.TrimSpace(string(header[48:58])), 10, 63)
		if err != nil || length < 0 || length > size-at-arHeader {
			return fmt.Errorf("member %d has a size that cannot be", n)
		}
		name := strings.TrimRight(string(header[:16]), " ")
		from, left := at+arHeader, length
		if s, ok := strings.CutPrefix(name, "#1/"); ok { // BSD: the name comes first in the content
			k, err := strconv.ParseInt(s, 10, 63)
			if err != nil || k < 0 || k > left {
				return fmt.Errorf("member %d has a name that cannot be", n)
			}
			from, left = from+k, left-k
		}
		at += arHeader + length + length&1
		if name == "/" || name == "//" || name == "/SYM64/" {
			continue // the table of symbols, the long names
		}
		if err := m.member(io.NewSectionReader(r, from, left), left); err != nil {
			return fmt.Errorf("member %d: %w", n, err)
		}
	}
	return nil
}

// bitcode begins the link-time code of clang.
var bitcode = []byte("BC\xc0\xde")

func (m *meter) member(r *io.SectionReader, size int64) error {
	head := make([]byte, HeadSize)
	n, err := r.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return err
	}
	head = head[:n]
	switch {
	case bytes.HasPrefix(head, bitcode):
		m.slim = true
		return nil
	case bytes.HasPrefix(head, []byte(arMagic)), bytes.HasPrefix(head, []byte(thinMagic)):
		return nil // an archive in an archive: no linker looks into it
	}
	if err := m.file(head, r, size); !errors.Is(err, errNone) {
		return err
	}
	return m.coff(head, r)
}
