package artifact_test

import (
	"bytes"
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

	"github.com/klauspost/compress/zstd"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func TestUnpackRefuses(t *testing.T) {
	t.Parallel()
	parts := func(p ...[]byte) [][]byte { return p }
	for _, tt := range []struct {
		name string
		code string // "" is accepted
		in   [][]byte
	}{
		{"files", "", parts(file("p-1/a.c", "int a;"), file("p-1/src/b.c", ""))},
		{"nothing", "", nil},
		{"root directory and leading dot", "", parts(folder("./"), file("./p/a", ""), file("./p/b", ""))},
		{"directory twice", "", parts(folder("p/"), folder("p/"), file("p/a", ""))},
		{"directory after its files", "", parts(file("p/a", ""), folder("p/"))},
		{"legacy file", "", parts(header(0, "p/a", "", 0))},
		{"legacy directory", "", parts(header(0, "p/", "", 0), file("p/a", ""))},
		{"git's comment", "", parts(pax('g', "comment", strings.Repeat("a", 40)), file("p/a", ""))},

		{"parent", "path_traversal", parts(file("../a", ""))},
		{"parent inside", "path_traversal", parts(file("p/../../a", ""))},
		{"parent inside that stays", "path_traversal", parts(file("p/../a", ""))},
		{"parent at the end", "path_traversal", parts(folder("p/.."))},
		{"parent after a dot", "path_traversal", parts(file("./../a", ""))},
		{"parent by PAX", "path_traversal", parts(pax('x', "path", "../a"), file("a", ""))},
		{"parent by GNU long name", "path_traversal", parts(long('L', "../a"), file("a", ""))},
		{"parent with a backslash", "path_invalid", parts(file(`..\a`, ""))},
		{"git's folder", "path_git", parts(file(".git/config", ""))},
		{"git's folder below, on Windows and macOS", "path_git", parts(file("p/.GIT/hooks/post-checkout", ""))},
		{"git's folder, short", "path_git", parts(file("GIT~1/config", ""))},
		{"git's folder with what macOS ignores", "path_git", parts(file(".g\u200cit/config", ""))},
		{"git's folder with what Windows drops", "path_git", parts(file(".git. ./config", ""))},
		{"git's folder as a stream", "path_git", parts(folder(".git::$INDEX_ALLOCATION"))},
		{"git's folder elsewhere", "path_git", parts(file(".git", "gitdir: x"))},
		{"absolute", "path_absolute", parts(file("/a", ""))},
		{"absolute by PAX", "path_absolute", parts(pax('x', "path", "/etc/passwd"), file("a", ""))},
		{"absolute with two slashes", "path_absolute", parts(file("//host/share", ""))},
		{"absolute after a dot", "path_invalid", parts(file(".//a", ""))},
		{"drive", "path_absolute", parts(file("C:/a", ""))},
		{"drive without a slash", "path_absolute", parts(file("c:a", ""))},
		{"drive with a backslash", "path_invalid", parts(file(`C:\a`, ""))},
		{"UNC", "path_invalid", parts(file(`\\host\share`, ""))},
		{"no name", "path_invalid", parts(file("", ""))},
		{"empty element", "path_invalid", parts(file("p//a", ""))},
		{"dot element", "path_invalid", parts(file("p/./a", ""))},
		{"line feed", "path_invalid", parts(file("p/a\nb", ""))},
		{"escape sequence", "path_invalid", parts(file("p/\x1b[2J", ""))},
		{"bidi", "path_invalid", parts(file("p/\u202ec.exe", ""))},
		{"Latin-1", "path_invalid", parts(file("p/\xe9", ""))},
		{"NUL by PAX", "archive_broken", parts(pax('x', "path", "a\x00b"), file("a", ""))},
		{"255 bytes", "", parts(pax('x', "path", "p/"+strings.Repeat("a", 125)+"/"+strings.Repeat("a", 127)), file("a", ""))},
		{"256 bytes", "path_too_long", parts(pax('x', "path", "p/"+strings.Repeat("a", 125)+"/"+strings.Repeat("a", 128)), file("a", ""))},
		{"a million bytes", "path_too_long", parts(pax('x', "path", strings.Repeat("a/", 500_000)), file("a", ""))},

		{"file twice", "path_twice", parts(file("p/a", "1"), file("p/a", "2"))},
		{"file twice, dotted", "path_twice", parts(file("p/a", "1"), file("./p/a", "2"))},
		{"link over file", "path_twice", parts(file("p/a", "1"), symlink("p/a", "b"))},
		{"file over link", "path_twice", parts(symlink("p/a", "b"), file("p/a", "1"))},
		{"directory over file", "path_twice", parts(file("p/a", "1"), folder("p/a"))},
		{"file over directory", "path_twice", parts(folder("p/a"), file("p/a", ""))},
		{"file over implied directory", "path_under_file", parts(file("p/a/b", ""), file("p/a", ""))},
		{"below a file", "path_under_file", parts(file("p/a", ""), file("p/a/b", ""))},
		{"below a link", "path_under_file", parts(symlink("p/l", "d"), file("p/l/a", ""))},
		{"below a link out", "path_under_file", parts(symlink("p/l", "/etc"), file("p/l/passwd", ""))},
		{"link where directory is", "path_twice", parts(folder("p/d"), symlink("p/d", ".."), file("p/d/a", ""))},

		{"case", "path_collision", parts(file("p/Makefile", ""), file("p/makefile", ""))},
		{"case of directory", "path_collision", parts(file("p/a/x", ""), file("p/A/y", ""))},
		{"case of top", "path_collision", parts(file("p/x", ""), file("P/y", ""))},
		{"case outside ASCII", "path_collision", parts(file("p/é", ""), file("p/É", ""))},
		{"case that folds to two", "path_collision", parts(file("p/straße", ""), file("p/STRASSE", ""))},
		{"Kelvin", "path_collision", parts(file("p/k", ""), file("p/\u212a", ""))},
		{"NFC and NFD", "path_collision", parts(file("p/\u00e9", ""), file("p/e\u0301", ""))},
		{"NFC and NFD of directory", "path_collision", parts(file("\u00e9/a", ""), file("e\u0301/b", ""))},
		{"link and file by case", "path_collision", parts(symlink("p/A", "b"), file("p/a", ""))},

		{"link inside", "", parts(file("p/a", ""), symlink("p/d/l", "../a"))},
		{"link to the root", "", parts(file("p/a", ""), symlink("p/l", "."))},
		{"link to nothing", "", parts(file("p/a", ""), symlink("p/l", "nothing"))},
		{"link through link", "", parts(folder("p/d/e"), symlink("p/l", "d/e"), symlink("p/m", "l/../../a"))},
		{"link out of top", "link_outside", parts(file("p/a", ""), symlink("p/l", "../x"))},
		{"link out of top and in again", "link_outside", parts(file("p/a", ""), symlink("p/l", "../p/a"))},
		{"link out of many tops", "link_outside", parts(file("p/a", ""), file("q", ""), symlink("p/l", "../../x"))},
		{"link to a neighbour of top", "", parts(file("p/a", ""), file("q", ""), symlink("p/l", "../q"))},
		{"link absolute", "link_outside", parts(file("p/a", ""), symlink("p/l", "/etc/passwd"))},
		{"link to drive", "link_outside", parts(file("p/a", ""), symlink("p/l", "C:/Windows"))},
		{"link to drive without a slash", "link_outside", parts(file("p/a", ""), symlink("p/l", "c:x"))},
		{"link with backslash", "link_outside", parts(file("p/a", ""), symlink("p/l", `..\..\x`))},
		{"link empty", "link_outside", parts(file("p/a", ""), symlink("p/l", ""))},
		{"link to itself", "link_outside", parts(file("p/a", ""), symlink("p/l", "l"))},
		{"links in a circle", "link_outside", parts(symlink("p/l", "m"), symlink("p/m", "l"), file("p/a", ""))},
		{"link out through link", "link_outside", parts(folder("p/d/e"), symlink("p/l", "."), symlink("p/d/m", "../l/.."))},
		{"link out through link later", "link_outside", parts(symlink("p/m", "d/l/../../x"), symlink("p/d/l", ".."), file("p/a", ""))},
		{"link out through link in other case", "link_outside", parts(folder("p/x/y"), symlink("p/x/y/up", "../.."), symlink("p/l", "x/y/UP/.."))},
		{"link out by PAX", "link_outside", parts(file("p/a", ""), pax('x', "linkpath", "../../x"), symlink("p/l", "a"))},
		{"link out by GNU long link", "link_outside", parts(file("p/a", ""), long('K', "../../x"), symlink("p/l", "a"))},
		{"link in place of the root", "link_outside", parts(symlink("./", "/etc"))},
		{"link with long target", "path_too_long", parts(file("p/a", ""), pax('x', "linkpath", strings.Repeat("a", 256)), symlink("p/l", "a"))},

		{"hard link", "entry_type", parts(file("p/a", ""), header('1', "p/b", "p/a", 0))},
		{"hard link out", "entry_type", parts(file("p/a", ""), header('1', "p/b", "/etc/passwd", 0))},
		{"character device", "entry_type", parts(header('3', "p/d", "", 0))},
		{"block device", "entry_type", parts(header('4', "p/d", "", 0))},
		{"named pipe", "entry_type", parts(header('6', "p/f", "", 0))},
		{"contiguous file", "entry_type", parts(header('7', "p/f", "", 0))},
		{"volume label", "entry_type", parts(header('V', "p", "", 0))},
		{"multi-volume", "entry_type", parts(header('M', "p/a", "", 0))},
		{"unknown", "entry_type", parts(header('Q', "p/a", "", 0))},
		{"sparse by PAX 0.1", "entry_type", parts(pax('x', "GNU.sparse.major", "0", "GNU.sparse.minor", "1", "GNU.sparse.numblocks", "1", "GNU.sparse.map", "0,0", "GNU.sparse.size", "0", "GNU.sparse.name", "p/b"), file("p/a", ""))},
		{"sparse that expands", "entry_type", parts(pax('x', "GNU.sparse.numblocks", "1", "GNU.sparse.map", "0,9", "GNU.sparse.size", "1000000"), file("p/a", ""))},
		{"sparse of GNU", "archive_broken", parts(header('S', "p/a", "", 0))},
		{"sparse by PAX with a name that leads out", "path_traversal", parts(pax('x', "GNU.sparse.numblocks", "1", "GNU.sparse.map", "0,0", "GNU.sparse.size", "0", "GNU.sparse.name", "../b"), file("p/a", ""))},

		{"file named as directory", "entry_ambiguous", parts(file("p/a/", "text"))},
		{"file named as root", "entry_ambiguous", parts(file("./", "text"))},
		{"directory with content", "entry_ambiguous", parts(header('5', "p", "", 512), file("p/a", ""))},
		{"legacy directory with content", "entry_ambiguous", parts(header(0, "p/", "", 512), file("p/a", ""))},
		{"link with content", "entry_ambiguous", parts(file("p/a", ""), header('2', "p/l", "a", 512), file("p/b", ""))},
		{"two extended headers", "entry_ambiguous", parts(pax('x', "path", "p/a"), pax('x', "mtime", "1"), file("p/b", ""))},
		{"PAX and GNU names", "entry_ambiguous", parts(pax('x', "path", "p/a"), long('L', "p/b"), file("p/c", ""))},
		{"GNU name twice", "entry_ambiguous", parts(long('L', "p/a"), long('L', "p/b"), file("p/c", ""))},
		{"GNU name and link", "", parts(file("p/a", ""), long('K', "a"), long('L', "p/l"), symlink("p/m", "b"))},
		{"two sizes", "entry_ambiguous", parts(pax('x', "size", "512"), header('0', "p/a", "", 0), file("p/b", ""))},
		{"size twice alike", "", parts(pax('x', "size", "3"), file("p/a", "abc"))},
		{"global path", "entry_ambiguous", parts(pax('g', "path", "../a"), file("p/a", ""))},
		{"global link", "entry_ambiguous", parts(pax('g', "linkpath", "/etc"), file("p/a", ""))},
		{"global size", "entry_ambiguous", parts(pax('g', "size", "0"), file("p/a", "text"))},
		{"negative size by PAX", "archive_broken", parts(pax('x', "size", "-1"), file("p/a", ""))},
		{"extended header of nothing", "archive_broken", parts(file("p/a", ""), pax('x', "path", "p/b"))},
		{"long name of nothing", "archive_broken", parts(file("p/a", ""), long('L', "p/b"))},

		{"larger than can be", "too_large", parts(header('0', "p/a", "", artifact.MaxUnpacked+1))},
		{"short content", "archive_broken", parts(header('0', "p/a", "", 1<<30), padded("text"))},
		{"bad checksum", "archive_broken", parts([]byte(strings.Replace(string(header('0', "p/a", "", 0)), "p/a", "p/b", 1)))},
		{"no tar", "archive_broken", parts(padded("#!/bin/sh\necho no\n"))},

		{"after the end", "trailing_data", parts(file("p/a", ""), zeros(1024), file("p/b", ""))},
		{"one zero block inside", "archive_broken", parts(file("p/a", ""), zeros(512), file("p/b", ""))},
		{"padding", "", parts(file("p/a", ""), zeros(1024), zeros(artifact.MaxPadding-1024))},
		{"much padding", "trailing_data", parts(file("p/a", ""), zeros(1024), zeros(artifact.MaxPadding-1024), []byte{0})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			refusedTar(t, ended(tt.in...), artifact.Limits{}, tt.code)
		})
	}
}

