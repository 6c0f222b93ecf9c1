package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/index"
	"github.com/clydepm/clyde-registry/pkg/index/indextest"
	"github.com/clydepm/clyde-registry/pkg/index/memory"
)

// seed makes every run measure the same catalogue and queries.
const seed = 1

// generated is the large catalogue.
func (b *bench) generated() []index.Document {
	return slices.Collect(indextest.Generate(b.packages, seed))
}

// search measures the engine alone.
func search(ctx context.Context, b *bench) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	small := slices.Collect(indextest.Generate(min(3700, b.packages), seed))
	if _, err := os.Stat(b.data); err == nil && !b.quick {
		if small, err = indextest.ReadPackages(b.data); err != nil {
			return err
		}
		b.log.Printf("search_3700: the %d packages of %s", len(small), b.data)
	}
	if err := b.engine(ctx, "3700", small); err != nil {
		return err
	}
	small = nil
	return b.engine(ctx, "100k", b.generated())
}

// engine fills an engine with docs and asks it.
func (b *bench) engine(ctx context.Context, name string, docs []index.Document) error {
	if !b.wanted([]string{"search_" + name + "_p50_ms", "search_" + name + "_p95_ms", "search_" + name + "_p99_ms", "search_" + name + "_cpu_ms", "index_" + name + "_heap_MB", "index_" + name + "_build_per_s", "index_" + name + "_put_p95_ms"}) {
		return nil
	}
	runtime.GC()
	before := used()
	e := memory.New(memory.Options{})
	defer func() { _ = e.Close() }()
	start := time.Now()
	if err := e.Rebuild(ctx, all(docs)); err != nil {
		return err
	}
	built := time.Since(start)
	runtime.GC()
	heap := used().Heap - before.Heap
	runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(runtime.NumCPU())
	times := make([]time.Duration, 0, b.queries)
	cpu := used().CPU
	for q := range indextest.Queries(docs, seed+1) {
		if len(times) == b.queries {
			break
		}
		start := time.Now()
		if _, err := e.Search(ctx, q); err != nil {
			return err
		}
		times = append(times, time.Since(start))
	}
	cpu = used().CPU - cpu
	b.quantiles("search_"+name, times)
	if cpu > 0 {
		b.alone("search_"+name+"_cpu_ms", ms(cpu)/float64(len(times)))
	}
	if name != "100k" {
		return nil
	}
	b.alone("index_100k_heap_MB", float64(heap)/1e6)
	b.alone("index_100k_build_per_s", float64(len(docs))/built.Seconds())
	times = times[:0]
	for i := range 200 {
		d := docs[i*len(docs)/200]
		if i%2 == 0 {
			d.Name = clyde.Name{Namespace: "fresh", Base: fmt.Sprintf("pkg%d", i)}
			d.Key = d.Name.Repo()
		}
		start := time.Now()
		if err := e.Put(ctx, d); err != nil {
			return err
		}
		times = append(times, time.Since(start))
	}
	b.alone("index_100k_put_p95_ms", quantile(times, .95))
	return nil
}

func (b *bench) quantiles(name string, times []time.Duration) {
	for _, p := range []int{50, 95, 99} {
		b.alone(fmt.Sprintf("%s_p%d_ms", name, p), quantile(times, float64(p)/100))
	}
}

func all(docs []index.Document) iter.Seq2[index.Document, error] {
	return func(yield func(index.Document, error) bool) {
		for _, d := range docs {
			if !yield(d, nil) {
				return
			}
		}
	}
}

// get fetches a path of the API and decodes the answer into out.
func (c *client) get(ctx context.Context, path string, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s: %.500s", path, resp.Status, b)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(b, out)
}

// address is a query as a path of the API.
func address(q index.Query) string {
	v := url.Values{"q": {q.Text}}
	if q.Text == "" {
		v.Del("q")
	}
	for _, l := range q.Filters.Language {
		v.Add("language", l)
	}
	if q.Sort != "" {
		v.Set("sort", string(q.Sort))
	}
	return "/api/v1/search?" + v.Encode()
}

// found is the part of an answer to a search that is looked at.
type found struct {
	Total int `json:"total"`
}

// visible measures how long a package takes from push to search.
func visible(ctx context.Context, b *bench) (err error) {
	c, err := b.start(ctx, "serve-ours", "visible")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	cl := newClient(c)
	var times []time.Duration
	for i := range b.visible {
		p, err := pack("visible", i)
		if err != nil {
			return err
		}
		path := address(index.Query{Text: p.name.String()})
		start := time.Now()
		if err := cl.push(ctx, p); err != nil {
			return err
		}
		for {
			// Typing mistakes are forgiven: the neighbours are found before.
			var f struct {
				Items []struct {
					Name string `json:"name"`
				} `json:"items"`
			}
			if err := cl.get(ctx, path, &f); err != nil {
				return err
			}
			if len(f.Items) > 0 && f.Items[0].Name == p.name.String() {
				break
			}
			if time.Since(start) > time.Minute {
				return fmt.Errorf("%s is not found a minute after its push", p.name)
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Millisecond):
			}
		}
		times = append(times, time.Since(start))
	}
	b.alone("searchable_p50_ms", quantile(times, .5))
	b.alone("searchable_p95_ms", quantile(times, .95))
	return nil
}
