package downloads

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		ua   string
		ci   bool
		want Source
	}{
		{ua: "clyde/1.2.0 (linux; amd64)", want: Source{"people", "clyde", "linux-x86_64"}},
		{ua: "clyde/1.2.0 (darwin; arm64; ci)", want: Source{"ci", "clyde", "macos-aarch64"}},
		{ua: "clyde/1.2.0 (windows; amd64)", ci: true, want: Source{"ci", "clyde", "windows-x86_64"}},
		{ua: "oras/1.2.0", want: Source{"people", "oras", "unknown"}},
		{ua: "docker/24.0.5 go/go1.20 git-commit/a61e2b4 kernel/6.1 os/linux arch/amd64 UpstreamClient(Docker-Client/24.0.5 \\(linux\\))", want: Source{"people", "docker", "linux-x86_64"}},
		{ua: "containerd/1.7.2", want: Source{"people", "containerd", "unknown"}},
		{ua: "crane/0.20.2 go-containerregistry/0.20.2", want: Source{"people", "crane", "unknown"}},
		{ua: "cosign/v2.4.1 (linux; arm64) go-containerregistry/v0.20", want: Source{"people", "cosign", "linux-aarch64"}},
		{ua: "curl/8.5.0", want: Source{"people", "curl", "unknown"}},
		{ua: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)", want: Source{"people", "browser", "macos"}},
		{ua: "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", want: Source{"robot", "browser", "unknown"}},
		{ua: "trivy/0.50", want: Source{"robot", "other", "unknown"}},
		{ua: "", want: Source{"people", "unknown", "unknown"}},
		{ua: "anything at all", want: Source{"people", "other", "unknown"}},
		{ua: strings.Repeat("x", 1<<20) + " bot", want: Source{"people", "other", "unknown"}},
	} {
		if got := Classify(tt.ua, tt.ci); got != tt.want {
			t.Errorf("Classify(%.80q, %v) = %+v; want %+v", tt.ua, tt.ci, got, tt.want)
		}
	}
}

// However it is spelled, a User-Agent becomes words of closed lists: the table
// cannot be made to grow, and nothing of the text is kept.
func FuzzClassify(f *testing.F) {
	f.Add("docker/24.0.5 os/linux arch/amd64")
	f.Fuzz(func(t *testing.T, ua string) {
		s := Classify(ua, false)
		if s.Kind != store.People && s.Kind != store.CI && s.Kind != store.Robot {
			t.Errorf("kind %q", s.Kind)
		}
		known := s.Client == unknown || s.Client == other
		for _, c := range clients {
			known = known || s.Client == c
		}
		system, machine, _ := strings.Cut(s.Platform, "-")
		for _, o := range systems {
			for _, m := range machinesOf {
				known = known && true
				if system == o && (machine == m || machine == "") {
					system = unknown
				}
			}
		}
		if !known || system != unknown {
			t.Errorf("Classify(%q) = %+v: not of the lists", ua, s)
		}
	})
}

func TestOnce(t *testing.T) {
	t.Parallel()
	o := once{max: 3}
	r := repetition{"192.0.2.1", "acme/zlib", "sha256:1", Source{Client: "oras"}}
	again := r
	again.address = "192.0.2.2"
	for i, tt := range []struct {
		day  string
		r    repetition
		want bool
	}{
		{"1", r, true}, {"1", r, false}, {"1", again, true}, {"1", again, false},
		{"2", r, true}, {"2", again, true}, {"2", r, false},
		{"2", repetition{repo: "x"}, true}, // full
		{"2", r, true},                     // so it begins anew
	} {
		if got := o.first(tt.day, tt.r); got != tt.want {
			t.Errorf("%d: first(%s, %+v) = %v; want %v", i, tt.day, tt.r, got, tt.want)
		}
	}
}

const zlib, repo = "sha256:aa", "acme/zlib"

// openStore opens a database in which repo has one release.
func openStore(t testing.TB, path string) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), store.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	name := clyde.Name{Namespace: "acme", Base: "zlib"}
	err = db.SaveRelease(context.Background(), store.Package{Repo: repo, Name: name, Latest: "1.0.0"},
		store.Release{Repo: repo, VersionKey: "1.0.0", Version: "1.0.0", Digest: zlib, State: "visible", Signed: "unsigned"}, nil, store.Change{})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// breaks is a database whose answer is lost, before or after it did its work.
