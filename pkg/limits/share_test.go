package limits

import (
	"net/http"
	"testing"
	"time"
)

// Two processes that tell each other, through one bucket, let no more pass than
// one.
func TestShare(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	kinds := func() []Kind {
		return []Kind{{Name: "x", Rate: Per(10, time.Hour)}, {Name: "fast", Rate: Rate{PerSecond: 1e9, Burst: 1e9}}}
	}
	clock := func() time.Time { return now }
	a, b := New(kinds(), clock), New(kinds(), clock)
	if got := a.Drain(10); len(got) != 0 {
		t.Errorf("before Share: %v", got)
	}
	a.Share()
	b.Share()
	h := http.Header{}
	for range 7 {
		if err := a.Take(0, "ada", h); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Take(1, "ada", h); err != nil {
		t.Fatal(err)
	}
	a.Refund(0, "ada")
	got := a.Drain(10)
	if len(got) != 1 || got[0] != (Spent{0, "ada", 6}) {
		t.Fatalf("Drain = %v; want 6 of ada's, nothing of what nobody exceeds", got)
	}
	if got := a.Drain(10); len(got) != 0 {
		t.Errorf("drained again: %v", got)
	}
	a.Undrain(got)
	if got := a.Drain(10); len(got) != 1 || got[0].N != 6 {
		t.Errorf("after Undrain: %v", got)
	}
	if err := b.Take(0, "ada", h); err != nil {
		t.Fatal(err)
	}
	b.Set([]Spent{{0, "ada", 4}}) // what a left; what b took is not in it yet
	if l := b.Left(0, "ada"); l.Remaining != 3 {
		t.Errorf("b has %d left; want 3", l.Remaining)
	}
	b.Set([]Spent{{0, "ada", -2}})
	if err := b.Take(0, "ada", h); err == nil || b.Left(0, "ada").Remaining != 0 {
		t.Errorf("owing: %v, %d left; want a refusal, and none", err, b.Left(0, "ada").Remaining)
	}
}
