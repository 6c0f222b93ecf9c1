package store

import (
	"strconv"
	"strings"
	"testing"
)

// step is a line of EXPLAIN QUERY PLAN.
type step string

func (s step) scans() bool {
	return strings.HasPrefix(string(s), "SCAN ") && s != "SCAN CONSTANT ROW" ||
		strings.Contains(string(s), "TEMP B-TREE")
}

func plan(t *testing.T, db *DB, name string) (steps []step) {
	t.Helper()
	args := make([]any, strings.Count(query(db.eng, name), "$"))
	for i := range args {
		args[i] = "1"
	}
	n := 0
	for i := range args {
		if strings.Contains(query(db.eng, name), "$"+strconv.Itoa(i+1)) {
			n = i + 1
		}
	}
	rows, err := db.read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query(db.eng, name), args[:n]...)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step(detail))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return steps
}
