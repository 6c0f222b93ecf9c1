//go:build !linux

package fsdriver

import (
	"errors"
	"os"
	"runtime"
)

func syncData(f *os.File) error { return f.Sync() }

func syncFS(string) error { return errors.ErrUnsupported }

func syncDir(name string) error {
	if runtime.GOOS == "windows" {
		return nil // a directory cannot be synced there; NTFS journals its entries
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
