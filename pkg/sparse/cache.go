package sparse

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// cached is one file of the cache. What cannot be read or written is as if it
// were not there: the registry knows better.
type cached struct {
	dir   string // of the whole cache; empty for none
	base  *url.URL
	path  string // below base
	limit int64
}

// head is the first line of a file of the cache.
type head struct {
	ETag string `json:"etag"`
	Sum  string `json:"sha256"` // of what follows: a crash may leave half of it
}

// maxHead bounds the first line, in bytes: an entity tag is a few dozen.
const maxHead = 4 << 10

// file is where it is kept. Registries that share a host have folders of their
// own, since what they say of one name may differ.
func (c cached) file() string {
	sum := sha256.Sum256([]byte(c.base.String()))
	host := strings.NewReplacer(":", "_", "[", "", "]", "").Replace(c.base.Host)
	return filepath.Join(c.dir, host+"-"+hex.EncodeToString(sum[:6]), filepath.FromSlash(strings.TrimPrefix(c.path, apiPath+"index/")))
}

// load returns what is kept and its entity tag; nil where nothing is.
func (c cached) load() (data []byte, etag string) {
	if c.dir == "" {
		return nil, ""
	}
	b, err := readFile(c.file(), c.limit+maxHead)
	if err != nil {
		return nil, ""
	}
	first, data, ok := bytes.Cut(b, []byte("\n"))
	var h head
	if !ok || json.Unmarshal(first, &h) != nil || h.Sum != sum(data) {
		return nil, ""
	}
	if data == nil {
		data = []byte{}
	}
	return data, h.ETag
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

// store keeps data, whole or not at all.
func (c cached) store(data []byte, etag string) {
	if c.dir == "" || len(etag) > maxHead/2 {
		return
	}
	first, err := json.Marshal(head{etag, sum(data)})
	if err != nil {
		return
	}
	to := c.file()
	// The index of a private package is its reader's alone.
	if os.MkdirAll(filepath.Dir(to), 0o700) != nil {
		return
	}
	f, err := os.CreateTemp(filepath.Dir(to), ".tmp-*")
	if err != nil {
		return
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(append(first, '\n'), data...))
	if cerr := f.Close(); err == nil && cerr == nil {
		_ = os.Rename(f.Name(), to)
	}
}

// remove forgets the file: the registry has it no more.
func (c cached) remove() {
	if c.dir != "" {
		_ = os.Remove(c.file())
	}
}
