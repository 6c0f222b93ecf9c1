package registry

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

const (
	// DefaultGrace is how long a blob that no manifest names is kept: a push
	// may still count on it. Ours: a day is longer than anybody pushes.
	DefaultGrace = 24 * time.Hour

	// gcBatch is how many blobs and links are removed while manifests wait to be
	// stored, which takes some milliseconds on a disk.
	gcBatch = 50

	// maxGarbage is how many items a report lists; the rest is in its sums.
	maxGarbage = 1000

	// skew is by how much the clocks of processes that share a database may
	// differ.
	skew = time.Hour
)

// Collection is what a garbage collection did, or with DryRun would have done.
type Collection struct {
	DryRun bool          `json:"dry_run"`
	Grace  time.Duration `json:"grace_ns"`
	Began  time.Time     `json:"began"`
	Took   time.Duration `json:"took_ns"`

	Manifests int `json:"manifests"` // that are kept, and with them what they name
	Unknown   int `json:"unknown"`   // of these, in files only: reindex puts them into the database
	Blobs     int `json:"blobs"`     // found
	Young     int `json:"young"`     // blobs and links that nothing names, kept because they are within the grace

	Removed int   `json:"removed"` // blobs
	Freed   int64 `json:"freed"`   // bytes of them
	Links   int   `json:"links"`   // of repositories to blobs that none of their manifests names

	Garbage []Garbage `json:"garbage"` // the first of the removed, at most 1,000
}

// Garbage is a blob that nothing names, or where Repo is set a repository's
// link to one that nothing of it names.
type Garbage struct {
	Digest string `json:"digest"`
	Repo   string `json:"repo,omitempty"`
	Size   int64  `json:"size"` // bytes; of a link 0
}

// collector is one garbage collection. What is named by a manifest in the
// database or in the files is kept; so is what is younger than the grace.
type collector struct {
	*Registry
	report Collection
	old    time.Time            // what was stored later is kept
	named  map[[32]byte]bool    // by any manifest
	links  map[[32]byte][]place // of blobs that nothing names
	doomed []place              // links first, in the order of removal
}

// place is a repository's link to a blob; without a repository it is the blob.
type place struct {
	repo string
	d    digest.Digest
	size int64
}

// born tells collections under way what manifests stored meanwhile name.
type born struct {
	mu    sync.Mutex
	since map[place]bool // nil: no collection is under way; links without size
}

func (b *born) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.since = map[place]bool{}
}

func (b *born) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.since = nil
}

func (b *born) add(m store.Manifest) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.since == nil {
		return
	}
	for _, d := range append([]string{m.Digest}, m.Refs...) {
		b.since[place{d: digest.Digest(d)}] = true
		b.since[place{repo: m.Repo, d: digest.Digest(d)}] = true
	}
}

func (b *born) has(l place) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	l.size = 0
	return b.since[l]
}

// Collect removes blobs that no manifest names, and links of repositories to
// blobs that none of their manifests names, once they are older than the grace.
// It runs beside pushes: each removal looks again, while no manifest is being
// stored, whether one has come to name the blob, here or in another process on
// the same database. With dry it only reports.
//
// A manifest that is in the files and not in the database keeps what it names:
// the database may be older than the files. One collection runs at a time.
func (r *Registry) Collect(ctx context.Context, dry bool) (_ Collection, err error) {
	defer clyde.Wrap(&err, "registry.Collect")
	defer r.KeepAll()()
	began := time.Now()
	c := &collector{
		Registry: r, old: began.Add(-r.o.Grace), named: map[[32]byte]bool{}, links: map[[32]byte][]place{},
		report: Collection{DryRun: dry, Grace: r.o.Grace, Began: began.UTC(), Garbage: []Garbage{}},
	}
	// Whatever is stored from here on is told to born, by this process.
	unlock, err := r.still(ctx)
	if err != nil {
		return c.report, err
	}
	r.born.begin()
	unlock()
	defer r.born.end()
	if err := c.mark(ctx); err != nil {
		return c.report, err
	}
	if err := c.find(ctx); err != nil {
		return c.report, err
	}
	for batch := range slices.Chunk(c.doomed, gcBatch) {
		if err := c.sweep(ctx, batch); err != nil {
			return c.report, err
		}
	}
	if !dry && len(c.doomed) > 0 {
		err = r.disk.Sync(ctx)
	}
	c.report.Took = time.Since(began)
	if !dry {
		r.collected.add(c.report)
	}
	return c.report, err
}

// Collected sums up the garbage collections of this process.
type Collected struct {
	Removed  int64 // blobs
	Freed    int64 // bytes
	Finished time.Time
}

// collected is a Collected that several may read.
type collected struct {
	mu sync.Mutex
	Collected
}

