package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/ingest"
	"github.com/clydepm/clyde-registry/pkg/store"
)

const (
	// DefaultScrubRate is how fast a scrub reads, in bytes a second. Ours: a
	// terabyte in 15 hours, and a disk has most of its time for others.
	DefaultScrubRate = 20 << 20

	// scrubBuffer is how much a scrub reads at once, in bytes.
	scrubBuffer = 256 << 10
)

// What is wrong with a blob.
const (
	DamageBytes   = "damaged"    // its bytes are not those of its digest
	DamageMissing = "missing"    // a manifest names it, and it is not there
	DamageRead    = "unreadable" // the storage did not give it back
)

// Mirror has what may have been damaged here; *artifact.Client implements it.
type Mirror interface {
	Blob(ctx context.Context, repo string, d ocispec.Descriptor) (io.ReadCloser, error)
	Manifest(ctx context.Context, repo string, d digest.Digest) (payload []byte, mediaType string, err error)
}

// ScrubOptions say how to look.
type ScrubOptions struct {
	Rate   int64 // bytes a second; 0 means DefaultScrubRate, less than 0 as fast as it goes
	DryRun bool  // report only: set nothing aside, heal nothing
}

// Scrub is what looking at every blob found.
type Scrub struct {
	DryRun  bool          `json:"dry_run"`
	Began   time.Time     `json:"began"`
	Took    time.Duration `json:"took_ns"`
	Blobs   int           `json:"blobs"` // hashed
	Bytes   int64         `json:"bytes"` // of them
	Healed  int           `json:"healed"`
	Damages []Damage      `json:"damages"` // by digest; the healed ones too
}

// Damage is a blob that is not what its name says.
type Damage struct {
	Digest  string `json:"digest"`
	Problem string `json:"problem"` // damaged, missing or unreadable
	Size    int64  `json:"size"`    // bytes found
	// Aside is where the bytes were put, below the storage's root; "" when they
	// were left or there are none.
	Aside  string `json:"aside,omitempty"`
	Healed bool   `json:"healed"` // from the mirror
	Hits   []Hit  `json:"hits"`   // manifests that need it; none: it is garbage
}

// manifest reports whether a manifest is damaged.
func (d *Damage) manifest() bool {
	return slices.ContainsFunc(d.Hits, func(h Hit) bool { return h.Manifest == d.Digest })
}

// Hit is a manifest that a damage hits, itself or in what it names.
type Hit struct {
	Repo     string   `json:"repo"`
	Manifest string   `json:"manifest"`
	Tags     []string `json:"tags"`
	Subject  string   `json:"subject,omitempty"` // of a signature, an SBOM or a build
}

// Open returns how many damages are not healed.
func (s Scrub) Open() int { return len(s.Damages) - s.Healed }

// Scrub reads every blob at a bounded rate and compares it with its digest, and
// looks for blobs that manifests in the database name and that are not there.
// What is damaged is read a second time before it is believed, and set aside
// then: from that moment it is absent, so that clients send it again when it is
// pushed again. Where there is a mirror, it is fetched from there at once.
//
// A blob that the storage fails to give back is reported and left alone.
func (r *Registry) Scrub(ctx context.Context, o ScrubOptions) (s Scrub, err error) {
	defer clyde.Wrap(&err, "registry.Scrub")
	began := time.Now()
	s = Scrub{DryRun: o.DryRun, Began: began.UTC(), Damages: []Damage{}}
	if err := r.disk.Flush(ctx); err != nil { // what is read is what the disk has
		return s, err
	}
	p := pace{rate: o.Rate, began: began}
	if p.rate == 0 {
		p.rate = DefaultScrubRate
	}
	found := map[[32]byte]bool{}
	err = r.eachBlob(ctx, func(d digest.Digest) error {
		size, problem, err := r.examine(ctx, d, &p)
		if err != nil || problem == DamageMissing {
			return err // a directory that is left; whether the blob is needed is asked below
		}
		found[key(d)] = true
		s.Blobs++
		s.Bytes += size
		if problem != "" {
			s.Damages = append(s.Damages, Damage{Digest: d.String(), Problem: problem, Size: size})
		}
		return nil
	})
	if err != nil {
		return s, err
	}
	if err := r.missing(ctx, found, &s); err != nil {
		return s, err
	}
	slices.SortFunc(s.Damages, func(a, b Damage) int { return cmp.Compare(a.Digest, b.Digest) })
	if err := r.hits(ctx, &s); err != nil {
		return s, err
	}
	// Manifests first: they say how large the blobs are that they name.
	order := make([]*Damage, 0, len(s.Damages))
	for _, manifests := range []bool{true, false} {
		for i := range s.Damages {
			if s.Damages[i].manifest() == manifests {
				order = append(order, &s.Damages[i])
			}
		}
	}
	for _, d := range order {
		if !o.DryRun {
			if err := r.mend(ctx, d); err != nil {
				return s, err
			}
		}
		if d.Healed {
			s.Healed++
		}
		r.log.ErrorContext(ctx, "registry: scrub: a blob is damaged", "digest", d.Digest, "problem", d.Problem, "healed", d.Healed, "manifests", len(d.Hits))
	}
	s.Took = time.Since(began)
	r.scrubbed.set(s)
	return s, nil
}

