// Package filelock keeps processes, and goroutines of one, out of each other's
// files. A lock belongs to one opening of a file; the system gives it back when
// that is closed, however it happens: a killed process holds nothing. Locks
// advise: they bind only those who ask.
package filelock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Waiting looks again after firstWait, then less and less often, up to
// lastWait. The systems' own waiting cannot be given up when a context ends.
const (
	firstWait = time.Millisecond
	lastWait  = 100 * time.Millisecond
)

// Lock takes the file at path, which it makes, folder included, where it is not
// there: for readers among others with shared, else alone. Where it has to wait
// it calls waiting once, which may be nil. It ends with ctx, and with
// errors.ErrUnsupported where the system has no locks. Closing the file gives
// the lock back; the file stays, since removing it would let two hold "it".
func Lock(ctx context.Context, path string, shared bool, waiting func()) (_ *os.File, err error) {
	if !supported {
		return nil, fmt.Errorf("lock %s: %w", path, errors.ErrUnsupported)
	}
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	for wait := firstWait; !Try(f, shared); wait = min(2*wait, lastWait) {
		if waiting != nil {
			waiting()
			waiting = nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-time.After(wait):
		}
	}
	return f, nil
}

// open opens the file of a lock for reading and writing, making it where needed.
func open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err == nil || !errors.Is(err, os.ErrNotExist) {
		return f, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
}
