package recent_test

import (
	"testing"

	"github.com/clydepm/clyde-registry/pkg/recent"
)

func TestCache(t *testing.T) {
	t.Parallel()
	c := recent.Cache[int]{Max: 10}
	has := func(key string, want int) {
		t.Helper()
		if v, ok := c.Get(key); !ok || v != want {
			t.Errorf("Get(%q) = %d, %v; want %d", key, v, ok, want)
		}
	}
	lacks := func(key string) {
		t.Helper()
		if _, ok := c.Get(key); ok {
			t.Errorf("%q is still there", key)
		}
	}
	c.Put("a", 1, 4)
	c.Put("b", 2, 4)
	has("a", 1) // so that b was used longest ago
	c.Put("c", 3, 4)
	has("a", 1)
	has("c", 3)
	lacks("b")
	c.Put("a", 5, 6)
	has("a", 5)
	has("c", 3)
	c.Put("d", 4, 100) // more than all may cost: it alone stays
	has("d", 4)
	lacks("a")
	lacks("c")
	c.Drop("d")
	lacks("d")
	c.Drop("d")
	c.Put("e", 6, 10) // the edge
	c.Put("f", 7, 0)
	has("e", 6)
	has("f", 7)
}
