package fsdriver

import (
	"context"
	"errors"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
)

var errWriterDone = errors.New("the writer is closed, committed or cancelled")

// writer is a FileWriter; one goroutine uses it.
type writer struct {
	disk      *disk
	file      File
	path      string
	name      string // of the file written to
	size      int64
	started   int64 // bytes that were given to the disk
	closed    bool
	committed bool
}

var _ storagedriver.FileWriter = (*writer)(nil)

func (w *writer) Write(b []byte) (int, error) {
	if w.closed || w.committed {
		return 0, errWriterDone
	}
	n, err := w.file.Write(b)
	w.size += int64(n)
	if s, ok := w.file.(starter); ok && w.size-w.started >= writeAhead {
		s.startSync(w.started, w.size-w.started)
		w.started = w.size
	}
	return n, err
}

// writeAhead is how much of a file is written before the disk is told to begin
// with it, in bytes, so that the sync at the end finds most of it done.
const writeAhead = 8 << 20

// starter is a File that can begin to write to the disk without waiting.
type starter interface {
	// startSync promises nothing: Sync does, and says what went wrong.
	startSync(offset, n int64)
}

func (w *writer) Size() int64 { return w.size }

// Close keeps what was written, for a later Writer that appends.
func (w *writer) Close() error {
	if w.closed {
		return errWriterDone
	}
	w.closed = true
	return w.file.Close()
}

// Cancel removes what was written.
func (w *writer) Cancel(context.Context) error {
	if w.closed {
		return errWriterDone
	}
	w.closed = true
	w.forget()
	return errors.Join(w.file.Close(), w.disk.files.Remove(w.name))
}

// Commit makes a tracked file visible. An upload stays what it is: Move
// makes it a blob.
func (w *writer) Commit(ctx context.Context) error {
	if w.closed || w.committed {
		return errWriterDone
	}
	w.committed = true
	if untracked(w.path) {
		return nil
	}
	w.forget()
	if w.size > int64(w.disk.opt.SmallFile) {
		return w.disk.large(w.name, w.path, "")
	}
	content, err := readJournal(w.disk.files, w.name)
	if err != nil {
		return err
	}
	return errors.Join(w.disk.PutContent(ctx, w.path, content), w.disk.files.Remove(w.name))
}

func (w *writer) forget() {
	w.disk.mu.Lock()
	delete(w.disk.writers, w.path)
	delete(w.disk.fresh, w.path)
	w.disk.mu.Unlock()
}
