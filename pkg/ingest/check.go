package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// manifest is what Admit reads of a manifest or an index alike.
type manifest struct {
	MediaType    string               `json:"mediaType"`
	ArtifactType string               `json:"artifactType"`
	Config       *ocispec.Descriptor  `json:"config"`
	Layers       []ocispec.Descriptor `json:"layers"`
	Manifests    []ocispec.Descriptor `json:"manifests"`
	Subject      *ocispec.Descriptor  `json:"subject"`
	Annotations  map[string]string    `json:"annotations"`
}

func artifactType(m *manifest) string {
	if m.ArtifactType == "" && m.Config != nil {
		return m.Config.MediaType
	}
	return m.ArtifactType
}

// readManifest parses the payload strictly, whatever kind of manifest it is.
func readManifest(p Push) (*manifest, error) {
	bad := func(format string, args ...any) error {
		return clyde.Errorf(clyde.ErrInvalid, format, args...).WithCode("manifest_invalid")
	}
	if err := artifact.CheckJSON(p.Payload); err != nil {
		return nil, err
	}
	var m manifest
	if err := json.Unmarshal(p.Payload, &m); err != nil {
		return nil, bad("the manifest cannot be read: %v", err)
	}
	if m.MediaType == "" {
		m.MediaType = p.MediaType
	}
	if p.MediaType != "" && m.MediaType != p.MediaType {
		return nil, bad("the manifest says mediaType %q, its Content-Type says %q", m.MediaType, p.MediaType)
	}
	if len(m.Layers) > 0 && len(m.Manifests) > 0 {
		return nil, bad("the manifest has both layers and manifests; others would read it differently")
	}
	if err := checkShape(&m); err != nil {
		return nil, err
	}
	if m.Config != nil {
		if err := checkDescriptor("config", *m.Config); err != nil {
			return nil, err
		}
	}
	for _, d := range m.Layers {
		if err := checkDescriptor("a layer", d); err != nil {
			return nil, err
		}
	}
	for _, d := range m.Manifests {
		if err := checkDescriptor("a manifest of the index", d); err != nil {
			return nil, err
		}
	}
	if m.Subject != nil {
		if err := checkDescriptor("subject", *m.Subject); err != nil {
			return nil, err
		}
	}
	return &m, nil
}

// checkShape refuses a media type that is of no manifest, under which the bytes
// would be served to everybody, and one of the other kind than what is in it.
// Where neither manifest nor header names one, readers go by what is in it.
func checkShape(m *manifest) error {
	bad := func(format string, args ...any) *clyde.Error {
		return clyde.Errorf(clyde.ErrInvalid, format, args...).WithCode("manifest_invalid")
	}
	switch m.MediaType {
	case "":
	case ocispec.MediaTypeImageManifest, dockerManifest:
		if m.Manifests != nil {
			return bad("the manifest has \"manifests\", which %q does not have", m.MediaType)
		}
	case ocispec.MediaTypeImageIndex, dockerList:
		if m.Config != nil || m.Layers != nil {
			return bad("the manifest has \"config\" or \"layers\", which %q does not have", m.MediaType)
		}
	default:
		return bad("the media type %.100q is not one of a manifest", m.MediaType).
			Fix("Use %s or %s.", ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex)
	}
	return nil
}

// The media types of Docker's manifest, version 2, schema 2, and of its list.
const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// checkDescriptor refuses what names nothing, names what is elsewhere, or
// carries other content than it names.
func checkDescriptor(what string, d ocispec.Descriptor) error {
	bad := func(format string, args ...any) error {
		return clyde.Errorf(clyde.ErrInvalid, what+" "+format, args...).WithCode("manifest_invalid")
	}
	switch {
	case d.Digest.Validate() != nil:
		return bad("has the digest %q, which is none", d.Digest)
	case d.Size < 0:
		return bad("has size %d", d.Size)
	case len(d.URLs) > 0:
		return bad("has \"urls\": content must be in this registry")
	case d.Data != nil && (int64(len(d.Data)) != d.Size || d.Digest.Algorithm().FromBytes(d.Data) != d.Digest):
		return bad("has \"data\" that does not match its digest")
	}
	return nil
}

