package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/binary"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/compat"
	"github.com/clydepm/clyde-registry/pkg/store"
	"github.com/clydepm/clyde-registry/pkg/upstream"
)

// MaxBuilds is how many builds a version may have. Ours: every pair of ten
// platforms with a dozen toolchains, twice.
const MaxBuilds = 256

// While manifests are admitted, archives of more than laneFrom bytes are read
// measureLanes at a time, each on a core of its own; smaller ones never wait for
// them. Ours.
const (
	measureLanes = 2
	laneFrom     = 4 << 20
)

// buildTagRE splits the tag of a build into that of its version and its key.
var buildTagRE = regexp.MustCompile(`^(.+)_([0-9a-f]{16})$`)

// buildKey returns the key of the claim that the tag of a build stands for.
func buildKey(tag string) (key string, ok bool) {
	m := buildTagRE.FindStringSubmatch(tag)
	if m == nil {
		return "", false
	}
	v, err := clyde.ParseVersion(m[1])
	return store.BuildKey(v.Canonical(), m[2]), err == nil
}

// built is a build with what it is a build of.
type built struct {
	manifest *artifact.BuildManifest
	config   []byte
	facts    *compat.Facts
	pkg      *artifact.PackageManifest
	spec     *clyde.Manifest
	claim    store.Claim // of the version
}

// reader reads one repository of a registry.
type reader interface {
	Manifest(ctx context.Context, repo string, d digest.Digest) (payload []byte, mediaType string, err error)
	Blob(ctx context.Context, repo string, d ocispec.Descriptor) (io.ReadCloser, error)
}

// readBuild reads a build, and the package that it says it is of, which must
// be a version that was published.
func readBuild(ctx context.Context, db *store.DB, blobs reader, repo string, payload []byte) (b built, err error) {
	if b.manifest, err = artifact.ParseBuild(payload); err != nil {
		return b, err
	}
	subject := b.manifest.Subject.Digest
	unknown := clyde.Errorf(clyde.ErrDenied, "the build is of %s, which is no version of %s", subject, repo).
		WithCode("subject_unknown").Fix("Publish the package first, then its builds.")
	pkg, _, err := blobs.Manifest(ctx, repo, subject)
	if errors.Is(err, clyde.ErrNotFound) {
		return b, unknown
	}
	if err != nil {
		return b, err
	}
	if b.pkg, err = artifact.ParsePackage(pkg); err != nil {
		return b, unknown.Because(err)
	}
	yaml, err := readBlob(ctx, blobs, repo, b.pkg.Config, artifact.MaxConfig)
	if err != nil {
		return b, err
	}
	if b.spec, err = clyde.Validate(yaml, clyde.ValidateOptions{}); err != nil {
		return b, err
	}
	b.claim, err = db.Claim(ctx, repo, b.spec.Version.Canonical())
	if errors.Is(err, clyde.ErrNotFound) || err == nil && (b.claim.Committed.IsZero() || b.claim.Digest != subject.String()) {
		return b, unknown
	}
	if err != nil {
		return b, err
	}
	if b.config, err = readBlob(ctx, blobs, repo, b.manifest.Config, compat.MaxFacts); err != nil {
		return b, fmt.Errorf("build.json: %w", err)
	}
	b.facts, err = compat.Parse(b.config)
	return b, err
}

// admitBuild checks that the manifest is a build that may be attached here
// under this tag, and returns the key of its claim; "" for one that is pushed
// by digest, which is stored and no build until it is tagged.
func (a *Admitter) admitBuild(ctx context.Context, p Push, blobs Blobs) (key string, err error) {
	b, err := readBuild(ctx, a.DB, blobs, p.Repo, p.Payload)
	if err != nil {
		return "", err
	}
	if err := notWithdrawn(ctx, a.DB, p.Repo, b.claim.VersionKey); err != nil {
		return "", err
	}
	if err := a.mayAttach(ctx, p, b.claim); err != nil {
		return "", err
	}
	if want := b.facts.Tag(b.claim.Version); p.Tag != "" && p.Tag != want {
		return "", clyde.Errorf(clyde.ErrInvalid, "the tag is %s; that of this build is %s, by its facts", p.Tag, want).
			WithCode("build_tag").Fix("Push it as %s.", want)
	}
	if err := b.check(); err != nil {
		return "", err
	}
	key = store.BuildKey(b.claim.VersionKey, b.facts.Key())
	if err := roomForBuild(ctx, a.DB, p.Repo, b.claim, key); err != nil {
		return "", err
	}
	if err := a.measure(ctx, p.Repo, b, blobs); err != nil {
		return "", err
	}
	if p.Tag == "" {
		key = ""
	}
	return key, nil
}

