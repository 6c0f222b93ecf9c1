package signing

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// SignOptions chooses what Sign writes. The zero value writes a bundle.
type SignOptions struct {
	// NoBundle leaves out the bundle, which cosign v3 and Clyde look for first.
	NoBundle bool
	// Legacy also writes the layer under sha256-<hex>.sig, for cosign v2
	// without a trusted root.
	Legacy bool
}

// Sign attaches signatures of sub to it and returns the manifests that carry
// them, in the order bundle, legacy. A signature by the same key that is there
// already, names the same package and verifies is kept and returned, so signing
// again changes nothing. What was written is read back and verified before Sign
// returns.
func Sign(ctx context.Context, dst Sink, src Source, signer Signer, sub Subject, opts SignOptions) (_ []ocispec.Descriptor, err error) {
	defer clyde.Wrap(&err, "signing.Sign(%s@%s)", sub.Repo, sub.Digest)
	switch {
	case sub.Digest.Validate() != nil || sub.MediaType == "" || sub.Size <= 0 || sub.Repo == "":
		return nil, clyde.Errorf(clyde.ErrInvalid, "a signature needs the repository, digest, media type and size of what it signs")
	case opts.NoBundle && !opts.Legacy:
		return nil, clyde.Errorf(clyde.ErrInvalid, "there is nothing to write: neither a bundle nor a legacy signature is wanted")
	}
	want := []Format{}
	if !opts.NoBundle {
		want = append(want, FormatBundle)
	}
	if opts.Legacy {
		want = append(want, FormatLegacySig)
	}
	have, err := existing(ctx, src, signer, sub)
	if err != nil {
		return nil, err
	}
	var out []ocispec.Descriptor
	for _, f := range want {
		d, ok := have[f]
		if !ok {
			if f == FormatBundle {
				d, err = writeBundle(ctx, dst, src, signer, sub)
			} else {
				d, err = writeLegacy(ctx, dst, src, signer, sub)
			}
			if err != nil {
				return nil, err
			}
		}
		out = append(out, d)
	}
	if have, err = existing(ctx, src, signer, sub); err != nil {
		return nil, err
	}
	for _, f := range want {
		if _, ok := have[f]; !ok && signer.Key().verifier != nil {
			return nil, clyde.Errorf(clyde.ErrUnavailable, "the registry took the signature of %s@%s and does not show it", sub.Repo, sub.Digest).
				WithCode("signature_lost").Fix("Sign again: another client may have written the same tag at that moment.")
		}
	}
	return out, nil
}

// existing returns the manifests with a verified signature by signer's key that
// names exactly this package, by format.
func existing(ctx context.Context, src Source, signer Signer, sub Subject) (map[Format]ocispec.Descriptor, error) {
	key := signer.Key()
	if key.verifier == nil {
		return nil, nil
	}
	rep, err := Verify(ctx, src, sub, []Key{key}, Limits{})
	if err != nil {
		return nil, err
	}
	have := map[Format]ocispec.Descriptor{}
	for _, s := range rep.Signatures {
		if s.State != StateVerified || sub.PURL() != "" && s.Subject != sub.PURL() {
			continue
		}
		if _, ok := have[s.Format]; ok {
			continue
		}
		d, err := src.Resolve(ctx, sub.Repo, s.Manifest.String())
		if err != nil {
			return nil, err
		}
		have[s.Format] = d
	}
	return have, nil
}

// newStatement is what a bundle signs: this digest is this package.
func newStatement(sub Subject) ([]byte, error) {
	type subject struct {
		Name   string            `json:"name,omitempty"`
		Digest map[string]string `json:"digest"`
	}
	return json.Marshal(struct {
		Type          string    `json:"_type"`
		Subject       []subject `json:"subject"`
		PredicateType string    `json:"predicateType"`
		Predicate     struct{}  `json:"predicate"`
	}{
		Type:          "https://in-toto.io/Statement/v1",
		Subject:       []subject{{sub.PURL(), map[string]string{sub.Digest.Algorithm().String(): sub.Digest.Encoded()}}},
		PredicateType: predicateSign,
	})
}

// writeBundle stores a bundle as a referrer of sub.
func writeBundle(ctx context.Context, dst Sink, src Source, signer Signer, sub Subject) (ocispec.Descriptor, error) {
	st, err := newStatement(sub)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	data, err := signer.SignStatement(ctx, st)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	layer := describe(bundleMediaType, data)
	if err := dst.PutBlob(ctx, sub.Repo, layer, bytes.NewReader(data)); err != nil {
		return ocispec.Descriptor{}, err
	}
	config := ocispec.DescriptorEmptyJSON
	config.Data = nil
	if err := dst.PutBlob(ctx, sub.Repo, config, bytes.NewReader(ocispec.DescriptorEmptyJSON.Data)); err != nil {
		return ocispec.Descriptor{}, err
	}
	subject := sub.descriptor()
	m, err := json.Marshal(ocispec.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    ocispec.MediaTypeImageManifest,
		ArtifactType: bundleMediaType,
		Config:       config,
		Layers:       []ocispec.Descriptor{layer},
		Subject:      &subject,
		Annotations:  map[string]string{annotationContent: "dsse-envelope", annotationPredicateType: predicateSign},
	})
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	d := describe(ocispec.MediaTypeImageManifest, m)
	if _, err := dst.PutManifest(ctx, sub.Repo, d.Digest.String(), d.MediaType, m); err != nil {
		return ocispec.Descriptor{}, err
	}
	d.ArtifactType = bundleMediaType
	return d, refer(ctx, dst, src, sub, d)
}