func (c *collected) add(r Collection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Removed += int64(r.Removed)
	c.Freed += r.Freed
	c.Finished = r.Began.Add(r.Took)
}

// Collected says what the garbage collections of this process did.
func (r *Registry) Collected() Collected {
	r.collected.mu.Lock()
	defer r.collected.mu.Unlock()
	return r.collected.Collected
}

// KeepAll lets no garbage collection begin until release, and waits for one
// that is under way: a backup reads what a collection would remove.
func (r *Registry) KeepAll() (release func()) {
	r.collecting.Lock()
	return r.collecting.Unlock
}

// key is a SHA-256 digest in a third of the memory.
func key(d digest.Digest) (k [32]byte) {
	_, _ = hex.Decode(k[:], []byte(d.Encoded())) // what is no digest finds nothing
	return k
}

// mark finds what manifests name, in all repositories of database and files,
// and which links of the repositories lead to anything else.
func (c *collector) mark(ctx context.Context) error {
	repos, err := c.Repositories(ctx, "", 0)
	if err != nil {
		return err
	}
	inFiles, err := c.repoFiles(ctx, "", 0)
	if err != nil {
		return err
	}
	repos = append(repos, inFiles...)
	slices.Sort(repos)
	for _, repo := range slices.Compact(repos) {
		if err := c.markRepo(ctx, repo); err != nil {
			return fmt.Errorf("%s: %w", repo, err)
		}
	}
	return nil
}

