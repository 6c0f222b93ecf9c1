package index

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"
)

// documentFormat begins a stored document: a number that no JSON begins with,
// so that documents stored as JSON by earlier releases are told apart.
const documentFormat = 1

var errDocument = errors.New("index: the stored document is damaged")

// Encode returns the document as it is stored. A start of the server decodes
// all of them, which from JSON took half of its time.
func (d *Document) Encode() []byte {
	b := make([]byte, 1, 512+len(d.Readme))
	b[0] = documentFormat
	d.fields(&coder{
		text: func(s *string) {
			b = binary.AppendUvarint(b, uint64(len(*s)))
			b = append(b, *s...)
		},
		number: func(n *int64) { b = binary.AppendVarint(b, *n) },
	})
	return b
}

// DecodeDocument is the inverse of Encode; it also reads JSON.
func DecodeDocument(b []byte) (d Document, err error) {
	if len(b) > 0 && b[0] == '{' {
		err = json.Unmarshal(b, &d)
		return d, err
	}
	if len(b) == 0 || b[0] != documentFormat {
		return Document{}, errDocument
	}
	b = b[1:]
	d.fields(&coder{
		text: func(s *string) {
			n, w := binary.Uvarint(b)
			if w <= 0 || n > uint64(len(b)-w) {
				err, b = errDocument, nil
				return
			}
			*s, b = string(b[w:w+int(n)]), b[w+int(n):]
		},
		number: func(n *int64) {
			v, w := binary.Varint(b)
			if w <= 0 {
				err, b = errDocument, nil
				return
			}
			*n, b = v, b[w:]
		},
		left: func() int { return len(b) },
	})
	if err != nil || len(b) > 0 {
		return Document{}, errDocument
	}
	return d, nil
}

// coder writes what its pointers point to, or reads it from there.
type coder struct {
	text   func(*string)
	number func(*int64)
	left   func() int // bytes yet to be read; nil when writing
}

// fields walks over the document in the order of documentFormat.
func (d *Document) fields(c *coder) {
	c.text(&d.Key)
	c.text(&d.Name.Namespace)
	c.text(&d.Name.Base)
	for _, s := range []*string{
		&d.Version, &d.UpstreamVersion, &d.Description, &d.License, &d.LicenseGroup, &d.Language, &d.Standard, &d.Kind, &d.Readme, &d.Signed,
	} {
		c.text(s)
	}
	for _, l := range []*[]string{&d.Aliases, &d.Keywords, &d.Categories, &d.Platforms, &d.Headers, &d.Dependencies} {
		c.list(l)
	}
	dependents := int64(d.Dependents)
	c.number(&dependents)
	d.Dependents = int(dependents)
	c.number(&d.Downloads)
	for _, f := range []*bool{&d.Deprecated, &d.Yanked, &d.Private} {
		c.flag(f)
	}
	c.time(&d.Updated)
	c.time(&d.Created)
}

func (c *coder) list(l *[]string) {
	n := int64(len(*l))
	c.number(&n)
	if c.left != nil {
		if n <= 0 || n > int64(c.left()) { // each takes a byte at least
			n = 0
		} else {
			*l = make([]string, n)
		}
	}
	for i := range *l {
		c.text(&(*l)[i])
	}
}

func (c *coder) flag(f *bool) {
	var n int64
	if *f {
		n = 1
	}
	c.number(&n)
	*f = n != 0
}

// time keeps milliseconds, as the database does; 0 is the zero time.
func (c *coder) time(t *time.Time) {
	var n int64
	if !t.IsZero() {
		n = t.UnixMilli()
	}
	c.number(&n)
	if c.left == nil {
		return
	}
	if *t = (time.Time{}); n != 0 {
		*t = time.UnixMilli(n).UTC()
	}
}
