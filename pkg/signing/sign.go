package signing

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
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
func Sign(ctx context.Context, dst Sink, src Source, signer Signer, sub Subject, opts SignOptions) ([]ocispec.Descriptor, error) {
	return SignAll(ctx, dst, src, signer, []Subject{sub}, opts)
}

// SignAll signs several manifests of one repository, a package and its builds,
// as Sign does: one statement names them all, so that one certificate and one
// entry in a log serve them. It returns the manifests of each subject in turn.
func SignAll(ctx context.Context, dst Sink, src Source, signer Signer, subs []Subject, opts SignOptions) (_ []ocispec.Descriptor, err error) {
	if err := checkSubjects(subs); err != nil {
		return nil, err
	}
	defer clyde.Wrap(&err, "signing.SignAll(%s@%s, %d)", subs[0].Repo, subs[0].Digest, len(subs))
	if opts.NoBundle && !opts.Legacy {
		return nil, clyde.Errorf(clyde.ErrInvalid, "there is nothing to write: neither a bundle nor a legacy signature is wanted")
	}
	have := make([]map[Format]ocispec.Descriptor, len(subs))
	var unsigned []Subject
	for i, sub := range subs {
		if have[i], err = existing(ctx, src, signer, sub); err != nil {
			return nil, err
		}
		if _, ok := have[i][FormatBundle]; !ok && !opts.NoBundle {
			unsigned = append(unsigned, sub)
		}
	}
	made := map[digest.Digest]ocispec.Descriptor{}
	if len(unsigned) > 0 {
		st, err := newStatement(unsigned, predicateSign, json.RawMessage("{}"))
		if err != nil {
			return nil, err
		}
		if made, err = writeBundle(ctx, dst, src, signer, unsigned, predicateSign, st); err != nil {
			return nil, err
		}
	}
	var out []ocispec.Descriptor
	for i, sub := range subs {
		if !opts.NoBundle {
			d, ok := have[i][FormatBundle]
			if !ok {
				d = made[sub.Digest]
			}
			out = append(out, d)
		}
		if opts.Legacy {
			d, ok := have[i][FormatLegacySig]
			if !ok {
				if d, err = writeLegacy(ctx, dst, src, signer, sub); err != nil {
					return nil, err
				}
			}
			out = append(out, d)
		}
		if err := readBack(ctx, src, signer, sub, opts); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// checkSubjects refuses what cannot be signed together.
func checkSubjects(subs []Subject) error {
	switch {
	case len(subs) == 0:
		return clyde.Errorf(clyde.ErrInvalid, "there is nothing to sign")
	case len(subs) > MaxSubjects:
		return clyde.Errorf(clyde.ErrTooLarge, "%d manifests are too many for one signature; the limit is %d", len(subs), MaxSubjects)
	}
	for _, sub := range subs {
		if sub.Digest.Validate() != nil || sub.MediaType == "" || sub.Size <= 0 || sub.Repo == "" || sub.Repo != subs[0].Repo {
			return clyde.Errorf(clyde.ErrInvalid, "a signature needs the repository, digest, media type and size of what it signs")
		}
	}
	return nil
}

// readBack looks whether the registry shows what it took.
func readBack(ctx context.Context, src Source, signer Signer, sub Subject, opts SignOptions) error {
	have, err := existing(ctx, src, signer, sub)
	if err != nil {
		return err
	}
	_, bundle := have[FormatBundle]
	_, legacy := have[FormatLegacySig]
	if !bundle && !opts.NoBundle || !legacy && opts.Legacy {
		return lost(sub)
	}
	return nil
}

func lost(sub Subject) error {
	return clyde.Errorf(clyde.ErrUnavailable, "the registry took the signature of %s@%s and does not show it", sub.Repo, sub.Digest).
		WithCode("signature_lost").Fix("Sign again: another client may have written the same tag at that moment.")
}

// Attest attaches a signed statement of another kind than a signature to every
// subject: how it was built, what is in it. One statement names them all.
// predicate is JSON; it returns the manifests that carry it, in the order of
// subs. The same statement by the same signer that is there already is kept.
func Attest(ctx context.Context, dst Sink, src Source, signer Signer, subs []Subject, predicateType string, predicate []byte) (_ []ocispec.Descriptor, err error) {
	if err := checkSubjects(subs); err != nil {
		return nil, err
	}
	defer clyde.Wrap(&err, "signing.Attest(%s@%s, %d)", subs[0].Repo, subs[0].Digest, len(subs))
	u, uerr := url.Parse(predicateType)
	switch {
	case uerr != nil || !u.IsAbs() || len(predicateType) > MaxIdentityText:
		return nil, clyde.Errorf(clyde.ErrInvalid, "the predicate type %q is no URI", clip(predicateType)).WithCode("bad_predicate_type")
	case predicateType == predicateSign:
		return nil, clyde.Errorf(clyde.ErrInvalid, "%s is the type of a signature, not of an attestation", predicateSign).WithCode("bad_predicate_type")
	case len(predicate) > MaxBlob:
		return nil, clyde.Errorf(clyde.ErrTooLarge, "the predicate is %d bytes; the limit is %d with its signature", len(predicate), MaxBlob)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(predicate, &object); err != nil || object == nil {
		return nil, clyde.Errorf(clyde.ErrInvalid, "the predicate is no JSON object").WithCode("bad_predicate").Because(err)
	}
	st, err := newStatement(subs, predicateType, predicate)
	if err != nil {
		return nil, err
	}
	if have, err := attested(ctx, src, signer, subs, st); err != nil || have != nil {
		return have, err
	}
	made, err := writeBundle(ctx, dst, src, signer, subs, predicateType, st)
	if err != nil {
		return nil, err
	}
	var out []ocispec.Descriptor
	for _, sub := range subs {
		d := made[sub.Digest]
		rep, err := VerifyBy(ctx, src, sub, []Authority{*signer.Authority()}, Limits{})
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(rep.Attestations, func(r SignatureResult) bool { return r.Manifest == d.Digest && r.State == StateVerified }) {
			return nil, lost(sub)
		}
		out = append(out, d)
	}
	return out, nil
}

// attested returns the manifests by which signer states exactly this already,
// nil where one subject lacks it.
func attested(ctx context.Context, src Source, signer Signer, subs []Subject, statement []byte) ([]ocispec.Descriptor, error) {
	who := signer.Authority()
	if who == nil {
		return nil, nil
	}
	var out []ocispec.Descriptor
	for _, sub := range subs {
		rep, err := VerifyBy(ctx, src, sub, []Authority{*who}, Limits{})
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(rep.Attestations, func(r SignatureResult) bool {
			return r.State == StateVerified && bytes.Equal(r.Statement, statement)
		})
		if i < 0 {
			return nil, nil
		}
		d, err := src.Resolve(ctx, sub.Repo, rep.Attestations[i].Manifest.String())
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// existing returns the manifests with a verified signature by signer that names
// exactly this package, by format.
func existing(ctx context.Context, src Source, signer Signer, sub Subject) (map[Format]ocispec.Descriptor, error) {
	who := signer.Authority()
	if who == nil {
		return nil, nil
	}
	list := []Authority{*who}
	if who.TransparencyLog > 0 {
		// The old format has no room for entries of today's logs.
		unlogged := *who
		unlogged.Name, unlogged.TransparencyLog = who.Name+", in no log", 0
		list = append(list, unlogged)
	}
	rep, err := VerifyBy(ctx, src, sub, list, Limits{})
	if err != nil {
		return nil, err
	}
	have := map[Format]ocispec.Descriptor{}
	for _, s := range rep.Signatures {
		if s.State != StateVerified || sub.PURL() != "" && s.Subject != sub.PURL() {
			continue
		}
		if s.Format == FormatBundle && !slices.Contains(s.Authorities, who.Name) {
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

// newStatement is what a bundle signs: these digests are these packages.
func newStatement(subs []Subject, predicateType string, predicate json.RawMessage) ([]byte, error) {
	var list []statementSubject
	for _, sub := range subs {
		list = append(list, statementSubject{sub.PURL(), map[string]string{sub.Digest.Algorithm().String(): sub.Digest.Encoded()}})
	}
	return encodeStatement(list, predicateType, predicate)
}

// encodeStatement writes an in-toto statement about subjects.
func encodeStatement(subjects []statementSubject, predicateType string, predicate json.RawMessage) ([]byte, error) {
	return json.Marshal(struct {
		Type          string             `json:"_type"`
		Subject       []statementSubject `json:"subject"`
		PredicateType string             `json:"predicateType"`
		Predicate     json.RawMessage    `json:"predicate"`
	}{"https://in-toto.io/Statement/v1", subjects, predicateType, predicate})
}

// writeBundle signs a statement and stores the bundle as a referrer of each of
// subs. It returns the manifests by the digest that they refer to.
func writeBundle(ctx context.Context, dst Sink, src Source, signer Signer, subs []Subject, predicateType string, statement []byte) (map[digest.Digest]ocispec.Descriptor, error) {
	data, err := signer.SignStatement(ctx, statement)
	if err != nil {
		return nil, err
	}
	if len(data) > MaxBlob {
		return nil, clyde.Errorf(clyde.ErrTooLarge, "the signed statement is %d bytes; nobody reads one above %d", len(data), MaxBlob)
	}
	repo := subs[0].Repo
	layer := describe(bundleMediaType, data)
	if err := dst.PutBlob(ctx, repo, layer, bytes.NewReader(data)); err != nil {
		return nil, err
	}
	config := ocispec.DescriptorEmptyJSON
	config.Data = nil
	if err := dst.PutBlob(ctx, repo, config, bytes.NewReader(ocispec.DescriptorEmptyJSON.Data)); err != nil {
		return nil, err
	}
	annotations := map[string]string{annotationContent: "dsse-envelope", annotationPredicateType: predicateType}
	made := map[digest.Digest]ocispec.Descriptor{}
	for _, sub := range subs {
		subject := sub.descriptor()
		m, err := json.Marshal(ocispec.Manifest{
			Versioned:    specs.Versioned{SchemaVersion: 2},
			MediaType:    ocispec.MediaTypeImageManifest,
			ArtifactType: bundleMediaType,
			Config:       config,
			Layers:       []ocispec.Descriptor{layer},
			Subject:      &subject,
			Annotations:  annotations,
		})
		if err != nil {
			return nil, err
		}
		d := describe(ocispec.MediaTypeImageManifest, m)
		if _, err := dst.PutManifest(ctx, repo, d.Digest.String(), d.MediaType, m); err != nil {
			return nil, err
		}
		d.ArtifactType = bundleMediaType
		made[sub.Digest] = d
		d.Annotations = annotations
		if err := refer(ctx, dst, src, sub, d); err != nil {
			return nil, err
		}
	}
	return made, nil
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
