package store

import (
	"slices"
	"strings"
	"testing"
)

func TestChangesAccess(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"AddToken", "RevokeToken", "SetAdmin", "SuspendAccount"} {
		if _, ok := queries()[name]; ok && !changesAccess()[name] {
			t.Errorf("%s does not count as a change of access", name)
		}
	}
	for _, table := range accessTables {
		n := 0
		for name, text := range queries() {
			if changesAccess()[name] && strings.Contains(text, table) {
				n++
			}
		}
		if n == 0 {
			t.Errorf("no statement that changes access mentions %s", table)
		}
	}
	for _, name := range []string{"TokenByHash", "Holdings", "Account", "TouchToken", "SaveRelease"} {
		if _, ok := queries()[name]; !ok {
			t.Errorf("there is no query %s", name)
		}
		if changesAccess()[name] {
			t.Errorf("%s counts as a change of access", name)
		}
	}
	// The tables that decide are those that these read.
	for _, name := range []string{"TokenByHash", "Holdings", "Account"} {
		words := strings.FieldsFunc(queries()[name], func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') })
		for i, w := range words {
			if w != "FROM" && w != "JOIN" || i+1 == len(words) {
				continue
			}
			if changed := words[i+1]; changed != "" && !isAccessTable(changed) {
				t.Errorf("%s reads %s, which is not among accessTables", name, changed)
			}
		}
	}
}

func isAccessTable(name string) bool {
	return slices.Contains(accessTables, name)
}
