package registry

import (
	"testing"
	"time"
)

func TestUploadIDSaysWhenItBegan(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_799_999_999_123)
	a, b := newUploadID(now), newUploadID(now)
	if a == b || !uploadRE.MatchString(a) || a[14] != '7' {
		t.Errorf("newUploadID = %s, %s; want two UUIDs of version 7", a, b)
	}
	if got, ok := uploadBegan(a); !ok || !got.Equal(now) {
		t.Errorf("uploadBegan(%s) = %v, %v; want %v", a, got, ok, now)
	}
	for _, id := range []string{"", "9a1d2c3e-0000-4000-8000-000000000000", "zz1d2c3e-0000-7000-8000-000000000000"} {
		if got, ok := uploadBegan(id); ok {
			t.Errorf("uploadBegan(%q) = %v; want nothing", id, got)
		}
	}
}

func TestPendingUploadsPurge(t *testing.T) {
	t.Parallel()
	var u pendingUploads
	now := time.UnixMilli(5000)
	u.add("old", now.Add(-time.Second))
	u.add("new", now)
	if n := u.purge(now); n != 1 {
		t.Errorf("purge = %d; want 1", n)
	}
	if _, ok := u.get("new"); !ok {
		t.Error("purge took an upload that is young enough")
	}
	u.remove("new")
	if _, ok := u.get("new"); ok {
		t.Error("removed and still there")
	}
}
