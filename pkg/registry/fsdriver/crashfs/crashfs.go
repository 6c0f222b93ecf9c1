// Package crashfs is a file system in memory that forgets at a crash what was
// not synced: content without Sync of its file, names without SyncDir of their
// directory. It is for tests of durability.
package crashfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/clydepm/clyde-registry/pkg/registry/fsdriver"
)

// ErrCrashed is returned by every operation after the crash.
var ErrCrashed = errors.New("crashfs: the machine has stopped")

// FS is one disk. Make it with New.
type FS struct {
	mu      sync.Mutex
	root    *node
	left    int // operations that change something until the crash; negative: none is planned
	crashed bool
	rng     *rand.Rand // which unsynced changes survive; nil means none
	ops     int
	syncs   int
}

// node is a file or directory: what programs see, and what is on the disk.
type node struct {
	dir    bool
	data   []byte
	disk   []byte
	names  map[string]*node
	onDisk map[string]*node
}

func newNode(dir bool) *node {
	n := &node{dir: dir}
	if dir {
		n.names, n.onDisk = map[string]*node{}, map[string]*node{}
	}
	return n
}

// New returns an empty disk that crashes after so many changing operations,
// or never if after is negative. With a source of randomness, each
// unsynced name, and some prefix of each unsynced content, survives by chance.
func New(after int, rng *rand.Rand) *FS {
	return &FS{root: newNode(true), left: after, rng: rng}
}

// Ops counts the changing operations so far.
func (f *FS) Ops() int { f.mu.Lock(); defer f.mu.Unlock(); return f.ops }

// Syncs counts the syncs so far.
func (f *FS) Syncs() int { f.mu.Lock(); defer f.mu.Unlock(); return f.syncs }

// Crash stops the machine, if it has not stopped, and returns what its disk
// holds as a new file system, which crashes after so many operations.
func (f *FS) Crash(after int) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.crashed = true
	return &FS{root: f.survive(f.root, map[*node]*node{}), left: after, rng: f.rng}
}

func (f *FS) survive(n *node, seen map[*node]*node) *node {
	if c := seen[n]; c != nil {
		return c
	}
	c := newNode(n.dir)
	seen[n] = c
	if !n.dir {
		data := n.disk
		if f.rng != nil && !bytes.Equal(n.data, n.disk) {
			switch cut := f.rng.IntN(len(n.data) + 1); f.rng.IntN(4) {
			case 0: // torn: some of the new content, the rest as it was
				data = append(slices.Clone(n.data[:cut]), n.disk[min(cut, len(n.disk)):]...)
			case 1: // the size arrived, some of the content did not
				data = append(slices.Clone(n.data[:cut]), make([]byte, len(n.data)-cut)...)
				copy(data[min(cut, len(n.disk)):], n.disk[min(cut, len(n.disk)):min(len(n.disk), len(data))])
			case 2:
				data = n.data
			}
		}
		c.data, c.disk = slices.Clone(data), slices.Clone(data)
		return c
	}
	all := map[string]bool{}
	for name := range n.names {
		all[name] = true
	}
	for name := range n.onDisk {
		all[name] = true
	}
	sorted := make([]string, 0, len(all))
	for name := range all {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	for _, name := range sorted {
		child := n.onDisk[name]
		if f.rng != nil && child != n.names[name] && f.rng.IntN(2) == 0 {
			child = n.names[name]
		}
		if child != nil {
			s := f.survive(child, seen)
			c.names[name], c.onDisk[name] = s, s
		}
	}
	return c
}

// change counts one changing operation; f.mu is held.
func (f *FS) change() error {
	if f.crashed {
		return ErrCrashed
	}
	if f.left == 0 {
		f.crashed = true
		return ErrCrashed
	}
	f.left--
	f.ops++
	return nil
}

func (f *FS) find(name string) *node {
	n := f.root
	for part := range split(name) {
		if n = n.names[part]; n == nil {
			return nil
		}
	}
	return n
}

func split(name string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for part := range bytes.SplitSeq([]byte(path.Clean(name)), []byte("/")) {
			if len(part) > 0 && !yield(string(part)) {
				return
			}
		}
	}
}

func fail(op, name string, err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }

func (f *FS) parent(op, name string) (*node, string, error) {
	p := f.find(path.Dir(name))
	if p == nil || !p.dir {
		return nil, "", fail(op, name, fs.ErrNotExist)
	}
	return p, path.Base(name), nil
}

// OpenFile opens a file.
func (f *FS) OpenFile(name string, flag int, _ fs.FileMode) (fsdriver.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.crashed {
		return nil, ErrCrashed
	}
	p, base, err := f.parent("open", name)
	if err != nil {
		return nil, err
	}
	n := p.names[base]
	if n == nil {
		if flag&os.O_CREATE == 0 {
			return nil, fail("open", name, fs.ErrNotExist)
		}
		if err := f.change(); err != nil {
			return nil, err
		}
		n = newNode(false)
		p.names[base] = n
	} else if flag&os.O_TRUNC != 0 {
		if err := f.change(); err != nil {
			return nil, err
		}
		n.data = nil
	}
	return &file{fs: f, node: n, name: name}, nil
}