func TestUnpackLimits(t *testing.T) {
	t.Parallel()
	two := ended(file("p/a", strings.Repeat("a", 600)), file("p/b", strings.Repeat("b", 400)))
	refusedTar(t, two, artifact.Limits{Unpacked: 1000}, "")
	refusedTar(t, two, artifact.Limits{Unpacked: 999}, "too_large")
	refusedTar(t, two, artifact.Limits{Entries: 3}, "") // two, and the directory they imply
	refusedTar(t, two, artifact.Limits{Entries: 2}, "too_many_entries")
	deep := ended(file("a/b/c/d/e/f/g/h", ""))
	refusedTar(t, deep, artifact.Limits{Entries: 8}, "")
	refusedTar(t, deep, artifact.Limits{Entries: 7}, "too_many_entries")
	refusedTar(t, ended(bytes.Repeat(folder("./"), 5)), artifact.Limits{Entries: 4}, "too_many_entries")
	refusedTar(t, ended(bytes.Repeat(pax('g', "comment", "c"), 5)), artifact.Limits{Entries: 4}, "too_many_entries")
	packed := gzipped(t, two)
	refused(t, packed, artifact.TypeSourceGzip, artifact.Limits{Archive: int64(len(packed))}, "")
	refused(t, packed, artifact.TypeSourceGzip, artifact.Limits{Archive: int64(len(packed)) - 1}, "too_large")
	packed = zstded(t, two)
	refused(t, packed, artifact.TypeSourceZstd, artifact.Limits{Archive: int64(len(packed))}, "")
	refused(t, packed, artifact.TypeSourceZstd, artifact.Limits{Archive: int64(len(packed)) - 1}, "too_large")
}

