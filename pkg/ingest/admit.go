// Package ingest is the one write path of the catalogue: it admits what is
// pushed, keeps the inbox, applies events and reconciles with what the
// registry says now.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/keylock"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// ReservationLease is how long a version stays reserved for a push whose
// manifest is not tagged yet. Ours: long enough for the slowest disk between
// two steps of one request, short enough that a crash blocks nobody for long.
const ReservationLease = time.Minute

// What the embedded registry accepts.
const (
	AcceptPackages = "packages" // packages, and what refers to something stored here
	AcceptAny      = "any"      // any artifact; those that are no packages follow plain OCI rules
)

// Push is one manifest on its way into the embedded registry.
type Push struct {
	Principal account.Principal
	Repo      string // "acme/zlib"
	Tag       string // "" when pushed by digest
	MediaType string // as the Content-Type says
	Payload   []byte // the manifest, byte for byte
}

// Admission is what Admit decided. The registry stores Payload and then
// commits Commit, or calls Abandon.
type Admission struct {
	Commit store.Commit
	// Payload is what to store: the pushed bytes, or for cosign's .sig and .att
	// tags the union with what the tag held.
	Payload []byte
}

// Blobs reads one repository of the embedded registry; every read proves
// membership. It returns clyde.ErrNotFound for anything else.
type Blobs interface {
	// Stat returns the size of a blob in bytes.
	Stat(ctx context.Context, repo string, d digest.Digest) (int64, error)
	Blob(ctx context.Context, repo string, d ocispec.Descriptor) (io.ReadCloser, error)
	Manifest(ctx context.Context, repo string, d digest.Digest) (payload []byte, mediaType string, err error)
}

// Admitter decides what may be stored.
type Admitter struct {
	DB     *store.DB
	Accept string // AcceptPackages (also "") or AcceptAny
	Now    func() time.Time
	Log    *slog.Logger

	measuring keylock.Locks // by lane
}

// referTagRE matches the tags by which cosign and the referrers fallback of the
// OCI distribution spec name what a manifest refers to.
var referTagRE = regexp.MustCompile(`^sha256-([0-9a-f]{64})(\.sig|\.att|\.sbom)?$`)

// Refers returns the digest that a tag of cosign's or of the referrers
// fallback names, or "".
func Refers(tag string) string {
	if m := referTagRE.FindStringSubmatch(tag); m != nil {
		return "sha256:" + m[1]
	}
	return ""
}

// Admit checks a manifest that is being pushed: permission, strict JSON, that
// everything it references is in the repository, for a package its package.yaml,
// name, version, archive and limits, for a build its facts and files; then it reserves
// the version or the build. The
// error is a *clyde.Error that says what to mend; nothing is stored then.
func (a *Admitter) Admit(ctx context.Context, p Push, blobs Blobs) (Admission, error) {
	m, err := readManifest(p)
	if err != nil {
		return Admission{}, err
	}
	if err := a.mayPush(ctx, p); err != nil {
		return Admission{}, err
	}
	ad := Admission{Payload: p.Payload}
	ad.Commit = store.Commit{Tag: p.Tag, Actor: p.Principal.String(), Publication: p.Principal.Publication()}
	var spec *clyde.Manifest
	switch {
	case artifactType(m) == artifact.TypePackage: // by its config's type, too: nothing else may look like one
		if spec, err = a.admitPackage(ctx, p, blobs); err != nil {
			return Admission{}, err
		}
		if err := notWithdrawn(ctx, a.DB, p.Repo, spec.Version.Canonical()); err != nil {
			return Admission{}, err
		}
	case artifact.IsBuild(artifactType(m)): // by its config's type, too
		if ad.Commit.VersionKey, err = a.admitBuild(ctx, p, blobs); err != nil {
			return Admission{}, err
		}
		ad.Commit.Publication = store.Publication{} // it is no version
	case Refers(p.Tag) != "":
		if err := a.referred(ctx, p.Repo, Refers(p.Tag)); err != nil {
			return Admission{}, err
		}
		if ad.Payload, err = a.merge(ctx, p, blobs); err != nil {
			return Admission{}, err
		}
		if m, err = readManifest(Push{Repo: p.Repo, MediaType: p.MediaType, Payload: ad.Payload}); err != nil {
			return Admission{}, err
		}
	case m.Subject != nil:
		if err := a.referred(ctx, p.Repo, m.Subject.Digest.String()); err != nil {
			return Admission{}, err
		}
	case a.Accept != AcceptAny:
		return Admission{}, clyde.Errorf(clyde.ErrDenied, "this registry stores C and C++ packages and what refers to them; artifact type %q is neither", artifactType(m)).
			WithCode("not_a_package").Fix("Push with --artifact-type %s and --config package.yaml:%s.", artifact.TypePackage, artifact.TypeConfig)
	}
	if spec == nil && ad.Commit.VersionKey == "" {
		if err := a.keepVersion(ctx, p); err != nil {
			return Admission{}, err
		}
	}
	if err := a.checkRefs(ctx, p.Repo, m, blobs); err != nil {
		return Admission{}, err
	}
	if spec != nil {
		if err := a.checkSource(ctx, p, spec, m.Layers[0], blobs); err != nil {
			return Admission{}, err
		}
	}
	if err := a.openNamespace(ctx, p); err != nil {
		return Admission{}, err
	}
	a.fillCommit(&ad, p, m)
	if spec != nil && p.Tag != "" {
		ad.Commit.VersionKey = spec.Version.Canonical()
	}
	if ad.Commit.VersionKey != "" {
		ad.Commit.Audit = a.published(p, ad.Commit, spec != nil)
		err := a.DB.Reserve(ctx, store.Claim{
			Repo: p.Repo, VersionKey: ad.Commit.VersionKey, Version: p.Tag, Digest: ad.Commit.Manifest.Digest, Actor: p.Principal.String(),
		}, ReservationLease)
		if err != nil {
			return Admission{}, err
		}
	}
	if spec == nil {
		return ad, nil
	}
	err = a.hold(ctx, p.Repo, spec, &ad.Commit)
	if err == nil {
		err = a.soleSpelling(ctx, p.Repo)
	}
	if err == nil {
		err = a.firstAccess(ctx, p, spec)
	}
	if err != nil {
		a.Abandon(ctx, ad)
		return Admission{}, err
	}
	return ad, nil
}

