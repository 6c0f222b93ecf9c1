package fsdriver

import (
	"io"
	"io/fs"
	"os"
)

// FS is what the driver needs of a file system, with the meaning of the os
// functions of the same names. OS is the real one; package crashfs has one
// that forgets what was not synced.
type FS interface {
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	Rename(from, to string) error
	Remove(name string) error
	RemoveAll(name string) error
	Mkdir(name string, perm fs.FileMode) error
	MkdirAll(name string, perm fs.FileMode) error
	Stat(name string) (fs.FileInfo, error)
	// ReadDir returns the names in a directory, in any order.
	ReadDir(name string) ([]string, error)
	// SyncDir makes the entries of a directory durable, not the files they name.
	SyncDir(name string) error
}

// File is an open file of an FS.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.WriterAt
	io.Seeker
	io.Closer
	Stat() (fs.FileInfo, error)
	Truncate(size int64) error
	// Sync makes the file's content and size durable, not its name.
	Sync() error
}

// wholeSyncer is an FS that can make everything durable in one call.
type wholeSyncer interface {
	// SyncFS makes the whole file system that holds name durable. It returns
	// errors.ErrUnsupported where that does not exist.
	SyncFS(name string) error
}

// OS returns the operating system's files.
func OS() FS { return osFS{} }

type osFS struct{}

// osFile syncs with fdatasync where there is one: times are not worth a second
// write.
type osFile struct{ *os.File }

func (f osFile) Sync() error { return syncData(f.File) }

func (osFS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osFS) Rename(from, to string) error                 { return os.Rename(from, to) }
func (osFS) Remove(name string) error                     { return os.Remove(name) }
func (osFS) RemoveAll(name string) error                  { return os.RemoveAll(name) }
func (osFS) Mkdir(name string, perm fs.FileMode) error    { return os.Mkdir(name, perm) }
func (osFS) MkdirAll(name string, perm fs.FileMode) error { return os.MkdirAll(name, perm) }
func (osFS) Stat(name string) (fs.FileInfo, error)        { return os.Stat(name) }
func (osFS) SyncFS(name string) error                     { return syncFS(name) }

func (osFS) ReadDir(name string) ([]string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

func (osFS) SyncDir(name string) error { return syncDir(name) }
