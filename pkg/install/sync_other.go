//go:build !linux

package install

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// syncTree makes what lies below dir last, before it is renamed.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.OpenFile(path, os.O_RDONLY, 0)
		if err != nil {
			return err
		}
		err = f.Sync()
		if errors.Is(err, fs.ErrPermission) { // Windows syncs only what was opened for writing
			err = nil
		}
		return errors.Join(err, f.Close())
	})
}

// syncDir has nothing to do: a rename is as durable as the system makes it.
func syncDir(string) error { return nil }
