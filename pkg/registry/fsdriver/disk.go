package fsdriver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
)

// errClosed is returned by every write after Close.
var errClosed = errors.New("storage driver is closed")

// disk is the driver without distribution's checks around it.
//
// Locks are taken in the order treeMu, mu. A file is in memory until it is in
// the tree, so a reader who does not find it in memory finds it in the tree.
type disk struct {
	files FS
	root  string
	own   string // root/.clyde
	opt   Options

	// treeMu is held while tracked files of the tree are renamed into place or
	// deleted, so that a file that was deleted does not come back.
	treeMu sync.Mutex

	mu            sync.Mutex
	journal       *journal
	old           *journal            // full; to be checkpointed
	oldSeq        uint64              // of old's last frame
	oldSettled    map[string]struct{} // what settled was for old
	checkpointing bool                // a checkpoint of old is under way
	shedding      bool                // the next round replaces the journal, however small it is
	retryAt       int64               // bytes of journal at which a failed checkpoint is tried again
	broken        error               // why nothing can be made durable any more
	closed        bool
	seq           uint64 // of the last frame appended
	durable       uint64 // of the last frame known to be durable
	round         *round // under way, or nil
	memory        map[string]*entry
	memDirs       map[string]int // ancestors of memory's paths → how many
	queue         []*entry       // of memory, oldest first; includes superseded ones
	queued        int64          // bytes in queue
	dirs          map[string]*dirState
	moving        map[string]chan struct{} // paths of large files on their way into the tree
	states        map[string]string        // directories of hash states → the last one, which is in memory only
	fresh         map[string]struct{}      // uploads that this process has written from their first byte
	writers       map[string]string        // tracked paths with an uncommitted writer → its temporary file
	settled       map[string]struct{}      // files put into the tree since the journal began: for a checkpoint without syncfs
	settling      bool                     // in the background
	idle          *time.Timer              // until settling begins because nothing happens; nil before the first time
	settleErr     error                    // of the last attempt to write a file into the tree
	temp          uint64                   // number of the last temporary file

	background sync.WaitGroup // checkpoints
}

// entry is a small file that is in the journal and not yet in the tree.
type entry struct {
	path string
	data []byte
	time time.Time
	seq  uint64
}

// dirState counts changes of a directory's entries, so that it is synced only
// when something was added since the last time. A directory without a state
// is one of which we know nothing.
type dirState struct{ changed, synced uint64 }

// maxDirs bounds the directories remembered; beyond, all are forgotten, which
// costs a few system calls and syncs. About 150 bytes each.
const maxDirs = 1 << 16

// usable must be called with mu held.
func (d *disk) usable() error {
	if d.closed {
		return errClosed
	}
	return d.broken
}

// appendLocked appends one frame; mu is held.
func (d *disk) appendLocked(frame []byte) error {
	if err := d.usable(); err != nil {
		return err
	}
	if err := d.journal.append(frame); err != nil {
		if _, ok := errors.AsType[brokenError](err); ok {
			d.broken = err
		}
		return err
	}
	d.seq++
	return nil
}

// put stores a small file, and deletes another in the same frame unless
// source is empty.
func (d *disk) put(p string, content []byte, source string) error {
	ops := []op{{kind: opPut, path: p, data: content}}
	if source != "" {
		ops = append(ops, op{kind: opDelete, path: source})
	}
	frame, data := newFrame(ops...)
	if source != "" {
		d.treeMu.Lock()
		defer d.treeMu.Unlock()
	}
	d.mu.Lock()
	d.awaitMoveLocked(p)
	err := d.placeLocked(p)
	if err == nil {
		err = d.appendLocked(frame)
	}
	if err != nil {
		d.mu.Unlock()
		return err
	}
	d.rememberLocked(&entry{path: p, data: data[0], time: time.Now(), seq: d.seq})
	if source != "" {
		d.forgetLocked(source)
	}
	d.mu.Unlock()
	if source != "" {
		return d.removeFile(source)
	}
	return nil
}

