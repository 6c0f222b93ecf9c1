package signing

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/tuf"
	"github.com/theupdateframework/go-tuf/v2/metadata/fetcher"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// MaxTrustRoot is the largest trusted root, signing configuration and TUF root
// read, in bytes. Ours: those of the public sigstore are under 16 KiB.
const MaxTrustRoot = 1 << 20

// Trust is a sigstore whose certificates, logs and timestamps count. It comes
// from TrustFromJSON, TrustFromFile or TrustFromTUF.
type Trust struct {
	Name string        // what its user calls it
	Hash digest.Digest // of the JSON: it changes when the trust does
	JSON []byte        // the trusted root, in sigstore's form

	material root.TrustedMaterial
}

// TrustFromJSON reads a trusted root in sigstore's form (trusted_root.json).
// What is wrong with it is a clyde.ErrInvalid error with the code bad_trust_root.
func TrustFromJSON(name string, data []byte) (*Trust, error) {
	bad := func(format string, args ...any) *clyde.Error {
		return clyde.Errorf(clyde.ErrInvalid, "the trusted root %s "+format, append([]any{name}, args...)...).WithCode("bad_trust_root")
	}
	if len(data) > MaxTrustRoot {
		return nil, bad("is %d bytes; the limit is %d", len(data), MaxTrustRoot)
	}
	tr, err := root.NewTrustedRootFromJSON(data)
	if err != nil {
		return nil, bad("cannot be read").Because(err).Fix("give the trusted_root.json that the operator of that sigstore publishes")
	}
	return &Trust{Name: name, Hash: digest.FromBytes(data), JSON: data, material: tr}, nil
}

// TrustFromFile reads a trusted root from a file.
func TrustFromFile(name, path string) (*Trust, error) {
	data, err := readBounded(path, MaxTrustRoot)
	if err != nil {
		return nil, err
	}
	return TrustFromJSON(name, data)
}

// readBounded reads a file of at most limit bytes: clyde.ErrNotFound where there
// is none, clyde.ErrTooLarge where it is larger.
func readBounded(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, clyde.Errorf(clyde.ErrNotFound, "there is no file %s", path).Because(err)
	case err != nil:
		return nil, clyde.Errorf(clyde.ErrInvalid, "the file %s cannot be read", path).Because(err)
	case info.Size() > limit:
		return nil, clyde.Errorf(clyde.ErrTooLarge, "the file %s is %d bytes; the limit is %d", path, info.Size(), limit)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, clyde.Errorf(clyde.ErrInvalid, "the file %s cannot be read", path).Because(err)
	}
	return data, nil
}

// TUF says where a sigstore publishes its trusted root. The zero value is the
// public one (https://tuf-repo-cdn.sigstore.dev), whose root is built in.
type TUF struct {
	Mirror string // address, without a slash at the end
	Root   []byte // root.json, the anchor; required with a Mirror
	Cache  string // folder of what was fetched; required
}

const (
	// tufFresh is how many days a trusted root is used before its mirror is
	// asked again: sigstore signs its timestamp for a week.
	tufFresh = 1
	// tufTimeout bounds one request to a mirror.
	tufTimeout = 20 * time.Second
	// targets of sigstore's repositories
	trustedRootTarget   = "trusted_root.json"
	signingConfigTarget = "signing_config.v0.2.json"
)

// TrustFromTUF fetches a trusted root, or takes what was fetched within a day.
// A mirror that does not answer is fine as long as what was fetched before has
// not expired; then, and without a cache, it is a clyde.ErrUnavailable error.
func TrustFromTUF(ctx context.Context, name string, t TUF) (*Trust, error) {
	data, err := t.target(ctx, trustedRootTarget)
	if err != nil {
		return nil, err
	}
	return TrustFromJSON(name, data)
}

// ServicesFromTUF fetches where to sign, likewise.
func ServicesFromTUF(ctx context.Context, t TUF) (*Services, error) {
	data, err := t.target(ctx, signingConfigTarget)
	if err != nil {
		return nil, err
	}
	s, err := ParseServices(data)
	if s != nil {
		s.Public = t.Mirror == ""
	}
	return s, err
}

func (t TUF) target(ctx context.Context, name string) ([]byte, error) {
	if (t.Mirror == "") != (t.Root == nil) || t.Cache == "" {
		return nil, clyde.Errorf(clyde.ErrInvalid, "a TUF mirror needs its root.json, and both a folder to keep them in").WithCode("bad_trust_root")
	}
	opts := tuf.DefaultOptions().WithContext(ctx).WithCacheValidity(tufFresh).WithCachePath(t.Cache)
	if t.Mirror != "" {
		u, err := url.Parse(t.Mirror)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return nil, clyde.Errorf(clyde.ErrInvalid, "the TUF mirror %q is no address", clip(t.Mirror)).WithCode("bad_trust_root")
		}
		// A root of another anchor must not be taken for this one's.
		opts = opts.WithRepositoryBaseURL(t.Mirror).WithRoot(t.Root).
			WithCachePath(filepath.Join(t.Cache, digest.FromBytes(t.Root).Encoded()[:16]))
	}
	if err := os.MkdirAll(opts.CachePath, 0o700); err != nil {
		return nil, fmt.Errorf("signing.TUF: %w", err)
	}
	opts.Fetcher = newTUFFetcher()
	data, err := getTarget(opts, name)
	if err == nil {
		return data, nil
	}
	// The mirror is down or in the hands of somebody: metadata that is signed
	// and has not expired says the same without it.
	if data, cached := getTarget(opts.WithForceCache(), name); cached == nil {
		return data, nil
	}
	where := t.Mirror
	if where == "" {
		where = tuf.DefaultMirror
	}
	return nil, clyde.Errorf(clyde.ErrUnavailable, "%s gives no %s that can be trusted", where, name).WithCode("trust_root_unavailable").
		Fix("Try again in a moment.").Fix("Give the trusted root as a file.").Because(err)
}

func newTUFFetcher() *fetcher.DefaultFetcher {
	f := fetcher.NewDefaultFetcher()
	f.SetHTTPUserAgent("clyde")
	f.SetHTTPClient(&http.Client{Timeout: tufTimeout})
	return f
}

func getTarget(opts *tuf.Options, name string) ([]byte, error) {
	c, err := tuf.New(opts)
	if err != nil {
		return nil, err
	}
	return c.GetTarget(name)
}
