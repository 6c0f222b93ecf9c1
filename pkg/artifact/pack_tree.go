package artifact

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// gzipLevel is part of the format: another level, or another version of the
// compressor, gives other digests for the same files (the golden test notices).
// Six is where more time buys little: nine is 3 % smaller at a third of the
// speed on C++ sources.
const gzipLevel = 6

// tree is what of a directory goes into an archive.
type tree struct {
	root     *os.Root
	top      string // directory of everything in the archive
	chooser  *chooser
	names    *names
	files    []File        // sorted by path, below top
	infos    []fs.FileInfo // of files, as read saw them
	size     int64         // bytes of all files
	unpacked int64         // bytes of the tar
}

// read lists the directory and refuses what could not be unpacked again.
func (t *tree) read(ctx context.Context) error {
	type found struct {
		file File
		info fs.FileInfo
	}
	var all []found
	var walk func(dir string) error
	walk = func(dir string) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		entries, err := fs.ReadDir(t.root.FS(), dir)
		if err != nil {
			return err
		}
		if dir != "." && !t.chooser.dir(dir, entries) {
			return nil
		}
		for _, e := range entries {
			p := path.Join(dir, e.Name())
			if e.IsDir() {
				if err := walk(p); err != nil {
					return err
				}
				continue
			}
			if !t.chooser.file(p) {
				continue
			}
			info, err := t.root.Lstat(filepath.FromSlash(p))
			if err != nil {
				return changed(p, err)
			}
			f, err := t.file(p, info)
			if err != nil {
				return err
			}
			if all = append(all, found{f, info}); len(all) > t.names.limit {
				return clyde.Errorf(clyde.ErrTooLarge, "the package has more than %d files", t.names.limit).WithCode("too_many_entries").
					Fix("leave out what nobody builds with files.exclude or %s", IgnoreFile)
			}
		}
		return nil
	}
	if err := walk("."); err != nil {
		return err
	}
	if len(all) == 0 {
		return invalid("package_empty", "there is nothing to pack").Fix("see files in package.yaml and %s", IgnoreFile)
	}
	slices.SortFunc(all, func(a, b found) int { return strings.Compare(a.file.Path, b.file.Path) })
	for _, f := range all {
		p, err := cleanPath(path.Join(t.top, f.file.Path))
		if err == nil {
			_, err = t.names.add(p, f.file.Mode, f.file.Link)
		}
		if err != nil {
			if e := clyde.AsError(err); e != nil {
				return e.Fix("rename it, or leave it out with files.exclude or %s", IgnoreFile)
			}
			return err
		}
		t.files, t.infos = append(t.files, f.file), append(t.infos, f.info)
		if t.size += f.file.Size; t.size > MaxUnpacked {
			return tooLarge("the package, unpacked,", t.size, MaxUnpacked).Fix("leave out what nobody builds with files.exclude or %s", IgnoreFile)
		}
	}
	return t.names.checkLinks()
}

// file describes what lies at p, or refuses it.
func (t *tree) file(p string, info fs.FileInfo) (File, error) {
	f := File{Path: p, Mode: 0o644}
	switch {
	case info.Mode().IsRegular():
		f.Size = info.Size()
		if info.Mode()&0o100 != 0 && runtime.GOOS != "windows" {
			f.Mode = 0o755
		}
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := t.root.Readlink(filepath.FromSlash(p))
		if err != nil {
			return f, changed(p, err)
		}
		f.Mode, f.Link = fs.ModeSymlink|0o777, filepath.ToSlash(target)
		return f, checkTarget(p, f.Link)
	default:
		return f, refuse("entry_type", "%q is %s: a package holds files, directories and symlinks", p, kindName(info.Mode())).
			Fix("leave it out with files.exclude or %s", IgnoreFile)
	}
	return f, nil
}

func kindName(m fs.FileMode) string {
	switch {
	case m&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeDevice != 0:
		return "a device"
	}
	return "no regular file"
}

// compress returns the one compressor of each kind, and its media type.
func compress(w io.Writer, useZstd bool) (z io.WriteCloser, mediaType string, err error) {
	if useZstd {
		// One goroutine: blocks end where the encoder says, not the scheduler.
		z, err = zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(maxWindow))
		return z, TypeSourceZstd, err
	}
	z, err = gzip.NewWriterLevel(w, gzipLevel) // its header has no name, no time, and no system
	return z, TypeSourceGzip, err
}

// write writes the archive to s and returns its media type.
func (t *tree) write(ctx context.Context, s *spool, o PackOptions) (string, error) {
	z, mediaType, err := compress(s, o.Zstd)
	if err != nil {
		return "", err
	}
	mtime := time.Unix(0, 0)
	if !o.Epoch.IsZero() {
		mtime = time.Unix(o.Epoch.Unix(), 0)
	}
	plain := &tally{w: z}
	out := tar.NewWriter(plain)
	for i, f := range t.files {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: path.Join(t.top, f.Path), Mode: int64(f.Mode.Perm()), Size: f.Size, ModTime: mtime}
		if f.Mode&fs.ModeSymlink != 0 {
			h.Typeflag, h.Linkname = tar.TypeSymlink, f.Link
		}
		if err := out.WriteHeader(h); err != nil {
			return "", fmt.Errorf("pack %s: %w", f.Path, err)
		}
		if h.Typeflag == tar.TypeReg {
			if err := t.copy(ctx, out, f, t.infos[i]); err != nil {
				return "", err
			}
		}
	}
	if err := errors.Join(out.Close(), z.Close()); err != nil {
		return "", err
	}
	t.unpacked = plain.n
	return mediaType, nil
}

// check reads back what write wrote, where it is large enough for the ratio to
// be looked at: where in the archive that goes over the limit depends on how
// the compressor buffers, and only reading tells. What is packed can be unpacked.
func (t *tree) check(ctx context.Context, source Blob) error {
	if t.unpacked <= RatioFloor {
		return nil
	}
	r, err := source.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	err = List(contextReader{ctx, r}, source.Descriptor.MediaType, func(File, io.Reader) error { return nil })
	if e := clyde.AsError(err); e != nil {
		return e.Fix("leave out files that are all alike, or make them when building")
	}
	return err
}

// tally counts what passes through.
type tally struct {
	w io.Writer
	n int64
}

func (t *tally) Write(b []byte) (int, error) {
	k, err := t.w.Write(b)
	t.n += int64(k)
	return k, err
}

// copy writes the content of f, which must be the file that read saw, with the
// size and time that it had, also when all is read.
func (t *tree) copy(ctx context.Context, out io.Writer, f File, was fs.FileInfo) error {
	in, err := t.root.Open(filepath.FromSlash(f.Path))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return changed(f.Path, err)
		}
		return err
	}
	defer in.Close()
	if now, err := in.Stat(); err != nil || !os.SameFile(now, was) || now.Size() != f.Size {
		return changed(f.Path, err)
	}
	n, err := io.Copy(out, io.LimitReader(contextReader{ctx, in}, f.Size))
	if err != nil {
		return fmt.Errorf("pack %s: %w", f.Path, err)
	}
	if n != f.Size {
		return changed(f.Path, nil)
	}
	if now, err := in.Stat(); err != nil || now.Size() != f.Size || !now.ModTime().Equal(was.ModTime()) {
		return changed(f.Path, err)
	}
	return nil
}

// contextReader ends with ctx.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}

func changed(p string, err error) error {
	return clyde.Errorf(clyde.ErrConflict, "%q changed while it was packed", p).WithCode("file_changed").Because(err).
		Fix("pack again when nothing writes to the directory")
}
