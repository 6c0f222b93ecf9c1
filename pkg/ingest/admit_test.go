package ingest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/ingest"
)

// refused checks kind and code of a refusal, and that it says something.
func refused(t *testing.T, what string, err, kind error, code string) {
	t.Helper()
	e := clyde.AsError(err)
	if e == nil || !errors.Is(err, kind) || code != "" && e.Code != code || e.Msg == "" {
		t.Errorf("%s: %#v (%v); want %v with code %q", what, e, err, kind, code)
	}
}

func TestAdmitPackages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	w.publish("@acme/zlib", "1.2")
	src := archive("a.c", "int a;")
	for _, tt := range []struct {
		name, repo, tag, yaml string
		p                     account.Principal
		kind                  error
		code, says            string
	}{
		{"good", "acme/png", "1.0.0", manifestYAML("@acme/png", "1.0.0"), admin, nil, "", ""},
		{"name left out of the namespace", "acme/jpg", "1.0.0", manifestYAML("jpg", "1.0.0"), admin, nil, "", ""},
		{"staged", "acme/png", "", manifestYAML("@acme/png", "2.0.0"), admin, nil, "", ""},
		{"not YAML", "acme/png", "1.0.1", "a: [", admin, clyde.ErrInvalid, "", "package.yaml"},
		{"unknown key", "acme/png", "1.0.1", manifestYAML("@acme/png", "1.0.1", "licens: x"), admin, clyde.ErrInvalid, "", "license"},
		{"another name", "acme/png", "1.0.1", manifestYAML("@acme/gif", "1.0.1"), admin, clyde.ErrInvalid, "", "acme/gif"},
		{"another namespace", "acme/png", "1.0.1", manifestYAML("@other/png", "1.0.1"), admin, clyde.ErrInvalid, "", "other"},
		{"another version", "acme/png", "1.0.1", manifestYAML("@acme/png", "1.0.2"), admin, clyde.ErrInvalid, "", "1.0.2"},
		{"another spelling of the version", "acme/zlib", "1.2.0", manifestYAML("@acme/zlib", "1.2.0"), admin, clyde.ErrConflict, "version_exists", "1.2"},
		{"a tag that is no version", "acme/png", "latest", manifestYAML("@acme/png", "1.0.1"), admin, clyde.ErrInvalid, "", "latest"},
		{"a tag of cosign's", "acme/png", "sha256-" + strings.Repeat("a", 64) + ".sig", manifestYAML("@acme/png", "1.0.1"), admin, clyde.ErrInvalid, "", ""},
		{"unqualified requirement", "acme/png", "1.0.1", manifestYAML("@acme/png", "1.0.1", "requires: {zlib: ^1}"), admin, clyde.ErrInvalid, "", "@acme/zlib"},
		{"not to be published", "acme/png", "1.0.1", manifestYAML("@acme/png", "1.0.1", "registry: {publish: false}"), admin, clyde.ErrInvalid, "", "publish"},
		{"other content", "acme/zlib", "1.2", manifestYAML("@acme/zlib", "1.2", "# other"), admin, clyde.ErrConflict, "version_exists", "sha256:"},
		{"too close a name", "acme/z-lib", "1.0.0", manifestYAML("@acme/z-lib", "1.0.0"), admin, nil, "", ""},
		{"too close a name, again", "acme/z_lib", "1.0.0", manifestYAML("@acme/z_lib", "1.0.0"), admin, clyde.ErrConflict, "name_taken", "@acme/z-lib"},
		{"nobody", "acme/new", "1.0.0", manifestYAML("@acme/new", "1.0.0"), account.Principal{}, clyde.ErrUnauthenticated, "", ""},
		{"publish is not publish-new", "acme/new", "1.0.0", manifestYAML("@acme/new", "1.0.0"), token("@acme/*", account.Publish), clyde.ErrDenied, "grant_missing", "publish-new"},
		{"publish-new is not publish", "acme/zlib", "3.0.0", manifestYAML("@acme/zlib", "3.0.0"), token("@acme/*", account.PublishNew), clyde.ErrDenied, "grant_missing", "publish"},
		{"both rights", "acme/zlib", "3.0.0", manifestYAML("@acme/zlib", "3.0.0"), token("@acme/zlib", account.Publish), nil, "", ""},
		{"a namespace the token names", "fresh/x", "1.0.0", manifestYAML("@fresh/x", "1.0.0"), token("@fresh/*", account.PublishNew, account.Publish), nil, "", ""},
		{"a namespace that nobody opened", "nobody/x", "1.0.0", manifestYAML("@nobody/x", "1.0.0"), token("*", account.PublishNew, account.Publish), clyde.ErrDenied, "namespace_unknown", "@nobody"},
	} {
		d, err := w.push(tt.p, tt.repo, tt.tag, tt.yaml, src)
		if tt.kind == nil {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		refused(t, tt.name, err, tt.kind, tt.code)
		if !strings.Contains(fmt.Sprintf("%v %+v", err, clyde.AsError(err)), tt.says) {
			t.Errorf("%s: %v does not say %q", tt.name, err, tt.says)
		}
		if v, verr := clyde.ParseVersion(tt.tag); verr == nil && tt.kind != clyde.ErrConflict {
			if _, cerr := w.db.Claim(t.Context(), tt.repo, v.Canonical()); !errors.Is(cerr, clyde.ErrNotFound) {
				t.Errorf("%s: the refusal burned the version (%v), manifest %s", tt.name, cerr, d)
			}
		}
	}
	w.drain()
	if _, err := w.db.Package(t.Context(), "acme/png"); err != nil {
		t.Error(err)
	}
	if rs, err := w.db.Releases(t.Context(), "acme/png"); err != nil || len(rs) != 1 {
		t.Errorf("%d releases, %v; want one: what is staged is none", len(rs), err)
	}
	// The same content again is success, also under the race of a second push.
	if _, err := w.push(admin, "acme/png", "1.0.0", manifestYAML("@acme/png", "1.0.0"), src); err != nil {
		t.Errorf("the same again: %v", err)
	}
}

