package main

import (
	"bytes"
	"context"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// TestMain lets the test binary be its own measured servers.
func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// shared is a buffer that several servers write their log to.
type shared struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *shared) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestQuick measures a little of everything and checks the form of the lines.
func TestQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers and takes some seconds")
	}
	// As make test builds everything, so that it is built once.
	clientBuild = strings.Fields(os.Getenv("CLYDE_TEST_BUILD"))
	t.Parallel()
	var stdout bytes.Buffer
	var stderr shared
	if code := run(t.Context(), []string{"-quick", "-dir", t.TempDir()}, strings.NewReader(""), &stdout, &stderr); code != 0 {
		t.Fatalf("run = %d\n%s", code, &stderr)
	}
	line := regexp.MustCompile(`^bench [a-z0-9_]+_(per_s|ms|s|MB|MBps) [0-9.e+]+ ([0-9.e+]+ [0-9.e+]+|- -)$`)
	got := map[string]bool{}
	for l := range strings.Lines(stdout.String()) {
		l = strings.TrimSuffix(l, "\n")
		if !line.MatchString(l) {
			t.Errorf("line %q is not of the form: bench NAME OURS PEER RATIO", l)
			continue
		}
		got[strings.Fields(l)[1]] = true
	}
	known := map[string]bool{}
	for _, g := range groups {
		for _, f := range g.figures {
			known[f] = true
			// What the operating system does not tell is left out.
			if !got[f] && !strings.Contains(f, "cpu") && !strings.Contains(f, "rss") {
				t.Errorf("figure %s is missing", f)
			}
		}
	}
	for f := range got {
		if !known[f] {
			t.Errorf("figure %s is not listed, so -only cannot choose it", f)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-only", "("}, {"extra"}, {"-nonsense"}} {
		var out bytes.Buffer
		if code := run(t.Context(), args, strings.NewReader(""), &out, &out); code != 2 {
			t.Errorf("run(%q) = %d; want 2", args, code)
		}
	}
}
