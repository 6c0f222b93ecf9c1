package store

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// auditDB has entries in three months.
func auditDB(t *testing.T) (*DB, *time.Time) {
	t.Helper()
	now := time.Date(2026, 1, 30, 0, 0, 0, 0, time.UTC)
	db := openInternal(t, Options{Now: func() time.Time { return now }})
	for i := range 9 {
		if i > 0 && i%3 == 0 {
			now = now.AddDate(0, 0, 28)
		}
		if err := db.AddAudit(t.Context(), AuditEntry{Actor: fmt.Sprintf("a%d", i%2), Action: "token.create", Resource: "@acme/zlib", After: "{}"}); err != nil {
			t.Fatal(err)
		}
	}
	return db, &now
}

// Whatever somebody with the file does to an entry is found.
func TestAuditTampering(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ do, broken string }{
		"untouched":       {"SELECT 1", ""},
		"a field":         {"UPDATE audit_202602 SET actor = 'eve' WHERE seq = 5", "entry 5 was changed"},
		"moved fields":    {"UPDATE audit_202602 SET actor = actor || token, token = '', before = after, after = '' WHERE seq = 5", "entry 5 was changed"},
		"its own hash":    {"UPDATE audit_202602 SET hash = prev WHERE seq = 5", "entry 5 was changed"},
		"one removed":     {"DELETE FROM audit_202602 WHERE seq = 5", "entry 5 is missing"},
		"the end removed": {"DELETE FROM audit_202603 WHERE seq = 9", "entries 9 to 9 are missing"},
		"all of a month":  {"DELETE FROM audit_202601", "entries 1 to 3 are missing"},
		"a month's row":   {"DELETE FROM audit_month WHERE month = '202602'", "month 202603 begins"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, _ := auditDB(t)
			for _, m := range []string{"202601", "202602", "202603"} {
				for _, tr := range []string{"update", "delete"} {
					if _, err := db.writer.conn.ExecContext(t.Context(), fmt.Sprintf("DROP TRIGGER audit_%s_no_%s", m, tr)); err != nil {
						t.Fatal(err)
					}
				}
			}
			if _, err := db.writer.conn.ExecContext(t.Context(), tt.do); err != nil {
				t.Fatal(err)
			}
			r, err := db.VerifyAudit(t.Context())
			if err != nil || (r.Broken == "") != (tt.broken == "") || !strings.Contains(r.Broken, tt.broken) {
				t.Errorf("VerifyAudit = %+v, %v; want %q", r, err, tt.broken)
			}
		})
	}
}

// A dropped month keeps the chain whole, and the log goes on.
func TestDropAuditMonth(t *testing.T) {
	t.Parallel()
	db, _ := auditDB(t)
	ctx := t.Context()
	months, err := db.AuditMonths(ctx)
	if err != nil || len(months) != 3 {
		t.Fatalf("months %+v, %v; want 3", months, err)
	}
	first := months[2]
	if err := db.DropAuditMonth(ctx, "202602", months[1].Hash, AuditEntry{Action: "audit.archive"}); err == nil {
		t.Error("a month was dropped before an earlier one")
	}
	if err := db.DropAuditMonth(ctx, first.Month, months[1].Hash, AuditEntry{Action: "audit.archive"}); err == nil {
		t.Error("a month was dropped that was not archived")
	}
	if err := db.DropAuditMonth(ctx, first.Month, first.Hash, AuditEntry{Action: "audit.archive"}); err != nil {
		t.Fatal(err)
	}
	r, err := db.VerifyAudit(ctx)
	if err != nil || r.Broken != "" || r.Entries != 7 || r.Seq != 10 {
		t.Errorf("VerifyAudit = %+v, %v; want 7 entries to 10", r, err)
	}
	es, err := db.AuditLog(ctx, AuditFilter{Actor: "a1", Before: 9, Scopes: []string{"@acme"}, Action: "token.", Resource: "@acme/*"}, 2)
	if err != nil || len(es) != 2 || es[0].Seq != 8 || es[1].Seq != 6 {
		t.Errorf("AuditLog = %+v, %v; want 8 and 6", es, err)
	}
}

// What a release before the chain wrote is taken over at the next start, once.
func TestAuditAdoption(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "clyde.db")
	for round := 1; round <= 2; round++ {
		db, err := Open(context.Background(), Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		r, err := db.VerifyAudit(t.Context())
		if err != nil || r.Broken != "" || r.Entries != int64(round-1) {
			t.Errorf("start %d: %+v, %v", round, r, err)
		}
		_, err = db.writer.conn.ExecContext(t.Context(), "INSERT INTO audit (at_ms, actor, action, resource, detail) VALUES (1767225600000, 'ada', 'old', '@acme', '{}')")
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAuditAtOnce(t *testing.T) {
	t.Parallel()
	db := openInternal(t, Options{})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if err := db.AddAudit(t.Context(), AuditEntry{Action: "x"}); err != nil {
				t.Error(err)
			}
			if r, err := db.VerifyAudit(t.Context()); err != nil || r.Broken != "" {
				t.Errorf("VerifyAudit while others write = %+v, %v", r, err)
			}
		})
	}
	wg.Wait()
}
