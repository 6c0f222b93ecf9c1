package signing_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

// tufRepo is a TUF repository with one key, which may be replaced.
type tufRepo struct {
	dir     string
	version int64
	key     ed25519.PrivateKey
	root    *metadata.Metadata[metadata.RootType]
	server  *httptest.Server
	down    atomic.Bool
	asked   atomic.Int64
}

const someTrust = `{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`

func newTUFRepo(t *testing.T, valid time.Duration) *tufRepo {
	t.Helper()
	r := &tufRepo{dir: t.TempDir()}
	r.rotate(t)
	r.publish(t, valid, someTrust)
	files := http.FileServer(http.Dir(r.dir))
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.asked.Add(1)
		if r.down.Load() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		files.ServeHTTP(w, q)
	}))
	t.Cleanup(r.server.Close)
	return r
}

func ck(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// rotate replaces the key of every role; the old one signs the new root, too.
func (r *tufRepo) rotate(t *testing.T) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	ck(t, err)
	r.version++
	root := metadata.Root(time.Now().Add(365 * 24 * time.Hour).UTC())
	root.Signed.Version = r.version
	root.Signed.ConsistentSnapshot = true
	public, err := metadata.KeyFromPublicKey(key.Public())
	ck(t, err)
	for _, role := range []string{"root", "targets", "snapshot", "timestamp"} {
		ck(t, root.Signed.AddKey(public, role))
	}
	for _, k := range []ed25519.PrivateKey{key, r.key} {
		if k != nil {
			r.sign(t, k, func(s signature.Signer) error { _, err := root.Sign(s); return err })
		}
	}
	r.key, r.root = key, root
	ck(t, root.ToFile(filepath.Join(r.dir, strconv.FormatInt(r.version, 10)+".root.json"), true))
}

func (r *tufRepo) sign(t *testing.T, k ed25519.PrivateKey, f func(signature.Signer) error) {
	t.Helper()
	s, err := signature.LoadSigner(k, crypto.Hash(0))
	ck(t, err)
	ck(t, f(s))
}

// publish writes metadata that ends after valid, with this trusted root.
func (r *tufRepo) publish(t *testing.T, valid time.Duration, trusted string) {
	t.Helper()
	end := time.Now().Add(valid).UTC()
	v := r.version
	name := filepath.Join(r.dir, "trusted_root.json")
	ck(t, os.WriteFile(name, []byte(trusted), 0o600))
	targets := metadata.Targets(end)
	file, err := metadata.TargetFile().FromFile(name, "sha256")
	ck(t, err)
	targets.Signed.Version, targets.Signed.Targets["trusted_root.json"] = v, file
	sum := sha256.Sum256([]byte(trusted))
	ck(t, os.MkdirAll(filepath.Join(r.dir, "targets"), 0o700))
	ck(t, os.WriteFile(filepath.Join(r.dir, "targets", hex.EncodeToString(sum[:])+".trusted_root.json"), []byte(trusted), 0o600))
	snap, stamp := metadata.Snapshot(end), metadata.Timestamp(end)
	snap.Signed.Version, stamp.Signed.Version = v, v
	snap.Signed.Meta["targets.json"].Version = v
	stamp.Signed.Meta["snapshot.json"].Version = v
	r.sign(t, r.key, func(s signature.Signer) error { _, err := targets.Sign(s); return err })
	r.sign(t, r.key, func(s signature.Signer) error { _, err := snap.Sign(s); return err })
	r.sign(t, r.key, func(s signature.Signer) error { _, err := stamp.Sign(s); return err })
	n := strconv.FormatInt(v, 10)
	ck(t, targets.ToFile(filepath.Join(r.dir, n+".targets.json"), true))
	ck(t, snap.ToFile(filepath.Join(r.dir, n+".snapshot.json"), true))
	ck(t, stamp.ToFile(filepath.Join(r.dir, "timestamp.json"), true))
}

// anchor is the root.json of a version.
func (r *tufRepo) anchor(t *testing.T, version string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(r.dir, version+".root.json"))
	ck(t, err)
	return b
}

