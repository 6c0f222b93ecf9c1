package server

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/internal/postgrestest"
	"github.com/clydepm/clyde-registry/pkg/account"
)

// Two servers publish while one of them collects garbage without a grace, back
// to back: what was acknowledged is whole.
func TestPostgresCollect(t *testing.T) {
	t.Parallel()
	url, shared := postgrestest.Start(t).Database(t), filepath.Join(t.TempDir(), "shared")
	var two [2]*Server
	for i := range two {
		c := testConfig(t)
		c.Database.URL, c.Data.Shared, c.Registry.GCGrace = url, shared, time.Nanosecond
		two[i] = start(t, c, Options{})
	}
	ctx, stop := context.WithCancel(t.Context())
	var collector, publishers sync.WaitGroup
	collections := 0
	collector.Go(func() {
		for ; ctx.Err() == nil; collections++ {
			if _, err := two[0].Registry.Collect(ctx, false); err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
		}
	})
	const each = 15
	for i, s := range two {
		publishers.Go(func() {
			for v := range each {
				yaml := fmt.Sprintf("name: \"@acme/of%d\"\nversion: \"1.%d.0\"\ndescription: a tool\nlicense: MIT\nlanguage: c\ntype: library\n", i, v)
				for {
					_, _, err := s.Ingest.Publish(ctx, s.Registry, System, []byte(yaml), bytes.NewReader(tarball(t, fmt.Sprint(i, v))), "application/vnd.clyde.package.source.v1.tar+gzip")
					if err == nil {
						break
					}
					if ctx.Err() != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	publishers.Wait()
	stop()
	collector.Wait()
	if _, err := two[1].Registry.Collect(t.Context(), false); err != nil {
		t.Error(err)
	}
	for i := range two {
		for v := range each {
			if err := whole(t.Context(), two[1-i].Parts, fmt.Sprintf("acme/of%d", i), fmt.Sprintf("1.%d.0", v)); err != nil {
				t.Errorf("acme/of%d 1.%d.0: %v", i, v, err)
			}
		}
	}
	t.Logf("%d versions beside %d collections", 2*each, collections)
}

// What one server let pass counts at the other.
func TestPostgresLimits(t *testing.T) {
	t.Parallel()
	url, shared := postgrestest.Start(t).Database(t), filepath.Join(t.TempDir(), "shared")
	const many = 100_000 // more than anybody asks below before the test is given up
	var two [2]*Server
	for i := range two {
		c := testConfig(t)
		c.Database.URL, c.Data.Shared, c.Limits.Reports = url, shared, many
		two[i] = start(t, c, Options{})
	}
	p, remote := account.Principal{ID: "t1", Name: "t1"}, "192.0.2.1:1"
	for range many {
		if err := two[0].Limits.Report(p, remote, http.Header{}); err != nil {
			t.Fatal(err)
		}
	}
	// It has a bucket of its own until the first request that it tells of.
	eventually(t, func() string {
		if err := two[1].Limits.Report(p, remote, http.Header{}); err == nil {
			return "the other server lets more pass"
		}
		return ""
	})
	if err := two[1].Limits.Report(account.Principal{ID: "t2", Name: "t2"}, remote, http.Header{}); err != nil {
		t.Errorf("somebody else: %v", err)
	}
}
