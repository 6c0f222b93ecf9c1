package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// derivedTables are the statements that empty them, dependents first.
var derivedTables = []string{
	"DropBuildLinkTable", "DropBuildTable", "DropRequirementTable", "DropShownTable", "DropStandingTable", "DropReleaseTable", "DropPackageTable",
	"DropTagTable", "DropManifestTable", "DropRepositoryTable", "DropCounterTable",
}

// DropDerived empties every derived table, for reindex, and begins a new epoch
// of the change feed.
func (db *DB) DropDerived(ctx context.Context) (err error) {
	defer clyde.Wrap(&err, "store.DropDerived")
	return db.write(ctx, durable, func(tx *tx) error {
		for _, name := range derivedTables {
			if err := tx.exec(name); err != nil {
				return err
			}
		}
		tx.changes = true // wake readers of the feed to the new epoch
		return tx.exec("SetEpoch", newEpoch())
	})
}

// Backup writes a consistent copy to path while serving: the state at one
// moment, in one file without a log, readable by its owner only, synced. The
// copy has an epoch of its own, so that readers of the feed notice a restore.
// An existing file is clyde.ErrConflict.
func (db *DB) Backup(ctx context.Context, path string) (err error) {
	defer clyde.Wrap(&err, "store.Backup")
	if err := db.onlyFile("a backup by this program"); err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return clyde.Errorf(clyde.ErrConflict, "the backup's file exists already").Fix("name a new file")
	}
	part := path + ".part"
	if err := ignoreAbsent(os.Remove(part)); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreAbsent(os.Remove(part)))
		}
	}()
	if err := createPrivate(part); err != nil {
		return err
	}
	if err := db.copyInto(ctx, part); err != nil {
		return err
	}
	if err := renewEpochOf(ctx, part); err != nil {
		return err
	}
	if err := syncFile(part); err != nil {
		return err
	}
	if err := os.Rename(part, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// copyInto copies over a connection of its own: readers' connections refuse
// the statement, and the writer's would keep publishers waiting.
func (db *DB) copyInto(ctx context.Context, part string) error {
	src, err := sql.Open("sqlite", db.eng.(sqliteEngine).dsn(readerCacheKiB)) // Backup asked
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }() // nothing was written through it
	_, err = src.ExecContext(ctx, "VACUUM INTO $1", part)
	return err
}

func renewEpochOf(ctx context.Context, path string) (err error) {
	c, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	_, err = c.ExecContext(ctx, query(sqliteEngine{}, "SetEpoch"), newEpoch())
	return err
}

func ignoreAbsent(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// Integrity has SQLite check the file's structure and constraints. It reads
// the whole database: for an administrator, not for a health check.
func (db *DB) Integrity(ctx context.Context) (err error) {
	defer clyde.Wrap(&err, "store.Integrity")
	if err := db.onlyFile("the check of a database's file"); err != nil {
		return err
	}
	lines, err := list(ctx, db, scanString, "QuickCheck")
	return checked(lines, err)
}

func checked(lines []string, err error) error {
	if err != nil {
		return clyde.Errorf(clyde.ErrInvalid, "the database file cannot be read").
			WithCode("database_damaged").Fix("restore the last backup").Because(err)
	}
	if len(lines) == 1 && lines[0] == "ok" {
		return nil
	}
	return clyde.Errorf(clyde.ErrInvalid, "the database file is damaged").
		WithCode("database_damaged").Fix("restore the last backup").
		Because(errors.New(strings.Join(lines, "; ")))
}

// Verify says whether the file at path is a sound database of this server, of
// a schema that this release can open. It changes nothing. It refuses with
// clyde.ErrInvalid, or clyde.ErrNotFound when there is no file.
func Verify(ctx context.Context, path string) (err error) {
	defer clyde.Wrap(&err, "store.Verify")
	if _, err := os.Stat(path); err != nil {
		return clyde.Errorf(clyde.ErrNotFound, "there is no database at that place").Because(err)
	}
	c, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?mode=ro")
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // read only
	rows, err := c.QueryContext(ctx, query(sqliteEngine{}, "QuickCheck"))
	if err := checked(collect(rows, err, scanString)); err != nil {
		return err
	}
	var epoch string
	if err := c.QueryRowContext(ctx, query(sqliteEngine{}, "Epoch")).Scan(&epoch); err != nil {
		return clyde.Errorf(clyde.ErrInvalid, "the file is no database of this server").Because(err)
	}
	p, err := newMigrations(sqliteEngine{}, c)
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	return checkVersion(ctx, p)
}