// refer adds d to the fallback tag of a registry that did not list it by
// itself, as the distribution specification asks of clients.
func refer(ctx context.Context, dst Sink, src Source, sub Subject, d ocispec.Descriptor) error {
	is := func(x ocispec.Descriptor) bool { return x.Digest == d.Digest }
	list, err := src.Referrers(ctx, sub.Repo, sub.Digest)
	if err != nil && !errors.Is(err, clyde.ErrNotFound) {
		return err
	}
	if slices.ContainsFunc(list, is) {
		return nil
	}
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	tag := tagOf(sub.Digest)
	old, err := (&reader{src: src, repo: sub.Repo, lim: Limits{}.withDefaults()}).readTagged(ctx, tag)
	switch {
	case errors.Is(err, clyde.ErrNotFound):
	case err != nil:
		return fmt.Errorf("read the tag %s: %w", tag, err)
	default:
		if err := json.Unmarshal(old.payload, &index); err != nil || index.MediaType != ocispec.MediaTypeImageIndex {
			return clyde.Errorf(clyde.ErrConflict, "the tag %s of %s is taken by something that is no index", tag, sub.Repo)
		}
	}
	if slices.ContainsFunc(index.Manifests, is) {
		return nil
	}
	d.Annotations = map[string]string{annotationContent: "dsse-envelope", annotationPredicateType: predicateSign}
	index.Manifests = append(index.Manifests, d)
	payload, err := json.Marshal(index)
	if err != nil {
		return err
	}
	_, err = dst.PutManifest(ctx, sub.Repo, tag, index.MediaType, payload)
	return err
}

// writeLegacy adds a layer to the manifest under sha256-<hex>.sig. Reading,
// appending and writing again loses what others write in between; our registry
// merges such writes, and Sign looks afterwards.
func writeLegacy(ctx context.Context, dst Sink, src Source, signer Signer, sub Subject) (ocispec.Descriptor, error) {
	data, err := newPayload(sub)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	layer := describe(simpleSigningMediaType, data)
	if layer.Annotations, err = signer.SignPayload(ctx, data); err != nil {
		return ocispec.Descriptor{}, err
	}
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
	tag := tagOf(sub.Digest) + ".sig"
	old, err := (&reader{src: src, repo: sub.Repo, lim: Limits{}.withDefaults()}).readTagged(ctx, tag)
	switch {
	case errors.Is(err, clyde.ErrNotFound):
	case err != nil:
		return ocispec.Descriptor{}, fmt.Errorf("read the tag %s: %w", tag, err)
	default:
		var was ocispec.Manifest
		if err := json.Unmarshal(old.payload, &was); err != nil {
			return ocispec.Descriptor{}, clyde.Errorf(clyde.ErrConflict, "the tag %s of %s is taken by something that is no manifest", tag, sub.Repo)
		}
		m.Layers, m.Annotations = was.Layers, was.Annotations
	}
	m.Layers = append(m.Layers, layer)
	config, err := legacyConfig(m.Layers)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	m.Config = describe(ocispec.MediaTypeImageConfig, config)
	if err := dst.PutBlob(ctx, sub.Repo, layer, bytes.NewReader(data)); err != nil {
		return ocispec.Descriptor{}, err
	}
	if err := dst.PutBlob(ctx, sub.Repo, m.Config, bytes.NewReader(config)); err != nil {
		return ocispec.Descriptor{}, err
	}
	body, err := json.Marshal(m)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if _, err := dst.PutManifest(ctx, sub.Repo, tag, m.MediaType, body); err != nil {
		return ocispec.Descriptor{}, err
	}
	return describe(m.MediaType, body), nil
}

// legacyConfig is the image configuration that cosign expects: its layers are
// stored as they are, so each one's content has the layer's own digest.
func legacyConfig(layers []ocispec.Descriptor) ([]byte, error) {
	c := ocispec.Image{RootFS: ocispec.RootFS{Type: "layers"}}
	for _, l := range layers {
		c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, l.Digest)
		c.History = append(c.History, ocispec.History{})
	}
	return json.Marshal(c)
}

func describe(mediaType string, data []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
}