// mayAttach asks whether it is the version's publisher, or whom the namespace
// allows besides, and whether it is still time. That the principal may publish
// here at all was asked before.
func (a *Admitter) mayAttach(ctx context.Context, p Push, version store.Claim) error {
	name, err := clyde.ParseRepo(p.Repo)
	if err != nil {
		return err
	}
	policy, err := a.DB.BuildPolicy(ctx, name.Namespace)
	if err != nil {
		return err
	}
	who := p.Principal.Publication().Identity()
	same := version.Actor == p.Principal.String()
	switch published, err := a.DB.Publication(ctx, p.Repo, version.VersionKey); {
	case err == nil:
		same = published.Identity() == who
	case !errors.Is(err, clyde.ErrNotFound):
		return err
	}
	if !same && !slices.Contains(policy.Rebuilders, who) {
		return clyde.Errorf(clyde.ErrDenied, "version %s of %s was published by somebody else; builds come from its publisher, or from whom the namespace allows", version.Version, name).
			WithCode("not_publisher").Fix("Attach it as whoever published the version, or ask the owner of @%s: clyde namespace builds %s --allow %s", name.Namespace, name.Namespace, cmp.Or(p.Principal.Login, who))
	}
	if end := version.Committed.AddDate(0, 0, policy.Days); policy.Days != store.Always && a.Now().After(end) {
		return clyde.Errorf(clyde.ErrDenied, "version %s of %s was published on %s; builds of it were accepted for %d days", version.Version, name, version.Committed.UTC().Format(time.DateOnly), policy.Days).
			WithCode("build_late").Fix("Publish a new version, or ask the owner of @%s to accept builds for longer: clyde namespace builds %s --days 30", name.Namespace, name.Namespace)
	}
	return nil
}

// check compares the facts with the package that they are about.
func (b built) check() error {
	bad := func(format string, args ...any) *clyde.Error {
		return clyde.Errorf(clyde.ErrInvalid, format, args...).WithCode("facts_contradicted")
	}
	if want := b.pkg.Source.Digest.String(); b.facts.SourceDigest != want {
		return bad("build.json says it was built from %s; the source of version %s is %s", b.facts.SourceDigest, b.claim.Version, want).
			Fix("Build from the archive that was published: clyde build does.")
	}
	var names, abi []string
	for _, t := range b.spec.Traits {
		names = append(names, t.Name)
		if t.ABI {
			abi = append(abi, t.Name)
		}
	}
	slices.Sort(names)
	slices.Sort(abi)
	if have := slices.Sorted(maps.Keys(b.facts.Traits)); !slices.Equal(have, names) {
		return bad("build.json has the traits %q; package.yaml declares %q", have, names)
	}
	if !slices.Equal(b.facts.ABITraits, abi) {
		return bad("build.json has the abi_traits %q; package.yaml declares %q", b.facts.ABITraits, abi)
	}
	if headers := b.spec.Type == "header-only"; headers && b.facts.OS != compat.Any {
		return bad("%s is header-only, and its one build is for any system; build.json says %s", b.spec.Name, b.facts.OS)
	}
	for _, r := range b.spec.Requires {
		for _, d := range b.facts.Deps {
			v, err := clyde.ParseVersion(d.Version)
			if d.Name == r.Name && (err != nil || !r.Range.IsZero() && !r.Range.Contains(v)) {
				return bad("build.json says it was built with %s %s; package.yaml requires %s", d.Name, d.Version, r.Range)
			}
		}
	}
	return nil
}

// roomForBuild refuses a build more than MaxBuilds. Two that come at once may
// both see room for one; that many more do no harm.
func roomForBuild(ctx context.Context, db *store.DB, repo string, version store.Claim, key string) error {
	n, err := db.CountBuilds(ctx, repo, version.VersionKey)
	if err != nil || n < MaxBuilds {
		return err
	}
	if _, err := db.Claim(ctx, repo, key); !errors.Is(err, clyde.ErrNotFound) {
		return err // the same again, or one that Reserve will refuse
	}
	return clyde.Errorf(clyde.ErrTooLarge, "version %s has %d builds; the limit is %d", version.Version, n, MaxBuilds).WithCode("too_many_builds")
}

// measure is measureBuild when it is its turn.
func (a *Admitter) measure(ctx context.Context, repo string, b built, blobs Blobs) error {
	defer a.lane(b.manifest.Tree)()
	return measureBuild(ctx, repo, b, blobs)
}

// measureBuild reads every file of the build and compares them with its facts.
// What could not be unpacked is refused as well.
func measureBuild(ctx context.Context, repo string, b built, blobs reader) error {
	report, err := measured(ctx, repo, b, blobs)
	if err == nil {
		err = report.Check(b.facts)
	}
	if err != nil || b.manifest.Debug == nil {
		return err
	}
	return listBlob(ctx, blobs, repo, *b.manifest.Debug)
}

// measured is what the files of a build say of themselves.
func measured(ctx context.Context, repo string, b built, blobs reader) (report *binary.Report, err error) {
	err = withBlob(ctx, blobs, repo, b.manifest.Tree, func(r io.Reader) error {
		report, err = artifact.MeasureBuild(r, b.manifest.Tree.MediaType)
		return err
	})
	return report, err
}

