//go:build !unix && !windows

package filelock

import "os"

const supported = false

// Try never takes a file where there are no locks.
func Try(*os.File, bool) bool { return false }