func TestUnpackMaxEntries(t *testing.T) {
	t.Parallel()
	var parts [][]byte
	for i := range artifact.MaxEntries - 1 {
		parts = append(parts, header('5', fmt.Sprintf("p/%06d", i), "", 0))
	}
	list := func(plain []byte) error {
		return artifact.List(bytes.NewReader(zstded(t, plain, zstd.WithEncoderLevel(zstd.SpeedFastest))), artifact.TypeSourceZstd,
			func(artifact.File, io.Reader) error { return nil })
	}
	if err := list(ended(parts...)); err != nil {
		t.Errorf("List of %d entries = %v; want none", artifact.MaxEntries, err)
	}
	err := list(ended(append(parts, folder("p/one-more"))...))
	if codeOf(err) != "too_many_entries" || !errors.Is(err, clyde.ErrTooLarge) {
		t.Errorf("List of %d entries = %v; want too_many_entries", artifact.MaxEntries+1, err)
	}
}

func TestUnpackRatio(t *testing.T) {
	t.Parallel()
	below := gzipped(t, ended(file("p/a", string(zeros(artifact.RatioFloor-4096)))))
	bomb := ended(file("p/a", string(zeros(artifact.RatioFloor+1))))
	packed := gzipped(t, bomb)
	for _, tt := range []struct {
		in        []byte
		mediaType string
		ratio     int64
		code      string
	}{
		{below, artifact.TypeSourceGzip, 0, ""}, // not looked at, however small it is packed
		{packed, artifact.TypeSourceGzip, 0, "ratio_too_large"},
		{packed, artifact.TypeSourceGzip, 2000, ""}, // deflate reaches 1,032
		{zstded(t, bomb), artifact.TypeSourceZstd, 0, "ratio_too_large"},
	} {
		parent := t.TempDir()
		_, err := artifact.Unpack(bytes.NewReader(tt.in), tt.mediaType, filepath.Join(parent, "d"), artifact.Limits{Ratio: tt.ratio})
		left, _ := os.ReadDir(parent)
		if codeOf(err) != tt.code || len(left) > 0 != (err == nil) {
			t.Errorf("Unpack at the ratio %d = %v, %d directories left; want %q", tt.ratio, err, len(left), tt.code)
		}
	}
}

