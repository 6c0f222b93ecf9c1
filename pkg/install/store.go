package install

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/filelock"
)

// storeVersion is the layout of the store. Another one is another store: what
// reads this layout must not guess about the next.
const storeVersion = "clyde store 1\n"

// Kind says what an item of the store is, and names its folder.
type Kind string

// The kinds of items.
const (
	Blobs Kind = "blobs" // by digest: manifests, package.yaml files and archives as they travelled
	Trees Kind = "trees" // unpacked archives, by the archive's digest
	Built Kind = "built" // installed trees, by all that went into them
)

// Store is the packages of one user, shared by all projects. Any number of
// processes may use it at once:
//
//	version              the layout
//	lock                 shared by those who use the store, held alone by those who clean it
//	locks/               one file for each item that is being made
//	blobs/HEX            a file whose SHA-256 is HEX
//	trees/HEX, built/HEX entry.json and files/
//	logs/                of builds
//	tmp/                 what is being made; rubbish where nobody uses the store
type Store struct{ dir string }

// OpenStore opens the store in dir and makes it where there is none. A folder
// with something else in it is refused.
func OpenStore(dir string) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{dir}
	marker := filepath.Join(dir, "version")
	switch b, err := os.ReadFile(marker); {
	case err == nil && string(b) == storeVersion:
		return s, nil
	case err == nil:
		return nil, clyde.Errorf(clyde.ErrConflict, "%s is a store of another version", dir).WithCode("store_version").
			Fix("name another folder: CLYDE_STORE=DIR").Fix("or remove it; everything in it is fetched and built again")
	case !errors.Is(err, fs.ErrNotExist):
		return nil, clyde.Errorf(clyde.ErrInvalid, "the store %s cannot be read", dir).Because(err).Fix("name another folder: CLYDE_STORE=DIR")
	}
	// A store that another process begins at this moment has some of these
	// folders, and no marker yet.
	if old, err := os.ReadDir(dir); err == nil {
		for _, e := range old {
			if !isStoreFolder(e.Name()) {
				return nil, clyde.Errorf(clyde.ErrConflict, "%s holds something that is no store: %s", dir, e.Name()).WithCode("not_a_store").
					Fix("name an empty folder: CLYDE_STORE=DIR")
			}
		}
	}
	for _, sub := range storeFolders {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, clyde.Errorf(clyde.ErrInvalid, "the store %s cannot be made", dir).Because(err).Fix("name another folder: CLYDE_STORE=DIR")
		}
	}
	return s, writeFile(marker, []byte(storeVersion))
}

var storeFolders = []string{string(Blobs), string(Trees), string(Built), "locks", "logs", "tmp"}

func isStoreFolder(name string) bool {
	return slices.Contains(storeFolders, name) || name == "version" || name == "lock" || filepath.Ext(name) == ".new"
}

// Dir is the folder of the store.
func (s *Store) Dir() string { return s.dir }

func (s *Store) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

// use keeps others from cleaning the store until release.
func (s *Store) use(ctx context.Context, waiting func()) (release func() error, err error) {
	f, err := filelock.Lock(ctx, s.path("lock"), true, waiting)
	if err != nil {
		return nil, err
	}
	return f.Close, nil
}

// scratch makes a folder that is removed by whoever cleans the store next, if
// not by the caller.
func (s *Store) scratch(what string) (string, error) {
	return os.MkdirTemp(s.path("tmp"), what+"-*")
}

// touch notes that an item was used now. That it cannot be noted is no reason
// to fail: it is cleaned sooner, and made again.
func touch(path string) {
	now := time.Now()
	_ = os.Chtimes(path, now, now)
}

// blobPath is where the store keeps the blob of a digest.
func (s *Store) blobPath(d digest.Digest) string { return s.path(string(Blobs), d.Encoded()) }

// readBlob returns a blob of at most limit bytes that the store has. Without
// it, or with other bytes in its place, the error is fs.ErrNotExist: who asks
// fetches it then.
func (s *Store) readBlob(d digest.Digest, limit int64) ([]byte, error) {
	path := s.blobPath(d)
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, fs.ErrNotExist
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if digest.FromBytes(b) != d {
		return nil, fs.ErrNotExist
	}
	touch(path)
	return b, nil
}

// writeBlob stores bytes that have been checked against their digest.
func (s *Store) writeBlob(d digest.Digest, b []byte) error { return writeFile(s.blobPath(d), b) }

// made returns an item of the store, and makes it where it is not there: fill
// writes its files to a folder that exists. Of several who want it at the same
// time one makes it, and the others wait for that. e's Kind, Key and what
// describes it are set by the caller.
func (s *Store) made(ctx context.Context, e Entry, waiting func(), fill func(files string) error) (_ *Entry, fresh bool, err error) {
	if old, err := s.Entry(e.Kind, e.Key); err == nil {
		touch(s.path(string(e.Kind), e.Key, entryFile))
		return old, false, nil
	}
	lock, err := filelock.Lock(ctx, s.path("locks", string(e.Kind)+"-"+e.Key), false, waiting)
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if old, err := s.Entry(e.Kind, e.Key); err == nil {
		return old, false, nil
	}
	if err := s.evict(e.Kind, e.Key); err != nil { // it is damaged
		return nil, false, err
	}
	tmp, err := s.scratch(string(e.Kind))
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	files := filepath.Join(tmp, filesFolder)
	if err := os.Mkdir(files, 0o755); err != nil {
		return nil, false, err
	}
	if err := fill(files); err != nil {
		return nil, false, err
	}
	if err := e.seal(files); err != nil {
		return nil, false, err
	}
	b, err := json.Marshal(e)
	if err != nil {
		return nil, false, err
	}
	if err := writeFile(filepath.Join(tmp, entryFile), b); err != nil {
		return nil, false, err
	}
	if err := syncTree(tmp); err != nil {
		return nil, false, fmt.Errorf("store %s: %w", e.Label, err)
	}
	final := s.path(string(e.Kind), e.Key)
	if err := os.Rename(tmp, final); err != nil {
		return nil, false, err
	}
	e.dir = filepath.Join(final, filesFolder)
	return &e, true, syncDir(filepath.Dir(final))
}

// evict takes an item out of the store. It is gone at once, under whatever name
// its files still lie about.
func (s *Store) evict(k Kind, key string) error {
	tmp, err := s.scratch("gone")
	if err != nil {
		return err
	}
	err = os.Rename(s.path(string(k), key), filepath.Join(tmp, "item"))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, os.RemoveAll(tmp))
}

// writeFile replaces a file whole and makes it last.
func writeFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".*.new")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// unpackLimits bounds what is unpacked: the bounds of the format.
var unpackLimits = artifact.Limits{}
