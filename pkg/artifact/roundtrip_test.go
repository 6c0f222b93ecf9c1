package artifact_test

import (
	"bytes"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/clydepm/clyde-registry/pkg/artifact"
)

// TestRoundTrip packs any tree, unpacks it, and has the same tree; packed
// again it has the same digest.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no executable bit")
	}
	// No two are one name on any system.
	element := rapid.SampledFrom([]string{"a", "b.c", "src", "include", "é", "名前", "x y", ".hidden", "-", "#", "a+b", "~", "[x]", strings.Repeat("n", 60)})
	place := rapid.Custom(func(t *rapid.T) string {
		return path.Join(rapid.SliceOfN(element, 1, 3).Draw(t, "elements")...)
	})
	root := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(root, "")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
		write(t, in, "package.yaml", manifest)
		for _, p := range rapid.SliceOfNDistinct(place, 0, 12, rapid.ID).Draw(rt, "paths") {
			full := filepath.Join(in, filepath.FromSlash(p))
			if _, err := os.Lstat(full); err == nil {
				continue // a directory of an earlier path
			}
			if os.MkdirAll(filepath.Dir(full), 0o755) != nil {
				continue // an earlier path is a file here
			}
			var err error
			switch rapid.IntRange(0, 4).Draw(rt, "kind") {
			case 0: // to anywhere below the root
				up := strings.Repeat("../", strings.Count(p, "/"))
				target := up + "nowhere/" + element.Draw(rt, "target")
				err = os.Symlink(target, full)
			case 1:
				err = os.WriteFile(full, rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(rt, "script"), 0o755)
			default:
				err = os.WriteFile(full, rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(rt, "text"), 0o644)
			}
			if err != nil {
				rt.Fatal(err)
			}
		}
		o := artifact.PackOptions{Zstd: rapid.Bool().Draw(rt, "zstd")}
		p, err := artifact.Pack(t.Context(), in, o)
		if err != nil {
			rt.Fatalf("Pack: %v", err)
		}
		defer p.Close()
		files, err := artifact.Unpack(bytes.NewReader(content(t, p.Layers[0])), p.Layers[0].Descriptor.MediaType, out, artifact.Limits{})
		if err != nil {
			rt.Fatalf("Unpack: %v", err)
		}
		if !slices.Equal(files, p.Files) {
			rt.Fatalf("Unpack = %v; Pack had %v", files, p.Files)
		}
		// Directories that hold nothing are not packed.
		want := tree(t, in)
		if got := tree(t, out); got != want {
			rt.Fatalf("unpacked\n%s; want\n%s", got, want)
		}
		q, err := artifact.Pack(t.Context(), out, o)
		if err != nil {
			rt.Fatalf("Pack again: %v", err)
		}
		defer q.Close()
		if q.Descriptor.Digest != p.Descriptor.Digest {
			rt.Fatalf("packed again: %s; want %s", q.Descriptor.Digest, p.Descriptor.Digest)
		}
	})
}
