package artifact

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Push stores a package: the blobs that the repository lacks, in parallel, and
// then the manifest under each tag, or under its digest alone when there are
// none. Large blobs are sent in chunks and go on where they were cut off, by
// the network or by a restart of the registry.
//
// progress may be nil. Its total is what the package amounts to, sent or there
// already; it ends at total when everything is stored. Ending ctx ends Push at
// once.
func (c *Client) Push(ctx context.Context, repo string, p *Packed, tags []string, progress Progress) error {
	if _, err := c.in(repo, ""); err != nil {
		return err
	}
	for _, t := range tags {
		if !tagRE.MatchString(t) {
			return invalid("tag_invalid", "%.140q is no tag", t)
		}
	}
	if len(tags) == 0 {
		tags = []string{p.Descriptor.Digest.String()}
	}
	count := &odometer{progress: progress, high: map[digest.Digest]int64{}, total: int64(len(p.Manifest))}
	unique := map[digest.Digest]bool{}
	var blobs []Blob
	for _, b := range append([]Blob{p.Config}, p.Layers...) {
		if err := checkBlob(b.Descriptor); err != nil {
			return err
		}
		if !unique[b.Descriptor.Digest] {
			unique[b.Descriptor.Digest] = true
			blobs = append(blobs, b)
			count.total += b.Descriptor.Size
		}
	}
	count.report()
	g, gctx := errgroup.WithContext(ctx)
	for _, b := range blobs {
		g.Go(func() error {
			return c.upload(gctx, repo, b, func(off int64) { count.reach(b.Descriptor.Digest, off) })
		})
	}
	if err := g.Wait(); err != nil {
		if ctx.Err() != nil {
			return c.cancelled(ctx)
		}
		return err
	}
	mediaType := p.Descriptor.MediaType
	if mediaType == "" {
		mediaType = ocispec.MediaTypeImageManifest
	}
	for _, t := range tags {
		if _, err := c.PutManifest(ctx, repo, t, mediaType, p.Manifest); err != nil {
			return err
		}
	}
	count.reach("", int64(len(p.Manifest)))
	return nil
}

// odometer adds up how far each blob has come. It never goes back: what has to be
// sent again was counted once.
type odometer struct {
	progress Progress

	mu          sync.Mutex
	high        map[digest.Digest]int64
	done, total int64
}

func (t *odometer) report() {
	if t.progress != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.progress(t.done, t.total)
	}
}

// reach says that off bytes of the blob have been sent.
func (t *odometer) reach(d digest.Digest, off int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if off <= t.high[d] {
		return
	}
	t.done += off - t.high[d]
	t.high[d] = off
	if t.progress != nil {
		t.progress(t.done, t.total)
	}
}

// PutBlob stores the d.Size bytes of r, unless they are there already. What
// cannot be read twice is kept meanwhile, in memory or in a temporary file.
func (c *Client) PutBlob(ctx context.Context, repo string, d ocispec.Descriptor, r io.Reader) (err error) {
	if err := checkBlob(d); err != nil {
		return err
	}
	wrong := func(n int64) error {
		return invalid("size_invalid", "blob %s has %d bytes or more, not the %d stated", d.Digest, n, d.Size)
	}
	if d.Size <= MonolithicSize {
		b, err := io.ReadAll(io.LimitReader(r, d.Size+1))
		if err != nil {
			return fmt.Errorf("read blob %s: %w", d.Digest, err)
		}
		if int64(len(b)) != d.Size {
			return wrong(int64(len(b)))
		}
		return c.upload(ctx, repo, bytesBlob(d, b), func(int64) {})
	}
	if s, ok := r.(io.ReaderAt); ok {
		// It is read from its beginning, as every file and buffer here is.
		return c.upload(ctx, repo, Blob{d, func() (io.ReadCloser, error) {
			return sectionCloser{io.NewSectionReader(s, 0, d.Size)}, nil
		}}, func(int64) {})
	}
	f, err := os.CreateTemp("", "clyde-blob-*")
	if err != nil {
		return err
	}
	defer func() {
		_ = f.Close() // it is read again by name, and then gone
		if rerr := os.Remove(f.Name()); err == nil {
			err = rerr
		}
	}()
	n, err := io.Copy(f, io.LimitReader(r, d.Size+1))
	if err != nil {
		return fmt.Errorf("read blob %s: %w", d.Digest, err)
	}
	if n != d.Size {
		return wrong(n)
	}
	return c.upload(ctx, repo, fileBlob(d, f.Name()), func(int64) {})
}

type sectionCloser struct{ *io.SectionReader }

func (sectionCloser) Close() error { return nil }

// mergedRE are the tags whose writes a registry may merge: signatures in
// cosign's own form and the list of referrers.
var mergedRE = regexp.MustCompile(`^sha256-[0-9a-f]{64}(\.[a-z]+)?$`)

// PutManifest stores payload under ref, a tag or its digest, and returns what
// the registry stored: other bytes than payload only under the tags of a
// digest (sha256-<hex>.sig), whose writes registries merge.
func (c *Client) PutManifest(ctx context.Context, repo, ref, mediaType string, payload []byte) (ocispec.Descriptor, error) {
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(payload), Size: int64(len(payload))}
	if d.Size > MaxManifest {
		return ocispec.Descriptor{}, tooLarge("the manifest", d.Size, MaxManifest)
	}
	u, err := c.manifestURL(repo, ref)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if !tagRE.MatchString(ref) {
		if want := digest.Digest(ref); want != want.Algorithm().FromBytes(payload) {
			return ocispec.Descriptor{}, invalid("digest_invalid", "the manifest is %s, not %s", d.Digest, ref)
		}
		d.Digest = digest.Digest(ref)
	}
	resp, err := c.do(ctx, request{
		method: http.MethodPut, url: u, header: http.Header{"Content-Type": {mediaType}}, scope: push(repo),
		body: func() io.Reader { return bytes.NewReader(payload) }, length: d.Size,
	}, http.StatusCreated, http.StatusOK, http.StatusAccepted)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	stored := digest.Digest(resp.Header.Get("Docker-Content-Digest"))
	if err := finish(resp); err != nil {
		return ocispec.Descriptor{}, c.unreachable(err, nil)
	}
	switch {
	case stored == "" || stored == d.Digest:
	case mergedRE.MatchString(ref) && stored.Validate() == nil:
		return c.Resolve(ctx, repo, stored.String())
	case stored.Validate() == nil && stored.Algorithm().Available() && stored == stored.Algorithm().FromBytes(payload):
		// The same bytes by another algorithm.
	default:
		return ocispec.Descriptor{}, clyde.Errorf(clyde.ErrUnverified, "%s stored %s as %.90q, not as %s", c.base.Host, ref, c.auth.clean(stored.String()), d.Digest).
			WithCode("digest_mismatch").Fix("check what is published there before anybody uses it")
	}
	var m struct {
		ArtifactType string `json:"artifactType"`
	}
	if json.Unmarshal(payload, &m) == nil {
		d.ArtifactType = m.ArtifactType
	}
	return d, nil
}