// An archive that could not be unpacked is refused while it is pushed, and its
// version stays free; by digest, too, since a tag may follow.
func TestAdmitArchives(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	for _, tt := range []struct {
		name, code string
		src        []byte
	}{
		{"no archive", "archive_broken", []byte("no archive")},
		{"cut short", "archive_broken", archive("a", strings.Repeat("b", 9000))[:60]},
		{"out of the folder", "path_traversal", archive("../../etc/passwd", "x")},
		{"absolute", "path_absolute", archive("/etc/passwd", "x")},
		{"two that are one file", "path_collision", archive("A.h", "", "a.h", "")},
		{"a file twice", "path_twice", archive("a", "", "a", "")},
		{"a device of Windows", "path_windows", archive("src/aux.c", "")},
		{"the console", "path_windows", archive("png-1/CON", "", "png-1/a", "")},
		{"a dot at the end", "path_windows", archive("doc./a", "")},
		{"a colon", "path_windows", archive("what:ever", "")},
	} {
		for _, tag := range []string{"", "1.0.0"} {
			_, err := w.push(admin, "acme/png", tag, manifestYAML("@acme/png", "1.0.0"), tt.src)
			refused(t, tt.name+" as "+tag, err, clyde.ErrInvalid, tt.code)
		}
	}
	if _, err := w.push(admin, "acme/png", "1.0.0", manifestYAML("@acme/png", "1.0.0"), archive("a", "b")); err != nil {
		t.Errorf("a good one after all that: %v", err)
	}
	elsewhere := manifestYAML("@acme/png", "1.0.1") + "supports: \"!windows\"\n"
	if _, err := w.push(admin, "acme/png", "1.0.1", elsewhere, archive("src/aux.c", "")); err != nil {
		t.Errorf("a name that Windows cannot hold, in what is not for Windows: %v", err)
	}
}

func TestAdmitLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	big := manifestYAML("@acme/big", "1.0.0") + "#" + strings.Repeat("x", artifact.MaxConfig)
	_, err := w.push(admin, "acme/big", "1.0.0", big[:artifact.MaxConfig], archive("a", "b"))
	if err != nil {
		t.Errorf("a package.yaml of exactly the limit: %v", err)
	}
	_, err = w.push(admin, "acme/big2", "1.0.0", strings.Replace(big, "acme/big", "acme/big2", 1)[:artifact.MaxConfig+1], archive("a", "b"))
	refused(t, "a byte more", err, clyde.ErrTooLarge, "")

	config, err := w.blob(admin, "acme/x", artifact.TypeConfig, []byte(manifestYAML("@acme/x", "1.0.0")))
	if err != nil {
		t.Fatal(err)
	}
	layer, err := w.blob(admin, "acme/x", artifact.TypeSourceGzip, archive("a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	pkg := func(edit func(*ocispec.Manifest)) error {
		m := ocispec.Manifest{ArtifactType: artifact.TypePackage, Config: config, Layers: []ocispec.Descriptor{layer}}
		edit(&m)
		_, err := w.manifest(admin, "acme/x", "1.0.0", m)
		return err
	}
	for name, edit := range map[string]func(*ocispec.Manifest){
		"a layer that was not pushed": func(m *ocispec.Manifest) { m.Layers[0].Digest = digest.FromString("nothing") },
		"a layer of another size":     func(m *ocispec.Manifest) { m.Layers[0].Size++ },
		"a config of another size":    func(m *ocispec.Manifest) { m.Config.Size++ },
		"a config of another type":    func(m *ocispec.Manifest) { m.Config.MediaType = "application/json" },
		"no layer":                    func(m *ocispec.Manifest) { m.Layers = nil },
		"a layer with urls":           func(m *ocispec.Manifest) { m.Layers[0].URLs = []string{"https://example.org"} },
		"other data":                  func(m *ocispec.Manifest) { m.Layers[0].Data = []byte("x") },
		"a subject":                   func(m *ocispec.Manifest) { s := layer; m.Subject = &s },
	} {
		refused(t, name, pkg(edit), clyde.ErrInvalid, "")
	}
	if err := pkg(func(*ocispec.Manifest) {}); err != nil {
		t.Error(err)
	}
	for name, body := range map[string]string{
		"not JSON":           `{`,
		"a key twice":        `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2}`,
		"layers, manifests":  `{"schemaVersion":2,"layers":[{"digest":"` + layer.Digest.String() + `","size":1}],"manifests":[{"digest":"` + layer.Digest.String() + `","size":1}]}`,
		"a digest that none": `{"schemaVersion":2,"layers":[{"digest":"sha256:zz","size":1}]}`,
		"a subject of none":  `{"schemaVersion":2,"subject":{"digest":"x","size":1}}`,
		"a negative size":    `{"schemaVersion":2,"layers":[{"digest":"` + layer.Digest.String() + `","size":-1}]}`,
	} {
		_, err := w.raw(admin, "acme/x", "2.0.0", "", []byte(body))
		refused(t, name, err, clyde.ErrInvalid, "")
	}
	// The type that came with the bytes is the one they are served under.
	for mediaType, body := range map[string]string{
		"text/html":                         `{"schemaVersion":2,"layers":[]}`,
		"application/vnd.oci.empty.v1+json": `{"schemaVersion":2,"mediaType":"application/vnd.oci.empty.v1+json"}`,
		ocispec.MediaTypeImageIndex:         `{"schemaVersion":2,"layers":[]}`,
		ocispec.MediaTypeImageManifest:      `{"schemaVersion":2,"manifests":[]}`,
	} {
		_, err := w.raw(admin, "acme/x", "2.0.0", mediaType, []byte(body))
		refused(t, "type "+mediaType, err, clyde.ErrInvalid, "manifest_invalid")
	}
}

func TestAdmitOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	pkg := w.publish("@acme/zlib", "1.2")
	empty, err := w.blob(admin, "acme/zlib", "application/vnd.oci.empty.v1+json", []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	subject := &ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: pkg, Size: 1}
	absent := &ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("absent"), Size: 1}
	m := func(kind string, s *ocispec.Descriptor) ocispec.Manifest {
		return ocispec.Manifest{ArtifactType: kind, Config: empty, Layers: []ocispec.Descriptor{empty}, Subject: s}
	}
	sig := "sha256-" + pkg.Encoded()
	disguised := m("", subject)
	disguised.Config.MediaType = artifact.TypePackage
	for _, tt := range []struct {
		name, tag string
		m         ocispec.Manifest
		p         account.Principal
		kind      error
		code      string
	}{
		{"referrer", "", m("application/spdx", subject), admin, nil, ""},
		{"referrer with a tag", "notes", m("application/spdx", subject), admin, nil, ""},
		{"referrer on a version's tag", "1.2", m("application/spdx", subject), admin, clyde.ErrDenied, "tag_reserved"},
		{"referrer on the tag of a version to come", "9.0.0", m("application/spdx", subject), admin, clyde.ErrDenied, "tag_reserved"},
		{"referrer that looks like a package", "", disguised, admin, clyde.ErrInvalid, "not_a_package"},
		{"signature that looks like a package", sig + ".sig", disguised, admin, clyde.ErrInvalid, "not_a_package"},
		{"referrer to nothing", "", m("application/spdx", absent), admin, clyde.ErrDenied, "subject_unknown"},
		{"plain image", "v1", m("", nil), admin, clyde.ErrDenied, "not_a_package"},
		{"build", "1.2_0123456789abcdef", m("application/vnd.clyde.build.v1", subject), admin, clyde.ErrInvalid, "build_invalid"},
		{"cosign signature", sig + ".sig", m("", nil), admin, nil, ""},
		{"cosign attestation", sig + ".att", m("", nil), admin, nil, ""},
		{"cosign signature of nothing", "sha256-" + absent.Digest.Encoded() + ".sig", m("", nil), admin, clyde.ErrDenied, "subject_unknown"},
		{"referrer by who may not", "", m("application/spdx", subject), token("@acme/other", account.Publish), clyde.ErrDenied, "grant_missing"},
		{"referrer by who may make packages only", "", m("application/spdx", subject), token("@acme/*", account.PublishNew), clyde.ErrDenied, "grant_missing"},
	} {
		_, err := w.manifest(tt.p, "acme/zlib", tt.tag, tt.m)
		if tt.kind == nil && err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if tt.kind != nil {
			refused(t, tt.name, err, tt.kind, tt.code)
		}
	}
	if d, err := w.reg.Resolve(t.Context(), "acme/zlib", "1.2"); err != nil || d.Digest != pkg {
		t.Errorf("the version is %s, %v; want %s", d.Digest, err, pkg)
	}
}

