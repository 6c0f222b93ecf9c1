package server

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/config"
	"github.com/clydepm/clyde-registry/internal/registrytest"
)

// A registry whose notifications are off converges by the sweep alone, at the
// pace that is the default. CLYDE_TEST_CONVERGE=1000 takes as many repositories,
// which has to end within 15 minutes; without it there are a few.
func TestSidecarConverges(t *testing.T) {
	t.Parallel()
	n, within := 8, soon
	if s := os.Getenv("CLYDE_TEST_CONVERGE"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
		within = 15 * time.Minute
	}
	reg := registrytest.Listen(t)
	reg.Distribution(t) // it tells nobody
	for i := range n {
		reg.Push(t, "", fmt.Sprintf("acme/lib%04d", i), "1.0.0")
	}
	before, began := reg.Requests.Load(), time.Now()
	s := sidecar(t, reg, func(u *config.Upstream) { u.Events, u.Secret, u.RequestsPerSecond = "", "", 0 })
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := began.Add(within); ; <-tick.C {
		found, err := s.Catalog.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if found.Packages == int64(n) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d packages after %s", found.Packages, n, within)
		}
	}
	t.Logf("%d repositories in %s, by %d requests", n, time.Since(began).Round(time.Millisecond), reg.Requests.Load()-before)
}
