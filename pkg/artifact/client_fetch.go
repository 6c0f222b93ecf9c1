package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/filelock"
)

// partSuffix marks a file that is not complete.
const partSuffix = ".part"

// FetchBlob writes a blob to path, which appears only when it is complete and
// verified. What came before a failure stays in path+".part", and the next
// FetchBlob goes on from there; two at once, in one process or many, do not
// disturb each other. A path that holds the blob already is left alone.
//
// progress, which may be nil, is told of bytes as they arrive, and at once of
// those that were there; together they are d.Size at the end. Bytes that are
// not d's are an clyde.ErrUnverified error, and are removed.
func (c *Client) FetchBlob(ctx context.Context, repo string, d ocispec.Descriptor, path string, progress func(delta int64)) error {
	if err := checkBlob(d); err != nil {
		return err
	}
	release, err := c.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	m := &gauge{tell: progress}
	if Holds(path, d) {
		m.reach(d.Size)
		return nil
	}
	p, err := openPart(path)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", d.Digest, err)
	}
	resumed, err := c.fill(ctx, repo, d, p, m)
	if resumed && errors.Is(err, clyde.ErrUnverified) {
		// The bytes of an earlier attempt may be the wrong ones.
		if err = p.f.Truncate(0); err == nil {
			_, err = c.fill(ctx, repo, d, p, m)
		}
	}
	if err == nil {
		err = p.keep(path)
	}
	if err == nil {
		return nil
	}
	return errors.Join(err, p.leave(errors.Is(err, clyde.ErrUnverified)))
}

// fill completes p. resumed is true when p held bytes before.
func (c *Client) fill(ctx context.Context, repo string, d ocispec.Descriptor, p *part, m *gauge) (resumed bool, err error) {
	b, err := c.newBlobReader(ctx, repo, d)
	if err != nil {
		return false, err
	}
	defer func() { _ = b.Close() }() // all that matters was read, or failed
	if _, err := p.f.Seek(0, io.SeekStart); err != nil {
		return false, err
	}
	if b.off, err = io.Copy(b.hash, io.LimitReader(p.f, d.Size)); err != nil {
		return false, fmt.Errorf("read %s: %w", p.f.Name(), err)
	}
	if err := p.f.Truncate(b.off); err != nil { // more than d.Size cannot be right
		return false, err
	}
	resumed = b.off > 0
	m.reach(b.off)
	off := b.off
	_, err = io.Copy(writerFunc(func(buf []byte) (int, error) {
		n, err := p.f.Write(buf)
		off += int64(n)
		m.reach(off)
		return n, err
	}), b)
	if err != nil {
		if clyde.AsError(err) == nil && ctx.Err() == nil {
			err = fmt.Errorf("write %s: %w", p.f.Name(), err)
		}
		return resumed, err
	}
	return resumed, p.f.Sync()
}

type writerFunc func(b []byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// gauge turns how far a file has come into deltas that never go back.
type gauge struct {
	tell func(delta int64)
	high int64
}

func (m *gauge) reach(off int64) {
	if off > m.high {
		if m.tell != nil {
			m.tell(off - m.high)
		}
		m.high = off
	}
}

// Holds reports whether the file at path is the blob d, every byte of it.
func Holds(path string, d ocispec.Descriptor) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() != d.Size {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // it was only read
	v := d.Digest.Verifier()
	_, err = io.Copy(v, f)
	return err == nil && v.Verified()
}

// part is a file on its way to path.
type part struct {
	f    *os.File
	ours bool // path+".part", locked: it may stay for the next attempt
}

// openPart opens path+".part" for this process alone, or a file of another
// name where somebody is at work on that.
func openPart(path string) (*part, error) {
	name := path + partSuffix
	for {
		if info, err := os.Lstat(name); err == nil && !info.Mode().IsRegular() {
			break // a link or pipe: not ours, and not to be followed
		}
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, err
		}
		if !filelock.Try(f, false) {
			if err := f.Close(); err != nil {
				return nil, err
			}
			break
		}
		// Whoever had the lock may have given the file its final name: then it
		// is not ours to write.
		mine, err := f.Stat()
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if now, err := os.Lstat(name); err == nil && os.SameFile(mine, now) {
			return &part{f, true}, nil
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*"+partSuffix)
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" {
		if err := f.Chmod(0o644); err != nil {
			return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}
	return &part{f, false}, nil
}

// keep gives the file its final name. It is renamed while it is locked, except
// on Windows, which does not rename open files.
func (p *part) keep(path string) error {
	if runtime.GOOS == "windows" {
		if err := p.f.Close(); err != nil {
			return err
		}
		return os.Rename(p.f.Name(), path)
	}
	if err := os.Rename(p.f.Name(), path); err != nil {
		return err
	}
	return p.f.Close()
}

// leave ends a failed attempt.
func (p *part) leave(wrong bool) error {
	info, err := p.f.Stat()
	if err == nil && p.ours && !wrong && info.Size() > 0 {
		return p.f.Close()
	}
	if runtime.GOOS == "windows" {
		_ = p.f.Close() // it may be closed already; what counts is that it goes
		err = os.Remove(p.f.Name())
	} else {
		err = errors.Join(os.Remove(p.f.Name()), p.f.Close())
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