// repoFiles lists the repositories of the storage: directories with a child
// that begins with an underscore, as none of a name does.
func (r *Registry) repoFiles(ctx context.Context, below string, depth int) (out []string, err error) {
	dirs, err := r.disk.List(ctx, repoPath(below))
	if err := unlessAbsent(err); err != nil {
		return nil, err
	}
	for _, dir := range dirs {
		name := path.Base(dir)
		if strings.HasPrefix(name, "_") {
			if below != "" && !slices.Contains(out, below) {
				out = append(out, below)
			}
			continue
		}
		if depth == maxRepoDepth {
			continue
		}
		more, err := r.repoFiles(ctx, path.Join(below, name), depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, ctx.Err()
}

// maxRepoDepth is how many parts a repository's name has at most: NAMESPACE/NAME,
// and what other registries wrote with one or two more.
const maxRepoDepth = 8

func (c *collector) markRepo(ctx context.Context, repo string) error {
	mine := map[[32]byte]bool{}
	known := map[[32]byte]bool{}
	add := func(m store.Manifest) {
		c.report.Manifests++
		known[key(digest.Digest(m.Digest))] = true
		for _, d := range append([]string{m.Digest}, m.Refs...) {
			mine[key(digest.Digest(d))] = true
		}
	}
	err := c.eachRowOf(ctx, repo, func(m store.Manifest) error { add(m); return nil })
	if err != nil {
		return err
	}
	files, err := c.revisions(ctx, repo)
	if err != nil {
		return err
	}
	for _, d := range files {
		if known[key(d)] {
			continue
		}
		m, err := c.readRevision(ctx, repo, d)
		if notThere(err) {
			continue // deleted meanwhile
		}
		if err != nil {
			// What it names cannot be told, so nothing of it can be removed.
			return fmt.Errorf("manifest %s is in the files only and cannot be read: %w", d, err)
		}
		c.report.Unknown++
		add(m)
	}
	for k := range mine {
		c.named[k] = true
	}
	layers, err := c.disk.List(ctx, repoPath(repo, "_layers", digest.SHA256.String()))
	if err := unlessAbsent(err); err != nil {
		return err
	}
	for _, dir := range layers {
		d := digest.NewDigestFromEncoded(digest.SHA256, path.Base(dir))
		if d.Validate() != nil {
			continue
		}
		if k := key(d); !mine[k] {
			c.links[k] = append(c.links[k], place{repo: repo, d: d})
		}
	}
	return ctx.Err()
}

// find lists what is to be removed: links that lead to what nothing of their
// repository names, then blobs that nothing names.
func (c *collector) find(ctx context.Context) error {
	for _, ls := range c.links {
		c.doomed = append(c.doomed, ls...)
	}
	var blobs []place
	err := c.eachBlob(ctx, func(d digest.Digest) error {
		c.report.Blobs++
		if !c.named[key(d)] {
			blobs = append(blobs, place{d: d})
		}
		return nil
	})
	if err != nil {
		return err
	}
	order := func(a, b place) int { return cmp.Or(cmp.Compare(a.repo, b.repo), cmp.Compare(a.d, b.d)) }
	slices.SortFunc(c.doomed, order)
	slices.SortFunc(blobs, order)
	c.doomed = append(c.doomed, blobs...)
	return ctx.Err()
}

// sweep removes what is still old and still named by nothing, while no manifest
// is being stored anywhere.
func (c *collector) sweep(ctx context.Context, batch []place) error {
	var old []place
	for _, l := range batch { // most of what is young or gone is told without holding up anybody
		if _, ok, err := c.expired(ctx, l); err != nil {
			return err
		} else if ok {
			old = append(old, l)
		}
	}
	c.report.Young += len(batch) - len(old)
	if len(old) == 0 {
		return nil
	}
	unlock, err := c.still(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if c.o.Replica != "" {
		since, err := c.o.DB.ManifestsSince(ctx, c.report.Began.Add(-skew))
		if err != nil {
			return err
		}
		for _, m := range since {
			c.born.add(m)
		}
	}
	for _, l := range old {
		if err := c.remove(ctx, l); err != nil {
			return err
		}
	}
	if c.o.Replica != "" && !c.report.DryRun {
		// Another process may store again what was removed here: a journal that
		// is played after a crash must not take that away.
		return c.disk.Shed(ctx)
	}
	return ctx.Err()
}

func (c *collector) remove(ctx context.Context, l place) error {
	defer c.locks.Lock("blob " + l.d.String())() // an upload of the same
	size, ok, err := c.expired(ctx, l)
	if err != nil {
		return err
	}
	if !ok || c.born.has(l) {
		c.report.Young++
		return nil
	}
	p := path.Dir(blobPath(l.d))
	if l.repo != "" {
		p = path.Dir(layerLink(l.repo, l.d))
	}
	if !c.report.DryRun {
		if err := c.drop(ctx, p); refilled(err) {
			c.report.Young++
			return nil
		} else if err != nil {
			return err
		}
	}
	if l.repo != "" {
		c.report.Links++
	} else {
		c.report.Removed++
		c.report.Freed += size
	}
	if len(c.report.Garbage) < maxGarbage {
		c.report.Garbage = append(c.report.Garbage, Garbage{Digest: l.d.String(), Repo: l.repo, Size: size})
	}
	return nil
}

// refilled reports whether a directory could not be removed because another
// process stored into it at that very moment.
func refilled(err error) bool {
	if e, ok := errors.AsType[driver.Error](err); ok {
		err = e.Detail
	}
	return errors.Is(err, syscall.ENOTEMPTY)
}

// expired reports whether a link or a blob is there and beyond the grace. A
// blob is as young as the youngest link to it: one may have been made of it, or
// told to somebody who pushes, a moment ago.
func (c *collector) expired(ctx context.Context, l place) (size int64, ok bool, err error) {
	if l.repo != "" {
		_, ok, err = c.before(ctx, layerLink(l.repo, l.d))
		return 0, ok, err
	}
	size, ok, err = c.before(ctx, blobPath(l.d))
	if err != nil || !ok {
		return 0, false, err
	}
	for _, other := range c.links[key(l.d)] {
		_, err := c.disk.Stat(ctx, layerLink(other.repo, other.d))
		if notThere(err) {
			continue // removed a moment ago
		}
		if err != nil {
			return 0, false, err
		}
		if _, ok, err := c.before(ctx, layerLink(other.repo, other.d)); err != nil || !ok {
			return 0, false, err
		}
	}
	return size, true, nil
}

// before reports whether a file is there and older than the grace.
func (c *collector) before(ctx context.Context, p string) (size int64, ok bool, err error) {
	st, err := c.disk.Stat(ctx, p)
	if err != nil {
		return 0, false, unlessAbsent(err)
	}
	if st.IsDir() {
		return 0, false, nil
	}
	return st.Size(), st.ModTime().Before(c.old), nil
}

// renew keeps a link that is there from the garbage collection for another
// grace, and with it the blob. It is called before somebody who pushes is told
// that the blob is there.
func (r *Registry) renew(ctx context.Context, repo string, d digest.Digest) {
	defer r.locks.Lock("blob " + d.String())()
	p := layerLink(repo, d)
	st, err := r.disk.Stat(ctx, p)
	if err == nil && time.Since(st.ModTime()) < r.o.Grace/2 {
		return
	}
	if err == nil {
		err = r.disk.PutContent(ctx, p, []byte(d.String()))
	}
	if err != nil && !notThere(err) {
		r.log.WarnContext(ctx, "registry: renew a link", "repo", repo, "digest", d, "err", err)
	}
}

// still waits until no manifest is being stored, here and in other processes on
// the database, and lets none be until unlock.
func (r *Registry) still(ctx context.Context) (unlock func(), err error) {
	r.erasing.Lock()
	everywhere, err := r.o.DB.Lock(ctx, storageLock)
	if err != nil {
		r.erasing.Unlock()
		return nil, err
	}
	return func() { everywhere(); r.erasing.Unlock() }, nil
}