// Rename moves a name; the two directories become durable separately.
func (f *FS) Rename(from, to string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, abase, err := f.parent("rename", from)
	if err != nil {
		return err
	}
	b, bbase, err := f.parent("rename", to)
	if err != nil {
		return err
	}
	n := a.names[abase]
	if n == nil {
		return fail("rename", from, fs.ErrNotExist)
	}
	if err := f.change(); err != nil {
		return err
	}
	delete(a.names, abase)
	b.names[bbase] = n
	return nil
}

// Remove removes a file or an empty directory.
func (f *FS) Remove(name string) error { return f.remove(name, false) }

// RemoveAll removes a name and all below it.
func (f *FS) RemoveAll(name string) error {
	err := f.remove(name, true)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (f *FS) remove(name string, all bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, base, err := f.parent("remove", name)
	if err != nil {
		return err
	}
	n := p.names[base]
	if n == nil {
		return fail("remove", name, fs.ErrNotExist)
	}
	if !all && len(n.names) > 0 {
		return fail("remove", name, fs.ErrInvalid)
	}
	if err := f.change(); err != nil {
		return err
	}
	delete(p.names, base)
	return nil
}

// Mkdir makes one directory.
func (f *FS) Mkdir(name string, _ fs.FileMode) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, base, err := f.parent("mkdir", name)
	if err != nil {
		return err
	}
	if p.names[base] != nil {
		return fail("mkdir", name, fs.ErrExist)
	}
	if err := f.change(); err != nil {
		return err
	}
	p.names[base] = newNode(true)
	return nil
}

// MkdirAll makes a directory and those above it.
func (f *FS) MkdirAll(name string, perm fs.FileMode) error {
	at := "/"
	for part := range split(name) {
		at = path.Join(at, part)
		if err := f.Mkdir(at, perm); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// Stat describes a name.
func (f *FS) Stat(name string) (fs.FileInfo, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.crashed {
		return nil, ErrCrashed
	}
	n := f.find(name)
	if n == nil {
		return nil, fail("stat", name, fs.ErrNotExist)
	}
	return info{path.Base(name), int64(len(n.data)), n.dir}, nil
}

// ReadDir returns the sorted names in a directory.
func (f *FS) ReadDir(name string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.crashed {
		return nil, ErrCrashed
	}
	n := f.find(name)
	if n == nil || !n.dir {
		return nil, fail("readdir", name, fs.ErrNotExist)
	}
	var names []string
	for name := range n.names {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

// SyncDir makes the names in a directory durable.
func (f *FS) SyncDir(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.find(name)
	if n == nil || !n.dir {
		return fail("sync", name, fs.ErrNotExist)
	}
	if err := f.change(); err != nil {
		return err
	}
	f.syncs++
	clear(n.onDisk)
	maps.Copy(n.onDisk, n.names)
	return nil
}

type info struct {
	name string
	size int64
	dir  bool
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) IsDir() bool        { return i.dir }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) Sys() any           { return nil }
func (i info) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o777
	}
	return 0o666
}

type file struct {
	fs   *FS
	node *node
	name string
	at   int64
}

func (f *file) ReadAt(b []byte, at int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if at >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.node.data[at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) Read(b []byte) (int, error) {
	n, err := f.ReadAt(b, f.at)
	f.at += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

func (f *file) WriteAt(b []byte, at int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.fs.change(); err != nil {
		return 0, err
	}
	if grow := at + int64(len(b)) - int64(len(f.node.data)); grow > 0 {
		f.node.data = append(f.node.data, make([]byte, grow)...)
	}
	return copy(f.node.data[at:], b), nil
}

func (f *file) Write(b []byte) (int, error) {
	n, err := f.WriteAt(b, f.at)
	f.at += int64(n)
	return n, err
}

func (f *file) Seek(to int64, whence int) (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		to += f.at
	case io.SeekEnd:
		to += int64(len(f.node.data))
	}
	f.at = to
	return to, nil
}

func (f *file) Truncate(size int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.fs.change(); err != nil {
		return err
	}
	f.node.data = append(f.node.data, make([]byte, max(0, size-int64(len(f.node.data))))...)[:size]
	return nil
}

func (f *file) Sync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.fs.change(); err != nil {
		return err
	}
	f.fs.syncs++
	f.node.disk = slices.Clone(f.node.data)
	return nil
}

func (f *file) Stat() (fs.FileInfo, error) { return f.fs.Stat(f.name) }
func (f *file) Close() error               { return nil }
