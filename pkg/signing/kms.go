package signing

import (
	"context"
	"crypto"
	"errors"
	"os/exec"
	"regexp"
	"strings"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/kms"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// kmsScheme is the scheme of a reference to a key that something else keeps:
// the end of a program's name, so it has nothing in it that leads to another
// folder.
var kmsScheme = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// isKMS reports whether ref names a key in a key management service or a
// device: "awskms://alias/release".
func isKMS(ref string) bool {
	scheme, _, ok := strings.Cut(ref, "://")
	return ok && scheme+"://" != envRef && kmsScheme.MatchString(scheme)
}

// openKMS asks the program sigstore-kms-SCHEME on the PATH for the key that ref
// names, in sigstore's protocol (its pkg/signature/kms/cliplugin). No service's
// own library is linked here. The private key stays where it is.
func openKMS(ctx context.Context, ref string) (signature.SignerVerifier, crypto.PublicKey, error) {
	scheme, _, _ := strings.Cut(ref, "://")
	sv, err := kms.Get(ctx, ref, crypto.SHA256)
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, nil, clyde.Errorf(clyde.ErrNotFound, "keys at %s:// are reached by the program %s%s, which is not on the PATH", scheme, cliplugin.PluginBinaryPrefix, scheme).
			WithCode("no_kms_plugin").Fix("install it: see docs/signing.md").Because(err)
	case err != nil:
		return nil, nil, kmsFailed(ref, err)
	}
	pub, err := sv.PublicKey()
	if err != nil {
		return nil, nil, kmsFailed(ref, err)
	}
	// The hash goes with the key: P-384 is signed over SHA-384.
	alg, err := signature.GetDefaultAlgorithmDetails(pub)
	if err != nil {
		return nil, nil, badKey("keys of type %T cannot sign", pub).Because(err)
	}
	if h := alg.GetHashType(); h != crypto.SHA256 {
		if sv, err = kms.Get(ctx, ref, h); err != nil {
			return nil, nil, kmsFailed(ref, err)
		}
	}
	return sv, pub, nil
}

func kmsFailed(ref string, err error) *clyde.Error {
	return clyde.Errorf(clyde.ErrUnavailable, "the key %s cannot be used: %s", clip(ref), serviceFailure(err)).WithCode("kms_failed").Because(err)
}