func TestAdmitAny(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptAny)
	pkg := w.publish("@acme/zlib", "1.2")
	image := func(repo, tag, content string) error {
		l, err := w.blob(admin, repo, "application/octet-stream", []byte(content))
		if err != nil {
			return err
		}
		_, err = w.manifest(admin, repo, tag, ocispec.Manifest{ArtifactType: "text/plain", Config: l, Layers: []ocispec.Descriptor{l}})
		return err
	}
	// Plain tags move, also those that look like versions.
	for _, content := range []string{"a", "b"} {
		if err := errors.Join(image("acme/zlib", "notes", content), image("acme/tool", "1.0.0", content)); err != nil {
			t.Error(err)
		}
	}
	refused(t, "image on a version's tag", image("acme/zlib", "1.2", "a"), clyde.ErrConflict, "version_exists")
	refused(t, "image on another spelling of it", image("acme/zlib", "1.2.0", "a"), clyde.ErrConflict, "version_exists")
	if d, err := w.reg.Resolve(t.Context(), "acme/zlib", "1.2"); err != nil || d.Digest != pkg {
		t.Errorf("the version is %s, %v; want %s", d.Digest, err, pkg)
	}
	w.drain()
}

func TestFirstAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	private := func(repo string) bool {
		s, err := w.db.Setting(t.Context(), repo)
		if err != nil {
			t.Fatal(err)
		}
		return s.Private
	}
	w.publish("@acme/secret", "1.0.0", "registry: {access: private}")
	if !private("acme/secret") {
		t.Error("the first publish did not make the package private")
	}
	if as, err := w.db.Audit(t.Context(), 0, 2); err != nil || len(as) != 2 || as[1].Action != "package.access" {
		t.Errorf("audit: %+v, %v", as, err)
	}
	w.publish("@acme/secret", "1.1.0", "registry: {access: public}")
	if !private("acme/secret") {
		t.Error("a later version changed the setting")
	}
	w.publish("@acme/open", "1.0.0")
	w.publish("@acme/open", "1.1.0", "registry: {access: private}")
	if private("acme/open") {
		t.Error("a later version made the package private")
	}
	// Staged bytes are as private as what will be tagged.
	if _, err := w.push(admin, "acme/staged", "", manifestYAML("@acme/staged", "1.0.0", "registry: {access: private}"), archive("a", "b")); err != nil || !private("acme/staged") {
		t.Errorf("staged: private %t, %v", private("acme/staged"), err)
	}
	// A refused push changes nothing.
	if _, err := w.push(admin, "acme/sec_ret", "1.0.0", manifestYAML("@acme/sec_ret", "1.0.0", "registry: {access: private}"), archive("a", "b")); err != nil {
		t.Fatal(err) // another name: "sec-ret" is not "secret"
	}
	if _, err := w.push(admin, "acme/sec-ret", "1.0.0", manifestYAML("@acme/sec-ret", "1.0.0", "registry: {access: private}"), archive("a", "b")); err == nil || private("acme/sec-ret") {
		t.Errorf("a refused push: private %t, %v", private("acme/sec-ret"), err)
	}
}

