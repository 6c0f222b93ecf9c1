package browser_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/config"
	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/account/oidc/oidctest"
	"github.com/clydepm/clyde-registry/pkg/account/signin/signintest"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/compat"
	"github.com/clydepm/clyde-registry/pkg/server"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// password is everybody's here.
const password = "correct horse battery"

// world is a whole server on loopback, the providers that it trusts, and one
// browser.
type world struct {
	*testing.T
	s       *server.Server
	url     string // origin of the site
	browser *chromium
	sso     *signintest.Provider
	github  *signintest.Provider
	forge   *oidctest.Issuer
	forgeBy oidctest.Key
}

// newWorld starts a server with a few packages and people. change, which may be
// nil, has the last word on its configuration.
func newWorld(t *testing.T, change func(*config.Config)) *world {
	t.Helper()
	w := &world{T: t, browser: startBrowser(t)}
	c := config.Default()
	c.Data.Dir = filepath.Join(t.TempDir(), "data")
	c.HTTP.Addr = freeAddress(t)
	_, port, _ := net.SplitHostPort(c.HTTP.Addr)
	w.url = "http://localhost:" + port
	w.sso = signintest.NewOIDC(t, w.url+"/login/sso/callback")
	w.github = signintest.NewGitHub(t, w.url+"/login/github/callback")
	w.forgeBy = oidctest.NewKey(t, "k1", "EdDSA", 0)
	w.forge = oidctest.New(t, w.forgeBy)
	c.SignIn.GitHub = config.GitHub{ClientID: signintest.ClientID, ClientSecret: signintest.ClientSecret, BaseURL: w.github.URL}
	c.SignIn.OIDC = []config.OIDCProvider{{Key: "sso", Name: "Acme SSO", Issuer: w.sso.URL, ClientID: signintest.ClientID, ClientSecret: signintest.ClientSecret}}
	c.TrustedPublishing.Insecure = true
	c.TrustedPublishing.Issuers = append(c.TrustedPublishing.Issuers, config.TrustedIssuer{Name: "forge", URL: w.forge.URL, Kind: "forgejo"})
	c.API.ReadsPerSecond, c.API.WritesPerSecond = 0, 0
	if change != nil {
		change(&c)
	}
	var err error
	if w.s, err = server.New(t.Context(), c, server.Options{}); err != nil {
		t.Fatal(err)
	}
	w.url = w.s.PublicURL()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, w.s.Close()); err != nil {
			t.Error(err)
		}
	})
	return w
}

// freeAddress is one on loopback that nobody listens on: the providers are told
// where the site is before it is there.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// person makes an account with the password of everybody.
func (w *world) person(login, name string, admin bool) {
	w.Helper()
	_, err := w.s.Accounts.CreateAccount(w.Context(), server.System, login, name, password, admin)
	w.must(err)
}

// as is somebody without a browser, as if signed in just now.
func (w *world) as(login string) account.Principal {
	w.Helper()
	p, err := w.s.Accounts.As(w.Context(), server.System, login)
	w.must(err)
	p.Session, p.Proved = "none", time.Now()
	return p
}

// owns gives a namespace to an account or an organisation.
func (w *world) owns(kind, name, namespace string) {
	w.Helper()
	w.must(w.s.Accounts.GiveNamespace(w.Context(), server.System, namespace, kind, name))
}

// publish publishes a version with its files; the manifest is completed by name
// and version.
func (w *world) publish(name, version, manifest string, files map[string]string) {
	w.Helper()
	text := fmt.Sprintf("name: %q\nversion: %q\n%s", name, version, manifest)
	all := map[string]string{"package.yaml": text}
	maps.Copy(all, files)
	_, _, err := w.s.Ingest.Publish(w.Context(), w.s.Registry, server.System, []byte(text), archive(w.T, all), artifact.TypeSourceGzip)
	w.must(err)
}

// built says that a version has a build with these facts, for linux on x86_64.
func (w *world) built(name, version string, f compat.Facts) {
	w.Helper()
	f.Schema, f.Language, f.OS, f.Arch, f.BuildType = compat.Version, compat.C, "linux", "x86_64", "Release"
	f.Linkage, f.SourceDigest = compat.Static, "sha256:"+strings.Repeat("0", 64)
	facts, err := f.Encode()
	w.must(err)
	id := "sha256:" + f.ABIID()
	w.must(w.s.DB.SaveBuild(w.Context(), store.Build{
		Repo: strings.TrimPrefix(name, "@"), Digest: id, VersionKey: version, Tag: f.Tag(version), ABIID: f.ABIID(), OS: f.OS, Arch: f.Arch,
		Tree: id, TreeSize: 123_456, Actor: "account:1", Facts: facts,
	}, store.Change{}))
}

// archive packs files, each below one folder, in a fixed order.
func archive(t *testing.T, files map[string]string) io.Reader {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	tw := tar.NewWriter(z)
	paths := make([]string, 0, len(files))
	for p := range files {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	for _, p := range paths {
		h := &tar.Header{Name: p, Mode: 0o644, Size: int64(len(files[p])), Typeflag: tar.TypeReg, ModTime: time.Unix(0, 0)}
		if err := tw.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(tw, files[p]); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(tw.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return &b
}

// fetch is a page as somebody without a browser or a name gets it.
func (w *world) fetch(path string) string {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), http.MethodGet, w.url+path, nil)
	w.must(err)
	resp, err := http.DefaultClient.Do(req)
	w.must(err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	w.must(err)
	return string(b)
}

// signedIn is the browser of somebody who signed in by the form.
func (w *world) signedIn(t *testing.T, login string) *tab {
	t.Helper()
	p := w.newTab(t)
	p.visit("/login")
	p.signIn(login)
	return p
}

// signIn fills in the form for it that the page shows.
func (p *tab) signIn(login string) {
	p.t.Helper()
	p.fill("main input[name=login]", login)
	p.fill("main input[name=password]", password)
	p.press("main form[action='/login'] button")
}

var (
	ownerAccount = store.OwnerAccount
	ownerOrg     = store.OwnerOrg
)
