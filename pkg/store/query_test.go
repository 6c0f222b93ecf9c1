package store

import (
	"maps"
	"slices"
	"testing"
)

func TestEveryQueryPrepares(t *testing.T) {
	t.Parallel()
	db, err := Open(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, name := range slices.Sorted(maps.Keys(queries())) {
		s, err := db.writeDB.Driver().Open(db.eng.(sqliteEngine).dsn(readerCacheKiB))
		if err != nil {
			t.Fatal(err)
		}
		p, err := s.Prepare(query(db.eng, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if err := p.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A request's page must not cost more as the registry grows: no query of one
// may read a whole table.
func TestNoQueryScans(t *testing.T) {
	t.Parallel()
	db, err := Open(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	// What may: administration, tables of a few rows, walks in key order that a
	// LIMIT ends, and what fills the search index at start.
	allowed := []string{
		"DropRequirementTable", "DropReleaseTable", "DropPackageTable", "DropTagTable", "DropManifestTable",
		"DropRepositoryTable", "DropCounterTable", "CountWaiting", "CountParked", "OldestWaiting", "Tokens", "Counters", "Ping",
		"DueEvents", "DependentCounts", "NamespacesWithoutLikeness", "AuditHead",
		"BlobRepos", "ModeratedRepos", "PolicyNamespaces", "HeldRepos",
		"Counts",             // sorts what was counted of one package in the days asked for
		"OldestDay",          // the first of an index
		"UpstreamNamespaces", // a few rows
		"PublicPackages",     // a window of the key, for the sitemap, of five million at most
	}
	for _, name := range slices.Sorted(maps.Keys(queries())) {
		if slices.Contains(allowed, name) {
			continue
		}
		for _, step := range plan(t, db, name) {
			if step.scans() {
				t.Errorf("%s: %s", name, step)
			}
		}
	}
}