// What a token without rights is told of a private package is what it is told
// of none.
func TestPushDoesNotTellPrivateFromAbsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	w.publish("@acme/secret", "1.0.0", "registry: {access: private}")
	for name, p := range map[string]account.Principal{
		"nobody": {}, "no right": token("@other/*", account.Publish), "a right elsewhere": token("@acme/other", account.Publish, account.PublishNew),
	} {
		try := func(base string) string {
			_, err := w.push(p, "acme/"+base, "2.0.0", manifestYAML("@acme/"+base, "2.0.0"), archive("a", "b"))
			var w2 ingest.Writer = w.reg
			_, _, perr := w.in.Publish(t.Context(), w2, p, []byte(manifestYAML("@acme/"+base, "2.0.0")), strings.NewReader("x"), artifact.TypeSourceGzip)
			return strings.ReplaceAll(fmt.Sprintf("%+v %+v", clyde.AsError(err), clyde.AsError(perr)), base, "NAME")
		}
		if a, b := try("secret"), try("absent"); a != b {
			t.Errorf("%s is told %s of the private one, %s of the absent", name, a, b)
		}
	}
}

// Of two spellings of one name that come at once, at most one is published.
func TestSpellingsRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	if err := w.db.AddNamespace(t.Context(), "acme", "admin"); err != nil {
		t.Fatal(err)
	}
	for round := range 10 {
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for _, sep := range []string{"-", "_", "."} {
			wg.Go(func() {
				base := fmt.Sprintf("a%sb%d", sep, round)
				_, err := w.push(admin, "acme/"+base, "1.0.0", manifestYAML("@acme/"+base, "1.0.0"), archive("a", "b"))
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
				} else if !errors.Is(err, clyde.ErrConflict) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won > 1 {
			t.Fatalf("round %d: %d spellings of one name", round, won)
		}
	}
}

func TestVersionRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	const pushers = 50
	var wg sync.WaitGroup
	errs := make([]error, pushers)
	digests := make([]digest.Digest, pushers)
	for i := range pushers {
		wg.Go(func() {
			digests[i], errs[i] = w.push(admin, "acme/zlib", "1.0.0", manifestYAML("@acme/zlib", "1.0.0"), archive("a", fmt.Sprint(i)))
		})
	}
	wg.Wait()
	var won digest.Digest
	for i, err := range errs {
		switch {
		case err == nil && won == "":
			won = digests[i]
		case err == nil:
			t.Errorf("%s and %s were both accepted", won, digests[i])
		case !errors.Is(err, clyde.ErrConflict):
			t.Error(err)
		}
	}
	if d, err := w.reg.Resolve(t.Context(), "acme/zlib", "1.0.0"); err != nil || d.Digest != won {
		t.Errorf("the version is %s, %v; want %s", d.Digest, err, won)
	}
}

