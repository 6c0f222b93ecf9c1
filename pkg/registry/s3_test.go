package registry_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/internal/toolchaintest"
	"github.com/clydepm/clyde-registry/pkg/registry"
	"github.com/clydepm/clyde-registry/pkg/registry/s3driver"
)

const (
	s3Access = "testaccess"
	s3Secret = "testsecretkey1"
	s3Bucket = "registry"
)

// s3Server runs versitygw on a directory, and returns its address and the
// directory of the bucket.
func s3Server(t *testing.T) (endpoint, dir string) {
	t.Helper()
	tool := filepath.Join(toolchaintest.Tools(t, "versitygw"), "versitygw")
	root := t.TempDir()
	dir = filepath.Join(root, s3Bucket)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(tool, "--port", addr, "--access", s3Access, "--secret", s3Secret, "--quiet", "posix", root)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("versitygw: %s", log.String())
		}
	})
	for deadline := time.Now().Add(time.Minute); ; {
		resp, err := http.Get("http://" + addr + "/")
		if err == nil {
			_ = resp.Body.Close()
			return "http://" + addr, dir
		}
		if time.Now().After(deadline) {
			t.Fatalf("versitygw does not answer: %v\n%s", err, log.String())
		}
		<-time.After(50 * time.Millisecond)
	}
}

func inBucket(endpoint string) option {
	return func(o *registry.Options) {
		o.Root = ""
		o.Bucket = &s3driver.Options{Endpoint: endpoint, Region: "us-east-1", Bucket: s3Bucket, Prefix: "clyde", AccessKey: s3Access, SecretKey: s3Secret, PathStyle: true}
	}
}

