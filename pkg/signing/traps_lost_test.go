package signing_test

import (
	"context"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

// racing is a registry in which somebody else, who read the tag of legacy
// signatures before us, writes it after us.
type racing struct {
	*remote
	theirs []byte
}

func (r racing) PutManifest(ctx context.Context, repo, ref, mediaType string, payload []byte) (ocispec.Descriptor, error) {
	d, err := r.remote.PutManifest(ctx, repo, ref, mediaType, payload)
	if err == nil && strings.HasSuffix(ref, ".sig") {
		_, err = r.remote.PutManifest(ctx, repo, ref, mediaType, r.theirs)
	}
	return d, err
}

// Trap 11: clients that read, append and write again lose each other's
// signatures. Whoever lost one hears of it, and signing again mends it.
func TestTrapConcurrencyLosesNothingUnseen(t *testing.T) {
	t.Parallel()
	alice, bob := newPair(t, "alice"), newPair(t, "bob")
	r := newRegistry(t, false)
	sub := r.publish(t, "acme", "zlib", "1.3.1")
	mustSign(t, r, bob, sub, signing.SignOptions{NoBundle: true, Legacy: true})
	tag, err := r.Resolve(t.Context(), sub.Repo, "sha256-"+sub.Digest.Encoded()+".sig")
	if err != nil {
		t.Fatal(err)
	}
	theirs, _, err := r.Manifest(t.Context(), sub.Repo, tag.Digest)
	if err != nil {
		t.Fatal(err)
	}
	_, err = signing.Sign(t.Context(), racing{r, theirs}, r, alice.signer, sub, signing.SignOptions{NoBundle: true, Legacy: true})
	if e := clyde.AsError(err); e == nil || e.Code != "signature_lost" {
		t.Fatalf("Sign whose signature is overwritten = %v; want signature_lost", err)
	}
	mustSign(t, r, alice, sub, signing.SignOptions{NoBundle: true, Legacy: true})
	wantState(t, mustVerify(t, r, sub, alice.key), signing.StateVerified)
	wantState(t, mustVerify(t, r, sub, bob.key), signing.StateVerified)
}
