package artifact_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func TestUnpack(t *testing.T) {
	t.Parallel()
	reg := func(p string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: p, Mode: 0o644} }
	sym := func(p, to string) tar.Header { return tar.Header{Typeflag: tar.TypeSymlink, Name: p, Linkname: to} }
	for code, hs := range map[string][]tar.Header{
		"":                {reg("p-1/a.c"), reg("p-1/src/b.c"), sym("p-1/l", "src/b.c")},
		"path_traversal":  {reg("../a")},
		"path_absolute":   {reg("/a")},
		"path_twice":      {reg("a"), reg("a")},
		"path_collision":  {reg("a/x"), reg("A/y")},
		"path_under_file": {reg("a"), reg("a/b")},
		"link_outside":    {reg("p/a"), sym("p/l", "../x")},
		"entry_type":      {{Typeflag: tar.TypeFifo, Name: "f"}},
	} {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		w := tar.NewWriter(z)
		for _, h := range hs {
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
		}
		w.Close()
		z.Close()
		parent := t.TempDir()
		_, err := artifact.Unpack(&b, artifact.TypeSourceGzip, filepath.Join(parent, "d"), artifact.Limits{})
		got := ""
		if e := clyde.AsError(err); e != nil {
			got = e.Code
		}
		left, _ := os.ReadDir(parent)
		if got != code || (code == "") != (err == nil) || (len(left) == 0) != (code != "") {
			t.Errorf("Unpack = %v (code %q), %d entries left; want code %q", err, got, len(left), code)
		}
	}
}
