package fsdriver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"time"
)

// round is one sync of the journal that several callers of Sync share.
type round struct {
	done chan struct{}
	err  error // set before done is closed
}

// sync returns when everything appended before the call is durable.
func (d *disk) sync(ctx context.Context) error {
	d.mu.Lock()
	if err := d.usable(); err != nil {
		d.mu.Unlock()
		return err
	}
	target := d.seq
	d.mu.Unlock()
	return d.syncTo(ctx, target)
}

// syncTo returns when frame target is durable. One caller leads a round; the
// others wait for it and then see whether it covered what they wrote.
func (d *disk) syncTo(ctx context.Context, target uint64) error {
	for {
		d.mu.Lock()
		if d.durable >= target {
			d.mu.Unlock()
			return nil
		}
		if d.broken != nil {
			d.mu.Unlock()
			return d.broken
		}
		if r := d.round; r != nil {
			d.mu.Unlock()
			select {
			case <-r.done:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		r := &round{done: make(chan struct{})}
		d.round = r
		d.mu.Unlock()

		r.err = d.lead()

		d.mu.Lock()
		d.round = nil
		d.mu.Unlock()
		close(r.done)
		if r.err != nil {
			return r.err
		}
		// What follows is not part of the promise: the journal has the content,
		// and readers have it from memory until it is in the tree.
		d.settleSoon()
	}
}

// settleSoon has the tree brought up to date in the background: at once when
// much is waiting for it, else when nothing has happened for a while. A burst
// of pushes is thus answered before its files are made, which are a third of
// the work and nothing that anybody waits for.
func (d *disk) settleSoon() {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.queued > d.opt.Linger || len(d.queue) > maxLingering:
		d.settleLocked()
	case d.closed || len(d.queue) == 0:
	case d.idle == nil:
		d.idle = time.AfterFunc(settleIdle, func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.settleLocked()
		})
	default:
		d.idle.Reset(settleIdle)
	}
}

// settleLocked settles in the background, unless that is under way or the
// driver is being closed, which settles by itself. mu is held.
func (d *disk) settleLocked() {
	if d.settling || d.closed {
		return
	}
	d.settling = true
	d.background.Go(func() {
		for {
			d.settle()
			d.mu.Lock()
			if len(d.queue) == 0 || d.queue[0].seq > d.durable || d.settleErr != nil {
				d.settling = false
				d.mu.Unlock()
				return
			}
			d.mu.Unlock()
		}
	})
}

// lead makes all frames appended so far durable. Only the leader of the round
// calls it, so the journal is not replaced by anyone else meanwhile.
func (d *disk) lead() error {
	d.mu.Lock()
	j, seq := d.journal, d.seq
	full := (d.shedding || j.size >= d.opt.JournalSize) && !d.closed
	rotate := full && d.old == nil
	retry := full && d.old != nil && !d.checkpointing && j.size >= d.retryAt
	if retry {
		d.checkpointing = true
	}
	d.mu.Unlock()
	if rotate {
		return d.rotate()
	}
	if retry {
		d.background.Go(d.checkpoint)
	}
	err := j.file.Sync()
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.broken = fmt.Errorf("sync journal: %w", err)
		return d.broken
	}
	d.durable = max(d.durable, seq)
	return nil
}

// rotate begins a new journal, makes the old one durable to its last frame and
// starts its checkpoint.
func (d *disk) rotate() error {
	next, err := createJournal(d.files, d.own, d.journal.number+1)
	if err != nil {
		return err // nothing changed; the next round tries again
	}
	seal, _ := newFrame(op{kind: opSeal})
	d.mu.Lock()
	old := d.journal
	if err := d.appendLocked(seal); err != nil {
		d.mu.Unlock()
		return errors.Join(err, next.file.Close(), d.files.Remove(next.name))
	}
	seq := d.seq
	d.journal, d.old, d.oldSeq, d.oldSettled, d.settled = next, old, seq, d.settled, map[string]struct{}{}
	d.checkpointing, d.retryAt, d.shedding = true, 0, false
	d.mu.Unlock()

	err = old.file.Sync()
	d.mu.Lock()
	if err != nil {
		d.broken = fmt.Errorf("sync journal: %w", err)
		d.checkpointing = false
		d.mu.Unlock()
		return d.broken
	}
	d.durable = max(d.durable, seq)
	d.mu.Unlock()
	d.background.Go(d.checkpoint)
	return nil
}

