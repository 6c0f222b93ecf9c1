package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

const (
	// maxRelisted bounds the tags looked at for what the index of referrers
	// lost. Ours: the builds that a version may have.
	maxRelisted = 256

	// maxSubjects bounds what is remembered of manifests: some 200 bytes each.
	maxSubjects = 1 << 14
)

// referTagRE matches tags that are lists themselves: nothing to relist.
var referTagRE = regexp.MustCompile(`^sha256-[0-9a-f]{64}(\.[a-z]+)?$`)

// Referrers implements artifact.Source. Where the registry lists referrers, that
// list is the answer. Where it does not, clients keep an index under a tag, and
// those who write at once take entries from each other: what still has a tag of
// its own is found by that.
func (r *Registry) Referrers(ctx context.Context, repo string, subject digest.Digest) ([]ocispec.Descriptor, error) {
	out, listed, err := r.client.ListReferrers(ctx, r.Path(repo), subject)
	if err != nil || listed {
		return out, err
	}
	tags, err := r.Tags(ctx, repo, "", 0)
	if errors.Is(err, clyde.ErrNotFound) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	known := map[digest.Digest]bool{}
	for _, d := range out {
		known[d.Digest] = true
	}
	looked := 0
	for _, tag := range tags {
		if _, err := clyde.ParseVersion(tag); err == nil || referTagRE.MatchString(tag) {
			continue
		}
		if looked++; looked > maxRelisted {
			break
		}
		d, of, err := r.refers(ctx, repo, tag)
		if errors.Is(err, clyde.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if of == subject && !known[d.Digest] {
			known[d.Digest] = true
			out = append(out, d)
		}
	}
	return out, nil
}

// refers returns the manifest that a tag names and its subject, "" for none.
func (r *Registry) refers(ctx context.Context, repo, tag string) (ocispec.Descriptor, digest.Digest, error) {
	d, err := r.Resolve(ctx, repo, tag)
	if err != nil {
		return d, "", err
	}
	if s, ok := r.subjects.get(d.Digest); ok {
		d.ArtifactType = s.artifactType
		return d, s.of, nil
	}
	payload, _, err := r.Manifest(ctx, repo, d.Digest)
	if err != nil {
		return d, "", err
	}
	var m ocispec.Manifest
	if json.Unmarshal(payload, &m) != nil {
		m = ocispec.Manifest{} // whatever it is, it refers to nothing
	}
	s := subject{artifactType: m.ArtifactType}
	if m.Subject != nil {
		s.of = m.Subject.Digest
	}
	if s.artifactType == "" {
		s.artifactType = m.Config.MediaType
	}
	r.subjects.put(d.Digest, s)
	d.ArtifactType = s.artifactType
	return d, s.of, nil
}

// subject is what a manifest refers to; it never changes.
type subject struct {
	of           digest.Digest
	artifactType string
}

// subjects remembers manifests that were read. When it is full it forgets all:
// reading them again costs a request each.
type subjects struct {
	mu sync.Mutex
	m  map[digest.Digest]subject
}

func (s *subjects) get(d digest.Digest) (subject, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.m[d]
	return v, ok
}

func (s *subjects) put(d digest.Digest, v subject) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil || len(s.m) >= maxSubjects {
		s.m = map[digest.Digest]subject{}
	}
	s.m[d] = v
}
