package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

// Environment variables of signing, besides the CI provider's own.
const (
	keyVar           = "CLYDE_KEY"            // the private key to sign with
	signingConfigVar = "CLYDE_SIGNING_CONFIG" // signing_config.json of a private sigstore
	trustedRootVar   = "CLYDE_TRUSTED_ROOT"   // its trusted_root.json
	sigstoreTokenVar = "SIGSTORE_ID_TOKEN"    //nolint:gosec // a name. GitLab: the identity token, by id_tokens in the job
)

// signFlags are the flags of everything that signs.
type signFlags struct {
	key           string
	identityToken string
	signingConfig string
	trustedRoot   string
	publicLog     bool
}

func (f *signFlags) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.key, "key", "", "sign with this private key: a file, env://NAME, or the URI of one that a service keeps (awskms://…)")
	fl.StringVar(&f.identityToken, "identity-token", "", "sign without a key, as whom this OIDC token is about: a file or env://NAME")
	fl.StringVar(&f.signingConfig, "signing-config", "", "signing configuration of a private sigstore (env "+signingConfigVar+")")
	fl.StringVar(&f.trustedRoot, "trusted-root", "", "trusted root of the same sigstore (env "+trustedRootVar+")")
	fl.BoolVar(&f.publicLog, "public-log", false, "put the name of a private package's signer on public record")
}

// signedBy names the signer of what s made, for a person.
func signedBy(s signing.Signer) string {
	a := s.Authority()
	switch {
	case a == nil:
		return ""
	case a.Key != nil:
		return a.Key.Fingerprint
	}
	i := a.Keyless.Identities[0]
	return i.Subject + " (" + i.Issuer + ")"
}

// signer returns who signs: the key that the flags, CLYDE_KEY or the
// configuration file name; else whoever the CI provider, or somebody at a
// browser, vouches for. Hidden says whether that must not go on public record.
func (a *app) signer(ctx context.Context, f signFlags, hidden bool) (signing.Signer, error) {
	if f.key != "" && f.identityToken != "" {
		return nil, usagef("--key and --identity-token are two ways to sign").fix("give one of them")
	}
	if ref := a.keyRef(f); ref != "" {
		return signing.ReadSigner(ctx, ref, os.LookupEnv, func() ([]byte, error) { return a.secret("password of " + ref) })
	}
	if !a.canIdentify(f) {
		return nil, usagef("who signs? there is no key, and no CI provider to vouch for this run").
			fix("give --key FILE, set %s, or run clyde config set key FILE", keyVar).fix("clyde keygen makes one").
			fix("in CI, let the job have an identity token: see docs/signing.md")
	}
	services, trust, err := a.sigstore(ctx, f)
	if err != nil {
		return nil, err
	}
	if services.Public && hidden && !f.publicLog {
		return nil, clyde.Errorf(clyde.ErrDenied, "the package is private, or nothing here says yet that it is public, and the public sigstore puts who signs, and when, on record for everybody").
			WithCode("private_package").Fix("sign with --key FILE").
			Fix("give --signing-config and --trusted-root of a private sigstore").Fix("say --public-log if it may be known").
			Fix("an owner may say so for all of its namespace: clyde policy log-names @NAMESPACE on")
	}
	token, err := a.sigstoreToken(ctx, f, services)
	if err != nil {
		return nil, err
	}
	return signing.NewKeyless(services, trust, token)
}

// keyRef is the private key to sign with, "" for none.
func (a *app) keyRef(f signFlags) string {
	if f.identityToken != "" {
		return f.key
	}
	return cmp.Or(f.key, os.Getenv(keyVar), a.settings.Key)
}

// canIdentify reports whether somebody can vouch for this run.
func (a *app) canIdentify(f signFlags) bool {
	in, ok := a.stdin.(*os.File)
	return f.identityToken != "" || os.Getenv(sigstoreTokenVar) != "" ||
		os.Getenv(idTokenURLVar) != "" && os.Getenv(idTokenTokenVar) != "" ||
		ok && term.IsTerminal(int(in.Fd()))
}

// sigstore returns where to sign, and what to check it against: files, or the
// public sigstore.
func (a *app) sigstore(ctx context.Context, f signFlags) (*signing.Services, *signing.Trust, error) {
	config, rootFile := cmp.Or(f.signingConfig, os.Getenv(signingConfigVar)), cmp.Or(f.trustedRoot, os.Getenv(trustedRootVar))
	if (config == "") != (rootFile == "") {
		return nil, nil, usagef("a private sigstore has two files: --signing-config says where to sign, --trusted-root whom to believe").fix("give both")
	}
	if config != "" {
		s, err := signing.ServicesFromFile(config)
		if err != nil {
			return nil, nil, err
		}
		t, err := signing.TrustFromFile(rootFile, rootFile)
		return s, t, err
	}
	from, err := publicTUF()
	if err != nil {
		return nil, nil, err
	}
	s, err := signing.ServicesFromTUF(ctx, from)
	if err != nil {
		return nil, nil, err
	}
	t, err := signing.TrustFromTUF(ctx, publicSigstore, from)
	return s, t, err
}

