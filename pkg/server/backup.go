package server

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// BackupInfo says what a backup holds.
type BackupInfo struct {
	Path  string `json:"path"`
	Files int    `json:"files"`
	Bytes int64  `json:"bytes"`
}

// Names inside a backup.
const (
	backupDB     = "clyde.db"
	backupSecret = "secret"
	backupBlobs  = "registry"
	backupAudit  = "audit"
)

// Backup writes a tar of everything to path, while serving: first a consistent
// copy of the database, then the blobs. A blob is never changed once it is
// named, so whatever the database copy refers to is in the tar.
func (p *Parts) Backup(ctx context.Context, path string) (info BackupInfo, err error) {
	if path == "" {
		return info, clyde.Errorf(clyde.ErrInvalid, "name the file to write the backup to")
	}
	if p.bucket {
		return info, clyde.Errorf(clyde.ErrInvalid, "the blobs are in a bucket, which a backup does not copy").
			Fix("Copy the bucket with the storage's own means (versions, replication), and the database before it; docs/storage.md has the order.")
	}
	if p.DB.Shared() {
		// It has to be said before anything else is copied.
		return info, p.DB.Backup(ctx, path)
	}
	if _, err := os.Stat(path); err == nil {
		return info, clyde.Errorf(clyde.ErrConflict, "%s exists; a backup overwrites nothing", path)
	}
	tmp, err := os.MkdirTemp(p.Dir, ".backup-*")
	if err != nil {
		return info, err
	}
	defer os.RemoveAll(tmp)
	// What the copy of the database names must not go before it is copied.
	defer p.Registry.KeepAll()()
	db := filepath.Join(tmp, backupDB)
	if err := p.DB.Backup(ctx, db); err != nil {
		return info, err
	}
	// Small files of the last pushes may be in the registry's journal alone.
	if err := p.Registry.Flush(ctx); err != nil {
		return info, err
	}
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return info, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	tw := tar.NewWriter(out)
	info.Path = path
	add := func(name, file string) error {
		n, err := addFile(tw, name, file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // an upload that ended meanwhile
		}
		info.Files++
		info.Bytes += n
		return err
	}
	err = errors.Join(add(backupDB, db), add(backupSecret, filepath.Join(p.Dir, "secret")))
	// The database no longer has the months of the audit log that are in files.
	for _, dir := range []struct{ name, path string }{{backupBlobs, "registry"}, {backupAudit, auditDir}} {
		if err == nil {
			err = eachFile(ctx, filepath.Join(p.Dir, dir.path), func(rel, file string) error { return add(dir.name+"/"+rel, file) })
		}
	}
	err = errors.Join(err, tw.Close(), out.Sync(), out.Close())
	return info, err
}

// eachFile calls fn for every file below root that belongs into a backup, with
// its path from there.
func eachFile(ctx context.Context, root string, fn func(rel, file string) error) error {
	return filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if d.IsDir() && (d.Name() == "_uploads" || d.Name() == ".clyde") {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() || strings.HasSuffix(file, archivePart) {
			return nil
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		return fn(filepath.ToSlash(rel), file)
	})
}

func addFile(tw *tar.Writer, name, file string) (int64, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: st.Size(), ModTime: st.ModTime()}); err != nil {
		return 0, err
	}
	return io.Copy(tw, io.LimitReader(f, st.Size()))
}

// Restore unpacks a backup into dir, which must be empty or absent. What is
// derived is rebuilt from it by reindex.
func Restore(ctx context.Context, backup, dir string) (err error) {
	if es, err := os.ReadDir(dir); err == nil && len(es) > 0 {
		return clyde.Errorf(clyde.ErrConflict, "%s is not empty; restore overwrites nothing", dir).Fix("Name a new directory with --data.")
	}
	in, err := os.Open(backup)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	tr := tar.NewReader(in)
	seen := false
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return clyde.Errorf(clyde.ErrInvalid, "%s is no whole backup", backup).Because(err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		name := h.Name
		if name == backupDB {
			name, seen = "restored.db", true
		} else if name != backupSecret && !strings.HasPrefix(name, backupBlobs+"/") && !strings.HasPrefix(name, backupAudit+"/") {
			return clyde.Errorf(clyde.ErrInvalid, "%s holds %q, which no backup does", backup, name)
		}
		if err := restoreFile(root, name, tr); err != nil {
			return err
		}
	}
	if !seen {
		return clyde.Errorf(clyde.ErrInvalid, "%s holds no database", backup)
	}
	copied := filepath.Join(dir, "restored.db")
	if err := store.Restore(ctx, copied, filepath.Join(dir, backupDB)); err != nil {
		return err
	}
	return os.Remove(copied)
}

func restoreFile(root *os.Root, name string, r io.Reader) error {
	if i := strings.LastIndex(name, "/"); i > 0 {
		if err := root.MkdirAll(filepath.FromSlash(name[:i]), 0o700); err != nil {
			return err
		}
	}
	f, err := root.OpenFile(filepath.FromSlash(name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Sync(), f.Close())
}
