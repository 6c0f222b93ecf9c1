package filelock

import (
	"math"
	"os"

	"golang.org/x/sys/windows"
)

const supported = true

// Try takes f for this opening of it, if that is possible at once. Locks bind
// readers and writers here: the one byte locked lies far behind any content.
func Try(f *os.File, shared bool) bool {
	at := &windows.Overlapped{OffsetHigh: math.MaxInt32}
	how := uint32(windows.LOCKFILE_FAIL_IMMEDIATELY)
	if !shared {
		how |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	return windows.LockFileEx(windows.Handle(f.Fd()), how, 0, 1, 0, at) == nil
}
