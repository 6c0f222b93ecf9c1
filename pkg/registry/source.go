package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/ingest"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// In process, whoever calls has decided who may read: these methods prove
// membership and nothing else.

// Resolve returns the descriptor that ref, a tag or a digest, names, or
// clyde.ErrNotFound.
func (r *Registry) Resolve(ctx context.Context, repo, ref string) (ocispec.Descriptor, error) {
	if err := errors.Join(checkRepo(repo), checkRef(ref)); err != nil {
		return ocispec.Descriptor{}, err
	}
	d, m, err := r.resolve(ctx, repo, ref)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return ocispec.Descriptor{MediaType: m.mediaType, ArtifactType: m.artifactType, Digest: d, Size: m.size}, nil
}

// Manifest returns a manifest of the repository, or clyde.ErrNotFound. The
// bytes are shared: do not write to them.
func (r *Registry) Manifest(ctx context.Context, repo string, d digest.Digest) (payload []byte, mediaType string, err error) {
	if _, err := parseDigest(d.String()); err != nil {
		return nil, "", err
	}
	m, err := r.member(ctx, repo, d)
	if err != nil {
		return nil, "", err
	}
	b, err := r.body(d)
	return b, m.mediaType, err
}

// Blob opens a blob of the repository; its last Read fails if the bytes are
// not d's.
func (r *Registry) Blob(ctx context.Context, repo string, d ocispec.Descriptor) (io.ReadCloser, error) {
	f, size, err := r.OpenBlob(ctx, repo, d.Digest)
	if err != nil {
		return nil, err
	}
	if d.Size != size {
		return nil, errors.Join(clyde.Errorf(clyde.ErrInvalid, "blob %s is %d bytes, not %d", d.Digest, size, d.Size).WithCode("size_invalid"), f.Close())
	}
	return &verifiedFile{ReadCloser: f, v: d.Digest.Verifier(), d: d.Digest}, nil
}

type verifiedFile struct {
	io.ReadCloser
	v digest.Verifier
	d digest.Digest
}

func (v *verifiedFile) Read(b []byte) (int, error) {
	n, err := v.ReadCloser.Read(b)
	_, _ = v.v.Write(b[:n]) // a hash never fails
	if err == io.EOF && !v.v.Verified() {
		err = fmt.Errorf("registry: blob %s is damaged on disk", v.d)
	}
	return n, err
}

// Tags returns at most n tags after last, in byte order; n <= 0 means all.
func (r *Registry) Tags(ctx context.Context, repo, last string, n int) ([]string, error) {
	out := []string{}
	for n <= 0 || len(out) < n {
		want := maxPage
		if n > 0 {
			want = min(want, n-len(out))
		}
		tags, err := r.o.DB.Tags(ctx, repo, last, want)
		if err != nil {
			return nil, err
		}
		for _, t := range tags {
			last = t.Tag
			out = append(out, t.Tag)
		}
		if len(tags) < want {
			break
		}
	}
	return out, nil
}

// Referrers returns every manifest whose subject is the given one.
func (r *Registry) Referrers(ctx context.Context, repo string, subject digest.Digest) ([]ocispec.Descriptor, error) {
	out := []ocispec.Descriptor{}
	for last := ""; ; {
		rows, err := r.o.DB.Referrers(ctx, repo, subject.String(), "", last, maxPage)
		if err != nil {
			return nil, err
		}
		for _, m := range rows {
			last = m.Digest
			out = append(out, descriptorOf(m))
		}
		if len(rows) < maxPage {
			return out, nil
		}
	}
}

func descriptorOf(m store.Manifest) ocispec.Descriptor {
	return ocispec.Descriptor{
		MediaType: m.MediaType, ArtifactType: m.ArtifactType,
		Digest: digest.Digest(m.Digest), Size: m.Size, Annotations: m.Annotations,
	}
}

// Repositories returns at most n repositories that hold a manifest after last,
// in byte order; n <= 0 means all.
func (r *Registry) Repositories(ctx context.Context, last string, n int) ([]string, error) {
	out := []string{}
	for n <= 0 || len(out) < n {
		want := maxPage
		if n > 0 {
			want = min(want, n-len(out))
		}
		repos, err := r.o.DB.Repos(ctx, last, want)
		if err != nil {
			return nil, err
		}
		out = append(out, repos...)
		if len(repos) < want {
			break
		}
		last = repos[len(repos)-1]
	}
	return out, nil
}

// PutBlob stores the d.Size bytes of body on behalf of p, as an upload over
// HTTP would: same rights, same limits. It is fine if they are there already;
// body is not read then.
func (r *Registry) PutBlob(ctx context.Context, p account.Principal, repo string, d ocispec.Descriptor, body io.Reader) error {
	if _, err := parseDigest(d.Digest.String()); err != nil {
		return err
	}
	if err := checkRepo(repo); err != nil {
		return err
	}
	if err := r.mayPush(ctx, p, repo); err != nil {
		return err
	}
	r.renew(ctx, repo, d.Digest)
	if f, size, err := r.OpenBlob(ctx, repo, d.Digest); err == nil {
		if cerr := f.Close(); cerr != nil {
			return cerr
		}
		if size == d.Size {
			return nil
		}
	}
	bs, err := r.blobs(ctx, repo)
	if err != nil {
		return err
	}
	bw, err := bs.Create(ctx)
	if err != nil {
		return fmt.Errorf("registry: begin upload: %w", err)
	}
	if err := r.sessions.begin(p, bw.ID()); err != nil {
		return errors.Join(err, bw.Cancel(ctx))
	}
	defer r.sessions.end(p, bw.ID())
	n, err := r.receive(bw, io.LimitReader(body, d.Size+1), p, d.Size)
	if err == nil && n != d.Size {
		err = clyde.Errorf(clyde.ErrInvalid, "blob %s has another size than the %d bytes stated", d.Digest, d.Size).WithCode("size_invalid")
	}
	if err != nil {
		return errors.Join(err, bw.Cancel(context.WithoutCancel(ctx)))
	}
	return r.commitBlob(ctx, bw, d.Digest)
}

// PutManifest stores payload under ref, a tag or its digest, on behalf of p,
// through the same admission as a push over HTTP. Like there, it returns when
// everything is durable.
func (r *Registry) PutManifest(ctx context.Context, p account.Principal, repo, ref, mediaType string, payload []byte) (ocispec.Descriptor, error) {
	if err := errors.Join(checkRepo(repo), checkRef(ref)); err != nil {
		return ocispec.Descriptor{}, err
	}
	if err := r.mayPush(ctx, p, repo); err != nil {
		return ocispec.Descriptor{}, err
	}
	d, _, err := r.storeManifest(ctx, p, repo, ref, mediaType, payload)
	return d, err
}

// fillCommit completes what Admit left open.
func fillCommit(c *store.Commit, p ingest.Push, payload []byte, now time.Time) {
	if c.Manifest.Digest == "" {
		if m, err := describe(p.Repo, p.MediaType, payload); err == nil {
			c.Manifest = m
		}
	}
	if c.Manifest.Pushed.IsZero() {
		c.Manifest.Pushed = now.UTC()
	}
	if c.Tag == "" {
		c.Tag = p.Tag
	}
	if c.Actor == "" {
		c.Actor = p.Principal.String()
	}
}