// publicSigstore is what the public sigstore is called in reports.
const publicSigstore = "sigstore"

// publicTUF is where the public sigstore's trusted root comes from.
func publicTUF() (signing.TUF, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return signing.TUF{}, clyde.Errorf(clyde.ErrInvalid, "there is no folder to keep trusted roots in").Because(err).
			Fix("set HOME, or XDG_CACHE_HOME")
	}
	return signing.TUF{Cache: filepath.Join(dir, "clyde", "tuf")}, nil
}

// sigstoreToken returns an identity token for sigstore.
func (a *app) sigstoreToken(ctx context.Context, f signFlags, s *signing.Services) (string, error) {
	if f.identityToken != "" {
		return readToken(f.identityToken)
	}
	if t := strings.TrimSpace(os.Getenv(sigstoreTokenVar)); t != "" {
		return t, nil
	}
	if address, bearer := os.Getenv(idTokenURLVar), os.Getenv(idTokenTokenVar); address != "" && bearer != "" {
		return requestIDToken(ctx, address, bearer, signing.IdentityAudience)
	}
	issuer := s.OIDCIssuer()
	if issuer == "" {
		return "", usagef("this sigstore has no issuer to sign in with").fix("give --identity-token FILE")
	}
	return signing.TokenFromBrowser(ctx, issuer, a.stdin, a.stderr)
}

// readToken reads an identity token from a file or env://NAME. It is not taken
// from the command line, which everybody on the machine can read.
func readToken(ref string) (string, error) {
	if name, ok := strings.CutPrefix(ref, "env://"); ok {
		return strings.TrimSpace(os.Getenv(name)), nil
	}
	if strings.Count(ref, ".") == 2 && strings.HasPrefix(ref, "eyJ") {
		return "", usagef("--identity-token names a file or env://NAME: others on this machine can read a command line").fix("give env://%s", sigstoreTokenVar)
	}
	file, err := os.Open(ref)
	if err != nil {
		return "", missing(ref, err)
	}
	defer file.Close()
	b, err := readAll(file, signing.MaxIdentityToken, "the identity token")
	return strings.TrimSpace(string(b)), err
}

// isHidden reports whether who signs a package must not go on public record: it
// is private, and its namespace does not say that it may be known. Private is
// what the registry says is, else what its own package.yaml does, or what cannot
// be read without credentials.
func (a *app) isHidden(ctx context.Context, oc *artifact.Client, l located) (bool, error) {
	if l.api {
		c, err := a.api(ctx)
		if err != nil {
			return false, err
		}
		p, err := c.Package(ctx, l.name)
		if err != nil || !p.Private {
			return false, err
		}
		return hides(ctx, c, l.name)
	}
	anybody, err := stranger(l.at)
	if err != nil {
		return false, err
	}
	_, err = anybody.Resolve(ctx, l.repo, l.subject.Digest.String())
	if hidden, err := notForAll(err); hidden || err != nil {
		return hidden, err
	}
	payload, _, err := oc.Manifest(ctx, l.repo, l.subject.Digest)
	if err != nil {
		return false, err
	}
	p, err := artifact.ParsePackage(payload)
	if err != nil {
		return false, nil //nolint:nilerr // what is no package of ours says nothing about access
	}
	r, err := oc.Blob(ctx, l.repo, p.Config)
	if err != nil {
		return false, err
	}
	data, err := readAll(r, artifact.MaxConfig, "package.yaml")
	if err := errors.Join(err, r.Close()); err != nil {
		return false, err
	}
	m, _ := clyde.ParseManifest(data)
	return wantsPrivate(m), nil
}

// stranger asks a registry as somebody without credentials.
func stranger(at address) (*artifact.Client, error) {
	return artifact.NewClient(artifact.ClientOptions{Host: at.host, Plain: at.scheme == "http", UserAgent: userAgent()})
}

// notForAll reports whether an answer to a stranger means that what they asked
// for is not there for everybody.
func notForAll(err error) (bool, error) {
	for _, kind := range []error{clyde.ErrNotFound, clyde.ErrUnauthenticated, clyde.ErrDenied} {
		if errors.Is(err, kind) {
			return true, nil
		}
	}
	return false, err
}

// hides reports whether the owners of a private package keep who signs it off
// public records: they do unless they said otherwise.
func hides(ctx context.Context, c *client.Client, name clyde.Name) (bool, error) {
	p, err := c.SigningPolicy(ctx, name.Namespace)
	return !p.LogNames, err
}

// wantsPrivate reports whether a manifest asks not to be public.
func wantsPrivate(m *clyde.Manifest) bool {
	return m != nil && m.Registry.Access == "private"
}
