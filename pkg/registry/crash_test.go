package registry_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/registry"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// childEnv makes the test binary a server over the directory it names.
const childEnv = "CLYDE_TEST_REGISTRY_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := serveChild(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveChild serves until it is killed. It prints its address and a token.
func serveChild(dir string) error {
	ctx := context.Background()
	db, err := store.Open(ctx, store.Options{Path: filepath.Join(dir, "clyde.db")})
	if err != nil {
		return err
	}
	acc := account.New(db, nil)
	secret, _, err := acc.Create(ctx, account.Principal{ID: "test", Admin: true}, account.TokenSpec{Name: "admin", Admin: true})
	if err != nil {
		return err
	}
	r, err := registry.New(ctx, registry.Options{Root: filepath.Join(dir, "blobs"), Secret: []byte("kept"), DB: db, Accounts: acc, Admit: admitAll{db}})
	if err != nil {
		return err
	}
	s := httptest.NewServer(r.Handler())
	fmt.Println(s.URL, secret)
	select {}
}

// child starts a server and returns it with its address and a token.
func child(t *testing.T, dir string) (*exec.Cmd, *world) {
	t.Helper()
	cmd := exec.Command(os.Args[0]) // ended by kill, not by a context
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url, token, _ := strings.Cut(strings.TrimSpace(line), " ")
	return cmd, &world{t: t, url: url, host: strings.TrimPrefix(url, "http://"), admin: token}
}

func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // says that it was killed
}

func TestKillDuringPushes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd, w := child(t, dir)
	const pushes, killAfter = 200, 60
	var acked sync.Map // number → digest
	var count atomic.Int64
	enough := make(chan struct{})
	var wg sync.WaitGroup
	for i := range pushes {
		wg.Go(func() {
			if !pushOver(t.Context(), w.url, w.admin, fmt.Sprintf("acme/p%d", i%40), fmt.Sprintf("1.0.%d", i), fmt.Sprint(i)) {
				return
			}
			_, _, manifest := pack(fmt.Sprint(i))
			acked.Store(i, digest.FromBytes(manifest))
			if count.Add(1) == killAfter {
				close(enough)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-enough:
	case <-done:
	}
	kill(t, cmd)
	<-done
	cmd, w = child(t, dir)
	defer kill(t, cmd)
	n := 0
	for i := range pushes {
		repo, tag := fmt.Sprintf("acme/p%d", i%40), fmt.Sprintf("1.0.%d", i)
		config, layer, manifest := pack(fmt.Sprint(i))
		got := w.do("GET", "/v2/"+repo+"/manifests/"+tag, w.admin, nil)
		want, ok := acked.Load(i)
		if ok {
			n++
			if got.status != 200 || digest.FromString(got.body) != want {
				t.Errorf("%s:%s was acknowledged and answers %d %s after the restart", repo, tag, got.status, got.body)
			}
		}
		// What is visible is whole, acknowledged or not.
		if got.status == 200 {
			for _, b := range [][]byte{config, layer} {
				if g := w.do("GET", "/v2/"+repo+"/blobs/"+digest.FromBytes(b).String(), w.admin, nil); g.body != string(b) {
					t.Errorf("%s:%s is visible without blob %s: %d", repo, tag, digest.FromBytes(b), g.status)
				}
			}
			if got.body != string(manifest) {
				t.Errorf("%s:%s = %s; want %s", repo, tag, got.body, manifest)
			}
		} else if got.status != 404 {
			t.Errorf("%s:%s = %d; want 200 or 404", repo, tag, got.status)
		} else if i%20 == 0 && !pushOver(t.Context(), w.url, w.admin, repo, tag, fmt.Sprint(i)) {
			t.Errorf("%s:%s cannot be pushed after the restart", repo, tag)
		}
	}
	t.Logf("%d of %d pushes were acknowledged before the kill", n, pushes)
}

// pushOver publishes over plain HTTP and reports whether it was acknowledged.
func pushOver(ctx context.Context, url, token, repo, tag, salt string) bool {
	config, layer, manifest := pack(salt)
	send := func(method, path string, b []byte, mediaType string) bool {
		req, err := http.NewRequestWithContext(ctx, method, url+path, bytes.NewReader(b))
		if err != nil {
			return false
		}
		req.SetBasicAuth("x", token)
		req.Header.Set("Content-Type", mediaType)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		return resp.Body.Close() == nil && resp.StatusCode == http.StatusCreated
	}
	for _, b := range [][]byte{config, layer} {
		if !send("POST", "/v2/"+repo+"/blobs/uploads/?digest="+digest.FromBytes(b).String(), b, "application/octet-stream") {
			return false
		}
	}
	return send("PUT", "/v2/"+repo+"/manifests/"+tag, manifest, "application/vnd.oci.image.manifest.v1+json")
}

func TestUploadResumesAfterKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd, w := child(t, dir)
	content := strings.Repeat("resumable ", 10_000)
	half := len(content) / 2
	begin := w.do("POST", "/v2/acme/z/blobs/uploads/", w.admin, nil)
	patch := w.do("PATCH", begin.header.Get("Location"), w.admin, strings.NewReader(content[:half]))
	if patch.status != 202 {
		t.Fatalf("PATCH = %d %s", patch.status, patch.body)
	}
	untouched := w.do("POST", "/v2/acme/z/blobs/uploads/", w.admin, nil).header.Get("Location")
	kill(t, cmd)
	cmd, w2 := child(t, dir)
	defer kill(t, cmd)
	w2.admin = w.admin // the session is its owner's
	small := digest.FromString("small").String()
	if got := w2.do("PUT", untouched+"&digest="+small, w2.admin, strings.NewReader("small")); got.status != 201 {
		t.Errorf("PUT to an upload that had received nothing = %d %s; want 201", got.status, got.body)
	}
	at := patch.header.Get("Location")
	got := w2.do("GET", at, w2.admin, nil)
	if got.status != 204 || got.header.Get("Range") != fmt.Sprintf("0-%d", half-1) {
		t.Fatalf("after the restart the upload is at %q, %d; want 0-%d", got.header.Get("Range"), got.status, half-1)
	}
	d := digest.FromString(content).String()
	if got := w2.do("PUT", at+"&digest="+d, w2.admin, strings.NewReader(content[half:])); got.status != 201 {
		t.Errorf("PUT = %d %s; want 201", got.status, got.body)
	}
}

func TestWalk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.r.Walk(t.Context(), func(string, store.Manifest, []string) error { return nil }); err != nil {
		t.Errorf("Walk of nothing: %v", err)
	}
	a := w.mustPublish("acme/a", "1.0.0", "a")
	b := w.mustPublish("acme/b", "2.0.0", "b")
	var got []string
	err := w.r.Walk(t.Context(), func(repo string, m store.Manifest, tags []string) error {
		got = append(got, fmt.Sprint(repo, " ", m.Digest, " ", tags))
		row, err := w.db.Manifest(t.Context(), repo, m.Digest)
		if err != nil {
			return err
		}
		if m.ArtifactType != artifact.TypePackage || m.MediaType != row.MediaType || m.Size != row.Size || len(m.Refs) != 2 {
			t.Errorf("Walk(%s) = %+v; the database has %+v", repo, m, row)
		}
		return nil
	})
	want := []string{fmt.Sprintf("acme/a %s [1.0.0]", a.Digest), fmt.Sprintf("acme/b %s [2.0.0]", b.Digest)}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("Walk = %v, %v; want %v", got, err, want)
	}
}
