package registry

import (
	"testing"

	"github.com/opencontainers/go-digest"
)

func TestBodyCacheBounds(t *testing.T) {
	t.Parallel()
	c := newBodyCache(10)
	a, b, d := digest.FromString("a"), digest.FromString("b"), digest.FromString("d")
	c.put(a, []byte("12345"))
	c.put(b, []byte("12345"))
	c.get(a) // now b is the older
	c.put(d, []byte("1"))
	for dg, want := range map[digest.Digest]bool{a: true, b: false, d: true} {
		if _, ok := c.get(dg); ok != want {
			t.Errorf("get(%s) = %v; want %v", dg, ok, want)
		}
	}
	if c.size != 6 {
		t.Errorf("size = %d; want 6", c.size)
	}
	c.put(digest.FromString("large"), make([]byte, maxCachedBody+1))
	if c.size != 6 {
		t.Errorf("size after a large one = %d; want 6", c.size)
	}
}

// A reader that saw the row before it went must not put it back after.
func TestMemberCacheForgets(t *testing.T) {
	t.Parallel()
	c := newMemberCache(2)
	_, gen, _ := c.get("k")
	c.forget()
	c.put("k", member{size: 1}, gen)
	if _, _, ok := c.get("k"); ok {
		t.Error("a membership read before forget was stored after it")
	}
	for _, k := range []string{"a", "b", "c"} {
		_, gen, _ := c.get(k)
		c.put(k, member{}, gen)
	}
	if len(c.m) > 2 {
		t.Errorf("%d entries; the bound is 2", len(c.m))
	}
}
