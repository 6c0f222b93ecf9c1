package registry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/memory"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/ingest"
	"github.com/clydepm/clyde-registry/pkg/registry"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// admitAll admits every manifest whose blobs are there. Tags of packages are
// versions, each good for one digest; other tags move.
type admitAll struct{ db *store.DB }

func (a admitAll) Admit(ctx context.Context, p ingest.Push, blobs ingest.Blobs) (ingest.Admission, error) {
	var m ocispec.Manifest
	if err := json.Unmarshal(p.Payload, &m); err != nil {
		return ingest.Admission{}, clyde.Errorf(clyde.ErrInvalid, "not JSON").WithCode("manifest_invalid")
	}
	d := digest.FromBytes(p.Payload).String()
	c := store.Commit{Tag: p.Tag, Actor: p.Principal.String(), Manifest: store.Manifest{
		Repo: p.Repo, Digest: d, MediaType: p.MediaType, ArtifactType: m.ArtifactType, Size: int64(len(p.Payload)), Annotations: m.Annotations,
	}}
	if c.Manifest.ArtifactType == "" {
		c.Manifest.ArtifactType = m.Config.MediaType
	}
	refs := m.Layers
	if p.MediaType == ocispec.MediaTypeImageIndex {
		refs = nil
	}
	if m.Config.Digest != "" {
		refs = append(refs, m.Config)
	}
	for _, r := range refs {
		rc, err := blobs.Blob(ctx, p.Repo, r)
		if err != nil {
			return ingest.Admission{}, clyde.Errorf(clyde.ErrInvalid, "blob %s is not in %s", r.Digest, p.Repo).WithCode("manifest_blob_unknown").Because(err)
		}
		if err := rc.Close(); err != nil {
			return ingest.Admission{}, err
		}
		c.Manifest.Refs = append(c.Manifest.Refs, r.Digest.String())
	}
	if m.Subject != nil {
		c.Manifest.Subject = m.Subject.Digest.String()
	}
	if m.ArtifactType == artifact.TypePackage && p.Tag != "" {
		c.VersionKey = p.Tag
		if err := a.db.Reserve(ctx, store.Claim{Repo: p.Repo, VersionKey: p.Tag, Version: p.Tag, Digest: d, Actor: c.Actor}, time.Minute); err != nil {
			return ingest.Admission{}, err
		}
	}
	c.Event = clyde.Event{Source: "registry", Action: clyde.ActionPush, Repo: p.Repo, Tag: p.Tag, Digest: d, Actor: c.Actor, Received: time.Now().UTC()}
	return ingest.Admission{Commit: c, Payload: p.Payload}, nil
}

func (a admitAll) Abandon(ctx context.Context, ad ingest.Admission) {
	if k := ad.Commit.VersionKey; k != "" {
		_ = a.db.Unreserve(ctx, ad.Commit.Manifest.Repo, k, ad.Commit.Manifest.Digest) // the lease ends it otherwise
	}
}

// world is a registry that listens, with its database and tokens.
type world struct {
	t     *testing.T
	r     *registry.Registry
	db    *store.DB
	url   string
	host  string
	admin string // the administrator's token
	acc   *account.Accounts

	mu      sync.Mutex
	private map[string]bool
	pulled  []string
}

type option func(*registry.Options)