type breaks struct {
	*store.DB
	before, after int // calls of AddCounts that fail
}

var errBroken = errors.New("the connection broke")

func (b *breaks) AddCounts(ctx context.Context, counter string, n int64, counts []store.Count) error {
	if b.before > 0 {
		b.before--
		return errBroken
	}
	err := b.DB.AddCounts(ctx, counter, n, counts)
	if b.after > 0 {
		b.after--
		return errors.Join(err, errBroken)
	}
	return err
}

// Whenever the process dies, whatever the database did, each pull counts once.
func TestExactlyOnce(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	quiet := slog.New(slog.DiscardHandler)
	now := func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }
	dir := t.TempDir()
	db := openStore(t, filepath.Join(dir, "clyde.db"))
	want := int64(0)
	pull := func(c *Counter, n int) {
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() { c.Pulled(repo, zlib, fmt.Sprint("a", i%4), Source{"people", "clyde", "linux"}) })
			wg.Go(func() { c.Pulled(repo, "sha256:signature", "a", Source{"people", "cosign", "linux"}) })
		}
		wg.Wait()
		want += int64(n)
	}
	for round, b := range []*breaks{{db, 0, 0}, {db, 1, 0}, {db, 0, 1}, {db, 3, 0}, {db, 1, 2}, {db, 0, 3}} {
		c, err := Open(ctx, filepath.Join(dir, "pulls"), "", b, quiet, now)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			pull(c, 10)
			c.flush(ctx)
		}
		pull(c, 5)
		if round%2 == 0 {
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		} // else it dies, and leaves its files
	}
	c, err := Open(ctx, filepath.Join(dir, "pulls"), "", db, quiet, now)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	c.Counted = func(_ context.Context, repo string) error {
		told = append(told, repo)
		return nil
	}
	if err := errors.Join(c.Close(), c.tell(ctx), c.tell(ctx)); err != nil || !slices.Equal(told, []string{repo}) {
		t.Fatalf("told of %v, %v; want %s once", told, err, repo)
	}
	got, err := db.Totals(ctx, repo, "")
	if err != nil || got.Raw != want || got.People != 6*4 {
		t.Errorf("Totals = %+v, %v; want raw %d, and 4 addresses in each of 6 processes", got, err, want)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "pulls")); err != nil || len(left) != 0 {
		t.Errorf("%v, %v are left", left, err)
	}
}

// A line that was cut off in the middle counts nothing and spoils nothing.
func TestTornLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := openStore(t, filepath.Join(dir, "clyde.db"))
	line := strings.Join([]string{repo, zlib, "2026-01-02", "people", "clyde", "linux", "1"}, "\t")
	if err := os.WriteFile(batchPath(dir, 7), []byte(line+"\nnonsense\n"+line+"\n"+line[:20]), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Open(t.Context(), dir, "", db, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := db.Totals(t.Context(), repo, "1.0.0"); err != nil || got != (store.Totals{People: 2, Raw: 2}) {
		t.Errorf("Totals = %+v, %v; want 2", got, err)
	}
}

const childDir = "CLYDE_TEST_PULLS"

// A real process, killed while it counts.
func TestKilled(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv(childDir); dir != "" {
		child(t, dir)
		return
	}
	dir := t.TempDir()
	answered := int64(0)
	for kill := range 4 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); {
			if lines.Text() != "pulled" {
				continue
			}
			answered++
			if n++; n == 300*(kill+1) {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait() // killed
	}
	if answered < 300*(1+2+3+4) {
		t.Fatalf("%d pulls before the deaths", answered)
	}
	db := openStore(t, filepath.Join(dir, "clyde.db"))
	c, err := Open(t.Context(), filepath.Join(dir, "pulls"), "", db, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	// The one that was being answered when it died is counted or not.
	if got, err := db.Totals(t.Context(), repo, ""); err != nil || got.Raw < answered || got.Raw > answered+4 {
		t.Errorf("Totals = %+v, %v; want %d and at most 4 more", got, err, answered)
	}
}

func child(t *testing.T, dir string) {
	db := openStore(t, filepath.Join(dir, "clyde.db"))
	c, err := Open(t.Context(), filepath.Join(dir, "pulls"), "", db, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100_000 {
		c.Pulled(repo, zlib, "a", Source{"people", "clyde", "linux"})
		fmt.Println("pulled")
		if i%50 == 49 {
			go c.flush(t.Context())
		}
	}
}
