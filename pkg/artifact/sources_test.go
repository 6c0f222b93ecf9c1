package artifact_test

import (
	"bytes"
	"compress/bzip2"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/clydepm/clyde-registry/internal/toolchaintest"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// sources are archives of real releases.
var sources = []struct {
	name, top string
	layers    int // when shipped as it is, 0 where it cannot be; fmt's readme is no Markdown
}{
	{"cjson-1.7.15.tar.gz", "cJSON-1.7.15", 2},
	{"fmt-9.1.0.tar.gz", "fmt-9.1.0", 1},
	{"lz4-1.9.4.tar.gz", "lz4-1.9.4", 2},
	{"spdlog-1.10.0.tar.xz", "spdlog-1.10.0", 0},
	{"tinyxml2-9.0.0.tar.xz", "tinyxml2-9.0.0", 0},
	{"zlib-1.2.13.tar.bz2", "zlib-1.2.13", 0},
}

// plainTar is the tar in a release.
func plainTar(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r io.Reader
	switch filepath.Ext(file) {
	case ".gz":
		if r, err = gzip.NewReader(bytes.NewReader(b)); err != nil {
			t.Fatal(err)
		}
	case ".bz2":
		r = bzip2.NewReader(bytes.NewReader(b))
	case ".xz":
		toolchaintest.Programs(t, "xz")
		out, err := exec.CommandContext(t.Context(), "xz", "-dc", file).Output()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// TestSources reads what real releases ship, and packs what unpacks from them.
func TestSources(t *testing.T) {
	t.Parallel()
	for _, s := range sources {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			archive := shared(t, filepath.Join("sources", s.name))
			given := []byte(manifest)
			p, err := artifact.Pack(t.Context(), "", artifact.PackOptions{Archive: archive, Manifest: given})
			if s.layers > 0 {
				if err != nil {
					t.Fatal(err)
				}
				whole, err := os.ReadFile(archive)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(content(t, p.Layers[0]), whole) || len(p.Layers) != s.layers || len(p.Files) < 10 {
					t.Errorf("Pack(%s): %d layers, %d files; want the archive as it is in %d layers", s.name, len(p.Layers), len(p.Files), s.layers)
				}
			} else if codeOf(err) != "archive_type" {
				t.Errorf("Pack(%s) = %v; want archive_type", s.name, err)
			}
			plain := plainTar(t, archive)
			if err := artifact.List(bytes.NewReader(zstded(t, plain)), artifact.TypeSourceZstd, func(artifact.File, io.Reader) error { return nil }); err != nil {
				t.Errorf("List(%s) = %v; want none", s.name, err)
			}
			dir := filepath.Join(t.TempDir(), "d")
			files, err := artifact.Unpack(bytes.NewReader(gzipped(t, plain)), artifact.TypeSourceGzip, dir, artifact.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join(dir, s.top)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the top directory %s is still there (%v)", s.top, err)
			}
			if p != nil && !slices.Equal(files, p.Files) {
				t.Error("Unpack and Pack disagree about the files")
			}
			p = pack(t, dir, artifact.PackOptions{Manifest: given})
			again := filepath.Join(t.TempDir(), "d")
			if _, err := artifact.Unpack(bytes.NewReader(content(t, p.Layers[0])), artifact.TypeSourceGzip, again, artifact.Limits{}); err != nil {
				t.Fatal(err)
			}
			if q := pack(t, again, artifact.PackOptions{Manifest: given}); q.Descriptor.Digest != p.Descriptor.Digest {
				t.Errorf("packed again: %s; want %s", q.Descriptor.Digest, p.Descriptor.Digest)
			}
		})
	}
}

func TestPackArchive(t *testing.T) {
	t.Parallel()
	other := "name: \"@acme/other\"\nversion: \"2.0.0\"\n"
	in := func(files ...[]byte) []byte { return ended(files...) }
	for _, tt := range []struct {
		name, dir string // dir: a package.yaml in the directory, if any
		plain     []byte
		want      string // name of the package, or a code
	}{
		{"manifest inside", "", in(file("p-1/package.yaml", manifest), file("p-1/a.c", "")), "@acme/fastjson"},
		{"manifest inside, no top", "", in(file("package.yaml", manifest), file("a.c", "")), "@acme/fastjson"},
		{"manifest in .clyde", "", in(file("p/.clyde/package.yaml", manifest), file("p/package.yaml", other)), "@acme/fastjson"},
		{"short name", "", in(file("p/package.yml", manifest)), "@acme/fastjson"},
		{"two manifests", "", in(file("p/package.yml", manifest), file("p/package.yaml", manifest)), "manifest_twice"},
		{"manifest of the directory wins", other, in(file("p/package.yaml", manifest)), "@acme/other"},
		{"manifest of a subdirectory does not count", "", in(file("p/sub/package.yaml", manifest), file("p/a", "")), "manifest_missing"},
		{"no manifest", "", in(file("p/a.c", "")), "manifest_missing"},
		{"nothing", other, in(), "package_empty"},
		{"hostile", other, in(file("../a", "")), "path_traversal"},
		{"trailing", other, in(zeros(1024), file("a", "")), "trailing_data"},
		{"named readme is missing", other + "readme: a.md\n", in(file("p/a.c", "")), "readme_missing"},
		{"named readme is too large", other + "readme: a.md\n", in(file("p/a.md", strings.Repeat("x", artifact.MaxReadme+1))), "readme_missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if tt.dir != "" {
				write(t, dir, "package.yaml", tt.dir)
			}
			for mediaType, b := range map[string][]byte{artifact.TypeSourceGzip: gzipped(t, tt.plain), artifact.TypeSourceZstd: zstded(t, tt.plain)} {
				archive := filepath.Join(t.TempDir(), "any-name")
				if err := os.WriteFile(archive, b, 0o600); err != nil {
					t.Fatal(err)
				}
				p, err := artifact.Pack(t.Context(), dir, artifact.PackOptions{Archive: archive})
				got := codeOf(err)
				if err == nil {
					got = p.Name.String()
					if p.Layers[0].Descriptor.MediaType != mediaType || !bytes.Equal(content(t, p.Layers[0]), b) {
						t.Errorf("the source is %s; want the archive as it is", p.Layers[0].Descriptor.MediaType)
					}
				}
				if got != tt.want {
					t.Errorf("Pack = %q (%v); want %q", got, err, tt.want)
				}
			}
		})
	}
	for head, code := range map[string]string{"": "archive_type", "BZh9": "archive_type", "PK\x03\x04": "archive_type", "\xfd7zXZ\x00": "archive_type", "\x1f\x8b": "archive_broken"} {
		archive := filepath.Join(t.TempDir(), "a.tar.gz")
		if err := os.WriteFile(archive, []byte(head), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := artifact.Pack(t.Context(), project(t), artifact.PackOptions{Archive: archive}); codeOf(err) != code || !errors.Is(err, clyde.ErrInvalid) {
			t.Errorf("Pack of an archive that begins with %q = %v; want %s", head, err, code)
		}
	}
	if _, err := artifact.Pack(t.Context(), project(t), artifact.PackOptions{Archive: filepath.Join(t.TempDir(), "x")}); codeOf(err) != "archive_missing" {
		t.Errorf("Pack of a missing archive = %v; want archive_missing", err)
	}
	archive := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(archive, gzipped(t, in(file("p/a", ""))), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := artifact.Pack(t.Context(), filepath.Join(t.TempDir(), "x"), artifact.PackOptions{Archive: archive}); codeOf(err) != "directory_missing" {
		t.Errorf("Pack of a missing directory = %v; want directory_missing", err)
	}
}
