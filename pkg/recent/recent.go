// Package recent keeps what was used last, up to a bound on what it costs.
package recent

import (
	"container/list"
	"sync"
)

// Cache keeps values by key and forgets those that were used longest ago when
// they cost more than Max together. Its methods may be called at once from many
// goroutines. Without a Max it keeps one value.
type Cache[V any] struct {
	Max int // what all values may cost together, in the unit of Put

	mu   sync.Mutex
	at   map[string]*list.Element
	used list.List // of *kept[V], the last used first
	cost int
}

type kept[V any] struct {
	key  string
	v    V
	cost int
}

// Get returns the value of a key, and whether there is one.
func (c *Cache[V]) Get(key string) (v V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.at[key]
	if e == nil {
		return v, false
	}
	c.used.MoveToFront(e)
	return e.Value.(*kept[V]).v, true
}

// Put keeps a value, in place of an earlier one of that key.
func (c *Cache[V]) Put(key string, v V, cost int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(c.at[key])
	if c.at == nil {
		c.at = map[string]*list.Element{}
	}
	c.at[key] = c.used.PushFront(&kept[V]{key, v, cost})
	c.cost += cost
	for c.cost > c.Max && c.used.Len() > 1 {
		c.remove(c.used.Back())
	}
}

// Drop forgets a key.
func (c *Cache[V]) Drop(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(c.at[key])
}

func (c *Cache[V]) remove(e *list.Element) {
	if e == nil {
		return
	}
	v := e.Value.(*kept[V])
	c.used.Remove(e)
	delete(c.at, v.key)
	c.cost -= v.cost
}
