package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/index"
	"github.com/clydepm/clyde-registry/pkg/index/indextest"
	"github.com/clydepm/clyde-registry/pkg/server"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// memoryLimit is what Go of the server with the large catalogue is given: with
// what the database takes outside of it, 600 MB in all.
const memoryLimit = "GOMEMLIMIT=500MiB"

// cold measures a server that starts with a large catalogue, and its search
// over HTTP. The catalogue is written straight into the database, as applying
// the pushes would have left it: pushing it would take an hour.
func cold(ctx context.Context, b *bench) (err error) {
	start := time.Now()
	docs := b.generated()
	if err := b.fill(ctx, "cold", docs); err != nil {
		return err
	}
	b.log.Printf("cold: %d packages written in %.0f s", len(docs), time.Since(start).Seconds())
	queries, pages := make([]string, 0, b.queries), make([]string, 0, b.queries)
	for i := range b.queries {
		pages = append(pages, "/packages/"+docs[i*len(docs)/b.queries].Key)
	}
	for q := range indextest.Queries(docs, seed+1) {
		if len(queries) == b.queries {
			break
		}
		queries = append(queries, address(q))
	}
	docs = nil
	runtime.GC()
	start = time.Now()
	c, err := b.start(ctx, "serve-ours", "cold", memoryLimit)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	cl := newClient(c)
	for {
		if _, err = cl.do(ctx, http.MethodGet, "/readyz", "", nil, 0, http.StatusOK); err == nil {
			break
		}
		if time.Since(start) > 5*time.Minute {
			return fmt.Errorf("not ready after five minutes: %w", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	ready := time.Since(start)
	u, err := c.usage(false)
	if err != nil {
		return err
	}
	b.alone("cold_100k_ready_s", ready.Seconds())
	if u.CPU > 0 {
		b.alone("cold_100k_cpu_s", u.CPU.Seconds())
	}
	if u.Peak > 0 {
		b.alone("cold_100k_rss_MB", float64(u.Peak)/1e6)
	}

	var f found
	if err := cl.get(ctx, "/api/v1/search", &f); err != nil {
		return err
	}
	if f.Total != b.packages {
		return fmt.Errorf("the server finds %d packages; %d were written", f.Total, b.packages)
	}
	times, err := cl.timed(ctx, queries)
	if err != nil {
		return err
	}
	b.quantiles("search_http_100k", times)
	after, err := c.usage(false)
	if err != nil {
		return err
	}
	if after.CPU > 0 {
		b.alone("search_http_100k_cpu_ms", ms(after.CPU-u.CPU)/float64(len(times)))
	}
	if after.Peak > 0 {
		b.alone("searched_100k_rss_MB", float64(after.Peak)/1e6)
	}
	for i, q := range queries {
		queries[i] = strings.TrimPrefix(q, "/api/v1")
	}
	for _, p := range []struct {
		name  string
		paths []string
	}{{"search_page_100k", queries}, {"package_page_100k", pages}} {
		if times, err = cl.timed(ctx, p.paths); err != nil {
			return err
		}
		b.quantiles(p.name, times)
	}
	return nil
}

// timed asks for each path, one after the other.
func (c *client) timed(ctx context.Context, paths []string) ([]time.Duration, error) {
	times := make([]time.Duration, 0, len(paths))
	for _, p := range paths {
		start := time.Now()
		if _, err := c.do(ctx, http.MethodGet, p, "", nil, 0, http.StatusOK); err != nil {
			return nil, err
		}
		times = append(times, time.Since(start))
	}
	return times, nil
}

// fill writes the catalogue's rows for docs.
func (b *bench) fill(ctx context.Context, dir string, docs []index.Document) (err error) {
	p, err := server.Open(ctx, ourConfig(filepath.Join(b.dir, dir)), "http://localhost:8080", server.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	for i := range docs {
		if err := ctx.Err(); err != nil {
			return err
		}
		d := &docs[i]
		row := d.Encode()
		config := fmt.Appendf(nil, "schema: 1\nname: %q\nversion: %q\ndescription: %q\nlicense: %q\nkeywords: %q\n", d.Name.String(), d.Version, d.Description, d.License, d.Keywords)
		v, err := clyde.ParseVersion(d.Version)
		if err != nil {
			return err
		}
		r := store.Release{
			Repo: d.Key, VersionKey: v.Canonical(), Version: d.Version, Digest: digest.FromBytes(row).String(), Size: int64(len(row)),
			ConfigYAML: config, Manifest: []byte("{}"), OCIManifest: []byte("{}"), Report: []byte("{}"),
			Source: digest.FromBytes(config).String(), SourceSize: int64(len(row)), Headers: d.Headers,
			Published: d.Updated, Publisher: "bench", Signed: d.Signed, State: "visible",
		}
		reqs := make([]store.Requirement, 0, len(d.Dependencies))
		for _, target := range d.Dependencies {
			reqs = append(reqs, store.Requirement{Repo: d.Key, VersionKey: r.VersionKey, Version: d.Version, Kind: "requires", Target: target, Range: "*", Latest: true})
		}
		err = p.DB.SaveRelease(ctx, store.Package{
			Repo: d.Key, Name: d.Name, Latest: d.Version, Doc: row, Created: d.Created, Updated: d.Updated, Versions: 1, Signed: d.Signed,
		}, r, reqs, store.Change{})
		if err != nil {
			return err
		}
	}
	return nil
}
