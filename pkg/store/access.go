package store

import (
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
// after asking for the version holds as long as the version is the same.
func (db *DB) AccessVersion() uint64 { return db.writer.access.Load() }
