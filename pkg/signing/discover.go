package signing

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"golang.org/x/sync/errgroup"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// parallelReads is how many manifests or layers are fetched at once: enough to
// hide the latency of a registry within Timeout, few enough to be polite.
const parallelReads = 8

// Entry is one signature object found for a digest, not yet checked.
type Entry struct {
	Format   Format
	Manifest digest.Digest // that carries it
	Layer    digest.Digest // empty when Err is about the manifest
	Err      error         // why it cannot be read: broken, too large, or of an unknown kind

	annotations map[string]string
	size        int64               // bytes, as the manifest says
	data        []byte              // the layer
	bundle      *protobundle.Bundle // set when Err is nil
	cause       error               // set when the registry failed, whatever it holds
}

// Unsupported reports whether the entry is of a kind that is not known here,
// as opposed to broken.
func (e Entry) Unsupported() bool {
	var u *unsupportedError
	return errors.As(e.Err, &u) || errors.Is(e.Err, errTooLarge) || e.cause != nil
}

// errTooLarge marks what was left unread because of a limit.
var errTooLarge = errors.New("it is larger than the limit")

// Discover finds every signature and attestation of subject: referrers of both
// kinds that cosign writes, the fallback tag sha256-<hex>, and the tags
// sha256-<hex>.sig and .att. What refers to subject and is neither is left out.
// Lists are hints: each manifest is fetched and asked for its subject.
//
// An error means that the registry could not be read (clyde.ErrUnavailable); the
// entries that could be read come with it. An object that is broken, or too
// large, is an entry with Err.
func Discover(ctx context.Context, src Source, repo string, subject digest.Digest, lim Limits) ([]Entry, error) {
	found, err := discover(ctx, src, repo, subject, lim)
	if err != nil {
		return nil, err
	}
	return found.entries, found.failed
}

// found is what discover saw.
type found struct {
	entries   []Entry
	problems  []string // for the report
	truncated bool     // something that may be a signature was not examined
	// failed is why one object could not be fetched, an ErrUnavailable error. It
	// is kept apart because it must not hide a signature that verifies: who may
	// push one object could otherwise break the check of all.
	failed error
}

func (f *found) problem(format string, args ...any) {
	f.problems = append(f.problems, fmt.Sprintf(format, args...))
}

func discover(ctx context.Context, src Source, repo string, subject digest.Digest, lim Limits) (_ *found, err error) {
	if err := subject.Validate(); err != nil {
		return nil, clyde.Errorf(clyde.ErrInvalid, "%q is no digest", clip(subject.String())).Because(err)
	}
	lim = lim.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, lim.Timeout)
	defer cancel()
	r := &reader{src: src, repo: repo, subject: subject, lim: lim, found: &found{}}
	unavailable := func(err error) error {
		return clyde.Errorf(clyde.ErrUnavailable, "the signatures of %s@%s could not be read", repo, subject).
			WithCode("signatures_unavailable").Fix("Try again in a moment.").Because(err)
	}
	defer func() {
		if err != nil {
			err = unavailable(err)
		}
	}()
	referrers, err := r.referrers(ctx)
	if err != nil {
		return nil, err
	}
	r.readReferrers(ctx, referrers)
	for _, suffix := range []string{".sig", ".att"} {
		if err := r.readTag(ctx, tagOf(subject)+suffix); err != nil {
			return nil, err
		}
	}
	r.readLayers(ctx)
	if r.failed != nil {
		r.failed = unavailable(r.failed)
	}
	return r.found, nil
}

// tagOf returns the tag that stands for a digest: "sha256-<hex>".
func tagOf(d digest.Digest) string {
	return d.Algorithm().String() + "-" + d.Encoded()
}

// reader gathers the entries of one digest.
type reader struct {
	src     Source
	repo    string
	subject digest.Digest
	lim     Limits
	*found
}

// referrers lists what claims to refer to the subject, each digest once: the
// API's list and the fallback tag's, since a client that knew no API may have
// written only the latter.
func (r *reader) referrers(ctx context.Context) ([]ocispec.Descriptor, error) {
	list, err := r.src.Referrers(ctx, r.repo, r.subject)
	if err != nil && !errors.Is(err, clyde.ErrNotFound) {
		return nil, err
	}
	fallback, err := r.readTagged(ctx, tagOf(r.subject))
	switch {
	case errors.Is(err, errTooLarge):
		r.truncated = true
		r.problem("the tag %s is larger than %d bytes and was not read", tagOf(r.subject), r.lim.MaxBlob)
	case err != nil && !errors.Is(err, clyde.ErrNotFound):
		return nil, err
	case err == nil:
		var index ocispec.Index
		if json.Unmarshal(fallback.payload, &index) != nil {
			r.problem("the tag %s holds no index", tagOf(r.subject))
		}
		list = append(list, index.Manifests...)
	}
	list = slices.DeleteFunc(slices.Clone(list), func(d ocispec.Descriptor) bool { return d.Digest.Validate() != nil })
	// Likely signatures first, so that other referrers do not push them over
	// the limit; then by digest, so that every run sees the same.
	slices.SortFunc(list, func(a, b ocispec.Descriptor) int {
		return cmp.Or(cmp.Compare(likelihood(a), likelihood(b)), cmp.Compare(a.Digest, b.Digest))
	})
	seen := map[digest.Digest]bool{}
	return slices.DeleteFunc(list, func(d ocispec.Descriptor) bool {
		was := seen[d.Digest]
		seen[d.Digest] = true
		return was
	}), nil
}

