package fsdriver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// recover replays the journals, makes the result durable in the tree, begins
// a new journal and only then removes the old ones: it may be interrupted anywhere
// and done again.
func (d *disk) recover(ctx context.Context) error {
	if err := d.files.MkdirAll(d.own, 0o777); err != nil {
		return err
	}
	for _, dir := range []string{filepath.Dir(d.root), d.root} {
		if err := d.files.SyncDir(dir); err != nil {
			return err
		}
	}
	names, err := d.files.ReadDir(d.own)
	if err != nil {
		return err
	}
	var numbers []uint64
	for _, name := range names {
		if n, ok := journalNumber(name); ok {
			numbers = append(numbers, n)
		} else if strings.HasPrefix(name, "tmp-") {
			if err := d.files.Remove(filepath.Join(d.own, name)); err != nil {
				return err
			}
		}
	}
	slices.Sort(numbers)
	next := uint64(1)
	var ops []op
	for i, n := range numbers {
		b, err := readJournal(d.files, journalName(d.own, n))
		if err != nil {
			return err
		}
		more, sealed := parseJournal(b, n)
		ops = append(ops, more...)
		next = numbers[len(numbers)-1] + 1
		if !sealed && i+1 < len(numbers) {
			break // what follows a torn journal was never acknowledged
		}
	}
	if d.opt.Name != "" {
		// It names files that were in the tree, and what was deleted may have
		// been stored again by others since.
		ops = nil
	}
	touched, err := d.replay(ctx, ops)
	if err != nil {
		return fmt.Errorf("replay journal: %w", err)
	}
	if err := d.syncTree(touched); err != nil {
		return err
	}
	if d.journal, err = createJournal(d.files, d.own, next); err != nil {
		return err
	}
	// The oldest first, and each for good before the next: an older one that
	// came back without the newer would undo what the newer says.
	for _, n := range numbers {
		err := d.files.Remove(journalName(d.own, n))
		if err == nil {
			err = d.files.SyncDir(d.own)
		}
		if err != nil {
			return errors.Join(err, d.journal.file.Close())
		}
	}
	return nil
}

// replay brings the tree to the state that the operations describe and returns the paths it concerns.
func (d *disk) replay(ctx context.Context, ops []op) (map[string]struct{}, error) {
	touched := map[string]struct{}{}
	last := map[string]int{} // path → index of the last operation that made it
	for i, o := range ops {
		touched[o.path] = struct{}{}
		if o.kind != opDelete {
			last[o.path] = i
		}
	}
	deleted := map[string]int{} // path → index of its last deletion
	for i, o := range ops {
		if o.kind == opDelete {
			deleted[o.path] = i
		}
	}
	for p, i := range deleted {
		if err := d.replayDelete(ctx, p, i, last); err != nil {
			return nil, err
		}
	}
	for i, o := range ops {
		if o.kind != opPut || last[o.path] != i || deletedAfter(deleted, o.path, i) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		have, err := readJournal(d.files, d.full(o.path))
		if err == nil && bytes.Equal(have, o.data) {
			continue
		}
		if err := d.writeFile(o.path, o.data); err != nil {
			return nil, err
		}
	}
	return touched, nil
}

// deletedAfter reports whether p or a directory above it was deleted after
// operation i.
func deletedAfter(deleted map[string]int, p string, i int) bool {
	for ; p != "/"; p = path.Dir(p) {
		if n, ok := deleted[p]; ok && n > i {
			return true
		}
	}
	return false
}

// replayDelete removes p and what is below it, but for what was made after
// operation i and for uploads in progress, of which the journal knows nothing.
func (d *disk) replayDelete(ctx context.Context, p string, i int, last map[string]int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if untracked(p) {
		return nil
	}
	fi, err := d.files.Stat(d.full(p))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	if !fi.IsDir() {
		if n, ok := last[p]; ok && n > i {
			return nil
		}
		return d.removeFile(p)
	}
	names, err := d.files.ReadDir(d.full(p))
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := d.replayDelete(ctx, path.Join(p, name), i, last); err != nil {
			return err
		}
	}
	if names, err = d.files.ReadDir(d.full(p)); err == nil && len(names) == 0 {
		err = d.files.Remove(d.full(p))
	}
	return err
}
