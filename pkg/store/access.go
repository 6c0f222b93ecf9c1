package store

import (
	"context"
	"regexp"
	"slices"
	"sync"
)

// accessTables are those that TokenByHash, Account and Holdings read: what says
// who a token stands for and what that account holds.
var accessTables = []string{"account", "member", "namespace", "org", "package_owner", "pkg_grant", "team", "team_member", "token"}

var writtenTable = regexp.MustCompile(`(?i)\b(?:INSERT\s+(?:OR\s+\w+\s+)?INTO|REPLACE\s+INTO|UPDATE|DELETE\s+FROM)\s+(\w+)`)

// writersOf says by name which statements write one of tables.
func writersOf(tables []string) map[string]bool {
	m := make(map[string]bool)
	for name, text := range queries() {
		for _, hit := range writtenTable.FindAllStringSubmatch(text, -1) {
			if slices.Contains(tables, hit[1]) {
				m[name] = true
			}
		}
	}
	return m
}

// changesAccess says by name which statements write one of accessTables. It is
// read off their text, so that a new one is not forgotten.
var changesAccess = sync.OnceValue(func() map[string]bool {
	m := writersOf(accessTables)
	// When a token was last used decides nothing, and is written often.
	delete(m, "TouchToken")
	return m
})

// AccessVersion grows whenever what TokenByHash, Account or Holdings answer may
// have become another, before the write that did it returns. What was read
// after asking for the version holds as long as the version is the same. Where
// other processes write to the same database, asking is a query.
func (db *DB) AccessVersion(ctx context.Context) (uint64, error) {
	if !db.eng.shared() {
		return db.writer.access.Load(), nil
	}
	return db.stamp(ctx, accessStamp, "")
}
