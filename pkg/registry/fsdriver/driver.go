package fsdriver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/base"
	"github.com/distribution/distribution/v3/registry/storage/driver/factory"
)

// Name is the driver's name in distribution's factory.
const Name = "clydefs"

const (
	// DefaultSmallFile is the largest file kept in the journal, in bytes. A
	// file above it costs two or three syncs of its own; below, writing it twice is cheaper.
	DefaultSmallFile = 128 << 10

	// noSmallFile is the SmallFile of who keeps none in the journal, not even
	// empty ones.
	noSmallFile = -1

	// MaxSmallFile bounds Options.SmallFile, in bytes, and with it a frame.
	MaxSmallFile = 2 << 20

	// DefaultJournalSize is the size at which a journal is checkpointed, in
	// bytes. It bounds what a start has to replay.
	DefaultJournalSize = 64 << 20

	// DefaultMaxPending is how much may wait in memory for a Sync, in bytes,
	// before a write syncs by itself.
	DefaultMaxPending = 32 << 20

	// DefaultLinger is how much that is durable in the journal may stay in
	// memory before it is written to the tree, in bytes.
	DefaultLinger = 8 << 20

	// maxLingering bounds the files that do, because a link is small beside
	// what remembering it takes: about 700 bytes.
	maxLingering = 8 << 10

	// settleIdle is how long nothing must have been synced before the tree is
	// brought up to date. Ours: pushes come in bursts, and files in the tree
	// are for others than this process, who ask for Flush.
	settleIdle = 2 * time.Second
)

// Options configure New. Zero values mean the defaults.
type Options struct {
	Root        string       // directory; made if absent
	FS          FS           // nil means OS()
	SmallFile   int          // bytes; see DefaultSmallFile
	JournalSize int64        // bytes; see DefaultJournalSize
	MaxPending  int64        // bytes; see DefaultMaxPending
	Linger      int64        // bytes; see DefaultLinger
	Log         *slog.Logger // of what no caller is told: failed checkpoints; nil discards

	// Name says which of several processes this is that have the root open at
	// once: letters and digits, another one for each and the same after a
	// restart. Every file is then synced and in the tree when it is stored, so
	// that the others see it, and SmallFile does not count. "" is one process.
	Name string
}

type embedded struct{ base.Base }

// Driver is a storagedriver.StorageDriver on a directory. Its methods may be
// called concurrently.
type Driver struct {
	embedded
	disk *disk
}

var _ storagedriver.StorageDriver = (*Driver)(nil)

// New opens a directory, replaying what an earlier process left in journals.
func New(ctx context.Context, o Options) (*Driver, error) {
	if o.Root == "" {
		return nil, errors.New("fsdriver: no root directory")
	}
	root, err := filepath.Abs(o.Root)
	if err != nil {
		return nil, fmt.Errorf("fsdriver: %w", err)
	}
	if o.FS == nil {
		o.FS = OS()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.SmallFile == 0 {
		o.SmallFile = DefaultSmallFile
	}
	if o.JournalSize == 0 {
		o.JournalSize = DefaultJournalSize
	}
	if o.MaxPending == 0 {
		o.MaxPending = DefaultMaxPending
	}
	if o.Linger == 0 {
		o.Linger = DefaultLinger
	}
	if strings.Trim(o.Name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
		return nil, fmt.Errorf("fsdriver: name %q: want letters and digits", o.Name)
	}
	if o.SmallFile < 0 || o.SmallFile > MaxSmallFile || o.JournalSize < 0 || o.MaxPending < 0 || o.Linger < 0 {
		return nil, fmt.Errorf("fsdriver: a limit is negative, or SmallFile is above %d bytes", MaxSmallFile)
	}
	own := filepath.Join(root, ownDir)
	if o.Name != "" {
		own, o.SmallFile = filepath.Join(own, "of-"+o.Name), noSmallFile
	}
	d := &disk{
		files: o.FS, root: root, own: own, opt: o,
		memory: map[string]*entry{}, memDirs: map[string]int{}, dirs: map[string]*dirState{},
		moving: map[string]chan struct{}{}, fresh: map[string]struct{}{}, states: map[string]string{},
		writers: map[string]string{}, settled: map[string]struct{}{},
	}
	if err := d.recover(ctx); err != nil {
		return nil, fmt.Errorf("fsdriver: open %s: %w", root, err)
	}
	return &Driver{embedded: embedded{base.Base{StorageDriver: d}}, disk: d}, nil
}

// Sync makes everything stored before the call durable, whoever stored it. After
// an error nothing may be acknowledged.
func (d *Driver) Sync(ctx context.Context) error {
	if err := d.disk.sync(ctx); err != nil {
		return fmt.Errorf("fsdriver: %w", err)
	}
	return nil
}

// Flush is Sync, and when it returns everything stored before the call is in
// the tree as well, where others than this driver can read it: a backup.
func (d *Driver) Flush(ctx context.Context) error {
	if err := d.disk.flush(ctx); err != nil {
		return fmt.Errorf("fsdriver: %w", err)
	}
	return nil
}

// Shed makes the content of what was deleted disappear from the journal, too.
func (d *Driver) Shed(ctx context.Context) error {
	if err := d.disk.shed(ctx); err != nil {
		return fmt.Errorf("fsdriver: %w", err)
	}
	return nil
}

// Close makes everything durable in the tree and removes the journal. Writes
// fail after it; a second call does nothing.
func (d *Driver) Close() error {
	if err := d.disk.close(); err != nil {
		return fmt.Errorf("fsdriver: close: %w", err)
	}
	return nil
}

type driverFactory struct{}

// Create returns the *Driver given as parameter "driver".
func (driverFactory) Create(_ context.Context, parameters map[string]any) (storagedriver.StorageDriver, error) {
	d, ok := parameters["driver"].(*Driver)
	if !ok || d == nil {
		return nil, errors.New("fsdriver: parameter driver is not a *fsdriver.Driver")
	}
	return d, nil
}

var registerOnce = sync.OnceFunc(func() { factory.Register(Name, driverFactory{}) })

// Register makes the driver known to distribution as Name. The parameter
// "driver" of its configuration is the *Driver to use. Calls after the first
// do nothing.
func Register() { registerOnce() }
