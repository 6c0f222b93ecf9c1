package install

import (
	"path/filepath"
	"testing"
)

// TestLogEdge: the last byte that a log may hold is written, the next is not.
func TestLogEdge(t *testing.T) {
	t.Parallel()
	l, err := openLog(filepath.Join(t.TempDir(), "log"), 10, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.f.Close()
	if _, err := l.Write(make([]byte, 10)); err != nil || l.full() {
		t.Errorf("ten bytes of ten: %v, full %t", err, l.full())
	}
	if n, err := l.Write(make([]byte, 1)); err == nil || n != 0 || !l.full() {
		t.Errorf("the eleventh byte: %d, %v, full %t; want it refused", n, err, l.full())
	}
}
