package main

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

const (
	// maxTagged is how many versions of a package are read from a registry
	// without an index, the highest first: each costs three requests. Ours.
	maxTagged = 100

	tagsAtOnce = 8 // versions that are read side by side
)

// tagged lists the versions of a package of an OCI registry that has no index:
// its tags, and the package.yaml of each. A tag that holds no package is left
// out; a package that contradicts its tag cannot be used.
func (a *app) tagged(ctx context.Context, where string, n clyde.Name) ([]resolve.Candidate, error) {
	at, err := parseAddress(where)
	if err != nil {
		return nil, err
	}
	if own, err := a.address(); err == nil && own.url() == at.url() && at.prefix == "" {
		at = own // with its prefix
	}
	oc, err := a.oci(at)
	if err != nil {
		return nil, err
	}
	repo := at.repo(n)
	tags, err := oc.Tags(ctx, repo, "", 0)
	// ghcr.io answers alike for what is private and what is not there.
	if errors.Is(err, clyde.ErrNotFound) || isGHCR(at.host) && (errors.Is(err, clyde.ErrUnauthenticated) || errors.Is(err, clyde.ErrDenied)) {
		e := clyde.Errorf(clyde.ErrNotFound, "%s does not exist in %s, and @%s comes from nowhere else", n, at.host, n.Namespace).WithCode("package_unknown").Because(err)
		if isGHCR(at.host) {
			e = e.Fix("where it is private: docker login %s, or set %s", ghcrHost, githubTokenVar)
		}
		return nil, e
	}
	if err != nil {
		return nil, err
	}
	var versions []clyde.Version
	for _, t := range tags {
		// Only the one way to write a version is its tag.
		if v, err := clyde.ParseVersion(t); err == nil && v.String() == t {
			versions = append(versions, v)
		}
	}
	slices.SortFunc(versions, func(x, y clyde.Version) int { return clyde.Compare(y, x) })
	versions = slices.CompactFunc(versions, clyde.Version.Equal)
	if len(versions) > maxTagged {
		a.say("%s %s has %d versions in %s, and the newest %d are looked at", a.paint(a.stderr, yellow, "warning:"), n, len(versions), at.host, maxTagged)
		versions = versions[:maxTagged]
	}
	found := make([]*resolve.Candidate, len(versions))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(tagsAtOnce)
	for i, v := range versions {
		g.Go(func() (err error) {
			found[i], err = taggedVersion(ctx, oc, at, n, v)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	out := []resolve.Candidate{}
	for _, c := range found {
		if c != nil {
			out = append(out, *c)
		}
	}
	if len(out) == 0 {
		return nil, clyde.Errorf(clyde.ErrNotFound, "%s has no package in %s: none of its %s is one", n, at.host, plural(len(tags), "tag")).WithCode("package_unknown")
	}
	return out, nil
}

// taggedVersion reads one version; nil where the tag holds no package.
func taggedVersion(ctx context.Context, oc *artifact.Client, at address, n clyde.Name, v clyde.Version) (*resolve.Candidate, error) {
	l := located{at: at, repo: at.repo(n), name: n, version: v.String()}
	if err := l.describe(ctx, oc, v.String()); err != nil {
		if errors.Is(err, clyde.ErrNotFound) {
			return nil, nil // gone since the list was made
		}
		return nil, err
	}
	payload, _, err := oc.Manifest(ctx, l.repo, l.subject.Digest)
	if err != nil {
		return nil, err
	}
	m, err := artifact.ParsePackage(payload)
	if err != nil {
		return nil, nil // an image, or anything else that has the name
	}
	c, err := readCandidate(ctx, oc, l, m)
	if errors.Is(err, clyde.ErrInvalid) {
		c, err = resolve.Candidate{Unusable: clean(err.Error())}, nil
	}
	if err != nil {
		return nil, err
	}
	c.Version, c.Registry, c.Digest = v, at.host, l.subject.Digest.String()
	c.Checksum, c.Size = m.Source.Digest.String(), m.Source.Size
	return &c, nil
}

func readCandidate(ctx context.Context, oc *artifact.Client, l located, p *artifact.PackageManifest) (resolve.Candidate, error) {
	m, err := publishedManifest(ctx, oc, l, p.Config)
	if err != nil {
		return resolve.Candidate{}, err
	}
	return resolve.FromManifest(m)
}
