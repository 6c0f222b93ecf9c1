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

// cli measures whole processes of the client that choose the versions of a
// project: from the start of the process to its end.
func (b *bench) cli(ctx context.Context, addr string, requires map[string]string) error {
	if !b.wanted(cliFigures()) {
		return nil
	}
	dir := filepath.Join(b.dir, "cli")
	project := filepath.Join(dir, "project")
	if err := os.MkdirAll(project, 0o700); err != nil {
		return err
	}
	program, err := b.client(ctx)
	if err != nil {
		return err
	}
	var manifest bytes.Buffer
	manifest.WriteString("schema: 1\nname: \"@bench/app\"\nversion: \"1.0.0\"\ntype: application\nlanguage: c\nrequires:\n")
	for name, r := range requires {
		fmt.Fprintf(&manifest, "  %q: %q\n", name, r)
	}
	if err := os.WriteFile(filepath.Join(project, "package.yaml"), manifest.Bytes(), 0o600); err != nil {
		return err
	}
	run := func(home string, args ...string) (time.Duration, error) {
		cmd := exec.CommandContext(ctx, program, append([]string{"resolve"}, args...)...)
		cmd.Dir = project
		cmd.Env = append(os.Environ(), "CLYDE_REGISTRY=http://"+addr, "HOME="+home, "XDG_CACHE_HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		start := time.Now()
		out, err := cmd.Output()
		took := time.Since(start)
		if err != nil {
			return 0, fmt.Errorf("clyde resolve: %w: %s", err, &stderr)
		}
		if n := bytes.Count(out, []byte("\n")); n < b.graph {
			return 0, fmt.Errorf("clyde resolve chose %d packages of %d", n, b.graph)
		}
		return took, nil
	}
	for _, way := range cliWays {
		times := make([]time.Duration, 0, b.runs)
		for i := range b.runs {
			home := filepath.Join(dir, "home-0")
			if way.fresh {
				home = filepath.Join(dir, fmt.Sprintf("home-%d", i))
			}
			took, err := run(home, way.args...)
			if err != nil {
				return err
			}
			times = append(times, took)
		}
		for _, p := range []int{50, 95} {
			b.alone(fmt.Sprintf("cli_resolve_200_%s_p%d_ms", way.name, p), quantile(times, float64(p)/100))
		}
	}
	return nil
}
