package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// MaxMerged bounds the entries of one .sig, .att or fallback tag: ours, far
// above what signers of one release need.
const MaxMerged = 1000

// merge returns the pushed manifest joined with what its tag holds now, so that
// parallel signers, who all read, add and write, lose nothing: union by (layer
// digest, annotations), in the order of arrival. The caller holds the tag.
func (a *Admitter) merge(ctx context.Context, p Push, blobs Blobs) ([]byte, error) {
	tag, err := a.DB.Tag(ctx, p.Repo, p.Tag)
	if errors.Is(err, clyde.ErrNotFound) || tag.Digest == digest.FromBytes(p.Payload).String() {
		return p.Payload, nil
	}
	if err != nil {
		return nil, err
	}
	old, _, err := blobs.Manifest(ctx, p.Repo, digest.Digest(tag.Digest))
	if err != nil {
		return nil, err
	}
	// Keys that we do not know survive: only the lists are touched.
	var was, now map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(old, &was), json.Unmarshal(p.Payload, &now)); err != nil {
		return nil, clyde.Errorf(clyde.ErrInvalid, "the manifest cannot be merged with what %s holds", p.Tag).WithCode("manifest_invalid").Because(err)
	}
	changed := false
	for _, key := range []string{"layers", "manifests"} {
		joined, grew, err := union(was[key], now[key])
		if err != nil {
			return nil, err
		}
		if len(joined) > MaxMerged {
			return nil, clyde.Errorf(clyde.ErrTooLarge, "tag %s holds %d entries; the limit is %d", p.Tag, len(joined), MaxMerged).WithCode("too_large")
		}
		if grew {
			raw, err := json.Marshal(joined)
			if err != nil {
				return nil, err
			}
			now[key] = raw
			changed = true
		}
	}
	if !changed {
		return p.Payload, nil
	}
	return json.Marshal(now)
}

// union appends to was what only now has. It reports whether the result holds
// more than now.
func union(was, now json.RawMessage) ([]ocispec.Descriptor, bool, error) {
	var a, b []ocispec.Descriptor
	for _, x := range []struct {
		raw json.RawMessage
		to  *[]ocispec.Descriptor
	}{{was, &a}, {now, &b}} {
		if x.raw == nil {
			continue
		}
		if err := json.Unmarshal(x.raw, x.to); err != nil {
			return nil, false, clyde.Errorf(clyde.ErrInvalid, "the manifest cannot be merged: %v", err).WithCode("manifest_invalid")
		}
	}
	out := a
	for _, d := range b {
		if !slices.ContainsFunc(out, func(o ocispec.Descriptor) bool { return sameEntry(o, d) }) {
			out = append(out, d)
		}
	}
	return out, len(out) > len(b), nil
}

func sameEntry(a, b ocispec.Descriptor) bool {
	if a.Digest != b.Digest || len(a.Annotations) != len(b.Annotations) {
		return false
	}
	for k, v := range a.Annotations {
		if w, ok := b.Annotations[k]; !ok || v != w {
			return false
		}
	}
	return true
}
