package ingest

import (
	"bytes"
	"context"
	"io"
	"os"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Writer stores into the embedded registry on behalf of a principal, by the
// same admission as a push over HTTP.
type Writer interface {
	PutBlob(ctx context.Context, p account.Principal, repo string, d ocispec.Descriptor, body io.Reader) error
	PutManifest(ctx context.Context, p account.Principal, repo, ref, mediaType string, payload []byte) (ocispec.Descriptor, error)
}

// Publish stores package.yaml and a source archive as one version and applies
// it, so that it is visible when Publish returns. It returns the name and the
// version; a second content for a version is clyde.ErrConflict.
func (in *Ingest) Publish(ctx context.Context, w Writer, p account.Principal, config []byte, archive io.Reader, mediaType string) (clyde.Name, string, error) {
	fail := func(err error) (clyde.Name, string, error) { return clyde.Name{}, "", err }
	m, err := clyde.Validate(config, clyde.ValidateOptions{Publish: true})
	if err != nil {
		return fail(err)
	}
	if m.Name.Namespace == "" {
		return fail(clyde.Errorf(clyde.ErrInvalid, "package.yaml names %q without a namespace", m.Name.Base).
			WithCode("namespace_missing").Fix("Write name: \"@namespace/%s\".", m.Name.Base))
	}
	repo := m.Name.Repo()
	// Before a byte is spooled: may this principal publish here at all?
	if !account.Allowed(p, account.Publish, account.Resource{Repo: repo}) && !account.Allowed(p, account.PublishNew, account.Resource{Repo: repo}) {
		return fail(account.Authorize(p, account.Publish, account.Resource{Repo: repo}))
	}
	if err := notWithdrawn(ctx, in.DB, repo, m.Version.Canonical()); err != nil {
		return fail(err)
	}
	f, err := os.CreateTemp("", "clyde-publish-*")
	if err != nil {
		return fail(err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	h := digest.SHA256.Digester()
	size, err := io.Copy(io.MultiWriter(f, h.Hash()), io.LimitReader(archive, artifact.MaxArchive+1))
	if err != nil {
		return fail(err)
	}
	if size > artifact.MaxArchive {
		return fail(clyde.Errorf(clyde.ErrTooLarge, "the archive is larger than %d bytes", artifact.MaxArchive).WithCode("too_large"))
	}
	source := ocispec.Descriptor{MediaType: mediaType, Digest: h.Digest(), Size: size}
	// The archive is refused here, whole, rather than parked later.
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fail(err)
	}
	if err := checkArchive(ctx, f, mediaType, m); err != nil {
		return fail(err)
	}
	payload, _, err := artifact.Assemble(config, m, []artifact.Blob{{Descriptor: source}}, nil)
	if err != nil {
		return fail(err)
	}
	if err := in.store(ctx, w, p, m, config, f, source, payload); err != nil {
		return fail(err)
	}
	ev := clyde.Event{Source: "api", Action: clyde.ActionPush, Repo: repo, Tag: m.Version.String(), Digest: digest.FromBytes(payload).String(), Actor: p.String(), Received: in.Now().UTC()}
	return m.Name, m.Version.String(), in.Apply(ctx, ev)
}

func (in *Ingest) store(ctx context.Context, w Writer, p account.Principal, m *clyde.Manifest, config []byte, archive io.ReadSeeker, source ocispec.Descriptor, payload []byte) error {
	repo := m.Name.Repo()
	pm, err := artifact.ParsePackage(payload)
	if err != nil {
		return err
	}
	if err := w.PutBlob(ctx, p, repo, pm.Config, bytes.NewReader(config)); err != nil {
		return err
	}
	if _, err := archive.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := w.PutBlob(ctx, p, repo, source, archive); err != nil {
		return err
	}
	_, err = w.PutManifest(ctx, p, repo, m.Version.String(), ocispec.MediaTypeImageManifest, payload)
	return err
}
