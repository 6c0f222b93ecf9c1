package api

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whoever asks how often, and when: never more than the burst and what time
// has added since.
func TestBucketNeverGivesMore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := Rate{PerSecond: rapid.Float64Range(0.01, 50).Draw(t, "rate"), Burst: rapid.IntRange(1, 20).Draw(t, "burst")}
		now := time.Unix(1e9, 0)
		begin := now
		b := newBuckets(Limits{Reads: r}, func() time.Time { return now })
		taken := 0
		for i := range rapid.IntRange(1, 100).Draw(t, "requests") {
			now = now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms")) * time.Millisecond)
			wait, ok := b.take(reads, "a", http.Header{})
			switch {
			case !ok && wait <= 0:
				t.Fatalf("request %d: refused, and told to wait %s", i, wait)
			case !ok:
				now = now.Add(wait + time.Millisecond)
				if _, ok := b.take(reads, "a", http.Header{}); !ok {
					t.Fatalf("request %d: refused after the wait of %s", i, wait)
				}
				taken++
			case rapid.Bool().Draw(t, "refund"):
				b.refund(reads, "a")
			default:
				taken++
			}
		}
		if most := float64(r.Burst) + now.Sub(begin).Seconds()*r.PerSecond + 1e-6; float64(taken) > most {
			t.Fatalf("%d requests passed; at most %g may", taken, most)
		}
	})
}

// Memory is bounded however many ask, and whoever asked last is remembered.
func TestBucketsAreBounded(t *testing.T) {
	t.Parallel()
	b := newBuckets(Limits{Reads: Rate{PerSecond: 1, Burst: 1}}, time.Now)
	h := http.Header{}
	for i := range maxBuckets + 100 {
		b.take(reads, fmt.Sprint(i), h)
	}
	if len(b.by) != maxBuckets || b.order.Len() != maxBuckets {
		t.Errorf("%d buckets, %d in order; want %d", len(b.by), b.order.Len(), maxBuckets)
	}
	if _, ok := b.take(reads, fmt.Sprint(maxBuckets+99), h); ok {
		t.Error("the last caller was forgotten")
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"192.0.2.1:5": "192.0.2.1", "[::ffff:192.0.2.1]:5": "192.0.2.1", "[2001:db8:1:2:3::4]:5": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:5": "fe80::/64", "@": "@",
	} {
		if got := address(in); got != want {
			t.Errorf("address(%q) = %q; want %q", in, got, want)
		}
	}
}
