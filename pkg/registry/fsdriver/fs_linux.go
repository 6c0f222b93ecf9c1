package fsdriver

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// syncData is fdatasync: content and size, without the times.
func syncData(f *os.File) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var serr error
	if err := c.Control(func(fd uintptr) { serr = retry(func() error { return unix.Fdatasync(int(fd)) }) }); err != nil {
		return err
	}
	return os.NewSyscallError("fdatasync", serr)
}

func syncFS(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return os.NewSyscallError("syncfs", retry(func() error { return unix.Syncfs(int(f.Fd())) }))
}

func syncDir(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// retry calls f until a signal does not interrupt it.
func retry(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// startSync begins the writeback of a part of the file.
func (f osFile) startSync(offset, n int64) {
	c, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = c.Control(func(fd uintptr) { _ = unix.SyncFileRange(int(fd), offset, n, unix.SYNC_FILE_RANGE_WRITE) })
}
