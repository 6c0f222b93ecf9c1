package install_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/install"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// made publishes a package that is built by a makefile, and returns options
// that install it.
func made(t *testing.T, makefile string) install.Options {
	t.Helper()
	return makefiles(t, map[string]string{"made": makefile})
}

// makefiles publishes packages that are built by makefiles, by base name, and
// returns options that install all of them.
func makefiles(t *testing.T, all map[string]string) install.Options {
	t.Helper()
	if _, err := exec.LookPath("make"); err != nil {
		t.Fatal("make is missing, which make test needs too")
	}
	host := newRegistry(t)
	lock := &resolve.Lock{Packages: map[clyde.Name]*resolve.LockedPackage{}}
	for base, makefile := range all {
		src := t.TempDir()
		for name, text := range map[string]string{
			"package.yaml": "schema: 1\nname: \"@demo/" + base + "\"\nversion: \"1.0.0\"\nlanguage: c\nlicense: MIT\nbuild: {system: make}\n",
			"LICENSE":      "Do what you like.\n", "Makefile": makefile,
		} {
			if err := os.WriteFile(filepath.Join(src, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		p, err := artifact.Pack(t.Context(), src, artifact.PackOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if err := client(t, host).Push(t.Context(), "demo/"+base, p, []string{"1.0.0"}, nil); err != nil {
			t.Fatal(err)
		}
		lock.Packages[p.Name] = &resolve.LockedPackage{Version: p.Version, Registry: host, Digest: p.Descriptor.Digest.String()}
		lock.Requires = append(lock.Requires, resolve.Edge{Name: p.Name, Kind: resolve.Runtime})
	}
	return options(host, lock, t.TempDir())
}

func openStore(t *testing.T) *install.Store {
	t.Helper()
	s, err := install.OpenStore(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const installing = "install:\n\tmkdir -p $(PREFIX)/include\n\techo > $(PREFIX)/include/made.h\n"

// TestBuildTime: a build that takes too long ends, with all that it started.
func TestBuildTime(t *testing.T) {
	t.Parallel()
	left := filepath.Join(t.TempDir(), "left")
	o := made(t, fmt.Sprintf("all:\n\t(sleep 600; echo > '%s') & sleep 600\n%s", left, installing))
	o.SetBounds(300*time.Millisecond, install.MaxBuildLog)
	began := time.Now()
	_, err := install.Run(t.Context(), openStore(t), o)
	if !errors.Is(err, install.ErrBuild) || !strings.Contains(err.Error(), "make took longer than 300ms") {
		t.Errorf("Run = %v; want that make took longer than 300ms", err)
	}
	if took := time.Since(began); took > 5*time.Minute {
		t.Errorf("it took %s to end a build", took)
	}
}

// TestBuildLog: a build that prints more than it may ends there. TestLogEdge has
// the very edge.
func TestBuildLog(t *testing.T) {
	t.Parallel()
	o := made(t, ".SILENT:\nall:\n\tprintf %1000s\n"+installing)
	s := openStore(t)
	var log strings.Builder
	o.Log = &log
	if _, err := install.Run(t.Context(), s, o); err != nil {
		t.Fatal(err)
	}
	// The log names the scratch folder, whose name differs in length by a few
	// bytes each time; what make prints does not.
	n := int64(log.Len())
	for _, c := range []struct {
		limit int64
		ok    bool
	}{{n + 100, true}, {1000, false}} {
		o.Project = t.TempDir()
		o.SetBounds(time.Minute, c.limit)
		_, err := install.Run(t.Context(), openStore(t), o)
		if c.ok != (err == nil) {
			t.Errorf("with %d bytes of output allowed: %v; want success: %t", c.limit, err, c.ok)
		}
		if err != nil && !strings.Contains(err.Error(), "printed more than 1000 bytes") {
			t.Errorf("Run = %v; want that it printed too much", err)
		}
	}
}

// TestSideBySide: two packages that do not need each other are built at the same
// time: each waits for the other to have begun.
func TestSideBySide(t *testing.T) {
	t.Parallel()
	at := t.TempDir()
	wait := func(mine, other string) string {
		return fmt.Sprintf("all:\n\ttouch '%s/%s'\n\ti=0; while [ ! -e '%s/%s' ] && [ $$i -lt 200 ]; do sleep 0.1; i=$$((i+1)); done; test -e '%[1]s/%[4]s'\n", at, mine, at, other) +
			"install:\n\tmkdir -p $(PREFIX)/include\n\ttouch $(PREFIX)/include/" + mine + ".h\n"
	}
	o := makefiles(t, map[string]string{"left": wait("left", "right"), "right": wait("right", "left")})
	o.Jobs = 2
	if _, err := install.Run(t.Context(), openStore(t), o); err != nil {
		t.Error(err)
	}
}

// TestRefusedTrees: what a build installs and no store may hold leaves nothing.
func TestRefusedTrees(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ makefile, want string }{
		"link out":  {"all:\ninstall:\n\tmkdir $(PREFIX)/lib\n\tln -s ../../x $(PREFIX)/lib/x\n", "lib/x is a link that leads out"},
		"absolute":  {"all:\ninstall:\n\tln -s /etc/passwd $(PREFIX)/x\n", "x is a link that leads out"},
		"fifo":      {"all:\ninstall:\n\tmkfifo $(PREFIX)/pipe\n", "pipe is neither file, folder nor link"},
		"nothing":   {"all:\ninstall:\n", "it installed nothing"},
		"it fails":  {"all:\n\tfalse\n", "make failed"},
		"no target": {"all:\n", "make failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, s := made(t, c.makefile), openStore(t)
			if _, err := install.Run(t.Context(), s, o); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Run = %v; want %q", err, c.want)
			}
			if _, err := os.Stat(filepath.Join(o.Project, "deps/@demo/made")); err == nil {
				t.Error("the package is in the project")
			}
			items, err := s.List()
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range items {
				if i.Kind == install.Built {
					t.Errorf("the store has %s", i.Label)
				}
			}
		})
	}
}
