package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/compat"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

// loadedBuild is a build that clyde build wrote, read again.
type loadedBuild struct {
	*artifact.Packed
	facts *compat.Facts
	tag   string
}

// loadBuilds reads the image layouts in dirs as builds of packed. All are read,
// measured and compared with its source before anything is sent.
func loadBuilds(packed *artifact.Packed, dirs []string) ([]loadedBuild, error) {
	var all []loadedBuild
	from := map[string]string{} // directory by tag
	for _, dir := range dirs {
		p, f, err := artifact.LoadBuild(dir, artifact.BuildOptions{Name: packed.Name, Version: packed.Version, Subject: packed.Descriptor})
		if err != nil {
			return nil, err
		}
		if have := packed.Layers[0].Descriptor.Digest.String(); f.SourceDigest != have {
			return nil, clyde.Errorf(clyde.ErrConflict, "the build in %s is of the source %s; %s %s is %s", dir, f.SourceDigest, packed.Name, packed.Version, have).WithCode("source_differs").
				Fix("build it again from this tree: clyde build")
		}
		if err := measured(p.Layers[0], f); err != nil {
			return nil, err
		}
		tag := f.Tag(packed.Version.String())
		if other, ok := from[tag]; ok {
			return nil, usagef("%s and %s are builds for the same kind of machine (%s)", other, dir, tag).fix("give one of them")
		}
		from[tag] = dir
		all = append(all, loadedBuild{p, f, tag})
	}
	return all, nil
}

// measured refuses facts that the files of an install tree contradict.
func measured(tree artifact.Blob, f *compat.Facts) error {
	r, err := tree.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	report, err := artifact.MeasureBuild(r, tree.Descriptor.MediaType)
	if err != nil {
		return err
	}
	return report.Check(f)
}

// pushBuilds sends the builds of one version under their tags, which come last
// where somebody signs: what is to be signed is not there without its signature,
// and one signature is for all. Twenty programs that do so at once do not meet:
// each build has a tag of its own.
func (a *app) pushBuilds(ctx context.Context, s site, builds []loadedBuild, by stamp) error {
	if len(builds) == 0 {
		return nil
	}
	oc, err := a.oci(s.at)
	if err != nil {
		return err
	}
	var subs []signing.Subject
	for _, b := range builds {
		repo, tags, d := s.at.repo(b.Name), []string{b.tag}, b.Descriptor
		if by.signer != nil {
			tags = nil // by digest
		}
		if err := a.push(ctx, oc, repo, b.Packed, tags); err != nil {
			return buildConflict(err, b.Name)
		}
		subs = append(subs, signing.Subject{Repo: repo, Name: b.Name, Version: b.Version.Canonical(), Digest: d.Digest, MediaType: d.MediaType, Size: d.Size})
	}
	if by.signer == nil {
		return nil
	}
	if _, err := by.apply(ctx, oc, subs); err != nil {
		return err
	}
	for i, b := range builds {
		if _, err := oc.PutManifest(ctx, subs[i].Repo, b.tag, b.Descriptor.MediaType, b.Manifest); err != nil {
			return buildConflict(err, b.Name)
		}
	}
	return nil
}

// buildConflict says what to do where another build has the tag.
func buildConflict(err error, name clyde.Name) error {
	if e := clyde.AsError(err); e != nil && (e.Code == "version_exists" || strings.Contains(e.Msg, "version_exists")) {
		return clyde.Errorf(clyde.ErrConflict, "%s", e.Msg).WithCode("version_exists").Because(err).
			Fix("nothing: there is a build for this kind of machine already (clyde builds %s)", name)
	}
	return err
}

// waitBuilds returns when the registry lists the builds of one version.
func (a *app) waitBuilds(ctx context.Context, name clyde.Name, version string, tags []string) error {
	return a.until(ctx, strings.Join(tags, " and "), func(ctx context.Context, c *client.Client) (bool, error) {
		all, err := c.Builds(ctx, name, version)
		for _, tag := range tags {
			if !slices.ContainsFunc(all, func(b client.Build) bool { return b.Tag == tag }) {
				return false, err
			}
		}
		return true, err
	})
}

// attach sends the build of one run of clyde build and waits until it is listed.
func (b *buildRun) attach(ctx context.Context, build *artifact.Packed, tag string) error {
	a := b.app
	s, err := a.site(ctx)
	if err != nil {
		return err
	}
	if err := a.needLogin(ctx, s); err != nil {
		return err
	}
	if err := a.pushBuilds(ctx, s, []loadedBuild{{Packed: build, tag: tag}}, stamp{}); err != nil || !s.hasAPI {
		return err
	}
	return a.waitBuilds(ctx, build.Name, build.Version.String(), []string{tag})
}

// subject finds the published version that a build is of, which must be of
// the same source.
func (a *app) subject(ctx context.Context, name clyde.Name, version, source string) (ocispec.Descriptor, error) {
	s, err := a.site(ctx)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if err := a.exchange(ctx, s, name); err != nil {
		return ocispec.Descriptor{}, err
	}
	oc, err := a.oci(s.at)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	d, err := oc.Resolve(ctx, s.at.repo(name), version)
	if errors.Is(err, clyde.ErrNotFound) {
		return d, clyde.Errorf(clyde.ErrNotFound, "%s %s is not published, and a build belongs to a version that is", name, version).WithCode("version_unknown").
			Fix("clyde publish")
	}
	if err != nil {
		return d, err
	}
	payload, _, err := oc.Manifest(ctx, s.at.repo(name), d.Digest)
	if err != nil {
		return d, err
	}
	m, err := artifact.ParsePackage(payload)
	if err != nil {
		return d, err
	}
	if have := m.Source.Digest.String(); have != source {
		return d, clyde.Errorf(clyde.ErrConflict, "the build is of the source %s; %s %s was published from %s", source, name, version, have).WithCode("source_differs").
			Fix("build from the tree that was published: clyde pull %s@%s", name, version).Fix("or raise version in package.yaml and publish that")
	}
	return ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}, nil
}
