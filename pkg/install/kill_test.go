package install_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/generate"
	"github.com/clydepm/clyde-registry/pkg/install"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// TestMain is also the process that TestKill kills.
func TestMain(m *testing.M) {
	if host := os.Getenv("CLYDE_TEST_INSTALL"); host != "" {
		if err := installForever(host, os.Getenv("CLYDE_TEST_STORE"), os.Getenv("CLYDE_TEST_PROJECT")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// publish pushes a package of headers with files of this many bytes, and adds
// it to the lock.
func publish(t testing.TB, host string, lock *resolve.Lock, base string, files, size int) {
	t.Helper()
	dir := t.TempDir()
	write := func(path, text string) {
		t.Helper()
		at := filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("package.yaml", fmt.Sprintf("schema: 1\nname: %q\nversion: \"1.0.0\"\ntype: header-only\nlanguage: c\ndescription: For trying\nlicense: MIT\n", "@demo/"+base))
	write("LICENSE", "Do what you like.\n")
	for i := range files {
		write(fmt.Sprintf("include/%s/h%d.h", base, i), fmt.Sprintf("/* %d */ %s\n", i, strings.Repeat("x", size)))
	}
	p, err := artifact.Pack(t.Context(), dir, artifact.PackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := client(t, host).Push(t.Context(), "demo/"+base, p, []string{"1.0.0"}, nil); err != nil {
		t.Fatal(err)
	}
	lock.Packages[p.Name] = &resolve.LockedPackage{
		Version: p.Version, Registry: host, Digest: p.Descriptor.Digest.String(), Checksum: p.Layers[0].Descriptor.Digest.String(),
	}
	lock.Requires = append(lock.Requires, resolve.Edge{Name: p.Name, Kind: resolve.Runtime})
}

func client(t testing.TB, host string) *artifact.Client {
	t.Helper()
	c, err := artifact.NewClient(artifact.ClientOptions{Host: host, Plain: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newRegistry(t testing.TB) (host string) {
	t.Helper()
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// newProject returns a registry with n packages of headers, and options that
// install all of them into a project.
func newProject(t testing.TB, n, files int) (host string, o install.Options) {
	t.Helper()
	host = newRegistry(t)
	lock := &resolve.Lock{Packages: map[clyde.Name]*resolve.LockedPackage{}}
	for i := range n {
		publish(t, host, lock, fmt.Sprintf("lib%d", i), files, 2000)
	}
	return host, options(host, lock, t.TempDir())
}

func options(host string, lock *resolve.Lock, project string) install.Options {
	return install.Options{
		Project: project, Lock: lock, Platform: resolve.Platform{OS: "linux", Arch: "x86_64"}, Generate: generate.Write,
		Origin: func(_ context.Context, n clyde.Name, _ string) (install.Origin, error) {
			c, err := artifact.NewClient(artifact.ClientOptions{Host: host, Plain: true})
			return install.Origin{Client: c, Repo: n.Repo()}, err
		},
	}
}

// installForever installs what the lock file in a project says, cleans the
// store and the project, and begins again, until somebody ends it.
func installForever(host, store, project string) error {
	text, err := os.ReadFile(filepath.Join(project, "clyde.lock"))
	if err != nil {
		return err
	}
	lock, err := resolve.ParseLock(text)
	if err != nil {
		return err
	}
	for {
		s, err := install.OpenStore(store)
		if err != nil {
			return err
		}
		fmt.Println("begin")
		if _, err := install.Run(context.Background(), s, options(host, lock, project)); err != nil {
			return err
		}
		// Away at once: half a package is somebody else's folder to the next.
		gone, err := os.MkdirTemp(project, "gone-*")
		if err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(project, install.DepsFolder), filepath.Join(gone, "deps")); err != nil {
			return err
		}
		if err := os.RemoveAll(gone); err != nil {
			return err
		}
		if _, err := s.Clean(context.Background(), time.Now().Add(time.Hour), nil); err != nil {
			return err
		}
	}
}

// TestKill kills processes that share a store, at any moment: whatever they
// leave, nothing of it is believed that is not whole.
func TestKill(t *testing.T) {
	t.Parallel()
	host, o := newProject(t, 4, 40)
	if err := os.WriteFile(filepath.Join(o.Project, "clyde.lock"), o.Lock.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	store := filepath.Join(t.TempDir(), "store")
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	for range rounds {
		killOne(t, host, store, o.Project)
		s, err := install.OpenStore(store)
		if err != nil {
			t.Fatal(err)
		}
		if _, wrong, err := s.Verify(t.Context()); err != nil || len(wrong) > 0 {
			t.Fatalf("after a kill: damaged %v, %v", wrong, err)
		}
		res, err := install.Run(t.Context(), s, o)
		if err != nil {
			t.Fatalf("Run after a kill: %v", err)
		}
		if len(res.Packages) != 4 {
			t.Fatalf("%d packages; want 4", len(res.Packages))
		}
		for i := range 40 {
			if _, err := os.Stat(filepath.Join(o.Project, fmt.Sprintf("deps/@demo/lib3/include/lib3/h%d.h", i))); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// killOne starts a process that installs and kills it within the time that one
// installation takes, more or less.
func killOne(t *testing.T, host, store, project string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), "CLYDE_TEST_INSTALL="+host, "CLYDE_TEST_STORE="+store, "CLYDE_TEST_PROJECT="+project)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	<-time.After(time.Duration(rand.IntN(120)) * time.Millisecond)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
}

// TestTogether has many install into as many projects from one empty store.
func TestTogether(t *testing.T) {
	t.Parallel()
	_, o := newProject(t, 3, 10)
	store := filepath.Join(t.TempDir(), "store")
	const many = 6
	errs := make(chan error, many)
	for range many {
		own := o
		own.Project = t.TempDir()
		go func() {
			s, err := install.OpenStore(store)
			if err == nil {
				_, err = install.Run(t.Context(), s, own)
			}
			if err == nil {
				_, err = os.Stat(filepath.Join(own.Project, "deps/@demo/lib2/include/lib2/h9.h"))
			}
			errs <- err
		}()
	}
	for range many {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	s, err := install.OpenStore(store)
	if err != nil {
		t.Fatal(err)
	}
	if checked, wrong, err := s.Verify(t.Context()); err != nil || len(wrong) > 0 || checked != 3*5 {
		t.Errorf("Verify = %d, %v, %v; want 15 items, none damaged", checked, wrong, err)
	}
}

// BenchmarkNothingToDo is a second install of ten packages.
func BenchmarkNothingToDo(b *testing.B) {
	_, o := newProject(b, 10, 100)
	s, err := install.OpenStore(filepath.Join(b.TempDir(), "store"))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := install.Run(b.Context(), s, o); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if res, err := install.Run(b.Context(), s, o); err != nil || !res.Current {
			b.Fatalf("Run = %+v, %v; want nothing to do", res, err)
		}
	}
}
