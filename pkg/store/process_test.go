package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// childEnv turns the test binary into a process of its own on the database
// named, for tests that need two.
const childEnv = "CLYDE_STORE_CHILD"

func TestMain(m *testing.M) {
	if spec := os.Getenv(childEnv); spec != "" {
		if err := child(spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// child publishes, prints what was acknowledged and never what was not.
// spec is "race|NAME|PATH": each version of one package in turn, against
// others that do the same; "attach|NAME|PATH": builds of one version; or
// "flood|NAME|PATH": without end.
func child(spec string) error {
	part := strings.SplitN(spec, "|", 3)
	ctx := context.Background()
	db, err := store.Open(ctx, store.Options{Path: part[2]})
	if err != nil {
		return err
	}
	if part[0] == "flood" {
		var wg sync.WaitGroup
		var mu sync.Mutex
		for w := range 4 {
			wg.Go(func() {
				for i := 0; ; i++ {
					v := fmt.Sprintf("%d.%d.0", w, i)
					if err := publish(ctx, db, "acme/flood", v, w*1e6+i); err != nil {
						return
					}
					mu.Lock()
					fmt.Println(v)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		return errors.New("the flood ended")
	}
	offset := 0
	if part[1] == "b" {
		offset = 1000
	}
	if part[0] == "attach" {
		return errors.Join(attach(ctx, db, offset), db.Close())
	}
	for i := range 40 {
		v := fmt.Sprintf("1.0.%d", i)
		switch err := publish(ctx, db, "acme/race", v, offset+i+1); {
		case err == nil:
			fmt.Println(v, manifest("", offset+i+1).Digest)
		case !errors.Is(err, clyde.ErrConflict):
			return err
		}
	}
	return db.Close()
}

// attached is how many builds each process attaches.
const attached = 40

func attach(ctx context.Context, db *store.DB, offset int) error {
	for i := offset; i < offset+attached; i++ {
		part := fmt.Sprintf("%016x", i)
		m := manifest("acme/race", i+1)
		c := store.Claim{Repo: "acme/race", VersionKey: store.BuildKey("1.0.0", part), Version: "1.0_" + part, Digest: m.Digest, Actor: "ada"}
		if err := db.Reserve(ctx, c, time.Minute); err != nil {
			return err
		}
		b := store.Build{Repo: c.Repo, Digest: c.Digest, VersionKey: "1.0.0", Tag: c.Version, ABIID: part, OS: "linux", Arch: "x86_64", Tree: m.Digest, Facts: []byte("{}")}
		if err := db.SaveBuild(ctx, b, store.Change{Type: "build.added", Package: "@acme/race", Version: "1.0", Digest: c.Digest}); err != nil {
			return err
		}
	}
	return nil
}

// Two processes attach builds to one version: none is lost.
func TestTwoProcessesAttach(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "clyde.db")
	var wg sync.WaitGroup
	for _, name := range []string{"a", "b"} {
		cmd := command(t, "attach|"+name+"|"+path)
		wg.Go(func() {
			if err := cmd.Run(); err != nil {
				t.Errorf("process %s: %v", name, err)
			}
		})
	}
	wg.Wait()
	db := open(t, store.Options{Path: path})
	builds, err := db.Builds(t.Context(), "acme/race", "1.0.0")
	if err != nil || len(builds) != 2*attached {
		t.Errorf("%d builds, %v; want %d", len(builds), err, 2*attached)
	}
	if n, err := db.CountBuilds(t.Context(), "acme/race", "1.0.0"); err != nil || n != 2*attached {
		t.Errorf("%d claims, %v", n, err)
	}
	if cs, err := db.Changes(t.Context(), 0, 10*attached); err != nil || len(cs) != 2*attached {
		t.Errorf("%d entries of the feed, %v", len(cs), err)
	}
}

func command(t *testing.T, spec string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^$")
	cmd.Env = append(os.Environ(), childEnv+"="+spec)
	cmd.Stderr = os.Stderr
	return cmd
}

// Two processes that open one new file at once and publish the same forty
// versions with different content: each version has one winner, and it is the
// one that was told so.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "clyde.db")
	var wg sync.WaitGroup
	outs := make([]string, 2)
	for i, name := range []string{"a", "b"} {
		cmd := command(t, "race|"+name+"|"+path)
		wg.Go(func() {
			b, err := cmd.Output()
			if err != nil {
				t.Errorf("process %s: %v", name, err)
			}
			outs[i] = string(b)
		})
	}
	wg.Wait()
	won := make(map[string]string)
	for line := range strings.Lines(outs[0] + outs[1]) {
		v, d, _ := strings.Cut(strings.TrimSpace(line), " ")
		if other, ok := won[v]; ok {
			t.Errorf("version %s has two winners, %s and %s", v, other, d)
		}
		won[v] = d
	}
	db := open(t, store.Options{Path: path})
	for i := range 40 {
		v := fmt.Sprintf("1.0.%d", i)
		if tag, err := db.Tag(t.Context(), "acme/race", v); err != nil || tag.Digest != won[v] {
			t.Errorf("Tag(%s) = %s, %v; want %q", v, tag.Digest, err, won[v])
		}
	}
}

// A process killed in the middle of its work: every publish that was
// acknowledged is there whole, and the file is sound.
func TestKilled(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "clyde.db")
	cmd := command(t, "flood|a|"+path)
	cmd.Stderr = nil
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var acked []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if acked = append(acked, lines.Text()); len(acked) == 200 {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	_ = cmd.Wait() // killed
	if len(acked) < 200 {
		t.Fatalf("only %d publishes before the end", len(acked))
	}
	db := open(t, store.Options{Path: path})
	if err := db.Integrity(t.Context()); err != nil {
		t.Error(err)
	}
	for _, v := range acked {
		tag, err := db.Tag(t.Context(), "acme/flood", v)
		if err != nil {
			t.Errorf("Tag(%s): %v", v, err)
			continue
		}
		if c, err := db.Claim(t.Context(), "acme/flood", v); err != nil || c.Digest != tag.Digest || c.Committed.IsZero() {
			t.Errorf("Claim(%s) = %+v, %v", v, c, err)
		}
		if _, err := db.Manifest(t.Context(), "acme/flood", tag.Digest); err != nil {
			t.Errorf("manifest of %s: %v", v, err)
		}
	}
}
