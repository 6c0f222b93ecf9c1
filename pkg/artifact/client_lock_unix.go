//go:build unix

package artifact

import (
	"os"
	"syscall"
)

// lockFile takes a file for this opening of it, if nobody has it; the kernel
// gives it back when it is closed, however that happens.
func lockFile(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
