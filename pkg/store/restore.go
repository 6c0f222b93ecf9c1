package store

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Restore makes a database at path from a backup: verified first, copied,
// synced, with a new epoch of the change feed, all or nothing. A database at
// path, or the log of one (which SQLite would replay into the copy and ruin
// it), is clyde.ErrConflict. No server may run on path.
func Restore(ctx context.Context, backup, path string) (err error) {
	defer clyde.Wrap(&err, "store.Restore")
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if _, err := os.Lstat(path + suffix); err == nil {
			return clyde.Errorf(clyde.ErrConflict, "a database, or the log of one, is there already").
				Fix("stop the server and move the database and its -wal and -shm files away")
		}
	}
	if err := Verify(ctx, backup); err != nil {
		return err
	}
	part := path + ".part"
	if err := ignoreAbsent(os.Remove(part)); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreAbsent(os.Remove(part)))
		}
	}()
	if err := copyPrivate(backup, part); err != nil {
		return err
	}
	if err := renewEpochOf(ctx, part); err != nil {
		return err
	}
	if err := syncFile(part); err != nil {
		return err
	}
	if err := os.Rename(part, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// copyPrivate copies a file to a new one that only its owner reads.
func copyPrivate(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }() // only read
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
