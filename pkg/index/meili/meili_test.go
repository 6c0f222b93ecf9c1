package meili_test

import (
	"context"
	"crypto/rand"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/internal/meilitest"
	"github.com/clydepm/clyde-registry/pkg/index"
	"github.com/clydepm/clyde-registry/pkg/index/indextest"
	"github.com/clydepm/clyde-registry/pkg/index/meili"
)

// fresh returns an engine with an empty index of its own.
func fresh(t *testing.T, o meili.Options) *meili.Engine {
	t.Helper()
	o.Index = "t" + strings.ToLower(rand.Text())
	e := meili.New(o)
	t.Cleanup(func() { _ = e.Close() })
	if err := e.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e
}

// TestStandIn runs what every engine must do, but for how well it finds, which
// is Meilisearch's part.
func TestStandIn(t *testing.T) {
	t.Parallel()
	indextest.Conform(t, func(t *testing.T) index.Engine {
		return fresh(t, meili.Options{URL: meilitest.Start(t).URL})
	})
}

// TestMeilisearch runs the whole suite on a real one.
func TestMeilisearch(t *testing.T) {
	t.Parallel()
	url, key := os.Getenv("CLYDE_TEST_MEILI_URL"), os.Getenv("CLYDE_TEST_MEILI_KEY")
	if url == "" {
		url, key = launch(t), ""
	}
	indextest.Run(t, func(t *testing.T) index.Engine { return fresh(t, meili.Options{URL: url, Key: key}) })
}

// launch starts the meilisearch on PATH.
func launch(t *testing.T) (url string) {
	t.Helper()
	bin, err := exec.LookPath("meilisearch")
	if err != nil {
		t.Skip("NOT RUN AGAINST A REAL MEILISEARCH: name one with CLYDE_TEST_MEILI_URL (and CLYDE_TEST_MEILI_KEY), or put meilisearch on PATH; the stand-in was tested instead")
	}
	addr := meilitest.FreeAddress(t)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, bin, "--no-analytics", "--http-addr", addr, "--db-path", t.TempDir())
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	meilitest.AwaitHealth(t, "http://"+addr)
	return "http://" + addr
}
