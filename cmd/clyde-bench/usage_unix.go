//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
	"time"
)

// system asks the operating system. Memory is known on Linux only, else 0.
func system() usage {
	var u usage
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) == nil {
		u.CPU = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return u
	}
	for line := range bytes.Lines(b) {
		var kB int64
		if n, _ := fmt.Sscanf(string(line), "VmRSS: %d kB", &kB); n == 1 {
			u.RSS = kB << 10
		}
		if n, _ := fmt.Sscanf(string(line), "VmHWM: %d kB", &kB); n == 1 {
			u.Peak = kB << 10
		}
	}
	return u
}
