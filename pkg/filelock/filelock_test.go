package filelock_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/filelock"
)

func TestLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "made", "lock")
	take := func(shared bool) *os.File {
		t.Helper()
		f, err := filelock.Lock(t.Context(), path, shared, nil)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	refused := func(shared bool) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := filelock.Lock(ctx, path, shared, cancel); !errors.Is(err, context.Canceled) {
			t.Errorf("Lock(shared %v) = %v; want to wait", shared, err)
		}
	}
	release := func(f *os.File) {
		t.Helper()
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}

	alone := take(false)
	refused(true)
	refused(false)
	release(alone)

	one, two := take(true), take(true)
	refused(false)
	release(one)
	refused(false)

	// Whoever waits gets it when the last one lets go.
	got := make(chan error, 1)
	waits := make(chan struct{})
	go func() {
		f, err := filelock.Lock(t.Context(), path, false, func() { close(waits) })
		if err == nil {
			err = f.Close()
		}
		got <- err
	}()
	<-waits
	release(two)
	if err := <-got; err != nil {
		t.Error(err)
	}
}