// mayPush asks the one judge. A package's first version needs publish-new. To
// whoever may not see the package, it does not exist: the refusal is the same.
func (a *Admitter) mayPush(ctx context.Context, p Push) error {
	r, err := account.ResourceOf(ctx, a.DB, p.Repo)
	if err != nil {
		return err
	}
	known, sees := !r.New, account.Allowed(p.Principal, account.Pull, account.Resource{Repo: p.Repo, Private: r.Private})
	res := account.Resource{Repo: p.Repo, TrustedOnly: r.TrustedOnly}
	if known && (sees || account.Allowed(p.Principal, account.PublishNew, res)) {
		return account.Authorize(p.Principal, account.Publish, res)
	}
	return account.Authorize(p.Principal, account.PublishNew, res)
}

// referred checks that what a manifest refers to is here.
func (a *Admitter) referred(ctx context.Context, repo, dgst string) error {
	_, err := a.DB.Manifest(ctx, repo, dgst)
	if errors.Is(err, clyde.ErrNotFound) {
		if a.Accept == AcceptAny {
			return nil
		}
		return clyde.Errorf(clyde.ErrDenied, "it refers to %s, which is not in %s", dgst, repo).
			WithCode("subject_unknown").Fix("Push the package first, then what refers to it.")
	}
	return err
}

// checkRefs proves that config, layers and children are in this repository
// with the size the manifest states.
func (a *Admitter) checkRefs(ctx context.Context, repo string, m *manifest, blobs Blobs) error {
	descs := m.Layers
	if m.Config != nil {
		descs = append([]ocispec.Descriptor{*m.Config}, m.Layers...)
	}
	for _, d := range descs {
		size, err := blobs.Stat(ctx, repo, d.Digest)
		if errors.Is(err, clyde.ErrNotFound) {
			return unknownBlob(d, repo)
		}
		if err != nil {
			return err
		}
		if size != d.Size {
			return clyde.Errorf(clyde.ErrInvalid, "the manifest says %s has %d bytes; it has %d", d.Digest, d.Size, size).WithCode("size_mismatch")
		}
	}
	for _, d := range m.Manifests {
		row, err := a.DB.Manifest(ctx, repo, d.Digest.String())
		if errors.Is(err, clyde.ErrNotFound) {
			return clyde.Errorf(clyde.ErrInvalid, "the index references %s, which was not pushed to %s", d.Digest, repo).WithCode("manifest_unknown")
		}
		if err != nil {
			return err
		}
		if row.Size != d.Size {
			return clyde.Errorf(clyde.ErrInvalid, "the index says %s has %d bytes; it has %d", d.Digest, d.Size, row.Size).WithCode("size_mismatch")
		}
	}
	return nil
}

// keepVersion refuses to give a tag that is a version's to anything but a
// package: a version never changes, whoever pushes what. Where plain images are
// accepted, their tags may look like versions, but none may take a package's.
func (a *Admitter) keepVersion(ctx context.Context, p Push) error {
	key, ok := buildKey(p.Tag)
	if v, err := clyde.ParseVersion(p.Tag); p.Tag != "" && err == nil {
		key, ok = v.Canonical(), true
	}
	if !ok {
		return nil
	}
	if a.Accept != AcceptAny {
		return clyde.Errorf(clyde.ErrDenied, "tag %s is for a version of the package or a build of it, and this is neither", p.Tag).
			WithCode("tag_reserved").Fix("Push it without a tag: what refers to a package is found by its subject.")
	}
	c, err := a.DB.Claim(ctx, p.Repo, key)
	switch {
	case errors.Is(err, clyde.ErrNotFound):
		return nil
	case err != nil:
		return err
	case c.Committed.IsZero() && !c.Lease.After(a.Now()):
		return nil
	}
	return clyde.Errorf(clyde.ErrConflict, "tag %s of %s is version %s of a package, %s, which never changes", p.Tag, p.Repo, c.Version, c.Digest).
		WithCode("version_exists").Fix("Choose another tag.")
}

