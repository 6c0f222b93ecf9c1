package install

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/filelock"
)

// Item is one thing in the store, for people.
type Item struct {
	Kind  Kind      `json:"kind"`
	Key   string    `json:"key"` // hex
	Label string    `json:"label,omitempty"`
	Size  int64     `json:"size"` // bytes
	Used  time.Time `json:"used"` // last
}

// Damage is what is wrong with an item of the store.
type Damage struct {
	Item

	Files []string `json:"files"` // that are not what was stored, or do not belong there; none of a blob
}

// List returns what is in the store: built trees first, then unpacked archives,
// then blobs, each by label and key.
func (s *Store) List() ([]Item, error) {
	var all []Item
	for _, k := range []Kind{Built, Trees, Blobs} {
		items, err := s.items(k)
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
	}
	return all, nil
}

func (s *Store) items(k Kind) ([]Item, error) {
	entries, err := os.ReadDir(s.path(string(k)))
	if err != nil {
		return nil, err
	}
	var out []Item
	for _, d := range entries {
		it := Item{Kind: k, Key: d.Name()}
		info, err := d.Info()
		if k != Blobs {
			info, err = os.Stat(s.path(string(k), d.Name(), entryFile))
			if e, err := s.Entry(k, d.Name()); err == nil {
				it.Label, it.Size = e.Label, e.Size
			}
		}
		switch {
		case errors.Is(err, fs.ErrNotExist): // somebody else removed it, or its list is gone
		case err != nil:
			return nil, err
		default:
			it.Used = info.ModTime().UTC().Truncate(time.Second)
			if k == Blobs {
				it.Size = info.Size()
			}
		}
		out = append(out, it)
	}
	slices.SortFunc(out, func(a, b Item) int { return cmp.Or(strings.Compare(a.Label, b.Label), strings.Compare(a.Key, b.Key)) })
	return out, nil
}

// Verify reads everything in the store again, removes what is not what was
// stored, and says what that was: the next install makes it anew.
func (s *Store) Verify(ctx context.Context) (checked int, wrong []Damage, err error) {
	release, err := s.use(ctx, nil)
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, release()) }()
	items, err := s.List()
	if err != nil {
		return 0, nil, err
	}
	for _, it := range items {
		if err := ctx.Err(); err != nil {
			return checked, wrong, err
		}
		if it.Kind == Blobs && isPart(it.Key) {
			continue // on its way
		}
		checked++
		d := Damage{Item: it, Files: []string{}}
		bad := false
		if it.Kind == Blobs {
			bad = !s.isBlob(it.Key)
		} else if e, err := s.Entry(it.Kind, it.Key); err != nil {
			d.Files, bad = []string{entryFile}, true
		} else if d.Files, err = e.check(); err != nil {
			return checked, wrong, err
		} else {
			bad = len(d.Files) > 0
		}
		if !bad {
			continue
		}
		wrong = append(wrong, d)
		if err := s.evict(it.Kind, it.Key); err != nil {
			return checked, wrong, err
		}
	}
	return checked, wrong, nil
}

// isPart reports whether a file among the blobs is one that is being written.
func isPart(name string) bool { return strings.ContainsRune(name, '.') }

func (s *Store) isBlob(name string) bool {
	d := digest.NewDigestFromEncoded(digest.SHA256, name)
	if d.Validate() != nil {
		return false
	}
	f, err := os.Open(s.path(string(Blobs), name))
	if err != nil {
		return false
	}
	got, err := digest.SHA256.FromReader(f)
	return errors.Join(err, f.Close()) == nil && got == d
}

// Clean removes what was not used since before, logs included, and all rubbish
// that killed processes left. It waits until nobody uses the store.
func (s *Store) Clean(ctx context.Context, before time.Time, waiting func()) (gone []Item, err error) {
	lock, err := filelock.Lock(ctx, s.path("lock"), false, waiting)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := s.sweep(); err != nil {
		return nil, err
	}
	items, err := s.List()
	if err != nil {
		return nil, err
	}
	for _, it := range items {
		if !it.Used.Before(before) {
			continue
		}
		if err := s.evict(it.Kind, it.Key); err != nil {
			return gone, err
		}
		gone = append(gone, it)
	}
	return gone, s.cleanLogs(before)
}

// sweep empties what nobody can need who is not at work. The caller holds the
// store alone.
func (s *Store) sweep() error {
	for _, sub := range []string{"tmp", "locks"} {
		left, err := os.ReadDir(s.path(sub))
		if err != nil {
			return err
		}
		for _, d := range left {
			if err := os.RemoveAll(s.path(sub, d.Name())); err != nil {
				return fmt.Errorf("clean: %w", err)
			}
		}
	}
	return nil
}

func (s *Store) cleanLogs(before time.Time) error {
	logs, err := os.ReadDir(s.path("logs"))
	if err != nil {
		return err
	}
	for _, d := range logs {
		if info, err := d.Info(); err == nil && info.ModTime().Before(before) {
			if err := os.Remove(filepath.Join(s.path("logs"), d.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
