package registry

import (
	"container/list"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/store"
)

// Bounds of the caches. Ours: 64 MiB holds some 80,000 manifests of packages;
// a membership entry is about half a kilobyte.
const (
	maxCachedBytes   = 64 << 20 // bytes of manifests
	maxCachedBody    = 1 << 20  // bytes of one manifest; larger ones are read from disk
	maxCachedMembers = 50_000   // entries
)

// bodyCache keeps manifests by digest, least recently used out first. What a
// digest names never changes, so nothing is ever invalidated; whether somebody
// may see it is not asked here.
type bodyCache struct {
	mu    sync.Mutex
	max   int
	size  int
	order *list.List // of *body, most recent in front
	m     map[digest.Digest]*list.Element
}

type body struct {
	digest  digest.Digest
	content []byte
}

func newBodyCache(max int) *bodyCache {
	return &bodyCache{max: max, order: list.New(), m: map[digest.Digest]*list.Element{}}
}

func (c *bodyCache) get(d digest.Digest) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.m[d]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*body).content, true
}

func (c *bodyCache) put(d digest.Digest, content []byte) {
	if len(content) > maxCachedBody {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.m[d]; ok {
		return
	}
	c.m[d] = c.order.PushFront(&body{d, content})
	for c.size += len(content); c.size > c.max; {
		last := c.order.Remove(c.order.Back()).(*body)
		delete(c.m, last.digest)
		c.size -= len(last.content)
	}
}

// drop forgets what was erased.
func (c *bodyCache) drop(d digest.Digest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.m[d]; ok {
		c.size -= len(c.order.Remove(e).(*body).content)
		delete(c.m, d)
	}
}

// memberCache remembers which manifests a repository holds, and which
// repositories exist: only what was true, and only until forgotten.
type memberCache struct {
	mu  sync.RWMutex
	max int
	m   map[string]member // repo@digest, or repo alone
	gen uint64            // grows with each forget, so that a slow reader cannot put back what went
}

type member struct {
	mediaType    string
	artifactType string
	size         int64
}

func newMemberCache(max int) *memberCache { return &memberCache{max: max, m: map[string]member{}} }

func (c *memberCache) get(key string) (m member, gen uint64, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	m, ok = c.m[key]
	return m, c.gen, ok
}

// put stores m unless something was forgotten since gen.
func (c *memberCache) put(key string, m member, gen uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if gen != c.gen {
		return
	}
	if len(c.m) >= c.max {
		clear(c.m) // rare and cheap to fill again, one row each
	}
	c.m[key] = m
}

func (c *memberCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gen++
	clear(c.m)
}

// Forget drops what the registry remembers of memberships. Call it after
// manifests were removed from the database by anyone but the registry.
func (r *Registry) Forget() { r.members.forget() }

func memberOf(m store.Manifest) member {
	return member{mediaType: m.MediaType, artifactType: m.ArtifactType, size: m.Size}
}