// scrubbed is the last Scrub of this process, for whoever asks.
type scrubbed struct {
	mu   sync.Mutex
	last Scrub
}

func (s *scrubbed) set(last Scrub) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = last
}

// Scrubbed returns what the last Scrub of this process found; its Began is zero
// when there was none.
func (r *Registry) Scrubbed() Scrub {
	r.scrubbed.mu.Lock()
	defer r.scrubbed.mu.Unlock()
	return r.scrubbed.last
}

// eachBlob calls fn for every blob that the storage has.
func (r *Registry) eachBlob(ctx context.Context, fn func(digest.Digest) error) error {
	prefixes, err := r.disk.List(ctx, path.Join(layoutRoot, "blobs", digest.SHA256.String()))
	if err := unlessAbsent(err); err != nil {
		return err
	}
	slices.Sort(prefixes)
	for _, prefix := range prefixes {
		dirs, err := r.disk.List(ctx, prefix)
		if err := unlessAbsent(err); err != nil {
			return err
		}
		slices.Sort(dirs)
		for _, dir := range dirs {
			d := digest.NewDigestFromEncoded(digest.SHA256, path.Base(dir))
			if d.Validate() != nil {
				continue
			}
			if err := fn(d); err != nil {
				return err
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	return nil
}

// pace bounds how much is read in a time.
type pace struct {
	rate  int64 // bytes a second; less than 0 is no bound
	began time.Time
	n     int64
}

// spend waits until n bytes more are within the rate.
func (p *pace) spend(ctx context.Context, n int64) error {
	p.n += n
	if p.rate < 0 {
		return ctx.Err()
	}
	wait := time.Duration(float64(p.n)/float64(p.rate)*float64(time.Second)) - time.Since(p.began)
	if wait <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// examine hashes a blob, twice before it calls it damaged: memory and cables
// err as well.
func (r *Registry) examine(ctx context.Context, d digest.Digest, p *pace) (size int64, problem string, err error) {
	for range 2 {
		f, _, err := r.disk.OpenBlob(d)
		if errors.Is(err, clyde.ErrNotFound) || notThere(err) {
			return 0, DamageMissing, nil
		}
		if err != nil {
			return 0, DamageRead, ctx.Err()
		}
		v := d.Verifier()
		size, err = io.CopyBuffer(struct{ io.Writer }{v}, &paced{ctx, f, p}, make([]byte, scrubBuffer))
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		switch {
		case ctx.Err() != nil:
			return size, "", ctx.Err()
		case err != nil:
			problem = DamageRead
		case v.Verified():
			return size, "", nil
		default:
			problem = DamageBytes
		}
	}
	return size, problem, nil
}

type paced struct {
	ctx context.Context // of one copy
	r   io.Reader
	p   *pace
}

func (p *paced) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if serr := p.p.spend(p.ctx, int64(n)); serr != nil {
		return n, serr
	}
	return n, err
}

// eachRow calls fn with every manifest of the database.
func (r *Registry) eachRow(ctx context.Context, fn func(store.Manifest) error) error {
	repos, err := r.Repositories(ctx, "", 0)
	if err != nil {
		return err
	}
	for _, repo := range repos {
		if err := r.eachRowOf(ctx, repo, fn); err != nil {
			return err
		}
	}
	return nil
}

func (r *Registry) eachRowOf(ctx context.Context, repo string, fn func(store.Manifest) error) error {
	for last := ""; ; {
		rows, err := r.o.DB.Manifests(ctx, repo, last, maxPage)
		if err != nil {
			return err
		}
		for _, m := range rows {
			last = m.Digest
			if err := fn(m); err != nil {
				return err
			}
		}
		if len(rows) < maxPage {
			return ctx.Err()
		}
	}
}

// missing adds what manifests name and the storage does not have.
func (r *Registry) missing(ctx context.Context, found map[[32]byte]bool, s *Scrub) error {
	return r.eachRow(ctx, func(m store.Manifest) error {
		for _, ref := range append([]string{m.Digest}, m.Refs...) {
			d := digest.Digest(ref)
			if found[key(d)] {
				continue
			}
			found[key(d)] = true // once
			f, _, err := r.disk.OpenBlob(d)
			if err == nil { // pushed meanwhile
				if err := f.Close(); err != nil {
					return err
				}
				continue
			}
			s.Damages = append(s.Damages, Damage{Digest: ref, Problem: DamageMissing})
		}
		return nil
	})
}

// hits finds which manifests the damages hit.
func (r *Registry) hits(ctx context.Context, s *Scrub) error {
	if len(s.Damages) == 0 {
		return nil
	}
	at := map[string]*Damage{}
	for i := range s.Damages {
		s.Damages[i].Hits = []Hit{}
		at[s.Damages[i].Digest] = &s.Damages[i]
	}
	return r.eachRow(ctx, func(m store.Manifest) error {
		for _, ref := range append([]string{m.Digest}, m.Refs...) {
			d := at[ref]
			if d == nil {
				continue
			}
			h := Hit{Repo: m.Repo, Manifest: m.Digest, Tags: []string{}, Subject: m.Subject}
			err := r.eachTag(ctx, m.Repo, func(t store.Tag) error {
				if t.Digest == m.Digest || m.Subject != "" && ingest.Refers(t.Tag) == m.Subject {
					h.Tags = append(h.Tags, t.Tag)
				}
				return nil
			})
			if err != nil {
				return err
			}
			d.Hits = append(d.Hits, h)
		}
		return nil
	})
}

// asidePath is where damaged bytes are kept for whoever wants to look at them.
func asidePath(d digest.Digest) string {
	return path.Join("/damaged", d.Algorithm().String(), d.Encoded())
}

// mend sets the bytes of a damaged blob aside, and fetches it from the mirror.
func (r *Registry) mend(ctx context.Context, d *Damage) error {
	dgst := digest.Digest(d.Digest)
	if d.Problem == DamageBytes {
		unlock := r.locks.Lock("blob " + d.Digest)
		err := r.disk.Move(ctx, blobPath(dgst), asidePath(dgst))
		unlock()
		if err != nil && !notThere(err) {
			return fmt.Errorf("set %s aside: %w", d.Digest, err)
		}
		d.Aside = asidePath(dgst)
		r.bodies.drop(dgst)
		if err := r.disk.Sync(ctx); err != nil {
			return err
		}
	}
	if r.o.Mirror == nil || d.Problem == DamageRead {
		return nil
	}
	for _, h := range d.Hits {
		err := r.fetch(ctx, h, dgst)
		if err == nil {
			d.Healed = true
			return r.disk.Sync(ctx)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.log.WarnContext(ctx, "registry: scrub: the mirror does not help", "repo", h.Repo, "digest", d.Digest, "err", err)
	}
	return nil
}

// fetch replaces a blob, or the manifest itself, by the mirror's.
func (r *Registry) fetch(ctx context.Context, h Hit, d digest.Digest) error {
	if h.Manifest == d.String() {
		b, _, err := r.o.Mirror.Manifest(ctx, h.Repo, d)
		if err != nil {
			return err
		}
		if digest.FromBytes(b) != d {
			return wrongBytes(d)
		}
		return r.disk.PutContent(ctx, blobPath(d), b)
	}
	// Only the manifest says how large the blob has to be.
	b, err := r.body(digest.Digest(h.Manifest))
	if err != nil {
		return err
	}
	descs, err := named(b)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(descs, func(x ocispec.Descriptor) bool { return x.Digest == d })
	if i < 0 {
		return fmt.Errorf("manifest %s does not name it", h.Manifest)
	}
	body, err := r.o.Mirror.Blob(ctx, h.Repo, descs[i])
	if err != nil {
		return err
	}
	defer body.Close()
	bs, err := r.blobs(ctx, h.Repo)
	if err != nil {
		return err
	}
	bw, err := bs.Create(ctx)
	if err != nil {
		return err
	}
	if _, err := r.copy(bw, io.LimitReader(body, descs[i].Size+1), descs[i].Size); err != nil {
		return errors.Join(err, bw.Cancel(context.WithoutCancel(ctx)))
	}
	return r.commitBlob(ctx, bw, d)
}

var _ Mirror = (*artifact.Client)(nil)
