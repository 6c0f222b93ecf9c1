package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/clydepm/clyde-registry/pkg/resolve"
	"github.com/clydepm/clyde-registry/pkg/resolve/resolvetest"
	"github.com/clydepm/clyde-registry/pkg/server"
)

// graph measures resolving on a server to which a graph of packages was pushed,
// and how fast everything derived from those is made again.
func graph(ctx context.Context, b *bench) error {
	root, src := resolvetest.Layered(seed, b.graph)
	versions := 0
	for _, cs := range src {
		versions += len(cs)
	}
	if err := b.resolving(ctx, root, src); err != nil {
		return err
	}
	if !b.wanted([]string{"reindex_per_s"}) {
		return nil
	}
	return b.rebuilding(ctx, versions)
}

func (b *bench) resolving(ctx context.Context, root resolve.Candidate, src resolve.Memory) (err error) {
	c, err := b.start(ctx, "serve-ours", "graph")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	cl := newClient(c)
	var parcels []*parcel
	for name, cs := range src {
		for i := range cs {
			p, err := packVersion(name, cs[i].Version.String(), ranges(&cs[i]), 100)
			if err != nil {
				return err
			}
			parcels = append(parcels, p)
		}
	}
	if _, err := each(parcels, workers[1], func(p *parcel) error { return cl.push(ctx, p) }); err != nil {
		return err
	}
	for _, p := range parcels {
		if err := cl.known(ctx, p); err != nil {
			return err
		}
	}
	body, err := json.Marshal(map[string]any{"requires": ranges(&root)})
	if err != nil {
		return err
	}
	ask := func() (time.Duration, error) {
		start := time.Now()
		_, err := cl.do(ctx, http.MethodPost, "/api/v1/resolve", "application/json", bytes.NewReader(body), int64(len(body)), http.StatusOK)
		return time.Since(start), err
	}
	first, err := ask()
	if err != nil {
		return err
	}
	b.alone("resolve_200_cold_ms", ms(first))
	before, err := c.usage(false)
	if err != nil {
		return err
	}
	times := make([]time.Duration, b.queries/4)
	for i := range times {
		if times[i], err = ask(); err != nil {
			return err
		}
	}
	after, err := c.usage(false)
	if err != nil {
		return err
	}
	if after.CPU > 0 {
		b.alone("resolve_200_cpu_ms", ms(after.CPU-before.CPU)/float64(len(times)))
	}
	b.quantiles("resolve_200", times)
	return b.cli(ctx, c.Addr, ranges(&root))
}

// ranges is what a candidate requires, as package.yaml and a query say it.
func ranges(c *resolve.Candidate) map[string]string {
	out := make(map[string]string, len(c.Requires))
	for _, r := range c.Requires {
		out[r.Name.String()] = r.Range.String()
	}
	return out
}

// rebuilding measures a reindex of the same server's storage, while it is down.
func (b *bench) rebuilding(ctx context.Context, versions int) (err error) {
	p, err := server.Open(ctx, ourConfig(filepath.Join(b.dir, "graph")), "http://localhost:8080", server.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	start := time.Now()
	rep, err := p.Ingest.Reindex(ctx, p.Registry)
	if err != nil {
		return err
	}
	if rep.Failed != 0 {
		return fmt.Errorf("reindex: %+v", rep)
	}
	b.alone("reindex_per_s", float64(versions)/time.Since(start).Seconds())
	return nil
}
