package ingest_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/content"
	"github.com/clydepm/clyde-registry/pkg/index"
	"github.com/clydepm/clyde-registry/pkg/index/memory"
	"github.com/clydepm/clyde-registry/pkg/ingest"
	"github.com/clydepm/clyde-registry/pkg/registry"
	"github.com/clydepm/clyde-registry/pkg/signing"
	"github.com/clydepm/clyde-registry/pkg/store"
)

var admin = account.Principal{ID: "admin", Name: "admin", Admin: true}

func token(pattern string, as ...account.Action) account.Principal {
	return account.Principal{ID: "ci", Name: "ci", Scopes: []account.Scope{{Pattern: pattern, Actions: as}}}
}

// world is everything below the HTTP surface, real, in a temporary directory.
type world struct {
	*testing.T
	db  *store.DB
	reg *registry.Registry
	in  *ingest.Ingest
}

type noAccounts struct{ registry.Authenticator }

func newWorld(t *testing.T, accept string) *world {
	t.Helper()
	return newWorldAt(t, accept, time.Now)
}

// newWorldAt is newWorld with a clock of its own for admission.
func newWorldAt(t *testing.T, accept string, now func() time.Time) *world {
	t.Helper()
	ctx := t.Context()
	dir := t.TempDir()
	db, err := store.Open(ctx, store.Options{Path: filepath.Join(dir, "clyde.db")})
	if err != nil {
		t.Fatal(err)
	}
	reg, err := registry.New(ctx, registry.Options{
		Root: filepath.Join(dir, "registry"), Secret: []byte("secret"), DB: db, Accounts: noAccounts{}, Accept: accept,
		Admit: &ingest.Admitter{DB: db, Accept: accept, Now: now},
		Private: func(ctx context.Context, repo string) (bool, error) {
			s, err := db.Setting(ctx, repo)
			return s.Private, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	cs, err := content.Open(filepath.Join(dir, "content"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, db: db, reg: reg, in: &ingest.Ingest{
		DB: db, Source: reg, Content: cs, Engine: memory.New(memory.Options{}), Log: slog.New(slog.DiscardHandler), Now: time.Now,
	}}
	t.Cleanup(func() {
		if err := errors.Join(reg.Close(), w.in.Engine.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return w
}

// archive is a source archive of path, content pairs.
func archive(files ...string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	tw := tar.NewWriter(z)
	for i := 0; i < len(files); i += 2 {
		_ = tw.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1])), Typeflag: tar.TypeReg})
		_, _ = tw.Write([]byte(files[i+1]))
	}
	_, _ = tw.Close(), z.Close()
	return b.Bytes()
}

// manifestYAML is a package.yaml; more are further lines of it.
func manifestYAML(name, version string, more ...string) string {
	return fmt.Sprintf("name: %q\nversion: %q\ndescription: The %s library.\nlicense: MIT\n%s\n", name, version, name, strings.Join(more, "\n"))
}

func (w *world) blob(p account.Principal, repo, mediaType string, b []byte) (ocispec.Descriptor, error) {
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(b), Size: int64(len(b))}
	return d, w.reg.PutBlob(w.Context(), p, repo, d, bytes.NewReader(b))
}

// push publishes package.yaml and an archive under tag; "" pushes by digest.
func (w *world) push(p account.Principal, repo, tag, yaml string, src []byte) (digest.Digest, error) {
	w.Helper()
	config, err := w.blob(p, repo, artifact.TypeConfig, []byte(yaml))
	if err != nil {
		return "", err
	}
	layer, err := w.blob(p, repo, artifact.TypeSourceGzip, src)
	if err != nil {
		return "", err
	}
	return w.manifest(p, repo, tag, ocispec.Manifest{ArtifactType: artifact.TypePackage, Config: config, Layers: []ocispec.Descriptor{layer}})
}

// manifest pushes an image manifest under tag; "" pushes by digest.
func (w *world) manifest(p account.Principal, repo, tag string, m ocispec.Manifest) (digest.Digest, error) {
	m.Versioned, m.MediaType = specs.Versioned{SchemaVersion: 2}, ocispec.MediaTypeImageManifest
	b, err := json.Marshal(m)
	if err != nil {
		w.Fatal(err)
	}
	return w.raw(p, repo, tag, m.MediaType, b)
}

func (w *world) raw(p account.Principal, repo, tag, mediaType string, b []byte) (digest.Digest, error) {
	if tag == "" {
		tag = digest.FromBytes(b).String()
	}
	d, err := w.reg.PutManifest(w.Context(), p, repo, tag, mediaType, b)
	return d.Digest, err
}

// publish pushes and applies @ns/name at version, and returns its digest.
func (w *world) publish(name, version string, more ...string) digest.Digest {
	w.Helper()
	repo := strings.TrimPrefix(name, "@")
	d, err := w.push(admin, repo, version, manifestYAML(name, version, more...), archive("README.md", "# "+name+"\n\nReads "+version+".", "include/"+repo+".h", "int f(void);"))
	if err != nil {
		w.Fatal(err)
	}
	w.drain()
	return d
}

// drain applies everything in the inbox that is due.
func (w *world) drain() {
	w.Helper()
	for {
		items, err := w.db.ClaimEvents(w.Context(), 10, time.Minute)
		if err != nil {
			w.Fatal(err)
		}
		if len(items) == 0 {
			return
		}
		for _, it := range items {
			if err := w.in.Apply(w.Context(), it.Event); err != nil {
				w.Fatalf("apply %+v: %v", it.Event, err)
			}
			if err := w.db.EventDone(w.Context(), it.Event.ID); err != nil {
				w.Fatal(err)
			}
		}
	}
}

// lose forgets everything in the inbox.
func (w *world) lose() {
	w.Helper()
	for {
		items, err := w.db.ClaimEvents(w.Context(), 10, time.Minute)
		if err != nil {
			w.Fatal(err)
		}
		if len(items) == 0 {
			return
		}
		for _, it := range items {
			if err := w.db.EventDone(w.Context(), it.Event.ID); err != nil {
				w.Fatal(err)
			}
		}
	}
}

func (w *world) release(repo, version string) store.Release {
	w.Helper()
	v, err := clyde.ParseVersion(version)
	if err != nil {
		w.Fatal(err)
	}
	r, err := w.db.ReleaseByVersion(w.Context(), repo, v.Canonical())
	if err != nil {
		w.Fatal(err)
	}
	return r
}

// sink writes signatures on behalf of a principal.
type sink struct {
	reg *registry.Registry
	p   account.Principal
}

func (s sink) PutBlob(ctx context.Context, repo string, d ocispec.Descriptor, r io.Reader) error {
	return s.reg.PutBlob(ctx, s.p, repo, d, r)
}

func (s sink) PutManifest(ctx context.Context, repo, ref, mediaType string, payload []byte) (ocispec.Descriptor, error) {
	return s.reg.PutManifest(ctx, s.p, repo, ref, mediaType, payload)
}

// keyPair signs as signing.KeySigner does. Its private key is not encrypted,
// which costs half a second for each.
type keyPair struct {
	private *ecdsa.PrivateKey
	public  signing.Key
}

// signer makes a key pair.
func (w *world) signer() *keyPair {
	w.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		w.Fatal(err)
	}
	public, err := signing.ParsePublicKey(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	if err != nil {
		w.Fatal(err)
	}
	return &keyPair{k, public}
}

func (k *keyPair) Key() signing.Key { return k.public }

func (k *keyPair) Authority() *signing.Authority { return &signing.Authority{Key: &k.public} }

func (k *keyPair) signature(b []byte) (string, error) {
	sum := sha256.Sum256(b)
	sig, err := ecdsa.SignASN1(rand.Reader, k.private, sum[:])
	return base64.StdEncoding.EncodeToString(sig), err
}

func (k *keyPair) SignPayload(_ context.Context, payload []byte) (map[string]string, error) {
	sig, err := k.signature(payload)
	return map[string]string{"dev.cosignproject.cosign/signature": sig}, err
}

func (k *keyPair) SignStatement(_ context.Context, statement []byte) ([]byte, error) {
	const kind = "application/vnd.in-toto+json"
	sig, err := k.signature(fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(kind), kind, len(statement), statement))
	return fmt.Appendf(nil, `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"x"}},`+
		`"dsseEnvelope":{"payload":%q,"payloadType":%q,"signatures":[{"sig":%q}]}}`, base64.StdEncoding.EncodeToString(statement), kind, sig), err
}

