package store

import (
	"slices"
	"strings"
	"testing"
)

// TestChangesPackages: every statement that writes one of packageTables is
// known, and takes the repository first.
func TestChangesPackages(t *testing.T) {
	t.Parallel()
	all := []string{"DropReleaseTable", "DropPackageTable"} // concern every package
	n := 0
	for name, text := range queries() {
		if !changesPackages()[name] {
			continue
		}
		n++
		insert := strings.Contains(text, "(repo, ") && strings.Contains(text, "VALUES ($1, ")
		if !slices.Contains(all, name) && !insert && !strings.Contains(text, "repo = $1") {
			t.Errorf("%s writes about a package and its first argument is not the repository", name)
		}
	}
	for _, name := range []string{"SaveRelease", "SavePackage", "SaveSetting", "SetModeration", "ClearModeration", "SetYank", "Unyank", "EraseRelease", "SetVerification"} {
		if !changesPackages()[name] {
			t.Errorf("%s does not count as a change of a package", name)
		}
	}
	if n < 9 {
		t.Errorf("%d statements change packages; want more", n)
	}
}

func TestPackageVersion(t *testing.T) {
	t.Parallel()
	db, err := Open(t.Context(), Options{Path: t.TempDir() + "/clyde.db"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	a, b := packageVersion(t, db, "acme/a"), packageVersion(t, db, "acme/b")
	if err := db.SaveSetting(t.Context(), Setting{Repo: "acme/a", Private: true}, Change{}, AuditEntry{}); err != nil {
		t.Fatal(err)
	}
	if packageVersion(t, db, "acme/a") == a {
		t.Error("a write about a package does not change its version")
	}
	if db.writer.stamps.of("acme/a") != db.writer.stamps.of("acme/b") && packageVersion(t, db, "acme/b") != b {
		t.Error("it changes that of another")
	}
}

func packageVersion(t *testing.T, db *DB, repo string) uint64 {
	t.Helper()
	v, err := db.PackageVersion(t.Context(), repo)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
