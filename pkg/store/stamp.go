package store

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
)

// packageTables are those that say which versions of a package there are and
// who may see them. The first argument of every statement that writes one is
// the package's repository.
var packageTables = []string{"held", "moderation", "package", "release", "setting", "yank"}

// stampCount is how many counters the packages share. Ours: packages that share
// one are read again when the other changes, which is seldom.
const stampCount = 4096

// stamps count the writes to packages, by a hash of their repository.
type stamps struct {
	seed maphash.Seed
	n    [stampCount]atomic.Uint64
}

func (s *stamps) of(repo string) *atomic.Uint64 {
	return &s.n[maphash.String(s.seed, repo)%stampCount]
}

// changesPackages says by name which statements write one of packageTables.
var changesPackages = sync.OnceValue(func() map[string]bool { return writersOf(packageTables) })

// Names in the table of stamps besides repositories, which have a slash.
const (
	accessStamp = "access"
	allPackages = "*"
)

// PackageVersion grows whenever what Package, Releases, ReleaseManifests and
// Moderations answer about a repository may have become another, before the
// write that did it returns; what counts downloads does not count. What was read
// after asking for the version holds as long as the version is the same. Where
// other processes write to the same database, asking is a query.
func (db *DB) PackageVersion(ctx context.Context, repo string) (uint64, error) {
	if !db.eng.shared() {
		return db.writer.stamps.of(repo).Load(), nil
	}
	return db.stamp(ctx, repo, allPackages)
}

// stamp is the sum of two stamps of the table.
func (db *DB) stamp(ctx context.Context, a, b string) (n uint64, err error) {
	err = db.row(ctx, "Stamp", a, b).Scan(&n)
	return n, err
}

// stampAll writes the stamps of what a transaction touched into the table.
func (t *tx) stampAll() error {
	names := t.touched
	if t.touchedAll {
		names = []string{allPackages}
	}
	if t.access {
		names = append(names, accessStamp)
	}
	slices.Sort(names) // two that touch the same take them in one order
	for _, name := range slices.Compact(names) {
		if err := t.exec("AddStamp", name); err != nil {
			return err
		}
	}
	return nil
}

// touch notes that a statement wrote about a package, or about all of them.
func (t *tx) touch(name string, args []any) {
	if !changesPackages()[name] {
		return
	}
	if len(args) > 0 {
		if repo, ok := args[0].(string); ok {
			t.touched = append(t.touched, repo)
			return
		}
	}
	t.touchedAll = true
}

// stamp counts what a transaction touched.
func (w *writer) stamp(t *tx) {
	if t.touchedAll {
		for i := range w.stamps.n {
			w.stamps.n[i].Add(1)
		}
		return
	}
	slices.Sort(t.touched)
	for _, repo := range slices.Compact(t.touched) {
		w.stamps.of(repo).Add(1)
	}
}
