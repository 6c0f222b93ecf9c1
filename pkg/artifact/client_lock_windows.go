package artifact

import (
	"math"
	"os"

	"golang.org/x/sys/windows"
)

// lockFile takes a file for this opening of it, if nobody has it; the system
// gives it back when it is closed, however that happens. Locks bind readers
// and writers here: the one byte locked lies far behind any content.
func lockFile(f *os.File) bool {
	at := &windows.Overlapped{OffsetHigh: math.MaxInt32}
	return windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, at) == nil
}
