package fsdriver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"time"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
)

func (d *disk) Name() string { return Name }

func (d *disk) lookup(p string) *entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.memory[p]
}

// GetContent returns a whole file.
func (d *disk) GetContent(ctx context.Context, p string) ([]byte, error) {
	r, err := d.Reader(ctx, p, 0)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// Reader reads a file from an offset; behind its end it reads nothing.
func (d *disk) Reader(_ context.Context, p string, offset int64) (io.ReadCloser, error) {
	if err := checkPath(p); err != nil {
		return nil, err
	}
	if e := d.lookup(p); e != nil {
		return io.NopCloser(bytes.NewReader(e.data[min(offset, int64(len(e.data))):])), nil
	}
	f, err := d.files.OpenFile(d.full(p), os.O_RDONLY, 0)
	if err != nil {
		return nil, notFound(p, err)
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// PutContent stores a whole file, in the journal if it is small.
func (d *disk) PutContent(ctx context.Context, p string, content []byte) error {
	if err := checkPath(p); err != nil {
		return err
	}
	if hashState(p) {
		return d.keepState(p, content)
	}
	if untracked(p) {
		if done, err := d.writeUpload(p, content); done || err != nil {
			return err
		}
	}
	if !untracked(p) && len(content) <= d.opt.SmallFile {
		if err := d.relieve(ctx); err != nil {
			return err
		}
		return d.put(p, content, "")
	}
	temp := d.tempName()
	if err := writeNew(d.files, temp, content); err != nil {
		return err
	}
	var err error
	if untracked(p) {
		err = d.rename(temp, p)
	} else {
		err = d.large(temp, p, "")
	}
	if err != nil {
		_ = d.files.Remove(temp)
	}
	return err
}

// writeUpload writes a file of an upload at once in its place and reports
// whether it did: one that is there already is to be replaced as a whole.
func (d *disk) writeUpload(p string, content []byte) (done bool, err error) {
	if err := d.mkdirs(path.Dir(p)); err != nil {
		return false, err
	}
	f, err := d.files.OpenFile(d.full(p), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return false, nil //nolint:nilerr // the other way says what is wrong
	}
	_, err = f.Write(content)
	return true, errors.Join(err, f.Close())
}

// Stat describes a file or directory.
func (d *disk) Stat(_ context.Context, p string) (storagedriver.FileInfo, error) {
	if err := checkPath(p); err != nil {
		return nil, err
	}
	d.mu.Lock()
	e, dir := d.memory[p], d.memDirs[p] > 0
	d.mu.Unlock()
	fields := storagedriver.FileInfoFields{Path: p}
	switch {
	case e != nil:
		fields.Size, fields.ModTime = int64(len(e.data)), e.time
	case dir:
		fields.IsDir, fields.ModTime = true, time.Now()
	default:
		fi, err := d.files.Stat(d.full(p))
		if err != nil {
			return nil, notFound(p, err)
		}
		fields.ModTime, fields.IsDir = fi.ModTime(), fi.IsDir()
		if !fi.IsDir() {
			fields.Size = fi.Size()
		}
	}
	return storagedriver.FileInfoInternal{FileInfoFields: fields}, nil
}

// List returns the paths directly below a directory.
func (d *disk) List(_ context.Context, p string) ([]string, error) {
	if err := checkPath(p); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	d.mu.Lock()
	inMemory := d.memDirs[p] > 0
	if inMemory {
		for name := range d.memory {
			if name != p && under(name, p) {
				for path.Dir(name) != p {
					name = path.Dir(name)
				}
				seen[path.Base(name)] = true
			}
		}
	}
	d.mu.Unlock()
	names, err := d.files.ReadDir(d.full(p))
	if err != nil && !(inMemory && errors.Is(err, fs.ErrNotExist)) {
		return nil, notFound(p, err)
	}
	for _, name := range names {
		if p != "/" || name != ownDir {
			seen[name] = true
		}
	}
	list := make([]string, 0, len(seen))
	for name := range seen {
		list = append(list, path.Join(p, name))
	}
	return list, nil
}

// Move renames a file; the destination appears whole.
func (d *disk) Move(ctx context.Context, from, to string) error {
	if err := errors.Join(checkPath(from), checkPath(to)); err != nil {
		return storagedriver.InvalidPathError{Path: to, DriverName: Name}
	}
	if from == to {
		_, err := d.Stat(ctx, from)
		return err
	}
	if err := d.relieve(ctx); err != nil {
		return err
	}
	if e := d.lookup(from); e != nil {
		return d.moveContent(to, e.data, from)
	}
	fi, err := d.files.Stat(d.full(from))
	if err != nil {
		return notFound(from, err)
	}
	if fi.IsDir() {
		return fmt.Errorf("move %s: is a directory", from)
	}
	if untracked(from) && !untracked(to) {
		if err := d.verify(from, to); err != nil {
			return err
		}
	}
	switch {
	case untracked(from) && untracked(to):
		err = d.rename(d.full(from), to)
	case fi.Size() <= int64(d.opt.SmallFile):
		var content []byte
		if content, err = readJournal(d.files, d.full(from)); err == nil {
			err = d.moveContent(to, content, from)
		}
	case untracked(from):
		err = d.large(d.full(from), to, "")
	default:
		// Two directories cannot be changed in one step, so the old
		// name goes only after the new one is there.
		temp := d.tempName()
		if err = d.copyFile(d.full(from), temp); err == nil {
			err = d.large(temp, to, from)
		}
	}
	d.forgetUpload(from)
	return err
}

// moveContent is Move for a small file.
func (d *disk) moveContent(to string, content []byte, from string) error {
	if untracked(to) {
		if err := d.writeFile(to, content); err != nil {
			return err
		}
		return d.Delete(context.Background(), from)
	}
	if untracked(from) {
		if err := d.put(to, content, ""); err != nil {
			return err
		}
		return d.removeFile(from)
	}
	return d.put(to, content, from)
}

// verify hashes an upload again that this process did not write from its
// first byte: after a power failure its data may not be what it was, and
// distribution goes by the hash state it saved.
func (d *disk) verify(from, to string) error {
	dgst, ok := blobDigest(to)
	d.mu.Lock()
	_, fresh := d.fresh[from]
	d.mu.Unlock()
	if fresh || !ok {
		return nil
	}
	f, err := d.files.OpenFile(d.full(from), os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	v := dgst.Verifier()
	if _, err := io.Copy(v, f); err != nil {
		return err
	}
	if !v.Verified() {
		return fmt.Errorf("the upload was damaged while the server was down; it is not %s: upload it again", dgst)
	}
	return nil
}

func (d *disk) forgetUpload(p string) {
	d.mu.Lock()
	delete(d.fresh, p)
	d.mu.Unlock()
}

func (d *disk) copyFile(from, to string) error {
	in, err := d.files.OpenFile(from, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := d.files.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// Delete removes a file, or a directory and everything below it.
func (d *disk) Delete(_ context.Context, p string) error {
	if err := checkPath(p); err != nil {
		return err
	}
	if p == "/" {
		return storagedriver.InvalidPathError{Path: p, DriverName: Name}
	}
	if untracked(p) {
		if _, err := d.files.Stat(d.full(p)); err != nil && d.lookup(p) == nil {
			return notFound(p, err)
		}
		d.mu.Lock()
		for name := range d.fresh {
			if under(name, p) {
				delete(d.fresh, name)
			}
		}
		d.forgetLocked(p)
		d.mu.Unlock()
		return d.files.RemoveAll(d.full(p))
	}
	frame, _ := newFrame(op{kind: opDelete, path: p})
	d.treeMu.Lock()
	defer d.treeMu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.memory[p] == nil && d.memDirs[p] == 0 {
		if _, err := d.files.Stat(d.full(p)); err != nil {
			return notFound(p, err)
		}
	}
	if err := d.appendLocked(frame); err != nil {
		return err
	}
	d.forgetLocked(p)
	clear(d.dirs)
	d.settled[p] = struct{}{}
	return d.files.RemoveAll(d.full(p))
}

// RedirectURL returns none: files are served by this process.
func (d *disk) RedirectURL(*http.Request, string) (string, error) { return "", nil }

// Walk calls f for everything below a directory.
func (d *disk) Walk(ctx context.Context, p string, f storagedriver.WalkFn, options ...func(*storagedriver.WalkOptions)) error {
	return storagedriver.WalkFallback(ctx, d, p, f, options...)
}

// Writer returns a writer of a file. Uploads are written in place; any other
// file beside the tree until Commit.
func (d *disk) Writer(ctx context.Context, p string, appending bool) (storagedriver.FileWriter, error) {
	if err := checkPath(p); err != nil {
		return nil, err
	}
	name := d.full(p)
	flag := os.O_RDWR | os.O_CREATE
	if !appending {
		flag |= os.O_TRUNC
	}
	if untracked(p) {
		if err := d.mkdirs(path.Dir(p)); err != nil {
			return nil, err
		}
	} else {
		var err error
		if name, err = d.sideFile(ctx, p, appending); err != nil {
			return nil, err
		}
	}
	f, err := d.files.OpenFile(name, flag, 0o666)
	if errors.Is(err, fs.ErrNotExist) {
		d.forgetDirs()
		if err = d.files.MkdirAll(filepath.Dir(name), 0o777); err == nil {
			f, err = d.files.OpenFile(name, flag, 0o666)
		}
	}
	if err != nil {
		return nil, err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if untracked(p) && size == 0 {
		d.mu.Lock()
		d.fresh[p] = struct{}{}
		d.mu.Unlock()
	}
	return &writer{disk: d, file: f, path: p, name: name, size: size, started: size}, nil
}

// sideFile returns where the uncommitted content of a tracked file is; it begins with
// the file's present content when a writer appends.
func (d *disk) sideFile(ctx context.Context, p string, appending bool) (string, error) {
	d.mu.Lock()
	name, ok := d.writers[p]
	d.mu.Unlock()
	if ok {
		return name, nil
	}
	name = d.tempName()
	if appending {
		r, err := d.Reader(ctx, p, 0)
		if err == nil {
			var f File
			if f, err = d.files.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666); err == nil {
				_, err = io.Copy(f, r)
				err = errors.Join(err, f.Close())
			}
			_ = r.Close()
		}
		if _, missing := errors.AsType[storagedriver.PathNotFoundError](err); err != nil && !missing {
			return "", err
		}
	}
	d.mu.Lock()
	d.writers[p] = name
	d.mu.Unlock()
	return name, nil
}
