package artifact_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// FuzzUnpack: nothing is written outside, nothing at all where the archive is
// refused, never more than the limits allow; links stay inside; what unpacks
// lists, with the same files.
func FuzzUnpack(f *testing.F) {
	plain := ended(folder("p"), file("p/a", "text"), symlink("p/d/l", "../a"), pax('x', "path", "p/é"), file("p/b", ""))
	f.Add(uint8(0), plain)
	f.Add(uint8(0), ended(file("../a", "x"), symlink("p", "/"), long('L', "p/x"), file("y", "")))
	f.Add(uint8(1), gzipped(f, plain))
	f.Add(uint8(2), zstded(f, plain))
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		mediaType := artifact.TypeSourceGzip
		switch kind % 3 {
		case 0:
			data = gzipped(t, data)
		case 2:
			mediaType = artifact.TypeSourceZstd
		}
		lim := artifact.Limits{Unpacked: 1 << 20, Entries: 100, Archive: 1 << 20}
		parent := t.TempDir()
		write(t, parent, "canary", "sings")
		dir := filepath.Join(parent, "d")
		files, err := artifact.Unpack(bytes.NewReader(data), mediaType, dir, lim)
		beside, readErr := os.ReadDir(parent)
		if readErr != nil {
			t.Fatal(readErr)
		}
		if text, e := os.ReadFile(filepath.Join(parent, "canary")); e != nil || string(text) != "sings" {
			t.Fatalf("the neighbour changed: %q, %v", text, e)
		}
		if err != nil {
			if e := clyde.AsError(err); e == nil || e.Code == "" {
				t.Fatalf("Unpack = %v; want an error with a code", err)
			}
			if len(beside) != 1 {
				t.Fatalf("Unpack = %v and left %v", err, beside)
			}
			return
		}
		if len(beside) != 2 {
			t.Fatalf("Unpack made %v", beside)
		}
		inside := map[string]artifact.File{}
		var total int64
		for _, f := range files {
			inside[f.Path] = f
			total += f.Size
		}
		if total > lim.Unpacked || len(files) > lim.Entries {
			t.Fatalf("%d bytes in %d entries; the limits are %d and %d", total, len(files), lim.Unpacked, lim.Entries)
		}
		home, err := filepath.EvalSymlinks(dir)
		if err != nil {
			t.Fatal(err)
		}
		err = filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
			if err != nil || p == dir {
				return err
			}
			rel, err := filepath.Rel(dir, p)
			if err != nil {
				return err
			}
			file, ok := inside[filepath.ToSlash(rel)]
			switch {
			case !ok && !d.IsDir():
				t.Errorf("%s was written and is not in the list", rel)
			case d.Type()&os.ModeSymlink != 0:
				if to, err := filepath.EvalSymlinks(p); err == nil && to != home && !strings.HasPrefix(to, home+string(filepath.Separator)) {
					t.Errorf("%s leads to %s", rel, to)
				}
			case d.Type().IsRegular():
				if info, err := d.Info(); err != nil || info.Size() != file.Size {
					t.Errorf("%s has not %d bytes (%v)", rel, file.Size, err)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		var listed []artifact.File
		err = artifact.List(bytes.NewReader(data), mediaType, func(f artifact.File, body io.Reader) error {
			listed = append(listed, f)
			if n, err := io.Copy(io.Discard, body); err != nil || n != f.Size {
				t.Errorf("%s has %d bytes (%v); want %d", f.Path, n, err, f.Size)
			}
			return nil
		})
		if got := artifact.Strip(listed, artifact.Top(listed)); err != nil || paths(got) != paths(files) {
			t.Errorf("List = %s (%v); Unpack had %s", paths(got), err, paths(files))
		}
	})
}

// FuzzParseManifest: what is refused is refused with a code; what is accepted
// is the same after it is written and read again, and has no key twice.
func FuzzParseManifest(f *testing.F) {
	const descriptor = `{"mediaType":"application/vnd.clyde.package.config.v1+yaml","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0}`
	const source = `{"mediaType":"application/vnd.clyde.package.source.v1.tar+gzip","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0,"annotations":{"a":"b"}}`
	f.Add([]byte(`{"schemaVersion":2,"artifactType":"application/vnd.clyde.package.v1","config":` + descriptor + `,"layers":[` + source + `]}`))
	f.Add([]byte(`{"schemaVersion":2,"config":` + descriptor + `,"layers":[],"subject":` + descriptor + `,"Layers":[]}`))
	f.Add([]byte(`{"schemaVersion":2,"config":` + descriptor + `,"layers":null,"manifests":[]}`))
	f.Add([]byte(`[[[[`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := artifact.ParseManifest(data)
		if err != nil {
			if e := clyde.AsError(err); e == nil || e.Code == "" || !errors.Is(err, clyde.ErrInvalid) && !errors.Is(err, clyde.ErrTooLarge) {
				t.Fatalf("ParseManifest = %v; want ErrInvalid or ErrTooLarge with a code", err)
			}
			if _, err := artifact.ParsePackage(data); err == nil {
				t.Fatal("ParsePackage accepts what ParseManifest refuses")
			}
			return
		}
		once, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		again, err := artifact.ParseManifest(once)
		if err != nil {
			t.Fatalf("ParseManifest of what it returned, %s: %v", once, err)
		}
		if twice, err := json.Marshal(again); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("written again: %s (%v); want %s", twice, err, once)
		}
		if p, err := artifact.ParsePackage(data); err == nil && (len(p.Layers) == 0 || !artifact.IsSource(p.Source.MediaType)) {
			t.Fatalf("ParsePackage = %+v; want a source", p)
		}
	})
}
