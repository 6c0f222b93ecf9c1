package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// The audit log is one table for each month. Entries are only ever added; the
// tables refuse anything else. Each carries the hash of the one before it, so
// that a change of one is found by VerifyAudit. Retention drops a whole month's
// table after its entries went to a file, and keeps where the chain was.

// auditPage is how many entries are read at once. Ours: some hundred KiB.
const auditPage = 500

// noAudit is the hash before the first entry.
const noAudit = ""

// AuditMonth is one month of the log.
type AuditMonth struct {
	Month    string // "202601"
	First    int64  // seq of its first entry
	Last     int64
	Prev     string // hash before its first entry
	Hash     string // of its last entry
	From, To time.Time
	Dropped  time.Time // zero while its entries are here
}

// AuditFilter says which entries are wanted; the zero filter wants all.
type AuditFilter struct {
	Actor    string    // equal
	Account  int64     // equal
	Action   string    // equal, or a prefix that ends with "."
	Resource string    // equal, or a prefix that ends with "*"
	Scopes   []string  // any of them: "@acme", "org:acme"
	From     time.Time // inclusive
	To       time.Time // exclusive; zero: no end
	Before   int64     // seq; 0: the newest
}

// auditOf names a statement about audit_part on the table of a month.
func auditOf(name, month string) string { return name + "@" + month }

func monthOf(t time.Time) string { return t.UTC().Format("200601") }

func scanAudit(s scanner) (a AuditEntry, err error) {
	var at int64
	err = s.Scan(&a.Seq, &at, &a.Actor, &a.Account, &a.Token, &a.Address, &a.Action, &a.Resource, &a.Scope,
		&a.Detail, &a.Before, &a.After, &a.Prev, &a.Hash)
	a.Time = fromMS(at)
	return a, err
}

func scanAuditMonth(s scanner) (m AuditMonth, err error) {
	var from, to, dropped int64
	err = s.Scan(&m.Month, &m.First, &m.Last, &m.Prev, &m.Hash, &from, &to, &dropped)
	m.From, m.To, m.Dropped = fromMS(from), fromMS(to), fromMS(dropped)
	return m, err
}

// addAudit appends to the log unless Action is "".
func (db *DB) addAudit(tx *tx, a AuditEntry) error {
	if a.Action == "" {
		return nil
	}
	a.Time = db.or(a.Time)
	return appendAudit(tx, monthOf(db.now()), a)
}

// appendAudit writes an entry into month, or into the newest there is when the
// clock went back.
func appendAudit(tx *tx, month string, a AuditEntry) error {
	head, err := scanAuditMonth(tx.row("AuditHead"))
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if a.Detail == "" {
		a.Detail = "{}"
	}
	if a.Scope == "" {
		a.Scope = scopeOf(a.Resource)
	}
	// What is hashed must be what is stored and what an archive says.
	for _, f := range []*string{&a.Actor, &a.Token, &a.Address, &a.Action, &a.Resource, &a.Scope, &a.Detail, &a.Before, &a.After} {
		*f = cleanText(*f)
	}
	a.Time = fromMS(ms(a.Time))
	a.Seq, a.Prev = head.Last+1, head.Hash
	a.Hash = a.chain()
	if head.Month == "" || month > head.Month || !head.Dropped.IsZero() {
		month = max(month, nextMonth(head))
		if err := createAuditPart(tx, month); err != nil {
			return err
		}
		head = AuditMonth{Month: month, First: a.Seq, Prev: a.Prev, From: a.Time, To: a.Time}
	}
	if a.Time.Before(head.From) {
		head.From = a.Time
	}
	if a.Time.After(head.To) {
		head.To = a.Time
	}
	err = tx.exec(auditOf("AddAuditPart", head.Month), a.Seq, ms(a.Time), a.Actor, a.Account, a.Token, a.Address, a.Action,
		a.Resource, a.Scope, a.Detail, a.Before, a.After, a.Prev, a.Hash)
	if err != nil {
		return err
	}
	return tx.exec("SaveAuditMonth", head.Month, head.First, a.Seq, head.Prev, a.Hash, ms(head.From), ms(head.To))
}

// nextMonth is the least month that may follow m: the one after a month whose
// table is gone.
func nextMonth(m AuditMonth) string {
	if m.Dropped.IsZero() {
		return m.Month
	}
	t, err := time.Parse("200601", m.Month)
	if err != nil {
		return m.Month // written by monthOf
	}
	return monthOf(t.AddDate(0, 1, 0))
}

