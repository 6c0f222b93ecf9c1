package keylock

import (
	"sync"
	"testing"
)

func TestOneAtATime(t *testing.T) {
	t.Parallel()
	var l Locks
	n, wg := 0, sync.WaitGroup{}
	for range 200 {
		wg.Go(func() {
			defer l.Lock("a")()
			n++ // the race detector looks on
		})
	}
	wg.Wait()
	if n != 200 || len(l.m) != 0 {
		t.Errorf("counted %d of 200, %d keys are kept of 0", n, len(l.m))
	}
}

func TestOtherKeysDoNotWait(t *testing.T) {
	t.Parallel()
	var l Locks
	a := l.Lock("a")
	l.Lock("b")() // would never return if it waited for a
	a()
	l.Lock("a")()
}
