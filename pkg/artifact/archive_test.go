package artifact_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// header is one tar block, made by hand: archive/tar does not write what these
// tests need.
func header(kind byte, name, link string, size int64) []byte {
	b := make([]byte, 512)
	copy(b[:100], name)
	copy(b[100:], "0000644\x000000000\x000000000\x00")
	copy(b[124:], fmt.Sprintf("%011o\x00%011o\x00", size, 0))
	b[156] = kind
	copy(b[157:257], link)
	copy(b[257:], "ustar\x0000")
	copy(b[148:], "        ")
	var sum int
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

// padded is content, filled up to whole blocks.
func padded(s string) []byte {
	return append([]byte(s), make([]byte, -len(s)&511)...)
}

func file(name, body string) []byte {
	return append(header('0', name, "", int64(len(body))), padded(body)...)
}

func folder(name string) []byte { return header('5', name, "", 0) }

func symlink(name, to string) []byte { return header('2', name, to, 0) }

// pax is an extended header ('x', or 'g' for a global one) with keys and values.
func pax(kind byte, kv ...string) []byte {
	var s string
	for i := 0; i < len(kv); i += 2 {
		rest := " " + kv[i] + "=" + kv[i+1] + "\n"
		n := len(rest) + 1
		for n != len(fmt.Sprint(n))+len(rest) {
			n++
		}
		s += fmt.Sprint(n) + rest
	}
	return append(header(kind, "pax", "", int64(len(s))), padded(s)...)
}

// long is GNU's header for names that are too long for the proper one.
func long(kind byte, name string) []byte {
	name += "\x00"
	return append(header(kind, "././@LongLink", "", int64(len(name))), padded(name)...)
}

func zeros(n int) []byte { return make([]byte, n) }

// ended is a tar of parts with its end marker.
func ended(parts ...[]byte) []byte { return append(bytes.Join(parts, nil), zeros(1024)...) }

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zstded(t testing.TB, b []byte, o ...zstd.EOption) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, append([]zstd.EOption{zstd.WithEncoderConcurrency(1)}, o...)...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// codeOf is the code of a *clyde.Error, "" for nil, the text of other errors.
func codeOf(err error) string {
	switch e := clyde.AsError(err); {
	case e != nil:
		return e.Code
	case err != nil:
		return err.Error()
	}
	return ""
}

// refused unpacks to a directory that is not there, and to one that is empty,
// and lists: each must fail with code, and leave no trace. An empty code wants
// success.
func refused(t *testing.T, archive []byte, mediaType string, lim artifact.Limits, code string) {
	t.Helper()
	parent := t.TempDir()
	empty := t.TempDir()
	for _, dir := range []string{filepath.Join(parent, "a", "b"), empty} {
		files, err := artifact.Unpack(bytes.NewReader(archive), mediaType, dir, lim)
		if got := codeOf(err); got != code {
			t.Errorf("Unpack(%s) = %v (code %q); want code %q", mediaType, err, got, code)
		}
		if err != nil && files != nil {
			t.Errorf("Unpack(%s) = %v files beside the error %v", mediaType, files, err)
		}
	}
	for _, dir := range []string{parent, empty} {
		left, err := os.ReadDir(dir)
		if err != nil || code != "" && len(left) > 0 {
			t.Errorf("Unpack(%s): %v are left behind (%v)", mediaType, left, err)
		}
	}
	if lim == (artifact.Limits{}) {
		err := artifact.List(bytes.NewReader(archive), mediaType, func(artifact.File, io.Reader) error { return nil })
		if got := codeOf(err); got != code {
			t.Errorf("List(%s) = %v (code %q); want code %q", mediaType, err, got, code)
		}
	}
}

// refusedTar is refused, for a tar compressed both ways.
func refusedTar(t *testing.T, plain []byte, lim artifact.Limits, code string) {
	t.Helper()
	refused(t, gzipped(t, plain), artifact.TypeSourceGzip, lim, code)
	refused(t, zstded(t, plain), artifact.TypeSourceZstd, lim, code)
}

// tree describes what is below dir: a line each, sorted by path.
func tree(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %s", info.Mode(), filepath.ToSlash(rel))
		switch {
		case info.Mode().IsRegular():
			text, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %q", text)
		case info.Mode()&os.ModeSymlink != 0:
			to, err := os.Readlink(p)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " -> %s", to)
		}
		b.WriteString("\n")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// shared is a file of the data set that does not belong to the project: under
// $CLYDE_SHARED/data, or ../shared/data beside the repository.
func shared(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("CLYDE_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	p := filepath.Join(dir, "data", name)
	if _, err := os.Stat(p); err != nil {
		t.Skipf("%s is not here (set CLYDE_SHARED): %v", name, err)
	}
	return p
}