// createAuditPart makes the table of a month like audit_part, with its indexes
// and its triggers.
func createAuditPart(tx *tx, month string) error {
	stmts, err := listTx(tx, scanString, "AuditPartSchema", month)
	if err != nil {
		return err
	}
	for _, s := range stmts {
		if err := tx.w.rawOnce(tx.ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// rawOnce runs a statement that will not come again.
func (w *writer) rawOnce(ctx context.Context, stmt string) error {
	_, err := w.conn.ExecContext(ctx, stmt)
	return err
}

// scopeOf says whose log an entry about a resource belongs to.
func scopeOf(resource string) string {
	r := resource
	if rest, ok := strings.CutPrefix(r, "pkg:clyde/"); ok {
		r = "@" + rest
	}
	switch {
	case strings.HasPrefix(r, "@"):
		ns, _, _ := strings.Cut(r, "/")
		return ns
	case strings.HasPrefix(r, "org:"):
		org, _, _ := strings.Cut(r, "/")
		return org
	}
	return ""
}

// chain is the entry's hash: SHA-256 over the hash before it and every field,
// each as its length in decimal, a colon and its bytes.
func (a AuditEntry) chain() string {
	h := sha256.New()
	for _, f := range []string{
		a.Prev, strconv.FormatInt(a.Seq, 10), strconv.FormatInt(ms(a.Time), 10), a.Actor, strconv.FormatInt(a.Account, 10),
		a.Token, a.Address, a.Action, a.Resource, a.Scope, a.Detail, a.Before, a.After,
	} {
		field(h, f)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func field(h hash.Hash, s string) {
	_, _ = io.WriteString(h, strconv.Itoa(len(s))+":"+s) // a hash never fails
}

// adoptAudit takes over what an earlier release wrote into its table.
func (db *DB) adoptAudit(tx *tx) error {
	var adopted int64
	if err := tx.row("AuditAdopted").Scan(&adopted); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	es, err := listTx(tx, func(s scanner) (a AuditEntry, err error) {
		var at int64
		err = s.Scan(&a.Seq, &at, &a.Actor, &a.Action, &a.Resource, &a.Detail)
		a.Time = fromMS(at)
		return a, err
	}, "EarlierAudit", adopted)
	if err != nil || len(es) == 0 {
		return err
	}
	for _, a := range es {
		adopted = a.Seq
		if err := appendAudit(tx, monthOf(a.Time), a); err != nil {
			return err
		}
	}
	return tx.exec("SetAuditAdopted", adopted)
}

// AddAudit appends one line, durably. The database itself refuses to change
// or remove one.
func (db *DB) AddAudit(ctx context.Context, a AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.AddAudit(%s)", a.Action)
	return db.write(ctx, durable, func(tx *tx) error { return db.addAudit(tx, a) })
}

// Audit lists audit entries, newest first, before seq (0: newest).
func (db *DB) Audit(ctx context.Context, before int64, n int) ([]AuditEntry, error) {
	return db.AuditLog(ctx, AuditFilter{Before: before}, n)
}

// AuditMonths lists the months of the log, newest first, dropped ones too.
func (db *DB) AuditMonths(ctx context.Context) ([]AuditMonth, error) {
	return list(ctx, db, scanAuditMonth, "AuditMonths", "999999")
}

// AuditLog lists the entries that a filter wants, newest first, at most n. An
// equal actor, account, scope, action or resource begins at an index; the
// search goes month by month and ends when it has n.
func (db *DB) AuditLog(ctx context.Context, f AuditFilter, n int) (_ []AuditEntry, err error) {
	defer clyde.Wrap(&err, "store.AuditLog")
	if f.Before == 0 {
		f.Before = math.MaxInt64
	}
	months, err := db.AuditMonths(ctx)
	if err != nil {
		return nil, err
	}
	var out []AuditEntry
	for _, m := range months {
		if len(out) >= n {
			break
		}
		if !m.Dropped.IsZero() || m.First >= f.Before || m.To.Before(f.From) || !f.To.IsZero() && !m.From.Before(f.To) {
			continue
		}
		es, err := db.auditOfMonth(ctx, m.Month, f, n-len(out))
		if err != nil {
			return nil, err
		}
		out = append(out, es...)
	}
	return out, nil
}

func (db *DB) auditOfMonth(ctx context.Context, month string, f AuditFilter, n int) ([]AuditEntry, error) {
	scopes := f.Scopes
	if len(scopes) == 0 {
		scopes = []string{""}
	}
	resource, prefix := strings.CutSuffix(f.Resource, "*")
	to := int64(math.MaxInt64)
	if !f.To.IsZero() {
		to = ms(f.To)
	}
	var out []AuditEntry
	for _, scope := range scopes {
		name := "AuditPage"
		switch {
		case f.Resource != "" && !prefix:
			name = "AuditByResource"
		case scope != "":
			name = "AuditByScope"
		case f.Actor != "":
			name = "AuditByActor"
		case f.Account != 0:
			name = "AuditByAccount"
		case f.Action != "" && !strings.HasSuffix(f.Action, "."):
			name = "AuditByAction"
		}
		es, err := list(ctx, db, scanAudit, auditOf(name, month), f.Before, ms(f.From), to, f.Actor, f.Account, f.Action, resource, scope, n)
		if err != nil {
			return nil, err
		}
		out = append(out, es...)
	}
	if len(scopes) > 1 {
		slices.SortFunc(out, func(a, b AuditEntry) int { return cmp.Compare(b.Seq, a.Seq) })
		out = slices.CompactFunc(out, func(a, b AuditEntry) bool { return a.Seq == b.Seq })
	}
	return out[:min(n, len(out))], nil
}

// AuditRange lists a month's entries after seq, in order, at most n: to export it.
func (db *DB) AuditRange(ctx context.Context, month string, after int64, n int) ([]AuditEntry, error) {
	if _, err := time.Parse("200601", month); err != nil {
		return nil, clyde.Errorf(clyde.ErrInvalid, "month %q: want 202601", month)
	}
	months, err := db.AuditMonths(ctx)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(months, func(m AuditMonth) bool { return m.Month == month && m.Dropped.IsZero() }) {
		return nil, clyde.Errorf(clyde.ErrNotFound, "the audit log has no month %s here", month)
	}
	return list(ctx, db, scanAudit, auditOf("AuditRange", month), after, n)
}

// AuditReport is what VerifyAudit found.
type AuditReport struct {
	Entries int64  // checked
	Seq     int64  // of the last one that is right
	Hash    string // of that entry: note it elsewhere to detect a rewritten log
	Broken  string // what is wrong after it; "" when nothing is
}

// VerifyAudit checks the chain of hashes from the oldest month that is here to
// the newest. It finds entries that were changed, removed, added or reordered;
// a whole log that was rewritten is found by comparing Hash with a copy that
// was noted elsewhere.
func (db *DB) VerifyAudit(ctx context.Context) (r AuditReport, err error) {
	defer clyde.Wrap(&err, "store.VerifyAudit")
	months, err := db.AuditMonths(ctx)
	if err != nil {
		return r, err
	}
	slices.Reverse(months)
	r.Hash = noAudit
	for _, m := range months {
		if m.Prev != r.Hash || m.First != r.Seq+1 {
			r.Broken = fmt.Sprintf("month %s begins at entry %d, which does not follow entry %d", m.Month, m.First, r.Seq)
			return r, nil
		}
		if !m.Dropped.IsZero() {
			r.Seq, r.Hash = m.Last, m.Hash // Chain checks its archive
			continue
		}
		if err := db.verifyMonth(ctx, m, &r); err != nil || r.Broken != "" {
			return r, err
		}
	}
	return r, nil
}

func (db *DB) verifyMonth(ctx context.Context, m AuditMonth, r *AuditReport) error {
	for r.Seq < m.Last {
		es, err := list(ctx, db, scanAudit, auditOf("AuditRange", m.Month), r.Seq, auditPage)
		if err != nil {
			return err
		}
		if len(es) == 0 {
			r.Broken = fmt.Sprintf("entries %d to %d are missing", r.Seq+1, m.Last)
			return nil
		}
		for _, a := range es {
			switch {
			case a.Seq > m.Last:
				// Written since the months were read.
			case a.Seq != r.Seq+1:
				r.Broken = fmt.Sprintf("entry %d is missing", r.Seq+1)
			case a.Prev != r.Hash || a.Hash != a.chain():
				r.Broken = fmt.Sprintf("entry %d was changed", a.Seq)
			default:
				r.Seq, r.Hash = a.Seq, a.Hash
				r.Entries++
			}
			if r.Broken != "" {
				return nil
			}
		}
	}
	if r.Hash != m.Hash {
		r.Broken = fmt.Sprintf("the end of month %s was changed", m.Month)
	}
	return nil
}

// DropAuditMonth removes the oldest month that is here after its entries went
// to a file. The caller proves that it has them with the hash of the last. The
// newest month stays: clyde.ErrConflict, as for one that is not the oldest or
// whose hash differs.
func (db *DB) DropAuditMonth(ctx context.Context, month, hash string, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.DropAuditMonth(%s)", month)
	return db.audited(ctx, audit, func(tx *tx) error {
		months, err := listTx(tx, scanAuditMonth, "AuditMonths", "999999")
		if err != nil {
			return err
		}
		here := slices.DeleteFunc(slices.Clone(months), func(m AuditMonth) bool { return !m.Dropped.IsZero() })
		switch n := len(here); {
		case n < 2 || here[n-1].Month != month:
			return clyde.Errorf(clyde.ErrConflict, "month %s is not the oldest of several that are here", month)
		case here[n-1].Hash != hash:
			return clyde.Errorf(clyde.ErrConflict, "what was archived of month %s is not what is here", month)
		}
		if err := tx.exec("DropAuditMonth", month, ms(db.now())); err != nil {
			return err
		}
		return tx.w.rawOnce(tx.ctx, query(tx.w.eng, auditOf("DropAuditPart", month)))
	})
}
