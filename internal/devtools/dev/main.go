// Command dev serves the registry from .cache/dev, fills it once with the
// project's own sample packages, and builds and starts it again whenever a file
// that goes into it changes. A build that fails leaves the old server running.
//
//	go run ./internal/devtools/dev            # then edit
//	CLYDE_HTTP_ADDR=127.0.0.1:9000 make dev
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	root     = ".cache/dev"           // data and programs of this server
	poll     = 400 * time.Millisecond // between two looks at the files
	grace    = 10 * time.Second       // for the server to stop by itself
	starting = 30 * time.Second       // for the server to become ready
)

// watched is what goes into the server; skipped is what does not, inside it.
var (
	watched = []string{"cmd/clyde-registry", "config", "pkg", "go.mod"}
	skipped = []string{"testdata", "_test.go"}
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintf(os.Stderr, "dev: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	addr := os.Getenv("CLYDE_HTTP_ADDR")
	if addr == "" {
		addr = "127.0.0.1:8080"
	}
	state, err := scan()
	if err != nil {
		return err
	}
	var s *exec.Cmd
	if err := build(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "dev: mend that; the server starts then")
	} else if s, err = start(ctx, addr); err != nil {
		return err
	}
	defer func() { halt(s) }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(poll):
		}
		now, err := scan()
		if err != nil {
			return err
		}
		if now == state {
			continue
		}
		state = now
		fmt.Fprintln(os.Stderr, "dev: something changed")
		if build(ctx) != nil {
			continue // the compiler has said why
		}
		halt(s)
		if s, err = start(ctx, addr); err != nil {
			return err
		}
	}
}

// stamp is what the files look like: their number, the youngest of them, and
// their bytes together.
type stamp struct {
	files, bytes int64
	youngest     time.Time
}

func scan() (stamp, error) {
	var p stamp
	for _, dir := range watched {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				if errors.Is(err, fs.ErrNotExist) {
					return nil // an editor writes a file anew
				}
				return err
			}
			if slices.ContainsFunc(skipped, func(s string) bool { return strings.HasSuffix(path, s) }) {
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			info, err := d.Info()
			if err != nil || d.IsDir() {
				return nil //nolint:nilerr // gone between two calls
			}
			p.files++
			p.bytes += info.Size()
			if info.ModTime().After(p.youngest) {
				p.youngest = info.ModTime()
			}
			return nil
		})
		if err != nil {
			return p, err
		}
	}
	return p, nil
}

// tool runs a program to its end, with its output on this terminal.
func tool(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // the names and arguments stand in this file
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

func build(ctx context.Context) error {
	return tool(ctx, "go", "build", "-o", filepath.Join(root, "bin")+string(filepath.Separator), "./cmd/clyde-registry")
}

// start starts the server, waits until it is ready, and fills it the first
// time.
func start(ctx context.Context, addr string) (*exec.Cmd, error) {
	data := filepath.Join(root, "data")
	cmd := exec.CommandContext(ctx, filepath.Join(root, "bin", "clyde-registry"), "serve", "--addr", addr, "--data", data) //nolint:gosec // addr is the developer's own
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = grace
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if err := ready(ctx, "http://"+addr+"/readyz"); err != nil {
		halt(cmd)
		return nil, err
	}
	seeded := filepath.Join(root, "seeded")
	if _, err := os.Stat(seeded); err == nil {
		return cmd, nil
	}
	err := tool(ctx, "go", "run", "./internal/devtools/seed", "-registry", "http://"+addr,
		"-token-file", filepath.Join(data, "admin-token"), "-data", "examples/packages.jsonl", "-report", filepath.Join(root, "seed-report.txt"))
	if err != nil {
		halt(cmd)
		return nil, fmt.Errorf("seed: %w", err)
	}
	return cmd, os.WriteFile(seeded, nil, 0o600)
}

// ready waits until url answers 200.
func ready(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, starting)
	defer cancel()
	c := &http.Client{Timeout: time.Second}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if resp, err := c.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server did not become ready within %s", starting)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// halt stops a server, politely first. nil is fine.
func halt(cmd *exec.Cmd) {
	if cmd == nil || cmd.Process == nil {
		return
	}
	_ = cmd.Process.Signal(os.Interrupt)
	kill := time.AfterFunc(grace, func() { _ = cmd.Process.Kill() })
	_ = cmd.Wait()
	kill.Stop()
}