func TestUnpackStream(t *testing.T) {
	t.Parallel()
	plain := ended(file("p/a", "text"), symlink("p/l", "a"))
	gz, zst := gzipped(t, plain), zstded(t, plain)
	cat := func(b ...[]byte) []byte { return slices.Concat(b...) }
	skippable := []byte("\x50\x2a\x4d\x18\x04\x00\x00\x00evil")
	for _, tt := range []struct {
		name, mediaType string
		in              []byte
		code            string
	}{
		{"gzip", artifact.TypeSourceGzip, gz, ""},
		{"zstd", artifact.TypeSourceZstd, zst, ""},
		{"unknown type", "application/zip", gz, "source_type"},
		{"empty", artifact.TypeSourceGzip, nil, "archive_broken"},
		{"empty zstd", artifact.TypeSourceZstd, nil, "archive_broken"},
		{"zstd as gzip", artifact.TypeSourceGzip, zst, "archive_broken"},
		{"gzip as zstd", artifact.TypeSourceZstd, gz, "archive_broken"},
		{"no tar inside", artifact.TypeSourceGzip, gzipped(t, nil), "archive_broken"},
		{"no end", artifact.TypeSourceGzip, gzipped(t, plain[:len(plain)-1024]), "archive_broken"},
		{"half an end", artifact.TypeSourceGzip, gzipped(t, plain[:len(plain)-512]), "archive_broken"},
		{"cut in an end", artifact.TypeSourceZstd, zstded(t, plain[:len(plain)-1]), "archive_broken"},
		{"cut in padding", artifact.TypeSourceGzip, gzipped(t, file("p/a", "text")[:600]), "archive_broken"},
		{"cut after zeros", artifact.TypeSourceGzip, gzipped(t, file("p/a", string(zeros(2048)))), "archive_broken"},
		{"second member", artifact.TypeSourceGzip, cat(gz, gz), "trailing_data"},
		{"second member, empty", artifact.TypeSourceGzip, cat(gz, gzipped(t, nil)), "trailing_data"},
		{"second member, zeros", artifact.TypeSourceGzip, cat(gz, gzipped(t, zeros(512))), "trailing_data"},
		{"second frame", artifact.TypeSourceZstd, cat(zst, zst), "trailing_data"},
		{"second frame, empty", artifact.TypeSourceZstd, cat(zst, zstded(t, nil, zstd.WithZeroFrames(true))), "trailing_data"},
		{"second frame, zeros", artifact.TypeSourceZstd, cat(zst, zstded(t, zeros(512))), "trailing_data"},
		{"skippable frame after", artifact.TypeSourceZstd, cat(zst, skippable), "trailing_data"},
		{"skippable frame before", artifact.TypeSourceZstd, cat(skippable, zst), "archive_broken"},
		{"bytes after gzip", artifact.TypeSourceGzip, cat(gz, []byte("x")), "trailing_data"},
		{"zero after gzip", artifact.TypeSourceGzip, cat(gz, []byte{0}), "trailing_data"},
		{"bytes after zstd", artifact.TypeSourceZstd, cat(zst, []byte("x")), "trailing_data"},
		{"two members, one tar", artifact.TypeSourceGzip, cat(gzipped(t, plain[:700]), gzipped(t, plain[700:])), "archive_broken"},
		{"two frames, one tar", artifact.TypeSourceZstd, cat(zstded(t, plain[:700]), zstded(t, plain[700:])), "archive_broken"},
		{"wrong checksum", artifact.TypeSourceGzip, cat(gz[:len(gz)-8], []byte("wrong---")), "archive_broken"},
		{"wrong checksum of zstd", artifact.TypeSourceZstd, cat(zst[:len(zst)-4], []byte("no!!")), "archive_broken"},
		{"window of 8 MiB", artifact.TypeSourceZstd, zstded(t, ended(file("p/a", string(zeros(16<<20)))), zstd.WithWindowSize(8<<20)), ""},
		{"window of 16 MiB", artifact.TypeSourceZstd, zstded(t, ended(file("p/a", string(zeros(32<<20)))), zstd.WithWindowSize(16<<20)), "archive_broken"},
		{"no checksum", artifact.TypeSourceZstd, zstded(t, plain, zstd.WithEncoderCRC(false)), ""},
		{"single segment", artifact.TypeSourceZstd, zstded(t, plain, zstd.WithSingleSegment(true)), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			refused(t, tt.in, tt.mediaType, artifact.Limits{}, tt.code)
		})
	}
}