// likelihood orders descriptors by what they say they are: 0 for a signature, 1
// for what some registries call every cosign bundle, 2 for anything else.
func likelihood(d ocispec.Descriptor) int {
	switch t := d.ArtifactType; {
	case strings.HasPrefix(t, bundleMediaTypePrefix), strings.HasPrefix(t, "application/vnd.dev.cosign."):
		return 0
	case t == "", t == ocispec.MediaTypeEmptyJSON, strings.HasPrefix(t, "application/vnd.oci."):
		return 1
	}
	return 2
}

// document is a manifest with its digest, proven.
type document struct {
	digest  digest.Digest
	payload []byte
}

// readTagged fetches the manifest that a tag names: ErrNotFound when there is
// none, errTooLarge when it is larger than a signature needs.
func (r *reader) readTagged(ctx context.Context, tag string) (document, error) {
	desc, err := r.src.Resolve(ctx, r.repo, tag)
	if err != nil {
		return document{}, err
	}
	if desc.Size > r.lim.MaxBlob {
		return document{digest: desc.Digest}, errTooLarge
	}
	return r.readManifest(ctx, desc.Digest)
}

// readManifest fetches the manifest d. Sizes in lists of referrers are not
// consulted: a wrong one would hide the manifest.
func (r *reader) readManifest(ctx context.Context, d digest.Digest) (document, error) {
	payload, _, err := r.src.Manifest(ctx, r.repo, d)
	if err != nil {
		return document{}, err
	}
	if int64(len(payload)) > r.lim.MaxBlob {
		return document{digest: d}, errTooLarge
	}
	if err := proves(d, payload); err != nil {
		return document{}, err
	}
	return document{d, payload}, nil
}

// broken reports whether err is about what a registry holds, and not about
// whether it can be reached.
func broken(err error) bool {
	return errors.Is(err, clyde.ErrNotFound) || errors.Is(err, clyde.ErrInvalid) ||
		errors.Is(err, clyde.ErrUnverified) || errors.Is(err, clyde.ErrTooLarge)
}

// proves checks data against the digest it was asked for by.
func proves(d digest.Digest, data []byte) error {
	if err := d.Validate(); err != nil {
		return fmt.Errorf("digest %q: %w", clip(d.String()), err)
	}
	if got := d.Algorithm().FromBytes(data); got != d {
		return fmt.Errorf("the registry sent %s for %s", got, d)
	}
	return nil
}

// readReferrers fetches the manifests of the first referrers and takes their
// signature layers.
func (r *reader) readReferrers(ctx context.Context, list []ocispec.Descriptor) {
	if n := len(list); n > r.lim.MaxManifests {
		r.problem("%d of %d referrers were not examined: the limit is %d", n-r.lim.MaxManifests, n, r.lim.MaxManifests)
		for _, d := range list[r.lim.MaxManifests:] {
			r.truncated = r.truncated || likelihood(d) < 2
		}
		list = list[:r.lim.MaxManifests]
	}
	layers := make([][]Entry, len(list))
	problems := make([]string, len(list))
	failed := make([]error, len(list))
	var g errgroup.Group
	g.SetLimit(parallelReads)
	for i, d := range list {
		g.Go(func() error {
			doc, err := r.readManifest(ctx, d.Digest)
			switch {
			case errors.Is(err, errTooLarge) && likelihood(d) < 2:
				layers[i] = []Entry{{Format: FormatBundle, Manifest: d.Digest, Err: errTooLarge}}
			case errors.Is(err, errTooLarge):
				problems[i] = fmt.Sprintf("referrer %s is larger than %d bytes and was not read", d.Digest, r.lim.MaxBlob)
			case errors.Is(err, clyde.ErrNotFound):
				problems[i] = fmt.Sprintf("referrer %s is listed and not there", d.Digest)
			case err != nil && broken(err):
				problems[i] = fmt.Sprintf("referrer %s is broken in the registry", d.Digest)
			case err != nil:
				problems[i] = fmt.Sprintf("referrer %s could not be read", d.Digest)
				failed[i] = err
			default:
				layers[i] = signatureLayers(doc, r.subject)
			}
			return nil
		})
	}
	_ = g.Wait() // failures are in failed
	r.failed = errors.Join(failed...)
	r.problems = append(r.problems, slices.DeleteFunc(problems, func(s string) bool { return s == "" })...)
	// One layer of each manifest before the second of any: a manifest with many
	// does not keep others out.
	var taken []Entry
	for round, more := 0, true; more; round++ {
		more = false
		for _, l := range layers {
			if round < len(l) {
				taken, more = append(taken, l[round]), true
			}
		}
	}
	r.take(taken, max(r.lim.MaxEntries, r.lim.MaxManifests), "referrers")
}