// soleSpelling refuses a name that differs from an existing one only in -, _
// and dots. It is asked after the version was reserved: of two that come at
// once, each sees the other's reservation, and none gets through unseen.
func (a *Admitter) soleSpelling(ctx context.Context, repo string) error {
	other, err := a.DB.OtherSpelling(ctx, repo)
	if err != nil || other == "" {
		return err
	}
	return clyde.Errorf(clyde.ErrConflict, "@%s is too close to @%s, which exists: -, _ and . are alike in a name", repo, other).
		WithCode("name_taken").Fix("Publish as @%s, or choose another name.", other)
}

// firstAccess makes a package private before its first version can be seen,
// when its package.yaml says so. Later, and where an administrator decided
// beforehand, access is a setting that no manifest changes.
func (a *Admitter) firstAccess(ctx context.Context, p Push, spec *clyde.Manifest) error {
	if spec.Registry.Access != "private" {
		return nil
	}
	known, err := a.DB.HasVersions(ctx, p.Repo)
	if err != nil || known {
		return err
	}
	set, err := a.DB.Setting(ctx, p.Repo)
	if err != nil || set.Private {
		return err
	}
	set.Repo, set.Private = p.Repo, true
	return a.DB.SaveSetting(ctx, set, store.Change{}, store.AuditEntry{
		Time: a.Now().UTC(), Actor: p.Principal.String(), Action: "package.access", Resource: "@" + p.Repo, Detail: `{"private":true,"by":"package.yaml"}`,
	})
}

// openNamespace makes the namespace exist from the first publish on: by an
// administrator, or with a token that an administrator made for that namespace
// by name. Others need one that exists.
func (a *Admitter) openNamespace(ctx context.Context, p Push) error {
	ns, _, _ := strings.Cut(p.Repo, "/")
	home, err := a.DB.UpstreamNamespace(ctx, ns)
	if err == nil {
		return clyde.Errorf(clyde.ErrDenied, "the namespace @%s comes from %s, and from nowhere else", ns, home.Host).
			WithCode("namespace_bound").Fix("Push to %s.", home.Host)
	}
	if !errors.Is(err, clyde.ErrNotFound) {
		return err
	}
	ok, err := a.DB.HasNamespace(ctx, ns)
	if ok || err != nil {
		return err
	}
	may := p.Principal.Admin
	for _, s := range p.Principal.Scopes {
		may = may || s.Names(ns)
	}
	if !may {
		return clyde.Errorf(clyde.ErrDenied, "namespace @%s does not exist", ns).
			WithCode("namespace_unknown").Fix("Ask an administrator to publish there first, or for a token with the scope @%s/*.", ns)
	}
	return a.DB.AddNamespace(ctx, ns, p.Principal.String())
}

// unknownBlob says that the manifest names what is not there.
func unknownBlob(d ocispec.Descriptor, repo string) error {
	return clyde.Errorf(clyde.ErrInvalid, "the manifest references %s, which was not pushed to %s", d.Digest, repo).
		WithCode("blob_unknown").Fix("Push every blob before the manifest.")
}

// readBlob reads a whole blob of at most limit bytes.
func readBlob(ctx context.Context, blobs interface {
	Blob(ctx context.Context, repo string, d ocispec.Descriptor) (io.ReadCloser, error)
}, repo string, d ocispec.Descriptor, limit int64,
) ([]byte, error) {
	if d.Size > limit {
		return nil, clyde.Errorf(clyde.ErrTooLarge, "%s has %d bytes; the limit is %d", d.Digest, d.Size, limit).WithCode("too_large")
	}
	r, err := blobs.Blob(ctx, repo, d)
	if errors.Is(err, clyde.ErrNotFound) {
		return nil, unknownBlob(d, repo)
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, d.Size+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) != d.Size || d.Digest.Algorithm().FromBytes(b) != d.Digest {
		return nil, clyde.Errorf(clyde.ErrInvalid, "%s does not have the bytes its descriptor states", d.Digest).WithCode("digest_mismatch")
	}
	return b, nil
}
