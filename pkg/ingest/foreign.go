package ingest

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
	"github.com/clydepm/clyde-registry/pkg/upstream"
)

// Sources reads each repository from where its namespace lives: our own
// registry, or the one foreign registry that it is bound to.
type Sources struct {
	Own       artifact.Source // lists our own repositories
	Upstreams *upstream.Set
	DB        *store.DB
}

// Home returns the registry that a namespace comes from, nil for our own. One
// that the configuration does not name any more is clyde.ErrUnavailable.
func (s *Sources) Home(ctx context.Context, ns string) (*upstream.Registry, error) {
	n, err := s.DB.UpstreamNamespace(ctx, ns)
	if errors.Is(err, clyde.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if r := s.Upstreams.ByHost(n.Host); r != nil {
		return r, nil
	}
	return nil, clyde.Errorf(clyde.ErrUnavailable, "the namespace @%s comes from %s, which is not in the configuration any more", ns, n.Host).
		WithCode("upstream_unknown").Fix("An administrator names it under registries again.")
}

func (s *Sources) of(ctx context.Context, repo string) (artifact.Source, error) {
	ns, _, _ := strings.Cut(repo, "/")
	r, err := s.Home(ctx, ns)
	if err != nil || r != nil {
		return r, err
	}
	return s.Own, nil
}

// Resolve implements artifact.Source.
func (s *Sources) Resolve(ctx context.Context, repo, ref string) (ocispec.Descriptor, error) {
	src, err := s.of(ctx, repo)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return src.Resolve(ctx, repo, ref)
}

// Manifest implements artifact.Source.
func (s *Sources) Manifest(ctx context.Context, repo string, d digest.Digest) ([]byte, string, error) {
	src, err := s.of(ctx, repo)
	if err != nil {
		return nil, "", err
	}
	return src.Manifest(ctx, repo, d)
}

// Blob implements artifact.Source.
func (s *Sources) Blob(ctx context.Context, repo string, d ocispec.Descriptor) (io.ReadCloser, error) {
	src, err := s.of(ctx, repo)
	if err != nil {
		return nil, err
	}
	return src.Blob(ctx, repo, d)
}

// Tags implements artifact.Source.
func (s *Sources) Tags(ctx context.Context, repo, last string, n int) ([]string, error) {
	src, err := s.of(ctx, repo)
	if err != nil {
		return nil, err
	}
	return src.Tags(ctx, repo, last, n)
}

// Referrers implements artifact.Source.
func (s *Sources) Referrers(ctx context.Context, repo string, subject digest.Digest) ([]ocispec.Descriptor, error) {
	src, err := s.of(ctx, repo)
	if err != nil {
		return nil, err
	}
	return src.Referrers(ctx, repo, subject)
}

// Repositories implements artifact.Source: those of our own registry. Foreign
// ones are swept by themselves.
func (s *Sources) Repositories(ctx context.Context, last string, n int) ([]string, error) {
	return s.Own.Repositories(ctx, last, n)
}

// home returns the registry that a repository of ours comes from, nil for our
// own.
func (in *Ingest) home(ctx context.Context, repo string) (*upstream.Registry, error) {
	s, ok := in.Source.(*Sources)
	if !ok {
		return nil, nil
	}
	ns, _, _ := strings.Cut(repo, "/")
	return s.Home(ctx, ns)
}

// place finds where an event belongs: from is the foreign registry that its
// repository comes from, nil for our own. ok is false for what concerns nobody:
// what is no package, and what is gone again. A package where none of that name
// may come from is an error for its publisher.
func (in *Ingest) place(ctx context.Context, ev clyde.Event) (from *upstream.Registry, ok bool, err error) {
	name, badName := clyde.ParseRepo(ev.Repo)
	var home *upstream.Registry
	if badName == nil {
		if home, err = in.home(ctx, ev.Repo); err != nil {
			return nil, false, err
		}
	}
	r := in.Upstreams.ByName(ev.Source)
	if r == nil || r == home {
		return home, true, nil
	}
	if ev.Action == clyde.ActionDelete || Refers(ev.Tag) != "" {
		return nil, false, nil
	}
	if ok, err := in.isOurs(ctx, r, ev); err != nil || !ok {
		return nil, false, err
	}
	if badName != nil {
		return nil, false, clyde.Errorf(clyde.ErrInvalid, "%s at %s is no namespace and name: %s", ev.Repo, r.Host(), reason(badName)).WithCode("namespace_unmapped").
			Fix("Push to NAMESPACE/NAME, or have an administrator map a deeper path: registries[].namespaces.")
	}
	prefix, ok := r.Binds(name.Namespace)
	if !ok {
		return nil, false, clyde.Errorf(clyde.ErrDenied, "the namespace @%s is not bound to %s", name.Namespace, r.Host()).WithCode("namespace_unbound").
			Fix("Have an administrator add it to that registry: registries[].namespaces.")
	}
	if err := clyde.CheckNamespace(name.Namespace); err != nil {
		return nil, false, err
	}
	err = in.DB.BindNamespace(ctx, store.UpstreamNamespace{Namespace: name.Namespace, Host: r.Host(), Prefix: prefix, Created: in.Now()}, "registry:"+r.Name())
	return r, err == nil, err
}

// tagPending is how long after a notification the tag that it names may still be
// missing, or mean what it meant before: distribution tells of a manifest before it
// writes the tag. Ours.
const tagPending = 20 * time.Second

// early reports whether an event of the inbox is so young that the foreign
// registry may not have done yet what it told of.
func (in *Ingest) early(from *upstream.Registry, ev clyde.Event) bool {
	return from != nil && ev.ID != 0 && in.Now().Sub(ev.Received) < tagPending
}

// isOurs reports whether an event of a repository that is not ours yet is about
// a package or a build.
func (in *Ingest) isOurs(ctx context.Context, r *upstream.Registry, ev clyde.Event) (bool, error) {
	if ev.Tag == "" {
		return false, nil // staged, or refers to something that is not known either
	}
	d, err := r.Resolve(ctx, ev.Repo, ev.Tag)
	if errors.Is(err, clyde.ErrNotFound) && in.early(r, ev) {
		return false, clyde.Errorf(clyde.ErrUnavailable, "%s does not show %s:%s as it was told of yet", r.Host(), ev.Repo, ev.Tag).WithCode("tag_pending")
	}
	if err != nil {
		return false, absent(err)
	}
	payload, _, err := r.Manifest(ctx, ev.Repo, d.Digest)
	if err != nil {
		return false, absent(err)
	}
	m, err := readManifest(Push{Repo: ev.Repo, Payload: payload})
	if err != nil {
		return false, nil // whatever it is, it is none of ours
	}
	return artifactType(m) == artifact.TypePackage || artifact.IsBuild(artifactType(m)), nil
}

// absent is nil for what is not there.
func absent(err error) error {
	if errors.Is(err, clyde.ErrNotFound) {
		return nil
	}
	return err
}

// adopt does for a version, or a build, of a foreign registry what the door does
// for one of ours, before anything of it can be seen: whether its name is taken, and
// which digest it has for ever.
func (in *Ingest) adopt(ctx context.Context, from *upstream.Registry, ev clyde.Event, key string, dgst digest.Digest) error {
	if from == nil {
		return nil
	}
	other, err := in.DB.OtherSpelling(ctx, ev.Repo)
	if err != nil {
		return err
	}
	if other != "" {
		return clyde.Errorf(clyde.ErrConflict, "@%s is too close to @%s, which exists: -, _ and . are alike in a name", ev.Repo, other).
			WithCode("name_taken").Fix("Publish as @%s, or choose another name.", other)
	}
	actor := ev.Actor
	if actor == "" {
		actor = from.Name()
	}
	return in.DB.RestoreClaim(ctx, store.Claim{Repo: ev.Repo, VersionKey: key, Version: ev.Tag, Digest: dgst.String(), Actor: actor, Committed: in.Now().UTC()})
}

// show lets everybody see a foreign package, or nobody: what only our
// credentials can read stays hidden unless the configuration says otherwise. It
// reports whether that changed.
func (in *Ingest) show(ctx context.Context, from *upstream.Registry, repo string, dgst digest.Digest) (changed bool, err error) {
	hidden := false
	if !from.Everyone() {
		public, err := from.Public(ctx, repo, dgst)
		if err != nil {
			return false, err
		}
		hidden = !public
	}
	return in.DB.SaveUpstreamRepo(ctx, store.UpstreamRepo{Repo: repo, Host: from.Host(), Hidden: hidden, Seen: in.Now()})
}

// adoptBuild is adopt for a build: its files are measured as they are at the
// door, once.
func (in *Ingest) adoptBuild(ctx context.Context, from *upstream.Registry, ev clyde.Event, key string, b built, dgst digest.Digest) error {
	if from == nil {
		return nil
	}
	if _, err := in.DB.Claim(ctx, ev.Repo, key); !errors.Is(err, clyde.ErrNotFound) {
		return err
	}
	if want := b.facts.Tag(b.claim.Version); ev.Tag != want {
		return clyde.Errorf(clyde.ErrInvalid, "the tag is %s; that of this build is %s, by its facts", ev.Tag, want).
			WithCode("build_tag").Fix("Push it as %s.", want)
	}
	if err := b.check(); err != nil {
		return err
	}
	if err := roomForBuild(ctx, in.DB, ev.Repo, b.claim, key); err != nil {
		return err
	}
	if err := measureBuild(ctx, ev.Repo, b, in.Source); err != nil {
		return err
	}
	return in.adopt(ctx, from, ev, key, dgst)
}