func (w *world) sign(s signing.Signer, name, version string, d digest.Digest, o signing.SignOptions) {
	w.Helper()
	n, err := clyde.ParseName(name)
	if err != nil {
		w.Fatal(err)
	}
	desc, err := w.reg.Resolve(w.Context(), n.Repo(), d.String())
	if err != nil {
		w.Fatal(err)
	}
	_, err = signing.Sign(w.Context(), sink{w.reg, admin}, w.reg, s, signing.Subject{
		Repo: n.Repo(), Name: n, Version: version, Digest: d, MediaType: desc.MediaType, Size: desc.Size,
	}, o)
	if err != nil {
		w.Fatal(err)
	}
}

// dump is every derived table and what a search for everything finds, as text
// in a fixed order. Left out are the times at which storage wrote a manifest
// or a tag, which nobody is shown.
func (w *world) dump() string {
	w.Helper()
	ctx := w.Context()
	var b strings.Builder
	line := func(kind string, v any) {
		raw, err := json.Marshal(v)
		if err != nil {
			w.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %s\n", kind, raw)
	}
	check := func(err error) {
		if err != nil {
			w.Fatal(err)
		}
	}
	repos, err := w.db.Repos(ctx, "", 1000)
	check(err)
	for _, repo := range repos {
		ms, err := w.db.Manifests(ctx, repo, "", 1000)
		check(err)
		for _, m := range ms {
			m.Pushed = time.Time{}
			line("manifest", m)
			rs, err := w.db.Referrers(ctx, repo, m.Digest, "", "", 1000)
			check(err)
			for _, r := range rs {
				line("referrer", []string{m.Digest, r.Digest, r.ArtifactType})
			}
		}
		ts, err := w.db.Tags(ctx, repo, "", 1000)
		check(err)
		for _, t := range ts {
			t.Updated = time.Time{}
			line("tag", t)
		}
		listed, err := w.db.Releases(ctx, repo)
		check(err)
		for _, r := range listed {
			whole, err := w.db.ReleaseByVersion(ctx, repo, r.VersionKey)
			check(err)
			whole.Checked = time.Time{} // it is, once more
			line("release", whole)
			reqs, err := w.db.Requirements(ctx, repo, r.VersionKey)
			check(err)
			for _, q := range reqs {
				line("requirement", q)
			}
			bs, err := w.db.Builds(ctx, repo, r.VersionKey)
			check(err)
			for _, b := range bs {
				line("build", b)
			}
			info, err := w.in.Content.Info(ctx, r.Digest)
			check(err)
			line("content", info)
		}
	}
	ps, err := w.db.Packages(ctx, "", 1000)
	check(err)
	for _, p := range ps {
		line("package", p)
	}
	packages, releases, err := w.db.Stats(ctx)
	check(err)
	line("stats", []int64{packages, releases})
	counts, err := w.db.DependentCounts(ctx)
	check(err)
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		line("dependents", []any{k, counts[k]})
	}
	for _, q := range []string{"", "zlib", "library", "reads", "zlib.h"} {
		for _, sort := range index.Sorts {
			res, err := w.in.Engine.Search(ctx, index.Query{Text: q, Sort: sort, Limit: 100, Facets: true, Visible: func(string) bool { return true }})
			check(err)
			line("search "+q+" "+string(sort), res)
		}
	}
	return b.String()
}
