package server

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/config"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// Half a year of log, of which four months are archived: the chain holds
// through files and database, a backup has both, and a changed file is found.
func TestArchiveAudit(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	clock.Store(time.Date(2026, 1, 10, 0, 0, 0, 0, time.UTC).UnixNano())
	now := func() time.Time { return time.Unix(0, clock.Load()).UTC() }
	c := config.Default()
	c.Data.Dir = filepath.Join(t.TempDir(), "data")
	p, err := Open(t.Context(), c, "http://localhost:8080", Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	for range 6 {
		for range 3 {
			e := System.Audit(now(), "test.step", "@acme")
			e.Detail = `{"text":"a < b & \u2028"}`
			if err := p.DB.AddAudit(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		clock.Add(int64(31 * 24 * time.Hour))
	}
	// It is 15 July; what ended before 15 May goes: January to April.
	files, err := p.ArchiveAudit(t.Context(), now().Add(-61*24*time.Hour))
	if err != nil || len(files) != 4 {
		t.Fatalf("archived %v, %v; want January to April", files, err)
	}
	if again, err := p.ArchiveAudit(t.Context(), now().Add(-61*24*time.Hour)); err != nil || len(again) != 0 {
		t.Errorf("archived again %v, %v", again, err)
	}
	check, err := p.VerifyAudit(t.Context())
	if err != nil || check.Broken != "" || check.Archived != 12 || check.Entries != 6+4 || len(check.Missing) != 0 {
		t.Errorf("verify: %+v, %v; want 12 archived and 10 here", check, err)
	}
	backup := filepath.Join(t.TempDir(), "backup.tar")
	if _, err := p.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	restored := filepath.Join(t.TempDir(), "restored")
	if err := Restore(t.Context(), backup, restored); err != nil {
		t.Fatal(err)
	}
	if check, err := openParts(t, restored).VerifyAudit(t.Context()); err != nil || check.Broken != "" || check.Archived != 12 {
		t.Errorf("verify after a restore: %+v, %v", check, err)
	}
	out := filepath.Join(t.TempDir(), "log.ndjson")
	if _, err := p.exportAudit(t.Context(), AuditExport{File: out}); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(out); err != nil || bytes.Count(b, []byte("\n")) != 10 {
		t.Errorf("exported %d lines, %v; want 10", bytes.Count(b, []byte("\n")), err)
	}
	if err := os.Rename(files[0], files[0]+".away"); err != nil {
		t.Fatal(err)
	}
	if check, err := p.VerifyAudit(t.Context()); err != nil || check.Broken != "" || len(check.Missing) != 1 || check.Missing[0] != "202601" {
		t.Errorf("without an archive: %+v, %v", check, err)
	}
	rewrite(t, files[1], func(s string) string { return strings.Replace(s, "test.step", "test.stop", 1) })
	if check, err := p.VerifyAudit(t.Context()); err != nil || !strings.Contains(check.Broken, "202602") || !strings.Contains(check.Broken, "was changed") {
		t.Errorf("a changed archive: %+v, %v", check, err)
	}
	rewrite(t, files[1], func(s string) string { return s[strings.Index(s, "\n")+1:] })
	if check, err := p.VerifyAudit(t.Context()); err != nil || !strings.Contains(check.Broken, "is missing") {
		t.Errorf("an archive without its first line: %+v, %v", check, err)
	}
	es, err := p.DB.AuditLog(t.Context(), store.AuditFilter{Action: "audit.archive"}, 10)
	if err != nil || len(es) != 4 {
		t.Errorf("%d entries about archives, %v; want 4", len(es), err)
	}
}

// rewrite replaces the text of an archive.
func rewrite(t *testing.T, path string, change func(string) string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := io.WriteString(w, change(string(text))); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}