// Fifty who sign at once, each reading, adding and writing as cosign does,
// lose nothing.
func TestMergeParallelSigners(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	pkg := w.publish("@acme/zlib", "1.0.0")
	const signers = 50
	repo, base := "acme/zlib", "sha256-"+pkg.Encoded()
	read := func(tag string, v any) {
		d, err := w.reg.Resolve(t.Context(), repo, tag)
		if errors.Is(err, clyde.ErrNotFound) {
			return
		}
		b, _, merr := w.reg.Manifest(t.Context(), repo, d.Digest)
		if err := errors.Join(err, merr, json.Unmarshal(b, v)); err != nil {
			t.Error(err)
		}
	}
	for _, suffix := range []string{".sig", ".att"} {
		var wg sync.WaitGroup
		for i := range signers {
			wg.Go(func() {
				l, err := w.blob(admin, repo, "application/vnd.dev.cosign.simplesigning.v1+json", fmt.Appendf(nil, "signature%s %d", suffix, i/2))
				if err != nil {
					t.Error(err)
					return
				}
				// Two sign the same bytes with other keys: the annotations tell.
				l.Annotations = map[string]string{"dev.cosignproject.cosign/signature": fmt.Sprint("<", i, ">")}
				var m ocispec.Manifest
				read(base+suffix, &m)
				m.Config = l
				m.Config.Annotations = nil
				m.Layers = append(m.Layers, l)
				if _, err := w.manifest(admin, repo, base+suffix, m); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		var m ocispec.Manifest
		read(base+suffix, &m)
		seen := map[string]bool{}
		for _, l := range m.Layers {
			seen[l.Digest.String()+l.Annotations["dev.cosignproject.cosign/signature"]] = true
		}
		if len(m.Layers) != signers || len(seen) != signers {
			t.Errorf("%s holds %d signatures, %d of them different; want %d", suffix, len(m.Layers), len(seen), signers)
		}
	}
	// The fallback tag of clients that do not know the referrers API.
	var wg sync.WaitGroup
	var refs sync.Map
	index := func(ds ...ocispec.Descriptor) error {
		b, err := json.Marshal(ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: ds})
		if err == nil {
			_, err = w.raw(admin, repo, base, ocispec.MediaTypeImageIndex, b)
		}
		return err
	}
	for i := range signers {
		wg.Go(func() {
			l, err := w.blob(admin, repo, "text/plain", fmt.Appendf(nil, "note %d", i))
			if err != nil {
				t.Error(err)
				return
			}
			d, err := w.manifest(admin, repo, "", ocispec.Manifest{ArtifactType: "text/plain", Config: l, Layers: []ocispec.Descriptor{l}, Subject: &ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: pkg, Size: 1}})
			if err != nil {
				t.Error(err)
				return
			}
			desc, err := w.reg.Resolve(t.Context(), repo, d.String())
			if err := errors.Join(err, index(desc)); err != nil {
				t.Error(err)
			}
			refs.Store(d, desc)
		})
	}
	wg.Wait()
	var idx ocispec.Index
	read(base, &idx)
	if len(idx.Manifests) != signers {
		t.Fatalf("the fallback tag holds %d referrers; want %d", len(idx.Manifests), signers)
	}
	if rs, err := w.reg.Referrers(t.Context(), repo, pkg); err != nil || len(rs) != signers {
		t.Errorf("%d referrers, %v; want %d", len(rs), err, signers)
	}
	// A referrer that was deleted does not block those who come later.
	gone := idx.Manifests[0]
	if err := w.db.DeleteManifest(t.Context(), repo, gone.Digest.String(), clyde.Event{}); err != nil {
		t.Fatal(err)
	}
	w.reg.Forget()
	if err := index(idx.Manifests[1]); err != nil {
		t.Errorf("after a referrer was deleted: %v", err)
	}
	idx = ocispec.Index{}
	read(base, &idx)
	if len(idx.Manifests) != signers-1 {
		t.Errorf("the fallback tag holds %d referrers; want %d", len(idx.Manifests), signers-1)
	}
	// An image manifest does not fit an index, nor the other way round.
	_, err := w.manifest(admin, repo, base, ocispec.Manifest{ArtifactType: "text/plain", Config: ocispec.DescriptorEmptyJSON})
	if err == nil {
		t.Error("an image manifest took the fallback tag of an index")
	}
}

// A list that names one entry twice does not push another one out.
func TestMergeKeepsWhatDuplicatesHide(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ingest.AcceptPackages)
	pkg := w.publish("@acme/zlib", "1.0.0")
	tag := "sha256-" + pkg.Encoded() + ".sig"
	layer := func(s string) ocispec.Descriptor {
		l, err := w.blob(admin, "acme/zlib", "text/plain", []byte(s))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	a, b := layer("a"), layer("b")
	for _, ls := range [][]ocispec.Descriptor{{a}, {b, b}} {
		if _, err := w.manifest(admin, "acme/zlib", tag, ocispec.Manifest{Config: a, Layers: ls}); err != nil {
			t.Fatal(err)
		}
	}
	d, err := w.reg.Resolve(t.Context(), "acme/zlib", tag)
	if err != nil {
		t.Fatal(err)
	}
	body, _, err := w.reg.Manifest(t.Context(), "acme/zlib", d.Digest)
	if err != nil || !strings.Contains(string(body), a.Digest.String()) {
		t.Errorf("the first signature is gone: %s, %v", body, err)
	}
	// What an .sbom tag holds is one document.
	sbom := strings.TrimSuffix(tag, ".sig") + ".sbom"
	for _, l := range []ocispec.Descriptor{a, b} {
		if _, err := w.manifest(admin, "acme/zlib", sbom, ocispec.Manifest{Config: a, Layers: []ocispec.Descriptor{l}}); err != nil {
			t.Fatal(err)
		}
	}
	if d, err = w.reg.Resolve(t.Context(), "acme/zlib", sbom); err != nil {
		t.Fatal(err)
	}
	if body, _, err = w.reg.Manifest(t.Context(), "acme/zlib", d.Digest); err != nil || strings.Count(string(body), a.Digest.String()) != 1 {
		t.Errorf("the document was merged with the one before: %s, %v", body, err)
	}
}