// TestUnpackCut cuts an archive at every byte. Where the source ends, it is a
// broken archive; where the source fails, it is that failure and nothing else.
func TestUnpackCut(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("int f(int x) { return x; }\n", 400)
	plain := ended(folder("p"), file("p/a.c", text), pax('x', "path", "p/ä.c"), file("p/b.c", "x"), symlink("p/l", "a.c"))
	lost := errors.New("connection reset")
	for mediaType, whole := range map[string][]byte{
		artifact.TypeSourceGzip: gzipped(t, plain),
		artifact.TypeSourceZstd: zstded(t, plain),
	} {
		parent := t.TempDir()
		read := func(n int, r io.Reader) error {
			if n%29 != 0 { // writing takes longest
				return artifact.List(r, mediaType, func(_ artifact.File, body io.Reader) error { return drain(body) })
			}
			_, err := artifact.Unpack(r, mediaType, filepath.Join(parent, "d"), artifact.Limits{})
			return err
		}
		for n := range len(whole) + 1 {
			if n < len(whole) {
				if err := read(n, bytes.NewReader(whole[:n])); codeOf(err) != "archive_broken" || errors.Is(err, io.EOF) {
					t.Fatalf("%d of %d bytes (%s): %v; want archive_broken", n, len(whole), mediaType, err)
				}
			}
			cause := []error{lost, io.ErrUnexpectedEOF, context.Canceled}[n%3]
			r := io.MultiReader(bytes.NewReader(whole[:n]), iotest.ErrReader(cause))
			if err := read(n, r); !errors.Is(err, cause) || clyde.AsError(err) != nil {
				t.Fatalf("a failure after %d of %d bytes (%s): %v (code %q); want %v", n, len(whole), mediaType, err, codeOf(err), cause)
			}
		}
		if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
			t.Fatalf("%v is left behind (%v)", left, err)
		}
		for name, r := range map[string]io.Reader{
			"one byte":       iotest.OneByteReader(bytes.NewReader(whole)),
			"data with EOF":  iotest.DataErrReader(bytes.NewReader(whole)),
			"half a request": iotest.HalfReader(bytes.NewReader(whole)),
		} {
			if err := artifact.List(r, mediaType, func(_ artifact.File, body io.Reader) error { return drain(body) }); err != nil {
				t.Errorf("List(%s, %s) = %v; want none", mediaType, name, err)
			}
		}
	}
}

