package ingest_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/compat"
	"github.com/clydepm/clyde-registry/pkg/ingest"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// object is the smallest ELF object that there is, for the given machine.
func object(machine byte) string {
	b := make([]byte, 64)
	copy(b, "\x7fELF\x02\x01\x01")
	b[16], b[18], b[20], b[52], b[58] = 1, machine, 1, 64, 64
	return string(b)
}

const (
	x86, arm = 62, 183 // EM_X86_64, EM_AARCH64
)

// static is an archive with one object.
func static(machine byte) string {
	o := object(machine)
	return "!<arch>\n" + fmt.Sprintf("%-16s%-12d%-6d%-6d%-8s%-10d`\n", "z.o/", 0, 0, 0, "644", len(o)) + o
}

// tree is an install tree of path, content pairs.
func tree(t *testing.T, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	tw := tar.NewWriter(z)
	for i := 0; i < len(files); i += 2 {
		_ = tw.WriteHeader(&tar.Header{Name: "z-1/" + files[i], Mode: 0o644, Size: int64(len(files[i+1])), Typeflag: tar.TypeReg})
		_, _ = tw.Write([]byte(files[i+1]))
	}
	_, _ = tw.Close(), z.Close()
	return b.Bytes()
}

// facts is a static C library for Linux on x86-64.
func (w *world) facts(repo, version string) *compat.Facts {
	return &compat.Facts{
		Schema: compat.Version, Language: compat.C, OS: "linux", Arch: "x86_64", Libc: compat.Libc{Family: "glibc", Min: "2.17"},
		Linkage: compat.Static, PIC: true, SourceDigest: w.source(repo, version),
	}
}

// source is the digest of the source archive of a version.
func (w *world) source(repo, version string) string {
	w.Helper()
	d, err := w.reg.Resolve(w.Context(), repo, version)
	if err != nil {
		w.Fatal(err)
	}
	payload, _, err := w.reg.Manifest(w.Context(), repo, d.Digest)
	if err != nil {
		w.Fatal(err)
	}
	m, err := artifact.ParsePackage(payload)
	if err != nil {
		w.Fatal(err)
	}
	return m.Source.Digest.String()
}

// attach pushes a build of version under tag, or under the one that follows
// from its facts where tag is "*"; "" pushes by digest.
func (w *world) attach(p account.Principal, repo, version, tag string, f *compat.Facts, layers ...[]byte) (digest.Digest, error) {
	w.Helper()
	subject, err := w.reg.Resolve(w.Context(), repo, version)
	if err != nil {
		return "", err
	}
	config, err := json.Marshal(f)
	if err != nil {
		w.Fatal(err)
	}
	m := ocispec.Manifest{ArtifactType: artifact.TypeBuild, Subject: &ocispec.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size}}
	if m.Config, err = w.blob(p, repo, artifact.TypeBuildConfig, config); err != nil {
		return "", err
	}
	for i, l := range layers {
		d, err := w.blob(p, repo, []string{artifact.TypeBuildTree, artifact.TypeBuildDebug}[i], l)
		if err != nil {
			return "", err
		}
		m.Layers = append(m.Layers, d)
	}
	if tag == "*" {
		tag = f.Tag(version)
	}
	return w.manifest(p, repo, tag, m)
}

func (w *world) builds(repo, key string) []store.Build {
	w.Helper()
	bs, err := w.db.Builds(w.Context(), repo, key)
	if err != nil {
		w.Fatal(err)
	}
	return bs
}

