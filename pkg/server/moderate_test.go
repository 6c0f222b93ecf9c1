package server

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// tarball is a source archive of one header.
func tarball(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	err := errors.Join(
		w.WriteHeader(&tar.Header{Name: "include/tool.h", Mode: 0o644, Size: int64(len(text))}),
		func() error { _, err := w.Write([]byte(text)); return err }(),
		w.Close(), z.Close(),
	)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// release publishes a version and returns its manifest's digest.
func release(t *testing.T, s *Server, version, description string, archive []byte) string {
	t.Helper()
	yaml := fmt.Sprintf("name: \"@acme/tool\"\nversion: %q\ndescription: %s\nlicense: MIT\nlanguage: c\ntype: library\n", version, description)
	if _, _, err := s.Ingest.Publish(t.Context(), s.Registry, System, []byte(yaml), bytes.NewReader(archive), artifact.TypeSourceGzip); err != nil {
		t.Fatal(err)
	}
	c, err := s.DB.Claim(t.Context(), "acme/tool", mustKey(t, version))
	if err != nil {
		t.Fatal(err)
	}
	return c.Digest
}

func mustKey(t *testing.T, version string) string {
	t.Helper()
	v, err := clyde.ParseVersion(version)
	if err != nil {
		t.Fatal(err)
	}
	return v.Canonical()
}

// layers returns the digests of a version's config and source.
func layers(t *testing.T, s *Server, repo, dgst string) (config, source string) {
	t.Helper()
	b, _, err := s.Registry.Manifest(t.Context(), repo, digest.Digest(dgst))
	if err != nil {
		t.Fatal(err)
	}
	m, err := artifact.ParsePackage(b)
	if err != nil {
		t.Fatal(err)
	}
	return m.Config.Digest.String(), m.Source.Digest.String()
}

func decide(t *testing.T, s *Server, version, decision string) {
	t.Helper()
	name := clyde.Name{Namespace: "acme", Base: "tool"}
	if _, err := s.Moderator.Decide(t.Context(), System, name, version, decision, "it phones home"); err != nil {
		t.Fatalf("%s %s: %v", decision, version, err)
	}
}

// TestWithdrawn goes round everything that hands a version out.
func TestWithdrawn(t *testing.T) {
	t.Parallel()
	s := start(t, testConfig(t), Options{})
	shared := tarball(t, "int shared;")
	old := release(t, s, "1.0.0", "the first", shared)
	bad := release(t, s, "1.1.0", "the bad one", shared)
	own := release(t, s, "1.2.0", "the other bad one", tarball(t, "int own;"))
	_, sharedBlob := layers(t, s, "acme/tool", bad)
	ownConfig, ownBlob := layers(t, s, "acme/tool", own)
	at := base(s)
	v2, v1 := at+"/v2/acme/tool", at+"/api/v1/packages/acme/tool"
	status := func(url string, want int, text string) string {
		t.Helper()
		resp, body := get(t, http.DefaultClient, url)
		if resp.StatusCode != want || !strings.Contains(body, text) {
			t.Errorf("GET %s = %d %.300s; want %d with %q", strings.TrimPrefix(url, at), resp.StatusCode, body, want, text)
		}
		if cc := resp.Header.Get("Cache-Control"); want == http.StatusGone && !strings.Contains(cc, "no-store") {
			t.Errorf("GET %s: Cache-Control %q", strings.TrimPrefix(url, at), cc)
		}
		return body
	}
	for _, step := range []struct{ decision, state string }{{account.Quarantine, "quarantined"}, {account.Remove, "removed"}} {
		decide(t, s, "1.2.0", step.decision)
		decide(t, s, "1.1.0", step.decision)
		for _, url := range []string{
			v2 + "/manifests/1.1.0", v2 + "/manifests/" + bad, v2 + "/manifests/1.2.0", v2 + "/manifests/" + own, v2 + "/referrers/" + own,
			v2 + "/blobs/" + ownBlob, v2 + "/blobs/" + ownConfig, v1 + "/versions/1.2.0", v1 + "/versions/1.2.0/manifest",
			v1 + "/versions/1.2.0/files", v1 + "/versions/1.2.0/readme", at + "/packages/acme/tool/1.2.0",
		} {
			status(url, http.StatusGone, "it phones home")
		}
		status(v2+"/blobs/"+sharedBlob, http.StatusOK, "") // 1.0.0 needs it
		status(v2+"/manifests/1.0.0", http.StatusOK, old[:0])
		if tags := status(v2+"/tags/list", http.StatusOK, "1.0.0"); strings.Contains(tags, "1.1.0") || strings.Contains(tags, "1.2.0") {
			t.Errorf("tags: %s", tags)
		}
		status(v1, http.StatusOK, `"latest":"1.0.0"`)
		status(v1+"/resolve?range=^1", http.StatusOK, `"version":"1.0.0"`)
		status(v1+"/resolve?range=^1.1", http.StatusNotFound, "would fit but is "+step.state)
		status(v1+"/versions", http.StatusOK, `"withdrawn":{"state":"`+step.state+`"`)
		status(at+"/packages/acme/tool/versions", http.StatusOK, step.state)
		index := status(at+"/api/v1/index/acme/tool.ndjson", http.StatusOK, "")
		if n := strings.Count(index, `"withdrawn":"`+step.state+`"`); n != 2 {
			t.Errorf("index marks %d versions:\n%s", n, index)
		}
		if hits := status(at+"/api/v1/search?q=tool", http.StatusOK, `"latest":"1.0.0"`); strings.Contains(hits, "bad one") {
			t.Errorf("search still finds it: %s", hits)
		}
		status(at+"/api/v1/changes", http.StatusOK, `"type":"version.`+step.state+`"`)
		if n := stats(t, s); n != 1 {
			t.Errorf("%d releases are counted, want 1", n)
		}
	}
	// The same content again does not bring it back.
	yaml := "name: \"@acme/tool\"\nversion: \"1.1.0\"\ndescription: the bad one\nlicense: MIT\nlanguage: c\ntype: library\n"
	if _, _, err := s.Ingest.Publish(t.Context(), s.Registry, System, []byte(yaml), bytes.NewReader(shared), artifact.TypeSourceGzip); err == nil {
		t.Error("a removed version can be published again")
	}
	if _, err := s.Ingest.Reindex(t.Context(), s.Registry); err != nil {
		t.Fatal(err)
	}
	status(v2+"/manifests/1.2.0", http.StatusGone, "it phones home")
	status(v1, http.StatusOK, `"latest":"1.0.0"`)
	decide(t, s, "1.2.0", account.Restore)
	status(v2+"/manifests/1.2.0", http.StatusOK, "")
	status(v2+"/blobs/"+ownBlob, http.StatusOK, "")
	status(v1, http.StatusOK, `"latest":"1.2.0"`)
	status(at+"/api/v1/changes", http.StatusOK, `"type":"version.restored"`)

	// The whole package, and nobody finds it.
	decide(t, s, "*", account.Quarantine)
	status(v2+"/manifests/1.0.0", http.StatusGone, "it phones home")
	status(v2+"/tags/list", http.StatusGone, "it phones home")
	status(v2+"/blobs/"+sharedBlob, http.StatusGone, "it phones home")
	if hits := status(at+"/api/v1/search?q=tool", http.StatusOK, ""); strings.Contains(hits, "@acme/tool") {
		t.Errorf("search still finds it: %s", hits)
	}
	status(v1+"/resolve?range=^1", http.StatusNotFound, "quarantined")
	status(v1, http.StatusGone, "it phones home")
	status(at+"/packages/acme/tool", http.StatusGone, "it phones home")
	decide(t, s, "*", account.Restore)
	status(v2+"/manifests/1.0.0", http.StatusOK, "")
	status(v2+"/manifests/1.1.0", http.StatusGone, "it phones home") // on its own account
	if n := stats(t, s); n != 2 {
		t.Errorf("%d releases are counted, want 2", n)
	}
}

func stats(t *testing.T, s *Server) int64 {
	t.Helper()
	_, n, err := s.DB.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestErase looks for the bytes in every file that the server keeps.
func TestErase(t *testing.T) {
	t.Parallel()
	s := start(t, testConfig(t), Options{})
	const secret = "AKIAASECRETASECRET"
	shared, leaky := tarball(t, "int shared;"), tarball(t, "#define KEY \""+strings.Repeat(secret, 3)+"\"")
	release(t, s, "1.0.0", "the first", shared)
	bad := release(t, s, "1.1.0", "key "+secret, leaky)
	_, source := layers(t, s, "acme/tool", bad)
	sbom := fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/spdx+json",`+
		`"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},`+
		`"layers":[],"subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"%s","size":%d},"annotations":{"found":"%s"}}`, bad, size(t, s, bad), secret)
	if err := pushEmpty(t, s); err != nil {
		t.Fatal(err)
	}
	d := digest.FromString(sbom)
	if _, err := s.Registry.PutManifest(t.Context(), System, "acme/tool", d.String(), "application/vnd.oci.image.manifest.v1+json", []byte(sbom)); err != nil {
		t.Fatal(err)
	}
	before := holding(t, s, []byte(secret), leaky[20:60])
	if len(before) == 0 {
		t.Fatal("the secret is nowhere: the test looks for the wrong bytes")
	}
	decide(t, s, "1.1.0", account.Erase)
	check := func() {
		t.Helper()
		for _, url := range []string{
			"/v2/acme/tool/manifests/1.1.0", "/v2/acme/tool/manifests/" + bad, "/api/v1/packages/acme/tool/versions/1.1.0",
			"/packages/acme/tool/1.1.0",
		} {
			if resp, body := get(t, http.DefaultClient, base(s)+url); resp.StatusCode != http.StatusGone || !strings.Contains(body, "it phones home") {
				t.Errorf("GET %s = %d %.200s", url, resp.StatusCode, body)
			}
		}
		for _, url := range []string{"/v2/acme/tool/blobs/" + source, "/v2/acme/tool/manifests/" + d.String()} {
			if resp, _ := get(t, http.DefaultClient, base(s)+url); resp.StatusCode != http.StatusNotFound && resp.StatusCode != http.StatusGone {
				t.Errorf("GET %s = %d", url, resp.StatusCode)
			}
		}
		if _, body := get(t, http.DefaultClient, base(s)+"/api/v1/packages/acme/tool/versions"); !strings.Contains(body, `"state":"erased"`) || strings.Contains(body, secret) {
			t.Errorf("versions: %s", body)
		}
		if resp, _ := get(t, http.DefaultClient, base(s)+"/v2/acme/tool/manifests/1.0.0"); resp.StatusCode != http.StatusOK {
			t.Errorf("1.0.0 = %d", resp.StatusCode)
		}
	}
	check()
	if left := holding(t, s, []byte(secret), leaky[20:60]); len(left) > 0 {
		t.Errorf("the secret is still in %v (before: %v)", left, before)
	}
	if _, err := s.Ingest.Reindex(t.Context(), s.Registry); err != nil {
		t.Fatal(err)
	}
	check()
	name := clyde.Name{Namespace: "acme", Base: "tool"}
	if _, err := s.Moderator.Decide(t.Context(), System, name, "1.1.0", account.Restore, ""); err == nil {
		t.Error("an erased version was restored")
	}
	yaml := "name: \"@acme/tool\"\nversion: \"1.1.0\"\ndescription: key " + secret + "\nlicense: MIT\nlanguage: c\ntype: library\n"
	if _, _, err := s.Ingest.Publish(t.Context(), s.Registry, System, []byte(yaml), bytes.NewReader(leaky), artifact.TypeSourceGzip); err == nil {
		t.Error("an erased version was published again")
	}
	decide(t, s, "1.1.0", account.Erase) // again, to finish what was interrupted
	check()
	es, err := s.DB.AuditLog(t.Context(), store.AuditFilter{Action: "moderation."}, 10)
	if err != nil || len(es) != 2 || es[0].Resource != "@acme/tool@1.1.0" {
		t.Errorf("audit: %+v, %v", es, err)
	}
}

func size(t *testing.T, s *Server, dgst string) int {
	t.Helper()
	b, _, err := s.Registry.Manifest(t.Context(), "acme/tool", digest.Digest(dgst))
	if err != nil {
		t.Fatal(err)
	}
	return len(b)
}

func pushEmpty(t *testing.T, s *Server) error {
	t.Helper()
	d := artifact.Blob{}.Descriptor
	if err := json.Unmarshal([]byte(`{"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}`), &d); err != nil {
		return err
	}
	return s.Registry.PutBlob(t.Context(), System, "acme/tool", d, strings.NewReader("{}"))
}

// holding lists the server's files that contain one of the texts, but for the
// log of the database, which is written over as it goes.
func holding(t *testing.T, s *Server, texts ...[]byte) (files []string) {
	t.Helper()
	err := filepath.WalkDir(s.Dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !e.Type().IsRegular() || strings.HasSuffix(path, "-wal") || strings.HasSuffix(path, "-shm") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, text := range texts {
			if bytes.Contains(b, text) {
				files = append(files, strings.TrimPrefix(path, s.Dir))
				break
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