func drain(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

// TestListCallback keeps apart whose error it is that the callback returns.
func TestListCallback(t *testing.T) {
	t.Parallel()
	plain := ended(file("p/a", strings.Repeat("a", 5000)), file("p/b", "b"))
	own := errors.New("the disk is full")
	err := artifact.List(bytes.NewReader(gzipped(t, plain)), artifact.TypeSourceGzip, func(artifact.File, io.Reader) error { return own })
	if err != own { // as it is
		t.Errorf("List = %v; want the callback's own error", err)
	}
	cut := gzipped(t, plain[:1000])
	for _, fn := range []func(artifact.File, io.Reader) error{
		func(_ artifact.File, r io.Reader) error { return drain(r) },
		func(_ artifact.File, r io.Reader) error { return fmt.Errorf("read: %w", drain(r)) },
		func(_ artifact.File, r io.Reader) error { _ = drain(r); return nil },
		func(artifact.File, io.Reader) error { return nil },
	} {
		if err := artifact.List(bytes.NewReader(cut), artifact.TypeSourceGzip, fn); codeOf(err) != "archive_broken" {
			t.Errorf("List of a cut archive = %v; want archive_broken", err)
		}
	}
}

func TestUnpackWrites(t *testing.T) {
	t.Parallel()
	plain := ended(folder("p-1/empty"), file("p-1/a.c", "int a;"), file("p-1/bin/run", "#!"), symlink("p-1/bin/l", "../a.c"))
	want := "-rw-r--r-- a.c \"int a;\"\ndrwxr-xr-x bin\nLrwxrwxrwx bin/l -> ../a.c\n-rw-r--r-- bin/run \"#!\"\ndrwxr-xr-x empty\n"
	parent := t.TempDir()
	there := filepath.Join(parent, "there")
	if err := os.Mkdir(there, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{there, filepath.Join(parent, "x", "y")} {
		files, err := artifact.Unpack(bytes.NewReader(gzipped(t, plain)), artifact.TypeSourceGzip, dir, artifact.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got := tree(t, dir); got != want {
			t.Errorf("Unpack to %s wrote\n%s; want\n%s", dir, got, want)
		}
		var paths []string
		for _, f := range files {
			paths = append(paths, f.Path)
		}
		if got, want := strings.Join(paths, " "), "a.c bin/l bin/run empty"; got != want {
			t.Errorf("Unpack = %s; want %s", got, want)
		}
	}
	if info, err := os.Stat(there); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory that was there has mode %v (%v); want it kept", info.Mode(), err)
	}
	_, err := artifact.Unpack(bytes.NewReader(gzipped(t, plain)), artifact.TypeSourceGzip, there, artifact.Limits{})
	if codeOf(err) != "directory_exists" || !errors.Is(err, clyde.ErrConflict) {
		t.Errorf("Unpack to a full directory = %v; want directory_exists", err)
	}
	if got := tree(t, there); got != want {
		t.Errorf("Unpack to a full directory changed it: %s", got)
	}
	_, err = artifact.Unpack(bytes.NewReader(gzipped(t, plain)), artifact.TypeSourceGzip, filepath.Join(there, "a.c"), artifact.Limits{})
	if !errors.Is(err, clyde.ErrConflict) {
		t.Errorf("Unpack over a file = %v; want a conflict", err)
	}
}

// What the documentation says of a limit is what it is.
func TestDocumentedLimits(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/package-format.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		fmt.Sprintf("more than %d,%03d entries, %d GiB packed, %d GiB unpacked, %d times", artifact.MaxEntries/1000, artifact.MaxEntries%1000, artifact.MaxArchive>>30, artifact.MaxUnpacked>>30, artifact.MaxRatio),
		fmt.Sprintf("longer than %d bytes", artifact.MaxPath),
		fmt.Sprintf("but %d MiB of zeros", artifact.MaxPadding>>20),
		fmt.Sprintf("more than %d others", artifact.MaxLinkDepth),
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("docs/package-format.md does not say %q", want)
		}
	}
	for _, code := range []string{
		"archive_broken", "archive_type", "entry_ambiguous", "entry_type", "link_outside", "path_absolute", "path_collision", "path_git", "path_invalid",
		"path_too_long", "path_traversal", "path_twice", "path_under_file", "path_windows", "trailing_data", "too_many_entries", "too_large", "ratio_too_large",
	} {
		if !strings.Contains(string(page), "`"+code+"`") {
			t.Errorf("docs/package-format.md does not name the code %s", code)
		}
	}
}