// published is the audit log's entry about a version or a build that comes to be.
func (a *Admitter) published(p Push, c store.Commit, version bool) store.AuditEntry {
	action := "build.added"
	if version {
		action = "version.published"
	}
	e := p.Principal.Audit(a.Now(), action, "@"+p.Repo+"@"+p.Tag)
	e.After = fmt.Sprintf(`{"digest":%q}`, c.Manifest.Digest)
	return e
}

// Abandon gives the reservation up after a failed store. Its own failure is
// logged only: the lease ends by itself.
func (a *Admitter) Abandon(ctx context.Context, ad Admission) {
	c := ad.Commit
	if c.VersionKey == "" {
		return
	}
	if err := a.DB.Unreserve(context.WithoutCancel(ctx), c.Manifest.Repo, c.VersionKey, c.Manifest.Digest); err != nil && a.Log != nil {
		a.Log.WarnContext(ctx, "ingest: unreserve", "repo", c.Manifest.Repo, "version", c.Tag, "err", err)
	}
}

// admitPackage checks that the manifest is a package that may be published
// here under this tag.
func (a *Admitter) admitPackage(ctx context.Context, p Push, blobs Blobs) (*clyde.Manifest, error) {
	pm, err := artifact.ParsePackage(p.Payload)
	if err != nil {
		return nil, err
	}
	name, err := clyde.ParseRepo(p.Repo)
	if err != nil {
		return nil, err
	}
	config, err := readBlob(ctx, blobs, p.Repo, pm.Config, artifact.MaxConfig)
	if err != nil {
		return nil, fmt.Errorf("package.yaml: %w", err)
	}
	spec, err := clyde.Validate(config, clyde.ValidateOptions{Publish: true, Repo: name, Tag: p.Tag})
	if err != nil {
		return nil, err
	}
	return spec, nil
}

// checkSource reads the archive of a package to its end and refuses it where it
// could not be unpacked, on Windows too: a version is never free again, so that
// one which nobody can use must not come to be. What is stored already was read
// before.
func (a *Admitter) checkSource(ctx context.Context, p Push, spec *clyde.Manifest, source ocispec.Descriptor, blobs Blobs) error {
	_, err := a.DB.Manifest(ctx, p.Repo, digest.FromBytes(p.Payload).String())
	if !errors.Is(err, clyde.ErrNotFound) {
		return err
	}
	defer a.lane(source)()
	return withBlob(ctx, blobs, p.Repo, source, func(r io.Reader) error { return checkArchive(ctx, r, source.MediaType, spec) })
}

// checkArchive refuses what no publisher's program would have packed: what could
// not be unpacked, here or on Windows.
func checkArchive(ctx context.Context, r io.Reader, mediaType string, spec *clyde.Manifest) error {
	var files []artifact.File
	err := artifact.List(r, mediaType, func(f artifact.File, _ io.Reader) error {
		files = append(files, f)
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	_, err = artifact.CheckWindows(spec, files)
	return err
}

// fillCommit states what becomes true once the manifest is stored. A package
// pushed by digest is staged and makes no event; what refers to something does.
func (a *Admitter) fillCommit(ad *Admission, p Push, m *manifest) {
	row := store.Manifest{
		Repo: p.Repo, Digest: digest.FromBytes(ad.Payload).String(), MediaType: m.MediaType, ArtifactType: artifactType(m),
		Size: int64(len(ad.Payload)), Annotations: m.Annotations, Pushed: a.Now().UTC(),
	}
	if m.Subject != nil {
		row.Subject = m.Subject.Digest.String()
	}
	if m.Config != nil {
		row.Refs = append(row.Refs, m.Config.Digest.String())
	}
	for _, d := range append(append([]ocispec.Descriptor{}, m.Layers...), m.Manifests...) {
		row.Refs = append(row.Refs, d.Digest.String())
	}
	ad.Commit.Manifest = row
	if p.Tag != "" || m.Subject != nil {
		ad.Commit.Event = clyde.Event{
			Source: "registry", Action: clyde.ActionPush, Repo: p.Repo, Tag: p.Tag, Digest: row.Digest,
			Actor: p.Principal.String(), Received: row.Pushed,
		}
	}
}