func TestS3(t *testing.T) {
	t.Parallel()
	endpoint, dir := s3Server(t)

	t.Run("push and pull", func(t *testing.T) {
		w := newWorld(t, inBucket(endpoint), withGrace(time.Hour))
		w.mustPublish("acme/zlib", "1.0.0", "x")
		_, layer, manifest := pack("x")
		if r := w.do(http.MethodGet, "/v2/acme/zlib/manifests/1.0.0", w.admin, nil); r.status != http.StatusOK || r.body != string(manifest) {
			t.Errorf("manifest: %d", r.status)
		}
		if !w.has("acme/zlib", layer) {
			t.Error("the layer is not there")
		}
		if r := w.do(http.MethodGet, "/v2/acme/zlib/blobs/"+digest.FromBytes(layer).String(), w.admin, nil, "Range", "bytes=2-4"); r.status != http.StatusPartialContent || r.body != string(layer[2:5]) {
			t.Errorf("range: %d %q", r.status, r.body)
		}
		if r := w.do(http.MethodGet, "/v2/acme/zlib/blobs/"+digest.FromString("absent").String(), w.admin, nil); r.status != http.StatusNotFound {
			t.Errorf("absent: %d", r.status)
		}
		if s := w.scrub(registry.ScrubOptions{}); len(s.Damages) != 0 || s.Blobs != 3 {
			t.Errorf("scrub: %+v", s)
		}
		if c := w.collect(false); c.Removed != 0 || c.Blobs < 3 {
			t.Errorf("collection: %+v", c)
		}
	})

	t.Run("a large blob in chunks", func(t *testing.T) {
		w := newWorld(t, inBucket(endpoint), withGrace(time.Nanosecond), func(o *registry.Options) { o.Log = slog.New(slog.NewTextHandler(t.Output(), nil)) })
		const size = 40 << 20 // beyond what is copied in one request
		rnd := rand.NewChaCha8([32]byte{1})
		b := make([]byte, size)
		_, _ = rnd.Read(b)
		at := w.do(http.MethodPost, "/v2/acme/big/blobs/uploads/", w.admin, nil).header.Get("Location")
		for off := 0; off < size; off += size / 2 {
			r := w.do(http.MethodPatch, at, w.admin, bytes.NewReader(b[off:off+size/2]), "Content-Range", fmt.Sprintf("%d-%d", off, off+size/2-1))
			if r.status != http.StatusAccepted {
				t.Fatalf("chunk: %d %s", r.status, r.body)
			}
			at = r.header.Get("Location")
		}
		d := fmt.Sprintf("sha256:%x", sha256.Sum256(b))
		if r := w.do(http.MethodPut, at+"&digest="+d, w.admin, nil); r.status != http.StatusCreated {
			t.Fatalf("end: %d %s", r.status, r.body)
		}
		if !w.has("acme/big", b) {
			t.Error("other bytes came back")
		}
		if c := w.collect(false); c.Removed != 1 || c.Links != 1 || c.Freed != size {
			t.Errorf("collection: %+v; want the blob and its link", c)
		}
	})

	t.Run("redirect", func(t *testing.T) {
		w := newWorld(t, inBucket(endpoint), func(o *registry.Options) { o.Redirect = true })
		w.mustPublish("acme/there", "1.0.0", "there")
		_, layer, _ := pack("there")
		p := "/v2/acme/there/blobs/" + digest.FromBytes(layer).String()
		w.setPrivate("acme/there", true)
		if r := w.do(http.MethodGet, p, "", nil); r.status != http.StatusUnauthorized || r.header.Get("Location") != "" {
			t.Errorf("without a token: %d, Location %q", r.status, r.header.Get("Location"))
		}
		r := w.do(http.MethodGet, p, w.admin, nil)
		to := r.header.Get("Location")
		if r.status != http.StatusTemporaryRedirect || !strings.HasPrefix(to, endpoint+"/"+s3Bucket+"/clyde/docker/") || r.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%d to %q; want 307 to the bucket, not to be stored", r.status, to)
		}
		resp, err := http.Get(to)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if b, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK || !bytes.Equal(b, layer) {
			t.Errorf("there: %d %v", resp.StatusCode, err)
		}
		if r := w.do(http.MethodHead, p, w.admin, nil); r.status != http.StatusOK {
			t.Errorf("HEAD: %d; want it answered here", r.status)
		}
	})

	t.Run("damage", func(t *testing.T) {
		w := newWorld(t, inBucket(endpoint))
		w.mustPublish("acme/hurt", "1.0.0", "hurt")
		_, layer, _ := pack("hurt")
		d := digest.FromBytes(layer)
		file := filepath.Join(dir, "clyde/docker/registry/v2/blobs/sha256", d.Encoded()[:2], d.Encoded(), "data")
		if err := os.WriteFile(file, bytes.ToUpper(layer), 0o600); err != nil {
			t.Fatal(err)
		}
		if s := w.scrub(registry.ScrubOptions{}); len(s.Damages) != 1 || s.Damages[0].Digest != d.String() {
			t.Fatalf("%+v; want the layer", s.Damages)
		}
		if r := w.do(http.MethodHead, "/v2/acme/hurt/blobs/"+d.String(), w.admin, nil); r.status != http.StatusNotFound {
			t.Errorf("HEAD: %d; want 404", r.status)
		}
		w.mustPublish("acme/hurt", "1.0.0", "hurt")
		if s := w.scrub(registry.ScrubOptions{}); len(s.Damages) != 0 || !w.has("acme/hurt", layer) {
			t.Errorf("pushed again: %+v", s.Damages)
		}
	})

	t.Run("pushes beside collections", func(t *testing.T) {
		w := newWorld(t, inBucket(endpoint), withGrace(time.Nanosecond))
		pushBesideCollections(t, w, 40, true)
	})

	t.Run("refused", func(t *testing.T) {
		o := registry.Options{Secret: []byte("x"), Accounts: nil}
		inBucket(endpoint)(&o)
		o.Bucket.SecretKey = "wrong"
		w := newWorld(t) // for its parts
		o.DB, o.Accounts, o.Admit = w.db, w.acc, admitAll{w.db}
		if _, err := registry.New(t.Context(), o); err == nil || !strings.Contains(err.Error(), "cannot be used") {
			t.Errorf("wrong key: %v; want a refusal", err)
		}
	})
}
