package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// MaxMerged bounds the entries of one .sig, .att or fallback tag: ours, far
// above what signers of one release need.
const MaxMerged = 1000

// merges reports whether writes to the tag are merged: cosign's .sig and .att
// and the referrers fallback, to which parallel writers append. An .sbom tag
// holds one document, which a new one replaces.
func merges(tag string) bool { return Refers(tag) != "" && !strings.HasSuffix(tag, ".sbom") }

// merge returns the pushed manifest joined with what its tag holds now, so that
// parallel signers, who all read, add and write, lose nothing: union by (layer
// digest, annotations), in the order of arrival. What was deleted meanwhile is
// left out. The caller holds the tag.
func (a *Admitter) merge(ctx context.Context, p Push, blobs Blobs) ([]byte, error) {
	if !merges(p.Tag) {
		return p.Payload, nil
	}
	tag, err := a.DB.Tag(ctx, p.Repo, p.Tag)
	if errors.Is(err, clyde.ErrNotFound) || err == nil && tag.Digest == digest.FromBytes(p.Payload).String() {
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
	if (was["manifests"] == nil) != (now["manifests"] == nil) {
		return nil, clyde.Errorf(clyde.ErrConflict, "tag %s holds a manifest of another kind: an index and an image manifest cannot be merged", p.Tag).WithCode("manifest_invalid")
	}
	changed := false
	for key, here := range map[string]func(ocispec.Descriptor) (bool, error){
		"layers": func(d ocispec.Descriptor) (bool, error) {
			_, err := blobs.Stat(ctx, p.Repo, d.Digest)
			return found(err)
		},
		"manifests": func(d ocispec.Descriptor) (bool, error) {
			_, err := a.DB.Manifest(ctx, p.Repo, d.Digest.String())
			return found(err)
		},
	} {
		joined, grew, err := union(was[key], now[key], here)
		if err != nil {
			return nil, err
		}
		if len(joined) > MaxMerged {
			return nil, clyde.Errorf(clyde.ErrTooLarge, "tag %s would hold %d entries; the limit is %d", p.Tag, len(joined), MaxMerged).WithCode("too_large")
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
	out, err := json.Marshal(now)
	if err == nil && len(out) > artifact.MaxManifest {
		return nil, clyde.Errorf(clyde.ErrTooLarge, "tag %s would hold a manifest of %d bytes; the limit is %d", p.Tag, len(out), artifact.MaxManifest).WithCode("too_large")
	}
	return out, err
}

// found turns the error of a look-up into an answer.
func found(err error) (bool, error) {
	if errors.Is(err, clyde.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// union puts what only was has, and is here still, before what now has. It
// reports whether the result holds anything that now does not. Entries keep
// their bytes.
func union(was, now json.RawMessage, here func(ocispec.Descriptor) (bool, error)) ([]json.RawMessage, bool, error) {
	old, oldDescs, err := entries(was)
	if err != nil {
		return nil, false, err
	}
	out, descs, err := entries(now)
	if err != nil {
		return nil, false, err
	}
	var lost []json.RawMessage
	for i, d := range oldDescs {
		if slices.ContainsFunc(descs, func(o ocispec.Descriptor) bool { return sameEntry(o, d) }) {
			continue
		}
		ok, err := here(d)
		if err != nil {
			return nil, false, err
		}
		if ok {
			lost = append(lost, old[i])
		}
	}
	return append(lost, out...), len(lost) > 0, nil
}

func entries(list json.RawMessage) ([]json.RawMessage, []ocispec.Descriptor, error) {
	var raw []json.RawMessage
	var descs []ocispec.Descriptor
	if list == nil {
		return nil, nil, nil
	}
	if err := errors.Join(json.Unmarshal(list, &raw), json.Unmarshal(list, &descs)); err != nil {
		return nil, nil, clyde.Errorf(clyde.ErrInvalid, "the manifest cannot be merged: %v", err).WithCode("manifest_invalid")
	}
	return raw, descs, nil
}

func sameEntry(a, b ocispec.Descriptor) bool {
	return a.Digest == b.Digest && maps.Equal(a.Annotations, b.Annotations)
}
