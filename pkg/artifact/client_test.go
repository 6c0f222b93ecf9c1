package artifact_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
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

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/ingest"
	"github.com/clydepm/clyde-registry/pkg/registry"
	"github.com/clydepm/clyde-registry/pkg/signing"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// admit takes every manifest; a tag of a package is good for one digest.
type admit struct{ db *store.DB }

func (a admit) Admit(ctx context.Context, p ingest.Push, _ ingest.Blobs) (ingest.Admission, error) {
	var m ocispec.Manifest
	if err := json.Unmarshal(p.Payload, &m); err != nil {
		return ingest.Admission{}, clyde.Errorf(clyde.ErrInvalid, "not JSON").WithCode("manifest_invalid")
	}
	if m.Annotations["bad"] != "" {
		return ingest.Admission{}, &clyde.Error{
			Kind: clyde.ErrInvalid, Code: "invalid_package", Msg: "package.yaml: version is missing", Fixes: []string{"Add a version.", "Push again."},
			Problems: clyde.Problems{{Code: "version_missing", Line: 3, Column: 1, Msg: "there is no version"}},
		}
	}
	d := digest.FromBytes(p.Payload).String()
	c := store.Commit{Tag: p.Tag, Actor: p.Principal.String(), Manifest: store.Manifest{
		Repo: p.Repo, Digest: d, MediaType: p.MediaType, ArtifactType: m.ArtifactType, Size: int64(len(p.Payload)), Annotations: m.Annotations,
	}}
	if m.Subject != nil {
		c.Manifest.Subject = m.Subject.Digest.String()
	}
	for _, r := range append(m.Layers, m.Config) {
		if r.Digest != "" {
			c.Manifest.Refs = append(c.Manifest.Refs, r.Digest.String())
		}
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

func (admit) Abandon(context.Context, ingest.Admission) {}

// world is the embedded registry behind something that may fail: front sees
// every request first, and answers it or passes it on.
type world struct {
	t     *testing.T
	token string
	host  string
	root  string
	db    *store.DB
	acc   *account.Accounts

	mu    sync.Mutex
	reg   *registry.Registry
	front func(w http.ResponseWriter, r *http.Request, next http.Handler)
	log   []string // "METHOD path" of each request
}

func newWorld(t *testing.T) *world {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "clyde.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	w := &world{t: t, db: db, root: t.TempDir(), acc: account.New(db, nil)}
	w.token, _, err = w.acc.Create(t.Context(), account.Principal{ID: "test", Admin: true}, account.TokenSpec{Name: "admin", Admin: true})
	if err != nil {
		t.Fatal(err)
	}
	w.start()
	s := httptest.NewServer(w)
	t.Cleanup(func() {
		s.Close()
		if err := w.reg.Close(); err != nil {
			t.Error(err)
		}
	})
	w.host = strings.TrimPrefix(s.URL, "http://")
	return w
}

// start opens the registry on what lies on disk.
func (w *world) start() {
	r, err := registry.New(w.t.Context(), registry.Options{Root: w.root, Secret: []byte("test secret"), DB: w.db, Accounts: w.acc, Admit: admit{w.db}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reg = r
}

// restart replaces the registry by a new one, as a new process would.
func (w *world) restart() {
	w.mu.Lock()
	old := w.reg
	w.mu.Unlock()
	if err := old.Close(); err != nil {
		w.t.Error(err)
	}
	w.start()
}

func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.log = append(w.log, r.Method+" "+r.URL.Path)
	front, next := w.front, w.reg.Handler()
	w.mu.Unlock()
	if front == nil {
		next.ServeHTTP(rw, r)
		return
	}
	front(rw, r, next)
}

// before puts something in front of the registry.
func (w *world) before(front func(w http.ResponseWriter, r *http.Request, next http.Handler)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.front = front
}

// forget empties the log of requests.
func (w *world) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = nil
}

// requests returns how many requests had this method and a path with part.
func (w *world) requests(method, part string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, l := range w.log {
		if strings.HasPrefix(l, method+" ") && strings.Contains(l, part) {
			n++
		}
	}
	return n
}

// credential is the token as every tool sends it.
func credential(user, secret string) func(context.Context) (string, string, error) {
	return func(context.Context) (string, string, error) { return user, secret, nil }
}

// waits remembers what a client would have waited.
type waits struct {
	mu  sync.Mutex
	all []time.Duration
}

func (w *waits) wait(ctx context.Context, d time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, d)
	return ctx.Err()
}

func newClient(t *testing.T, o artifact.ClientOptions) (*artifact.Client, *waits) {
	t.Helper()
	o.Plain = true
	if o.Transport == nil {
		tr := &http.Transport{ExpectContinueTimeout: time.Second}
		t.Cleanup(tr.CloseIdleConnections)
		o.Transport = tr
	}
	c, err := artifact.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	w := &waits{}
	c.SetWait(w.wait)
	return c, w
}

func (w *world) client() (*artifact.Client, *waits) {
	return newClient(w.t, artifact.ClientOptions{Host: w.host, Credential: credential("admin", w.token)})
}

// noise is n bytes that differ by seed.
func noise(n int, seed uint64) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = r.Read(b) // never fails
	return b
}

