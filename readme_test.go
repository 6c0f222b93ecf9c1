package clyderegistry_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/config"
	"github.com/clydepm/clyde-registry/internal/toolchaintest"
	"github.com/clydepm/clyde-registry/pkg/server"
)

// The README's commands work as they stand, in order, in a clean copy of what
// they use; the push twice. Only the port and the place of data differ.
func TestClientsReadme(t *testing.T) {
	t.Parallel()
	tools := toolchaintest.Tools(t, "oras", "cosign-v3")
	toolchaintest.Programs(t, "sh", "tar", "curl", "c++", "cmake")
	blocks := readmeBlocks(t)
	if len(blocks) < 7 {
		t.Fatalf("the README has %d blocks of commands; want 7 at least", len(blocks))
	}

	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin+string(filepath.Separator), "./cmd/clyde", "./cmd/clyde-registry")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.CopyFS(filepath.Join(dir, "examples"), os.DirFS("examples")); err != nil {
		t.Fatal(err)
	}
	for name, as := range map[string]string{"oras": "oras", "cosign-v3": "cosign"} {
		if err := os.Symlink(filepath.Join(tools, name), filepath.Join(bin, as)); err != nil {
			t.Fatal(err)
		}
	}
	url := serveIn(t, filepath.Join(dir, "data"))
	_, host, _ := strings.Cut(url, "://")

	env := []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "CLYDE_REGISTRY=" + url, "TMPDIR=" + os.TempDir()}
	script := "set -e\n"
	for _, b := range blocks {
		b = strings.ReplaceAll(b, "localhost:8080", host)
		script += b
		if strings.HasPrefix(b, "oras push") {
			script += b
		}
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
	cmd.Dir, cmd.Env = dir, env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n---\n%s", err, script, out)
	}
	for _, want := range []string{"published @demo/tally 1.2.0", "@demo/ribbon\t2.0.1", "signed by\t", `"name":"@demo/ward"`, "a ########## 3"} {
		if !bytes.Contains(out, []byte(want)) {
			t.Errorf("the commands print no %q:\n%s", want, out)
		}
	}
	if n := bytes.Count(out, []byte("Pushed [registry] "+host+"/demo/ward:0.3.0")); n != 2 {
		t.Errorf("oras pushed %d times; want 2:\n%s", n, out)
	}
	for _, f := range []string{"demo/ribbon/src/ribbon.cpp", "demo/tally/package.yaml", "demo/pulled/demo/ward.tar.gz"} {
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(f))); err != nil {
			t.Error(err)
		}
	}
}

// readmeBlocks returns the blocks of commands of the README's tour.
func readmeBlocks(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range regexp.MustCompile("(?s)\n```sh\n(.*?)```").FindAllSubmatch(b, -1) {
		out = append(out, string(m[1]))
	}
	return out
}

// serveIn runs a whole server on data in dir and returns its address.
func serveIn(t *testing.T, dir string) string {
	t.Helper()
	cfg := config.Default()
	cfg.HTTP.Addr, cfg.Data.Dir = "127.0.0.1:0", dir
	s, err := server.New(t.Context(), cfg, server.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.FirstToken(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.PublicURL()
}

// Every link of our own documents leads to a file.
func TestDocumentLinks(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#:\s]+)(?:#[^)]*)?\)|src="([^":]+)"`)
	for _, pattern := range []string{"*.md", "docs/*.md", "examples/*/README.md", "examples/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range link.FindAllSubmatch(b, -1) {
				to := string(m[1]) + string(m[2])
				if _, err := os.Stat(filepath.Join(filepath.Dir(f), filepath.FromSlash(to))); err != nil {
					t.Errorf("%s links to %s: %v", f, to, err)
				}
			}
		}
	}
}

// Every make target that a document names exists.
func TestDocumentedTargets(t *testing.T) {
	t.Parallel()
	mk, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	target := regexp.MustCompile("(?m)(?:`|^    )make ([a-z/-]+)")
	for _, f := range []string{"README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", filepath.Join("docs", "operating.md")} {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range target.FindAllSubmatch(b, -1) {
			if !bytes.Contains(mk, fmt.Appendf(nil, "\n%s:", m[1])) {
				t.Errorf("%s names `make %s`, which does not exist on %s", f, m[1], runtime.GOOS)
			}
		}
	}
}
