package install

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// syncTree makes what lies below dir last, before it is renamed. One request
// for the file system costs less than one for each of ten thousand headers.
func syncTree(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
}

// syncDir makes a rename in dir last.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