func bytesBlob(mediaType string, b []byte) artifact.Blob {
	return artifact.Blob{
		Descriptor: ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(b), Size: int64(len(b))},
		Open:       func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil },
	}
}

// packed is a package with one layer of that content.
func packed(t *testing.T, layer []byte, annotations map[string]string) *artifact.Packed {
	t.Helper()
	p := &artifact.Packed{
		Config: bytesBlob(artifact.TypeConfig, []byte("name: zlib\n")),
		Layers: []artifact.Blob{bytesBlob(artifact.TypeSourceGzip, layer)},
	}
	var err error
	p.Manifest, err = json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: artifact.TypePackage,
		Config: p.Config.Descriptor, Layers: []ocispec.Descriptor{p.Layers[0].Descriptor}, Annotations: annotations,
	})
	if err != nil {
		t.Fatal(err)
	}
	p.Descriptor = ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(p.Manifest), Size: int64(len(p.Manifest))}
	return p
}

// watchProgress fails the test when progress goes back or beyond its total,
// and returns how it ended.
func watchProgress(t *testing.T) (artifact.Progress, func() (done, total int64)) {
	var mu sync.Mutex
	var last, sum int64
	return func(done, total int64) {
			mu.Lock()
			defer mu.Unlock()
			if done < last || done > total {
				t.Errorf("progress %d of %d after %d", done, total, last)
			}
			last, sum = done, total
		}, func() (int64, int64) {
			mu.Lock()
			defer mu.Unlock()
			return last, sum
		}
}

func wantKind(t *testing.T, what string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s = %v; want an error of kind %q", what, err, kind)
	}
}

func TestPushAndRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, _ := w.client()
	ctx := t.Context()
	p := packed(t, noise(100_000, 1), nil)
	progress, ended := watchProgress(t)
	if err := c.Push(ctx, "acme/zlib", p, []string{"1.0.0", "2.0.0"}, progress); err != nil {
		t.Fatal(err)
	}
	want := p.Config.Descriptor.Size + 100_000 + p.Descriptor.Size
	if done, total := ended(); done != want || total != want {
		t.Errorf("progress ended at %d of %d; want %d", done, total, want)
	}
	posts := w.requests("POST", "/blobs/uploads/")
	if err := c.Push(ctx, "acme/zlib", p, []string{"1.0.0"}, nil); err != nil {
		t.Fatal(err)
	}
	if got := w.requests("POST", "/blobs/uploads/"); got != posts {
		t.Errorf("the second push uploaded %d blobs; want none", got-posts)
	}
	d, err := c.Resolve(ctx, "acme/zlib", "1.0.0")
	if err != nil || d.Digest != p.Descriptor.Digest || d.Size != p.Descriptor.Size || d.MediaType != ocispec.MediaTypeImageManifest {
		t.Errorf("Resolve = %+v, %v; want %+v", d, err, p.Descriptor)
	}
	b, mt, err := c.Manifest(ctx, "acme/zlib", d.Digest)
	if err != nil || !bytes.Equal(b, p.Manifest) || mt != ocispec.MediaTypeImageManifest {
		t.Errorf("Manifest = %q, %q, %v", b, mt, err)
	}
	rc, err := c.Blob(ctx, "acme/zlib", p.Layers[0].Descriptor)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(rc)
	if err != nil || !bytes.Equal(got, noise(100_000, 1)) {
		t.Errorf("Blob: %d bytes, %v", len(got), err)
	}
	if err := rc.Close(); err != nil {
		t.Error(err)
	}
	tags, err := c.Tags(ctx, "acme/zlib", "", 0)
	if err != nil || fmt.Sprint(tags) != "[1.0.0 2.0.0]" {
		t.Errorf("Tags = %v, %v", tags, err)
	}
	repos, err := c.Repositories(ctx, "", 0)
	if err != nil || fmt.Sprint(repos) != "[acme/zlib]" {
		t.Errorf("Repositories = %v, %v", repos, err)
	}
	if err := c.Ping(ctx); err != nil {
		t.Errorf("Ping = %v", err)
	}
	anonymous, _ := newClient(t, artifact.ClientOptions{Host: w.host})
	wantKind(t, "Ping without a credential", anonymous.Ping(ctx), clyde.ErrUnauthenticated)
	wantKind(t, "Push without a credential", anonymous.Push(ctx, "acme/zlib", packed(t, []byte("x"), nil), []string{"3.0.0"}, nil), clyde.ErrUnauthenticated)
	if _, err := anonymous.Resolve(ctx, "acme/zlib", "1.0.0"); err != nil {
		t.Errorf("Resolve without a credential = %v; want what is public", err)
	}
	_, err = c.Resolve(ctx, "acme/zlib", "9.9.9")
	wantKind(t, "Resolve of what is not there", err, clyde.ErrNotFound)
	other := packed(t, []byte("other"), nil)
	err = c.Push(ctx, "acme/zlib", other, []string{"1.0.0"}, nil)
	wantKind(t, "Push of other content", err, clyde.ErrConflict)
	if e := clyde.AsError(err); e == nil || e.Code != "version_exists" || len(e.Fixes) != 1 || strings.Contains(e.Msg, e.Fixes[0]) {
		t.Errorf("Push of other content = %+v; want the code and the fix apart", e)
	}
	err = c.Push(ctx, "acme/zlib", packed(t, []byte("x"), map[string]string{"bad": "yes"}), []string{"3.0.0"}, nil)
	if e := clyde.AsError(err); e == nil || e.Msg != "package.yaml: version is missing" || len(e.Fixes) != 2 || len(e.Problems) != 1 || e.Problems[0].Line != 3 {
		t.Errorf("Push of a bad package = %+v; want the registry's sentence, fixes and problems", e)
	}
	wantKind(t, "Push by digest", c.Push(ctx, "acme/zlib", other, nil, nil), nil)
}

func TestSignThroughClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, _ := w.client()
	ctx := t.Context()
	p := packed(t, []byte("archive"), nil)
	if err := c.Push(ctx, "acme/zlib", p, []string{"1.0.0"}, nil); err != nil {
		t.Fatal(err)
	}
	private, public, err := signing.GenerateKeyPair([]byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := signing.LoadSigner(private, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := signing.ParsePublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	sub := signing.Subject{
		Repo: "acme/zlib", Name: clyde.Name{Namespace: "acme", Base: "zlib"}, Version: "1.0.0",
		Digest: p.Descriptor.Digest, MediaType: p.Descriptor.MediaType, Size: p.Descriptor.Size,
	}
	out, err := signing.Sign(ctx, c, c, signer, sub, signing.SignOptions{Legacy: true})
	if err != nil || len(out) != 2 {
		t.Fatalf("Sign = %v, %v; want two", out, err)
	}
	entries, err := signing.Discover(ctx, c, sub.Repo, sub.Digest, signing.Limits{})
	if err != nil || len(entries) != 2 {
		t.Errorf("Discover = %v, %v; want two", entries, err)
	}
	rep, err := signing.Verify(ctx, c, sub, []signing.Key{key}, signing.Limits{})
	if err != nil || rep.State != signing.StateVerified {
		t.Errorf("Verify = %+v, %v; want verified", rep, err)
	}
	refs, err := c.Referrers(ctx, sub.Repo, sub.Digest)
	if err != nil || len(refs) == 0 || refs[0].ArtifactType == "" {
		t.Errorf("Referrers = %+v, %v", refs, err)
	}
}
