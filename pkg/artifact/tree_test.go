package artifact

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// newTree is what Pack reads dir with, for at most limit entries.
func newTree(t *testing.T, dir string, limit int) *tree {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	c, err := newChooser(root.FS(), &clyde.Manifest{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &tree{root: root, top: "p-1", chooser: c, names: newNames(limit)}
}

var past = time.Unix(1_000_000_000, 0)

// TestTreeChanges changes a file between listing and reading.
func TestTreeChanges(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(p string) error{
		"":        func(string) error { return nil },
		"grown":   func(p string) error { return os.WriteFile(p, []byte("longer text"), 0o600) },
		"shrunk":  func(p string) error { return os.Truncate(p, 1) },
		"gone":    os.Remove,
		"touched": func(p string) error { return os.Chtimes(p, past, past) },
		"replaced": func(p string) error {
			return errors.Join(os.WriteFile(p+"2", []byte("text"), 0o600), os.Rename(p+"2", p))
		},
		"now a link": func(p string) error {
			return errors.Join(os.WriteFile(p+"2", []byte("text"), 0o600), os.Remove(p), os.Symlink("a2", p))
		},
		"now a directory": func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o700)) },
	} {
		dir := t.TempDir()
		p := filepath.Join(dir, "a")
		if err := os.WriteFile(p, []byte("text"), 0o600); err != nil {
			t.Fatal(err)
		}
		tr := newTree(t, dir, 10)
		if err := tr.read(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := change(p); err != nil {
			t.Fatal(err)
		}
		s := newSpool()
		_, err := tr.write(t.Context(), s, PackOptions{})
		if name == "" {
			if err != nil {
				t.Errorf("write = %v; want none", err)
			}
			continue
		}
		if e := clyde.AsError(err); e == nil || e.Code != "file_changed" || !errors.Is(err, clyde.ErrConflict) {
			t.Errorf("%s: write = %v; want file_changed", name, err)
		}
	}
}

func TestTreeLimits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, p := range []string{"a", "b/c"} {
		p = filepath.Join(dir, filepath.FromSlash(p))
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o700), os.WriteFile(p, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	// Two files, their directory and the top.
	if err := newTree(t, dir, 4).read(t.Context()); err != nil {
		t.Errorf("read at the limit = %v; want none", err)
	}
	for _, limit := range []int{3, 1} {
		err := newTree(t, dir, limit).read(t.Context())
		if e := clyde.AsError(err); e == nil || e.Code != "too_many_entries" || !errors.Is(err, clyde.ErrTooLarge) {
			t.Errorf("read above the limit = %v; want too_many_entries", err)
		}
	}
	f, err := os.Create(filepath.Join(dir, "large"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, n := range []int64{MaxUnpacked, MaxUnpacked + 1} { // a hole: it takes no space
		if err := f.Truncate(n); err != nil {
			t.Skipf("no files of %d bytes here: %v", n, err)
		}
		err := newTree(t, dir, 10).read(t.Context())
		if (n > MaxUnpacked) != errors.Is(err, clyde.ErrTooLarge) {
			t.Errorf("read of %d bytes = %v; the limit is %d", n, err, int64(MaxUnpacked))
		}
	}
}

// TestTreeRatio packs what Unpack would refuse as a bomb.
func TestTreeRatio(t *testing.T) {
	t.Parallel()
	for _, z := range []bool{false, true} {
		for n, refused := range map[int64]bool{RatioFloor - 1<<20: false, RatioFloor + 1<<20: true} {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "package.yaml"), []byte("name: \"@acme/zero\"\nversion: \"1.0.0\"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "zeros"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(filepath.Join(dir, "zeros"), n); err != nil {
				t.Fatal(err)
			}
			p, err := Pack(t.Context(), dir, PackOptions{Zstd: z})
			if e := clyde.AsError(err); refused != (e != nil && e.Code == "ratio_too_large") || !refused && err != nil {
				t.Errorf("Pack of %d zeros (zstd %v) = %v; refused: want %v", n, z, err, refused)
			}
			if p != nil {
				p.Close()
			}
		}
	}
}

// TestSpool keeps a blob in memory up to its bound, and in a file above it.
func TestSpool(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("0123456789", 10)
	for _, at := range []int64{99, 100} {
		s := newSpool()
		s.at = at
		for part := range strings.SplitAfterSeq(text, "5") {
			if _, err := io.WriteString(s, part); err != nil {
				t.Fatal(err)
			}
		}
		b, err := s.blob(TypeSourceGzip)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			r, err := b.Open()
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			r.Close()
			if err != nil || string(got) != text || b.Descriptor.Digest.Algorithm().FromBytes(got) != b.Descriptor.Digest || int64(len(got)) != b.Descriptor.Size {
				t.Errorf("spool at %d holds %q (%v), %v", at, got, err, b.Descriptor)
			}
		}
		file := s.file
		if err := s.remove(); err != nil {
			t.Errorf("remove = %v", err)
		}
		if file != nil {
			if _, err := os.Stat(file.Name()); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the file is still there (%v)", err)
			}
		}
		if (file != nil) != (b.Descriptor.Size > at) {
			t.Errorf("spool at %d keeps %d bytes in a file: %v", at, b.Descriptor.Size, file != nil)
		}
	}
}

// TestCompressors gives them one text in different pieces: where a file system
// ends a read must not count.
func TestCompressors(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	rnd := rand.New(rand.NewPCG(1, 2))
	for text.Len() < 600<<10 {
		text.WriteString(strings.Repeat("abc"[rnd.IntN(3):], rnd.IntN(5)))
		text.WriteByte(byte(rnd.IntN(256)))
	}
	for _, z := range []bool{false, true} {
		var want []byte
		for i := range 5 {
			var out bytes.Buffer
			w, _, err := compress(&out, z)
			if err != nil {
				t.Fatal(err)
			}
			for rest := text.Bytes(); len(rest) > 0; {
				n := len(rest)
				if i > 0 {
					n = min(n, 1+rnd.IntN(50_000))
				}
				if _, err := w.Write(rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if want == nil {
				want = out.Bytes()
			} else if !bytes.Equal(want, out.Bytes()) {
				t.Errorf("compress(zstd %v) depends on the pieces that it is given", z)
			}
		}
	}
}

func TestCheckWindows(t *testing.T) {
	t.Parallel()
	for _, p := range []string{"con", "src/AUX.c", "nul.tar.gz", "COM1", "lpt9.txt", "com¹", "a:b", "a*", "what?", "a|b", "<a>", `"a"`, "end.", "end ", "d./x", "NUL .c", "conin$"} {
		if checkWindows(p) == nil {
			t.Errorf("checkWindows(%q) = nil; want path_windows", p)
		}
	}
	for _, p := range []string{"console.c", "src/auxiliary", "com", "com10", "lpt", "a.b", ".hidden", "null"} {
		if err := checkWindows(p); err != nil {
			t.Errorf("checkWindows(%q) = %v; want nil", p, err)
		}
	}
}

func TestOnWindows(t *testing.T) {
	t.Parallel()
	for supports, want := range map[string]bool{
		"": true, "windows": true, "linux | macos | (windows & x86_64)": true, "linux | windows": true, "!uwp": true, "windows & !uwp": true, "!x86": true,
		"linux": false, "!windows": false, "linux | macos": false, "posix & !macos": false, "msvc": true, "windows & x64": true,
	} {
		if got := onWindows(supports); got != want {
			t.Errorf("onWindows(%q) = %v; want %v", supports, got, want)
		}
	}
}
