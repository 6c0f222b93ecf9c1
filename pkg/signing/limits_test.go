package signing_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

func verifyWithin(t *testing.T, src signing.Source, sub signing.Subject, lim signing.Limits, keys ...signing.Key) *signing.Report {
	t.Helper()
	lim.Timeout = time.Minute // these are about the others
	rep, err := signing.Verify(t.Context(), src, sub, keys, lim)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

func TestMaxManifests(t *testing.T) {
	t.Parallel()
	alice := newPair(t, "alice")
	r := newRegistry(t, true)
	sub := r.publish(t, "acme", "zlib", "1.3.1")
	const n = 4
	for i := range n {
		attachBundle(t, r, sub, signed(t, alice, statement(scanType, fmt.Sprint(i), sub.Digest)))
	}
	rep := verifyWithin(t, r, sub, signing.Limits{MaxManifests: n}, alice.key)
	wantState(t, rep, signing.StateUnsigned)
	if len(rep.Attestations) != n || len(rep.Problems) != 0 {
		t.Errorf("at the limit: %d attestations, problems %q; want %d, none", len(rep.Attestations), rep.Problems, n)
	}
	// One more than is examined: absence can no longer be stated.
	rep = verifyWithin(t, r, sub, signing.Limits{MaxManifests: n - 1}, alice.key)
	wantState(t, rep, signing.StateUntrusted)
	if len(rep.Attestations) != n-1 || len(rep.Problems) != 1 {
		t.Errorf("over the limit: %d attestations, problems %q; want %d, one", len(rep.Attestations), rep.Problems, n-1)
	}
	// A legacy signature is found whatever referrers there are.
	mustSign(t, r, alice, sub, signing.SignOptions{NoBundle: true, Legacy: true})
	wantState(t, verifyWithin(t, r, sub, signing.Limits{MaxManifests: 1}, alice.key), signing.StateVerified)
}

// Referrers that are something else do not push signatures over the limit.
func TestMaxManifestsSignaturesFirst(t *testing.T) {
	t.Parallel()
	alice := newPair(t, "alice")
	for kind, referrers := range registries {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := newRegistry(t, referrers)
			sub := r.publish(t, "acme", "zlib", "1.3.1")
			for i := range 3 {
				r.attach(t, sub, "application/spdx+json", r.blob(t, sub.Repo, "application/spdx+json", fmt.Append(nil, i)))
			}
			mustSign(t, r, alice, sub, signing.SignOptions{})
			rep := verifyWithin(t, &typed{r}, sub, signing.Limits{MaxManifests: 1}, alice.key)
			wantState(t, rep, signing.StateVerified)
		})
	}
}

// typed lists referrers with their own artifact type, as the specification asks
// and the registry of these tests does not.
type typed struct{ *remote }

func (s *typed) Referrers(ctx context.Context, repo string, subject digest.Digest) ([]ocispec.Descriptor, error) {
	list, err := s.remote.Referrers(ctx, repo, subject)
	for i, d := range list {
		b, _, err := s.Manifest(ctx, repo, d.Digest)
		if err != nil {
			return nil, err
		}
		for _, typ := range []string{bundleType, "application/spdx+json"} {
			if bytes.Contains(b, []byte(`"artifactType":"`+typ)) {
				list[i].ArtifactType = typ
			}
		}
	}
	return list, err
}

func TestMaxEntries(t *testing.T) {
	t.Parallel()
	alice, bob := newPair(t, "alice"), newPair(t, "bob")
	r := newRegistry(t, true)
	sub := r.publish(t, "acme", "zlib", "1.3.1")
	mustSign(t, r, bob, sub, signing.SignOptions{NoBundle: true, Legacy: true})
	mustSign(t, r, alice, sub, signing.SignOptions{NoBundle: true, Legacy: true})
	rep := verifyWithin(t, r, sub, signing.Limits{MaxEntries: 2}, alice.key)
	wantState(t, rep, signing.StateVerified)
	if len(rep.Problems) != 0 {
		t.Errorf("at the limit: problems %q; want none", rep.Problems)
	}
	rep = verifyWithin(t, r, sub, signing.Limits{MaxEntries: 1}, alice.key)
	wantState(t, rep, signing.StateUntrusted)
	if len(rep.Problems) != 1 {
		t.Errorf("over the limit: problems %q; want one", rep.Problems)
	}
}

func TestMaxBlobAndTotal(t *testing.T) {
	t.Parallel()
	alice := newPair(t, "alice")
	r := newRegistry(t, true)
	sub := r.publish(t, "acme", "zlib", "1.3.1")
	data := signed(t, alice, statement(signType, sub.PURL(), sub.Digest))
	data = append(data, bytes.Repeat([]byte(" "), 4096)...) // larger than its manifest
	attachBundle(t, r, sub, data)
	size := int64(len(data))
	tests := map[string]struct {
		lim  signing.Limits
		want signing.State
	}{
		"blob at the limit":    {signing.Limits{MaxBlob: size}, signing.StateVerified},
		"blob over the limit":  {signing.Limits{MaxBlob: size - 1}, signing.StateUntrusted},
		"total at the limit":   {signing.Limits{MaxTotal: size}, signing.StateVerified},
		"total over the limit": {signing.Limits{MaxTotal: size - 1}, signing.StateUntrusted},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rep := verifyWithin(t, r, sub, tt.lim, alice.key)
			wantState(t, rep, tt.want)
			if s := rep.Signatures[0]; s.Unsupported != (tt.want == signing.StateUntrusted) {
				t.Errorf("signature = %+v; want unsupported only when it was not read", s)
			}
		})
	}
	// A manifest over the limit is not read either, and not taken for absent.
	big := r.publish(t, "acme", "big", "1.0.0")
	r.manifest(t, big.Repo, "sha256-"+big.Digest.Encoded()+".sig", ocispec.Manifest{
		Layers: []ocispec.Descriptor{}, Annotations: map[string]string{"x": strings.Repeat("x", signing.MaxBlob)},
	})
	wantState(t, mustVerify(t, r, big, alice.key), signing.StateUntrusted)
}