func TestBuildIsAttached(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	w.publish("@acme/zlib", "1.2")
	f := w.facts("acme/zlib", "1.2")
	files := tree(t, "include/zlib.h", "int z;", "lib/libz.a", static(x86))
	symbols := tree(t, "lib/libz.debug", "symbols")
	d, err := w.attach(admin, "acme/zlib", "1.2", "*", f, files, symbols)
	if err != nil {
		t.Fatal(err)
	}
	w.drain()
	bs := w.builds("acme/zlib", "1.2.0")
	if len(bs) != 1 || bs[0].Digest != d.String() || bs[0].ABIID != f.ABIID() || bs[0].Tag != f.Tag("1.2") || bs[0].TreeSize != int64(len(files)) || bs[0].Debug == "" {
		t.Fatalf("builds: %+v", bs)
	}
	if ok, err := w.db.HasBuildLinks(t.Context(), "acme/zlib", d.String()); err != nil || !ok {
		t.Errorf("what linkers find in it was not kept: %v, %v", ok, err)
	}
	// The same again is no error and no second entry; other content is refused.
	if _, err := w.attach(admin, "acme/zlib", "1.2", "*", f, files, symbols); err != nil {
		t.Errorf("the same again: %v", err)
	}
	_, err = w.attach(admin, "acme/zlib", "1.2", "*", f, files)
	refused(t, "other content", err, clyde.ErrConflict, "version_exists")
	w.drain()
	cs, err := w.db.Changes(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	added := 0
	for _, c := range cs {
		if c.Type == "build.added" && c.Package == "@acme/zlib" && c.Version == "1.2" && c.Digest == d.String() {
			added++
		}
	}
	if added != 1 {
		t.Errorf("the feed has %d entries of the build: %+v", added, cs)
	}
	// A build of another type, or for another processor level, stands beside it.
	f.BuildType, f.CPUBaseline = "Debug", "x86-64-v3"
	if _, err := w.attach(admin, "acme/zlib", "1.2", "*", f, files); err != nil {
		t.Errorf("a debug build: %v", err)
	}
	// Pushed by digest it is stored, and no build until it is tagged.
	f.Arch, f.CPUBaseline = "arm64", ""
	arms := tree(t, "lib/libz.a", static(arm))
	if _, err := w.attach(admin, "acme/zlib", "1.2", "", f, arms); err != nil {
		t.Errorf("staged: %v", err)
	}
	w.drain()
	if n := len(w.builds("acme/zlib", "1.2.0")); n != 2 {
		t.Errorf("%d builds; want 2", n)
	}
	if _, err := w.attach(admin, "acme/zlib", "1.2", "*", f, arms); err != nil {
		t.Errorf("tagged: %v", err)
	}
	w.drain()
	if n := len(w.builds("acme/zlib", "1.2.0")); n != 3 {
		t.Errorf("%d builds; want 3", n)
	}
	// Nothing but that build takes its tag.
	_, err = w.manifest(admin, "acme/zlib", f.Tag("1.2"), ocispec.Manifest{
		ArtifactType: "application/spdx+json", Subject: &ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: d, Size: 2}, Layers: []ocispec.Descriptor{},
		Config: ocispec.DescriptorEmptyJSON,
	})
	refused(t, "an SBOM under the tag of a build", err, clyde.ErrDenied, "tag_reserved")

	want := w.dump()
	if _, err := w.in.Reindex(t.Context(), w.reg); err != nil {
		t.Fatal(err)
	}
	if got := w.dump(); got != want {
		t.Errorf("after a reindex:\n%s\nwant:\n%s", got, want)
	}
	if n := len(w.builds("acme/zlib", "1.2.0")); n != 3 {
		t.Errorf("%d builds after a reindex; want 3", n)
	}
}

func TestBuildIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	w.publish("@acme/zlib", "1.2", "traits: {tls: {type: string, default: none, abi: true}}", "requires: {\"@acme/base\": ^1.0}")
	w.publish("@acme/head", "1.0", "type: header-only")
	files := tree(t, "lib/libz.a", static(x86))
	for _, tt := range []struct {
		name  string
		p     account.Principal
		repo  string
		tag   string
		files []byte
		edit  func(*compat.Facts)
		kind  error
		code  string
	}{
		{name: "another identity", p: token("@acme/*", account.Publish), kind: clyde.ErrDenied, code: "not_publisher"},
		{name: "nobody", p: account.Principal{}, kind: clyde.ErrUnauthenticated},
		{name: "another source", edit: func(f *compat.Facts) { f.SourceDigest = "sha256:" + strings.Repeat("0", 64) }, kind: clyde.ErrInvalid, code: "facts_contradicted"},
		{name: "another tag", tag: "1.2_0123456789abcdef", kind: clyde.ErrInvalid, code: "build_tag"},
		{name: "a version's tag", tag: "1.3", kind: clyde.ErrInvalid, code: "build_tag"},
		{name: "a trait forgotten", edit: func(f *compat.Facts) { f.Traits, f.ABITraits = nil, nil }, kind: clyde.ErrInvalid, code: "facts_contradicted"},
		{name: "a trait that is not of the ABI", edit: func(f *compat.Facts) { f.ABITraits = nil }, kind: clyde.ErrInvalid, code: "facts_contradicted"},
		{name: "a dependency out of range", edit: func(f *compat.Facts) { f.Deps = []compat.Dep{{Name: "@acme/base", Version: "2.0.0"}} }, kind: clyde.ErrInvalid, code: "facts_contradicted"},
		{name: "another processor", files: tree(t, "lib/libz.a", static(arm)), kind: clyde.ErrInvalid, code: "facts_contradicted"},
		{name: "a program in place of a library", files: tree(t, "share/x", "y"), kind: clyde.ErrInvalid, code: "facts_contradicted"},
		{name: "a broken archive", files: tree(t, "lib/libz.a", "!<arch>\nxx"), kind: clyde.ErrInvalid, code: "binary_invalid"},
		{name: "no archive at all", files: []byte("hello"), kind: clyde.ErrInvalid},
		{name: "facts that break the format", edit: func(f *compat.Facts) { f.OS = "Linux" }, kind: clyde.ErrInvalid, code: "build_invalid"},
		{name: "binaries of headers", repo: "acme/head", edit: func(f *compat.Facts) { f.Traits, f.ABITraits = nil, nil }, kind: clyde.ErrInvalid, code: "facts_contradicted"},
	} {
		repo, version := "acme/zlib", "1.2"
		if tt.repo != "" {
			repo, version = tt.repo, "1.0"
		}
		f := w.facts(repo, version)
		f.Traits, f.ABITraits = map[string]string{"tls": "none"}, []string{"tls"}
		if tt.edit != nil {
			tt.edit(f)
		}
		p, tag := admin, "*"
		if tt.code == "not_publisher" || tt.kind == clyde.ErrUnauthenticated {
			p = tt.p
		}
		if tt.tag != "" {
			tag = tt.tag
		}
		if tt.files == nil {
			tt.files = files
		}
		_, err := w.attach(p, repo, version, tag, f, tt.files)
		refused(t, tt.name, err, tt.kind, tt.code)
	}
	f := w.facts("acme/head", "1.0")
	f.OS, f.Arch, f.Libc, f.Linkage = compat.Any, compat.Any, compat.Libc{}, compat.Headers
	if _, err := w.attach(admin, "acme/head", "1.0", "*", f, tree(t, "include/head.h", "int h;")); err != nil {
		t.Errorf("the build of headers: %v", err)
	}
	// Nothing that was refused left anything behind.
	w.drain()
	if bs := w.builds("acme/zlib", "1.2.0"); len(bs) != 0 {
		t.Errorf("builds: %+v", bs)
	}
	if n, err := w.db.CountBuilds(t.Context(), "acme/zlib", "1.2.0"); err != nil || n != 0 {
		t.Errorf("%d claims, %v", n, err)
	}
}

