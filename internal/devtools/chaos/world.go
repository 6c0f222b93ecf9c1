package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/client"
)

const (
	callers   = 4                      // that use the registry at once
	shortest  = 100 * time.Millisecond // of a round, before the kill
	longest   = 600 * time.Millisecond
	startMost = time.Minute // that a start, or catching up, may take
	look      = 20 * time.Millisecond
)

// version is something that the registry said it has.
type version struct{ name, version, digest string }

// world is a registry and what it promised.
type world struct {
	bin, dir, addr string
	rng            *rand.Rand
	seed           uint64

	server *exec.Cmd
	log    *os.File
	api    *client.Client
	oci    *artifact.Client

	mu     sync.Mutex
	acked  []version
	yanked map[string]bool // "name version"
	counts map[string]int  // by what was done, "… without success" where it was refused or not answered
	broken []string
	fresh  int           // of acked, those of the round in hand begin here
	down   time.Duration // from a kill until it was ready again, the longest
}

func newWorld(bin, dir string, seed uint64) *world {
	return &world{bin: bin, dir: dir, rng: rand.New(rand.NewPCG(seed, 1)), seed: seed, yanked: map[string]bool{}, counts: map[string]int{}}
}

// start runs the server on the data that is there and waits until it is ready.
func (w *world) start(ctx context.Context) error {
	if w.addr == "" {
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		w.addr = ln.Addr().String()
		if err := errors.Join(ln.Close(), os.MkdirAll(w.dir, 0o700)); err != nil {
			return err
		}
		if w.log, err = os.Create(filepath.Join(w.dir, "..", "log")); err != nil {
			return err
		}
	}
	began := time.Now()
	w.server = exec.CommandContext(ctx, w.bin, "serve")
	w.server.Env = append(os.Environ(), "CLYDE_HTTP_ADDR="+w.addr, "CLYDE_DATA_DIR="+w.dir)
	w.server.Stdout, w.server.Stderr, w.server.Dir = w.log, w.log, w.dir
	if err := w.server.Start(); err != nil {
		return err
	}
	url := "http://" + w.addr
	if err := until(ctx, func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
		if err != nil {
			return err
		}
		resp, err := new(http.Client).Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("readyz: %s", resp.Status)
		}
		return nil
	}); err != nil {
		return fmt.Errorf("the server does not start, see its log: %w", err)
	}
	w.down = max(w.down, time.Since(began))
	if w.api != nil {
		return nil
	}
	token, err := os.ReadFile(filepath.Join(w.dir, "admin-token"))
	if err != nil {
		return err
	}
	secret := strings.TrimSpace(string(token))
	// Connections die with the server; none is kept for the next one.
	transport := &http.Transport{DisableKeepAlives: true}
	if w.api, err = client.New(client.Options{BaseURL: url, Token: secret, HTTP: &http.Client{Transport: transport}}); err != nil {
		return err
	}
	w.oci, err = artifact.NewClient(artifact.ClientOptions{
		Host: w.addr, Plain: true, Transport: transport,
		Credential: func(context.Context) (string, string, error) { return "", secret, nil },
	})
	return err
}

// kill ends the server as a power cut does to a process.
func (w *world) kill() {
	_ = w.server.Process.Kill()
	_ = w.server.Wait()
}

// until repeats fn until it returns nil, or startMost is over.
func until(ctx context.Context, fn func() error) error {
	ctx, cancel := context.WithTimeout(ctx, startMost)
	defer cancel()
	for t := time.NewTicker(look); ; {
		err := fn()
		if err == nil {
			t.Stop()
			return nil
		}
		select {
		case <-ctx.Done():
			t.Stop()
			return errors.Join(err, ctx.Err())
		case <-t.C:
		}
	}
}

// round uses the registry, kills it in the middle of that, starts it again and
// looks whether it kept what it said.
func (w *world) round(ctx context.Context, n int) error {
	if w.server == nil {
		if err := w.start(ctx); err != nil {
			return err
		}
	}
	w.fresh = len(w.acked)
	load, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	for i := range callers {
		rng := rand.New(rand.NewPCG(w.seed, uint64(2+n*callers+i)))
		wg.Go(func() {
			for k := 0; load.Err() == nil; k++ {
				w.do(load, rng, fmt.Sprintf("lib%d-%d", i, rng.IntN(5)), fmt.Sprintf("%d.%d.0", n+1, k))
			}
		})
	}
	select {
	case <-ctx.Done():
	case <-time.After(shortest + time.Duration(w.rng.Int64N(int64(longest-shortest)))):
	}
	w.kill() // before the callers are told, so that requests are cut short
	stop()
	wg.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	w.counts["kills"]++
	if err := w.start(ctx); err != nil {
		return err
	}
	return w.check(ctx, w.acked[w.fresh:])
}

// finish looks at everything once more, and ends the server.
func (w *world) finish(ctx context.Context) error {
	defer func() {
		w.kill()
		_ = w.log.Close()
	}()
	return w.check(ctx, w.acked)
}

// report prints what was done and what came of it.
func (w *world) report(out io.Writer) {
	for _, k := range slices.Sorted(func(yield func(string) bool) {
		for k := range w.counts {
			if !yield(k) {
				return
			}
		}
	}) {
		fmt.Fprintf(out, "%-28s %d\n", k, w.counts[k])
	}
	fmt.Fprintf(out, "%-28s %d\n%-28s %d\n", "versions acknowledged", len(w.acked), "yanks acknowledged", len(w.yanked))
	fmt.Fprintf(out, "%-28s %s\n%-28s %d\n", "slowest start", w.down.Round(time.Millisecond), "promises broken", len(w.broken))
	for _, b := range w.broken {
		fmt.Fprintln(out, "BROKEN:", b)
	}
}