// removeFile removes a file of the tree that may be absent.
func (d *disk) removeFile(p string) error {
	if err := d.files.Remove(d.full(p)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// awaitMoveLocked waits until no large file is on its way to p, so that the
// journal and the tree agree on who came last. mu is held, and released meanwhile.
func (d *disk) awaitMoveLocked(p string) {
	for d.moving[p] != nil {
		done := d.moving[p]
		d.mu.Unlock()
		<-done
		d.mu.Lock()
	}
}

// placeLocked reports why no file can be at p: p is a directory, or a file is
// in the way. What cannot be in the tree must not be in the journal.
func (d *disk) placeLocked(p string) error {
	if d.memDirs[p] > 0 || d.dirs[p] != nil {
		return &fs.PathError{Op: "write", Path: p, Err: syscall.EISDIR}
	}
	if d.memory[p] != nil {
		return nil // it was checked when it came
	}
	if fi, err := d.files.Stat(d.full(p)); err == nil && fi.IsDir() {
		return &fs.PathError{Op: "write", Path: p, Err: syscall.EISDIR}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	} else if err == nil {
		return nil
	}
	for dir := path.Dir(p); dir != "/"; dir = path.Dir(dir) {
		if d.dirs[dir] != nil || d.memDirs[dir] > 0 {
			return nil
		}
		if d.memory[dir] != nil {
			return &fs.PathError{Op: "write", Path: p, Err: syscall.ENOTDIR}
		}
		fi, err := d.files.Stat(d.full(dir))
		switch {
		case err == nil && fi.IsDir():
			return nil
		case err == nil:
			return &fs.PathError{Op: "write", Path: p, Err: syscall.ENOTDIR}
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	return nil
}

// rememberLocked makes e what readers see.
func (d *disk) rememberLocked(e *entry) {
	if d.memory[e.path] == nil {
		d.countDirsLocked(e.path, 1)
	}
	d.memory[e.path] = e
	d.queue = append(d.queue, e)
	d.queued += int64(len(e.data))
}

// forgetLocked removes p and everything below it from memory.
func (d *disk) forgetLocked(p string) {
	if d.memory[p] != nil {
		delete(d.memory, p)
		d.countDirsLocked(p, -1)
	}
	if d.memDirs[p] == 0 && p != "/" {
		return
	}
	if untracked(p) { // all there is of an upload in memory
		for dir, name := range d.states {
			if under(name, p) {
				delete(d.memory, name)
				d.countDirsLocked(name, -1)
				delete(d.states, dir)
			}
		}
		return
	}
	for name := range d.memory {
		if under(name, p) {
			delete(d.memory, name)
			d.countDirsLocked(name, -1)
			if hashState(name) {
				delete(d.states, path.Dir(name))
			}
		}
	}
}

// keepState remembers the hash state of an upload in place of the one before.
// It is never written: it spares reading the upload again within this process,
// and one of another process would not be believed (see verify).
func (d *disk) keepState(p string, content []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.usable(); err != nil {
		return err
	}
	dir := path.Dir(p)
	if last := d.states[dir]; last != "" && last != p {
		d.forgetLocked(last)
	}
	if d.memory[p] == nil {
		d.countDirsLocked(p, 1)
	}
	d.memory[p] = &entry{path: p, data: slices.Clone(content), time: time.Now()}
	d.states[dir] = p
	return nil
}

func (d *disk) countDirsLocked(p string, by int) {
	for dir := path.Dir(p); ; dir = path.Dir(dir) {
		if d.memDirs[dir] += by; d.memDirs[dir] == 0 {
			delete(d.memDirs, dir)
		}
		if dir == "/" {
			return
		}
	}
}

// mkdirs makes a directory of the tree and its parents, and notes which
// directories got a new entry. p is a driver path.
func (d *disk) mkdirs(p string) error {
	if p == "/" {
		return nil
	}
	d.mu.Lock()
	known := d.dirs[p] != nil
	// Of uploads nothing is remembered.
	climb := !untracked(p) && d.dirs[path.Dir(p)] == nil
	d.mu.Unlock()
	if known {
		return nil
	}
	if climb {
		if err := d.mkdirs(path.Dir(p)); err != nil {
			return err
		}
	}
	err := d.files.Mkdir(d.full(p), 0o777)
	if errors.Is(err, fs.ErrNotExist) {
		if err := d.mkdirs(path.Dir(p)); err != nil {
			return err
		}
		if err = d.files.Mkdir(d.full(p), 0o777); errors.Is(err, fs.ErrNotExist) {
			// The parent we remember is gone: somebody cleaned up beside us.
			d.forgetDirs()
			err = d.files.MkdirAll(d.full(p), 0o777)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err != nil {
		if fi, serr := d.files.Stat(d.full(p)); serr != nil || !fi.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: p, Err: syscall.ENOTDIR}
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		d.changedLocked(path.Dir(p))
	}
	if !untracked(p) && d.dirs[p] == nil {
		d.dirs[p] = &dirState{changed: 1}
	}
	return nil
}

// changedLocked notes that a directory has an entry that is not durable.
func (d *disk) changedLocked(dir string) {
	if untracked(dir) {
		return
	}
	if len(d.dirs) >= maxDirs {
		clear(d.dirs)
	}
	if s := d.dirs[dir]; s != nil {
		s.changed++
	}
}

func (d *disk) forgetDirs() {
	d.mu.Lock()
	clear(d.dirs)
	d.mu.Unlock()
}

// syncDirs makes the name p durable: every directory above it that has changed
// since it was last synced.
func (d *disk) syncDirs(p string) error {
	for dir := path.Dir(p); ; dir = path.Dir(dir) {
		d.mu.Lock()
		s := d.dirs[dir]
		if s == nil {
			s = &dirState{changed: 1}
			d.dirs[dir] = s
		}
		changed, clean := s.changed, s.synced >= s.changed
		d.mu.Unlock()
		if !clean {
			if err := d.files.SyncDir(d.full(dir)); err != nil {
				return fmt.Errorf("sync directory: %w", err)
			}
			d.mu.Lock()
			s.synced = max(s.synced, changed)
			d.mu.Unlock()
		}
		if dir == "/" {
			return nil
		}
	}
}

// rename puts a file into the tree, making its directories.
func (d *disk) rename(from, p string) error {
	dir := path.Dir(p)
	if err := d.mkdirs(dir); err != nil {
		return err
	}
	err := d.files.Rename(from, d.full(p))
	if errors.Is(err, fs.ErrNotExist) {
		d.forgetDirs()
		if err := d.mkdirs(dir); err != nil {
			return err
		}
		err = d.files.Rename(from, d.full(p))
	}
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.changedLocked(dir)
	d.mu.Unlock()
	return nil
}

// large puts a large file into the tree: its content is synced before it has its
// name, its name before the journal mentions it. source, unless empty, is a
// tracked file that is deleted in the same frame.
func (d *disk) large(from, p, source string) error {
	if err := d.syncFile(from); err != nil {
		return err
	}
	d.mu.Lock()
	d.awaitMoveLocked(p)
	err := d.usable()
	if err == nil {
		err = d.placeLocked(p)
	}
	if err != nil {
		d.mu.Unlock()
		return err
	}
	done := make(chan struct{})
	d.moving[p] = done
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		delete(d.moving, p)
		d.mu.Unlock()
		close(done)
	}()

	d.treeMu.Lock()
	err = d.rename(from, p)
	if err == nil {
		d.mu.Lock()
		d.forgetLocked(p)
		d.mu.Unlock()
	}
	d.treeMu.Unlock()
	if err != nil {
		return err
	}
	if err := d.syncDirs(p); err != nil {
		return err
	}
	ops := []op{{kind: opLarge, path: p}}
	if source != "" {
		ops = append(ops, op{kind: opDelete, path: source})
	}
	frame, _ := newFrame(ops...)
	if source != "" {
		d.treeMu.Lock()
		defer d.treeMu.Unlock()
	}
	d.mu.Lock()
	err = d.appendLocked(frame)
	if err == nil && source != "" {
		d.forgetLocked(source)
	}
	d.mu.Unlock()
	if err != nil || source == "" {
		return err
	}
	return d.removeFile(source)
}

// syncFile makes the content of a file durable.
func (d *disk) syncFile(name string) error {
	f, err := d.files.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// tempName returns an unused name in our own directory.
func (d *disk) tempName() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.temp++
	return filepath.Join(d.own, fmt.Sprintf("tmp-%d", d.temp))
}

// notFound turns a missing file into distribution's error.
func notFound(p string, err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return storagedriver.PathNotFoundError{Path: p, DriverName: Name}
	}
	return err
}
