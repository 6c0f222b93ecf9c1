package server

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/jobs"
	"github.com/clydepm/clyde-registry/pkg/store"
)

const (
	auditDir    = "audit" // of the data directory
	archivePart = ".part" // ends the name of an archive that is being written

	// auditRead is how many entries are read at once. Ours: some hundred KiB.
	auditRead = 500

	// maxAuditLine bounds a line of an archive in bytes. Ours: entries hold what
	// was and what is of one thing, each a few KiB.
	maxAuditLine = 1 << 20

	// Retention is by months, so looking once a day is often enough.
	auditEvery  = 24 * time.Hour
	auditJitter = time.Hour
)

// AuditCheck is what verifying the log found.
type AuditCheck struct {
	store.AuditReport
	Archived int64    `json:"archived"` // entries checked in archives
	Missing  []string `json:"missing"`  // months whose archive is not there
}

// keepAudit archives months of the log that are older than keep, once a day.
func (p *Parts) keepAudit(ctx context.Context, keep time.Duration) error {
	if keep == 0 {
		<-ctx.Done() // it is kept for ever
		return nil
	}
	return jobs.Every(ctx, p.Log, "audit: archive", auditEvery, auditJitter, func(ctx context.Context) error {
		_, err := p.DB.Alone(ctx, "audit", func(ctx context.Context) error {
			_, err := p.ArchiveAudit(ctx, p.Now().Add(-keep))
			return err
		})
		return err
	})
}

// ArchiveAudit moves the months of the audit log that ended before a moment
// into files, the oldest first, and returns their names. The newest month
// stays. A month leaves the database only after its file is durable and was
// read again, entry by entry.
func (p *Parts) ArchiveAudit(ctx context.Context, before time.Time) (files []string, err error) {
	defer clyde.Wrap(&err, "server.ArchiveAudit")
	months, err := p.DB.AuditMonths(ctx)
	if err != nil || len(months) == 0 {
		return nil, err
	}
	newest := months[0].Month
	for _, m := range slices.Backward(months) {
		if !m.Dropped.IsZero() {
			continue
		}
		if m.Month == newest || !monthEnds(m.Month).Before(before) {
			break // the rest is younger
		}
		path, err := p.archiveMonth(ctx, m)
		if err != nil {
			return files, err
		}
		e := System.Audit(p.Now(), "audit.archive", "audit:"+m.Month)
		e.After = fmt.Sprintf(`{"file":%q,"first":%d,"last":%d,"hash":%q}`, filepath.Base(path), m.First, m.Last, m.Hash)
		if err := p.DB.DropAuditMonth(ctx, m.Month, m.Hash, e); err != nil {
			return files, err
		}
		p.Log.InfoContext(ctx, "audit: archived", "month", m.Month, "file", path, "entries", m.Last-m.First+1)
		files = append(files, path)
	}
	return files, nil
}

// monthEnds is the first moment after a month.
func monthEnds(month string) time.Time {
	t, err := time.Parse("200601", month)
	if err != nil {
		return time.Time{}.AddDate(9000, 0, 0) // no month of ours: never old
	}
	return t.AddDate(0, 1, 0)
}

// auditFile is the archive of a month: gzip of a JSON object a line.
func (p *Parts) auditFile(month string) string {
	return filepath.Join(p.Shared, auditDir, "audit-"+month+".ndjson.gz")
}

// archiveMonth writes the archive of a month and reads it again.
func (p *Parts) archiveMonth(ctx context.Context, m store.AuditMonth) (path string, err error) {
	path = p.auditFile(m.Month)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	f, err := os.OpenFile(path+archivePart, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	z := gzip.NewWriter(f)
	err = p.writeMonth(ctx, z, m.Month)
	if err := errors.Join(err, z.Close(), f.Sync(), f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(path+archivePart))
	}
	if err := os.Rename(path+archivePart, path); err != nil {
		return "", err
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return "", err
	}
	if _, broken, err := readArchive(path, m); err != nil || broken != "" {
		return "", errors.Join(err, fmt.Errorf("audit: the archive of %s: %s", m.Month, broken))
	}
	return path, nil
}

// writeMonth writes a month that is in the database, a JSON object a line.
func (p *Parts) writeMonth(ctx context.Context, w io.Writer, month string) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for after := int64(0); ; {
		es, err := p.DB.AuditRange(ctx, month, after, auditRead)
		if err != nil {
			return err
		}
		for _, e := range es {
			after = e.Seq
			if err := enc.Encode(e); err != nil {
				return err
			}
		}
		if len(es) < auditRead {
			return nil
		}
	}
}

// readArchive checks the archive of a month against what the database kept of
// it, and counts its entries.
func readArchive(path string, m store.AuditMonth) (n int64, broken string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return 0, "its archive is damaged", nil
	}
	chain := m.After()
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, maxAuditLine)
	for lines.Scan() {
		var e store.AuditEntry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return n, fmt.Sprintf("line %d of its archive is damaged", n+1), nil
		}
		if bad := chain.Add(e); bad != "" {
			return n, bad + ", in the archive", nil
		}
		n++
	}
	if lines.Err() != nil {
		return n, "its archive is damaged", nil
	}
	if !chain.Ends(m) {
		return n, "its archive ends too early", nil
	}
	return n, "", nil
}

// VerifyAudit checks the chain of hashes from the first entry to the last,
// through the archives. An archive that was taken elsewhere is named and is no
// failure: the chain goes on from what the database kept of its month.
func (p *Parts) VerifyAudit(ctx context.Context) (c AuditCheck, err error) {
	defer clyde.Wrap(&err, "server.VerifyAudit")
	months, err := p.DB.AuditMonths(ctx)
	if err != nil {
		return c, err
	}
	c.Missing = []string{}
	for _, m := range slices.Backward(months) {
		if m.Dropped.IsZero() {
			continue
		}
		n, broken, err := readArchive(p.auditFile(m.Month), m)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			c.Missing = append(c.Missing, m.Month)
		case err != nil:
			return c, err
		case broken != "":
			c.Broken = "month " + m.Month + ": " + broken
			return c, nil
		}
		c.Archived += n
	}
	c.AuditReport, err = p.DB.VerifyAudit(ctx)
	return c, err
}

// AuditExport asks for months of the log.
type AuditExport struct {
	File string `json:"file"` // to write, on the server's machine; it must not exist
}

// exportAudit writes what the database holds of the log to a new file, oldest
// first, a JSON object a line; archived months are in their files already.
func (p *Parts) exportAudit(ctx context.Context, a AuditExport) (_ any, err error) {
	defer clyde.Wrap(&err, "server.exportAudit")
	if !filepath.IsAbs(a.File) {
		return nil, clyde.Errorf(clyde.ErrInvalid, "%q: want an absolute path", a.File)
	}
	months, err := p.DB.AuditMonths(ctx)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(a.File, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, clyde.Errorf(clyde.ErrConflict, "%s cannot be made", a.File).Because(err)
	}
	w := bufio.NewWriter(f)
	for _, m := range slices.Backward(months) {
		if m.Dropped.IsZero() && err == nil {
			err = p.writeMonth(ctx, w, m.Month)
		}
	}
	return a, errors.Join(err, w.Flush(), f.Sync(), f.Close())
}

// syncDir makes the name of a new file durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if runtime.GOOS == "windows" {
		err = nil // directories cannot be synced there, and need not be
	}
	return errors.Join(err, d.Close())
}