// saveLinks keeps what linkers find in a build, once: measuring it again would
// say the same.
func (in *Ingest) saveLinks(ctx context.Context, row store.Build, b built) error {
	have, err := in.DB.HasBuildLinks(ctx, row.Repo, row.Digest)
	if err != nil || have {
		return err
	}
	report, err := measured(ctx, row.Repo, b, in.Source)
	if err != nil {
		return err
	}
	l := report.Links()
	return in.DB.SaveBuildLinks(ctx, store.BuildLinks{
		Repo: row.Repo, Digest: row.Digest, VersionKey: row.VersionKey, Shared: l.Shared, SONames: l.SONames, Symbols: l.Symbols,
	})
}

// lane waits until the archive may be read, and returns what lets go of that.
func (a *Admitter) lane(archive ocispec.Descriptor) (unlock func()) {
	if archive.Size <= laneFrom {
		return func() {}
	}
	return a.measuring.Lock(fmt.Sprint(int(archive.Digest.Encoded()[0]) % measureLanes))
}

// withBlob has read read a blob.
func withBlob(ctx context.Context, blobs reader, repo string, d ocispec.Descriptor, read func(io.Reader) error) error {
	r, err := blobs.Blob(ctx, repo, d)
	if errors.Is(err, clyde.ErrNotFound) {
		return unknownBlob(d, repo)
	}
	if err != nil {
		return err
	}
	defer r.Close()
	return read(r)
}

// listBlob reads an archive to its end, and fails where it could not be unpacked.
func listBlob(ctx context.Context, blobs reader, repo string, archive ocispec.Descriptor) error {
	return withBlob(ctx, blobs, repo, archive, func(r io.Reader) error {
		return artifact.List(r, archive.MediaType, func(artifact.File, io.Reader) error { return ctx.Err() })
	})
}

// applyBuild saves one build of a version.
func (in *Ingest) applyBuild(ctx context.Context, from *upstream.Registry, ev clyde.Event, dgst digest.Digest, payload []byte) (changed bool, err error) {
	b, err := readBuild(ctx, in.DB, in.Source, ev.Repo, payload)
	if err != nil {
		return false, err
	}
	key := store.BuildKey(b.claim.VersionKey, b.facts.Key())
	if err := in.adoptBuild(ctx, from, ev, key, b, dgst); err != nil {
		return false, err
	}
	claim, err := in.DB.Claim(ctx, ev.Repo, key)
	if err != nil {
		return false, err
	}
	if claim.Digest != dgst.String() {
		return false, clyde.Errorf(clyde.ErrInvalid, "build %s is %s; %s came later and is a conflict", ev.Tag, claim.Digest, dgst).WithCode("version_exists")
	}
	if state, err := in.withdrawn(ctx, ev.Repo, b.claim.VersionKey); err != nil || state == store.ModerationErased {
		return false, err
	}
	row := store.Build{
		Repo: ev.Repo, Digest: dgst.String(), VersionKey: b.claim.VersionKey, Tag: claim.Version, ABIID: b.facts.ABIID(), OS: b.facts.OS, Arch: b.facts.Arch,
		Tree: b.manifest.Tree.Digest.String(), TreeSize: b.manifest.Tree.Size, Attached: claim.Committed, Actor: claim.Actor, Facts: b.config,
	}
	if b.manifest.Debug != nil {
		row.Debug, row.DebugSize = b.manifest.Debug.Digest.String(), b.manifest.Debug.Size
	}
	name, err := clyde.ParseRepo(ev.Repo)
	if err != nil {
		return false, err
	}
	waits, err := in.DB.Waits(ctx, ev.Repo, row.Digest)
	if err != nil {
		return false, err
	}
	var change store.Change
	if waits == nil { // else when everybody may see the version
		if change, err = in.buildChange(ctx, name, row, b.claim.Version); err != nil {
			return false, err
		}
	}
	if err := in.saveLinks(ctx, row, b); err != nil {
		return false, err
	}
	if err := in.DB.SaveBuild(ctx, row, change); err != nil {
		return false, err
	}
	return true, in.Refresh(ctx, ev.Repo)
}

// buildChange is the feed's entry about a build, empty where it has one.
func (in *Ingest) buildChange(ctx context.Context, name clyde.Name, b store.Build, version string) (store.Change, error) {
	ok, err := in.DB.BuildAnnounced(ctx, name.String(), b.Digest)
	if err != nil || ok {
		return store.Change{}, err
	}
	return store.Change{Time: b.Attached, Type: "build.added", Package: name.String(), Version: version, Digest: b.Digest, Actor: b.Actor}, nil
}

// announceBuilds tells of the builds that came while their version waited.
func (in *Ingest) announceBuilds(ctx context.Context, name clyde.Name, r store.Release) error {
	builds, err := in.DB.Builds(ctx, r.Repo, r.VersionKey)
	if err != nil {
		return err
	}
	for _, b := range builds {
		change, err := in.buildChange(ctx, name, b, r.Version)
		if err != nil {
			return err
		}
		if change.Type != "" {
			change.Time = r.Published
			if err := in.DB.SaveBuild(ctx, b, change); err != nil {
				return err
			}
		}
	}
	return nil
}
