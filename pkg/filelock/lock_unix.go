//go:build unix

package filelock

import (
	"os"
	"syscall"
)

const supported = true

// Try takes f for this opening of it, if that is possible at once.
func Try(f *os.File, shared bool) bool {
	how := syscall.LOCK_EX
	if shared {
		how = syscall.LOCK_SH
	}
	return syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB) == nil
}
