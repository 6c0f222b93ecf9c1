package server

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/config"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/index"
)

// publish publishes one version of @acme/lib0…lib4 and returns repository and
// tag. The source is small enough for the storage's journal, or not.
func publish(ctx context.Context, p *Parts, i int) (repo, tag string, err error) {
	name, version := fmt.Sprintf("@acme/lib%d", i%5), fmt.Sprintf("1.0.%d", i)
	content := []byte(fmt.Sprint("int f", i, ";"))
	if i%7 == 0 {
		content = bytes.Repeat([]byte{byte(i), 3, 1}, 1<<18)
	}
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.NoCompression)
	tw := tar.NewWriter(z)
	err = errors.Join(
		tw.WriteHeader(&tar.Header{Name: "src/f.c", Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg}),
		func() error { _, err := tw.Write(content); return err }(), tw.Close(), z.Close())
	if err != nil {
		return "", "", err
	}
	yaml := fmt.Sprintf("name: %q\nversion: %q\ndescription: A library.\nlicense: MIT\n", name, version)
	n, v, err := p.Ingest.Publish(ctx, p.Registry, System, []byte(yaml), &b, artifact.TypeSourceGzip)
	return n.Repo(), v, err
}

// whole reads a version and everything it refers to.
func whole(ctx context.Context, p *Parts, repo, tag string) error {
	d, err := p.Registry.Resolve(ctx, repo, tag)
	if err != nil {
		return err
	}
	b, _, err := p.Registry.Manifest(ctx, repo, d.Digest)
	if err != nil {
		return err
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return err
	}
	if digest.FromBytes(b) != d.Digest {
		return errors.New("the manifest is damaged")
	}
	for _, l := range append(m.Layers, m.Config) {
		r, err := p.Registry.Blob(ctx, repo, l)
		if err != nil {
			return fmt.Errorf("%s: %w", l.Digest, err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			return errors.Join(err, r.Close())
		}
		if err := r.Close(); err != nil {
			return err
		}
	}
	return nil
}

func openParts(t *testing.T, dir string) *Parts {
	t.Helper()
	c := config.Default()
	c.Data.Dir = dir
	p, err := Open(t.Context(), c, "http://localhost:8080", Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// A backup taken while pushes run holds every push that was acknowledged
// before it began, whole, and nothing of later ones by halves.
func TestBackupWhilePushesRun(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := openParts(t, filepath.Join(t.TempDir(), "data"))
	const least, pushers = 30, 4
	var (
		mu    sync.Mutex
		acked [][2]string
		next  int
		wg    sync.WaitGroup
	)
	enough, stop := make(chan struct{}), make(chan struct{})
	for range pushers {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				repo, tag, err := publish(ctx, p, i)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				acked = append(acked, [2]string{repo, tag})
				if len(acked) == least {
					close(enough)
				}
				mu.Unlock()
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-enough:
	case <-done:
		t.Fatal("the pushers gave up")
	}
	mu.Lock()
	before := append([][2]string(nil), acked...)
	mu.Unlock()
	file := filepath.Join(t.TempDir(), "backup.tar")
	info, err := p.Backup(ctx, file)
	close(stop)
	<-done
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(file); err != nil || info.Files < 3*least || st.Mode().Perm() != 0o600 {
		t.Errorf("backup: %+v, %v, %v", info, st.Mode(), err)
	}
	if _, err := p.Backup(ctx, file); !errors.Is(err, clyde.ErrConflict) {
		t.Errorf("a backup overwrites another: %v", err)
	}

	dir := filepath.Join(t.TempDir(), "restored")
	if err := Restore(ctx, file, dir); err != nil {
		t.Fatal(err)
	}
	if err := Restore(ctx, file, dir); !errors.Is(err, clyde.ErrConflict) {
		t.Errorf("a restore overwrites what is there: %v", err)
	}
	r := openParts(t, dir)
	if err := r.DB.Integrity(ctx); err != nil {
		t.Error(err)
	}
	for _, a := range before {
		if err := whole(ctx, r, a[0], a[1]); err != nil {
			t.Errorf("%s:%s was acknowledged before the backup began: %v", a[0], a[1], err)
		}
	}
	tags := 0
	for i := range 5 {
		repo := fmt.Sprintf("acme/lib%d", i)
		ts, err := r.Registry.Tags(ctx, repo, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, tag := range ts {
			tags++
			if err := whole(ctx, r, repo, tag); err != nil {
				t.Errorf("%s:%s is in the backup by halves: %v", repo, tag, err)
			}
		}
	}
	if tags < len(before) {
		t.Errorf("%d versions; %d were acknowledged", tags, len(before))
	}
	// What is derived comes back, and the restored registry takes pushes.
	if err := r.Ingest.RebuildIndex(ctx); err != nil {
		t.Fatal(err)
	}
	if rep, err := r.Ingest.Reconcile(ctx); err != nil || rep.Failed != 0 {
		t.Errorf("%+v, %v", rep, err)
	}
	if res, err := r.Catalog.Search(ctx, System, index.Query{Text: "lib1"}); err != nil || res.Total == 0 {
		t.Errorf("search: %+v, %v", res, err)
	}
	name := clyde.Name{Namespace: "acme", Base: "lib1"}
	if fs, err := r.Catalog.Files(ctx, System, catalog.Ref{Name: name}); err != nil || len(fs) != 1 {
		t.Errorf("files: %v, %v", fs, err)
	}
	if _, _, err := publish(ctx, r, 100_000); err != nil {
		t.Errorf("a push to the restored registry: %v", err)
	}
	if err := whole(ctx, p, before[0][0], before[0][1]); err != nil {
		t.Errorf("the backup hurt what it copied: %v", err)
	}
}

func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := openParts(t, filepath.Join(t.TempDir(), "data"))
	if _, err := p.Backup(ctx, ""); !errors.Is(err, clyde.ErrInvalid) {
		t.Errorf("a backup to nowhere: %v", err)
	}
	good := filepath.Join(t.TempDir(), "good.tar")
	if _, err := p.Backup(ctx, good); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	tarOf := func(names ...string) []byte {
		var b bytes.Buffer
		tw := tar.NewWriter(&b)
		for _, n := range names {
			if err := tw.WriteHeader(&tar.Header{Name: n, Mode: 0o600, Size: 1, Typeflag: tar.TypeReg}); err != nil {
				t.Fatal(err)
			}
			if _, err := tw.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		if err := tw.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for name, in := range map[string][]byte{
		"empty": nil, "no tar": []byte("hello"), "cut off": b[:len(b)/2], "no database": tarOf("secret"),
		"a stranger's file": tarOf("etc/passwd"), "a path that leads out": tarOf("registry/../../x"),
		"a database that is none": tarOf("clyde.db", "secret"),
	} {
		file, dir := filepath.Join(t.TempDir(), "in.tar"), filepath.Join(t.TempDir(), "a", "out")
		if err := os.WriteFile(file, in, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Restore(ctx, file, dir); err == nil {
			t.Errorf("%s was restored", name)
		}
		if _, err := os.Stat(filepath.Join(dir, "clyde.db")); err == nil {
			t.Errorf("%s left a database", name)
		}
		if es, err := os.ReadDir(filepath.Dir(dir)); err == nil && len(es) > 1 {
			t.Errorf("%s wrote beside the directory: %v", name, es)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Restore(ctx, good, dir); !errors.Is(err, clyde.ErrConflict) {
		t.Errorf("into a directory that is not empty: %v", err)
	}
	if err := Restore(ctx, good, filepath.Join(t.TempDir(), "new")); err != nil {
		t.Errorf("a good one into a new directory: %v", err)
	}
}
