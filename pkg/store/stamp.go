package store

import (
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
)

// packageTables are those that say which versions of a package there are and
// who may see them. The first argument of every statement that writes one is
// the package's repository.
var packageTables = []string{"moderation", "package", "release", "setting", "yank"}

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

// PackageVersion grows whenever what Package, Releases, ReleaseManifests and
// Moderations answer about a repository may have become another, before the
// write that did it returns; what counts downloads does not count. What was read
// after asking for the version holds as long as the version is the same.
func (db *DB) PackageVersion(repo string) uint64 { return db.writer.stamps.of(repo).Load() }

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
