package server

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// fileScheme begins the address of a database in a file: "sqlite:data/clyde.db".
const fileScheme = "sqlite:"

// Migrate copies everything of one database into another that is empty, and
// compares both. Each is "sqlite:" and the path of a file, or postgres://…. No
// server may run on either; the directory of a file is locked meanwhile.
func Migrate(ctx context.Context, from, to string) (_ []store.Table, err error) {
	if path, ok := strings.CutPrefix(from, fileScheme); ok {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil, clyde.Errorf(clyde.ErrNotFound, "there is no database at %s", path)
		}
	}
	src, closeSrc, err := openAlone(ctx, from)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeSrc()) }()
	dst, closeDst, err := openAlone(ctx, to)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeDst()) }()
	return store.Copy(ctx, src, dst)
}

// openAlone opens a database, and locks the directory of one in a file.
func openAlone(ctx context.Context, address string) (_ *store.DB, closeAll func() error, err error) {
	path, file := strings.CutPrefix(address, fileScheme)
	if !file {
		if !store.IsPostgres(address) {
			return nil, nil, clyde.Errorf(clyde.ErrInvalid, "a database's address begins with sqlite: or postgres://").
				Fix("Write sqlite:/var/lib/clyde/clyde.db, or postgres://user@host/name.")
		}
		db, err := store.Open(ctx, store.Options{URL: address})
		if err != nil {
			return nil, nil, err
		}
		return db, db.Close, nil
	}
	unlock, err := lockDir(filepath.Dir(path))
	if err != nil {
		return nil, nil, err
	}
	db, err := store.Open(ctx, store.Options{Path: path})
	if err != nil {
		return nil, nil, errors.Join(err, unlock())
	}
	return db, func() error { return errors.Join(db.Close(), unlock()) }, nil
}