func newWorld(t *testing.T, opts ...option) *world {
	t.Helper()
	ctx := t.Context()
	db, err := store.Open(ctx, store.Options{Path: filepath.Join(t.TempDir(), "clyde.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	w := &world{t: t, db: db, acc: account.New(db, nil), private: map[string]bool{}}
	w.admin = w.token(account.TokenSpec{Name: "admin", Admin: true})
	o := registry.Options{
		Root: t.TempDir(), Secret: []byte("test secret"), DB: db, Accounts: w.acc, Admit: admitAll{db},
		Private: func(_ context.Context, repo string) (bool, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.private[repo], nil
		},
		Pulled: func(p registry.Pull) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.pulled = append(w.pulled, p.Repo+"@"+p.Digest)
		},
	}
	for _, opt := range opts {
		opt(&o)
	}
	if w.r, err = registry.New(ctx, o); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/v2/", w.r.Handler())
	s := httptest.NewServer(mux)
	t.Cleanup(func() {
		s.Close()
		if err := w.r.Close(); err != nil {
			t.Error(err)
		}
	})
	w.url, w.host = s.URL, strings.TrimPrefix(s.URL, "http://")
	return w
}

func (w *world) token(spec account.TokenSpec) string {
	w.t.Helper()
	secret, _, err := w.acc.Create(w.t.Context(), account.Principal{ID: "test", Admin: true}, spec)
	if err != nil {
		w.t.Fatal(err)
	}
	return secret
}

func (w *world) setPrivate(repo string, private bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.private[repo] = private
}

// repo is oras-go's view of a repository, as whoever holds the token.
func (w *world) repo(name, token string) *remote.Repository {
	w.t.Helper()
	r, err := remote.NewRepository(w.host + "/" + name)
	if err != nil {
		w.t.Fatal(err)
	}
	r.PlainHTTP = true
	c := &auth.Client{Client: &http.Client{}, Cache: auth.NewCache()}
	if token != "" {
		c.Credential = auth.StaticCredential(w.host, auth.Credential{Username: "x", Password: token})
	}
	r.Client = c
	return r
}

func desc(mediaType string, b []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(b), Size: int64(len(b))}
}

// pack is a manifest of a package with its blobs; salt makes it differ.
func pack(salt string) (config, layer, manifest []byte) {
	config, layer = []byte("name: x\nsalt: "+salt+"\n"), []byte("layer "+salt)
	m := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: artifact.TypePackage,
		Config: desc(artifact.TypeConfig, config), Layers: []ocispec.Descriptor{desc(artifact.TypeSourceGzip, layer)},
	}
	manifest, err := json.Marshal(m)
	if err != nil {
		panic(err) // a fixed structure
	}
	return config, layer, manifest
}

// publish pushes a package with oras-go.
func (w *world) publish(repo, tag, salt, token string) (ocispec.Descriptor, error) {
	ctx := w.t.Context()
	config, layer, manifest := pack(salt)
	r := w.repo(repo, token)
	if err := r.Push(ctx, desc(artifact.TypeConfig, config), bytes.NewReader(config)); err != nil {
		return ocispec.Descriptor{}, err
	}
	if err := r.Push(ctx, desc(artifact.TypeSourceGzip, layer), bytes.NewReader(layer)); err != nil {
		return ocispec.Descriptor{}, err
	}
	d := desc(ocispec.MediaTypeImageManifest, manifest)
	return d, r.PushReference(ctx, d, bytes.NewReader(manifest), tag)
}

func (w *world) mustPublish(repo, tag, salt string) ocispec.Descriptor {
	w.t.Helper()
	d, err := w.publish(repo, tag, salt, w.admin)
	if err != nil {
		w.t.Fatalf("publish %s:%s: %v", repo, tag, err)
	}
	return d
}

type reply struct {
	status int
	header http.Header
	body   string
}

// do sends one request. The path is put on the wire as written.
func (w *world) do(method, path, token string, body io.Reader, headers ...string) reply {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	if token != "" {
		req.SetBasicAuth("x", token)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	c := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(b)}
}

func TestPushPull(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	d := w.mustPublish("acme/zlib", "1.0.0", "a")
	dst := memory.New()
	got, err := oras.Copy(ctx, w.repo("acme/zlib", ""), "1.0.0", dst, "1.0.0", oras.DefaultCopyOptions)
	if err != nil || got.Digest != d.Digest {
		t.Fatalf("anonymous pull = %v, %v; want %v", got, err, d.Digest)
	}
	w.mu.Lock()
	if len(w.pulled) == 0 || w.pulled[0] != "acme/zlib@"+d.Digest.String() {
		t.Errorf("pulled = %v; want %s", w.pulled, d.Digest)
	}
	w.mu.Unlock()
	// The same content again is success, another is refused with both digests.
	if _, err := w.publish("acme/zlib", "1.0.0", "a", w.admin); err != nil {
		t.Errorf("publish again: %v", err)
	}
	other, err := w.publish("acme/zlib", "1.0.0", "b", w.admin)
	if err == nil || !strings.Contains(err.Error(), "403") || !strings.Contains(err.Error(), d.Digest.String()) || !strings.Contains(err.Error(), other.Digest.String()) {
		t.Errorf("publish other content: %v; want 403 with both digests", err)
	}
	// In process, the same answers.
	rd, err := w.r.Resolve(ctx, "acme/zlib", "1.0.0")
	if err != nil || rd.Digest != d.Digest || rd.ArtifactType != artifact.TypePackage {
		t.Errorf("Resolve = %v, %v", rd, err)
	}
	if _, err := w.r.Resolve(ctx, "acme/zlib", "9.9.9"); !errors.Is(err, clyde.ErrNotFound) {
		t.Errorf("Resolve of an absent tag: %v; want ErrNotFound", err)
	}
}
