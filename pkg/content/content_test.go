package content_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/content"
)

var key = digest.FromString("manifest").String()

// archive packs path, content pairs below dir; content "-> x" makes a symlink.
func archive(t *testing.T, dir string, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for i := 0; i < len(files); i += 2 {
		h := &tar.Header{Name: dir + files[i], Mode: 0o644, Typeflag: tar.TypeReg, Size: int64(len(files[i+1]))}
		if to, ok := strings.CutPrefix(files[i+1], "-> "); ok {
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, to, 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := io.WriteString(w, files[i+1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func open(t *testing.T) (*content.Store, string) {
	t.Helper()
	dir := t.TempDir()
	s, err := content.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

func derive(t *testing.T, s *content.Store, b []byte, o content.DeriveOptions) *content.Info {
	t.Helper()
	o.MediaType = artifact.TypeSourceGzip
	in, err := s.Derive(t.Context(), key, bytes.NewReader(b), o)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestDerive(t *testing.T) {
	t.Parallel()
	for _, top := range []string{"", "zlib-1.3.1/"} {
		s, dir := open(t)
		files := []string{"README.md", "# zlib\n\n[doc](doc/a.md)", "include/zlib.h", "int z;", "include/sub/x.hpp", "", "latest.h", "-> include/zlib.h"}
		if top != "" {
			files = append(files, "doc/README.md", "other", "src/inner.h", "")
		}
		b := archive(t, top, files...)
		got := derive(t, s, b, content.DeriveOptions{BaseURL: "/packages/acme/zlib/1.3.1/files/"})
		if want := []string{"sub/x.hpp", "zlib.h"}; !slices.Equal(got.Headers, want) {
			t.Errorf("top %q: Headers = %q; want %q", top, got.Headers, want)
		}
		if got.ReadmePath != "README.md" || !strings.HasPrefix(got.Readme, "# zlib") || !strings.Contains(got.ReadmeHTML, `href="/packages/acme/zlib/1.3.1/files/doc/a.md"`) {
			t.Errorf("top %q: readme %q %q %q", top, got.ReadmePath, got.Readme, got.ReadmeHTML)
		}
		// What was stored is what was returned, also to a process that comes later.
		later, err := content.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		read, err := later.Info(t.Context(), key)
		if diff := cmp.Diff(got, read); err != nil || diff != "" {
			t.Errorf("top %q: Info: %v, (-derived +read)\n%s", top, err, diff)
		}
		for name, want := range map[string]string{"include/zlib.h": "int z;", "latest.h": "int z;", "include/sub/x.hpp": ""} {
			r, f, err := later.OpenFile(t.Context(), key, name)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r)
			if err := errors.Join(err, r.Close()); err != nil || string(b) != want || f.Size != int64(len(want)) {
				t.Errorf("OpenFile(%q) = %q, size %d, %v; want %q", name, b, f.Size, err, want)
			}
		}
		for _, name := range []string{"", "include", "../x", "/etc/passwd", "zlib-1.3.1/README.md", "README.md/"} {
			if _, _, err := later.OpenFile(t.Context(), key, name); !errors.Is(err, clyde.ErrNotFound) {
				t.Errorf("OpenFile(%q): %v; want ErrNotFound", name, err)
			}
		}
	}
}

func TestDeriveReadme(t *testing.T) {
	t.Parallel()
	b := archive(t, "", "README.txt", "<plain>", "docs/intro.md", "[up](../x) [root](/y)", "readme.md", "lower", "a.c", "")
	for _, tt := range []struct {
		name       string
		o          content.DeriveOptions
		path, html string
	}{
		{"looked_for", content.DeriveOptions{}, "readme.md", "<p>lower</p>"},
		{"named", content.DeriveOptions{Readme: "docs/intro.md", BaseURL: "/packages/a/b/1/files/"}, "docs/intro.md", `href="/packages/a/b/1/files/x"`},
		{"named_plain", content.DeriveOptions{Readme: "./README.txt"}, "README.txt", "<pre>&lt;plain&gt;</pre>"},
		{"named_absent", content.DeriveOptions{Readme: "nowhere.md"}, "readme.md", "lower"},
		{"layer", content.DeriveOptions{ReadmeLayer: []byte("from *layer*")}, "readme.md", "<em>layer</em>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, _ := open(t)
			got := derive(t, s, b, tt.o)
			if got.ReadmePath != tt.path || !strings.Contains(got.ReadmeHTML, tt.html) {
				t.Errorf("Derive: readme %q, %q; want %q, %q", got.ReadmePath, got.ReadmeHTML, tt.path, tt.html)
			}
		})
	}
}

func TestDeriveAgainGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	b := archive(t, "x/", "README.md", "# a", "include/a.h", strings.Repeat("int a;\n", 50_000), "src/a.c", "x")
	var first []byte
	for i := range 3 {
		s, dir := open(t)
		derive(t, s, b, content.DeriveOptions{})
		derive(t, s, b, content.DeriveOptions{})
		packs, err := filepath.Glob(filepath.Join(dir, "sha256", "*", "*.pack"))
		if err != nil || len(packs) != 1 {
			t.Fatalf("packs %q, %v; want one", packs, err)
		}
		got, err := os.ReadFile(packs[0])
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = got
		}
		if !bytes.Equal(got, first) {
			t.Errorf("pack of run %d differs from the first", i)
		}
	}
}

func TestDeriveRefusedLeavesNothing(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	o := content.DeriveOptions{MediaType: artifact.TypeSourceGzip}
	good := archive(t, "", "a.c", "x")
	if _, err := s.Derive(t.Context(), key, bytes.NewReader(archive(t, "", "../a", "x")), o); err == nil {
		t.Error("Derive(traversal) succeeded")
	}
	if _, err := s.Derive(t.Context(), key, iotest.TimeoutReader(iotest.OneByteReader(bytes.NewReader(good))), o); err == nil {
		t.Error("Derive(cut off) succeeded")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Derive(ctx, key, bytes.NewReader(good), o); !errors.Is(err, context.Canceled) {
		t.Errorf("Derive(cancelled): %v", err)
	}
	if _, err := s.Derive(t.Context(), "../../x", bytes.NewReader(good), o); !errors.Is(err, clyde.ErrInvalid) {
		t.Errorf("Derive(bad key): %v; want ErrInvalid", err)
	}
	if _, err := s.Info(t.Context(), key); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("Info: %v; want ErrNotFound", err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "tmp")); err != nil || len(left) != 0 {
		t.Errorf("tmp holds %v, %v", left, err)
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	derive(t, s, archive(t, "", "a.c", "x"), content.DeriveOptions{})
	for range 2 {
		if err := s.Remove(key); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Info(t.Context(), key); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("Info after Remove: %v; want ErrNotFound", err)
	}
}

// TestDamaged flips, cuts and empties the pack at every place: it reads as
// absent, or as what it was, or the file fails to read; never as other bytes.
func TestDamaged(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	want := strings.Repeat("int a;", 20)
	derive(t, s, archive(t, "", "a.c", want), content.DeriveOptions{})
	packs, err := filepath.Glob(filepath.Join(dir, "sha256", "*", "*.pack"))
	if err != nil || len(packs) != 1 {
		t.Fatal(packs, err)
	}
	whole, err := os.ReadFile(packs[0])
	if err != nil {
		t.Fatal(err)
	}
	read := func(what string, b []byte) {
		if err := os.WriteFile(packs[0], b, 0o600); err != nil {
			t.Fatal(err)
		}
		fresh, err := content.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		r, _, err := fresh.OpenFile(t.Context(), key, "a.c")
		if err != nil {
			if !errors.Is(err, clyde.ErrNotFound) {
				t.Errorf("%s: %v; want ErrNotFound", what, err)
			}
			return
		}
		got, err := io.ReadAll(r)
		_ = r.Close()
		if err == nil && string(got) != want {
			t.Errorf("%s: read %q; want %q or an error", what, got, want)
		}
	}
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 0x41
		read(fmt.Sprintf("byte %d flipped", i), b)
		read(fmt.Sprintf("cut at %d", i), whole[:i])
	}
}

func TestReader(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	var body strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&body, "line %d\n", i)
	}
	want := body.String()
	derive(t, s, archive(t, "", "big.txt", want), content.DeriveOptions{})
	r, _, err := s.OpenFile(t.Context(), key, "big.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if err := iotest.TestReader(struct{ io.ReadSeeker }{r}, []byte(want)); err != nil {
		t.Error(err)
	}
	for _, at := range []int64{0, 1 << 20, 17, int64(len(want)) - 1, int64(len(want)), 5} {
		if _, err := r.Seek(at, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 10)
		n, err := io.ReadFull(r, got)
		if rest := want[at:]; string(got[:n]) != rest[:min(10, len(rest))] {
			t.Errorf("at %d: %q, %v", at, got[:n], err)
		}
	}
	if _, err := r.Seek(-1, io.SeekStart); err == nil {
		t.Error("Seek(-1) succeeded")
	}
}
