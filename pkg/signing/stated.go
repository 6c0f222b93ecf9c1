package signing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// packageConfig is the media type of the package.yaml in a package's manifest.
const packageConfig = "application/vnd.clyde.package.config.v1+yaml"

// unboundError is a signature that names no package, over a manifest that does
// not say either which one it is: right, perhaps, and good for none.
type unboundError struct{ why string }

func (e *unboundError) Error() string { return "it names no package, and " + e.why }

// statedOnce asks once, when it is first wanted, whether the manifest of sub
// calls itself what sub says: its own package.yaml, fully qualified. A nil
// error means that it does; clyde.ErrUnavailable, that nobody could tell.
func statedOnce(ctx context.Context, src Source, sub Subject, lim Limits) func() error {
	return sync.OnceValue(func() error {
		m, err := stated(ctx, src, sub, lim)
		if err != nil {
			return err
		}
		version := m.Version.Canonical()
		switch {
		case m.Name.Namespace == "":
			return &unboundError{fmt.Sprintf("the package.yaml says %q without a namespace", clip(m.Name.Base))}
		case m.Name.Identity() != sub.Name.Identity():
			return fmt.Errorf("it is of a package that calls itself %s", m.Name)
		case sub.Version != "" && version != sub.Version:
			return fmt.Errorf("it is of a package that calls itself version %s", clip(version))
		}
		return nil
	})
}

// stated reads the package.yaml of sub.
func stated(ctx context.Context, src Source, sub Subject, lim Limits) (*clyde.Manifest, error) {
	r := &reader{src: src, repo: sub.Repo, lim: lim}
	doc, err := r.readManifest(ctx, sub.Digest)
	if err != nil {
		return nil, unread(sub, err)
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(doc.payload, &m); err != nil || m.Config.MediaType != packageConfig {
		return nil, &unboundError{"what it signs is no package of ours"}
	}
	if m.Config.Size <= 0 || m.Config.Size > clyde.MaxManifestSize || m.Config.Digest.Validate() != nil {
		return nil, &unboundError{"the package.yaml is larger than any may be"}
	}
	data, err := r.readLayer(ctx, &Entry{Layer: m.Config.Digest, size: m.Config.Size})
	if err != nil {
		return nil, unread(sub, err)
	}
	p, problems := clyde.ParseManifest(data)
	if problems.Err("package.yaml") != nil {
		return nil, &unboundError{"the package.yaml cannot be read"}
	}
	return p, nil
}

// unread tells what the registry holds from whether it answers.
func unread(sub Subject, err error) error {
	if broken(err) || errors.Is(err, errTooLarge) {
		return &unboundError{"the package it signs is broken in the registry"}
	}
	return clyde.Errorf(clyde.ErrUnavailable, "the package.yaml of %s@%s could not be read", sub.Repo, sub.Digest).
		WithCode("signatures_unavailable").Fix("Try again in a moment.").Because(err)
}