func TestMaxKeys(t *testing.T) {
	t.Parallel()
	alice := newPair(t, "alice")
	r := newRegistry(t, true)
	sub := r.publish(t, "acme", "zlib", "1.3.1")
	mustSign(t, r, alice, sub, signing.SignOptions{})
	keys := make([]signing.Key, signing.MaxKeys)
	for i := range keys {
		keys[i] = alice.key
	}
	wantState(t, mustVerify(t, r, sub, keys...), signing.StateVerified)
	if _, err := signing.Verify(t.Context(), r, sub, append(keys, alice.key), signing.Limits{}); !errors.Is(err, clyde.ErrInvalid) {
		t.Errorf("Verify with %d keys = %v; want ErrInvalid", len(keys)+1, err)
	}
	if _, err := signing.Verify(t.Context(), r, sub, []signing.Key{{PEM: alice.public}}, signing.Limits{}); !errors.Is(err, clyde.ErrInvalid) {
		t.Errorf("Verify with a key that was not parsed = %v; want ErrInvalid", err)
	}
}

// stuck is a registry that never answers.
type stuck struct{ signing.Source }

func (stuck) Referrers(ctx context.Context, _ string, _ digest.Digest) ([]ocispec.Descriptor, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	key := newPair(t, "").key
	synctest.Test(t, func(t *testing.T) {
		sub := signing.Subject{Repo: "acme/zlib", Digest: digest.FromString("x")}
		start := time.Now()
		_, err := signing.Verify(t.Context(), stuck{}, sub, []signing.Key{key}, signing.Limits{})
		if !errors.Is(err, clyde.ErrUnavailable) || time.Since(start) != signing.Timeout {
			t.Errorf("Verify = %v after %v; want ErrUnavailable after %v", err, time.Since(start), signing.Timeout)
		}
	})
}

// failing is a registry of which parts fail.
type failing struct {
	*remote
	what string
}

var errDown = errors.New("dial tcp 10.0.0.7:5000: connection refused")

func (f failing) Resolve(ctx context.Context, repo, ref string) (ocispec.Descriptor, error) {
	if f.what == "resolve" {
		return ocispec.Descriptor{}, errDown
	}
	return f.remote.Resolve(ctx, repo, ref)
}

func (f failing) Manifest(ctx context.Context, repo string, d digest.Digest) ([]byte, string, error) {
	if f.what == "manifest" {
		return nil, "", errDown
	}
	return f.remote.Manifest(ctx, repo, d)
}

func (f failing) Blob(ctx context.Context, repo string, d ocispec.Descriptor) (io.ReadCloser, error) {
	if f.what == "blob" || f.what == d.Digest.String() {
		return nil, errDown
	}
	return f.remote.Blob(ctx, repo, d)
}

func (f failing) Referrers(ctx context.Context, repo string, subject digest.Digest) ([]ocispec.Descriptor, error) {
	if f.what == "referrers" {
		return nil, errDown
	}
	return f.remote.Referrers(ctx, repo, subject)
}

// That a registry cannot be read is no verdict, unless one signature verifies.
func TestRegistryFails(t *testing.T) {
	t.Parallel()
	alice, bob := newPair(t, "alice"), newPair(t, "bob")
	r := newRegistry(t, true)
	sub := r.publish(t, "acme", "zlib", "1.3.1")
	mustSign(t, r, alice, sub, signing.SignOptions{})
	other := r.blob(t, sub.Repo, bundleType, signed(t, bob, statement(signType, "", sub.Digest)))
	r.attach(t, sub, bundleType, other)
	for _, what := range []string{"resolve", "manifest", "blob", "referrers"} {
		_, err := signing.Verify(t.Context(), failing{r, what}, sub, []signing.Key{alice.key}, signing.Limits{})
		if !errors.Is(err, clyde.ErrUnavailable) || !errors.Is(err, errDown) {
			t.Errorf("Verify when %s fails = %v; want ErrUnavailable with its cause", what, err)
		}
		if e := clyde.AsError(err); e != nil && strings.Contains(e.Msg, "10.0.0.7") {
			t.Errorf("message %q shows the cause to a person", e.Msg)
		}
	}
	part := failing{r, other.Digest.String()}
	wantState(t, mustVerify(t, part, sub, alice.key), signing.StateVerified)
	if _, err := signing.Verify(t.Context(), part, sub, []signing.Key{newPair(t, "").key}, signing.Limits{}); !errors.Is(err, clyde.ErrUnavailable) {
		t.Errorf("Verify when nothing verifies and one is unread = %v; want ErrUnavailable", err)
	}
	entries, err := signing.Discover(t.Context(), part, sub.Repo, sub.Digest, signing.Limits{})
	if !errors.Is(err, clyde.ErrUnavailable) || len(entries) != 2 {
		t.Errorf("Discover = %d entries, %v; want both, with ErrUnavailable", len(entries), err)
	}
	if _, err := signing.Discover(t.Context(), r, sub.Repo, "sha256:short", signing.Limits{}); !errors.Is(err, clyde.ErrInvalid) {
		t.Errorf("Discover of no digest = %v; want ErrInvalid", err)
	}
}