func TestBuildsInTimeAndByRebuilders(t *testing.T) {
	t.Parallel()
	now := time.Now()
	w := newWorldAt(t, ingest.AcceptPackages, func() time.Time { return now })
	w.publish("@acme/zlib", "1.2")
	files := tree(t, "lib/libz.a", static(x86))
	ci := token("@acme/*", account.Publish)
	policy := store.BuildPolicy{Namespace: "acme", Days: 14, Rebuilders: []string{"token:ci"}}
	set := func() {
		if err := w.db.SetBuildPolicy(t.Context(), policy, store.AuditEntry{Action: "namespace.builds", Resource: "@acme"}); err != nil {
			t.Fatal(err)
		}
	}
	set()
	f := w.facts("acme/zlib", "1.2")
	if _, err := w.attach(ci, "acme/zlib", "1.2", "*", f, files); err != nil {
		t.Errorf("a rebuilder that the namespace allows: %v", err)
	}
	claim, err := w.db.Claim(t.Context(), "acme/zlib", "1.2.0")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		days, after int
		ok          bool
	}{{14, 14, true}, {14, 15, false}, {0, 0, true}, {0, 1, false}, {400, 399, true}, {store.Always, 5000, true}} {
		policy.Days = tt.days
		set()
		now = claim.Committed.AddDate(0, 0, tt.after)
		f.Flags = []string{fmt.Sprint(tt)} // another build for the same tag: refused as such where it is in time
		_, err := w.attach(admin, "acme/zlib", "1.2", "*", f, files)
		if tt.ok {
			refused(t, fmt.Sprint(tt), err, clyde.ErrConflict, "version_exists")
		} else {
			refused(t, fmt.Sprint(tt), err, clyde.ErrDenied, "build_late")
		}
	}
}

// Twenty runners attach at once, half of them the same build: none is lost,
// and of those that contend one wins.
func TestBuildsInParallel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	w.publish("@acme/zlib", "1.2")
	files := tree(t, "lib/libz.a", static(x86))
	var wg sync.WaitGroup
	var mu sync.Mutex
	won, lost := map[string]bool{}, 0
	for i := range 20 {
		wg.Go(func() {
			f := w.facts("acme/zlib", "1.2")
			if i < 10 {
				f.ABIDefines = map[string]string{"N": fmt.Sprint(i)}
			} else {
				f.Flags = []string{fmt.Sprint(i)} // one ABI, ten contents
			}
			d, err := w.attach(admin, "acme/zlib", "1.2", "*", f, files)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won[d.String()] = true
			} else if e := clyde.AsError(err); i >= 10 && e != nil && strings.HasPrefix(e.Code, "version_") {
				lost++
			} else {
				t.Errorf("runner %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	w.drain()
	var have []string
	for _, b := range w.builds("acme/zlib", "1.2.0") {
		have = append(have, b.Digest)
	}
	slices.Sort(have)
	if want := slices.Sorted(maps.Keys(won)); len(want) != 11 || lost != 9 || !slices.Equal(have, want) {
		t.Errorf("%d won, %d lost, %d builds; want 11, 9, 11", len(want), lost, len(have))
	}
	refs, err := w.db.Referrers(t.Context(), "acme/zlib", w.release("acme/zlib", "1.2").Digest, artifact.TypeBuild, "", 100)
	if err != nil || len(refs) != 11 {
		t.Errorf("%d referrers, %v; want 11", len(refs), err)
	}
}
