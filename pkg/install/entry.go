package install

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

const (
	entryFile   = "entry.json"
	filesFolder = "files"

	// maxEntry bounds entry.json, in bytes: MaxEntries files with the longest
	// paths fit.
	maxEntry = artifact.MaxEntries * (artifact.MaxPath + 200)
)

// Entry is a folder of the store. Its JSON is entry.json.
type Entry struct {
	Kind  Kind      `json:"kind"`
	Key   string    `json:"key"`   // hex
	Label string    `json:"label"` // for people: "@upstream/zlib 1.2.13"
	Made  time.Time `json:"made"`
	Size  int64     `json:"size"` // bytes of all files
	Files []File    `json:"files"`
	// Sum is the SHA-256 over the JSON of Files, so that a damaged list is not
	// taken for damaged files.
	Sum string `json:"sum"`

	dir string // of the files
}

// File is one file of an Entry; folders come with their files.
type File struct {
	Path   string `json:"path"` // slash-separated
	Size   int64  `json:"size,omitempty"`
	SHA256 string `json:"sha256,omitempty"` // hex; of a regular file
	Exec   bool   `json:"exec,omitempty"`
	Link   string `json:"link,omitempty"` // target of a symlink, relative, inside the tree
}

// Dir is the folder of the entry's files. Nobody writes to it.
func (e *Entry) Dir() string { return e.dir }

// has reports whether the entry has a file or folder at a slash path.
func (e *Entry) has(p string) bool {
	return slices.ContainsFunc(e.Files, func(f File) bool { return f.Path == p || strings.HasPrefix(f.Path, p+"/") })
}

// Entry returns an item that is in the store whole. It looks at the list, not
// at the files: who uses those checks them.
func (s *Store) Entry(k Kind, key string) (*Entry, error) {
	dir := s.path(string(k), key)
	f, err := os.Open(filepath.Join(dir, entryFile))
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxEntry))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	var e Entry
	if err := json.Unmarshal(b, &e); err != nil || e.Kind != k || e.Key != key || e.Sum != sumOf(e.Files) {
		return nil, damaged(key, entryFile)
	}
	e.dir = filepath.Join(dir, filesFolder)
	return &e, nil
}

func damaged(label, file string) error {
	return clyde.Errorf(clyde.ErrUnverified, "the store's copy of %s is damaged: %s is not what was stored", label, file).WithCode("store_damaged").
		Fix("clyde cache verify says what else is, and removes it; then install again")
}

func sumOf(files []File) string {
	b, err := json.Marshal(files)
	if err != nil {
		panic(err) // text and numbers always encode
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// seal lists what lies in files, refuses what has no place in a store, and
// takes away the right to write.
func (e *Entry) seal(files string) error {
	e.Made, e.Files, e.Size = time.Now().UTC().Truncate(time.Second), []File{}, 0
	root, err := os.OpenRoot(files)
	if err != nil {
		return err
	}
	defer root.Close()
	refuse := func(p, why string) error {
		return clyde.Errorf(clyde.ErrInvalid, "%s: %s %s", e.Label, p, why).WithCode("tree_invalid")
	}
	err = fs.WalkDir(root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if len(e.Files) >= artifact.MaxEntries {
			return clyde.Errorf(clyde.ErrTooLarge, "%s: more than %d files", e.Label, artifact.MaxEntries)
		}
		f := File{Path: p}
		switch d.Type() {
		case fs.ModeSymlink:
			if f.Link, err = root.Readlink(p); err != nil {
				return err
			}
			f.Link = filepath.ToSlash(f.Link)
			if path.IsAbs(f.Link) || !filepath.IsLocal(filepath.FromSlash(path.Join(path.Dir(p), f.Link))) {
				return refuse(p, "is a link that leads out")
			}
		case 0:
			info, err := d.Info()
			if err != nil {
				return err
			}
			f.Exec = info.Mode()&0o100 != 0
			if f.Size, f.SHA256, err = hashFile(root, p); err != nil {
				return err
			}
			if e.Size += f.Size; e.Size > artifact.MaxUnpacked {
				return clyde.Errorf(clyde.ErrTooLarge, "%s: more than %d bytes", e.Label, int64(artifact.MaxUnpacked))
			}
			if err := root.Chmod(p, f.mode()&^0o222); err != nil {
				return err
			}
		default:
			return refuse(p, "is neither file, folder nor link")
		}
		e.Files = append(e.Files, f)
		return nil
	})
	e.Sum = sumOf(e.Files)
	return err
}

func (f *File) mode() fs.FileMode {
	if f.Exec {
		return 0o755
	}
	return 0o644
}

func hashFile(root *os.Root, p string) (size int64, sum string, err error) {
	f, err := root.Open(p)
	if err != nil {
		return 0, "", err
	}
	h := sha256.New()
	size, err = io.Copy(h, f)
	return size, hex.EncodeToString(h.Sum(nil)), errors.Join(err, f.Close())
}

// copyTo writes the entry's files below dir, which exists, and checks every
// byte on the way. A damaged entry is an ErrUnverified error.
func (e *Entry) copyTo(dir string) error {
	from, err := os.OpenRoot(e.dir)
	if err != nil {
		return damaged(e.Label, filesFolder)
	}
	defer from.Close()
	to, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer to.Close()
	made := map[string]bool{".": true}
	for i := range e.Files {
		f := &e.Files[i]
		if parent := path.Dir(f.Path); !made[parent] {
			if err := to.MkdirAll(parent, 0o755); err != nil {
				return err
			}
			made[parent] = true
		}
		if f.Link != "" {
			continue
		}
		if err := f.copy(e.Label, from, to); err != nil {
			return err
		}
	}
	for i := range e.Files { // links last: while files are written none is followed
		if f := &e.Files[i]; f.Link != "" {
			if err := to.Symlink(filepath.FromSlash(f.Link), f.Path); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *File) copy(label string, from, to *os.Root) error {
	r, err := from.Open(f.Path)
	if err != nil {
		return damaged(label, f.Path)
	}
	defer r.Close()
	w, err := to.OpenFile(f.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode())
	if err != nil {
		return err
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, h), io.LimitReader(r, f.Size+1))
	if err := errors.Join(err, w.Close()); err != nil {
		return fmt.Errorf("copy %s: %w", f.Path, err)
	}
	if n != f.Size || hex.EncodeToString(h.Sum(nil)) != f.SHA256 {
		return damaged(label, f.Path)
	}
	return nil
}

// check compares every file of the entry with what was stored, and returns the
// paths of those that differ or are missing, and of what does not belong there.
func (e *Entry) check() (wrong []string, err error) {
	root, err := os.OpenRoot(e.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return []string{filesFolder}, nil
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	left := map[string]bool{}
	for i := range e.Files {
		f := &e.Files[i]
		left[f.Path] = true
		if f.Link != "" {
			if link, err := root.Readlink(f.Path); err != nil || filepath.ToSlash(link) != f.Link {
				wrong = append(wrong, f.Path)
			}
			continue
		}
		if size, sum, err := hashFile(root, f.Path); err != nil || size != f.Size || sum != f.SHA256 {
			wrong = append(wrong, f.Path)
		}
	}
	err = fs.WalkDir(root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !left[p] {
			wrong = append(wrong, p)
		}
		return err
	})
	slices.Sort(wrong)
	return slices.Compact(wrong), err
}