// readTag takes the signature layers under one of cosign's tags.
func (r *reader) readTag(ctx context.Context, tag string) error {
	doc, err := r.readTagged(ctx, tag)
	switch {
	case errors.Is(err, clyde.ErrNotFound):
		return nil
	case errors.Is(err, errTooLarge):
		format := FormatLegacySig
		if strings.HasSuffix(tag, ".att") {
			format = FormatLegacyAtt
		}
		r.entries = append(r.entries, Entry{Format: format, Manifest: doc.digest, Err: errTooLarge})
		return nil
	case err != nil:
		return err
	}
	// No subject is asked for: cosign writes none, the tag is all that points
	// at the digest. The signed bytes name it.
	r.take(signatureLayers(doc, ""), r.lim.MaxEntries, "the tag "+tag)
	return nil
}

// take keeps at most limit of the entries.
func (r *reader) take(list []Entry, limit int, where string) {
	if len(list) > limit {
		r.truncated = true
		r.problem("%d of %d signatures in %s were not examined: the limit is %d", len(list)-limit, len(list), where, limit)
		list = list[:limit]
	}
	r.entries = append(r.entries, list...)
}

// signatureLayers returns the layers of doc that hold signatures, none when its
// subject is another one. What a layer is, its media type says; artifactType is
// what registries get wrong.
func signatureLayers(doc document, subject digest.Digest) []Entry {
	var m ocispec.Manifest
	if err := json.Unmarshal(doc.payload, &m); err != nil {
		return nil
	}
	if subject != "" && (m.Subject == nil || m.Subject.Digest != subject) {
		return nil
	}
	var out []Entry
	for _, l := range m.Layers {
		e := Entry{Manifest: doc.digest, Layer: l.Digest, annotations: l.Annotations, size: l.Size}
		switch {
		case strings.HasPrefix(l.MediaType, bundleMediaTypePrefix):
			e.Format, e.annotations = FormatBundle, nil
		case l.MediaType == simpleSigningMediaType:
			e.Format = FormatLegacySig
		case l.MediaType == dsseMediaType:
			e.Format = FormatLegacyAtt
		default:
			continue
		}
		out = append(out, e)
	}
	return out
}

// readLayers fetches what the entries point at and parses it. The smallest come
// first, so that a few large ones do not use up MaxTotal.
func (r *reader) readLayers(ctx context.Context) {
	order := make([]*Entry, 0, len(r.entries))
	for i := range r.entries {
		if r.entries[i].Err == nil {
			order = append(order, &r.entries[i])
		}
	}
	slices.SortStableFunc(order, func(a, b *Entry) int { return cmp.Compare(a.size, b.size) })
	var total int64
	var g errgroup.Group
	g.SetLimit(parallelReads)
	for _, e := range order {
		switch {
		case e.size <= 0 || e.Layer.Validate() != nil:
			e.Err = errors.New("its manifest describes no layer")
			continue
		case e.size > r.lim.MaxBlob:
			e.Err = fmt.Errorf("%w: %d bytes, and %d are read", errTooLarge, e.size, r.lim.MaxBlob)
			continue
		case total+e.size > r.lim.MaxTotal:
			e.Err = fmt.Errorf("%w: together with the others, %d bytes are read", errTooLarge, r.lim.MaxTotal)
			continue
		}
		total += e.size
		g.Go(func() error {
			data, err := r.readLayer(ctx, e)
			switch {
			case err != nil && broken(err):
				e.Err = errors.New("its layer is missing, or is not what its manifest says")
			case err != nil:
				e.Err, e.cause = errors.New("its layer could not be read"), err
			default:
				e.parse(data)
			}
			return nil
		})
	}
	_ = g.Wait() // failures are in the entries
	for _, e := range order {
		r.failed = errors.Join(r.failed, e.cause)
	}
}

// readLayer fetches one layer, as stored: never more than its manifest says.
func (r *reader) readLayer(ctx context.Context, e *Entry) ([]byte, error) {
	rc, err := r.src.Blob(ctx, r.repo, ocispec.Descriptor{MediaType: "application/octet-stream", Digest: e.Layer, Size: e.size})
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	data, err := io.ReadAll(io.LimitReader(rc, e.size+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) != e.size || proves(e.Layer, data) != nil {
		return nil, clyde.Errorf(clyde.ErrInvalid, "the bytes of %s are not its own", e.Layer)
	}
	return data, nil
}

// parse sets the bundle of e, or Err.
func (e *Entry) parse(data []byte) {
	e.data = data
	switch e.Format {
	case FormatLegacySig:
		e.bundle, e.Err = legacySignature(data, e.annotations)
	case FormatLegacyAtt:
		e.bundle, e.Err = legacyAttestation(data, e.annotations)
	default:
		e.bundle, e.Err = parseBundle(data)
	}
}