func TestTUF(t *testing.T) {
	t.Parallel()
	r := newTUFRepo(t, 24*time.Hour)
	from := signing.TUF{Mirror: r.server.URL, Root: r.anchor(t, "1"), Cache: t.TempDir()}
	tr, err := signing.TrustFromTUF(t.Context(), "corp", from)
	ck(t, err)
	if string(tr.JSON) != someTrust || tr.Name != "corp" {
		t.Errorf("trusted root = %s, %s", tr.Name, tr.JSON)
	}
	// Within a day nobody is asked again.
	before := r.asked.Load()
	_, err = signing.TrustFromTUF(t.Context(), "corp", from)
	ck(t, err)
	if n := r.asked.Load() - before; n != 0 {
		t.Errorf("%d requests for what was fetched just now; want none", n)
	}
	// A mirror that is down is no matter while what was fetched is valid.
	r.down.Store(true)
	age(t, from.Cache)
	_, err = signing.TrustFromTUF(t.Context(), "corp", from)
	ck(t, err)
	// Another machine has nothing to go by.
	empty := from
	empty.Cache = t.TempDir()
	if _, err := signing.TrustFromTUF(t.Context(), "corp", empty); !errors.Is(err, clyde.ErrUnavailable) {
		t.Errorf("TrustFromTUF from a mirror that is down = %v; want ErrUnavailable", err)
	}
	// A root that was replaced is followed, from the one that is built in.
	r.down.Store(false)
	r.rotate(t)
	const other = `{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1","tlogs":[]}`
	r.publish(t, 24*time.Hour, other)
	for _, f := range []signing.TUF{from, empty} {
		age(t, f.Cache)
		tr, err := signing.TrustFromTUF(t.Context(), "corp", f)
		ck(t, err)
		if string(tr.JSON) != other {
			t.Errorf("after the root was rotated: %s; want %s", tr.JSON, other)
		}
	}
}

// Somebody else's repository under the same address is found out.
func TestTUFRefuses(t *testing.T) {
	t.Parallel()
	mine, theirs := newTUFRepo(t, 24*time.Hour), newTUFRepo(t, 24*time.Hour)
	for name, f := range map[string]signing.TUF{
		"another root": {Mirror: theirs.server.URL, Root: mine.anchor(t, "1"), Cache: t.TempDir()},
		"no root":      {Mirror: mine.server.URL, Cache: t.TempDir()},
		"no cache":     {Mirror: mine.server.URL, Root: mine.anchor(t, "1")},
		"no address":   {Mirror: "file:///etc", Root: mine.anchor(t, "1"), Cache: t.TempDir()},
	} {
		if tr, err := signing.TrustFromTUF(t.Context(), "x", f); err == nil {
			t.Errorf("%s: trusted %s", name, tr.JSON)
		}
	}
	expired := newTUFRepo(t, -time.Hour)
	if _, err := signing.TrustFromTUF(t.Context(), "x", signing.TUF{Mirror: expired.server.URL, Root: expired.anchor(t, "1"), Cache: t.TempDir()}); !errors.Is(err, clyde.ErrUnavailable) {
		t.Errorf("expired metadata: %v; want ErrUnavailable", err)
	}
	// What was fetched expires, too: a frozen mirror does not last.
	// The clock of metadata is the real one: what is valid too shortly for a busy
	// machine to fetch is tried with longer.
	var f signing.TUF
	for valid := 2 * time.Second; ; valid *= 4 {
		short := newTUFRepo(t, valid)
		end := time.After(valid + time.Second) // it is written in whole seconds
		f = signing.TUF{Mirror: short.server.URL, Root: short.anchor(t, "1"), Cache: t.TempDir()}
		_, err := signing.TrustFromTUF(t.Context(), "x", f)
		if err == nil {
			short.down.Store(true)
			age(t, f.Cache)
			<-end
			break
		}
		if valid > time.Minute {
			t.Fatal(err)
		}
	}
	if _, err := signing.TrustFromTUF(t.Context(), "x", f); !errors.Is(err, clyde.ErrUnavailable) {
		t.Errorf("expired cache: %v; want ErrUnavailable", err)
	}
}

// age makes what was fetched look two days old.
func age(t *testing.T, cache string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(cache, "*", "*.json"))
	ck(t, err)
	for _, f := range files {
		ck(t, os.WriteFile(f, []byte(`{"lastTimestamp":"2020-01-01T00:00:00Z"}`), 0o600))
	}
}