// checkpoint makes the old journal superfluous and removes it. If that fails,
// the journal stays, which is always right, and the work is done again when the
// new journal has grown by another JournalSize, or at the next start.
func (d *disk) checkpoint() {
	err := d.tryCheckpoint()
	d.mu.Lock()
	// Both at once: between the two another journal could be full, and the end
	// of this checkpoint be taken for the end of that journal's.
	d.checkpointing = false
	if err != nil {
		d.retryAt = d.journal.size + d.opt.JournalSize
	} else {
		d.old, d.oldSettled = nil, nil
	}
	d.mu.Unlock()
	if err != nil {
		d.opt.Log.Error("fsdriver: checkpoint; the journal is kept and grows until this succeeds", "err", err)
	}
}

func (d *disk) tryCheckpoint() error {
	d.settle()
	d.mu.Lock()
	old, settled := d.old, d.oldSettled
	if len(d.queue) > 0 && d.queue[0].seq <= d.oldSeq {
		err := d.settleErr
		d.mu.Unlock()
		return err
	}
	// Frames up to oldSeq were put into the tree before or after the journal
	// was replaced; those after are noted in the new set.
	for p := range d.settled {
		settled[p] = struct{}{}
	}
	last := d.seq
	d.mu.Unlock()
	if err := d.syncTree(settled); err != nil {
		return err
	}
	// A newer version of a file of the old journal may be in the new journal
	// only, and kept the old version out of the tree.
	if err := d.syncTo(context.Background(), last); err != nil {
		return err
	}
	if err := d.files.Remove(old.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := d.files.SyncDir(d.own); err != nil {
		return err
	}
	_ = old.file.Close() // every frame of it is durable elsewhere
	return nil
}

// syncTree makes the given files of the tree durable, or all of them at once
// where the system can do that.
func (d *disk) syncTree(paths map[string]struct{}) error {
	if w, ok := d.files.(wholeSyncer); ok && len(paths) > 0 {
		if err := w.SyncFS(d.root); !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	for p := range paths {
		if fi, err := d.files.Stat(d.full(p)); err == nil && !fi.IsDir() {
			// What a deletion left is no file; its entry is what counts.
			if err := d.syncFile(d.full(p)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if err := d.syncNearest(p); err != nil {
			return err
		}
	}
	return nil
}

// syncNearest syncs the directories above p that exist.
func (d *disk) syncNearest(p string) error {
	for dir := path.Dir(p); dir != "/"; dir = path.Dir(dir) {
		if fi, err := d.files.Stat(d.full(dir)); err == nil && fi.IsDir() {
			return d.syncDirs(path.Join(dir, "x"))
		}
	}
	return d.syncDirs("/x")
}

// settle writes the files that are durable in the journal to their place in
// the tree. A failure leaves the rest in memory and in the journal, for the
// next call.
func (d *disk) settle() {
	for d.settleOne() {
	}
}

// settleOne writes the oldest of those files and reports whether there may be
// more. It holds treeMu for one file only: others want to remove or rename.
func (d *disk) settleOne() bool {
	d.treeMu.Lock()
	defer d.treeMu.Unlock()
	d.mu.Lock()
	if len(d.queue) == 0 || d.queue[0].seq > d.durable {
		if len(d.queue) == 0 {
			d.queue = nil // let the array go
		}
		d.settleErr = nil
		d.mu.Unlock()
		return false
	}
	e := d.queue[0]
	current := d.memory[e.path] == e
	if current {
		d.settled[e.path] = struct{}{}
	}
	d.mu.Unlock()

	var err error
	if current {
		err = d.writeFile(e.path, e.data)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.settleErr = fmt.Errorf("write %s from the journal: %w", e.path, err)
		return false
	}
	d.queue = d.queue[1:]
	d.queued -= int64(len(e.data))
	if d.memory[e.path] == e {
		delete(d.memory, e.path)
		d.countDirsLocked(e.path, -1)
	}
	return true
}

// writeFile writes a whole file into the tree: a new one where it is to be,
// any other beside the tree, to be renamed into place. A process that dies over
// a new one leaves it short, but the journal has it and is replayed.
func (d *disk) writeFile(p string, data []byte) error {
	dir := path.Dir(p)
	if err := d.mkdirs(dir); err != nil {
		return err
	}
	if f, err := d.files.OpenFile(d.full(p), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666); err == nil {
		_, err = f.Write(data)
		if err = errors.Join(err, f.Close()); err != nil {
			_ = d.files.Remove(d.full(p))
			return err
		}
		d.mu.Lock()
		d.changedLocked(dir)
		d.mu.Unlock()
		return nil
	}
	temp := d.tempName()
	if err := writeNew(d.files, temp, data); err != nil {
		return err
	}
	if err := d.rename(temp, p); err != nil {
		_ = d.files.Remove(temp)
		return err
	}
	return nil
}

func writeNew(files FS, name string, data []byte) error {
	f, err := files.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = files.Remove(name)
	}
	return err
}

// relieve keeps the memory of unsynced files bounded when nobody calls Sync.
func (d *disk) relieve(ctx context.Context) error {
	d.mu.Lock()
	over := d.queued > d.opt.MaxPending
	d.mu.Unlock()
	if !over {
		return nil
	}
	if err := d.sync(ctx); err != nil {
		return err
	}
	d.settle()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.queued > d.opt.MaxPending && d.settleErr != nil {
		return d.settleErr
	}
	return nil
}

// close makes everything durable in the tree and removes the journals.
func (d *disk) close() (err error) {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	broken := d.broken
	target := d.seq
	d.closed = true
	if d.idle != nil {
		d.idle.Stop() // one that fires now sees closed
	}
	d.mu.Unlock()
	if broken == nil {
		broken = d.syncTo(context.Background(), target)
	}
	d.background.Wait()
	defer func() {
		err = errors.Join(err, d.journal.file.Close())
		if d.old != nil {
			err = errors.Join(err, d.old.file.Close())
		}
	}()
	if broken != nil {
		return broken
	}
	d.settle()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.settleErr != nil {
		return d.settleErr
	}
	if len(d.queue) > 0 {
		return errors.New("files were written during Close; they are kept in the journal")
	}
	settled := d.settled
	d.mu.Unlock()
	err = d.syncTree(settled)
	d.mu.Lock()
	if err != nil {
		return err
	}
	if d.old != nil {
		// Its checkpoint failed; the next start repeats it.
		return nil
	}
	if err := d.files.Remove(d.journal.name); err != nil {
		return err
	}
	return d.files.SyncDir(d.own)
}

// flush makes everything stored before the call durable and writes it to its
// place in the tree.
func (d *disk) flush(ctx context.Context) error {
	if err := d.sync(ctx); err != nil {
		return err
	}
	d.settle()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.settleErr
}

// shedEvery is how often shed looks whether the old journal is gone.
const shedEvery = 5 * time.Millisecond

// shed replaces the journal and waits until the old one is removed, so that
// what was deleted is in no file any more.
func (d *disk) shed(ctx context.Context) error {
	// One that is being put into the tree goes first: there is room for one.
	if err := d.awaitCheckpoint(ctx); err != nil {
		return err
	}
	frame, _ := newFrame(op{kind: opDelete, path: shedPath})
	d.mu.Lock()
	d.shedding = true
	err := d.appendLocked(frame) // so that there is something to sync
	d.mu.Unlock()
	if err != nil {
		return err
	}
	if err := d.sync(ctx); err != nil {
		return err
	}
	return d.awaitCheckpoint(ctx)
}

// shedPath is where nothing ever is.
const shedPath = "/nothing"

func (d *disk) awaitCheckpoint(ctx context.Context) error {
	t := time.NewTicker(shedEvery)
	defer t.Stop()
	for {
		d.mu.Lock()
		old, running, err := d.old, d.checkpointing, errors.Join(d.broken, d.settleErr)
		d.mu.Unlock()
		switch {
		case err != nil:
			return err
		case old == nil && !running:
			return nil
		case !running:
			return errors.New("the journal could not be put into the tree; the log says why")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}
