package limits

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Whoever asks how often, and when: never more than the burst and what time
// has added since.
func TestBucketNeverGivesMore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := Rate{PerSecond: rapid.Float64Range(0.01, 50).Draw(t, "rate"), Burst: rapid.IntRange(1, 20).Draw(t, "burst")}
		now := time.Unix(1e9, 0)
		begin := now
		b := New([]Kind{{"k", r}}, func() time.Time { return now })
		taken := 0
		for i := range rapid.IntRange(1, 100).Draw(t, "requests") {
			now = now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms")) * time.Millisecond)
			if wait := b.take(0, "a", http.Header{}); wait > 0 {
				now = now.Add(wait + time.Millisecond)
				if err := b.Take(0, "a", http.Header{}); err != nil {
					t.Fatalf("request %d: refused after the wait of %s", i, wait)
				}
				taken++
			} else if rapid.Bool().Draw(t, "refund") {
				b.Refund(0, "a")
			} else {
				taken++
			}
		}
		if most := float64(r.Burst) + now.Sub(begin).Seconds()*r.PerSecond + 1e-6; float64(taken) > most {
			t.Fatalf("%d requests passed; at most %g may", taken, most)
		}
	})
}

// An hour's worth at once, then one as time adds it; kinds and callers are
// apart; asking what is left takes nothing.
func TestPer(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	b := New([]Kind{{"publish", Per(60, time.Hour)}, {"free", Per(0, time.Hour)}}, func() time.Time { return now })
	h := http.Header{}
	for i := range 60 {
		if err := b.Take(0, "a", h); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
	}
	if got := h.Get("RateLimit-Policy") + " " + h.Get("RateLimit"); got != `"publish";q=60;w=3600 "publish";r=0;t=3600` {
		t.Errorf("headers: %s", got)
	}
	err := b.Take(0, "a", h)
	if !errors.Is(err, clyde.ErrRateLimited) || h.Get("Retry-After") != "60" {
		t.Errorf("request 61: %v, Retry-After %q; want 60", err, h.Get("Retry-After"))
	}
	if b.Take(0, "b", http.Header{}) != nil || b.Take(1, "a", http.Header{}) != nil {
		t.Error("another caller, or another kind, was refused")
	}
	now = now.Add(time.Minute)
	for range 2 {
		if l := b.Left(0, "a"); l.Remaining != 1 || l.Reset != 59*60 {
			t.Errorf("left after a minute: %+v", l)
		}
	}
	if err := b.Take(0, "a", h); err != nil {
		t.Errorf("after a minute: %v", err)
	}
	now = now.Add(-time.Hour) // a clock that is put back gives nothing
	if err := b.Take(0, "a", h); err == nil {
		t.Error("a token came from the past")
	}
}

// Memory is bounded however many ask, and whoever asked last is remembered.
func TestBucketsAreBounded(t *testing.T) {
	t.Parallel()
	b := New([]Kind{{"k", Rate{PerSecond: 1, Burst: 1}}}, time.Now)
	h := http.Header{}
	for i := range Max + 100 {
		_ = b.Take(0, fmt.Sprint(i), h)
	}
	if len(b.by) != Max || b.order.Len() != Max {
		t.Errorf("%d buckets, %d in order; want %d", len(b.by), b.order.Len(), Max)
	}
	if b.Take(0, fmt.Sprint(Max+99), h) == nil {
		t.Error("the last caller was forgotten")
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"192.0.2.1:5": "192.0.2.1", "[::ffff:192.0.2.1]:5": "192.0.2.1", "[2001:db8:1:2:3::4]:5": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:5": "fe80::/64", "@": "@",
	} {
		if got := Address(in); got != want {
			t.Errorf("Address(%q) = %q; want %q", in, got, want)
		}
	}
	if !Loopback("127.0.0.1:1") || !Loopback("[::1]:1") || Loopback("192.0.2.1:1") || Loopback("@") {
		t.Error("Loopback takes one for another")
	}
}
