//go:build !unix

package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrLocked says that another process has the data directory.
var ErrLocked = errors.New("the data directory is in use by a running server")

// lockDir takes the data directory for this process: where there is no flock,
// by a file that cannot be removed while it is open.
func lockDir(dir string) (unlock func() error, err error) {
	path := filepath.Join(dir, "lock")
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", dir, ErrLocked)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, ErrLocked)
	}
	return f.Close, nil
}
