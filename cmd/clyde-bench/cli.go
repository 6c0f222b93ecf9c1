package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// clientImport is the program whose start a user waits for.
const clientImport = "github.com/clydepm/clyde-registry/cmd/clyde"

// clientBuild are the flags that it is built with: those of a release.
var clientBuild = []string{"-trimpath", "-ldflags", "-s -w"}

// cliWays is how the client is asked: with nothing of the index in its cache,
// with all of it there to be asked for again, and so that the registry chooses.
var cliWays = []struct {
	name  string
	fresh bool // a new home for each run
	args  []string
}{
	{"cold", true, nil},
	{"cached", false, nil},
	{"server", false, []string{"--via", "server"}},
}

func cliFigures() (names []string) {
	for _, way := range cliWays {
		for _, p := range []int{50, 95} {
			names = append(names, fmt.Sprintf("cli_resolve_200_%s_p%d_ms", way.name, p))
		}
	}
	return names
}

// client builds the client, once, and returns where it is.
func (b *bench) client(ctx context.Context) (string, error) {
	program := filepath.Join(b.dir, "clyde")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	if out, err := exec.CommandContext(ctx, "go", append(append([]string{"build", "-o", program}, clientBuild...), clientImport)...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", clientImport, err, out)
	}
	return program, nil
}

// project is a directory with a package.yaml, in which the client runs.
type project struct {
	dir, program, addr string
}

// project writes a package.yaml with these requirements.
func (b *bench) project(ctx context.Context, name, addr string, requires map[string]string) (p project, err error) {
	p = project{dir: filepath.Join(b.dir, name), addr: addr}
	if p.program, err = b.client(ctx); err != nil {
		return p, err
	}
	manifest := bytes.NewBufferString("schema: 1\nname: \"@bench/app\"\nversion: \"1.0.0\"\ntype: application\nlanguage: c\nrequires:\n")
	for name, r := range requires {
		fmt.Fprintf(manifest, "  %q: %q\n", name, r)
	}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return p, err
	}
	return p, os.WriteFile(filepath.Join(p.dir, "package.yaml"), manifest.Bytes(), 0o600)
}

// run runs the client, whose home is a directory beside the project's own, and
// returns what it printed and how long it took as a whole process.
func (p project) run(ctx context.Context, home string, args ...string) ([]byte, time.Duration, error) {
	home = p.dir + "-" + home
	cmd := exec.CommandContext(ctx, p.program, args...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "CLYDE_REGISTRY=http://"+p.addr, "HOME="+home, "XDG_CACHE_HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	start := time.Now()
	out, err := cmd.Output()
	took := time.Since(start)
	if err != nil {
		return nil, 0, fmt.Errorf("clyde %s: %w: %s", strings.Join(args, " "), err, &stderr)
	}
	return out, took, nil
}

// cli measures whole processes of the client that choose the versions of a
// project: from the start of the process to its end.
func (b *bench) cli(ctx context.Context, addr string, requires map[string]string) error {
	if !b.wanted(cliFigures()) {
		return nil
	}
	p, err := b.project(ctx, "cli", addr, requires)
	if err != nil {
		return err
	}
	for _, way := range cliWays {
		times := make([]time.Duration, 0, b.runs)
		for i := range b.runs {
			home := "home-0"
			if way.fresh {
				home = fmt.Sprintf("home-%d", i)
			}
			out, took, err := p.run(ctx, home, append([]string{"resolve"}, way.args...)...)
			if err != nil {
				return err
			}
			if n := bytes.Count(out, []byte("\n")); n < b.graph {
				return fmt.Errorf("clyde resolve chose %d packages of %d", n, b.graph)
			}
			times = append(times, took)
		}
		for _, q := range []int{50, 95} {
			b.alone(fmt.Sprintf("cli_resolve_200_%s_p%d_ms", way.name, q), quantile(times, float64(q)/100))
		}
	}
	return nil
}
