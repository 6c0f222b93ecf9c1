package content

import (
	"container/list"
	"sync"
)

// maxCached bounds what the indexes in memory cost together, counted in files
// and kilobytes of readme: about 100 MB of heap.
const maxCached = 400_000

// cache keeps the indexes used last. Its zero value is ready.
type cache struct {
	mu   sync.Mutex
	at   map[string]*list.Element
	used list.List // of *cached, the last used first
	cost int
}

type cached struct {
	key string
	x   *index
}

func (x *index) cost() int {
	return 1 + len(x.entries) + len(x.info.Headers)/4 + (len(x.info.Readme)+len(x.info.ReadmeHTML))>>10
}

func (c *cache) get(key string) *index {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.at[key]
	if e == nil {
		return nil
	}
	c.used.MoveToFront(e)
	return e.Value.(*cached).x
}

func (c *cache) put(key string, x *index) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(c.at[key])
	if c.at == nil {
		c.at = map[string]*list.Element{}
	}
	c.at[key] = c.used.PushFront(&cached{key, x})
	c.cost += x.cost()
	for c.cost > maxCached && c.used.Len() > 1 {
		c.remove(c.used.Back())
	}
}

func (c *cache) drop(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(c.at[key])
}

func (c *cache) remove(e *list.Element) {
	if e == nil {
		return
	}
	v := e.Value.(*cached)
	c.used.Remove(e)
	delete(c.at, v.key)
	c.cost -= v.x.cost()
}
